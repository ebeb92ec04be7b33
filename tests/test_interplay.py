"""Where features meet: namings, hand-overs, ends of access, requests, blocked requesters, and each other's rules."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import AccessRequest
from app.rules import AccessRequestState
from app.site_transfer import transfer_primary
from tests.test_member_requests import ask_for_more, extend
from tests.world import Person, World, ago

WAITS = "pendingNaming { id }"
SOON = ago(days=-30)


async def request_of(world: World, person: Person) -> AccessRequest:
    (row,) = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    found: AccessRequest = row
    return found


async def change(world: World, table: Any, which: Any, **values: Any) -> None:
    async with world.database.begin() as connection:
        await connection.execute(table.__table__.update().where(which).values(**values))


# Hand-over


@pytest.mark.parametrize("way", ["nominee", "operator"])
@pytest.mark.parametrize("kind", ["more", "extension", "access", "hidden"])
async def test_what_the_new_primary_contact_had_asked_for_ends_with_the_hand_over(
    world: World, database: AsyncEngine, way: str, kind: str
) -> None:
    place = await world.site()
    person, membership_id = await world.member(place, ends_at=SOON)
    if kind == "more":
        await ask_for_more(person, place, role="SECONDARY_CONTACT")
    elif kind == "extension":
        await extend(person, place)
    else:
        # Asked for while their access had ended; it goes on since then.
        site_id = place.site_id if kind == "access" else None
        await world.add(AccessRequest(site_id=site_id, site_number=place.number, requester_id=person.user_id))
    if way == "nominee":
        nomination_id = await world.nomination(place, membership_id, expires_at=ago(days=-3))
        await person.succeed("acceptNomination", nominationId=nomination_id)
    else:
        await transfer_primary(database, place.number, person.ibm_id, "Left the company")
    request = await request_of(world, person)
    assert (request.state, request.decided_by_id) == (AccessRequestState.WITHDRAWN, None)
    streams = {place.site_id, person.user_id}
    told = [event for event in await all_events(world, streams) if event.event == "ACCESS_REQUEST_WITHDRAWN"]
    assert [event.subject_name for event in told] == [person.ibm_id]
    assert told[0].actor_id == (person.user_id if way == "nominee" else None)


async def all_events(world: World, streams: set[Any]) -> list[Any]:
    async with world.database.connect() as connection:
        found = sa.text("SELECT * FROM history_event WHERE stream = ANY (:streams) ORDER BY at, number")
        return list(await connection.execute(found, {"streams": list(streams)}))
