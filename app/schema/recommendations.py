"""What a site could do better, and when: told to those who can do it."""

from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.deciders import Decider
from app.db.models import AccessRequest, Contact, Membership, Site, User
from app.db.outbox import UndeliverableAddress
from app.errors import message
from app.language import words
from app.messages.bounces import normal
from app.policy import Action
from app.query.declare import Chosen, Constant, Parts, reads
from app.rules import DAYS_BEFORE_ACCESS_ENDS, DAYS_TO_DECIDE, DAYS_UNUSED, AccessRequestState, Role
from app.schema.enums import RecommendationCode
from app.schema.unused import HOLDS_UNUSED

MESSAGE = "What was noticed, in the caller's language."
ACTION = "What to do about it, in the caller's language."


def _days(count: int) -> Any:
    return sa.literal_column(f"interval '{count} days'", sa.Interval)


def _at_site(table: Any, *conditions: Any) -> Any:
    return sa.exists().where(table.site_id == Site.id, *conditions).correlate(Site)


ENDS_SOON = sa.and_(Membership.active, Membership.ends_at <= sa.func.now() + _days(DAYS_BEFORE_ACCESS_ENDS))
"""Which memberships end soon."""
WAITS_LONG = sa.and_(
    AccessRequest.current_state == AccessRequestState.PENDING,
    AccessRequest.created_at <= sa.func.now() - _days(DAYS_TO_DECIDE),
)
"""Which requests wait for long."""
MEMBER_UNREACHED = sa.and_(
    Membership.active,
    sa.select(User.id)
    .join(UndeliverableAddress, UndeliverableAddress.email == normal(User.email))
    .where(User.id == Membership.user_id)
    .correlate(Membership)
    .exists(),
)
"""Which members have an address that takes no mail."""
CONTACT_UNREACHED = sa.exists().where(UndeliverableAddress.email == normal(Contact.email)).correlate(Contact)
"""Which contacts have an address that takes no mail."""
_ASSISTED = _at_site(Membership, Membership.role == Role.SECONDARY_CONTACT, Membership.active)
RECOMMENDATIONS = Parts(
    {
        "NoSecondaryContactRecommendation": (Action.ADD_USER, sa.not_(_ASSISTED)),
        "SingleDeciderRecommendation": (
            Action.ADD_USER,
            sa.and_(_ASSISTED, sa.not_(_at_site(Decider, Decider.role == Role.SECONDARY_CONTACT))),
        ),
        "ContactReviewOverdueRecommendation": (
            Action.CHANGE_CONTACTS,
            Site.contacts_review_due_at <= sa.func.now(),
        ),
        "AccessEndsSoonRecommendation": (Action.ADD_USER, _at_site(Membership, ENDS_SOON)),
        "OldPendingRequestsRecommendation": (Action.ADD_USER, _at_site(AccessRequest, WAITS_LONG)),
        "UndeliverableMemberEmailRecommendation": (
            Action.MANAGE_ACCESS,
            _at_site(Membership, MEMBER_UNREACHED),
        ),
        "UndeliverableContactEmailRecommendation": (
            Action.CHANGE_CONTACTS,
            _at_site(Contact, CONTACT_UNREACHED),
        ),
        "UnusedPrivilegesRecommendation": (Action.MANAGE_ACCESS, _at_site(Membership, HOLDS_UNUSED)),
    }
)
"""In this order, and each told to whoever may do the action named with it."""


@strawberry.interface(
    description="What a site could do better; only those who can do something about it are told."
)
class Recommendation:
    """What a site could do better."""

    code: RecommendationCode = strawberry.field(description="What it is about, for programs.")
    message: str = strawberry.field(description=MESSAGE)
    action: str = strawberry.field(description=ACTION)


_SENTENCES = {
    RecommendationCode.NO_SECONDARY_CONTACT: (
        words(message("Nobody assists the primary contact of this site.")),
        words(message("Make at least one member a secondary contact.")),
    ),
    RecommendationCode.SINGLE_DECIDER: (
        words(message("Nobody but the primary contact decides about access to this site.")),
        words(message("Give a secondary contact manage access at the level UPDATE.")),
    ),
    RecommendationCode.CONTACT_REVIEW_OVERDUE: (
        words(message("The monthly review of the contacts is overdue.")),
        words(message("Look through the contacts and confirm the review.")),
    ),
    RecommendationCode.ACCESS_ENDS_SOON: (
        words(
            message("Somebody's access to this site ends within {days} days."), days=DAYS_BEFORE_ACCESS_ENDS
        ),
        words(message("Look whether they still need it, and give it anew if so.")),
    ),
    RecommendationCode.OLD_PENDING_REQUESTS: (
        words(
            message("Somebody has been waiting for access to this site for more than {days} days."),
            days=DAYS_TO_DECIDE,
        ),
        words(message("Grant or deny the requests that wait.")),
    ),
    RecommendationCode.UNDELIVERABLE_MEMBER_EMAIL: (
        words(message("The e-mail address of a member of this site takes no mail.")),
        words(message("Look whether they are still there, and take their access away if they are not.")),
    ),
    RecommendationCode.UNDELIVERABLE_CONTACT_EMAIL: (
        words(message("The e-mail address of a contact of this site takes no mail.")),
        words(message("Correct the address, or name somebody else.")),
    ),
    RecommendationCode.UNUSED_PRIVILEGES: (
        words(
            message("Somebody holds privileges at this site that they have not used for {days} days."),
            days=DAYS_UNUSED,
        ),
        words(message("Look whether they still need them, and lower them if they do not.")),
    ),
}
"""What was noticed, and what to do."""


def code_of(code: RecommendationCode) -> Any:
    """The field `code`."""
    return reads(Constant(code), "What it is about, for programs.")


def message_of(code: RecommendationCode) -> Any:
    """The field `message`."""
    return reads(Chosen(otherwise=_SENTENCES[code][0]), MESSAGE)


def action_of(code: RecommendationCode) -> Any:
    """The field `action`."""
    return reads(Chosen(otherwise=_SENTENCES[code][1]), ACTION)
