"""Writes on nominations: nominate, cancel, accept, decline."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.context import Transaction, key_in
from app.db.models import Membership, Site
from app.db.nominations import Nomination
from app.errors import Code, Fault, UserError, refuse
from app.history import values_of
from app.messages import notices
from app.policy import Action
from app.resolvers.giving import name_of
from app.resolvers.handing_over import close, hand_over, pending_nomination
from app.rules import NOMINATION_DAYS, Event, NominationState, Role
from app.schema.handover_inputs import (
    AcceptNominationInput,
    CancelNominationInput,
    DeclineNominationInput,
    NominatePrimaryContactInput,
)
from app.texts import check_justification, tidy


async def nominate(tx: Transaction, input: NominatePrimaryContactInput) -> dict[str, Any]:
    """Ask a member of the site to become its primary contact."""
    site = await tx.fetch(Site, input.site_id, Action.NOMINATE_PRIMARY_CONTACT, "siteId")
    nominee = await _member(tx, site, input.membership_id)
    faults = [*_check_nominee(nominee), *check_justification(input.justification, "justification")]
    if faults:
        raise UserError(*faults)
    if await pending_nomination(tx, site.id):
        raise refuse(Code.NOMINATION_PENDING, "membershipId")
    now = datetime.now(UTC)
    nomination = Nomination(
        site_id=site.id,
        user_id=nominee.user_id,
        membership_id=nominee.id,
        nominated_by_id=tx.actor.user_id,
        justification=tidy(input.justification),
        created_at=now,
        expires_at=min(filter(None, (now + timedelta(days=NOMINATION_DAYS), nominee.ends_at))),
    )
    tx.session.add(nomination)
    tx.record(
        Event.PRIMARY_CONTACT_NOMINATED,
        nomination,
        name=await name_of(tx, nominee.user_id),
        after=values_of(nomination),
        justification=nomination.justification,
    )
    await notices.primary_contact_nominated(tx.session, nomination)
    return {"nomination_id": nomination.id, "site_id": site.id}


async def _member(tx: Transaction, site: Site, id: str) -> Membership:
    """A membership of the site. Raises WRONG_ID_KIND, and NOT_FOUND for those of other sites."""
    key = key_in(id, Membership, "membershipId")
    membership: Membership | None = await tx.session.get(Membership, (site.id, key))
    if membership is None:
        raise refuse(Code.NOT_FOUND, "membershipId")
    return membership


def _check_nominee(nominee: Membership) -> list[Fault]:
    if nominee.role is Role.PRIMARY_CONTACT:
        return [Fault(code=Code.ALREADY_PRIMARY_CONTACT, path=("membershipId",))]
    if not nominee.active:
        return [Fault(code=Code.MEMBERSHIP_ENDED, path=("membershipId",))]
    return []


async def cancel(tx: Transaction, input: CancelNominationInput) -> dict[str, Any]:
    """Take a nomination back."""
    nomination = await _pending(tx, input.nomination_id, Action.NOMINATE_PRIMARY_CONTACT)
    await close(tx, nomination, NominationState.CANCELLED)
    return {"nomination_id": nomination.id, "site_id": nomination.site_id}


async def decline(tx: Transaction, input: DeclineNominationInput) -> dict[str, Any]:
    """Not become the primary contact."""
    nomination = await _pending(tx, input.nomination_id, Action.ANSWER_NOMINATION)
    await close(tx, nomination, NominationState.DECLINED)
    return {"nomination_id": nomination.id, "site_id": nomination.site_id}


async def accept(tx: Transaction, input: AcceptNominationInput) -> dict[str, Any]:
    """Become the primary contact."""
    nomination = await _pending(tx, input.nomination_id, Action.ANSWER_NOMINATION)
    site = await tx.session.get_one(Site, nomination.site_id)
    nominee = await tx.session.get_one(Membership, (site.id, nomination.membership_id))
    await close(tx, nomination, NominationState.ACCEPTED)
    await hand_over(tx, site, nominee, justification=nomination.justification)
    return {"nomination_id": nomination.id, "membership_id": nominee.id, "site_id": site.id}


async def _pending(tx: Transaction, id: str, action: Action) -> Nomination:
    """The nomination with an id. Raises NOMINATION_CLOSED when it is not pending any more."""
    nomination = await tx.fetch(Nomination, id, action, "nominationId")
    if nomination.current_state is not NominationState.PENDING:
        raise refuse(Code.NOMINATION_CLOSED, "nominationId")
    return nomination
