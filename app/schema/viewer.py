"""What a caller asks about themselves, and about a person before they add them."""

import strawberry

from app.db import models as m
from app.db import nominations as n
from app.db import preferences as p
from app.query.declare import Relation, Value, reads
from app.rules import CALENDAR_SUBSCRIPTIONS
from app.schema import filters
from app.schema.arguments import (
    AccessRequestsBy,
    After,
    Before,
    First,
    Last,
    MembershipsBy,
    WhichAccessRequests,
    WhichMemberships,
)
from app.schema.calendar import CalendarSubscription
from app.schema.lists import Connection
from app.schema.nominations import Nomination
from app.schema.types import AccessRequest, Membership, access_requests_of, memberships_of
from app.schema.users import User


@strawberry.type(description="The person who calls.")
class Viewer:
    """The caller."""

    user: User | None = reads(Relation(m.User, on="id", local="user_id"), "The caller as a person.")

    @reads(memberships_of("user_id", "user_id"), "The caller's memberships, as long as they last.")
    def memberships(
        self,
        filter: WhichMemberships = None,
        order_by: MembershipsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Membership]: ...

    @reads(access_requests_of("user_id", "requester_id"), "The caller's requests, in every state.")
    def access_requests(
        self,
        filter: WhichAccessRequests = None,
        order_by: AccessRequestsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AccessRequest]: ...

    nominations: list[Nomination] = reads(
        Relation(
            n.Nomination,
            on="user_id",
            local="user_id",
            where=filters.pending_nominations,
            order=filters.oldest_first,
        ),
        "The pending nominations by which the caller shall become the primary contact of a site.",
    )
    calendar_subscriptions: list[CalendarSubscription] = reads(
        Relation(
            p.CalendarSubscription,
            on="user_id",
            local="user_id",
            order=lambda _: [p.CalendarSubscription.slot],
        ),
        f"The caller's calendar subscriptions, at most {CALENDAR_SUBSCRIPTIONS}.",
    )


@strawberry.type(description="What is known of a person before they are added to a site.")
class AddUserPreview:
    """A person before they are added."""

    known: bool = reads(Value(lambda row, *_: row["known"]), "Whether anybody has this IBMid here.")
    name: str | None = reads(Value(lambda row, *_: row["name"]), "The person's name, when known.")
    membership: Membership | None = reads(
        Relation(m.Membership, on="id", local="membership_id"),
        "Their membership of the site, when there is one.",
    )
    pending_access_request: AccessRequest | None = reads(
        Relation(m.AccessRequest, on="id", local="access_request_id"),
        "Their pending request for the site, which adding them grants; null when there is none.",
    )
