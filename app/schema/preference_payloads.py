"""What the mutations answer by which people confirm and set things for themselves."""

from typing import Any

import strawberry

from app.calendar_links import address
from app.db import models as m
from app.db import preferences as p
from app.query.declare import Value, reads
from app.schema.calendar import CalendarSubscription
from app.schema.payloads import SITE, Payload, deleted, one
from app.schema.types import Site
from app.schema.users import User


def _address(row: dict[str, Any], _arguments: Any, caller: Any) -> str | None:
    return address(caller.public_url, row["secret"]) if "secret" in row else None


@strawberry.type(description="Answer of confirmContactReview.")
class ConfirmContactReviewPayload(Payload):
    """A confirmed review."""

    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updateENotificationPreferences.")
class UpdateENotificationPreferencesPayload(Payload):
    """Changed preferences."""

    user: User | None = one(m.User, "user_id", "The caller, with their preferences as they are now.")


@strawberry.type(description="Answer of createCalendarSubscription.")
class CreateCalendarSubscriptionPayload(Payload):
    """A new subscription."""

    calendar_subscription: CalendarSubscription | None = one(
        p.CalendarSubscription, "calendar_subscription_id", "The new subscription."
    )
    url: str | None = reads(
        Value(_address),
        "The address to give to a calendar. Whoever has it can read the calendar. It is shown this once and can "
        "never be read again.",
    )


@strawberry.type(description="Answer of revokeCalendarSubscription.")
class RevokeCalendarSubscriptionPayload(Payload):
    """A revoked subscription."""

    revoked_calendar_subscription_id: strawberry.ID | None = deleted(
        "calendar_subscription", "The id the subscription had."
    )
