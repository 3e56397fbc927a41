"""The texts and outputs of a ClusterActivation: its guests as outputs, warnings, errors, and the lines of a preview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avma import errors, topics
from avma.properties import Values, build
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    ClusterActivationOutputs,
    GuestActivation,
    UnreadGuests,
)
from avma.resources.cluster_activation.guest_listing import FoundGuest, Survey
from avma.resources.cluster_activation.guest_work import TRIED
from avma.resources.machine_license import license_outputs
from avma.resources.resource import Operation
from avma.windows.hyperv import to_running
from avma.windows.licensing import LicenseChannel
from avma.wording import APPLY, NEXT_RUN, REFRESH, RUN_AGAIN, capitalized

_UNDONE = "undo the activation of the guests"
_AWAY = (errors.Unreachable, errors.NotReady, errors.TimedOut)
"""The errors of a guest that cannot be asked now."""
_LICENSE = ("license_status", "license_channel", "partial_product_key", "activated_by_host")
_LATER = f"{REFRESH} and {APPLY}"
"""An imperative for a guest that is no error. Only a refresh finds out that the guest can be activated now."""
_MOST = 10
"""Maximum of names in one line."""


def outputs_of(survey: Survey, operation: Operation) -> ClusterActivationOutputs:
    """Return the outputs for the guests of a survey, after what the operation did to them."""
    found = [_activation(guest, operation) for guest in survey.guests]
    found += [_lost(each.known, operation.rendered(each.reason)) for each in survey.lost]
    found.sort(key=lambda each: (each.vm_name.lower(), each.vm_id))
    activated = sum(each.state is ActivationState.ACTIVATED for each in found)
    not_applicable = sum(each.state is ActivationState.NOT_APPLICABLE for each in found)
    return ClusterActivationOutputs(
        guest_activations=found,
        activated=activated,
        not_activated=len(found) - activated - not_applicable,
        not_applicable=not_applicable,
        named_guests=list(survey.names.meant.values()) or None,
    )


def _activation(guest: FoundGuest, operation: Operation) -> GuestActivation:
    known, system = guest.known, guest.system
    about_vm = {
        "vm_name": guest.vm.name,
        "vm_id": guest.vm.id,
        "host": guest.host_name,
        "state": guest.state,
        "reason": operation.rendered(guest.reason) or None,
        "managed": _is_managed(guest),
        "guest_version": system.version if system else known.get("guest_version"),
        "guest_edition": system.edition if system else known.get("guest_edition"),
    }
    return build(GuestActivation, {**_license(guest), **about_vm})


def _is_managed(guest: FoundGuest) -> bool:
    """Return True if this resource has activated the guest. Somebody may have replaced its key since."""
    replaced = guest.read is not None and (guest.product is None or guest.product.channel is not LicenseChannel.AVMA)
    return guest.changed or (bool(guest.known.get("managed")) and not replaced)


def _license(guest: FoundGuest) -> dict[str, Any]:
    """Return the license as read now, or else the stored one."""
    product = guest.product
    if guest.read is None:
        return {name: guest.known.get(name) for name in _LICENSE}
    return {**license_outputs(product), "activated_by_host": (product.activated_by_host or None) if product else None}


def _lost(known: Mapping[str, object], reason: str) -> GuestActivation:
    return build(GuestActivation, {**known, "state": ActivationState.UNREACHABLE, "reason": reason})


def tell(survey: Survey, inputs: ClusterActivationInputs, operation: Operation, *, of_all: bool = False) -> None:
    """Warn about hosts and guests without an answer, if the user wants that.

    With `of_all`, also warn if the user wants errors instead. A refresh has no other way to show them.
    """
    warned = (UnreadGuests.WARN, UnreadGuests.FAIL) if of_all else (UnreadGuests.WARN,)
    for node in survey.failed_hosts:
        if node.error is not None and inputs.unreachable_guests in warned:
            operation.warn_of(node.name, node.error, "Its guests are unknown.")
    stopped = in_state(survey, ActivationState.STOPPED) if inputs.stopped_guests in warned else []
    if stopped:
        remedy = errors.sentences(f"start {'it' if len(stopped) == 1 else 'them'}, then {_LATER}")
        operation.warn(f"{_count(stopped, 'VM')} not running, so not activated: {names_of(stopped)}. {remedy}")
    unread = in_state(survey, ActivationState.UNREACHABLE) if inputs.unreachable_guests in warned else []
    # In a refresh, the others with an error are those that the provider does not connect to.
    refused = in_state(survey, ActivationState.NOT_ACTIVATED) if of_all else []
    for each in _failures_of([*unread, *refused]):
        error = each.errors[0]
        remedy = errors.sentences(_later(error.remedy))
        text = f"{each.names}: {error.answer.removesuffix('.')}. {remedy}"
        operation.warn(topics.explained(text, error.topic))


def _later(remedy: str) -> str:
    return remedy.replace(RUN_AGAIN, _LATER) if RUN_AGAIN in remedy else f"{remedy}; then {_LATER}"


def tell_gone(own: Iterable[Values], survey: Survey, operation: Operation) -> None:
    """Warn about stored guests without a VM. A deletion cannot undo them."""
    listed = {guest.vm.id for guest in survey.guests} | {each.known.get("vm_id") for each in survey.lost}
    for guest in own:
        if guest.get("vm_id") not in listed:
            name = guest.get("vm_name")
            operation.warn(f"{name}: the VM is no longer on its hosts, so the provider changed nothing")


def tell_kept(guests: Sequence[Values], operation: Operation) -> None:
    """Warn about stored guests with AVMA keys that a deletion leaves."""
    if guests:
        names = _listed([str(guest.get("vm_name")) for guest in guests])
        operation.warn(
            "Guests keep their AVMA keys, because they were activated before this resource, or by a run whose state "
            f"was lost: {names}. To remove the key of a guest, run `slmgr /upk` in it"
        )


def in_state(survey: Survey, state: ActivationState) -> list[FoundGuest]:
    """Return the guests in a state."""
    return [guest for guest in survey.guests if guest.state is state]


def _count(guests: Sequence[FoundGuest], noun: str) -> str:
    return f"1 {noun} is" if len(guests) == 1 else f"{len(guests)} {noun}s are"


def names_of(guests: Sequence[FoundGuest]) -> str:
    """Return the names of guests, at most ten of them."""
    return _listed([guest.vm.name for guest in guests])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _by_reason(guests: Iterable[FoundGuest]) -> list[list[FoundGuest]]:
    """Group guests that failed for the same reason."""
    failed = [(guest, guest.error) for guest in guests if guest.error is not None]
    answers = Counter(error.answer for _, error in failed)
    groups: dict[tuple[str, str, str], list[FoundGuest]] = {}
    for guest, error in failed:
        answer = error.answer if answers[error.answer] > 1 else _neutral(error.answer, guest)
        groups.setdefault((type(error).__name__, answer, _neutral(error.remedy, guest)), []).append(guest)
    return list(groups.values())


def _neutral(text: str, guest: FoundGuest) -> str:
    """Return a text without the name and the id of its guest, to compare it with that of another guest."""
    return text.replace(guest.vm.id, "").replace(guest.vm.name, "")


@dataclass(frozen=True)
class _Failure:
    """Some guests, or a host, that failed for the same reason."""

    names: str
    errors: Sequence[errors.AvmaError]


def _failures_of(guests: Iterable[FoundGuest]) -> list[_Failure]:
    groups = _by_reason(guests)
    return [_Failure(names_of(group), [each.error for each in group if each.error is not None]) for group in groups]


def _stopped(guests: Iterable[FoundGuest], tried: str) -> list[_Failure]:
    found = []
    for guest in guests:
        remedy = f"{to_running(guest.vm.state, guest.vm.id)}, then {RUN_AGAIN}"
        found.append(_Failure(guest.vm.name, [errors.NotReady(tried, guest.placement.where, guest.reason, remedy)]))
    return found


def _hosts(survey: Survey) -> list[_Failure]:
    return [_Failure(node.name, [node.error]) for node in survey.failed_hosts if node.error is not None]


def failure_of(survey: Survey, inputs: ClusterActivationInputs, where: str, *, ended: bool) -> errors.AvmaError | None:
    """Return the error for all guests that failed, None without one.

    If the operation has `ended` before its guests were done, no unread guest is only a warning.
    """
    found = _failures_of(in_state(survey, ActivationState.NOT_ACTIVATED))
    if inputs.stopped_guests is UnreadGuests.FAIL:
        found += _stopped(in_state(survey, ActivationState.STOPPED), TRIED)
    if ended or inputs.unreachable_guests is UnreadGuests.FAIL:
        found += _failures_of(in_state(survey, ActivationState.UNREACHABLE)) + _hosts(survey)
    return _together(found, TRIED, where)


def undo_failure(
    survey: Survey, inputs: ClusterActivationInputs, where: str, operation: Operation
) -> errors.AvmaError | None:
    """Return the error for all guests with their keys after a deletion. Warn about those that the user ignores."""
    unread = _stopped((guest for guest in survey.guests if not guest.vm.running), _UNDONE)
    away = [guest for guest in survey.guests if isinstance(guest.error, _AWAY) and not guest.error.in_doubt]
    hosts = _hosts(survey) if survey.lost else []
    ignored: list[_Failure] = []
    found = _failures_of(guest for guest in survey.guests if guest.error is not None and guest not in away)
    gone = _failures_of(away) + hosts
    ignores = inputs.unreachable_guests is UnreadGuests.IGNORE or operation.configuration.delete_unreachable
    (ignored if ignores else found).extend(gone)
    (ignored if inputs.stopped_guests is UnreadGuests.IGNORE else found).extend(unread)
    for each in ignored:
        operation.warn(f"{each.names}: keeps its key: {each.errors[0].answer}")
    return _together(found, _UNDONE, where)


def _together(found: Sequence[_Failure], tried: str, where: str) -> errors.AvmaError | None:
    """Return one error for all failures. The error of a single guest stays as it is."""
    causes = [error for each in found for error in each.errors]
    if len(causes) < 2:
        return causes[0] if causes else None
    answer = "; ".join(f"{each.names}: {each.errors[0].answer}" for each in found)
    remedy = "; ".join(f"for {each.names}: {each.errors[0].remedy}" for each in found)
    if len({each.errors[0].remedy for each in found}) == 1:
        remedy = causes[0].remedy
    return errors.GuestsFailed(tried, where, f"{len(causes)} guests failed: {answer}", remedy, causes)


def foretell(
    survey: Survey, coming: Sequence[FoundGuest], prepared: Sequence[FoundGuest], operation: Operation
) -> None:
    """Show in a preview which guests the next run is going to activate, and why it leaves the others alone.

    `prepared` are the guests whose Data Exchange it turns on first.
    """
    for guest in prepared:
        operation.inform(f"{guest.vm.name}: {NEXT_RUN} will turn on its Data Exchange, and then read the guest")
    for guest in coming:
        read = guest.read
        system = read.licensing.system if read else guest.system
        operation.inform(
            f"{guest.vm.name}: {NEXT_RUN} will activate it ({system}, on {guest.host_name}): {guest.reason}"
        )
    for guest in in_state(survey, ActivationState.NOT_APPLICABLE):
        operation.inform(f"{guest.vm.name}: stays as it is: {guest.reason}")
    activated = in_state(survey, ActivationState.ACTIVATED)
    operation.inform(
        f"{capitalized(NEXT_RUN)} will activate {len(coming)} of {len(survey.guests)} guests. {len(activated)} are "
        "activated already"
    )
