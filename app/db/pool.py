"""Statements that are compiled once and then only filled in, straight on the driver."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from app.config import Settings
from app.db.engine import GRACE, open_connection, patience, server_settings
from app.seen import Seen


class _Compiler(dialect.PGCompiler_asyncpg):
    """Writes constants into the text, so that only what differs between requests is a parameter."""

    def visit_bindparam(self, bindparam: Any, *arguments: Any, **options: Any) -> Any:
        # Parameters of ours have a name; values that stand in an expression get a unique one from SQLAlchemy.
        if bindparam.unique:
            options["literal_binds"] = True
        return super().visit_bindparam(bindparam, *arguments, **options)  # type: ignore[no-untyped-call]


class _Dialect(dialect.dialect):
    statement_compiler = _Compiler
    supports_statement_cache = False
    # SQLAlchemy would ask the server; the pool's connections are told (see `SETTINGS`).
    _backslash_escapes = False


ASYNCPG: sa.Dialect = _Dialect()  # type: ignore[no-untyped-call]

SETTINGS = {
    # Planning a page anew costs more than running it, and its plan does not depend on the values: all are keys.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # In the constants of a statement, backslashes mean themselves.
    "standard_conforming_strings": "on",
}
OUTDATED = asyncpg.ReadOnlySQLTransactionError, asyncpg.InvalidCachedStatementError
"""How the database tells that it is not any more what it was when a connection was opened: another one has taken its
place and this one can only be read, or a migration has changed a table that a statement was prepared for."""


@dataclass(frozen=True)
class Rendered:
    """A statement as the driver takes it: its text, and the names of its parameters in their order."""

    sql: str
    names: Sequence[str]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values of the parameters, in their order."""
        return [plain(given[name]) for name in self.names]


def plain(value: Any) -> Any:
    """A value as the driver takes it: enums by their names."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def render(statement: sa.Select[*tuple[Any, ...]]) -> Rendered:
    """Compile a statement; its parameters are those with a name, its constants are written into the text."""
    compiled = statement.compile(dialect=ASYNCPG)
    assert isinstance(compiled, sa.sql.compiler.SQLCompiler)
    return Rendered(str(compiled), compiled.positiontup or ())


def compiled_once(expression: Any) -> Any:
    """The same expression, compiled already; for those without parameters and subqueries that many statements share."""
    return sa.literal_column(str(expression.compile(dialect=ASYNCPG)), expression.type)


@dataclass
class Pool:
    """Connections of one kind of work, opened when they are first needed; who has waited longest for one is next.

    Nothing is ever set on them, so that nothing has to be set back, and taking one and giving it back is quick. They
    keep a statement prepared from its second time on: of many a document, there is no second time.
    """

    url: str
    settings: Settings
    beside: "Pool | None" = None
    """Another one of the same database, which only reads, and so does not find out that another has taken its place."""
    _idle: list[Any] = field(default_factory=list)
    _places: asyncio.Semaphore = field(init=False)
    """How many more connections may be in use."""
    _seen: Seen = field(default_factory=Seen)
    _forgotten: int = 0
    """How often its connections were given up."""

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.settings.database_pool_size)

    async def row(self, sql: str, values: Sequence[Any]) -> Any:
        """The first row of a statement. Raises TimeoutError when no connection becomes free in time."""
        async with self.connection() as connection:
            if self._seen.again(sql):
                return await connection.fetchrow(sql, *values)
            # It gets a name until the next one is prepared: the driver may ask the database something else between
            # preparing and running it, and behind a pooler, one without a name would then be another caller's.
            return await (await connection.prepare(sql)).fetchrow(*values)

    async def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of a statement. Raises TimeoutError when no connection becomes free in time."""
        async with self.connection() as connection:
            found: list[Any] = await connection.fetch(sql, *values)
            return found

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection, as soon as one is free. Raises ConnectionError when it was lost meanwhile."""
        await self._take_place()
        try:
            forgotten = self._forgotten
            connection = self._kept() or await self._open()
            try:
                yield connection
            except asyncpg.InternalClientError as error:
                # While a connection is being lost, the driver does not know it yet, and cannot send anything either.
                connection.terminate()
                raise _lost(error) from error
            except OUTDATED:
                # What holds for this one holds for all: who comes next finds out anew what is there.
                for pool in filter(None, (self, self.beside)):
                    pool.forget()
                raise
            except TimeoutError:
                # Nobody may be there any more to say how it ended; the driver would wait for that with the next one.
                connection.terminate()
                raise
            except asyncpg.InterfaceError as error:
                if connection.is_closed():
                    raise _lost(error) from error
                raise
            finally:
                if forgotten != self._forgotten:
                    connection.terminate()
                self._give_back(connection)
        finally:
            self._places.release()

    def forget(self) -> None:
        """Give up all connections: those that rest at once, those that are in use when they are given back."""
        self._forgotten += 1
        for connection in self._idle:
            connection.terminate()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        async with asyncio.timeout(self.settings.database_pool_timeout):
            await self._places.acquire()

    def _give_back(self, connection: Any) -> None:
        if connection.is_closed():
            return
        # The end of a statement that was broken off is awaited by the driver; nobody ends a transaction.
        if connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    def _kept(self) -> Any:
        """The connection that was used last, unless it was lost since."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _open(self) -> Any:
        async with asyncio.timeout(self.settings.database_pool_timeout):
            told = server_settings(self.settings) | SETTINGS
            connection = await open_connection(self.url, told, patience(self.settings))
        try:
            # JSON is written as a text, and read as what it means.
            await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=json.loads)
            # No statement has a BPCHAR but those for texts that are passed on, as the bytes they came as.
            await connection.set_type_codec(
                "bpchar", schema="pg_catalog", format="binary", encoder=str.encode, decoder=bytes
            )
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        """Close the connections, once all have been given back."""
        for _ in range(self.settings.database_pool_size):
            await self._places.acquire()
        for _ in range(self.settings.database_pool_size):
            self._places.release()
        idle, self._idle = self._idle, []
        # Who does not answer any more is left.
        closing = (connection.close(timeout=GRACE) for connection in idle)
        await asyncio.gather(*closing, return_exceptions=True)


def _lost(error: Exception) -> ConnectionError:
    return ConnectionError(f"the connection to the database was lost: {error}")
