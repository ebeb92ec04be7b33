"""What people set for themselves."""

import strawberry

from app.policy import Action, allowed
from app.query.declare import Column, reads
from app.schema import filters
from app.schema.enums import Topic
from app.schema.lists import VERSION


@strawberry.type(
    description="What a person has set for eNotifications, such as notices of product upgrades. Independent of the "
    "contacts of sites: neither ever changes the other. " + allowed(Action.SEE_E_NOTIFICATIONS)
)
class ENotifications:
    """eNotification preferences."""

    email: str | None = reads(
        Column(filters.chosen_email),
        "Where they go; null when they go to the address of the person's account.",
    )
    topics: list[Topic] = reads(
        Column(filters.chosen_topics), "What the person wants to be told of; empty until they have chosen."
    )
    version: int = reads(Column(filters.chosen_version), f"{VERSION} 0 until they have chosen.")
