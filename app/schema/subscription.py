"""The subscriptions, and what they tell: each reads like the payload of a mutation, from values and relations."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Relation, Value, reads
from app.query.ids import write_id
from app.schema.enums import Event
from app.schema.types import AccessRequest, Membership, Site

SUBJECTS = {"accessRequestChanged": "access_request", "membershipChanged": "membership", "siteChanged": None}
"""By subscription, what its events are about; nothing for those about anything of the site."""
SiteId = Annotated[strawberry.ID, strawberry.argument(description="Id of the site.")]
AfterEvent = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="The last event the client has seen, from `eventId` or the site's `lastEventId`: all that came "
        "after it is told first. Without it, only what happens from now on is told."
    ),
]


def _value(name: str, description: str) -> Any:
    return reads(Value(lambda row, *_: row[name]), description)


def _subject(model: Any, local: str, description: str) -> Any:
    return reads(Relation(model, on="id", local=local), description)


def _removed(row: dict[str, Any], *_: Any) -> str | None:
    return write_id("membership", row["removed"]) if row["removed"] else None


@strawberry.type(description="What all events have.")
class Change:
    """What all events have."""

    event: Event = _value("event", "What happened.")
    event_id: strawberry.ID = _value(
        "event_id", "Opaque id of the event within its site, to be given as `after` when subscribing again."
    )
    at: datetime = _value("at", "When it happened.")


@strawberry.type(description="Something happened to an access request.")
class AccessRequestChange(Change):
    """Something happened to a request."""

    access_request: AccessRequest | None = _subject(
        m.AccessRequest, "subject_id", "The request as it is when the event is told."
    )


@strawberry.type(description="Something happened to a membership.")
class MembershipChange(Change):
    """Something happened to a membership."""

    membership: Membership | None = _subject(
        m.Membership,
        "subject_id",
        "The membership as it is when the event is told; null when it was removed.",
    )
    removed_membership_id: strawberry.ID | None = reads(
        Value(_removed), "The id that the membership had; only when this event removed it."
    )


@strawberry.type(description="Something happened to a site, or to anything that belongs to it.")
class SiteChange(Change):
    """Something happened at a site."""

    site: Site | None = _subject(m.Site, "site_id", "The site as it is when the event is told.")


def _subscription(description: str, seeing: Action) -> Any:
    rest = "Ends when the caller has no access to the site any more."
    return strawberry.field(description=f"{description} {rest} {allowed(seeing)}")


@strawberry.type(description="Everything that can be listened to, one event after the other, none twice.")
class Subscription:
    """Everything that can be listened to."""

    @_subscription(
        "Tells of requests for access to a site; a user hears of their own only.", Action.SEE_ACCESS_REQUEST
    )
    def access_request_changed(self, site_id: SiteId, after: AfterEvent = None) -> AccessRequestChange: ...

    @_subscription(
        "Tells of the memberships of a site; a user hears of their own only.", Action.SEE_MEMBERSHIP
    )
    def membership_changed(self, site_id: SiteId, after: AfterEvent = None) -> MembershipChange: ...

    @_subscription(
        "Tells of everything that happens at a site, as far as the caller may see what it is about.",
        Action.SEE_SITE,
    )
    def site_changed(self, site_id: SiteId, after: AfterEvent = None) -> SiteChange: ...
