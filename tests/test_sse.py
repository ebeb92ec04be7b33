"""Server-sent events on the wire: when they are chosen, how they look, and how they end."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Response

from app.config import Settings
from app.live import sse
from app.server import create_app
from tests.live import PATIENCE, Server, running, streaming, until
from tests.world import CONTACT, Person, Place, World

EVENTS = "subscription($site: ID!) { siteChanged(siteId: $site) { event eventId } }"
URQL_QUERY = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream,"
    " multipart/mixed"
)
CREATE = "mutation($input: CreateContactInput!) { createContact(input: $input) { errors { code } } }"


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server on the shared database."""
    with running(create_app(settings)) as server:
        yield server


async def ask(server: Server, person: Person | None, accept: str, query: str, **variables: Any) -> Response:
    """The whole response to a call."""
    headers = {"Accept": accept} | ({"Authorization": f"Bearer {person.token}"} if person else {})
    async with server.client() as client:
        return await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


async def save_contact(place: Place) -> None:
    """Make something happen."""
    await place.primary.succeed("createContact", siteId=place.id, **CONTACT)


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "TEXT/Event-Stream; q=0.5",
        "text/event-stream, multipart/mixed",
        "text/event-stream;charset=utf-8",
        URQL_QUERY,
        "application/json, text/event-stream;q=0.1",
        "*/*, text/event-stream",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_subscribes_and_takes_events_is_sent_events(
    world: World, server: Server, accept: str, method: str
) -> None:
    place = await world.site()
    token = place.primary.token
    async with streaming(server, token, EVENTS, method=method, accept=accept, site=place.id) as stream:
        await server.heard_by(place)
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-content-type-options"] == "nosniff"
        await save_contact(place)
        assert (await stream.next())["siteChanged"]["event"] == "CONTACT_CREATED"
    await server.heard_by(place, 0)


@pytest.mark.parametrize(
    "accept", [URQL_QUERY, "application/json, text/event-stream", "text/event-stream, */*"]
)
async def test_queries_and_faults_of_who_takes_json_too_are_answered_in_json(
    world: World, server: Server, accept: str
) -> None:
    person = await world.person()
    response = await ask(server, person, accept, "{ __typename }")
    assert response.headers["content-type"].startswith("application/")
    assert response.json() == {"data": {"__typename": "Query"}}
    for query in ("{", "{ nothing }", "subscription { nothing }"):
        response = await ask(server, person, accept, query)
        assert (response.status_code, "errors" in response.json()) == (400, True)


async def test_who_takes_nothing_but_events_is_answered_with_one(world: World, server: Server) -> None:
    place = await world.site()
    response = await ask(server, None, "text/event-stream", "{ __typename }")
    assert response.status_code == 200
    assert (
        response.content
        == b'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'
    )
    response = await ask(
        server, place.primary, "text/event-stream", CREATE, input={"siteId": place.id, **CONTACT}
    )
    assert b'"data":{"createContact":{"errors":[]}}' in response.content
    assert len(await world.events(place)) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ a " * 30 + "}" * 30, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ('{ site(number: "1") { id } }', "UNAUTHENTICATED"),
    ],
)
async def test_who_takes_nothing_but_events_is_told_of_faults_by_one(
    server: Server, query: str, code: str
) -> None:
    response = await ask(server, None, "text/event-stream", query)
    assert response.status_code == 200
    kind, data, _, *end = response.text.split("\n")
    assert (kind, end) == ("event: next", ["event: complete", "data:", "", ""])
    assert json.loads(data.removeprefix("data: "))["errors"][0]["extensions"]["code"] == code


async def test_misused_http_has_its_status_also_for_who_takes_only_events(server: Server) -> None:
    headers = {"Accept": "text/event-stream"}
    async with server.client() as client:
        for status, response in (
            (
                400,
                await client.post(
                    "/graphql", content=b"{", headers=headers | {"Content-Type": "application/json"}
                ),
            ),
            (
                415,
                await client.post(
                    "/graphql", content=b"{}", headers=headers | {"Content-Type": "text/plain"}
                ),
            ),
            (405, await client.put("/graphql", json={}, headers=headers)),
            (
                405,
                await client.get(
                    "/graphql",
                    params={"query": 'mutation { leaveSite(input: {siteId: "x"}) { errors { code } } }'},
                    headers=headers,
                ),
            ),
            (405, await client.head("/graphql", params={"query": EVENTS}, headers=headers)),
        ):
            assert response.status_code == status
            assert response.headers["content-type"] == "application/json"


async def test_lines_end_with_a_line_feed_and_silence_is_broken(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    place = await world.site()
    received = b""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {place.primary.token}"}
    body = {"query": EVENTS, "variables": {"site": place.id}}
    async with (
        asyncio.timeout(PATIENCE),
        server.client() as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as response,
    ):
        parts = response.aiter_raw()
        while received.count(b":\n\n") < 3:
            received += await anext(parts)
        assert received.replace(b":\n\n", b"") == b""
        await save_contact(place)
        while b"data: " not in received:
            received += await anext(parts)
        [row] = await world.events(place)
        event = b'event: next\ndata: {"data":{"siteChanged":{"event":"CONTACT_CREATED","eventId":"event_%b"}}}\n\n'
        assert received.replace(b":\n\n", b"") == event % row.hash.hex().encode()


async def test_a_client_that_leaves_leaves_nothing_behind(
    world: World, server: Server, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    place = await world.site()
    for _ in range(5):
        async with streaming(server, place.primary.token, EVENTS, site=place.id):
            pass
    async with streaming(server, place.primary.token, EVENTS, site=place.id):
        await server.heard_by(place)
    await until(lambda: not server.subscriptions.running and not server.listeners(place))
    await until(lambda: place.site_id not in server.subscriptions.feed.topics)
    assert capsys.readouterr().out == ""
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
