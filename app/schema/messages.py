"""Messages to people, as those see them who manage access to the site."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from app.db import models as m
from app.db.outbox import Message as Row
from app.language import words
from app.policy import Action, allowed
from app.query.declare import Chosen, Column, Paged, Relation, reads
from app.rules import MessageFault
from app.schema import filters
from app.schema.delivery_enums import MessageKind, MessageState
from app.schema.lists import Node, opaque_id

if TYPE_CHECKING:
    from app.schema.users import User

MESSAGES = Paged(
    Row,
    on="site_id",
    local="id",
    where=filters.messages,
    orders={"CREATED_AT": Row.created_at, "RECIPIENT_NAME": m.User.sort_name},
    joins=((m.User, m.User.id == Row.recipient_id),),
)
"""The messages about a site."""


def _faults(_caller: Any, table: Any) -> list[tuple[Any, Any]]:
    """The sentence of each fault."""
    return [(table.fault == fault, words(fault.value)) for fault in MessageFault]


@strawberry.type(
    description="A message to a person about a site; what it says, only they read. "
    + allowed(Action.SEE_MESSAGES)
)
class Message(Node):
    """A message."""

    id: strawberry.ID = opaque_id("message", Row.id)
    kind: MessageKind = reads(Column(Row.kind), "What it is about.")
    email: str = reads(
        Column(Row.email), "The address it goes to: the recipient's when the message was written."
    )
    state: MessageState = reads(Column(Row.state), "Where it stands on its way.")
    attempts: int = reads(Column(Row.attempts), "How often it was tried to be sent.")
    last_error: str | None = reads(
        Chosen(_faults),
        "Why the last attempt failed, in the caller's language; null when none has.",
    )
    created_at: datetime = reads(Column(Row.created_at), "When it was written.")
    sent_at: datetime | None = reads(
        Column(Row.sent_at), "When the mail server took it; null while it has not."
    )
    recipient: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="recipient_id", follows=Action.SEE_MESSAGES), "To whom it goes."
    )
