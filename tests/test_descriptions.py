"""What the descriptions of the schema say is what the service does."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLSchema, get_named_type

from app.schema.schema import build_schema
from app.schema.snapshots import SNAPSHOTS
from app.subjects import SubjectType
from tests.world import CONTACT, World

LIMIT = re.compile(r"(?:up to|at most) ([\d,]+) characters", re.IGNORECASE)
LOOKED_UP = {"AccessCheckInput", "AddUserPreviewInput"}
"""Inputs of queries: what nothing has is not found, however long it is."""
PERSON = {"ibmId": "new@example.com", "email": "new@example.com", "justification": "New.", "confirmed": True}
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("createContact", CONTACT),
    ("addUser", PERSON | {"role": "USER"}),
    ("requestAccess", {"siteNumber": "1", "justification": ""}),
    ("blockRequester", {"ibmId": "new@example.com", "reason": ""}),
    ("createPrivilegeTemplate", {"name": "Readers", "privileges": {"reporting": "VIEW"}}),
    ("createWebhook", {"url": "https://partner.example/hooks", "description": "", "events": []}),
    ("updateENotificationPreferences", {"email": "new@example.com", "topics": []}),
]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema()


def limits(kind: Any) -> Iterator[tuple[str, int]]:
    """The texts of an input that have a limit, each with what its description says."""
    for name, field in kind.fields.items():
        if found := LIMIT.search(field.description or ""):
            yield name, int(found[1].replace(",", ""))


def test_every_text_of_an_input_says_how_long_it_may_be(schema: GraphQLSchema) -> None:
    inputs = {n: k for n, k in schema.type_map.items() if isinstance(k, GraphQLInputObjectType)}
    silent = {
        f"{name}.{field}"
        for name, kind in inputs.items()
        for field, value in kind.fields.items()
        if get_named_type(value.type).name == "String" and field != "country" and name not in LOOKED_UP
        if not LIMIT.search(value.description or "")
    }
    assert silent == set()


@pytest.mark.parametrize(("mutation", "form"), FORMS, ids=[mutation for mutation, _ in FORMS])
async def test_a_text_may_be_as_long_as_its_description_says(
    schema: GraphQLSchema, world: World, mutation: str, form: dict[str, Any]
) -> None:
    place = await world.site()
    kind = schema.type_map[mutation[0].upper() + mutation[1:] + "Input"]
    assert isinstance(kind, GraphQLInputObjectType)
    said = {name: limit for name, limit in limits(kind) if name in form or name == "stateOrProvince"}
    site = {"siteId": place.id} if "siteId" in kind.fields else {}
    for more, refused in ((0, set[str]()), (1, said.keys())):
        texts = {name: "a" * (limit + more) for name, limit in said.items()}
        payload = await place.primary.do(mutation, **site | form | texts, validateOnly=True)
        assert {e["path"][0] for e in payload["errors"] if e["code"] == "TOO_LONG"} == refused


def test_a_kind_of_subject_says_when_its_values_are_not_shown(schema: GraphQLSchema) -> None:
    values = schema.type_map["SubjectType"].values  # type: ignore[attr-defined]
    silent = {name for name, value in values.items() if "no values are shown" in value.description}
    assert silent == {kind.name for kind in SubjectType if kind not in SNAPSHOTS}
