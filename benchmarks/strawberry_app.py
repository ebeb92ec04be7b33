"""A plain Strawberry server as people usually write it: SQLAlchemy's ORM, DataLoaders, one resolver a relation."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import strawberry
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.types import Info

from app import rules
from app.db import models as m
from benchmarks import strawberry_loaders as loaders

AccessRequestState = strawberry.enum(rules.AccessRequestState)
ContactType = strawberry.enum(rules.ContactType)
OverviewLevel = strawberry.enum(rules.OverviewLevel)
PurchaseAndDownloadLevel = strawberry.enum(rules.PurchaseAndDownloadLevel)
Role = strawberry.enum(rules.Role)
UpdateLevel = strawberry.enum(rules.UpdateLevel)
ViewLevel = strawberry.enum(rules.ViewLevel)


@strawberry.type
class User:
    """A person."""

    id: strawberry.ID
    name: str
    email: str
    ibm_id: str


@strawberry.type
class AccountManagementPrivileges:
    """Levels of account management."""

    manage_access: UpdateLevel
    contact_updates: UpdateLevel
    contact_update_overview: OverviewLevel
    account_documents: ViewLevel


@strawberry.type
class PrivilegeSet:
    """What a member may use."""

    purchase_and_download: PurchaseAndDownloadLevel
    reporting: ViewLevel
    entitlement_inventory: UpdateLevel
    entitlement_allocations: UpdateLevel
    account_management: AccountManagementPrivileges


@strawberry.type
class Membership:
    """Access to a site."""

    row: strawberry.Private[m.Membership]
    id: strawberry.ID
    role: Role
    justification: str | None
    ends_at: datetime | None

    @strawberry.field
    async def user(self, info: Info) -> User | None:
        """Who has access."""
        return person(await info.context["users"].load(self.row.user_id))

    @strawberry.field
    def privileges(self) -> PrivilegeSet:
        """What the member may use."""
        return privilege_set(self.row)


@strawberry.type
class ContactDetails:
    """Everything about a contact beyond the overview."""

    phone: str
    address: str
    city: str
    state_or_province: str | None
    postal_code: str | None
    country: str


@strawberry.type
class Contact:
    """A person to write to."""

    id: strawberry.ID
    first_name: str
    last_name: str
    email: str
    types: list[ContactType]
    details: ContactDetails | None


@strawberry.type
class AccessRequest:
    """A request."""

    row: strawberry.Private[m.AccessRequest]
    id: strawberry.ID
    justification: str | None
    created_at: datetime

    @strawberry.field
    async def requester(self, info: Info) -> User | None:
        """Who asks."""
        return person(await info.context["users"].load(self.row.requester_id))


@strawberry.type
class MembershipConnection:
    """A page of memberships."""

    nodes: list[Membership]


@strawberry.type
class AccessRequestConnection:
    """A page of requests."""

    nodes: list[AccessRequest]


@strawberry.input
class AccessRequestFilter:
    """Which requests."""

    states: list[AccessRequestState] | None = None


@strawberry.type
class Site:
    """A site."""

    key: strawberry.Private[UUID]
    id: strawberry.ID
    number: str
    name: str

    @strawberry.field
    async def remaining_secondary_contact_seats(self, info: Info) -> int:
        """How many more secondary contacts fit."""
        return await info.context["seats"].load(self.key)

    @strawberry.field
    async def memberships(self, info: Info, first: int = 20) -> MembershipConnection:
        """The first memberships by name."""
        rows = await info.context["memberships"].load((self.key, first))
        return MembershipConnection(nodes=[membership(row) for row in rows])

    @strawberry.field
    async def contacts(self, info: Info) -> list[Contact]:
        """The contacts, the primary one first."""
        return [contact(row) for row in await info.context["contacts"].load(self.key)]

    @strawberry.field
    async def access_requests(
        self, info: Info, filter: AccessRequestFilter | None = None
    ) -> AccessRequestConnection:
        """The requests, the oldest first."""
        rows = await info.context["requests"].load(self.key)
        if filter and filter.states is not None:
            rows = [row for row in rows if row.current_state in filter.states]
        return AccessRequestConnection(nodes=[request(row) for row in rows])


@strawberry.type
class UserError:
    """Why something was refused."""

    code: str
    message: str
    path: list[str]


@strawberry.input
class UpdateContactInput:
    """A contact as it shall be."""

    contact_id: strawberry.ID
    first_name: str
    last_name: str
    phone: str
    email: str
    address: str
    city: str
    country: str
    types: list[ContactType]
    state_or_province: str | None = None
    postal_code: str | None = None


@strawberry.type
class UpdateContactPayload:
    """The contact as it is now."""

    contact: Contact | None
    errors: list[UserError]


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    async def site(self, number: str) -> Site | None:
        """A site by its number."""
        async with loaders.sessions() as session:
            row = await session.scalar(sa.select(m.Site).where(m.Site.number == number))
        return row and Site(key=row.id, id=strawberry.ID(str(row.id)), number=row.number, name=row.name)


@strawberry.type
class Mutation:
    """Writes."""

    @strawberry.mutation
    async def update_contact(self, input: UpdateContactInput) -> UpdateContactPayload:
        """Save a contact."""
        values = dict(vars(input))
        key = UUID(values.pop("contact_id"))
        async with loaders.sessions() as session, session.begin():
            row = (await session.scalars(sa.select(m.Contact).where(m.Contact.id == key))).one()
            for name, value in values.items():
                setattr(row, name, value)
        return UpdateContactPayload(contact=contact(row), errors=[])


def person(row: m.User) -> User:
    """A row as the schema has it."""
    return User(id=strawberry.ID(str(row.id)), name=row.name, email=row.email, ibm_id=row.ibm_id)


def membership(row: m.Membership) -> Membership:
    """A row as the schema has it."""
    return Membership(
        row=row,
        id=strawberry.ID(str(row.id)),
        role=row.role,
        justification=row.justification,
        ends_at=row.ends_at,
    )


def privilege_set(row: m.Membership) -> PrivilegeSet:
    """The levels of a row; the primary contact's are not stored, they are the highest."""
    primary = row.role is rules.Role.PRIMARY_CONTACT
    held: dict[str, Any] = {
        name: privilege.highest if primary else getattr(row, name)
        for name, privilege in rules.PRIVILEGES.items()
    }
    account = AccountManagementPrivileges(
        contact_update_overview=rules.OverviewLevel.VIEW,
        **{name: held.pop(name) for name in ("manage_access", "contact_updates", "account_documents")},
    )
    return PrivilegeSet(account_management=account, **held)


def request(row: m.AccessRequest) -> AccessRequest:
    """A row as the schema has it."""
    return AccessRequest(
        row=row, id=strawberry.ID(str(row.id)), justification=row.justification, created_at=row.created_at
    )


def contact(row: m.Contact) -> Contact:
    """A row as the schema has it."""
    return Contact(
        id=strawberry.ID(str(row.id)),
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email,
        types=row.types,
        details=ContactDetails(
            phone=row.phone,
            address=row.address,
            city=row.city,
            state_or_province=row.state_or_province,
            postal_code=row.postal_code,
            country=row.country,
        ),
    )


class Server(GraphQL):
    """The schema over HTTP, with new loaders for each request."""

    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        """What the resolvers share."""
        return {
            "users": DataLoader(loaders.load_users),
            "memberships": DataLoader(loaders.load_memberships),
            "contacts": DataLoader(loaders.load_contacts),
            "requests": DataLoader(loaders.load_requests),
            "seats": DataLoader(loaders.load_seats),
        }


app = Server(strawberry.Schema(query=Query, mutation=Mutation), graphql_ide=None)
