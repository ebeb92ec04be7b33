"""The history: every change leaves one event, in the transaction of the change."""

from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from app.actor import Actor
from app.db.base import Base
from app.db.models import HistoryEvent
from app.db.session import Session
from app.db.statements import mapped
from app.rules import Event, snake
from app.subjects import SubjectType

NOT_KEPT = ("created_at", "version", "levels_changed_at", "language_given")
"""Columns that the database counts by itself, and one that only says where another comes from."""
Values = dict[str, Any]


def values_of(row: Base) -> Values:
    """A row as the history keeps it: every column that says something of its own, in JSON's terms.

    A new row need not be written before, unless the database gives it values that are kept.
    """
    values = vars(row)
    return {name: _plain(values.get(name)) for name in _kept(type(row))}


@cache
def _kept(model: type[Base]) -> tuple[str, ...]:
    columns = mapped(model).table.columns
    return tuple(one.name for one in columns if one.name not in NOT_KEPT and one.computed is None)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def record(
    session: Session,
    actor: Actor,
    event: Event,
    row: Any,
    *,
    name: str,
    before: Values | None = None,
    after: Values | None = None,
    reason: str | None = None,
    justification: str | None = None,
) -> HistoryEvent:
    """Add the event of a change to `row`, a row with an id and mostly a site.

    `name` is what people call the subject; it stays readable when the subject is gone. `before` is missing for
    what was created, `after` for what was deleted. What concerns no site goes into the person's own stream.
    """
    site_id: UUID | None = getattr(row, "site_id", None)
    written = HistoryEvent(
        stream=site_id or getattr(row, "user_id", None) or row.id,
        site_id=site_id,
        event=event,
        actor_id=actor.user_id,
        actor_name=actor.name,
        client=actor.client,
        subject_type=SubjectType[snake(type(row).__name__).upper()].name.lower(),
        subject_id=row.id,
        subject_name=name,
        before=before,
        after=after,
        reason=reason,
        justification=justification,
    )
    session.add(written)
    return written
