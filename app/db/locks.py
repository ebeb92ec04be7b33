"""Locks that are not about a row; PostgreSQL holds them until the transaction ends."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

SITES = 5_417_310
"""Held alone while sites are created, and together by whoever relies on a site not being there."""

PEOPLE = 5_417_311
"""Makes keys of locks out of IBMids."""


async def creating_sites(session: AsyncSession) -> None:
    """Wait until nobody else creates sites or relies on their absence; others wait until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(SITES)))


async def relying_on_absence(session: AsyncSession) -> None:
    """Wait until nobody creates sites; nobody begins to until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(SITES)))


async def adding_people(session: AsyncSession, ibm_ids: Iterable[str]) -> None:
    """Wait for others who add the same people, wherever; all wait in one order, so that nobody waits in a circle."""
    names = sa.func.unnest(sa.literal([ibm_id.lower() for ibm_id in ibm_ids], ARRAY(sa.Text))).column_valued(
        "name"
    )
    ordered = (
        sa.select(sa.func.hashtextextended(names, PEOPLE).label("key")).distinct().order_by("key").subquery()
    )
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(ordered.c.key)))
