"""What is told because its time has come: exactly once each, however many workers look, and late rather than never.

Every statement finds what is due and was not told yet, and writes the messages in one go. The occasion of a message
names what it is about; the database takes each occasion once.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import AccessRequest, Membership, Site, User
from app.db.outbox import Message
from app.messages.outbox import into_outbox, written
from app.rules import AccessRequestState, MessageKind

NOTICES = (30, 14, 2)
"""Days before its end at which an access is announced to end."""
NEWS = sa.literal_column("interval '30 days'", sa.Interval)
"""For how long it is worth telling that a request has expired."""


async def announce(database: AsyncEngine, now: datetime | None = None) -> int:
    """Write all messages that are due; returns how many there were. `now` is the database's clock if not given."""
    moment = sa.func.now() if now is None else sa.literal(now, sa.TIMESTAMP(timezone=True))
    count = 0
    for messages in _due(moment):
        async with database.begin() as connection:
            count += (await connection.execute(into_outbox(messages))).rowcount
    return count


def _due(now: Any) -> Iterator[sa.Select[Any]]:
    yield _ending_access(now)
    yield _expired_requests(now)
    yield _monthly_reviews(now)


def _untold(occasion: Any) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(Message.occasion == occasion)


def _epoch(moment: Any) -> Any:
    """A moment as part of an occasion's name."""
    return sa.cast(sa.extract("epoch", moment), sa.Text)


def _json(**values: Any) -> Any:
    pairs = (part for name, value in values.items() for part in (sa.literal(name, sa.Text), value))
    return sa.func.jsonb_build_object(*pairs, type_=JSONB)


def _ending_access(now: Any) -> sa.Select[Any]:
    """To members: the nearest of the notices that are due, while access lasts. A new end is announced anew."""
    days = sa.case(
        *(
            (Membership.ends_at <= now + sa.func.make_interval(0, 0, 0, days), days)
            for days in sorted(NOTICES)
        )
    )
    occasion = sa.func.concat("access_ends:", Membership.id, ":", _epoch(Membership.ends_at), ":", days)
    return (
        written(MessageKind.ACCESS_ENDS, _json(ends_at=Membership.ends_at, days=days), occasion)
        .select_from(Membership)
        .join(Site, Site.id == Membership.site_id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.ends_at > now,
            Membership.ends_at <= now + sa.func.make_interval(0, 0, 0, max(NOTICES)),
            _untold(occasion),
        )
    )


def _expired_requests(now: Any) -> sa.Select[Any]:
    """To requesters, whether or not the expiry was written down since then.

    A request of somebody who is blocked has no site, but the same number: they are told the same. The message is not
    the site's either, so that its deciders do not learn of it.
    """
    occasion = sa.func.concat("access_request_expired:", AccessRequest.id)
    data = _json(
        request_kind=AccessRequest.kind,
        requested_at=AccessRequest.created_at,
        expired_at=AccessRequest.expires_at,
    )
    return (
        written(MessageKind.ACCESS_REQUEST_EXPIRED, data, occasion, AccessRequest.site_id)
        .select_from(AccessRequest)
        .join(Site, Site.number == AccessRequest.site_number)
        .join(User, User.id == AccessRequest.requester_id)
        .where(
            AccessRequest.state.in_([AccessRequestState.PENDING, AccessRequestState.EXPIRED]),
            AccessRequest.expires_at <= now,
            AccessRequest.expires_at > now - NEWS,
            _untold(occasion),
        )
    )


def _monthly_reviews(now: Any) -> sa.Select[Any]:
    """To primary contacts: every month after the last review, or after the site's creation, until the next review."""
    since = sa.func.coalesce(Site.contacts_reviewed_at, Site.created_at)
    age = sa.func.age(now, since)
    # Where a month is short, the review is due before the age says so.
    months = sa.func.greatest(sa.extract("year", age) * 12 + sa.extract("month", age), 1)
    occasion = sa.func.concat("monthly_review:", Site.id, ":", _epoch(since), ":", months)
    primary = sa.and_(Membership.site_id == Site.id, Membership.id == Site.primary_membership_id)
    return (
        written(MessageKind.MONTHLY_REVIEW, _json(last_review_at=Site.contacts_reviewed_at), occasion)
        .select_from(Site)
        .join(Membership, primary)
        .join(User, User.id == Membership.user_id)
        .where(Site.contacts_review_due_at <= now, _untold(occasion))
    )
