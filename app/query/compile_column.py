"""Columns as JSON text in SQL."""

from datetime import datetime
from functools import cache, reduce
from operator import add

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from app.db.pool import compiled_once
from app.query.declare import Column
from app.query.jsontext import Pieces

MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
"""How `datetime.isoformat` writes a moment with microseconds, in PostgreSQL's words."""


@cache
def column_text(column: Column, is_required: bool) -> Pieces:
    """The text of a column that whoever sees the row may see; compiled once, unless it is a subquery."""
    has_subquery = any(isinstance(part, sa.ScalarSelect) for part in visitors.iterate(column.sql))
    pieces = written(column, is_required)
    if has_subquery:
        return pieces
    return [piece if isinstance(piece, str) else compiled_once(piece) for piece in pieces]


def written(column: Column, is_required: bool) -> Pieces:
    """The text of a column as JSON: strings in quotes, null where there is no value."""
    sql, kind = column.sql, column.sql.type
    if column.kind:
        pieces: Pieces = [f'"{column.kind}_', sa.func.replace(sa.cast(sql, sa.Text), "-", ""), '"']
    elif isinstance(kind, sa.Enum):
        pieces = ['"', sa.cast(sql, sa.Text), '"']
    elif kind.python_type is datetime:
        pieces = ['"', sa.func.to_char(sa.func.timezone("UTC", sql), MOMENT), '"']
    else:
        pieces = [sa.cast(sa.func.to_json(sql), sa.Text)]
    if is_required:
        return pieces
    # Concatenation by operator is null as soon as a part of it is.
    parts = [sa.literal(piece, sa.Text) if isinstance(piece, str) else piece for piece in pieces]
    return [sa.func.coalesce(reduce(add, parts), "null")]
