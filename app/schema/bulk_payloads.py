"""What bulks answer: a result for every item, in the order of the items."""

from typing import Any

import strawberry

from app.db import models as m
from app.query.declare import Value, reads
from app.rules import BATCH_LIMIT
from app.schema.history import HistoryEvent
from app.schema.namings import Naming
from app.schema.payloads import MEMBERSHIP, SITE, Payload, UserError, deleted, one, waiting, written
from app.schema.types import AccessRequest, Membership, Site

EVENTS = 4 * BATCH_LIMIT
"""How many events a bulk is counted as; an item seldom writes more than four."""


def _results() -> Any:
    value = Value(lambda row, *_: row.get("results"), most=BATCH_LIMIT)
    return reads(
        value, "What became of each item, in their order; null when the bulk as a whole was refused."
    )


def _told(name: str, description: str) -> Any:
    return reads(Value(lambda row, *_: row.get(name)), description)


@strawberry.type(description="What the results of all bulks have.")
class BulkResult:
    """What became of an item."""

    index: int = _told("index", "Which of the items, from 0.")
    done: bool = _told(
        "done",
        "Whether it was done; the naming of a secondary contact that waits for a second person counts as done. With "
        "ALL_OR_NOTHING, an item that is fine is not done either when another is not.",
    )
    errors: list[UserError] = _told(
        "errors", "Why this item cannot be done; the paths begin with items and its index."
    )


@strawberry.type(description="What the payloads of all bulks have.")
class BulkPayload(Payload):
    """What all have."""

    events: list[HistoryEvent] = written(most=EVENTS)
    succeeded: int | None = _told(
        "succeeded", "How many items were done; null when the bulk as a whole was refused."
    )
    failed: int | None = _told(
        "failed", "How many items cannot be done; null when the bulk as a whole was refused."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="A person who was to be added.")
class AddUsersResult(BulkResult):
    """One of addUsers."""

    membership: Membership | None = one(
        m.Membership, "membership_id", "The new membership; null while the naming waits."
    )
    pending_naming: Naming | None = waiting()
    access_request: AccessRequest | None = one(
        m.AccessRequest,
        "access_request_id",
        "The person's pending request, which was granted by this; null when there was none.",
    )


@strawberry.type(description="Answer of addUsers.")
class AddUsersPayload(BulkPayload):
    """Added users."""

    results: list[AddUsersResult] | None = _results()


@strawberry.type(description="A membership that was to be changed.")
class UpdateMembershipsResult(BulkResult):
    """One of updateMemberships."""

    membership: Membership | None = one(m.Membership, "membership_id", MEMBERSHIP)
    pending_naming: Naming | None = waiting()


@strawberry.type(description="Answer of updateMemberships.")
class UpdateMembershipsPayload(BulkPayload):
    """Changed memberships."""

    results: list[UpdateMembershipsResult] | None = _results()


@strawberry.type(description="A membership that was to be removed.")
class RemoveMembershipsResult(BulkResult):
    """One of removeMemberships."""

    removed_membership_id: strawberry.ID | None = deleted("membership", "The id the membership had.")


@strawberry.type(description="Answer of removeMemberships.")
class RemoveMembershipsPayload(BulkPayload):
    """Removed memberships."""

    results: list[RemoveMembershipsResult] | None = _results()


@strawberry.type(description="A request that was to be granted.")
class GrantAccessRequestsResult(BulkResult):
    """One of grantAccessRequests."""

    access_request: AccessRequest | None = one(
        m.AccessRequest, "access_request_id", "The request as it is now."
    )
    membership: Membership | None = one(
        m.Membership, "membership_id", "The membership that was made or raised; null while the naming waits."
    )
    pending_naming: Naming | None = waiting()


@strawberry.type(description="Answer of grantAccessRequests.")
class GrantAccessRequestsPayload(BulkPayload):
    """Granted requests."""

    results: list[GrantAccessRequestsResult] | None = _results()


@strawberry.type(description="A request that was to be denied.")
class DenyAccessRequestsResult(BulkResult):
    """One of denyAccessRequests."""

    access_request: AccessRequest | None = one(
        m.AccessRequest, "access_request_id", "The request as it is now."
    )


@strawberry.type(description="Answer of denyAccessRequests.")
class DenyAccessRequestsPayload(BulkPayload):
    """Denied requests."""

    results: list[DenyAccessRequestsResult] | None = _results()
