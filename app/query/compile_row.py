"""What is made of one row and belongs to no single column: written with SQLAlchemy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.db.concern import is_object
from app.policy import Action, visible
from app.query.declare import Column, KeptRow, Records, Variant
from app.query.template import Draft, Template, hole


@cache
def allowed(action: Action, table: Any) -> Template:
    """Whether the caller may do something with the row."""
    draft = Draft()
    return draft.expression(visible(draft.caller, action, table), table)


@dataclass(frozen=True, eq=False)
class Varied:
    """The object in a JSON column: whether there is one, what says its type, and the row that its values make."""

    is_there: Template
    by: Template
    row: KeptRow


@cache
def varied(variant: Variant, table: Any) -> Varied:
    """The object that a variant shows of the row of a table."""
    draft = Draft()
    return Varied(
        draft.expression(is_object(variant.column), table),
        draft.expression(sa.cast(variant.by, sa.Text), table),
        KeptRow(variant.column, table.site_id),
    )


@dataclass(frozen=True, eq=False)
class Recorded:
    """A subquery of the row: its objects, made by what goes into `text`, and the columns to make them of."""

    objects: Template
    columns: Mapping[str, Column]


@cache
def recorded(records: Records, table: Any) -> Recorded:
    """The subquery of some records."""
    draft = Draft()
    rows = records.rows(lambda action: visible(draft.caller, action, table)).subquery("record")
    objects = sa.select(hole("text")).select_from(rows).scalar_subquery()
    return Recorded(
        draft.expression(objects, table), {name: Column(column) for name, column in rows.c.items()}
    )
