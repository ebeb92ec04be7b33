"""The levels that a privilege template or a waiting naming speaks of; null where it says nothing."""

from typing import Any

import strawberry

from app.db.site_rules import Naming, PrivilegeTemplate
from app.query.declare import Column, Group, reads
from app.schema.enums import PurchaseAndDownloadLevel, UpdateLevel, ViewLevel


def _of_template(name: str, description: str) -> Any:
    return reads(Column(getattr(PrivilegeTemplate, name)), description)


def _of_naming(name: str, description: str) -> Any:
    return reads(Column(getattr(Naming, name)), description)


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
