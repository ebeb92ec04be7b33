"""Listening to what PostgreSQL announces, on a connection of its own, which is opened anew whenever it is lost.

An announcement comes when its transaction commits, to every process that listens. It may be missed while the
connection is down; so it only says that there is something to look at, and after every new connection all is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from app.config import Settings
from app.db.engine import connect_to_listen

log = structlog.get_logger()
APPLICATION = "account-management-listener"
PATIENCE = 10.0
"""Seconds in which a connection has to be there and listen."""
HEARTBEAT = 10.0
"""Seconds after which a silent connection is asked whether it is still there, and in which it has to answer."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two attempts to connect."""


async def listen(
    settings: Settings, channel: str, heard: Callable[[str], None], connected: Callable[[], None]
) -> None:
    """Until it is cancelled, call `heard` with each announcement, and `connected` after each connection."""
    pause = FIRST_PAUSE
    while True:
        try:
            async with _listening(settings, channel, heard) as connection:
                pause = FIRST_PAUSE
                connected()
                await _hold(connection)
        except Exception as error:
            # Drivers have more ways to fail than they tell of, and nobody would hear of anything any more.
            log.warning("the listening connection is lost", channel=channel, error=repr(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


@asynccontextmanager
async def _listening(settings: Settings, channel: str, heard: Callable[[str], None]) -> AsyncIterator[Any]:
    connection = None
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await connect_to_listen(settings, APPLICATION)
            await connection.add_listener(channel, lambda *announcement: heard(announcement[-1]))
        yield connection
    finally:
        if connection is not None:
            connection.terminate()


async def _hold(connection: Any) -> None:
    """Wait until the connection is lost. Raises an error of the driver, or TimeoutError."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), HEARTBEAT)
        # A connection that a network has forgotten tells nobody that it is gone.
        await connection.fetchval("SELECT 1", timeout=HEARTBEAT)
