"""The tables of what people set for themselves: eNotifications and calendar subscriptions."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, synonym

from app import rules
from app.db.base import Base, created, new_id, version
from app.rules import Topic


class ENotificationPreference(Base):
    """Where and of what a person is told by eNotification; without an address, the one of their account counts.

    It has nothing to do with the contacts of sites: neither ever changes the other.
    """

    __tablename__ = "e_notification_preference"
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    email: Mapped[str | None]
    topics: Mapped[list[Topic]] = mapped_column(ARRAY(sa.Enum(Topic, name="topic")))
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()
    id = synonym("user_id")

    __table_args__ = (sa.CheckConstraint("has_no_duplicates(topics)", name="topics_differ"),)


class CalendarSubscription(Base):
    """A calendar that reads the review reminder of a site, by a secret of which only the hash is kept.

    It holds one of its person's slots, unique among theirs, so that nobody has more than there are slots.
    """

    __tablename__ = "calendar_subscription"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    slot: Mapped[int] = mapped_column(sa.SmallInteger)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = created()
    last_used_at: Mapped[datetime | None]

    __table_args__ = (
        sa.UniqueConstraint("user_id", "slot"),
        sa.Index(None, "id"),
        sa.CheckConstraint(f"slot BETWEEN 1 AND {rules.CALENDAR_SUBSCRIPTIONS}", name="slot_exists"),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name="secret_is_hashed"),
    )
