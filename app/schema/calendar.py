"""Calendar subscriptions, as their person sees them."""

from datetime import datetime

import strawberry

from app.db import models as m
from app.db import preferences as p
from app.policy import Action, allowed
from app.query.declare import Column, Relation, reads
from app.schema.lists import Node, opaque_id
from app.schema.types import Site


@strawberry.type(
    description="A calendar that is subscribed to the reminder of a site's contact review. Its address answers only "
    "while the person is the primary contact. " + allowed(Action.SEE_CALENDAR_SUBSCRIPTION)
)
class CalendarSubscription(Node):
    """A calendar subscription."""

    id: strawberry.ID = opaque_id("calendar_subscription", p.CalendarSubscription.id)
    created_at: datetime = reads(Column(p.CalendarSubscription.created_at), "When it was made.")
    last_used_at: datetime | None = reads(
        Column(p.CalendarSubscription.last_used_at), "When a calendar last read it; null until one has."
    )
    site: Site | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site; null once the caller does not belong to it."
    )
