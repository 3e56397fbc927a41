"""The faults of a random run: rules of the simulator for a host, or for a guest that its host reaches."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from soak.world import HOSTS, VMS

ANY_HOST = st.sampled_from(sorted(HOSTS))
ANY_VM = st.sampled_from([*sorted(VMS), "e", "f"])

_LISTINGS = ("Enumerate", "Pull")
_CHANGES = ("SoftwareLicensingService/InstallProductKey", "SoftwareLicensingProduct/Activate")
_UNINSTALL = "SoftwareLicensingProduct/UninstallProductKey"
_SHELLS = ("RunspacePool/Create", "Pipeline/Command", "Pipeline/Receive")
_CONNECT = "PowerShellDirect/Connect"
_NO_ROWS: dict[str, Any] = {"answer": "noRows"}
_EVERYWHERE: tuple[dict[str, Any], ...] = (
    {"answer": "drop"},
    {"answer": "drop", "after": True},
    {"answer": "timeout", "after": True},
    {"answer": "garbage"},
    {"answer": "emptyBody"},
    {"answer": "accessDenied"},
    {"answer": "quota"},
    {"hresult": 0xC004C008},
    {"hresult": 0xC004FD00},
)
_ON_HOSTS = (
    *_EVERYWHERE,
    {"answer": "unavailable"},
    {"answer": "unauthorized"},
    {"answer": "truncated"},
    {"answer": "hang"},
    {"answer": "hang", "after": True},
)
_SESSIONS = tuple({"answer": answer} for answer in ("drop", "garbage", "accessDenied"))
"""Without `timeout`: a guest that does not answer takes all the time of its resource, which is minutes."""


def _rules(operations: tuple[str, ...], answers: tuple[dict[str, Any], ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda operation, answer, skip, times: {"operation": operation, "skip": skip, "times": times, **answer},
        st.sampled_from(operations),
        st.sampled_from(answers),
        st.integers(0, 6),
        st.integers(1, 2),
    )


_OF_HOST = _rules((*_LISTINGS, *_CHANGES, _UNINSTALL, *_SHELLS), _ON_HOSTS) | _rules(_LISTINGS, (_NO_ROWS,))
_OF_GUEST = (
    _rules(("Enumerate", *_CHANGES, _UNINSTALL), _EVERYWHERE)
    | _rules(("Enumerate",), (_NO_ROWS,))
    | _rules((_CONNECT,), _SESSIONS)
)
FAULTS = st.lists(st.tuples(ANY_HOST, _OF_HOST) | st.tuples(ANY_VM, _OF_GUEST), min_size=1, max_size=3)
"""Some faults, each with its machine."""
