"""A page of a connection as SQL: its rows cut out of the list, its cursors, and whether there are more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from app.query.collect import Selected, Shape
from app.query.compile_rows import Cut, count, cut, local_of, size
from app.query.declare import Paged, Relation
from app.query.jsontext import Pieces, Sql, around, boolean, object_of, text_of
from app.query.structure import Given
from app.query.template import Template


class Compiler(Protocol):
    """What a page needs of the compiler (see `compile`)."""

    paged: list[Selected]
    unread: list[Selected]

    def fill(self, template: Template, selected: Selected | None = None, **texts: str) -> Sql: ...
    def given(self, selected: Selected) -> Given: ...
    def gathered(self, column: str, listed: Sql) -> Sql: ...
    def object(self, shape: Shape, model: Any, source: Relation | None = None) -> Pieces: ...


JOINED = "string_agg({row}, ','{order}){kept}"
GATHERED = "array_agg({row}{order}){kept}"
"""Aggregates over the rows of a page: of which column, in which order, and which of the rows count."""


@dataclass
class _Page:
    """The rows of a page, read by one subquery, and what is gathered from them.

    The subquery reads one row `beyond` the page where it is asked whether there are more; then, and when the list is
    read `backwards`, rows have a place.
    """

    compiler: Compiler
    selected: Selected
    paged: Paged
    cut: Cut
    backwards: bool
    beyond: bool
    columns: list[Sql] = field(default_factory=list)

    @cached_property
    def size(self) -> Sql:
        """How many rows it has at most."""
        return self.compiler.fill(size(), self.selected)

    @cached_property
    def cursor(self) -> Sql:
        """The cursor of a row."""
        return self.compiler.fill(self.cut.cursor, self.selected)

    @cached_property
    def cursors(self) -> Sql:
        """The cursors of all rows."""
        return self._gathered(GATHERED, self.cursor)

    def _gathered(self, aggregate: str, text: Sql) -> Sql:
        """A text of each row of the page, in the order of the list."""
        name = f"row{len(self.columns)}"
        self.columns.append(Sql(f"{text} AS {name}"))
        order = " ORDER BY place DESC" if self.backwards else ""
        kept = f" FILTER (WHERE place <= {self.size})" if self.beyond else ""
        return Sql(aggregate.format(row=name, order=order, kept=kept))

    def listed(self, below: Selected) -> Pieces:
        """The `nodes` or the `edges`."""
        return ["[", self._gathered(JOINED, text_of(self._row(below))), "]"]

    def _row(self, below: Selected) -> Pieces:
        if below.name == "nodes":
            return self.compiler.object(below.shape, self.paged.model, self.paged)
        values: dict[str, Callable[[Selected], Pieces]] = {
            "node": lambda part: self.compiler.object(part.shape, self.paged.model, self.paged),
            "cursor": lambda _: ['"', self.cursor, '"'],
            "__typename": lambda _: [f'"{below.shape.type.name}"'],
        }
        return object_of((part.key, values[part.name](part)) for part in below.shape.fields)

    def info(self, shape: Shape) -> Pieces:
        """The `pageInfo`."""
        given = dict(self.compiler.given(self.selected))
        values: dict[str, Callable[[], Pieces]] = {
            "__typename": lambda: [f'"{shape.type.name}"'],
            "hasNextPage": lambda: [boolean("before" in given) if self.backwards else self._more()],
            "hasPreviousPage": lambda: [self._more() if self.backwards else boolean("after" in given)],
            "startCursor": lambda: [self._cursor_at("1")],
            "endCursor": lambda: [self._cursor_at(f"cardinality({self.cursors})")],
        }
        return object_of((part.key, values[part.name]()) for part in shape.fields)

    def _more(self) -> Sql:
        return Sql(f"to_json(count(*) > {self.size})")

    def _cursor_at(self, place: str) -> Sql:
        """The cursor at a place, as a string; null where there are no rows."""
        return Sql(f"""coalesce('"' || ({self.cursors})[{place}] || '"', 'null')""")

    def rows(self) -> Sql:
        """The statement of the subquery."""
        if self.backwards or self.beyond:
            self.columns.append(Sql(f"{self.compiler.fill(self.cut.place)} AS place"))
        columns, limit = ", ".join(self.columns), f"{self.size} + 1" if self.beyond else self.size
        return self.compiler.fill(self.cut.rows, self.selected, columns=columns, limit=limit)


def connection(compiler: Compiler, selected: Selected, paged: Paged, parent: Any) -> Pieces:
    """A page of the parent's list: rows in a subquery, gathered around it."""
    compiler.paged.append(selected)
    shape, given, local = selected.shape, compiler.given(selected), local_of(paged, parent)
    backwards = "last" in dict(given)
    beyond = any(_asks_for_more(info.shape, backwards) for info in shape.named("pageInfo"))
    page = _Page(compiler, selected, paged, cut(paged, local, given), backwards, beyond)
    values: dict[str, Callable[[Selected], Pieces]] = {
        "nodes": page.listed,
        "edges": page.listed,
        "pageInfo": lambda below: page.info(below.shape),
        "totalCount": lambda _: [compiler.fill(count(paged, local, given), selected)],
        "__typename": lambda _: [f'"{shape.type.name}"'],
    }
    whole = object_of((below.key, values[below.name](below)) for below in shape.fields)
    if not page.columns and not page.beyond:
        compiler.unread.append(selected)
        return whole
    listed = page.rows()
    return around(whole, lambda column: compiler.gathered(column, listed))


def _asks_for_more(info: Shape, backwards: bool) -> bool:
    """Whether it is asked if there are more rows in the direction of reading."""
    return any(info.named("hasPreviousPage" if backwards else "hasNextPage"))
