"""Namings of secondary contacts that wait for a second person, and the levels they will give."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from app.db import models as m
from app.db import site_rules as r
from app.policy import Action, allowed
from app.query.declare import Column, Group, Paged, Relation, reads
from app.schema.enums import NamingKind, NamingState, PurchaseAndDownloadLevel, UpdateLevel, ViewLevel
from app.schema.lists import Node
from app.schema.site_rule_permissions import NamingPermissions

if TYPE_CHECKING:
    from app.schema.types import AccessRequest, Site
from app.schema.users import User


def _waiting(*_: Any) -> list[Any]:
    return [r.Naming.state == NamingState.PENDING]


WAITING = Paged(
    r.Naming, on="site_id", local="id", where=_waiting, orders={"CREATED_AT": r.Naming.created_at}
)
"""The namings of a site that wait, oldest first."""


def _of_naming(name: str, description: str) -> Any:
    return reads(Column(getattr(r.Naming, name)), description)


@strawberry.type(description="Levels of account management that a naming will give.")
class NamingAccountManagementPrivileges:
    """Account management in a naming."""

    manage_access: UpdateLevel | None = _of_naming("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel | None = _of_naming("contact_updates", "See and change contacts.")
    account_documents: ViewLevel | None = _of_naming("account_documents", "Documents of the account.")


@strawberry.type(
    description="Levels that a naming will give; null for one that stays as it is, or is NONE for a new member."
)
class NamingPrivileges:
    """Levels of a naming."""

    purchase_and_download: PurchaseAndDownloadLevel | None = _of_naming(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel | None = _of_naming("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel | None = _of_naming(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel | None = _of_naming(
        "entitlement_allocations", "Entitlement allocations."
    )
    account_management: NamingAccountManagementPrivileges = reads(Group(), "Account management.")


@strawberry.type(
    description="Somebody is to become a secondary contact, which waits for a second person where the rules of the "
    "site ask for one. " + allowed(Action.SEE_USERS)
)
class Naming(Node):
    """A naming."""

    id: strawberry.ID = reads(
        Column(r.Naming.id, "naming"), "Opaque id, unique among all things of the service."
    )
    kind: NamingKind = reads(Column(r.Naming.kind), "By which act.")
    state: NamingState = reads(Column(r.Naming.state), "Where it stands.")
    privileges: NamingPrivileges = reads(Group(), "The levels it will give, or has given.")
    ends_at: datetime | None = reads(
        Column(r.Naming.ends_at), "When the access that it gives will end; null when it will not."
    )
    justification: str | None = reads(Column(r.Naming.justification), "The proposer's reason.")
    created_at: datetime = reads(Column(r.Naming.created_at), "When it was proposed.")
    closed_at: datetime | None = reads(
        Column(r.Naming.closed_at), "When it was confirmed, rejected or cancelled; null while it is pending."
    )
    user: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="user_id", follows=Action.SEE_USERS), "Who is to be named."
    )
    access_request: Annotated["AccessRequest", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.AccessRequest, on="id", local="access_request_id"),
        "The request that it grants; null for the other kinds.",
    )
    proposed_by: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="proposed_by_id", follows=Action.SEE_USERS), "Who proposed it."
    )
    decided_by: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="decided_by_id", follows=Action.SEE_USERS),
        "The second person, who confirmed or rejected it; null where nobody has.",
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site."
    )
    viewer_can: NamingPermissions = reads(Group(), "What the caller may do with it, and if not, why.")
