"""Privilege templates, and the levels they give."""

from datetime import datetime
from typing import Any

import strawberry

from app.db import site_rules as r
from app.policy import Action, allowed
from app.query.declare import Column, Group, Relation, reads
from app.schema.enums import PurchaseAndDownloadLevel, UpdateLevel, ViewLevel
from app.schema.lists import VERSION, Node
from app.schema.site_rule_permissions import PrivilegeTemplatePermissions

TEMPLATES = Relation(
    r.PrivilegeTemplate,
    on="site_id",
    local="id",
    order=lambda _: [r.PrivilegeTemplate.sort_name, r.PrivilegeTemplate.id],
)
"""The privilege templates of a site by name."""


def _of_template(name: str, description: str) -> Any:
    return reads(Column(getattr(r.PrivilegeTemplate, name)), description)


@strawberry.type(description="Levels of account management in a privilege template.")
class TemplateAccountManagementPrivileges:
    """Account management in a template."""

    manage_access: UpdateLevel | None = _of_template("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel | None = _of_template("contact_updates", "See and change contacts.")
    account_documents: ViewLevel | None = _of_template("account_documents", "Documents of the account.")


@strawberry.type(description="Levels of a privilege template; null where it says nothing.")
class TemplatePrivileges:
    """Levels of a template."""

    purchase_and_download: PurchaseAndDownloadLevel | None = _of_template(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel | None = _of_template("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel | None = _of_template(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel | None = _of_template(
        "entitlement_allocations", "Entitlement allocations."
    )
    account_management: TemplateAccountManagementPrivileges = reads(Group(), "Account management.")


@strawberry.type(description="Levels that a site gives together, under a name. " + allowed(Action.SEE_USERS))
class PrivilegeTemplate(Node):
    """A privilege template."""

    id: strawberry.ID = reads(
        Column(r.PrivilegeTemplate.id, "privilege_template"),
        "Opaque id, unique among all things of the service.",
    )
    name: str = reads(
        Column(r.PrivilegeTemplate.name), "Its name, unique at the site without regard to case."
    )
    privileges: TemplatePrivileges = reads(Group(), "The levels it gives.")
    created_at: datetime = reads(Column(r.PrivilegeTemplate.created_at), "When it was created.")
    version: int = reads(Column(r.PrivilegeTemplate.version), VERSION)
    viewer_can: PrivilegeTemplatePermissions = reads(
        Group(), "What the caller may do with it, and if not, why."
    )
