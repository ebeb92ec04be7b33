"""What mutations on webhooks answer. Two of them show a secret, which nothing else ever does."""

from typing import Any

import strawberry

from app.db import models as m
from app.db import webhooks as w
from app.query.declare import Relation, Value, reads
from app.query.ids import write_id
from app.schema.payloads import SITE, Payload
from app.schema.types import Site
from app.schema.webhooks import Webhook, WebhookDelivery

WEBHOOK = "The webhook as it is now."


def _one(model: Any, local: str, description: str) -> Any:
    return reads(Relation(model, on="id", local=local), description)


def _secret() -> Any:
    return reads(
        Value(lambda row, *_: row.get("secret")),
        "The secret that signs, whsec_ and base64. It is shown now and never again.",
    )


def _deleted_id(row: dict[str, Any], *_: Any) -> str | None:
    return write_id("webhook", row["removed"]) if row.get("removed") else None


@strawberry.type(description="Answer of createWebhook.")
class CreateWebhookPayload(Payload):
    """A new webhook."""

    webhook: Webhook | None = _one(w.Webhook, "webhook_id", "The new webhook.")
    secret: str | None = _secret()
    site: Site | None = _one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updateWebhook.")
class UpdateWebhookPayload(Payload):
    """A changed webhook."""

    webhook: Webhook | None = _one(w.Webhook, "webhook_id", WEBHOOK)


@strawberry.type(description="Answer of deleteWebhook.")
class DeleteWebhookPayload(Payload):
    """A deleted webhook."""

    deleted_webhook_id: strawberry.ID | None = reads(Value(_deleted_id), "The id the webhook had.")
    site: Site | None = _one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of rotateWebhookSecret.")
class RotateWebhookSecretPayload(Payload):
    """A new secret."""

    webhook: Webhook | None = _one(w.Webhook, "webhook_id", WEBHOOK)
    secret: str | None = _secret()


@strawberry.type(description="Answer of pingWebhook.")
class PingWebhookPayload(Payload):
    """A ping."""

    delivery: WebhookDelivery | None = _one(w.WebhookDelivery, "delivery_id", "The delivery that was queued.")
    webhook: Webhook | None = _one(w.Webhook, "webhook_id", WEBHOOK)


@strawberry.type(description="Answer of redeliverWebhook.")
class RedeliverWebhookPayload(Payload):
    """A delivery sent again."""

    delivery: WebhookDelivery | None = _one(w.WebhookDelivery, "delivery_id", "The delivery, queued anew.")
    webhook: Webhook | None = _one(w.Webhook, "webhook_id", WEBHOOK)
