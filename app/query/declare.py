"""How a field of the schema says what it reads: a column, a group, a computed value, a relation.

The declaration rides on the Strawberry field as metadata; `collect` finds it there, `compile` makes SQL of it, and
`load` is the other meaning of it, for what is not compiled.
A relation needs no rule of its own: the rows of a table are always those that `policy.seen` leaves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.base import Base
from app.policy import Action, allowed

METADATA = "reads"
MakeParameter = Callable[[Any, Callable[[Mapping[str, Any]], Any]], Any]
"""Makes an SQL expression of a type out of a function that finds its value in the arguments."""


class Arguments:
    """The arguments of a field, as conditions speak of them.

    What is given decides the shape of a statement; the values are parameters of it. A read of one request makes
    literals of them; the compiler makes parameters that are filled in anew for every request.
    """

    def __init__(self, values: Mapping[str, Any], parameter: MakeParameter | None = None) -> None:
        self.values = values
        self.parameter = parameter or (lambda kind, value_of: sa.literal(value_of(values), kind))

    def has(self, *path: str) -> bool:
        """Whether something other than null is given at a path."""
        return dig(self.values, path) is not None

    def name(self, *path: str) -> str | None:
        """The name of an enum's value that decides the shape, such as an order."""
        value = dig(self.values, path)
        return None if value is None else str(getattr(value, "name", value))

    def value(self, kind: Any, *path: str, convert: Callable[[Any], Any] = lambda value: value) -> Any:
        """The value at a path as an SQL expression, converted by `convert`, which may refuse it."""
        return self.parameter(kind, lambda values: convert(dig(values, path)))


def dig(values: Any, path: Iterable[str]) -> Any:
    """What stands at a path of nested objects; nothing where it ends early."""
    for name in path:
        values = values.get(name) if values else None
    return values


# Compared by identity: expressions of SQLAlchemy make conditions out of comparisons.
@dataclass(frozen=True, eq=False)
class Column:
    """A value of the row, such as `Site.name`: an SQL expression over its table; null where `needs` is not allowed.

    With `kind`, the value is a key and shown as an opaque id of that kind.
    """

    sql: Any
    kind: str | None = None
    needs: Action | None = None


@dataclass(frozen=True)
class Constant:
    """The same value in every row, such as the `code` of a recommendation."""

    value: Any


@dataclass(frozen=True)
class OfCaller:
    """An object about who calls (`viewer`), whose relations find their key as `user_id`; null for anonymous callers."""


@dataclass(frozen=True)
class Group:
    """An object made of more columns of the same row, such as `Membership.privileges`.

    It is null as a whole where `needs` is not allowed.
    """

    needs: Action | None = None


@dataclass(frozen=True, eq=False)
class Kept:
    """A value in a JSON column: an SQL expression made out of that column (see `Variant`)."""

    of: Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Variant:
    """An object of the values in a JSON column of the row (see `Kept`), such as `HistoryEvent.before`; null without.

    Its type is the one that `types` has for the value of the column `by`; null for values that are not there.
    """

    column: Any
    by: Any
    types: Mapping[str, str]


@dataclass(frozen=True)
class KeptRow:
    """Stands in for a table, in what reads the values of a JSON column: `values`, at the site of their row."""

    values: Any
    site_id: Any


@dataclass(frozen=True, eq=False)
class Records:
    """Objects made of the row by a subquery, such as `HistoryEvent.changes`.

    `rows` makes it of a function that gives the condition under which the caller may do something with the row. Its
    columns are called like the fields.
    """

    rows: Callable[[Callable[[Action], sa.ColumnElement[bool]]], sa.Select[Any]]


@dataclass(frozen=True)
class Value:
    """Computed by Python: `compute(values, arguments, context)`, of the given values that it belongs to.

    Such as `Permission.allowed`; rows of tables have none. `most` is how many objects a list of it can hold, where that
    is more than a page of the usual size.
    """

    compute: Callable[..., Any]
    most: int | None = None


@dataclass(frozen=True, eq=False)
class Relation:
    """Rows of `model` whose `on` equals the parent's `local`; both are attribute names.

    `where` makes conditions from the arguments and the caller, `order` an order from the arguments; a single object
    is the first row in that order. Without `on`, the rows are found by `where` alone. `joins` are tables that
    conditions and orders speak of, each with its condition. `follows` says that whoever may do this with the parent
    may see the related row, so that its own rule needs no second look; `needs` asks another action of the related row
    than that of seeing it. Given values can refer to several rows at once,
    by a list of keys; `most` is how many a list can hold, where that is more than a page of the usual size.
    """

    model: type[Base]
    on: str | None = None
    local: str | None = None
    where: Callable[[Arguments, Any], list[sa.ColumnElement[bool]]] | None = None
    order: Callable[[Arguments], Iterable[Any]] | None = None
    joins: tuple[tuple[Any, Any], ...] = ()
    follows: Action | None = None
    needs: Action | None = None
    most: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Paged(Relation):
    """A relation read in pages. `orders` gives the column to sort by for each field of its order, the default first.

    Several columns are told as a tuple.
    """

    orders: Mapping[str, Any]

    def order_by(self, arguments: Arguments) -> tuple[list[Any], bool]:
        """The columns that the chosen order sorts by, with the key as tie-break, and whether it descends."""
        chosen = arguments.name("orderBy", "field") or next(iter(self.orders))
        descending = arguments.name("orderBy", "direction") == "DESC"
        columns = self.orders[chosen]
        columns = columns if isinstance(columns, tuple) else (columns,)
        return [*columns, self.model.__table__.c.id], descending


@dataclass(frozen=True)
class Find:
    """Rows of any type, chosen by ids (`node`, `nodes`): type name and table by the kind that an id begins with."""

    kinds: Mapping[str, tuple[str, type[Base]]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """One of a few given values: that of the first case whose condition holds for the caller and the row.

    Such as `SitePermissions.addUser`. `cases` makes conditions and values for a caller and a table; where none holds,
    it is `otherwise`. A value is a leaf, an object whose fields are `Value`s, or a list of such, of at most `most`;
    `Words` are told in the reader's language. Where a case has a list, also within an object, it can be `Some`.
    """

    cases: Callable[[Any, Any], list[tuple[sa.ColumnElement[bool], Any]]] = lambda caller, table: []
    otherwise: Any = None
    most: int = 1


@dataclass(frozen=True, eq=False)
class Some:
    """Those of a few given values whose condition holds for the caller and the row, in their order."""

    items: Sequence[tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Parts:
    """A list of objects made of more columns of the same row, of different types, such as `Site.recommendations`.

    `when` says for each type under which condition on the row its object is in the list, and for whom.
    """

    when: Mapping[str, tuple[Action, sa.ColumnElement[bool]]]


@dataclass(frozen=True, eq=False)
class Lookup:
    """An object for each input in the arguments (`accessCheck`), beside the row of `model` that was asked for.

    `asks` has the columns of the inputs, with their types and how each is found in an input, which may refuse it.
    `found` is an alias of the model, over the one row that is looked up for what is `asked`; its columns are null where
    there is none, or where the caller may not do with it what it `needs`. `used` makes, for a caller, the condition
    under which asking is a use of the row's privilege, and the name of that privilege.
    """

    model: type[Base]
    found: Any
    needs: Action
    asks: Mapping[str, tuple[Any, Callable[[Mapping[str, Any]], Any]]]
    used: Callable[[Any], tuple[sa.ColumnElement[bool], Any]]


def asked(name: str, kind: Any) -> Any:
    """A column of the inputs of a `Lookup`."""
    return sa.literal_column(f"asked.{name}", kind)


Shown = Column | Constant | Group | Kept | Variant | Records | Chosen | Parts
"""What is made of the row itself."""
Declaration = Shown | OfCaller | Value | Relation | Find | Lookup


@cache
def kept_column(kept: Kept, values: Any) -> Column:
    """A kept value as a column of the table that keeps it."""
    return Column(kept.of(values))


def tables_of(declaration: Declaration | None) -> list[type[Base]]:
    """The tables whose rows a field shows."""
    match declaration:
        case Relation(model=model) | Lookup(model=model):
            return [model]
        case Find(kinds=kinds):
            return [model for _, model in kinds.values()]
    return []


def reads(declaration: Declaration, description: str, needs: Action | None = None) -> Any:
    """A field that reads what is declared; as a decorator, the empty method's parameters are its arguments."""
    if needs:
        description = f"{description} {allowed(needs)}"
    return strawberry.field(description=description, metadata={METADATA: declaration})
