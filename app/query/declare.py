"""How a field of the schema says what it reads: a column, a group, a computed value, a relation.

The declaration rides on the Strawberry field as metadata; `collect` finds it there and `load` acts on it.
A relation needs no rule of its own: the rows of a table are always those that `policy.seen` leaves.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.models import Base
from app.policy import Action, allowed

METADATA = "reads"


@dataclass(frozen=True)
class Column:
    """A value of the row: an SQL expression over its table; null where `needs` is not allowed."""

    sql: Any
    write: Callable[[Any], Any] | None = None
    needs: Action | None = None


@dataclass(frozen=True)
class Group:
    """An object made of more columns of the same row; hidden as a whole where `needs` is not allowed."""

    needs: Action | None = None


@dataclass(frozen=True)
class Value:
    """Computed from the parent's values (by attribute name), the arguments and the request's context."""

    compute: Callable[..., Any]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """Rows of `model` whose `on` equals the parent's `local`; both are attribute names.

    `where` makes conditions and `order` an order, both from the arguments; a single object is the first row in
    that order. Without `on`, the rows are found by `where` alone. `joins` are tables that conditions and orders
    speak of, each with its condition.
    """

    model: type[Base]
    on: str | None = None
    local: str | None = None
    where: Callable[[Mapping[str, Any], Any], list[sa.ColumnElement[bool]]] | None = None
    order: Callable[[Mapping[str, Any]], Iterable[Any]] | None = None
    joins: tuple[tuple[Any, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Paged(Relation):
    """A relation read in pages. `orders` gives the column to sort by for each field of its order, the default first."""

    orders: Mapping[str, Any]

    def order_by(self, arguments: Mapping[str, Any]) -> tuple[list[Any], bool]:
        """The columns that the chosen order sorts by, with the key as tie-break, and whether it descends."""
        chosen = arguments.get("orderBy") or {}
        field = chosen["field"].name if chosen else next(iter(self.orders))
        descending = bool(chosen) and chosen["direction"].name == "DESC"
        return [self.orders[field], self.model.__table__.c.id], descending


@dataclass(frozen=True)
class Find:
    """Rows of any type, chosen by ids: type name and table by the kind that an id begins with."""

    kinds: Mapping[str, tuple[str, type[Base]]]


Declaration = Column | Group | Value | Relation | Find


def reads(declaration: Declaration, description: str, needs: Action | None = None) -> Any:
    """A field that reads what is declared; as a decorator, the empty method's parameters are its arguments."""
    if needs:
        description = f"{description} {allowed(needs)}"
    return strawberry.field(description=description, metadata={METADATA: declaration})
