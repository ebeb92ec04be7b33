"""The protocol graphql-transport-ws, message by message and code by code."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import sqlalchemy as sa
from websockets.exceptions import ConnectionClosed

from app.config import Settings
from app.context import Context
from app.db.models import Site
from app.execution import Execution
from app.server import create_app
from tests.live import PATIENCE, PROTOCOL, Server, joined, plugged, running, until
from tests.world import CONTACT, World

VIEWER = "{ viewer { user { email } } }"
EVENTS = "subscription($site: ID!) { siteChanged(siteId: $site) { event eventId } }"
CREATE = "mutation($input: CreateContactInput!) { createContact(input: $input) { errors { code } } }"
LIMIT = 5_000


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server that takes short messages, few operations, and has a little patience."""
    tight = {"request_size_limit": LIMIT, "subscriptions_per_socket": 3, "connection_init_timeout": 3}
    with running(create_app(settings.model_copy(update=tight))) as server:
        yield server


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "nonsense"])
async def test_another_protocol_is_not_spoken(server: Server, protocol: str | None) -> None:
    async with plugged(server, None, *filter(None, [protocol])) as socket:
        assert socket.plug.subprotocol is None
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


async def test_the_protocol_is_chosen_among_others(server: Server) -> None:
    async with plugged(server, None, "graphql-ws", "graphql-transport-ws") as socket:
        assert socket.plug.subprotocol == "graphql-transport-ws"
        await socket.initialise()


async def test_who_does_not_begin_is_sent_away(server: Server) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        assert await socket.closed() == (4408, "Connection initialisation timeout")


async def test_a_connection_begins_once(server: Server) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.initialise()
        await socket.send(type="connection_init")
        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_nothing_is_executed_before_the_connection_has_begun(server: Server) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.begin("1", "{ __typename }")
        assert await socket.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize(
    "authorization", ["Bearer nonsense", "Basic eDp5", "Bearer ", "", "é", "Bearer \ud800"]
)
async def test_a_token_that_is_not_valid_is_forbidden(server: Server, authorization: str) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.send(type="connection_init", payload={"authorization": authorization})
        assert await socket.closed() == (4403, "Forbidden")
    if authorization.isascii() and authorization.strip():
        async with plugged(server, {"Authorization": authorization}, PROTOCOL) as socket:
            await socket.send(type="connection_init")
            assert await socket.closed() == (4403, "Forbidden")


async def test_the_caller_is_named_in_the_message_or_in_the_upgrade(world: World, server: Server) -> None:
    person, other = await world.person(), await world.person()
    mine = {"data": {"viewer": {"user": {"email": person.ibm_id}}}}
    for headers, payload in (
        ({}, {"authorization": f"Bearer {person.token}"}),
        ({}, {"Authorization": f"bearer {person.token}", "other": [1]}),
        ({"Authorization": f"Bearer {person.token}"}, {}),
        ({"Authorization": f"Bearer {person.token}"}, None),
        ({"Authorization": f"Bearer {other.token}"}, {"authorization": f"Bearer {person.token}"}),
    ):
        async with plugged(server, headers, PROTOCOL) as socket:
            await socket.send(type="connection_init", payload=payload)
            assert await socket.receive() == {"type": "connection_ack"}
            await socket.begin("1", VIEWER)
            assert await socket.receive() == {"id": "1", "type": "next", "payload": mine}
            assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_without_a_token_only_public_things_are_told(server: Server) -> None:
    async with joined(server, None) as socket:
        await socket.begin("1", "{ viewer { user { id } } privilegeCatalog { applications { editable } } }")
        data = await socket.next()
        assert data["viewer"] is None and len(data["privilegeCatalog"]["applications"]) == 8
        assert await socket.of("1") == {"id": "1", "type": "complete"}
        await socket.begin("2", EVENTS, site="site_" + "0" * 32)
        assert await socket.refusal("2") == "UNAUTHENTICATED"


NONSENSE: list[Any] = [
    "nonsense",
    "",
    "[]",
    "1",
    "null",
    '"ping"',
    "{}",
    '{"type": 1}',
    '{"type": null}',
    '{"type": "nonsense"}',
    '{"type": "start", "id": "1", "payload": {"query": "{ __typename }"}}',
    '{"type": "connection_ack"}',
    '{"type": "next", "id": "1", "payload": {}}',
    '{"type": "ping", "payload": 1}',
    '{"type": "ping", "payload": []}',
    '{"type": "pong", "payload": "x"}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 1}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}',
    '{"type": "subscribe", "id": "1", "payload": []}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "operationName": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "extensions": "x"}}',
    '{"type": "ping", "type": "pong"}',
    '{"type": "ping", "payload": {"a": NaN}}',
    '{"type": "ping", "payload": {"a": 1e999}}',
    "[" * 2_000 + "]" * 2_000,
    b'{"type": "ping"}',
    b"\xff",
]


@pytest.mark.parametrize("message", NONSENSE)
async def test_what_is_no_message_closes_the_socket(server: Server, message: str | bytes) -> None:
    async with joined(server, None) as socket:
        await socket.plug.send(message)
        code, reason = await socket.closed()
        assert code == 4400 and reason


@pytest.mark.parametrize("payload", [1, [], "x", True])
async def test_a_connection_begins_with_an_object_or_nothing(server: Server, payload: Any) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.send(type="connection_init", payload=payload)
        assert (await socket.closed())[0] == 4400


async def test_a_message_has_a_largest_size(server: Server) -> None:
    async with joined(server, None) as socket:
        longest = json.dumps({"type": "ping", "payload": {"a": ""}})
        fitting = longest.replace('""', '"' + "x" * (LIMIT - len(longest)) + '"')
        await socket.plug.send(fitting)
        assert (await socket.receive())["type"] == "pong"
        await socket.plug.send(fitting + " ")
        assert await socket.closed() == (1009, f"A message has at most {LIMIT} bytes.")


async def test_pings_are_answered_with_what_they_hold(server: Server) -> None:
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.send(type="ping", payload={"é": [1, None]})
        assert await socket.receive() == {"type": "pong", "payload": {"é": [1, None]}}
        await socket.send(type="pong", payload={})
        await socket.send(type="pong")
        await socket.send(type="ping", payload=None)
        assert await socket.receive() == {"type": "pong"}


async def test_an_id_is_used_once_at_a_time(world: World, server: Server) -> None:
    place = await world.site()
    async with joined(server, place.primary.token) as socket:
        await socket.begin("é", VIEWER)
        assert (await socket.of("é"))["type"] == "next"
        assert (await socket.of("é"))["type"] == "complete"
        await socket.begin("é", EVENTS, site=place.id)
        await server.heard_by(place)
        await socket.send(id="é", type="complete")
        await server.heard_by(place, 0)
        await socket.begin("é", EVENTS, site=place.id)
        await server.heard_by(place)
        await socket.begin("é", VIEWER)
        assert await socket.closed() == (4409, "Subscriber for é already exists")
    await server.heard_by(place, 0)


async def test_a_long_id_is_cut_in_the_reason_for_closing(world: World, server: Server) -> None:
    place, id = await world.site(), "é" * 200
    async with joined(server, place.primary.token) as socket:
        await socket.begin(id, EVENTS, site=place.id)
        await server.heard_by(place)
        await socket.begin(id, EVENTS, site=place.id)
        code, reason = await socket.closed()
        assert code == 4409 and reason.startswith("Subscriber for éé") and len(reason.encode()) <= 123


async def test_stopping_what_is_not_there_is_no_fault(world: World, server: Server) -> None:
    async with joined(server, None) as socket:
        await socket.send(id="never", type="complete")
        await socket.begin("1", "{ __typename }")
        assert await socket.next() == {"__typename": "Query"}


async def test_a_stopped_subscription_tells_nothing_more(world: World, server: Server) -> None:
    place = await world.site()
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", EVENTS, site=place.id)
        await socket.begin("2", EVENTS, site=place.id)
        await server.heard_by(place, 2)
        await socket.send(id="1", type="complete")
        await server.heard_by(place, 1)
        await place.primary.succeed("createContact", siteId=place.id, **CONTACT)
        assert (await socket.receive())["id"] == "2"
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


async def test_mutations_and_errors_are_told_as_by_http(world: World, server: Server) -> None:
    place = await world.site()
    input = {"siteId": place.id, **CONTACT}
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", CREATE, input=input)
        assert await socket.next() == {"createContact": {"errors": []}}
        assert (await socket.of("1"))["type"] == "complete"
        await socket.begin("2", CREATE, input=input | {"country": "XX"})
        assert await socket.next("2") == {"createContact": {"errors": [{"code": "INVALID_COUNTRY"}]}}
        for id, query, code in (
            ("3", "{", "GRAPHQL_PARSE_FAILED"),
            ("4", " ", "GRAPHQL_PARSE_FAILED"),
            ("5", "{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("6", "query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
            ("7", "query($id: ID!) { node(id: $id) { id } }", "BAD_USER_INPUT"),
            ("8", "{ a " * 30 + "}" * 30, "GRAPHQL_VALIDATION_FAILED"),
        ):
            await socket.begin(id, query)
            assert await socket.refusal(id) == code
        await socket.begin("9", '{ site(id: "nonsense") { id } }')
        message = await socket.of("9")
        assert (message["type"], message["payload"]["data"]) == ("next", {"site": None})
        assert message["payload"]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert len(await world.events(place)) == 1


async def test_the_language_is_that_of_the_upgrade(world: World, server: Server) -> None:
    person = await world.person()
    document = 'mutation { leaveSite(input: {siteId: "x"}) { errors { message } } }'
    headers = {"Accept-Language": "fr", "Authorization": f"Bearer {person.token}"}
    async with plugged(server, headers, PROTOCOL) as socket:
        await socket.initialise()
        await socket.begin("1", document)
        [error] = (await socket.next())["leaveSite"]["errors"]
        assert "identifiant" in error["message"]


async def test_rights_are_those_of_each_operation(world: World, server: Server) -> None:
    place = await world.site()
    user, membership_id = await world.member(place)
    query = "query($site: ID!) { site(id: $site) { id } }"
    async with joined(server, user.token) as socket:
        await socket.begin("1", query, site=place.id)
        assert await socket.next() == {"site": {"id": place.id}}
        await place.primary.succeed("removeMembership", membershipId=membership_id)
        await socket.begin("2", query, site=place.id)
        assert await socket.next("2") == {"site": None}


async def test_a_socket_has_so_many_operations_and_no_more(world: World, server: Server) -> None:
    place = await world.site()
    async with joined(server, place.primary.token) as socket:
        for number in range(3):
            await socket.begin(str(number), EVENTS, site=place.id)
        await socket.begin("more", VIEWER)
        assert await socket.refusal("more") == "TOO_MANY_SUBSCRIPTIONS"
        await server.heard_by(place, 3)
        await socket.send(id="0", type="complete")
        await server.heard_by(place, 2)
        await socket.begin("more", VIEWER)
        assert (await socket.next("more"))["viewer"]["user"]


async def test_what_was_begun_is_finished_though_the_client_stops_it_or_leaves(
    world: World, server: Server
) -> None:
    place = await world.site()
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", CREATE, input={"siteId": place.id, **CONTACT})
        await socket.send(id="1", type="complete")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.begin("2", CREATE, input={"siteId": place.id, **CONTACT})
        await socket.begin("3", EVENTS, site=place.id)
        await server.heard_by(place)
    await server.heard_by(place, 0)
    await until(lambda: not server.subscriptions.running)
    async with asyncio.timeout(PATIENCE):
        while len(events := await world.events(place)) < 2:
            pass
    assert [event.event for event in events] == ["CONTACT_CREATED"] * 2


async def test_an_unexpected_error_is_masked(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the password is secret")

    place = await world.site()
    monkeypatch.setattr(Context, "accept", fail)
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", EVENTS, site=place.id)
        message = await socket.of("1")
    assert message["payload"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in json.dumps(message)
    assert message["payload"][0]["extensions"]["errorId"] in capsys.readouterr().out
    assert server.listeners(place) == 0


async def test_a_client_that_vanishes_leaves_nothing_behind(world: World, server: Server) -> None:
    place = await world.site()
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", EVENTS, site=place.id)
        await server.heard_by(place)
        socket.plug.transport.abort()
        await server.heard_by(place, 0)
        with pytest.raises(ConnectionClosed):
            await socket.plug.recv()
    await until(lambda: place.site_id not in server.subscriptions.feed.topics)


async def test_sockets_are_closed_when_the_server_ends(world: World, settings: Settings) -> None:
    place = await world.site()
    async with AsyncExitStack() as stack:
        with running(create_app(settings)) as server:
            socket = await stack.enter_async_context(joined(server, place.primary.token))
            await socket.begin("1", EVENTS, site=place.id)
            await server.heard_by(place)
        code, _ = await socket.closed()
        assert code == 1012
    assert server.subscriptions.running == 0


async def test_a_socket_that_is_closed_at_once_leaves_nothing_behind(world: World, server: Server) -> None:
    place = await world.site()
    for _ in range(20):
        async with joined(server, place.primary.token) as socket:
            await socket.begin("1", EVENTS, site=place.id)
            await socket.send(id="1", type="complete")
            await socket.begin("1", EVENTS, site=place.id)
    await until(lambda: not server.subscriptions.running and not server.listeners(place))


async def test_an_issuer_that_does_not_answer_is_no_refusal(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = {"oidc_issuer": "http://127.0.0.1:9", "oidc_audience": "x", "database_url": database_url}
    with running(create_app(Settings(**nobody, development=False))) as server:
        async with plugged(server, None, PROTOCOL) as socket:
            token = "e30.e30.e30"
            await socket.send(type="connection_init", payload={"authorization": f"Bearer {token}"})
            assert (await socket.closed())[0] == 1013


async def test_an_unexpected_error_closes_the_socket_and_can_be_found_in_the_log(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the password is secret")

    monkeypatch.setattr(Execution, "identity", fail)
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.send(type="connection_init")
        assert await socket.closed() == (4500, "Internal server error")
    assert "error_id" in capsys.readouterr().out


async def test_a_socket_is_closed_at_once_though_something_still_runs(world: World, server: Server) -> None:
    place = await world.site()
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with joined(server, place.primary.token) as socket:
        async with world.database.begin() as connection:
            await connection.execute(sa.select(Site).where(Site.id == place.site_id).with_for_update())
            await socket.begin("1", CREATE, input={"siteId": place.id, **CONTACT})
            async with asyncio.timeout(PATIENCE):
                while not await connection.scalar(waiting):
                    pass
            await socket.plug.send("nonsense")
            assert (await socket.closed())[0] == 4400
            assert await world.events(place) == []
        async with asyncio.timeout(PATIENCE):
            while not await world.events(place):
                pass


async def test_an_upgrade_has_so_many_headers_and_no_more(server: Server) -> None:
    async with plugged(server, {f"X-{number}": "x" for number in range(101)}, PROTOCOL) as socket:
        code, reason = await socket.closed()
        assert code == 4400 and "header" in reason
