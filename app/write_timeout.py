"""Who takes nothing of what they are sent is cut off, or else they would keep a connection for as long as they like."""

import asyncio
import math

SECONDS = 30.0
"""Within which some of what waits has to be taken."""


class WriteTimeout:
    """Looks now and then whether the other side of a connection takes what waits for it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.full = False
        self.waiting: float = math.inf
        """Bytes that waited when it was looked last, if they still do."""
        self._later()

    def pause(self) -> None:
        """Nothing more is written until enough has been taken."""
        self.full, self.waiting = True, math.inf

    def resume(self) -> None:
        """Enough has been taken."""
        self.full = False

    def stop(self) -> None:
        """The connection is lost, or somebody else's."""
        self._timer.cancel()

    def _later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self._look)

    def _look(self) -> None:
        awaited = self.full or self.transport.is_closing()
        waiting = self.transport.get_write_buffer_size() if awaited else 0
        if waiting and waiting >= self.waiting:
            self.transport.abort()
            return
        self.waiting = waiting or math.inf
        self._later()
