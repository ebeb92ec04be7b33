"""Writes on memberships: add a user, update, remove, leave."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.contact_rules import check_email
from app.context import Transaction
from app.db.models import AccessRequest, Membership, Site, User
from app.errors import Code, Fault, UserError, refuse
from app.history import Values, values_of
from app.identity import person_with
from app.policy import Action
from app.resolvers.closing import close_as_granted, expire
from app.rules import (
    EMAIL_LENGTH,
    IBM_ID_LENGTH,
    PRIVILEGES,
    SECONDARY_CONTACT_SEATS,
    AccessRequestState,
    Event,
    Level,
    Levels,
    Role,
    check_justification,
    check_levels,
    check_optional_justification,
    check_role,
    check_text,
    no_levels,
    tidy,
)
from app.schema.inputs import (
    AddUserInput,
    LeaveSiteInput,
    RemoveMembershipInput,
    UpdateMembershipInput,
    levels,
)


async def add(tx: Transaction, input: AddUserInput) -> dict[str, Any]:
    """Give a person access without a request; a pending request of theirs is granted by it."""
    site = await tx.fetch(Site, input.site_id, Action.ADD_USER, "siteId")
    email, faults = check_person(input.ibm_id, input.email)
    faults += check_justification(input.justification, "justification")
    faults += check_role(input.role)
    faults += check_levels(input.role, levels(input.privileges))
    if not input.confirmed:
        faults.append(Fault(code=Code.CONFIRMATION_REQUIRED, path=("confirmed",)))
    if faults:
        raise UserError(*faults)
    user = await _person(tx, input.ibm_id.strip(), email)
    if await active_membership(tx, site.id, user.id):
        raise refuse(Code.ALREADY_MEMBER, "ibmId")
    justification = tidy(input.justification)
    membership = await give(tx, site.id, user, input.role, levels(input.privileges), justification)
    request = await pending_request(tx, site.number, user.id)
    if request is not None:
        # It may have been made before the site was, and so be without one.
        request.site_id = site.id
        close_as_granted(tx, request, user, input.role, justification)
    return {
        "membership_id": membership.id,
        "site_id": site.id,
        "access_request_id": request.id if request else None,
    }


def check_person(ibm_id: str, email: str) -> tuple[str, list[Fault]]:
    """The tidied e-mail address, and the faults of the two fields that name a person."""
    faults = list(check_text(ibm_id.strip(), IBM_ID_LENGTH, "ibmId"))
    if not faults and len(ibm_id.split()) > 1:
        faults.append(Fault(code=Code.INVALID_IBM_ID, path=("ibmId",)))
    found = list(check_text(email.strip(), EMAIL_LENGTH, "email"))
    if not found:
        email, found = check_email(email.strip(), "email")
    return email, faults + found


async def _person(tx: Transaction, ibm_id: str, email: str) -> User:
    user, made = await person_with(tx.session, ibm_id, email)
    if made:
        tx.record(Event.USER_REGISTERED, user, name=user.name, after=values_of(user))
    elif user.email.lower() != email.lower():
        raise refuse(Code.EMAIL_MISMATCH, "email")
    return user


async def active_membership(tx: Transaction, site_id: UUID, user_id: UUID) -> Membership | None:
    """A user's membership of a site, unless it has ended."""
    statement = sa.select(Membership).where(
        Membership.site_id == site_id,
        Membership.user_id == user_id,
        sa.or_(Membership.ends_at.is_(None), Membership.ends_at > sa.func.now()),
    )
    membership: Membership | None = await tx.session.scalar(statement)
    return membership


async def pending_request(tx: Transaction, site_number: str, user_id: UUID) -> AccessRequest | None:
    """A person's request that waits for a decision; one that has run out is closed as expired."""
    statement = sa.select(AccessRequest).where(
        AccessRequest.site_number == site_number,
        AccessRequest.requester_id == user_id,
        AccessRequest.state == AccessRequestState.PENDING,
    )
    request: AccessRequest | None = await tx.session.scalar(statement.with_for_update())
    if request is not None and request.current_state is AccessRequestState.EXPIRED:
        expire(tx, request, await tx.session.get_one(User, user_id))
        await tx.session.flush()
        return None
    return request


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
    _record(tx, event, membership, user.name, before, justification)
    return membership


def _raised(membership: Membership, given: Levels) -> Levels:
    """The levels of a membership, each at least as high as given."""
    held = _levels_of(membership)
    return held | {name: max(level, held[name], key=_rank) for name, level in given.items()}


def _levels_of(membership: Membership) -> dict[str, Level]:
    return {name: getattr(membership, name) for name in PRIVILEGES}


def _rank(level: Level) -> int:
    return level.rank


async def assign(tx: Transaction, membership: Membership, role: Role, given: Levels) -> None:
    """Set role and levels; a new secondary contact takes a free seat.

    Raises SECONDARY_CONTACT_LIMIT when there is none. The site is locked, so the seat stays free.
    """
    if role is Role.SECONDARY_CONTACT and membership.seat is None:
        membership.seat = await _free_seat(tx, membership.site_id)
    elif role is not Role.SECONDARY_CONTACT:
        membership.seat = None
    membership.role = role
    for name, level in given.items():
        setattr(membership, name, level)
    await tx.session.flush()


async def _free_seat(tx: Transaction, site_id: UUID) -> int:
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


async def update(tx: Transaction, input: UpdateMembershipInput) -> dict[str, Any]:
    """Change role and levels; what is left out stays as it is."""
    membership = await tx.fetch(Membership, input.membership_id, Action.UPDATE_MEMBERSHIP, "membershipId")
    role = input.role or membership.role
    wanted = _levels_of(membership) | levels(input.privileges)
    faults = [
        *check_role(role),
        *check_levels(role, wanted),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    before = values_of(membership)
    justification = tidy(input.justification)
    membership.justification = justification or membership.justification
    await assign(tx, membership, role, wanted)
    name = await _name(tx, membership)
    _record(tx, Event.MEMBERSHIP_UPDATED, membership, name, before, justification)
    return {"membership_id": membership.id, "site_id": membership.site_id}


async def remove(tx: Transaction, input: RemoveMembershipInput) -> dict[str, Any]:
    """Take a member's access away."""
    membership = await tx.fetch(Membership, input.membership_id, Action.REMOVE_MEMBERSHIP, "membershipId")
    faults = list(check_optional_justification(input.reason, "reason"))
    if faults:
        raise UserError(*faults)
    await _delete(tx, membership, Event.MEMBERSHIP_REMOVED, tidy(input.reason))
    return {"removed": membership.id, "site_id": membership.site_id}


async def leave(tx: Transaction, input: LeaveSiteInput) -> dict[str, Any]:
    """Give up one's own access."""
    site = await tx.fetch(Site, input.site_id, Action.LEAVE_SITE, "siteId")
    statement = sa.select(Membership).where(
        Membership.site_id == site.id, Membership.user_id == tx.actor.user_id
    )
    membership = (await tx.session.scalars(statement)).one()
    await _delete(tx, membership, Event.SITE_LEFT, None)
    return {"removed": membership.id}


async def _delete(tx: Transaction, membership: Membership, event: Event, reason: str | None) -> None:
    tx.record(
        event,
        membership,
        name=await _name(tx, membership),
        before=values_of(membership),
        reason=reason,
    )
    await tx.session.delete(membership)


def _record(
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


async def _name(tx: Transaction, membership: Membership) -> str:
    return (await tx.session.get_one(User, membership.user_id)).name
