"""Reads hosts, clusters and their connections from a stack export (`pulumi stack export`).

Source of the format: sdk/go/common/apitype/deployments.go of pulumi/pulumi, `DeploymentV3`. The module never reads a
secret, encrypted or not. A secret is an object with Pulumi's signature. Values with such an object are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from avma.configuration import Configuration, GuestDefaults
from avma.environment import text_value
from avma.properties import properties
from avma.settings import AddressedSettings
from avma.wording import camel_case

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key in objects that are not plain values: secrets, assets, references."""
_PROVIDER = "pulumi:providers:avma"
_HOST, _CLUSTER, _VM = "avma:index:HostLicense", "avma:index:ClusterLicense", "avma:index:VmActivation"
_GUESTS = "avma:index:ClusterActivation"


def estate(export: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings, hosts and clusters of an export, in the form of a host list: with external names."""
    deployment = export.get("deployment")
    found = deployment.get("resources") if isinstance(deployment, Mapping) else None
    resources = [each for each in found or [] if isinstance(each, Mapping) and not each.get("delete")]
    clusters = {each["cluster"].lower(): each for each in _clusters(resources)}
    hosts: dict[str, dict[str, Any]] = {}
    for host in _hosts(resources):
        hosts.setdefault(host["host"].lower(), host)
    return {
        "settings": _settings(_of(resources, _PROVIDER)),
        "hosts": list(hosts.values()),
        "clusters": list(clusters.values()),
    }


def _of(resources: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    return (each for each in resources if each.get("type") == kind)


def _inputs(resource: Mapping[str, Any]) -> dict[str, Any]:
    plain = _plain(resource.get("inputs", {}))
    return plain if isinstance(plain, dict) else {}


def _clusters(resources: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every cluster named by a resource. Those with a license resource come last."""
    for kind in (_GUESTS, _CLUSTER):
        for resource in _of(resources, kind):
            inputs = _inputs(resource)
            if isinstance(inputs.get("cluster"), str):
                yield _entry("cluster", inputs["cluster"], inputs, resource if kind == _CLUSTER else {})


def _hosts(resources: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every host named by a resource. Hosts with their own license resource come first."""
    for resource in _of(resources, _HOST):
        inputs = _inputs(resource)
        if isinstance(inputs.get("host"), str):
            yield _entry("host", inputs["host"], inputs, resource)
    for kind, name in ((_CLUSTER, "nodes"), (_GUESTS, "hosts"), (_VM, "hosts"), (_VM, "host")):
        for resource in _of(resources, kind):
            inputs = _inputs(resource)
            names = inputs.get(name, [])
            since = resource if kind == _CLUSTER else {}
            for host in [names] if isinstance(names, str) else names:
                yield _entry("host", host, inputs, since)


def _entry(key: str, name: str, inputs: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {key: name}
    connection = _declared(AddressedSettings, inputs.get("connection"))
    if connection:
        entry["connection"] = connection
    if isinstance(resource.get("created"), str):
        entry["recordedSince"] = resource["created"]
    return entry


def _settings(providers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of the provider. With several providers, the first counts, usually the default provider."""
    inputs = next((_inputs(provider) for provider in providers), {})
    found = _declared(Configuration, inputs)
    guest = _declared(GuestDefaults, found.pop("guest", None))
    return {**found, "guest": guest} if guest else found


def _declared(record: type, values: Any) -> dict[str, Any]:
    """Return the declared values. In the inputs of a provider they are text, and objects are JSON."""
    if isinstance(values, str):
        try:
            values = _plain(json.loads(values))
        except ValueError:
            return {}
    if not isinstance(values, Mapping):
        return {}
    known = {camel_case(prop.name): prop for prop in properties(record) if not prop.rule.secret}
    return {
        name: text_value(known[name], value) if isinstance(value, str) and known[name].record is None else value
        for name, value in values.items()
        if name in known
    }


def _plain(value: Any) -> Any:
    """Return a value without the parts that are not plain values."""
    if isinstance(value, Mapping):
        kept = {name: _plain(each) for name, each in value.items() if not _marked(each)}
        return {} if _SIGNATURE in value else kept
    if isinstance(value, list):
        return [_plain(each) for each in value if not _marked(each)]
    return value


def _marked(value: Any) -> bool:
    return isinstance(value, Mapping) and _SIGNATURE in value
