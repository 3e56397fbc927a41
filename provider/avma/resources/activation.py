"""Bringing one machine's Windows to "licensed with this key": what HostLicense and VmActivation share.

Read before acting, act only on a difference, read again after acting. A change is never sent twice: when an answer is
lost, the machine's state is read and decides. A method that returned proves nothing, `LicenseStatus = 1` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from avma import errors, keys
from avma.properties import declare
from avma.resources.claims import keeper
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.licensing import LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Machine
from avma.wsman import retry

_AUTOMATIC_PAUSES = (1.0, 2.0)
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_PATIENCE = 90.0
"""Seconds in which an activation that Windows took shows; WinRM itself ends a call after 60."""


@dataclass(frozen=True, kw_only=True)
class LicenseOutputs:
    """What Windows says of the licence of one machine."""

    license_status: LicenseStatus = declare("The licence status, in WMI's words.", example="Licensed")
    license_channel: LicenseChannel | None = declare(
        "How the installed key was issued; absent without a key.", default=None, example="VOLUME_MAK"
    )
    partial_product_key: str | None = declare(
        "The last five characters of the installed key; absent without a key.", default=None, example="46789"
    )


def license_outputs(product: Product | None) -> dict[str, Any]:
    """Return the values of `LicenseOutputs` for the installed product."""
    if product is None:
        return {"license_status": LicenseStatus.UNLICENSED}
    return {
        "license_status": product.status,
        "license_channel": product.channel,
        "partial_product_key": product.partial_product_key,
    }


@dataclass
class Attempt:
    """One attempt to license a machine: what was found, and whether the machine was changed since."""

    machine: Machine
    found: Licensing
    since: int
    """How often this process had changed the machine when that was found."""
    operation: Operation
    confirmation_id: str | None = None
    """With it the machine is activated by telephone and not through the internet."""
    changed: bool = False
    product: Product | None = field(init=False)

    def __post_init__(self) -> None:
        self.product = self.found.product

    def license(self, product_key: str, activate: bool, channel: LicenseChannel | None = None) -> None:
        """Install the key unless it is there, and activate unless licensed.

        With `channel` the product must come to be licensed through it.

        Raises:
            AvmaError: see `changed` for whether the machine was changed before.
        """
        turns = self.machine.turns
        with turns.alone(self.since, self.operation.deadline, self.machine.where) as overtaken:
            # Another process can have licensed the machine since, and an activation that is spent twice is lost. An
            # AVMA key is generic, and its activation costs nothing.
            spends = channel is not LicenseChannel.AVMA and not self._reached(product_key, activate, channel)
            if overtaken or spends:
                self._reread(keys.partial(product_key))
            self.reach(product_key, activate, channel)
        self._say(f"{self.product.status.value}, key …{self.product.partial_product_key}" if self.product else "no key")

    def reach(self, product_key: str, activate: bool, channel: LicenseChannel | None = None) -> None:
        """Do the same while it is this one's turn already, from the product as it was read last."""
        try:
            if not holds(self.product, product_key):
                self._install(product_key)
                if channel is LicenseChannel.AVMA:
                    self._await_automatic_activation()
            if activate and not self._done(channel):
                self._activate(channel)
        finally:
            self.machine.turns.changes += self.changed

    def _reached(self, product_key: str, activate: bool, channel: LicenseChannel | None) -> bool:
        return holds(self.product, product_key) and (not activate or self._done(channel))

    def _reread(self, partial_key: str | None = None) -> None:
        if partial_key is None:
            partial_key = self.product.partial_product_key if self.product else ""
        self.product = licensing.read_product(self.machine.wmi, self.operation.deadline, partial_key)

    def _wait(self, pause: float) -> None:
        status = self.product.status.value if self.product else "no product key"
        self._say(f"waiting for activation ({status})")
        self.operation.deadline.wait(pause, "activate Windows", self.machine.where)
        self._reread()

    def _done(self, channel: LicenseChannel | None) -> bool:
        product = self.product
        return product is not None and product.licensed and (channel is None or product.channel is channel)

    def _install(self, product_key: str) -> None:
        wmi, deadline = self.machine.wmi, self.operation.deadline
        self._say(f"installing key {keys.masked(product_key)}")
        lost: errors.AvmaError | None = None
        try:
            licensing.install_product_key(wmi, self.found.service_version, keys.normalize(product_key), deadline)
        except errors.AvmaError as error:
            if not retry.may_have_run(error):
                raise
            lost = error
        self.changed = True
        wanted = keys.partial(product_key)
        self.product = licensing.read_product(wmi, deadline, wanted)
        if isinstance(lost, errors.WsmanFault):
            self.changed = holds(self.product, product_key)
        if not holds(self.product, product_key) and lost is None:
            licensing.refresh_license_status(wmi, self.found.service_version, deadline)
            self.product = licensing.read_product(wmi, deadline, wanted)
        if not holds(self.product, product_key):
            raise lost or self._not_installed(product_key)

    def _await_automatic_activation(self) -> None:
        """Give a guest time to activate by itself, as it does once it has an AVMA key."""
        for pause in _AUTOMATIC_PAUSES:
            if self._done(LicenseChannel.AVMA):
                return
            self._wait(pause)

    def _activate(self, channel: LicenseChannel | None) -> None:
        """Ask for activation, then look until Windows says that it is licensed.

        It is asked for again only where Windows said that it did not begin: an activation can be paid for.
        """
        trouble = self._ask_for_activation()
        waited = 0.0
        for pause in _pauses():
            if self._done(channel):
                return
            if _is_final(trouble) or waited > _PATIENCE:
                raise trouble or self._not_licensed()
            self._wait_after(trouble, pause)
            waited += pause
            if trouble is not None and retry.did_not_begin(trouble) and not self._done(channel):
                trouble, waited = self._ask_for_activation(), 0.0

    def _wait_after(self, trouble: errors.AvmaError | None, pause: float) -> None:
        """Wait, and read again.

        Raises:
            TimedOut: the time is over; the error quotes what Windows answered last.
        """
        try:
            self._wait(pause)
        except errors.TimedOut as end:
            raise retry.timed_out(trouble or self._not_licensed(), self.operation.deadline) from end

    def _ask_for_activation(self) -> errors.AvmaError | None:
        """Call Activate and read again; return the error that came, None when Windows took the call."""
        if self.product is None:
            remedy = "declare a product key"
            raise errors.Refused("activate Windows", self.machine.where, "no product key is installed", remedy)
        self._say("activating")
        trouble: errors.AvmaError | None = None
        try:
            self._call_for_activation(self.product.activation_id)
            self.changed = True
        except (errors.WsmanFault, errors.ServiceBusy) as refusal:
            trouble = refusal
        except (errors.AnswerLost, errors.UnexpectedAnswer) as error:
            trouble = error
            self.changed = True
        try:
            self._reread()
        except (errors.TimedOut, errors.Cancelled) as end:
            if trouble is not None and not retry.may_have_run(trouble) and isinstance(end, errors.TimedOut):
                raise retry.timed_out(trouble, self.operation.deadline) from end
            answer = f"it was asked for, and {end.answer} before Windows was seen to be licensed"
            raise type(end)("activate Windows", self.machine.where, answer, end.remedy) from end
        return trouble

    def _call_for_activation(self, activation_id: str) -> None:
        wmi, deadline = self.machine.wmi, self.operation.deadline
        if self.confirmation_id is None:
            licensing.activate(wmi, activation_id, deadline)
        else:
            licensing.deposit_confirmation_id(wmi, activation_id, self.confirmation_id, deadline)

    def _not_licensed(self) -> errors.AvmaError:
        answer = f"Windows took the activation, but {licensing.reason_text(self.product)}"
        remedy = "look into the machine's Application event log for Security-SPP, then run again"
        return errors.UnexpectedAnswer("activate Windows", self.machine.where, answer, remedy)

    def _not_installed(self, product_key: str) -> errors.AvmaError:
        answer = f"Windows accepted the key {keys.masked(product_key)}, but does not show it as installed"
        remedy = "look into the machine's Application event log for Security-SPP"
        return errors.UnexpectedAnswer("install the product key", self.machine.where, answer, remedy)

    def _say(self, text: str) -> None:
        self.operation.status(f"{self.machine.name}: {text}")


def uninstall(
    machine: Machine,
    machine_id: str,
    partial_product_key: str | None,
    operation: Operation,
    obstacle: errors.AvmaError | None = None,
) -> None:
    """Uninstall a key, given by its last five characters.

    Another key is left as it is, and so is a key that another resource of the run wants on that machine.

    Raises:
        AvmaError: `obstacle`, if the key would go; or the key may still be installed.
    """
    tried = "uninstall the product key"
    with _undoing(machine, machine_id, partial_product_key, operation, tried) as product:
        if product is None:
            return
        if obstacle is not None:
            raise obstacle
        operation.status(f"{machine.name}: uninstalling key …{partial_product_key}")
        lost: errors.AvmaError | None = None
        try:
            licensing.uninstall_product_key(machine.wmi, product.activation_id, operation.deadline)
        except errors.AvmaError as error:
            if not retry.may_have_run(error):
                raise
            lost = error
        finally:
            machine.turns.changes += 1
        now = licensing.read_product(machine.wmi, operation.deadline, product.partial_product_key)
        if now is not None and now.partial_product_key == partial_product_key:
            remedy = "look into the machine's Application event log for Security-SPP"
            answer = "Windows took the call, but the key is still installed"
            raise lost or errors.UnexpectedAnswer(tried, machine.where, answer, remedy)


def restore(
    machine: Machine, machine_id: str, partial_product_key: str | None, product_key: str, operation: Operation
) -> None:
    """Install a key in place of a resource's own, given by its last five characters; exceptions as for `uninstall`.

    Raises:
        AvmaError: the key may still be the resource's.
    """
    tried = "restore the KMS client key"
    with _undoing(machine, machine_id, partial_product_key, operation, tried) as product:
        if product is not None:
            found = machine.licensing(operation.deadline)
            attempt = Attempt(machine, found, machine.turns.changes, operation)
            attempt.reach(product_key, activate=False)


@contextmanager
def _undoing(
    machine: Machine, machine_id: str, partial_product_key: str | None, operation: Operation, tried: str
) -> Iterator[Product | None]:
    """Yield the product with the resource's own key while nobody else changes the machine, None if the key stays.

    Raises:
        Refused: it is not known whether another resource wants the key.
    """
    where = machine.where
    with machine.turns.alone(machine.turns.changes, operation.deadline, where):
        claim = keeper(operation.claims, operation.resource, machine_id, partial_product_key, where, tried)
        if claim is None:
            yield _own(machine, partial_product_key, operation)
        elif claim.resource == operation.resource:
            operation.status(f"{machine.name}: the resource was made again in this run, so its key stays")
            yield None
        else:
            other = claim.resource or "another resource"
            operation.warn(f"{machine.name}: {other} wants its key …{partial_product_key}, so the key stays")
            yield None


def _own(machine: Machine, partial_product_key: str | None, operation: Operation) -> Product | None:
    """Return the product with the resource's key, of several that may be installed; say so if there is none."""
    product = licensing.read_product(machine.wmi, operation.deadline, partial_product_key or "")
    if product is not None and product.partial_product_key == partial_product_key:
        return product
    operation.warn(f"{machine.name}: the key of this resource is not installed any more; nothing was uninstalled")
    return None


def holds(product: Product | None, product_key: str) -> bool:
    """Say whether the product's key is that one, by the last five characters, which are all that Windows tells."""
    return product is not None and product.partial_product_key == keys.partial(product_key)


def _is_final(trouble: errors.AvmaError | None) -> bool:
    """Say whether Windows refused for good; a lost answer or a busy service is no refusal."""
    return isinstance(trouble, errors.WsmanFault) and not retry.did_not_begin(trouble)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
