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
from app.db.site_rules import PrivilegeTemplate
from app.errors import Code
from app.language import Words, spoken, words
from app.policy import NOT_PRIMARY, Action, denials, visible, who_may
from app.query.declare import Chosen, Value, reads
from app.rules import CALENDAR_SUBSCRIPTIONS, AccessRequestState, ContactType, Role
from app.schema.enums import Code as UserErrorCode
from app.site_rules import TEMPLATE_SLOTS

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


def permission(action: Action, description: str, *obstacles: Obstacle) -> Any:
    """The field of a type that says whether the caller may."""
    return reads(may(action, *obstacles), description, action)


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
            AccessRequest.site_id == Site.id,
            AccessRequest.requester_id == caller.user_id,
            AccessRequest.current_state == AccessRequestState.PENDING,
        )
        .correlate(Site)
    ),
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

    see_users: Permission = permission(
        Action.SEE_USERS, "See all users with their privileges, and all access requests."
    )
    add_user: Permission = permission(Action.ADD_USER, "Add users, by addUser or addUsers.")
    manage_access: Permission = permission(
        Action.MANAGE_ACCESS,
        "Treat many memberships or access requests in one act, by updateMemberships, grantAccessRequests and so on.",
    )
    update_site_rules: Permission = permission(
        Action.UPDATE_SITE_RULES, "Change the rules of the site, by updateSiteRules."
    )
    block_requesters: Permission = permission(
        Action.MANAGE_BLOCKED_REQUESTERS,
        "Block requesters and let them in again, by blockRequester and unblockRequester.",
    )
    create_privilege_template: Permission = permission(
        Action.MANAGE_PRIVILEGE_TEMPLATES,
        "Create a privilege template, by createPrivilegeTemplate.",
        NO_TEMPLATE_SLOT,
    )
    see_contact_details: Permission = permission(
        Action.SEE_CONTACT_DETAILS, "See telephone and postal address of the contacts."
    )
    change_contacts: Permission = permission(
        Action.CHANGE_CONTACTS, "Write, save and delete contacts, by createContact, updateContacts and so on."
    )
    confirm_contact_review: Permission = permission(
        Action.CHANGE_CONTACTS, "Confirm the monthly review of the contacts, by confirmContactReview."
    )
    subscribe_to_calendar: Permission = permission(
        Action.SUBSCRIBE_TO_CALENDAR,
        "Have the reminder of the review in a calendar, by createCalendarSubscription.",
        NO_FREE_SLOT,
    )
    request_higher_level: Permission = permission(
        Action.REQUEST_HIGHER_LEVEL, "Ask for a higher level.", PENDING_REQUEST
    )
    nominate_primary_contact: Permission = permission(
        Action.NOMINATE_PRIMARY_CONTACT, "Nominate a new primary contact."
    )
    leave_site: Permission = permission(Action.LEAVE_SITE, "Leave the site, by leaveSite.")


@strawberry.type(description="What the caller may do with a membership, and if not, why.")
class MembershipPermissions:
    """What the caller may do with a membership."""

    update: Permission = permission(
        Action.UPDATE_MEMBERSHIP,
        "Change role and levels, by updateMembership or updateMemberships.",
    )
    remove: Permission = permission(
        Action.REMOVE_MEMBERSHIP,
        "Take the access away, by removeMembership or removeMemberships.",
    )


@strawberry.type(description="What the caller may do with an access request, and if not, why.")
class AccessRequestPermissions:
    """What the caller may do with a request."""

    grant: Permission = permission(
        Action.DECIDE_ACCESS_REQUEST,
        "Grant it, by grantAccessRequest or grantAccessRequests.",
        DECIDED,
        CLOSED,
        FROM_PRIMARY_CONTACT,
    )
    deny: Permission = permission(
        Action.DECIDE_ACCESS_REQUEST, "Deny it, by denyAccessRequest or denyAccessRequests.", DECIDED, CLOSED
    )
    withdraw: Permission = permission(
        Action.WITHDRAW_ACCESS_REQUEST, "Take it back, by withdrawAccessRequest.", DECIDED, CLOSED
    )


@strawberry.type(description="What the caller may do with a contact, and if not, why.")
class ContactPermissions:
    """What the caller may do with a contact."""

    update: Permission = permission(Action.CHANGE_CONTACTS, "Save it, by updateContact or updateContacts.")
    delete: Permission = permission(
        Action.CHANGE_CONTACTS, "Delete it, by deleteContact.", PRIMARY_CONTACT_RECORD
    )
