"""Addresses that take no mail: known from the mail server's refusals, and from what operators report."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.models import Contact, User
from app.db.outbox import UndeliverableAddress


def normal(email: Any) -> Any:
    """An address as it is compared, in SQL: the small and capital letters of a mail server's users mean the same."""
    return sa.func.lower(sa.func.trim(email), type_=sa.Text)


async def note_refusal(connection: AsyncConnection, email: str) -> None:
    """From now on, an address takes no mail."""
    refused = insert(UndeliverableAddress).values(email=normal(email))
    again = {"refused_at": sa.func.now()}
    await connection.execute(refused.on_conflict_do_update(index_elements=["email"], set_=again))


async def note_delivery(connection: AsyncConnection, email: str) -> None:
    """An address takes mail."""
    refused = UndeliverableAddress.email == normal(email)
    await connection.execute(sa.delete(UndeliverableAddress).where(refused))


async def report(database: AsyncEngine, email: str) -> bool:
    """Note that a message to an address came back; returns whether it is the address of a user or a contact."""
    known = sa.or_(*(sa.exists().where(normal(one.email) == normal(email)) for one in (User, Contact)))
    async with database.begin() as connection:
        is_known = bool(await connection.scalar(sa.select(known)))
        if is_known:
            await note_refusal(connection, email)
    return is_known
