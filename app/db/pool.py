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
from app.db.engine import async_url, server_settings


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
    """Connections of one kind of work, opened when they are first needed."""

    url: str
    settings: Settings
    _pool: Any = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def row(self, sql: str, values: Sequence[Any]) -> Any:
        """The first row of a statement. Raises TimeoutError when no connection becomes free in time."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *values)

    async def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of a statement. Raises TimeoutError when no connection becomes free in time."""
        async with self.connection() as connection:
            found: list[Any] = await connection.fetch(sql, *values)
            return found

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection, as soon as one is free."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=self.settings.database_pool_timeout) as connection:
            yield connection

    async def _open(self) -> Any:
        async with self._opening:
            if self._pool is None:
                url = async_url(self.url).set(drivername="postgresql")
                self._pool = await asyncpg.create_pool(
                    url.render_as_string(hide_password=False),
                    min_size=0,
                    max_size=self.settings.database_pool_size,
                    server_settings=server_settings(self.settings) | SETTINGS,
                    # Nothing is ever set on these connections, so there is nothing to set back.
                    reset=_nothing,
                    init=_read_json,
                )
        return self._pool

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.close()


async def _nothing(_connection: Any) -> None:
    return None


async def _read_json(connection: Any) -> None:
    """JSON is written as a text, and read as what it means."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=json.loads)
