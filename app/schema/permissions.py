"""What the caller may do with each thing, and if not, why: the rule of the policy, and what stands in the way.

A mutation refuses for one of two reasons that a client can know beforehand: the caller may not (FORBIDDEN, from
`policy.RULES`), or the thing is in a state in which nobody could (an `Obstacle`).
"""

from typing import Any

import sqlalchemy as sa
import strawberry

from app.errors import Code
from app.language import Words, spoken
from app.policy import Action, denials, visible, who_may
from app.query.declare import Chosen, Value, reads
from app.schema.enums import Code as UserErrorCode
from app.schema.obstacles import (
    CLOSED,
    DECIDED,
    FROM_PRIMARY_CONTACT,
    NO_FREE_SLOT,
    NO_TEMPLATE_SLOT,
    NOMINATION_CLOSED,
    PENDING_NOMINATION,
    PENDING_REQUEST,
    PENDING_REQUEST_OF_MEMBER,
    PRIMARY_CONTACT_RECORD,
    WITHOUT_END,
    Obstacle,
)

Case = tuple[sa.ColumnElement[bool], Any]


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
        Action.REQUEST_HIGHER_LEVEL, "Ask for a higher level, by requestHigherLevel.", PENDING_REQUEST
    )
    nominate_primary_contact: Permission = permission(
        Action.NOMINATE_PRIMARY_CONTACT,
        "Nominate a new primary contact, by nominatePrimaryContact.",
        PENDING_NOMINATION,
    )
    leave_site: Permission = permission(Action.LEAVE_SITE, "Leave the site, by leaveSite.")


@strawberry.type(description="What the caller may do with a membership, and if not, why.")
class MembershipPermissions:
    """What the caller may do with a membership."""

    update: Permission = permission(
        Action.UPDATE_MEMBERSHIP,
        "Change role, levels and end, by updateMembership or updateMemberships.",
    )
    remove: Permission = permission(
        Action.REMOVE_MEMBERSHIP,
        "Take the access away, by removeMembership or removeMemberships.",
    )
    request_extension: Permission = permission(
        Action.REQUEST_EXTENSION,
        "Ask for a later end, by requestExtension.",
        WITHOUT_END,
        PENDING_REQUEST_OF_MEMBER,
    )


@strawberry.type(description="What the caller may do with an access request, and if not, why.")
class AccessRequestPermissions:
    """What the caller may do with a request."""

    grant: Permission = permission(
        Action.DECIDE_ACCESS_REQUEST,
        "Grant it, by grantAccessRequest or grantAccessRequests; levels that the rules of the site do not let the "
        "caller give are told by the mutation only.",
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


@strawberry.type(description="What the caller may do with a nomination, and if not, why.")
class NominationPermissions:
    """What the caller may do with a nomination."""

    accept: Permission = permission(
        Action.ANSWER_NOMINATION, "Accept it, by acceptNomination.", NOMINATION_CLOSED
    )
    decline: Permission = permission(
        Action.ANSWER_NOMINATION, "Decline it, by declineNomination.", NOMINATION_CLOSED
    )
    cancel: Permission = permission(
        Action.NOMINATE_PRIMARY_CONTACT, "Take it back, by cancelNomination.", NOMINATION_CLOSED
    )


@strawberry.type(description="What the caller may do with a contact, and if not, why.")
class ContactPermissions:
    """What the caller may do with a contact."""

    update: Permission = permission(Action.CHANGE_CONTACTS, "Save it, by updateContact or updateContacts.")
    delete: Permission = permission(
        Action.CHANGE_CONTACTS, "Delete it, by deleteContact.", PRIMARY_CONTACT_RECORD
    )
