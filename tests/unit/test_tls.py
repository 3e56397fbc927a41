"""The TLS contexts of connections."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path
from typing import Any

import certifi
import pytest

from avma import errors
from avma.connection import Connection, resolve
from avma.settings import Settings
from avma.wsman import tls
from systems import posix_only


def connection(name: str, **settings: Any) -> Connection:
    return resolve(name, Settings(**{"username": "a", "password": "b", **settings}))


def test_connections_with_the_same_settings_share_one_context() -> None:
    assert tls.context(connection("hv01")) is tls.context(connection("hv02", username="other"))


def test_another_trust_needs_another_context(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(Path(certifi.where()).read_bytes())
    usual, declared = tls.context(connection("hv01")), tls.context(connection("hv01", ca_cert=str(authorities)))
    insecure = tls.context(connection("hv01", insecure=True))
    assert len({id(usual), id(declared), id(insecure)}) == 3


def test_a_changed_file_needs_another_context(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(Path(certifi.where()).read_bytes())
    first = tls.context(connection("hv01", ca_cert=str(authorities)))
    authorities.write_text("no certificate")
    with pytest.raises(errors.InvalidInput, match="contains no PEM certificate"):
        tls.context(connection("hv01", ca_cert=str(authorities)))
    authorities.write_bytes(Path(certifi.where()).read_bytes() + b"\n")
    assert tls.context(connection("hv01", ca_cert=str(authorities))) is not first


def test_a_connection_over_http_has_no_context() -> None:
    assert tls.context(connection("hv01", https=False)) is None


@posix_only("Windows has no permission bits")
def test_a_key_as_text_is_in_a_private_file_while_it_is_read_and_nowhere_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with tls._file("-----BEGIN PRIVATE KEY-----") as path:
        file = Path(path)
        assert file.is_relative_to(tmp_path)
        assert [stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent)] == [0o600, 0o700]
    assert list(tmp_path.iterdir()) == []
