"""A wrong password locks no account, even with many machines and parallel requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman.sign_ins import Account, Place, SignIns, is_of_domain
from avma_simulator import EstateServer, load_estate, running
from core.runner import PASSWORD, Runner
from loopback import address
from waiting import PATIENCE

WRONG = "Wrong-Horse-9"
HOSTS = 8
THRESHOLD = 3


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], EstateServer]]:
    servers: list = []

    def start(username: str) -> EstateServer:
        guest = f"{{name: vm%d, version: '2022', edition: Standard, username: '{username}', password: {PASSWORD}}}"
        hosts = "".join(
            f"- {{name: h{n}, version: '2022', edition: Datacenter, address: {address(n)}, http: {{port: 5985}}, "
            f"username: '{username}', password: {PASSWORD}, vms: [{guest % n}]}}\n"
            for n in range(1, HOSTS + 1)
        )
        file = tmp_path / "estate.yaml"
        file.write_text(f"lockoutThreshold: {THRESHOLD}\nhosts:\n{hosts}")
        servers.append(running(load_estate(file)))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def signed_in_as(run: Runner, username: str, password: str) -> Runner:
    guest = GuestDefaults(username=username, password=password, ready_timeout="1s")
    run.configuration = Configuration(https=False, username=username, password=password, guest=guest)
    return run


def read_all(run: Runner, times: int = 3) -> list[object]:
    """Read every host several times in parallel, and return the results and errors."""

    def read(number: int) -> object:
        try:
            return run.host.read(address(number % HOSTS + 1), None, run.operation())
        except errors.AvmaError as error:
            return error

    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(read, range(HOSTS * times)))


def failed(server: EstateServer) -> int:
    return sum(account["failed"] for account in server.failed_sign_ins().values())


def locked(server: EstateServer) -> bool:
    return any(account["locked"] for account in server.failed_sign_ins().values())


@pytest.mark.parametrize("username", ["LAB\\svc-avma", "svc-avma@lab"])
def test_a_domain_account_is_tried_on_two_machines_at_most(serve, run, username):
    server = serve("LAB\\svc-avma")
    answers = read_all(signed_in_as(run, username, WRONG))
    assert all(isinstance(answer, errors.LogonRefused) for answer in answers)
    assert failed(server) == 2
    assert not locked(server)
    assert any(", so the provider does not try it again" in str(answer) for answer in answers)
    answers = read_all(signed_in_as(run, username, PASSWORD))
    assert not [answer for answer in answers if isinstance(answer, errors.AvmaError)]


def test_a_local_account_is_tried_once_on_each_machine(serve, run):
    server = serve("Administrator")
    answers = read_all(signed_in_as(run, "Administrator", WRONG), times=5)
    assert all(isinstance(answer, errors.LogonRefused) for answer in answers)
    assert {account["failed"] for account in server.failed_sign_ins().values()} == {1}
    assert failed(server) == HOSTS
    assert not locked(server)


def test_the_right_account_is_used_in_parallel_on_every_machine(serve, run):
    server = serve("LAB\\svc-avma")
    answers = read_all(signed_in_as(run, "LAB\\svc-avma", PASSWORD))
    assert not [answer for answer in answers if isinstance(answer, errors.AvmaError)]
    assert failed(server) == 0


@pytest.mark.parametrize(("username", "most"), [("Administrator", HOSTS), ("LAB\\svc-avma", 4)])
def test_guests_through_their_hosts(serve, run, username, most):
    server = serve(username)
    signed_in_as(run, username, PASSWORD)
    guest = {"username": username, "password": WRONG}

    def read(number: int) -> None:
        host = number % HOSTS + 1
        wanted = {"host": address(host), "vm_name": f"vm{host}", "guest": guest}
        with pytest.raises((errors.LogonRefused, errors.NotReady)):
            run.vm.probe(wanted, run.operation())

    for number in range(1, HOSTS + 1):
        server.set_license(f"h{number}", "Licensed")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(read, range(HOSTS * 2)))
    assert 0 < failed(server) <= most
    if username == "Administrator":
        assert {account["failed"] for account in server.failed_sign_ins().values()} == {1}


REJECTED = errors.LogonRefused("log on", "h", "the logon was refused (401)", "check the password")
DOMAIN = Account("ntlm", "lab\\svc", "x", of_domain=True)


def place(name: str) -> Place:
    return Place(name, name)


def reject(sign_ins: SignIns, name: str, error: errors.AvmaError = REJECTED, account: Account = DOMAIN) -> None:
    context = Context("log on", "hv01", Deadline(PATIENCE))
    with pytest.raises(type(error)), sign_ins.attempt(context, account, place(name)):
        raise error


def test_an_account_that_one_machine_accepts_is_tried_on_all():
    """A machine outside of its domain rejects an account that the others accept."""
    sign_ins = SignIns()
    for name in ("a", "e"):
        with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place(name)):
            pass
        for rejecting in ("b", "c", "d"):
            with (
                pytest.raises(errors.LogonRefused),
                sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place(rejecting)),
            ):
                raise REJECTED


def test_a_refusal_that_is_not_about_the_account_is_not_remembered():
    sign_ins = SignIns()
    kind = errors.LogonRefused("log on", "h", "no NTLM", "switch it on", errors.Refusal.KIND)
    for name in ("a", "b", "c", "a"):
        reject(sign_ins, name, kind)
    with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("d")):
        pass


def test_what_a_kdc_rejects_is_tried_on_no_other_machine():
    sign_ins = SignIns()
    reject(sign_ins, "a", errors.LogonRefused("log on", "a", "Kerberos", "check it", errors.Refusal.KDC))
    with (
        pytest.raises(errors.LogonRefused, match="a rejected "),
        sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("b")),
    ):
        pass


def test_a_lost_answer_does_not_blame_the_account():
    sign_ins = SignIns()
    lost = errors.AnswerLost("log on", "h", "the connection broke off", "run again")
    for _ in range(5):
        reject(sign_ins, "a", lost)
    with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("a")):
        pass


def test_a_guest_that_is_waited_for_is_tried_again_when_its_time_has_come():
    sign_ins = SignIns()
    uncertain = errors.LogonUncertain("log on", "vm", "the credential is invalid", "wait")
    for name in ("vm1", "vm2", "vm3", "vm4"):
        reject(sign_ins, name, uncertain)
    with (
        pytest.raises(errors.LogonUncertain, match="vm1 and vm2 and vm3 and vm4 rejected"),
        sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("vm5")),
    ):
        pass
    sign_ins.forgive("vm5")
    with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("vm5")):
        pass
    with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("vm6")):
        pass


def test_waiting_for_a_turn_ends_with_the_deadline():
    sign_ins = SignIns()
    with sign_ins.attempt(Context("log on", "hv01", Deadline(PATIENCE)), DOMAIN, place("a")):
        caught: list[errors.AvmaError] = []

        def wait() -> None:
            try:
                with sign_ins.attempt(Context("log on", "hv01", Deadline(0.2)), DOMAIN, place("a")):
                    pass
            except errors.TimedOut as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("username", "of_domain"),
    [
        ("Administrator", False),
        (".\\Administrator", False),
        ("hv01\\Administrator", False),
        ("LAB\\svc", True),
        ("svc@lab.example", True),
    ],
)
def test_accounts_of_a_domain(username, of_domain):
    assert is_of_domain(username, "HV01.lab.example") is of_domain
