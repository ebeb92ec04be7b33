"""The states of things in which a mutation refuses whoever asks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.db.models import AccessRequest, Contact, Membership, Site
from app.db.nominations import Nomination
from app.db.preferences import CalendarSubscription
from app.db.site_rules import PrivilegeTemplate
from app.errors import Code
from app.language import Words, words
from app.policy import NOT_PRIMARY
from app.rules import CALENDAR_SUBSCRIPTIONS, AccessRequestState, ContactType, NominationState, Role
from app.site_rules import TEMPLATE_SLOTS


class Obstacle(NamedTuple):
    """A state in which a mutation refuses whoever asks: its code, its sentence, and when it is so, for a caller."""

    code: Code
    reason: Words
    when: Callable[[Any], sa.ColumnElement[bool]]


def obstacle(code: Code, when: Callable[[Any], sa.ColumnElement[bool]], **parameters: Any) -> Obstacle:
    """A state that is told by the sentence of its code."""
    return Obstacle(code, words(code.value, **parameters), when)


DECIDED = obstacle(
    Code.ALREADY_DECIDED,
    lambda _: AccessRequest.state.in_([AccessRequestState.GRANTED, AccessRequestState.DENIED]),
)
CLOSED = obstacle(Code.REQUEST_CLOSED, lambda _: AccessRequest.current_state != AccessRequestState.PENDING)
FROM_PRIMARY_CONTACT = Obstacle(
    Code.FORBIDDEN,
    words(NOT_PRIMARY.denial),
    lambda _: (
        sa.exists()
        .where(
            Membership.site_id == AccessRequest.site_id,
            Membership.user_id == AccessRequest.requester_id,
            Membership.role == Role.PRIMARY_CONTACT,
        )
        .correlate(AccessRequest)
    ),
)
PRIMARY_CONTACT_RECORD = obstacle(
    Code.PRIMARY_CONTACT_TYPE_REQUIRED,
    lambda _: sa.literal(ContactType.PRIMARY, Contact.types.type.item_type) == sa.any_(Contact.types),
)
PENDING_REQUEST = obstacle(
    Code.PENDING_REQUEST_EXISTS,
    lambda caller: (
        sa.exists()
        .where(
            # A request can be older than the site, and so be without one.
            AccessRequest.site_number == Site.number,
            AccessRequest.requester_id == caller.user_id,
            AccessRequest.current_state == AccessRequestState.PENDING,
        )
        .correlate(Site)
    ),
)
PENDING_REQUEST_OF_MEMBER = obstacle(
    Code.PENDING_REQUEST_EXISTS,
    lambda _: (
        sa.select(AccessRequest.id)
        .join(Site, Site.number == AccessRequest.site_number)
        .where(
            Site.id == Membership.site_id,
            AccessRequest.requester_id == Membership.user_id,
            AccessRequest.current_state == AccessRequestState.PENDING,
        )
        .correlate(Membership)
        .exists()
    ),
)
WITHOUT_END = obstacle(Code.END_NOT_LATER, lambda _: Membership.ends_at.is_(None))
PENDING_NOMINATION = obstacle(
    Code.NOMINATION_PENDING,
    lambda _: (
        sa.exists()
        .where(Nomination.site_id == Site.id, Nomination.current_state == NominationState.PENDING)
        .correlate(Site)
    ),
)
NOMINATION_CLOSED = obstacle(
    Code.NOMINATION_CLOSED, lambda _: Nomination.current_state != NominationState.PENDING
)
NO_FREE_SLOT = obstacle(
    Code.CALENDAR_SUBSCRIPTION_LIMIT,
    lambda caller: (
        sa.select(sa.func.count())
        .where(CalendarSubscription.user_id == caller.user_id)
        .correlate(None)
        .scalar_subquery()
        >= CALENDAR_SUBSCRIPTIONS
    ),
    limit=CALENDAR_SUBSCRIPTIONS,
)
NO_TEMPLATE_SLOT = obstacle(
    Code.TEMPLATE_LIMIT,
    lambda _: (
        sa.select(sa.func.count())
        .where(PrivilegeTemplate.site_id == Site.id)
        .correlate(Site)
        .scalar_subquery()
        >= TEMPLATE_SLOTS
    ),
    limit=TEMPLATE_SLOTS,
)
