"""The enums of the schema: those of the rules with a description for every value, and those of orders.

The schema takes all enums from here, so that none is used before it is described.
"""

from enum import Enum
from typing import Any

import strawberry

from app.errors import Code
from app.rules import (
    AccessRequestKind,
    AccessRequestState,
    ContactType,
    DenialReason,
    ErrorPolicy,
    Event,
    Language,
    NominationState,
    OverviewLevel,
    PrivilegeName,
    PurchaseAndDownloadLevel,
    RecommendationCode,
    Role,
    Topic,
    UpdateLevel,
    ViewLevel,
)
from app.site_rules import NamingKind, NamingState
from app.subjects import SubjectType

__all__ = [
    "AccessRequestKind",
    "AccessRequestOrderField",
    "AccessRequestState",
    "Code",
    "ContactType",
    "DenialReason",
    "ErrorPolicy",
    "Event",
    "HistoryOrderField",
    "Language",
    "MembershipOrderField",
    "NamingKind",
    "NamingState",
    "NominationState",
    "OrderDirection",
    "OverviewLevel",
    "PrivilegeName",
    "PurchaseAndDownloadLevel",
    "RecommendationCode",
    "Role",
    "SubjectType",
    "Topic",
    "UpdateLevel",
    "ViewLevel",
]


def describe(kind: type[Enum], description: str, values: dict[str, str]) -> None:
    """Make an enum of the schema, with a description for every value of it."""
    made: Any = strawberry.enum(kind, description=description)
    for value in made.__strawberry_definition__.values:
        value.description = values[value.name]


class OrderDirection(Enum):
    """Which way a list runs."""

    ASC = "ASC"
    DESC = "DESC"


class MembershipOrderField(Enum):
    """By what memberships are sorted."""

    NAME = "NAME"
    ROLE = "ROLE"
    CREATED_AT = "CREATED_AT"


class HistoryOrderField(Enum):
    """By what events are sorted."""

    NUMBER = "NUMBER"
    AT = "AT"


class AccessRequestOrderField(Enum):
    """By what access requests are sorted."""

    CREATED_AT = "CREATED_AT"
    REQUESTER_NAME = "REQUESTER_NAME"


_NONE = "No use of the application."
describe(
    Language,
    "A language the service speaks.",
    {"EN": "English.", "FR": "French."},
)
describe(
    Role,
    "What a member is at a site.",
    {
        "PRIMARY_CONTACT": "The one who holds every privilege and hands out the others. Exactly one per site; "
        "never assigned, only handed over.",
        "SECONDARY_CONTACT": "Assists the primary contact; at most four per site. The only role that may hold "
        "manage access and contact updates.",
        "USER": "Uses the applications it has privileges for; any number per site.",
    },
)
describe(
    PurchaseAndDownloadLevel,
    "Levels of the application purchase and download; a later one includes the earlier ones.",
    {
        "NONE": _NONE,
        "SOFTWARE_DOWNLOAD": "Download software.",
        "SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS": "Download software and order physical media.",
        "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS": "Download software, order physical media, "
        "see quotes and product catalogs, and renew licences.",
    },
)
describe(
    ViewLevel,
    "Levels of an application that can only be looked at.",
    {"NONE": _NONE, "VIEW": "Look at it."},
)
describe(
    UpdateLevel,
    "Levels of an application that can be looked at and changed; a later one includes the earlier ones.",
    {"NONE": _NONE, "VIEW": "Look at it.", "UPDATE": "Look at it and change it."},
)
describe(
    OverviewLevel,
    "The one level of the contact update overview, which every member holds.",
    {"VIEW": "Look at it."},
)
describe(
    AccessRequestState,
    "Where an access request stands. A closed request is never reopened; asking again makes a new one.",
    {
        "PENDING": "Waits for a decision.",
        "GRANTED": "Access was given.",
        "DENIED": "Access was denied, with a reason.",
        "WITHDRAWN": "The requester took it back.",
        "EXPIRED": "Nobody decided within the days the site allows.",
    },
)
describe(
    AccessRequestKind,
    "What an access request asks for.",
    {
        "ACCESS": "Somebody who has no access asks for it.",
        "EXTENSION": "A member whose access ends, or has ended, asks for a later end.",
        "HIGHER_LEVEL": "A member asks for higher levels, or to become a secondary contact.",
    },
)
describe(
    NominationState,
    "Where a nomination stands. A closed nomination is never reopened.",
    {
        "PENDING": "Waits for the nominee's answer.",
        "ACCEPTED": "The nominee accepted and became the primary contact.",
        "DECLINED": "The nominee declined.",
        "CANCELLED": "The primary contact took it back, or the nominee's access was taken away or given an end, or "
        "the primary contact changed in another way.",
        "EXPIRED": "The nominee did not answer in time.",
    },
)
describe(
    DenialReason,
    "Why access was denied.",
    {
        "UNKNOWN_REQUESTER": "Nobody at the site knows the requester.",
        "ACCESS_NOT_NECESSARY": "The primary contact determined that access was not necessary.",
        "NO_BUSINESS_RELATIONSHIP": "The requester has no business relationship with this site.",
    },
)
describe(
    ContactType,
    "What a person is contact for.",
    {
        "PRIMARY": "The site's primary contact record; exactly one contact of a site has it, and stands in for "
        "types that nobody has.",
        "SITE_TECHNICAL": "Technical matters of the site, such as new product versions.",
        "ADMINISTRATIVE_PROOF_OF_ENTITLEMENT": "Administration and proofs of entitlement.",
        "SUBSCRIPTION_AND_SUPPORT_RENEWAL": "Renewal of software subscription and support.",
        "SUBSCRIPTION_AND_SUPPORT_MEDIA_SHIPMENT": "Shipment of media under subscription and support.",
        "BILLING": "Invoices.",
    },
)
describe(
    Topic,
    "What a communication is about.",
    {
        "TOOL_CHANGES": "Changes of the tools, such as this service.",
        "RENEWAL_QUOTES": "Quotes for the renewal of software subscription and support.",
        "NEW_VERSIONS": "New versions of products, and how to upgrade to them.",
    },
)
describe(
    PrivilegeName,
    "An application, by its place in PrivilegeSet.",
    {
        "PURCHASE_AND_DOWNLOAD": "PrivilegeSet.purchaseAndDownload.",
        "REPORTING": "PrivilegeSet.reporting.",
        "ENTITLEMENT_INVENTORY": "PrivilegeSet.entitlementInventory.",
        "ENTITLEMENT_ALLOCATIONS": "PrivilegeSet.entitlementAllocations.",
        "MANAGE_ACCESS": "PrivilegeSet.accountManagement.manageAccess.",
        "CONTACT_UPDATES": "PrivilegeSet.accountManagement.contactUpdates.",
        "CONTACT_UPDATE_OVERVIEW": "PrivilegeSet.accountManagement.contactUpdateOverview.",
        "ACCOUNT_DOCUMENTS": "PrivilegeSet.accountManagement.accountDocuments.",
    },
)
describe(
    RecommendationCode,
    "What a site could do better.",
    {
        "NO_SECONDARY_CONTACT": "Nobody assists the primary contact.",
        "SINGLE_DECIDER": "There are secondary contacts, but the primary contact alone decides about access.",
        "CONTACT_REVIEW_OVERDUE": "The monthly review of the contacts has not been done in time.",
        "ACCESS_ENDS_SOON": "The access of somebody ends soon.",
        "OLD_PENDING_REQUESTS": "Somebody has been waiting for a decision for long.",
        "UNDELIVERABLE_MEMBER_EMAIL": "The e-mail address of a member takes no mail.",
        "UNDELIVERABLE_CONTACT_EMAIL": "The e-mail address of a contact takes no mail.",
        "UNUSED_PRIVILEGES": "A member holds a level of an application that they do not use.",
    },
)
describe(
    ErrorPolicy,
    "What becomes of a bulk with items that cannot be done.",
    {
        "ALL_OR_NOTHING": "Nothing is done; the errors of all items come back together.",
        "GOOD_ONES": "The others are done; the results say which ones were not, and why.",
    },
)
describe(OrderDirection, "Which way a list runs.", {"ASC": "Smallest first.", "DESC": "Largest first."})
describe(
    MembershipOrderField,
    "By what memberships are sorted.",
    {
        "NAME": "Last name, then first name, without regard to case and accents.",
        "ROLE": "Role: primary contact, secondary contacts, users.",
        "CREATED_AT": "When access was given.",
    },
)
describe(
    AccessRequestOrderField,
    "By what access requests are sorted.",
    {
        "CREATED_AT": "When access was asked for.",
        "REQUESTER_NAME": "The requester's last name, then first name, without regard to case and accents.",
    },
)
describe(
    HistoryOrderField,
    "By what the events of a history are sorted.",
    {
        "NUMBER": "The number in the history of the site: the order in which they were written.",
        "AT": "When it was done.",
    },
)
describe(
    SubjectType,
    "What an event of the history is about.",
    {
        "SITE": "The site itself.",
        "USER": "A person.",
        "MEMBERSHIP": "One user's access to the site.",
        "CONTACT": "A contact of the site.",
        "ACCESS_REQUEST": "A request for access.",
        "NOMINATION": "A nomination of a new primary contact.",
        "WEBHOOK": "A webhook of the site; no values are shown of it, as its address may hold a secret.",
        "CALENDAR_SUBSCRIPTION": "A calendar that is subscribed to the review reminder; no values are shown of it, "
        "as its address is a secret.",
        "E_NOTIFICATION_PREFERENCE": "What a person has set for eNotifications; the subject's id is the person's.",
        "NAMING": "The naming of a secondary contact that a second person confirms.",
        "PRIVILEGE_TEMPLATE": "A privilege template of the site.",
        "BLOCKED_REQUESTER": "Somebody whose requests do not reach the site.",
    },
)
describe(
    Event,
    "What happened, in the history.",
    {
        "SITE_CREATED": "The site was created.",
        "USER_REGISTERED": "A person became known to the service. Concerns no site.",
        "USER_SIGNED_IN_FIRST": "A person signed in for the first time. Concerns no site.",
        "ACCESS_REQUESTED": "Somebody asked for access, or a member for more.",
        "ACCESS_REQUEST_WITHDRAWN": "A requester took their request back.",
        "ACCESS_REQUEST_EXPIRED": "A request ran out before it was decided.",
        "ACCESS_REQUEST_GRANTED": "A request was granted.",
        "ACCESS_REQUEST_DENIED": "A request was denied.",
        "USER_ADDED": "A person was given access.",
        "MEMBERSHIP_UPDATED": "Role, levels or end of a member's access were changed.",
        "MEMBERSHIP_REMOVED": "A member's access was taken away.",
        "SITE_LEFT": "A member gave up their access.",
        "CONTACT_CREATED": "A contact was written.",
        "CONTACT_UPDATED": "A contact was changed.",
        "CONTACT_DELETED": "A contact was deleted.",
        "CONTACTS_REVIEWED": "The contacts were looked through.",
        "E_NOTIFICATIONS_UPDATED": "A person changed their own eNotifications. Concerns no site.",
        "CALENDAR_SUBSCRIBED": "A calendar was subscribed to the review reminder.",
        "CALENDAR_REVOKED": "A calendar subscription was revoked.",
        "WEBHOOK_CREATED": "A webhook was created.",
        "WEBHOOK_UPDATED": "A webhook was changed.",
        "WEBHOOK_DELETED": "A webhook was deleted.",
        "WEBHOOK_SECRET_ROTATED": "A webhook got a new secret.",
        "WEBHOOK_DISABLED": "The service stopped sending to a webhook.",
        "SITE_RULES_UPDATED": "The rules of the site were changed.",
        "REQUESTER_BLOCKED": "A person was blocked: their requests do not reach the site.",
        "REQUESTER_UNBLOCKED": "A person was unblocked.",
        "PRIVILEGE_TEMPLATE_CREATED": "A privilege template was created.",
        "PRIVILEGE_TEMPLATE_UPDATED": "A privilege template was changed.",
        "PRIVILEGE_TEMPLATE_DELETED": "A privilege template was deleted.",
        "NAMING_PROPOSED": "Somebody proposed to name a secondary contact, which a second person has to confirm.",
        "NAMING_CONFIRMED": "A second person confirmed the naming of a secondary contact.",
        "NAMING_REJECTED": "A second person rejected the naming of a secondary contact.",
        "NAMING_CANCELLED": "The naming of a secondary contact was taken back, or overtaken by something else.",
        "PRIMARY_CONTACT_NOMINATED": "The primary contact asked a member to take over.",
        "NOMINATION_ACCEPTED": "The nominee accepted.",
        "NOMINATION_DECLINED": "The nominee declined.",
        "NOMINATION_CANCELLED": "A nomination was taken back, or ended with the nominee's access.",
        "NOMINATION_EXPIRED": "A nomination ran out before it was answered.",
        "PRIMARY_CONTACT_HANDED_OVER": "A member became the primary contact.",
    },
)
describe(
    NamingKind,
    "By which act somebody was to become a secondary contact.",
    {
        "ADD": "By addUser.",
        "GRANT": "By grantAccessRequest; the request stays pending until then.",
        "UPDATE": "By updateMembership.",
    },
)
describe(
    NamingState,
    "Where the naming of a secondary contact stands.",
    {
        "PENDING": "Waits for a second person; nothing of it has taken effect.",
        "CONFIRMED": "A second person confirmed it, and it took effect.",
        "REJECTED": "A second person rejected it.",
        "CANCELLED": "Whoever proposed it took it back, or something else was done with the person's access.",
    },
)
strawberry.enum(
    Code, name="UserErrorCode", description="Stable code of a refusal, for programs; people read `message`."
)
for _value in Code.__strawberry_definition__.values:  # type: ignore[attr-defined]
    _value.description = f"Says: “{Code[_value.name].value}”"
