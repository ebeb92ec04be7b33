"""Statements of SQLAlchemy as the driver takes them: compiled once, with what their rows are made of."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

from app.db.base import Base

DIALECT: sa.Dialect = dialect.dialect()  # type: ignore[no-untyped-call]
MOST_KEPT = 1_000
PARAMETER = re.compile(r"\$(\d+)")
Values = dict[str, Any]
Process = Callable[[Any], Any] | None
"""Turns a value of the driver into one of ours, or the other way round; nothing where they are the same."""


@dataclass(frozen=True, eq=False)
class MappedTable:
    """A table as its rows are read and written: the part of SQLAlchemy's mapper that is needed here.

    `reads` are what turns the driver's values into ours, in the order of `names`; `defaults` make what is not given.
    """

    model: type[Base]
    names: tuple[str, ...]
    key: tuple[str, ...]
    reads: tuple[Process, ...]
    defaults: Mapping[str, Callable[[], Any]]

    @property
    def table(self) -> sa.Table:
        """The table."""
        table: sa.Table = self.model.__table__  # type: ignore[assignment]
        return table

    def values(self, record: Any, place: int = 0) -> Values:
        """The values of a row, which stand in a record from a place on."""
        found = record[place : place + len(self.names)]
        return {
            name: read(value) if read else value
            for name, read, value in zip(self.names, self.reads, found, strict=True)
        }


@cache
def mapped(model: type[Base]) -> MappedTable:
    """The table of a class, whose attributes are called like its columns."""
    table = model.__table__
    return MappedTable(
        model,
        tuple(table.c.keys()),
        tuple(column.name for column in table.primary_key),
        tuple(_reads(column.type) for column in table.c),
        {column.name: _made(column.default) for column in table.c if column.default is not None},
    )


def _made(default: Any) -> Callable[[], Any]:
    return (lambda: default.arg(None)) if default.is_callable else (lambda: default.arg)


def _reads(kind: Any) -> Process:
    return kind.dialect_impl(DIALECT).result_processor(DIALECT, None)


def _writes(kind: Any) -> Process:
    return kind.dialect_impl(DIALECT).bind_processor(DIALECT)


@dataclass(frozen=True)
class Item:
    """What a statement gives for each row, from which place of the record on: a value, or the row of a table."""

    place: int
    name: str
    columns: tuple[Any, ...]
    table: MappedTable | None = None
    reads: Process = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A compiled statement."""

    compiled: SQLCompiler
    items: tuple[Item, ...]
    labels: SimpleResultMetaData
    writes: Mapping[str, Process]
    constants: Mapping[str, Any]
    """Those parameters whose values stand in the statement itself, where it is the same for everybody."""

    def call(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text, and the parameters in their order; a list of an IN gets a parameter for each of its values."""
        if not (self.compiled.post_compile_params or self.compiled.literal_execute_params):
            return self.compiled.string, self.arguments(values)
        state = self.compiled.construct_expanded_state(dict(values))
        writes = {**self.writes, **state.processors}
        names = state.positiontup or ()
        return state.statement, [_bound(writes.get(name), state.parameters[name]) for name in names]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order."""
        return [_bound(self.writes[name], values.get(name)) for name in self.compiled.positiontup or ()]

    def values_of(self, found: Iterable[Any]) -> Values:
        """What it gives of a row, as our values by the names of columns; `found` are the driver's, in their order."""
        pairs = zip(self.items, found, strict=True)
        return {item.name: item.reads(value) if item.reads else value for item, value in pairs}


def _bound(process: Process, value: Any) -> Any:
    return process(value) if process else value


_KEPT: LRUCache[Any, Prepared] = LRUCache(MOST_KEPT)


def prepared_for(
    statement: Any, values: Mapping[str, Any] | None = None
) -> tuple[Prepared, Mapping[str, Any]]:
    """The compiled statement, the same for all of one shape, and the values of all its parameters."""
    if isinstance(statement, Prepared):
        return statement, {**statement.constants, **(values or {})}
    key = statement._generate_cache_key()
    prepared = _KEPT.get(key.key)
    if prepared is None:
        prepared = _KEPT[key.key] = prepare(statement, key)
    given = dict(values or {})
    return prepared, prepared.compiled.construct_params(given, extracted_parameters=key.bindparams)


def prepare(statement: Any, key: Any = None) -> Prepared:
    """Compile a statement; where its rows hold rows of tables, these are asked for column by column."""
    items = _items(statement)
    if any(item.table for item in items):
        columns = [column for item in items for column in item.columns]
        statement = statement.with_only_columns(*columns, maintain_column_froms=True)
    compiled = statement.compile(dialect=DIALECT, cache_key=key)
    writes = {name: _writes(bind.type) for bind, name in compiled.bind_names.items()}
    constants = {} if key else {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(compiled, items, SimpleResultMetaData([item.name for item in items]), writes, constants)


def _items(statement: Any) -> tuple[Item, ...]:
    """What each row of a statement is made of."""
    if not isinstance(statement, sa.Select):
        columns = getattr(statement, "exported_columns", ())
        return tuple(_value(place, column.key, column) for place, column in enumerate(columns))
    described = statement.column_descriptions
    if not any(_is_table(one["expr"]) for one in described):
        named = statement.selected_columns.items()
        return tuple(_value(place, name, column) for place, (name, column) in enumerate(named))
    items = list[Item]()
    for one in described:
        place = sum(len(item.columns) for item in items)
        make = _row if _is_table(one["expr"]) else _value
        items.append(make(place, one["name"], one["expr"]))
    return tuple(items)


def _is_table(expression: Any) -> bool:
    about: Any = sa.inspect(expression, raiseerr=False)
    return getattr(about, "is_mapper", False) or getattr(about, "is_aliased_class", False)


def _value(place: int, name: str, column: Any) -> Item:
    return Item(place, name, (column,), reads=_reads(column.type))


def _row(place: int, name: str, entity: Any) -> Item:
    about: Any = sa.inspect(entity)
    table = mapped(about.mapper.class_)
    return Item(place, name, tuple(getattr(entity, one) for one in table.names), table)


@cache
def by_key(model: type[Base]) -> Prepared:
    """The row with a key."""
    return prepare(sa.select(model).where(*_is_key(model)))


@cache
def inserting(model: type[Base], names: tuple[str, ...]) -> Prepared:
    """Write a new row, of which these values are given, and read its others."""
    table = mapped(model).table
    given = {name: sa.bindparam(name, type_=table.c[name].type) for name in names}
    others = [column for column in table.c if column.name not in names]
    return prepare(sa.insert(table).values(given).returning(*(others or table.c)))


@cache
def updating(model: type[Base], names: tuple[str, ...]) -> Prepared:
    """Write these values of a row, and read it whole."""
    table = mapped(model).table
    given = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return prepare(sa.update(table).where(*_is_key(model)).values(given).returning(*table.c))


@lru_cache(maxsize=MOST_KEPT)
def together(*writes: tuple[str, int]) -> str:
    """One statement for writes of one row each, which are given as their texts and numbers of parameters.

    Its parameters are theirs, and its row is what they give, one after the other. In which order they are done is up to
    PostgreSQL, so each has to be to another table.
    """
    if len(writes) == 1:
        return writes[0][0]
    named, taken = {}, 0
    for place, (sql, count) in enumerate(writes):
        named[f"write_{place}"] = _renumbered(sql, taken)
        taken += count
    texts = ", ".join(f"{name} AS ({sql})" for name, sql in named.items())
    return f"WITH {texts} SELECT * FROM {', '.join(named)}"  # noqa: S608 - the texts are statements of ours


def _renumbered(sql: str, by: int) -> str:
    return PARAMETER.sub(lambda found: f"${int(found[1]) + by}", sql)


@cache
def deleting(model: type[Base]) -> Prepared:
    """Have a row gone."""
    return prepare(sa.delete(mapped(model).table).where(*_is_key(model)))


def _is_key(model: type[Base]) -> Iterable[sa.ColumnElement[bool]]:
    table = mapped(model)
    return (table.table.c[name] == sa.bindparam(name, type_=table.table.c[name].type) for name in table.key)
