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

from app.db.pool import render
from app.policy import SEEING, seen, visible
from app.query.collect import Selected, Shape
from app.query.compile_page import connection
from app.query.declare import Arguments, Column, Constant, Find, Group, OfCaller, Paged, Relation
from app.query.ids import ids_in
from app.query.jsontext import Pieces, Text, if_allowed, object_of, text_of
from app.query.plan import Plan, Run, Unplannable, within
from app.query.words import LANGUAGE

MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
"""How `datetime.isoformat` writes a moment with microseconds, in PostgreSQL's words."""


@dataclass
class Compiler:
    """Compiles the roots of one operation. It stands in for the caller whose rights are not known yet."""

    arguments: Mapping[int, Mapping[str, Any]]
    parameters: dict[str, Callable[[Run], Any]] = field(default_factory=lambda: {LANGUAGE: _language})
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

    def object(self, shape: Shape, model: Any) -> Pieces:
        """The text of an object, out of the columns of its table and the subqueries of its relations."""
        return object_of((selected.key, self._field(selected, model, shape)) for selected in shape.fields)

    def _field(self, selected: Selected, model: Any, shape: Shape | None = None) -> Pieces:
        match selected.declaration:
            case Column() as column:
                return self._column(selected, column, model)
            case Constant(value=value):
                return [f'"{value.name}"']
            case Group(needs=needs):
                pieces = self.object(selected.shape, model)
                return [if_allowed(visible(self, needs, model), text_of(pieces))] if needs else pieces
            case OfCaller():
                return self.object(selected.shape, OfCaller)
            case Paged() as paged:
                return [connection(self, selected, paged, model)]
            case Relation() as relation:
                return [self._related(selected, relation, model)]
            case Find() as find:
                return [self._found(selected, find)]
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
        arguments = self.arguments_of(selected)
        rows = self.rows_of(relation, [self.object(selected.shape, relation.model)], arguments, parent)
        rows = rows.order_by(*(relation.order(arguments) if relation.order else ()))
        if selected.is_list:
            listed = rows.subquery()
            return sa.select(text_of(["[", sa.func.string_agg(listed.c.row0, ","), "]"])).scalar_subquery()
        found = sa.func.coalesce(rows.limit(1).scalar_subquery(), "null")
        if relation.follows and relation.follows is not SEEING[parent]:
            return if_allowed(visible(self, relation.follows, parent), found)
        return found

    def rows_of(
        self, relation: Relation, objects: list[Pieces], arguments: Arguments, parent: Any
    ) -> sa.Select[Any]:
        """The rows of a relation that the caller may see, each as the texts of its objects."""
        columns = (text_of(pieces).label(f"row{index}") for index, pieces in enumerate(objects))
        return self.restricted(sa.select(*columns), relation, arguments, parent)

    def restricted(
        self, statement: sa.Select[Any], relation: Relation, arguments: Arguments, parent: Any
    ) -> sa.Select[Any]:
        """The statement over the rows of a relation that belong to the parent and that the caller may see."""
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
        return within(statement, parent)

    def _found(self, selected: Selected, find: Find) -> Text:
        """The rows with the ids in the arguments, in their order; null for what the caller may not see."""
        number = id(selected)
        asked = sa.func.unnest(
            self.parameter(ARRAY(sa.Text), lambda run: [kind for kind, _ in ids_in(run.arguments[number])]),
            self.parameter(ARRAY(sa.Uuid), lambda run: [key for _, key in ids_in(run.arguments[number])]),
        )
        wanted = asked.table_valued("kind", "key", with_ordinality="place").render_derived()
        candidates = (
            sa.select(text_of(self.object(selected.shapes[name], model)))
            .where(wanted.c.kind == kind, model.__table__.c.id == wanted.c.key, seen(self, model))
            .correlate(wanted)
            .limit(1)
            .scalar_subquery()
            for kind, (name, model) in find.kinds.items()
        )
        rows = sa.select(sa.func.coalesce(*candidates, "null").label("row0"), wanted.c.place).select_from(
            wanted
        )
        if not selected.is_list:
            return sa.select(rows.subquery().c.row0).scalar_subquery()
        listed = rows.order_by(wanted.c.place).subquery()
        return sa.select(text_of(["[", sa.func.string_agg(listed.c.row0, ","), "]"])).scalar_subquery()

    def arguments_of(self, selected: Selected) -> Arguments:
        """The arguments of a field, whose values each request brings anew."""
        number = id(selected)
        values = self.arguments.get(number, {})
        return Arguments(
            values,
            lambda kind, value_of: self.parameter(kind, lambda run: value_of(run.arguments[number])),
        )


def _language(run: Run) -> str:
    return run.language.name


def _always(value: Any) -> Callable[[Run], Any]:
    return lambda run: value
