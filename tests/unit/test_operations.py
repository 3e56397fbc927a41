"""State shared by operations of one process, and its reset in a new run."""

import tempfile
from pathlib import Path
from queue import Queue

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.context import Context
from avma.deadline import Deadline
from avma.properties import validate
from avma.redaction import Redactor
from avma.windows.machines import Machines
from avma.wsman.sign_ins import Account, Place
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.session import Session

ACCOUNT = Account("ntlm", "administrator", "x")
PLACE = Place("hv01", "hv01")


def sign_in(operations: Operations, rejected: bool) -> None:
    with operations.begin(5).machines.sign_ins.attempt(Context("log on", "hv01", Deadline(1)), ACCOUNT, PLACE):
        if rejected:
            raise errors.LogonRefused("log on", "hv01", "the logon was refused (401)", "check the password")


def test_a_rejected_account_is_tried_again_in_the_next_run_of_an_attached_process() -> None:
    session = Session(Redactor())
    session.begin("")
    session.configuration = Configuration()
    operations = Operations(session)
    with pytest.raises(errors.LogonRefused, match="401"):
        sign_in(operations, rejected=True)
    with pytest.raises(errors.LogonRefused, match="does not try it again in this run"):
        sign_in(operations, rejected=False)
    session.begin("")
    sign_in(operations, rejected=False)


def test_another_engine_begins_without_the_claims_and_connections_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    closed: Queue[Machines] = Queue()
    monkeypatch.setattr(Machines, "close", lambda machines: closed.put(machines))
    session = Session(Redactor())
    session.configuration = Configuration()
    operations = Operations(session)
    session.begin("127.0.0.1:4711")
    first = operations.begin(5, "urn:a")
    first.claim("hv01.example.com", "46789", "hv01", "license the host", installs=True)
    session.begin("127.0.0.1:4711")  # another provider instance of the same engine
    operations.leave()
    second = operations.begin(5, "urn:b")
    assert [claim.resource for claim in second.claims.all()] == ["urn:a"]
    session.begin("127.0.0.1:4712")
    operations.leave()
    assert list(operations.begin(5, "urn:c").claims.all()) == []
    assert {closed.get(timeout=10), closed.get(timeout=10)} == {first.machines, second.machines}
    assert closed.empty()


@pytest.mark.parametrize(("declared", "seconds"), [("10s", 10), ("2m", 120), ("0s", 0), ("0", 0)])
def test_only_an_operation_that_reads_accepts_earlier_answers(declared: str, seconds: float) -> None:
    session = Session(Redactor())
    session.configuration = Configuration(read_freshness=declared)
    operations = Operations(session)
    assert operations.begin(5).deadline.max_age == 0
    assert operations.begin(5, reads_only=True).deadline.max_age == seconds


@pytest.mark.parametrize("age", ["10", "-1s", "soon", ""])
def test_the_age_of_an_answer_is_a_duration(age: str) -> None:
    (failure,) = validate(Configuration, {"read_freshness": age})
    assert failure.path == "read_freshness"
