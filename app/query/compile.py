"""An operation as one SQL statement that writes the response.

Every object becomes an expression of its JSON text, every relation a subquery of its parent, so that a
whole page is one statement on one snapshot and Python only passes the text on. The long lists of a root are columns of
their own, so that they are not copied into a longer text; all columns are read as bytes. What the caller may see is
compiled in from the policy. A statement is compiled once for each shape; whatever differs between requests of the same
shape (keys, cursors, the caller and their sites) is a parameter, filled in for each request
(see `plan`). So are the names which clients chose.

SQLAlchemy writes what depends on the declarations alone, once (see `template`). What is left for each document is to
put the texts into one another, so that a document nobody has sent before is answered nearly as fast as any other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import GraphQLNonNull

from app.policy import SEEING
from app.query.collect import FieldArguments, Selected, Shape
from app.query.compile_caller import CallerColumns
from app.query.compile_choice import chosen, looked_up, parts_of
from app.query.compile_column import column_text
from app.query.compile_page import connection
from app.query.compile_row import allowed, recorded, varied
from app.query.compile_rows import (
    WANTED,
    gathered,
    joined_rows,
    local_of,
    row_by_id,
    rows,
    wanted_ids,
    wanted_keys,
)
from app.query.compile_statement import key, language, sites, whole
from app.query.declare import (
    Chosen,
    Column,
    Constant,
    Find,
    Group,
    Kept,
    Lookup,
    OfCaller,
    Paged,
    Parts,
    Records,
    Relation,
    Variant,
    kept_column,
)
from app.query.jsontext import (
    Long,
    Pieces,
    Sql,
    as_bytes,
    columns_of,
    constant,
    first_of,
    if_allowed,
    joined,
    object_of,
    text_of,
    with_parameters,
)
from app.query.plan import Parameter, Plan, Run, Unplannable
from app.query.relations import is_joined, references
from app.query.structure import Given, given_in
from app.query.template import Template, ValueOf

LONGEST = 500_000
"""Characters of a statement. PostgreSQL takes longer to plan one than the interpreter needs for many short ones."""


@dataclass
class Compiler:
    """Compiles the reads of one operation."""

    arguments: FieldArguments
    parameters: list[Parameter] = field(default_factory=list)
    paged: list[Selected] = field(default_factory=list)
    unread: list[Selected] = field(default_factory=list)
    """Of those, the ones of which nothing is asked that depends on their rows."""
    caller: CallerColumns = field(default_factory=CallerColumns)
    joins: list[str] = field(default_factory=list)
    """Of roots that lead to one row, of which several columns are read."""

    def fill(self, template: Template, selected: Selected | None = None, **texts: str) -> Sql:
        """A template as part of the statement: with texts in its holes, and its parameters numbered.

        `selected` is the field whose arguments, page or keys the parameters are found in, where they are.
        """
        self.caller.add(template.caller)
        for name, value_of in template.parameters.items():
            self.parameters.append(_of_field(value_of, id(selected)))
            texts[name] = f"${len(self.parameters)}"
        return template.filled(texts)

    def plan(self, roots: Iterable[Selected]) -> Plan:
        """The statement that reads root fields. Raises Unplannable."""
        found = [self._root(root) for root in roots]
        columns = [column for columns in found for column in columns]
        return self._plan(columns, widths=[len(columns) for columns in found])

    def _root(self, root: Selected) -> list[Sql]:
        match root.declaration:
            case Lookup() as lookup:
                return [looked_up(self, root, lookup)]
            case Relation() as relation if not (root.is_list or isinstance(relation, Paged)):
                return self._row(root, relation)
        return list(map(as_bytes, columns_of(self._field(root, None))))

    def _row(self, root: Selected, relation: Relation) -> list[Sql]:
        """The columns of the row that a root leads to, which are null where there is none."""
        columns = columns_of(self.object(root.shape, relation.model))
        template = rows(relation, None, self.given(root))
        if len(columns) == 1:
            return [as_bytes(first_of(self.fill(template, root, columns=columns[0])))]
        name = f"root{len(self.joins)}"
        listed = ", ".join(f"{column} AS text{place}" for place, column in enumerate(columns))
        row = self.fill(template, root, columns=listed)
        self.joins.append(f" LEFT JOIN LATERAL ({row} LIMIT 1) AS {name} ON true")
        return [as_bytes(Sql(f"{name}.text{place}")) for place in range(len(columns))]

    def completion(self, root: Selected) -> Plan:
        """The statement that reads what an object of given values refers to, each relation into an array of texts.

        Raises Unplannable.
        """
        relations = list(references(root))
        columns = [self._referred(below, relation) for below, relation in relations]
        return self._plan(columns, relations=[id(below) for below, _ in relations])

    def _plan(self, columns: list[Sql], widths: Sequence[int] = (), relations: Sequence[int] = ()) -> Plan:
        if not columns:
            return Plan("", [], self.paged, self.unread)
        known, joins = ", ".join(self._known()), "".join(self.joins)
        filled = self.fill(whole(), columns=", ".join(columns), known=known, joins=joins)
        if len(filled) > LONGEST:
            raise Unplannable("a statement of this length")
        statement = with_parameters(filled, cache(self._number_of))
        return Plan(statement, self.parameters, self.paged, self.unread, widths, relations)

    def _number_of(self, text: str) -> int:
        """The number of a new parameter that is the same for every request."""
        self.parameters.append(text)
        return len(self.parameters)

    def _known(self) -> Iterable[str]:
        """What has to be known of the caller, as columns."""
        yield f"{self.fill(key())} AS id"
        for name, passing in self.caller.tests.items():
            yield f"{self.fill(sites(passing))} AS {name}"
        if self.caller.needs_language:
            yield f"{self.fill(language())} AS language"

    def object(self, shape: Shape, model: Any, source: Relation | None = None) -> Pieces:
        """The text of an object, out of the columns of its table and the subqueries of its relations.

        `source` is the relation whose rows these are: what it joins need not be looked up again.
        """
        return object_of((part.key, self._field(part, model, source)) for part in shape.fields)

    def _field(self, selected: Selected, model: Any, source: Relation | None = None) -> Pieces:
        match selected.declaration:
            case Column() as column:
                return self._column(selected, column, model)
            case Constant(value=value):
                return [f'"{value.name}"']
            case Group(needs=needs):
                pieces = self.object(selected.shape, model, source)
                return [if_allowed(self.fill(allowed(needs, model)), text_of(pieces))] if needs else pieces
            case Kept() as kept:
                return self._column(selected, kept_column(kept, model.values), model)
            case Variant() as variant:
                return [self._variant(selected, variant, model)]
            case Records() as records:
                return [self._records(selected, records, model)]
            case OfCaller():
                return self.object(selected.shape, OfCaller)
            case Paged() as paged:
                return connection(self, selected, paged, model)
            case Relation() as relation if source and is_joined(relation, source, model):
                return self.object(selected.shape, relation.model)
            case Relation() as relation:
                return self._related(selected, relation, model)
            case Chosen() as choice:
                return [chosen(self, selected, choice, model)]
            case Parts() as parts:
                return parts_of(self, selected, parts, model)
            case Find() as find:
                return [self._found(selected, find)]
            case None if selected.name == "__typename":
                return [f'"{selected.owner}"']
        raise Unplannable(selected.coordinate)

    def _column(self, selected: Selected, column: Column, table: Any = None) -> Pieces:
        parts = column_text(column, isinstance(selected.definition.type, GraphQLNonNull), table)
        return [part if isinstance(part, str) else self.fill(part) for part in parts]

    def _variant(self, selected: Selected, variant: Variant, table: Any) -> Sql:
        """The object in a JSON column, as the type that the row says."""
        shown = varied(variant, table)
        whens = (
            f"WHEN {constant(value)} THEN {text_of(self.object(selected.shapes[name], shown.row))} "
            for value, name in variant.types.items()
        )
        told = Sql(f"CASE {self.fill(shown.by)} {''.join(whens)}ELSE 'null' END")
        return if_allowed(self.fill(shown.is_there), told)

    def _records(self, selected: Selected, records: Records, table: Any) -> Sql:
        """The objects that a subquery makes of the row."""
        shown = recorded(records, table)
        members = (
            (part.key, [f'"{part.owner}"'])
            if part.name == "__typename"
            else (part.key, self._column(part, shown.columns[part.name]))
            for part in selected.shape.fields
        )
        text = text_of(object_of(members))
        return self.fill(shown.objects, text=joined(text))

    def _related(self, selected: Selected, relation: Relation, parent: Any) -> Pieces:
        text = text_of(self.object(selected.shape, relation.model))
        local, given = local_of(relation, parent), self.given(selected)
        if selected.is_list:
            texts = self.fill(joined_rows(relation, local, given), selected, text=text)
            return ["[", Long(f"({texts})"), "]"]
        found = first_of(self.fill(rows(relation, local, given), selected, columns=text))
        if relation.follows and relation.follows is not SEEING[parent]:
            return [if_allowed(self.fill(allowed(relation.follows, parent)), found)]
        return [found]

    def _referred(self, selected: Selected, relation: Relation) -> Sql:
        """The rows that given values refer to, in the order of their keys; null for what the caller may not see."""
        text = text_of(self.object(selected.shape, relation.model))
        template = rows(relation, WANTED, self.given(selected))
        found = first_of(self.fill(template, selected, columns=text))
        return Sql(f"ARRAY({self.fill(wanted_keys(), selected, columns=found)})")

    def _found(self, selected: Selected, find: Find) -> Sql:
        """The rows with the ids in the arguments, in their order; null for what the caller may not see."""
        candidates = [
            f"({self.fill(row_by_id(model, kind), columns=text_of(self.object(selected.shapes[name], model)))})"
            for kind, (name, model) in find.kinds.items()
        ]
        row = f"coalesce({', '.join(candidates)}, 'null')"
        listed = self.fill(wanted_ids(), selected, columns=f"{row} AS row0")
        column = joined("row0") if selected.is_list else "row0"
        return self.gathered(column, listed)

    def gathered(self, column: str, listed: Sql) -> Sql:
        """What is made of all rows of a subquery."""
        return Sql(f"({self.fill(gathered(), columns=column, rows=listed)})")

    def given(self, selected: Selected) -> Given:
        """Which arguments of a field are given."""
        return given_in(self.arguments.get(id(selected), {}))


def _of_field(value_of: ValueOf, field_id: int) -> Callable[[Run], Any]:
    return lambda run: value_of(run, field_id)
