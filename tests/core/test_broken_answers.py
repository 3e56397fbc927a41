"""Lost answers at every point: the next run converges and uses no second activation."""

import itertools

import pytest

from avma import errors, keys
from avma.windows.licensing import LicenseStatus
from avma.wsman.winrm_pipe import WinrmPipe
from core.runner import HOST_KEY, HV01, OTHER_KEY


class Breaking(WinrmPipe):
    """A pipe that fails at one request: before sending it, or when its answer arrives."""

    requests = itertools.count()
    break_at = -1
    after_sending = False

    def send(self, context, message):
        number = next(type(self).requests)
        if number != self.break_at:
            return super().send(context, message)
        if self.after_sending:
            super().send(context, message)
        self.close()
        raise context.error(errors.AnswerLost, "the connection broke off", "run again")


def breaking(at: int, after: bool) -> type[Breaking]:
    attributes = {"requests": itertools.count(), "break_at": at, "after_sending": after}
    return type("BreakingHere", (Breaking,), attributes)


def activations(estate, name: str) -> int:
    return estate.counts()[name]["operations"].get("Invoke SoftwareLicensingProduct/Activate", 0)


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", range(6))
def test_a_host_is_licensed_once_wherever_the_wire_breaks(estate, run, new_runner, at, after):
    broken = new_runner(breaking(at, after))
    broken.seconds = 4
    try:
        result = broken.license()
    except errors.PartlyDone as error:
        result = error.state
    except errors.AvmaError:
        assert estate.keys()[keys.partial(HOST_KEY)] == 2
        result = None
    if result is None or result.outputs.license_status is not LicenseStatus.LICENSED:
        result = run.license()
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert estate.machine("hv01")["status"] == "Licensed"
    assert estate.keys()[keys.partial(HOST_KEY)] == 1
    assert activations(estate, "hv01") == 1


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", range(10))
def test_a_guest_is_activated_wherever_the_wire_breaks(estate, run, new_runner, at, after):
    run.license(HV01, OTHER_KEY)
    broken = new_runner(breaking(at, after))
    try:
        broken.activate()
    except errors.AvmaError:
        run.activate()
    assert estate.machine("web01")["status"] == "Licensed"


def test_a_key_that_was_installed_before_the_answer_was_lost_is_not_installed_again(estate, new_runner):
    install = 2
    result = new_runner(breaking(install, after=True)).license()
    assert result.outputs.license_status is LicenseStatus.LICENSED
    operations = estate.counts()["hv01"]["operations"]
    assert operations["Invoke SoftwareLicensingService/InstallProductKey"] == 1
