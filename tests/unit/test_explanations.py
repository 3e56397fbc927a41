"""Every error has an explanation, under every form of its name or number."""

from __future__ import annotations

import re

import pytest

import troubleshooting
from avma import errors, explanations, hresult

_ABSTRACT = (errors.AvmaError, errors.LicensingFault, errors.PartlyDone)


def kinds() -> list[type[errors.AvmaError]]:
    found: list[type[errors.AvmaError]] = [errors.AvmaError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind not in _ABSTRACT]


def example(kind: type[errors.AvmaError], code: int = 0x80338999) -> errors.AvmaError:
    parts = ("try", "hv01", "it answered", "do something")
    return kind(*parts, code=code) if issubclass(kind, errors.WsmanFault) else kind(*parts)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_ends_with_the_command_that_explains_it(kind: type[errors.AvmaError]) -> None:
    error = example(kind)
    assert str(error) == f"hv01: could not try: it answered. Do something. See: avma explain {error.topic}"
    assert explanations.find(error.topic)


@pytest.mark.parametrize("code", hresult.codes(), ids=lambda code: code.name)
def test_every_number_is_explained_by_its_section(code: hresult.HResult) -> None:
    error = errors.LicensingFault("try", "hv01", "no", "wait", code.value)
    assert str(error).endswith(f"See: avma explain 0x{code.value:08X}")
    section = explanations.find(error.topic)
    assert section
    assert section.name == code.name
    assert errors.sentences(code.remedy) in section.text


def test_the_cause_explains_what_is_partly_done() -> None:
    partly = errors.PartlyDone("hv01", None, errors.TimedOut("wait", "hv01", "no", "wait."))
    assert str(partly) == "hv01: could not wait: no. Wait. See: avma explain timed-out"


def test_a_win32_code_is_explained_by_its_hresult() -> None:
    assert str(errors.WsmanFault("try", "hv01", "no", "wait", 5)).endswith("See: avma explain 0x80070005")


def test_a_note_stands_before_the_command() -> None:
    message = example(errors.Refused).with_note("Nothing was changed.")
    assert message.endswith("Do something. Nothing was changed. See: avma explain refused")


@pytest.mark.parametrize(
    "written",
    [
        "0xC004F050", "0xc004f050", "C004F050", "c004f050", "0XC004F050", "-1073418160", "3221549136", " 0xC004F050. ",
        "(0xC004F050)", "SL_E_INVALID_PRODUCT_KEY", "sl_e_invalid_product_key", "sl-e-invalid-product-key",
        "0xFFFFFFFFC004F050",
    ],
)  # fmt: skip
def test_a_number_is_found_in_every_form(written: str) -> None:
    section = explanations.find(written)
    assert section
    assert section.title == "0xC004F050"


@pytest.mark.parametrize("written", ["0x80070005", "80070005", "-2147024891", "2147942405", "5"])
def test_digits_alone_can_be_hexadecimal(written: str) -> None:
    section = explanations.find(written)
    assert section
    assert section.title == "0x80070005"


@pytest.mark.parametrize("written", ["not-ready", "NotReady", "not ready", "not_ready", "NOT-READY", "`not-ready`"])
def test_a_kind_is_found_in_every_spelling(written: str) -> None:
    assert explanations.find(written) == explanations.find("not-ready")


@pytest.mark.parametrize("written", ["", "no-such-name", "0xC004FFFF", "0x123456789012345678", "--help-me", "0", "0x"])
def test_what_does_not_exist_is_not_found(written: str) -> None:
    assert explanations.find(written) is None


def test_similar_names() -> None:
    assert explanations.similar("not-redy")[0] == "not-ready"
    assert "SL_E_INVALID_PRODUCT_KEY" in explanations.similar("SL_E_INVALD_PRODUCT_KEY")
    assert explanations.similar("logon") == ["logon-refused", "logon-uncertain"]
    assert explanations.similar("qqqqqq") == []


def test_the_page_has_the_same_sections() -> None:
    headings = re.findall(r"^### (.*)$", troubleshooting.page(), re.MULTILINE)
    sections = [*explanations.kinds(), *explanations.admin_center(), *explanations.codes()]
    assert headings == [section.title for section in sections]
    assert len(set(headings)) == len(headings)
