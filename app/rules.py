"""The vocabulary and the pure rules of the domain: enums, limits and checks. No input or output.

Every check yields the faults it finds, so that a form is refused once with all of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from app.errors import Code, Fault, message

SECONDARY_CONTACT_SEATS = 4
NAME_LENGTH = 100
TEXT_LENGTH = 200
EMAIL_LENGTH = 254
IBM_ID_LENGTH = 254
NUMBER_LENGTH = 30
JUSTIFICATION_LENGTH = 2000
IDEMPOTENCY_KEY_LENGTH = 100
BATCH_LIMIT = 100
"""How many things one input may name."""
NOMINATION_DAYS = 14
"""How long a nominee has to answer."""
ACCESS_YEARS = 10
"""How far ahead access can end."""
CALENDAR_SUBSCRIPTIONS = 20
"""How many calendar subscriptions a person may have at once."""
DAYS_BEFORE_ACCESS_ENDS = 30
"""How many days ahead a site is told that somebody's access ends."""
DAYS_TO_DECIDE = 7
"""After how many days a site is told that a request still waits."""
DAYS_UNUSED = 90
"""After how many days a site is told that a privilege is not used."""


class Language(Enum):
    """A language the service speaks."""

    EN = "en"
    FR = "fr"


class Role(Enum):
    """What a member is at a site."""

    PRIMARY_CONTACT = "PRIMARY_CONTACT"
    SECONDARY_CONTACT = "SECONDARY_CONTACT"
    USER = "USER"


class Level(Enum):
    """How much of an application a member may use; a later value includes the earlier ones."""

    @property
    def rank(self) -> int:
        """Position among the levels of the same application, from 0."""
        return list(type(self)).index(self)

    def __ge__(self, other: "Level") -> bool:
        return self.rank >= other.rank


class PurchaseAndDownloadLevel(Level):
    """Levels of purchase and download."""

    NONE = "NONE"
    SOFTWARE_DOWNLOAD = "SOFTWARE_DOWNLOAD"
    SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS = "SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS"
    SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS = (
        "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS"
    )


class ViewLevel(Level):
    """Levels of what can only be looked at."""

    NONE = "NONE"
    VIEW = "VIEW"


class UpdateLevel(Level):
    """Levels of what can be looked at and changed."""

    NONE = "NONE"
    VIEW = "VIEW"
    UPDATE = "UPDATE"


class OverviewLevel(Level):
    """The one level of what everybody may look at."""

    VIEW = "VIEW"


class AccessRequestState(Enum):
    """Where an access request stands."""

    PENDING = "PENDING"
    GRANTED = "GRANTED"
    DENIED = "DENIED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class AccessRequestKind(Enum):
    """What an access request asks for."""

    ACCESS = "ACCESS"
    EXTENSION = "EXTENSION"
    HIGHER_LEVEL = "HIGHER_LEVEL"


class NominationState(Enum):
    """Where a nomination stands."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class DenialReason(Enum):
    """Why access was denied."""

    UNKNOWN_REQUESTER = "UNKNOWN_REQUESTER"
    ACCESS_NOT_NECESSARY = "ACCESS_NOT_NECESSARY"
    NO_BUSINESS_RELATIONSHIP = "NO_BUSINESS_RELATIONSHIP"


class ContactType(Enum):
    """What a person is contact for."""

    PRIMARY = "PRIMARY"
    SITE_TECHNICAL = "SITE_TECHNICAL"
    ADMINISTRATIVE_PROOF_OF_ENTITLEMENT = "ADMINISTRATIVE_PROOF_OF_ENTITLEMENT"
    SUBSCRIPTION_AND_SUPPORT_RENEWAL = "SUBSCRIPTION_AND_SUPPORT_RENEWAL"
    SUBSCRIPTION_AND_SUPPORT_MEDIA_SHIPMENT = "SUBSCRIPTION_AND_SUPPORT_MEDIA_SHIPMENT"
    BILLING = "BILLING"


class ErrorPolicy(Enum):
    """What becomes of a bulk with items that cannot be done."""

    ALL_OR_NOTHING = "ALL_OR_NOTHING"
    GOOD_ONES = "GOOD_ONES"


class Event(Enum):
    """What happened, in the history."""

    SITE_CREATED = "SITE_CREATED"
    USER_REGISTERED = "USER_REGISTERED"
    USER_SIGNED_IN_FIRST = "USER_SIGNED_IN_FIRST"
    ACCESS_REQUESTED = "ACCESS_REQUESTED"
    ACCESS_REQUEST_WITHDRAWN = "ACCESS_REQUEST_WITHDRAWN"
    ACCESS_REQUEST_EXPIRED = "ACCESS_REQUEST_EXPIRED"
    ACCESS_REQUEST_GRANTED = "ACCESS_REQUEST_GRANTED"
    ACCESS_REQUEST_DENIED = "ACCESS_REQUEST_DENIED"
    USER_ADDED = "USER_ADDED"
    MEMBERSHIP_UPDATED = "MEMBERSHIP_UPDATED"
    MEMBERSHIP_REMOVED = "MEMBERSHIP_REMOVED"
    SITE_LEFT = "SITE_LEFT"
    CONTACT_CREATED = "CONTACT_CREATED"
    CONTACT_UPDATED = "CONTACT_UPDATED"
    CONTACT_DELETED = "CONTACT_DELETED"
    CONTACTS_REVIEWED = "CONTACTS_REVIEWED"
    E_NOTIFICATIONS_UPDATED = "E_NOTIFICATIONS_UPDATED"
    CALENDAR_SUBSCRIBED = "CALENDAR_SUBSCRIBED"
    CALENDAR_REVOKED = "CALENDAR_REVOKED"
    WEBHOOK_CREATED = "WEBHOOK_CREATED"
    WEBHOOK_UPDATED = "WEBHOOK_UPDATED"
    WEBHOOK_DELETED = "WEBHOOK_DELETED"
    WEBHOOK_SECRET_ROTATED = "WEBHOOK_SECRET_ROTATED"  # noqa: S105
    WEBHOOK_DISABLED = "WEBHOOK_DISABLED"
    SITE_RULES_UPDATED = "SITE_RULES_UPDATED"
    REQUESTER_BLOCKED = "REQUESTER_BLOCKED"
    REQUESTER_UNBLOCKED = "REQUESTER_UNBLOCKED"
    PRIVILEGE_TEMPLATE_CREATED = "PRIVILEGE_TEMPLATE_CREATED"
    PRIVILEGE_TEMPLATE_UPDATED = "PRIVILEGE_TEMPLATE_UPDATED"
    PRIVILEGE_TEMPLATE_DELETED = "PRIVILEGE_TEMPLATE_DELETED"
    NAMING_PROPOSED = "NAMING_PROPOSED"
    NAMING_CONFIRMED = "NAMING_CONFIRMED"
    NAMING_REJECTED = "NAMING_REJECTED"
    NAMING_CANCELLED = "NAMING_CANCELLED"
    PRIMARY_CONTACT_NOMINATED = "PRIMARY_CONTACT_NOMINATED"
    NOMINATION_ACCEPTED = "NOMINATION_ACCEPTED"
    NOMINATION_DECLINED = "NOMINATION_DECLINED"
    NOMINATION_CANCELLED = "NOMINATION_CANCELLED"
    NOMINATION_EXPIRED = "NOMINATION_EXPIRED"
    PRIMARY_CONTACT_HANDED_OVER = "PRIMARY_CONTACT_HANDED_OVER"


class Topic(Enum):
    """What a communication of the vendor is about."""

    TOOL_CHANGES = "TOOL_CHANGES"
    RENEWAL_QUOTES = "RENEWAL_QUOTES"
    NEW_VERSIONS = "NEW_VERSIONS"


HEARD_BY: Mapping[Topic, tuple[ContactType, ...]] = {
    Topic.TOOL_CHANGES: tuple(ContactType),
    Topic.RENEWAL_QUOTES: (ContactType.SUBSCRIPTION_AND_SUPPORT_RENEWAL,),
    Topic.NEW_VERSIONS: (ContactType.SITE_TECHNICAL,),
}
"""The contacts who hear of a topic hold one of these types; where nobody does, the primary contact record stands in."""


class MessageKind(Enum):
    """What a message to a person is about."""

    ACCESS_REQUESTED = "ACCESS_REQUESTED"
    ACCESS_GRANTED = "ACCESS_GRANTED"
    ACCESS_DENIED = "ACCESS_DENIED"
    ACCESS_REQUEST_EXPIRED = "ACCESS_REQUEST_EXPIRED"
    WELCOME = "WELCOME"
    ACCESS_CHANGED = "ACCESS_CHANGED"
    ACCESS_REMOVED = "ACCESS_REMOVED"
    ACCESS_ENDS = "ACCESS_ENDS"
    PRIMARY_CONTACT_NOMINATED = "PRIMARY_CONTACT_NOMINATED"
    PRIMARY_CONTACT_HANDED_OVER = "PRIMARY_CONTACT_HANDED_OVER"
    MONTHLY_REVIEW = "MONTHLY_REVIEW"


class MessageState(Enum):
    """Where a message stands on its way."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DEAD = "DEAD"


class MessageFault(Enum):
    """Why a message could not be delivered; the value is its sentence."""

    ADDRESS_UNUSABLE = message("Nobody can be written to at this address.")
    RECIPIENT_REFUSED = message("The mail server refuses the address.")
    MESSAGE_REFUSED = message("The mail server refuses the message.")
    TRY_LATER = message("The mail server asks to try again later.")
    SERVER_REFUSED = message("The mail server takes no messages from this service.")
    SERVER_UNREACHABLE = message("The mail server does not answer.")
    NOT_WRITTEN = message("The message could not be written.")


class PrivilegeName(Enum):
    """An application by its name; the value is its name among the privileges."""

    PURCHASE_AND_DOWNLOAD = "purchase_and_download"
    REPORTING = "reporting"
    ENTITLEMENT_INVENTORY = "entitlement_inventory"
    ENTITLEMENT_ALLOCATIONS = "entitlement_allocations"
    MANAGE_ACCESS = "manage_access"
    CONTACT_UPDATES = "contact_updates"
    CONTACT_UPDATE_OVERVIEW = "contact_update_overview"
    ACCOUNT_DOCUMENTS = "account_documents"


class RecommendationCode(Enum):
    """What a site could do better."""

    NO_SECONDARY_CONTACT = "NO_SECONDARY_CONTACT"
    SINGLE_DECIDER = "SINGLE_DECIDER"
    CONTACT_REVIEW_OVERDUE = "CONTACT_REVIEW_OVERDUE"
    ACCESS_ENDS_SOON = "ACCESS_ENDS_SOON"
    OLD_PENDING_REQUESTS = "OLD_PENDING_REQUESTS"
    UNDELIVERABLE_MEMBER_EMAIL = "UNDELIVERABLE_MEMBER_EMAIL"
    UNDELIVERABLE_CONTACT_EMAIL = "UNDELIVERABLE_CONTACT_EMAIL"
    UNUSED_PRIVILEGES = "UNUSED_PRIVILEGES"


@dataclass(frozen=True)
class Privilege:
    """One line of the privilege table: its field, levels, label, and who may hold it."""

    name: str
    levels: type[Level]
    label: str
    group: str | None = None
    secondary_contacts_only: bool = False
    editable: bool = True

    @property
    def highest(self) -> Level:
        """The level the primary contact holds."""
        return list(self.levels)[-1]

    @property
    def path(self) -> tuple[str, ...]:
        """Where the schema has it, such as ``("accountManagement", "manageAccess")``."""
        return (*([camel(self.group)] if self.group else []), camel(self.name))


@cache
def camel(name: str) -> str:
    """A field's name as the schema spells it."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


@cache
def snake(name: str) -> str:
    """A type's name as the database spells it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


_ACCOUNT = "account_management"
CATALOG = (
    Privilege("purchase_and_download", PurchaseAndDownloadLevel, message("Purchase and download")),
    Privilege("reporting", ViewLevel, message("Reporting")),
    Privilege("entitlement_inventory", UpdateLevel, message("Entitlements: inventory and deployments")),
    Privilege("entitlement_allocations", UpdateLevel, message("Entitlement allocations")),
    Privilege("manage_access", UpdateLevel, message("Account management: manage access"), _ACCOUNT, True),
    Privilege("contact_updates", UpdateLevel, message("Account management: contact updates"), _ACCOUNT, True),
    Privilege(
        "contact_update_overview",
        OverviewLevel,
        message("Account management: contact update overview"),
        _ACCOUNT,
        editable=False,
    ),
    Privilege("account_documents", ViewLevel, message("Account management: account documents"), _ACCOUNT),
)
PRIVILEGES = {privilege.name: privilege for privilege in CATALOG if privilege.editable}

LEVEL_LABELS: Mapping[Level, str] = {
    PurchaseAndDownloadLevel.NONE: message("None"),
    PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD: message("Software download only"),
    PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS: message(
        "Software download and media access only"
    ),
    PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS: message(
        "Software download, media access, quotes, product catalogs and licence renewals"
    ),
    ViewLevel.NONE: message("None"),
    ViewLevel.VIEW: message("View"),
    UpdateLevel.NONE: message("None"),
    UpdateLevel.VIEW: message("View"),
    UpdateLevel.UPDATE: message("Update"),
    OverviewLevel.VIEW: message("View"),
}

Levels = Mapping[str, Level]
"""Levels by the names of `PRIVILEGES`; a name that is missing is not spoken of."""


def no_levels() -> dict[str, Level]:
    """The levels of a member nobody has given anything."""
    return {name: next(iter(privilege.levels)) for name, privilege in PRIVILEGES.items()}


def check_version(read: int | None, present: int, **about: Any) -> Iterator[Fault]:
    """Whoever names the version they have read does not overwrite what others wrote since.

    `about` is what has the version, as a parameter such as ``membership_id``.
    """
    if read is not None and read != present:
        parameters = {"current_version": present, **about}
        yield Fault(code=Code.STALE_VERSION, path=("expectedVersion",), parameters=parameters)


def check_role(role: Role) -> Iterator[Fault]:
    """`PRIMARY_CONTACT` is never assigned by grant, add or update (domain, Roles 2)."""
    if role is Role.PRIMARY_CONTACT:
        yield Fault(code=Code.ROLE_NOT_ASSIGNABLE, path=("role",))


def check_levels(role: Role, levels: Levels) -> Iterator[Fault]:
    """Manage access and contact updates are for secondary contacts only (domain, Privilege set)."""
    for name, level in levels.items():
        privilege = PRIVILEGES[name]
        if privilege.secondary_contacts_only and role is Role.USER and level.rank > 0:
            yield Fault(code=Code.LEVEL_NOT_FOR_ROLE, path=("privileges", *privilege.path))
