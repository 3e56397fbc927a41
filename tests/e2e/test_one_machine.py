"""Several resources on one machine, with the real engine and several provider processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.estate import ADMINISTRATOR, HOST, HOST_KEY, PASSWORD, SPARE_KEY, estate, machine, vm_activation
from loopback import address

ALIAS, OTHER = address(99), address(12)
WEB = machine("web01", "2022", "Standard", address(21))
SECRETS = {"productKey": HOST_KEY, "spareKey": SPARE_KEY, "word": PASSWORD}
UNDOING = ("uninstallKey", "restoreKmsClientKey")
KEEP = {"deleteBeforeReplace": False}
SECOND = {
    "type": "pulumi:providers:avma",
    "properties": {
        "https": False,
        "username": ADMINISTRATOR,
        "password": "${word}",
        "guest": {"transport": "winrm", "https": False, "username": ADMINISTRATOR, "password": "${word}"},
    },
}


def host(address: str = HOST, key: str | None = "${productKey}", **more: Any) -> dict[str, Any]:
    """Return a HostLicense that uninstalls its key. While VMs run, this needs `forceDestroy`."""
    properties = {"host": address, "onDelete": "uninstallKey", "forceDestroy": True, "productKey": key}
    return {"type": "avma:HostLicense", "properties": {**properties, **more}}


def guest(on_delete: str, **more: Any) -> dict[str, Any]:
    """Return a VmActivation of web01 with a literal host."""
    return vm_activation("web01", **{"host": HOST, "onDelete": on_delete, **more})


def other(resource: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the resource with its own provider instance, and therefore its own process."""
    return {**resource, "options": {"provider": "${second}", **options}}


@pytest.fixture
def server(serve):
    fresh = machine("hv02", "2022", "Datacenter", OTHER)
    return serve(estate(WEB, hosts=(fresh,), aliases=[ALIAS], license={"key": HOST_KEY}))


@pytest.fixture
def stack(server, workspace):
    """Return a function that creates resources and then replaces them with others."""
    made = workspace({}, SECRETS)

    def change(before: dict[str, Any], after: dict[str, Any], *arguments: str) -> Any:
        made.write_resources(before)
        made.run("up", "--yes", "--skip-preview")
        made.write_resources(after)
        server.reset_counts()
        made.run("up", "--yes", *arguments)
        return made

    return change


def methods(server: Any, name: str) -> dict[str, int]:
    operations = server.counts()[name]["operations"]
    return {op.rpartition("/")[2]: count for op, count in operations.items() if op.startswith("Invoke")}


def require_untouched(server: Any, stack: Any, name: str) -> None:
    """Assert that a machine kept its key and that the state matches."""
    assert methods(server, name) == {}
    assert server.machine(name)["status"] == "Licensed"
    stack.run("preview", "--refresh", "--expect-no-changes")


@pytest.mark.parametrize("on_delete", UNDOING)
def test_a_renamed_guest_with_another_provider_instance(server, stack, on_delete):
    made = stack({"web01": guest(on_delete)}, {"second": SECOND, "renamed": other(guest(on_delete))})
    require_untouched(server, made, "web01")


def test_a_renamed_host_with_another_provider_instance(server, stack):
    made = stack({"hv01": host()}, {"second": SECOND, "renamed": other(host(ALIAS))})
    require_untouched(server, made, "hv01")


@pytest.mark.parametrize("options", [{}, KEEP])
def test_a_host_by_another_address(server, stack, options):
    made = stack({"hv01": {**host(), "options": options}}, {"hv01": {**host(ALIAS), "options": options}})
    require_untouched(server, made, "hv01")


@pytest.mark.parametrize("options", [{}, KEEP])
@pytest.mark.parametrize("on_delete", UNDOING)
def test_a_guest_whose_host_has_another_address(server, stack, options, on_delete):
    before, after = guest(on_delete), guest(on_delete, host=ALIAS)
    made = stack({"web01": {**before, "options": options}}, {"web01": {**after, "options": options}})
    require_untouched(server, made, "web01")


@pytest.mark.parametrize("provider", [lambda resource, **options: {**resource, "options": options}, other])
def test_an_alias_and_another_address(server, stack, provider):
    urn = "urn:pulumi:dev::estate::avma:index:"
    before = {"second": SECOND, "hv01": host(), "web01": guest("uninstallKey")}
    after = {
        "second": SECOND,
        "first": provider(host(ALIAS), aliases=[f"{urn}HostLicense::hv01"]),
        "web": provider(guest("uninstallKey", host=ALIAS), aliases=[f"{urn}VmActivation::web01"]),
    }
    made = stack(before, after)
    require_untouched(server, made, "web01")
    require_untouched(server, made, "hv01")


def test_a_cluster_in_place_of_a_host(server, stack):
    cluster = {"type": "avma:ClusterLicense", "properties": {"nodes": [ALIAS], "productKey": "${productKey}"}}
    require_untouched(server, stack({"hv01": host()}, {"cl01": cluster}), "hv01")


@pytest.mark.parametrize("provider", [lambda resource: resource, other])
@pytest.mark.parametrize("on_delete", UNDOING)
def test_hosts_in_place_of_host(server, stack, on_delete, provider):
    after = vm_activation("web01", onDelete=on_delete, hosts=[ALIAS, OTHER])
    after["properties"].pop("host")
    made = stack({"second": SECOND, "web01": guest(on_delete)}, {"second": SECOND, "web01": provider(after)})
    require_untouched(server, made, "web01")


def test_a_resource_that_does_not_change_keeps_its_key(server, stack):
    before = {"second": SECOND, "stays": other(host(ALIAS)), "goes": host()}
    made = stack(before, {name: before[name] for name in ("second", "stays")})
    require_untouched(server, made, "hv01")


def test_what_is_removed_in_the_same_run_is_undone(server, stack):
    stays = {"hv02": host(OTHER, "${spareKey}")}
    stack({**stays, "web01": guest("uninstallKey"), "hv01": host()}, stays, "--refresh")
    assert [server.machine(name)["status"] for name in ("web01", "hv01", "hv02")] == [
        "Unlicensed",
        "Unlicensed",
        "Licensed",
    ]


def test_destroy_undoes_what_several_resources_want(server, stack):
    both = {"second": SECOND, "first": host(), "again": other(host(ALIAS))}
    stack(both, both).run("destroy", "--yes", "--refresh")
    assert server.machine("hv01")["status"] == "Unlicensed"


@pytest.mark.parametrize("provider", [lambda resource: resource, other])
def test_two_keys_for_one_machine(server, workspace, provider):
    resources = {"second": SECOND, "first": host(), "rival": provider(host(ALIAS, "${spareKey}"))}
    made = workspace(resources, SECRETS)
    spent = server.keys()
    preview = made.run("preview", check=False)
    assert preview.returncode != 0
    failed = made.run("up", "--yes", "--skip-preview", check=False)
    for text in (preview.stdout, failed.stdout):
        assert "two resources require different product keys on one machine (hv01.workgroup/" in text
        assert all(f"HostLicense::{name}" in text for name in ("first", "rival"))
    made.run("up", "--yes", "--skip-preview", "--refresh", check=False)
    used = {key: spent[key] - left for key, left in server.keys().items()}
    assert sum(used.values()) <= 1
    assert methods(server, "hv01").get("InstallProductKey", 0) <= 1


def forget_identities(stack: Any) -> None:
    """Store the state of an older version without identities."""
    state = stack.export()
    for resource in state["deployment"]["resources"]:
        outputs = resource.get("outputs", {})
        for record in (outputs, *outputs.get("nodeLicenses", [])):
            record.pop("machineId", None)
    stack.run("stack", "import", text=json.dumps(state))


@pytest.mark.parametrize(
    ("names", "provider"),
    [
        (("first", "rival"), lambda resource: resource),
        (("first", "rival"), other),
        (("rival", "first"), other),  # the engine starts with the new one
    ],
)
def test_another_key_for_a_node_whose_stored_state_does_not_show_its_machine(server, workspace, provider, names):
    properties = {"nodes": [ALIAS, OTHER], "productKey": "${productKey}"}
    old, new = names
    resources = {"second": SECOND, old: {"type": "avma:ClusterLicense", "properties": properties}}
    made = workspace(resources, SECRETS)
    made.run("up", "--yes", "--skip-preview")
    forget_identities(made)
    spent = server.keys()
    made.write_resources({**resources, new: provider(host(HOST, "${spareKey}"))})
    shown = [made.run("preview", check=False)]
    if old < new:
        shown.append(made.run("up", "--yes", "--skip-preview", check=False))
    for failed in shown:
        assert failed.returncode != 0
        assert "two resources require different product keys on one machine (hv01.workgroup/" in failed.stdout
    assert server.keys() == spent
    made.write_resources({**resources, new: provider(host(OTHER))})
    made.run("preview")


def test_another_key_while_a_node_that_is_not_known_is_down(server, workspace):
    properties = {"nodes": [OTHER], "productKey": "${productKey}"}
    resources = {"second": SECOND, "first": {"type": "avma:ClusterLicense", "properties": properties}}
    made = workspace(resources, SECRETS, **{"avma:connectTimeout": "1s"})
    made.run("up", "--yes", "--skip-preview")
    forget_identities(made)
    server.power("hv02", "off")
    spent = server.keys()
    # The host has the first key, so this would replace it with another one.
    made.write_resources({**resources, "rival": other(host(HOST, "${spareKey}"))})
    failed = made.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert f"the state of the node {OTHER} of" in failed.stdout
    assert "Run `pulumi refresh`" in failed.stdout
    assert server.keys() == spent
    server.power("hv02", "running")
    made.run("up", "--yes")
    assert server.machine("hv01")["partialProductKey"] == SPARE_KEY[-5:]


@pytest.mark.parametrize("provider", [lambda resource: resource, other])
def test_a_guest_waits_for_its_host_without_depends_on(serve, workspace, provider):
    server = serve(estate(WEB, aliases=[ALIAS]))
    made = workspace({"second": SECOND, "web01": guest("retain"), "hv01": provider(host(ALIAS))}, SECRETS)
    made.run("up", "--yes")
    assert server.machine("web01")["status"] == "Licensed"
    made.run("preview", "--refresh", "--expect-no-changes")


def test_the_preview_of_a_replacement_names_the_key_that_goes(server, stack):
    made = stack({"hv01": host(forceDestroy=False)}, {"hv01": host(forceDestroy=False)})
    made.write_resources({"hv01": host(OTHER, "${spareKey}", forceDestroy=False)})
    shown = made.run("preview").stdout
    assert "the replacement first uninstalls the key …46789" in shown
    assert "VMs are running on the host (web01)" in shown


def test_a_replacement_by_a_host_without_the_vm_undoes_nothing(server, stack):
    made = stack({"web01": guest("uninstallKey")}, {"web01": guest("uninstallKey")})
    made.write_resources({"web01": guest("uninstallKey", host=OTHER)})
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        failed = made.run(*command, check=False)
        assert failed.returncode != 0
        assert "there is no VM web01" in failed.stdout
    assert server.machine("web01")["status"] == "Licensed"
    made.write_resources({"web01": guest("uninstallKey")})
    made.run("preview", "--expect-no-changes")


def test_another_vm_with_the_declared_name(server, stack):
    made = stack({"web01": guest("retain")}, {"web01": guest("retain")})
    server.rename("web01", "web01-old")
    spec = {"name": "web01", "version": "2022", "edition": "Standard", "address": address(22), "http": {"port": 5985}}
    server.create("hv01", {**spec, "username": ADMINISTRATOR, "password": PASSWORD})
    made.run("up", "--yes", "--skip-preview", "--refresh")
    assert server.machine("web01")["status"] == "Licensed"
    made.run("preview", "--refresh", "--expect-no-changes")


def test_an_update_of_a_vm_that_was_made_again_fails_in_the_preview(server, stack):
    made = stack({"web01": guest("retain")}, {"web01": guest("retain")})
    server.delete("web01")
    server.create("hv01", {**WEB, "http": {"port": 5985}})
    made.write_resources({"web01": guest("retain", manageDataExchange=True)})
    failed = made.run("preview", check=False)
    assert failed.returncode != 0
    assert "run `pulumi refresh` first" in failed.stdout
