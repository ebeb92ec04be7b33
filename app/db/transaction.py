"""Where a unit of work begins and ends: on a pool of the driver, or on the connections of a command."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import GRACE
from app.db.pool import Pool
from app.db.session import Session

Database = Pool | AsyncEngine


@asynccontextmanager
async def begin(database: Database) -> AsyncIterator[Session]:
    """A transaction and its unit of work: kept as a whole, or taken back when something is raised or not `keeps`."""
    async with _connection(database) as connection:
        session, transaction = Session(connection), await _started(connection)
        try:
            yield session
            await session.flush()
        except TimeoutError:
            # Nobody may be there any more to take it back.
            connection.terminate()
            raise
        except BaseException:
            await _take_back(connection, transaction)
            raise
        await (transaction.commit() if session.keeps else transaction.rollback())


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Session]:
    """What the database holds at one moment, to be read only."""
    async with _connection(database) as connection:
        transaction = await _started(connection, isolation="repeatable_read", readonly=True)
        try:
            yield Session(connection)
        except TimeoutError:
            connection.terminate()
            raise
        finally:
            await _take_back(connection, transaction)


async def _started(connection: Any, **kind: Any) -> Any:
    """A transaction of this kind, which has begun."""
    transaction = connection.transaction(**kind)
    try:
        await transaction.start()
    except BaseException:
        # Nobody knows whether it has begun, and the driver would take the next one for a part of it: what that does
        # would be said to be done, and be lost.
        connection.terminate()
        raise
    return transaction


async def _take_back(connection: Any, transaction: Any) -> None:
    # With a connection, its transaction is lost as well, and why is told by what was raised.
    if not connection.is_closed():
        try:
            async with asyncio.timeout(GRACE):
                await transaction.rollback()
        except TimeoutError:
            # Nobody is there any more to take it back.
            connection.terminate()


def _connection(database: Database) -> AbstractAsyncContextManager[Any]:
    """A connection of the driver."""
    return database.connection() if isinstance(database, Pool) else _of(database)


@asynccontextmanager
async def _of(engine: AsyncEngine) -> AsyncIterator[Any]:
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            yield driver
        except BaseException:
            # The engine knows neither that it was lost, nor that somebody was interrupted in a transaction.
            await connection.invalidate()
            raise
