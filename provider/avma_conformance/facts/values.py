"""Facts about the forms of values in instances and columns (DSP0230, MS-WSMV 2.2.4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from avma.windows import hyperv, licensing
from avma.wsman import envelope, safe_xml
from avma.wsman.envelope import XSI, local_name
from avma_conformance.fact import Area, NotHere, Observation, On, equal, fact, like, true
from avma_conformance.subject import CIMV2, HYPER_V, Subject
from avma_conformance.xml_parts import first, items, named, namespace, text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CIM = "http://schemas.dmtf.org/wbem/wscim/1/common"
_OS = "Win32_OperatingSystem"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)\Z")
_ITEMS = "GuestIntrinsicExchangeItems"


def _rows(subject: Subject, wql: str, of: str = CIMV2) -> list[Element]:
    """Return the items in the first answer to a query. For one row, these are all."""
    return items(subject.exchange(envelope.enumerate_query(of, wql)))


def _property(subject: Subject, wql: str, name: str, of: str = CIMV2) -> Element:
    """Return a property of the first row."""
    found = next((each for row in _rows(subject, wql, of) for each in row if local_name(each) == name), None)
    if found is None:
        raise NotHere(f"the answer has no property {name}")
    return found


def _time(subject: Subject) -> str:
    return text(_property(subject, f"SELECT LocalDateTime FROM {_OS}", "LocalDateTime"), "Datetime")


@fact(Area.VALUES, "recorded by txwinrm, 133 of 133")
def time_in_columns_has_no_namespace(subject: Subject) -> Observation:
    """In a query with columns, a time is an element Datetime in no namespace."""
    value = _property(subject, f"SELECT LocalDateTime FROM {_OS}", "LocalDateTime")
    return equal(["Datetime"], [each.tag for each in value])


@fact(Area.VALUES, "recorded by txwinrm")
def time_in_an_instance_is_cim_datetime(subject: Subject) -> Observation:
    """In a whole instance, a time is an element Datetime in the namespace of CIM."""
    value = _property(subject, f"SELECT * FROM {_OS}", "LocalDateTime")
    return equal([f"{{{_CIM}}}Datetime"], [each.tag for each in value])


@fact(Area.VALUES, "MS-WSMV 2.2.4, xs:dateTime")
def time_is_iso_8601_with_an_offset(subject: Subject) -> Observation:
    """A time has the form of xs:dateTime, with at most six digits of a fraction, and Z or an offset."""
    found = _time(subject)
    return true("a time of that form", re.fullmatch(_TIME, found) is not None, re.sub(r"\d", "9", found))


@fact(Area.VALUES, "recorded by txwinrm")
def fraction_of_a_time_has_no_trailing_zeros(subject: Subject) -> Observation:
    """The fraction of a time has as many digits as needed. It is missing if it is zero."""
    fraction = re.search(r"\.(\d*)", _time(subject))
    digits = fraction[1] if fraction else ""
    return true("no trailing zero", not digits.endswith("0"), f"{len(digits)} digits")


@fact(Area.VALUES, "recorded by txwinrm")
def times_carry_the_offset_of_the_machine(subject: Subject) -> Observation:
    """The times in root\\cimv2 carry the offset of the time zone of the machine. Z stands for none."""
    row = subject.row(f"SELECT CurrentTimeZone,LocalDateTime FROM {_OS}")
    found = _OFFSET.search(row.text("LocalDateTime") or "")
    sign, hours, minutes = found.groups() if found else ("+", "0", "0")
    offset = int(f"{sign}1") * (int(hours) * 60 + int(minutes))
    return equal(f"{row.integer('CurrentTimeZone')} minutes", f"{offset} minutes")


@fact(Area.VALUES, "recorded licenses of real machines")
def no_time_is_the_year_1601(subject: Subject) -> Observation:
    """A license that no host has activated has the activation time 1601-01-01, and not null."""
    query = (
        "SELECT AutomaticVMActivationLastActivationTime FROM SoftwareLicensingProduct "
        f"WHERE ApplicationID = '{licensing.WINDOWS}' AND PartialProductKey IS NULL"
    )
    found = subject.row(query).text("AutomaticVMActivationLastActivationTime") or ""
    return like(r"1601-01-01T00:00:00Z|160[01]-\d\d-\d\dT\d\d:00:00[+-]\d\d:00", found)


@fact(Area.VALUES, "recorded by txwinrm")
def null_in_an_instance_is_nil(subject: Subject) -> Observation:
    """A null property of a whole instance is an element with xsi:nil."""
    value = _property(subject, f"SELECT * FROM {_OS}", "OtherTypeDescription")
    return equal("true", value.get(f"{{{XSI}}}nil", "no xsi:nil"))


@fact(Area.VALUES, "recorded by txwinrm")
def null_in_columns_is_nil(subject: Subject) -> Observation:
    """A null property in a query with columns is an element with xsi:nil."""
    value = _property(subject, f"SELECT OtherTypeDescription FROM {_OS}", "OtherTypeDescription")
    return equal("true", value.get(f"{{{XSI}}}nil", "no xsi:nil"))


@fact(Area.VALUES, "recorded by txwinrm and go-wsman", on=On.HYPER_V)
def null_array_is_absent(subject: Subject) -> Observation:
    """A null array of a whole instance has no element."""
    rows = subject.query("SELECT Name FROM Msvm_ComputerSystem", HYPER_V)
    own = next((name for row in rows if not hyperv.is_vm_id(name := row.text("Name") or "")), None)
    if own is None:
        raise NotHere("the host does not list itself")
    (row,) = _rows(subject, f"SELECT * FROM Msvm_ComputerSystem WHERE Name = '{own}'", HYPER_V)
    return equal("0 elements", f"{len(named(row, 'PowerManagementCapabilities'))} elements")


@fact(Area.VALUES, "DSP0230 7.4, recorded by libvirt", on=On.VM)
def array_is_one_element_for_each_item(subject: Subject) -> Observation:
    """An array is one element for each item, next to each other and with the same name."""
    found = named(_reporting(subject), _ITEMS)
    return true("several elements", len(found) > 1, f"{len(found)} elements")


@fact(Area.VALUES, "DSP0201, libvirt's reading of Hyper-V", on=On.VM)
def embedded_instance_is_cim_xml(subject: Subject) -> Observation:
    """An embedded instance is a text with an element INSTANCE of CIM-XML. It names its class and its properties."""
    item = safe_xml.parse((named(_reporting(subject), _ITEMS)[0].text or "").strip())
    properties = {each.get("NAME", "") for each in named(item, "PROPERTY")}
    shown = [item.tag, item.get("CLASSNAME", "no class"), *sorted(properties & {"Name", "Data"})]
    return equal(["INSTANCE", "Msvm_KvpExchangeDataItem", "Data", "Name"], shown)


def _reporting(subject: Subject) -> Element:
    """Return the row of a VM whose guest reports several items through Data Exchange."""
    listed = subject.query(f"SELECT SystemName,{_ITEMS} FROM Msvm_KvpExchangeComponent", HYPER_V)
    found = next((row.text("SystemName") for row in listed if len(row.strings(_ITEMS)) > 1), None)
    if found is None:
        raise NotHere("no guest reports several items through Data Exchange")
    query = f"SELECT {_ITEMS} FROM Msvm_KvpExchangeComponent WHERE SystemName = '{found}'"
    (row,) = _rows(subject, query, HYPER_V)
    return row


@fact(Area.VALUES, "DSP0230 7.3, xs:boolean")
def boolean_is_true_or_false(subject: Subject) -> Observation:
    """A boolean is the word true or false, in lower case."""
    return equal("true", _property(subject, f"SELECT Primary FROM {_OS}", "Primary").text)


@fact(Area.VALUES, "DSP0230 7.3, and listings of real machines")
def large_unsigned_number_is_not_negative(subject: Subject) -> Observation:
    """An unsigned number is never negative: ExtendedGrace of a license without a key is 4294967295."""
    query = "SELECT ExtendedGrace FROM SoftwareLicensingProduct WHERE PartialProductKey IS NULL"
    return equal("4294967295", subject.row(query).text("ExtendedGrace"))


@fact(Area.VALUES, "DSP0230 7.2, recorded by txwinrm")
def instance_has_the_name_and_namespace_of_its_class(subject: Subject) -> Observation:
    """A whole instance is an element with the name of its class. The class is also the namespace of its properties."""
    (row,) = _rows(subject, f"SELECT * FROM {_OS}")
    version = first(row, "Version")
    uri = envelope.class_uri(CIMV2, _OS)
    found = [local_name(row), namespace(row), "none" if version is None else namespace(version)]
    return equal([_OS, uri, uri], found)
