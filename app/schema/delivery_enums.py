"""The enums of what is delivered, messages to people and webhooks: like `enums`, described before they are used."""

from enum import Enum

from app.rules import MessageKind, MessageState
from app.schema.enums import describe
from app.webhook_rules import WebhookDeliveryState, WebhookDisabledReason, WebhookFailure

__all__ = [
    "MessageKind",
    "MessageOrderField",
    "MessageState",
    "WebhookDeliveryOrderField",
    "WebhookDeliveryState",
    "WebhookDisabledReason",
    "WebhookFailure",
]


class WebhookDeliveryOrderField(Enum):
    """By what deliveries are sorted."""

    CREATED_AT = "CREATED_AT"
    ATTEMPTS = "ATTEMPTS"


class MessageOrderField(Enum):
    """By what messages are sorted."""

    CREATED_AT = "CREATED_AT"
    RECIPIENT_NAME = "RECIPIENT_NAME"


describe(
    MessageKind,
    "What a message to a person is about.",
    {
        "ACCESS_REQUESTED": "Somebody asks for access, or a member for more; to all who may decide.",
        "ACCESS_GRANTED": "A request was granted; to the requester.",
        "ACCESS_DENIED": "A request was denied, with the reason; to the requester.",
        "ACCESS_REQUEST_EXPIRED": "A request expired before anybody decided it; to the requester.",
        "WELCOME": "Somebody was added to the site; to them.",
        "ACCESS_CHANGED": "Role, levels or end of a member's access have changed; to the member.",
        "ACCESS_REMOVED": "A member's access was taken away; to the one who had it.",
        "ACCESS_ENDS": "Access ends in 30, 14 or 2 days; to the member.",
        "PRIMARY_CONTACT_NOMINATED": "A member is asked to become primary contact; to the member.",
        "PRIMARY_CONTACT_HANDED_OVER": "The site has a new primary contact; to the former and the new one.",
        "MONTHLY_REVIEW": "The contacts are to be looked through; to the primary contact, every month.",
    },
)
describe(
    MessageState,
    "Where a message stands on its way.",
    {
        "QUEUED": "Waits to be sent, for the first time or again.",
        "SENT": "The mail server has taken it.",
        "DEAD": "It was tried often enough and is not sent any more, unless an operator sends it again.",
    },
)
describe(
    MessageOrderField,
    "By what messages are sorted.",
    {
        "CREATED_AT": "When the message was written.",
        "RECIPIENT_NAME": "The recipient's last name, then first name, without regard to case and accents.",
    },
)
describe(
    WebhookDeliveryState,
    "How far a delivery got.",
    {
        "QUEUED": "Waits for its first or its next attempt.",
        "DELIVERED": "The receiver answered with a status of 200 to 299.",
        "DEAD": "Every attempt failed; only redeliverWebhook sends it again.",
    },
)
describe(
    WebhookDisabledReason,
    "Why the service itself stopped sending to a webhook.",
    {
        "GONE": "The receiver answered with status 410.",
        "FAILING": "Every attempt of at least three days failed.",
    },
)
describe(
    WebhookFailure,
    "Why an attempt failed.",
    {
        "BAD_STATUS": "The receiver answered with a status outside of 200 to 299; redirects are not followed.",
        "TIMED_OUT": "There was no connection within 5 seconds, or no answer within 15.",
        "NAME_NOT_FOUND": "The name in the address is not known.",
        "ADDRESS_FORBIDDEN": "The name leads to an address that is not on the public internet.",
        "NOT_CONNECTED": "The receiver refused the connection or cannot be reached.",
        "CERTIFICATE_REFUSED": "No secure connection: the certificate is not valid for the name, or not trusted.",
        "NO_ANSWER": "The connection broke, or what came over it was not HTTP.",
    },
)
describe(
    WebhookDeliveryOrderField,
    "By what deliveries are sorted.",
    {"CREATED_AT": "When it was queued.", "ATTEMPTS": "How often it was tried."},
)
