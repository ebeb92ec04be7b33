"""Statements that SQLAlchemy writes once, and that each document fills in.

What follows from declarations and from the policy is always the same: which rows belong to a relation, who may see
them, what is a column's text. It is written with SQLAlchemy, with holes for what follows from the document, rendered
at first use, and kept. Parameters are holes too: for their numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from app.db.pool import render
from app.query.compile_caller import CallerColumns
from app.query.declare import Arguments
from app.query.jsontext import MARK, Sql
from app.query.plan import Run
from app.query.structure import Given, unfolded

ValueOf = Callable[[Run, int], Any]
"""Finds the value of a parameter in a request, for the field (by its `id`) that the template is filled in for."""


def hole(name: str, kind: Any = sa.Text) -> Any:
    """A place in a statement for SQL of this type that is not known yet."""
    return sa.literal_column(f"{MARK}{name}{MARK}", kind)


@dataclass(frozen=True, eq=False)
class Template:
    """A rendered statement or expression: texts, and between every two of them the name of a hole.

    `parameters` are the holes for values of the request; `caller` is what it asks of the caller.
    """

    pieces: list[str]
    parameters: Mapping[str, ValueOf]
    caller: CallerColumns

    def filled(self, texts: Mapping[str, str]) -> Sql:
        """The whole, with a text for every hole."""
        pieces = self.pieces.copy()
        pieces[1::2] = [texts[name] for name in pieces[1::2]]
        return Sql("".join(pieces))


@dataclass(frozen=True, eq=False)
class Draft:
    """A template in the making: what its conditions speak of, and what they used of it."""

    given: Given = ()
    parameters: dict[str, ValueOf] = field(default_factory=dict)
    caller: CallerColumns = field(default_factory=CallerColumns)

    def parameter(self, kind: Any, value_of: ValueOf) -> Any:
        """A place for a value that each request brings."""
        name = f"parameter {len(self.parameters)}"
        self.parameters[name] = value_of
        return sa.cast(hole(name), kind)

    @property
    def arguments(self) -> Arguments:
        """The arguments of the field, of which only the structure is known."""
        return Arguments(
            unfolded(self.given),
            lambda kind, value_of: self.parameter(
                kind, lambda run, field_id: value_of(run.arguments[field_id])
            ),
        )

    def statement(self, statement: sa.Select[Any]) -> Template:
        """A whole statement, or one to stand in brackets."""
        return Template(render(statement).sql.split(MARK), self.parameters, self.caller)

    def expression(self, expression: Any, table: Any = None) -> Template:
        """An expression over the row of a table, whose subqueries know that row."""
        # It is rendered within a select from the table, so that subqueries in it are correlated to the table's row.
        # What is rendered around it is cut off: as an argument of a function it has no label, and `end` marks its ends.
        end = hole("end")
        statement = sa.select(sa.func.between(end, expression, end))
        if is_table(table):
            statement = statement.select_from(table)
        _, _, *pieces, _, _ = render(statement).sql.split(MARK)
        pieces[0] = pieces[0].removeprefix(", ")
        pieces[-1] = pieces[-1].removesuffix(", ")
        return Template(pieces, self.parameters, self.caller)


def is_table(thing: Any) -> bool:
    """Whether rows can be selected from it: a model, an alias of one, or a subquery."""
    return isinstance(thing, sa.FromClause) or sa.inspect(thing, raiseerr=False) is not None
