"""Locks that are not about a row; PostgreSQL holds them until the transaction ends."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

SITES = 5_417_310
"""Held alone while sites are created, and together by whoever relies on a site not being there."""


async def creating_sites(session: AsyncSession) -> None:
    """Wait until nobody else creates sites or relies on their absence; others wait until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(SITES)))


async def relying_on_absence(session: AsyncSession) -> None:
    """Wait until nobody creates sites; nobody begins to until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(SITES)))
