"""The types of webhooks and of what is sent to them. No field of theirs can show a secret."""

from datetime import datetime

import sqlalchemy as sa
import strawberry

from app.db import models as m
from app.db import webhooks as w
from app.policy import Action, allowed
from app.query.declare import Column, Paged, Relation, reads
from app.schema import filters
from app.schema.arguments import After, Before, First, Last
from app.schema.delivery_enums import WebhookDeliveryState, WebhookDisabledReason, WebhookFailure
from app.schema.enums import Event
from app.schema.lists import ID, VERSION, Connection, Node, opaque_id
from app.schema.users import User
from app.schema.webhook_inputs import DeliveriesBy, WhichDeliveries

DELIVERY_ORDERS = {"CREATED_AT": w.WebhookDelivery.created_at, "ATTEMPTS": w.WebhookDelivery.attempts}
former_secret_ends_at = (
    sa.select(w.WebhookSecret.ends_at)
    .where(
        w.WebhookSecret.site_id == w.Webhook.site_id,
        w.WebhookSecret.webhook_id == w.Webhook.id,
        w.WebhookSecret.ends_at > sa.func.now(),
    )
    .correlate(w.Webhook)
    .scalar_subquery()
)


@strawberry.type(
    description="One thing sent to a webhook, or waiting to be. Finished ones are kept for 30 days. "
    + allowed(Action.MANAGE_WEBHOOKS)
)
class WebhookDelivery(Node):
    """A delivery."""

    id: strawberry.ID = reads(
        Column(w.WebhookDelivery.id, "webhook_delivery"),
        f"{ID} Sent as webhook-id, the same with every attempt.",
    )
    event: Event | None = reads(Column(w.WebhookDelivery.event), "What it tells of; null for a ping.")
    payload: str = reads(Column(w.WebhookDelivery.payload), "What is sent, to the byte, in JSON.")
    state: WebhookDeliveryState = reads(Column(w.WebhookDelivery.state), "How far it got.")
    attempts: int = reads(Column(w.WebhookDelivery.attempts), "How often it was tried.")
    next_attempt_at: datetime | None = reads(
        Column(w.WebhookDelivery.next_attempt_at),
        "When it is tried next; null when it is not, be it done or its webhook not active.",
    )
    last_status: int | None = reads(
        Column(w.WebhookDelivery.last_status), "The status of the last answer; null when there was none."
    )
    last_error: WebhookFailure | None = reads(
        Column(w.WebhookDelivery.last_error), "Why the last attempt failed; null when it did not."
    )
    delivered_at: datetime | None = reads(
        Column(w.WebhookDelivery.delivered_at), "When it was delivered; null when it was not."
    )
    created_at: datetime = reads(Column(w.WebhookDelivery.created_at), "When it was queued.")


@strawberry.type(
    description="An address of a partner tool that is told of what happens at a site, signed after Standard Webhooks. "
    + allowed(Action.MANAGE_WEBHOOKS)
)
class Webhook(Node):
    """A webhook."""

    id: strawberry.ID = opaque_id("webhook", w.Webhook.id)
    url: str = reads(Column(w.Webhook.url), "Where it is sent.")
    events: list[Event] = reads(
        Column(w.Webhook.events), "Which events are sent; an empty list stands for all."
    )
    description: str | None = reads(Column(w.Webhook.description), "What it is for.")
    active: bool = reads(Column(w.Webhook.active), "Whether anything is sent.")
    disabled_reason: WebhookDisabledReason | None = reads(
        Column(w.Webhook.disabled_reason),
        "Why the service itself stopped sending; null when it did not.",
    )
    failing_since: datetime | None = reads(
        Column(w.Webhook.failing_since), "Since when no attempt succeeded; null when the last one did."
    )
    former_secret_ends_at: datetime | None = reads(
        Column(former_secret_ends_at),
        "Until when the secret before this one signs as well; null when none does.",
    )
    version: int = reads(Column(w.Webhook.version), VERSION)
    created_at: datetime = reads(Column(w.Webhook.created_at), "When it was created.")
    created_by: User | None = reads(
        Relation(m.User, on="id", local="created_by_id", follows=Action.MANAGE_WEBHOOKS), "Who created it."
    )

    @reads(
        Paged(
            w.WebhookDelivery,
            on="webhook_id",
            local="id",
            where=filters.webhook_deliveries,
            orders=DELIVERY_ORDERS,
        ),
        "What was sent to it and what waits.",
    )
    def deliveries(
        self,
        filter: WhichDeliveries = None,
        order_by: DeliveriesBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookDelivery]: ...
