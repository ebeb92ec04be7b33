"""The door: no body, header or document of any kind gets past it with a 500 or an unmasked exception."""

import json
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.context import Context
from app.limits import MAXIMUM_FIELDS
from tests.world import World

JSON = {"Content-Type": "application/json"}


def code(response: Response) -> str:
    """The code of the first error; fails on anything but a GraphQL error in JSON."""
    assert response.headers["content-type"].startswith("application/")
    found: str = response.json()["errors"][0]["extensions"]["code"]
    return found


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
    b'{"query": ' + b"[" * 50_000 + b"}",
    b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 15_000 + b"1" + b"}" * 15_000 + b"}",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:40]))
async def test_a_malformed_body_is_a_client_error(client: AsyncClient, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    ],
)
async def test_only_json_is_taken_so_that_no_form_of_another_page_can_post(
    client: AsyncClient, kind: str
) -> None:
    body = b'{"query": "{ __typename }"}'
    response = await client.post("/graphql", content=body, headers={"Content-Type": kind})
    assert response.status_code == 415
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused_with_those_that_work(client: AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert code(response) == "BAD_USER_INPUT"


async def test_queries_but_not_mutations_can_be_asked_by_get(client: AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": "{ viewer { user { id } } }", "variables": "{}"})
    assert response.json() == {"data": {"viewer": None}}
    mutation = 'mutation { leaveSite(input: {siteId: "x"}) { errors { code } } }'
    response = await client.get("/graphql", params={"query": mutation})
    assert response.status_code == 405
    for parameters in (
        {},
        {"query": "{ __typename }", "variables": "["},
        {"query": "\ud800".encode("utf-8", "replace")},
    ):
        assert (await client.get("/graphql", params=parameters)).status_code == 400


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("query {{ }", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ site(id: 1.5) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Site { id }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ("subscription { x }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { site(id: $id) { id } }", "BAD_USER_INPUT"),
        ("{ " * 3000 + "}" * 3000, "GRAPHQL_PARSE_FAILED"),
        ("{ a" + " a" * 20_000 + " }", "GRAPHQL_PARSE_FAILED"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_faulty_document_is_told_so(client: AsyncClient, document: str, expected: str) -> None:
    response = await client.post("/graphql", json={"query": document})
    assert response.status_code == 400
    assert code(response) == expected


@pytest.mark.parametrize(
    "variables", [{"type": None}, {"type": "NOTHING"}, {"type": 1}, {"type": {}}, {"type": []}]
)
async def test_a_faulty_variable_is_told_so(world: World, variables: dict[str, Any]) -> None:
    place = await world.site()
    document = """query($id: ID!, $type: ContactType = BILLING) { site(id: $id) {
      name contactFor(type: $type) { lastName } } }"""
    response = await place.primary.post(document, id=place.id, **variables)
    assert code(response) == "BAD_USER_INPUT"


async def test_an_unknown_operation_name_is_refused(client: AsyncClient) -> None:
    body = {"query": "query A { __typename }", "operationName": "B"}
    assert code(await client.post("/graphql", json=body)) == "BAD_USER_INPUT"
    body["operationName"] = "A"
    assert (await client.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


def nested(levels: int) -> str:
    """A document that goes round in circles, twice as many levels deep."""
    return '{ site(number: "1") { ' + "viewerMembership { site { " * levels + "id" + " } }" * levels + " } }"


def doubling(levels: int) -> str:
    """A short document whose fragments double at each level."""
    fragments = "".join(
        f" fragment F{level} on Site {{ a{level}: viewerMembership {{ site {{ ...F{level + 1} }} }}"
        f" b{level}: viewerMembership {{ site {{ ...F{level + 1} }} }} }}"
        for level in range(levels)
    )
    return f'{{ site(number: "1") {{ ...F0 }} }}{fragments} fragment F{levels} on Site {{ id }}'


@pytest.mark.parametrize(
    "document",
    [
        doubling(30),
        "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
        nested(10),
        "{" + "".join(f" a{index}: viewer {{ user {{ id }} }}" for index in range(26)) + " }",
        "{ viewer { user {" + "".join(f" a{index}: id" for index in range(MAXIMUM_FIELDS)) + " } } }",
    ],
    ids=["doubling", "cycle", "deep", "roots", "fields"],
)
async def test_a_bomb_is_refused_before_it_is_validated(client: AsyncClient, document: str) -> None:
    response = await client.post("/graphql", json={"query": document})
    assert response.status_code == 400
    assert code(response) == "GRAPHQL_VALIDATION_FAILED"


async def test_the_answer_is_in_the_media_type_that_was_asked_for(client: AsyncClient) -> None:
    for accept in ("application/json", "application/graphql-response+json", "*/*"):
        response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
        expected = "application/json" if accept == "*/*" else accept
        assert response.headers["content-type"].partition(";")[0] == expected
        assert response.headers["cache-control"] == "no-store"


async def test_an_unexpected_error_is_masked_and_can_be_found_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the password is secret")

    person = await world.person()
    await person.ask("{ viewer { user { id } } }")
    monkeypatch.setattr(Context, "read", fail)
    response = await person.post("{ viewer { user { id } } }")
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in response.text
    assert error["extensions"]["errorId"] in capsys.readouterr().out


NASTY = [
    "",
    " ",
    "\u0000",
    "\ud800",
    "\u202e",
    "x" * 5000,
    "'; DROP TABLE site; --",
    "%",
    "\\",
    "🂡",
    "\r\nBcc: x@y.z",
]


@pytest.mark.parametrize("value", NASTY, ids=lambda value: ascii(value)[:20])
async def test_no_text_of_any_kind_breaks_a_mutation_or_a_read(world: World, value: str) -> None:
    place = await world.site()
    mutations: dict[str, dict[str, Any]] = {
        "requestAccess": {"siteNumber": value, "justification": value},
        "withdrawAccessRequest": {"accessRequestId": value},
        "grantAccessRequest": {"accessRequestId": value, "role": "USER", "justification": value},
        "denyAccessRequest": {"accessRequestId": value, "reason": "UNKNOWN_REQUESTER"},
        "addUser": {"siteId": place.id, "ibmId": value, "email": value, "justification": value}
        | {"role": "USER", "confirmed": True},
        "updateMembership": {"membershipId": value, "justification": value},
        "removeMembership": {"membershipId": value, "reason": value},
        "leaveSite": {"siteId": value},
        "deleteContact": {"contactId": value},
    }  # fmt: skip
    for name, input in mutations.items():
        payload = await place.primary.do(name, **input)
        assert payload["errors"] or name == "requestAccess", (name, value)
    reads = """query($v: String!, $id: ID!, $site: ID!) { node(id: $id) { id } site(number: $v) { id }
      addUserPreview(input: {siteId: $site, ibmId: $v}) { known } }"""
    response = await place.primary.post(reads, v=value, id=value, site=place.id)
    assert response.status_code == 200
    assert response.json()["data"] == {"node": None, "site": None, "addUserPreview": {"known": False}}


async def test_health_is_told_by_asking_the_database(client: AsyncClient) -> None:
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_an_unknown_page_is_a_json_error(client: AsyncClient) -> None:
    response = await client.get("/nothing")
    assert response.status_code == 404
    assert code(response) == "BAD_USER_INPUT"


async def test_the_explorer_is_served_under_a_strict_policy(client: AsyncClient) -> None:
    response = await client.get("/")
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert (await client.get("/explorer/explorer.js")).headers["content-type"].startswith("text/javascript")
    assert (await client.get("/explorer/../server.py")).status_code == 404
