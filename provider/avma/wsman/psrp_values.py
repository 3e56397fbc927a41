"""Conversion between PowerShell values and types of pypsrp: parameters, output, error records and texts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, cast

from pypsrp import serializer
from pypsrp.complex_objects import PSCredential, PSInvocationState
from pypsrp.powershell import PowerShell
from pypsrp.serializer import TaggedValue

from avma.wsman import clixml
from avma.wsman.script import Credential, ErrorRecord, Output, Secret

_LARGEST_INT = 1 << 31


class Serializer(serializer.Serializer):
    """pypsrp's CLIXML, extended to unpaired surrogates, because Windows allows them in any string."""

    def deserialize(self, element: ET.Element | str, *arguments: Any, **keywords: Any) -> Any:
        """Return the value of an element. Called by pypsrp.

        Raises:
            ValueError: it declares a document type. PowerShell never writes one, and it can require much memory.
        """
        if isinstance(element, str) and "<!DOCTYPE" in element:
            raise ValueError("a document type in a message of PowerShell")
        return super().deserialize(element, *arguments, **keywords)

    def _serialize_string(self, value: str | None) -> str | None:
        return None if value is None else clixml.encoded(str(value))

    def _deserialize_string(self, value: str | None) -> str:
        return clixml.decoded(value or "")


class _Uncopied(TaggedValue):
    """A list that stays the same object. pypsrp copies each command with all of its parameters, and changes none."""

    def __deepcopy__(self, _: object) -> _Uncopied:
        return self


def tagged(value: Any) -> Any:
    """Return a parameter for pypsrp, so that PowerShell receives the intended type."""
    if isinstance(value, Secret):
        return TaggedValue("SS", value.text)
    if isinstance(value, Credential):
        return cast(Any, PSCredential)(username=value.username, password=value.password)
    if isinstance(value, Mapping):
        return {str(name): tagged(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return _Uncopied("LST", [tagged(item) for item in value])
    if isinstance(value, float):
        return TaggedValue("Db", value)
    if isinstance(value, int) and not isinstance(value, bool) and not -_LARGEST_INT <= value < _LARGEST_INT:
        return TaggedValue("I64", value)
    return value


def output_of(pipeline: PowerShell) -> Output:
    """Return the output of a pipeline."""
    records = tuple(record_of(record) for record in pipeline.streams.error)
    objects = tuple(_plain(value) for value in pipeline.output)
    return Output(objects, records, pipeline.state == PSInvocationState.COMPLETED)


def record_of(record: Any) -> ErrorRecord:
    """Return an error record of pypsrp as an `ErrorRecord`. Any part of it can be missing."""
    exception = getattr(record, "exception", None)
    properties = {**getattr(exception, "adapted_properties", {}), **getattr(exception, "extended_properties", {})}
    texts = (properties.get("Message"), getattr(record, "details_message", None), getattr(record, "to_string", None))
    message = next((text for text in texts if isinstance(text, str) and text.strip()), "PowerShell reported no text")
    return ErrorRecord(str(getattr(record, "fq_error", None) or ""), message)


def _plain(value: Any) -> Any:
    """Return an output value. If it is neither text nor a number, return the text that PowerShell shows for it."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    shown, types = getattr(value, "to_string", None), getattr(value, "types", None)
    return shown or (f"an object of the type {types[0]}" if types else "an object")
