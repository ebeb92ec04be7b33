"""What the caller may do with each thing, and if not, why: the rule of the policy, and what stands in the way.

A mutation refuses for one of two reasons that a client can know beforehand: the caller may not (FORBIDDEN, from
`policy.RULES`), or the thing is in a state in which nobody could (an `Obstacle`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa
import strawberry

from app.db.models import AccessRequest, Contact, Membership, Site
from app.db.preferences import CalendarSubscription
from app.errors import Code
from app.language import Words, spoken, words
from app.policy import NOT_PRIMARY, Action, denials, visible, who_may
from app.query.declare import Chosen, Value, reads
from app.rules import CALENDAR_SUBSCRIPTIONS, AccessRequestState, ContactType, Role
from app.schema.enums import Code as UserErrorCode

Case = tuple[sa.ColumnElement[bool], Any]


class Obstacle(NamedTuple):
    """A state in which a mutation refuses whoever asks: its code, its sentence, and when it is so, for a caller."""

    code: Code
    reason: Words
    when: Callable[[Any], sa.ColumnElement[bool]]


def _refused(code: Code, reason: Words) -> dict[str, Any]:
    return {"allowed": False, "code": code, "reason": reason}


ALLOWED = {"allowed": True, "code": None, "reason": None}


def may(action: Action, *obstacles: Obstacle) -> Chosen:
    """Whether the caller may do something with a row, in the order in which a mutation refuses it."""

    def cases(caller: Any, table: Any) -> list[Case]:
        allowed = visible(caller, action, table)
        return [
            *((sa.and_(allowed, so(caller)), _refused(code, reason)) for code, reason, so in obstacles),
            (allowed, ALLOWED),
            *((so, _refused(Code.FORBIDDEN, why)) for so, why in denials(caller, action, table)),
        ]

    return Chosen(cases, _refused(Code.FORBIDDEN, who_may(action)))


def _permission(action: Action, description: str, *obstacles: Obstacle) -> Any:
    return reads(may(action, *obstacles), description, action)


def _obstacle(code: Code, when: Callable[[Any], sa.ColumnElement[bool]], **parameters: Any) -> Obstacle:
    return Obstacle(code, words(code.value, **parameters), when)


DECIDED = _obstacle(
    Code.ALREADY_DECIDED,
    lambda _: AccessRequest.state.in_([AccessRequestState.GRANTED, AccessRequestState.DENIED]),
)
CLOSED = _obstacle(Code.REQUEST_CLOSED, lambda _: AccessRequest.current_state != AccessRequestState.PENDING)
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
PRIMARY_CONTACT_RECORD = _obstacle(
    Code.PRIMARY_CONTACT_TYPE_REQUIRED,
    lambda _: sa.literal(ContactType.PRIMARY, Contact.types.type.item_type) == sa.any_(Contact.types),
)
PENDING_REQUEST = _obstacle(
    Code.PENDING_REQUEST_EXISTS,
    lambda caller: (
        sa.exists()
        .where(
            AccessRequest.site_id == Site.id,
            AccessRequest.requester_id == caller.user_id,
            AccessRequest.current_state == AccessRequestState.PENDING,
        )
        .correlate(Site)
    ),
)
NO_FREE_SLOT = _obstacle(
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


def _reason(row: dict[str, Any], _arguments: Any, caller: Any) -> str | None:
    text: str | None = spoken(row["reason"], caller.language)
    return text


@strawberry.type(
    description="Whether the caller may do something, at this moment. A mutation that is asked for at the same moment "
    "answers just so; faults in what is typed in come on top."
)
class Permission:
    """Whether the caller may."""

    allowed: bool = reads(Value(lambda row, *_: row["allowed"]), "Whether they may.")
    code: UserErrorCode | None = reads(
        Value(lambda row, *_: row["code"]),
        "Why not, for programs, as the mutation would say it: FORBIDDEN where the caller may not, another code where "
        "nobody could as things are; null when they may.",
    )
    reason: str | None = reads(Value(_reason), "Why not, for people, in their language; null when they may.")


@strawberry.type(description="What the caller may do at a site, and if not, why.")
class SitePermissions:
    """What the caller may do at a site."""

    see_users: Permission = _permission(
        Action.SEE_USERS, "See all users with their privileges, and all access requests."
    )
    add_user: Permission = _permission(Action.ADD_USER, "Add a user, by addUser.")
    see_contact_details: Permission = _permission(
        Action.SEE_CONTACT_DETAILS, "See telephone and postal address of the contacts."
    )
    change_contacts: Permission = _permission(
        Action.CHANGE_CONTACTS, "Write, save and delete contacts, by createContact, updateContacts and so on."
    )
    confirm_contact_review: Permission = _permission(
        Action.CHANGE_CONTACTS, "Confirm the monthly review of the contacts, by confirmContactReview."
    )
    subscribe_to_calendar: Permission = _permission(
        Action.SUBSCRIBE_TO_CALENDAR,
        "Have the reminder of the review in a calendar, by createCalendarSubscription.",
        NO_FREE_SLOT,
    )
    request_higher_level: Permission = _permission(
        Action.REQUEST_HIGHER_LEVEL, "Ask for a higher level.", PENDING_REQUEST
    )
    nominate_primary_contact: Permission = _permission(
        Action.NOMINATE_PRIMARY_CONTACT, "Nominate a new primary contact."
    )
    leave_site: Permission = _permission(Action.LEAVE_SITE, "Leave the site, by leaveSite.")


@strawberry.type(description="What the caller may do with a membership, and if not, why.")
class MembershipPermissions:
    """What the caller may do with a membership."""

    update: Permission = _permission(Action.UPDATE_MEMBERSHIP, "Change role and levels, by updateMembership.")
    remove: Permission = _permission(Action.REMOVE_MEMBERSHIP, "Take the access away, by removeMembership.")


@strawberry.type(description="What the caller may do with an access request, and if not, why.")
class AccessRequestPermissions:
    """What the caller may do with a request."""

    grant: Permission = _permission(
        Action.DECIDE_ACCESS_REQUEST,
        "Grant it, by grantAccessRequest.",
        DECIDED,
        CLOSED,
        FROM_PRIMARY_CONTACT,
    )
    deny: Permission = _permission(
        Action.DECIDE_ACCESS_REQUEST, "Deny it, by denyAccessRequest.", DECIDED, CLOSED
    )
    withdraw: Permission = _permission(
        Action.WITHDRAW_ACCESS_REQUEST, "Take it back, by withdrawAccessRequest.", DECIDED, CLOSED
    )


@strawberry.type(description="What the caller may do with a contact, and if not, why.")
class ContactPermissions:
    """What the caller may do with a contact."""

    update: Permission = _permission(Action.CHANGE_CONTACTS, "Save it, by updateContact or updateContacts.")
    delete: Permission = _permission(
        Action.CHANGE_CONTACTS, "Delete it, by deleteContact.", PRIMARY_CONTACT_RECORD
    )
