"""Proves that the history still is what was written: PostgreSQL hashes every event anew, and the links are compared.

What it cannot see is that the newest events of a stream are missing, or that somebody with the rights of the owner has
written a whole stream anew: who wants to be sure of that keeps the number and the hash of its last event elsewhere.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

PART = 5_000
"""How many events are hashed by one statement."""
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
BEFORE_ALL = -(2**63)
EVENTS = sa.text(
    """
    SELECT stream, number, previous_hash, hash, hash_of_history_event(written) AS recomputed
    FROM history_event AS written
    WHERE stream BETWEEN :first AND :last AND (stream, number) > (:stream, :number)
    ORDER BY stream, number LIMIT :size
    """
).bindparams(*(sa.bindparam(name, type_=sa.Uuid) for name in ("first", "last", "stream")))


@dataclass(frozen=True)
class Event:
    """An event as a link of the chain."""

    stream: UUID
    number: int
    previous_hash: bytes | None
    hash: bytes
    recomputed: bytes

    def fault(self, previous: "Event | None") -> str | None:
        """What is wrong with it after its predecessor in the stream; nothing when the chain holds."""
        expected = previous.number + 1 if previous else 1
        if self.number != expected:
            return f"event {expected} is missing: event {self.number} stands in its place"
        if self.previous_hash != (previous.hash if previous else None):
            return f"event {self.number} does not follow what stands before it"
        if self.hash != self.recomputed:
            return f"event {self.number} is not what was written"
        return None


@dataclass
class Proof:
    """How far the chain was looked at, and the first fault."""

    events: int = 0
    streams: int = 0
    last: Event | None = None
    fault: str | None = None

    def take(self, event: Event) -> None:
        """Look at the next event."""
        previous = self.last if self.last and self.last.stream == event.stream else None
        self.fault = event.fault(previous)
        self.streams += previous is None
        self.events += 1
        self.last = event


async def verify(
    database: AsyncEngine, stream: UUID | None = None, progress: Callable[[int], Any] = lambda _: None
) -> Proof:
    """Hash the events of one stream, or of all, up to the first fault; `progress` hears how many were done."""
    proof = Proof()
    async for part in _parts(database, stream):
        for event in part:
            proof.take(event)
            if proof.fault:
                return proof
        progress(len(part))
    return proof


async def _parts(database: AsyncEngine, stream: UUID | None) -> AsyncIterator[Sequence[Event]]:
    """The events in their order, a part at a time, so that no statement is long and nothing is held in between."""
    values = {"first": stream or FIRST, "last": stream or LAST, "size": PART}
    last, number, more = stream or FIRST, BEFORE_ALL, True
    while more:
        async with database.connect() as connection:
            rows = await connection.execute(EVENTS, values | {"stream": last, "number": number})
            part = [Event(*row) for row in rows]
        more = len(part) == PART
        if part:
            last, number = part[-1].stream, part[-1].number
            yield part


async def count(database: AsyncEngine, stream: UUID | None = None) -> int:
    """How many events there are to look at."""
    values = {"first": stream or FIRST, "last": stream or LAST}
    statement = sa.text("SELECT count(*) FROM history_event WHERE stream BETWEEN :first AND :last")
    async with database.connect() as connection:
        return int(await connection.scalar(statement.bindparams(**values)) or 0)
