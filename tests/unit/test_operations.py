"""State shared by operations of one process, and its reset in a new run."""

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.wsman.sign_ins import Account, Place
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.session import Session

ACCOUNT = Account("ntlm", "administrator", "x")
PLACE = Place("hv01", "hv01", "hv01:5985")


def sign_in(operations: Operations, rejected: bool) -> None:
    with operations.begin(5).machines.sign_ins.attempt(ACCOUNT, PLACE, Deadline(1), "log on"):
        if rejected:
            raise errors.LogonRefused("log on", "hv01", "the logon was refused (401)", "check the password")


def test_a_rejected_account_is_tried_again_in_the_next_run_of_an_attached_process() -> None:
    session = Session(Redactor())
    session.begin("")
    session.configuration = Configuration()
    operations = Operations(session)
    with pytest.raises(errors.LogonRefused, match="401"):
        sign_in(operations, rejected=True)
    with pytest.raises(errors.LogonRefused, match="not tried again in this run"):
        sign_in(operations, rejected=False)
    session.begin("")
    sign_in(operations, rejected=False)
