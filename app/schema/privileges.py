"""The privileges that a member holds, and those that a requester wishes for."""

from typing import Any

import strawberry

from app.db import models as m
from app.query.declare import Column, Constant, Group, reads
from app.schema import filters
from app.schema.enums import OverviewLevel, PurchaseAndDownloadLevel, UpdateLevel, ViewLevel


def _level(name: str, description: str) -> Any:
    return reads(Column(filters.held(name)), description)


def _effective(name: str, description: str) -> Any:
    return reads(Column(filters.effective(name)), description)


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
    description="What a member was given. The primary contact holds the highest level of everything."
)
class PrivilegeSet:
    """What a member was given."""

    purchase_and_download: PurchaseAndDownloadLevel = _level(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel = _level("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel = _level(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel = _level("entitlement_allocations", "Entitlement allocations.")
    account_management: AccountManagementPrivileges = reads(Group(), "Account management.")


@strawberry.type(description="Levels of account management that a member may use at this moment.")
class EffectiveAccountManagementPrivileges:
    """Account management at this moment."""

    manage_access: UpdateLevel = _effective("manage_access", "Manage users and access requests.")
    contact_updates: UpdateLevel = _effective("contact_updates", "See and change contacts.")
    contact_update_overview: OverviewLevel | None = reads(
        Column(filters.effective_overview), "See the overview of the contacts; null once access has ended."
    )
    account_documents: ViewLevel = _effective("account_documents", "Documents of the account.")


@strawberry.type(
    description="What a member may use at this moment: NONE of everything once access has ended."
)
class EffectivePrivilegeSet:
    """What a member may use at this moment."""

    purchase_and_download: PurchaseAndDownloadLevel = _effective(
        "purchase_and_download", "Purchase and download."
    )
    reporting: ViewLevel = _effective("reporting", "Reporting.")
    entitlement_inventory: UpdateLevel = _effective(
        "entitlement_inventory", "Entitlements: inventory and deployments."
    )
    entitlement_allocations: UpdateLevel = _effective("entitlement_allocations", "Entitlement allocations.")
    account_management: EffectiveAccountManagementPrivileges = reads(Group(), "Account management.")


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
