"""`avma explain`: output and exit codes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from avma import explanations
from avma_cli.__main__ import app


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments])


def test_a_kind_of_error() -> None:
    result = explain("not-ready")
    assert result.exit_code == 0
    assert result.stdout.startswith("not-ready\n\n")
    assert "`guest.readyTimeout`" in result.stdout


@pytest.mark.parametrize("number", ["0xC004F050", "c004f050", "-1073418160", "3221549136"])
def test_a_number(number: str) -> None:
    result = explain(number)
    assert result.exit_code == 0
    assert result.stdout.startswith("0xC004F050\n\n`SL_E_INVALID_PRODUCT_KEY`: ")
    assert "Check the key for typing errors" in result.stdout


def test_a_text_of_windows_admin_center_without_quotes() -> None:
    result = explain("Server", "is", "down")
    assert result.exit_code == 0
    assert "not-ready" in result.stdout
    assert "](" not in result.stdout


def test_without_an_argument_everything_is_listed() -> None:
    result = explain()
    assert result.exit_code == 0
    assert not [name for name in explanations.names() if name not in result.stdout]


def test_an_unknown_number_names_its_facility() -> None:
    result = explain("0xC004FFFF")
    assert result.exit_code == 1
    assert (
        "The provider does not know this number. It is an error of the Software Protection Platform." in result.stdout
    )


@pytest.mark.parametrize("zero", ["0", "0x0", "0x00000000", "-0"])
def test_zero_is_no_error(zero: str) -> None:
    result = explain(zero)
    assert result.exit_code == 1
    assert "0x00000000" not in result.stdout
    assert "succeeded" in result.stdout


@pytest.mark.parametrize("number", ["4294967296", "0x800C004F050", "-2147483649", "99999999999"])
def test_a_number_of_more_than_32_bits_is_none_of_windows(number: str) -> None:
    assert explain(number).exit_code == 2


@pytest.mark.parametrize(
    "message",
    [
        "0xC004F050 SL_E_INVALID_PRODUCT_KEY: the product key is invalid",
        "hv01: could not install the product key: 0xC004F050 SL_E_INVALID_PRODUCT_KEY: the product key is invalid",
        "See: avma explain 0xC004F050",
    ],
)
def test_a_part_of_a_message(message: str) -> None:
    for arguments in ([message], message.split()):
        assert explain(*arguments).stdout.startswith("0xC004F050\n\n")


def test_a_name_that_does_not_exist() -> None:
    result = explain("not-redy")
    assert result.exit_code == 2
    assert result.stderr == (
        "no explanation found for `not-redy`\ndid you mean not-ready?\nlist all explanations: avma explain\n"
    )


def test_lines_fit_a_terminal() -> None:
    for name in (*explanations.names(), "0xC004FFFF", "0"):
        assert max(map(len, explain(name).stdout.splitlines())) <= 100
