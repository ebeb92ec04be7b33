"""The clients that people use, as they come from npm: `make test-clients` installs them and runs these."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.server import create_app
from tests.live import PATIENCE, Server, running
from tests.test_subscriptions import kinds, short_lived
from tests.world import CONTACT, Place, World

FOLDER = Path(__file__).parent / "clients"
CLIENTS = ["graphql-ws", "graphql-sse", "apollo", "urql"]
NODE = shutil.which("node")
MISSING = "Node.js is not on this machine" * (
    NODE is None
) or "the clients are not installed: make test-clients" * (not (FOLDER / "node_modules").exists())
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"CLIENTS NOT TESTED: {MISSING}")


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server on the shared database."""
    with running(create_app(settings)) as server:
        yield server


@asynccontextmanager
async def script(
    library: str, server: Server, place: Place, events: int, ends_with: int = 0, **environment: str
) -> AsyncIterator[Process]:
    """A client at work, until it has taken so many events, or knows that it cannot."""
    assert NODE
    told = {"ADDRESS": server.address, "SITE": place.id, "EVENTS": str(events), "TOKEN": place.primary.token}
    process = await asyncio.create_subprocess_exec(
        NODE, str(FOLDER / f"{library}.mjs"), env={**os.environ, **told, **environment}, stdout=PIPE
    )
    try:
        yield process
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == ends_with
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: Process, kind: str) -> Any:
    """The next thing a client says, which is of a kind."""
    assert process.stdout
    async with asyncio.timeout(PATIENCE):
        line = json.loads(await process.stdout.readline())
    assert line["kind"] == kind, line
    return line["value"]


async def save_contact(place: Place, last_name: str) -> None:
    """Make something happen."""
    await place.primary.succeed("createContact", siteId=place.id, **CONTACT | {"lastName": last_name})


@pytest.mark.parametrize("library", CLIENTS)
async def test_a_client_reads_a_page_and_hears_of_what_happens(
    world: World, server: Server, library: str
) -> None:
    place = await world.site()
    async with script(library, server, place, 3) as process:
        page = await said(process, "page")
        assert page["site"]["id"] == place.id
        if library == "graphql-ws":
            assert await said(process, "closed") == 1000
        await server.heard_by(place)
        for number in range(3):
            await save_contact(place, f"Name {number}é")
        got = [await said(process, "event") for _ in range(3)]
    assert [(change["event"], change["eventId"]) for change in got] == kinds(await world.events(place))
    assert {contact["lastName"] for contact in got[-1]["site"]["contacts"]} >= {"Name 0é", "Name 2é"}
    await server.heard_by(place, 0)


async def test_graphql_ws_comes_back_with_another_token_and_misses_nothing(
    world: World, server: Server
) -> None:
    place = await world.site()
    short = f"Bearer {short_lived(world, place.primary, 10)}"
    async with script("graphql-ws", server, place, 4, TOKEN_2=short) as process:
        await said(process, "page")
        assert await said(process, "closed") == 1000
        await server.heard_by(place)
        await save_contact(place, "before")
        got = [await said(process, "event")]
        # The token ends, and the client comes back by itself with one that lasts.
        assert await said(process, "closed") == 4403
        await save_contact(place, "between")
        await save_contact(place, "after")
        got += [await said(process, "event") for _ in range(2)]
        await save_contact(place, "at last")
        got.append(await said(process, "event"))
    assert [(change["event"], change["eventId"]) for change in got] == kinds(await world.events(place))


@pytest.mark.parametrize("library", CLIENTS)
async def test_a_client_learns_why_it_hears_nothing_more(world: World, server: Server, library: str) -> None:
    place = await world.site()
    user, membership_id = await world.member(place)
    async with script(library, server, place, 9, 1, TOKEN=user.token) as process:
        await said(process, "page")
        if library == "graphql-ws":
            assert await said(process, "closed") == 1000
        await server.heard_by(place)
        await place.primary.succeed("removeMembership", membershipId=membership_id)
        assert "You have no access to this site any more." in json.dumps(await said(process, "error"))
