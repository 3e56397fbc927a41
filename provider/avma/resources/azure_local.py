"""Applying a Windows Server key to one machine of Azure Local: what HostLicense and ClusterLicense share.

A key that is applied is used up for that machine for good, so nothing is done where it shows already, and what was done
is looked at afterwards. Windows may not tell which key is set: then what this resource set last is taken to be there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from avma import errors, keys
from avma.resources.hosts import HostState
from avma.resources.resource import Operation
from avma.windows import azure_local

_TRIED = "apply the Windows Server key"


@dataclass
class Application:
    """One attempt to apply a key: the host as it is now, and whether it was changed since it was found."""

    state: HostState
    operation: Operation
    changed: bool = False

    def apply(self, product_key: str) -> None:
        """Apply a key unless it is there.

        Raises:
            LicensingFault: the machine refused it, and keeps the key that it had.
            AvmaError: see `changed` for whether the machine was changed before.
        """
        server, deadline = self.state.server, self.operation.deadline
        with server.alone(deadline) as overtaken:
            if overtaken:
                self._reread()
            if self.state.partial_product_key == keys.partial(product_key):
                return
            self.operation.status(f"{server.name}: applying key {keys.masked(product_key)} for its guests")
            lost = self._set(product_key)
            server.changes += 1
            self._reread()
            self._verify(product_key, lost)
            self.state = replace(self.state, known_partial=keys.partial(product_key))

    def _set(self, product_key: str) -> errors.AvmaError | None:
        """Set the key once; return the error of an answer that was lost."""
        server = self.state.server
        try:
            azure_local.set_product_key(server.powershell, product_key, self.operation.deadline)
        except (errors.AnswerLost, errors.ScriptFailed) as error:
            self.changed = True
            return error
        except errors.LicensingFault as fault:
            fault.answer += "; its activation stays as it was"
            fault.remedy = f"{_ABOUT_KEYS}. {fault.remedy}"
            raise
        self.changed = True
        return None

    def _verify(self, product_key: str, lost: errors.AvmaError | None) -> None:
        activation = self.state.activation
        told = activation.partial_product_key if activation else None
        if told == keys.partial(product_key):
            return
        if lost is not None:
            raise lost
        if told is not None or self.state.activates_guests is False:
            answer = f"the cmdlet took the key, and Get-VMAutomaticActivation shows: {activation}"
            raise errors.UnexpectedAnswer(_TRIED, self.state.server.where, answer, "wait a little and run again")

    def _reread(self) -> None:
        server, deadline = self.state.server, self.operation.deadline
        self.state = replace(self.state, activation=server.automatic_activation(deadline))


_ABOUT_KEYS = (
    "give a Datacenter key of Windows Server 2019 or later that was bought for this machine, or a volume key with "
    "activations left, and no older than the one in place"
)
