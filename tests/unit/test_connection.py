import re

import pytest

from avma import errors
from avma.configuration import Configuration, Guest, GuestDefaults
from avma.connection import resolve
from avma.environment import complete, from_environment, with_sources
from avma.properties import build, properties
from avma.settings import AddressedSettings, Auth, HostSettings, Settings
from avma.wording import NEUTRAL
from avma_cli.wording import COMMANDS
from pulumi_resource_avma.wording import PULUMI

IN_PROVIDER = "in the provider's configuration"


def test_the_first_layer_that_gives_a_value_wins():
    resource = AddressedSettings(address="10.0.0.11", https=False)
    provider = Configuration(username="admin", password="pw", https=True, connect_timeout="3s")
    connection = resolve("hv01", resource, provider)
    assert connection.endpoint == "http://10.0.0.11:5985/wsman"
    assert (connection.username, connection.auth, connection.connect_timeout) == ("admin", Auth.NTLM, 3.0)
    assert connection.where == "hv01 (10.0.0.11:5985)"


@pytest.mark.parametrize("name", ["Microsoft.PowerShell", "microsoft.powershell"])
def test_a_machine_can_have_the_default_session_configuration_by_name(name):
    provider = Configuration(username="admin", password="pw", configuration_name="avma")
    assert resolve("hv01", provider).configuration_name == "avma"
    assert resolve("hv01", AddressedSettings(configuration_name=name), provider).configuration_name == ""


def test_tls_is_the_default_and_the_name_is_the_address():
    connection = resolve("hv01", Settings(username="a", password="b"))
    assert connection.endpoint == "https://hv01:5986/wsman"
    assert connection.where == "hv01:5986"


def test_an_ipv6_address_is_put_in_brackets():
    connection = resolve("fe80::1", Settings(username="a", password="b", https=False))
    assert connection.endpoint == "http://[fe80::1]:5985/wsman"


def test_a_password_is_in_no_repr():
    assert "hunter22" not in repr(resolve("hv01", Settings(username="a", password="hunter22")))


def test_missing_credentials_name_the_property():
    with pytest.raises(errors.InvalidInput, match=r"Set `guest\.username`"):
        resolve("web01", Guest(), GuestDefaults(), prefix="guest.")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(username="a"), r"`password` is not set\. Set `password` in"),
        (Settings(password="b"), r"`username` is not set\. Set `username` in"),
        (Settings(), r"`username` and `password` are not set\. Set `username` and `password` in"),
        (Settings(username="a", password=""), r"`password` is empty\. Set `password` in"),
        (Settings(username="", password="b"), r"`username` is empty\. Set `username` in"),
    ],
)
def test_an_incomplete_account_names_what_is_missing(settings, words):
    with pytest.raises(errors.InvalidInput, match=words):
        resolve("hv01", settings)


@pytest.mark.parametrize(
    ("prefix", "pulumi", "command"),
    [
        (
            "",
            f"Set `username` {IN_PROVIDER}, in `connection` of the resource, or in the environment (AVMA_USERNAME).",
            "Set `--username`.",
        ),
        (
            "guest.",
            f"Set `guest.username` {IN_PROVIDER}, in `guest` of the resource, or in the environment "
            "(AVMA_GUEST_USERNAME).",
            "Set `--guest-username`.",
        ),
    ],
)
def test_only_a_program_has_several_places_for_a_setting(prefix, pulumi, command):
    with pytest.raises(errors.InvalidInput) as caught:
        resolve("hv01", Settings(password="b"), prefix=prefix)
    assert pulumi in PULUMI.render(caught.value.message)
    assert command in COMMANDS.render(caught.value.message)


@pytest.mark.parametrize(
    ("address", "advice", "remedy"),
    [
        ("hv01:5985", "Write the host alone, and set `port: 5985`.", ""),
        ("10.0.0.011", "Write `10.0.0.11`.", ""),
        ("224.0.0.1", "Set `connection.address` to the DNS name or IP address.", "set .*"),
    ],
)
def test_an_address_that_no_machine_can_have_has_one_remedy(address, advice, remedy):
    with pytest.raises(errors.InvalidHost) as caught:
        resolve("hv01", AddressedSettings(address=address, username="a", password="b"))
    assert str(caught.value).endswith(f"{advice} See: avma explain invalid-host")
    assert re.fullmatch(remedy, caught.value.remedy)


def test_basic_over_plain_http_is_refused():
    with pytest.raises(errors.InvalidInput, match="send the password"):
        resolve("hv01", Settings(username="a", password="b", https=False, auth=Auth.BASIC))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Settings(auth=Auth.CERTIFICATE, client_cert="c.pem"), "Set `client_cert` and `client_key`"),
        (Settings(auth=Auth.CERTIFICATE, client_cert="c.pem", client_key="k.pem", https=False), "https: true"),
        (Settings(auth=Auth.KERBEROS, password="b"), "`username` is not"),
        (Settings(auth=Auth.NEGOTIATE, username="a"), "Set `password`"),
        (Settings(auth=Auth.CREDSSP), "Set `username` and `password`"),
    ],
)
def test_missing_settings_of_an_authentication_method_are_named(settings, complaint):
    with pytest.raises(errors.InvalidInput, match=complaint):
        resolve("hv01", settings)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(auth=Auth.KERBEROS),
        Settings(auth=Auth.KERBEROS, kerberos_keytab="user.keytab"),
        Settings(auth=Auth.KERBEROS, https=False, username="a", password="b"),
        Settings(auth=Auth.CERTIFICATE, client_cert="c.pem", client_key="k.pem"),
    ],
)
def test_an_authentication_method_requires_only_its_own_settings(settings):
    assert resolve("hv01", settings).auth is settings.auth


def test_environment_with_fallback():
    environment = {"AVMA_HTTPS": "false", "HYPERV_USERNAME": "x", "AVMA_USERNAME": "y", "AVMA_PORT": "n/a"}
    assert from_environment(Configuration, environment) == {"https": False, "username": "y", "port": "n/a"}


def test_environment_of_guests():
    environment = {"AVMA_GUEST_PASSWORD": "x", "AVMA_GUEST_HTTPS": "false", "AVMA_PASSWORD": "y", "HYPERV_PORT": "1"}
    read = from_environment(Configuration, environment)
    assert read == {"password": "y", "port": 1, "guest": {"password": "x", "https": False}}


def test_a_missing_account_names_its_variables_once():
    with pytest.raises(errors.InvalidInput) as caught:
        resolve("web01", Guest(), prefix="guest.")
    remedy = PULUMI.render(caught.value.remedy)
    assert remedy.endswith("or in the environment (AVMA_GUEST_USERNAME, AVMA_GUEST_PASSWORD)")


def test_each_setting_of_hosts_has_a_variable_with_its_name():
    for prop in properties(HostSettings):
        assert prop.rule.environment[0] == f"AVMA_{prop.name.upper()}"


def test_errors_name_the_variable_of_a_value_from_the_environment():
    environment = {"AVMA_USERNAME": "a", "AVMA_PASSWORD": "b", "AVMA_CA_CERT": "c", "AVMA_GUEST_PASSWORD": "d"}
    given = {"username": "own", "guest": {"username": "own"}}
    values = complete(given, from_environment(Configuration, environment))
    configuration = with_sources(build(Configuration, values), given, environment)
    guest = configuration.effective_guest(Guest(https=False))
    host = resolve("hv01", AddressedSettings(ca_cert="own"), configuration)
    inside = resolve("web01", guest, prefix="guest.")
    names = ("username", "password", "ca_cert")
    assert [NEUTRAL.render(host.setting(name)) for name in names] == [
        "`username`",
        "`password` (from AVMA_PASSWORD)",
        "`ca_cert`",
    ]
    assert [NEUTRAL.render(inside.setting(name)) for name in names] == [
        "`guest.username`",
        "`guest.password` (from AVMA_GUEST_PASSWORD)",
        "`guest.ca_cert` (from AVMA_CA_CERT)",
    ]
    assert NEUTRAL.render(host.setting("password", "new")) == "`password: new`"


def test_each_setting_of_guests_has_one_variable_of_their_own():
    for record in (GuestDefaults, Guest):
        for prop in properties(record):
            expected = () if prop.name == "address" else (f"AVMA_GUEST_{prop.name.upper()}",)
            assert prop.rule.environment == expected
