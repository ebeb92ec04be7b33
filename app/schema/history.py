"""The history as it is read: events, and what each changed."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Column, Paged, Records, Relation, reads
from app.schema import history_filters
from app.schema.enums import Event
from app.schema.enums import SubjectType as SubjectKind
from app.schema.kept import changes
from app.schema.lists import Node, opaque_id
from app.schema.snapshots import Snapshot, snapshot
from app.subjects import SubjectType

if TYPE_CHECKING:
    from app.schema.users import User

NUMBER, AT = m.HistoryEvent.number, m.HistoryEvent.at
IN_A_SITE = {"NUMBER": NUMBER, "AT": (AT, NUMBER)}
ANYWHERE = {"AT": AT}
"""Orders where numbers would tell whether there is a site."""


def history_of(on: str, orders: Any) -> Paged:
    """The events whose `on` is the parent's id."""
    return Paged(m.HistoryEvent, on=on, local="id", where=history_filters.history, orders=orders)


def _guarded(column: Any, description: str) -> Any:
    return reads(Column(column, needs=Action.SEE_ACTOR), description, Action.SEE_ACTOR)


_kind = sa.func.upper(m.HistoryEvent.subject_type)
_key = sa.func.replace(sa.cast(m.HistoryEvent.subject_id, sa.Text), "-", "")
_node_kind = sa.case(
    {SubjectType.E_NOTIFICATION_PREFERENCE.name.lower(): "user"},
    value=m.HistoryEvent.subject_type,
    else_=m.HistoryEvent.subject_type,
)


@strawberry.type(description="A field that an event changed, for programs that show any change alike.")
class FieldChange:
    """A changed field."""

    field: str = strawberry.field(
        description="Where the snapshot has it, such as privileges.accountManagement.manageAccess."
    )
    before: str | None = strawberry.field(
        description="What it was, as a text; null when it had no value. Several values are told one after the other."
    )
    after: str | None = strawberry.field(description="What it became; null when it has no value any more.")


@strawberry.type(
    description="One change, kept for ever: who, what, when, on what, before and after, and why. "
    + allowed(Action.SEE_HISTORY)
)
class HistoryEvent(Node):
    """One change."""

    id: strawberry.ID = opaque_id("history_event", m.HistoryEvent.id)
    number: int | None = reads(
        Column(NUMBER, needs=Action.SEE_SITE),
        "Its place in the history of the site, counted from 1 without gaps; null for what concerns no site that the "
        "caller may see.",
        Action.SEE_SITE,
    )
    at: datetime = reads(Column(AT), "When it was done.")
    event: Event = reads(Column(m.HistoryEvent.event), "What happened.")
    actor_name: str | None = _guarded(
        m.HistoryEvent.actor_name, "The name of who did it, as it was then; null where it is not told."
    )
    actor: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="actor_id"),
        "Who did it; null for operators, and for people whom the caller may not see or who are gone.",
    )
    client: str | None = _guarded(m.HistoryEvent.client, "Through which client it was done.")
    subject_type: SubjectKind = reads(
        Column(sa.type_coerce(_kind, sa.Enum(SubjectType, native_enum=False))),
        "The kind of what it is about.",
    )
    subject_id: strawberry.ID = reads(
        Column(sa.func.concat(_node_kind, "_", _key, type_=sa.Text)),
        "The id of what it is about, which may be gone.",
    )
    subject_name: str = reads(
        Column(m.HistoryEvent.subject_name), "What people called it then; stays when it is gone."
    )
    reason: str | None = reads(
        Column(m.HistoryEvent.reason),
        "Why, as it was given for a denial, a removal, a block or a hand-over by an operator, or why a webhook was "
        "disabled; null where nothing was.",
    )
    justification: str | None = reads(
        Column(m.HistoryEvent.justification),
        "Why, as it was given when access was asked for, given or changed, or somebody named or nominated; null where "
        "nothing was.",
    )
    before: Snapshot | None = snapshot(
        m.HistoryEvent.before,
        "What the subject was before; null for what was made by it, and for webhooks and calendar subscriptions.",
    )
    after: Snapshot | None = snapshot(
        m.HistoryEvent.after,
        "What the subject was after it; null for what is gone by it, and for webhooks and calendar subscriptions.",
    )
    changes: list[FieldChange] = reads(
        Records(changes),
        "What it changed, field by field, in texts; empty for webhooks and calendar subscriptions.",
    )
