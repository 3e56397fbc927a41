"""VMs in every state of Hyper-V: errors and remedies."""

import re

import pytest

from avma import errors
from avma.windows.hyperv import VmState, in_memory, on_vm, to_running, vm_state
from core.runner import HV01, OTHER_KEY, Waiting

STATES = {
    "off": ("Off", "Start-VM"),
    "saved": ("Saved", "Start-VM"),
    "paused": ("Paused", "Resume-VM"),
    "starting": ("Starting", "Wait until it is running"),
    "resuming": ("Resuming", "Wait until it is running"),
    "saving": ("Saving", "Wait until its state no longer changes"),
    "pausing": ("Pausing", "Wait until its state no longer changes"),
    "stopping": ("Stopping", "Wait until its state no longer changes"),
}
NASTY = "a'; Remove-Item C:\\ -Recurse; '[w]eb*"


@pytest.fixture
def licensed(estate, run):
    run.license(HV01, OTHER_KEY)
    return estate


@pytest.mark.parametrize("state", STATES)
def test_an_error_names_the_state_as_hyper_v_does(licensed, run, state):
    licensed.power("web01", state)
    with pytest.raises(errors.NotReady) as caught:
        run.activate()
    word, advice = STATES[state]
    assert f"(its state is {word})" in str(caught.value)
    assert advice in str(caught.value)
    assert "Start-VM web01" not in str(caught.value)
    assert any(f"waiting for its guest (its state is {word})" in text for text in run.told)


@pytest.mark.parametrize("state", ["paused", "saved", "starting"])
def test_create_waits_until_the_vm_runs(licensed, run, state):
    licensed.power("web01", state)
    run.skip_pauses()
    run.told = Waiting(lambda: licensed.power("web01", "running"))
    assert run.activate(guest={"ready_timeout": "60s"}).outputs.activated_by_host == "HV01"


@pytest.mark.parametrize("state", ["paused", "starting", "stopping", "saving"])
def test_the_key_of_a_host_stays_while_a_vm_is_in_memory(licensed, run, state):
    for vm in licensed.machines():
        if vm["kind"] == "vm":
            licensed.power(vm["id"], "off")
    licensed.power("web01", state)
    stored = run.host.read(HV01, None, run.operation())
    with pytest.raises(errors.Refused, match="VMs are running on the host"):
        run.host.delete(HV01, _removing(stored), run.operation())


def test_the_key_of_a_host_with_saved_vms_alone_can_go(licensed, run):
    for vm in licensed.machines():
        if vm["kind"] == "vm":
            licensed.power(vm["id"], "saved")
    run.host.delete(HV01, _removing(run.host.read(HV01, None, run.operation())), run.operation())
    assert licensed.machine("hv01")["partialProductKey"] is None


def _removing(result):
    from core.runner import stored

    kept = stored(result)
    return type(kept)({**kept.inputs, "product_key": OTHER_KEY, "on_delete": "uninstallKey"}, kept.outputs)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (2, VmState.RUNNING), (3, VmState.OFF), (4, VmState.STOPPING), (6, VmState.SAVED), (9, VmState.PAUSED),
        (10, VmState.STARTING), (32768, VmState.PAUSED), (32769, VmState.SAVED), (32770, VmState.STARTING),
        (32773, VmState.SAVING), (32774, VmState.STOPPING), (32776, VmState.PAUSING), (32777, VmState.RESUMING),
        (1, VmState.OTHER), (11, VmState.OTHER), (None, VmState.OTHER),
    ],
)  # fmt: skip
def test_the_numbers_of_enabled_state(number, state):
    assert vm_state(number) is state


@pytest.mark.parametrize("state", [state for state in VmState if state is not VmState.RUNNING])
def test_every_state_has_advice_that_names_the_vm_by_id(state):
    advice = to_running(state, "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11")
    commands = re.findall("`(.*?)`", advice)
    assert commands or advice == "wait until it is running"
    assert all(command.startswith("Get-VM -Id 8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11 | ") for command in commands)
    assert in_memory(state) is (state not in (VmState.OFF, VmState.SAVED))


def test_a_command_for_a_vm():
    assert on_vm("8a1f0c52", "Start-VM") == "Get-VM -Id 8a1f0c52 | Start-VM"
