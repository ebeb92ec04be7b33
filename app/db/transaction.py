"""Where a unit of work begins and ends: on a pool of the driver, or on the connections of a command."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

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
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if session.keeps else transaction.rollback())


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Session]:
    """What the database holds at one moment, to be read only."""
    async with _connection(database) as connection:
        transaction = await _started(connection, isolation="repeatable_read", readonly=True)
        try:
            yield Session(connection)
        finally:
            await transaction.rollback()


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


def _connection(database: Database) -> AbstractAsyncContextManager[Any]:
    """A connection of the driver."""
    return database.connection() if isinstance(database, Pool) else _of(database)


@asynccontextmanager
async def _of(engine: AsyncEngine) -> AsyncIterator[Any]:
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            yield driver
        finally:
            # The engine knows neither that it was lost, nor that somebody was interrupted in a transaction.
            if driver.is_closed() or driver.is_in_transaction():
                await connection.invalidate()
