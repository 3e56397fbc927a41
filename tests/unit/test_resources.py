"""Checks and differences of both resources, without machines."""

import pytest

from avma import keys
from avma.properties import UNKNOWN
from avma.resources import RESOURCES
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Change, Stored
from avma.resources.vm_activation.vm_resource import VmActivationResource

HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
AVMA_KEY = keys.AVMA_KEYS[0].key
KMS_KEY = keys.KMS_CLIENT_KEYS[0].key
VM_ID = "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11"

HOST = HostLicenseResource()
VM = VmActivationResource()

LICENSED_HOST = {"licenseStatus": "Licensed", "partialProductKey": "46789", "licenseChannel": "VOLUME_MAK"}
LICENSED_VM = {
    "vmId": VM_ID,
    "vmName": "Web01",
    "guestVersion": "2025",
    "guestEdition": "Datacenter",
    "licenseStatus": "Licensed",
    "licenseChannel": "VIRTUAL_MACHINE_ACTIVATION",
    "partialProductKey": "VCH67",
}


@pytest.mark.parametrize(
    ("values", "complaints"),
    [
        ({"host": "hv01"}, []),
        ({"host": "hv01", "productKey": HOST_KEY}, []),
        ({"host": UNKNOWN, "productKey": UNKNOWN}, []),
        ({"host": "h v"}, ["host: `h v` is not a host name"]),
        ({"host": "hv01", "productKey": "ABC"}, ["productKey: is not a product key"]),
        ({"host": "hv01", "productKey": AVMA_KEY}, ["productKey: is the generic AVMA key of Windows Server 2025"]),
        ({"host": "hv01", "productKey": KMS_KEY}, ["productKey: is the generic KMS client key of Windows Server"]),
        ({"host": "hv01", "licenseSource": "productKey"}, ["productKey: is required"]),
        ({"host": "hv01", "licenseSource": "existing", "productKey": HOST_KEY}, ["licenseSource: is `existing`"]),
        ({"host": "hv01", "onDelete": "no"}, ["onDelete: must be one of `retain`, `uninstallKey`"]),
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
        ({"host": "hv01", "vmName": "web01"}, []),
        ({"host": "hv01", "vmId": VM_ID.upper(), "productKey": AVMA_KEY}, []),
        ({"host": "hv01", "vmName": UNKNOWN}, []),
        ({"host": "hv01", "vmId": f"{{{VM_ID.upper()}}}"}, []),
        ({"host": "hv01", "vmId": f"{VM_ID}\n"}, ["vmId: ends with white space (U+000A)"]),
        ({"host": "hv01", "vmName": " "}, ["vmName: must not be empty"]),
        ({"host": "hv01", "vmName": "web01 "}, ["vmName: ends with white space (U+0020 SPACE). Remove it, or set"]),
        ({"host": "hv01", "vmName": "web\u200b01"}, ["vmName: contains an invisible character at position 4 (U+200B"]),
        (
            {"host": "hv01", "vmName": "a", "guest": {"username": "Administrator\n"}},
            ["guest.username: ends with white space (U+000A)"],
        ),
        ({"host": "hv01", "vmName": "a", "guest": {"address": "10.0.0.011"}}, ["guest.address: `10.0.0.011` is not"]),
        ({"host": "hv01"}, ["vmName: is required unless you set `vmId`"]),
        ({"vmName": "a"}, ["host: is required unless you set `hosts`"]),
        ({"hosts": ["hv01", "hv02"], "vmName": "a"}, []),
        ({"hosts": ["hv01", UNKNOWN], "vmName": "a"}, []),
        ({"host": "hv01", "hosts": ["hv02"], "vmName": "a"}, ["hosts: cannot be combined with `host`"]),
        ({"hosts": [], "vmName": "a"}, ["hosts: must not be empty"]),
        ({"hosts": "hv01", "vmName": "a"}, ["hosts: must be a list, not text"]),
        (
            {"hosts": ["hv01", "h v", 3], "vmName": "a"},
            ["hosts[1]: `h v` is not a host name", "hosts[2]: must be text"],
        ),
        (
            {"hosts": ["hv01"], "vmName": "a", "connection": {"address": "10.0.0.1"}},
            ["connection.address: cannot be combined with"],
        ),
        ({"host": "hv01", "vmName": "a", "vmId": VM_ID}, ["vmId: cannot be combined with `vmName`"]),
        ({"host": "hv01", "vmId": "web01"}, ["vmId: must be the GUID of the VM"]),
        ({"host": "hv01", "vmName": "a", "productKey": KMS_KEY}, ["productKey: is the generic KMS client key"]),
        ({"host": "hv01", "vmName": "a", "guest": {"transport": "ssh"}}, ["guest.transport: must be one of"]),
    ],
)
def test_vm_activation_check(values, complaints):
    assert_complaints(VM, values, complaints)


def assert_complaints(resource, values, complaints):
    found = [f"{failure.path}: {failure.reason}" for failure in resource.check(values)]
    assert len(found) == len(complaints)
    assert all(text.startswith(start) for text, start in zip(found, complaints, strict=True))
    assert not any(HOST_KEY in text or AVMA_KEY in text or KMS_KEY in text for text in found)


@pytest.mark.parametrize(
    ("old", "outputs", "new", "changes"),
    [
        ({"host": "hv01"}, LICENSED_HOST, {"host": "HV01"}, []),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv02"}, [Change("host", replaces=True)]),
        ({"host": "hv01"}, LICENSED_HOST, {"host": UNKNOWN}, [Change("host", replaces=True)]),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv01", "activate": True, "onDelete": "retain"}, []),
        ({"host": "hv01"}, LICENSED_HOST, {"host": "hv01", "productKey": HOST_KEY}, []),
        ({"host": "hv01", "productKey": HOST_KEY}, LICENSED_HOST, {"host": "hv01", "productKey": HOST_KEY.lower()}, []),
        (
            {"host": "hv01", "productKey": f"\ufeffProduct Key: {HOST_KEY}\u200b"},
            LICENSED_HOST,
            {"host": "hv01", "productKey": HOST_KEY},
            [],
        ),
        (
            {"host": "hv01.lab.", "productKey": HOST_KEY},
            LICENSED_HOST,
            {"host": "HV01.lab", "productKey": HOST_KEY},
            [],
        ),
        ({"host": "FE80:0::A", "productKey": HOST_KEY}, LICENSED_HOST, {"host": "fe80::a", "productKey": HOST_KEY}, []),
        (
            {"host": "hv01", "productKey": HOST_KEY},
            LICENSED_HOST,
            {"host": "hv01", "productKey": UNKNOWN},
            [Change("productKey")],
        ),
        (
            {"host": "hv01", "connection": {"port": 1}},
            LICENSED_HOST,
            {"host": "hv01", "connection": {"port": 2}},
            [Change("connection.port")],
        ),
        (
            {"host": "hv01"},
            {**LICENSED_HOST, "licenseStatus": "Unlicensed"},
            {"host": "hv01"},
            [Change("licenseStatus", drift=True)],
        ),
        (
            {"host": "hv01"},
            {**LICENSED_HOST, "licenseStatus": "Unlicensed"},
            {"host": "hv01", "activate": False},
            [Change("activate")],
        ),
        (
            {"host": "hv01", "productKey": HOST_KEY},
            {**LICENSED_HOST, "partialProductKey": "OTHER"},
            {"host": "hv01", "productKey": HOST_KEY},
            [Change("partialProductKey", drift=True)],
        ),
    ],
)
def test_host_license_diff(old, outputs, new, changes):
    assert HOST.diff(Stored(old, outputs), new) == changes


@pytest.mark.parametrize(
    ("old", "outputs", "new", "changes"),
    [
        ({"host": "hv01", "vmName": "web01"}, LICENSED_VM, {"host": "hv01", "vmName": "WEB01"}, []),
        ({"host": "hv01", "vmName": "web01"}, LICENSED_VM, {"host": "hv01", "vmId": VM_ID.upper()}, []),
        ({"host": "hv01", "vmId": VM_ID}, LICENSED_VM, {"host": "hv01", "vmName": "web01"}, []),
        (
            {"host": "hv01", "vmName": "web01"},
            LICENSED_VM,
            {"host": "hv01", "vmName": "web02"},
            [Change("vmName", replaces=True)],
        ),
        (
            {"host": "hv01", "vmName": "web01"},
            LICENSED_VM,
            {"host": "hv01", "vmName": "web01", "productKey": AVMA_KEY},
            [],
        ),
        (
            {"host": "hv01", "vmName": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02", "HV01"], "vmName": "web01"},
            [Change("hosts")],
        ),
        (
            {"hosts": ["hv01", "hv02"], "vmName": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02", "HV01"], "vmName": "web01"},
            [],
        ),
        (
            {"host": "hv01", "vmName": "web01"},
            LICENSED_VM,
            {"hosts": ["hv02"], "vmName": "web01"},
            [Change("host", replaces=True), Change("hosts")],
        ),
        (
            {"host": "hv01", "vmName": "web01"},
            {
                **LICENSED_VM,
                "licenseChannel": "VOLUME_KMSCLIENT",
                "partialProductKey": "YP6DF",
                "licenseStatus": "OOBGrace",
            },
            {"host": "hv01", "vmName": "web01"},
            [Change(path, drift=True) for path in ("licenseStatus", "licenseChannel", "partialProductKey")],
        ),
    ],
)
def test_vm_activation_diff(old, outputs, new, changes):
    assert VM.diff(Stored(old, outputs), new) == changes


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_what_is_predicted_is_declared(resource):
    from avma.properties import properties

    declared = {prop.name for prop in properties(resource.outputs)}
    assert set(resource.predict({"host": "hv01", "vmName": "x", "productKey": HOST_KEY})) <= declared
