"""Decide how to license one machine, step by step and without a machine.

`LicensingSteps.run` is a generator. It yields one `Step` at a time. The caller performs it. For `ReadProduct`, the
caller sends back the product. For `InstallKey` and `Activate`, it does so if the same request has read the product
after the change. If a step fails, the caller throws the error into the generator.
`machine_license.Attempt` performs steps on a machine. The tests perform them on a model.

The decisions follow four rules:

- Read before acting. Before a key with limited activations is touched, lock the machine first.
- Act only on a difference.
- Read again after acting. The return value of a method proves nothing, but `LicenseStatus = 1` does.
- Never repeat a change after a lost answer. Read, and let the state of the machine decide.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from avma import errors, keys
from avma.windows.licensing import LicenseChannel, Product, reason_text
from avma.wording import RUN_AGAIN, setting
from avma.wsman import retry

AUTOMATIC_PAUSES = (1.0, 2.0)
"""Seconds between two reads of a guest. Windows activates a guest with a new AVMA key by itself."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two reads of a machine after Windows accepted the activation. The pauses double."""
PATIENCE = 90.0
"""Seconds for an accepted activation to show. WinRM itself ends a call after 60."""

_INSTALL, _ACTIVATE = "install the product key", "activate Windows"
_REQUESTED = "the provider requested the activation"
EVENT_LOG = "check the Application event log of the machine for events from Security-SPP"


@dataclass(frozen=True)
class LockMachine:
    """Lock the machine against other processes until the last step."""


@dataclass(frozen=True)
class InstallKey:
    """Call InstallProductKey."""

    product_key: str


@dataclass(frozen=True)
class RefreshStatus:
    """Call RefreshLicenseStatus. The licensing service then evaluates its licenses again."""


@dataclass(frozen=True)
class ReadInstallationId:
    """Read the installation ID of a product that is activated by phone. It is a step of its own: it spends nothing."""

    product: Product


@dataclass(frozen=True)
class Activate:
    """Activate a product through the internet, through the host, or by phone."""

    product: Product


@dataclass(frozen=True)
class ReadProduct:
    """Read the installed product. The one with the given last five characters comes first."""

    partial_product_key: str


@dataclass(frozen=True)
class Wait:
    """Wait for the activation to show."""

    seconds: float


Step: TypeAlias = LockMachine | InstallKey | RefreshStatus | ReadInstallationId | Activate | ReadProduct | Wait
Steps: TypeAlias = Generator[Step, Product | None, None]


@dataclass(frozen=True)
class Goal:
    """The wanted state of a machine: a product key, and its activation.

    Args:
        product_key: the key to install unless it is installed.
        activate: whether Windows has to be activated.
        channel: the required channel of the license. None if any will do.
        by_phone: whether to activate Windows by phone instead of the internet.
    """

    product_key: str
    activate: bool = True
    channel: LicenseChannel | None = None
    by_phone: bool = False

    @property
    def is_limited(self) -> bool:
        """Whether the key has a limited number of activations. Microsoft's generic keys do not."""
        return keys.published(self.product_key) is None

    def has_key(self, product: Product | None) -> bool:
        """Return True if the product has the key. Windows reports only the last five characters."""
        return product is not None and product.partial_product_key == keys.partial(self.product_key)

    def is_activated(self, product: Product | None) -> bool:
        """Return True if the product is activated through the right channel."""
        return product is not None and product.licensed and self.channel in (None, product.channel)

    def is_reached(self, product: Product | None) -> bool:
        """Return True if no step is left."""
        return self.has_key(product) and (not self.activate or self.is_activated(product))


@dataclass
class LicensingSteps:
    """The steps to one goal on one machine, and their progress.

    Args:
        goal: the wanted state of the machine.
        where: the machine's name in errors.
        product: the installed product, as last read.
        changed: whether the machine was changed, or may have been.
    """

    goal: Goal
    where: str
    product: Product | None
    changed: bool = False

    def run(self, read_again: bool) -> Steps:
        """Install the key unless it is installed, and activate Windows unless it is activated.

        With `read_again`, another thread changed the machine after `product` was read. Never decide about a limited
        activation from an old read: another process can have activated the machine. So lock the machine first, and then
        read it again. An AVMA key is generic, and its activation costs nothing.

        Raises:
            AvmaError: the goal was not reached. `changed` is True if the machine was changed before the error.
        """
        wanted = keys.partial(self.goal.product_key)
        if read_again:
            yield from self._read(wanted)
        if self.goal.channel is not LicenseChannel.AVMA and not self.goal.is_reached(self.product):
            if self.goal.is_limited:
                yield LockMachine()
            yield from self._read(wanted)
        if not self.goal.has_key(self.product):
            yield from self._install()
            if self.goal.channel is LicenseChannel.AVMA:
                yield from self._await_automatic_activation()
        if self.goal.activate and not self.goal.is_activated(self.product):
            yield from self._activate()

    def _read(self, partial_product_key: str | None = None) -> Steps:
        if partial_product_key is None:
            partial_product_key = self.product.partial_product_key if self.product else ""
        self.product = yield ReadProduct(partial_product_key)

    def _read_unless(self, seen: Product | None, partial_product_key: str | None = None) -> Steps:
        """Read the product, unless the change before it returned it."""
        if seen is None:
            yield from self._read(partial_product_key)
        else:
            self.product = seen

    def _install(self) -> Steps:
        wanted = keys.partial(self.goal.product_key)
        lost: errors.AvmaError | None = None
        seen: Product | None = None
        try:
            seen = yield InstallKey(keys.normalize(self.goal.product_key))
        except errors.AvmaError as error:
            if not retry.may_have_run(error):
                raise
            lost = error
        self.changed = True
        with retry.proof(_INSTALL, "the provider sent the key", lost):
            yield from self._read_unless(seen, wanted)
        # A fault is an answer. So the key that Windows now reports decides whether the machine was changed.
        if isinstance(lost, errors.WsmanFault):
            self.changed = self.goal.has_key(self.product)
        if not self.goal.has_key(self.product) and lost is None:
            with retry.proof(_INSTALL, "the provider sent the key"):
                yield RefreshStatus()
                yield from self._read(wanted)
        if not self.goal.has_key(self.product):
            raise lost or self._not_installed()

    def _await_automatic_activation(self) -> Steps:
        for pause in AUTOMATIC_PAUSES:
            if self.goal.is_activated(self.product):
                return
            yield Wait(pause)
            yield from self._read()

    def _activate(self) -> Steps:
        """Request the activation, then read until Windows is activated.

        The request is repeated only if Windows reports that it did not start the activation.
        """
        trouble = yield from self._request_activation()
        waited = 0.0
        for pause in _pauses():
            if self.goal.is_activated(self.product):
                return
            if _is_final(trouble) or waited > PATIENCE:
                raise trouble or self._not_activated()
            yield from self._wait_after(trouble, pause)
            waited += pause
            if trouble is not None and retry.did_not_begin(trouble) and not self.goal.is_activated(self.product):
                trouble, waited = (yield from self._request_again(trouble)), 0.0

    def _request_again(self, refusal: errors.AvmaError) -> Generator[Step, Product | None, errors.AvmaError | None]:
        """Request the activation after a refusal, which every error quotes."""
        try:
            return (yield from self._request_activation())
        except errors.AvmaError as end:
            raise retry.quoting(refusal, end) from end

    def _wait_after(self, trouble: errors.AvmaError | None, pause: float) -> Steps:
        try:
            yield Wait(pause)
            yield from self._read()
        except errors.TimedOut as end:
            raise retry.quoting(trouble or self._not_activated(), end) from end
        except errors.AvmaError as end:
            raise retry.unproven(_ACTIVATE, _REQUESTED, trouble, end) from end

    def _request_activation(self) -> Generator[Step, Product | None, errors.AvmaError | None]:
        """Activate and read again. Return the error of the request, None if Windows accepted it."""
        if self.product is None:
            remedy = f"set {setting('product_key')}"
            raise errors.Refused(_ACTIVATE, self.where, "no product key is installed", remedy)
        if self.goal.by_phone:
            yield ReadInstallationId(self.product)
        trouble: errors.AvmaError | None = None
        seen: Product | None = None
        try:
            seen = yield Activate(self.product)
            self.changed = True
        except (errors.WsmanFault, errors.ServiceBusy, errors.AnswerLost, errors.UnexpectedAnswer) as error:
            trouble = error
            self.changed = self.changed or retry.may_have_run(error)
        try:
            yield from self._read_unless(seen)
        except errors.AvmaError as end:
            raise retry.unproven(_ACTIVATE, _REQUESTED, trouble, end) from end
        return trouble

    def _not_activated(self) -> errors.AvmaError:
        answer = f"Windows accepted the activation, but {reason_text(self.product)}"
        return errors.UnexpectedAnswer(_ACTIVATE, self.where, answer, f"{EVENT_LOG}, then {RUN_AGAIN}")

    def _not_installed(self) -> errors.AvmaError:
        shown = keys.masked(self.goal.product_key)
        answer = f"Windows accepted the key {shown}, but does not report it as installed"
        return errors.UnexpectedAnswer(_INSTALL, self.where, answer, EVENT_LOG)


def _is_final(trouble: errors.AvmaError | None) -> bool:
    """Return True if Windows rejected the activation. A lost answer or a busy service is not a rejection."""
    return isinstance(trouble, errors.WsmanFault) and not retry.did_not_begin(trouble)


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE)
