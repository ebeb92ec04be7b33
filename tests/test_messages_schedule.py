"""What is told because its time has come: exactly once, however many look, whatever the clock does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import AccessRequest, Membership, Site
from app.db.outbox import Message
from app.messages.letters import write_letter
from app.messages.schedule import announce
from app.query.ids import parse_id
from app.rules import AccessRequestState, Language, MessageKind, Role
from tests.world import Person, Place, World, ago

END = datetime(2030, 6, 30, 12, tzinfo=UTC)
CREATED = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def own(emptied_database: AsyncEngine, world: World) -> World:
    """Makes things in a database of the test's own, in which nothing else comes due."""
    return World(emptied_database, world.client, world.settings)


def before_end(**duration: float) -> datetime:
    return END - timedelta(**duration)


async def told(own: World, kind: MessageKind) -> list[Message]:
    """The messages of a kind, in their order."""
    rows = await own.rows(Message, Message.kind == kind)
    return sorted(rows, key=lambda row: row.id)


async def change(own: World, model: Any, which: Any, **values: Any) -> None:
    async with own.database.begin() as connection:
        await connection.execute(sa.update(model).where(which).values(**values))


async def site(own: World, created_at: datetime = END) -> Place:
    """A site whose contacts are not to be looked through before a given month has passed."""
    place = await own.site()
    await change(own, Site, Site.id == place.site_id, created_at=created_at)
    return place


async def ending(own: World, ends_at: datetime = END) -> tuple[Place, Person]:
    """A member whose access ends."""
    place = await site(own)
    member, _ = await own.member(place, ends_at=ends_at)
    await own.member(place)
    return place, member


# Access ends


async def test_the_member_is_told_30_14_and_2_days_before(own: World) -> None:
    place, member = await ending(own)
    moments = (40, 31, 30, 29, 15, 14, 13, 3, 2, 1, 0, -1)
    seen = [days for days in moments if await announce(own.database, before_end(days=days))]
    assert seen == [30, 14, 2]
    rows = await told(own, MessageKind.ACCESS_ENDS)
    assert [row.data["days"] for row in rows] == [30, 14, 2]
    for row in rows:
        assert (row.recipient_id, row.site_id) == (member.user_id, place.site_id)
        assert datetime.fromisoformat(row.data["ends_at"]) == END
        assert "ends on 30 June 2030" in write_letter(row.kind, row.language, row.data).subject


async def test_the_moment_itself_counts(own: World) -> None:
    await ending(own)
    assert await announce(own.database, before_end(days=30, microseconds=1)) == 0
    assert await announce(own.database, before_end(days=30)) == 1


@pytest.mark.parametrize(
    ("down_until", "days"), [(20, [30]), (10, [14]), (1, [2]), (0.0001, [2]), (0, []), (-1, []), (-400, [])]
)
async def test_what_was_missed_is_told_late_but_only_the_nearest_and_not_after_the_end(
    own: World, down_until: float, days: list[int]
) -> None:
    await ending(own)
    assert await announce(own.database, before_end(days=50)) == 0
    await announce(own.database, before_end(days=down_until))
    assert [row.data["days"] for row in await told(own, MessageKind.ACCESS_ENDS)] == days


async def test_a_day_of_downtime_loses_no_notice(own: World) -> None:
    await ending(own)
    for days in (31, 29.5, 15, 13.5, 3, 1.5):
        await announce(own.database, before_end(days=days))
    assert [row.data["days"] for row in await told(own, MessageKind.ACCESS_ENDS)] == [30, 14, 2]


async def test_a_clock_that_jumps_repeats_nothing(own: World) -> None:
    await ending(own)
    for days in (30, 1, 30, 29, 40, 1, 30):
        await announce(own.database, before_end(days=days))
    assert [row.data["days"] for row in await told(own, MessageKind.ACCESS_ENDS)] == [30, 2]


async def test_a_new_end_is_announced_anew(own: World) -> None:
    _, member = await ending(own)
    await announce(own.database, before_end(days=1))
    later = END + timedelta(days=365)
    await change(own, Membership, Membership.user_id == member.user_id, ends_at=later)
    assert await announce(own.database, before_end(days=1)) == 0
    assert await announce(own.database, later - timedelta(days=2)) >= 1
    assert [row.data["days"] for row in await told(own, MessageKind.ACCESS_ENDS)] == [2, 2]


# Requests expire


async def expiring(own: World, **values: Any) -> tuple[Place, Person, str]:
    place = await site(own)
    person, request_id = await own.request(place, expires_at=END, **values)
    return place, person, request_id


async def test_the_requester_is_told_that_nobody_decided(own: World) -> None:
    place, requester, _ = await expiring(own)
    assert await announce(own.database, before_end(seconds=1)) == 0
    assert await announce(own.database, END) == 1
    assert await announce(own.database, END + timedelta(days=1)) == 0
    [row] = await told(own, MessageKind.ACCESS_REQUEST_EXPIRED)
    assert (row.recipient_id, row.site_id) == (requester.user_id, place.site_id)
    assert "expired on 30 June 2030" in " ".join(write_letter(row.kind, row.language, row.data).text.split())


@pytest.mark.parametrize(("days", "count"), [(1, 1), (29, 1), (31, 0)])
async def test_an_expiry_is_told_late_while_it_is_news(own: World, days: float, count: int) -> None:
    await expiring(own)
    await announce(own.database, END + timedelta(days=days))
    assert len(await told(own, MessageKind.ACCESS_REQUEST_EXPIRED)) == count


async def test_an_expiry_that_was_written_down_already_is_told_too(own: World) -> None:
    await expiring(own, state=AccessRequestState.EXPIRED, closed_at=END)
    assert await announce(own.database, END) == 1


@pytest.mark.parametrize("written_down", [False, True])
async def test_a_blocked_requester_is_told_like_everybody_and_the_site_sees_nothing_of_it(
    own: World, written_down: bool
) -> None:
    state = {"state": AccessRequestState.EXPIRED, "closed_at": END} if written_down else {}
    place, other, _ = await expiring(own, created_at=CREATED, **state)
    blocked = await own.person()
    hidden = {"site_number": place.number, "requester_id": blocked.user_id, "expires_at": END}
    await own.add(AccessRequest(created_at=CREATED, **hidden, **state))
    assert await announce(own.database, END) == 2
    messages = {row.recipient_id: row for row in await told(own, MessageKind.ACCESS_REQUEST_EXPIRED)}
    theirs, usual = messages[blocked.user_id], messages[other.user_id]
    assert theirs.data | {"recipient_name": other.ibm_id} == usual.data
    assert theirs.site_id is None
    assert await announce(own.database, END + timedelta(days=1)) == 0


async def test_a_request_for_a_number_that_no_site_has_is_told_of_to_nobody(own: World) -> None:
    person = await own.person()
    await own.add(AccessRequest(site_number="NOSUCH", requester_id=person.user_id, expires_at=END))
    assert await announce(own.database, END) == 0


async def test_a_request_that_came_to_another_end_does_not_expire(own: World) -> None:
    place, _, request_id = await expiring(own)
    parsed = parse_id(request_id)
    assert parsed is not None
    values = {"state": AccessRequestState.WITHDRAWN, "closed_at": sa.func.now()}
    await change(own, AccessRequest, AccessRequest.id == parsed[1], **values)
    await own.request(place)
    assert await announce(own.database, END) == 0


# The monthly review


async def test_the_primary_contact_is_reminded_every_month_until_the_review(own: World) -> None:
    place = await site(own, CREATED)
    await own.secondary(place)
    due = [datetime(2030, month, day, 12, tzinfo=UTC) for month, day in ((2, 28), (3, 31), (5, 1), (5, 31))]
    days = (0, 27, 28, 29, 31, 58, 59, 60, 89, 90, 91, 119, 120, 121)
    moments = [CREATED + timedelta(days=day) for day in days]
    reminded = [moment for moment in moments if await announce(own.database, moment)]
    assert reminded == due
    rows = await told(own, MessageKind.MONTHLY_REVIEW)
    assert {row.recipient_id for row in rows} == {place.primary.user_id}
    assert "have not been looked through yet" in write_letter(rows[0].kind, Language.EN, rows[0].data).text


async def test_a_review_puts_the_next_reminder_off_by_a_month(own: World) -> None:
    place = await site(own, CREATED)
    await announce(own.database, datetime(2030, 2, 28, 12, tzinfo=UTC))
    reviewed = datetime(2030, 3, 10, 9, tzinfo=UTC)
    await change(
        own,
        Site,
        Site.id == place.site_id,
        contacts_reviewed_at=reviewed,
        contacts_reviewed_by_id=place.primary.user_id,
    )
    for day in range(11, 41):
        assert await announce(own.database, datetime(2030, 2, 28, 9, tzinfo=UTC) + timedelta(days=day)) == 0
    assert await announce(own.database, datetime(2030, 4, 10, 9, tzinfo=UTC)) == 1
    last = (await told(own, MessageKind.MONTHLY_REVIEW))[-1]
    assert "last looked through on 10 March 2030" in write_letter(last.kind, Language.EN, last.data).text


async def test_the_one_who_is_primary_contact_then_is_reminded(own: World) -> None:
    place = await site(own, CREATED)
    [former] = await own.rows(Membership, Membership.site_id == place.site_id)
    successor, _ = await own.secondary(place)
    async with own.database.begin() as connection:
        one, two = (
            sa.update(Membership).where(
                Membership.site_id == place.site_id, Membership.user_id == person.user_id
            )
            for person in (place.primary, successor)
        )
        empty = dict.fromkeys(NAMES, None)
        await connection.execute(one.values(role=Role.USER, **dict.fromkeys(NAMES, "NONE")))
        await connection.execute(two.values(role=Role.PRIMARY_CONTACT, seat=None, **empty))
        found = sa.select(Membership.id).where(Membership.user_id == successor.user_id).scalar_subquery()
        await connection.execute(
            sa.update(Site).where(Site.id == place.site_id).values(primary_membership_id=found)
        )
    assert former.user_id == place.primary.user_id
    await announce(own.database, CREATED + timedelta(days=32))
    [row] = await told(own, MessageKind.MONTHLY_REVIEW)
    assert row.recipient_id == successor.user_id


NAMES = (
    "purchase_and_download",
    "reporting",
    "entitlement_inventory",
    "entitlement_allocations",
    "manage_access",
    "contact_updates",
    "account_documents",
)


# Many at once


async def test_many_workers_at_once_tell_everything_once(own: World) -> None:
    for _ in range(5):
        place = await site(own, CREATED)
        await own.member(place, ends_at=END)
        await own.request(place, expires_at=before_end(days=2))
    moment = before_end(days=1)
    counts = await asyncio.gather(*(announce(own.database, moment) for _ in range(10)))
    assert sum(counts) == 15
    assert len(await own.rows(Message)) == 15
    occasions = {row.occasion for row in await own.rows(Message)}
    assert len(occasions) == 15 and None not in occasions


async def test_by_default_the_clock_is_that_of_the_database(own: World) -> None:
    place = await own.site()
    await own.member(place, ends_at=ago(days=-1))
    await own.request(place, expires_at=ago(minutes=1))
    await change(own, Site, Site.id == place.site_id, created_at=ago(days=32))
    assert await announce(own.database) == 3
    assert await announce(own.database) == 0


async def test_the_model_says_when_the_review_is_due(own: World) -> None:
    place = await site(own, CREATED)
    async with own.database.connect() as connection:
        due = sa.select(Site.contacts_review_due_at).where(Site.id == place.site_id)
        assert await connection.scalar(due) == datetime(2030, 2, 28, 12, tzinfo=UTC)
