"""The one connection of this process on which PostgreSQL announces the events of all sites.

An announcement comes when its transaction commits, to every process that listens. It may be missed while the
connection is down; so it only says that there is something to read, and after every new connection all is read.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from app.config import Settings
from app.db.engine import connect_to_listen

log = structlog.get_logger()
CHANNEL = "history_event"
"""As in the trigger of migration 0004."""
APPLICATION = "account-management-listener"
HEARTBEAT = 10.0
"""Seconds after which a silent connection is asked whether it is still there."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two attempts to connect."""


@dataclass
class Listener:
    """Listens from the first subscriber on. `heard` is called for each event, `connected` after each connection."""

    settings: Settings
    heard: Callable[[UUID, int], None]
    connected: Callable[[], None]
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to listen, if that is not done yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Listen no longer."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(10):
                    connection = await connect_to_listen(self.settings, application_name=APPLICATION)
                pause = FIRST_PAUSE
                await self._hold(connection)
            except Exception as error:
                # Drivers have more ways to fail than they tell of, and nobody would hear of anything any more.
                log.warning("the listening connection is lost", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _hold(self, connection: Any) -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._on_announcement)
            self.connected()
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        await lost.wait()
                # A connection that a network has forgotten tells nobody that it is gone.
                await connection.fetchval("SELECT 1", timeout=HEARTBEAT)
        finally:
            connection.terminate()

    def _on_announcement(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        site_id, _, number = payload.partition(":")
        self.heard(UUID(site_id), int(number))
