"""Apply a Windows Server key to one machine of Azure Local. HostLicense and ClusterLicense share this code.

Applying a key uses it up permanently for that machine. So the provider does nothing if the machine reports the key. It
also does nothing if it applied the key before and the machine does not report another one. After a lost answer the key
counts as applied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from avma import errors, hresult, keys
from avma.resources import sole_spender
from avma.resources.host_state import HostState
from avma.resources.resource import Operation
from avma.windows import azure_local
from avma.windows.machine_lock import HeldLock
from avma.wording import REPLACE, RUN_AGAIN
from avma.wsman import retry

_TRIED = "apply the Windows Server key"
_ABOUT_KEYS = (
    "set a Datacenter key of Windows Server 2019 or later that you bought for this machine, or a volume key with "
    "activations left; the key must not be for an older release than the current one"
)
_FOR_WINDOWS_SERVER = (hresult.CHECK_KEY, hresult.by_name("SL_E_PRODUCT_KEY_INSTALLATION_NOT_ALLOWED").remedy)
"""Remedies for a key that does not fit. `_ABOUT_KEYS` has those of Azure Local."""
_LONGEST = 240.0
"""Seconds. `Set-VMAutomaticActivation` activates the key at Microsoft.

Inferred (server-key-is-applied-within-four-minutes): it takes no longer.
"""
_LOOK = (
    "run `Get-VMAutomaticActivation` on the machine to check the key: the provider does not apply it again by itself, "
    f"so that it is not used up twice; if the key is not applied, {REPLACE}"
)


@dataclass
class KeyInstallation:
    """One attempt to apply a key: the current state of the host, and whether the attempt has changed it."""

    state: HostState
    operation: Operation
    changed: bool = False

    def apply(self, product_key: str) -> None:
        """Apply a key unless it is in use.

        Raises:
            LicensingFault: the machine rejected the key, and keeps its previous key.
            AvmaError: the key was not applied, or has no visible effect. `changed` is True if it may be applied.
        """
        server, key = self.state.server, keys.normalize(product_key)
        with server.license_lock.exclusive(self.state.since, self.operation.deadline, server.where) as overtaken:
            if overtaken:
                self._reread()
            if not self._has(key):
                self._apply_alone(key)
        if self.state.activates_guests is False:
            raise self._without_effect(key)

    def _has(self, key: str) -> bool:
        return self.state.partial_product_key == keys.partial(key)

    def _apply_alone(self, key: str) -> None:
        """Apply a key while no other process does. Another one can have applied it before, and twice would waste it."""
        server = self.state.server
        held = sole_spender.lock(server, self.operation, _LONGEST)
        try:
            self._reread()
            if not self._has(key):
                self._apply(key, held)
        finally:
            sole_spender.release(held, self.operation)

    def _apply(self, key: str, held: HeldLock | None) -> None:
        server, before = self.state.server, self.state
        lost: errors.AvmaError | None = None
        try:
            with sole_spender.activation(held), server.change():
                self.operation.status(f"{server.name}: applying key {keys.masked(key)} for its guests")
                azure_local.set_product_key(server.powershell, key, self.operation.deadline)
        except errors.LicensingFault as fault:
            raise _refused(fault) from fault
        except (errors.AnswerLost, errors.UnexpectedAnswer, errors.WsmanFault) as error:
            if retry.did_not_begin(error):
                raise
            lost = error
        self.changed = True
        self.state = replace(self.state, known_partial=keys.partial(key))
        self._read_result(lost)
        told = self.state.partial_product_key
        if told != keys.partial(key):
            raise lost or self._without_effect(key)
        if held is not None and (lost is None or self._shows(key, before)):
            held.unfinished = False
        if lost is not None and not self._shows(key, before):
            raise lost.but(remedy=_LOOK)

    def _read_result(self, lost: errors.AvmaError | None) -> None:
        """Read what the machine reports now. If it never reports its key, only the user can find out."""
        reports = self.state.activation is not None and self.state.activation.partial_product_key is not None
        try:
            with retry.proof(_TRIED, "the provider sent the key", lost):
                self._reread()
        except errors.AvmaError as error:
            if lost is None or reports:
                raise
            remedy = "; ".join(part for part in (error.remedy.removesuffix("."), _LOOK) if part)
            raise error.but(remedy=remedy) from error

    def _shows(self, key: str, before: HostState) -> bool:
        """Return True if only the applied key explains the machine's report."""
        now, was = self.state.activation, before.activation
        if now is None or was is None:
            return False
        newly = now.enabled is True and was.enabled is not True
        return now.partial_product_key == keys.partial(key) or newly or now.key_version != was.key_version

    def _without_effect(self, key: str) -> errors.UnexpectedAnswer:
        answer = (
            f"the key {keys.masked(key)} was applied, but Get-VMAutomaticActivation reports: {self.state.activation}"
        )
        remedy = (
            f"wait a few minutes, then {RUN_AGAIN}: the provider does not apply the key again; if the error persists, "
            "check the event logs of the machine"
        )
        return errors.UnexpectedAnswer(_TRIED, self.state.server.where, answer, remedy)

    def _reread(self) -> None:
        server, deadline = self.state.server, self.operation.deadline
        since = server.license_lock.changes.era
        self.state = replace(self.state, activation=server.automatic_activation(deadline), since=since)


def _refused(fault: errors.LicensingFault) -> errors.LicensingFault:
    """Return the error with its meaning for this machine. The rules for keys are those of Azure Local."""
    remedy = _ABOUT_KEYS if fault.remedy in _FOR_WINDOWS_SERVER else fault.remedy
    answer = f"{fault.answer}. The activation of the machine is unchanged"
    return errors.LicensingFault(fault.tried, fault.where, answer, remedy, fault.code)
