"""The database has the last word about site rules, too: attacked past the application."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.rules import UpdateLevel
from app.site_rules import NamingKind, NamingState
from app.violations import BY_CONSTRAINT
from tests.site_rules import blocked_row, naming_row, template_row
from tests.test_constraints import stopped, stopped_row
from tests.world import World, ago


async def test_a_person_is_blocked_once_in_whatever_case(world: World) -> None:
    place = await world.site()
    await world.add(blocked_row(place, "élodie@example.com"))
    assert await stopped_row(world, blocked_row(place, "ÉLODIE@example.com")) == "uq_blocked_requester_ibm_id"


async def test_names_and_slots_of_templates(world: World) -> None:
    place = await world.site()
    await world.add(template_row(place, name="Élève"))
    assert await stopped_row(world, template_row(place, 2, name="élÈve")) == "uq_privilege_template_name"
    assert await stopped_row(world, template_row(place, name="x")) == "uq_privilege_template_site_id_slot"
    for slot in (0, 51, -1):
        stopping = await stopped_row(world, template_row(place, slot, name=f"x{slot}"))
        assert stopping == "ck_privilege_template_slot_exists"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"kind": NamingKind.GRANT}, "grant_has_a_request"),
        ({"state": NamingState.CANCELLED}, "closed_has_a_date"),
        ({"closed_at": ago(days=1)}, "closed_has_a_date"),
        ({"state": NamingState.CONFIRMED, "closed_at": ago(days=1)}, "decision_has_a_decider"),
        ({"state": NamingState.REJECTED, "closed_at": ago(days=1)}, "decision_has_a_decider"),
    ],
)
async def test_a_naming_that_is_not_whole(world: World, values: dict[str, Any], name: str) -> None:
    place, person = await world.site(), await world.person()
    assert await stopped_row(world, naming_row(place, person, **values)) == f"ck_naming_{name}"


@pytest.mark.parametrize("state", [NamingState.CONFIRMED, NamingState.REJECTED])
async def test_neither_proposer_nor_named_decides(world: World, state: NamingState) -> None:
    place, person = await world.site(), await world.person()
    closed = {"state": state, "closed_at": ago(days=1)}
    own = naming_row(place, person, decided_by_id=place.primary.user_id, **closed)
    assert await stopped_row(world, own) == "ck_naming_never_decided_by_the_proposer"
    named = naming_row(place, person, decided_by_id=person.user_id, **closed)
    assert await stopped_row(world, named) == "ck_naming_never_decided_by_the_named"
    proposed = naming_row(place, person, proposer=person)
    assert await stopped_row(world, proposed) == "ck_naming_never_proposed_by_the_named"


async def test_one_naming_of_a_person_waits(world: World) -> None:
    place, person = await world.site(), await world.person()
    done = naming_row(place, person, state=NamingState.CANCELLED, closed_at=ago(days=1))
    await world.add(done, naming_row(place, person))
    assert await stopped_row(world, naming_row(place, person)) == "uq_naming_pending"


async def test_a_closed_naming_is_frozen(world: World, database: AsyncEngine) -> None:
    place, person = await world.site(), await world.person()
    await world.add(naming_row(place, person, state=NamingState.CANCELLED, closed_at=ago(days=1)))
    for change in ("justification = 'better'", "state = 'PENDING', closed_at = NULL"):
        statement = f"UPDATE naming SET {change} WHERE user_id = :person"
        assert await stopped(database, statement, person=person.user_id) == "naming_is_closed"


async def test_the_server_deletes_no_naming(world: World, database: AsyncEngine) -> None:
    place, person = await world.site(), await world.person()
    await world.add(naming_row(place, person))
    async with database.connect() as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(text("DELETE FROM naming WHERE user_id = :id"), {"id": person.user_id})


async def test_the_version_of_a_template_grows_whoever_writes(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    await world.add(template_row(place, manage_access=UpdateLevel.VIEW))
    async with database.begin() as connection:
        changed = text("UPDATE privilege_template SET manage_access = NULL WHERE site_id = :site")
        await connection.execute(changed, {"site": place.site_id})
        found = text("SELECT version FROM privilege_template WHERE site_id = :site")
        assert await connection.scalar(found, {"site": place.site_id}) == 2


def test_every_refusal_of_the_database_has_a_meaning() -> None:
    assert BY_CONSTRAINT.keys() >= {
        "uq_blocked_requester_ibm_id",
        "uq_privilege_template_name",
        "uq_privilege_template_site_id_slot",
        "uq_naming_pending",
        "naming_is_closed",
        "ck_naming_never_decided_by_the_proposer",
    }
