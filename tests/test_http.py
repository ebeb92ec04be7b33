"""The door: no body, header or method of any kind gets past it with a 500; what is well-formed does."""

import gzip
import json

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.config import Settings
from app.server import create_app
from tests.transport import JSON, code
from tests.world import World

BODIES: list[bytes] = [
    b"",
    b"null",
    b'"x"',
    b"1",
    b"[]",
    b"[{}]",
    b"{}",
    b"{",
    b"\xff\xfe",
    b'{"query": 1}',
    b'{"query": ""}',
    b'{"query": null}',
    b'{"query": "{ __typename }", "variables": []}',
    b'{"query": "{ __typename }", "variables": "x"}',
    b'{"query": "{ __typename }", "operationName": 1}',
    b'{"query": "{ __typename }", "extensions": 1}',
    b'{"query": "{ __typename }", "query": "{ a }"}',
    b'{"query": "{ __typename }", "variables": {"a": ' + b"1" * 5000 + b"}}",
    b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    b'{"query": "{ __typename }", "variables": {"a": -Infinity}}',
    b'{"query": "{ __typename }", "variables": {"a": 1e999}}',
    b'{"query": "{ __typename }", "variables": {"a": 1, "a": 2}}',
    b'{"query": "{ __typename }"} {}',
    b'{"query": "\xed\xa0\x80"}',
    b"\xef\xbb\xbf" + b'{"query": "{ __typename }"}',
    '{"query": "{ __typename }"}'.encode("utf-16"),
    b'{"query": ["{ __typename }"]}',
    b'{"Query": "{ __typename }"}',
    b'[{"query": "{ __typename }"}, {"query": "{ __typename }"}]',
    b'{"query": ' + b"[" * 50_000 + b"}",
    b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 15_000 + b"1" + b"}" * 15_000 + b"}",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:40]))
async def test_a_malformed_body_is_a_client_error(client: AsyncClient, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: json.dumps({"query": text}).encode())
)
async def test_no_body_at_all_breaks_the_service(client: AsyncClient, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 400
    assert code(response) in ("BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED")


async def test_a_body_has_a_limit(client: AsyncClient) -> None:
    body = json.dumps({"query": "{ viewer { user { id } } } #" + "x" * 100_000})
    response = await client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 413
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=latin-1",
        "application/json; profile=x; charset=utf-16",
        "application/json, text/plain",
        "application/graphql",
        "application/graphql-response+json",
    ],
)
async def test_only_json_is_taken_so_that_no_form_of_another_page_can_post(
    client: AsyncClient, kind: str
) -> None:
    body = b'{"query": "{ __typename }"}'
    response = await client.post("/graphql", content=body, headers={"Content-Type": kind})
    assert response.status_code == 415
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/json; charset=utf8; profile=x",
        "application/json;",
    ],
)
async def test_json_in_utf8_is_taken_however_it_is_announced(client: AsyncClient, kind: str) -> None:
    body = b'{"query": "{ __typename }", "extensions": {}, "id": "a key of somebody else\'s"}'
    response = await client.post("/graphql", content=body, headers={"Content-Type": kind})
    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})


async def test_null_counts_as_not_given(client: AsyncClient) -> None:
    body = {"query": "{ __typename }", "variables": None, "operationName": None, "extensions": None}
    assert (await client.post("/graphql", json=body)).status_code == 200


async def test_a_compressed_body_is_not_taken(client: AsyncClient) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    response = await client.post("/graphql", content=gzip.compress(b"{}"), headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("length", "status"),
    [("5", 400), ("50", 400), ("x", 400), ("-1", 400), ("9" * 5000, 400), ("999999", 413)],
)
async def test_a_wrong_content_length_is_a_client_error(
    client: AsyncClient, length: str, status: int
) -> None:
    headers = JSON | {"Content-Length": length}
    response = await client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert (response.status_code, code(response)) == (status, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "headers", [[("X-Many", "1")] * 200, [("X-Long", "x" * 20_000)], [("Accept", "a/b;" + "x" * 20_000)]]
)
async def test_headers_have_a_limit(client: AsyncClient, headers: list[tuple[str, str]]) -> None:
    response = await client.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    assert (response.status_code, code(response)) == (431, "BAD_USER_INPUT")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
async def test_other_methods_are_refused_with_those_that_work(client: AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert code(response) == "BAD_USER_INPUT"


async def test_options_say_what_can_be_done_and_let_no_page_of_another_origin_do_it(
    client: AsyncClient,
) -> None:
    headers = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    response = await client.options("/graphql", headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, POST"
    assert not any(name.startswith("access-control") for name in response.headers)


async def test_queries_can_be_asked_by_get(client: AsyncClient) -> None:
    document = """query A($name: String!) { viewer { user { id } } __type(name: $name) { name } }
      query B { __typename }"""
    response = await client.get(
        "/graphql", params={"query": document, "operationName": "A", "variables": '{"name": "é"}'}
    )
    assert response.json() == {"data": {"viewer": None, "__type": None}}
    # What is empty counts as not given; what is not known is somebody else's.
    for more in ("&variables=&operationName=&extensions=", "&variables=null", "&x=1&x=2"):
        response = await client.get("/graphql?query=%7B__typename%7D" + more)
        assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "?query",
        "?query=",
        "?query=%3F",
        "?query=%ED%A0%80",
        "?query=%7B__typename%7D%23%FF",
        "?query=%7B__typename%7D&variables=%5B",
        "?query=%7B__typename%7D&variables=%5B%5D",
        "?query=%7B__typename%7D&variables=1",
        "?query=%7B__typename%7D&extensions=1",
        "?query=%7B__typename%7D&operationName=null",
        "?query=%7B__typename%7D&query=%7B__typename%7D",
        "?query=%7B__typename%7D&variables=%7B%7D&variables=%7B%7D",
        "?query=%7B__typename%7D&operationName=&operationName=A",
    ],
)
async def test_a_malformed_get_is_a_client_error(client: AsyncClient, parameters: str) -> None:
    response = await client.get(f"/graphql{parameters}")
    assert response.status_code == 400
    assert code(response) in ("BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED")


async def test_a_get_has_no_body(client: AsyncClient) -> None:
    for content in (b"{}", b"\x00"):
        response = await client.request("GET", "/graphql?query=%7B__typename%7D", content=content)
        assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_the_parameters_of_a_get_have_a_limit(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"request_size_limit": 1000}))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        response = await client.get("/graphql", params={"query": "{ __typename } #" + "x" * 1000})
    assert (response.status_code, code(response)) == (414, "BAD_USER_INPUT")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_is_changed_by_get(world: World, method: str) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    document = f"""query Look {{ __typename }}
      mutation Change {{ removeMembership(input: {{membershipId: "{membership_id}"}}) {{ errors {{ code }} }} }}"""
    headers = {"Authorization": f"Bearer {place.primary.token}"}
    parameters = {"query": document, "operationName": "Change"}
    async with world.unchanged():
        response = await world.client.request(method, "/graphql", params=parameters, headers=headers)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    parameters["operationName"] = "Look"
    response = await world.client.request(method, "/graphql", params=parameters, headers=headers)
    assert response.status_code == 200


async def test_health_is_told_by_asking_the_database(client: AsyncClient) -> None:
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_an_unknown_page_is_a_json_error(client: AsyncClient) -> None:
    response = await client.get("/nothing")
    assert response.status_code == 404
    assert code(response) == "NOT_FOUND"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/graphql/", "/health/", "/explorer"])
async def test_nobody_is_led_to_another_address_with_what_they_send(client: AsyncClient, path: str) -> None:
    """It would have the host, and the scheme, of the request: behind a proxy, that is clear text."""
    headers = {"Host": "elsewhere.example.com", "Authorization": "Bearer secret"}
    response = await client.get(path, headers=headers)
    assert (response.status_code, code(response)) == (404, "NOT_FOUND")
    assert "location" not in response.headers


async def test_the_explorer_is_served_under_a_strict_policy(client: AsyncClient) -> None:
    response = await client.get("/")
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert (await client.get("/explorer/explorer.js")).headers["content-type"].startswith("text/javascript")
    assert (await client.get("/explorer/../server.py")).status_code == 404
