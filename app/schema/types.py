"""The object types of the schema. Each says what it reads; nothing here runs a query."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import sqlalchemy as sa
import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Column, Group, Paged, Relation, Value, reads
from app.query.ids import write_id
from app.rules import (
    SECONDARY_CONTACT_SEATS,
    AccessRequestState,
    ContactType,
    DenialReason,
    Language,
    OverviewLevel,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
)
from app.schema import filters
from app.schema.inputs import (
    AccessRequestFilter,
    AccessRequestOrder,
    After,
    Before,
    First,
    Last,
    MembershipFilter,
    MembershipOrder,
)

T = TypeVar("T")


def _id(kind: str, column: Any) -> Any:
    return reads(
        Column(column, lambda key: write_id(kind, key)), "Opaque id, unique among all things of the service."
    )


def _argument(kind: Any, description: str) -> Any:
    return Annotated[kind, strawberry.argument(description=description)]


@strawberry.interface(description="Anything with an id that can be read again by it.")
class Node:
    """Anything with an id."""

    id: strawberry.ID = strawberry.field(description="Opaque id, unique among all things of the service.")


@strawberry.type(description="Where a page of a list stands in the list.")
class PageInfo:
    """Where a page stands."""

    has_next_page: bool = strawberry.field(description="Whether more follows, when reading forward.")
    has_previous_page: bool = strawberry.field(
        description="Whether more comes before, when reading backward."
    )
    start_cursor: str | None = strawberry.field(description="Cursor of the first row of the page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last row of the page.")


@strawberry.type(description="A row of a list, with its place.")
class Edge(Generic[T]):
    """A row with its place."""

    cursor: str = strawberry.field(description="The row's place in this list, with this order and filter.")
    node: T = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list."""

    edges: list[Edge[T]] = strawberry.field(description="The rows, each with its cursor.")
    nodes: list[T] = strawberry.field(description="The rows.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
    total_count: int = strawberry.field(description="How many rows the whole list has with this filter.")


def _level(name: str, description: str) -> Any:
    return reads(Column(filters.held(name)), description)


def _wish(name: str, description: str) -> Any:
    return reads(Column(getattr(m.AccessRequest, name)), description)


MEMBERSHIP_ORDERS = {
    "NAME": m.User.sort_name,
    "ROLE": m.Membership.role,
    "CREATED_AT": m.Membership.created_at,
}
ACCESS_REQUEST_ORDERS = {"CREATED_AT": m.AccessRequest.created_at, "REQUESTER_NAME": m.User.sort_name}


def _memberships(local: str, on: str) -> Paged:
    return Paged(
        m.Membership,
        on=on,
        local=local,
        where=filters.memberships,
        orders=MEMBERSHIP_ORDERS,
        joins=((m.User, m.User.id == m.Membership.user_id),),
    )


def _access_requests(local: str, on: str) -> Paged:
    return Paged(
        m.AccessRequest,
        on=on,
        local=local,
        where=filters.access_requests,
        orders=ACCESS_REQUEST_ORDERS,
        joins=((m.User, m.User.id == m.AccessRequest.requester_id),),
    )


@strawberry.type(description="Levels of account management that a member holds.")
class AccountManagementPrivileges:
    """Account management."""

    manage_access: UpdateLevel = _level("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel = _level("contact_updates", "See and change contacts.")
    contact_update_overview: OverviewLevel = reads(
        Value(lambda *_: OverviewLevel.VIEW),
        "See the overview of the contacts; always VIEW, for every member.",
    )
    account_documents: ViewLevel = _level("account_documents", "Documents of the account.")


@strawberry.type(
    description="What a member may use. The primary contact holds the highest level of everything."
)
class PrivilegeSet:
    """What a member may use."""

    purchase_and_download: PurchaseAndDownloadLevel = _level(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel = _level("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel = _level(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel = _level("entitlement_allocations", "Entitlement allocations.")
    account_management: AccountManagementPrivileges = reads(Group(), "Account management.")


@strawberry.type(description="Levels of account management that a requester wishes for.")
class RequestedAccountManagementPrivileges:
    """Wished account management."""

    manage_access: UpdateLevel | None = _wish("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel | None = _wish("contact_updates", "See and change contacts.")
    account_documents: ViewLevel | None = _wish("account_documents", "Documents of the account.")


@strawberry.type(description="Levels that a requester wishes for; null where nothing was said.")
class RequestedPrivileges:
    """Wished levels."""

    purchase_and_download: PurchaseAndDownloadLevel | None = _wish(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel | None = _wish("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel | None = _wish(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel | None = _wish("entitlement_allocations", "Entitlement allocations.")
    account_management: RequestedAccountManagementPrivileges = reads(Group(), "Account management.")


@strawberry.type(
    description="A person. Everyone sees themselves; others appear with what shows them. "
    + allowed(Action.SEE_USERS)
)
class User(Node):
    """A person."""

    id: strawberry.ID = _id("user", m.User.id)
    ibm_id: str = reads(Column(m.User.ibm_id), "The IBMid, unique without regard to case.")
    email: str = reads(Column(m.User.email), "E-mail address of the person.")
    name: str = reads(
        Column(m.User.name),
        "First and last name; the IBMid until the person has signed in for the first time.",
    )
    first_name: str | None = reads(Column(m.User.first_name), "First name, once the person has signed in.")
    last_name: str | None = reads(Column(m.User.last_name), "Last name, once the person has signed in.")
    has_signed_in: bool = reads(Column(m.User.subject.is_not(None)), "Whether the person has ever signed in.")
    language: Language = reads(Column(m.User.language), "Language the person is written to in.")


@strawberry.type(description="One user's access to one site. " + allowed(Action.SEE_MEMBERSHIP))
class Membership(Node):
    """Access to a site."""

    id: strawberry.ID = _id("membership", m.Membership.id)
    role: Role = reads(Column(m.Membership.role), "What the member is at the site.")
    privileges: PrivilegeSet = reads(Group(), "What the member may use.")
    justification: str | None = reads(Column(m.Membership.justification), "Why access was given.")
    ends_at: datetime | None = reads(Column(m.Membership.ends_at), "When access ends; null when it does not.")
    active: bool = reads(
        Column(sa.func.coalesce(m.Membership.ends_at > sa.func.now(), sa.true())),
        "Whether access has not ended. An ended membership keeps its seat until it is removed.",
    )
    created_at: datetime = reads(Column(m.Membership.created_at), "When access was given.")
    user: User | None = reads(Relation(m.User, on="id", local="user_id"), "Who has access.")
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "To which site; null once access has ended."
    )


@strawberry.type(description="A user asks for access to a site. " + allowed(Action.SEE_ACCESS_REQUEST))
class AccessRequest(Node):
    """A request."""

    id: strawberry.ID = _id("access_request", m.AccessRequest.id)
    site_number: str = reads(
        Column(m.AccessRequest.site_number), "The number of the site that was asked for."
    )
    state: AccessRequestState = reads(Column(m.AccessRequest.current_state), "Where the request stands.")
    justification: str | None = reads(Column(m.AccessRequest.justification), "The requester's reason.")
    requested_privileges: RequestedPrivileges = reads(Group(), "The levels the requester wishes for.")
    approver_justification: str | None = reads(
        Column(m.AccessRequest.approver_justification), "The approver's reason."
    )
    granted_role: Role | None = reads(Column(m.AccessRequest.granted_role), "The role that was given.")
    denial_reason: DenialReason | None = reads(Column(m.AccessRequest.denial_reason), "Why it was denied.")
    created_at: datetime = reads(Column(m.AccessRequest.created_at), "When access was asked for.")
    closed_at: datetime | None = reads(
        Column(m.AccessRequest.closed_at), "When the request was decided or withdrawn."
    )
    expires_at: datetime | None = reads(
        Column(m.AccessRequest.expires_at, needs=Action.SEE_USERS),
        "Until when it can be decided; null when there is no end.",
        Action.SEE_USERS,
    )
    requester: User | None = reads(Relation(m.User, on="id", local="requester_id"), "Who asks.")
    decided_by: User | None = reads(
        Relation(m.User, on="id", local="decided_by_id"), "Who decided.", Action.SEE_USERS
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"),
        "The site; null for those who do not belong to it, whether it exists or not.",
    )


@strawberry.type(description="Everything about a contact beyond the overview.")
class ContactDetails:
    """The details of a contact."""

    phone: str = reads(Column(m.Contact.phone), "Telephone number in the form +33….")
    address: str = reads(Column(m.Contact.address), "Street and number.")
    city: str = reads(Column(m.Contact.city), "City.")
    state_or_province: str | None = reads(
        Column(m.Contact.state_or_province), "State or province, by its code where there is one."
    )
    postal_code: str | None = reads(Column(m.Contact.postal_code), "Postal code.")
    country: str = reads(Column(m.Contact.country), "Country, two letters after ISO 3166-1.")


@strawberry.type(
    description="A person the vendor writes to about the site; not a login and not a role. "
    + allowed(Action.SEE_CONTACTS)
)
class Contact(Node):
    """A contact."""

    id: strawberry.ID = _id("contact", m.Contact.id)
    first_name: str = reads(Column(m.Contact.first_name), "First name.")
    last_name: str = reads(Column(m.Contact.last_name), "Last name.")
    email: str = reads(Column(m.Contact.email), "E-mail address; independent of eNotifications.")
    types: list[ContactType] = reads(Column(m.Contact.types), "What the person is contact for.")
    details: ContactDetails | None = reads(
        Group(needs=Action.SEE_CONTACT_DETAILS),
        "Telephone and postal address; null for who may see the overview only.",
        Action.SEE_CONTACT_DETAILS,
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site."
    )


@strawberry.type(description="A customer's contract site. " + allowed(Action.SEE_SITE))
class Site(Node):
    """A site."""

    id: strawberry.ID = _id("site", m.Site.id)
    number: str = reads(Column(m.Site.number), "The number people type.")
    name: str = reads(Column(m.Site.name), "The customer's name for it.")
    created_at: datetime = reads(Column(m.Site.created_at), "When the site was created.")
    remaining_secondary_contact_seats: int = reads(
        Column(filters.remaining_seats),
        f"How many more secondary contacts fit; a site has at most {SECONDARY_CONTACT_SEATS}.",
    )
    viewer_membership: Membership | None = reads(
        Relation(m.Membership, on="site_id", local="id", where=filters.own_membership),
        "The caller's own membership of the site.",
    )

    @reads(
        _memberships("id", "site_id"),
        "The memberships of the site; a user sees only their own.",
        Action.SEE_MEMBERSHIP,
    )
    def memberships(
        self,
        filter: _argument(MembershipFilter | None, "Which ones; all by default.") = None,
        order_by: _argument(MembershipOrder | None, "In which order; by name by default.") = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Membership]: ...

    @reads(
        _access_requests("id", "site_id"),
        "The requests for access to the site; a user sees only their own.",
        Action.SEE_ACCESS_REQUEST,
    )
    def access_requests(
        self,
        filter: _argument(AccessRequestFilter | None, "Which ones; all by default.") = None,
        order_by: _argument(AccessRequestOrder | None, "In which order; oldest first by default.") = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AccessRequest]: ...

    @reads(
        Relation(m.Contact, on="site_id", local="id", where=filters.contacts, order=filters.primary_first),
        "The contacts of the site, the primary contact record first.",
        Action.SEE_CONTACTS,
    )
    def contacts(
        self, type: _argument(ContactType | None, "Only those who hold this type.") = None
    ) -> list[Contact]: ...

    @reads(
        Relation(m.Contact, on="site_id", local="id", where=filters.contact_for, order=filters.holder_first),
        "Whom to address for a type: the first who holds it, or else the primary contact record.",
        Action.SEE_CONTACTS,
    )
    def contact_for(self, type: _argument(ContactType, "The matter.")) -> Contact | None: ...


@strawberry.type(description="The person who calls.")
class Viewer:
    """The caller."""

    user: User | None = reads(Relation(m.User, on="id", local="user_id"), "The caller as a person.")

    @reads(_memberships("user_id", "user_id"), "The caller's memberships, also those that have ended.")
    def memberships(
        self,
        filter: _argument(MembershipFilter | None, "Which ones; all by default.") = None,
        order_by: _argument(MembershipOrder | None, "In which order.") = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Membership]: ...

    @reads(_access_requests("user_id", "requester_id"), "The caller's requests, in every state.")
    def access_requests(
        self,
        filter: _argument(AccessRequestFilter | None, "Which ones; all by default.") = None,
        order_by: _argument(AccessRequestOrder | None, "In which order; oldest first by default.") = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AccessRequest]: ...


@strawberry.type(description="What is known of a person before they are added to a site.")
class AddUserPreview:
    """A person before they are added."""

    known: bool = reads(Value(lambda row, *_: row["known"]), "Whether anybody has this IBMid here.")
    name: str | None = reads(Value(lambda row, *_: row["name"]), "The person's name, when known.")
    membership: Membership | None = reads(
        Relation(m.Membership, on="id", local="membership_id"),
        "Their membership of the site, when there is one.",
    )
    pending_access_request: AccessRequest | None = reads(
        Relation(m.AccessRequest, on="id", local="access_request_id"),
        "Their pending request for the site, which adding them grants; null when there is none.",
    )
