"""Sends what is due: many at once, few to the same receiver, and each at least once.

A delivery is taken by moving its next attempt forward, which is a lease: a worker that dies loses nothing, as
another takes the delivery anew when the lease has ended, with the same `webhook-id`. Workers wake when a
transaction queues something (LISTEN), and look for themselves every few seconds. Any number of them may run.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.listening import listen
from app.query.ids import write_id
from app.webhook_rules import host_of
from app.webhooks.queue import PURGED_AT_ONCE, Claimed, due, finish, lease, purge
from app.webhooks.sender import Sender
from app.webhooks.signing import signed

log = structlog.get_logger()
CHANNEL = "webhook_delivery"
AT_ONCE = 64
AT_ONCE_PER_HOST = 16
AT_ONCE_PER_WEBHOOK = 4
AT_ONCE_FAILING = 32
"""Webhooks whose last attempt failed share so many places, however many they are; the others find the rest."""
CONNECTIONS = 3
"""So many of the pool's connections a worker uses at once, so that requests find the others."""
POLL_SECONDS = 2.0
GRACE_SECONDS = 5.0
PURGE_SECONDS = 3600.0


@dataclass
class Worker:
    """Sends until it is stopped, or until nothing is due."""

    settings: Settings
    database: AsyncEngine
    sender: Sender
    running: dict[asyncio.Task[None], Claimed] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    next_purge: float = 0.0
    _desk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))

    def stop(self) -> None:
        """Take nothing more, and let `run` end."""
        self.stopping = True
        self._wake()

    async def run(self) -> None:
        """Send what is due, until `stop`; what is under way then has a few seconds to end."""
        # Where the database cannot wake it, looking every few seconds does.
        listening = asyncio.create_task(listen(self.settings, CHANNEL, self._wake, self._wake))
        try:
            while not self.stopping:
                self.wake.clear()
                await self._look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), POLL_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await self.close()

    async def once(self) -> int:
        """Send all that is due now; how many attempts that took."""
        count = 0
        while (taken := await self._take()) or self.running:
            count += taken
            if self.running:
                await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        return count

    async def _look(self) -> None:
        """One round. What goes wrong with the database passes, or is for its operator to see."""
        try:
            while await self._take():
                pass
            await self._purge()
        except Exception:
            log.exception("webhook worker cannot reach its queue")

    async def _take(self) -> int:
        """Take what is due, as far as there is room for it, and begin; how many."""
        if len(self.running) >= AT_ONCE or self.stopping:
            return 0
        async with self._desk, self.database.begin() as connection:
            rooms = Rooms(self.running.values())
            taken: list[Claimed] = []
            while True:
                only_healthy = rooms.failing >= AT_ONCE_FAILING
                candidates = await due(connection, rooms.full, rooms.full_hosts, only_healthy)
                chosen = [one for one in candidates if rooms.enter(one)]
                taken += chosen
                if chosen:
                    await lease(connection, chosen)
                if not candidates or rooms.free == 0:
                    break
        for one in taken:
            task = asyncio.create_task(self._attempt(one))
            self.running[task] = one
            task.add_done_callback(self._done)
        return len(taken)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self.running[task]
        self._wake()

    def _wake(self, _announcement: str = "") -> None:
        self.wake.set()

    async def _attempt(self, one: Claimed) -> None:
        id = write_id("webhook_delivery", one.id)
        try:
            outcome = await self.sender.send(one.url, one.payload, signed(id, one.payload, one.secrets))
            async with self._desk:
                await finish(self.database, one, outcome)
        except Exception:
            # It is attempted anew when the lease has ended.
            log.exception("webhook delivery cannot be written down", delivery=id)
            return
        log.info(
            "webhook delivered" if outcome.delivered else "webhook not delivered",
            delivery=id,
            webhook=write_id("webhook", one.webhook_id),
            attempt=one.attempts,
            status=outcome.status,
            error=outcome.error and outcome.error.name,
        )

    async def _purge(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self.next_purge and await purge(self.database) < PURGED_AT_ONCE:
            self.next_purge = now + PURGE_SECONDS

    async def close(self) -> None:
        """Let what is under way end, for a few seconds; leave the rest to other workers."""
        if self.running:
            await asyncio.wait(self.running, timeout=GRACE_SECONDS)
        rest = list(self.running)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class Rooms:
    """How many more attempts there may be at once: in all, to the same host, and to the same webhook."""

    def __init__(self, running: Iterable[Claimed]) -> None:
        self.free = AT_ONCE
        self.failing = 0
        self.hosts: Counter[str] = Counter()
        self.webhooks: Counter[UUID] = Counter()
        self.full: set[UUID] = set()
        self.full_hosts: set[str] = set()
        for one in running:
            self._seat(one)

    def enter(self, one: Claimed) -> bool:
        """Take a place for an attempt; where there is none, its webhook is full."""
        if one.webhook_id in self.full or self.free == 0:
            return False
        host_is_full = self.hosts[host_of(one.url)] >= AT_ONCE_PER_HOST
        if host_is_full:
            # Many sites may use the same tool; they are passed over together.
            self.full_hosts.add(one.url.split("/")[2])
        if host_is_full or (one.failing and self.failing >= AT_ONCE_FAILING):
            self.full.add(one.webhook_id)
            return False
        self._seat(one)
        return True

    def _seat(self, one: Claimed) -> None:
        self.free -= 1
        self.failing += one.failing
        self.hosts[host_of(one.url)] += 1
        self.webhooks[one.webhook_id] += 1
        if self.webhooks[one.webhook_id] >= AT_ONCE_PER_WEBHOOK:
            self.full.add(one.webhook_id)


@asynccontextmanager
async def sending(settings: Settings, database: AsyncEngine) -> AsyncIterator[None]:
    """Have a worker beside the server, as long as it runs."""
    worker = Worker(settings, database, Sender(settings.webhook_private_addresses))
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task
