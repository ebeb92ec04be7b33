"""An operation as one SQL statement that writes the response.

Every object becomes an expression that concatenates its JSON text, every relation a subquery of its parent, so
that a whole page is one statement on one snapshot and Python only passes the text on. What the caller may see
is compiled in from the policy. A statement is compiled once for each shape; whatever differs between requests of
the same shape (keys, cursors, the caller and their sites) is a parameter, filled in by `run`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from graphql import GraphQLNonNull
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.models import Base
from app.db.pool import render
from app.policy import SEEING, seen, visible
from app.query.collect import Selected, Shape
from app.query.cursor import DIGEST_LENGTH
from app.query.declare import Arguments, Column, Constant, Group, OfCaller, Paged, Relation
from app.query.jsontext import Pieces, Text, boolean, if_allowed, object_of, quoted, text_of, turned
from app.query.plan import Plan, Run, Unplannable

MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
"""How `datetime.isoformat` writes a moment with microseconds, in PostgreSQL's words."""


@dataclass
class Compiler:
    """Compiles the roots of one operation. It stands in for the caller whose rights are not known yet."""

    arguments: Mapping[int, Mapping[str, Any]]
    parameters: dict[str, Callable[[Run], Any]] = field(default_factory=dict)
    paged: list[Selected] = field(default_factory=list)

    def parameter(self, kind: Any, value_of: Callable[[Run], Any]) -> Any:
        """A place in the statement for a value that each request brings."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value_of
        return sa.bindparam(name, None, type_=kind)

    @property
    def user_id(self) -> Any:
        """The caller's key, wherever the policy or a filter speaks of the caller."""
        return self.parameter(sa.Uuid, lambda run: run.actor.user_id)

    def sites_where(self, holds: Callable[[Any], bool]) -> Any:
        """The sites at which the caller's standing passes a test."""
        return self.parameter(ARRAY(sa.Uuid), lambda run: run.actor.sites_where(holds))

    def plan(self, roots: Iterable[Selected]) -> Plan:
        """The statement of an operation. Raises Unplannable."""
        statement = sa.select(*(text_of(self._field(root, None)).label(root.key) for root in roots))
        rendered = render(statement)
        values = (self.parameters.get(name) or _always(rendered.fixed[name]) for name in rendered.names)
        return Plan(rendered.sql, list(values), self.paged)

    def _object(self, shape: Shape, model: Any) -> Pieces:
        return object_of((selected.key, self._field(selected, model, shape)) for selected in shape.fields)

    def _field(self, selected: Selected, model: Any, shape: Shape | None = None) -> Pieces:
        match selected.declaration:
            case Column() as column:
                return self._column(selected, column, model)
            case Constant(value=value):
                return [f'"{value.name}"']
            case Group(needs=needs):
                pieces = self._object(selected.shape, model)
                return [if_allowed(visible(self, needs, model), text_of(pieces))] if needs else pieces
            case OfCaller():
                return self._object(selected.shape, OfCaller)
            case Paged() as paged:
                return [self._connection(selected, paged, model)]
            case Relation() as relation:
                return [self._related(selected, relation, model)]
            case None if selected.name == "__typename" and shape:
                return [f'"{shape.type.name}"']
        raise Unplannable(f"{shape.type.name if shape else 'Query'}.{selected.name}")

    def _column(self, selected: Selected, column: Column, model: Any) -> Pieces:
        if column.kind:
            return [f'"{column.kind}_', sa.func.replace(sa.cast(column.sql, sa.Text), "-", ""), '"']
        sql = sa.case((visible(self, column.needs, model), column.sql)) if column.needs else column.sql
        kind = sql.type
        if isinstance(kind, sa.Enum):
            pieces: Pieces = ['"', sa.cast(sql, sa.Text), '"']
        elif kind.python_type is datetime:
            pieces = ['"', sa.func.to_char(sa.func.timezone("UTC", sql), MOMENT), '"']
        else:
            pieces = [sa.cast(sa.func.to_json(sql), sa.Text)]
        if isinstance(selected.definition.type, GraphQLNonNull):
            return pieces
        # Concatenation by operator is null as soon as a part of it is.
        whole = pieces[0] if len(pieces) == 1 else sa.literal('"') + pieces[1] + sa.literal('"')
        return [sa.func.coalesce(whole, "null")]

    def _related(self, selected: Selected, relation: Relation, parent: Any) -> Text:
        arguments = self._arguments(selected)
        rows = self._rows(relation, [self._object(selected.shape, relation.model)], arguments, parent)
        rows = rows.order_by(*(relation.order(arguments) if relation.order else ()))
        if selected.is_list:
            listed = rows.subquery()
            return sa.select(text_of(["[", sa.func.string_agg(listed.c.row0, ","), "]"])).scalar_subquery()
        found = sa.func.coalesce(rows.limit(1).scalar_subquery(), "null")
        if relation.follows and relation.follows is not SEEING[parent]:
            return if_allowed(visible(self, relation.follows, parent), found)
        return found

    def _rows(
        self, relation: Relation, objects: list[Pieces], arguments: Arguments, parent: Any
    ) -> sa.Select[Any]:
        """The rows of a relation that the caller may see, each as the texts of its objects."""
        columns = (text_of(pieces).label(f"row{index}") for index, pieces in enumerate(objects))
        return self._restricted(sa.select(*columns), relation, arguments, parent)

    def _restricted(
        self, statement: sa.Select[Any], relation: Relation, arguments: Arguments, parent: Any
    ) -> sa.Select[Any]:
        statement = statement.select_from(relation.model)
        for target, condition in relation.joins:
            statement = statement.join(target, condition)
        if relation.on and relation.local:
            local = self.user_id if parent is OfCaller else getattr(parent, relation.local)
            statement = statement.where(getattr(relation.model, relation.on) == local)
        if not relation.follows:
            statement = statement.where(seen(self, relation.model))
        if relation.where:
            statement = statement.where(*relation.where(arguments, self))
        return statement.correlate(*([parent] if _is_table(parent) else [None]))

    def _arguments(self, selected: Selected) -> Arguments:
        number = id(selected)
        values = self.arguments.get(number, {})
        return Arguments(
            values,
            lambda kind, value_of: self.parameter(kind, lambda run: value_of(run.arguments[number])),
        )

    def _connection(self, selected: Selected, paged: Paged, parent: Any) -> Text:
        """A page of the parent's list: rows cut out in a subquery, gathered into arrays around it."""
        self.paged.append(selected)
        arguments, shape = self._arguments(selected), selected.shape
        lists = [below for below in shape.fields if below.name in ("nodes", "edges")]
        cut = self._cut(selected, paged, arguments, parent, lists)
        members = []
        for below in shape.fields:
            if below.name == "totalCount":
                counted = self._restricted(sa.select(sa.func.count()), paged, arguments, parent)
                value: Pieces = [counted.scalar_subquery()]
            elif below.name == "pageInfo":
                value = self._page_info(below.shape, arguments, cut)
            elif below in lists:
                value = ["[", sa.func.array_to_string(cut.c[f"list{lists.index(below)}"], ","), "]"]
            else:
                value = [f'"{shape.type.name}"']
            members.append((below.key, value))
        # The count speaks of the parent, the rest of the page: both are within reach of one subquery.
        whole = sa.select(text_of(object_of(members))).select_from(cut)
        return whole.correlate(*([parent] if _is_table(parent) else [None])).scalar_subquery()

    def _cut(
        self, selected: Selected, paged: Paged, arguments: Arguments, parent: Any, lists: list[Selected]
    ) -> Any:
        """One row: the kept rows of each list, their cursors, and how many there were with one beyond the page."""
        number = id(selected)
        backwards = arguments.has("last")
        columns, descending = paged.order_by(arguments)
        cursor = self._cursor(number, columns)
        objects = [self._row_of(below, paged, cursor) for below in lists]
        rows = self._rows(paged, [*objects, [cursor]], arguments, parent)
        rows = rows.where(*self._beyond_cursors(number, arguments, columns, descending))
        reverse = descending != backwards
        ordered = rows.order_by(*(column.desc() if reverse else column.asc() for column in columns))
        size = self.parameter(sa.Integer, lambda run: run.pages[number].size)
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

    def _row_of(self, below: Selected, paged: Paged, cursor: Text) -> Pieces:
        """The text of a row as `nodes` or as `edges` shows it."""
        if below.name == "nodes":
            return self._object(below.shape, paged.model)
        values: dict[str, Callable[[Selected], Pieces]] = {
            "node": lambda part: self._object(part.shape, paged.model),
            "cursor": lambda _: ['"', cursor, '"'],
            "__typename": lambda _: [f'"{below.shape.type.name}"'],
        }
        return object_of((part.key, values[part.name](part)) for part in below.shape.fields)

    def _cursor(self, number: int, columns: list[Any]) -> Text:
        """What `write_cursor` writes, in SQL: a digest of list and values, and the values, in URL-safe base64."""
        of = self.parameter(sa.Text, lambda run: run.pages[number].of)
        payload = sa.cast(
            sa.func.json_build_array(*(sa.cast(column, sa.Text) for column in columns)), sa.Text
        )
        digest = sa.func.left(sa.func.md5(sa.func.concat(of, payload)), DIGEST_LENGTH)
        encoded = sa.func.encode(sa.func.convert_to(sa.func.concat(digest, payload), "UTF8"), "base64")
        cursor: Text = sa.func.translate(encoded, "+/\n=", "-_")
        return cursor

    def _beyond_cursors(
        self, number: int, arguments: Arguments, columns: list[Any], descending: bool
    ) -> list[sa.ColumnElement[bool]]:
        conditions = []
        for end in ("after", "before"):
            if arguments.has(end):
                bounds = sa.tuple_(
                    *(self._bound(number, end, place, columns) for place in range(len(columns)))
                )
                row = sa.tuple_(*columns)
                conditions.append(row > bounds if (end == "after") != descending else row < bounds)
        return conditions

    def _bound(self, number: int, end: str, place: int, columns: list[Any]) -> Any:
        count = len(columns)
        value = self.parameter(sa.Text, lambda run: run.pages[number].bounds(end, count)[place])
        return sa.cast(value, columns[place].type)

    def _page_info(self, shape: Shape, arguments: Arguments, cut: Any) -> Pieces:
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


def _always(value: Any) -> Callable[[Run], Any]:
    return lambda run: value


def _is_table(parent: Any) -> bool:
    return isinstance(parent, type) and issubclass(parent, Base)
