"""Bringing one machine's Windows to "licensed with this key": what HostLicense and VmActivation share.

Read before acting, act only on a difference, read again after acting. A change is never sent twice: when an answer is
lost, the machine's state is read and decides. A method that returned proves nothing, `LicenseStatus = 1` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from avma import errors, hresult, keys
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.licensing import LicenseChannel, Licensing, Product
from avma.windows.machine import Machine

_AUTOMATIC_PAUSES = (1.0, 2.0)
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_PATIENCE = 90.0
"""Seconds in which an activation that Windows took shows; WinRM itself ends a call after 60."""


@dataclass
class Attempt:
    """One attempt to license a machine: what was found, and whether the machine was changed since."""

    machine: Machine
    found: Licensing
    operation: Operation
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
        if not holds(self.product, product_key):
            self._install(product_key)
            if channel is LicenseChannel.AVMA:
                self._await_automatic_activation()
        if activate and not self._done(channel):
            self._activate(channel)

    def _reread(self) -> None:
        partial_key = self.product.partial_product_key if self.product else ""
        self.product = licensing.read_product(self.machine.cim, self.operation.deadline, partial_key)

    def _wait(self, pause: float) -> None:
        status = self.product.status.value if self.product else "no product key"
        self._say(f"waiting for activation ({status})")
        self.operation.deadline.wait(pause, "activate Windows", self.machine.where)
        self._reread()

    def _done(self, channel: LicenseChannel | None) -> bool:
        product = self.product
        return product is not None and product.licensed and (channel is None or product.channel is channel)

    def _install(self, product_key: str) -> None:
        cim, deadline = self.machine.cim, self.operation.deadline
        self._say(f"installing key {keys.masked(product_key)}")
        lost: errors.AvmaError | None = None
        try:
            licensing.install_product_key(cim, self.found.service_version, product_key, deadline)
        except errors.AnswerLost as error:
            lost = error
        self.changed = True
        wanted = keys.partial(product_key)
        self.product = licensing.read_product(cim, deadline, wanted)
        if not holds(self.product, product_key) and lost is None:
            licensing.refresh_license_status(cim, self.found.service_version, deadline)
            self.product = licensing.read_product(cim, deadline, wanted)
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
            self._wait(pause)
            waited += pause
            if isinstance(trouble, errors.WsmanFault) and not self._done(channel):
                trouble, waited = self._ask_for_activation(), 0.0

    def _ask_for_activation(self) -> errors.AvmaError | None:
        """Call Activate and read again; return the error that came, None when Windows took the call."""
        if self.product is None:
            remedy = "declare a product key"
            raise errors.Refused("activate Windows", self.machine.where, "no product key is installed", remedy)
        self._say("activating")
        trouble: errors.AvmaError | None = None
        self.changed = True
        try:
            licensing.activate(self.machine.cim, self.product.activation_id, self.operation.deadline)
        except (errors.WsmanFault, errors.AnswerLost) as error:
            trouble = error
        self._reread()
        return trouble

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


def holds(product: Product | None, product_key: str) -> bool:
    """Say whether the product's key is that one, by the last five characters, which are all that Windows tells."""
    return product is not None and product.partial_product_key == keys.partial(product_key)


def _is_final(trouble: errors.AvmaError | None) -> bool:
    """Say whether Windows refused for good; a lost answer or a busy service is no refusal."""
    return isinstance(trouble, errors.WsmanFault) and not hresult.lookup(trouble.code).retryable


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
