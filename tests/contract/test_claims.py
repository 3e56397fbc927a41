"""Claims of one run, within one process and across processes."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.resources.claims import Claim, Claims, coming, keeper, planned, stake
from pulumi_resource_avma.journal import Journal
from systems import posix_only

A, B, C = "urn:a", "urn:b", "urn:c"
HV01 = "hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132"
RENAMED = HV01.replace("hv01", "hv09")
ENGINE = "127.0.0.1:4711"


def wants(resource: str, key: str = "46789", machine: str = HV01, **more: Any) -> Claim:
    return Claim(resource, machine, key, **{"installs": True, **more})


def kept_for(claims: Claims, resource: str = A, machine: str = HV01) -> str | None:
    claim = keeper(claims, resource, machine, "46789", "hv01", "uninstall the product key")
    return claim.resource if claim else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(params=["memory", "file"])
def claims(request: pytest.FixtureRequest, folder: Path) -> Claims:
    return Claims() if request.param == "memory" else Journal(ENGINE, folder)


def test_the_first_of_two_keys_for_one_machine_goes_on(claims: Claims) -> None:
    stake(claims, wants(A), "hv01", "license the host")
    for _ in range(2):
        with pytest.raises(errors.KeyConflict, match=rf"{A} requires …46789, {B} requires …98764"):
            stake(claims, wants(B, "98764"), "hv01", "license the host")
        stake(claims, wants(A), "hv01", "license the host")


@pytest.mark.parametrize(
    "other",
    [wants(B), wants(B, "98764", installs=False), wants(A, "98764"), wants(B, "98764", machine="hv02.example.com")],
    ids=["the same key", "any license", "the same resource", "another machine"],
)
def test_what_is_no_conflict(claims: Claims, other: Claim) -> None:
    stake(claims, wants(A), "hv01", "license the host")
    stake(claims, other, "hv01", "license the host")


def test_a_claim_is_compared_with_those_of_its_machine_and_of_unknown_ones(claims: Claims) -> None:
    others = [wants(f"urn:{number}", machine=f"hv{number}") for number in range(100, 200)]
    unknown, here = wants(B, machine=""), wants(A)
    for claim in (*others, unknown, here, wants(C, installs=False)):
        claims.add(claim)
    assert claims.installing(HV01) == [unknown, here]


UNKNOWN = wants(A, machine="")
ABOUT_TO_SPEND = wants(B, "98764", made=True, spends=True)


@pytest.mark.parametrize("order", [(UNKNOWN, ABOUT_TO_SPEND), (ABOUT_TO_SPEND, UNKNOWN)])
def test_no_key_is_spent_while_the_machine_of_another_key_is_not_known(
    claims: Claims, order: tuple[Claim, Claim]
) -> None:
    first, second = order
    stake(claims, first, "hv01", "license the host")
    expected = (
        rf"{first.resource} requires another key \(…{first.key}\).*the state of {A} does not contain.*Refresh the state"
    )
    with pytest.raises(errors.Refused, match=expected):
        stake(claims, second, "hv01", "license the host")


@pytest.mark.parametrize(
    "known",
    [
        [wants(A, "98764", machine="")],
        [wants(A, machine="", installs=False)],
        [UNKNOWN, wants(A, machine="hv02.example.com", made=True)],
    ],
    ids=["the same key", "any license", "a machine that was unknown before"],
)
def test_what_is_no_conflict_of_an_unknown_machine(claims: Claims, known: list[Claim]) -> None:
    for claim in known:
        claims.add(claim)
    stake(claims, ABOUT_TO_SPEND, "hv01", "license the host")


ASKING = wants(A, machine="", asking=True)


def test_a_machine_that_is_being_asked_is_waited_for(claims: Claims) -> None:
    stake(claims, ASKING, "hv01", "keep the license")
    stake(claims, ABOUT_TO_SPEND, "hv09", "license the host", lambda: claims.add(wants(A, machine="hv02.example.com")))


def test_the_first_claim_counts_though_its_machine_was_known_later(claims: Claims) -> None:
    stake(claims, ASKING, "hv01", "keep the license")
    with pytest.raises(errors.KeyConflict, match=rf"{A} requires …46789, {B} requires …98764"):
        stake(claims, ABOUT_TO_SPEND, "hv09", "license the host", lambda: claims.add(wants(A)))
    stake(claims, wants(A), "hv01", "keep the license")


def test_a_machine_that_could_not_be_asked_ends_the_wait(claims: Claims) -> None:
    stake(claims, ASKING, "hv01", "keep the license")
    with pytest.raises(errors.Refused, match="Refresh the state"):
        stake(claims, ABOUT_TO_SPEND, "hv09", "license the host", lambda: claims.add(UNKNOWN))


def test_unknown_machines_that_are_licensed_already_are_no_conflict(claims: Claims) -> None:
    stake(claims, UNKNOWN, "hv01", "keep the license")
    stake(claims, wants(B, "98764", machine=""), "hv02", "keep the license")
    stake(claims, wants(C, "98764"), "hv03", "keep the license")


def test_a_node_that_is_not_known_is_named(claims: Claims) -> None:
    claims.add(wants(A, machine="", place="hv02"))
    claims.add(wants(A, machine=HV01, place="hv01"))
    with pytest.raises(errors.Refused, match=f"the state of the node hv02 of {A} does not contain"):
        stake(claims, wants(B, "98764", machine="hv09", spends=True), "hv09", "license the host")


def test_the_keys_of_two_unknown_nodes_count_both(claims: Claims) -> None:
    claims.add(wants(B, machine="", place="hv01"))
    claims.add(wants(B, "98764", machine="", place="hv02"))
    with pytest.raises(errors.Refused, match="Refresh the state"):
        kept_for(claims)
    claims.add(wants(B, machine="hv01.example.com", place="hv01"))
    assert kept_for(claims) is None


def test_the_key_that_another_resource_wants_is_kept(claims: Claims) -> None:
    assert kept_for(claims) is None
    claims.add(wants(A))
    assert kept_for(claims) is None
    claims.add(wants(B, "98764"))
    assert kept_for(claims) is None
    claims.add(wants(B, machine="hv02.example.com"))
    assert kept_for(claims) is None
    claims.add(wants(C))
    assert kept_for(claims) == C


def test_any_license_keeps_the_key(claims: Claims) -> None:
    claims.add(Claim(B, HV01))
    assert kept_for(claims) == B


def test_a_machine_that_was_renamed_since_is_the_same(claims: Claims) -> None:
    claims.add(wants(B, machine=RENAMED))
    assert kept_for(claims) == B


def test_a_resource_that_was_made_again_keeps_its_key(claims: Claims) -> None:
    claims.add(wants(A, made=True))
    assert kept_for(claims) == A


def test_nothing_is_undone_while_a_machine_is_not_known(claims: Claims) -> None:
    claims.add(wants(B, machine=""))
    with pytest.raises(errors.Refused, match="Refresh the state"):
        kept_for(claims)
    claims.add(Claim(C, wants=False, coming=True))
    assert keeper(claims, A, HV01, "00000", "hv01", "uninstall") is None


def test_who_is_about_to_license_a_host(claims: Claims) -> None:
    assert coming(claims, HV01) is None
    claims.add(Claim(A, wants=False, coming=True))
    assert (coming(claims, HV01), planned(claims)) == (None, Claim(A, wants=False, coming=True))
    claims.add(wants(A, coming=True))
    assert coming(claims, HV01) == wants(A, coming=True)
    assert planned(claims) is None
    claims.add(Claim(A, wants=False))
    assert coming(claims, HV01) is planned(claims) is None


def test_two_processes_of_one_run_share_their_claims(folder: Path) -> None:
    first, second = Journal(ENGINE, folder), Journal(ENGINE, folder)
    first.add(wants(B))
    assert kept_for(second) == B
    second.add(wants(C))
    assert list(first.all()) == [wants(B), wants(C)]
    assert list(Journal("127.0.0.1:4712", folder).all()) == []


def test_an_engine_that_listens_at_the_port_of_one_that_ended_has_claims_of_its_own(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        Journal(address, folder).add(wants(A))
        assert list(Journal(address, folder).all()) == [wants(A)]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert list(Journal(address, folder).all()) == []


def _stake(folder: Path, number: int) -> bool:
    try:
        stake(Journal(ENGINE, folder), wants(f"urn:{number}", f"{number:05}"), "hv01", "license the host")
    except errors.KeyConflict:
        return False
    return True


def test_one_of_many_processes_wins(folder: Path) -> None:
    with ProcessPoolExecutor(4) as processes:
        won = list(processes.map(_stake, [folder] * 24, range(24)))
        assert sum(won) == 1
        assert len(Journal(ENGINE, folder).all()) == 24


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system does not show its processes and sockets, such as macOS and Windows."""
    hide_proc(monkeypatch)


def hide_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def read_text(file: Path, *arguments: Any, **keywords: Any) -> str:
        if file.parts[:2] == ("/", "proc"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(file))
        return read(file, *arguments, **keywords)

    monkeypatch.setattr(Path, "read_text", read_text)


def _claim_and_read(folder: Path, address: str, claim: Claim) -> list[Claim]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        hide_proc(monkeypatch)
        journal = Journal(address, folder)
        journal.add(claim)
        return list(journal.all())


@pytest.mark.usefixtures("no_proc")
def test_without_proc_claims_count_until_the_processes_of_their_run_have_ended(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the port of an engine, and of a later one
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with ProcessPoolExecutor(1) as first:
            assert first.submit(_claim_and_read, folder, address, wants(A)).result() == [wants(A)]
            with ProcessPoolExecutor(1) as second:
                claims = second.submit(_claim_and_read, folder, address, wants(B)).result()
                assert claims == [wants(A), wants(B)]
            assert first.submit(_claim_and_read, folder, address, wants(C)).result()[:2] == claims
        later = Journal(address, folder)
        assert list(later.all()) == []
        later.add(wants(B))
        assert list(Journal(address, folder).all()) == [wants(B)]
        assert len(list(folder.glob("*.running"))) == 1


@pytest.mark.usefixtures("no_proc")
@posix_only("Windows has no permission bits")
def test_marks_are_the_users_alone_and_are_removed_with_their_file(folder: Path) -> None:
    Journal(ENGINE, folder).add(wants(A))
    (file,), (mark,) = folder.glob("*.jsonl"), folder.glob("*.running")
    assert (stat.S_IMODE(mark.stat().st_mode), mark.read_bytes()) == (0o600, b"")
    os.utime(file, (0, 0))
    Journal("127.0.0.1:4712", folder).add(wants(B))
    assert not file.exists()
    assert not mark.exists()


@posix_only("Windows has no permission bits")
def test_the_file_is_the_users_alone_and_holds_no_more_than_five_characters_of_a_key(folder: Path) -> None:
    Journal(ENGINE, folder).add(wants(A))
    (file,) = folder.glob("*.jsonl")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o700, 0o600]
    folder.chmod(0o777)
    with pytest.raises(errors.Refused, match="runs: only you may have access to it"):
        kept_for(Journal(ENGINE, folder))
    with pytest.raises(errors.Refused):
        stake(Journal(ENGINE, folder), wants(A), "hv01", "license the host")


def test_files_of_other_days_are_removed(folder: Path) -> None:
    Journal(ENGINE, folder).add(wants(A))
    (file,) = folder.glob("*.jsonl")
    day_before_yesterday = time.time() - 2 * 86400
    os.utime(file, (day_before_yesterday, day_before_yesterday))
    assert list(Journal(ENGINE, folder).all()) == []


CUT_OFF = b'{"resource": "urn:c", "mach'
CLAIMED = b'{"resource": "urn:b", "machine": "hv02", "wants": true'


@pytest.mark.parametrize("damage", [CUT_OFF, CUT_OFF + b"\n", b"\x00\xff\n", b"[]\n", b"null\n", b"\n", b"{}\n"])
def test_nothing_is_undone_if_a_line_of_the_file_is_damaged(folder: Path, damage: bytes) -> None:
    Journal(ENGINE, folder).add(wants(A))
    (file,) = folder.glob("*.jsonl")
    file.write_bytes(file.read_bytes() + damage)
    reader = Journal(ENGINE, folder)
    for _ in range(2):
        with pytest.raises(errors.Refused, match=r"a line of the file is damaged.*\.jsonl"):
            kept_for(reader)
    with pytest.raises(errors.Refused, match="Then run again"):
        stake(reader, wants(A), "hv01", "license the host")


def test_a_claim_of_a_later_version_of_the_provider_counts(folder: Path) -> None:
    Journal(ENGINE, folder).add(wants(A))
    (file,) = folder.glob("*.jsonl")
    file.write_bytes(CLAIMED + b', "a field of a later version": [1]}\n')
    assert list(Journal(ENGINE, folder).all()) == [Claim("urn:b", "hv02")]


def test_claims_are_not_forgotten_if_the_file_is_removed_during_the_run(folder: Path) -> None:
    journal = Journal(ENGINE, folder)
    journal.add(wants(A))
    assert kept_for(journal, B) == A
    (file,) = folder.glob("*.jsonl")
    file.unlink()
    with pytest.raises(errors.Refused, match="the file was removed during the run"):
        kept_for(journal)


def test_a_computer_without_a_temporary_folder_gets_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folder() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", no_folder)
    with pytest.raises(errors.Refused, match=r"No usable temporary directory found.*TMPDIR"):
        kept_for(Journal(ENGINE))
