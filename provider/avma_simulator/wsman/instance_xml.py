"""CIM instances as XML: values, instances of a class, fragments of a column list, and endpoint references.

The forms are those of DSP0230, as Windows sends them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime

from avma_simulator.wmi.cim import CimClass, Instance, Value
from avma_simulator.wsman import wsman_faults
from avma_simulator.wsman.soap import ANONYMOUS, CIM_COMMON, NAMESPACES, XSI, Request
from avma_simulator.wsman.xmltree import element

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
DMTF = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
NAMESPACE_SELECTOR = "__cimnamespace"
_DMTF_NAMESPACE = "root/hardware"


def class_uri(cim_class: CimClass) -> str:
    """Return the resource URI of a class."""
    return f"{WMI}/{cim_class.namespace}/{cim_class.name}"


def class_path(request: Request) -> tuple[str, str]:
    """Return the namespace and the class of a request. The class is `*` if a query names it.

    A DMTF resource URI has no namespace, so a selector gives it (MS-WSMV 3.1.4.1.1).

    Raises:
        Fault: the resource URI is not one of WMI.
    """
    resource = request.resource
    if resource.lower().startswith(f"{DMTF}/"):
        chosen = (value for name, value in request.selectors.items() if name.lower() == NAMESPACE_SELECTOR)
        return next(chosen, _DMTF_NAMESPACE), resource[len(DMTF) + 1 :]
    if not resource.lower().startswith(f"{WMI}/"):
        raise wsman_faults.invalid_resource()
    namespace, _, name = resource[len(WMI) + 1 :].rpartition("/")
    return namespace, name


def instance(row: Instance) -> ET.Element:
    """Return a whole instance. Its properties are in the namespace of its class."""
    name = row.cim_class.name
    children = [
        child
        for prop, kind in row.cim_class.properties.items()
        for child in _property(f"p:{prop}", row.get(prop), kind, "cim:Datetime")
    ]
    return element(
        f"p:{name}",
        *children,
        xmlns__xsi=XSI,
        xmlns__p=class_uri(row.cim_class),
        xmlns__cim=CIM_COMMON,
        xsi__type=f"p:{name}_Type",
    )


def fragment(row: Instance, columns: tuple[str, ...]) -> ET.Element:
    """Return the columns of a query, without a class name or a namespace."""
    kinds = row.cim_class.properties
    # Recorded by txwinrm: a datetime has no namespace here. A whole instance has cim:Datetime.
    children = [child for name in columns for child in _property(name, row.get(name), kinds[name], "Datetime")]
    return element("w:XmlFragment", *children, xmlns__xsi=XSI, xmlns__cim=CIM_COMMON)


def reference(row: Instance) -> ET.Element:
    """Return an endpoint reference that names an instance by its keys."""
    selectors = [element("w:Selector", str(row.get(key)), Name=key) for key in row.cim_class.keys]
    namespace = element("w:Selector", row.cim_class.namespace, Name=NAMESPACE_SELECTOR)
    return element(
        "a:EndpointReference",
        element("a:Address", ANONYMOUS),
        element(
            "a:ReferenceParameters",
            element("w:ResourceURI", class_uri(row.cim_class)),
            element("w:SelectorSet", namespace, *selectors),
        ),
        xmlns__a=NAMESPACES["a"],
        xmlns__w=NAMESPACES["w"],
    )


def output(cim_class: CimClass, method: str, returned: int) -> ET.Element:
    """Return the answer of a method with that ReturnValue."""
    value = element("p:ReturnValue", str(returned))
    return element(f"p:{method}_OUTPUT", value, xmlns__p=class_uri(cim_class))


def xs_datetime(value: datetime) -> str:
    """Return a datetime as xs:dateTime with its offset and without trailing zeros in the fraction.

    Recorded: `2013-03-09T03:06:25Z`, `2013-04-09T15:42:20.4124Z`, `2014-04-03T14:45:50.46875+08:00`.
    """
    whole, _, fraction = value.replace(tzinfo=None).isoformat(timespec="microseconds").partition(".")
    digits = fraction.rstrip("0")
    minutes = _offset_minutes(value)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "Z"
    return f"{whole}.{digits}{zone}" if digits else f"{whole}{zone}"


def cim_datetime(value: datetime) -> str:
    """Return a datetime in the form of DSP0004, such as `20260102030405.000000+060`."""
    return f"{value.strftime('%Y%m%d%H%M%S.%f')}{_offset_minutes(value):+04}"


def _offset_minutes(value: datetime) -> int:
    offset = value.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


def _property(tag: str, value: Value, kind: type, datetime_tag: str) -> list[ET.Element]:
    """Return the elements of one property: none for a null array, one for each item of an array."""
    if isinstance(value, tuple):
        return [element(tag, str(item)) for item in value]
    if value is None:
        return [] if kind is tuple else [element(tag, xsi__nil="true")]
    if isinstance(value, datetime):
        return [element(tag, element(datetime_tag, xs_datetime(value)))]
    return [element(tag, str(value).lower() if isinstance(value, bool) else str(value))]
