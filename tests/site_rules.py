"""What tests of a site's rules have in common: rows, sites with rules switched on, and the words of their mutations."""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from app.db.models import Site
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.query.ids import write_id
from app.rules import ViewLevel
from app.site_rules import NamingKind
from tests.world import UPDATE, Person, Place, World

NAMING = """id kind state justification closedAt user { ibmId } proposedBy { ibmId } decidedBy { ibmId }
  accessRequest { id state } privileges { reporting accountManagement { manageAccess } }"""
WAITING = f"membership {{ id role }} pendingNaming {{ {NAMING} }}"


def blocked_row(place: Place, ibm_id: str | None = None, **values: Any) -> BlockedRequester:
    """Somebody whom the primary contact has blocked."""
    return BlockedRequester(
        id=uuid7(),
        site_id=place.site_id,
        ibm_id=ibm_id or f"blocked-{uuid4().hex[:12]}@example.com",
        **{"blocked_by_id": place.primary.user_id} | values,
    )


def template_row(place: Place, slot: int = 1, **values: Any) -> PrivilegeTemplate:
    """A template that gives reporting VIEW."""
    kept = {"name": f"Template {slot}", "reporting": ViewLevel.VIEW}
    return PrivilegeTemplate(id=uuid7(), site_id=place.site_id, slot=slot, **kept | values)


def naming_row(place: Place, person: Person, proposer: Person | None = None, **values: Any) -> Naming:
    """Somebody who is not a member, proposed by the primary contact."""
    proposer = proposer or place.primary
    kept = {"kind": NamingKind.ADD, "justification": "Needed"} | values
    return Naming(
        id=uuid7(),
        site_id=place.site_id,
        user_id=person.user_id,
        proposed_by_id=proposer.user_id,
        **kept,
    )


async def site_with(world: World, **rules: Any) -> Place:
    """A site with these rules switched on, such as ``second_person_confirms=True``."""
    place = await world.site()
    if rules:
        async with world.database.begin() as connection:
            await connection.execute(sa.update(Site).where(Site.id == place.site_id).values(**rules))
    return place


async def strict_site(world: World) -> tuple[Place, Person]:
    """A site where a second person confirms, and that second person."""
    place = await site_with(world, second_person_confirms=True)
    second, _ = await world.secondary(place, manage_access=UPDATE)
    return place, second


async def template(world: World, place: Place, slot: int = 1, **values: Any) -> str:
    """A template of a site; its id in the schema."""
    row = template_row(place, slot, **values)
    id = write_id("privilege_template", row.id)
    await world.add(row)
    return id
