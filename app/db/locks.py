"""Locks that are not about a row; PostgreSQL holds them until the transaction ends."""

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.session import Session

SITES = 5_417_310
"""Held alone while sites are created, and together by whoever relies on a site not being there."""

PEOPLE = 5_417_311
"""Makes keys of locks out of IBMids."""


async def without_haste(session: Session) -> None:
    """Let this transaction wait and work as long as it takes: it is an operator's, and no request.

    PostgreSQL does; the driver does on an engine that is not `hurried`.
    """
    limits = ("lock_timeout", "statement_timeout")
    await session.execute(sa.select(*(sa.func.set_config(name, "0", True) for name in limits)))


async def creating_sites(session: Session) -> None:
    """Wait until nobody else creates sites or relies on their absence; others wait until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(SITES)))


async def relying_on_absence(session: Session) -> None:
    """Wait until nobody creates sites; nobody begins to until this transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(SITES)))


async def adding_people(session: Session, ibm_ids: Iterable[str]) -> None:
    """Wait for others who add the same people, wherever; all wait in one order, so that nobody waits in a circle."""
    keys = sa.literal(sorted(set(map(_key_of, ibm_ids))), ARRAY(sa.BigInteger))
    key = sa.func.unnest(keys).column_valued("key")
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _key_of(ibm_id: str) -> int:
    # Nothing has been checked yet, so it may hold what the database could not take.
    text = f"{PEOPLE} {ibm_id.lower()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], signed=True)
