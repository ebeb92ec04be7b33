"""The inputs of mutations on webhooks, and the filter and order of deliveries. A leaf: resolvers import it."""

from typing import Annotated

import strawberry

from app.schema.delivery_enums import WebhookDeliveryOrderField, WebhookDeliveryState
from app.schema.enums import Event, OrderDirection
from app.schema.inputs import MutationInput, described, version_read


@strawberry.input(description="Has a partner tool told of what happens at a site.")
class CreateWebhookInput(MutationInput):
    """Creates a webhook."""

    site_id: strawberry.ID = described("The site.")
    url: str = described(
        "Where to send: an https address of the public internet, without user name and password; up to "
        "2,000 characters."
    )
    events: list[Event] = described("Which events to send, each once; an empty list stands for all.")
    description: str | None = described("What it is for; up to 200 characters.", default=None)


@strawberry.input(description="Changes a webhook; what is left out stays as it is.")
class UpdateWebhookInput(MutationInput):
    """Updates a webhook."""

    webhook_id: strawberry.ID = described("The webhook.")
    url: str | None = described(
        "Where to send: an https address of the public internet, without user name and password; up to "
        "2,000 characters.",
        default=None,
    )
    events: list[Event] | None = described(
        "Which events to send, each once; an empty list stands for all.", default=None
    )
    description: str | None = described(
        "What it is for; an empty text takes it away. Up to 200 characters.", default=None
    )
    active: bool | None = described(
        "Whether to send. Making it active sends what has waited, and forgets why it was disabled.",
        default=None,
    )
    expected_version: int | None = version_read()


@strawberry.input(description="Deletes a webhook.")
class DeleteWebhookInput(MutationInput):
    """Deletes a webhook."""

    webhook_id: strawberry.ID = described("The webhook.")


@strawberry.input(description="Gives a webhook a new secret.")
class RotateWebhookSecretInput(MutationInput):
    """Rotates the secret."""

    webhook_id: strawberry.ID = described("The webhook.")


@strawberry.input(description="Sends a webhook the event ping.")
class PingWebhookInput(MutationInput):
    """Pings a webhook."""

    webhook_id: strawberry.ID = described("The webhook; it must be active.")


@strawberry.input(description="Sends a delivery again.")
class RedeliverWebhookInput(MutationInput):
    """Sends a delivery again."""

    delivery_id: strawberry.ID = described("The delivery; its webhook must be active.")


@strawberry.input(description="Which deliveries to list; all given conditions hold.")
class WebhookDeliveryFilter:
    """Which deliveries."""

    states: list[WebhookDeliveryState] | None = described("Is in one of these states.", default=None)


@strawberry.input(description="How deliveries are sorted.")
class WebhookDeliveryOrder:
    """How deliveries are sorted."""

    field: WebhookDeliveryOrderField = described("By what.")
    direction: OrderDirection = described("Which way.", default=OrderDirection.ASC)


WhichDeliveries = Annotated[
    WebhookDeliveryFilter | None, strawberry.argument(description="Which ones; all by default.")
]
DeliveriesBy = Annotated[
    WebhookDeliveryOrder | None, strawberry.argument(description="In which order; oldest first by default.")
]
