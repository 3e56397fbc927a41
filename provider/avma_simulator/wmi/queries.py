"""The execution of WQL queries on the WMI of one machine."""

from __future__ import annotations

from avma_simulator.wmi.associations import ASSOCIATIONS, Association
from avma_simulator.wmi.cim import CimClass, Instance
from avma_simulator.wmi.repository import ClassNotFound, Repository
from avma_simulator.wmi.wql import Associators, Query, WqlError


def run(
    repository: Repository, namespace: str, query: Query | Associators
) -> tuple[list[Instance], tuple[str, ...] | None]:
    """Return the rows of a query and their columns, or None for all columns.

    Raises:
        ClassNotFound: the machine does not have the namespace or class.
        WqlError: the query does not fit the class.
    """
    cim_class = repository.find_class(namespace, query.class_name)
    if isinstance(query, Associators):
        return _associated(repository, cim_class, query), None
    columns = query.columns_of(cim_class)
    return query.select(cim_class, repository.instances(cim_class)), columns


def _associated(repository: Repository, cim_class: CimClass, query: Associators) -> list[Instance]:
    """Return the associated instances. Simplified: without the source instance, the query is invalid."""
    if repository.hides(cim_class):
        return []
    source = next((row for row in repository.instances(cim_class) if row.matches(query.keys)), None)
    if source is None:
        raise WqlError("there is no such instance")
    followed = [one for one in ASSOCIATIONS if query.association in (None, one.name.lower())]
    if not followed:
        raise ClassNotFound(f"{query.association}")
    if query.result is not None:
        repository.find_class(cim_class.namespace, query.result)
    rows = [row for association in followed for row in _other_end(repository, association, source)]
    return [row for row in rows if query.result in (None, *(name.lower() for name in row.cim_class.names))]


def _other_end(repository: Repository, association: Association, source: Instance) -> list[Instance]:
    other = association.other(source.cim_class)
    rows = [] if other is None else repository.instances(other)
    return [row for row in rows if association.joins(source, row)]
