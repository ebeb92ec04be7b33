"""Addresses that take no mail: how they are known, when they are forgotten, and who is told of them."""

from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.models import User
from app.db.outbox import Message, UndeliverableAddress
from app.messages import bounces
from app.query.engine import Engine
from app.rules import ContactType, MessageState
from tests.post import Inbox, mail_server, make_due, run_dry, worker_to
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.test_reads import statements
from tests.world import CONTACT, UPDATE, Person, Place, World, ago

ASK = """query($id: ID!, $first: Int) { site(id: $id) { recommendations {
  __typename code message action
  ... on UndeliverableMemberEmailRecommendation { memberships(first: $first) {
    totalCount nodes { id user { email } } pageInfo { hasNextPage endCursor } } }
  ... on UndeliverableContactEmailRecommendation { contacts(first: $first) {
    totalCount nodes { id email } pageInfo { hasNextPage endCursor } } } } } }"""
MEMBERS, CONTACTS = "UNDELIVERABLE_MEMBER_EMAIL", "UNDELIVERABLE_CONTACT_EMAIL"
GONE = "550 5.1.1 No such user"


async def told(person: Person, place: Place, language: str | None = None) -> dict[str, Any]:
    """What a person is told of addresses, by code."""
    found = (await person.ask(ASK, language, id=place.id))["site"]["recommendations"]
    return {one["code"]: one for one in found if one["code"] in (MEMBERS, CONTACTS)}


async def listed(person: Person, place: Place) -> dict[str, list[str]]:
    """The ids of the members and contacts that are listed, by code."""
    lists = {
        code: one["memberships" if code == MEMBERS else "contacts"]
        for code, one in (await told(person, place)).items()
    }
    assert all(one["totalCount"] == len(one["nodes"]) > 0 for one in lists.values())
    return {code: [node["id"] for node in one["nodes"]] for code, one in lists.items()}


async def refuse(world: World, *emails: str) -> None:
    """Let addresses take no mail."""
    for email in emails:
        await world.add(UndeliverableAddress(email=email.lower()))


async def refused(world: World) -> set[str]:
    """The addresses that are known to take no mail."""
    return {row.email for row in await world.rows(UndeliverableAddress)}


@pytest.fixture
async def own(emptied_database: AsyncEngine, world: World) -> World:
    """Makes things in a database of the test's own."""
    async with emptied_database.begin() as connection:
        await connection.execute(sa.delete(UndeliverableAddress))
    return World(emptied_database, world.client, world.settings)


async def send(own: World, settings: Settings, answers: dict[str, str], times: int = 1) -> None:
    """Send what is in the outbox, so many times, to a server that answers so."""
    async with mail_server(Inbox(answers)) as inbox:
        worker = worker_to(inbox, settings, own.database)
        for _ in range(times):
            await make_due(own.database, Message.state == MessageState.QUEUED)
            await run_dry(worker)


# How it is known


async def test_an_address_that_is_refused_for_good_is_known_once_the_message_is_dead(
    own: World, settings: Settings
) -> None:
    place = await own.site()
    person, _ = await own.member(place)
    await own.message(place, person, email=person.ibm_id.upper())
    await send(own, settings, {"RCPT": GONE}, times=2)
    assert await refused(own) == set()
    await send(own, settings, {"RCPT": GONE})
    assert [row.state for row in await own.rows(Message)] == [MessageState.DEAD]
    assert await refused(own) == {person.ibm_id}


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        ({"RCPT": "450 Mailbox busy"}, 8),
        ({"DATA": "554 Spam"}, 3),
        ({"DATA": "451 Later"}, 8),
        ({"MAIL": "550 Not you"}, 8),
    ],
)
async def test_other_failures_say_nothing_of_the_address(
    own: World, settings: Settings, answers: dict[str, str], times: int
) -> None:
    place = await own.site()
    await own.message(place)
    await send(own, settings, answers, times)
    assert [row.state for row in await own.rows(Message)] == [MessageState.DEAD]
    assert await refused(own) == set()


async def test_an_address_that_takes_mail_again_is_forgotten(own: World, settings: Settings) -> None:
    place = await own.site()
    other, _ = await own.member(place)
    await refuse(own, place.primary.ibm_id, other.ibm_id)
    await own.message(place, email=place.primary.ibm_id.title())
    await send(own, settings, {})
    assert await refused(own) == {other.ibm_id}


async def test_a_message_that_waits_changes_nothing(own: World, settings: Settings) -> None:
    place = await own.site()
    await refuse(own, place.primary.ibm_id)
    await own.message(place)
    await send(own, settings, {"RCPT": "450 Later"})
    assert await refused(own) == {place.primary.ibm_id}


async def test_of_two_messages_the_last_one_counts(own: World, settings: Settings) -> None:
    place = await own.site()
    await own.message(place)
    await send(own, settings, {"RCPT": GONE}, times=3)
    assert await refused(own) == {place.primary.ibm_id}
    await own.message(place)
    await send(own, settings, {})
    assert await refused(own) == set()
    await own.message(place)
    await send(own, settings, {"RCPT": GONE}, times=3)
    assert await refused(own) == {place.primary.ibm_id}


async def test_operators_report_the_addresses_of_users_and_contacts(own: World) -> None:
    place = await own.site()
    await own.contact(place, [ContactType.BILLING], email="Alix@Example.com")
    assert await bounces.report(own.database, f" {place.primary.ibm_id.upper()} ")
    assert await bounces.report(own.database, "alix@example.COM")
    assert await bounces.report(own.database, "alix@example.com")
    assert not await bounces.report(own.database, "nobody@example.com")
    assert await refused(own) == {place.primary.ibm_id, "alix@example.com"}


# What is told


async def test_members_and_contacts_are_listed_by_name(world: World) -> None:
    place = await world.site()
    (first, one), (second, two) = [await world.member(place) for _ in range(2)]
    ended, _ = await world.member(place, ends_at=ago(days=1))
    await world.member(place)
    contacts = [
        await world.contact(place, [ContactType.BILLING], last_name=name, email=f"{place.number}@{name}.fr")
        for name in ("Zola", "arp", "Camus")
    ]
    await refuse(world, first.ibm_id, second.ibm_id, ended.ibm_id)
    await refuse(world, *(f"{place.number}@{name}.fr" for name in ("zola", "arp")))
    by_name = [id for _, id in sorted(((first.ibm_id, one), (second.ibm_id, two)))]
    assert await listed(place.primary, place) == {MEMBERS: by_name, CONTACTS: [contacts[1], contacts[0]]}


async def test_an_address_that_was_corrected_is_not_listed(world: World) -> None:
    place = await world.site()
    email = f"{place.number}@example.com"
    id = await world.contact(place, [ContactType.BILLING], email=email)
    person, membership = await world.member(place)
    await refuse(world, email, person.ibm_id)
    assert await listed(place.primary, place) == {MEMBERS: [membership], CONTACTS: [id]}
    await place.primary.succeed("updateContact", contactId=id, **CONTACT | {"email": f"new.{email}"})
    async with world.database.begin() as connection:
        changed = sa.update(User).where(User.id == person.user_id).values(email=f"new.{person.ibm_id}")
        await connection.execute(changed)
    assert await listed(place.primary, place) == {}


async def test_others_and_their_sites_have_no_part_in_it(world: World) -> None:
    place, other = await world.site(), await world.site()
    stranger, _ = await world.member(other)
    requester, _ = await world.request(place)
    email = f"{other.number}@example.com"
    await world.contact(other, [ContactType.BILLING], email=email)
    await refuse(world, stranger.ibm_id, requester.ibm_id, email, f"nobody.{email}")
    assert await listed(place.primary, place) == {}
    assert set(await listed(other.primary, other)) == {MEMBERS, CONTACTS}


@pytest.mark.parametrize(
    ("who", "codes"),
    [
        ("primary", {MEMBERS, CONTACTS}),
        ("manage_access=UPDATE", {MEMBERS}),
        ("contact_updates=UPDATE", {CONTACTS}),
        ("manage_access=VIEW", set()),
        ("contact_updates=VIEW", set()),
        ("user", set()),
    ],
)
async def test_each_is_told_to_those_who_can_do_something_about_it(
    world: World, who: str, codes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    place = await world.site()
    person, _ = await world.member(place)
    email = f"{place.number}@example.com"
    await world.contact(place, [ContactType.BILLING], email=email)
    await refuse(world, person.ibm_id, email)
    caller = await world.caller(place, who)
    async with world.unchanged():
        assert set(await listed(caller, place)) == codes
    assert reasons == []


async def test_pages_go_on(world: World) -> None:
    place = await world.site()
    ids = []
    for number in range(5):
        email = f"{number}.{place.number}@example.com"
        ids.append(await world.contact(place, [ContactType.BILLING], email=email, last_name=f"N{number}"))
        await refuse(world, email)
    found: list[str] = []
    after = None
    document = """query($id: ID!, $after: String) { site(id: $id) { recommendations {
      ... on UndeliverableContactEmailRecommendation { contacts(first: 2, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } } } } }"""
    for _ in range(3):
        parts = (await place.primary.ask(document, id=place.id, after=after))["site"]["recommendations"]
        [page] = [part["contacts"] for part in parts if part]
        found += [one["id"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert (found, page["pageInfo"]["hasNextPage"]) == (ids, False)


async def test_sentences_are_told_in_the_language_of_the_caller(world: World) -> None:
    place = await world.site()
    email = f"{place.number}@example.com"
    await world.contact(place, [ContactType.BILLING], email=email)
    await refuse(world, place.primary.ibm_id, email)
    english, french = [await told(place.primary, place, language) for language in ("en", "fr")]
    assert english[MEMBERS]["message"] == "The e-mail address of a member of this site takes no mail."
    assert french[MEMBERS]["message"] == "L’adresse e-mail d’un membre de ce site ne reçoit pas de courrier."
    for code in (MEMBERS, CONTACTS):
        for name in ("message", "action"):
            assert english[code][name] != french[code][name]


async def test_it_is_the_same_both_ways_and_one_statement_per_relation(
    world: World, interpreted: AsyncClient
) -> None:
    counts = []
    for rows in (1, 4):
        place = await world.site()
        for number in range(rows):
            person, _ = await world.secondary(place, manage_access=UPDATE)
            email = f"{number}.{place.number}@example.com"
            await world.contact(place, [ContactType.BILLING], email=email)
            await refuse(world, email, person.ibm_id)
        for page in ({}, {"first": 1}):
            compiled, read = await both(place.primary, interpreted, ASK, {"id": place.id, **page})
            assert compiled == read
        assert compiled.count(f'"totalCount":{rows}'.encode()) == 2
        with statements() as seen:
            await both(place.primary, interpreted, ASK, {"id": place.id})
        counts.append(len(seen))
    assert counts[0] == counts[1]
