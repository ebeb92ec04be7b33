"""The operations in PostGraphile's words, and its answers in those of all others.

PostGraphile names fields after tables and columns (`node/postgraphile.mjs` gives no names of its own), so aliases
rename what they can. What is left: levels and details of a contact lie flat beside their row's other columns, the
primary contact's levels are null because they are not stored, and the level that everybody holds has no column.
"""

import json
from dataclasses import dataclass
from typing import Any

from benchmarks.load import post
from benchmarks.operations import contact, form, key, number

CONTACT = "id: rowId firstName lastName email types phone address city stateOrProvince postalCode country"
USER = "id: rowId name email ibmId"
PAGE = f"""query Page($number: String!, $first: Int!) {{
  site: siteByNumber(number: $number) {{
    id: rowId number name remainingSecondaryContactSeats: remainingSeats
    memberships: people(first: $first) {{
      nodes {{
        id: rowId role justification endsAt
        user: userByUserId {{ {USER} }}
        purchaseAndDownload reporting entitlementInventory entitlementAllocations
        manageAccess contactUpdates accountDocuments
      }}
    }}
    contacts: contactList {{ nodes {{ {CONTACT} }} }}
    accessRequests: pendingRequests {{
      nodes {{ id: rowId justification createdAt requester: userByRequesterId {{ {USER} }} }}
    }}
  }}
}}"""
SAVE = f"""mutation Save($input: UpdateContactBySiteIdAndRowIdInput!) {{
  updateContact: updateContactBySiteIdAndRowId(input: $input) {{ contact {{ {CONTACT} }} }}
}}"""
SEATS = "remainingSeats"
HIGHEST = {
    "purchaseAndDownload": "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
    "reporting": "VIEW",
    "entitlementInventory": "UPDATE",
    "entitlementAllocations": "UPDATE",
    "manageAccess": "UPDATE",
    "contactUpdates": "UPDATE",
    "accountDocuments": "VIEW",
}
ACCOUNT = ("manageAccess", "contactUpdates", "contactUpdateOverview", "accountDocuments")
DETAILS = ("phone", "address", "city", "stateOrProvince", "postalCode", "country")


@dataclass(frozen=True)
class PostGraphile:
    """Speaks with PostGraphile."""

    def page(self, site: int, first: int, unseen: int | None = None) -> bytes:
        """The page of a site."""
        document = PAGE if unseen is None else PAGE.replace(SEATS, f"{SEATS} cold{unseen}: {SEATS}")
        return _post(document, {"number": number(site), "first": first})

    def save(self, site: int, turn: int) -> bytes:
        """Save a contact."""
        found = {"siteId": str(key(1, site, 0)), "rowId": str(contact(site))}
        return _post(SAVE, {"input": {**found, "contactPatch": form(site, turn)}})

    def told(self, data: dict[str, Any]) -> dict[str, Any]:
        """With the groups, the highest levels and the constant level that the tables do not have."""
        if "updateContact" in data:
            return {"updateContact": {"contact": _contact(data["updateContact"]["contact"]), "errors": []}}
        site = data["site"]
        people = [_membership(row) for row in site["memberships"]["nodes"]]
        contacts = [_contact(row) for row in site["contacts"]["nodes"]]
        return {"site": {**site, "memberships": {"nodes": people}, "contacts": contacts}}


def _post(document: str, variables: dict[str, Any]) -> bytes:
    return post("/graphql", json.dumps({"query": document, "variables": variables}).encode())


def _membership(row: dict[str, Any]) -> dict[str, Any]:
    levels = {name: row[name] or highest for name, highest in HIGHEST.items()} | {
        "contactUpdateOverview": "VIEW"
    }
    rest = {name: value for name, value in row.items() if name not in levels}
    groups = {name: level for name, level in levels.items() if name not in ACCOUNT}
    account = {name: levels[name] for name in ACCOUNT}
    return {**rest, "privileges": {**groups, "accountManagement": account}}


def _contact(row: dict[str, Any]) -> dict[str, Any]:
    details = {name: row[name] for name in DETAILS}
    return {**{name: value for name, value in row.items() if name not in DETAILS}, "details": details}
