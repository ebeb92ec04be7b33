"""How statements are put together: whatever text comes into them, it stays a text."""

import json
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db.pool import Pool
from app.limits import MAXIMUM_ROOT_FIELDS
from app.query.engine import Engine
from app.query.jsontext import (
    LONGEST_CALL,
    MOST_ALONE,
    Long,
    Sql,
    columns_of,
    constant,
    object_of,
    text_of,
    with_parameters,
)
from tests.world import World

readable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
some = settings(max_examples=60)


async def told(pool: Pool, sql: Sql) -> str:
    """What PostgreSQL makes of an expression."""
    constants: list[str] = []

    def number_of(text: str) -> int:
        constants.append(text)
        return len(constants)

    return (await pool.row(with_parameters(f"SELECT {sql}", number_of), constants))[0]


@some
@given(text=readable | st.text("'\\%$\"s1;-\n"))
async def test_a_text_stays_what_it_is(pool: Pool, text: str) -> None:
    assert await told(pool, constant(text)) == text
    assert await told(pool, text_of([text, Sql("42"), text, constant(text)])) == f"{text}42{text}{text}"


def test_postgresql_has_no_text_with_a_zero() -> None:
    with pytest.raises(AssertionError):
        constant("\0")


@pytest.mark.parametrize("count", [0, 1, LONGEST_CALL, LONGEST_CALL + 1, LONGEST_CALL**2 + 1])
async def test_an_object_can_have_any_number_of_values(pool: Pool, count: int) -> None:
    members = ((f"m{number}", [Sql(str(number))]) for number in range(count))
    told_members = json.loads(await told(pool, text_of(object_of(members))))
    assert told_members == {f"m{number}": number for number in range(count)}


async def test_a_shape_that_was_never_seen_needs_nothing_new_of_sqlalchemy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await world.site()
    fields = ("id", "name", "number", "remainingSecondaryContactSeats", "contacts { id email }")
    document = "query($id: ID!) { site(id: $id) { %s memberships { nodes { id user { %s } } } } }"
    await place.primary.ask(document % (" ".join(fields), "id name"), id=place.id)
    monkeypatch.setattr("app.query.template.render", None)
    for number, field in enumerate(fields):
        selected = f"a{number}: {field} %s" % " ".join(fields[:number])
        site = (await place.primary.ask(document % (selected, "name b: id"), id=place.id))["site"]
        assert list(site["memberships"]["nodes"][0]["user"]) == ["name", "b"]


def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """The statements that are asked from now on, with their values."""
    asked: list[tuple[str, list[Any]]] = []
    row = Pool.row

    async def note(pool: Pool, sql: str, values: list[Any]) -> Any:
        asked.append((sql, values))
        return await row(pool, sql, values)

    monkeypatch.setattr(Pool, "row", note)
    return asked


async def test_rows_are_counted_without_what_is_not_asked_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await world.site()
    asked = noted(monkeypatch)
    for filter, is_asked in (
        ("", False),
        ("(filter: {active: true})", False),
        ('(filter: {text: "a"})', True),
    ):
        document = f"query($id: ID!) {{ site(id: $id) {{ memberships{filter} {{ totalCount }} }} }}"
        assert (await place.primary.ask(document, id=place.id))["site"]["memberships"] == {"totalCount": 1}
        assert ('JOIN "user"' in asked[-1][0]) == is_asked


async def test_the_rights_at_a_site_are_asked_of_the_site_and_not_of_its_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await world.site()
    asked = noted(monkeypatch)
    await place.primary.ask(
        "query($id: ID!) { site(id: $id) { accessRequests { nodes { id } } } }", id=place.id
    )
    ((sql, _),) = asked
    assert "site.id = ANY" in sql
    assert "access_request.site_id = ANY" not in sql


@pytest.mark.parametrize(
    ("table", "found_by", "order"),
    [
        ("access_request", "site_id", "created_at, id"),
        ("history_event", "stream", "number"),
        ("message", "site_id", "created_at, id"),
        ("webhook_delivery", "webhook_id", "created_at, id"),
    ],
)
async def test_an_index_has_a_long_list_in_its_order(
    world: World, table: str, found_by: str, order: str
) -> None:
    statement = f"EXPLAIN SELECT FROM {table} WHERE {found_by} = '{uuid4()}' ORDER BY {order}"
    async with world.database.connect() as connection:
        # Whatever PostgreSQL takes for cheaper while there are few rows: only without an index, it has to sort.
        await connection.execute(sa.text("SET LOCAL enable_sort = off"))
        plan = "\n".join(await connection.scalars(sa.text(statement)))
    assert "Sort" not in plan
    assert "Index" in plan


async def test_documents_that_differ_in_names_share_a_statement_without_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await world.site()
    document = (
        "query %s($id: ID!) { %s: site(id: $id) { %s: name contacts { %s: types } viewerMembership { id } } }"
    )
    await place.primary.ask("query($id: ID!) { site(id: $id) { id } }", id=place.id)
    asked = noted(monkeypatch)
    for names in (("AsOne", "one", "uno", "un"), ("AsTwo", "two", "due", "deux")):
        assert (await place.primary.ask(document % names, id=place.id))[names[1]][names[2]]
    (sql,) = {sql for sql, _ in asked}
    assert asked[0][1] != asked[-1][1]
    assert not [name for name in ("one", "uno", '"un"', "AsOne") if name in sql]


def test_what_can_be_long_has_a_column_of_its_own() -> None:
    pieces = ["{", Sql("1"), "[", Long("list"), "]", Sql("2"), Long("other"), "}"]
    before, first, between, last, after = columns_of(pieces)
    assert (first, last) == ("list", "other")
    assert (before, between, after) == (
        text_of(["{", Sql("1"), "["]),
        text_of(["]", Sql("2")]),
        text_of(["}"]),
    )


@pytest.mark.parametrize("lists", [1, MOST_ALONE, MOST_ALONE + 1])
async def test_roots_can_have_any_number_of_lists(world: World, lists: int) -> None:
    place = await world.site()
    stranger = await world.person()
    fields = " ".join(f"l{number}: contacts {{ id }}" for number in range(lists))
    roots = " ".join(f"s{number}: site(id: $id) {{ {fields} }}" for number in range(MAXIMUM_ROOT_FIELDS))
    told = await place.primary.ask(f"query($id: ID!) {{ {roots} }}", id=place.id)
    (one,) = {json.dumps(site) for site in told.values()}
    assert len(told) == MAXIMUM_ROOT_FIELDS
    assert [len(contacts) for contacts in json.loads(one).values()] == [1] * lists
    hidden = await stranger.ask(f"query($id: ID!) {{ {roots} }}", id=place.id)
    assert set(hidden.values()) == {None}


async def test_what_would_be_a_very_long_statement_is_left_to_the_interpreter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    unplanned: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: unplanned.append(reason))
    place = await world.site()
    many = " ".join(f"r{number}: recommendations {{ __typename }}" for number in range(200))
    document = "query($id: ID!) {{ site(id: $id) {{ {} }} }}"
    (one,) = (await place.primary.ask(document.format("recommendations { __typename }"), id=place.id))[
        "site"
    ].values()
    assert unplanned == []
    told = (await place.primary.ask(document.format(many), id=place.id))["site"]
    assert unplanned == ["a statement of this length"]
    assert list(told.values()) == [one] * 200
