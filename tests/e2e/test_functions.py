"""Each function, called from a YAML program."""

import json

from e2e.estate import HOST, HOST_KEY, estate, host_license, machine
from loopback import address

WEB = machine("web01", "2022", "Standard", address(21))


def invoke(name: str, **arguments: str) -> dict:
    return {"fn::invoke": {"function": f"avma:{name}", "arguments": arguments}}


def test_every_function_is_usable_from_yaml(serve, workspace):
    cluster = {"name": "cl01", "nodes": ["hv01"], "address": address(50), "http": {"port": 5985}}
    serve({**estate(WEB, license={"key": HOST_KEY}), "clusters": [cluster]})
    stack = workspace({"hv01": host_license()})
    stack.write_outputs(
        {
            "key": invoke("getAvmaKey", version="2022", edition="Standard"),
            "fits": invoke("getCompatibility", hostVersion="2022", guestVersion="2025"),
            "nodes": invoke("getClusterNodes", cluster=address(50)),
            "host": invoke("getHostLicense", host=HOST),
            "vms": invoke("getHostVms", host=HOST),
            "vm": invoke("getVmActivation", host=HOST, vmName="web01"),
        }
    )
    stack.run("up", "--yes", "--skip-preview")
    found = json.loads(stack.run("stack", "output", "--json").stdout)
    assert found["key"] == "[secret]"
    assert found["fits"]["activates"] is False
    assert found["host"]["activatesGuests"] is True
    (node,) = found["nodes"]["nodes"]
    assert (node["node"], node["state"], node["activatesGuests"]) == ("hv01", "Up", True)
    assert [vm["vmName"] for vm in found["vms"]["vms"]] == ["web01"]
    assert found["vm"]["licenseStatus"] == "OOBGrace"


def test_wrong_arguments_are_named(serve, workspace):
    serve(estate())
    stack = workspace({"hv01": host_license()})
    stack.write_outputs({"key": invoke("getAvmaKey", version="2022", edition="Essentials")})
    failed = stack.run("preview", check=False)
    assert failed.returncode != 0
    assert "has no AVMA key for Windows Server 2022" in failed.stdout
