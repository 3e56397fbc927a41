"""The parts of texts, and the words of each front end for them."""

from __future__ import annotations

import pytest

from avma import errors, wording
from avma.configuration import Transport
from avma.redaction import Redactor
from avma.wording import NEUTRAL, RUN_AGAIN, Wording, capitalized, function, install_extra, setting
from avma_cli.wording import COMMANDS, REPORT
from pulumi_resource_avma.wording import PULUMI


@pytest.mark.parametrize(
    ("part", "neutral", "pulumi", "command"),
    [
        (setting("ca_cert"), "`ca_cert`", "`caCert`", "`--ca-cert`"),
        (setting("connection.ca_cert"), "`connection.ca_cert`", "`connection.caCert`", "`--ca-cert`"),
        (setting("https", False), "`https: false`", "`https: false`", "`--no-https`"),
        (setting("insecure", True), "`insecure: true`", "`insecure: true`", "`--insecure`"),
        (setting("password"), "`password`", "`password`", "`AVMA_PASSWORD`"),
        (setting("on_delete", "retain"), "`on_delete: retain`", "`onDelete: retain`", "`onDelete: retain`"),
        (
            setting("guest.transport", Transport.WINRM),
            "`guest.transport: winrm`",
            "`guest.transport: winrm`",
            "`--guest-transport winrm`",
        ),
        (function("get_host_license"), "`get_host_license`", "`getHostLicense`", "`getHostLicense`"),
        (RUN_AGAIN, "run again", "run the same `pulumi` command again", "run the command again"),
        (
            install_extra("kerberos"),
            "install the extra `kerberos` of the Python package",
            "run `pip install 'pulumi-resource-avma[kerberos]'`",
            "run `pip install 'pulumi-resource-avma[kerberos]'`",
        ),
    ],
)
def test_each_front_end_words_a_part_in_its_own_way(part: str, neutral: str, pulumi: str, command: str) -> None:
    assert [each.render(f"a {part} b") for each in (NEUTRAL, PULUMI, COMMANDS)] == [
        f"a {text} b" for text in (neutral, pulumi, command)
    ]


def test_pulumi_has_words_for_each_phrase() -> None:
    assert set(wording.phrases().values()) == set(PULUMI.phrases)


def test_the_report_has_no_option_for_an_address() -> None:
    address = setting("connection.address")
    assert [each.render(address) for each in (COMMANDS, REPORT)] == ["`--address`", "`connection.address`"]


def test_more_time_is_an_option_of_the_report_and_of_no_other_command() -> None:
    words = [each.render(wording.ALLOW_MORE_TIME) for each in (NEUTRAL, COMMANDS, REPORT)]
    assert words == ["allow more time", "run the command again", "allow more time with `--timeout`"]


def test_a_sentence_that_begins_with_a_part_has_a_capital_letter() -> None:
    assert PULUMI.render(f"{capitalized(RUN_AGAIN)}.") == "Run the same `pulumi` command again."
    assert capitalized("run") == "Run"
    assert capitalized("") == ""


def test_an_error_is_neutral_until_a_front_end_renders_it() -> None:
    error = errors.NotReady("activate", "web01", "it is off", f"start it; {RUN_AGAIN}")
    assert str(error) == "web01: could not activate: it is off. Start it. Run again. See: avma explain not-ready"
    assert "Run the same `pulumi` command again." in Redactor(PULUMI)(error.message)


@pytest.mark.parametrize(
    "text",
    [
        "\ufdd0",
        "\ufdd0a\ufdd2\ufdd2",
        "\ufdd0setting\ufdd2",
        "\ufdd0function\ufdd1a\ufdd1b\ufdd1c\ufdd1d\ufdd2",
        "\ufdd1\ufdd3x",
    ],
)
def test_marks_from_a_machine_do_not_leave_the_process(text: str) -> None:
    for words in (NEUTRAL, PULUMI, COMMANDS, Wording()):
        assert not set("\ufdd0\ufdd1\ufdd2\ufdd3") & set(words.render(text))
