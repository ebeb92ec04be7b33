"""What the subject of an event was before and after it: one type for every kind of subject."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.preferences import ENotificationPreference
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.policy import Action
from app.query.declare import Group, Variant, reads
from app.schema.enums import (
    AccessRequestKind,
    AccessRequestState,
    ContactType,
    DenialReason,
    Language,
    NamingKind,
    NamingState,
    NominationState,
    PurchaseAndDownloadLevel,
    Role,
    Topic,
    UpdateLevel,
    ViewLevel,
)
from app.schema.kept import kept, level
from app.subjects import SubjectType


def _kept(model: Any, name: str, description: str) -> Any:
    return reads(kept(model, name), description)


def _level(name: str, description: str) -> Any:
    return reads(level(name), description)


@strawberry.type(description="Levels of account management, as they were at a moment.")
class AccountManagementLevels:
    """Levels of account management."""

    manage_access: UpdateLevel | None = _level("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel | None = _level("contact_updates", "See and change contacts.")
    account_documents: ViewLevel | None = _level("account_documents", "Documents of the account.")


@strawberry.type(
    description="Levels as they were at a moment: those that a member held, a requester wished for, or a naming or "
    "template was to give; null where nothing was said of one."
)
class PrivilegeLevels:
    """Levels."""

    purchase_and_download: PurchaseAndDownloadLevel | None = _level(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel | None = _level("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel | None = _level(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel | None = _level(
        "entitlement_allocations", "Entitlement allocations."
    )
    account_management: AccountManagementLevels = reads(Group(), "Account management.")


@strawberry.type(description="A membership as it was at a moment.")
class MembershipSnapshot:
    """A membership."""

    role: Role | None = _kept(Membership, "role", "What the member was at the site.")
    privileges: PrivilegeLevels = reads(
        Group(), "What the member might use; the primary contact held the highest level of everything."
    )
    justification: str | None = _kept(Membership, "justification", "Why access was given.")
    ends_at: datetime | None = _kept(
        Membership, "ends_at", "When access was to end; null when it was not to."
    )


@strawberry.type(description="Everything about a contact beyond the overview, as it was at a moment.")
class ContactDetailsSnapshot:
    """The details of a contact."""

    phone: str | None = _kept(Contact, "phone", "Telephone number in the form +33….")
    address: str | None = _kept(Contact, "address", "Street and number.")
    city: str | None = _kept(Contact, "city", "City.")
    state_or_province: str | None = _kept(Contact, "state_or_province", "State or province.")
    postal_code: str | None = _kept(Contact, "postal_code", "Postal code.")
    country: str | None = _kept(Contact, "country", "Country, two letters after ISO 3166-1.")


@strawberry.type(description="A contact as it was at a moment.")
class ContactSnapshot:
    """A contact."""

    first_name: str | None = _kept(Contact, "first_name", "First name.")
    last_name: str | None = _kept(Contact, "last_name", "Last name.")
    email: str | None = _kept(Contact, "email", "E-mail address.")
    types: list[ContactType] | None = _kept(Contact, "types", "What the person was contact for.")
    details: ContactDetailsSnapshot | None = reads(
        Group(needs=Action.SEE_CONTACT_DETAILS),
        "Telephone and postal address; null for who may see the overview only.",
        Action.SEE_CONTACT_DETAILS,
    )


@strawberry.type(description="An access request as it was at a moment.")
class AccessRequestSnapshot:
    """A request."""

    site_number: str | None = _kept(AccessRequest, "site_number", "The number of the site.")
    state: AccessRequestState | None = _kept(AccessRequest, "state", "Where the request stood.")
    justification: str | None = _kept(AccessRequest, "justification", "The requester's reason.")
    requested_privileges: PrivilegeLevels = reads(Group(), "The levels the requester wished for.")
    kind: AccessRequestKind | None = _kept(AccessRequest, "kind", "What was asked for.")
    requested_role: Role | None = _kept(AccessRequest, "requested_role", "The role a member wished for.")
    requested_ends_at: datetime | None = _kept(
        AccessRequest, "requested_ends_at", "Until when an extension was wished for."
    )
    approver_justification: str | None = _kept(
        AccessRequest, "approver_justification", "The approver's reason."
    )
    granted_role: Role | None = _kept(AccessRequest, "granted_role", "The role that was given.")
    denial_reason: DenialReason | None = _kept(AccessRequest, "denial_reason", "Why it was denied.")
    closed_at: datetime | None = _kept(
        AccessRequest, "closed_at", "When it was decided, withdrawn or had expired."
    )


@strawberry.type(description="A nomination of a new primary contact as it was at a moment.")
class NominationSnapshot:
    """A nomination."""

    state: NominationState | None = _kept(Nomination, "state", "Where the nomination stood.")
    justification: str | None = _kept(Nomination, "justification", "The primary contact's reason.")
    closed_at: datetime | None = _kept(
        Nomination, "closed_at", "When it was answered or cancelled, or had expired."
    )


@strawberry.type(description="A site as it was at a moment.")
class SiteSnapshot:
    """A site."""

    number: str | None = _kept(Site, "number", "The number people type.")
    name: str | None = _kept(Site, "name", "The customer's name for it.")
    pending_request_days: int | None = _kept(
        Site, "pending_request_days", "Days after which a request expires; null when none does."
    )
    grant_at_most_what_you_hold: bool | None = _kept(
        Site, "grant_at_most_held", "Whether deciders gave at most what they held."
    )
    second_person_confirms: bool | None = _kept(
        Site, "second_person_confirms", "Whether a second person confirmed the naming of a secondary contact."
    )
    contacts_reviewed_at: datetime | None = _kept(
        Site, "contacts_reviewed_at", "When the review of the contacts was last confirmed."
    )


@strawberry.type(description="A person as they were at a moment.")
class UserSnapshot:
    """A person."""

    ibm_id: str | None = _kept(User, "ibm_id", "The IBMid.")
    email: str | None = _kept(User, "email", "E-mail address of the person.")
    first_name: str | None = _kept(User, "first_name", "First name.")
    last_name: str | None = _kept(User, "last_name", "Last name.")
    language: Language | None = _kept(User, "language", "Language the person was written to in.")


@strawberry.type(description="What a person had set for eNotifications at a moment.")
class ENotificationsSnapshot:
    """eNotification preferences."""

    email: str | None = _kept(
        ENotificationPreference, "email", "Where they went; null for the address of the account."
    )
    topics: list[Topic] | None = _kept(
        ENotificationPreference, "topics", "What the person wanted to be told of."
    )


@strawberry.type(description="The naming of a secondary contact as it was at a moment.")
class NamingSnapshot:
    """A naming."""

    kind: NamingKind | None = _kept(Naming, "kind", "By which act somebody was to be named.")
    state: NamingState | None = _kept(Naming, "state", "Where the naming stood.")
    privileges: PrivilegeLevels = reads(Group(), "The levels it was to give.")
    justification: str | None = _kept(Naming, "justification", "The proposer's reason.")
    ends_at: datetime | None = _kept(
        Naming, "ends_at", "When the access was to end; null when it was not to."
    )
    closed_at: datetime | None = _kept(Naming, "closed_at", "When it was confirmed, rejected or cancelled.")


@strawberry.type(description="A privilege template as it was at a moment.")
class PrivilegeTemplateSnapshot:
    """A template."""

    name: str | None = _kept(PrivilegeTemplate, "name", "Its name.")
    privileges: PrivilegeLevels = reads(Group(), "The levels it gave.")


@strawberry.type(description="A blocked requester as they were kept at a moment.")
class BlockedRequesterSnapshot:
    """A blocked requester."""

    ibm_id: str | None = _kept(BlockedRequester, "ibm_id", "The IBMid, as it was typed.")
    reason: str | None = _kept(BlockedRequester, "reason", "Why.")


SNAPSHOTS = {
    SubjectType.MEMBERSHIP: MembershipSnapshot,
    SubjectType.CONTACT: ContactSnapshot,
    SubjectType.ACCESS_REQUEST: AccessRequestSnapshot,
    SubjectType.NOMINATION: NominationSnapshot,
    SubjectType.SITE: SiteSnapshot,
    SubjectType.USER: UserSnapshot,
    SubjectType.E_NOTIFICATION_PREFERENCE: ENotificationsSnapshot,
    SubjectType.NAMING: NamingSnapshot,
    SubjectType.PRIVILEGE_TEMPLATE: PrivilegeTemplateSnapshot,
    SubjectType.BLOCKED_REQUESTER: BlockedRequesterSnapshot,
}
Snapshot = Annotated[
    MembershipSnapshot
    | ContactSnapshot
    | AccessRequestSnapshot
    | NominationSnapshot
    | SiteSnapshot
    | UserSnapshot
    | ENotificationsSnapshot
    | NamingSnapshot
    | PrivilegeTemplateSnapshot
    | BlockedRequesterSnapshot,
    strawberry.union(
        name="Snapshot",
        description="What the subject of an event was at a moment, by its kind. Values are as they were kept: a field "
        "that came later is null in older events.",
    ),
]


def snapshot(column: Any, description: str) -> Any:
    """The snapshot that an event keeps in a column."""
    types = {kind.name.lower(): shown.__name__ for kind, shown in SNAPSHOTS.items()}
    return reads(Variant(column, HistoryEvent.subject_type, types), description)
