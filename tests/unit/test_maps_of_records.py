"""A property can be a map of records: validation, conversion, names and secrets work in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avma.properties import InvalidProperty, build, declare, dump
from pulumi_resource_avma.names import checked, external, external_path, internal
from pulumi_resource_avma.values import declared_secrets


@dataclass(frozen=True)
class Account:
    user_name: str = declare("The name.")
    pass_word: str | None = declare("The password.", default=None, secret=True)


@dataclass(frozen=True)
class Accounts:
    by_machine: dict[str, Account] | None = declare("The account of each machine.", default=None)


WRITTEN: dict[str, Any] = {"byMachine": {"a.b": {"userName": "x", "passWord": "y"}, "user_name": {"userName": "z"}}}
VALUES: dict[str, Any] = {"by_machine": {"a.b": {"user_name": "x", "pass_word": "y"}, "user_name": {"user_name": "z"}}}


def test_records_in_a_map_are_built_and_dumped() -> None:
    built = build(Accounts, VALUES)
    assert built.by_machine == {"a.b": Account("x", "y"), "user_name": Account("z")}
    assert dump(built) == VALUES


def test_only_the_names_of_properties_are_converted() -> None:
    assert internal(WRITTEN, Accounts) == VALUES
    assert external(VALUES, Accounts) == WRITTEN


def test_failures_have_the_path_to_the_record() -> None:
    _, failures = checked({"byMachine": {"a.b": {"userName": 1}, "c": {"user_name": "x", "userName": "y"}}}, Accounts)
    assert {failure.path for failure in failures} == {'byMachine["a.b"].userName', 'byMachine["c"].user_name'}
    assert checked({"byMachine": {"a": "x"}}, Accounts)[1] == [
        InvalidProperty('byMachine["a"]', "must be an object, not text")
    ]


def test_a_path_into_a_map_has_external_names() -> None:
    assert external_path('by_machine["user_name"].pass_word', Accounts) == 'byMachine["user_name"].passWord'


def test_secrets_in_records_of_a_map_are_found() -> None:
    assert declared_secrets(WRITTEN, Accounts) == {("byMachine", "a.b", "passWord")}
