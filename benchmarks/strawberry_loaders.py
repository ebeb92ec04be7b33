"""The batches behind the DataLoaders of the plain Strawberry server: one statement each, a session of its own."""

import os
from collections import defaultdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from app import rules
from app.db import models as m
from app.db.engine import async_url

connections = int(os.environ["DATABASE_POOL_SIZE"])
engine = create_async_engine(async_url(os.environ["DATABASE_URL"]), pool_size=connections, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def load_users(keys: list[UUID]) -> list[m.User]:
    """People by their keys."""
    async with sessions() as session:
        rows = await session.scalars(sa.select(m.User).where(m.User.id.in_(keys)))
        found = {row.id: row for row in rows}
    return [found[key] for key in keys]


async def load_memberships(keys: list[tuple[UUID, int]]) -> list[list[m.Membership]]:
    """The first memberships of sites by name."""
    order = (m.User.sort_name, m.Membership.id)
    place = sa.func.row_number().over(partition_by=m.Membership.site_id, order_by=order)
    ranked = (
        sa.select(m.Membership.id, place.label("place"))
        .join(m.User, m.User.id == m.Membership.user_id)
        .where(m.Membership.site_id.in_([site for site, _ in keys]))
        .subquery()
    )
    statement = (
        sa.select(m.Membership)
        .join(ranked, ranked.c.id == m.Membership.id)
        .where(
            m.Membership.site_id.in_([site for site, _ in keys]),
            ranked.c.place <= max(first for _, first in keys),
        )
        .order_by(ranked.c.place)
    )
    groups = await _by_site(statement)
    return [groups[site][:first] for site, first in keys]


async def load_contacts(keys: list[UUID]) -> list[list[m.Contact]]:
    """The contacts of sites, the primary one first."""
    primary = sa.literal(rules.ContactType.PRIMARY, m.Contact.types.type.item_type) == sa.any_(
        m.Contact.types
    )
    order = (sa.not_(primary), m.Contact.sort_name)
    statement = sa.select(m.Contact).where(m.Contact.site_id.in_(keys)).order_by(*order, m.Contact.id)
    groups = await _by_site(statement)
    return [groups[key] for key in keys]


async def load_requests(keys: list[UUID]) -> list[list[m.AccessRequest]]:
    """The requests for sites, the oldest first."""
    statement = sa.select(m.AccessRequest).where(m.AccessRequest.site_id.in_(keys))
    groups = await _by_site(statement.order_by(m.AccessRequest.created_at, m.AccessRequest.id))
    return [groups[key] for key in keys]


async def load_seats(keys: list[UUID]) -> list[int]:
    """How many seats of sites are free."""
    statement = sa.select(m.Membership.site_id, sa.func.count(m.Membership.seat))
    statement = statement.where(m.Membership.site_id.in_(keys)).group_by(m.Membership.site_id)
    async with sessions() as session:
        taken = dict((await session.execute(statement)).tuples().all())
    return [rules.SECONDARY_CONTACT_SEATS - taken.get(key, 0) for key in keys]


async def _by_site(statement: sa.Select[Any]) -> dict[UUID, list[Any]]:
    groups = defaultdict(list)
    async with sessions() as session:
        for row in await session.scalars(statement):
            groups[row.site_id].append(row)
    return groups
