"""Looks a person up before they are added."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.context import Context
from app.db.models import AccessRequest, Membership, User
from app.policy import Action, allows
from app.query.ids import parse_id
from app.rules import AccessRequestState
from app.schema.inputs import AddUserPreviewInput
from app.texts import is_readable, typed_ibm_id


async def preview(context: Context, input: AddUserPreviewInput) -> dict[str, Any] | None:
    """Who an IBMid is, as far as the one who adds them must know; nothing when they may not add users."""
    context.require_signed_in()
    kind, key = parse_id(input.site_id) or ("", None)
    subject = SimpleNamespace(site_id=key)
    if kind != "site" or key is None or not allows(context.actor, Action.ADD_USER, subject):
        return None
    if not is_readable(input.ibm_id):
        return {"known": False, "name": None, "membership_id": None, "access_request_id": None}
    async with context.snapshot() as session:
        found = (await session.execute(_person_at(key, typed_ibm_id(input.ibm_id)))).one_or_none()
    return {
        "known": found is not None,
        "name": found and found.name,
        "membership_id": found and found.membership_id,
        "access_request_id": found and found.access_request_id,
    }


def _person_at(site_id: UUID, ibm_id: str) -> sa.Select[str, UUID, UUID]:
    membership = sa.and_(Membership.user_id == User.id, Membership.site_id == site_id)
    request = sa.and_(
        AccessRequest.requester_id == User.id,
        AccessRequest.site_id == site_id,
        AccessRequest.current_state == AccessRequestState.PENDING,
    )
    return (
        sa.select(
            User.name.label("name"),
            Membership.id.label("membership_id"),
            AccessRequest.id.label("access_request_id"),
        )
        .outerjoin_from(User, Membership, membership)
        .outerjoin(AccessRequest, request)
        .where(sa.func.lower(User.ibm_id) == sa.func.lower(ibm_id))
    )
