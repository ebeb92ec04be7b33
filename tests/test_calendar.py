"""The review reminder as a calendar: who may subscribe, what the address answers, and to whom no longer."""

import asyncio
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient, Response
from ical.calendar import Calendar
from ical.calendar_stream import IcsCalendarStream
from icalendar import Calendar as Read
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.calendar import Reminder, calendar_of
from app.calendar_links import hash_of
from app.config import Settings
from app.db.models import Site, User
from app.db.preferences import CalendarSubscription
from app.query.ids import parse_id
from app.rules import CALENDAR_SUBSCRIPTIONS, Language
from app.server import create_app
from tests.test_constraints import stopped_row
from tests.world import Person, Place, World

MINE = "{ viewer { calendarSubscriptions { id createdAt lastUsedAt site { id } } } }"
OTHERS = [
    ("manage_access=UPDATE", "FORBIDDEN"),
    ("contact_updates=UPDATE", "FORBIDDEN"),
    ("user", "FORBIDDEN"),
    ("ended", "NOT_FOUND"),
    ("stranger", "NOT_FOUND"),
]
SECRETS = ["x", "A" * 43, "%00", "%F0%9F%82%A1", "%ff", "x" * 3000, "*", "' OR true --"]


async def subscribe(person: Person, place: Place) -> tuple[str, str]:
    """The address of a new subscription, and its id."""
    payload = await person.succeed(
        "createCalendarSubscription", "url calendarSubscription { id }", siteId=place.id
    )
    return payload["url"], payload["calendarSubscription"]["id"]


async def mine(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await person.ask(MINE))["viewer"]["calendarSubscriptions"]
    return found


def parsed(response: Response) -> Calendar:
    """The calendar as an application that is not ours reads it."""
    assert response.status_code == 200, response.text
    return IcsCalendarStream.calendar_from_ics(response.text)


async def is_gone(world: World, url: str) -> None:
    """The address is answered, by every method, exactly like one that never was."""
    for method in ("GET", "HEAD"):
        answer = await world.client.request(method, url, headers={"If-None-Match": "*"})
        never = await world.client.request(method, f"/calendar/{uuid4().hex}.ics")
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
        assert (answer.content, answer.headers) == (never.content, never.headers)


async def hand_over(world: World, place: Place, heir: Person) -> None:
    """Make a member the primary contact, and the primary contact a user."""
    levels = (
        "purchase_and_download = {0}, reporting = {0}, entitlement_inventory = {0}, entitlement_allocations = {0},"
        " manage_access = {0}, contact_updates = {0}, account_documents = {0}"
    )
    statements = (
        f"UPDATE membership SET role = 'USER', {levels.format(chr(39) + 'NONE' + chr(39))}"
        " WHERE site_id = :site AND role = 'PRIMARY_CONTACT'",
        f"UPDATE membership SET role = 'PRIMARY_CONTACT', {levels.format('NULL')}"
        " WHERE site_id = :site AND user_id = :heir",
        "UPDATE site SET primary_membership_id = (SELECT id FROM membership WHERE site_id = :site"
        " AND role = 'PRIMARY_CONTACT') WHERE id = :site",
    )
    async with world.database.begin() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement), {"site": place.site_id, "heir": heir.user_id})


async def test_a_calendar_shows_when_the_next_review_is_due(world: World) -> None:
    place = await world.site()
    url, _ = await subscribe(place.primary, place)
    response = await world.client.get(url)
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"

    document = "query($id: ID!) { site(id: $id) { createdAt contactReview { nextDueAt } } }"
    site = (await place.primary.ask(document, id=place.id))["site"]
    due = datetime.fromisoformat(site["contactReview"]["nextDueAt"]).date()
    [event] = parsed(response).events
    assert event.dtstart == due
    assert event.uid == f"contact-review-{place.site_id}"
    assert event.dtstamp == datetime.fromisoformat(site["createdAt"]).replace(microsecond=0)
    assert event.summary == f"Review the contacts of Site {place.number}"
    assert event.description == (
        f"Look through the contacts of site {place.number}, correct what is wrong, and confirm that it is done."
        " It has not been confirmed yet."
    )
    [alarm] = event.alarm
    assert (alarm.action, alarm.trigger, alarm.description) == (
        "DISPLAY",
        timedelta(hours=9),
        event.summary,
    )
    calendar = Read.from_ical(response.content)
    assert calendar["X-WR-CALNAME"] == calendar["NAME"] == f"Contact review of Site {place.number}"
    assert calendar["REFRESH-INTERVAL"].dt == timedelta(hours=12)
    assert calendar["X-PUBLISHED-TTL"] == "PT12H"
    assert response.content.endswith(b"END:VCALENDAR\r\n")


async def test_it_moves_on_with_the_review_and_stays_the_same_event(world: World) -> None:
    place = await world.site()
    async with world.database.begin() as connection:
        statement = sa.update(Site).where(Site.id == place.site_id)
        await connection.execute(statement.values(created_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC)))
    url, _ = await subscribe(place.primary, place)
    first = await world.client.get(url)
    [before] = parsed(first).events
    assert before.dtstart == date(2026, 2, 28)
    again = await world.client.get(url)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])

    await place.primary.succeed("confirmContactReview", siteId=place.id)
    second = await world.client.get(url)
    [after] = parsed(second).events
    assert second.headers["etag"] != first.headers["etag"]
    assert (after.uid, after.dtstart > before.dtstart, after.dtstamp > before.dtstamp) == (
        before.uid,
        True,
        True,
    )
    today = datetime.now(UTC)
    assert f"Last confirmed on {today:%B} {today.day}, {today.year}." in str(after.description)


async def test_it_speaks_the_language_of_its_person(world: World) -> None:
    place = await world.site()
    url, _ = await subscribe(place.primary, place)
    async with world.database.begin() as connection:
        statement = sa.update(User).where(User.id == place.primary.user_id)
        await connection.execute(statement.values(language=Language.FR))
    response = await world.client.get(url, headers={"Accept-Language": "en"})
    [event] = parsed(response).events
    assert event.summary == f"Vérifier les contacts du site Site {place.number}"
    assert str(event.description).endswith("Cela n’a encore jamais été confirmé.")
    assert Read.from_ical(response.content)["NAME"].startswith("Vérification des contacts")


def reminder(due: datetime, name: str = "Site", language: Language = Language.EN) -> Reminder:
    """A reminder of a site that was reviewed a month before."""
    reviewed_at = datetime(2026, 8, 7, 23, 59, tzinfo=UTC)
    site = Site(
        id=uuid4(),
        number="1",
        name=name,
        created_at=datetime(2020, 1, 1, tzinfo=UTC),
        contacts_reviewed_at=reviewed_at,
    )
    return Reminder(site, due, language)


@pytest.mark.parametrize("day", [1, 28, 29, 30, 31])
def test_it_comes_back_every_month_even_where_the_month_is_too_short(day: int) -> None:
    body = calendar_of(reminder(datetime(2027, 1, day, 12, tzinfo=UTC)))
    days = [event.start for event in islice(IcsCalendarStream.calendar_from_ics(body.decode()).timeline, 26)]
    months = [(2027 + month // 12, month % 12 + 1) for month in range(26)]
    assert days == [date(year, month, min(day, monthrange(year, month)[1])) for year, month in months]


@pytest.mark.parametrize(
    "name", ["Fell & Tarn; Outdoor, \\n Ltd", 'say "hé": {number}', "漢字🂡" * 40, "BEGIN:VALARM", "%s"]
)
@pytest.mark.parametrize("language", Language)
def test_names_arrive_as_they_are(name: str, language: Language) -> None:
    body = calendar_of(reminder(datetime(2026, 9, 7, tzinfo=UTC), name, language))
    assert max(map(len, body.split(b"\r\n"))) <= 75
    calendar = IcsCalendarStream.calendar_from_ics(body.decode())
    [event] = calendar.events
    [read] = Read.from_ical(body).events
    assert str(event.summary) == str(read["SUMMARY"])
    assert str(event.summary).endswith(f" {name}")
    assert str(calendar.name[0]).endswith(f" {name}")
    told = {Language.EN: "Last confirmed on August 7, 2026.", Language.FR: "le 7 août 2026."}
    assert str(event.description).endswith(told[language])


async def test_who_has_it_already_is_not_sent_it_again(world: World) -> None:
    place = await world.site()
    path, _ = await world.calendar(place, place.primary)
    full = await world.client.get(path)
    tag = full.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await world.client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["cache-control"] == "private, no-cache"
    other = await world.client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, full.content)
    head = await world.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == full.headers
    assert head.headers["content-length"] == str(len(full.content))


async def test_nothing_can_be_written_there(world: World) -> None:
    place = await world.site()
    path, _ = await world.calendar(place, place.primary)
    async with world.unchanged():
        for method in ("POST", "PUT", "DELETE", "PROPFIND"):
            answer = await world.client.request(method, path)
            assert answer.status_code == 405
            assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


# Who may, and who may no longer


@pytest.mark.parametrize(("who", "code"), OTHERS)
async def test_nobody_but_the_primary_contact_subscribes(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    assert await caller.refused("createCalendarSubscription", siteId=place.id) == [(code, "siteId")]
    payload = await caller.do("createCalendarSubscription", "url", language="fr", siteId=place.id)
    assert payload["url"] is None
    if code == "FORBIDDEN":
        [error] = payload["errors"]
        assert error["message"] == "Personnes autorisées\N{NO-BREAK SPACE}: le contact principal."


@pytest.mark.parametrize("secret", SECRETS)
async def test_a_secret_that_nobody_has_is_not_found(world: World, secret: str) -> None:
    async with world.unchanged():
        await is_gone(world, f"/calendar/{secret}.ics")


async def test_what_is_kept_does_not_open_the_calendar(world: World) -> None:
    place = await world.site()
    url, id = await subscribe(place.primary, place)
    secret = url.rsplit("/", 1)[1].removesuffix(".ics")
    assert len(secret) * 6 >= 160
    [row] = await world.rows(CalendarSubscription, CalendarSubscription.site_id == place.site_id)
    assert row.secret_hash == hash_of(secret)
    for wrong in (row.secret_hash.hex(), row.id, row.id.hex, id, secret.swapcase(), secret + "="):
        await is_gone(world, f"/calendar/{wrong}.ics")
    [event] = await world.events(place)
    kept = str((event.before, event.after, event.subject_name, event.reason))
    assert secret not in kept
    assert "hash" not in kept
    assert (await subscribe(place.primary, place))[0] != url


async def test_a_revoked_address_is_useless_at_once(world: World) -> None:
    place = await world.site()
    url, id = await subscribe(place.primary, place)
    other, _ = await subscribe(place.primary, place)
    tag = (await world.client.get(url)).headers["etag"]
    payload = await place.primary.succeed(
        "revokeCalendarSubscription", "revokedCalendarSubscriptionId", calendarSubscriptionId=id
    )
    assert payload["revokedCalendarSubscriptionId"] == id
    await is_gone(world, url)
    assert (await world.client.get(url, headers={"If-None-Match": tag})).status_code == 404
    assert (await world.client.get(other)).status_code == 200
    assert len(await mine(place.primary)) == 1
    refusal = await place.primary.refused("revokeCalendarSubscription", calendarSubscriptionId=id)
    assert refusal == [("NOT_FOUND", "calendarSubscriptionId")]


@pytest.mark.parametrize("who", ["manage_access=UPDATE", "user", "stranger"])
async def test_nobody_sees_or_revokes_those_of_others(world: World, who: str) -> None:
    place = await world.site()
    _, id = await world.calendar(place, place.primary)
    caller = await world.caller(place, who)
    refusal = await caller.refused("revokeCalendarSubscription", calendarSubscriptionId=id)
    assert refusal == [("NOT_FOUND", "calendarSubscriptionId")]
    node = "query($id: ID!) { node(id: $id) { ... on CalendarSubscription { createdAt site { id } } } }"
    assert await caller.ask(node, id=id) == {"node": None}
    assert await mine(caller) == []
    assert (await place.primary.ask(node, id=id))["node"]["site"] == {"id": place.id}


async def test_it_ends_with_the_role_of_the_primary_contact(world: World) -> None:
    place = await world.site()
    former, (heir, _) = place.primary, await world.member(place)
    url, id = await subscribe(former, place)
    await hand_over(world, place, heir)
    await is_gone(world, url)
    [left] = await mine(former)
    assert (left["id"], left["lastUsedAt"], left["site"]) == (id, None, {"id": place.id})
    assert await mine(heir) == []
    await subscribe(heir, place)
    # Rights are those of the moment, in both directions.
    await hand_over(world, place, former)
    assert (await world.client.get(url)).status_code == 200
    await hand_over(world, place, heir)
    await former.succeed("revokeCalendarSubscription", calendarSubscriptionId=id)
    assert await mine(former) == []


async def test_the_list_says_when_each_was_used(world: World) -> None:
    place = await world.site()
    first, second = await subscribe(place.primary, place), await subscribe(place.primary, place)
    assert [(item["id"], item["lastUsedAt"]) for item in await mine(place.primary)] == [
        (first[1], None),
        (second[1], None),
    ]
    await world.client.get(second[0])
    one, two = await mine(place.primary)
    assert one["lastUsedAt"] is None
    used_at = datetime.fromisoformat(two["lastUsedAt"])
    assert abs(datetime.now(UTC) - used_at) < timedelta(minutes=1)
    await world.client.head(second[0])
    assert datetime.fromisoformat((await mine(place.primary))[1]["lastUsedAt"]) > used_at


async def test_both_ends_are_in_the_history(world: World) -> None:
    place = await world.site()
    _, id = await subscribe(place.primary, place)
    await place.primary.succeed("revokeCalendarSubscription", calendarSubscriptionId=id)
    made, revoked = await world.events(place)
    assert (made.event, revoked.event) == ("CALENDAR_SUBSCRIBED", "CALENDAR_REVOKED")
    parsed_id = parse_id(id)
    assert parsed_id
    for event in (made, revoked):
        assert (event.actor_id, event.subject_type, event.subject_id) == (
            place.primary.user_id,
            "calendar_subscription",
            parsed_id[1],
        )
    assert (made.before, revoked.after) == (None, None)
    assert made.after == revoked.before


# The limit


async def fill(world: World, place: Place, count: int) -> str:
    """Subscribe the primary contact this often; the id of the last subscription."""
    ids = [(await world.calendar(place, place.primary, slot))[1] for slot in range(1, count + 1)]
    return ids[-1]


async def test_there_is_a_limit_for_each_person(world: World) -> None:
    place = await world.site()
    id = await fill(world, place, CALENDAR_SUBSCRIPTIONS)
    assert await place.primary.refused("createCalendarSubscription", siteId=place.id) == [
        ("CALENDAR_SUBSCRIPTION_LIMIT", "")
    ]
    [error] = (await place.primary.do("createCalendarSubscription", language="fr", siteId=place.id))["errors"]
    assert error == {
        "__typename": "LimitReachedError",
        "code": "CALENDAR_SUBSCRIPTION_LIMIT",
        "message": "Vous avez déjà vos 20 abonnements de calendrier. Révoquez d’abord l’un d’eux.",
        "path": [],
        "limit": 20,
        "current": 20,
    }
    await place.primary.succeed("revokeCalendarSubscription", calendarSubscriptionId=id)
    await subscribe(place.primary, place)
    other = await world.site()
    await subscribe(other.primary, other)


async def test_the_limit_holds_for_many_at_once_and_at_several_sites(world: World) -> None:
    place, other = await world.site(), await world.site()
    await world.member(other, person=place.primary)
    await hand_over(world, other, place.primary)
    await fill(world, place, CALENDAR_SUBSCRIPTIONS - 2)
    await place.primary.ask("{ viewer { user { id } } }")
    payloads = await asyncio.gather(
        *(
            place.primary.do("createCalendarSubscription", "url", siteId=where.id)
            for where in (place, other) * 3
        )
    )
    codes = [error["code"] for payload in payloads for error in payload["errors"]]
    assert codes == ["CALENDAR_SUBSCRIPTION_LIMIT"] * 4
    for url in filter(None, (payload["url"] for payload in payloads)):
        assert (await world.client.get(url)).status_code == 200
    assert len(await mine(place.primary)) == CALENDAR_SUBSCRIPTIONS


def row(place: Place, user_id: UUID | None, **values: Any) -> CalendarSubscription:
    kept = {"slot": 1, "secret_hash": hash_of(uuid4().hex)}
    return CalendarSubscription(site_id=place.site_id, user_id=user_id, **kept | values)


async def test_the_database_has_the_last_word(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    person = place.primary.user_id
    await world.add(row(place, person, secret_hash=hash_of(place.number)))
    for values, constraint in (
        ({}, "uq_calendar_subscription_user_id_slot"),
        ({"slot": CALENDAR_SUBSCRIPTIONS + 1}, "ck_calendar_subscription_slot_exists"),
        ({"slot": 0}, "ck_calendar_subscription_slot_exists"),
        ({"slot": 2, "secret_hash": b"the secret itself"}, "ck_calendar_subscription_secret_is_hashed"),
        ({"slot": 2, "secret_hash": hash_of(place.number)}, "uq_calendar_subscription_secret_hash"),
    ):
        assert await stopped_row(world, row(place, person, **values)) == constraint
    nobody = row(place, uuid4())
    assert await stopped_row(world, nobody) == "fk_calendar_subscription_user_id"


@pytest.mark.parametrize("column", ["secret_hash = ''", "slot = 2", "user_id = site_id"])
async def test_the_server_cannot_turn_a_subscription_into_another(database: AsyncEngine, column: str) -> None:
    async with database.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError, match="permission denied"):
            await connection.execute(sa.text(f"UPDATE calendar_subscription SET {column}"))


# The address


@pytest.mark.parametrize(
    ("public_url", "beginning"),
    [
        (None, "http://127.0.0.1:8123/calendar/"),
        ("https://accounts.example.com", "https://accounts.example.com/calendar/"),
        ("https://example.com/accounts/", "https://example.com/accounts/calendar/"),
    ],
)
async def test_the_address_begins_where_people_reach_the_service(
    world: World, settings: Settings, public_url: str | None, beginning: str
) -> None:
    place = await world.site()
    given = {"public_url": public_url} if public_url else {}
    own = Settings.model_validate(settings.model_dump() | given | {"port": 8123})
    application = create_app(own)
    transport = ASGITransport(app=application)
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        elsewhere = World(world.database, client, own)
        url, _ = await subscribe(Person(elsewhere, place.primary.ibm_id), place)
    assert url.startswith(beginning)
    path = urlsplit(url).path.removeprefix("/accounts")
    assert (await world.client.get(path)).status_code == 200


@pytest.mark.parametrize("wrong", ["accounts.example.com", "ftp://example.com", "", "https://"])
def test_an_address_that_is_none_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="public_url"):
        Settings(public_url=wrong)  # type: ignore[arg-type]


async def test_a_service_without_its_database_says_so(settings: Settings) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    application = create_app(Settings.model_validate(settings.model_dump() | {"database_url": nowhere}))
    async with AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client:
        answer = await client.get("/calendar/x.ics")
    assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
    assert answer.json()["errors"][0]["message"] == "The service is busy; try again in a moment."
