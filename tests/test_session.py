"""The unit of work: what is read, changed, added and deleted in one transaction, and what is left of it."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from app.config import Settings
from app.db.engine import create_engine
from app.db.models import Contact, HistoryEvent, Membership, Site, User
from app.db.pool import Pool
from app.db.session import Session
from app.db.transaction import begin, snapshot
from app.rules import ContactType, Event, Language, Role
from tests.conftest import administer
from tests.world import Place, World


class Failed(Exception):
    """Something went wrong in the middle of a transaction."""


async def city(world: World, place: Place) -> str:
    (contact,) = await world.rows(Contact, Contact.site_id == place.site_id)
    found: str = contact.city
    return found


async def test_a_row_is_one_object_with_the_values_of_now(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    async with begin(database) as session:
        contact = await session.get_one(Contact, (place.site_id, place.contact_id))
        assert await session.get(Contact, (place.site_id, place.contact_id)) is contact
        assert contact.types == [ContactType.PRIMARY, ContactType.BILLING]
        await session.execute(sa.update(Contact).where(Contact.id == contact.id).values(city="Lyon"))
        assert contact.city == "Paris"
        assert await session.newest(Contact, (place.site_id, place.contact_id)) is contact
        assert contact.city == "Lyon"


async def test_what_is_changed_is_written_before_the_next_statement(
    world: World, database: AsyncEngine
) -> None:
    place = await world.site()
    async with begin(database) as session:
        contact = await session.get_one(Contact, (place.site_id, place.contact_id))
        contact.city, before = "Lyon", contact.version
        assert await session.scalar(sa.select(Contact.city).where(Contact.id == contact.id)) == "Lyon"
        # What the database counts is read back with it.
        assert contact.version == before + 1
        contact.city = "Lille"
        with session.no_autoflush():
            assert await session.scalar(sa.select(Contact.city).where(Contact.id == contact.id)) == "Lyon"
    assert await city(world, place) == "Lille"


async def test_nothing_is_written_when_nothing_differs(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    async with world.unchanged(), begin(database) as session:
        contact = await session.get_one(Contact, (place.site_id, place.contact_id))
        contact.city, contact.types = "Paris", [ContactType.PRIMARY, ContactType.BILLING]


@pytest.mark.parametrize("end", ["raised", "not kept"])
async def test_all_of_it_is_kept_or_nothing(world: World, database: AsyncEngine, end: str) -> None:
    place = await world.site()
    async with world.unchanged():
        try:
            async with begin(database) as session:
                contact = await session.get_one(Contact, (place.site_id, place.contact_id))
                contact.city = "Lyon"
                session.add(User(ibm_id=uuid4().hex, email="x@example.com", sort_name="x"))
                await session.flush()
                session.keeps = end == "raised"
                if end == "raised":
                    raise Failed
        except Failed:
            assert end == "raised"


async def test_new_rows_have_their_keys_and_what_the_database_gives_them(database: AsyncEngine) -> None:
    async with begin(database) as session:
        people = [User(ibm_id=uuid4().hex, email="x@example.com", sort_name="x") for _ in range(3)]
        session.add_all(people)
        await session.flush()
        assert len({person.id for person in people}) == 3
        assert {person.language for person in people} == {Language.EN}
        assert all(person.created_at for person in people)
        assert await session.get(User, people[1].id) is people[1]


async def test_values_can_be_expressions_in_sql(database: AsyncEngine) -> None:
    async with begin(database) as session:
        person = User(ibm_id=uuid4().hex, email="x@example.com", sort_name=sa.func.upper("new"))
        session.add(person)
        await session.flush()
        assert person.sort_name == "NEW"
        person.sort_name = sa.func.lower("CHANGED")  # type: ignore[assignment]
        await session.flush()
        assert person.sort_name == "changed"


async def test_rows_of_several_tables_are_written_and_read_back_at_once(
    world: World, database: AsyncEngine
) -> None:
    place = await world.site()
    async with begin(database) as session:
        contact = await session.get_one(Contact, (place.site_id, place.contact_id))
        site = await session.get_one(Site, place.site_id)
        person = User(ibm_id=uuid4().hex, email="x@example.com", sort_name=sa.func.upper("new"))
        session.add(person)
        contact.city, site.name = "Lyon", sa.func.upper("renamed")
        await session.flush()
        assert (contact.city, contact.version) == ("Lyon", 2)
        assert (site.name, site.number) == ("RENAMED", place.number)
        assert (person.sort_name, person.language) == ("NEW", Language.EN)
    assert await city(world, place) == "Lyon"


async def test_many_rows_of_a_table_are_written_in_their_order(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    for _ in range(2):
        await world.contact(place, [ContactType.BILLING])
    async with begin(database) as session:
        contacts = list(await session.scalars(sa.select(Contact).where(Contact.site_id == place.site_id)))
        site = await session.get_one(Site, place.site_id)
        for number, contact in enumerate(contacts):
            contact.city = f"City {number}"
        session.add_all(event_of(place, number) for number in range(3))
        session.add(event_of(place, 3, reason="Another shape"))
        site.name = "Renamed"
        await session.flush()
        assert [contact.city for contact in contacts] == ["City 0", "City 1", "City 2"]
        assert {contact.version for contact in contacts} == {2}
    assert [event.subject_name for event in await world.events(place)] == ["0", "1", "2", "3"]
    assert len({row.city for row in await world.rows(Contact, Contact.site_id == place.site_id)}) == 3


def event_of(place: Place, number: int, **values: str) -> HistoryEvent:
    return HistoryEvent(
        stream=place.site_id,
        site_id=place.site_id,
        event=Event.CONTACT_UPDATED,
        actor_name="me",
        subject_type="contact",
        subject_id=place.contact_id,
        subject_name=str(number),
        **values,
    )


@pytest.mark.parametrize("wrong", ["what is new", "what has changed", "both"])
async def test_what_is_written_at_once_fails_as_one(world: World, database: AsyncEngine, wrong: str) -> None:
    place, known = await world.site(), await world.person()
    names = {"what is new": {"uq_user_ibm_id"}, "what has changed": {"ck_contact_has_a_type"}}
    async with world.unchanged():
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as raised:
            async with begin(database) as session:
                contact = await session.get_one(Contact, (place.site_id, place.contact_id))
                ibm_id = uuid4().hex if wrong == "what has changed" else known.ibm_id
                session.add(User(ibm_id=ibm_id, email="x@example.com", sort_name="x"))
                contact.city, contact.types = "Lyon", contact.types if wrong == "what is new" else []
    assert raised.value.constraint_name in names.get(wrong, set.union(*names.values()))


async def test_a_new_row_has_its_key_before_it_is_written(database: AsyncEngine) -> None:
    async with begin(database) as session:
        person = User(ibm_id=uuid4().hex, email="x@example.com", sort_name="x")
        session.add(person)
        key = person.id
        assert await session.get(User, key) is person


async def test_of_several_rows_none_is_the_only_one(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    async with begin(database) as session:
        memberships = sa.select(Membership).where(Membership.site_id == place.site_id)
        found = await session.one_or_none(memberships)
        assert found and found[0].user_id == place.primary.user_id
        assert await session.one_or_none(memberships.where(Membership.seat == 4)) is None
        with pytest.raises(AssertionError, match="more than one row"):
            await session.one_or_none(sa.select(sa.func.generate_series(1, 2)))


def test_a_row_has_no_values_but_those_of_its_columns() -> None:
    with pytest.raises(TypeError, match="Site has no nombre, numero"):
        Site(number="S1", numero="S2", nombre=3)


async def test_a_deleted_row_is_gone(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    _, _ = await world.member(place)
    (member,) = await world.rows(
        Membership, Membership.site_id == place.site_id, Membership.role == Role.USER
    )
    async with begin(database) as session:
        row = await session.get_one(Membership, (place.site_id, member.id))
        session.delete(row)
        assert await session.newest(Membership, (place.site_id, member.id)) is None
        assert await session.get(Membership, (place.site_id, member.id)) is None


async def test_a_part_that_fails_leaves_nothing_behind(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    async with begin(database) as session:
        contact = await session.get_one(Contact, (place.site_id, place.contact_id))
        contact.city = "Lyon"
        with pytest.raises(Failed):
            async with session.begin_nested():
                contact.city = "Lille"
                session.add(User(id=uuid7(), ibm_id=uuid4().hex, email="x@example.com", sort_name="x"))
                await session.flush()
                session.add(User(id=uuid7(), ibm_id=uuid4().hex, email="y@example.com", sort_name="y"))
                raise Failed
        again = await session.get_one(Contact, (place.site_id, place.contact_id))
        assert again.city == "Lyon"
        async with session.begin_nested():
            again.city = "Nice"
    assert await city(world, place) == "Nice"


async def test_rows_of_an_outer_join_may_not_be_there(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    is_user = sa.and_(Membership.site_id == Site.id, Membership.role == Role.USER)
    async with begin(database) as session:
        found = sa.select(Site, Membership, Site.name).outerjoin(Membership, is_user)
        site, member, name = (await session.execute(found.where(Site.id == place.site_id))).one()
        assert (site.number, member, name) == (place.number, None, site.name)
        several = sa.select(Site.id).where(Site.number.in_([place.number, "X", "Y"]))
        assert list(await session.scalars(several)) == [place.site_id]


async def test_a_snapshot_is_of_one_moment_and_writes_nothing(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    is_it = Contact.id == place.contact_id
    async with snapshot(database) as session:
        assert await session.scalar(sa.select(Contact.city).where(is_it)) == "Paris"
        async with begin(database) as other:
            await other.execute(sa.update(Contact).where(is_it).values(city="Lyon"))
        assert await session.scalar(sa.select(Contact.city).where(is_it)) == "Paris"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await session.execute(sa.update(Contact).where(is_it).values(city="Lille"))


@pytest.mark.parametrize("kind", ["pool", "engine"])
async def test_a_connection_that_was_lost_is_not_given_to_the_next_one(
    database: AsyncEngine, settings: Settings, kind: str
) -> None:
    own = settings.model_copy(update={"database_pool_size": 1})
    url = database.url.render_as_string(hide_password=False)
    pool = Pool(url, own)
    connections = pool if kind == "pool" else database
    told = (
        asyncpg.AdminShutdownError,
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.InternalClientError,
        asyncpg.InterfaceError,
        ConnectionError,
    )
    with pytest.raises(told):
        async with begin(connections) as session:
            pid = await session.scalar(sa.select(sa.func.pg_backend_pid()))
            await administer(url, f"SELECT pg_terminate_backend({pid})")
            await session.execute(sa.select(1))
    async with begin(connections) as session:
        assert await session.scalar(sa.select(1)) == 1
    await pool.close()


@pytest.mark.parametrize("kind", ["pool", "engine"])
async def test_who_is_interrupted_leaves_no_transaction_open(
    database: AsyncEngine, settings: Settings, kind: str
) -> None:
    url = database.url.render_as_string(hide_password=False)
    own = settings.model_copy(update={"database_pool_size": 1})
    pool, engine = Pool(url, own), create_engine(url, own)
    connections = pool if kind == "pool" else engine
    begun = asyncio.Event()

    async def wait(session: Session) -> None:
        begun.set()
        await session.execute(sa.select(sa.func.pg_sleep(60)))

    async def work() -> None:
        async with begin(connections) as session:
            await wait(session)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with begin(connections) as session:
        assert await session.scalar(sa.select(1)) == 1
    await pool.close()
    await engine.dispose()


@pytest.mark.parametrize("way", [begin, snapshot])
@pytest.mark.parametrize("kind", ["pool", "engine"])
async def test_what_is_done_after_somebody_was_interrupted_is_kept(
    world: World, database: AsyncEngine, settings: Settings, kind: str, way: Any
) -> None:
    place = await world.site()
    url = database.url.render_as_string(hide_password=False)
    own = settings.model_copy(update={"database_pool_size": 1})
    pool, engine = Pool(url, own), create_engine(url, own)
    connections = pool if kind == "pool" else engine

    async def work() -> None:
        async with way(connections) as session:
            await session.execute(sa.select(1))

    await work()
    for steps in range(12):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with begin(connections) as session:
            contact = await session.get_one(Contact, (place.site_id, place.contact_id))
            contact.city = f"City {steps}"
        assert await city(world, place) == f"City {steps}"
    await pool.close()
    await engine.dispose()
