"""The reminder of the monthly contact review as a calendar that people subscribe to (iCalendar, RFC 5545 and 7986).

Calendars cannot sign in, so a secret in the address stands for the person. What they may do is asked anew for every
request; whatever does not fit is answered like an address that never was.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from babel.dates import format_date
from icalendar import Alarm, Calendar, Event, vText
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.actor import Actor
from app.calendar_links import hash_of
from app.db.models import Site, User
from app.db.pool import Pool
from app.db.preferences import CalendarSubscription
from app.db.session import Session
from app.db.transaction import begin
from app.errors import message
from app.execution import BUSY, UNAVAILABLE
from app.identity import standings_of
from app.language import translate
from app.policy import Action, allows
from app.rules import Language

log = structlog.get_logger()
HEADERS = {
    "Content-Disposition": 'inline; filename="contact-review.ics"',
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    # Whoever keeps it asks before using it again, so that a revoked address is useless at once.
    "Cache-Control": "private, no-cache",
}
REFRESH = timedelta(hours=12)
"""How often calendars shall look whether something has changed."""
ALARM_AFTER = timedelta(hours=9)
"""The reminder is about a whole day, and speaks up in the morning of it."""
LAST_DAY_OF_ALL_MONTHS = 28


@dataclass(frozen=True)
class Reminder:
    """What a calendar is told."""

    site: Site
    due_at: datetime
    language: Language

    def text(self, sentence: str, **parameters: Any) -> str:
        """A sentence in the person's language."""
        return translate(sentence, self.language, name=self.site.name, number=self.site.number, **parameters)


async def feed(pool: Pool, request: Request) -> Response:
    """Answer the address of a calendar subscription."""
    try:
        body = calendar_of(await read(pool, request.path_params["secret"]))
    except UNAVAILABLE as error:
        log.error("unavailable", error=repr(error))
        raise HTTPException(503, str(BUSY)) from error
    return _response(request, body)


async def read(pool: Pool, secret: str) -> Reminder:
    """What the address with a secret shows, noting that it was used.

    Raises HTTP's 404 for secrets that nobody has, and when the person may not subscribe to it now.
    """
    async with begin(pool) as session:
        row = (await session.execute(_behind(secret))).one_or_none()
        if row is None or not await _may_read(session, row.CalendarSubscription):
            raise HTTPException(404)
        row.CalendarSubscription.last_used_at = datetime.now(UTC)
        return Reminder(row.Site, row.due_at, row.language)


def _behind(secret: str) -> sa.Select[CalendarSubscription, Site, Any, Language]:
    """The subscription with a secret, found by its hash, with what it shows."""
    due_at = Site.contacts_review_due_at.label("due_at")
    return (
        sa.select(CalendarSubscription, Site, due_at, User.language)
        .join(Site, Site.id == CalendarSubscription.site_id)
        .join(User, User.id == CalendarSubscription.user_id)
        .where(CalendarSubscription.secret_hash == hash_of(secret))
    )


async def _may_read(session: Session, subscription: CalendarSubscription) -> bool:
    user_id = subscription.user_id
    actor = Actor(user_id, standings=await standings_of(session, user_id, subscription.site_id))
    return allows(actor, Action.SUBSCRIBE_TO_CALENDAR, subscription)


def calendar_of(reminder: Reminder) -> bytes:
    """The calendar: the next due date and its monthly repetition. The same state makes the same bytes."""
    name = reminder.text(message("Contact review of {name}"))
    calendar = Calendar()
    calendar.add("prodid", f"-//Account management//Contact review//{reminder.language.name}")
    calendar.add("version", "2.0")
    # The older name of it is none of the standard's, so the library has to be told that it is a text.
    for key in ("name", "x-wr-calname"):
        calendar.add(key, vText(name))
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", "PT12H")
    calendar.add_component(_event(reminder))
    return calendar.to_ical()


def _event(reminder: Reminder) -> Event:
    site, due = reminder.site, reminder.due_at.astimezone(UTC).date()
    summary = reminder.text(message("Review the contacts of {name}"))
    event, alarm = Event(), Alarm()
    event.add("uid", f"contact-review-{site.id}")
    event.add("dtstamp", site.contacts_reviewed_at or site.created_at)
    event.add("dtstart", due)
    event.add("rrule", _monthly(due))
    event.add("summary", summary)
    event.add("description", _description(reminder))
    event.add("transp", "TRANSPARENT")
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", ALARM_AFTER)
    event.add_component(alarm)
    return event


def _description(reminder: Reminder) -> str:
    what = message(
        "Look through the contacts of site {number}, correct what is wrong, and confirm that it is done."
    )
    reviewed_at = reminder.site.contacts_reviewed_at
    if reviewed_at is None:
        return reminder.text(what) + " " + reminder.text(message("It has not been confirmed yet."))
    day = format_date(reviewed_at.astimezone(UTC), "long", locale=reminder.language.value)
    return reminder.text(what) + " " + reminder.text(message("Last confirmed on {date}."), date=day)


def _monthly(due: date) -> dict[str, Any]:
    """Every month on the day; in months that are too short for it, on their last."""
    if due.day <= LAST_DAY_OF_ALL_MONTHS:
        return {"freq": "monthly"}
    days = list(range(LAST_DAY_OF_ALL_MONTHS, due.day + 1))
    return {"freq": "monthly", "bymonthday": days, "bysetpos": -1}


def _response(request: Request, body: bytes) -> Response:
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = HEADERS | {"ETag": etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(len(body))}, media_type="text/calendar")
    return Response(body, headers=headers, media_type="text/calendar")
