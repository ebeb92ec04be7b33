"""What subscriptions tell, to whom and in which order, over both transports and from every process."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient
from joserfc import jwt
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app import development, write_timeout
from app.actor import Actor
from app.config import Settings
from app.context import Context
from app.db.engine import async_url
from app.db.listening import APPLICATION
from app.db.models import Contact, Membership
from app.http_protocol import HttpProtocol
from app.http_response import Answer
from app.live import feed
from app.live.feed import Topic
from app.live.payload import Payloads
from app.query.ids import parse_id
from app.rules import ContactType
from app.server import create_app
from app.tokens import LEEWAY
from tests.conftest import administer
from tests.live import PATIENCE, Server, Socket, Stream, joined, running, streaming, until
from tests.test_changed_databases import line_to
from tests.world import CONTACT, VIEW, Person, Place, World, ago

REQUESTS = """subscription($site: ID!, $after: ID) { accessRequestChanged(siteId: $site, after: $after) {
  __typename event eventId at accessRequest { id state requester { email } decidedBy { email } } } }"""
MEMBERSHIPS = """subscription($site: ID!, $after: ID) { membershipChanged(siteId: $site, after: $after) {
  event eventId membership { id role user { email } } removedMembershipId } }"""
SITE = """subscription($site: ID!, $after: ID) { siteChanged(siteId: $site, after: $after) {
  event eventId site { id name contacts { lastName details { phone } } viewerMembership { role } } } }"""
EVENTS = (
    "subscription($site: ID!, $after: ID) { siteChanged(siteId: $site, after: $after) { event eventId } }"
)
LAST = "query($site: ID!) { site(id: $site) { lastEventId } }"
ALL = {"accessRequestChanged": REQUESTS, "membershipChanged": MEMBERSHIPS, "siteChanged": SITE}
TRANSPORTS = ["websocket", "sse"]
PEOPLE = ["primary", "manage_access=UPDATE", "manage_access=VIEW", "contact_updates=UPDATE", "user"]
Heard = Socket | Stream


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server on the shared database."""
    with running(create_app(settings)) as server:
        yield server


@pytest.fixture(scope="module")
def second(settings: Settings) -> Iterator[Server]:
    """Another process' server on the same database, which reads through graphql-core alone."""
    with running(create_app(settings.model_copy(update={"read_engine": False}))) as server:
        yield server


@asynccontextmanager
async def listening(
    transport: str, server: Server, person: Person, query: str, place: Place, **more: Any
) -> AsyncIterator[Heard]:
    """Somebody who has begun to listen to a site."""
    others = server.listeners(place)
    token = more.pop("token", person.token)
    if transport == "sse":
        async with streaming(server, token, query, site=place.id, **more) as stream:
            await server.heard_by(place, others + 1)
            yield stream
    else:
        async with joined(server, token) as socket:
            await socket.begin("1", query, site=place.id, **more)
            await server.heard_by(place, others + 1)
            yield socket
    await server.heard_by(place, others)


async def told(heard: Heard, count: int = 1) -> list[dict[str, Any]]:
    """The next events, whatever the subscription is called."""
    return [next(iter((await heard.next()).values())) for _ in range(count)]


async def events(heard: Heard, count: int) -> list[str]:
    """What the next events are."""
    return [change["event"] for change in await told(heard, count)]


async def save_contact(place: Place, last_name: str = "Durand") -> None:
    """Make something happen that everybody at the site may hear of."""
    await place.primary.succeed("createContact", siteId=place.id, **CONTACT | {"lastName": last_name})


def kinds(rows: list[Any]) -> list[tuple[str, str]]:
    """The history as subscribers know it."""
    return [(row.event, f"event_{row.hash.hex()}") for row in rows]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_request_is_told_from_asking_to_granting(
    world: World, server: Server, transport: str
) -> None:
    place, person = await world.site(), await world.person()
    async with listening(transport, server, place.primary, REQUESTS, place) as heard:
        asked = await person.succeed("requestAccess", "accessRequest { id }", siteNumber=place.number)
        id = asked["accessRequest"]["id"]
        [change] = await told(heard)
        [row] = await world.events(place)
        assert change == {
            "__typename": "AccessRequestChange",
            "event": "ACCESS_REQUESTED",
            "eventId": f"event_{row.hash.hex()}",
            "at": row.at.isoformat(),
            "accessRequest": {
                "id": id,
                "state": "PENDING",
                "requester": {"email": person.ibm_id},
                "decidedBy": None,
            },
        }
        await place.primary.succeed("grantAccessRequest", accessRequestId=id, role="USER")
        [change] = await told(heard)
        assert (change["event"], change["accessRequest"]["state"]) == ("ACCESS_REQUEST_GRANTED", "GRANTED")
        assert change["accessRequest"]["decidedBy"] == {"email": place.primary.ibm_id}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_membership_is_told_from_adding_to_removing(
    world: World, server: Server, second: Server, transport: str
) -> None:
    place, person = await world.site(), await world.person()
    for served in (server, second):
        async with listening(transport, served, place.primary, MEMBERSHIPS, place) as heard:
            added = await place.primary.succeed(
                "addUser",
                "membership { id }",
                siteId=place.id,
                ibmId=person.ibm_id,
                email=person.ibm_id,
                role="USER",
                justification="Works here",
                confirmed=True,
            )
            id = added["membership"]["id"]
            [change] = await told(heard)
            shown = {"id": id, "role": "USER", "user": {"email": person.ibm_id}}
            assert change.pop("eventId")
            assert change == {"event": "USER_ADDED", "membership": shown, "removedMembershipId": None}
            await place.primary.succeed("updateMembership", membershipId=id, role="SECONDARY_CONTACT")
            [change] = await told(heard)
            assert (change["event"], change["membership"]["role"]) == (
                "MEMBERSHIP_UPDATED",
                "SECONDARY_CONTACT",
            )
            await place.primary.succeed("removeMembership", membershipId=id)
            [change] = await told(heard)
            assert change.pop("eventId")
            assert change == {"event": "MEMBERSHIP_REMOVED", "membership": None, "removedMembershipId": id}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_everything_is_told_in_order_once_by_every_process(
    world: World, server: Server, second: Server, transport: str
) -> None:
    place = await world.site()
    async with (
        listening(transport, server, place.primary, EVENTS, place) as here,
        listening(transport, second, place.primary, EVENTS, place) as there,
    ):
        await asyncio.gather(*(save_contact(place, f"Name{number}") for number in range(15)))
        person = await world.person()
        await person.succeed("requestAccess", siteNumber=place.number)
        history = kinds(await world.events(place))
        assert len(history) == 16
        for heard in (here, there):
            got = await told(heard, 16)
            assert [(change["event"], change["eventId"]) for change in got] == history


async def test_who_was_away_misses_nothing_and_hears_nothing_twice(
    world: World, server: Server, second: Server
) -> None:
    place = await world.site()
    await save_contact(place)
    [seen] = kinds(await world.events(place))
    heard: list[tuple[str, str]] = []
    count = 40

    async def write() -> None:
        for number in range(count):
            await save_contact(place, f"Name{number}")

    writing = asyncio.create_task(write())
    turn = 0
    while len(heard) < count:
        served, transport, size = (server, second)[turn % 2], TRANSPORTS[turn // 2 % 2], 1 + turn % 4
        turn += 1
        after = heard[-1][1] if heard else seen[1]
        async with listening(transport, served, place.primary, EVENTS, place, after=after) as line:
            got = await told(line, min(size, count - len(heard)))
        heard += [(change["event"], change["eventId"]) for change in got]
    await writing
    assert turn > 10
    assert [seen, *heard] == kinds(await world.events(place))


async def test_what_happened_after_a_page_was_read_is_told(world: World, server: Server) -> None:
    place = await world.site()
    assert (await place.primary.ask(LAST, site=place.id))["site"] == {"lastEventId": None}
    await save_contact(place)
    after = (await place.primary.ask(LAST, site=place.id))["site"]["lastEventId"]
    assert after == kinds(await world.events(place))[-1][1]
    for number in range(3):
        await save_contact(place, f"Name{number}")
    async with listening("websocket", server, place.primary, EVENTS, place, after=after) as heard:
        got = await told(heard, 3)
    assert [change["eventId"] for change in got] == [id for _, id in kinds(await world.events(place))[1:]]


async def test_a_long_absence_is_made_up_for_from_the_history(world: World, settings: Settings) -> None:
    place = await world.site()
    await save_contact(place)
    [(_, after)] = kinds(await world.events(place))
    async with world.database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO history_event (stream, site_id, event, actor_name, subject_type, subject_id,"
                " subject_name, after) SELECT :site, :site, 'CONTACT_UPDATED', 'somebody', 'contact', :site, 'x',"
                " '{}' FROM generate_series(1, 250)"
            ),
            {"site": place.site_id},
        )
    small = settings.model_copy(update={"subscription_backlog": 3})
    with running(create_app(small)) as server:
        async with listening("sse", server, place.primary, EVENTS, place, after=after) as heard:
            await save_contact(place)
            got = await told(heard, 251)
    history = kinds(await world.events(place))
    assert [(change["event"], change["eventId"]) for change in got] == history[1:]


HEARD = {
    "primary": ["ACCESS_REQUESTED", "USER_ADDED", "MEMBERSHIP_REMOVED", "CONTACT_CREATED"],
    "manage_access=UPDATE": ["ACCESS_REQUESTED", "USER_ADDED", "MEMBERSHIP_REMOVED", "CONTACT_CREATED"],
    "manage_access=VIEW": ["ACCESS_REQUESTED", "USER_ADDED", "MEMBERSHIP_REMOVED", "CONTACT_CREATED"],
    "contact_updates=UPDATE": ["CONTACT_CREATED"],
    "user": ["CONTACT_CREATED"],
}


@pytest.mark.parametrize("who", PEOPLE)
async def test_everybody_hears_of_what_they_may_see_and_of_nothing_else(
    world: World, server: Server, who: str
) -> None:
    place = await world.site()
    caller, stranger, other = await world.caller(place, who), await world.person(), await world.person()
    async with joined(server, caller.token) as socket:
        for name, query in ALL.items():
            await socket.begin(name, query, site=place.id)
        await server.heard_by(place, 3)
        await stranger.succeed("requestAccess", siteNumber=place.number)
        added = await place.primary.succeed(
            "addUser",
            "membership { id }",
            siteId=place.id,
            ibmId=other.ibm_id,
            email=other.ibm_id,
            role="USER",
            justification="Works here",
            confirmed=True,
        )
        await place.primary.succeed("removeMembership", membershipId=added["membership"]["id"])
        await save_contact(place)
        expected = HEARD[who]
        got = [(await socket.next("siteChanged"))["siteChanged"] for _ in expected]
        assert [change["event"] for change in got] == expected
        details = [contact["details"] for contact in got[-1]["site"]["contacts"]]
        assert all(details) == (who in ("primary", "contact_updates=UPDATE"))
        for name in ("accessRequestChanged", "membershipChanged"):
            about = [event for event in expected if event.startswith(("ACCESS", "USER", "MEMB"))]
            wanted = [event for event in about if event.startswith("ACCESS") == name.startswith("access")]
            assert [(await socket.next(name))[name]["event"] for _ in wanted] == wanted
        # Whatever was not told was not held back either: the next thing everybody hears of comes next.
        await save_contact(place)
        assert (await socket.next("siteChanged"))["siteChanged"]["event"] == "CONTACT_CREATED"
        assert not any(socket.waiting.values())


async def test_a_user_hears_of_their_own_request_and_membership(world: World, server: Server) -> None:
    place = await world.site()
    user, membership_id = await world.member(place)
    _, request_id = await world.request(place, user)
    async with joined(server, user.token) as socket:
        for name, query in ALL.items():
            await socket.begin(name, query, site=place.id)
        await server.heard_by(place, 3)
        await place.primary.succeed("updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT")
        await place.primary.succeed(
            "denyAccessRequest", accessRequestId=request_id, reason="ACCESS_NOT_NECESSARY"
        )
        [change] = (await socket.next("membershipChanged")).values()
        assert change["membership"]["id"] == membership_id
        [change] = (await socket.next("accessRequestChanged")).values()
        assert change["accessRequest"]["id"] == request_id
        assert change["accessRequest"]["decidedBy"] is None
        names = [(await socket.next("siteChanged"))["siteChanged"]["event"] for _ in range(2)]
        assert names == ["MEMBERSHIP_UPDATED", "ACCESS_REQUEST_DENIED"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("who", ["anonymous", "stranger", "ended", "requester"])
async def test_who_may_not_see_the_site_is_told_what_they_would_be_told_without_it(
    world: World, server: Server, who: str, transport: str
) -> None:
    place = await world.site()
    if who == "anonymous":
        token = None
    elif who == "requester":
        token = (await world.request(place))[0].token
    else:
        token = (await world.caller(place, who)).token
    expected = "UNAUTHENTICATED" if who == "anonymous" else "NOT_FOUND"
    sites = [place.id, "site_" + uuid4().hex]
    after = {"after": "event_" + "0" * 64}
    for site, more in [(site, more) for site in sites for more in ({}, after)]:
        for query in ALL.values():
            if transport == "sse":
                async with streaming(server, token, query, site=site, **more) as stream:
                    assert await stream.refusal() == expected
            else:
                async with joined(server, token) as socket:
                    await socket.begin("1", query, site=site, **more)
                    assert await socket.refusal() == expected
    assert server.listeners(place) == 0


@pytest.mark.parametrize("after", ["", "nonsense", "event_" + "0" * 64, "event_xyz", "1", "foreign"])
async def test_a_foreign_or_made_up_event_is_refused(world: World, server: Server, after: str) -> None:
    place, other = await world.site(), await world.site()
    await save_contact(place)
    await save_contact(other)
    if after == "foreign":
        after = kinds(await world.events(other))[0][1]
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", EVENTS, site=place.id, after=after)
        assert await socket.refusal() == "BAD_USER_INPUT"
    assert server.listeners(place) == 0


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        (EVENTS, {"site": "nonsense"}, "BAD_USER_INPUT"),
        (EVENTS, {"site": "contact_" + "0" * 32}, "BAD_USER_INPUT"),
        (EVENTS, {}, "BAD_USER_INPUT"),
        (EVENTS, {"site": None}, "BAD_USER_INPUT"),
        (EVENTS, {"site": []}, "BAD_USER_INPUT"),
        ("subscription { siteChanged(", {}, "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        (
            'subscription { a: siteChanged(siteId: "x") { at } b: siteChanged(siteId: "x") { at } }',
            {},
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription A { siteChanged(siteId: 1) { at } } query B { __typename }", {}, "BAD_USER_INPUT"),
        (
            "subscription($site: ID!) { siteChanged(siteId: $site) { site { memberships(first: 101) {"
            " totalCount } } } }",
            "own",
            "BAD_USER_INPUT",
        ),
        (
            "subscription($site: ID!) { siteChanged(siteId: $site) { site { memberships(first: 100) { nodes { site {"
            " memberships(first: 100) { nodes { site { accessRequests { totalCount } } } } } } } } } }",
            "own",
            "BAD_USER_INPUT",
        ),
    ],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_cannot_be_subscribed_to_is_refused_at_once(
    world: World, server: Server, query: str, variables: Any, code: str, transport: str
) -> None:
    place = await world.site()
    variables = {"site": place.id} if variables == "own" else variables
    if transport == "sse":
        async with streaming(server, place.primary.token, query, **variables) as stream:
            assert await stream.refusal() == code
    else:
        async with joined(server, place.primary.token) as socket:
            await socket.begin("1", query, **variables)
            assert await socket.refusal() == code
    assert server.listeners(place) == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_who_is_removed_hears_no_more(world: World, server: Server, transport: str) -> None:
    place = await world.site()
    user, membership_id = await world.member(place)
    async with listening(transport, server, user, SITE, place) as heard:
        await save_contact(place)
        assert await events(heard, 1) == ["CONTACT_CREATED"]
        await place.primary.succeed("removeMembership", membershipId=membership_id)
        await save_contact(place)
        assert await heard.refusal() == "FORBIDDEN"
        await server.heard_by(place, 0)


async def test_who_leaves_hears_no_more(world: World, server: Server) -> None:
    place = await world.site()
    user, _ = await world.member(place)
    async with listening("websocket", server, user, MEMBERSHIPS, place) as heard:
        await user.succeed("leaveSite", siteId=place.id)
        assert await heard.refusal() == "FORBIDDEN"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_whose_membership_ends_by_itself_hears_no_more(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    assert feed.RECHECK <= 5
    monkeypatch.setattr(feed, "RECHECK", 0.05)
    place = await world.site()
    user, _ = await world.member(place, ends_at=ago(seconds=-60))
    with running(create_app(settings)) as server:
        async with listening(transport, server, user, SITE, place) as heard:
            # Time passes: nothing is announced.
            await set_end(world, place, user)
            assert await heard.refusal() == "FORBIDDEN"


async def set_end(world: World, place: Place, user: Person) -> None:
    """Let a membership have ended just now."""
    ended = (
        sa.update(Membership)
        .where(Membership.site_id == place.site_id, Membership.user_id == user.user_id)
        .values(ends_at=ago(seconds=1))
    )
    async with world.database.begin() as connection:
        await connection.execute(ended)


async def test_who_loses_a_level_hears_of_less_from_the_next_event_on(world: World, server: Server) -> None:
    place = await world.site()
    viewer, membership_id = await world.secondary(place, manage_access=VIEW)
    async with listening("websocket", server, viewer, EVENTS, place) as heard:
        person = await world.person()
        await person.succeed("requestAccess", siteNumber=place.number)
        assert await events(heard, 1) == ["ACCESS_REQUESTED"]
        await place.primary.succeed(
            "updateMembership",
            membershipId=membership_id,
            privileges={"accountManagement": {"manageAccess": "NONE"}},
        )
        other = await world.person()
        await other.succeed("requestAccess", siteNumber=place.number)
        await save_contact(place)
        assert await events(heard, 2) == ["MEMBERSHIP_UPDATED", "CONTACT_CREATED"]


def short_lived(world: World, person: Person, seconds: float) -> str:
    """A token that ends in so many seconds."""
    claims = {
        "iss": development.ISSUER,
        "aud": development.AUDIENCE,
        "sub": person.ibm_id.lower(),
        "exp": time.time() + seconds - LEEWAY,
        "preferred_username": person.ibm_id,
        "email": person.ibm_id,
    }
    return jwt.encode({"alg": "ES256"}, claims, development.key(world.settings))


async def test_the_end_of_a_token_closes_the_socket_and_ends_server_sent_events(
    world: World, server: Server
) -> None:
    one, other = await world.site(), await world.site()
    tokens = [short_lived(world, place.primary, 5) for place in (one, other)]
    async with (
        listening("websocket", server, one.primary, EVENTS, one, token=tokens[0]) as plugged,
        listening("sse", server, other.primary, EVENTS, other, token=tokens[1]) as stream,
    ):
        assert isinstance(plugged, Socket)
        for place, heard in ((one, plugged), (other, stream)):
            await save_contact(place)
            assert await events(heard, 1) == ["CONTACT_CREATED"]
        assert await plugged.closed() == (4403, "Forbidden")
        assert await stream.refusal() == "UNAUTHENTICATED"
    for place in (one, other):
        await server.heard_by(place, 0)


BREAK = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name = :name AND datname = current_database()"
)


async def test_nothing_is_lost_while_the_listening_connection_is_down(
    world: World, server: Server, database_url: str
) -> None:
    place = await world.site()
    async with listening("websocket", server, place.primary, EVENTS, place) as heard:
        await save_contact(place)
        assert await events(heard, 1) == ["CONTACT_CREATED"]
        for number in range(3):
            assert await terminate_listeners(database_url) >= 1
            await save_contact(place, f"Name{number}")
            await save_contact(place, f"Other{number}")
        got = await told(heard, 6)
    history = kinds(await world.events(place))[1:]
    assert [(change["event"], change["eventId"]) for change in got] == history


async def test_nothing_is_lost_when_the_listening_connection_falls_silent(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.listening.HEARTBEAT", 0.05)
    place = await world.site()
    async with line_to(world) as (url, silence):
        over_it = settings.model_copy(update={"listen_database_url": SecretStr(url)})
        with running(create_app(over_it)) as server:
            async with listening("websocket", server, place.primary, EVENTS, place) as heard:
                for _ in range(3):
                    await save_contact(place)
                    assert await events(heard, 1) == ["CONTACT_CREATED"]
                    silence()


async def test_nothing_is_lost_however_often_and_whenever_the_connection_breaks(
    world: World, settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.listening.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("app.db.listening.LONGEST_PAUSE", 0.002)
    monkeypatch.setattr("app.db.listening.HEARTBEAT", 0.02)
    place = await world.site()

    breaks = 0

    async def break_off() -> None:
        nonlocal breaks
        statement = sa.text(BREAK)
        engine = create_async_engine(async_url(database_url), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            while breaks < 300:
                breaks += await connection.scalar(statement, {"name": APPLICATION}) or 0
                await asyncio.sleep(breaks % 7 / 1000)
        await engine.dispose()

    with running(create_app(settings)) as server:
        async with listening("websocket", server, place.primary, EVENTS, place) as heard:
            breaking = asyncio.create_task(break_off())
            count = 0
            while not breaking.done():
                await save_contact(place, f"Name{count}")
                count += 1
            await breaking
            await save_contact(place, "at last")
            got = await told(heard, count + 1)
    assert [(change["event"], change["eventId"]) for change in got] == kinds(await world.events(place))


async def terminate_listeners(url: str) -> int:
    """End every listening connection of this database, as soon as there is one; how many there were."""
    statement = sa.text(BREAK)
    engine = create_async_engine(async_url(url), poolclass=NullPool)
    async with asyncio.timeout(20), engine.connect() as connection:
        while not (count := await connection.scalar(statement, {"name": APPLICATION})):
            await connection.rollback()
            await asyncio.sleep(0.01)
    await engine.dispose()
    return int(count)


def in_memory() -> int:
    """How much there is of what a subscription needs."""
    return sum(type(kept) in (Actor, Context, HttpProtocol, Topic) for kept in gc.get_objects())


async def rechecked(server: Server, place: Place) -> None:
    """Wait until the rights of who listens to a site were read anew."""
    (subscriber,) = server.subscriptions.feed.topics[place.site_id].subscribers
    before = subscriber.standings
    await until(lambda: subscriber.standings is not before)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_is_over_is_gone_before_any_garbage_collection(
    world: World, settings: Settings, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which comes so seldom that thousands of subscribers who come and go would fill the memory."""
    monkeypatch.setattr(feed, "RECHECK", 0.001)
    place = await world.site()
    with running(create_app(settings)) as server:
        gc.collect()
        gc.disable()
        try:
            before = in_memory()
            for _ in range(5):
                async with listening(transport, server, place.primary, SITE, place):
                    await rechecked(server, place)
            await until(lambda: not server.connections)
            await until(lambda: in_memory() <= before)
        finally:
            gc.enable()


def answers_in_memory() -> int:
    """How many answers somebody still holds."""
    return sum(type(kept) is Answer for kept in gc.get_objects())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_was_told_is_not_kept_until_the_next_event(
    world: World, server: Server, transport: str
) -> None:
    """Thousands who listen to sites where nothing happens would fill the memory."""
    place = await world.site()
    before = answers_in_memory()
    async with listening(transport, server, place.primary, SITE, place) as heard:
        await save_contact(place)
        assert await events(heard, 1) == ["CONTACT_CREATED"]
        await until(lambda: answers_in_memory() <= before)


async def test_a_change_that_is_taken_back_is_not_told(world: World, server: Server) -> None:
    place = await world.site()
    async with listening("sse", server, place.primary, EVENTS, place) as heard:
        refused = await place.primary.do("createContact", siteId=place.id, **CONTACT | {"country": "XX"})
        assert refused["errors"]
        await save_contact(place)
        assert await events(heard, 1) == ["CONTACT_CREATED"]
    assert len(await world.events(place)) == 1


def narrow(server: Server) -> socket.socket:
    """A connection with hardly any room for what is not read."""
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
    host, port = server.address.split(":")
    plug.connect((host, int(port)))
    plug.setblocking(False)
    return plug


BIG = (
    "subscription($site: ID!) { siteChanged(siteId: $site) { event eventId site { "
    + " ".join(f"c{n}: contacts {{ lastName email id firstName types }}" for n in range(40))
    + " } } }"
)
"""Asks for half a megabyte of a site with many contacts."""


async def many_contacts(world: World, place: Place) -> None:
    """Make a site whose contacts are much to read."""
    for number in range(60):
        await world.contact(place, [ContactType.BILLING], last_name=f"{number} " + "x" * 90)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_takes_nothing_is_given_up(
    world: World,
    server: Server,
    transport: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = await world.site()
    await many_contacts(world, place)
    monkeypatch.setattr(write_timeout, "SECONDS", 0.15)
    async with AsyncExitStack() as stack:
        if transport == "sse":
            await stack.enter_async_context(streaming(server, place.primary.token, BIG, site=place.id))
        else:
            socket = await stack.enter_async_context(joined(server, place.primary.token, max_size=None))
            await socket.begin("1", BIG, site=place.id)
            socket.plug.transport.pause_reading()
        await server.heard_by(place)
        count = 0
        async with asyncio.timeout(3 * PATIENCE):
            while server.listeners(place):
                await save_contact(place)
                count += 1
        assert count > 2
        await until(lambda: not server.connections)
        if transport == "websocket":
            socket.plug.transport.abort()
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_slow_subscriber_is_sent_away_and_costs_the_others_nothing(
    world: World, settings: Settings
) -> None:
    place = await world.site()
    await many_contacts(world, place)
    small = settings.model_copy(update={"subscription_backlog": 3})
    with running(create_app(small)) as server:
        async with (
            joined(server, place.primary.token, max_size=None, sock=narrow(server)) as slow,
            listening("websocket", server, place.primary, EVENTS, place) as quick,
        ):
            await slow.begin("1", BIG, site=place.id)
            await server.heard_by(place, 2)
            slow.plug.transport.pause_reading()
            topic, stuck, since, count = (
                server.subscriptions.feed.topics[place.site_id],
                0,
                time.monotonic(),
                0,
            )
            # Until it has taken nothing for long, and more has happened meanwhile than is held for it.
            while time.monotonic() - since < 2 or topic.position < stuck + 6:
                await save_contact(place, f"Name{count}")
                assert await events(quick, 1) == ["CONTACT_CREATED"]
                count += 1
                furthest_back = min(subscriber.position for subscriber in list(topic.subscribers))
                if furthest_back != stuck:
                    stuck, since = furthest_back, time.monotonic()
            slow.plug.transport.resume_reading()
            got = []
            while (message := await slow.of("1"))["type"] == "next":
                got.append(message["payload"]["data"]["siteChanged"]["eventId"])
            assert message["payload"][0]["extensions"]["code"] == "SLOW_CONSUMER"
            history = [id for _, id in kinds(await world.events(place))]
            assert 0 < len(got) < count
            assert got == history[: len(got)]
            # Told to come back, it finds the rest.
            await slow.begin("2", EVENTS, site=place.id, after=got[-1])
            rest = [(await slow.next("2"))["siteChanged"]["eventId"] for _ in history[len(got) :]]
            assert got + rest == history
            await slow.send(id="2", type="complete")


async def test_a_process_serves_so_many_subscriptions_and_no_more(world: World, settings: Settings) -> None:
    place = await world.site()
    with running(create_app(settings.model_copy(update={"subscriptions_per_process": 2}))) as server:
        async with (
            listening("sse", server, place.primary, EVENTS, place),
            listening("websocket", server, place.primary, EVENTS, place),
            streaming(server, place.primary.token, EVENTS, site=place.id) as third,
        ):
            assert await third.refusal() == "TOO_MANY_SUBSCRIPTIONS"
        await until(lambda: server.subscriptions.running == 0)
        async with listening("sse", server, place.primary, EVENTS, place) as heard:
            await save_contact(place)
            assert await events(heard, 1) == ["CONTACT_CREATED"]


async def test_all_who_come_at_once_are_served(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a server has started anew, and nobody's request is turned away for it."""
    place = await world.site()
    tight = settings.model_copy(update={"database_pool_size": 1})
    with running(create_app(tight)) as server:
        async with joined(server, place.primary.token) as socket:
            await socket.begin("0", EVENTS, site=place.id)
            await server.heard_by(place)
            monkeypatch.setattr(tight, "database_pool_timeout", 0.01)
            for number in range(1, 50):
                await socket.begin(str(number), EVENTS, site=place.id)
            await server.heard_by(place, 50)
        await server.heard_by(place, 0)


async def test_both_ways_of_reading_tell_the_same(world: World, server: Server, second: Server) -> None:
    place = await world.site()
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    query = """subscription($site: ID!, $n: Int!, $yes: Boolean!) { s: siteChanged(siteId: $site) {
      __typename kind: event eventId at ... on SiteChange @include(if: $yes) { site { number
        memberships(first: $n, orderBy: {field: NAME}) { totalCount nodes { user { email } privileges { reporting } } }
        accessRequests { nodes { state site { name } } } first: contacts { ...Names } } } } }
      fragment Names on Contact { lastName types details { phone } }"""
    for person in (place.primary, viewer):
        for values in ({"n": 1, "yes": True}, {"n": 5, "yes": True}, {"n": 1, "yes": False}):
            async with joined(server, person.token) as here, joined(second, person.token) as there:
                for socket in (here, there):
                    await socket.begin("1", query, site=place.id, **values)
                for served in (server, second):
                    await served.heard_by(place)
                await save_contact(place, 'O\'Neil \\ "Ω" 🂡')
                assert await here.next() == await there.next()
    assert server.subscriptions.payloads.plans and not second.subscriptions.payloads.plans


async def test_the_same_person_is_read_for_once(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await world.site()
    payloads = server.subscriptions.payloads
    read, most = payloads._payload, []

    async def counting(*given: Any) -> Any:
        most.append(given)
        return await read(*given)

    monkeypatch.setattr(payloads, "_payload", counting)
    async with joined(server, place.primary.token) as socket, joined(server, place.primary.token) as other:
        for id in ("1", "2"):
            await socket.begin(id, SITE, site=place.id)
            await other.begin(id, SITE, site=place.id)
        await server.heard_by(place, 4)
        await save_contact(place)
        answers = [await line.next(id) for line in (socket, other) for id in ("1", "2")]
        assert all(answer == answers[0] for answer in answers)
    assert len(most) == 1
    await until(lambda: payloads.reading == {})


async def test_what_cannot_be_read_for_who_has_left_is_nobodys_concern(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = await world.site()

    async def fail(*_: Any) -> None:
        await until(lambda: not server.listeners(place))
        raise ConnectionError

    monkeypatch.setattr(Payloads, "_payload", fail)
    reading = server.subscriptions.payloads.reading
    async with listening("websocket", server, place.primary, EVENTS, place):
        await save_contact(place)
        await until(lambda: bool(reading))
    await until(lambda: not reading)
    gc.collect()
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_contacts_and_others_stay_unseen_in_what_is_told_of_the_site(
    world: World, server: Server
) -> None:
    place = await world.site()
    user, _ = await world.member(place)
    async with listening("sse", server, user, SITE, place) as heard:
        await save_contact(place)
        [change] = await told(heard)
        assert change["site"]["id"] == place.id
        assert {contact["details"] for contact in change["site"]["contacts"]} == {None}
        assert change["site"]["viewerMembership"] == {"role": "USER"}
    parsed = parse_id(place.id)
    assert parsed and len(await world.rows(Contact, Contact.site_id == parsed[1])) == 2


async def test_an_event_of_a_newer_release_is_passed_over(
    empty_database: AsyncEngine, settings: Settings, world: World
) -> None:
    url = empty_database.url.render_as_string(hide_password=False)
    await administer(url, "ALTER TYPE event ADD VALUE 'SOMETHING_NEW'")
    own = settings.model_copy(update={"database_url": SecretStr(url)})
    app = create_app(own)
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        elsewhere = World(empty_database, client, settings)
        place = await elsewhere.site()
        with running(create_app(own)) as server:
            async with listening("websocket", server, place.primary, EVENTS, place) as heard:
                async with empty_database.begin() as connection:
                    await connection.execute(
                        sa.text(
                            "INSERT INTO history_event (stream, site_id, event, actor_name, subject_type, subject_id,"
                            " subject_name) VALUES (:site, :site, 'SOMETHING_NEW', 'somebody', 'site', :site, 'x')"
                        ),
                        {"site": place.site_id},
                    )
                await save_contact(place)
                assert await events(heard, 1) == ["CONTACT_CREATED"]
        execution = app.routes[0].endpoint.execution  # type: ignore[attr-defined]
        await execution.pool.close()
        await execution.writes.close()
