"""The ends an access request can come to, each with its event."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction
from app.db.models import AccessRequest, User
from app.history import values_of
from app.resolvers.proposing import cancel_naming_by
from app.rules import AccessRequestState, DenialReason, Event, Role


def close_as_granted(
    tx: Transaction,
    request: AccessRequest,
    requester: User,
    site_id: UUID,
    role: Role,
    justification: str | None,
) -> None:
    """The caller grants the request.

    It may be without the site till then: made before the site was, or by somebody who is blocked.
    """
    before = values_of(request)
    request.site_id = site_id
    request.state = AccessRequestState.GRANTED
    request.granted_role = role
    request.approver_justification = justification
    request.decided_by_id = tx.actor.user_id
    _close(tx, request, Event.ACCESS_REQUEST_GRANTED, requester.name, before, justification=justification)


def close_as_denied(tx: Transaction, request: AccessRequest, requester: User, reason: DenialReason) -> None:
    """The caller denies the request."""
    before = values_of(request)
    request.state = AccessRequestState.DENIED
    request.denial_reason = reason
    request.decided_by_id = tx.actor.user_id
    _close(tx, request, Event.ACCESS_REQUEST_DENIED, requester.name, before, reason=reason.name)


def close_as_withdrawn(tx: Transaction, request: AccessRequest, requester: User) -> None:
    """The request is taken back, or has lost its sense."""
    before = values_of(request)
    request.state = AccessRequestState.WITHDRAWN
    _close(tx, request, Event.ACCESS_REQUEST_WITHDRAWN, requester.name, before)


def expire(tx: Transaction, request: AccessRequest, requester: User) -> None:
    """Write down that a request ran out, which a new one makes necessary."""
    before = values_of(request)
    request.state = AccessRequestState.EXPIRED
    _close(tx, request, Event.ACCESS_REQUEST_EXPIRED, requester.name, before)


def _close(
    tx: Transaction,
    request: AccessRequest,
    event: Event,
    name: str,
    before: dict[str, object],
    *,
    reason: str | None = None,
    justification: str | None = None,
) -> None:
    request.closed_at = (
        request.expires_at if request.state is AccessRequestState.EXPIRED else datetime.now(UTC)
    )
    after = values_of(request)
    tx.record(
        event, request, name=name, before=before, after=after, reason=reason, justification=justification
    )


async def pending_request(tx: Transaction, site_number: str, user_id: UUID) -> AccessRequest | None:
    """A person's request that waits for a decision; one that has run out is closed as expired."""
    statement = sa.select(AccessRequest).where(
        AccessRequest.site_number == site_number,
        AccessRequest.requester_id == user_id,
        AccessRequest.state == AccessRequestState.PENDING,
    )
    request: AccessRequest | None = await tx.session.scalar(statement.with_for_update())
    if request is not None and request.current_state is AccessRequestState.EXPIRED:
        await cancel_naming_by(tx, request)
        expire(tx, request, await tx.session.get_one(User, user_id))
        await tx.session.flush()
        return None
    return request
