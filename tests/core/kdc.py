"""A Kerberos realm for tests: an unprivileged MIT KDC on loopback, with all files in one folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from waiting import PATIENCE, wait_until

REALM = "LAB.TEST"
UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "debian"
"""The folder for Debian's programs if tools/kerberos could not install them."""
FOLDERS = [str(root / name) for root in (UNPACKED, Path("/")) for name in ("usr/sbin", "usr/bin")]
SEARCH = os.pathsep.join([*FOLDERS, os.environ["PATH"]])
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local")


def missing() -> str:
    """Return the missing requirements of Kerberos tests, or "" if everything is installed."""
    programs = [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]
    packages = [name for name in ("gssapi", "krb5") if find_spec(name) is None]
    return " and ".join([*programs, *packages])


class Realm:
    """A realm with a running KDC. `environment` points Kerberos programs and libraries to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self._port = port
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{folder / 'tickets'}",
            "KRB5_KTNAME": str(folder / "machine.keytab"),
            "KRB5RCACHETYPE": "none",
        }
        libraries = next(iter((UNPACKED / "usr/lib").glob("*-linux-gnu")), None)
        modules = f"  db_module_dir = {libraries}/krb5/plugins/kdb\n" if libraries else ""
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n  default_realm = {REALM}\n  dns_lookup_kdc = false\n  dns_lookup_realm = false\n"
            "  dns_canonicalize_hostname = false\n  rdns = false\n  udp_preference_limit = 1\n"
            f"[realms]\n  {REALM} = {{\n    kdc = 127.0.0.1:{port}\n  }}\n"
            f"[domain_realm]\n  .lab.test = {REALM}\n  localhost = {REALM}\n[dbmodules]\n{modules}"
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n  kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n  {REALM} = {{\n    database_name = {folder}/principal\n    key_stash_file = {folder}/stash\n"
            f"    acl_file = {folder}/kadm5.acl\n  }}\n[logging]\n  kdc = FILE:{folder}/kdc.log\n"
        )
        self._tools = {**os.environ, **self.environment, "PATH": SEARCH}
        if libraries:
            self._tools["LD_LIBRARY_PATH"] = str(libraries)

    def run(self, *command: str, text: str = "") -> None:
        """Run a Kerberos program."""
        program = shutil.which(command[0], path=SEARCH)
        subprocess.run(
            [str(program), *command[1:]], env=self._tools, input=text, text=True, check=True, timeout=PATIENCE
        )

    def start(self) -> None:
        """Start the KDC as a foreground process."""
        self._kdc = subprocess.Popen([str(shutil.which("krb5kdc", path=SEARCH)), "-n"], env=self._tools)
        _wait(self._port)

    def stop(self) -> None:
        """Stop the KDC."""
        self._kdc.terminate()
        self._kdc.wait()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop the KDC, and listen on its port without answering."""
        self.stop()
        with socket.create_server(("127.0.0.1", self._port)):
            yield

    def keytab(self, name: str, principal: str) -> Path:
        """Write a principal's current keys to a file."""
        path = self.folder / name
        self.run("kadmin.local", "-r", REALM, "ktadd", "-norandkey", "-k", str(path), principal)
        return path


@contextmanager
def realm(folder: Path, user: str, password: str, *services: str) -> Iterator[Realm]:
    """Run a realm with one user and some services, such as `host/hv01.lab.test`. The keytab contains the services."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    made = Realm(folder, port)
    made.run("kdb5_util", "create", "-r", REALM, "-s", "-P", "only-for-this-realm")
    made.run("kadmin.local", "-r", REALM, text=f"addprinc -pw {password} +requires_preauth {user}\n")
    for service in services:
        made.run("kadmin.local", "-r", REALM, "addprinc", "-randkey", service)
        made.keytab("machine.keytab", service)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _wait(port: int) -> None:
    """Wait until the KDC listens."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens)
