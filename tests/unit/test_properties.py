from dataclasses import dataclass, replace

import pytest

from avma.properties import UNKNOWN, Choice, InvalidProperty, build, declare, dump, known, properties, validate
from avma.wording import NEUTRAL


class Colour(Choice):
    RED = "red", "The colour of errors."
    BLUE = "blue", "The colour of links."


class Shade(Choice):
    DARK_BLUE = "dark_blue", "A shade."
    AS_IN_WINDOWS = "AS_IN_WINDOWS", "A constant of Windows."
    RELEASE = "2012 R2", "A name of Microsoft."


@dataclass(frozen=True)
class Inner:
    deep_name: str = declare("A name.")
    count: int | None = declare("A count.", default=None)


@dataclass(frozen=True)
class Outer:
    name: str = declare("A name.", check=lambda name: "is too short" if len(name) < 2 else None)
    flag: bool = declare("A flag.", default=True)
    colour: Colour = declare("A colour.", default=Colour.RED)
    inner: Inner | None = declare("More.", default=None)


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({"name": "ab"}, []),
        ({}, [InvalidProperty("name", "is required")]),
        ({"name": UNKNOWN, "flag": UNKNOWN, "inner": UNKNOWN}, []),
        ({"name": "a"}, [InvalidProperty("name", "is too short")]),
        ({"name": 5}, [InvalidProperty("name", "must be text, not a number. Put it in quotes")]),
        (
            {"name": "ab", "flag": "true"},
            [InvalidProperty("flag", "must be true or false, not text. Write it without quotes")],
        ),
        ({"name": "ab", "colour": "green"}, [InvalidProperty("colour", "must be one of `red`, `blue`, not `green`")]),
        ({"name": "ab", "inner": "x"}, [InvalidProperty("inner", "must be an object, not text")]),
        ({"name": "ab", "inner": {"deep_name": UNKNOWN, "count": 1.0}}, []),
        (
            {"name": "ab", "inner": {"count": 1.5}},
            [
                InvalidProperty("inner.deep_name", "is required"),
                InvalidProperty("inner.count", "must be a whole number, not a number"),
            ],
        ),
        ({"name": "ab", "nmae": "x"}, [InvalidProperty("nmae", "is not a property here. Did you mean `name`?")]),
        (
            {"name": "ab", "zzz": 1},
            [InvalidProperty("zzz", "is not a property here. The properties are `colour`, `flag`, `inner`, `name`")],
        ),
    ],
)
def test_validate_reports_everything_with_its_path(values, failures):
    found = [replace(failure, reason=NEUTRAL.render(failure.reason)) for failure in validate(Outer, values)]
    assert found == failures


def test_build_and_dump_are_each_others_inverse():
    values = {"name": "ab", "flag": False, "colour": "blue", "inner": {"deep_name": "x", "count": 3}}
    record = build(Outer, values)
    assert record == Outer("ab", False, Colour.BLUE, Inner("x", 3))
    assert dump(record) == values


def test_defaults_fill_what_is_absent():
    assert build(Outer, {"name": "ab", "flag": None}) == Outer("ab", True, Colour.RED, None)


def test_a_record_is_not_made_from_unknown_values():
    with pytest.raises(KeyError):
        build(Outer, {"name": UNKNOWN})
    assert not known({"name": "ab", "inner": {"deep_name": UNKNOWN}})
    assert known({"name": "ab", "list": [1, "x"]})


def test_values_of_several_words_are_camel_case():
    assert [each.value for each in Shade] == ["darkBlue", "AS_IN_WINDOWS", "2012 R2"]


def test_properties_are_declared_in_order():
    assert [p.name for p in properties(Inner)] == ["deep_name", "count"]
    assert [p.required for p in properties(Inner)] == [True, False]


def test_the_declarations_of_a_record_are_read_once(monkeypatch):
    assert properties(Outer) == properties(Outer)
    monkeypatch.setattr("typing.get_type_hints", None)
    assert [prop.name for prop in properties(Outer)][:2] == ["name", "flag"]
