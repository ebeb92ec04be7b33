"""Sends what is in the outbox, and puts into it what is due. Any number of workers may run, on any number of hosts.

At least once: a message that is being sent when its worker dies is sent again when the lease has ended, with the same
Message-ID.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.listening import listen
from app.messages import queue
from app.messages.delivery import Delivery, Undelivered, delivery_of
from app.messages.letters import write_letter
from app.messages.mail import UnusableAddress, address_of, mail_of, sender_of
from app.messages.outbox import CHANNEL
from app.messages.schedule import announce
from app.rules import MessageFault

log = structlog.get_logger()
AT_ONCE = 4
"""Messages that a worker sends at the same time: where the mail server is slow to take one, others need not wait."""
SCHEDULE_EVERY = 60.0
POLL_EVERY = 15.0
"""Seconds after which a worker looks without having been woken."""
SHORTEST_WAIT = 0.2
GRACE = 5.0
"""Seconds that a server which is being stopped gives a message that is being sent."""


@dataclass
class Worker:
    """Takes a few messages at a time, until it is stopped. Each of its lanes sends one, and has a bell to wake it."""

    database: AsyncEngine
    settings: Settings
    delivery: Delivery
    stopping: bool = False
    bells: list[asyncio.Event] = field(default_factory=lambda: [asyncio.Event() for _ in range(AT_ONCE)])
    announce_at: float = 0.0

    @property
    def lease(self) -> timedelta:
        """How long a message is held: much longer than sending it can take."""
        return timedelta(seconds=3 * self.settings.smtp_timeout)

    def stop(self) -> None:
        """Let `run` return once the messages that are being sent are done with."""
        self.stopping = True
        self._ring()

    async def run(self) -> None:
        """Work until stopped, whatever happens to the database meanwhile."""
        # Where the database cannot wake it, polling does.
        listening = asyncio.create_task(listen(self.settings, CHANNEL, self._ring, self._ring))
        try:
            await asyncio.gather(*map(self._lane, self.bells))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _lane(self, bell: asyncio.Event) -> None:
        while not self.stopping:
            bell.clear()
            pause = await self._round()
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), pause)

    def _ring(self, _announcement: str = "") -> None:
        for bell in self.bells:
            bell.set()

    async def _round(self) -> float:
        """Everything that is due; returns for how many seconds there is nothing more to do."""
        try:
            await self._announce()
            while not self.stopping and await self.step():
                await self._announce()
            next_due = await queue.seconds_to_next(self.database)
        except Exception as error:
            # A worker never gives up: most likely the database is away, and comes back.
            log.error("messages wait", error=repr(error))
            return POLL_EVERY
        wait = POLL_EVERY if next_due is None else min(next_due, POLL_EVERY)
        return 0 if self.stopping else max(wait, SHORTEST_WAIT)

    async def _announce(self) -> None:
        if time.monotonic() >= self.announce_at:
            self.announce_at = time.monotonic() + SCHEDULE_EVERY
            await announce(self.database)

    async def step(self) -> bool:
        """Send one message; returns whether there was one."""
        message = await queue.claim(self.database, self.lease)
        if message is None:
            return False
        about = {"id": str(message.id), "kind": message.kind.name, "attempt": message.attempts}
        try:
            await self._send(message)
        except Undelivered as error:
            state = await queue.mark_failed(self.database, message, error.fault, str(error))
            log.warning("message not delivered", **about, fault=error.fault.name, state=state.name)
        else:
            await queue.mark_sent(self.database, message)
            log.info("message sent", **about)
        return True

    async def _send(self, message: Any) -> None:
        sender = sender_of(self.settings.mail_from)
        portal = str(self.settings.portal_url) if self.settings.portal_url else None
        try:
            letter = write_letter(message.kind, message.language, message.data, portal)
            to = address_of(message.email)
            mail = mail_of(message.id, letter, message.language, to, sender, message.created_at)
        except UnusableAddress as error:
            raise Undelivered(MessageFault.ADDRESS_UNUSABLE, str(error)) from error
        except Exception as error:
            # A message that cannot be written is no reason not to send the others.
            log.error("message not written", id=str(message.id), exc_info=error)
            raise Undelivered(MessageFault.NOT_WRITTEN, repr(error)) from error
        await self.delivery.deliver(mail, sender.addr_spec, to.addr_spec)


@asynccontextmanager
async def sending(settings: Settings, database: AsyncEngine) -> AsyncIterator[None]:
    """Have a worker beside the server, as long as it runs."""
    worker = Worker(database, settings, delivery_of(settings))
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        # What is being sent may be sent once more by somebody else, but is not lost.
        with suppress(TimeoutError):
            await asyncio.wait_for(task, GRACE)
