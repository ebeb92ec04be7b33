"""JSON text in the making: pieces, which are constants or expressions of SQL, and one expression out of them.

Constants never become SQL: they are parameters of the statement. So no name that a client chose gets into SQL, and
documents that differ in names only share a statement, which PostgreSQL has parsed and planned already.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

LONGEST_CALL = 100
"""Arguments that PostgreSQL takes."""
MOST_ALONE = 30
"""Long texts of a root with columns of their own; PostgreSQL takes 1,664 columns, and there are 25 roots at most."""

MARK = "\0"
"""Stands around what is no SQL yet: the holes of a template, and then constants until they have a number.

It cannot stand in any other text of PostgreSQL's.
"""


class Sql(str):
    """SQL as text. Any other text is a constant: it comes into a statement by `constant` only."""

    __slots__ = ()


class Long(Sql):
    """SQL of a text about many rows, which can be long."""

    __slots__ = ()


Pieces = list[str]
"""Constant parts of a text, and SQL for those that differ from row to row."""


def constant(text: str) -> Sql:
    """A text as an expression, until `with_parameters` gives it a number."""
    assert MARK not in text, "PostgreSQL has no such texts"
    return Sql(f"{MARK}{text}{MARK}")


def with_parameters(sql: str, number_of: Callable[[str], int]) -> str:
    """The statement, with the parameter of this number for each constant."""
    pieces = sql.split(MARK)
    pieces[1::2] = [f"CAST(${number_of(text)} AS TEXT)" for text in pieces[1::2]]
    return "".join(pieces)


def object_of(members: Iterable[tuple[str, Pieces]]) -> Pieces:
    """An object with these members, in their order. Their names need no escaping: GraphQL has only plain ones."""
    pieces: Pieces = ["{"]
    for index, (name, value) in enumerate(members):
        pieces += [f'{"," if index else ""}"{name}":', *value]
    return [*pieces, "}"]


def text_of(pieces: Pieces) -> Sql:
    """One expression out of pieces, one after the other; null is nothing."""
    values = list[str]()
    for run in _runs(pieces, Sql):
        values += run if isinstance(run[0], Sql) else [constant("".join(run))]
    while len(values) > LONGEST_CALL:
        values = [_concatenated(values[at : at + LONGEST_CALL]) for at in range(0, len(values), LONGEST_CALL)]
    return Sql(values[0]) if len(values) == 1 else _concatenated(values)


def _concatenated(values: Iterable[str]) -> Sql:
    # It looks up once for a statement how a type is written, where `format` does for each value.
    return Sql(f"concat({', '.join(values)})")


def columns_of(pieces: Pieces) -> list[Sql]:
    """Columns whose texts, one after the other, are that of the pieces.

    What can be long stands alone: PostgreSQL copies it with every expression that it is put into.
    """
    if sum(isinstance(piece, Long) for piece in pieces) > MOST_ALONE:
        return [text_of(pieces)]
    columns = list[Any]()
    for run in _runs(pieces, Long):
        columns += run if isinstance(run[0], Long) else [text_of(run)]
    return columns


def _runs(pieces: Pieces, kind: type[Sql]) -> list[Pieces]:
    """Neighbours that are of a kind, and those between them."""
    return [list(run) for _, run in groupby(pieces, lambda piece: isinstance(piece, kind))]


def as_bytes(text: Sql) -> Sql:
    """A text that is only passed on (see `Pool`)."""
    return Sql(f"CAST({text} AS BPCHAR)")


def around(pieces: Pieces, enclose: Callable[[Sql], Sql]) -> Pieces:
    """The pieces put into a statement that makes one long text of them; constants around a single one stay outside."""
    values = [piece for piece in pieces if isinstance(piece, Sql)]
    if len(values) != 1:
        return [Long(enclose(text_of(pieces)))]
    return [Long(enclose(piece)) if isinstance(piece, Sql) else piece for piece in pieces]


def merged(pieces: Iterable[Any]) -> list[Any]:
    """The pieces, of which neighbouring constants have become one."""
    found: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def joined(text: str) -> Sql:
    """The list of the texts of all rows."""
    return text_of(["[", Sql(f"string_agg({text}, ',')"), "]"])


def first_of(rows: Sql) -> Sql:
    """The text in the first of some rows; null where there is none."""
    return Sql(f"coalesce(({rows} LIMIT 1), 'null')")


def if_allowed(condition: Sql, text: Sql) -> Sql:
    """The text where a condition holds, and null elsewhere."""
    return Sql(f"CASE WHEN {condition} THEN {text} ELSE 'null' END")


def boolean(value: bool) -> str:
    """A constant of JSON."""
    return "true" if value else "false"
