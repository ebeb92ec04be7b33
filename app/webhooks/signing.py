"""Secrets, and the headers that sign what is sent, after Standard Webhooks."""

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32


def new_secret() -> str:
    """A secret in the form in which partners are given it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def signed(message_id: str, payload: str, keys: Iterable[str], at: datetime | None = None) -> dict[str, str]:
    """The headers of an attempt at this moment, signed with every key in turn."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, at, payload) for key in keys),
    }
