"""The checks between the fields of an estate: well-formed values that contradict each other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from avma import keys
from avma_simulator.estate_file import azure_local
from avma_simulator.estate_file.yaml_source import dotted
from avma_simulator.fields import Location
from avma_simulator.state import keys as product_keys
from avma_simulator.state import session_configurations
from avma_simulator.state.domains import Domains, split
from avma_simulator.state.windows import AZURE_LOCAL, EDITIONS, LOCAL_VERSIONS, SEMI_ANNUAL, Windows

if TYPE_CHECKING:
    from avma_simulator.estate import Estate, Host, Listening, Vm

Finding = tuple[Location, str]
_UNKNOWN = "is neither in `keys` nor a published key"


def mistakes(estate: Estate) -> list[Finding]:
    """Return every contradiction with its location."""
    found: list[Finding] = []
    for location, machine in estate.machines():
        found += _editions(location, machine)
        found += _license(estate, location, machine)
        found += _leftover(estate, location, machine)
        found += azure_local.mistakes(_known(estate), location, machine)
        found += _pay_as_you_go(location, machine)
        found += _rights(location, machine)
        found += _reachability(location, machine)
        found += _logons(location, machine)
    for index, key in enumerate(estate.keys):
        found += _edition((*("keys", index), "edition"), key.version, key.edition)
    found += Domains(estate).mistakes(estate)
    found += _clusters(estate)
    found += _replicas(estate)
    found += _repeated(_key_places(estate), "is declared twice")
    found += _repeated(_host_names(estate), "is the name of another host")
    found += _repeated(_cluster_names(estate), "is the name of a host or of another cluster")
    found += _repeated(_nodes(estate), "is already a node of a cluster")
    found += _repeated(_domain_names(estate), "is the name of another domain")
    found += _repeated(_vm_ids(estate), "is the id of another VM")
    found += _repeated(_ports(estate), "is used by another listener at this address")
    return found


def _editions(location: Location, machine: Host | Vm) -> Iterator[Finding]:
    yield from _edition((*location, "edition"), machine.version, machine.edition)
    semi_annual = machine.version in SEMI_ANNUAL and machine.edition != AZURE_LOCAL
    if machine.evaluation and (semi_annual or EDITIONS[machine.edition].evaluation_sku is None):
        named = f"Windows Server, version {machine.version}" if semi_annual else machine.edition
        yield (*location, "evaluation"), f"is not allowed: {named} has no evaluation edition"
    if semi_annual and "server_core" in machine.model_fields_set and not machine.server_core:
        yield (*location, "serverCore"), f"must be true for Windows Server, version {machine.version}"
    if machine.server_core and EDITIONS[machine.edition].core_sku is None:
        yield (*location, "serverCore"), f"is not allowed: {machine.edition} has no Server Core option"


def _edition(location: Location, version: str, edition: str) -> Iterator[Finding]:
    if version in EDITIONS[edition].versions:
        return
    if edition == AZURE_LOCAL or version in set(LOCAL_VERSIONS) - set(SEMI_ANNUAL):
        yield location, f"is not available: {edition} has no version {version}"
    else:
        yield location, f"is not available: Windows Server {version} has no edition {edition}"


def _license(estate: Estate, location: Location, machine: Host | Vm) -> Iterator[Finding]:
    declared = machine.license
    if declared is None or declared.key is None:
        return
    product_key = product_keys.of_estate(estate).get(declared.key)
    place = (*location, "license", "key")
    if product_key is None:
        yield place, _UNKNOWN
    elif machine.evaluation:
        yield place, "is not allowed: an evaluation edition accepts no key. Remove `license`"
    elif machine.edition != product_key.edition or not product_keys.fits(product_key, _windows(machine)):
        key = f"a key for Windows Server {product_key.version} {product_key.edition}"
        yield place, f"is {key}, but the machine runs {machine.version} {machine.edition}"


def _windows(machine: Host | Vm) -> Windows:
    return Windows(machine.version, machine.edition, machine.evaluation, machine.server_core)


def _known(estate: Estate) -> dict[str, tuple[str, str]]:
    """Return the version and edition of each existing key."""
    return {key: (known.version, known.edition) for key, known in product_keys.of_estate(estate).items()}


def _leftover(estate: Estate, location: Location, machine: Host | Vm) -> Iterator[Finding]:
    key = machine.leftover_key
    if machine.leftover_evaluation and (key is not None or machine.evaluation):
        other = "leftoverKey" if key is not None else "evaluation"
        yield (*location, "leftoverEvaluation"), f"cannot be combined with `{other}`"
    if machine.leftover_evaluation and EDITIONS[machine.edition].evaluation_sku is None:
        yield (*location, "leftoverEvaluation"), f"is not allowed: {machine.edition} has no evaluation edition"
    if key is None:
        return
    if key not in _known(estate):
        yield (*location, "leftoverKey"), _UNKNOWN
    elif machine.license is not None and machine.license.key == key:
        yield (*location, "leftoverKey"), "is the installed key. A leftover key must be a different one"


def _pay_as_you_go(location: Location, machine: Host | Vm) -> Iterator[Finding]:
    if not getattr(machine, "pay_as_you_go", False):
        return
    if machine.version != "2025":
        yield (*location, "payAsYouGo"), f"requires Windows Server 2025, but the machine runs {machine.version}"
    if machine.evaluation:
        yield (*location, "payAsYouGo"), "is not allowed: the machine runs an evaluation edition"
    if machine.license is not None:
        yield (*location, "payAsYouGo"), "cannot be combined with `license`"


def _rights(location: Location, machine: Host | Vm) -> Iterator[Finding]:
    if machine.groups is not None and "rights" in machine.model_fields_set:
        yield (*location, "groups"), "cannot be combined with `rights`"
    for number, file in enumerate(machine.session_configurations):
        try:
            session_configurations.load(file)
        except session_configurations.NotASessionConfiguration as error:
            yield (*location, "sessionConfigurations", number), f"is not a session configuration for JEA: {error}"


def _reachability(location: Location, machine: Host | Vm) -> Iterator[Finding]:
    if (machine.username is None) != (machine.password is None):
        missing = "password" if machine.password is None else "username"
        yield location, f"{missing} is missing: an account needs both username and password"
    if machine.username is None and (machine.http or machine.https):
        yield location, "a listener needs username and password"
    if not getattr(machine, "network", True) and (machine.http or machine.https):
        yield (*location, "network"), "must be true for a VM with listeners"


def _logons(location: Location, machine: Host | Vm) -> Iterator[Finding]:
    place, logons = (*location, "logons"), set(machine.logons)
    if machine.listeners and not logons - {"basic", "certificate"} and machine.https is None:
        yield place, f"{machine.logons[0]} needs https. Add an https listener, or another method, such as ntlm"
    if machine.username is not None and split(machine.username, machine.computer_name).domain:
        for logon in sorted(logons & {"basic", "certificate"}):
            yield place, f"{logon} accepts only local accounts, and this is a domain account"
    if "certificate" in logons and machine.client_certificate is None:
        yield place, "certificate needs `clientCertificate`, a PEM file of the certificate or its issuer"
    if "kerberos" in logons and find_spec("gssapi") is None:
        yield place, "kerberos needs more packages. Run: pip install 'pulumi-resource-avma[kerberos]'"
    elif "kerberos" in logons and machine.keytab is None and not os.environ.get("KRB5_KTNAME"):
        yield place, "kerberos needs a keytab file: set `keytab` or the environment variable KRB5_KTNAME"


def _clusters(estate: Estate) -> Iterator[Finding]:
    hosts = {host.name.lower() for host in estate.hosts}
    for location, name in _nodes(estate):
        if name not in hosts:
            yield location, "is not the name of a host"


def _key_places(estate: Estate) -> Iterator[tuple[Location, object]]:
    for row in keys.AVMA_KEYS + keys.KMS_CLIENT_KEYS:
        yield ("the published keys",), row.key
    for index, key in enumerate(estate.keys):
        yield ("keys", index, "key"), key.key


def _host_names(estate: Estate) -> Iterator[tuple[Location, object]]:
    for index, host in enumerate(estate.hosts):
        yield ("hosts", index, "name"), host.name.lower()


def _cluster_names(estate: Estate) -> Iterator[tuple[Location, object]]:
    yield from {name: (location, name) for location, name in _host_names(estate)}.values()
    for index, cluster in enumerate(estate.clusters):
        yield ("clusters", index, "name"), cluster.name.lower()


def _domain_names(estate: Estate) -> Iterator[tuple[Location, object]]:
    for index, domain in enumerate(estate.domains):
        yield ("domains", index, "name"), domain.name.lower()


def _nodes(estate: Estate) -> Iterator[tuple[Location, object]]:
    for index, cluster in enumerate(estate.clusters):
        for number, name in enumerate(cluster.nodes):
            yield ("clusters", index, "nodes", number), name.lower()


def _vm_ids(estate: Estate) -> Iterator[tuple[Location, object]]:
    for location, machine in estate.machines():
        for number in range(len(machine.vms)):
            yield (*location, "vms", number, "id"), machine.vm_id(number)


def _replicas(estate: Estate) -> Iterator[Finding]:
    hosts = {host.name.lower() for host in estate.hosts}
    for location, machine in estate.machines():
        replica = getattr(machine, "replica", None)
        if replica is None:
            continue
        own = estate.hosts[int(location[1])].name.lower()
        if replica.lower() not in hosts - {own}:
            yield (*location, "replica"), "is not the name of another host"


def _ports(estate: Estate) -> Iterator[tuple[Location, object]]:
    if estate.control.port:
        yield ("control", "port"), (estate.control.address, estate.control.port)
    clusters: list[tuple[Location, Listening]] = [(("clusters", i), one) for i, one in enumerate(estate.clusters)]
    for location, owner in [*estate.machines(), *clusters]:
        for scheme in ("http", "https"):
            listener = getattr(owner, scheme)
            if listener is not None and listener.port:
                yield (*location, scheme, "port"), (owner.address, listener.port)


def _repeated(places: Iterator[tuple[Location, object]], text: str) -> Iterator[Finding]:
    seen: dict[object, list[Location]] = defaultdict(list)
    for location, value in places:
        seen[value].append(location)
    for first, *others in seen.values():
        for location in others:
            yield location, f"{text} (see {dotted(first)})"
