"""WS-Management services other than Windows: their names in a diagnosis, and their missing classes."""

from __future__ import annotations

from contextlib import closing

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.diagnosis.connection_checks import ConnectionChecks
from avma.diagnosis.step import Status
from avma.settings import AddressedSettings, Auth
from avma.windows.machines import Machines
from avma.wsman.wsman_client import WsmanClient
from unit.test_messages import Answering

S = "http://www.w3.org/2003/05/soap-envelope"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
OMI = f"""<s:Envelope xmlns:s="{S}" xmlns:i="{IDENTITY}"><s:Body>
<s:IdentifyResponse><i:ProtocolVersion>1</i:ProtocolVersion>
<i:ProductVendor>Open Management Infrastructure</i:ProductVendor><i:ProductVersion>1.9.1-0</i:ProductVersion>
</s:IdentifyResponse></s:Body></s:Envelope>"""
NO_CLASS = f"""<s:Envelope xmlns:s="{S}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Detail>
<e:OMI_Error xmlns:e="urn:e"><e:OMI_Code>5</e:OMI_Code><e:OMI_Type>MI</e:OMI_Type></e:OMI_Error>
</s:Detail></s:Fault></s:Body></s:Envelope>"""


def test_a_diagnosis_names_another_service_than_windows() -> None:
    settings = AddressedSettings(address="127.0.0.1", port=1, https=False, username="u", password="p")
    server = Machines(1, lambda _: Answering(OMI.encode())).get(resolve("hv01", settings))
    finding = ConnectionChecks(server, Deadline(5)).logon()
    assert finding.status is Status.FAILED
    assert finding.error is not None
    assert finding.error.answer == "this is Open Management Infrastructure 1.9.1-0, not Windows"
    assert "as expected" not in finding.text


def test_missing_packages_are_no_trouble_of_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avma.wsman.kerberos._PACKAGES", ("no_such_package",))
    settings = AddressedSettings(address="127.0.0.1", port=1, https=False, username="u", auth=Auth.KERBEROS)
    connection = ConnectionChecks(Machines(1).get(resolve("hv01", settings)), Deadline(5))
    with pytest.raises(errors.Unreachable, match="the port is closed"):
        connection.port()
    finding = connection.logon()
    assert isinstance(finding.error, errors.InvalidInput)


def test_a_class_that_is_missing_is_named() -> None:
    connection = resolve("hv01", Configuration(username="u", password="p", https=False))
    with (
        closing(WsmanClient(connection, 1, lambda _: Answering(NO_CLASS.encode()))) as cim,
        pytest.raises(errors.WsmanFault, match=r"WBEM_E_INVALID_CLASS.*\(root/cimv2, SoftwareLicensingService\)"),
    ):
        cim.query(Context("ask", cim.where, Deadline(5)), "root/cimv2", "SELECT Version FROM SoftwareLicensingService")
