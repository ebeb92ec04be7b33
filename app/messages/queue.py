"""The outbox as a queue: who takes a message holds it for a while, then says how it went."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.outbox import Message
from app.messages.bounces import note_delivery, note_refusal
from app.rules import MessageFault, MessageState
from app.texts import UNREADABLE

PAUSES = [timedelta(minutes=m) for m in (1, 5, 30, 2 * 60, 6 * 60, 12 * 60, 24 * 60)]
"""How long a message waits after its first, second, … failed attempt; after the last it is dead."""
TRIES = {
    MessageFault.ADDRESS_UNUSABLE: 1,
    MessageFault.RECIPIENT_REFUSED: 3,
    MessageFault.MESSAGE_REFUSED: 3,
}
"""Attempts after which a message is dead, where more would not help; servers refuse for good by mistake, too."""
LONGEST_ERROR = 500
MESSAGE = Message.__table__.c
DUE = sa.and_(Message.state == MessageState.QUEUED, Message.next_attempt_at <= sa.func.now())


async def claim(database: AsyncEngine, lease: timedelta) -> Any:
    """Take the message that is due for longest; nobody else takes it before the lease has ended, if then it is due.

    The transaction is over when this returns: nothing is locked while the mail server is spoken to.
    """
    first = sa.select(Message.id).where(DUE).order_by(Message.next_attempt_at).limit(1)
    taken = (
        sa.update(Message)
        .where(Message.id == first.with_for_update(skip_locked=True).scalar_subquery())
        .values(next_attempt_at=sa.func.now() + lease, attempts=Message.attempts + 1)
        .returning(*MESSAGE)
    )
    async with database.begin() as connection:
        return (await connection.execute(taken)).one_or_none()


async def mark_sent(database: AsyncEngine, message: Any) -> None:
    """It was taken by the mail server."""
    values = {"state": MessageState.SENT, "sent_at": sa.func.now(), "next_attempt_at": None}
    async with database.begin() as connection:
        await _mark(connection, Message.id == message.id, values | {"fault": None, "last_error": None})
        await note_delivery(connection, message.email)


async def mark_failed(database: AsyncEngine, message: Any, fault: MessageFault, detail: str) -> MessageState:
    """It was not: it waits for its next attempt, or is dead. Whoever has taken it since then says so instead.

    An address is said to take no mail only when its message is dead: servers refuse for good by mistake, too.
    """
    tries = TRIES.get(fault, len(PAUSES) + 1)
    dead = message.attempts >= tries
    state = MessageState.DEAD if dead else MessageState.QUEUED
    pause = None if dead else sa.func.now() + PAUSES[message.attempts - 1]
    told = UNREADABLE.sub("", detail.replace("\n", " "))[:LONGEST_ERROR]
    values = {"state": state, "next_attempt_at": pause, "fault": fault, "last_error": told}
    which = sa.and_(Message.id == message.id, Message.attempts == message.attempts)
    async with database.begin() as connection:
        marked = await _mark(connection, which, values)
        if marked and dead and fault is MessageFault.RECIPIENT_REFUSED:
            await note_refusal(connection, message.email)
    return state


async def _mark(connection: AsyncConnection, which: sa.ColumnElement[bool], values: dict[str, Any]) -> bool:
    unsent = Message.state != MessageState.SENT
    marked = await connection.execute(sa.update(Message).where(which, unsent).values(**values))
    return marked.rowcount > 0


async def seconds_to_next(database: AsyncEngine) -> float | None:
    """How long until a message is due; nothing when none is waiting."""
    wait: timedelta | None
    first: Any = sa.func.min(Message.next_attempt_at) - sa.func.now()
    async with database.connect() as connection:
        wait = await connection.scalar(sa.select(first).where(Message.state == MessageState.QUEUED))
    return wait.total_seconds() if wait is not None else None


async def requeue(database: AsyncEngine, which: sa.ColumnElement[bool]) -> Sequence[UUID]:
    """Give messages that were not sent all their attempts again, beginning now; returns those that it did so with."""
    again = (
        sa.update(Message)
        .where(which, Message.state != MessageState.SENT)
        .values(state=MessageState.QUEUED, attempts=0, next_attempt_at=sa.func.now())
        .returning(Message.id)
    )
    async with database.begin() as connection:
        return (await connection.scalars(again)).all()
