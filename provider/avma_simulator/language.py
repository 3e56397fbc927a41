"""What the languages of Windows change: captions and messages, and no number and no id.

Inferred: the words, which stand for Microsoft's and are not always theirs. A message that has no words here becomes a
sentence of its language, so that nobody can rely on English. The module knows text alone.
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


def said(text: str, spoken: str) -> str:
    """Return a word or a message of Windows in a language."""
    return text if spoken == ENGLISH else _WORDS[spoken].get(text, _SENTENCE[spoken])
