"""The unit of work: rows of tables as objects, and what is to be written of them, straight on the driver.

Tables, types and statements are SQLAlchemy's. What its session does beyond this costs several times what the statements
themselves do (see `benchmarks/`), so the part of it that writing needs stands here, under the same names.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Result, ScalarResult
from sqlalchemy.engine.result import IteratorResult

from app.db.base import Base
from app.db.statements import (
    MappedTable,
    Prepared,
    Values,
    by_key,
    deleting,
    mapped,
    prepared_for,
    together,
)
from app.db.writes import Loaded, Write, adding, batches, changed, changing

Row = TypeVar("Row", bound=Base)
Key = tuple[Any, ...]
"""What SQLAlchemy calls an identity key: a class, and the values of its table's primary key."""


@dataclass
class Session:
    """The rows of one transaction. What is changed in them, added or deleted is written before the next statement.

    A row is one object, however often it is read, and shows what the database said of it last. `connection` is one of
    asyncpg, in a transaction that has begun (see `transaction.begin`).
    """

    connection: Any
    keeps: bool = True
    """Whether the transaction is kept in the end, or taken back."""
    _identity_map: dict[Key, Loaded] = field(default_factory=dict)
    _new: list[Base] = field(default_factory=list)
    _deleted: list[Base] = field(default_factory=list)
    _flushes: bool = True

    async def execute(
        self, statement: sa.Executable | Prepared, values: Mapping[str, Any] | None = None
    ) -> Result[*tuple[Any, ...]]:
        """The rows of a statement, whose named parameters have these values."""
        prepared, rows = await self._fetch(statement, values)
        return IteratorResult(prepared.labels, iter(rows))

    async def one_or_none(
        self, statement: sa.Executable | Prepared, values: Mapping[str, Any] | None = None
    ) -> tuple[Any, ...] | None:
        """The only row of a statement; nothing when there is none."""
        _, rows = await self._fetch(statement, values)
        assert len(rows) < 2, "there is more than one row"
        return rows[0] if rows else None

    async def scalars(self, statement: sa.Executable) -> ScalarResult[Any]:
        """The first value of each row."""
        return (await self.execute(statement)).scalars()

    async def scalar(self, statement: sa.Executable) -> Any:
        """The first value of the first row; nothing when there is none."""
        return (await self.execute(statement)).scalar()

    async def get(self, model: type[Row], key: Any) -> Row | None:
        """The row with a key, which is only asked for when it has not been read yet; nothing when there is none."""
        keys = key if isinstance(key, tuple) else (key,)
        loaded = self._identity_map.get((model, *keys))
        return cast(Row, loaded.row) if loaded else await self.newest(model, key)

    async def get_one(self, model: type[Row], key: Any) -> Row:
        """The same, of a row that is there."""
        row = await self.get(model, key)
        assert row is not None, f"there is no {model.__name__} with this key"
        return row

    async def newest(self, model: type[Row], key: Any) -> Row | None:
        """The row with a key as the database has it now (`populate_existing`); nothing when there is none."""
        keys = key if isinstance(key, tuple) else (key,)
        named = dict(zip(mapped(model).key, keys, strict=True))
        row = await self.one_or_none(by_key(model), named)
        return row[0] if row else None

    def add(self, row: Base) -> None:
        """A row that is new, and gets its key at once; one that was read is written anyway."""
        loaded = self._identity_map.get(_key_of(row))
        if loaded is None or loaded.row is not row:
            given = row.__dict__
            given |= {n: make() for n, make in mapped(type(row)).defaults.items() if given.get(n) is None}
            self._new.append(row)

    def add_all(self, rows: Iterable[Base]) -> None:
        """Several of them, written in their order."""
        for row in rows:
            self.add(row)

    def delete(self, row: Base) -> None:
        """A row that is to be gone."""
        self._deleted.append(row)

    async def flush(self) -> None:
        """Write what is new, then what has changed, then what is to be gone."""
        new, self._new = self._new, []
        changes = [
            changing(loaded, names) for loaded in self._identity_map.values() if (names := changed(loaded))
        ]
        for batch in batches([*map(adding, new), *changes]):
            await self._write(batch)
        deleted, self._deleted = self._deleted, []
        for row in deleted:
            del self._identity_map[_key_of(row)]
            sql, arguments = deleting(type(row)).call(row.__dict__)
            await self.connection.execute(sql, *arguments)

    @contextmanager
    def no_autoflush(self) -> Iterator[None]:
        """Statements before which nothing is written."""
        self._flushes = False
        try:
            yield
        finally:
            self._flushes = True

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        """A part of the transaction that leaves nothing behind when it fails.

        Rows that are read in it are forgotten after it; when it fails, all rows are, and have to be read again.
        """
        await self.flush()
        before = set(self._identity_map)
        try:
            async with self.connection.transaction():
                try:
                    yield
                    await self.flush()
                except TimeoutError:
                    # Nobody may be there any more to take it back; the driver would wait for that.
                    self.connection.terminate()
                    raise
        except BaseException:
            self._identity_map, self._new, self._deleted = {}, [], []
            raise
        self._identity_map = {key: loaded for key, loaded in self._identity_map.items() if key in before}

    async def _fetch(
        self, statement: sa.Executable | Prepared, values: Mapping[str, Any] | None
    ) -> tuple[Prepared, list[tuple[Any, ...]]]:
        if self._flushes:
            await self.flush()
        prepared, given = prepared_for(statement, values)
        sql, arguments = prepared.call(given)
        found = await self.connection.fetch(sql, *arguments)
        return prepared, [self._read(prepared, record) for record in found]

    def _read(self, prepared: Prepared, record: Any) -> tuple[Any, ...]:
        return tuple(
            self._row(item.table, item.table.values(record, item.place))
            if item.table
            else item.reads(record[item.place])
            if item.reads
            else record[item.place]
            for item in prepared.items
        )

    def _row(self, table: MappedTable, values: Values) -> Base | None:
        """The object of a row; nothing where an outer join found none."""
        key = (table.model, *(values[name] for name in table.key))
        if key[1] is None:
            return None
        loaded = self._identity_map.get(key)
        return self._keep(loaded.row if loaded else table.model(), table, values)

    def _keep(self, row: Base, table: MappedTable, values: Values) -> Base:
        self._identity_map[(table.model, *(values[name] for name in table.key))] = Loaded(row, values)
        row.__dict__.update(values)
        return row

    async def _write(self, batch: list[Write]) -> None:
        """Write a batch in one trip to the database, and keep what that says of its rows.

        It has rows of one shape, all by the same statement, or one row each of several tables (see `writes.batches`).
        """
        if len(batch) > 1 and batch[0].sql == batch[1].sql:
            found = await self.connection.fetchmany(batch[0].sql, [write.arguments for write in batch])
        else:
            sql = together(*((write.sql, len(write.arguments)) for write in batch))
            record = await self.connection.fetchrow(sql, *chain(*(write.arguments for write in batch)))
            assert record is not None, "a row is gone"
            rest = iter(record)
            found = [islice(rest, len(write.prepared.items)) for write in batch]
        for write, values in zip(batch, found, strict=True):
            self._keep(write.row, mapped(type(write.row)), write.known | write.prepared.values_of(values))


def _key_of(row: Base) -> Key:
    return (type(row), *(row.__dict__.get(name) for name in mapped(type(row)).key))
