"""Behind the door: no document or value of any kind leads to a 500 or an unmasked exception."""

import json
from typing import Any

import pytest
from asyncpg import ProgramLimitExceededError
from graphql import DocumentNode, build_schema, get_introspection_query
from httpx2 import AsyncClient

from app.context import Context
from app.db.pool import Pool
from app.documents import Documents
from app.errors import RequestError
from app.execution import Execution
from app.introspection import MAXIMUM_VALUES
from app.limits import MAXIMUM_FIELDS, MAXIMUM_NAME
from tests.transport import JSON, code
from tests.world import World


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


@pytest.mark.parametrize("name", ["C", "", None, " A"])
async def test_one_of_several_operations_has_to_be_named(client: AsyncClient, name: str | None) -> None:
    body = {"query": "query A { __typename } query B { b: __typename }", "operationName": name}
    response = await client.post("/graphql", json=body)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
    response = await client.post("/graphql", json=body | {"operationName": "B"})
    assert response.json() == {"data": {"b": "Query"}}


async def test_an_unknown_operation_name_is_refused(client: AsyncClient) -> None:
    body = {"query": "query A { __typename }", "operationName": "B"}
    assert code(await client.post("/graphql", json=body)) == "BAD_USER_INPUT"
    body["operationName"] = "A"
    assert (await client.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/event-stream;q=0, */*"])
async def test_subscriptions_are_refused_where_only_one_answer_can_be_given(
    world: World, accept: str | None
) -> None:
    place = await world.site()
    query = f'subscription {{ siteChanged(siteId: "{place.id}") {{ eventId }} }}'
    headers = {"Authorization": f"Bearer {place.primary.token}"} | ({"Accept": accept} if accept else {})
    for response in (
        await world.client.post("/graphql", json={"query": query}, headers=headers),
        await world.client.get("/graphql", params={"query": query}, headers=headers),
    ):
        assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("levels", [50, 150, 300, 500, 1000, 3000])
async def test_no_depth_of_values_breaks_the_service(client: AsyncClient, levels: int) -> None:
    values = "[" * levels + "]" * levels
    for body in (
        json.dumps({"query": f"{{ site(id: {values}) {{ id }} }}"}),
        json.dumps({"query": f"query($a: {'[' * levels}ID{']' * levels}) {{ node(id: $a) {{ id }} }}"}),
        f'{{"query": "query($id: ID!) {{ node(id: $id) {{ id }} }}", "variables": {{"id": {values}}}}}',
    ):
        assert (await client.post("/graphql", content=body, headers=JSON)).status_code == 400


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


@pytest.mark.parametrize(
    "document",
    [
        "{ NAME: __typename }",
        "query NAME { __typename }",
        "{ ...NAME } fragment NAME on Query { __typename }",
    ],
)
async def test_a_name_has_an_end(client: AsyncClient, document: str) -> None:
    longest = "a" * MAXIMUM_NAME
    response = await client.post("/graphql", json={"query": document.replace("NAME", longest)})
    assert response.status_code == 200
    response = await client.post("/graphql", json={"query": document.replace("NAME", longest + "a")})
    assert (response.status_code, code(response)) == (400, "GRAPHQL_VALIDATION_FAILED")
    assert f"at most {MAXIMUM_NAME}" in response.text


def aliased(field: str, times: int = 25) -> str:
    """A selection of a field, again and again."""
    return "{" + "".join(f" a{index}: {field}" for index in range(times)) + " }"


EVERYTHING = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)
"""The query of the tools, with all that any of them asks for."""
ANY_TYPE = EVERYTHING[EVERYTHING.index("fragment FullType") :]
"""The same of one type, as a fragment."""


@pytest.mark.parametrize(
    "document",
    [
        EVERYTHING,
        EVERYTHING.replace("(includeDeprecated: true)", ""),
        get_introspection_query(descriptions=False, type_depth=7),
        "query($name: String!) { __type(name: $name) { ...FullType } } " + ANY_TYPE,
        aliased('__type(name: "Site") { ...FullType }', 10) + ANY_TYPE,
        '{ __type(name: "Nothing") { fields { name } } }',
        '{ __type(name: "Site") { fields { type { isOneOf ofType { isOneOf } } } } }',
    ],
    ids=["everything", "nothing deprecated", "no descriptions", "a variable", "types", "unknown", "lists"],
)
async def test_what_tools_ask_of_the_schema_is_told(client: AsyncClient, document: str) -> None:
    response = await client.post("/graphql", json={"query": document, "variables": {"name": "Site"}})
    assert response.status_code == 200
    assert "errors" not in response.json()


ROUND = "fields { type { fields { type { name } } } }"


@pytest.mark.parametrize(
    "document",
    [
        aliased(f"__schema {{ types {{ {ROUND} }} }}"),
        f"{{ __schema {aliased(f'types {{ {ROUND} }}')} }}",
        f"{{ __schema {{ types {{ fields {aliased('name', 100)} }} }} }}",
        "{ ...A } fragment A on Query { ... { __schema { ...B } } }"
        f" fragment B on __Schema {aliased(f'types {{ {ROUND} }}')}",
        "query($name: String!) " + aliased(f"__type(name: $name) {{ {ROUND} }}"),
        "".join(f" query Q{index} {{ __schema {{ types {{ {ROUND} }} }} }}" for index in range(25)),
    ],
    ids=["schemas", "types", "leaves", "fragments", "a variable", "operations"],
)
async def test_no_document_asks_too_much_of_the_schema(client: AsyncClient, document: str) -> None:
    response = await client.post("/graphql", json={"query": document, "variables": {"name": "Site"}})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
    assert f"more than {MAXIMUM_VALUES} values of the schema" in response.text


async def test_an_unexpected_error_is_masked_and_can_be_found_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the password is secret")

    person = await world.person()
    await person.ask("{ viewer { user { id } } }")
    monkeypatch.setattr(Context, "transaction", fail)
    response = await person.post('mutation { leaveSite(input: {siteId: "x"}) { errors { code } } }')
    assert response.json()["data"] == {"leaveSite": None}
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["path"] == ["leaveSite"]
    assert "secret" not in response.text
    assert error["extensions"]["errorId"] in capsys.readouterr().out


async def test_an_error_outside_of_any_field_is_masked_as_well(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the password is secret")

    monkeypatch.setattr(Execution, "run", fail)
    headers = {"Accept": "application/graphql-response+json"}
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert (response.status_code, code(response)) == (500, "INTERNAL_SERVER_ERROR")
    assert response.headers["content-type"].startswith("application/graphql-response+json")
    assert "secret" not in response.text and "data" not in response.json()
    assert response.json()["errors"][0]["extensions"]["errorId"] in capsys.readouterr().out


async def test_an_answer_that_the_database_cannot_hold_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ProgramLimitExceededError("string buffer exceeds maximum allowed length (1073741823 bytes)")

    place = await world.site()
    monkeypatch.setattr(Pool, "row", fail)
    response = await place.primary.post("query($id: ID!) { site(id: $id) { name } }", id=place.id)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
    assert "string buffer" not in response.text


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


def repeated(documents: Documents, query: str) -> DocumentNode:
    """What is kept of a document that is asked for again and again."""
    documents.prepare(query)
    return documents.prepare(query)


def test_a_document_that_comes_again_is_parsed_and_validated_no_more() -> None:
    documents = Documents(build_schema("type Query { a: Int }"), most=2, most_tokens=20)
    first = repeated(documents, "{ a }")
    assert documents.prepare("{ a }") is first
    assert documents.prepare("{ a  }") is not first


def test_documents_that_nobody_repeats_take_no_room() -> None:
    documents = Documents(build_schema("type Query { a: Int }"))
    first = repeated(documents, "{ a }")
    for number in range(1000):
        documents.prepare(f"{{ a{number}: a }}")
    assert len(documents) == 1
    assert documents.prepare("{ a }") is first


def test_as_many_documents_are_kept_as_there_is_room_for_and_the_last_used_ones() -> None:
    documents = Documents(build_schema("type Query { a: Int }"), most=2, most_tokens=100)
    first, second = repeated(documents, "{ a }"), repeated(documents, "{ b: a }")
    assert documents.prepare("{ a }") is first
    repeated(documents, "{ c: a }")
    assert documents.prepare("{ a }") is first
    assert documents.prepare("{ b: a }") is not second
    assert len(documents) == 2


def test_many_small_documents_or_few_large_ones_are_kept_and_none_that_is_too_large() -> None:
    documents = Documents(build_schema("type Query { a: Int }"), most=100, most_tokens=60)
    for number in range(100):
        repeated(documents, f"{{ a{number}: a a a }}")
    small = len(documents)
    assert 5 <= small <= 12
    for number in range(100):
        repeated(documents, f"{{ a{number}: a {'a ' * 20} }}")
    assert 1 <= len(documents) < small
    last = repeated(documents, "{ last: a }")
    for large in ("{" + "a: a " * 24 + "}", "{ a } #" + "x" * 10_000):
        assert repeated(documents, large) is not documents.prepare(large)
    assert documents.prepare("{ last: a }") is last


def test_a_kept_document_knows_its_places_and_no_tokens() -> None:
    place = Documents(build_schema("type Query { a: Int }")).prepare("{ a }").definitions[0].loc
    assert place is not None
    assert (place.start, place.end, place.source.body) == (0, 5, "{ a }")
    assert place.start_token.next is place.end_token.prev is None


@pytest.mark.parametrize("query", ["{", "{ b }", "{ " * 30 + "a" + " }" * 30])
def test_faulty_documents_take_no_room(query: str) -> None:
    documents = Documents(build_schema("type Query { a: Int }"))
    for _ in range(2):
        with pytest.raises(RequestError):
            documents.prepare(query)
    assert len(documents) == 0


async def test_a_faulty_document_is_told_where_it_is_faulty(client: AsyncClient) -> None:
    for document, line in (("{\n  a(}", 2), ("{\n\n nothing }", 3)):
        response = await client.post("/graphql", json={"query": document})
        assert response.json()["errors"][0]["locations"][0]["line"] == line
