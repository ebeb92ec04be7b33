"""Statements that are compiled once and then only filled in, straight on the driver.

The ORM's session serves the writes; what is read with every request is too frequent for it.
"""

import asyncio
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

ASYNCPG: sa.Dialect = dialect.dialect()  # type: ignore[no-untyped-call]

PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
"""Planning a page anew costs more than running it, and its plan does not depend on the values: all are keys."""


@dataclass(frozen=True)
class Rendered:
    """A statement as the driver takes it: its text, and the names of its parameters in their order.

    `fixed` holds the values of those that the statement brings along.
    """

    sql: str
    names: Sequence[str]
    fixed: dict[str, Any]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values of the parameters, in their order; those given by name come before those brought along."""
        return [plain(given[name] if name in given else self.fixed[name]) for name in self.names]


def plain(value: Any) -> Any:
    """A value as the driver takes it: enums by their names."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def render(statement: sa.Select[Any]) -> Rendered:
    """Compile a statement; constants marked as literal stand in its text, written there by SQLAlchemy."""
    compiled = statement.compile(dialect=ASYNCPG, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, sa.sql.compiler.SQLCompiler)
    return Rendered(str(compiled), compiled.positiontup or (), dict(compiled.params))


@dataclass
class Pool:
    """Connections for reading, opened when they are first needed."""

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
                    server_settings=server_settings(self.settings) | PLANNED_ONCE,
                    # Nothing is ever set on these connections, so there is nothing to set back.
                    reset=_nothing,
                )
        return self._pool

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.close()


async def _nothing(_connection: Any) -> None:
    return None
