"""License Windows on one machine, and undo it. HostLicense, ClusterLicense and VmActivation share this code.

`licensing_steps` decides. This module performs the steps on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from avma import errors, keys
from avma.properties import declare
from avma.resources import sole_spender
from avma.resources.claims import keeper
from avma.resources.licensing_steps import (
    EVENT_LOG,
    Activate,
    Goal,
    InstallKey,
    LicensingSteps,
    LockMachine,
    ReadInstallationId,
    ReadProduct,
    RefreshStatus,
    Step,
    Steps,
    Wait,
)
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.licensing import BOUGHT, LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Machine
from avma.windows.machine_lock import HeldLock
from avma.windows.shared_reads import Era
from avma.wsman import retry


@dataclass(frozen=True, kw_only=True)
class LicenseOutputs:
    """The license of one machine, as Windows reports it."""

    license_status: LicenseStatus = declare("The license status of Windows, in the terms of WMI.", example="Licensed")
    license_channel: LicenseChannel | None = declare(
        "The channel of the installed key. Absent without a key.", default=None, example="VOLUME_MAK"
    )
    partial_product_key: str | None = declare(
        "The last five characters of the installed key. On an Azure Local host, of its key for guests. Absent "
        "without a key.",
        default=None,
        example="46789",
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
    """One attempt to license a machine: the state at its start, and whether the attempt has changed the machine."""

    machine: Machine
    found: Licensing
    since: Era
    """The era of the changes by this process when `found` was read."""
    operation: Operation
    confirmation_id: str | None = None
    """With this ID, the machine is activated by phone instead of the internet."""
    changed: bool = False
    held: HeldLock | None = None
    """The lock of the machine, if the caller holds it. Otherwise, the attempt acquires and releases it if necessary."""
    product: Product | None = field(init=False)
    _installation_id: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.product = self.found.product

    def license(self, product_key: str, activate: bool, channel: LicenseChannel | None = None) -> None:
        """Install the key unless it is installed, and activate Windows unless it is activated.

        With `channel`, only an activation through this channel counts.

        Raises:
            AvmaError: the goal was not reached. `changed` is True if the machine was changed before the error.
        """
        lock = self.machine.license_lock
        with lock.exclusive(self.since, self.operation.deadline, self.machine.where) as overtaken:
            by_phone = self.confirmation_id is not None
            self.reach(Goal(product_key, activate, channel, by_phone), read_again=overtaken)
        self._say(f"{self.product.status.value}, key …{self.product.partial_product_key}" if self.product else "no key")

    def reach(self, goal: Goal, read_again: bool = False) -> None:
        """Reach the goal like `license`. The caller already has the machine to itself in this process."""
        lock_of_caller = self.held
        steps = LicensingSteps(goal, self.machine.where, self.product)
        try:
            drive(steps.run(read_again), self._perform)
        finally:
            self.product, self.changed = steps.product, steps.changed
            if self.held is not None and goal.is_activated(self.product):
                self.held.unfinished = False
            if self.held is not lock_of_caller:
                sole_spender.release(self.held, self.operation)

    def _perform(self, step: Step) -> Product | None:
        wmi, version, deadline = self.machine.wmi, self.found.service_version, self.operation.deadline
        self._keep_lock(step)
        match step:
            case LockMachine():
                self.held = self.held or sole_spender.lock(self.machine, self.operation)
            case InstallKey(product_key):
                self._say(f"installing key {keys.masked(product_key)}")
                return self._seen(licensing.install_product_key(wmi, version, product_key, deadline))
            case RefreshStatus():
                licensing.refresh_license_status(wmi, version, deadline)
            case ReadInstallationId(product):
                self._installation_id = licensing.installation_id(wmi, product.activation_id, deadline)
            case Activate(product):
                with sole_spender.activation(self.held):
                    return self._seen(self._activate(product))
            case ReadProduct(partial_product_key):
                self.product = licensing.read_product(wmi, deadline, partial_product_key)
                return self.product
            case Wait(seconds):
                status = self.product.status.value if self.product else "no product key"
                self._say(f"waiting for activation ({status})")
                deadline.wait(seconds, "activate Windows", self.machine.where)
        return None

    def _keep_lock(self, step: Step) -> None:
        """Keep the lock of the machine.

        Raises:
            Refused: the lock was lost, and the step changes the key.
        """
        if self.held is None:
            return
        self.held.keep()
        if isinstance(step, InstallKey):
            self.held.require()

    def _seen(self, product: Product | None) -> Product | None:
        """Keep the product that a change returned. None means that the change returned no product."""
        self.product = product or self.product
        return product

    def _activate(self, product: Product) -> Product | None:
        wmi, deadline = self.machine.wmi, self.operation.deadline
        self._say("activating")
        if self.confirmation_id is None:
            return licensing.activate(wmi, product.activation_id, product.partial_product_key, deadline)
        ids = {"InstallationId": self._installation_id, "ConfirmationId": self.confirmation_id}
        licensing.deposit_confirmation_id(wmi, product.activation_id, ids, deadline)
        return None

    def _say(self, text: str) -> None:
        self.operation.status(f"{self.machine.name}: {text}")


def drive(steps: Steps, perform: Callable[[Step], Product | None]) -> None:
    """Perform all steps. If a step fails, throw its error into the generator.

    Raises:
        AvmaError: the generator ends with it.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = perform(step)
            except errors.AvmaError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration:
        return


def uninstall(
    machine: Machine,
    machine_id: str,
    partial_product_key: str | None,
    operation: Operation,
    obstacle: errors.AvmaError | None = None,
) -> None:
    """Uninstall a key, given by its last five characters.

    Another key stays installed. The key stays too if another resource of the run needs it on that machine.

    Raises:
        AvmaError: `obstacle`, if the key would be uninstalled. After any other error the key may still be installed.
    """
    tried = "uninstall the product key"
    with _undoing(machine, machine_id, partial_product_key, operation, tried) as own:
        if own is None:
            return
        if obstacle is not None:
            raise obstacle
        product = own.product
        operation.status(f"{machine.name}: uninstalling key …{partial_product_key}")
        sole_spender.confirm(own.held)
        lost: errors.AvmaError | None = None
        try:
            licensing.uninstall_product_key(machine.wmi, product.activation_id, operation.deadline)
        except errors.AvmaError as error:
            if not retry.may_have_run(error):
                raise
            lost = error
        with retry.proof(tried, "the provider requested it", lost):
            now = licensing.read_product(machine.wmi, operation.deadline, product.partial_product_key)
        if now is not None and now.partial_product_key == partial_product_key:
            answer = "Windows accepted the call, but the key is still installed"
            raise lost or errors.UnexpectedAnswer(tried, machine.where, answer, EVENT_LOG)


def restore(
    machine: Machine, machine_id: str, partial_product_key: str | None, product_key: str, operation: Operation
) -> None:
    """Install a key instead of a resource's own, given by its last five characters.

    The key stays in the same cases as in `uninstall`.

    Raises:
        AvmaError: the resource's own key may still be installed.
    """
    tried = "restore the KMS client key"
    with _undoing(machine, machine_id, partial_product_key, operation, tried) as own:
        if own is not None:
            found = machine.licensing(operation.deadline)
            attempt = Attempt(machine, found, machine.license_lock.changes.era, operation, held=own.held)
            sole_spender.confirm(own.held)
            attempt.reach(Goal(product_key, activate=False))


@dataclass(frozen=True)
class _OwnKey:
    """The installed key of a resource, and the lock of its machine. A key that Microsoft did not sell has no lock."""

    product: Product
    held: HeldLock | None = None


@contextmanager
def _undoing(
    machine: Machine, machine_id: str, partial_product_key: str | None, operation: Operation, tried: str
) -> Iterator[_OwnKey | None]:
    """Yield the resource's own key, None if the key stays. Holds the lock of the machine.

    Raises:
        Refused: the claims do not show whether another resource needs the key.
    """
    where = machine.where
    with machine.license_lock.exclusive(machine.license_lock.changes.era, operation.deadline, where):
        claim = keeper(operation.claims, operation.resource, machine_id, partial_product_key, where, tried)
        if claim is None:
            with _own_locked(machine, partial_product_key, operation) as own:
                yield own
        elif claim.resource == operation.resource:
            operation.status(f"{machine.name}: this run created the resource again, so its key stays installed")
            yield None
        else:
            other = claim.resource or "another resource"
            operation.warn(f"{machine.name}: {other} uses the key …{partial_product_key}, so it stays installed")
            yield None


@contextmanager
def _own_locked(machine: Machine, partial_product_key: str | None, operation: Operation) -> Iterator[_OwnKey | None]:
    """Yield the result of `_own`. A key that Microsoft sold stays locked against other processes in the block."""
    own = _own(machine, partial_product_key, operation)
    if own is None or own.product.channel not in BOUGHT:
        yield own
        return
    held = sole_spender.lock(machine, operation)
    try:
        own = _own(machine, partial_product_key, operation)
        yield own and replace(own, held=held)
    finally:
        sole_spender.release(held, operation)


def _own(machine: Machine, partial_product_key: str | None, operation: Operation) -> _OwnKey | None:
    """Return the resource's key, of several products. Warn if there is no such product."""
    product = licensing.read_product(machine.wmi, operation.deadline, partial_product_key or "")
    if product is not None and product.partial_product_key == partial_product_key:
        return _OwnKey(product)
    operation.warn(f"{machine.name}: the key of this resource is no longer installed, so the provider changed nothing")
    return None


def holds(product: Product | None, product_key: str) -> bool:
    """Return True if the product has that key. Windows reports only the last five characters."""
    return Goal(product_key).has_key(product)
