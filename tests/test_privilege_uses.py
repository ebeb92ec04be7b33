"""Which privileges members use: what is a use and what is none, and how uses are written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.routing import Route

from app.config import Settings
from app.db.models import Membership
from app.db.privilege_uses import PrivilegeUse
from app.privilege_uses import Use, Uses, writing_uses
from app.query.ids import parse_id
from app.rules import PrivilegeName, Role, ViewLevel
from app.server import create_app
from tests.test_access_check import MANY, ONE, check, question
from tests.world import CONTACT, UPDATE, VIEW, Person, Place, World, ago

MANAGE_ACCESS, CONTACT_UPDATES, REPORTING = (
    PrivilegeName.MANAGE_ACCESS,
    PrivilegeName.CONTACT_UPDATES,
    PrivilegeName.REPORTING,
)


def today() -> date:
    """The day as uses are told by it."""
    return datetime.now(UTC).date()


def uses_of(application: Starlette) -> Uses:
    """What a process of the service has gathered."""
    uses: Uses = execution_of(application).uses
    return uses


def execution_of(application: Starlette) -> Any:
    """What answers the requests of a process."""
    [route] = [one for one in application.routes if isinstance(one, Route) and one.path == "/graphql"]
    endpoint: Any = route.endpoint
    return endpoint.execution


@asynccontextmanager
async def process(world: World, settings: Settings, **changes: Any) -> AsyncIterator[tuple[World, Uses]]:
    """One more process of the service, stopped in the end."""
    application = create_app(settings.model_copy(update=changes))
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client,
    ):
        yield World(world.database, client, world.settings), uses_of(application)


@pytest.fixture(scope="module", params=[True, False], ids=["engine", "interpreter"])
async def service(
    world: World, settings: Settings, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[World, Uses]]:
    """A process with the engine on or off."""
    async with process(world, settings, read_engine=request.param) as found:
        yield found


async def days(world: World, place: Place, person: Person) -> dict[PrivilegeName, date]:
    """What is written down of the privileges that a member uses."""
    at = (PrivilegeUse.site_id == place.site_id, PrivilegeUse.user_id == person.user_id)
    return {row.privilege: row.last_used_on for row in await world.rows(PrivilegeUse, *at)}


def key_of(id: str) -> UUID:
    parsed = parse_id(id)
    assert parsed is not None
    return parsed[1]


# What is a use


async def test_asking_about_oneself_is_a_use_when_the_answer_is_yes(service: tuple[World, Uses]) -> None:
    world, uses = service
    place = await world.site()
    person, _ = await world.member(place, reporting=ViewLevel.VIEW, account_documents=ViewLevel.VIEW)
    # Whatever is selected of the answer.
    document = "query($input: AccessCheckInput!) { mine: accessCheck(input: $input) { __typename } }"
    by_number = {"siteId": None, "siteNumber": place.number}
    asked = question(place, person, application="ACCOUNT_DOCUMENTS", **by_number)
    async with world.unchanged():
        assert (await check(person, question(place, person)))["allowed"]
        await person.ask(document, input=asked)
    await uses.flush()
    assert await days(world, place, person) == {REPORTING: today(), PrivilegeName.ACCOUNT_DOCUMENTS: today()}


async def test_of_many_questions_those_are_uses_that_are_answered_yes_to_the_asker(
    service: tuple[World, Uses],
) -> None:
    world, uses = service
    place, other = await world.site(), await world.site()
    person, _ = await world.secondary(
        place, reporting=ViewLevel.VIEW, manage_access=VIEW, entitlement_inventory=UPDATE
    )
    member, _ = await world.member(place, reporting=ViewLevel.VIEW, account_documents=ViewLevel.VIEW)
    await world.member(other, person=person)
    inputs = [
        question(place, person, application="MANAGE_ACCESS", level="UPDATE"),
        question(place, member),
        question(place, person, application="ENTITLEMENT_INVENTORY"),
        question(place, member, application="ACCOUNT_DOCUMENTS"),
        question(other, person),
        question(place, person, ibmId="nobody"),
        question(place, person),
    ]
    answers = (await person.ask(MANY, inputs=inputs))["accessChecks"]
    assert [one["allowed"] for one in answers] == [False, True, True, True, False, False, True]
    await uses.flush()
    assert set(await days(world, place, person)) == {PrivilegeName.ENTITLEMENT_INVENTORY, REPORTING}
    assert await days(world, place, member) == await days(world, other, person) == {}
    assert (await person.ask(MANY, inputs=[]))["accessChecks"] == []


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "user", "ended", "stranger"])
async def test_asking_about_others_and_being_denied_are_no_uses(
    service: tuple[World, Uses], who: str
) -> None:
    world, uses = service
    place = await world.site()
    asker = await world.caller(place, who)
    person, _ = await world.member(place, reporting=ViewLevel.VIEW)
    ended, _ = await world.member(place, reporting=ViewLevel.VIEW, ends_at=ago(days=1))
    known = len(uses.unwritten)
    for about in (person, ended):
        await check(asker, question(place, about))
    assert not (await check(ended, question(place, ended)))["allowed"]
    assert not (await check(person, question(place, person, application="ACCOUNT_DOCUMENTS")))["allowed"]
    assert len(uses.unwritten) == known
    anonymous = {"query": ONE, "variables": {"input": question(place, person)}}
    await world.client.post("/graphql", json=anonymous)
    await uses.flush()
    for one in (asker, person, ended):
        assert await days(world, place, one) == {}


async def test_what_manage_access_and_contact_updates_allow_is_a_use_of_them(
    service: tuple[World, Uses],
) -> None:
    world, uses = service
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    editor, _ = await world.secondary(place, contact_updates=UPDATE)
    _, member = await world.member(place)
    await manager.succeed("updateMembership", membershipId=member, privileges={"reporting": "VIEW"})
    await editor.succeed("createContact", siteId=place.id, **CONTACT | {"types": ["BILLING"]})
    events = len(await world.events(place))
    await uses.flush()
    assert await days(world, place, manager) == {MANAGE_ACCESS: today()}
    assert await days(world, place, editor) == {CONTACT_UPDATES: today()}
    # The history tells what they did, and nothing of the use.
    assert len(await world.events(place)) == events
    assert "levels_changed_at" not in str((await world.events(place))[-2:])


async def test_what_is_tried_refused_seen_or_done_by_role_is_no_use(service: tuple[World, Uses]) -> None:
    world, uses = service
    place = await world.site()
    manager, own = await world.secondary(place, manage_access=UPDATE, contact_updates=UPDATE)
    _, member = await world.member(place)
    wanted = {"membershipId": member, "privileges": {"reporting": "VIEW"}}
    known = set(uses.unwritten)
    await manager.succeed("updateMembership", validateOnly=True, **wanted)
    await manager.refused("updateMembership", membershipId=member, role="PRIMARY_CONTACT")
    await manager.refused("updateMembership", membershipId=own, privileges={"reporting": "VIEW"})
    await manager.refused("updateMembership", expectedVersion=7, **wanted)
    await manager.ask(
        "query($id: ID!) { site(id: $id) { memberships { nodes { id } } contacts { id } } }", id=place.id
    )
    await manager.succeed(
        "requestHigherLevel", siteId=place.id, justification="More", privileges={"reporting": "VIEW"}
    )
    await place.primary.succeed("updateMembership", **wanted)
    await manager.succeed("leaveSite", siteId=place.id)
    assert set(uses.unwritten) == known


async def test_a_bulk_is_a_use_when_something_of_it_was_done(service: tuple[World, Uses]) -> None:
    world, uses = service
    place = await world.site()
    manager, own = await world.secondary(place, manage_access=UPDATE)
    ids = [(await world.member(place))[1] for _ in range(2)]
    bad = {"membershipId": own, "privileges": {"reporting": "VIEW"}}
    faulty = {"membershipId": ids[1], "role": "PRIMARY_CONTACT"}
    good = {"membershipId": ids[0], "privileges": {"reporting": "VIEW"}}
    known = set(uses.unwritten)
    for items in ([bad], [bad, faulty]):
        payload = await manager.do(
            "updateMemberships", "succeeded", siteId=place.id, errorPolicy="GOOD_ONES", items=items
        )
        assert payload["succeeded"] == 0
    await manager.do("updateMemberships", siteId=place.id, errorPolicy="ALL_OR_NOTHING", items=[good, bad])
    assert set(uses.unwritten) == known
    await manager.do("updateMemberships", siteId=place.id, errorPolicy="GOOD_ONES", items=[good, bad])
    assert manager.user_id is not None
    assert set(uses.unwritten) - known == {Use(place.site_id, manager.user_id, MANAGE_ACCESS)}


# How uses are written


async def many(world: World, count: int) -> list[Use]:
    """Uses by members of several sites."""
    places = [await world.site() for _ in range(3)]
    found = []
    for number in range(count):
        person, _ = await world.member(places[number % 3])
        assert person.user_id is not None
        found.append(Use(places[number % 3].site_id, person.user_id, REPORTING))
    return found


async def written(world: World, uses: list[Use]) -> list[date]:
    """The days that are written down for uses."""
    keys = sa.tuple_(PrivilegeUse.site_id, PrivilegeUse.user_id, PrivilegeUse.privilege)
    return [row.last_used_on for row in await world.rows(PrivilegeUse, keys.in_(uses))]


async def test_several_processes_write_the_same_at_once(world: World) -> None:
    found = await many(world, 30)
    processes = [Uses(world.database) for _ in range(4)]
    for number, one in enumerate(processes):
        one.note(found[::-1] if number % 2 else found)
    processes[0].unwritten |= dict.fromkeys(found[:10], today() - timedelta(days=9))
    await asyncio.gather(*(one.flush() for one in processes))
    assert await written(world, found) == [today()] * 30
    assert all(one.unwritten == {} for one in processes)


async def test_a_day_that_is_told_late_is_not_put_before_a_later_one(world: World) -> None:
    found, earlier = await many(world, 1), today() - timedelta(days=3)
    late = Uses(world.database, dict.fromkeys(found, earlier))
    await late.flush()
    assert await written(world, found) == [earlier]
    for days_ago in (0, 5):
        one = Uses(world.database, dict.fromkeys(found, today() - timedelta(days=days_ago)))
        await one.flush()
        assert await written(world, found) == [today()]


async def test_a_use_is_written_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found, uses = await many(world, 2), Uses(world.database)
    uses.note(found[:1])
    await uses.flush()
    uses.note(found)
    assert set(uses.unwritten) == {found[1]}
    # Another day begins.
    uses.day -= timedelta(days=1)
    uses.note(found)
    assert set(uses.unwritten) == set(found)


async def test_batches_are_written_one_after_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.privilege_uses.BATCH", 3)
    found, uses = await many(world, 7), Uses(world.database)
    uses.note(found)
    await uses.flush()
    assert (len(await written(world, found)), uses.unwritten) == (7, {})


async def test_uses_go_with_the_membership(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place)
    assert person.user_id is not None
    found, uses = [Use(place.site_id, person.user_id, REPORTING)], Uses(world.database)
    uses.note(found)
    await uses.flush()
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    assert await written(world, found) == []
    # Who is no member any more, or never was one, is forgotten.
    uses.unwritten = dict.fromkeys([*found, Use(uuid4(), uuid4(), REPORTING)], today())
    await uses.flush()
    assert (await written(world, found), uses.unwritten) == ([], {})


async def test_what_cannot_be_written_stays_and_keeps_nobody_waiting(world: World) -> None:
    found, uses = await many(world, 2), Uses(world.database)
    uses.note(found)
    mine = sa.select(Membership.id).where(
        Membership.site_id == found[0].site_id, Membership.user_id == found[0].user_id
    )
    async with world.database.begin() as connection:
        await connection.execute(mine.with_for_update())
        with pytest.raises(DBAPIError, match="lock timeout"):
            await uses.flush()
        assert set(uses.unwritten) == set(found)
    await uses.flush()
    assert (await written(world, found), uses.unwritten) == ([today(), today()], {})


async def test_uses_are_written_now_and_then_whatever_happens_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, uses, done = await many(world, 2), Uses(world.database), asyncio.Event()
    tried, flush = asyncio.Event(), uses.flush
    mine = sa.select(Membership.id).where(Membership.user_id == found[0].user_id)

    async def noticed() -> None:
        if uses.unwritten:
            tried.set()
        await flush()
        if uses.written:
            done.set()

    monkeypatch.setattr(uses, "flush", noticed)
    async with writing_uses(uses, every=0.01), asyncio.timeout(20):
        async with world.database.begin() as connection:
            await connection.execute(mine.with_for_update())
            uses.note(found)
            await tried.wait()
            assert not done.is_set()
        await done.wait()
        assert await written(world, found) == [today()] * 2


async def test_a_process_that_is_stopped_writes_what_it_knows(world: World, settings: Settings) -> None:
    place = await world.site()
    person, _ = await world.member(place, reporting=ViewLevel.VIEW)
    async with process(world, settings) as (here, uses):
        await check(Person(here, person.ibm_id, person.user_id), question(place, person))
        assert len(uses.unwritten) == 1
        assert await days(world, place, person) == {}
    assert await days(world, place, person) == {REPORTING: today()}


async def test_a_process_that_is_killed_loses_what_it_has_not_written(
    world: World, settings: Settings
) -> None:
    place = await world.site()
    person, _ = await world.member(place, reporting=ViewLevel.VIEW, account_documents=ViewLevel.VIEW)
    # Its lifespan never ends, as that of a process that is killed.
    application = create_app(settings)
    uses = uses_of(application)
    async with AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client:
        caller = Person(World(world.database, client, world.settings), person.ibm_id, person.user_id)
        await check(caller, question(place, person))
        await uses.flush()
        await check(caller, question(place, person, application="ACCOUNT_DOCUMENTS"))
        assert len(uses.unwritten) == 1
        await execution_of(application).pool.close()
        await execution_of(application).writes.close()
        await uses.database.dispose()
    assert await days(world, place, person) == {REPORTING: today()}


# Since when levels are held


async def since(world: World, membership_id: str) -> datetime:
    [row] = await world.rows(Membership, Membership.id == key_of(membership_id))
    moment: datetime = row.levels_changed_at
    return moment


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"privileges": {"reporting": "VIEW"}}, True),
        ({"privileges": {"reporting": "NONE"}}, False),
        ({"role": "SECONDARY_CONTACT"}, True),
        ({"privileges": {"accountManagement": {"accountDocuments": "VIEW"}}}, True),
        ({"justification": "Because"}, False),
        ({"endsAt": ago(days=-30).isoformat()}, False),
    ],
)
async def test_changes_of_role_and_levels_count_and_others_do_not(
    world: World, change: dict[str, Any], counts: bool
) -> None:
    place, long_ago = await world.site(), ago(days=200)
    _, membership_id = await world.member(place, levels_changed_at=long_ago)
    await place.primary.succeed("updateMembership", membershipId=membership_id, **change)
    moment = await since(world, membership_id)
    assert (moment > ago(minutes=5)) is counts
    assert (moment == long_ago) is not counts


async def test_access_that_goes_on_again_counts_from_then(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(
        place, Role.USER, ends_at=ago(days=1), levels_changed_at=ago(days=200)
    )
    later = ago(days=-30).isoformat()
    await place.primary.succeed("updateMembership", membershipId=membership_id, endsAt=later)
    assert await since(world, membership_id) > ago(minutes=5)
