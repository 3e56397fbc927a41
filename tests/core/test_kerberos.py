"""Kerberos against a real KDC: password, ticket cache and keytab, and each failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from avma import errors
from avma.deadline import SENDER
from avma.settings import Auth
from avma.wording import NEUTRAL
from core import kdc
from core.runner import ADMINISTRATOR, PASSWORD
from core.test_authentication import logged_on, read, serving
from core.test_damaged_answers import call, flipped, require_lost, through

NAME = "hv01.lab.test"
OTHER = "hv02.lab.test"
PRINCIPAL = f"{ADMINISTRATOR}@{kdc.REALM}"


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Iterator[kdc.Realm]:
    """A realm with a DNS name for the machine."""
    if lacking := kdc.missing():
        pytest.skip(f"needs {lacking}: run tools/kerberos, on Debian")
    with kdc.realm(tmp_path, ADMINISTRATOR, PASSWORD, f"host/{NAME}") as realm:
        for name, value in realm.environment.items():
            monkeypatch.setenv(name, value)
        yield realm


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("auth", "offered", "logon"),
    [
        (Auth.KERBEROS, "kerberos", "kerberos"),
        (Auth.KERBEROS, "negotiate", "kerberos"),
        (Auth.NEGOTIATE, "negotiate", "negotiate/kerberos"),
        (Auth.NEGOTIATE, "kerberos", "kerberos"),
    ],
)
def test_kerberos_with_a_password(tmp_path, lab, auth, offered, logon, https):
    with serving(tmp_path, offered, "    channelBinding: strict\n") as estate:
        found = read(estate, https, auth=auth, kerberos_hostname=NAME)
        assert found.system.version == "2022"
        assert logged_on(estate) == {logon: 1}


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_negotiate_goes_on_with_ntlm_where_the_realm_does_not_know_the_machine(tmp_path, lab, https):
    with serving(tmp_path, "negotiate") as estate:
        assert read(estate, https, auth=Auth.NEGOTIATE).system.version == "2022"
        assert logged_on(estate) == {"negotiate/ntlm": 1}


def test_kerberos_with_the_ticket_cache(tmp_path, lab):
    lab.run("kinit", PRINCIPAL, text=f"{PASSWORD}\n")
    with serving(tmp_path, "kerberos") as estate:
        given: dict[str, Any] = {"auth": Auth.KERBEROS, "username": None, "password": None, "kerberos_hostname": NAME}
        assert read(estate, False, **given).system.version == "2022"
        assert logged_on(estate) == {"kerberos": 1}


@pytest.mark.parametrize("username", [None, PRINCIPAL])
def test_kerberos_with_a_keytab(tmp_path, lab, monkeypatch, username):
    keytab = lab.keytab("user.keytab", ADMINISTRATOR)
    monkeypatch.delenv("KRB5_KTNAME")
    with serving(tmp_path, "kerberos", f"    keytab: {lab.folder / 'machine.keytab'}\n") as estate:
        given: dict[str, Any] = {
            "auth": Auth.KERBEROS,
            "password": None,
            "kerberos_keytab": str(keytab),
            "kerberos_hostname": NAME,
        }
        assert read(estate, False, username=username, **given).system.version == "2022"
        assert logged_on(estate) == {"kerberos": 1}


@pytest.mark.parametrize(
    ("values", "answer", "remedy"),
    [
        ({"password": "wrong-one"}, "Preauthentication failed", "`password` or `kerberos_keytab`"),
        ({"username": "nobody"}, "Client 'nobody@LAB.TEST' not found", "check `username`"),
        ({"username": "a@OTHER.TEST"}, "Cannot find KDC for realm", "krb5.conf"),
        ({"kerberos_hostname": "x.lab.test"}, "host/x.lab.test@LAB.TEST not found", "`kerberos_hostname`"),
        ({"username": None, "password": None}, "No Kerberos credentials available", "run `kinit`"),
        ({"username": PRINCIPAL, "password": None}, "Can't find client principal", "run `kinit`"),
        ({"kerberos_keytab": "machine.keytab", "username": PRINCIPAL}, "no suitable keys", "`klist -k`"),
    ],
)
def test_each_failure_of_kerberos_has_its_remedy(tmp_path, lab, values, answer, remedy):
    if "kerberos_keytab" in values:
        values = {**values, "kerberos_keytab": str(lab.folder / values["kerberos_keytab"])}
    with serving(tmp_path, "kerberos") as estate, pytest.raises(errors.LogonRefused) as caught:
        read(estate, False, **{"auth": Auth.KERBEROS, "kerberos_hostname": NAME, **values})
    assert answer in caught.value.answer
    assert remedy in NEUTRAL.render(caught.value.remedy)
    assert "wrong-one" not in str(caught.value)


def test_kerberos_where_it_is_not_offered(tmp_path, lab):
    with serving(tmp_path, "basic, credssp") as estate, pytest.raises(errors.LogonRefused) as caught:
        read(estate, auth=Auth.KERBEROS, kerberos_hostname=NAME)
    assert caught.value.answer == "the service does not offer `kerberos`, only CredSSP, Basic (WWW-Authenticate)"
    assert "set `auth` to `credssp` or `basic`" in NEUTRAL.render(caught.value.remedy)
    assert r"Set-Item WSMan:\localhost\Service\Auth\Kerberos $true" in NEUTRAL.render(caught.value.remedy)


def test_a_kdc_that_does_not_answer(tmp_path, lab):
    lab.stop()
    with serving(tmp_path, "kerberos") as estate, pytest.raises(errors.LogonRefused) as caught:
        read(estate, False, auth=Auth.KERBEROS, kerberos_hostname=NAME)
    assert "Cannot contact any KDC" in caught.value.answer
    assert "port 88" in NEUTRAL.render(caught.value.remedy)


def senders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == SENDER}


@pytest.mark.parametrize(
    ("auth", "remedy"), [(Auth.KERBEROS, "port 88"), (Auth.NEGOTIATE, "set `auth: ntlm`"), (Auth.CREDSSP, "port 88")]
)
def test_a_silent_kdc_is_waited_for_until_the_deadline_and_named(tmp_path, lab, auth, remedy):
    before = senders()
    with lab.silent(), serving(tmp_path, auth.value) as estate:
        with pytest.raises(errors.LogonRefused) as caught:
            # The time passes inside the Kerberos library. Only the connection to the machine has to be faster.
            read(estate, False, seconds=1, auth=auth, username=PRINCIPAL, kerberos_hostname=NAME)
        # The library itself still waits, for 25 s, or until the KDC is gone.
        assert senders() - before
    assert caught.value.answer == "Kerberos: no KDC of LAB.TEST answered in time"
    assert remedy in NEUTRAL.render(caught.value.remedy)


def test_a_keytab_that_is_not_there(tmp_path, lab):
    with serving(tmp_path, "kerberos") as estate, pytest.raises(errors.InvalidInput, match="cannot be read"):
        read(estate, False, auth=Auth.KERBEROS, kerberos_keytab=str(tmp_path / "none.keytab"))


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_a_machine_that_cannot_read_its_ticket_refuses(tmp_path, lab, https):
    lab.run("kadmin.local", "-r", kdc.REALM, "addprinc", "-randkey", f"host/{OTHER}")
    with serving(tmp_path, "kerberos") as estate:
        with pytest.raises(errors.LogonRefused, match=r"rejected the sign-in of .* \(401\)"):
            read(estate, https, auth=Auth.KERBEROS, kerberos_hostname=OTHER)
        assert logged_on(estate) == {}


def test_another_principal_is_not_the_account(tmp_path, lab):
    lab.run("kadmin.local", "-r", kdc.REALM, text="addprinc -pw another-one somebody\n")
    with serving(tmp_path, "kerberos") as estate:
        given: dict[str, Any] = {"username": "somebody", "password": "another-one", "kerberos_hostname": NAME}
        with pytest.raises(errors.LogonRefused, match=r"the service rejected the sign-in of somebody \(401\)"):
            read(estate, False, auth=Auth.KERBEROS, **given)


def test_a_changed_answer_is_lost_and_no_failed_sign_in(tmp_path, lab):
    with through(tmp_path, Auth.KERBEROS, "kerberos", flipped, kerberos_hostname=NAME) as (estate, cim):
        with pytest.raises(errors.AnswerLost) as caught:
            call(cim)
        require_lost(caught, estate)
