"""What the filter of a history means, as conditions: for lists, and for what is exported."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.models import HistoryEvent
from app.errors import bad_input
from app.policy import Action, visible
from app.query.declare import Arguments
from app.query.ids import parse_id
from app.rules import BATCH_LIMIT
from app.schema.filters import Conditions, key_of
from app.schema.search import contains, plain


def history(arguments: Arguments, actor: Any) -> Conditions:
    """The events that a `HistoryFilter` leaves. Raises BAD_USER_INPUT for values that cannot be."""
    conditions: Conditions = []
    if arguments.has("filter", "actorIds"):
        actors = arguments.value(ARRAY(sa.Uuid), "filter", "actorIds", convert=_each(_user))
        conditions += [HistoryEvent.actor_id == sa.any_(actors), _tells_actor(actor)]
    if arguments.has("filter", "subjectIds"):
        subjects = arguments.value(ARRAY(sa.Uuid), "filter", "subjectIds", convert=_each(_subject))
        conditions.append(HistoryEvent.subject_id == sa.any_(subjects))
    if arguments.has("filter", "events"):
        events = arguments.value(ARRAY(HistoryEvent.event.type), "filter", "events")
        conditions.append(HistoryEvent.event == sa.any_(events))
    if arguments.has("filter", "text"):
        conditions.append(contains(arguments, plain(*_words(actor))))
    return [*conditions, *_between(arguments)]


def _between(arguments: Arguments) -> Conditions:
    conditions: Conditions = []
    if arguments.has("filter", "from"):
        conditions.append(HistoryEvent.at >= arguments.value(_MOMENT, "filter", "from", convert=_moment))
    if arguments.has("filter", "until"):
        conditions.append(HistoryEvent.at < arguments.value(_MOMENT, "filter", "until", convert=_moment))
    return conditions


_MOMENT = sa.TIMESTAMP(timezone=True)


def _moment(value: datetime) -> datetime:
    """A moment without an offset, as operators give it, is in UTC."""
    return value.replace(tzinfo=value.tzinfo or UTC)


def _each(key: Callable[[str], UUID]) -> Callable[[list[str]], list[UUID]]:
    def keys(ids: list[str]) -> list[UUID]:
        if len(ids) > BATCH_LIMIT:
            raise bad_input(f"A filter has at most {BATCH_LIMIT} ids.")
        return [key(id) for id in ids]

    return keys


def _user(id: str) -> UUID:
    return key_of(id, "user")


def _subject(id: str) -> UUID:
    parsed = parse_id(id)
    if not parsed:
        raise bad_input("This is not the id of anything.")
    return parsed[1]


def _tells_actor(actor: Any) -> sa.ColumnElement[bool]:
    """Where the caller may know who did it; operators, who are nobody here, may always."""
    return visible(actor, Action.SEE_ACTOR, HistoryEvent) if actor else sa.true()


def _words(actor: Any) -> list[Any]:
    """The texts of an event that are searched; the actor's name where the caller may know it."""
    told = sa.case((_tells_actor(actor), HistoryEvent.actor_name))
    return [HistoryEvent.subject_name, HistoryEvent.reason, HistoryEvent.justification, told]
