"""The one connection of this process on which PostgreSQL announces the events of all sites."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from app.config import Settings
from app.db.listening import listen

CHANNEL = "history_event"
"""As in the trigger of migration 0004."""


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
            self._task = asyncio.create_task(
                listen(self.settings, CHANNEL, self._on_announcement, self.connected)
            )

    async def close(self) -> None:
        """Listen no longer."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _on_announcement(self, payload: str) -> None:
        site_id, _, number = payload.partition(":")
        self.heard(UUID(site_id), int(number))
