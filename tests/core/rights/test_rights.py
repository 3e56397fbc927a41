"""Each operation works with exactly the rights in the table, and without one of them it fails and names that right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avma import errors
from avma.configuration import Transport
from avma.functions import FUNCTIONS
from avma.properties import properties
from avma.resources import RESOURCES
from avma.wording import camel_case
from avma_simulator import load_estate, running
from core.rights.lab import Bench, Problem, estate_of, without
from core.rights.operations import OPERATIONS
from rights import TABLES, Right, Row, Table

ROWS = [pytest.param(table, row, id=f"{table.title}: {row.name}") for table in TABLES for row in table.rows]
MISSING = [
    pytest.param(table, row, right, id=f"{table.title}: {row.name} without {right.name}")
    for table in TABLES
    for row in table.rows
    for right in row.rights
]


@pytest.fixture
def bench(tmp_path: Path, table: Table, row: Row, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The machines for one row. Without the right to JEA, the session configuration permits another account."""
    missing = request.node.callspec.params.get("right")
    file = estate_of(tmp_path, "another") if missing is Right.JEA else estate_of(tmp_path)
    over_network = "network" in f"{table.title} {row.name}" or "winrm" in row.name
    with running(load_estate(file)) as server:
        transport = Transport.WINRM if over_network else Transport.POWERSHELL_DIRECT
        bench = Bench(server, transport, jea="JEA" in table.title)
        yield bench
        bench.close()


def test_every_row_of_the_table_has_an_operation():
    assert {table.title: [row.name for row in table.rows] for table in TABLES} == {
        title: list(operations) for title, operations in OPERATIONS.items()
    }


def test_the_tables_are_complete():
    operations = {f"{table.title}: {row.name}" for table in TABLES for row in table.rows}
    wanted = {"preview", "create", "refresh", "import", "update"}
    for resource in RESOURCES:
        names = {name.partition(": ")[2] for name in operations if name.startswith(resource.name)}
        choices = {prop.type for prop in properties(resource.inputs) if prop.name == "on_delete"}
        deletions = {f"delete with `{camel_case(choice.value)}`" for kind in choices for choice in kind}
        assert names >= wanted | (deletions or {"delete"})
    for function in FUNCTIONS:
        assert any(f"`{camel_case(function.name)}`" in name for name in operations)


def test_azure_local_has_each_operation_with_and_without_jea():
    def names(azure_local: bool, jea: bool) -> set[str]:
        """Return the operations of some tables, each after the first word of its title."""
        wanted = [t for t in TABLES if ("Azure Local" in t.title, "JEA" in t.title) == (azure_local, jea)]
        return {f"{table.title.split()[0]}: {row.name}" for table in wanted for row in table.rows}

    elsewhere = {
        "HostLicense: delete with `uninstallKey`",
        "Functions: `getAvmaKey`",
        "Functions: `getCompatibility`",
        "Commands: `avma doctor` on a node of a cluster",
    }
    assert names(True, False) == names(True, True) == names(False, False) - elsewhere


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_rights_of_the_table_are_enough(bench: Bench, table: Table, row: Row):
    act = OPERATIONS[table.title][row.name](bench)
    act(bench.runner(row.rights))


@pytest.mark.parametrize(("table", "row", "right"), MISSING)
def test_without_one_right_the_error_names_it(bench: Bench, table: Table, row: Row, right: Right):
    act = OPERATIONS[table.title][row.name](bench)
    with pytest.raises((errors.AvmaError, Problem)) as caught:
        act(bench.runner(without(row.rights, right)))
    for words in right.words:
        assert words in str(caught.value)
