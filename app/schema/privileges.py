"""The privileges that a member holds, and those that a requester wishes for."""

from typing import Any

import strawberry

from app.db import models as m
from app.query.declare import Column, Constant, Group, reads
from app.schema import filters
from app.schema.enums import OverviewLevel, PurchaseAndDownloadLevel, UpdateLevel, ViewLevel


def _level(name: str, description: str) -> Any:
    return reads(Column(filters.held(name)), description)


def _wish(name: str, description: str) -> Any:
    return reads(Column(getattr(m.AccessRequest, name)), description)


@strawberry.type(description="Levels of account management that a member holds.")
class AccountManagementPrivileges:
    """Account management."""

    manage_access: UpdateLevel = _level("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel = _level("contact_updates", "See and change contacts.")
    contact_update_overview: OverviewLevel = reads(
        Constant(OverviewLevel.VIEW),
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
