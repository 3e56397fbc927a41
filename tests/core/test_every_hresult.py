"""Every error code of Windows: the error contains its name, meaning and remedy, and loses no state."""

import pytest

from avma import errors, hresult
from avma.hresult import HResult
from avma.wording import NEUTRAL
from core.runner import HV01

CODES = [code for code in hresult.codes() if code.value & 0x80000000]


@pytest.fixture
def failing(estate):
    def fail(operation: str, code: int, times: int = 1) -> None:
        estate.faults("hv01", [{"operation": operation, "hresult": code, "times": times}])

    return fail


def explained(error: errors.AvmaError, code: HResult) -> bool:
    if isinstance(error, errors.AccessDenied):
        return f"{code.value:08X}" in error.answer and bool(error.remedy)
    remedy = NEUTRAL.render(errors.sentences(code.remedy))
    return all(text in str(error) for text in (code.name, code.meaning, remedy))


@pytest.mark.parametrize("code", [code for code in CODES if not code.retryable], ids=lambda code: code.name)
def test_a_key_that_windows_refuses(failing, run, code):
    failing("SoftwareLicensingService/InstallProductKey", code.value)
    with pytest.raises(errors.AvmaError) as caught:
        run.license()
    assert not isinstance(caught.value, errors.PartlyDone)
    assert explained(caught.value, code)
    assert run.license().identifier == HV01


@pytest.mark.parametrize("code", [code for code in CODES if code.retryable], ids=lambda code: code.name)
def test_a_key_that_windows_puts_off_is_installed_again(failing, run, code):
    failing("SoftwareLicensingService/InstallProductKey", code.value)
    assert run.license().outputs.activates_guests


@pytest.mark.parametrize("code", [code for code in CODES if code.transient], ids=lambda code: code.name)
def test_a_read_that_fails_for_now_is_tried_again(failing, run, code):
    failing("Enumerate", code.value, times=3)
    assert run.license().outputs.activates_guests


@pytest.mark.parametrize("code", [code for code in CODES if not code.retryable], ids=lambda code: code.name)
def test_an_activation_that_windows_refuses(failing, run, estate, code):
    failing("SoftwareLicensingProduct/Activate", code.value)
    with pytest.raises(errors.AvmaError) as caught:
        run.license()
    assert isinstance(caught.value, errors.PartlyDone)
    assert explained(caught.value.cause, code)
    assert locked(run) == code.transient  # Such an activation may still be running.
    if code.transient:
        estate.close_shells("hv01")  # Windows does so by itself, but after minutes.
    assert run.license().outputs.activates_guests


def locked(run) -> bool:
    return any("stays locked against other runs" in line for line in run.told)


@pytest.mark.parametrize("code", [code for code in CODES if code.retryable], ids=lambda code: code.name)
def test_an_activation_that_windows_puts_off_is_asked_for_again(failing, run, code):
    failing("SoftwareLicensingProduct/Activate", code.value)
    assert run.license().outputs.activates_guests
