"""The answer: its media type, status, headers and bytes, in both profiles of GraphQL over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from app.config import Settings
from app.http_response import NO_DATA, PROFILES, Answer, HttpFault, negotiate, to_json
from app.server import create_app
from tests.transport import JSON, code
from tests.world import World

MODERN, LEGACY = "application/graphql-response+json", "application/json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
LABELS = "query($language: Language) { privilegeCatalog { applications { label(language: $language) } } }"
ACCEPTED = [
    (MODERN, MODERN),
    (LEGACY, LEGACY),
    (f"{MODERN}, {LEGACY};q=0.9", MODERN),
    (f"{LEGACY};q=0.9, {MODERN}", MODERN),
    (f"{LEGACY}, {MODERN}", MODERN),
    (f"{LEGACY}, {MODERN};q=0.5", LEGACY),
    (f"{LEGACY};q=0, {MODERN};q=0.001", MODERN),
    (f"{LEGACY}, text/plain, */*", LEGACY),
    (f"{LEGACY};q=0.1, */*", MODERN),
    (f"{MODERN};q=0, */*", LEGACY),
    (f"{LEGACY};q=0, application/*", MODERN),
    ("APPLICATION/JSON ; Q=0.7", LEGACY),
    (f"{LEGACY}; charset=utf-8", LEGACY),
    (f'{MODERN};charset="UTF-8"', MODERN),
    (f"multipart/mixed;deferSpec=20220824, {MODERN}, {LEGACY}", MODERN),
    (f"{MODERN}, application/graphql+json, {LEGACY}, text/event-stream, multipart/mixed", MODERN),
    (f"{MODERN};q=oops, {LEGACY};q=0.1", LEGACY),
    (f"{MODERN};q=7, {LEGACY};q=0.1", LEGACY),
    (f"nonsense, ;;q=, {LEGACY}", LEGACY),
]
ANYTHING = [None, "", "*/*", "application/*", "*/*;q=0.1", BROWSER]
NOTHING = [
    "text/html",
    "application/json;q=0",
    "*/*;q=0",
    "image/*",
    "application/json; charset=latin-1",
    "x",
]
UNREADABLE: list[tuple[str, bytes]] = [
    ("no JSON", b"{"),
    ("no GraphQL", b'{"query": "{"}'),
    ("no document", b'{"query": " "}'),
]
REFUSED: list[tuple[str, Any]] = [
    ("a batch", []),
    ("no object", 1),
    ("no query", {"qeury": "{ __typename }"}),
    ("query of a wrong type", {"query": 1}),
    ("variables of a wrong type", {"query": "{ __typename }", "variables": [7]}),
    ("operationName of a wrong type", {"query": "{ __typename }", "operationName": 7}),
    ("extensions of a wrong type", {"query": "{ __typename }", "extensions": 7}),
    ("invalid", {"query": "{ nothing }"}),
    ("too large", {"query": "{ a " * 30 + "}" * 30}),
    ("no such operation", {"query": "query A { __typename }", "operationName": "B"}),
    ("two operations", {"query": "query A { __typename } query B { __typename }"}),
    ("no value for a variable", {"query": "query($id: ID!) { node(id: $id) { id } }"}),
]


@pytest.fixture(scope="module")
async def draft(settings: Settings) -> AsyncIterator[AsyncClient]:
    """Speaks HTTP with the application as it is under the profile of the draft."""
    app = create_app(settings.model_copy(update={"http_profile": "draft-2026"}))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client,
    ):
        yield client


async def post(client: AsyncClient, body: Any, accept: str | None = MODERN) -> Response:
    """The response to a body, in a media type of those that are accepted."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = client.build_request("POST", "/graphql", content=content, headers=JSON)
    del request.headers["Accept"]
    if accept is not None:
        request.headers["Accept"] = accept
    return await client.send(request)


def media_type(response: Response) -> str:
    """The media type of a response, which is UTF-8 in any case."""
    name, _, charset = response.headers["content-type"].partition("; ")
    assert charset == ("charset=utf-8" if name == MODERN else "")
    return str(name)


@pytest.mark.parametrize(("accept", "expected"), ACCEPTED)
async def test_the_answer_is_in_the_media_type_that_is_liked_best(
    client: AsyncClient, draft: AsyncClient, accept: str, expected: str
) -> None:
    for service in (client, draft):
        response = await post(service, {"query": "{ __typename }"}, accept)
        assert (response.status_code, media_type(response)) == (200, expected)


@pytest.mark.parametrize("accept", ANYTHING)
async def test_who_takes_anything_gets_what_the_profile_prefers(
    client: AsyncClient, draft: AsyncClient, accept: str | None
) -> None:
    assert media_type(await post(client, {"query": "{ __typename }"}, accept)) == LEGACY
    assert media_type(await post(draft, {"query": "{ __typename }"}, accept)) == MODERN


@pytest.mark.parametrize("accept", NOTHING)
async def test_who_takes_neither_media_type_is_told_so_and_nothing_is_done(
    client: AsyncClient, draft: AsyncClient, accept: str
) -> None:
    for service in (client, draft):
        response = await post(service, {"query": "{ __typename }"}, accept)
        assert (response.status_code, code(response)) == (406, "BAD_USER_INPUT")
        assert "data" not in response.json()


async def test_several_fields_of_accept_are_one_list(client: AsyncClient) -> None:
    headers = [("Accept", "text/html"), ("Accept", MODERN), ("Content-Type", LEGACY)]
    response = await client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert media_type(response) == MODERN


@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=60)
    | st.text('*/,;=q01."', max_size=30)
)
async def test_no_accept_at_all_breaks_the_service(client: AsyncClient, accept: str) -> None:
    headers = [(b"accept", accept.encode("latin-1"))]
    response = await client.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    assert response.status_code in (200, 406)


def test_a_value_of_accept_is_weighed_once() -> None:
    profile = PROFILES["current"]
    assert negotiate(b"application/json;q=0.123", profile) is negotiate(b"application/json;q=0.123", profile)
    with pytest.raises(HttpFault):
        negotiate(b"text/html", profile)


@pytest.mark.parametrize(("_name", "body"), UNREADABLE)
@pytest.mark.parametrize("accept", [MODERN, LEGACY])
async def test_what_cannot_be_parsed_is_a_bad_request_in_both_profiles(
    client: AsyncClient, draft: AsyncClient, accept: str, _name: str, body: bytes
) -> None:
    for service in (client, draft):
        response = await post(service, body, accept)
        assert response.status_code == 400
        assert response.json().keys() == {"errors"}


@pytest.mark.parametrize(("_name", "body"), REFUSED)
@pytest.mark.parametrize("accept", [MODERN, LEGACY])
async def test_what_can_be_parsed_and_is_wrong_has_a_status_of_its_own_in_the_draft(
    client: AsyncClient, draft: AsyncClient, accept: str, _name: str, body: Any
) -> None:
    response = await post(client, body, accept)
    assert (response.status_code, media_type(response)) == (400, accept)
    of_the_draft = await post(draft, body, accept)
    assert (of_the_draft.status_code, media_type(of_the_draft)) == (422, MODERN)
    assert response.json() == of_the_draft.json()
    assert response.json().keys() == {"errors"}


@pytest.mark.parametrize(
    ("accept", "current", "of_the_draft"), [(MODERN, 200, 294), (LEGACY, 200, 200), ("*/*", 200, 294)]
)
async def test_data_with_errors_is_a_success(
    client: AsyncClient, draft: AsyncClient, accept: str, current: int, of_the_draft: int
) -> None:
    body = {"query": '{ __typename site(number: "1") { id } }'}
    for service, status in ((client, current), (draft, of_the_draft)):
        response = await post(service, body, accept)
        assert response.status_code == status
        assert response.json()["data"] == {"__typename": "Query", "site": None}
        assert code(response) == "UNAUTHENTICATED"
        # The errors come first, where nobody overlooks them.
        assert response.text.startswith('{"errors":')


async def test_null_as_data_is_a_success_as_well(client: AsyncClient, draft: AsyncClient) -> None:
    body = {"query": '{ nodes(ids: ["x"]) { id } }'}
    for service, status in ((client, 200), (draft, 294)):
        response = await post(service, body)
        assert response.status_code == status
        assert response.json()["data"] is None
        assert code(response) == "UNAUTHENTICATED"


async def test_statuses_of_http_itself_are_the_same_in_both_profiles(
    client: AsyncClient, draft: AsyncClient
) -> None:
    query = {"query": "{ __typename }"}
    for service in (client, draft):
        mutation = {"query": 'mutation { leaveSite(input: {siteId: "x"}) { errors { code } } }'}
        unknown = await service.post("/graphql", json=query, headers={"Authorization": "Bearer x"})
        assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, "Bearer")
        assert (await service.get("/graphql", params=mutation)).status_code == 405
        assert (await service.delete("/graphql")).status_code == 405
        assert (await service.post("/graphql", content=b" " * 200_000, headers=JSON)).status_code == 413
        assert (await service.post("/graphql", content=b"query=a")).status_code == 415


async def test_a_database_that_is_away_is_no_fault_of_the_caller(settings: Settings, world: World) -> None:
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://a@127.0.0.1:1/a")})
    app = create_app(nowhere)
    token = (await world.person()).token
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        response = await client.post(
            "/graphql",
            json={"query": "{ viewer { user { id } } }"},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert (response.status_code, code(response)) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("query", ["{ __typename }", "{ nothing }", "{"])
async def test_nobody_keeps_an_answer_or_guesses_what_it_is(client: AsyncClient, query: str) -> None:
    for response in (
        await client.post("/graphql", json={"query": query}),
        await client.get("/graphql", params={"query": query}),
        await client.options("/graphql"),
        await client.put("/graphql"),
    ):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["vary"] == "Accept, Accept-Language, Authorization"


async def test_the_answer_is_compact_and_readable(client: AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": '{ __type(name: "Site") { name } }'})
    assert response.content == b'{"data":{"__type":{"name":"Site"}}}'
    response = await client.post("/graphql", json={"query": LABELS, "variables": {"language": "FR"}})
    assert "é".encode() in response.content


@pytest.mark.parametrize("value", ["é", "\ud800", "\u2028", "🂡", '"\\\n\x00'])
async def test_what_the_caller_sent_is_told_as_it_was(client: AsyncClient, value: str) -> None:
    response = await post(client, {"query": LABELS, "variables": {"language": value}})
    assert value in json.loads(response.content)["errors"][0]["message"]


def test_ready_json_is_passed_on_as_it_is() -> None:
    error = {"message": "é\ud800", "extensions": {"code": "X"}}
    assert Answer([b'{"a":', b"1}"]).body() == b'{"data":{"a":1}}'
    assert Answer({"a": 1}).body() == b'{"data":{"a":1}}'
    assert Answer(None, [error]).body().endswith(b',"data":null}')
    assert Answer(NO_DATA, [error]).body() == b'{"errors":' + to_json([error]) + b"}"
    assert json.loads(Answer([b'{"a":1}'], [error]).body()) == {"errors": [error], "data": {"a": 1}}


@given(st.recursive(st.text(st.characters(exclude_categories=())) | st.integers(), st.lists))
def test_whatever_text_there_is_it_arrives(value: Any) -> None:
    assert json.loads(to_json(value)) == value


def test_what_json_cannot_hold_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))


@pytest.mark.parametrize("engine", [True, False])
async def test_a_service_without_a_free_connection_says_that_it_is_busy(
    settings: Settings, world: World, engine: bool
) -> None:
    person = await world.person()
    await person.ask("{ viewer { user { id } } }")
    tight = {"database_pool_size": 1, "database_pool_timeout": 0.05, "read_engine": engine}
    app = create_app(settings.model_copy(update=tight))
    execution = app.routes[0].endpoint.execution  # type: ignore[attr-defined]
    body, headers = {"query": "{ viewer { user { id } } }"}, {"Authorization": f"Bearer {person.token}"}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client,
    ):
        assert "errors" not in (await client.post("/graphql", json=body, headers=headers)).json()
        held = execution.pool.connection()
        async with held:
            response = await client.post("/graphql", json=body, headers=headers)
    assert code(response) == "SERVICE_UNAVAILABLE"
