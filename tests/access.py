"""What several tests say of access: the words for it, forms in which nothing is wrong, full sites."""

from typing import Any
from uuid import uuid4

from app.rules import AccessRequestState
from tests.world import Person, Place, World, ago

MANAGERS = ["primary", "manage_access=UPDATE"]
"""Who manages access, as words for `World.caller`."""
LEVELS = """purchaseAndDownload reporting entitlementInventory entitlementAllocations
  accountManagement { manageAccess contactUpdates accountDocuments }"""
MEMBERSHIP = f"id role justification endsAt active createdAt user {{ ibmId }} privileges {{ {LEVELS} }}"
GRANTED = f"""accessRequest {{ state grantedRole justification approverJustification closedAt
  decidedBy {{ id }} }} membership {{ {MEMBERSHIP} }}
  site {{ remainingSecondaryContactSeats memberships {{ totalCount }} }}"""
NOTHING = {
    "purchaseAndDownload": "NONE",
    "reporting": "NONE",
    "entitlementInventory": "NONE",
    "entitlementAllocations": "NONE",
    "accountManagement": {"manageAccess": "NONE", "contactUpdates": "NONE", "accountDocuments": "NONE"},
}
CLOSED: list[dict[str, Any]] = [
    {"state": AccessRequestState.WITHDRAWN, "closed_at": ago(days=1)},
    {"state": AccessRequestState.EXPIRED, "closed_at": ago(days=1), "expires_at": ago(days=1)},
    {"expires_at": ago(minutes=1)},
]
"""Requests that were withdrawn, written down as expired, and not looked at since they ran out."""


async def sites_of(person: Person) -> list[dict[str, Any]]:
    document = "{ viewer { memberships { nodes { role active site { number } } } } }"
    nodes: list[dict[str, Any]] = (await person.ask(document))["viewer"]["memberships"]["nodes"]
    return nodes


async def full_site(world: World, **fourth: Any) -> Place:
    """A site with its four secondary contacts; `fourth` says something of the last one."""
    place = await world.site()
    for _ in range(3):
        await world.secondary(place)
    await world.secondary(place, **fourth)
    return place


def form(place: Place, ibm_id: str, **changes: Any) -> dict[str, Any]:
    """The input of addUser in which nothing is wrong."""
    return {
        "siteId": place.id,
        "ibmId": ibm_id,
        "email": ibm_id,
        "confirmed": True,
        "justification": "New colleague",
        "role": "USER",
        **changes,
    }


def newcomer() -> str:
    """An IBMid that nobody has."""
    return f"newcomer-{uuid4().hex[:12]}@example.com"
