"""The tables of webhooks: where partner tools listen, with which secret, and what is sent to them.

A trigger on the history queues a delivery for every event that a webhook wants, in the transaction of the change,
so that no code can forget it and no change that is taken back is told. Other triggers hold the deliveries of a
webhook while it is inactive, and wake the workers (see the migration).
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created, enum_type, new_id, version
from app.rules import Event
from app.webhook_rules import (
    WEBHOOK_SLOTS,
    WebhookDeliveryState,
    WebhookDisabledReason,
    WebhookFailure,
    host_of,
)

EVENT = enum_type(Event)


class Webhook(Base):
    """An address of a partner tool that is told of a site's events; an empty list of events stands for all.

    It holds one of the slots 1 to 10, unique per site, so an eleventh cannot exist. `failing_since` is when the
    first attempt failed after which none succeeded.
    """

    __tablename__ = "webhook"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    slot: Mapped[int] = mapped_column(sa.SmallInteger)
    url: Mapped[str]
    events: Mapped[list[Event]] = mapped_column(ARRAY(EVENT))
    description: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[WebhookDisabledReason | None] = mapped_column(enum_type(WebhookDisabledReason))
    failing_since: Mapped[datetime | None]
    created_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()

    @property
    def name(self) -> str:
        """What people call it; not the whole address, which may hold what is nobody else's business."""
        return self.description or host_of(self.url)

    __table_args__ = (
        sa.UniqueConstraint("site_id", "slot"),
        sa.Index(None, "id"),
        sa.CheckConstraint(f"slot BETWEEN 1 AND {WEBHOOK_SLOTS}", name="slot_exists"),
        sa.CheckConstraint("has_no_duplicates(events)", name="events_differ"),
        sa.CheckConstraint("disabled_reason IS NULL OR NOT active", name="only_the_inactive_is_disabled"),
    )


class WebhookSecret(Base):
    """A secret that signs what a webhook is sent: the current one, and beside it the former one until it ends.

    Secrets have a table of their own, so that whatever reads, shows or records a webhook never holds one.
    """

    __tablename__ = "webhook_secret"
    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    is_current: Mapped[bool] = mapped_column(primary_key=True)
    secret: Mapped[str]
    ends_at: Mapped[datetime | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["site_id", "webhook_id"], ["webhook.site_id", "webhook.id"], ondelete="CASCADE"
        ),
        sa.CheckConstraint("is_current = (ends_at IS NULL)", name="only_the_former_ends"),
    )


class WebhookDelivery(Base):
    """What is sent to a webhook, to the byte, and how far it got. Its key is the receiver's `webhook-id`.

    It tells of one event of the site's history, by its number, or of none when it is a ping. `next_attempt_at` is
    when a worker may take it; one that has taken it moves this on, and so holds a lease until then.
    """

    __tablename__ = "webhook_delivery"
    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = new_id()
    webhook_id: Mapped[UUID]
    event: Mapped[Event | None] = mapped_column(EVENT)
    event_number: Mapped[int | None] = mapped_column(sa.BigInteger)
    payload: Mapped[str]
    state: Mapped[WebhookDeliveryState] = mapped_column(
        enum_type(WebhookDeliveryState), default=WebhookDeliveryState.QUEUED
    )
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[WebhookFailure | None] = mapped_column(enum_type(WebhookFailure))
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["site_id", "webhook_id"], ["webhook.site_id", "webhook.id"], ondelete="CASCADE"
        ),
        sa.Index(None, "id"),
        sa.Index(None, "webhook_id", "created_at", "id"),
        sa.Index(
            "ix_webhook_delivery_due",
            "next_attempt_at",
            postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_webhook_delivery_resting",
            "created_at",
            postgresql_where=sa.text("next_attempt_at IS NULL"),
        ),
        sa.CheckConstraint("(event IS NULL) = (event_number IS NULL)", name="event_has_a_number"),
        sa.CheckConstraint(
            "state = 'QUEUED' OR next_attempt_at IS NULL", name="only_the_queued_is_attempted"
        ),
        sa.CheckConstraint("(state = 'DELIVERED') = (delivered_at IS NOT NULL)", name="delivered_has_a_date"),
    )
