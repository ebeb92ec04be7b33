"""JSON text as SQL expressions: objects out of pieces, which are constants or expressions."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

LONGEST_CALL = 90
"""Arguments of one function call; PostgreSQL takes a hundred."""

Text = sa.ColumnElement[Any]
Pieces = list[str | Text]


def object_of(members: Iterable[tuple[str, Pieces]]) -> Pieces:
    """An object with these members, in their order. Their names need no escaping: GraphQL has only plain ones."""
    pieces: Pieces = ["{"]
    for index, (name, value) in enumerate(members):
        pieces += [f'{"," if index else ""}"{name}":', *value]
    return [*pieces, "}"]


def text_of(pieces: Pieces) -> Text:
    """One expression out of pieces: neighbouring constants become one, long calls are cut."""
    parts = [sa.literal(part, sa.Text) if isinstance(part, str) else part for part in merged(pieces)]
    while len(parts) > LONGEST_CALL:
        parts = [sa.func.concat(*parts[i : i + LONGEST_CALL]) for i in range(0, len(parts), LONGEST_CALL)]
    return sa.func.concat(*parts)


def merged(pieces: Iterable[Any]) -> list[Any]:
    """The pieces, of which neighbouring constants have become one."""
    found: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def if_allowed(condition: sa.ColumnElement[bool], text: Text) -> Text:
    """The text where a condition holds, and null elsewhere."""
    return sa.case((condition, text), else_="null")


def quoted(text: Text) -> Text:
    """A text without anything to escape, as a string; null stays null."""
    return sa.func.coalesce(sa.literal('"') + text + sa.literal('"'), "null")


def turned(array: Any, backwards: bool) -> Any:
    """The array, from its end if it was read backwards."""
    if not backwards:
        return array
    item = sa.func.unnest(array).table_valued("item", with_ordinality="place").render_derived()
    reversed_items = sa.select(
        sa.func.array_agg(aggregate_order_by(item.c.item, item.c.place.desc()), type_=ARRAY(sa.Text))
    )
    return reversed_items.select_from(item).scalar_subquery()


def boolean(value: bool) -> str:
    """A constant of JSON."""
    return "true" if value else "false"
