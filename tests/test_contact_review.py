"""The monthly review of contacts, and who hears of what."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.query.engine import Engine
from app.query.ids import write_id
from app.rules import HEARD_BY, ContactType, Topic
from tests.test_constraints import stopped
from tests.test_contacts import MANAGERS, OTHERS
from tests.world import CONTACT, Person, Place, World, ago

TECHNICAL, RENEWAL = ContactType.SITE_TECHNICAL, ContactType.SUBSCRIPTION_AND_SUPPORT_RENEWAL
REVIEW = "contactReview { lastDoneAt lastDoneBy { id } nextDueAt overdue }"
SITE = f"query($id: ID!) {{ site(id: $id) {{ createdAt {REVIEW} }} }}"
RECIPIENTS = "query($id: ID!, $topic: Topic!) { site(id: $id) { recipients(topic: $topic) { id } } }"


async def review(person: Person, place: Place) -> dict[str, Any]:
    """The review as a person sees it."""
    found: dict[str, Any] = (await person.ask(SITE, id=place.id))["site"]["contactReview"]
    return found


async def date(world: World, place: Place, created_at: datetime, reviewed_at: datetime | None = None) -> None:
    """Say when a site was created, and when its primary contact last confirmed the review."""
    statement = sa.text(
        "UPDATE site SET created_at = :created, contacts_reviewed_at = :reviewed,"
        " contacts_reviewed_by_id = CASE WHEN :was THEN CAST(:who AS uuid) END WHERE id = :site"
    )
    values = {"created": created_at, "reviewed": reviewed_at, "was": reviewed_at is not None}
    async with world.database.begin() as connection:
        await connection.execute(statement, values | {"who": place.primary.user_id, "site": place.site_id})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize("who", MANAGERS)
async def test_a_review_is_confirmed_and_the_next_is_due_a_month_later(world: World, who: str) -> None:
    place = await world.site()
    await date(world, place, ago(days=100))
    caller = await world.caller(place, who)
    before = await review(caller, place)
    assert (before["lastDoneAt"], before["lastDoneBy"], before["overdue"]) == (None, None, True)

    payload = await caller.succeed("confirmContactReview", f"site {{ {REVIEW} }}", siteId=place.id)
    after = payload["site"]["contactReview"]
    done_at = datetime.fromisoformat(after["lastDoneAt"])
    assert abs(done_at - ago()) < timedelta(minutes=1)
    assert timedelta(days=28) <= datetime.fromisoformat(after["nextDueAt"]) - done_at <= timedelta(days=31)
    assert (after["lastDoneBy"], after["overdue"]) == ({"id": caller.id}, False)
    assert await review(caller, place) == after


@pytest.mark.parametrize(("who", "code"), OTHERS)
async def test_nobody_else_confirms_a_review(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    assert await caller.refused("confirmContactReview", siteId=place.id) == [(code, "siteId")]
    assert (await review(place.primary, place))["lastDoneAt"] is None


async def test_the_refusal_is_told_in_the_callers_language(world: World) -> None:
    place = await world.site()
    caller = await world.caller(place, "contact_updates=VIEW")
    payload = await caller.do("confirmContactReview", language="fr", siteId=place.id)
    assert payload["errors"][0]["message"] == (
        "Personnes autorisées\N{NO-BREAK SPACE}: le contact principal, ou un contact secondaire doté du privilège "
        "«\N{NO-BREAK SPACE}Mises à jour des contacts\N{NO-BREAK SPACE}» au niveau «\N{NO-BREAK SPACE}Mettre à jour"
        "\N{NO-BREAK SPACE}»."
    )


@pytest.mark.parametrize(
    ("created_at", "reviewed_at", "due_at"),
    [
        ("2026-01-31T10:00:00.000001", None, "2026-02-28T10:00:00.000001"),
        ("2024-01-30T10:00:00.000001", None, "2024-02-29T10:00:00.000001"),
        ("2026-01-15T10:00:00.000001", None, "2026-02-15T10:00:00.000001"),
        ("2020-05-05T10:00:00.000001", "2026-03-31T23:59:59.999999", "2026-04-30T23:59:59.999999"),
        ("2020-05-05T10:00:00.000001", "2025-12-07T00:00:00.000001", "2026-01-07T00:00:00.000001"),
    ],
)
async def test_it_is_due_a_month_after_the_last_one_or_after_the_site_was_created(
    world: World, created_at: str, reviewed_at: str | None, due_at: str
) -> None:
    place = await world.site()
    await date(world, place, moment(created_at), moment(reviewed_at) if reviewed_at else None)
    assert datetime.fromisoformat((await review(place.primary, place))["nextDueAt"]) == moment(due_at)


@pytest.mark.parametrize(("days", "overdue"), [(27, False), (32, True)])
async def test_it_is_overdue_by_itself(world: World, days: int, overdue: bool) -> None:
    place = await world.site()
    await date(world, place, ago(days=1000), ago(days=days))
    assert (await review(place.primary, place))["overdue"] is overdue
    await date(world, place, ago(days=days))
    assert (await review(place.primary, place))["overdue"] is overdue


@pytest.mark.parametrize(
    ("who", "names"),
    [
        ("primary", True),
        ("manage_access=VIEW", True),
        ("manage_access=NONE", False),
        ("contact_updates=UPDATE", False),
        ("user", False),
    ],
)
async def test_every_member_sees_it_but_not_everyone_who_did_it(world: World, who: str, names: bool) -> None:
    place = await world.site()
    await place.primary.succeed("confirmContactReview", siteId=place.id)
    found = await review(await world.caller(place, who), place)
    assert found | {"lastDoneBy": None} == await review(place.primary, place) | {"lastDoneBy": None}
    assert found["lastDoneAt"] is not None
    assert found["lastDoneBy"] == ({"id": place.primary.id} if names else None)


@pytest.mark.parametrize("who", ["ended", "stranger"])
async def test_strangers_see_neither_review_nor_recipients(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    assert await caller.ask(SITE, id=place.id) == {"site": None}
    assert await caller.ask(RECIPIENTS, id=place.id, topic="TOOL_CHANGES") == {"site": None}


async def test_every_confirmation_is_in_the_history(world: World) -> None:
    place = await world.site()
    editor = await world.caller(place, "contact_updates=UPDATE")
    await place.primary.succeed("confirmContactReview", siteId=place.id)
    await editor.succeed("confirmContactReview", siteId=place.id)
    first, second = await world.events(place)
    assert [event.event for event in (first, second)] == ["CONTACTS_REVIEWED"] * 2
    assert [event.actor_id for event in (first, second)] == [place.primary.user_id, editor.user_id]
    assert (first.subject_type, first.subject_id) == ("site", place.site_id)
    assert first.before["contacts_reviewed_at"] is None
    assert second.before["contacts_reviewed_at"] == first.after["contacts_reviewed_at"]
    assert second.after["contacts_reviewed_by_id"] == str(editor.user_id)


@pytest.mark.parametrize("columns", ["contacts_reviewed_at = now()", "contacts_reviewed_by_id = :person"])
async def test_a_review_without_its_person_cannot_be_kept(
    world: World, database: AsyncEngine, columns: str
) -> None:
    place = await world.site()
    statement = f"UPDATE site SET {columns} WHERE id = :site"
    values: dict[str, Any] = {"site": place.site_id}
    if ":person" in columns:
        values["person"] = place.primary.user_id
    assert await stopped(database, statement, **values) == "ck_site_contact_review_is_whole"


# Who hears of what


async def hearing(person: Person, place: Place) -> dict[str, list[str]]:
    """The contacts that hear of each topic."""
    return {
        topic.name: [
            contact["id"]
            for contact in (await person.ask(RECIPIENTS, id=place.id, topic=topic.name))["site"]["recipients"]
        ]
        for topic in Topic
    }


def test_every_topic_is_heard_by_somebody() -> None:
    assert set(HEARD_BY) == set(Topic)
    assert all(HEARD_BY.values())


@pytest.mark.parametrize("who", ["primary", "contact_updates=NONE", "user"])
async def test_topics_go_to_the_contacts_of_their_type(world: World, who: str) -> None:
    place = await world.site()
    primary = write_id("contact", place.contact_id)
    both = await world.contact(place, [TECHNICAL, RENEWAL], last_name="Aalto")
    technical = await world.contact(place, [TECHNICAL, ContactType.BILLING], last_name="Berg")
    billing = await world.contact(place, [ContactType.BILLING], last_name="Costa")
    assert await hearing(await world.caller(place, who), place) == {
        "TOOL_CHANGES": [primary, both, technical, billing],
        "RENEWAL_QUOTES": [both],
        "NEW_VERSIONS": [both, technical],
    }


async def test_the_primary_contact_record_hears_of_what_nobody_else_does(world: World) -> None:
    place, elsewhere = await world.site(), await world.site()
    primary = write_id("contact", place.contact_id)
    await world.contact(elsewhere, [TECHNICAL, RENEWAL])
    billing = await world.contact(place, [ContactType.BILLING])
    alone = {"TOOL_CHANGES": [primary, billing], "RENEWAL_QUOTES": [primary], "NEW_VERSIONS": [primary]}
    assert await hearing(place.primary, place) == alone
    await place.primary.succeed("updateContact", contactId=billing, **CONTACT | {"types": ["SITE_TECHNICAL"]})
    assert await hearing(place.primary, place) == alone | {"NEW_VERSIONS": [billing]}
    await place.primary.succeed(
        "updateContact", contactId=primary, **CONTACT | {"types": ["PRIMARY", "SITE_TECHNICAL"]}
    )
    assert (await hearing(place.primary, place))["NEW_VERSIONS"] == [primary, billing]


async def test_what_users_set_for_themselves_has_no_part_in_it(world: World) -> None:
    place = await world.site()
    user, _ = await world.member(place)
    before = await hearing(user, place)
    topics = [topic.name for topic in Topic]
    await user.succeed("updateENotificationPreferences", email="user@example.com", topics=topics)
    await place.primary.succeed("updateENotificationPreferences", topics=[])
    assert await hearing(user, place) == before


async def test_all_of_it_is_planned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = await world.site()
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    await review(place.primary, place)
    await hearing(place.primary, place)
    await place.primary.ask("{ viewer { user { eNotifications { topics } } calendarSubscriptions { id } } }")
    assert reasons == []
