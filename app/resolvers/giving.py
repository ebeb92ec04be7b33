"""How a membership comes to be, or to hold more: its seat, its levels, its event."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

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


async def active_membership(tx: Transaction, site_id: UUID, user_id: UUID) -> Membership | None:
    """A user's membership of a site, unless it has ended."""
    statement = sa.select(Membership).where(
        Membership.site_id == site_id, Membership.user_id == user_id, Membership.active
    )
    membership: Membership | None = await tx.session.scalar(statement)
    return membership


async def give(
    tx: Transaction, site_id: UUID, user: User, role: Role, given: Levels, justification: str | None
) -> Membership:
    """Make a membership, or raise one that exists: an ended one begins anew, an active one never loses levels."""
    statement = sa.select(Membership).where(Membership.site_id == site_id, Membership.user_id == user.id)
    membership = await tx.session.scalar(statement)
    before = values_of(membership) if membership else None
    if membership and await active_membership(tx, site_id, user.id):
        tx.require(Action.UPDATE_MEMBERSHIP, membership)
        event, wanted = Event.MEMBERSHIP_UPDATED, _raised(membership, given)
        role = min(role, membership.role, key=list(Role).index)
        membership.justification = justification or membership.justification
    else:
        membership = membership or Membership(site_id=site_id, user_id=user.id, role=Role.USER)
        event, wanted = Event.USER_ADDED, no_levels() | dict(given)
        membership.created_at, membership.justification = datetime.now(UTC), justification
        tx.session.add(membership)
    membership.ends_at = None
    await assign(tx, membership, role, wanted)
    record_change(tx, event, membership, user.name, before, justification)
    return membership


def _raised(membership: Membership, given: Levels) -> Levels:
    """The levels of a membership, each at least as high as given."""
    held = levels_of(membership)
    return held | {name: max(level, held[name], key=_rank) for name, level in given.items()}


def levels_of(membership: Membership) -> dict[str, Level]:
    """The levels that a membership stores, by privilege name."""
    return {name: getattr(membership, name) for name in PRIVILEGES}


def _rank(level: Level) -> int:
    return level.rank


async def assign(tx: Transaction, membership: Membership, role: Role, given: Levels) -> None:
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


async def free_seat(tx: Transaction, site_id: UUID) -> int:
    """The first seat of a secondary contact that nobody has. Raises SECONDARY_CONTACT_LIMIT when there is none."""
    with tx.session.no_autoflush:
        taken = await tx.session.scalars(
            sa.select(Membership.seat).where(Membership.site_id == site_id, Membership.seat.is_not(None))
        )
    free = set(range(1, SECONDARY_CONTACT_SEATS + 1)) - set(taken)
    if not free:
        raise refuse(
            Code.SECONDARY_CONTACT_LIMIT,
            "role",
            limit=SECONDARY_CONTACT_SEATS,
            current=SECONDARY_CONTACT_SEATS,
        )
    return min(free)


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
