"""The package schema, generated from the declarations of the core.

The committed file `schema.json` is the public contract and the source of the SDKs.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from avma.configuration import Configuration
from avma.functions import Function
from avma.properties import Choice, Property, properties
from avma.resources.resource import Resource
from avma.settings import AddressedSettings
from avma.wording import camel_case
from pulumi_resource_avma import GO_MODULE, PACKAGE
from pulumi_resource_avma.names import external
from pulumi_resource_avma.wording import PULUMI

Schema = dict[str, Any]

_NAMES = {AddressedSettings: "Connection"}
_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string"}

_PACKAGE_FACTS: Schema = {
    "name": PACKAGE,
    "displayName": "AVMA",
    "description": "Windows Automatic Virtual Machine Activation: license Hyper-V hosts and activate their guests.",
    "keywords": ["pulumi", PACKAGE, "windows", "hyper-v", "category/infrastructure", "kind/native"],
    "license": "Apache-2.0",
    "language": {
        "csharp": {
            "rootNamespace": "PulumiAvma",
            "respectSchemaVersion": True,
            "packageReferences": {"Pulumi": "3.*"},
        },
        "go": {
            "importBasePath": f"{GO_MODULE}/{PACKAGE}",
            "modulePath": GO_MODULE,
            "respectSchemaVersion": True,
            "generateResourceContainerTypes": True,
        },
        "nodejs": {"packageName": "@pulumi-avma/avma", "respectSchemaVersion": True},
        "python": {
            "packageName": "pulumi_avma",
            "pyproject": {"enabled": True},
            "respectSchemaVersion": True,
        },
    },
}


def generate(resources: Iterable[Resource], functions: Iterable[Function], examples: Mapping[str, str]) -> Schema:
    """Return the schema of a package with these resources and functions, without version.

    `examples` maps the name of a resource or function to the example section of its description.
    """
    types: dict[str, Schema] = {}
    functions = tuple(functions)
    listing = {function.lists: function for function in functions}
    return {
        **_PACKAGE_FACTS,
        "config": _configuration(types),
        "provider": _provider(types),
        "resources": {
            _token(each.name): {**_resource(each, examples, types), **_listing(listing.get(each.name), types)}
            for each in resources
        },
        "functions": {_token(camel_case(each.name)): _function(each, examples, types) for each in functions},
        "types": dict(sorted(types.items())),
    }


def documentation(prop: Property) -> str:
    """Return the description, followed by the unit, default, environment variables and example, if they exist."""
    default = f"`{_written(prop, prop.default)}`" if prop.default is not None else prop.rule.unset
    facts = {
        "Unit": prop.rule.unit,
        "Default": default,
        "Environment": ", ".join(f"`{name}`" for name in prop.rule.environment),
        "Example": f"`{_written(prop, prop.example)}`" if prop.example is not None else "",
    }
    return PULUMI.render(
        " ".join([prop.rule.description, *(f"{name}: {fact}." for name, fact in facts.items() if fact)])
    )


def _written(prop: Property, value: Any) -> str:
    """Return a value as in a program."""
    plain = external(value, prop.record) if prop.record is not None else value
    return str(plain.value if isinstance(plain, Choice) else plain) if isinstance(plain, str) else json.dumps(plain)


def text(schema: Mapping[str, Any]) -> str:
    """Return the schema in its committed form."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _configuration(types: dict[str, Schema]) -> Schema:
    return {"variables": _provider_properties(types), **_required("defaults", Configuration)}


def _provider(types: dict[str, Schema]) -> Schema:
    return {
        "description": "The avma provider, with the default connection settings for all resources.",
        "inputProperties": _provider_properties(types),
        **_required("requiredInputs", Configuration),
    }


def _provider_properties(types: dict[str, Schema]) -> Schema:
    """Return the configuration properties.

    Defaults and environment variables appear only in descriptions. In the SDKs they would become inputs in the state.
    """
    described = {camel_case(prop.name): _property(prop, types) for prop in properties(Configuration)}
    return {name: _without("default", entry) for name, entry in described.items()}


def _resource(resource: Resource, examples: Mapping[str, str], types: dict[str, Schema]) -> Schema:
    inputs = _properties(resource.inputs, types)
    return {
        "description": "\n\n".join([PULUMI.render(resource.description), examples[resource.name], *_imports(resource)]),
        "properties": {
            **{name: _as_output(entry) for name, entry in inputs.items()},
            **_properties(resource.outputs, types),
        },
        **_required("required", resource.inputs, resource.outputs),
        "inputProperties": inputs,
        **_required("requiredInputs", resource.inputs),
    }


def _imports(resource: Resource) -> Iterator[str]:
    yield "## Import"
    for way in resource.imports:
        yield f"By {way.by}:"
        yield f"```sh\npulumi import {_token(resource.name)} {way.name} {way.identifier}\n```"


def _function(function: Function, examples: Mapping[str, str], types: dict[str, Schema]) -> Schema:
    return {
        "description": f"{PULUMI.render(function.description)}\n\n{examples[camel_case(function.name)]}",
        "inputs": {"properties": _properties(function.inputs, types), **_required("required", function.inputs)},
        "outputs": {"properties": _properties(function.outputs, types), **_required("required", function.outputs)},
    }


def _listing(function: Function | None, types: dict[str, Schema]) -> Schema:
    """Return the query of `pulumi do … list`. It is the input of the function that finds the resources."""
    if function is None:
        return {}
    query = {"properties": _properties(function.inputs, types), **_required("required", function.inputs)}
    return {"listInputs": query}


def _as_output(entry: Schema) -> Schema:
    """Return an input's schema without the parts that do not apply to an output."""
    return _without("default", _without("willReplaceOnChanges", entry))


def _without(name: str, entry: Schema) -> Schema:
    return {other: value for other, value in entry.items() if other != name}


def _properties(record: type, types: dict[str, Schema]) -> Schema:
    return {camel_case(prop.name): _property(prop, types) for prop in properties(record)}


def _required(key: str, *records: type) -> Schema:
    """Return the required properties. The format does not allow an empty list."""
    names = sorted({camel_case(prop.name) for record in records for prop in properties(record) if prop.required})
    return {key: names} if names else {}


def _property(prop: Property, types: dict[str, Schema]) -> Schema:
    entry = {**_type(prop.type, types), "description": documentation(prop)}
    if prop.default is not None:
        entry["default"] = prop.default.value if isinstance(prop.default, Choice) else prop.default
    if prop.rule.secret:
        entry["secret"] = True
    if prop.rule.replaces:
        entry["willReplaceOnChanges"] = True
    return entry


def _type(wanted: Any, types: dict[str, Schema]) -> Schema:
    if wanted in _PLAIN:
        return {"type": _PLAIN[wanted]}
    if typing.get_origin(wanted) in (list, tuple):
        return {"type": "array", "items": _type(typing.get_args(wanted)[0], types)}
    if typing.get_origin(wanted) is dict:
        return {"type": "object", "additionalProperties": _type(typing.get_args(wanted)[1], types)}
    token = _token(_NAMES.get(wanted, wanted.__name__))
    if token not in types:
        types[token] = _enum(wanted) if issubclass(wanted, Choice) else _object(wanted, types)
    return {"$ref": f"#/types/{token}"}


def _object(record: type, types: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "description": inspect.getdoc(record),
        "properties": _properties(record, types),
        **_required("required", record),
    }


def _enum(choice: type[Choice]) -> Schema:
    members = [{"value": member.value, "description": PULUMI.render(member.description)} for member in choice]
    return {"type": "string", "description": inspect.getdoc(choice), "enum": members}


def _token(name: str) -> str:
    return f"{PACKAGE}:index:{name}"
