"""Invalid input fails with one clear sentence, and changes neither machines nor state."""

import pytest

from avma import keys
from e2e.estate import HOST, HOST_KEY, SPARE_KEY, estate, host_license, machine, vm_activation
from loopback import address

STANDARD = machine("standard", "2022", "Standard", address(12))
BLOCK = HOST.rpartition(".")[0]
EVALUATION = machine("evaluation", "2022", "Datacenter", address(13), evaluation=True)
NEW = machine("new01", "2025", "Standard", address(21))


@pytest.fixture
def server(serve):
    return serve(estate(NEW, hosts=(STANDARD, EVALUATION)))


def rejected(server, stack, *texts: str) -> None:
    """Assert that `up` fails with these texts, changes no machine and keeps the state empty."""
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    flat = " ".join(failed.stdout.split())
    for text in texts:
        assert text in flat
    assert "Traceback" not in failed.stdout
    invoked = [op for c in server.counts().values() for op in c["operations"] if op.startswith("Invoke")]
    assert invoked == []
    resources = stack.export()["deployment"].get("resources", [])
    assert not [r for r in resources if r["type"].startswith("avma:")]


@pytest.mark.parametrize(
    ("properties", "texts"),
    [
        ({"host": HOST, "productKey": "BCDFG-HJKMN"}, ["productKey", "is not a product key, which has five groups"]),
        ({"host": HOST, "productKey": keys.AVMA_KEYS[3].key},
         ["is the generic AVMA key of Windows Server 2022 Datacenter", "Set the Datacenter key that you bought"]),
        ({"host": HOST, "productKey": keys.KMS_CLIENT_KEYS[4].key}, ["is the generic KMS client key"]),
        ({"host": address(12), "productKey": HOST_KEY},
         [f"{address(12)}:5985: could not license the host: it runs Windows Server 2022 Standard",
          "only Datacenter activates guests"]),
        ({"host": address(13), "productKey": HOST_KEY}, ["it runs an evaluation edition", "DISM /Online"]),
        ({"host": HOST, "connection": {"port": 1}}, [f"{HOST}:1: could not", "nothing listens on that port"]),
        ({"host": "no-such-host.invalid"}, ["the name no-such-host.invalid cannot be resolved", "Check the name"]),
        ({"host": HOST, "onDelete": "destroy"}, ["onDelete", 'Allowed values are "retain", "uninstallKey"']),
    ],
    ids=["malformed key", "AVMA key on a host", "KMS client key on a host", "Standard", "evaluation", "closed port",
         "unknown name", "unknown choice"],
)  # fmt: skip
def test_a_host_that_cannot_be_licensed(server, workspace, properties, texts):
    secret = properties.pop("productKey", None)
    if secret:
        properties = {**properties, "productKey": "${key}"}
    program = {"hv01": {"type": "avma:HostLicense", "properties": properties}}
    rejected(server, workspace(program, {"key": secret} if secret else None), *texts)


@pytest.mark.parametrize(
    ("where", "texts"),
    [
        ({"host": "127.0.0.011"}, ["you probably mean `127.0.0.11`", "reach `127.0.0.9`"]),
        ({"host": f"{BLOCK}.013"}, [f"you probably mean `{BLOCK}.13`", f"reach `{HOST}`"]),  # octal: hv01
        (
            {"host": "hv01", "connection": {"address": f"0x7f{HOST.removeprefix('127')}"}},
            ["connection.address", f"reach `{HOST}`"],
        ),
        ({"host": f"\uff11{HOST[1:]}"}, ["U+FF11 FULLWIDTH DIGIT ONE, looks like 1", f"Write `{HOST}`"]),
        ({"host": f"{HOST}\u200b"}, [f"invisible character at position {len(HOST) + 1} (U+200B ZERO WIDTH SPACE)"]),
    ],
    ids=["padded", "padded to another host", "hexadecimal address", "full width", "invisible"],
)
def test_an_address_that_a_resolver_reads_in_another_way_reaches_no_machine(server, workspace, where, texts):
    program = {"hv01": {"type": "avma:HostLicense", "properties": {**where, "productKey": "${key}"}}}
    rejected(server, workspace(program, {"key": HOST_KEY}), *texts)
    assert sum(counts["requests"] for counts in server.counts().values()) == 0


def test_a_wrong_password(server, workspace):
    stack = workspace({"hv01": host_license()})
    stack.run("config", "set", "--secret", "avma:password", text="Not-The-Password-1")
    rejected(
        server, stack, "the service rejected the sign-in of Administrator (401)", "Check `username` and `password`"
    )
    assert "Not-The-Password-1" not in stack.printed + stack.stored()


def test_no_username(server, workspace):
    stack = workspace({"hv01": host_license()})
    stack.run("config", "rm", "avma:username")
    rejected(server, stack, "`username` is not set", "Set `username` in the provider")


def test_a_misspelled_property(server, workspace):
    rejected(server, workspace({"hv01": host_license(prodcutKey="x")}), "prodcutKey")


def test_both_name_and_id(server, workspace):
    program = {"vm": vm_activation("new01", host=HOST, vmId="8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11")}
    rejected(server, workspace(program), "vmId", "cannot be combined with `vmName`")


@pytest.mark.parametrize("key", ["usrename", "zzz"])
def test_an_unknown_configuration_key(server, workspace, key):
    stack = workspace({"hv01": host_license()}, **{f"avma:{key}": "x"})
    rejected(server, stack, key, "is not a property here")


def test_a_configuration_value_of_the_wrong_type(server, workspace):
    stack = workspace({"hv01": host_license()}, **{"avma:https": "perhaps"})
    rejected(server, stack, "https", "must be true or false")


def test_a_guest_that_is_newer_than_its_host(serve, workspace):
    server = serve(estate(NEW, license={"key": HOST_KEY}))
    program = {"hv01": host_license(), "new01": vm_activation("new01")}
    stack = workspace(program)
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    flat = " ".join(failed.stdout.split())
    assert "it runs Windows Server 2025 Standard and its host runs Windows Server 2022 Datacenter" in flat
    assert "Move the VM to a newer host" in flat
    assert server.machine("new01")["channel"] == "VOLUME_KMSCLIENT"
    kept = [r["type"] for r in stack.export()["deployment"]["resources"] if r["type"].startswith("avma:")]
    assert kept == ["avma:index:HostLicense"]


def test_an_exhausted_key_is_a_partial_success_and_the_next_up_goes_on(serve, workspace):
    second = machine("hv02", "2022", "Datacenter", address(12))
    server = serve(estate(hosts=(second,)))
    program = {
        "hv01": host_license(productKey="${key}"),
        "hv02": {
            "type": "avma:HostLicense",
            "properties": {"host": address(12), "productKey": "${key2}"},
            "options": {"dependsOn": ["${hv01}"]},
        },
    }
    stack = workspace(program, {"key": HOST_KEY, "key2": HOST_KEY})
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "0xC004C020 SL_E_CHPA_DMAK_LIMIT_EXCEEDED" in failed.stdout
    state = {r["urn"].rpartition("::")[2]: r for r in stack.export()["deployment"]["resources"]}
    assert state["hv02"]["id"] == address(12)
    assert state["hv02"]["initErrors"]
    assert stack.preview_steps() == {"hv02": "update"}
    stack.run("config", "set", "--secret", "key2", text=SPARE_KEY)
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("hv02")["status"] == "Licensed"
    stack.run("preview", "--expect-no-changes")
