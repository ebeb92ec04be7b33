"""The history is append-only and chained, and the server's role has no right to change that."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from app import history
from app.actor import Actor
from app.db.engine import async_url
from app.db.models import Site
from app.rules import ContactType, Event
from tests.test_constraints import stopped
from tests.world import CONTACT, Place, World


@pytest.fixture(scope="module")
async def owner(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The shared database with the rights of its owner."""
    arguments = {"server_settings": {"timezone": "UTC"}}
    engine = create_async_engine(async_url(database_url), poolclass=NullPool, connect_args=arguments)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history_event SET reason = 'another'",
        "DELETE FROM history_event",
        "TRUNCATE history_event",
        "DELETE FROM site",
        'DELETE FROM "user"',
        "DELETE FROM access_request",
        "TRUNCATE membership, contact",
        "UPDATE alembic_version SET version_num = 'none'",
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX mine ON membership (justification)",
        "ALTER TABLE membership DROP CONSTRAINT ck_membership_seat_exists",
        "ALTER TABLE history_event DISABLE TRIGGER ALL",
        "ALTER TYPE role ADD VALUE 'SUPERUSER'",
        "DROP TABLE history_event",
        "DROP TRIGGER history_event_is_append_only ON history_event",
        "DROP FUNCTION refuse_change_of_history CASCADE",
        "SET session_replication_role = 'replica'",
    ],
)
async def test_server_has_no_right_to_this(database: AsyncEngine, statement: str) -> None:
    async with database.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text(statement))
    assert caught.value.orig is not None
    assert getattr(caught.value.orig, "sqlstate", None) == "42501"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history_event SET reason = 'another' WHERE site_id = :site",
        "DELETE FROM history_event WHERE site_id = :site",
        "TRUNCATE history_event",
    ],
)
async def test_even_the_owner_alters_no_history(world: World, owner: AsyncEngine, statement: str) -> None:
    place = await world.site()
    assert await stopped(owner, statement, site=place.site_id) == "history_is_append_only"


async def append(database: AsyncEngine, place: Place, name: str) -> None:
    """An event of the site, as the application writes it."""
    async with AsyncSession(database) as session, session.begin():
        site = await session.get_one(Site, place.site_id)
        actor = Actor(place.primary.user_id, name, "tests")
        for event in (Event.SITE_CREATED, Event.CONTACT_UPDATED):
            history.record(session, actor, event, site, name=name, after={"name": name, "é": [1, None]})


RECOMPUTED = """
SELECT number, previous_hash, hash, sha256(
    convert_to(jsonb_strip_nulls(to_jsonb(written) - 'hash' - 'id')::text, 'UTF8')
) AS recomputed
FROM history_event AS written WHERE stream = :stream ORDER BY number
"""


async def broken_links(database: AsyncEngine, stream: UUID) -> tuple[int, list[int]]:
    """How many events a stream has, and the numbers where its chain is not intact."""
    async with database.connect() as connection:
        events = (await connection.execute(text(RECOMPUTED), {"stream": stream})).all()
    predecessors = [None, *(event.hash for event in events)]
    return len(events), [
        event.number
        for number, (event, previous) in enumerate(zip(events, predecessors, strict=False), 1)
        if (event.number, event.previous_hash, event.hash) != (number, previous, event.recomputed)
    ]


async def test_chain_of_what_people_did_is_intact(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place, justification="été")
    contact_id = await world.contact(place, [ContactType.BILLING])
    granted = await place.primary.succeed(
        "grantAccessRequest", "membership { id }", accessRequestId=request_id, role="USER"
    )
    membership_id = granted["membership"]["id"]
    await place.primary.succeed("updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT")
    # One transaction with two events: the type passes from one contact to the other.
    await place.primary.succeed("updateContact", contactId=contact_id, **CONTACT | {"types": ["PRIMARY"]})
    await place.primary.succeed("removeMembership", membershipId=membership_id, reason="parti")
    assert await broken_links(world.database, place.site_id) == (6, [])


async def test_numbers_have_no_gaps_when_many_write_at_once(world: World) -> None:
    places = [await world.site(), await world.site()]
    await asyncio.gather(*(append(world.database, places[n % 2], f"writer {n}") for n in range(40)))
    for place in places:
        assert await broken_links(world.database, place.site_id) == (40, [])


async def test_altered_history_shows(world: World, owner: AsyncEngine) -> None:
    place = await world.site()
    for name in ("one", "two"):
        await append(world.database, place, name)
    async with owner.connect() as connection:
        await connection.execute(text("ALTER TABLE history_event DISABLE TRIGGER ALL"))
        forge = text("UPDATE history_event SET reason = 'another' WHERE stream = :stream AND number = 2")
        await connection.execute(forge, {"stream": place.site_id})
        events = (await connection.execute(text(RECOMPUTED), {"stream": place.site_id})).all()
    assert [event.number for event in events if event.hash != event.recomputed] == [2]


async def test_writer_cannot_choose_number_or_hash(world: World) -> None:
    place = await world.site()
    statement = text(
        "INSERT INTO history_event (stream, site_id, number, hash, previous_hash, event, actor_name,"
        " subject_type, subject_id, subject_name) VALUES (:site, :site, 7, 'x', 'x', 'SITE_CREATED', 'me',"
        " 'site', :site, 'site')"
    )
    async with world.database.begin() as connection:
        await connection.execute(statement, {"site": place.site_id})
    assert await broken_links(world.database, place.site_id) == (1, [])
