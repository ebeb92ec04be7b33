"""The queue of deliveries: taken under a lease, and what becomes of them. No transaction stays open meanwhile."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app import history
from app.actor import Actor
from app.db.models import Site
from app.db.session import Session
from app.db.transaction import begin
from app.db.webhooks import Webhook, WebhookDelivery, WebhookSecret
from app.rules import Event
from app.webhook_rules import (
    FAILING_DAYS,
    WebhookDeliveryState,
    WebhookDisabledReason,
    pause_after,
)
from app.webhooks.sender import Outcome

LEASE = timedelta(seconds=60)
"""Well above the time an attempt may take; whose worker dies is taken anew after it."""
KEPT_DAYS = 30
CANDIDATES = 200
PURGED_AT_ONCE = 1000
GONE = 410
SERVICE = Actor(name="account-management")
"""Who disables a webhook, in the history."""


@dataclass(frozen=True)
class Claimed:
    """A delivery to be attempted by whoever holds its lease; `attempts` counts this one."""

    site_id: UUID
    id: UUID
    webhook_id: UUID
    attempts: int
    payload: str
    url: str
    failing: bool
    secrets: Sequence[str]

    @property
    def key(self) -> tuple[UUID, UUID]:
        """The key of the row."""
        return self.site_id, self.id


_SECRETS = (
    sa.select(sa.func.array_agg(aggregate_order_by(WebhookSecret.secret, WebhookSecret.is_current.desc())))
    .where(
        WebhookSecret.site_id == Webhook.site_id,
        WebhookSecret.webhook_id == Webhook.id,
        sa.or_(WebhookSecret.is_current, WebhookSecret.ends_at > sa.func.now()),
    )
    .correlate(Webhook)
    .scalar_subquery()
)


async def due(
    connection: AsyncConnection, webhooks: Collection[UUID], hosts: Collection[str], healthy: bool
) -> list[Claimed]:
    """Lock deliveries that are due and that no other worker holds, the longest due first.

    Passed over are those of some webhooks, those that lead to some hosts, each as it stands in the address, and,
    where only those of `healthy` webhooks are wanted, those of webhooks that are failing.
    """
    table = WebhookDelivery
    attempts = (table.attempts + 1).label("attempts")
    failing = Webhook.failing_since.is_not(None)
    columns = table.site_id, table.id, table.webhook_id, attempts, table.payload, Webhook.url, failing
    statement = (
        sa.select(*columns, _SECRETS)
        .join(Webhook, sa.and_(Webhook.site_id == table.site_id, Webhook.id == table.webhook_id))
        # Passed over before it is joined: of some webhooks, very many may be waiting.
        .where(table.next_attempt_at <= sa.func.now(), Webhook.active, table.webhook_id.not_in(webhooks))
        .where(sa.func.split_part(Webhook.url, "/", 3).not_in(hosts), ~failing if healthy else sa.true())
        .order_by(table.next_attempt_at)
        .limit(CANDIDATES)
        .with_for_update(of=table, skip_locked=True, key_share=True)
    )
    return [Claimed(*row) for row in await connection.execute(statement)]


async def lease(connection: AsyncConnection, taken: Sequence[Claimed]) -> None:
    """Take deliveries that were locked: nobody else does before the lease ends."""
    keys = sa.tuple_(WebhookDelivery.site_id, WebhookDelivery.id).in_([one.key for one in taken])
    values: dict[str, Any] = {
        "attempts": WebhookDelivery.attempts + 1,
        "next_attempt_at": sa.func.now() + LEASE,
    }
    await connection.execute(sa.update(WebhookDelivery).where(keys).values(values))


async def finish(database: AsyncEngine, claimed: Claimed, outcome: Outcome) -> None:
    """Write down what came of an attempt, unless the lease was lost meanwhile: then another attempt counts."""
    async with begin(database) as session:
        if not outcome.delivered:
            # It may come to disabling, which is a change of the site: these take turns.
            locked = sa.select(Site.id).where(Site.id == claimed.site_id)
            await session.execute(locked.with_for_update(key_share=True))
        webhook = await _for_us(session, Webhook, claimed.site_id, claimed.webhook_id)
        delivery = await _for_us(session, WebhookDelivery, *claimed.key)
        if webhook is None or delivery is None or not _is_ours(delivery, claimed):
            return
        # The one clock that all hosts share: it also says what is due.
        now = await session.scalar(sa.select(sa.func.now()))
        delivery.last_status, delivery.last_error = outcome.status, outcome.error
        if outcome.delivered:
            delivery.state, delivery.next_attempt_at = WebhookDeliveryState.DELIVERED, None
            delivery.delivered_at, webhook.failing_since = now, None
        else:
            _fail(session, webhook, delivery, outcome, now)


async def _for_us(session: Session, model: Any, site_id: UUID, key: UUID) -> Any:
    """A row that nobody else writes until the transaction has ended; nothing when it is gone."""
    found = sa.select(model).where(model.site_id == site_id, model.id == key)
    return await session.scalar(found.with_for_update(key_share=True))


def _is_ours(delivery: WebhookDelivery, claimed: Claimed) -> bool:
    return delivery.state is WebhookDeliveryState.QUEUED and delivery.attempts == claimed.attempts


def _fail(
    session: Session, webhook: Webhook, delivery: WebhookDelivery, outcome: Outcome, now: datetime
) -> None:
    webhook.failing_since = webhook.failing_since or now
    failing = now - webhook.failing_since >= timedelta(days=FAILING_DAYS)
    if webhook.active and (outcome.status == GONE or failing):
        gone = outcome.status == GONE
        _disable(session, webhook, WebhookDisabledReason.GONE if gone else WebhookDisabledReason.FAILING)
    pause = pause_after(delivery.attempts)
    if pause is None:
        delivery.state, delivery.next_attempt_at = WebhookDeliveryState.DEAD, None
    else:
        # Spread a little, so that what failed together does not come back together.
        seconds = max(pause, outcome.retry_after) * random.uniform(1, 1.1)  # noqa: S311
        delivery.next_attempt_at = now + timedelta(seconds=seconds) if webhook.active else None


def _disable(session: Session, webhook: Webhook, reason: WebhookDisabledReason) -> None:
    before = history.values_of(webhook)
    webhook.active, webhook.disabled_reason = False, reason
    history.record(
        session,
        SERVICE,
        Event.WEBHOOK_DISABLED,
        webhook,
        name=webhook.name,
        before=before,
        after=history.values_of(webhook),
        reason=reason.name,
    )


async def purge(database: AsyncEngine) -> int:
    """Delete some of the deliveries that nothing will come of any more and that are old; how many."""
    table = WebhookDelivery
    old = sa.func.now() - timedelta(days=KEPT_DAYS)
    chosen = (
        sa.select(table.site_id, table.id)
        # What waits for its webhook to be active again is not finished.
        .where(table.next_attempt_at.is_(None), table.state != WebhookDeliveryState.QUEUED)
        .where(table.created_at < old)
        .limit(PURGED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    async with database.begin() as connection:
        keys = sa.tuple_(table.site_id, table.id).in_(chosen)
        return (await connection.execute(sa.delete(table).where(keys))).rowcount
