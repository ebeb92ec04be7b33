"""The outbox: messages to people, written in the transaction of what they tell; and addresses that take none."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, synonym

from app.db.base import Base, created, new_id
from app.rules import Language, MessageFault, MessageKind, MessageState


class Message(Base):
    """A message to one person, with everything it says as it was when it was written.

    A queued message is due at `next_attempt_at`; who takes it moves that moment forward, and so holds it for a while.
    `occasion` names what must be told exactly once. `last_error` is for operators, `fault` for everybody.
    """

    __tablename__ = "message"
    id: Mapped[UUID] = new_id()
    site_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("site.id"))
    recipient_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    email: Mapped[str]
    language: Mapped[Language]
    kind: Mapped[MessageKind]
    data: Mapped[dict[str, Any]]
    occasion: Mapped[str | None]
    state: Mapped[MessageState] = mapped_column(server_default="QUEUED")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=sa.func.now())
    fault: Mapped[MessageFault | None]
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()
    user_id = synonym("recipient_id")

    __table_args__ = (
        sa.Index(
            "uq_message_occasion", "occasion", unique=True, postgresql_where=sa.text("occasion IS NOT NULL")
        ),
        sa.Index(None, "next_attempt_at", postgresql_where=sa.text("state = 'QUEUED'")),
        sa.Index(None, "site_id", "created_at", "id"),
        sa.Index(None, "recipient_id", "site_id"),
        sa.CheckConstraint("(state = 'QUEUED') = (next_attempt_at IS NOT NULL)", name="queued_is_due"),
        sa.CheckConstraint("(state = 'SENT') = (sent_at IS NOT NULL)", name="sent_has_a_date"),
        sa.CheckConstraint("(fault IS NULL) = (last_error IS NULL)", name="fault_is_told"),
        sa.CheckConstraint("attempts >= 0", name="attempts_are_counted"),
    )


class UndeliverableAddress(Base):
    """An address that refused the last message to it for good, in small letters.

    It is forgotten as soon as the mail server takes a message to it.
    """

    __tablename__ = "undeliverable_address"
    email: Mapped[str] = mapped_column(primary_key=True)
    refused_at: Mapped[datetime] = created()

    __table_args__ = (sa.CheckConstraint("email = lower(trim(email))", name="email_is_normal"),)
