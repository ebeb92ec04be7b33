"""Writes on who is blocked: whose requests for access do not reach a site."""

from typing import Any

import sqlalchemy as sa

from app.contact_rules import check_ibm_id
from app.context import Transaction
from app.db.models import AccessRequest, Site, User
from app.db.site_rules import BlockedRequester
from app.errors import Code, UserError, refuse
from app.history import values_of
from app.messages import notices
from app.policy import Action
from app.resolvers.giving import name_of
from app.resolvers.proposing import cancel_naming_by
from app.rules import AccessRequestKind, AccessRequestState, Event
from app.schema.site_rule_inputs import BlockRequesterInput, UnblockRequesterInput
from app.texts import check_optional_justification, tidy, typed_ibm_id


async def block(tx: Transaction, input: BlockRequesterInput) -> dict[str, Any]:
    """Keep a person's requests from reaching the site. Raises ALREADY_BLOCKED.

    A pending one loses the site: like a request for a number that no site has, it is there for its requester only.
    What members ask for beyond the access they have goes on reaching it.
    """
    site = await tx.fetch(Site, input.site_id, Action.MANAGE_BLOCKED_REQUESTERS, "siteId")
    ibm_id = typed_ibm_id(input.ibm_id)
    faults = [
        *check_ibm_id(ibm_id, "ibmId"),
        *check_optional_justification(input.reason, "reason"),
    ]
    if faults:
        raise UserError(*faults)
    if await is_blocked(tx, site, ibm_id):
        raise refuse(Code.ALREADY_BLOCKED, "ibmId")
    blocked = BlockedRequester(
        site_id=site.id, ibm_id=ibm_id, reason=tidy(input.reason), blocked_by_id=tx.actor.user_id
    )
    tx.session.add(blocked)
    event, reason = Event.REQUESTER_BLOCKED, blocked.reason
    tx.record(event, blocked, name=ibm_id, after=values_of(blocked), reason=reason)
    request = await _pending(tx, ibm_id, site, AccessRequest.site_id == site.id)
    if request is not None and request.kind is AccessRequestKind.ACCESS:
        await cancel_naming_by(tx, request)
        request.site_id = None
    return {"blocked_requester_id": blocked.id, "site_id": site.id}


async def unblock(tx: Transaction, input: UnblockRequesterInput) -> dict[str, Any]:
    """Let a person's requests reach the site again; a pending one does so now."""
    blocked = await tx.fetch(
        BlockedRequester,
        input.blocked_requester_id,
        Action.MANAGE_BLOCKED_REQUESTERS,
        "blockedRequesterId",
    )
    site = await tx.session.get_one(Site, blocked.site_id)
    tx.record(Event.REQUESTER_UNBLOCKED, blocked, name=blocked.ibm_id, before=values_of(blocked))
    tx.session.delete(blocked)
    request = await _pending(tx, blocked.ibm_id, site, AccessRequest.site_id.is_(None))
    if request is not None:
        before = values_of(request)
        request.site_id = site.id
        name = await name_of(tx, request.requester_id)
        event, after, why = Event.ACCESS_REQUESTED, values_of(request), request.justification
        tx.record(event, request, name=name, before=before, after=after, justification=why)
        await notices.access_requested(tx.session, request)
    return {
        "removed": blocked.id,
        "site_id": site.id,
        "access_request_id": request.id if request else None,
    }


async def is_blocked(tx: Transaction, site: Site, ibm_id: str) -> bool:
    """Whether the requests of whoever has an IBMid do not reach the site."""
    same = sa.func.lower(BlockedRequester.ibm_id) == sa.func.lower(ibm_id)
    found = sa.select(BlockedRequester.id).where(BlockedRequester.site_id == site.id, same)
    return await tx.session.scalar(found) is not None


async def _pending(tx: Transaction, ibm_id: str, site: Site, at: Any) -> AccessRequest | None:
    statement = (
        sa.select(AccessRequest)
        .join(User, User.id == AccessRequest.requester_id)
        .where(
            sa.func.lower(User.ibm_id) == sa.func.lower(ibm_id),
            AccessRequest.site_number == site.number,
            AccessRequest.current_state == AccessRequestState.PENDING,
            at,
        )
        .with_for_update(of=AccessRequest)
    )
    request: AccessRequest | None = await tx.session.scalar(statement)
    return request
