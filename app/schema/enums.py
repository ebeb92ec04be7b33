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
    Language,
    NominationState,
    OverviewLevel,
    PurchaseAndDownloadLevel,
    Role,
    Topic,
    UpdateLevel,
    ViewLevel,
)

__all__ = [
    "AccessRequestKind",
    "AccessRequestOrderField",
    "AccessRequestState",
    "Code",
    "ContactType",
    "DenialReason",
    "Language",
    "MembershipOrderField",
    "NominationState",
    "OrderDirection",
    "OverviewLevel",
    "PurchaseAndDownloadLevel",
    "Role",
    "Topic",
    "UpdateLevel",
    "ViewLevel",
]


def _described(kind: type[Enum], description: str, values: dict[str, str]) -> None:
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


class AccessRequestOrderField(Enum):
    """By what access requests are sorted."""

    CREATED_AT = "CREATED_AT"
    REQUESTER_NAME = "REQUESTER_NAME"


_NONE = "No use of the application."
_described(
    Language,
    "A language the service speaks.",
    {"EN": "English.", "FR": "French."},
)
_described(
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
_described(
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
_described(
    ViewLevel,
    "Levels of an application that can only be looked at.",
    {"NONE": _NONE, "VIEW": "Look at it."},
)
_described(
    UpdateLevel,
    "Levels of an application that can be looked at and changed; a later one includes the earlier ones.",
    {"NONE": _NONE, "VIEW": "Look at it.", "UPDATE": "Look at it and change it."},
)
_described(
    OverviewLevel,
    "The one level of the contact update overview, which every member holds.",
    {"VIEW": "Look at it."},
)
_described(
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
_described(
    AccessRequestKind,
    "What an access request asks for.",
    {
        "ACCESS": "Somebody who has no access asks for it.",
        "EXTENSION": "A member whose access ends, or has ended, asks for a later end.",
        "HIGHER_LEVEL": "A member asks for higher levels, or to become a secondary contact.",
    },
)
_described(
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
_described(
    DenialReason,
    "Why access was denied.",
    {
        "UNKNOWN_REQUESTER": "Nobody at the site knows the requester.",
        "ACCESS_NOT_NECESSARY": "The primary contact determined that access was not necessary.",
        "NO_BUSINESS_RELATIONSHIP": "The requester has no business relationship with this site.",
    },
)
_described(
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
_described(
    Topic,
    "What a communication is about.",
    {
        "TOOL_CHANGES": "Changes of the tools, such as this service.",
        "RENEWAL_QUOTES": "Quotes for the renewal of software subscription and support.",
        "NEW_VERSIONS": "New versions of products, and how to upgrade to them.",
    },
)
_described(OrderDirection, "Which way a list runs.", {"ASC": "Smallest first.", "DESC": "Largest first."})
_described(
    MembershipOrderField,
    "By what memberships are sorted.",
    {
        "NAME": "Last name, then first name, without regard to case and accents.",
        "ROLE": "Role: primary contact, secondary contacts, users.",
        "CREATED_AT": "When access was given.",
    },
)
_described(
    AccessRequestOrderField,
    "By what access requests are sorted.",
    {
        "CREATED_AT": "When access was asked for.",
        "REQUESTER_NAME": "The requester's last name, then first name.",
    },
)
strawberry.enum(
    Code, name="UserErrorCode", description="Stable code of a refusal, for programs; people read `message`."
)
for _value in Code.__strawberry_definition__.values:  # type: ignore[attr-defined]
    _value.description = f"Says: “{Code[_value.name].value}”"
