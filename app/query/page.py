"""The arguments of a connection: how many rows, from where, in which direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import sqlalchemy as sa

from app.errors import bad_input
from app.query.cursor import fingerprint, read_cursor, write_cursor

DEFAULT_SIZE = 20
MAXIMUM_SIZE = 100
SORT = "#sort"
"""Labels beginning with this hold the values a row is sorted by, as text."""


def asked_size(arguments: Mapping[str, Any]) -> int:
    """How many rows the arguments of a connection ask for."""
    given = (arguments.get("first"), arguments.get("last"))
    return next((size for size in given if size is not None), DEFAULT_SIZE)


@dataclass(frozen=True)
class Page:
    """A page of a list: `size` rows beyond a cursor, read `backwards` from the end when `last` was given.

    `listed` are the list's name, filter and order, to which its cursors are bound.
    """

    listed: tuple[Any, ...]
    size: int
    backwards: bool
    after: list[str] | None
    before: list[str] | None

    @classmethod
    def parse(cls, name: str, arguments: Mapping[str, Any], limit: int = MAXIMUM_SIZE) -> Self:
        """Read the arguments of the connection called `name`, of which a page has at most `limit` rows.

        Raises BAD_USER_INPUT for two directions at once, a size beyond the limit, or a foreign cursor.
        """
        first, last = arguments.get("first"), arguments.get("last")
        if first is not None and last is not None:
            raise bad_input("Give first or last, not both.")
        size = asked_size(arguments)
        if not 0 <= size <= limit:
            raise bad_input(f"A page has at most {limit} rows and at least 0.")
        listed = (name, arguments.get("filter"), arguments.get("orderBy"))
        after, before = (
            read_cursor(fingerprint(*listed), cursor) if cursor is not None else None
            for cursor in (arguments.get("after"), arguments.get("before"))
        )
        return cls(listed, size, last is not None, after, before)

    @cached_property
    def fingerprint(self) -> str:
        """That of the list. Most pages have no cursor, and need none."""
        return fingerprint(*self.listed)

    def conditions(self, columns: list[Any], descending: bool) -> list[sa.ColumnElement[bool]]:
        """Only rows beyond the cursors, in an order by `columns` which all run in the same direction."""
        found = []
        for end in ("after", "before"):
            if getattr(self, end) is not None:
                values = self.bounds(end, len(columns))
                bounds = sa.tuple_(
                    *(
                        sa.cast(sa.literal(value, sa.Text), column.type)
                        for value, column in zip(values, columns, strict=True)
                    )
                )
                row = sa.tuple_(*columns)
                found.append(row > bounds if (end == "after") != descending else row < bounds)
        return found

    def bounds(self, end: str, count: int) -> list[str]:
        """The values in the cursor `after` or `before`. Raises BAD_USER_INPUT when there are not `count` of them."""
        values: list[str] = getattr(self, end)
        if len(values) != count:
            raise bad_input("This cursor does not belong to this list.")
        return values

    def slice(self, rows: list[Mapping[str, Any]]) -> "Slice":
        """The page out of up to one row more than its size, in the order of the list."""
        kept = rows[: self.size]
        return Slice(self, kept[::-1] if self.backwards else kept, more=len(rows) > self.size)


@dataclass(frozen=True)
class Slice:
    """The rows of a page, and whether there are more in its direction."""

    page: Page
    rows: list[Mapping[str, Any]]
    more: bool

    def cursors(self) -> list[str]:
        """The cursor of each row."""
        return [
            write_cursor(
                self.page.fingerprint, [value for label, value in row.items() if label.startswith(SORT)]
            )
            for row in self.rows
        ]

    def info(self) -> dict[str, Any]:
        """The values of `PageInfo`, after the Relay cursor connections specification."""
        cursors = self.cursors()
        return {
            "hasNextPage": self.page.before is not None if self.page.backwards else self.more,
            "hasPreviousPage": self.more if self.page.backwards else self.page.after is not None,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        }
