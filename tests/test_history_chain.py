"""The proof of the chain: what operators are told when history was altered behind the database's back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app import history_chain
from app.history_chain import Proof, verify
from tests.test_append_only import append
from tests.test_cli import Environment, run
from tests.world import Place, World

WITH_HASHES = """UPDATE history_event SET reason = 'forged' WHERE stream = :stream AND number = 3;
    UPDATE history_event AS e SET hash = hash_of_history_event(e) WHERE stream = :stream AND number = 3"""
HASH = "UPDATE history_event SET hash = sha256(hash) WHERE stream = :stream AND number = 4"
RENUMBERED = "UPDATE history_event SET number = 0 WHERE stream = :stream AND number = 1"


@pytest.fixture
async def world_alone(empty_database: AsyncEngine, world: World) -> World:
    """A world whose history is the test's own."""
    return World(empty_database, world.client, world.settings)


@pytest.fixture
async def owner(empty_database: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """The same database with the rights of its owner, who can switch its triggers off."""
    engine = create_async_engine(empty_database.url, poolclass=NullPool)
    yield engine
    await engine.dispose()


async def places_of(world: World) -> list[Place]:
    """Two sites with six events each."""
    places = [await world.site(), await world.site()]
    for place in places:
        for name in ("one", "two", "été"):
            await append(world.database, place, name)
    return places


async def forge(owner: AsyncEngine, place: Place, statements: str) -> None:
    """Alter history as its owner can."""
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE history_event DISABLE TRIGGER ALL"))
        for statement in statements.split(";"):
            await connection.execute(text(statement), {"stream": place.site_id})
        await connection.execute(text("ALTER TABLE history_event ENABLE TRIGGER ALL"))


def summary(proof: Proof) -> tuple[int, int, str | None]:
    return proof.events, proof.streams, proof.fault


async def test_what_was_written_holds(world_alone: World) -> None:
    first, _ = await places_of(world_alone)
    heard: list[int] = []
    assert summary(await verify(world_alone.database, progress=heard.append)) == (12, 2, None)
    assert summary(await verify(world_alone.database, first.site_id)) == (6, 1, None)
    assert sum(heard) == await history_chain.count(world_alone.database) == 12
    assert await history_chain.count(world_alone.database, first.site_id) == 6


async def test_parts_are_linked_with_each_other(world_alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await places_of(world_alone)
    for size in (1, 2, 4, 5, 6, 12, 13):
        monkeypatch.setattr(history_chain, "PART", size)
        assert summary(await verify(world_alone.database)) == (12, 2, None)


@pytest.mark.parametrize("size", [2, 5_000])
@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        ("UPDATE history_event SET reason = 'forged' WHERE stream = :stream AND number = 2",
         "event 2 is not what was written"),
        ("UPDATE history_event SET actor_name = 'another' WHERE stream = :stream AND number = 6",
         "event 6 is not what was written"),
        ("UPDATE history_event SET at = at + interval '1 microsecond' WHERE stream = :stream AND number = 1",
         "event 1 is not what was written"),
        ("UPDATE history_event SET after = '{}' WHERE stream = :stream AND number > 2",
         "event 3 is not what was written"),
        (WITH_HASHES, "event 4 does not follow what stands before it"),
        (HASH, "event 4 is not what was written"),
        ("DELETE FROM history_event WHERE stream = :stream AND number = 1",
         "event 1 is missing: event 2 stands in its place"),
        ("DELETE FROM history_event WHERE stream = :stream AND number IN (3, 4)",
         "event 3 is missing: event 5 stands in its place"),
        (RENUMBERED, "event 1 is missing: event 0 stands in its place"),
    ],
)  # fmt: skip
async def test_the_first_broken_link_is_told(
    world_alone: World,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    statements: str,
    fault: str,
    size: int,
) -> None:
    monkeypatch.setattr(history_chain, "PART", size)
    place, other = await places_of(world_alone)
    await forge(owner, place, statements)
    for proof in (await verify(world_alone.database, place.site_id), await verify(world_alone.database)):
        assert proof.fault == fault
        assert proof.last and proof.last.stream == place.site_id
    assert summary(await verify(world_alone.database, other.site_id)) == (6, 1, None)


WRITTEN = text(
    "INSERT INTO history_event (stream, event, actor_name, subject_type, subject_id, subject_name)"
    " VALUES (:person, 'USER_REGISTERED', 'me', 'user', :person, 'me')"
)


async def test_the_settings_of_a_session_change_no_hash(world_alone: World, owner: AsyncEngine) -> None:
    await places_of(world_alone)
    person = {"person": uuid4()}
    wrong = text("SELECT count(*) FROM history_event AS e WHERE hash <> hash_of_history_event(e)")
    async with owner.connect() as connection:
        for setting in ("timezone = 'Asia/Kathmandu'", "bytea_output = 'escape'", "datestyle = 'German'"):
            await connection.execute(text(f"SET {setting}"))
            await connection.execute(WRITTEN, person)
        assert await connection.scalar(wrong) == 0
        await connection.execute(text("RESET ALL"))
        assert await connection.scalar(wrong) == 0


@pytest.fixture
def environment(empty_database: AsyncEngine, tmp_path: Path) -> Iterator[Environment]:
    """The settings of an operator."""
    url = empty_database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    yield {"DATABASE_URL": url, "DATA_DIRECTORY": str(tmp_path)}


async def in_thread(command: str, environment: Environment, expected: int = 0) -> str:
    """The command line runs its own loop."""
    return await asyncio.to_thread(run, command, environment, expected)


async def test_operators_are_told(world_alone: World, owner: AsyncEngine, environment: Environment) -> None:
    assert "0 events in 0 histories" in await in_thread("history verify", environment)
    place, other = await places_of(world_alone)
    assert "The chain holds: 12 events in 2 histories." in await in_thread("history verify", environment)
    told = await in_thread(f"history verify --site {place.number.lower()}", environment)
    [*_, last] = await world_alone.events(place)
    assert "The chain holds: 6 events in 1 histories." in told
    assert f"ends with event 6, {last.hash.hex()}" in told
    await forge(owner, place, "UPDATE history_event SET reason = 'x' WHERE stream = :stream AND number = 5")
    broken = f"BROKEN: event 5 is not what was written in the history of site {place.number}."
    assert broken in await in_thread("history verify", environment, expected=1)
    assert broken in await in_thread(f"history verify --site {place.number}", environment, expected=1)
    assert "holds" in await in_thread(f"history verify --site {other.number}", environment)


async def test_an_unknown_site_is_told(environment: Environment) -> None:
    for command in ("verify", "export"):
        told = await in_thread(f"history {command} --site NO-SUCH-SITE", environment, expected=1)
        assert "There is no site with the number NO-SUCH-SITE." in told


async def test_a_broken_history_of_a_person_is_told_by_their_key(
    world_alone: World, owner: AsyncEngine, environment: Environment
) -> None:
    person = uuid4()
    async with world_alone.database.begin() as connection:
        await connection.execute(WRITTEN, {"person": person})
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE history_event DISABLE TRIGGER ALL"))
        await connection.execute(text("UPDATE history_event SET actor_name = 'you'"))
    told = await in_thread("history verify", environment, expected=1)
    assert f"of the person with the key {person}" in told
