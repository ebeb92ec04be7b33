"""The acts of the simulation that touch nobody's access: the contact form, reviews, calendars, webhooks, settings."""

from typing import Any

from app.db.models import Contact
from app.db.preferences import CalendarSubscription
from app.db.webhooks import Webhook, WebhookDelivery
from app.query.ids import write_id
from tests.simulation import Act, Rows, Simulation, of
from tests.test_ids import ALL
from tests.world import CONTACT


async def save_contacts(it: Simulation, rows: Rows) -> list[str] | None:
    place = it.dice.choice(it.places)
    here = [row for row in rows[Contact] if row.site_id == place.site_id]
    saved = [
        {**CONTACT, "contactId": of(row, "contact"), "types": [kind.name for kind in row.types]}
        for row in it.dice.sample(here, min(2, len(here)))
    ]
    return await it.do("updateContacts", who=it.primary(rows, place.site_id), siteId=place.id, contacts=saved)


async def set_own(it: Simulation, rows: Rows) -> list[str] | None:
    topics = it.dice.choice([[], ["NEW_VERSIONS"]])
    return await it.do("updateENotificationPreferences", email=None, topics=topics)


def of_a_site(mutation: str) -> Act:
    """The primary contact, mostly, does something with their site."""
    field, rest = ALL[mutation]

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        place = it.dice.choice(it.places)
        return await it.do(mutation, who=it.primary(rows, place.site_id), **{field: place.id}, **rest)

    return act


def of_a_row(mutation: str, model: Any, kind: str) -> Act:
    """The primary contact, mostly, does something with a thing of their site; with their own, whose it is."""
    field, rest = ALL[mutation]

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        row = it.one(await it.world.rows(model, model.site_id.in_(it.sites)))
        who = row and (getattr(row, "user_id", None) or it.primary(rows, row.site_id))
        return await it.do(mutation, row, who=who, **{field: row and write_id(kind, row.id)}, **rest)

    return act


OTHER_ACTS: list[tuple[str, Act]] = [
    ("updateContacts", save_contacts),
    ("updateENotificationPreferences", set_own),
    ("confirmContactReview", of_a_site("confirmContactReview")),
    ("createCalendarSubscription", of_a_site("createCalendarSubscription")),
    ("createWebhook", of_a_site("createWebhook")),
    (
        "revokeCalendarSubscription",
        of_a_row("revokeCalendarSubscription", CalendarSubscription, "calendar_subscription"),
    ),
    ("updateWebhook", of_a_row("updateWebhook", Webhook, "webhook")),
    ("deleteWebhook", of_a_row("deleteWebhook", Webhook, "webhook")),
    ("rotateWebhookSecret", of_a_row("rotateWebhookSecret", Webhook, "webhook")),
    ("pingWebhook", of_a_row("pingWebhook", Webhook, "webhook")),
    ("redeliverWebhook", of_a_row("redeliverWebhook", WebhookDelivery, "webhook_delivery")),
]
"""What else people do."""
