"""The schema as partners read it: fresh, described, and in the conventions that clients rely on."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    coerce_input_value,
    get_introspection_query,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    specified_directives,
)
from httpx2 import AsyncClient
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.types.scalar import DEFAULT_SCALAR_REGISTRY
from strawberry.types.arguments import InputContext

from app.db.models import Contact
from app.errors import RequestError
from app.policy import SEEING, Action, allowed
from app.query.collect import EXTENSION, declaration_of
from app.rules import MessageState
from app.schema.arguments import MessageFilter
from app.schema.schema import build_schema, sdl

BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema()


def test_the_committed_schema_is_fresh(schema: GraphQLSchema, repository: Path) -> None:
    assert (repository / "schema.graphql").read_text() == sdl(schema), "run make format"


def sample(kind: Any, whole: bool) -> Any:
    """A value of a type of inputs, with all of its fields or only with those that it needs."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        return [sample(kind.of_type, whole)] * 2
    if is_input_object_type(kind):
        fields = kind.fields.items()
        return {n: sample(f.type, whole) for n, f in fields if whole or is_required_input_field(f)}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return {"Int": 7, "Boolean": True, "DateTime": "2026-03-01T09:30:00Z"}.get(kind.name, "text")


@pytest.mark.parametrize("whole", [True, False], ids=["all fields", "only what is needed"])
def test_inputs_are_what_strawberry_makes_of_them(schema: GraphQLSchema, whole: bool) -> None:
    context = InputContext(None, StrawberryConfig(), DEFAULT_SCALAR_REGISTRY, ())
    kinds = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    definitions = [kind.extensions[EXTENSION] for kind in kinds]
    values = [coerce_input_value(sample(kind, whole), kind) for kind in kinds]

    def made() -> list[Any]:
        pairs = zip(values, definitions, strict=True)
        return [context.convert(value, definition.origin) for value, definition in pairs]

    ours = made()
    with pytest.MonkeyPatch.context() as patch:
        for definition in definitions:
            patch.setattr(definition, "from_input", None)
        theirs = made()
    assert len(ours) > 50 and ours == theirs


def test_a_list_in_an_input_is_its_own(schema: GraphQLSchema) -> None:
    """What stands in a document is the same for every request."""
    context = InputContext(None, StrawberryConfig(), DEFAULT_SCALAR_REGISTRY, ())
    states = [MessageState.DEAD]
    made: Any = context.convert({"states": states}, MessageFilter)
    assert made.states == states and made.states is not states


def test_every_row_has_one_row_in_each_table_that_its_list_is_joined_with(schema: GraphQLSchema) -> None:
    """So that rows can be counted without them."""
    fields = (field for kind in schema.type_map.values() for field in getattr(kind, "fields", {}).values())
    joins = {join for field in fields for join in getattr(declaration_of(field), "joins", ())}
    assert joins
    for target, condition in joins:
        assert isinstance(condition, sa.BinaryExpression)
        to, by = condition.left, condition.right
        assert (to.table, by.nullable) == (target.__table__, False)
        assert [key.column for key in by.foreign_keys] == [to]


def described(schema: GraphQLSchema) -> list[tuple[str, str | None]]:
    """Everything that needs a description, with the one it has."""
    found: list[tuple[str, str | None]] = []
    for name, kind in schema.type_map.items():
        if name.startswith("__") or name in BUILT_IN:
            continue
        found.append((name, kind.description))
        if isinstance(kind, GraphQLEnumType):
            found += [(f"{name}.{value}", entry.description) for value, entry in kind.values.items()]
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                found.append((f"{name}.{field_name}", field.description))
                if isinstance(field, GraphQLField):
                    found += [
                        (f"{name}.{field_name}({argument})", entry.description)
                        for argument, entry in field.args.items()
                        if field_name not in ("__type",) and not described_by_input(entry.type)
                    ]
    found += [(f"@{d.name}", d.description) for d in schema.directives if d not in specified_directives]
    return found


def described_by_input(kind: object) -> bool:
    """Whether an argument is the one `input` of a mutation, whose type says it all."""
    return isinstance(kind, GraphQLNonNull) and isinstance(kind.of_type, GraphQLInputObjectType)


def test_everything_is_described_in_full_sentences(schema: GraphQLSchema) -> None:
    entries = described(schema)
    assert len(entries) > 300
    missing = [name for name, description in entries if not description]
    assert missing == []
    assert [name for name, description in entries if not re.search(r"[.”…]$", description or "")] == []


def test_every_mutation_has_one_input_a_nullable_payload_and_errors(schema: GraphQLSchema) -> None:
    assert schema.mutation_type is not None
    for name, field in schema.mutation_type.fields.items():
        title = name[0].upper() + name[1:]
        assert list(field.args) == ["input"], name
        assert str(field.args["input"].type) == f"{title}Input!"
        assert str(field.type) == f"{title}Payload"
        payload = schema.get_type(f"{title}Payload")
        assert isinstance(payload, GraphQLObjectType)
        assert str(payload.fields["errors"].type) == "[UserError!]!"
        others = [f.type for other, f in payload.fields.items() if other not in ("events", "errors")]
        assert not any(is_non_null_type(kind) for kind in others), name
        assert "Allowed: " in (field.description or ""), name


def test_the_schema_says_who_may(schema: GraphQLSchema) -> None:
    assert schema.mutation_type is not None
    site = schema.get_type("Contact")
    assert isinstance(site, GraphQLObjectType)
    assert (site.fields["details"].description or "").endswith(allowed(Action.SEE_CONTACT_DETAILS))
    grant = schema.mutation_type.fields["grantAccessRequest"].description or ""
    assert grant.endswith(allowed(Action.DECIDE_ACCESS_REQUEST))


def test_connections_follow_one_shape(schema: GraphQLSchema) -> None:
    connections = [name for name in schema.type_map if name.endswith("Connection")]
    assert set(connections) == {
        "HistoryEventConnection",
        "MembershipConnection",
        "AccessRequestConnection",
        "WebhookDeliveryConnection",
        "NamingConnection",
        "BlockedRequesterConnection",
        "MessageConnection",
        "ContactConnection",
    }
    for name in connections:
        kind = schema.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        assert set(kind.fields) == {"edges", "nodes", "pageInfo", "totalCount"}


def test_names_are_in_the_conventions(schema: GraphQLSchema) -> None:
    for name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLEnumType) and not name.startswith("__"):
            assert not name.endswith("Enum")
            assert all(re.fullmatch(r"[A-Z][A-Z_]*", value) for value in kind.values), name


def test_a_table_without_a_rule_does_not_start_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SEEING, Contact)
    with pytest.raises(ValueError, match=r"reads Contact, which has no rule in policy\.SEEING"):
        build_schema()


async def test_partner_tools_can_introspect_without_a_token(client: AsyncClient) -> None:
    query = get_introspection_query(descriptions=True, input_value_deprecation=True)
    response = await client.post("/graphql", json={"query": query})
    assert response.status_code == 200
    assert len(response.json()["data"]["__schema"]["types"]) > 50


NINE_THIRTY = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def read_moment(schema: GraphQLSchema, value: Any) -> Any:
    """What a value is taken for that is given as a moment."""
    return cast(GraphQLScalarType, schema.type_map["DateTime"]).parse_value(value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T09:30:00Z", NINE_THIRTY),
        ("2026-03-01t09:30:00z", NINE_THIRTY),
        ("2026-03-01 09:30:00Z", NINE_THIRTY),
        ("2026-03-01T09:30:00.000000+00:00", NINE_THIRTY),
        ("2026-03-01T09:30:00-00:00", NINE_THIRTY),
        ("2026-03-01T15:15:00+05:45", NINE_THIRTY),
        ("2026-03-01T09:30:00.1Z", NINE_THIRTY + timedelta(milliseconds=100)),
        ("2026-03-01T09:30:00.123Z", NINE_THIRTY + timedelta(milliseconds=123)),
        ("2026-03-01T09:30:00.123456789Z", NINE_THIRTY + timedelta(microseconds=123456)),
    ],
)
def test_moments_are_read_as_clients_write_them(schema: GraphQLSchema, text: str, moment: datetime) -> None:
    assert read_moment(schema, text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "20260301T00Z",
        "20260301T093000Z",
        "2026-03-01",
        "2026-03-01T09Z",
        "2026-03-01T09:30Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T09:30:00",
        "2026-03-01T09:30:00,5Z",
        "2026-03-01T09:30:00.Z",
        "2026-03-01T09:30:00+01",
        "2026-03-01T09:30:00+0100",
        "2026-03-01T09:30:00+05:75",
        "2026-03-01T09:30:00+01:00:30",
        "2026-03-01x09:30:00Z",
        "2026-03-01T09:30:00Z\n",
        "2026-02-30T09:30:00Z",
        "2026-W09-7T09:30:00Z",
        "٢026-03-01T09:30:00Z",
        "0001-01-01T00:00:00+23:59",
        5,
    ],
)
def test_what_is_no_moment_of_the_standard_is_refused(schema: GraphQLSchema, text: Any) -> None:
    with pytest.raises(RequestError, match="RFC 3339"):
        read_moment(schema, text)
