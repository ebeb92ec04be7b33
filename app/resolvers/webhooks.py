"""Writes on webhooks: create, update, delete, a new secret, a ping, a delivery sent again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction
from app.db.models import Site
from app.db.webhooks import Webhook, WebhookDelivery, WebhookSecret
from app.errors import Code, Fault, UserError, refuse
from app.history import values_of
from app.policy import Action
from app.query.ids import write_id
from app.rules import TEXT_LENGTH, Event, check_version
from app.schema.webhook_inputs import (
    CreateWebhookInput,
    DeleteWebhookInput,
    PingWebhookInput,
    RedeliverWebhookInput,
    RotateWebhookSecretInput,
    UpdateWebhookInput,
)
from app.texts import check_text, tidy
from app.webhook_rules import (
    FORMER_SECRET_HOURS,
    WEBHOOK_SLOTS,
    WebhookDeliveryState,
    check_url,
    normal_url,
)
from app.webhooks.signing import new_secret

MANAGE = Action.MANAGE_WEBHOOKS


async def create(tx: Transaction, input: CreateWebhookInput) -> dict[str, Any]:
    """Have a partner tool told of what happens. Raises WEBHOOK_LIMIT when the site has its ten."""
    site = await tx.fetch(Site, input.site_id, MANAGE, "siteId")
    _check(tx, input)
    webhook = Webhook(
        site_id=site.id,
        slot=await _free_slot(tx, site.id),
        url=normal_url(input.url),
        events=_in_order(input.events),
        description=tidy(input.description),
        created_by_id=tx.actor.user_id,
    )
    tx.session.add(webhook)
    secret = _add_secret(tx, webhook)
    tx.record(Event.WEBHOOK_CREATED, webhook, name=webhook.name, after=values_of(webhook))
    return {"webhook_id": webhook.id, "site_id": site.id, "secret": secret}


async def update(tx: Transaction, input: UpdateWebhookInput) -> dict[str, Any]:
    """Change a webhook; what is left out stays as it is."""
    webhook = await tx.fetch(Webhook, input.webhook_id, MANAGE, "webhookId")
    _check(tx, input, *check_version(input.expected_version, webhook.version, webhook_id=webhook.id))
    before = values_of(webhook)
    if input.url is not None:
        webhook.url = normal_url(input.url)
    if input.events is not None:
        webhook.events = _in_order(input.events)
    if input.description is not None:
        webhook.description = tidy(input.description)
    if input.active is not None and input.active != webhook.active:
        webhook.active = input.active
        webhook.disabled_reason = webhook.failing_since = None
    after = values_of(webhook)
    if after != before:
        tx.record(Event.WEBHOOK_UPDATED, webhook, name=webhook.name, before=before, after=after)
    return {"webhook_id": webhook.id}


async def delete(tx: Transaction, input: DeleteWebhookInput) -> dict[str, Any]:
    """Delete a webhook; its secrets and deliveries go with it."""
    webhook = await tx.fetch(Webhook, input.webhook_id, MANAGE, "webhookId")
    tx.record(Event.WEBHOOK_DELETED, webhook, name=webhook.name, before=values_of(webhook))
    tx.session.delete(webhook)
    return {"removed": webhook.id, "site_id": webhook.site_id}


async def rotate_secret(tx: Transaction, input: RotateWebhookSecretInput) -> dict[str, Any]:
    """Make a new secret; the one before it signs as well for a day, so that the receiver can follow."""
    webhook = await tx.fetch(Webhook, input.webhook_id, MANAGE, "webhookId")
    own = (WebhookSecret.site_id == webhook.site_id, WebhookSecret.webhook_id == webhook.id)
    await tx.session.execute(sa.delete(WebhookSecret).where(*own, sa.not_(WebhookSecret.is_current)))
    ends_at = sa.func.now() + timedelta(hours=FORMER_SECRET_HOURS)
    await tx.session.execute(sa.update(WebhookSecret).where(*own).values(is_current=False, ends_at=ends_at))
    secret = _add_secret(tx, webhook)
    tx.record(Event.WEBHOOK_SECRET_ROTATED, webhook, name=webhook.name)
    return {"webhook_id": webhook.id, "secret": secret}


async def ping(tx: Transaction, input: PingWebhookInput) -> dict[str, Any]:
    """Send the event `ping`. Raises WEBHOOK_INACTIVE."""
    webhook = await tx.fetch(Webhook, input.webhook_id, MANAGE, "webhookId")
    _require_active(webhook, "webhookId")
    site = await tx.session.get_one(Site, webhook.site_id)
    data = {"siteId": write_id("site", site.id), "siteNumber": site.number}
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    payload = json.dumps({"type": "ping", "timestamp": at, "data": data}, separators=(",", ":"))
    delivery = WebhookDelivery(
        site_id=site.id, webhook_id=webhook.id, payload=payload, next_attempt_at=sa.func.now()
    )
    tx.session.add(delivery)
    return {"delivery_id": delivery.id, "webhook_id": webhook.id}


async def redeliver(tx: Transaction, input: RedeliverWebhookInput) -> dict[str, Any]:
    """Send a delivery again, whatever became of it. Raises WEBHOOK_INACTIVE."""
    delivery = await tx.fetch(WebhookDelivery, input.delivery_id, MANAGE, "deliveryId")
    # Not locked: a worker that finishes a delivery locks the webhook first and the delivery second.
    _require_active(await tx.session.get_one(Webhook, (delivery.site_id, delivery.webhook_id)), "deliveryId")
    delivery.state, delivery.attempts = WebhookDeliveryState.QUEUED, 0
    delivery.next_attempt_at = sa.func.now()
    delivery.delivered_at = delivery.last_status = delivery.last_error = None
    return {"delivery_id": delivery.id, "webhook_id": delivery.webhook_id}


def _check(tx: Transaction, input: CreateWebhookInput | UpdateWebhookInput, *found: Fault) -> None:
    faults = [*found, *_faults(tx, input)]
    if faults:
        raise UserError(*faults)


def _faults(tx: Transaction, input: CreateWebhookInput | UpdateWebhookInput) -> Iterator[Fault]:
    if input.url is not None:
        yield from check_url(input.url, tx.private_webhooks, "url")
    if input.events and len(set(input.events)) < len(input.events):
        yield Fault(code=Code.DUPLICATE, path=("events",))
    if tidy(input.description):
        yield from check_text(input.description or "", TEXT_LENGTH, "description")


def _in_order(events: list[Event]) -> list[Event]:
    return [event for event in Event if event in events]


def _require_active(webhook: Webhook, *path: str) -> None:
    if not webhook.active:
        raise refuse(Code.WEBHOOK_INACTIVE, *path)


def _add_secret(tx: Transaction, webhook: Webhook) -> str:
    secret = new_secret()
    tx.session.add(
        WebhookSecret(site_id=webhook.site_id, webhook_id=webhook.id, is_current=True, secret=secret)
    )
    return secret


async def _free_slot(tx: Transaction, site_id: UUID) -> int:
    taken = await tx.session.scalars(sa.select(Webhook.slot).where(Webhook.site_id == site_id))
    free = set(range(1, WEBHOOK_SLOTS + 1)) - set(taken)
    if not free:
        raise refuse(Code.WEBHOOK_LIMIT, limit=WEBHOOK_SLOTS, current=WEBHOOK_SLOTS)
    return min(free)
