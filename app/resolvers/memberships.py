"""Writes on memberships: add a user, update, remove, leave."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
import strawberry

from app.access_rules import check_end
from app.contact_rules import check_person
from app.context import Transaction
from app.db.models import AccessRequest, Membership, Site, User
from app.db.site_rules import Naming
from app.errors import Code, Fault, UserError, refuse
from app.history import values_of
from app.identity import person_with
from app.messages import notices
from app.policy import Action
from app.resolvers.closing import close_as_denied, close_as_granted, close_as_withdrawn, pending_request
from app.resolvers.giving import (
    Access,
    active_membership,
    assign,
    give,
    given_anew,
    levels_of,
    name_of,
    record_change,
)
from app.resolvers.handing_over import cancel_nomination_of, cancel_unless_lasting
from app.resolvers.limits import held_by, most_to_give, site_now
from app.resolvers.proposing import cancel_naming, must_wait, propose
from app.resolvers.templates import levels_given
from app.rules import (
    AccessRequestKind,
    DenialReason,
    Event,
    check_levels,
    check_role,
    check_version,
    no_levels,
)
from app.schema.inputs import (
    AddUserInput,
    LeaveSiteInput,
    MembershipChangeInput,
    MembershipRemovalInput,
)
from app.site_rules import NamingKind, NamingState, check_at_most
from app.texts import check_justification, check_optional_justification, tidy, typed_ibm_id


async def add(tx: Transaction, input: AddUserInput) -> dict[str, Any]:
    """Give a person access without a request; a pending request of theirs is granted by it."""
    site = await tx.fetch(Site, input.site_id, Action.ADD_USER, "siteId")
    given = await levels_given(tx, site.id, input.template_id, input.privileges)
    most = await most_to_give(tx, site.id, tx.actor.user_id)
    email, faults = check_person(input.ibm_id, input.email)
    faults += check_justification(input.justification, "justification")
    faults += check_role(input.role)
    faults += check_levels(input.role, given)
    faults += check_end(input.ends_at, "endsAt")
    faults += check_at_most(most, given, no_levels())
    if not input.confirmed:
        faults.append(Fault(code=Code.CONFIRMATION_REQUIRED, path=("confirmed",)))
    if faults:
        raise UserError(*faults)
    user = await _person(tx, typed_ibm_id(input.ibm_id), email)
    if await active_membership(tx, site.id, user.id):
        raise refuse(Code.ALREADY_MEMBER, "ibmId")
    justification = tidy(input.justification)
    access = Access(input.role, given, input.ends_at, justification)
    if await must_wait(tx, site.id, user.id, input.role):
        return await propose(tx, NamingKind.ADD, site.id, user, access)
    return await add_now(tx, site.id, user, access)


async def add_now(tx: Transaction, site_id: UUID, user: User, access: Access) -> dict[str, Any]:
    """What adding does, once it was checked and does not wait for anybody."""
    await cancel_naming(tx, site_id, user.id)
    membership = await give(tx, site_id, user, access)
    request = await pending_request(tx, (await site_now(tx, site_id)).number, user.id)
    if request is not None:
        close_as_granted(tx, request, user, site_id, access.role, access.justification)
    await notices.welcome(tx.session, membership)
    return {
        "membership_id": membership.id,
        "site_id": site_id,
        "access_request_id": request.id if request else None,
    }


async def _person(tx: Transaction, ibm_id: str, email: str) -> User:
    user, made = await person_with(tx.session, ibm_id, email)
    if made:
        tx.record(Event.USER_REGISTERED, user, name=user.name, after=values_of(user))
    elif user.email.lower() != email.lower():
        await _correct(tx, user, email)
    return user


async def _correct(tx: Transaction, user: User, email: str) -> None:
    """Take another address for somebody whose address is nobody's concern: whoever typed it may have been wrong.

    Raises EMAIL_MISMATCH when they have signed in, or belong to a site, this one or another.
    """
    sites = sa.union(
        sa.select(Membership.site_id).where(Membership.user_id == user.id),
        sa.select(Naming.site_id).where(Naming.user_id == user.id, Naming.state == NamingState.PENDING),
    )
    if user.subject is not None or await tx.session.scalar(sites) is not None:
        raise refuse(Code.EMAIL_MISMATCH, "email")
    before = values_of(user)
    user.email = email
    tx.record(Event.USER_REGISTERED, user, name=user.name, before=before, after=values_of(user))


async def update(tx: Transaction, input: MembershipChangeInput) -> dict[str, Any]:
    """Change role, levels and end; what is left out stays as it is. An ended membership can be given a new end.

    Raises MEMBERSHIP_ENDED for a naming that would wait for nothing, since the access has ended and gets no new end.
    """
    membership = await tx.fetch(Membership, input.membership_id, Action.UPDATE_MEMBERSHIP, "membershipId")
    role, held, site_id = input.role or membership.role, levels_of(membership), membership.site_id
    given = await levels_given(tx, site_id, input.template_id, input.privileges)
    ends_at = membership.ends_at if input.ends_at is strawberry.UNSET else input.ends_at
    new_end = ends_at != membership.ends_at
    faults = [
        *check_version(input.expected_version, membership.version, membership_id=membership.id),
        *check_role(role),
        *check_levels(role, held | given),
        *(check_end(ends_at, "endsAt") if new_end else ()),
        *check_at_most(
            await most_to_give(tx, site_id, tx.actor.user_id),
            given_anew(membership, given) if new_end else given,
            await held_by(tx, site_id, membership.user_id) if new_end else held,
        ),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    access = Access(role, given, ends_at, tidy(input.justification))
    named = role is not membership.role or new_end
    if named and await must_wait(tx, site_id, membership.user_id, role):
        if not new_end and not membership.active:
            raise refuse(Code.MEMBERSHIP_ENDED, "membershipId")
        user = await tx.session.get_one(User, membership.user_id)
        waiting = await propose(tx, NamingKind.UPDATE, site_id, user, access)
        return {**waiting, "membership_id": membership.id}
    return await update_now(tx, membership, access)


async def update_now(tx: Transaction, membership: Membership, access: Access) -> dict[str, Any]:
    """What an update does, once it was checked and does not wait for anybody."""
    if (access.role, access.ends_at) != (membership.role, membership.ends_at):
        await cancel_naming(tx, membership.site_id, membership.user_id)
    before = values_of(membership)
    membership.justification = access.justification or membership.justification
    membership.ends_at = access.ends_at
    await cancel_unless_lasting(tx, membership)
    await assign(tx, membership, access.role, access.levels)
    name = await name_of(tx, membership.user_id)
    record_change(tx, Event.MEMBERSHIP_UPDATED, membership, name, before, access.justification)
    await notices.access_changed(tx.session, membership, before)
    return {"membership_id": membership.id, "site_id": membership.site_id}


async def remove(tx: Transaction, input: MembershipRemovalInput) -> dict[str, Any]:
    """Take a member's access away; what they had asked for as a member is thereby denied."""
    membership = await tx.fetch(Membership, input.membership_id, Action.REMOVE_MEMBERSHIP, "membershipId")
    faults = list(check_optional_justification(input.reason, "reason"))
    if faults:
        raise UserError(*faults)
    await _delete(tx, membership, Event.MEMBERSHIP_REMOVED, tidy(input.reason))
    request = await _request_of_member(tx, membership)
    if request is not None:
        requester = await tx.session.get_one(User, membership.user_id)
        close_as_denied(tx, request, requester, DenialReason.ACCESS_NOT_NECESSARY)
        await notices.access_denied(tx.session, request)
    await notices.access_removed(tx.session, membership)
    return {"removed": membership.id, "site_id": membership.site_id}


async def leave(tx: Transaction, input: LeaveSiteInput) -> dict[str, Any]:
    """Give up one's own access, and what one had asked for as a member."""
    site = await tx.fetch(Site, input.site_id, Action.LEAVE_SITE, "siteId")
    statement = sa.select(Membership).where(
        Membership.site_id == site.id, Membership.user_id == tx.actor.user_id
    )
    membership = (await tx.session.scalars(statement)).one()
    await _delete(tx, membership, Event.SITE_LEFT, None)
    request = await _request_of_member(tx, membership)
    if request is not None:
        close_as_withdrawn(tx, request, await tx.session.get_one(User, membership.user_id))
    return {"removed": membership.id}


async def _request_of_member(tx: Transaction, membership: Membership) -> AccessRequest | None:
    """What waits for a decision and makes sense for a member only."""
    site = await tx.session.get_one(Site, membership.site_id)
    request = await pending_request(tx, site.number, membership.user_id)
    return request if request and request.kind is not AccessRequestKind.ACCESS else None


async def _delete(tx: Transaction, membership: Membership, event: Event, reason: str | None) -> None:
    await cancel_nomination_of(tx, membership)
    await cancel_naming(tx, membership.site_id, membership.user_id)
    tx.record(
        event,
        membership,
        name=await name_of(tx, membership.user_id),
        before=values_of(membership),
        reason=reason,
    )
    tx.session.delete(membership)
