"""How rows are written: the statement for each, and what is written at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from app.db.base import Base
from app.db.statements import Prepared, Values, inserting, mapped, prepared_for, updating


@dataclass
class Loaded:
    """A row, and its values as the database has them, by which changes are found."""

    row: Base
    values: Values


@dataclass(frozen=True)
class Write:
    """How a row is written, and what is known of its values before."""

    row: Base
    prepared: Prepared
    sql: str
    arguments: list[Any]
    known: Values


def adding(row: Base) -> Write:
    """How a new row is written: what is given of it, and the database says the rest."""
    table, given = mapped(type(row)), row.__dict__
    values = {name: given[name] for name in table.names if given.get(name) is not None}
    if any(map(_is_sql, values.values())):
        prepared, needed = prepared_for(sa.insert(table.table).values(values).returning(*table.table.c))
    else:
        prepared, needed = inserting(table.model, tuple(values)), values
    return Write(row, prepared, *prepared.call(needed), values)


def changed(loaded: Loaded) -> tuple[str, ...]:
    """Which values of a row differ from those that the database has."""
    given = loaded.row.__dict__
    return tuple(
        name
        for name, value in loaded.values.items()
        if given[name] is not value and (_is_sql(given[name]) or given[name] != value)
    )


def changing(loaded: Loaded, names: tuple[str, ...]) -> Write:
    """How the values that differ are written."""
    table, given = mapped(type(loaded.row)), loaded.row.__dict__
    if any(_is_sql(given[name]) for name in names):
        is_row = [table.table.c[name] == loaded.values[name] for name in table.key]
        changes = sa.update(table.table).where(*is_row).values({name: given[name] for name in names})
        prepared, needed = prepared_for(changes.returning(*table.table.c))
    else:
        new = {f"new_{name}": given[name] for name in names}
        prepared, needed = updating(table.model, names), loaded.values | new
    return Write(loaded.row, prepared, *prepared.call(needed), loaded.values)


def batches(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """What is written at once: rows of one shape, or one row each of several tables. All else keeps its order."""
    batch: list[Write] = []
    for _, same in groupby(writes, key=lambda write: write.sql):
        group = list(same)
        if batch and (len(group) > 1 or type(group[0].row) in {type(other.row) for other in batch}):
            yield batch
            batch = []
        if len(group) > 1:
            yield group
        else:
            batch += group
    if batch:
        yield batch


def _is_sql(value: Any) -> bool:
    """Whether a value is an expression in SQL."""
    return isinstance(value, sa.ClauseElement)
