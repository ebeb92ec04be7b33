"""The rows of relations, written with SQLAlchemy: which belong to a parent, which may be seen, and in which order."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.db.pool import compiled_once
from app.policy import seen, visible
from app.query.compile_caller import CallerColumns
from app.query.cursor import DIGEST_LENGTH
from app.query.declare import OfCaller, Paged, Relation
from app.query.ids import ids_in
from app.query.jsontext import MARK
from app.query.structure import Given
from app.query.template import Draft, Template, hole

MOST_TEMPLATES = 1_000
"""Of rows: by relation, parent, and which arguments are given."""
WANTED = "wanted.key"
"""The key of a row that given values refer to."""


def local_of(relation: Relation, parent: Any) -> str | None:
    """What the rows of a relation are found by: a column of their parent, or of who calls."""
    if not (relation.on and relation.local):
        return None
    return str(CallerColumns().user_id) if parent is OfCaller else _column(parent, relation.local)


@cache
def _column(parent: Any, name: str) -> str:
    return str(compiled_once(getattr(parent, name)))


@lru_cache(MOST_TEMPLATES)
def rows(relation: Relation, local: str | None, given: Given) -> Template:
    """The rows of a relation that belong to the parent and may be seen; what of them, goes into `columns`."""
    draft = Draft(given)
    order = relation.order(draft.arguments) if relation.order else ()
    return draft.statement(_restricted(draft, hole("columns"), relation, local).order_by(*order))


@lru_cache(MOST_TEMPLATES)
def joined_rows(relation: Relation, local: str | None, given: Given) -> Template:
    """The same rows as one text; what each of them is, goes into `text`."""
    draft = Draft(given)
    order = relation.order(draft.arguments) if relation.order else ()
    comma = sa.literal(",", sa.Text)
    joined = sa.func.string_agg(hole("text"), aggregate_order_by(comma, *order) if order else comma)
    return draft.statement(_restricted(draft, joined, relation, local))


@lru_cache(MOST_TEMPLATES)
def count(relation: Relation, local: str | None, given: Given) -> Template:
    """How many rows that are."""
    draft = Draft(given)
    counted = sa.select(sa.func.count()).select_from(relation.model)
    counted = counted.where(*_conditions(draft, relation, local))
    spoken_of = counted.get_final_froms()
    for target, condition in relation.joins:
        # Each row has one row there, which need not be looked up for being counted.
        if target.__table__ in spoken_of:
            counted = counted.join(target, condition)
    return draft.expression(counted.scalar_subquery())


def _restricted(draft: Draft, columns: Any, relation: Relation, local: str | None) -> sa.Select[Any]:
    statement = sa.select(columns).select_from(relation.model)
    for target, condition in relation.joins:
        statement = statement.join(target, condition)
    return statement.where(*_conditions(draft, relation, local))


def _conditions(draft: Draft, relation: Relation, local: str | None) -> Iterator[Any]:
    """Which rows belong to the parent, may be seen, and are asked for."""
    site_id = None
    if local:
        on: Any = getattr(relation.model, relation.on or "id")
        parent = sa.literal_column(local, on.type)
        yield on == parent
        # PostgreSQL would take a condition on a column of the rows for one that few of them meet, and then would
        # rather sort them than read the first of them in the order of an index.
        site_id = parent if relation.on == "site_id" else None
    if relation.needs:
        yield visible(draft.caller, relation.needs, relation.model, site_id)
    elif not relation.follows:
        yield seen(draft.caller, relation.model, site_id)
    if relation.where:
        yield from relation.where(draft.arguments, draft.caller)


@cache
def row_by_id(model: Any, kind: str) -> Template:
    """The row of a table with a wanted id, if the caller may see it; what of it, goes into `columns`."""
    draft = Draft()
    is_wanted = sa.literal_column("wanted.kind", sa.Text) == kind
    key = model.__table__.c.id == sa.literal_column(WANTED, sa.Uuid)
    statement = sa.select(hole("columns")).select_from(model).where(is_wanted, key, seen(draft.caller, model))
    return draft.statement(statement)


@dataclass(frozen=True, eq=False)
class Cut:
    """How pages are cut out of a list: its rows in the order of reading, the cursor of a row, and its place among them.

    The rows have a hole for `columns`, and one for the `limit` of how many are read.
    """

    rows: Template
    cursor: Template
    place: Template


@lru_cache(MOST_TEMPLATES)
def cut(paged: Paged, local: str | None, given: Given) -> Cut:
    """Rows beyond the cursors; from the end, if the list is read backwards."""
    draft = Draft(given)
    columns, descending = paged.order_by(draft.arguments)
    reverse = descending != draft.arguments.has("last")
    order = [column.desc() if reverse else column.asc() for column in columns]
    statement = _restricted(draft, hole("columns"), paged, local).where(
        *_beyond_cursors(draft, columns, descending)
    )
    return Cut(
        draft.statement(statement.order_by(*order).limit(hole("limit", sa.Integer))),
        _cursor(columns),
        Draft().expression(sa.func.row_number().over(order_by=order)),
    )


def _beyond_cursors(draft: Draft, columns: list[Any], descending: bool) -> list[sa.ColumnElement[bool]]:
    conditions = []
    for end in ("after", "before"):
        if draft.arguments.has(end):
            bounds = sa.tuple_(*(_bound(draft, end, place, columns) for place in range(len(columns))))
            row = sa.tuple_(*columns)
            conditions.append(row > bounds if (end == "after") != descending else row < bounds)
    return conditions


def _bound(draft: Draft, end: str, place: int, columns: list[Any]) -> Any:
    count = len(columns)
    value = draft.parameter(sa.Text, lambda run, field_id: run.pages[field_id].bounds(end, count)[place])
    return sa.cast(value, columns[place].type)


def _cursor(columns: list[Any]) -> Template:
    """What `write_cursor` writes, in SQL: a digest of list and values, and the values, in URL-safe base64."""
    draft = Draft()
    fingerprint = draft.parameter(sa.Text, lambda run, field_id: run.pages[field_id].fingerprint)
    payload = sa.cast(sa.func.json_build_array(*(sa.cast(column, sa.Text) for column in columns)), sa.Text)
    digest = sa.func.left(sa.func.md5(sa.func.concat(fingerprint, payload)), DIGEST_LENGTH)
    encoded = sa.func.encode(sa.func.convert_to(sa.func.concat(digest, payload), "UTF8"), "base64")
    return draft.expression(sa.func.translate(encoded, "+/\n=", "-_"))


@cache
def size() -> Template:
    """How many rows a page has at most."""
    draft = Draft()
    return draft.expression(draft.parameter(sa.Integer, lambda run, field_id: run.pages[field_id].size))


@cache
def wanted_keys() -> Template:
    """The keys that given values refer to, in their order; what is found by each, goes into `columns`."""
    draft = Draft()
    keys = draft.parameter(ARRAY(sa.Uuid), lambda run, field_id: run.keys.get(field_id, []))
    wanted = sa.func.unnest(keys).table_valued("key", with_ordinality="place").render_derived(name="wanted")
    return draft.statement(sa.select(hole("columns")).select_from(wanted).order_by(wanted.c.place))


@cache
def wanted_ids() -> Template:
    """The ids in the arguments, in their order; what is found by each, goes into `columns`."""
    draft = Draft()
    unnested = sa.func.unnest(
        draft.parameter(
            ARRAY(sa.Text), lambda run, field_id: [kind for kind, _ in ids_in(run.arguments[field_id])]
        ),
        draft.parameter(
            ARRAY(sa.Uuid), lambda run, field_id: [key for _, key in ids_in(run.arguments[field_id])]
        ),
    )
    wanted = unnested.table_valued("kind", "key", with_ordinality="place").render_derived(name="wanted")
    return draft.statement(sa.select(hole("columns")).select_from(wanted).order_by(wanted.c.place))


@cache
def gathered() -> Template:
    """What is made of all rows of a subquery, goes into `columns`, the subquery into `rows`."""
    subquery = sa.text(f"({MARK}rows{MARK}) AS gathered")
    return Draft().statement(sa.select(hole("columns")).select_from(subquery))
