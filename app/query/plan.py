"""A compiled statement, and what a request fills into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.actor import Actor
from app.db.models import Base
from app.db.pool import plain
from app.query.collect import Selected
from app.query.page import Page
from app.rules import Language


class Unplannable(Exception):
    """The operation selects something that only the interpreter can read; the text says what."""


@dataclass(frozen=True)
class Run:
    """What one request fills into a statement."""

    actor: Actor
    arguments: Mapping[int, Mapping[str, Any]]
    pages: Mapping[int, Page]
    language: Language = Language.EN


@dataclass(frozen=True)
class Plan:
    """A compiled statement: one row, with a column of JSON text for each root field."""

    sql: str
    parameters: list[Callable[[Run], Any]]
    paged: list[Selected]

    def values(self, run: Run) -> list[Any]:
        """The parameters of a request, in their order."""
        return [plain(value_of(run)) for value_of in self.parameters]


def within(statement: sa.Select[Any], parent: Any) -> sa.Select[Any]:
    """The statement as a subquery that speaks of the row of its parent, if the parent is a table, and of no other."""
    is_table = isinstance(parent, type) and issubclass(parent, Base)
    return statement.correlate(parent if is_table else None)
