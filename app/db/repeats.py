"""The table of what was done with an idempotency key."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created


class IdempotencyKey(Base):
    """A mutation that a person has done with a key of theirs, and what it was about; kept for a day.

    The key of the row makes two requests that come at once take turns.
    """

    __tablename__ = "idempotency_key"
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    mutation: Mapped[str]
    digest: Mapped[bytes]
    keys: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[datetime] = created()

    __table_args__ = (sa.Index(None, "user_id", "created_at"),)
