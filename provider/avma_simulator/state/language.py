"""The captions and messages of Windows in other languages. Numbers and IDs are the same in all.

Simplified: the words are not always Microsoft's. A message without a translation here becomes one fixed sentence of
the language, so that no client can rely on English texts.
"""

from __future__ import annotations

ENGLISH = "en-US"
LOCALES = {ENGLISH: 1033, "de-DE": 1031, "ja-JP": 1041}
_WORDS = {
    "de-DE": {
        "Virtual Machine": "Virtueller Computer",
        "Operating normally": "Normaler Betrieb",
        "OK": "OK",
        "Hosting Computer System": "Hostcomputersystem",
        "Key-Value Pair Exchange": "Austausch von Schlüsselwertpaaren",
        "Hyper-V Virtual System Management Service": "Hyper-V-Dienst zur Verwaltung virtueller Computer",
        "Automatic Virtual Machine Activation": "Automatische Aktivierung virtueller Computer",
        "Error": "Fehler",
        "Information": "Informationen",
        "Access is denied.": "Zugriff verweigert",
        "The credential is invalid.": "Die Anmeldeinformationen sind ungültig.",
    },
    "ja-JP": {
        "Virtual Machine": "仮想マシン",
        "Operating normally": "正常稼働中",
        "OK": "OK",
        "Hosting Computer System": "ホスト コンピューター システム",
        "Key-Value Pair Exchange": "キー値ペアの交換",
        "Hyper-V Virtual System Management Service": "Hyper-V 仮想システム管理サービス",
        "Automatic Virtual Machine Activation": "仮想マシンの自動ライセンス認証",
        "Error": "エラー",
        "Information": "情報",
        "Access is denied.": "アクセスが拒否されました。",
        "The credential is invalid.": "資格情報が無効です。",
    },
}
_SENTENCE = {"de-DE": "Bei der Verarbeitung ist ein Fehler aufgetreten.", "ja-JP": "処理中にエラーが発生しました。"}


def translated(text: str, locale: str) -> str:
    """Return a caption or message of Windows in a language."""
    return text if locale == ENGLISH else _WORDS[locale].get(text, _SENTENCE[locale])
