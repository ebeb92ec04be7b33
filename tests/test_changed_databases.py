"""A database that changes under a server: its tables are migrated, or another one takes its place; all goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import create_engine
from app.query.ids import write_id
from app.server import create_app
from app.webhooks.queue import purge
from tests.conftest import administer, in_database
from tests.post import url_of
from tests.world import CONTACT, Place, World

BUSY = {"code": "SERVICE_UNAVAILABLE"}
SAVE = """mutation($input: UpdateContactInput!) {
  updateContact(input: $input) { errors { code } }
}"""
READ = "query($id: ID!) { site(id: $id) { contacts { firstName } } }"


@asynccontextmanager
async def serving(world: World, **changes: Any) -> AsyncIterator[World]:
    """The same world, asked through a server of the test's own."""
    own = world.settings.model_copy(update=changes)
    application = create_app(own)
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client,
    ):
        yield World(world.database, client, own)


@asynccontextmanager
async def pool_of_workers(world: World) -> AsyncIterator[AsyncEngine]:
    """Connections such as workers have them."""
    engine = create_engine(url_of(world.database), world.settings)
    yield engine
    await engine.dispose()


async def administered(world: World, *statements: str) -> None:
    """What an operator does to the database."""
    await administer(url_of(world.database), *statements)


def saving(place: Place, **changes: Any) -> dict[str, Any]:
    """The input that saves the contact of a site."""
    return {"contactId": write_id("contact", place.contact_id), **CONTACT, "types": ["PRIMARY"], **changes}


@pytest.mark.parametrize("read_engine", [True, False])
async def test_tables_are_migrated_while_people_write(world: World, read_engine: bool) -> None:
    async with serving(world, read_engine=read_engine) as served:
        place = await served.site()
        for name in ("Petit", "Grand"):
            await place.primary.succeed(
                "updateContact", "contact { lastName }", **saving(place, lastName=name)
            )
        try:
            await administered(world, "ALTER TABLE contact ALTER city TYPE varchar")
            tried = saving(place, city="Lyon", validateOnly=True)
            payload = await place.primary.succeed("updateContact", "contact { details { city } }", **tried)
            assert payload["contact"] == {"details": {"city": "Lyon"}}
        finally:
            await administered(world, "ALTER TABLE contact ALTER city TYPE text")
        async with world.changed():
            payload = await place.primary.succeed(
                "updateContact", "contact { lastName }", **saving(place, lastName="Haut")
            )
        assert payload["contact"] == {"lastName": "Haut"}


async def test_after_a_failover_writes_reach_the_database_that_takes_them(world: World) -> None:
    database = f"DATABASE {world.database.url.database}"
    place = await world.site()
    async with serving(world) as served, pool_of_workers(world) as workers:
        primary = replace(place.primary, world=served)
        try:
            await administered(world, f"ALTER {database} SET default_transaction_read_only = on")
            async with world.unchanged():
                response = await primary.post(SAVE, input=saving(place, lastName="Petit"))
                with pytest.raises(DBAPIError, match="read-only"):
                    await purge(workers)
            [error] = response.json()["errors"]
            assert (error["path"], error["extensions"]) == (["updateContact"], BUSY)
            assert (await primary.ask(READ, id=place.id))["site"]["contacts"] == [{"firstName": "Alix"}]
        finally:
            writing = "SET default_transaction_read_only = off"
            await administered(world, writing, f"ALTER {database} RESET default_transaction_read_only")
        await primary.succeed("updateContact", **saving(place, lastName="Petit"))
        await purge(workers)


async def test_a_database_that_takes_nobody_is_unavailable(world: World) -> None:
    nowhere = SecretStr(in_database(url_of(world.database), "nowhere"))
    async with serving(world, database_url=nowhere) as served:
        place = await world.site()
        response = await replace(place.primary, world=served).post(READ, id=place.id)
    assert (response.status_code, response.json()["errors"][0]["extensions"]) == (503, BUSY)
