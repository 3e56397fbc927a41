"""Runs pypsrp against a machine and prints the results as one line of JSON.

Arguments: host, port, `https` or `http`, authority, auth. The program runs in its own environment. For Kerberos and
CredSSP it runs in the environment of the project, which has the bindings. SERVICE_HOST is the name of the machine in
its service principal.
"""

import json
import os
import sys
import xml.etree.ElementTree as ET
from typing import Any

from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import NAMESPACES, SelectorSet, WSMan

USER, PASSWORD = "Administrator", "Pa55w.rd"
ENUMERATION, WQL = NAMESPACES["wsen"], "http://schemas.microsoft.com/wbem/wsman/1/WQL"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
SERVICE = f"{CIMV2}/SoftwareLicensingService"


def opened(password: str = PASSWORD) -> WSMan:
    host, port, scheme, authority, auth = sys.argv[1:]
    tls = scheme == "https"
    trusted: Any = authority  # pypsrp accepts a file, and declares a bool
    return WSMan(
        host,
        port=int(port),
        ssl=tls,
        username=USER,
        password=password,
        auth=auth,
        cert_validation=trusted,
        no_proxy=True,
        negotiate_hostname_override=os.environ.get("SERVICE_HOST"),
    )


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def query(client: WSMan, text: str) -> list[dict[str, str | None]]:
    """Run an enumeration to its end."""
    body = ET.Element(f"{{{ENUMERATION}}}Enumerate")
    ET.SubElement(body, f"{{{NAMESPACES['wsman']}}}OptimizeEnumeration")
    ET.SubElement(body, f"{{{NAMESPACES['wsman']}}}Filter", Dialect=WQL).text = text
    answer = client.enumerate(f"{CIMV2}/*", body)
    rows = []
    while True:
        items = next((e for e in answer.iter() if local(e) == "Items"), ())
        rows += [{local(prop): prop.text for prop in item} for item in items]
        context = answer.findtext(f".//{{{ENUMERATION}}}EnumerationContext")
        if not context:
            return rows
        pull = ET.Element(f"{{{ENUMERATION}}}Pull")
        ET.SubElement(pull, f"{{{ENUMERATION}}}EnumerationContext").text = context
        ET.SubElement(pull, f"{{{ENUMERATION}}}MaxElements").text = "100"
        answer = client.pull(f"{CIMV2}/*", pull)


def keyed(version: str) -> SelectorSet:
    selectors = SelectorSet()
    selectors.add_option("Version", version)
    return selectors


def invoked(client: WSMan, version: str) -> str | None:
    body = ET.Element(f"{{{SERVICE}}}RefreshLicenseStatus_INPUT")
    answer = client.invoke(f"{SERVICE}/RefreshLicenseStatus", SERVICE, body, selector_set=keyed(version))
    return answer.findtext(f".//{{{SERVICE}}}ReturnValue")


def faulted(client: WSMan) -> int | None:
    try:
        client.get(SERVICE, selector_set=keyed("0"))
    except WSManFaultError as fault:
        code: int | None = fault.code
        return code
    return None


def ran(client: WSMan, program: str, arguments: list[str], stdin: bytes = b"") -> tuple[str, str, int | None]:
    with WinRS(client, codepage=65001) as shell:
        process = Process(shell, program, arguments, no_shell=bool(stdin))
        process.begin_invoke()
        if stdin:
            process.send(stdin, end=True)
        process.end_invoke()
        process.signal(SignalCode.TERMINATE)
    return process.stdout.decode(), process.stderr.decode(), process.rc


def runspace(client: WSMan) -> list[str]:
    """Run a command in a runspace pool."""
    with RunspacePool(client) as pool:
        return PowerShell(pool).add_cmdlet("hostname").invoke()


def refused() -> bool:
    try:
        with opened("wrong") as client:
            query(client, "SELECT Version FROM SoftwareLicensingService")
    except AuthenticationError:
        return True
    except Exception as error:  # for CredSSP (SEC_E_LOGON_DENIED) and for Kerberos (KRB5KDC_ERR_PREAUTH_FAILED)
        return any(code in str(error) for code in ("0x8009030c", "1765328360"))
    return False


with opened() as made:
    version = str(query(made, "SELECT Version FROM SoftwareLicensingService")[0]["Version"])
    got = made.get(SERVICE, selector_set=keyed(version))
    told = {
        "products": len(query(made, "SELECT ID FROM SoftwareLicensingProduct")),
        "got": got.findtext(f".//{{{SERVICE}}}Version") == version,
        "invoked": invoked(made, version),
        "fault": faulted(made),
        "hostname": ran(made, "hostname", []),
        "script": ran(
            made,
            "powershell.exe",
            ["-EncodedCommand", "aABvAHMAdABuAGEAbQBlAA=="],
            b"not read",
        ),
        "runspace": runspace(made),
    }
print(json.dumps({**told, "wrongPasswordRefused": refused()}))
