"""How the primary contact of a site changes, and how a nomination comes to its end. The site is locked throughout."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction
from app.db.models import Membership, Site, User
from app.db.nominations import Nomination
from app.history import values_of
from app.messages import notices
from app.resolvers.closing import close_as_withdrawn, pending_request
from app.resolvers.giving import assign, free_seats, name_of, record_change
from app.resolvers.proposing import cancel_naming
from app.rules import PRIVILEGES, Event, Level, NominationState, Role, no_levels

ENDS = {
    NominationState.ACCEPTED: Event.NOMINATION_ACCEPTED,
    NominationState.DECLINED: Event.NOMINATION_DECLINED,
    NominationState.CANCELLED: Event.NOMINATION_CANCELLED,
    NominationState.EXPIRED: Event.NOMINATION_EXPIRED,
}
FORMER_LEVELS: dict[str, Level] = no_levels() | {
    name: privilege.highest for name, privilege in PRIVILEGES.items() if not privilege.secondary_contacts_only
}
"""What a primary contact keeps: the highest of everything that every role may hold. Account management begins at
NONE, as for every new secondary contact."""


async def hand_over(
    tx: Transaction,
    site: Site,
    successor: Membership,
    *,
    reason: str | None = None,
    justification: str | None = None,
) -> None:
    """Make a member the primary contact, and the old one a secondary contact, or a user where no seat is free.

    A nomination that is still pending ends, and so does what the member had asked for: there is nothing more to give
    them, and nobody could grant it. The contact records of the site are people to write to, not roles: they
    stay as they are.
    """
    await _cancel_pending(tx, site.id)
    await cancel_naming(tx, site.id, successor.user_id)
    await _withdraw_request_of(tx, site, successor)
    former = await _primary_of(tx, site.id)
    before = {membership: values_of(membership) for membership in (former, successor)}
    # The database never lets two be primary, nor two have a seat, not even in between: first the old one becomes a
    # user, then the new one leaves their seat, and only then can the old one take it.
    await assign(tx, former, Role.USER, FORMER_LEVELS)
    successor.ends_at = None
    await assign(tx, successor, Role.PRIMARY_CONTACT, dict.fromkeys(PRIVILEGES))
    if await free_seats(tx, site.id):
        await assign(tx, former, Role.SECONDARY_CONTACT, {})
    for membership, old in before.items():
        name = await name_of(tx, membership.user_id)
        record_change(tx, Event.MEMBERSHIP_UPDATED, membership, name, old, None)
    await _point_at(tx, site, successor, reason, justification)
    await notices.primary_contact_handed_over(tx.session, former, successor)


async def _withdraw_request_of(tx: Transaction, site: Site, successor: Membership) -> None:
    request = await pending_request(tx, site.number, successor.user_id)
    if request is not None:
        close_as_withdrawn(tx, request, await tx.session.get_one(User, successor.user_id))


async def _point_at(
    tx: Transaction, site: Site, successor: Membership, reason: str | None, justification: str | None
) -> None:
    before = values_of(site)
    site.primary_membership_id = successor.id
    tx.record(
        Event.PRIMARY_CONTACT_HANDED_OVER,
        site,
        name=site.name,
        before=before,
        after=values_of(site),
        reason=reason,
        justification=justification,
    )
    await tx.session.flush()


async def _primary_of(tx: Transaction, site_id: UUID) -> Membership:
    statement = sa.select(Membership).where(
        Membership.site_id == site_id, Membership.role == Role.PRIMARY_CONTACT
    )
    return (await tx.session.scalars(statement)).one()


async def pending_nomination(tx: Transaction, site_id: UUID) -> Nomination | None:
    """The nomination of a site that waits for an answer; one that has run out is closed as expired."""
    nomination = await _pending(tx, site_id)
    if nomination is not None and nomination.current_state is NominationState.EXPIRED:
        await close(tx, nomination, NominationState.EXPIRED)
        return None
    return nomination


async def _pending(tx: Transaction, site_id: UUID) -> Nomination | None:
    statement = sa.select(Nomination).where(
        Nomination.site_id == site_id, Nomination.state == NominationState.PENDING
    )
    nomination: Nomination | None = await tx.session.scalar(statement)
    return nomination


async def _cancel_pending(tx: Transaction, site_id: UUID) -> None:
    nomination = await pending_nomination(tx, site_id)
    if nomination is not None:
        await close(tx, nomination, NominationState.CANCELLED)


async def cancel_nomination_of(tx: Transaction, membership: Membership) -> None:
    """End the nomination of a member whose access is about to be gone."""
    nomination = await _pending(tx, membership.site_id)
    if nomination is not None and nomination.membership_id == membership.id:
        await _cancel_pending(tx, membership.site_id)


async def cancel_unless_lasting(tx: Transaction, membership: Membership) -> None:
    """End the nomination of a member whose access now ends before the time for an answer is over."""
    nomination = await _pending(tx, membership.site_id)
    if nomination and membership.ends_at and membership.ends_at < nomination.expires_at:
        await cancel_nomination_of(tx, membership)


async def close(tx: Transaction, nomination: Nomination, state: NominationState) -> None:
    """Bring a pending nomination to its end, with its event."""
    before = values_of(nomination)
    nomination.state, nomination.membership_id = state, None
    nomination.closed_at = nomination.expires_at if state is NominationState.EXPIRED else datetime.now(UTC)
    name = await name_of(tx, nomination.user_id)
    tx.record(ENDS[state], nomination, name=name, before=before, after=values_of(nomination))
    await tx.session.flush()
