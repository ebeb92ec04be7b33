"""Writes on access requests: request, withdraw, grant, deny."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.context import Transaction
from app.db.locks import relying_on_absence
from app.db.models import AccessRequest, Site, User
from app.errors import Code, UserError, refuse
from app.history import values_of
from app.policy import Action
from app.resolvers.closing import close_as_denied, close_as_granted, close_as_withdrawn, pending_request
from app.resolvers.giving import give
from app.rules import NUMBER_LENGTH, AccessRequestState, Event, check_levels, check_role
from app.schema.inputs import (
    AccessRequestDenialInput,
    AccessRequestGrantInput,
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
        expires_at=_expiry(site),
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
    return {"access_request_id": asked.id}


async def _site_with(tx: Transaction, number: str) -> Site | None:
    """The site with this number. Where there is none, none appears before the transaction has ended."""
    statement = sa.select(Site).where(Site.number == number)
    site: Site | None = await tx.session.scalar(statement)
    if site is None:
        await relying_on_absence(tx.session)
        site = await tx.session.scalar(statement)
    return site


def _expiry(site: Site | None) -> datetime | None:
    days = site.pending_request_days if site else None
    return datetime.now(UTC) + timedelta(days=days) if days else None


async def withdraw(tx: Transaction, input: WithdrawAccessRequestInput) -> dict[str, Any]:
    """Take back one's own pending request."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.WITHDRAW_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    close_as_withdrawn(tx, asked)
    return {"access_request_id": asked.id}


async def grant(tx: Transaction, input: AccessRequestGrantInput) -> dict[str, Any]:
    """Grant a request: the membership is made, or raised, in the same transaction."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    given = levels(input.privileges)
    faults = [
        *check_role(input.role),
        *check_levels(input.role, given),
        *check_optional_justification(input.justification, "justification"),
    ]
    if faults or asked.site_id is None:
        raise UserError(*faults)
    justification = tidy(input.justification)
    requester = await tx.session.get_one(User, asked.requester_id)
    why = justification or asked.justification
    membership = await give(tx, asked.site_id, requester, input.role, given, why)
    close_as_granted(tx, asked, requester, input.role, justification)
    return {"access_request_id": asked.id, "membership_id": membership.id, "site_id": asked.site_id}


async def deny(tx: Transaction, input: AccessRequestDenialInput) -> dict[str, Any]:
    """Deny a request, with one of three reasons."""
    asked = await tx.fetch(
        AccessRequest, input.access_request_id, Action.DECIDE_ACCESS_REQUEST, "accessRequestId"
    )
    _check_pending(asked)
    requester = await tx.session.get_one(User, asked.requester_id)
    close_as_denied(tx, asked, requester, input.reason)
    return {"access_request_id": asked.id, "site_id": asked.site_id}


def _check_pending(asked: AccessRequest) -> None:
    """Decided exactly once: whoever comes second is told of the winning decision."""
    if asked.state in (AccessRequestState.GRANTED, AccessRequestState.DENIED):
        raise refuse(Code.ALREADY_DECIDED, "accessRequestId", access_request_id=asked.id)
    if asked.current_state is not AccessRequestState.PENDING:
        raise refuse(Code.REQUEST_CLOSED, "accessRequestId")
