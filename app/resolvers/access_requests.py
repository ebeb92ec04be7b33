"""Writes on access requests: request, withdraw, grant, deny."""

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from strawberry import UNSET

from app.access_rules import check_end, higher
from app.context import Transaction
from app.db.locks import relying_on_absence
from app.db.models import AccessRequest, Membership, Site, User
from app.errors import Code, Fault, UserError, refuse
from app.messages import notices
from app.policy import Action
from app.resolvers.asking import ask, expiry
from app.resolvers.blocking import is_blocked
from app.resolvers.closing import close_as_denied, close_as_granted, close_as_withdrawn
from app.resolvers.giving import Access, give, levels_in, membership_of, raise_, raised
from app.resolvers.limits import held_by, most_to_give, site_now
from app.resolvers.proposing import cancel_naming, cancel_naming_by, must_wait, propose
from app.resolvers.templates import levels_given
from app.rules import NUMBER_LENGTH, AccessRequestKind, AccessRequestState, Role, check_levels, check_role
from app.schema.inputs import (
    AccessRequestDenialInput,
    AccessRequestGrantInput,
    RequestAccessInput,
    WithdrawAccessRequestInput,
    levels,
)
from app.site_rules import NamingKind, check_at_most
from app.texts import check_optional_justification, check_text, site_number, tidy


async def request(tx: Transaction, input: RequestAccessInput) -> dict[str, Any]:
    """Ask for access by site number. A number that no site has is answered just like one that has."""
    faults = [
        *check_text(input.site_number.strip(), NUMBER_LENGTH, "siteNumber"),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    number = site_number(input.site_number)
    site = await _site_with(tx, number)
    await tx.lock_site(site.id if site else None)
    reaches = site and not await is_blocked(tx, site, await _own_ibm_id(tx))
    asked = AccessRequest(
        # Who is blocked is answered as everybody is; their request is kept like one for a number that no site has.
        site_id=site.id if site and reaches else None,
        site_number=number,
        requester_id=tx.actor.user_id,
        justification=tidy(input.justification),
        expires_at=expiry(await site_now(tx, site.id)) if site else None,
        **levels(input.privileges),
    )
    if site and site.id in tx.actor.standings:
        raise refuse(Code.ALREADY_MEMBER, "siteNumber")
    tx.require(Action.REQUEST_ACCESS, asked, "siteNumber")
    await ask(tx, asked, "siteNumber")
    return {"access_request_id": asked.id}


async def _site_with(tx: Transaction, number: str) -> Site | None:
    """The site with this number. Where there is none, none appears before the transaction has ended."""
    statement = sa.select(Site).where(Site.number == number)
    site: Site | None = await tx.session.scalar(statement)
    if site is None:
        await relying_on_absence(tx.session)
        site = await tx.session.scalar(statement)
    return site


async def _own_ibm_id(tx: Transaction) -> str:
    return (await tx.session.get_one(User, tx.actor.user_id)).ibm_id


async def withdraw(tx: Transaction, input: WithdrawAccessRequestInput) -> dict[str, Any]:
    """Take back one's own pending request."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.WITHDRAW_ACCESS_REQUEST, "accessRequestId"
    )
    check_pending(asked)
    await cancel_naming_by(tx, asked)
    close_as_withdrawn(tx, asked, await tx.session.get_one(User, asked.requester_id))
    return {"access_request_id": asked.id}


async def grant(tx: Transaction, input: AccessRequestGrantInput) -> dict[str, Any]:
    """Grant a request: the membership is made, or raised, in the same transaction."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    check_pending(asked)
    # Only who sees it as a decider of its site may decide it, so it has one.
    site_id = cast(UUID, asked.site_id)
    member = await member_asking(tx, asked)
    access, faults = await (_more(tx, asked, member, input) if member else _new(tx, site_id, input))
    faults = [
        *faults,
        *check_role(input.role or Role.USER),
        *check_levels(access.role, access.levels),
        *check_at_most(
            await most_to_give(tx, site_id, tx.actor.user_id),
            raised(member, access.levels) if member else access.levels,
            await held_by(tx, site_id, asked.requester_id),
        ),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    if await must_wait(tx, site_id, asked.requester_id, access.role):
        requester = await tx.session.get_one(User, asked.requester_id)
        return await propose(tx, NamingKind.GRANT, site_id, requester, access, asked.id)
    return await grant_now(tx, site_id, asked, access)


async def member_asking(tx: Transaction, asked: AccessRequest) -> Membership | None:
    """The membership of a member who asks for more; nothing for who asks for access. Raises MEMBERSHIP_ENDED."""
    if asked.kind is AccessRequestKind.ACCESS:
        return None
    membership = await membership_of(tx, cast(UUID, asked.site_id), asked.requester_id)
    if membership is None:
        raise refuse(Code.MEMBERSHIP_ENDED, "accessRequestId")
    tx.require(Action.UPDATE_MEMBERSHIP, membership, "accessRequestId")
    return membership


async def _new(tx: Transaction, site_id: UUID, input: AccessRequestGrantInput) -> tuple[Access, list[Fault]]:
    """What the approver gives to somebody who asked for access, and what is wrong with it."""
    given = await levels_given(tx, site_id, input.template_id, input.privileges)
    access = Access(input.role or Role.USER, given, input.ends_at or None, tidy(input.justification))
    faults = [*check_end(access.ends_at, "endsAt")]
    if input.role is None:
        faults.append(Fault(code=Code.REQUIRED, path=("role",)))
    return access, faults


async def _more(
    tx: Transaction, asked: AccessRequest, member: Membership, input: AccessRequestGrantInput
) -> tuple[Access, list[Fault]]:
    """What the approver gives to a member, and what is wrong with it; what was asked for where they say nothing."""
    said = input.role or levels(input.privileges) or input.template_id
    role, given = asked.requested_role, levels_in(asked)
    if said:
        role = input.role
        given = await levels_given(tx, member.site_id, input.template_id, input.privileges)
    ends_at = input.ends_at
    if ends_at is UNSET:
        ends_at = asked.requested_ends_at or member.ends_at
    faults = [*check_end(ends_at, "endsAt")] if ends_at != member.ends_at else []
    if ends_at == member.ends_at and not member.active:
        faults.append(Fault(code=Code.MEMBERSHIP_ENDED, path=("accessRequestId",)))
    access = Access(higher(role or Role.USER, member.role), given, ends_at, tidy(input.justification))
    return access, faults


async def grant_now(tx: Transaction, site_id: UUID, asked: AccessRequest, access: Access) -> dict[str, Any]:
    """What granting does, once it was checked and does not wait for anybody."""
    requester = await tx.session.get_one(User, asked.requester_id)
    await cancel_naming(tx, site_id, requester.id)
    membership = await member_asking(tx, asked)
    reasoned = replace(access, justification=access.justification or asked.justification)
    if membership is None:
        membership = await give(tx, site_id, requester, reasoned)
    else:
        await raise_(tx, membership, requester, reasoned)
    close_as_granted(tx, asked, requester, site_id, access.role, access.justification)
    await notices.access_granted(tx.session, asked, membership)
    return {"access_request_id": asked.id, "membership_id": membership.id, "site_id": site_id}


async def deny(tx: Transaction, input: AccessRequestDenialInput) -> dict[str, Any]:
    """Deny a request, with one of three reasons."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    check_pending(asked)
    requester = await tx.session.get_one(User, asked.requester_id)
    if asked.site_id:
        await cancel_naming(tx, asked.site_id, requester.id)
    close_as_denied(tx, asked, requester, input.reason)
    await notices.access_denied(tx.session, asked)
    return {"access_request_id": asked.id, "site_id": asked.site_id}


def check_pending(asked: AccessRequest) -> None:
    """Decided exactly once: whoever comes second is told of the winning decision."""
    if asked.state in (AccessRequestState.GRANTED, AccessRequestState.DENIED):
        raise refuse(Code.ALREADY_DECIDED, "accessRequestId", access_request_id=asked.id)
    if asked.current_state is not AccessRequestState.PENDING:
        raise refuse(Code.REQUEST_CLOSED, "accessRequestId")
