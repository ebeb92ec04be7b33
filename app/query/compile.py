"""An operation as one SQL statement that writes the response.

Every object becomes an expression that concatenates its JSON text, every relation a subquery of its parent, so
that a whole page is one statement on one snapshot and Python only passes the text on. What the caller may see
is compiled in from the policy. A statement is compiled once for each shape; whatever differs between requests of
the same shape (keys, cursors, the caller and their sites) is a parameter, filled in by `run`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from graphql import GraphQLNonNull
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.concern import is_object
from app.db.pool import render
from app.policy import SEEING, seen, visible
from app.query.collect import Selected, Shape
from app.query.compile_caller import CallerColumns
from app.query.compile_choice import chosen, looked_up, parts_of
from app.query.compile_column import column_text, written
from app.query.compile_page import connection
from app.query.declare import (
    Arguments,
    Chosen,
    Column,
    Constant,
    Find,
    Group,
    Kept,
    KeptRow,
    Lookup,
    OfCaller,
    Paged,
    Parts,
    Records,
    Relation,
    Variant,
    kept_column,
)
from app.query.ids import ids_in
from app.query.jsontext import Pieces, Text, if_allowed, object_of, text_of
from app.query.plan import Plan, Run, Unplannable, within
from app.query.relations import is_joined, references


@dataclass
class Compiler:
    """Compiles the reads of one operation."""

    arguments: Mapping[int, Mapping[str, Any]]
    parameters: dict[str, Callable[[Run], Any]] = field(default_factory=dict)
    paged: list[Selected] = field(default_factory=list)
    caller: CallerColumns = field(default_factory=CallerColumns)

    def parameter(self, kind: Any, value_of: Callable[[Run], Any]) -> Any:
        """A place in the statement for a value that each request brings."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value_of
        return sa.bindparam(name, None, type_=kind)

    def plan(self, roots: Iterable[Selected]) -> Plan:
        """The statement that reads root fields, each into a column. Raises Unplannable."""
        return self._plan([self._root(root).label(root.key) for root in roots])

    def _root(self, root: Selected) -> Any:
        if isinstance(root.declaration, Lookup):
            return looked_up(self, root, root.declaration)
        return text_of(self._field(root, None))

    def completion(self, root: Selected) -> Plan:
        """The statement that reads what an object of given values refers to, each relation into an array of texts.

        Raises Unplannable.
        """
        relations = list(references(root))
        columns = [self._referred(below, relation) for below, relation in relations]
        return self._plan(columns, [id(below) for below, _ in relations])

    def _plan(self, columns: list[Any], relations: Iterable[int] = ()) -> Plan:
        if not columns:
            return Plan("", [], self.paged)
        rendered = render(sa.select(*columns).select_from(self.caller.cte(self.parameter)))
        return Plan(
            rendered.sql,
            [self.parameters[name] for name in rendered.names],
            self.paged,
            list(relations),
        )

    def object(self, shape: Shape, model: Any, source: Relation | None = None) -> Pieces:
        """The text of an object, out of the columns of its table and the subqueries of its relations.

        `source` is the relation whose rows these are: what it joins need not be looked up again.
        """
        return object_of((part.key, self._field(part, model, shape, source)) for part in shape.fields)

    def _field(
        self, selected: Selected, model: Any, shape: Shape | None = None, source: Relation | None = None
    ) -> Pieces:
        match selected.declaration:
            case Column() as column:
                return self._column(selected, column, model)
            case Constant(value=value):
                return [f'"{value.name}"']
            case Group(needs=needs):
                pieces = self.object(selected.shape, model, source)
                return [if_allowed(visible(self.caller, needs, model), text_of(pieces))] if needs else pieces
            case Kept() as kept:
                return self._column(selected, kept_column(kept, model.values), model)
            case Variant() as variant:
                return [self._variant(selected, variant, model)]
            case Records(rows=rows):
                return [self._records(selected, rows(lambda action: visible(self.caller, action, model)))]
            case OfCaller():
                return self.object(selected.shape, OfCaller)
            case Paged() as paged:
                return [connection(self, selected, paged, model)]
            case Relation() as relation if source and is_joined(relation, source, model):
                return self.object(selected.shape, relation.model)
            case Relation() as relation:
                return [self._related(selected, relation, model)]
            case Chosen() as given:
                return [chosen(self, selected, given, model)]
            case Parts() as parts:
                return [parts_of(self, selected, parts, model)]
            case Find() as find:
                return [self._found(selected, find)]
            case None if selected.name == "__typename" and shape:
                return [f'"{shape.type.name}"']
        raise Unplannable(f"{shape.type.name if shape else 'Query'}.{selected.name}")

    def _column(self, selected: Selected, column: Column, model: Any) -> Pieces:
        is_required = isinstance(selected.definition.type, GraphQLNonNull)
        if not column.needs:
            return column_text(column, is_required)
        hidden = replace(column, sql=sa.case((visible(self.caller, column.needs, model), column.sql)))
        return written(hidden, is_required)

    def _variant(self, selected: Selected, variant: Variant, model: Any) -> Text:
        """The object in a JSON column, as the type that the row says."""
        row = KeptRow(variant.column, model.site_id)
        texts = {
            value: text_of(self.object(selected.shapes[name], row)) for value, name in variant.types.items()
        }
        told = sa.case(texts, value=variant.by, else_="null")
        return if_allowed(is_object(variant.column), told)

    def _records(self, selected: Selected, rows: sa.Select[Any]) -> Text:
        """The objects that a subquery makes of the row."""
        found = rows.subquery()
        members = ((part.key, self._cell(part, found)) for part in selected.shape.fields)
        text = text_of(object_of(members))
        return sa.select(text_of(["[", sa.func.string_agg(text, ","), "]"])).scalar_subquery()

    def _cell(self, part: Selected, found: Any) -> Pieces:
        if part.name == "__typename":
            return [f'"{part.owner}"']
        return written(Column(found.c[part.name]), isinstance(part.definition.type, GraphQLNonNull))

    def _related(self, selected: Selected, relation: Relation, parent: Any) -> Text:
        arguments = self.arguments_of(selected)
        rows = self.rows_of(relation, [self.object(selected.shape, relation.model)], arguments, parent)
        rows = rows.order_by(*(relation.order(arguments) if relation.order else ()))
        if selected.is_list:
            listed = rows.subquery()
            return sa.select(text_of(["[", sa.func.string_agg(listed.c.row0, ","), "]"])).scalar_subquery()
        found = sa.func.coalesce(rows.limit(1).scalar_subquery(), "null")
        if relation.follows and relation.follows is not SEEING[parent]:
            return if_allowed(visible(self.caller, relation.follows, parent), found)
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
            local = self.caller.user_id if parent is OfCaller else getattr(parent, relation.local)
            statement = statement.where(getattr(relation.model, relation.on) == local)
        if relation.needs:
            statement = statement.where(visible(self.caller, relation.needs, relation.model))
        elif not relation.follows:
            statement = statement.where(seen(self.caller, relation.model))
        if relation.where:
            statement = statement.where(*relation.where(arguments, self.caller))
        return within(statement, parent)

    def _referred(self, selected: Selected, relation: Relation) -> Text:
        """The rows that given values refer to, in the order of their keys; null for what the caller may not see."""
        number = id(selected)
        keys = self.parameter(ARRAY(sa.Uuid), lambda run: run.keys.get(number, []))
        wanted = sa.func.unnest(keys).table_valued("key", with_ordinality="place").render_derived()
        rows = self.rows_of(
            replace(relation, local=None),
            [self.object(selected.shape, relation.model)],
            self.arguments_of(selected),
            wanted,
        ).where(getattr(relation.model, relation.on or "id") == wanted.c.key)
        found = sa.func.coalesce(rows.limit(1).scalar_subquery(), "null")
        listed = sa.select(found).select_from(wanted).order_by(wanted.c.place).scalar_subquery()
        return sa.func.array(listed, type_=ARRAY(sa.Text))

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
            .where(wanted.c.kind == kind, model.__table__.c.id == wanted.c.key, seen(self.caller, model))
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
