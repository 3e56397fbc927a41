"""CheckConfig, DiffConfig and Configure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from avma.configuration import Configuration, GuestDefaults, Transport
from avma.properties import declare
from avma.settings import Auth
from contract.harness import PROVIDER_URN, UNKNOWN, Calls, FakeEngine, Provider, detail, failure, plain, secret, struct
from contract.shelf import Shelf
from pulumi_resource_avma.protocol import provider_pb2 as pb


def failures(response: pb.CheckResponse) -> dict[str, str]:
    return {failure.property: failure.reason for failure in response.failures}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"https": True, "port": 5986, "guest": {"username": "g", "insecure": False}, "maxConcurrency": 3},
        {"https": "true", "port": "5986", "guest": '{"username":"g","insecure":"false"}', "maxConcurrency": "3"},
        {"username": "Administrator", "auth": "ntlm", "connectTimeout": "1m30s"},
        {"username": UNKNOWN, "https": UNKNOWN, "guest": {"username": UNKNOWN}},
        {"guest": UNKNOWN},
        {"port": None},
        {"version": "1.2.3", "pluginDownloadURL": "https://example.com", "__internal": {"x": 1}, "__defaults": []},
    ],
)
def test_what_can_be_used_comes_back_as_it_was_written(unconfigured: Calls, values: dict[str, Any]) -> None:
    response = unconfigured.check_config(values)
    assert failures(response) == {}
    assert plain(response.inputs) == values


def test_all_failures_come_at_once_each_with_its_path(unconfigured: Calls) -> None:
    response = unconfigured.check_config(
        {
            "port": "many",
            "https": "perhaps",
            "auth": "magic",
            "usrname": "x",
            "guest": '{"port": 99999, "paswort": "x"}',
            "maxConcurrency": 0,
            "connectTimeout": "soon",
        }
    )
    found = failures(response)
    assert set(found) == {
        "port", "https", "auth", "usrname", "guest.port", "guest.paswort", "maxConcurrency", "connectTimeout",
    }  # fmt: skip
    assert "Did you mean `username`?" in found["usrname"]
    assert "Did you mean `password`?" in found["guest.paswort"]


def test_text_that_is_no_json_is_no_object(unconfigured: Calls) -> None:
    assert set(failures(unconfigured.check_config({"guest": "hello"}))) == {"guest"}


def test_asset_is_rejected(unconfigured: Calls) -> None:
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    found = failures(unconfigured.check_config({"caCert": asset}))
    assert "asset" in found["caCert"]


def test_plain_passwords_come_back_secret(unconfigured: Calls) -> None:
    text = '{"password":"guest-pass"}'
    response = unconfigured.check_config({"password": "plain-pass", "guest": text})
    assert plain(response.inputs) == {"password": secret("plain-pass"), "guest": secret(text)}
    response = unconfigured.check_config({"guest": {"username": "g", "password": "guest-pass"}})
    assert plain(response.inputs) == {"guest": {"username": "g", "password": secret("guest-pass")}}


class TestConfigure:
    """The effects of the configuration."""

    def configured(self, calls: Calls, **values: Any) -> Configuration:
        calls.configure(**values)
        configuration = calls.provider.session.configuration
        assert configuration is not None
        return configuration

    def test_nothing_given(self, unconfigured: Calls) -> None:
        assert self.configured(unconfigured) == Configuration()

    @pytest.mark.parametrize(
        "guest",
        [
            {"username": "g", "password": "guest-pass", "port": 5985},
            {"username": "g", "password": secret("guest-pass"), "port": 5985},
            secret({"username": "g", "password": "guest-pass", "port": "5985"}),
            '{"username":"g","password":"guest-pass","port":5985}',
            secret('{"username":"g","password":"guest-pass","port":5985}'),
            json.dumps({"username": "g", "password": secret("guest-pass"), "port": 5985}),
        ],
    )
    def test_objects_in_every_form(self, unconfigured: Calls, guest: Any) -> None:
        configuration = self.configured(unconfigured, guest=guest)
        assert configuration.guest is not None
        assert configuration.guest.password == "guest-pass"
        assert (configuration.guest.username, configuration.guest.port) == ("g", 5985)
        assert "guest-pass" not in unconfigured.provider.session.redact("it is guest-pass")

    def test_text_for_all_that_is_no_text(self, unconfigured: Calls) -> None:
        configuration = self.configured(
            unconfigured, port="5986", https="false", maxConcurrency="7", deleteUnreachable="true", auth="basic"
        )
        assert (configuration.port, configuration.https, configuration.max_concurrency) == (5986, False, 7)
        assert configuration.delete_unreachable
        assert configuration.auth is Auth.BASIC

    def test_a_number_as_user_name_stays_text(self, unconfigured: Calls) -> None:
        assert self.configured(unconfigured, username="4711").username == "4711"

    def test_the_environment_fills_what_the_user_left_out(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_USERNAME", "from-environment")
        monkeypatch.setenv("AVMA_PASSWORD", "environment-pass")
        monkeypatch.setenv("AVMA_HTTPS", "false")
        configuration = self.configured(unconfigured, username="from-user", password=None)
        assert (configuration.username, configuration.password) == ("from-user", "environment-pass")
        assert configuration.https is False
        assert "environment-pass" not in unconfigured.provider.session.redact("it is environment-pass")

    def test_the_environment_fills_what_the_user_left_out_of_the_guests_settings(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_PASSWORD", "hosts-pass")
        monkeypatch.setenv("AVMA_GUEST_USERNAME", "from-environment")
        monkeypatch.setenv("AVMA_GUEST_PASSWORD", "environment-pass")
        monkeypatch.setenv("AVMA_GUEST_TRANSPORT", "winrm")
        monkeypatch.setenv("AVMA_GUEST_HTTPS", "false")
        guest = self.configured(unconfigured, guest={"username": "from-user", "password": None}).guest
        assert guest == GuestDefaults(
            username="from-user", password="environment-pass", transport=Transport.WINRM, https=False
        )
        assert "environment-pass" not in unconfigured.provider.session.redact("it is environment-pass")

    def test_the_environment_alone_configures_guests(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_GUEST_PASSWORD", "environment-pass")
        assert self.configured(unconfigured).guest == GuestDefaults(password="environment-pass")

    def test_the_configuration_names_the_variables_of_its_values(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_USERNAME", "from-environment")
        monkeypatch.setenv("AVMA_PASSWORD", "environment-pass")
        monkeypatch.setenv("AVMA_GUEST_PASSWORD", "environment-pass")
        configuration = self.configured(unconfigured, username="from-user")
        assert configuration.sources == {"password": "AVMA_PASSWORD"}
        assert configuration.effective_guest(None).sources == {"password": "AVMA_GUEST_PASSWORD"}

    def test_a_variable_for_guests_that_cannot_be_used_is_named(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_GUEST_PORT", "many")
        with pytest.raises(grpc.RpcError) as caught:
            unconfigured.configure(guest={"username": "u"})
        assert "`guest.port` (from AVMA_GUEST_PORT) must be a whole number" in failure(caught.value)[1]

    def test_the_environment_is_never_stored(self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AVMA_PASSWORD", "environment-pass")
        assert plain(unconfigured.check_config({"username": "u"}).inputs) == {"username": "u"}

    def test_an_environment_that_cannot_be_used_is_said(
        self, unconfigured: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AVMA_PORT", "many")
        with pytest.raises(grpc.RpcError) as caught:
            unconfigured.configure()
        code, message = failure(caught.value)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "`port` (from AVMA_PORT) must be a whole number" in message
        assert message.endswith("See: avma explain invalid-input")

    @pytest.mark.parametrize("values", [{"insecure": True}, {"insecure": "true"}, {"guest": {"insecure": True}}])
    def test_insecure_warns_once(self, unconfigured: Calls, engine: FakeEngine, values: dict[str, Any]) -> None:
        unconfigured.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
        unconfigured.configure(**values)
        ((severity, message, urn, ephemeral),) = engine.lines
        assert (severity, urn, ephemeral) == ("WARNING", PROVIDER_URN, False)
        assert "`insecure` is set" in message

    def test_unknown_values_leave_the_provider_unconfigured(self, unconfigured: Calls) -> None:
        unconfigured.configure(username=UNKNOWN)
        assert unconfigured.provider.session.configuration is None

    def test_the_engines_own_keys_are_no_settings(self, unconfigured: Calls) -> None:
        values = {"version": "1.0.0", "pluginDownloadURL": "x", "__internal": {}}
        assert self.configured(unconfigured, **values) == Configuration()


@dataclass(frozen=True, kw_only=True)
class Demanding(Configuration):
    """A configuration with a required property."""

    realm: str = declare("The realm to work in.", environment=("AVMA_REALM",))


def test_missing_keys_are_a_detail_with_pulumis_names(shelf: Shelf) -> None:
    provider = Provider(shelf, Demanding)
    try:
        calls = Calls(provider)
        assert failures(calls.check_config({})) == {}
        with pytest.raises(grpc.RpcError) as caught:
            calls.configure()
    finally:
        provider.stop()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (key,) = detail(caught.value, pb.ConfigureErrorMissingKeys()).missingKeys
    assert (key.name, key.description) == ("avma:realm", "The realm to work in.")


class TestDiffConfig:
    """Changes and the resulting differences."""

    def diff(self, calls: Calls, old: dict[str, Any], new: dict[str, Any], **more: Any) -> pb.DiffResponse:
        request = pb.DiffRequest(urn=PROVIDER_URN, olds=struct(old), old_inputs=struct(old), news=struct(new), **more)
        return calls.stub.DiffConfig(request)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ({}, {}),
            ({"version": "1.0.0"}, {"version": "2.0.0"}),
            ({"version": "1.0.0", "__internal": {"a": 1}}, {}),
            ({"pluginDownloadURL": "x"}, {"pluginDownloadURL": "y"}),
            ({"port": 5986}, {"port": "5986"}),
            ({"guest": {"username": "g"}}, {"guest": '{"username":"g"}'}),
            ({"maxConcurrency": 4}, {}),
            ({"password": secret("a-pass")}, {"password": "a-pass"}),
        ],
    )
    def test_no_change(self, unconfigured: Calls, old: dict[str, Any], new: dict[str, Any]) -> None:
        response = self.diff(unconfigured, old, new)
        assert response.changes == pb.DiffResponse.DIFF_NONE
        assert not response.replaces
        assert not response.diffs
        assert response.hasDetailedDiff

    @pytest.mark.parametrize(
        ("old", "new", "paths"),
        [
            ({"password": "a-pass"}, {"password": "b-pass"}, ["password"]),
            ({"port": 5986}, {}, ["port"]),
            ({}, {"deleteUnreachable": "true"}, ["deleteUnreachable"]),
            ({"guest": {"username": "a"}}, {"guest": {"username": "b"}}, ["guest.username"]),
            ({"guest": '{"username":"a"}'}, {"guest": '{"username":"b"}'}, ["guest"]),
            ({"username": "a"}, {"username": UNKNOWN}, ["username"]),
        ],
    )
    def test_a_change_is_an_update_and_replaces_nothing(
        self, unconfigured: Calls, old: dict[str, Any], new: dict[str, Any], paths: list[str]
    ) -> None:
        response = self.diff(unconfigured, old, new)
        assert response.changes == pb.DiffResponse.DIFF_SOME
        assert list(response.detailedDiff) == paths
        assert list(response.diffs) == [path.split(".")[0] for path in paths]
        assert not response.replaces

    def test_without_old_inputs_the_olds_are_compared(self, unconfigured: Calls) -> None:
        request = pb.DiffRequest(urn=PROVIDER_URN, olds=struct({"port": 1}), news=struct({"port": 2}))
        assert list(unconfigured.stub.DiffConfig(request).diffs) == ["port"]

    def test_ignored_changes(self, unconfigured: Calls) -> None:
        response = self.diff(unconfigured, {"port": 1}, {"port": 2}, ignoreChanges=["port"])
        assert response.changes == pb.DiffResponse.DIFF_NONE
