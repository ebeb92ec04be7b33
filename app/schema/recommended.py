"""The recommendations one by one, each with what it is about."""

from datetime import datetime
from typing import Any

import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Column, Paged, reads
from app.rules import DAYS_BEFORE_ACCESS_ENDS, DAYS_TO_DECIDE, DAYS_UNUSED
from app.schema.arguments import After, Before, First, Last
from app.schema.contacts import Contact
from app.schema.enums import RecommendationCode
from app.schema.lists import Connection
from app.schema.recommendations import (
    CONTACT_UNREACHED,
    ENDS_SOON,
    MEMBER_UNREACHED,
    RECOMMENDATIONS,
    WAITS_LONG,
    Recommendation,
    action_of,
    code_of,
    message_of,
)
from app.schema.types import AccessRequest, Membership
from app.schema.unused import HOLDS_UNUSED


def _type(kind: type[Any], description: str) -> Any:
    needs, _ = RECOMMENDATIONS.when[kind.__name__]
    return strawberry.type(kind, description=f"{description} {allowed(needs)}")


def _recommendation(description: str) -> Any:
    return lambda kind: _type(kind, description)


@_recommendation("No active member of the site is a secondary contact.")
class NoSecondaryContactRecommendation(Recommendation):
    """Nobody assists."""

    code: RecommendationCode = code_of(RecommendationCode.NO_SECONDARY_CONTACT)
    message: str = message_of(RecommendationCode.NO_SECONDARY_CONTACT)
    action: str = action_of(RecommendationCode.NO_SECONDARY_CONTACT)


@_recommendation(
    "There are active secondary contacts, but none of them holds manage access UPDATE: while the primary contact is "
    "away, nobody decides."
)
class SingleDeciderRecommendation(Recommendation):
    """The primary contact decides alone."""

    code: RecommendationCode = code_of(RecommendationCode.SINGLE_DECIDER)
    message: str = message_of(RecommendationCode.SINGLE_DECIDER)
    action: str = action_of(RecommendationCode.SINGLE_DECIDER)


@_recommendation("The monthly review of the contacts has not been done in time.")
class ContactReviewOverdueRecommendation(Recommendation):
    """The review is overdue."""

    code: RecommendationCode = code_of(RecommendationCode.CONTACT_REVIEW_OVERDUE)
    message: str = message_of(RecommendationCode.CONTACT_REVIEW_OVERDUE)
    action: str = action_of(RecommendationCode.CONTACT_REVIEW_OVERDUE)
    due_at: datetime = reads(Column(m.Site.contacts_review_due_at), "When it had to be done.")


@_recommendation(f"The access of members ends within {DAYS_BEFORE_ACCESS_ENDS} days.")
class AccessEndsSoonRecommendation(Recommendation):
    """Access ends soon."""

    code: RecommendationCode = code_of(RecommendationCode.ACCESS_ENDS_SOON)
    message: str = message_of(RecommendationCode.ACCESS_ENDS_SOON)
    action: str = action_of(RecommendationCode.ACCESS_ENDS_SOON)

    @reads(
        Paged(
            m.Membership,
            on="site_id",
            local="id",
            where=lambda *_: [ENDS_SOON],
            orders={"ENDS_AT": m.Membership.ends_at},
        ),
        "The memberships that end, the first to end first.",
        Action.SEE_MEMBERSHIP,
    )
    def memberships(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Membership]: ...


@_recommendation(f"Access requests have been waiting for a decision for more than {DAYS_TO_DECIDE} days.")
class OldPendingRequestsRecommendation(Recommendation):
    """Requests wait for long."""

    code: RecommendationCode = code_of(RecommendationCode.OLD_PENDING_REQUESTS)
    message: str = message_of(RecommendationCode.OLD_PENDING_REQUESTS)
    action: str = action_of(RecommendationCode.OLD_PENDING_REQUESTS)

    @reads(
        Paged(
            m.AccessRequest,
            on="site_id",
            local="id",
            where=lambda *_: [WAITS_LONG],
            orders={"CREATED_AT": m.AccessRequest.created_at},
        ),
        "The requests that wait, the oldest first.",
        Action.SEE_ACCESS_REQUEST,
    )
    def access_requests(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[AccessRequest]: ...


@_recommendation(
    "The e-mail address of members refused the last message to it for good, or messages to it came back."
)
class UndeliverableMemberEmailRecommendation(Recommendation):
    """Members who are not reached."""

    code: RecommendationCode = code_of(RecommendationCode.UNDELIVERABLE_MEMBER_EMAIL)
    message: str = message_of(RecommendationCode.UNDELIVERABLE_MEMBER_EMAIL)
    action: str = action_of(RecommendationCode.UNDELIVERABLE_MEMBER_EMAIL)

    @reads(
        Paged(
            m.Membership,
            on="site_id",
            local="id",
            where=lambda *_: [MEMBER_UNREACHED],
            orders={"NAME": m.User.sort_name},
            joins=((m.User, m.User.id == m.Membership.user_id),),
        ),
        "The active memberships of these people, by name.",
        Action.SEE_MEMBERSHIP,
    )
    def memberships(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Membership]: ...


@_recommendation(
    "The e-mail address of contacts refused the last message to it for good, or messages to it came back."
)
class UndeliverableContactEmailRecommendation(Recommendation):
    """Contacts who are not reached."""

    code: RecommendationCode = code_of(RecommendationCode.UNDELIVERABLE_CONTACT_EMAIL)
    message: str = message_of(RecommendationCode.UNDELIVERABLE_CONTACT_EMAIL)
    action: str = action_of(RecommendationCode.UNDELIVERABLE_CONTACT_EMAIL)

    @reads(
        Paged(
            m.Contact,
            on="site_id",
            local="id",
            where=lambda *_: [CONTACT_UNREACHED],
            orders={"NAME": m.Contact.sort_name},
        ),
        "These contacts, by name.",
        Action.SEE_CONTACTS,
    )
    def contacts(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Contact]: ...


@_recommendation(
    f"Members hold levels that they have neither used for {DAYS_UNUSED} days, nor been given since then."
)
class UnusedPrivilegesRecommendation(Recommendation):
    """Levels that nobody uses."""

    code: RecommendationCode = code_of(RecommendationCode.UNUSED_PRIVILEGES)
    message: str = message_of(RecommendationCode.UNUSED_PRIVILEGES)
    action: str = action_of(RecommendationCode.UNUSED_PRIVILEGES)

    @reads(
        Paged(
            m.Membership,
            on="site_id",
            local="id",
            where=lambda *_: [HOLDS_UNUSED],
            orders={"LEVELS_CHANGED_AT": m.Membership.levels_changed_at},
        ),
        "The active memberships with such levels, those whose levels are the oldest first; their unusedPrivileges say "
        "which.",
        Action.SEE_MEMBERSHIP,
    )
    def memberships(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Membership]: ...


RECOMMENDATION_TYPES = (
    NoSecondaryContactRecommendation,
    SingleDeciderRecommendation,
    ContactReviewOverdueRecommendation,
    AccessEndsSoonRecommendation,
    OldPendingRequestsRecommendation,
    UndeliverableMemberEmailRecommendation,
    UndeliverableContactEmailRecommendation,
    UnusedPrivilegesRecommendation,
)
