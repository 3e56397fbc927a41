"""WQL, the query language of WMI: SELECT, FROM and WHERE over one class, and ASSOCIATORS OF an instance.

See learn.microsoft.com/windows/win32/wmisdk/wql-sql-for-wmi. REFERENCES OF, events and schema queries are missing.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, VisitError

from avma_simulator.wmi import wql_like
from avma_simulator.wmi.cim import CimClass, Instance, Value

Literal = str | bool | int | datetime | None
Condition = Callable[[CimClass], Callable[[Instance], bool]]

_GRAMMAR = r"""
    ?start: "SELECT"i columns "FROM"i NAME ["WHERE"i condition] -> query
        | "ASSOCIATORS"i "OF"i "{" NAME "." key ("," key)* "}" ["WHERE"i classes] -> associators
    key: NAME "=" literal
    classes: class_filter+
    class_filter: ASSOCIATION "=" NAME | RESULT "=" NAME
    ASSOCIATION: "ASSOCCLASS"i
    RESULT: "RESULTCLASS"i
    columns: "*" | NAME ("," NAME)*
    ?condition: conjunction ("OR"i conjunction)* -> any_of
    ?conjunction: negation ("AND"i negation)*    -> all_of
    ?negation: "NOT"i negation                   -> negated
        | "(" condition ")"
        | NAME OPERATOR literal                  -> compared
        | literal OPERATOR NAME                  -> compared_backwards
        | NAME "LIKE"i STRING                    -> like
        | NAME "IS"i "NULL"i                     -> is_null
        | NAME "IS"i "NOT"i "NULL"i              -> is_not_null
    literal: STRING   -> string
        | NUMBER      -> number
        | "TRUE"i     -> true
        | "FALSE"i    -> false
        | "NULL"i     -> null
    OPERATOR: "=" | "<>" | "!=" | "<=" | ">=" | "<" | ">"
    NAME: /[a-z_][a-z0-9_]*/i
    NUMBER: /[+-]?[0-9]+/
    STRING: /'(\\.|[^'\\])*'/ | /"(\\.|[^"\\])*"/
    %ignore /\s+/
"""
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_DATETIME = re.compile(r"([0-9]{14}\.[0-9]{6})([+-][0-9]{3})")
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class WqlError(Exception):
    """A query is not valid WQL or does not fit the class."""


@dataclass(frozen=True)
class Query:
    """A parsed query: the class, the columns (None for all), and the condition (None for no condition)."""

    class_name: str
    columns: tuple[str, ...] | None
    condition: Condition | None

    def columns_of(self, cim_class: CimClass) -> tuple[str, ...] | None:
        """Return the declared names of the columns in the order of WMI, or None for all.

        Raises:
            WqlError: the class does not have a property.
        """
        if self.columns is None:
            return None
        return tuple(sorted({_declared(cim_class, column) for column in self.columns}, key=str.lower))

    def select(self, cim_class: CimClass, instances: list[Instance]) -> list[Instance]:
        """Return the instances that satisfy the condition.

        Raises:
            WqlError: the condition does not fit the class.
        """
        if self.condition is None:
            return instances
        try:
            satisfied = self.condition(cim_class)
            return [instance for instance in instances if satisfied(instance)]
        except RecursionError:
            raise WqlError("the condition is nested too deeply") from None


@dataclass(frozen=True)
class Associators:
    """A parsed ASSOCIATORS query: the instance, the association, and the class of the results.

    Names of associations and result classes are in lower case. None means any.
    """

    class_name: str
    keys: Mapping[str, str]
    association: str | None
    result: str | None


@functools.lru_cache(maxsize=128)
def parse(text: str) -> Query | Associators:
    """Parse a query.

    Raises:
        WqlError: the text is not a query of this language.
    """
    try:
        return _Builder().transform(_PARSER.parse(text))
    except (LarkError, VisitError, RecursionError) as error:
        raise WqlError(f"not a WQL query: {type(error).__name__}") from None


@v_args(inline=True)
class _Builder(Transformer[Token, "Query | Associators"]):
    """Builder of queries. It turns conditions of the syntax tree into functions."""

    def query(self, columns: tuple[str, ...] | None, name: Token, condition: Condition | None) -> Query:
        return Query(str(name), columns, condition)

    def associators(self, name: Token, *rest: Any) -> Associators:
        *keys, classes = rest
        chosen = classes or {}
        return Associators(str(name), dict(keys), chosen.get("ASSOCCLASS"), chosen.get("RESULTCLASS"))

    def key(self, name: Token, literal: Literal) -> tuple[str, str]:
        return str(name), str(literal)

    def classes(self, *filters: tuple[str, str]) -> dict[str, str]:
        return dict(filters)

    def class_filter(self, kind: Token, name: Token) -> tuple[str, str]:
        return kind.upper(), name.lower()

    def columns(self, *names: Token) -> tuple[str, ...] | None:
        return tuple(map(str, names)) or None

    def any_of(self, *conditions: Condition) -> Condition:
        def bind(cim_class: CimClass) -> Callable[[Instance], bool]:
            bound = [condition(cim_class) for condition in conditions]
            return lambda instance: any(satisfied(instance) for satisfied in bound)

        return bind

    def all_of(self, *conditions: Condition) -> Condition:
        def bind(cim_class: CimClass) -> Callable[[Instance], bool]:
            bound = [condition(cim_class) for condition in conditions]
            return lambda instance: all(satisfied(instance) for satisfied in bound)

        return bind

    def negated(self, condition: Condition) -> Condition:
        def bind(cim_class: CimClass) -> Callable[[Instance], bool]:
            satisfied = condition(cim_class)
            return lambda instance: not satisfied(instance)

        return bind

    def compared(self, name: Token, symbol: Token, literal: Literal) -> Condition:
        return _comparison(str(name), str(symbol), literal)

    def compared_backwards(self, literal: Literal, symbol: Token, name: Token) -> Condition:
        return _comparison(str(name), _MIRRORED.get(str(symbol), str(symbol)), literal)

    def like(self, name: Token, pattern: Token) -> Condition:
        matches = wql_like.matcher(_unquoted(pattern))
        return _on(str(name), lambda value: isinstance(value, str) and matches(value))

    def is_null(self, name: Token) -> Condition:
        return _on(str(name), lambda value: value is None)

    def is_not_null(self, name: Token) -> Condition:
        return _on(str(name), lambda value: value is not None)

    def string(self, token: Token) -> str:
        return _unquoted(token)

    def number(self, token: Token) -> int:
        return int(token)

    def true(self) -> bool:
        return True

    def false(self) -> bool:
        return False

    def null(self) -> None:
        return None


_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


def _declared(cim_class: CimClass, name: str) -> str:
    declared = cim_class.property_name(name)
    if declared is None:
        raise WqlError(f"{cim_class.name} has no property {name}")
    return declared


def _on(name: str, test: Callable[[Value], bool]) -> Condition:
    def bind(cim_class: CimClass) -> Callable[[Instance], bool]:
        declared = _declared(cim_class, name)
        return lambda instance: test(instance.get(declared))

    return bind


def _comparison(name: str, symbol: str, literal: Literal) -> Condition:
    compare = _OPERATORS[symbol]
    if literal is None:
        if symbol not in ("=", "<>", "!="):
            raise WqlError("NULL cannot be compared with < or >")
        return _on(name, lambda value: compare(value, None))

    def bind(cim_class: CimClass) -> Callable[[Instance], bool]:
        declared = _declared(cim_class, name)
        expected = _converted(literal, cim_class.properties[declared])
        return lambda instance: _satisfied(compare, instance.get(declared), expected)

    return bind


def _satisfied(compare: Callable[[Any, Any], bool], value: Value, expected: Literal) -> bool:
    if value is None:
        return False
    return compare(value.lower() if isinstance(value, str) else value, expected)


def _converted(literal: Literal, kind: type) -> Literal:
    """Return the literal in the form that WMI compares with a property of that type. Strings ignore case."""
    if kind is str:
        return str(literal).lower()
    if kind is int and not isinstance(literal, bool):
        try:
            return int(str(literal))
        except ValueError:
            pass
    if kind is datetime:
        return _moment(str(literal))
    if kind is bool and str(literal).lower() in ("true", "false", "1", "0"):
        return str(literal).lower() in ("true", "1")
    raise WqlError("the value has a different type than the property")


def _moment(text: str) -> datetime:
    """Return the time of a WMI datetime such as `20261124235615.000000+060`. Its offset is in minutes."""
    found = _DATETIME.fullmatch(text)
    if found is None:
        raise WqlError("a datetime must have the form yyyymmddHHMMSS.mmmmmm+UUU")
    try:
        moment = datetime.strptime(found[1], "%Y%m%d%H%M%S.%f")
    except ValueError:
        raise WqlError("the datetime is not a valid time") from None
    return moment.replace(tzinfo=timezone(timedelta(minutes=int(found[2]))))


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
