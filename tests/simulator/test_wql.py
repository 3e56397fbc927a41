from __future__ import annotations

import pytest

from avma_simulator.wmi.cim import Instance, declare
from avma_simulator.wmi.wql import Query, WqlError, parse

FRUIT = declare("root/cimv2", "Fruit", "ID", string="ID Name Note", uint32="Weight", boolean="Ripe", strings="Tags")
ROWS = [
    Instance(FRUIT, {"ID": "1", "Name": "Apple", "Weight": 150, "Ripe": True}),
    Instance(FRUIT, {"ID": "2", "Name": "d'Anjou", "Weight": 200, "Ripe": False, "Note": ""}),
    Instance(FRUIT, {"ID": "3", "Name": r"C:\pear_1", "Ripe": True, "Note": "100%"}),
]


def selected(text: str) -> Query:
    query = parse(text)
    assert isinstance(query, Query)
    return query


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Weight = 150", "1"),
        ("weight <> 150", "2"),
        ("Weight != '150'", "2"),
        ("Weight >= 150 AND Weight < 200", "1"),
        ("200 <= Weight", "2"),
        ("NAME = 'apple'", "1"),
        ('Name = "APPLE"', "1"),
        (r"Name = 'd\'Anjou'", "2"),
        (r"Name = 'C:\\pear_1'", "3"),
        ("Name LIKE 'a%'", "1"),
        ("Name LIKE '%pear__'", "3"),
        ("Name LIKE '[a-c]%'", "13"),
        ("Name LIKE '%p%l%'", "1"),
        ("Name LIKE '%p%pl%'", "1"),
        ("Name LIKE 'a%e%e'", ""),
        ("Name LIKE 'apple%apple'", ""),
        ("Name LIKE '%'", "123"),
        ("Name LIKE ''", ""),
        ("NOT Name LIKE '" + "%_" * 100 + "'", "123"),
        ("Name LIKE '[^a-c]%'", "2"),
        ("Note LIKE '%[%]'", "3"),
        ("Name LIKE '[!--]%'", ""),
        ("Name LIKE '%[&&~~||[-]_'", ""),
        ("Name LIKE '[x-zA]%'", "1"),
        ("Name LIKE '%[_]1'", "3"),
        ("Note IS NULL", "1"),
        ("Note IS NOT NULL", "23"),
        ("Note <> null", "23"),
        ("Note = NULL", "1"),
        ("Note = ''", "2"),
        ("Ripe = TRUE", "13"),
        ("Ripe = false", "2"),
        ("Ripe <> 1", "2"),
        ("NOT Ripe = TRUE", "2"),
        ("NOT (Weight = 150 OR Name LIKE 'd%')", "3"),
        ("Weight = 150 OR Weight = 200 AND Ripe = TRUE", "1"),
        ("(Weight = 150 OR Weight = 200) AND Ripe = FALSE", "2"),
        ("Weight > -1", "12"),
    ],
)
def test_conditions(condition: str, expected: str) -> None:
    query = selected(f"SELECT * FROM Fruit WHERE {condition}")
    assert "".join(str(row.get("ID")) for row in query.select(FRUIT, ROWS)) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("*", None), ("ID", ("ID",)), ("weight, id,NAME , Id", ("ID", "Name", "Weight"))],
)
def test_columns_come_in_alphabetical_order(columns: str, expected: tuple[str, ...] | None) -> None:
    query = selected(f"select {columns} from fruit")
    assert query.columns_of(FRUIT) == expected
    assert query.class_name == "fruit"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "SELECT FROM Fruit",
        "SELECT * FROM",
        "SELECT * FROM Fruit WHERE",
        "SELECT * FROM Fruit WHERE Weight",
        "SELECT * FROM Fruit WHERE Weight = ",
        "SELECT * FROM Fruit WHERE Name = 'open",
        "SELECT * FROM Fruit WHERE (Weight = 1",
        "SELECT * FROM Fruit WHERE Weight IS 1",
        "SELECT * FROM Fruit WHERE Weight < NULL",
        "SELECT *, ID FROM Fruit",
        "SELECT * FROM Fruit; DROP",
        "ASSOCIATORS OF {Fruit.ID=}",
        "ASSOCIATORS OF {Fruit}",
        "ASSOCIATORS OF Fruit.ID='1'",
        "ASSOCIATORS OF {Fruit.ID='1'} WHERE",
        "REFERENCES OF {Fruit.ID='1'}",
        "SELECT * FROM Fruit WHERE Name LIKE '[z-a]'",
        "SELECT * FROM Fruit WHERE " + "(" * 5000 + "Weight = 1" + ")" * 5000 + "x",
    ],
)
def test_what_is_not_wql(text: str) -> None:
    with pytest.raises(WqlError):
        parse(text)


def test_a_condition_that_is_nested_too_deeply() -> None:
    with pytest.raises(WqlError):
        selected("SELECT * FROM Fruit WHERE " + "NOT " * 5000 + "Weight = 1").select(FRUIT, ROWS)


@pytest.mark.parametrize("text", ["Sugar = 1", "Weight = 'heavy'", "Weight = TRUE", "Ripe = 'maybe'", "Tags = 'a'"])
def test_what_does_not_fit_the_class(text: str) -> None:
    with pytest.raises(WqlError):
        selected(f"SELECT * FROM Fruit WHERE {text}").select(FRUIT, ROWS)


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(WqlError, match="no property Sugar"):
        selected("SELECT Sugar FROM Fruit").columns_of(FRUIT)
