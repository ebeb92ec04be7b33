"""How a request comes to be, with its event; and what members ask for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.access_rules import check_extension, check_wishes
from app.context import Transaction, key_in
from app.db.models import AccessRequest, Membership, Site
from app.errors import Code, UserError, refuse
from app.history import values_of
from app.messages import notices
from app.policy import Action
from app.resolvers.closing import pending_request
from app.resolvers.giving import levels_of, membership_of
from app.rules import AccessRequestKind, Event, check_levels, check_role
from app.schema.inputs import levels
from app.schema.member_inputs import RequestExtensionInput, RequestHigherLevelInput
from app.texts import check_justification, tidy


async def ask(tx: Transaction, request: AccessRequest, *path: str | int) -> None:
    """Write a request, and tell the deciders.

    Raises PENDING_REQUEST_EXISTS at `path` when one of the same person waits for the site.
    """
    if await pending_request(tx, request.site_number, request.requester_id):
        raise refuse(Code.PENDING_REQUEST_EXISTS, *path)
    tx.session.add(request)
    tx.record(
        Event.ACCESS_REQUESTED,
        request,
        name=tx.actor.name,
        after=values_of(request),
        justification=request.justification,
    )
    await notices.access_requested(tx.session, request)


def expiry(site: Site) -> datetime | None:
    """Until when a request that is made now can be decided; nothing when there is no end."""
    days = site.pending_request_days
    return datetime.now(UTC) + timedelta(days=days) if days else None


async def request_extension(tx: Transaction, input: RequestExtensionInput) -> dict[str, Any]:
    """Ask for a later end of one's own access, also when it has ended."""
    site_id = key_in(input.site_id, Site, "siteId")
    await tx.lock_site(site_id)
    membership = await membership_of(tx, site_id, tx.actor.user_id)
    if membership is None:
        raise refuse(Code.NOT_FOUND, "siteId")
    tx.require(Action.REQUEST_EXTENSION, membership, "siteId")
    faults = [
        *check_extension(input.ends_at, membership.ends_at),
        *check_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    kind = AccessRequestKind.EXTENSION
    return await _ask_as_member(tx, membership, kind, input.justification, requested_ends_at=input.ends_at)


async def request_higher_level(tx: Transaction, input: RequestHigherLevelInput) -> dict[str, Any]:
    """Ask for higher levels, or for a seat as secondary contact."""
    site = await tx.fetch(Site, input.site_id, Action.REQUEST_HIGHER_LEVEL, "siteId")
    membership = await membership_of(tx, site.id, tx.actor.user_id)
    assert membership is not None, "the policy lets members only"
    wished, role = levels(input.privileges), input.role
    faults = [
        *(check_role(role) if role else ()),
        *check_wishes(role, wished, membership.role, levels_of(membership)),
        *check_levels(role or membership.role, wished),
        *check_justification(input.justification, "justification"),
    ]
    if faults:
        raise UserError(*faults)
    kind = AccessRequestKind.HIGHER_LEVEL
    return await _ask_as_member(tx, membership, kind, input.justification, requested_role=role, **wished)


async def _ask_as_member(
    tx: Transaction, membership: Membership, kind: AccessRequestKind, justification: str, **wishes: Any
) -> dict[str, Any]:
    site = await tx.session.get_one(Site, membership.site_id)
    request = AccessRequest(
        site_id=site.id,
        site_number=site.number,
        requester_id=membership.user_id,
        kind=kind,
        justification=tidy(justification),
        expires_at=expiry(site),
        **wishes,
    )
    await ask(tx, request, "siteId")
    return {"access_request_id": request.id}
