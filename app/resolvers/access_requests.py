"""Writes on access requests: request, withdraw, grant, deny."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction
from app.db.locks import relying_on_absence
from app.db.models import AccessRequest, Site, User
from app.errors import Code, UserError, refuse
from app.history import values_of
from app.messages import notices
from app.policy import Action
from app.resolvers.blocking import is_blocked
from app.resolvers.closing import close_as_denied, close_as_granted, close_as_withdrawn, pending_request
from app.resolvers.giving import give
from app.resolvers.limits import held_by, most_to_give, site_now
from app.resolvers.proposing import cancel_naming, cancel_naming_by, must_wait, propose
from app.resolvers.templates import levels_given
from app.rules import NUMBER_LENGTH, AccessRequestState, Event, Levels, Role, check_levels, check_role
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
        expires_at=_expiry(site and await site_now(tx, site.id)),
        **levels(input.privileges),
    )
    if site and site.id in tx.actor.standings:
        raise refuse(Code.ALREADY_MEMBER, "siteNumber")
    tx.require(Action.REQUEST_ACCESS, asked, "siteNumber")
    if await pending_request(tx, number, asked.requester_id):
        raise refuse(Code.PENDING_REQUEST_EXISTS, "siteNumber")
    tx.session.add(asked)
    await tx.session.flush()
    tx.record(
        Event.ACCESS_REQUESTED,
        asked,
        name=tx.actor.name,
        after=values_of(asked),
        justification=asked.justification,
    )
    await notices.access_requested(tx.session, asked)
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


def _expiry(site: Site | None) -> datetime | None:
    days = site.pending_request_days if site else None
    return datetime.now(UTC) + timedelta(days=days) if days else None


async def withdraw(tx: Transaction, input: WithdrawAccessRequestInput) -> dict[str, Any]:
    """Take back one's own pending request."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.WITHDRAW_ACCESS_REQUEST, "accessRequestId"
    )
    check_pending(asked)
    await cancel_naming_by(tx, asked)
    close_as_withdrawn(tx, asked)
    return {"access_request_id": asked.id}


async def grant(tx: Transaction, input: AccessRequestGrantInput) -> dict[str, Any]:
    """Grant a request: the membership is made, or raised, in the same transaction."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    check_pending(asked)
    # Only who sees it as a decider of its site may decide it, so it has one.
    site_id = cast(UUID, asked.site_id)
    given = await levels_given(tx, site_id, input.template_id, input.privileges)
    most = await most_to_give(tx, site_id, tx.actor.user_id)
    faults = [
        *check_role(input.role),
        *check_levels(input.role, given),
        *check_at_most(most, given, await held_by(tx, site_id, asked.requester_id)),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    justification = tidy(input.justification)
    if await must_wait(tx, site_id, asked.requester_id, input.role):
        requester = await tx.session.get_one(User, asked.requester_id)
        return await propose(tx, NamingKind.GRANT, site_id, requester, given, justification, asked.id)
    return await grant_now(tx, site_id, asked, input.role, given, justification)


async def grant_now(
    tx: Transaction, site_id: UUID, asked: AccessRequest, role: Role, given: Levels, justification: str | None
) -> dict[str, Any]:
    """What granting does, once it was checked and does not wait for anybody."""
    requester = await tx.session.get_one(User, asked.requester_id)
    await cancel_naming(tx, site_id, requester.id)
    why = justification or asked.justification
    membership = await give(tx, site_id, requester, role, given, why)
    close_as_granted(tx, asked, requester, role, justification)
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
