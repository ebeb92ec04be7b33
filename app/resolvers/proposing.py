"""Namings of secondary contacts that wait for a second person: whether, since when, and how they end."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction
from app.db.deciders import Decider
from app.db.models import AccessRequest, Membership, User
from app.db.site_rules import Naming
from app.errors import Code, refuse
from app.history import values_of
from app.policy import Action
from app.resolvers.giving import Access, active_membership, free_seat, name_of
from app.resolvers.limits import site_now
from app.rules import AccessRequestState, Event, Role
from app.site_rules import NamingKind, NamingState

EVENTS = {
    NamingState.CONFIRMED: Event.NAMING_CONFIRMED,
    NamingState.REJECTED: Event.NAMING_REJECTED,
    NamingState.CANCELLED: Event.NAMING_CANCELLED,
}


async def must_wait(tx: Transaction, site_id: UUID, user_id: UUID, role: Role) -> bool:
    """Whether giving somebody a role names a secondary contact, and a second person has to confirm that."""
    site = await site_now(tx, site_id)
    if not site.second_person_confirms or role is not Role.SECONDARY_CONTACT:
        return False
    membership = await active_membership(tx, site_id, user_id)
    return membership is None or membership.role is not Role.SECONDARY_CONTACT


async def propose(
    tx: Transaction,
    kind: NamingKind,
    site_id: UUID,
    user: User,
    access: Access,
    access_request_id: UUID | None = None,
) -> dict[str, Any]:
    """Let the naming of a secondary contact wait for a second person; nothing of it takes effect before.

    Raises NAMING_PENDING, NO_SECOND_PERSON when nobody else may decide, SECONDARY_CONTACT_LIMIT, and FORBIDDEN for
    somebody whose membership the caller may not change.
    """
    membership = await active_membership(tx, site_id, user.id)
    if membership:
        tx.require(Action.UPDATE_MEMBERSHIP, membership, "accessRequestId")
    await _check_nobody_waits(tx, site_id, user.id)
    if not await _somebody_else_decides(tx, site_id):
        raise refuse(Code.NO_SECOND_PERSON, "role")
    if not await _has_seat(tx, site_id, user.id):
        await free_seat(tx, site_id)
    naming = Naming(
        kind=kind,
        site_id=site_id,
        user_id=user.id,
        access_request_id=access_request_id,
        justification=access.justification,
        ends_at=access.ends_at,
        proposed_by_id=tx.actor.user_id,
        **access.levels,
    )
    tx.session.add(naming)
    event, after = Event.NAMING_PROPOSED, values_of(naming)
    tx.record(event, naming, name=user.name, after=after, justification=access.justification)
    return {"pending_naming_id": naming.id, "site_id": site_id, "access_request_id": access_request_id}


async def _check_nobody_waits(tx: Transaction, site_id: UUID, user_id: UUID) -> None:
    """Raises NAMING_PENDING; a naming by a request that has run out meanwhile is void, and makes room."""
    naming = await _pending(tx, site_id, user_id)
    request_id = naming and naming.access_request_id
    request = await tx.session.get(AccessRequest, request_id) if request_id else None
    if naming and request and request.current_state is not AccessRequestState.PENDING:
        await close(tx, naming, NamingState.CANCELLED)
    elif naming:
        raise refuse(Code.NAMING_PENDING, "role")


async def cancel_naming(tx: Transaction, site_id: UUID, user_id: UUID) -> None:
    """Something else is done with a person's access: a naming of theirs that waits is overtaken by it."""
    naming = await _pending(tx, site_id, user_id)
    if naming is not None:
        await close(tx, naming, NamingState.CANCELLED)


async def cancel_naming_by(tx: Transaction, request: AccessRequest) -> None:
    """A request comes to its end, or leaves the site: the naming by which it was to be granted is void."""
    naming = await _pending(tx, request.site_id, request.requester_id) if request.site_id else None
    if naming is not None and naming.access_request_id == request.id:
        await close(tx, naming, NamingState.CANCELLED)


async def close(tx: Transaction, naming: Naming, state: NamingState) -> None:
    """End a naming that waits; the caller is the second person, unless it is cancelled."""
    before = values_of(naming)
    naming.state, naming.closed_at = state, datetime.now(UTC)
    naming.decided_by_id = None if state is NamingState.CANCELLED else tx.actor.user_id
    name = await name_of(tx, naming.user_id)
    tx.record(EVENTS[state], naming, name=name, before=before, after=values_of(naming))
    await tx.session.flush()


async def _pending(tx: Transaction, site_id: UUID, user_id: UUID) -> Naming | None:
    statement = sa.select(Naming).where(
        Naming.site_id == site_id, Naming.user_id == user_id, Naming.state == NamingState.PENDING
    )
    naming: Naming | None = await tx.session.scalar(statement)
    return naming


async def _has_seat(tx: Transaction, site_id: UUID, user_id: UUID) -> bool:
    """Whether somebody has a seat, as those whose access as a secondary contact has ended still do."""
    seat = sa.select(Membership.seat).where(Membership.site_id == site_id, Membership.user_id == user_id)
    return await tx.session.scalar(seat) is not None


async def _somebody_else_decides(tx: Transaction, site_id: UUID) -> bool:
    others = sa.select(Decider.id).where(Decider.site_id == site_id, Decider.user_id != tx.actor.user_id)
    return await tx.session.scalar(others.limit(1)) is not None
