"""A page of a connection as SQL: its rows cut out of the list, its cursors, and whether there are more."""

from collections.abc import Callable
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.query.collect import Selected, Shape
from app.query.cursor import DIGEST_LENGTH
from app.query.declare import Arguments, Paged, Relation
from app.query.jsontext import Pieces, Text, boolean, object_of, quoted, text_of, turned
from app.query.plan import Run, within


class Compiler(Protocol):
    """What a page needs of the compiler (see `compile`)."""

    paged: list[Selected]

    def parameter(self, kind: Any, value_of: Callable[[Run], Any]) -> Any: ...
    def arguments_of(self, selected: Selected) -> Arguments: ...
    def object(self, shape: Shape, model: Any, source: Relation | None = None) -> Pieces: ...
    def rows_of(
        self, relation: Relation, objects: list[Pieces], arguments: Arguments, parent: Any
    ) -> sa.Select[Any]: ...
    def restricted(
        self, statement: sa.Select[Any], relation: Relation, arguments: Arguments, parent: Any
    ) -> sa.Select[Any]: ...


def connection(compiler: Compiler, selected: Selected, paged: Paged, parent: Any) -> Text:
    """A page of the parent's list: rows cut out in a subquery, gathered into arrays around it."""
    compiler.paged.append(selected)
    arguments, shape = compiler.arguments_of(selected), selected.shape
    lists = [below for below in shape.fields if below.name in ("nodes", "edges")]
    cut = _cut(compiler, selected, paged, arguments, parent, lists)
    members = []
    for below in shape.fields:
        if below.name == "totalCount":
            counted = compiler.restricted(sa.select(sa.func.count()), paged, arguments, parent)
            value: Pieces = [counted.scalar_subquery()]
        elif below.name == "pageInfo":
            value = _page_info(below.shape, arguments, cut)
        elif below in lists:
            value = ["[", sa.func.array_to_string(cut.c[f"list{lists.index(below)}"], ","), "]"]
        else:
            value = [f'"{shape.type.name}"']
        members.append((below.key, value))
    # The count speaks of the parent, the rest of the page: both are within reach of one subquery.
    whole = sa.select(text_of(object_of(members)))
    if lists or any(shape.named("pageInfo")):
        whole = whole.select_from(cut)
    return within(whole, parent).scalar_subquery()


def _cut(
    compiler: Compiler,
    selected: Selected,
    paged: Paged,
    arguments: Arguments,
    parent: Any,
    lists: list[Selected],
) -> Any:
    """One row: the kept rows of each list, their cursors, and how many there were with one beyond the page."""
    number = id(selected)
    backwards = arguments.has("last")
    columns, descending = paged.order_by(arguments)
    cursor = _cursor(compiler, number, columns)
    objects = [_row_of(compiler, below, paged, cursor) for below in lists]
    rows = compiler.rows_of(paged, [*objects, [cursor]], arguments, parent)
    rows = rows.where(*_beyond_cursors(compiler, number, arguments, columns, descending))
    reverse = descending != backwards
    ordered = rows.order_by(*(column.desc() if reverse else column.asc() for column in columns))
    size = compiler.parameter(sa.Integer, lambda run: run.pages[number].size)
    page = ordered.limit(size + 1).subquery()
    gathered = sa.select(
        *(
            sa.func.array_agg(column, type_=ARRAY(sa.Text)).label(f"all{index}")
            for index, column in enumerate(page.c)
        ),
        sa.func.count().label("found"),
    ).subquery()
    kept = [turned(column[1:size], backwards) for column in list(gathered.c)[:-1]]
    return sa.select(
        *(column.label(f"list{index}") for index, column in enumerate(kept[:-1])),
        kept[-1].label("cursors"),
        (gathered.c.found > size).label("more"),
    ).subquery()


def _row_of(compiler: Compiler, below: Selected, paged: Paged, cursor: Text) -> Pieces:
    """The text of a row as `nodes` or as `edges` shows it."""
    if below.name == "nodes":
        return compiler.object(below.shape, paged.model, paged)
    values: dict[str, Callable[[Selected], Pieces]] = {
        "node": lambda part: compiler.object(part.shape, paged.model, paged),
        "cursor": lambda _: ['"', cursor, '"'],
        "__typename": lambda _: [f'"{below.shape.type.name}"'],
    }
    return object_of((part.key, values[part.name](part)) for part in below.shape.fields)


def _cursor(compiler: Compiler, number: int, columns: list[Any]) -> Text:
    """What `write_cursor` writes, in SQL: a digest of list and values, and the values, in URL-safe base64."""
    of = compiler.parameter(sa.Text, lambda run: run.pages[number].of)
    payload = sa.cast(sa.func.json_build_array(*(sa.cast(column, sa.Text) for column in columns)), sa.Text)
    digest = sa.func.left(sa.func.md5(sa.func.concat(of, payload)), DIGEST_LENGTH)
    encoded = sa.func.encode(sa.func.convert_to(sa.func.concat(digest, payload), "UTF8"), "base64")
    cursor: Text = sa.func.translate(encoded, "+/\n=", "-_")
    return cursor


def _beyond_cursors(
    compiler: Compiler, number: int, arguments: Arguments, columns: list[Any], descending: bool
) -> list[sa.ColumnElement[bool]]:
    conditions = []
    for end in ("after", "before"):
        if arguments.has(end):
            bounds = sa.tuple_(
                *(_bound(compiler, number, end, place, columns) for place in range(len(columns)))
            )
            row = sa.tuple_(*columns)
            conditions.append(row > bounds if (end == "after") != descending else row < bounds)
    return conditions


def _bound(compiler: Compiler, number: int, end: str, place: int, columns: list[Any]) -> Any:
    count = len(columns)
    value = compiler.parameter(sa.Text, lambda run: run.pages[number].bounds(end, count)[place])
    return sa.cast(value, columns[place].type)


def _page_info(shape: Shape, arguments: Arguments, cut: Any) -> Pieces:
    backwards = arguments.has("last")
    more = sa.func.to_json(cut.c.more)
    cursors = cut.c.cursors
    values: dict[str, Pieces] = {
        "__typename": [f'"{shape.type.name}"'],
        "hasNextPage": [boolean(arguments.has("before")) if backwards else more],
        "hasPreviousPage": [more if backwards else boolean(arguments.has("after"))],
        "startCursor": [quoted(cursors[1])],
        "endCursor": [quoted(cursors[sa.func.cardinality(cursors)])],
    }
    return object_of((part.key, values[part.name]) for part in shape.fields)
