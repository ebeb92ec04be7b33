"""A database that changes under a server: its tables are migrated, or another one takes its place; all goes on."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import create_engine, disposed
from app.db.models import User
from app.db.pool import Pool
from app.db.transaction import begin
from app.query.ids import write_id
from app.server import create_app
from app.webhooks.queue import purge
from tests.conftest import administer, in_database
from tests.pooler import way_to
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
    assert world.settings.database_url is not None
    engine = create_engine(world.settings.database_url.get_secret_value(), world.settings)
    yield engine
    await engine.dispose()


async def passed_on(reader: StreamReader, writer: StreamWriter) -> None:
    """What comes on one side of a line goes out on the other."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)


@asynccontextmanager
async def line_to(world: World) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """The URL of the database over a line; and what makes all who are connected hear nothing any more."""
    target, running, opened = world.database.url, list[asyncio.Task[None]](), list[StreamWriter]()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await way_to(target)()
        opened.extend((writer, far_writer))
        for ends in ((reader, far_writer), (far_reader, writer)):
            running.append(asyncio.create_task(passed_on(*ends)))

    def silence() -> None:
        for task in running:
            task.cancel()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = target.set(drivername="postgresql", host="127.0.0.1", port=port, query={})
    yield url.render_as_string(hide_password=False), silence
    server.close()
    for writer in opened:
        writer.close()
    await asyncio.gather(*running, return_exceptions=True)


async def administered(world: World, *statements: str) -> None:
    """What an operator does to the database."""
    await administer(url_of(world.database), *statements)


def saving(place: Place, **changes: Any) -> dict[str, Any]:
    """The input that saves the contact of a site."""
    return {"contactId": write_id("contact", place.contact_id), **CONTACT, "types": ["PRIMARY"], **changes}


async def reader(served: World) -> int:
    """The process of PostgreSQL that a server reads from."""
    transport = served.client._transport
    assert isinstance(transport, ASGITransport)
    execution = transport.app.routes[0].endpoint.execution  # type: ignore[attr-defined]
    number: int = (await execution.pool.row("SELECT pg_backend_pid()", []))[0]
    return number


async def test_tables_are_migrated_while_people_write(world: World) -> None:
    async with serving(world) as served:
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
            before = await reader(served)
            async with world.unchanged():
                response = await primary.post(SAVE, input=saving(place, lastName="Petit"))
                with pytest.raises(DBAPIError, match="read-only"):
                    await purge(workers)
            [error] = response.json()["errors"]
            assert (error["path"], error["extensions"]) == (["updateContact"], BUSY)
            assert (await primary.ask(READ, id=place.id))["site"]["contacts"] == [{"firstName": "Alix"}]
            assert await reader(served) != before, "who only reads does not stay at the old one either"
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


async def test_nobody_waits_longer_than_for_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.engine.GRACE", 0.05)
    hasty = world.settings.model_copy(update={"statement_timeout": 0.2})
    async with line_to(world) as (url, silence), asyncio.timeout(4):
        pool, engine = (
            Pool(url, hasty),
            create_engine(url, hasty.model_copy(update={"statement_timeout": 60.0})),
        )
        async with engine.connect():
            pass
        with monkeypatch.context() as patched, pytest.raises(TimeoutError):
            async with begin(pool) as session:
                await session.scalar(sa.select(1))
                silence()
                # Who is not there is not asked to take something back either.
                patched.delattr("asyncpg.transaction.Transaction.rollback")
                session.add_all([person(), person()])
        await disposed(engine)


def person() -> User:
    """Somebody new."""
    name = f"{uuid4().hex}@example.com"
    return User(ibm_id=name, email=name, sort_name=name)


async def test_a_host_that_is_gone_without_a_word_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine", "pool", "transaction"):
        monkeypatch.setattr(f"app.db.{module}.GRACE", 0.05)
    place = await world.site()
    async with line_to(world) as (url, silence):
        quick = {"database_url": SecretStr(url), "statement_timeout": 0.4, "lock_timeout": 0.4}
        async with serving(world, **quick) as served, pool_of_workers(served) as workers:
            primary = replace(place.primary, world=served)
            await primary.succeed("updateContact", **saving(place, lastName="Petit"))
            await purge(workers)
            async with world.unchanged():
                silence()
                # First by the connection that reads who calls, then by the one that writes.
                working = asyncio.create_task(purge(workers))
                for _ in range(2):
                    response = await primary.post(SAVE, input=saving(place, lastName="Grand"))
                    assert response.json()["errors"][0]["extensions"] == BUSY
                with pytest.raises(TimeoutError):
                    await working
            await primary.succeed("updateContact", **saving(place, lastName="Grand"))
            await purge(workers)
