"""A compiled statement, and what a request fills into it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from app.actor import Actor, Identity
from app.db.pool import plain
from app.privilege_uses import Use
from app.query.collect import FieldArguments, Selected
from app.query.page import Page
from app.rules import Language


class Unplannable(Exception):
    """The operation selects something that only the interpreter can read; the text says what."""


class Caller(Protocol):
    """What a read needs to know of the request."""

    identity: Identity | None
    actor: Actor
    language: Language
    page_limit: int
    wished: Language | None

    def note(self, uses: Iterable[Use]) -> None:
        """Remember which privileges the caller used."""
        ...


@dataclass(frozen=True)
class Run:
    """What one request fills into a statement; `keys` are those that given values refer to, by relation.

    `wished` is the language of the request, where it names one.
    """

    identity: Identity
    arguments: FieldArguments
    pages: Mapping[int, Page]
    wished: Language | None = None
    keys: Mapping[int, list[UUID | None]] = field(default_factory=dict)


Parameter = str | Callable[[Run], Any]
"""A text that is the same for every request, or what finds the value of a request."""


@dataclass(frozen=True)
class Plan:
    """A compiled statement. Its one row has columns for each root, or one for each relation of given values.

    The filters of pages that are `unread` are no part of it, and have to be looked at all the same.
    `widths` says how many columns make the text of each root. There is no row when the caller has never signed in.
    Nothing to be asked is an empty statement.
    """

    sql: str
    parameters: list[Parameter]
    paged: list[Selected]
    unread: list[Selected]
    widths: Sequence[int] = ()
    relations: Sequence[int] = ()

    def values(self, run: Run) -> list[Any]:
        """The parameters of a request, in their order."""
        values: list[Any] = list(self.parameters)
        for place, value_of in self.varying:
            values[place] = plain(value_of(run))
        return values

    @cached_property
    def varying(self) -> list[tuple[int, Callable[[Run], Any]]]:
        """The parameters that are not the same for every request, with their places."""
        return [(place, one) for place, one in enumerate(self.parameters) if not isinstance(one, str)]
