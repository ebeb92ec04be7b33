"""Columns as JSON text in SQL."""

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.policy import visible
from app.query.declare import Column
from app.query.template import Draft, Template

MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
"""How `datetime.isoformat` writes a moment with microseconds, in PostgreSQL's words."""
Parts = list[str | Template]


@cache
def column_text(column: Column, is_required: bool, table: Any = None) -> Parts:
    """The text of a column as JSON: strings in quotes, null where there is no value, or where it is not allowed."""
    draft = Draft()
    sql = column.sql
    if column.needs:
        sql = sa.case((visible(draft.caller, column.needs, table), sql))
    plain = _without_escaping(column, sql)
    if not is_required:
        json = sa.func.to_json(sql if plain is None else plain)
        return [draft.expression(sa.func.coalesce(json, "null"), table)]
    if plain is not None:
        return ['"', draft.expression(plain, table), '"']
    is_number = isinstance(column.sql.type, sa.Integer)
    return [draft.expression(sql if is_number else sa.func.to_json(sql), table)]


def _without_escaping(column: Column, sql: Any) -> Any:
    """A value as a text that needs only quotes to be a string; nothing for values of which that is not so."""
    kind = column.sql.type
    if column.kind:
        return sa.literal(f"{column.kind}_") + sa.func.encode(sa.func.uuid_send(sql), "hex")
    if isinstance(kind, sa.Enum):
        return sql
    if kind.python_type is datetime:
        return sa.func.to_char(sa.func.timezone("UTC", sql), MOMENT)
    return None
