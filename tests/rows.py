"""Rows that a test begins with: written by one statement, in one trip to PostgreSQL, without a session."""

import json
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.base import Base
from app.db.pool import Rendered, render

Kind = tuple[type[Base], tuple[str, ...]]
"""A table, and those of its columns that a row gives values for."""


async def write(database: AsyncEngine, *rows: Base) -> None:
    """Write rows, which may refer to each other, in one transaction."""
    given = [_values(row) for row in rows]
    statement = _inserting(*((type(row), tuple(values)) for row, values in zip(rows, given, strict=True)))
    named = {f"{name}_{place}": value for place, values in enumerate(given) for name, value in values.items()}
    async with database.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql(statement.sql, tuple(statement.values(named)))


@cache
def _inserting(*kinds: Kind) -> Rendered:
    """The statement that writes rows of these kinds."""
    inserts = []
    for place, (model, names) in enumerate(kinds):
        columns = model.__table__.c
        values = {name: sa.bindparam(f"{name}_{place}", type_=columns[name].type) for name in names}
        inserts.append(sa.insert(model).values(values).cte(f"row{place}"))
    return render(sa.select(sa.literal(1)).add_cte(*inserts))


def _values(row: Base) -> dict[str, Any]:
    """What a row says of its columns, and what its model says of new rows; the database says the rest."""
    found = {}
    for column in type(row).__table__.c:
        value = vars(row).get(column.name)
        if value is None and column.default is not None:
            value = column.default.arg(None) if column.default.is_callable else column.default.arg
        if value is not None:
            found[column.name] = _plain(column, value)
    return found


def _plain(column: sa.ColumnElement[Any], value: Any) -> Any:
    """A value as the driver takes it; enums are left to the statement."""
    if isinstance(value, sa.Null):
        return None
    assert not isinstance(value, sa.ClauseElement), "the driver takes values only"
    return json.dumps(value) if isinstance(column.type, sa.JSON) else value
