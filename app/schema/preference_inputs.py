"""The inputs of what people confirm and set for themselves. A leaf, like `inputs`."""

import strawberry

from app.schema.enums import Topic
from app.schema.inputs import MutationInput, described, version_read


@strawberry.input(description="Confirms that the contacts of a site were looked through.")
class ConfirmContactReviewInput(MutationInput):
    """Confirms a review."""

    site_id: strawberry.ID = described("The site.")


@strawberry.input(
    description="One's eNotification preferences as they shall be; they replace those that there are."
)
class UpdateENotificationPreferencesInput(MutationInput):
    """Updates preferences."""

    email: str | None = described(
        "Where eNotifications go; up to 254 characters. When left out or null, they go to the address of one's "
        "account.",
        default=None,
    )
    topics: list[Topic] = described("What one wants to be told of, each once; nothing when empty.")
    expected_version: int | None = version_read()


@strawberry.input(description="Subscribes to the reminder of a site's contact review.")
class CreateCalendarSubscriptionInput(MutationInput):
    """Subscribes to a calendar."""

    site_id: strawberry.ID = described("The site.")


@strawberry.input(description="Makes the address of a calendar subscription useless.")
class RevokeCalendarSubscriptionInput(MutationInput):
    """Revokes a subscription."""

    calendar_subscription_id: strawberry.ID = described("The subscription.")
