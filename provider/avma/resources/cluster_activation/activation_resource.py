"""ClusterActivation: every Windows Server guest on the nodes of a cluster, or on some hosts, is activated.

A guest is activated like that of a VmActivation. This module contains the rules for all guests together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from avma import errors, keys
from avma.properties import InvalidProperty, Values, build, known, validate
from avma.resources.claims import Claim
from avma.resources.cluster_activation import activation_changes, guest_report
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    ClusterActivationOutputs,
    identifier_of,
    imported_inputs,
    wanted_key,
)
from avma.resources.cluster_activation.guest_listing import Survey, find_guests
from avma.resources.cluster_activation.guest_names import GuestNames
from avma.resources.cluster_activation.guest_reading import is_to_be_read, read_guests
from avma.resources.cluster_activation.guest_selection import is_selected, require_ids, warn_of_strangers
from avma.resources.cluster_activation.guest_work import activate_guests, check_guests, guests_to_prepare, undo_guests
from avma.resources.resource import Change, Import, Operation, Resource, Result, Stored
from avma.resources.vm_activation.vm_properties import GuestOnDelete
from avma.windows.licensing import LicenseChannel
from avma.wording import NEXT_RUN, ONLY_FORGETS, capitalized, setting

_ACCOUNTS = ("guest", "guests")


class ClusterActivationResource(Resource):
    """The lifecycle of a ClusterActivation. Its identifier is the cluster, or its hosts, in lower case."""

    name = "ClusterActivation"
    description = (
        "Every Windows Server guest on the nodes of a failover cluster, or on the listed hosts, activated by its host "
        "(Automatic Virtual Machine Activation, AVMA). The provider finds the VMs itself. A VM that is created later "
        "is drift in a refresh, and the next update activates its guest. VMs can move between the hosts. The provider "
        "leaves guests alone that AVMA does not cover, and guests with another license. If a guest fails, the others "
        "are still activated, and the next update continues with it. Hundreds of guests need one listing and few "
        "script runs on each host."
    )
    imports = (
        Import("the name of the cluster or of one of its nodes", "cl01", "cl01.example.com"),
        Import("the hosts", "hosts", "hv01.example.com,hv02.example.com"),
        Import("a single host, with a comma at the end", "hv01", "hv01.example.com,"),
    )
    inputs = ClusterActivationInputs
    outputs = ClusterActivationOutputs
    timeout = 3600.0

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Resource.check`."""
        failures = validate(ClusterActivationInputs, values)
        given = [name for name in ("cluster", "hosts") if values.get(name) is not None]
        if not given:
            failures.append(InvalidProperty("cluster", f"is required unless you set {setting('hosts')}"))
        if len(given) == 2:
            failures.append(InvalidProperty("hosts", f"cannot be combined with {setting('cluster')}"))
        hosts, connection = values.get("hosts"), values.get("connection")
        several = isinstance(hosts, list) and len(hosts) > 1
        if several and isinstance(connection, Mapping) and connection.get("address"):
            reason = f"cannot be combined with several {setting('hosts')}. The provider connects to them by their names"
            failures.append(InvalidProperty("connection.address", reason))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return activation_changes.changes(stored, wanted)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """See `Resource.holdings`."""
        found, names = [], GuestNames.of(wanted.get("guests"), stored.outputs)
        include, exclude = (wanted.get(name) if known(wanted.get(name)) else None for name in ("include", "exclude"))
        for guest in stored.outputs.get("guest_activations") or []:
            vm_id, name = str(guest.get("vm_id") or ""), str(guest.get("vm_name") or "")
            if guest.get("state") == ActivationState.NOT_APPLICABLE.value:
                continue
            if not is_selected(include, exclude, vm_id, name):
                continue
            declared = names.declared_key(vm_id, name)
            key = wanted_key(declared, guest.get("guest_version"), guest.get("guest_edition"))
            partial = keys.partial(key) if isinstance(key, str) else None
            # The front end adds the resource.
            found.append(Claim(resource="", machine=vm_id, key=partial, installs=partial is not None, place=name))
        return found

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. If accounts of guests are not known yet, a preview reads only the hosts."""
        return known({name: value for name, value in wanted.items() if name not in _ACCOUNTS})

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`. It shows the guests to activate, and the reasons for the others."""
        return self._probe(wanted, None, operation)

    def probe_update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe_update`."""
        return self._probe(wanted, stored, operation)

    def _probe(self, wanted: Values, stored: Stored | None, operation: Operation) -> dict[str, Any]:
        accounts_known = all(known(wanted.get(name)) for name in _ACCOUNTS)
        inputs = build(ClusterActivationInputs, {name: value for name, value in wanted.items() if known(value)})
        survey = _find(inputs, stored, operation)
        if not accounts_known:
            unread = [guest for guest in survey.guests if is_to_be_read(guest)]
            operation.inform(
                f"{capitalized(NEXT_RUN)} will read {len(unread)} guests. Their accounts are not known yet: "
                f"{guest_report.names_of(unread)}"
            )
            return {}
        read_guests(survey.guests, inputs, operation)
        coming = check_guests(survey.guests, inputs, operation)
        guest_report.tell(survey, inputs, operation)
        guest_report.foretell(survey, coming, guests_to_prepare(survey.guests, inputs, operation), operation)
        failure = guest_report.failure_of(survey, inputs, _place(inputs), ended=operation.deadline.is_over)
        if failure is None:
            return {}
        causes = failure.causes if isinstance(failure, errors.GuestsFailed) else (failure,)
        may_pass = all(isinstance(cause, errors.PASSING) for cause in causes)
        if not (coming or may_pass):
            raise failure
        verb = "may" if may_pass else "will"
        operation.warn(f"{capitalized(NEXT_RUN)} {verb} fail for some guests: {failure.message}")
        return {}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`. It waits for guests while Windows setup may still be running in them."""
        return self._activate(wanted, None, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The steps to the wanted state do not depend on the previous inputs."""
        settled = self.settled(identifier, stored, wanted, operation)
        return settled or replace(self._activate(wanted, stored, operation), identifier=identifier)

    def _activate(self, wanted: Values, stored: Stored | None, operation: Operation) -> Result:
        inputs = build(ClusterActivationInputs, wanted)
        survey = _find(inputs, stored, operation)
        activate_guests(survey.guests, inputs, operation)
        guest_report.tell(survey, inputs, operation)
        result = _result(inputs, wanted, survey, operation)
        failure = guest_report.failure_of(survey, inputs, _place(inputs), ended=operation.deadline.is_over)
        if failure is None:
            return result
        outputs: ClusterActivationOutputs = result.outputs
        if not outputs.activated and not any(guest.changed for guest in survey.guests):
            raise failure
        raise errors.PartlyDone(result.identifier, result, failure)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A guest that cannot be read keeps its stored license."""
        wanted = stored.inputs if stored else imported_inputs(identifier)
        outputs = self.look(build(ClusterActivationInputs, wanted), stored, operation)
        return Result(identifier, wanted, outputs)

    def look(
        self, inputs: ClusterActivationInputs, stored: Stored | None, operation: Operation
    ) -> ClusterActivationOutputs:
        """Return the current state of the guests.

        Raises:
            TimedOut: the operation ended before all guests were read.
            AvmaError: the cluster could not be queried, or none of the hosts.
        """
        # A refresh must not fail because of a list. A function and an import have no state.
        survey = _find_stored(inputs, stored, operation) if stored else _find(inputs, None, operation)
        read_guests(survey.guests, inputs, operation)
        operation.deadline.check("read the guests", _place(inputs))
        guest_report.tell(survey, inputs, operation, of_all=True)
        return guest_report.outputs_of(survey, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. Only guests of this resource change (`managed`)."""
        inputs = build(ClusterActivationInputs, stored.inputs)
        activated = [guest for guest in _guests_in(stored) if _has_avma_key(guest)]
        own = [guest for guest in activated if guest.get("managed")]
        if inputs.on_delete is not GuestOnDelete.RETAIN:
            guest_report.tell_kept([guest for guest in activated if not guest.get("managed")], operation)
        if inputs.on_delete is GuestOnDelete.RETAIN or not own:
            operation.status(f"{identifier}: its guests keep their keys. {capitalized(ONLY_FORGETS)}")
            return
        # A VM that has another name now can be outside of the patterns.
        ids = {str(guest.get("vm_id")) for guest in own}
        survey = find_guests(inputs, own, GuestNames.of(inputs.guests, stored.outputs), operation, only=ids)
        guest_report.tell_gone(own, survey, operation)
        undo_guests(survey.guests, inputs.on_delete, operation)
        failure = guest_report.undo_failure(survey, inputs, _place(inputs), operation)
        if failure is not None:
            raise failure


def _place(inputs: ClusterActivationInputs) -> str:
    """Return the cluster as errors name it: its name, or its hosts."""
    return inputs.cluster or ", ".join(inputs.hosts or [])


def _has_avma_key(guest: Values) -> bool:
    """Return True if a stored guest has an AVMA key. Another key belongs to somebody else."""
    return bool(guest.get("license_channel") == LicenseChannel.AVMA.value)


def _guests_in(stored: Stored | None) -> list[Values]:
    return list(stored.outputs.get("guest_activations") or []) if stored else []


def _find(inputs: ClusterActivationInputs, stored: Stored | None, operation: Operation) -> Survey:
    """Find the guests, and check the lists of the user against the VMs of the hosts.

    Raises:
        NotFound: no VM has a declared id.
    """
    survey = _find_stored(inputs, stored, operation)
    if not survey.failed_hosts:
        require_ids(inputs, survey.vms, _place(inputs))
        warn_of_strangers(inputs, survey.vms, operation.warn)
        survey.names.warn_of_strangers(survey.vms, operation.warn)
    return survey


def _find_stored(inputs: ClusterActivationInputs, stored: Stored | None, operation: Operation) -> Survey:
    names = GuestNames.of(inputs.guests, stored.outputs if stored else {})
    return find_guests(inputs, _guests_in(stored), names, operation)


def _result(inputs: ClusterActivationInputs, wanted: Values, survey: Survey, operation: Operation) -> Result:
    identifier = identifier_of(inputs.cluster, inputs.hosts)
    return Result(identifier, wanted, guest_report.outputs_of(survey, operation))
