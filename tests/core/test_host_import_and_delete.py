"""HostLicense: import, and delete with and without its key."""

from __future__ import annotations

import pytest

from avma import errors, keys
from avma.resources.resource import Stored
from core.runner import HOST_KEY, HV01, KEYLESS, LICENSED, OTHER_KEY, STANDARD, methods, stored
from loopback import address


def test_import_reads_everything_from_the_name(estate, run):
    result = run.host.read(LICENSED, None, run.operation())
    assert result is not None
    assert result.inputs == {"host": LICENSED}
    assert run.host.check(result.inputs) == []
    assert run.host.diff(stored(result), result.inputs) == []
    assert run.host.diff(stored(result), {"host": LICENSED, "product_key": OTHER_KEY}) == []


def test_import_of_a_host_that_cannot_be_one_is_refused(estate, run):
    with pytest.raises(errors.Refused, match=rf"{address(12)}:5985: could not import the host: it runs"):
        run.host.read(STANDARD, None, run.operation())


def test_delete_forgets_by_default_and_asks_no_machine(estate, run):
    result = run.license()
    estate.reset_counts()
    run.host.delete(result.identifier, stored(result), run.operation())
    assert estate.counts()["hv01"]["requests"] == 0
    assert "keeps its license" in run.told[-1]


def test_delete_uninstalls_the_key_only_when_no_vm_runs_and_the_key_is_ours(estate, run):
    busy = run.license(on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"VMs are running on the host \(azure01, eval01, .*Move or stop the VMs"):
        run.host.delete(busy.identifier, stored(busy), run.operation())
    idle = run.license(KEYLESS, on_delete="uninstallKey")
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert estate.machine("keyless")["status"] != "Licensed"
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert "changed nothing" in run.told[-1]


def test_a_key_that_is_not_the_declared_one_is_never_uninstalled(estate, run):
    mine = run.license(KEYLESS, on_delete="uninstallKey")
    estate.install_key("keyless", OTHER_KEY)
    refreshed = run.host.read(mine.identifier, stored(mine), run.operation())
    run.host.delete(mine.identifier, stored(refreshed), run.operation())
    assert estate.machine("keyless")["partialProductKey"] == keys.partial(OTHER_KEY)
    assert "changed nothing" in run.told[-1]


def test_an_import_by_an_invalid_host_name_is_refused(estate, run):
    with pytest.raises(errors.InvalidInput, match=r"could not import `http://hv01/x`: .* is not a host name"):
        run.host.read("http://hv01/x", None, run.operation())
    with pytest.raises(errors.InvalidInput, match="could not import `a b`: `a b` is not a host name"):
        run.host.read("a b", None, run.operation())
    with pytest.raises(errors.InvalidInput, match=r"you probably mean `10\.0\.0\.11`"):
        run.host.read("10.0.0.011", None, run.operation())


@pytest.mark.parametrize("lost", [{"answer": "garbage", "after": True}, {"answer": "drop", "after": True}])
def test_a_key_that_was_uninstalled_although_its_answer_was_lost_is_gone(estate, run, lost):
    idle = run.license(KEYLESS, on_delete="uninstallKey")
    estate.faults("keyless", [{"operation": "SoftwareLicensingProduct/UninstallProductKey", "times": 1, **lost}])
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert estate.machine("keyless")["partialProductKey"] is None


@pytest.mark.parametrize("answer", [{"answer": "drop"}, {"answer": "drop", "after": True}, None])
def test_a_deletion_is_in_doubt_from_its_change_on(estate, run, answer):
    """The machine falls silent after each number of reads. The answer to the change is lost too, or is not."""
    idle = run.license(KEYLESS, on_delete="uninstallKey")
    run.skip_pauses()
    changed = set()
    for reads in range(5):
        estate.install_key("keyless", HOST_KEY)
        estate.reset_counts()
        change = [{"operation": "SoftwareLicensingProduct/UninstallProductKey", **answer}] if answer else []
        estate.faults("keyless", [*change, {"operation": "Enumerate", "answer": "drop", "skip": reads}])
        with pytest.raises(errors.Unreachable) as caught:
            run.host.delete(idle.identifier, stored(idle), run.operation())
        assert caught.value.in_doubt is ("UninstallProductKey" in methods(estate, "keyless"))
        changed.add(caught.value.in_doubt)
    assert changed == {False, True}


def test_a_key_is_uninstalled_while_vms_run_only_by_force(estate, run):
    first = run.license(on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"VMs are running on the host .*`force_destroy: true`"):
        run.host.delete(first.identifier, stored(first), run.operation())
    forced = {**first.inputs, "force_destroy": True}
    run.host.delete(first.identifier, Stored(forced, stored(first).outputs), run.operation())
    assert estate.machine("hv01")["channel"] is None


def test_importing_a_host_without_a_license_fails(estate, run):
    run.host.read(HV01, None, run.operation())
    (told,) = [text for text in run.told if "imported, but" in text]
    assert "does not activate its guests" in told
    assert "Set `product_key` to the Datacenter key of the host" in told


def test_importing_a_licensed_host_warns_of_nothing(estate, run):
    run.host.read(LICENSED, None, run.operation())
    assert not [text for text in run.told if "imported, but" in text]
