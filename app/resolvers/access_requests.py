"""Writes on access requests: request, withdraw, grant, deny."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from app.access_rules import check_end, higher
from app.context import Transaction
from app.db.locks import relying_on_absence
from app.db.models import AccessRequest, Membership, Site, User
from app.errors import Code, Fault, UserError, refuse
from app.messages import notices
from app.policy import Action
from app.resolvers.asking import ask, expiry, wished_levels
from app.resolvers.closing import close_as_denied, close_as_granted, close_as_withdrawn
from app.resolvers.giving import Access, give, membership_of, raise_
from app.rules import NUMBER_LENGTH, AccessRequestKind, AccessRequestState, Role, check_levels, check_role
from app.schema.inputs import (
    DenyAccessRequestInput,
    GrantAccessRequestInput,
    RequestAccessInput,
    WithdrawAccessRequestInput,
    levels,
)
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
    asked = AccessRequest(
        site_id=site.id if site else None,
        site_number=number,
        requester_id=tx.actor.user_id,
        justification=tidy(input.justification),
        expires_at=expiry(site) if site else None,
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


async def withdraw(tx: Transaction, input: WithdrawAccessRequestInput) -> dict[str, Any]:
    """Take back one's own pending request."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.WITHDRAW_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    close_as_withdrawn(tx, asked)
    return {"access_request_id": asked.id}


async def grant(tx: Transaction, input: GrantAccessRequestInput) -> dict[str, Any]:
    """Grant a request: the membership is made, or raised, in the same transaction."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    assert asked.site_id is not None, "who sees a request as a decider sees it at a site"
    membership = await membership_of(tx, asked.site_id, asked.requester_id)
    requester = await tx.session.get_one(User, asked.requester_id)
    if asked.kind is AccessRequestKind.ACCESS:
        access = _given(asked, input)
        membership = await give(tx, asked.site_id, requester, access)
    elif membership is None:
        raise refuse(Code.MEMBERSHIP_ENDED, "accessRequestId")
    else:
        tx.require(Action.UPDATE_MEMBERSHIP, membership, "accessRequestId")
        access = _raising(asked, input, membership)
        await raise_(tx, membership, requester, access)
    close_as_granted(tx, asked, requester, access.role, tidy(input.justification))
    await notices.access_granted(tx.session, asked, membership)
    return {"access_request_id": asked.id, "membership_id": membership.id, "site_id": asked.site_id}


def _given(asked: AccessRequest, input: GrantAccessRequestInput) -> Access:
    """What the approver gives to somebody who asked for access."""
    role, ends_at = input.role or Role.USER, input.ends_at.value if input.ends_at else None
    faults = [*check_end(ends_at, "endsAt")]
    if input.role is None:
        faults.append(Fault(code=Code.REQUIRED, path=("role",)))
    return _checked(asked, input, Access(role, levels(input.privileges), ends_at), faults)


def _raising(asked: AccessRequest, input: GrantAccessRequestInput, membership: Membership) -> Access:
    """What the approver gives to a member; where they say nothing, what the member asked for."""
    said = input.role is not None or input.privileges is not None
    role = (input.role if said else asked.requested_role) or Role.USER
    given = levels(input.privileges) if said else wished_levels(asked)
    ends_at = input.ends_at.value if input.ends_at else asked.requested_ends_at or membership.ends_at
    faults = [*check_end(ends_at, "endsAt")] if ends_at != membership.ends_at else []
    if ends_at == membership.ends_at and not membership.active:
        faults.append(Fault(code=Code.MEMBERSHIP_ENDED, path=("accessRequestId",)))
    return _checked(asked, input, Access(higher(role, membership.role), given, ends_at), faults)


def _checked(
    asked: AccessRequest, input: GrantAccessRequestInput, access: Access, faults: list[Fault]
) -> Access:
    """What is given, with why. Raises every fault in it."""
    faults = [
        *faults,
        *check_role(input.role or Role.USER),
        *check_levels(access.role, access.levels),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    return replace(access, justification=tidy(input.justification) or asked.justification)


async def deny(tx: Transaction, input: DenyAccessRequestInput) -> dict[str, Any]:
    """Deny a request, with one of three reasons."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    requester = await tx.session.get_one(User, asked.requester_id)
    close_as_denied(tx, asked, requester, input.reason)
    await notices.access_denied(tx.session, asked)
    return {"access_request_id": asked.id, "site_id": asked.site_id}


def _check_pending(asked: AccessRequest) -> None:
    """Decided exactly once: whoever comes second is told of the winning decision."""
    if asked.state in (AccessRequestState.GRANTED, AccessRequestState.DENIED):
        raise refuse(Code.ALREADY_DECIDED, "accessRequestId", access_request_id=asked.id)
    if asked.current_state is not AccessRequestState.PENDING:
        raise refuse(Code.REQUEST_CLOSED, "accessRequestId")
