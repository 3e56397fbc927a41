"""Checks and differences of both resources, without machines."""

import pytest

from avma import keys
from avma.properties import UNKNOWN, promises, properties
from avma.resources import RESOURCES
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Change, Drift, Stored
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.wording import NEUTRAL

HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
AVMA_KEY = keys.AVMA_KEYS[0].key
KMS_KEY = keys.KMS_CLIENT_KEYS[0].key
VM_ID = "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11"

HOST = HostLicenseResource()
VM = VmActivationResource()
CLUSTER = ClusterLicenseResource()

LICENSED_HOST = {"license_status": "Licensed", "partial_product_key": "46789", "license_channel": "VOLUME_MAK"}
LICENSED_VM = {
    "vm_id": VM_ID,
    "vm_name": "Web01",
    "guest_version": "2025",
    "guest_edition": "Datacenter",
    "license_status": "Licensed",
    "license_channel": "VIRTUAL_MACHINE_ACTIVATION",
    "partial_product_key": "VCH67",
}


@pytest.mark.parametrize(
    ("values", "complaints"),
    [
        ({"host": "hv01"}, []),
        ({"host": "hv01", "product_key": HOST_KEY}, []),
        ({"host": UNKNOWN, "product_key": UNKNOWN}, []),
        ({"host": "h v"}, ["host: `h v` is not a host name"]),
        ({"host": "hv01", "product_key": "ABC"}, ["product_key: is not a product key"]),
        ({"host": "hv01", "product_key": AVMA_KEY}, ["product_key: is the generic AVMA key of Windows Server 2025"]),
        ({"host": "hv01", "product_key": KMS_KEY}, ["product_key: is the generic KMS client key of Windows Server"]),
        ({"host": "hv01", "license_source": "productKey"}, ["product_key: is required"]),
        ({"host": "hv01", "license_source": "existing", "product_key": HOST_KEY}, ["license_source: is `existing`"]),
        ({"host": "hv01", "on_delete": "no"}, ["on_delete: must be one of `retain`, `uninstallKey`"]),
        ({"host": "hv01", "connection": {"port": 0}}, ["connection.port: must be from 1 to 65535"]),
        (
            {"host": "hv01", "connection": {"auth": "magic"}},
            ["connection.auth: must be one of `ntlm`, `negotiate`, `kerberos`"],
        ),
        ({"hots": "hv01"}, ["hots: is not a property here. Did you mean `host`?", "host: is required"]),
    ],
)
def test_host_license_check(values, complaints):
    assert_complaints(HOST, values, complaints)


@pytest.mark.parametrize(
    ("values", "complaints"),
    [
        ({"host": "hv01", "vm_name": "web01"}, []),
        ({"host": "hv01", "vm_id": VM_ID.upper(), "product_key": AVMA_KEY}, []),
        ({"host": "hv01", "vm_name": UNKNOWN}, []),
        ({"host": "hv01", "vm_id": f"{{{VM_ID.upper()}}}"}, []),
        ({"host": "hv01", "vm_id": f"{VM_ID}\n"}, ["vm_id: ends with white space (U+000A)"]),
        ({"host": "hv01", "vm_name": " "}, ["vm_name: must not be empty"]),
        ({"host": "hv01", "vm_name": "web01 "}, ["vm_name: ends with white space (U+0020 SPACE). Remove it, or set"]),
        (
            {"host": "hv01", "vm_name": "web\u200b01"},
            ["vm_name: contains an invisible character at position 4 (U+200B"],
        ),
        (
            {"host": "hv01", "vm_name": "a", "guest": {"username": "Administrator\n"}},
            ["guest.username: ends with white space (U+000A)"],
        ),
        ({"host": "hv01", "vm_name": "a", "guest": {"address": "10.0.0.011"}}, ["guest.address: `10.0.0.011` is not"]),
        ({"host": "hv01"}, ["vm_name: is required unless you set `vm_id`"]),
        ({"vm_name": "a"}, ["host: is required unless you set `hosts`"]),
        ({"hosts": ["hv01", "hv02"], "vm_name": "a"}, []),
        ({"hosts": ["hv01", UNKNOWN], "vm_name": "a"}, []),
        ({"host": "hv01", "hosts": ["hv02"], "vm_name": "a"}, ["hosts: cannot be combined with `host`"]),
        ({"hosts": [], "vm_name": "a"}, ["hosts: must not be empty"]),
        ({"hosts": "hv01", "vm_name": "a"}, ["hosts: must be a list, not text"]),
        (
            {"hosts": ["hv01", "h v", 3], "vm_name": "a"},
            ["hosts[1]: `h v` is not a host name", "hosts[2]: must be text"],
        ),
        (
            {"hosts": ["hv01"], "vm_name": "a", "connection": {"address": "10.0.0.1"}},
            ["connection.address: cannot be combined with"],
        ),
        ({"host": "hv01", "vm_name": "a", "vm_id": VM_ID}, ["vm_id: cannot be combined with `vm_name`"]),
        ({"host": "hv01", "vm_id": "web01"}, ["vm_id: must be the GUID of the VM"]),
        ({"host": "hv01", "vm_name": "a", "product_key": KMS_KEY}, ["product_key: is the generic KMS client key"]),
        ({"host": "hv01", "vm_name": "a", "guest": {"transport": "ssh"}}, ["guest.transport: must be one of"]),
    ],
)
def test_vm_activation_check(values, complaints):
    assert_complaints(VM, values, complaints)


def assert_complaints(resource, values, complaints):
    found = [NEUTRAL.render(f"{failure.path}: {failure.reason}") for failure in resource.check(values)]
    assert len(found) == len(complaints)
    assert all(text.startswith(start) for text, start in zip(found, complaints, strict=True))
    assert not any(HOST_KEY in text or AVMA_KEY in text or KMS_KEY in text for text in found)


@pytest.mark.parametrize(
    ("old", "outputs", "new", "changes"),
    [
        ({"host": "hv01"}, LICENSED_HOST, {"host": "HV01"}, []),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv02"}, [Change("host", replaces=True)]),
        ({"host": "hv01"}, LICENSED_HOST, {"host": UNKNOWN}, [Change("host", replaces=True)]),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv01", "activate": True, "on_delete": "retain"}, []),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv01", "product_key": HOST_KEY}, []),
        (
            {"host": "hv01", "product_key": HOST_KEY},
            LICENSED_HOST,
            {"host": "hv01", "product_key": HOST_KEY.lower()},
            [],
        ),
        (
            {"host": "hv01", "product_key": f"\ufeffProduct Key: {HOST_KEY}\u200b"},
            LICENSED_HOST,
            {"host": "hv01", "product_key": HOST_KEY},
            [],
        ),
        (
            {"host": "hv01.lab.", "product_key": HOST_KEY},
            LICENSED_HOST,
            {"host": "HV01.lab", "product_key": HOST_KEY},
            [],
        ),
        (
            {"host": "FE80:0::A", "product_key": HOST_KEY},
            LICENSED_HOST,
            {"host": "fe80::a", "product_key": HOST_KEY},
            [],
        ),
        (
            {"host": "hv01", "product_key": HOST_KEY},
            LICENSED_HOST,
            {"host": "hv01", "product_key": UNKNOWN},
            [Change("product_key")],
        ),
        (
            {"host": "hv01", "connection": {"port": 1}},
            LICENSED_HOST,
            {"host": "hv01", "connection": {"port": 2}},
            [Change("connection.port")],
        ),
        (
            {"host": "hv01"},
            {**LICENSED_HOST, "license_status": "Unlicensed"},
            {"host": "hv01"},
            [Change("license_status", drift=Drift("hv01", "Unlicensed", "Licensed"))],
        ),
        (
            {"host": "hv01"},
            {**LICENSED_HOST, "license_status": "Unlicensed"},
            {"host": "hv01", "activate": False},
            [Change("activate")],
        ),
        (
            {"host": "hv01", "product_key": HOST_KEY},
            {**LICENSED_HOST, "partial_product_key": "OTHER"},
            {"host": "hv01", "product_key": HOST_KEY},
            [Change("partial_product_key", drift=Drift("hv01", "OTHER", keys.partial(HOST_KEY)))],
        ),
    ],
)
def test_host_license_diff(old, outputs, new, changes):
    assert HOST.diff(Stored(old, outputs), new) == changes


@pytest.mark.parametrize(
    ("old", "outputs", "new", "changes"),
    [
        ({"host": "hv01", "vm_name": "web01"}, LICENSED_VM, {"host": "hv01", "vm_name": "WEB01"}, []),
        ({"host": "hv01", "vm_name": "web01"}, LICENSED_VM, {"host": "hv01", "vm_id": VM_ID.upper()}, []),
        ({"host": "hv01", "vm_id": VM_ID}, LICENSED_VM, {"host": "hv01", "vm_name": "web01"}, []),
        (
            {"host": "hv01", "vm_name": "web01"},
            LICENSED_VM,
            {"host": "hv01", "vm_name": "web02"},
            [Change("vm_name", replaces=True)],
        ),
        (
            {"host": "hv01", "vm_name": "web01"},
            LICENSED_VM,
            {"host": "hv01", "vm_name": "web01", "product_key": AVMA_KEY},
            [],
        ),
        (
            {"host": "hv01", "vm_name": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02", "HV01"], "vm_name": "web01"},
            [Change("hosts")],
        ),
        (
            {"hosts": ["hv01", "hv02"], "vm_name": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02", "HV01"], "vm_name": "web01"},
            [],
        ),
        (
            {"host": "hv01", "vm_name": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02"], "vm_name": "web01"},
            [Change("host", replaces=True), Change("hosts")],
        ),
        (
            {"host": "hv01", "vm_name": "web01"},
            {
                **LICENSED_VM,
                "license_channel": "VOLUME_KMSCLIENT",
                "partial_product_key": "YP6DF",
                "license_status": "OOBGrace",
            },
            {"host": "hv01", "vm_name": "web01"},
            [
                Change("license_status", drift=Drift("Web01", "OOBGrace", "Licensed")),
                Change("license_channel", drift=Drift("Web01", "VOLUME_KMSCLIENT", "VIRTUAL_MACHINE_ACTIVATION")),
                Change("partial_product_key", drift=Drift("Web01", "YP6DF", "VCH67")),
            ],
        ),
    ],
)
def test_vm_activation_diff(old, outputs, new, changes):
    assert VM.diff(Stored(old, outputs), new) == changes


ALL_SET = {"host": "hv01", "vm_name": "x", "product_key": HOST_KEY}


@pytest.mark.parametrize(
    ("resource", "wanted", "promised", "expected"),
    [
        (HOST, ALL_SET, {"partial_product_key"}, {"license_status", "activates_guests"}),
        (HOST, {**ALL_SET, "activate": False}, {"partial_product_key"}, set()),
        (HOST, {**ALL_SET, "product_key": UNKNOWN}, set(), {"license_status", "activates_guests"}),
        (VM, ALL_SET, {"license_status", "license_channel", "partial_product_key"}, set()),
        (VM, {**ALL_SET, "product_key": UNKNOWN}, {"license_status", "license_channel"}, set()),
        (CLUSTER, {"cluster": "cl01", "product_key": HOST_KEY}, set(), set()),
    ],
)
def test_each_resource_distinguishes_promised_and_expected_outputs(resource, wanted, promised, expected):
    assert set(promises(resource.outputs, wanted)) == promised
    assert set(resource.predict(wanted)) == promised | expected


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_an_output_is_either_promised_or_expected(resource):
    rules = [prop.rule for prop in properties(resource.outputs)]
    assert not any(rule.promised and rule.expected for rule in rules)
    assert not any(
        prop.rule.promised or prop.rule.expected or prop.rule.lasting for prop in properties(resource.inputs)
    )
