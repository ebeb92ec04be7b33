"""How a membership comes to be, or to hold more: its seat, its levels, its event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.access_rules import higher, later
from app.context import Transaction
from app.db.models import Membership, User
from app.errors import Code, refuse
from app.history import Values, values_of
from app.policy import Action
from app.rules import (
    PRIVILEGES,
    SECONDARY_CONTACT_SEATS,
    Event,
    Level,
    Levels,
    Role,
    no_levels,
)


@dataclass(frozen=True)
class Access:
    """What a member is to have; without an end, for ever."""

    role: Role
    levels: Levels
    ends_at: datetime | None = None
    justification: str | None = None


async def membership_of(tx: Transaction, site_id: UUID, user_id: UUID | None) -> Membership | None:
    """A user's membership of a site, also when it has ended."""
    statement = sa.select(Membership).where(Membership.site_id == site_id, Membership.user_id == user_id)
    membership: Membership | None = await tx.session.scalar(statement)
    return membership


async def active_membership(tx: Transaction, site_id: UUID, user_id: UUID) -> Membership | None:
    """A user's membership of a site, unless it has ended."""
    membership = await membership_of(tx, site_id, user_id)
    return membership if membership and membership.active else None


async def give(tx: Transaction, site_id: UUID, user: User, access: Access) -> Membership:
    """Make a membership, or raise one that exists: an ended one begins anew, an active one never loses anything."""
    membership = await membership_of(tx, site_id, user.id)
    if membership and membership.active:
        await raise_(tx, membership, user, access)
        return membership
    before = values_of(membership) if membership else None
    membership = membership or Membership(site_id=site_id, user_id=user.id, role=Role.USER)
    membership.created_at, membership.justification = datetime.now(UTC), access.justification
    membership.ends_at = access.ends_at
    tx.session.add(membership)
    await assign(tx, membership, access.role, no_levels() | dict(access.levels))
    record_change(tx, Event.USER_ADDED, membership, user.name, before, access.justification)
    return membership


async def raise_(tx: Transaction, membership: Membership, user: User, access: Access) -> None:
    """Raise role, levels and end of a membership to what is given; what is higher already stays."""
    tx.require(Action.UPDATE_MEMBERSHIP, membership, "accessRequestId")
    before = values_of(membership)
    membership.justification = access.justification or membership.justification
    membership.ends_at = later(membership.ends_at, access.ends_at)
    role, levels = higher(access.role, membership.role), raised(membership, access.levels)
    await assign(tx, membership, role, levels)
    record_change(tx, Event.MEMBERSHIP_UPDATED, membership, user.name, before, access.justification)


def levels_of(membership: Membership) -> dict[str, Level]:
    """The levels that a membership stores, by privilege name."""
    return {name: getattr(membership, name) for name in PRIVILEGES}


def levels_in(row: Any) -> dict[str, Level]:
    """The levels that a request, a template or a naming speaks of, by privilege name."""
    kept = {name: getattr(row, name) for name in PRIVILEGES}
    return {name: level for name, level in kept.items() if level is not None}


def given_anew(membership: Membership, given: Levels) -> Levels:
    """All that a change gives: an ended membership that goes on gives again what it holds."""
    return given if membership.active else levels_of(membership) | dict(given)


def raised(membership: Membership, given: Levels) -> dict[str, Level]:
    """All that a member holds once they were raised to what is given; what is higher already stays."""
    held = levels_of(membership)
    return held | {name: max(level, held[name], key=_rank) for name, level in given.items()}


def _rank(level: Level) -> int:
    return level.rank


async def assign(
    tx: Transaction, membership: Membership, role: Role, given: Mapping[str, Level | None]
) -> None:
    """Set role and levels; a new secondary contact takes a free seat.

    Raises SECONDARY_CONTACT_LIMIT when there is none. The site is locked, so the seat stays free.
    """
    if role is Role.SECONDARY_CONTACT and membership.seat is None:
        membership.seat = await free_seat(tx, membership.site_id)
    elif role is not Role.SECONDARY_CONTACT:
        membership.seat = None
    membership.role = role
    for name, level in given.items():
        setattr(membership, name, level)
    await tx.session.flush()


async def free_seats(tx: Transaction, site_id: UUID) -> list[int]:
    """The seats of secondary contacts that nobody has; the site is locked, so they stay free."""
    with tx.session.no_autoflush():
        taken = await tx.session.scalars(
            sa.select(Membership.seat).where(Membership.site_id == site_id, Membership.seat.is_not(None))
        )
    return sorted(set(range(1, SECONDARY_CONTACT_SEATS + 1)) - set(taken))


async def free_seat(tx: Transaction, site_id: UUID) -> int:
    """The first seat of a secondary contact that nobody has. Raises SECONDARY_CONTACT_LIMIT when there is none."""
    free = await free_seats(tx, site_id)
    if not free:
        raise refuse(
            Code.SECONDARY_CONTACT_LIMIT,
            "role",
            limit=SECONDARY_CONTACT_SEATS,
            current=SECONDARY_CONTACT_SEATS,
        )
    return free[0]


def record_change(
    tx: Transaction,
    event: Event,
    membership: Membership,
    name: str,
    before: Values | None,
    justification: str | None,
) -> None:
    """Write down that a membership was made or changed, unless nothing changed."""
    after = values_of(membership)
    if after != before:
        tx.record(event, membership, name=name, before=before, after=after, justification=justification)


async def name_of(tx: Transaction, user_id: UUID) -> str:
    """What people call a user."""
    return (await tx.session.get_one(User, user_id)).name
