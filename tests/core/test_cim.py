"""CIM operations other than queries and methods: Get by keys, and Release of an enumeration."""

from contextlib import closing

import pytest

from avma import errors
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import hyperv
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from core.runner import HV01

NAMESPACE = "root/cimv2"


@pytest.fixture
def cim(estate, configuration):
    with closing(WsmanClient(resolve(HV01, configuration), 2, WinrmPipe)) as made:
        yield made


def test_an_instance_is_got_by_its_keys(cim):
    query = "SELECT Version FROM SoftwareLicensingService"
    version = cim.query(Context("ask", cim.where, Deadline(20)), NAMESPACE, query)[0].text("Version")
    instance = cim.get(
        Context("get", cim.where, Deadline(20)), NAMESPACE, "SoftwareLicensingService", {"Version": version}
    )
    assert instance.text("version") == version


def test_an_instance_that_is_not_there_is_a_fault(cim):
    with pytest.raises(errors.WsmanFault) as caught:
        cim.get(Context("get", cim.where, Deadline(20)), NAMESPACE, "SoftwareLicensingService", {"Version": "0"})
    assert caught.value.code == 0x80338000
    assert "the class or instance does not exist" in caught.value.answer


def test_an_enumeration_that_is_not_read_to_its_end_is_given_back(cim, estate):
    estate.faults("hv01", [{"operation": "Pull", "answer": "garbage", "times": 1}])
    with pytest.raises(errors.UnexpectedAnswer, match="the answer is not SOAP"):
        hyperv.list_virtual_machines(cim, Deadline(20))
    assert estate.counts()["hv01"]["operations"]["Release"] == 1
