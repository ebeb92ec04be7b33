"""A connection to the database that is lost: it is told as what it is, nothing is half done, the next one is good."""

import asyncio
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.config import Settings
from app.db.models import Contact, Membership, Site
from app.query.ids import write_id
from app.server import create_app
from tests.post import url_of
from tests.world import CONTACT, Place, World

BUSY = {"code": "SERVICE_UNAVAILABLE"}


@pytest.fixture(params=["engine", "interpreter"])
def either(world: World, interpreted_world: World, request: pytest.FixtureRequest) -> World:
    """The world, asked through the engine and without it."""
    return world if request.param == "engine" else interpreted_world


async def lose(world: World, blocking: AsyncConnection) -> None:
    """End the connection of whoever waits for a transaction, as soon as somebody does."""
    own = await blocking.scalar(sa.select(sa.func.pg_backend_pid()))
    # The server's own role may not end connections.
    admin = await asyncpg.connect(url_of(world.database))
    waiting = f"SELECT pid FROM pg_locks WHERE NOT granted AND {own} = ANY (pg_blocking_pids(pid))"
    async with asyncio.timeout(30):
        while not (pid := await admin.fetchval(waiting)):
            pass
    await admin.execute(f"SELECT pg_terminate_backend({pid})")
    await admin.close()


async def asked_in_vain(world: World, place: Place, document: str, lock: Any, **variables: Any) -> Response:
    """The response to a call whose connection is lost while it waits for a lock, in which nothing was done."""
    await place.primary.ask("{ viewer { user { id } } }")
    async with world.unchanged(), world.database.begin() as blocking:
        await blocking.execute(lock)
        waiting = asyncio.create_task(place.primary.post(document, **variables))
        await lose(world, blocking)
        response = await waiting
        await blocking.rollback()
    return response


async def test_a_query_can_be_asked_again(either: World) -> None:
    place = await either.site()
    lock = sa.text(f'LOCK TABLE "{Contact.__tablename__}" IN ACCESS EXCLUSIVE MODE')
    document = "query($id: ID!) { site(id: $id) { contacts { firstName } } }"
    response = await asked_in_vain(either, place, document, lock, id=place.id)
    [error] = response.json()["errors"]
    assert error["extensions"] == BUSY
    assert (await place.primary.ask(document, id=place.id))["site"]["contacts"] == [{"firstName": "Alix"}]


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout"])
async def test_a_statement_that_takes_too_long_is_broken_off(
    world: World, settings: Settings, limit: str
) -> None:
    place = await world.site()
    hasty = create_app(settings.model_copy(update={limit: 0.05}))
    document = {
        "query": "query($id: ID!) { site(id: $id) { contacts { id } } }",
        "variables": {"id": place.id},
    }
    async with (
        hasty.router.lifespan_context(hasty),
        AsyncClient(transport=ASGITransport(app=hasty), base_url="http://test") as client,
        world.database.begin() as blocking,
    ):
        await blocking.execute(sa.text("LOCK TABLE contact IN ACCESS EXCLUSIVE MODE"))
        headers = {"Authorization": f"Bearer {place.primary.token}"}
        response = await client.post("/graphql", json=document, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]) == (503, BUSY)


SAVE = "mutation($input: UpdateContactInput!) { updateContact(input: $input) { contact { lastName } errors { code } } }"


async def test_a_mutation_is_not_done_and_can_be_sent_again(either: World) -> None:
    place = await either.site()
    lock = sa.select(Site.id).where(Site.id == place.site_id).with_for_update()
    form = CONTACT | {"types": ["PRIMARY"], "lastName": "Petit"}
    input = {"contactId": write_id("contact", place.contact_id), **form}
    response = await asked_in_vain(either, place, SAVE, lock, input=input)
    [error] = response.json()["errors"]
    assert (error["path"], error["extensions"]) == (["updateContact"], BUSY)
    payload = await place.primary.succeed("updateContact", "contact { lastName }", **input)
    assert payload["contact"] == {"lastName": "Petit"}


REMOVE = "mutation($input: RemoveMembershipsInput!) { removeMemberships(input: $input) { errors { code } } }"


async def test_nothing_of_many_is_done(either: World) -> None:
    place = await either.site()
    ids = [(await either.member(place))[1] for _ in range(3)]
    members = sa.select(Membership.id).where(Membership.site_id == place.site_id)
    lock = members.order_by(Membership.id.desc()).limit(1).with_for_update()
    input = {
        "siteId": place.id,
        "items": [{"membershipId": id} for id in ids],
        "errorPolicy": "GOOD_ONES",
    }
    response = await asked_in_vain(either, place, REMOVE, lock, input=input)
    [error] = response.json()["errors"]
    assert (error["path"], error["extensions"]) == (["removeMemberships"], BUSY)
    await place.primary.succeed("removeMemberships", **input)


@pytest.mark.parametrize("path", ["calendar", "history.csv"])
async def test_a_file_can_be_fetched_again(world: World, path: str) -> None:
    place = await world.site()
    if path == "calendar":
        path, _ = await world.calendar(place, place.primary)
    else:
        path += f"?site={place.id}"
    headers = {"Authorization": f"Bearer {place.primary.token}"}
    async with world.unchanged(), world.database.begin() as blocking:
        await blocking.execute(sa.text("LOCK TABLE site IN ACCESS EXCLUSIVE MODE"))
        waiting = asyncio.create_task(world.client.get(path, headers=headers))
        await lose(world, blocking)
        response = await waiting
        await blocking.rollback()
    assert response.status_code == 503, response.text
    assert (await world.client.get(path, headers=headers)).status_code == 200
