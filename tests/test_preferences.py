"""eNotification preferences: one's own, seen and changed by nobody else, and independent of contacts."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from graphql import GraphQLInputObjectType, GraphQLSchema, get_named_type
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import Contact, HistoryEvent, User
from app.db.preferences import ENotificationPreference
from app.rules import EMAIL_LENGTH, ContactType
from app.schema.schema import executable_schema
from tests.access import form
from tests.test_constraints import stopped
from tests.world import CONTACT, Person, Place, World

MINE = "eNotifications { email topics }"
VIEWER = f"{{ viewer {{ user {{ email {MINE} }} }} }}"
NOTHING = {"email": None, "topics": []}
EVERYTHING = ["TOOL_CHANGES", "RENEWAL_QUOTES", "NEW_VERSIONS"]
KINDS = ["primary", "manage_access=UPDATE", "contact_updates=NONE", "user", "ended", "stranger"]


async def own(person: Person) -> dict[str, Any]:
    """What a person has set."""
    found: dict[str, Any] = (await person.ask(VIEWER))["viewer"]["user"]["eNotifications"]
    return found


async def stream(world: World, user_id: UUID | None) -> list[HistoryEvent]:
    """The events about a person that concern no site, but for their sign-in."""
    found: list[HistoryEvent] = await world.rows(
        HistoryEvent, HistoryEvent.stream == user_id, HistoryEvent.subject_type != "user"
    )
    return sorted(found, key=lambda event: event.number)


@pytest.mark.parametrize("who", KINDS)
async def test_everyone_sets_their_own(world: World, who: str) -> None:
    caller = await world.caller(await world.site(), who)
    assert await own(caller) == NOTHING
    payload = await caller.succeed(
        "updateENotificationPreferences",
        f"user {{ id email {MINE} }}",
        email="  Notices@EXAMPLE.com ",
        topics=["NEW_VERSIONS", "TOOL_CHANGES"],
    )
    kept = {"email": "Notices@example.com", "topics": ["TOOL_CHANGES", "NEW_VERSIONS"]}
    assert payload["user"] == {"id": caller.id, "email": caller.ibm_id, "eNotifications": kept}
    assert await own(caller) == kept
    await caller.succeed("updateENotificationPreferences", topics=[])
    assert await own(caller) == NOTHING


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "manage_access=VIEW"])
async def test_nobody_sees_those_of_others_by_any_path(world: World, who: str) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    await member.succeed("updateENotificationPreferences", email="m@example.com", topics=EVERYTHING)
    _, request_id = await world.request(place, member)
    await member.ask(VIEWER)
    document = f"""query($u: ID!, $m: ID!, $a: ID!, $s: ID!) {{ node(id: $u) {{ ... on User {{ email {MINE} }} }}
      nodes(ids: [$m, $a]) {{ ... on Membership {{ user {{ id {MINE} }} }}
        ... on AccessRequest {{ requester {{ id {MINE} }} }} }}
      site(id: $s) {{ memberships {{ nodes {{ user {{ id {MINE} }} }} }} }} }}"""
    ids = {"u": member.id, "m": membership_id, "a": request_id, "s": place.id}
    caller = await world.caller(place, who)
    seen = await caller.ask(document, **ids)
    assert seen["node"] == {"email": member.ibm_id, "eNotifications": None}
    hidden = {"id": member.id, "eNotifications": None}
    assert seen["nodes"] == [{"user": hidden}, {"requester": hidden}]
    people = [node["user"] for node in seen["site"]["memberships"]["nodes"]]
    assert hidden in people
    assert {"id": caller.id, "eNotifications": NOTHING} in people

    mine = await member.ask(document, **ids)
    kept = {"email": "m@example.com", "topics": EVERYTHING}
    assert mine["node"]["eNotifications"] == mine["nodes"][0]["user"]["eNotifications"] == kept
    assert mine["nodes"][1]["requester"]["eNotifications"] == kept


@pytest.mark.parametrize(
    ("email", "topics", "faults"),
    [
        ("nobody", EVERYTHING, [("INVALID_EMAIL", "email")]),
        ("a@b", [], [("INVALID_EMAIL", "email")]),
        ("", [], [("REQUIRED", "email")]),
        (" ", [], [("REQUIRED", "email")]),
        ("a\x00@example.com", [], [("FORBIDDEN_CHARACTERS", "email")]),
        ("a@" + "b" * EMAIL_LENGTH + ".com", [], [("TOO_LONG", "email")]),
        ("a@example.com\r\nBcc: b@example.com", [], [("FORBIDDEN_CHARACTERS", "email")]),
        (None, ["NEW_VERSIONS", "NEW_VERSIONS"], [("DUPLICATE", "topics")]),
        ("nobody", [*EVERYTHING, "TOOL_CHANGES"], [("INVALID_EMAIL", "email"), ("DUPLICATE", "topics")]),
    ],
)
async def test_all_faults_are_told_and_nothing_is_kept(
    world: World, email: str | None, topics: list[str], faults: list[tuple[str, str]]
) -> None:
    person = await world.person()
    await person.succeed("updateENotificationPreferences", email="kept@example.com", topics=["NEW_VERSIONS"])
    assert await person.refused("updateENotificationPreferences", email=email, topics=topics) == faults
    assert await own(person) == {"email": "kept@example.com", "topics": ["NEW_VERSIONS"]}


async def test_faults_are_told_in_french(world: World) -> None:
    person = await world.person()
    payload = await person.do(
        "updateENotificationPreferences", language="fr", email="x", topics=["NEW_VERSIONS"] * 2
    )
    assert [(error["__typename"], error["message"]) for error in payload["errors"]] == [
        ("InputError", "Aucun courrier ne peut parvenir à cette adresse e-mail."),
        ("InputError", "Cet élément figure plusieurs fois."),
    ]


@pytest.mark.parametrize("topics", [["RUMOURS"], None, [None], "tool_changes"])
async def test_what_is_no_topic_is_the_programs_fault(world: World, topics: Any) -> None:
    person = await world.person()
    await person.ask(VIEWER)
    document = """mutation($input: UpdateENotificationPreferencesInput!) {
      updateENotificationPreferences(input: $input) { errors { code } } }"""
    async with world.unchanged():
        response = await person.post(document, input={"topics": topics})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_it_is_recorded_in_the_persons_own_stream(world: World) -> None:
    place = await world.site()
    person = place.primary
    first = {"email": "a@example.com", "topics": ["NEW_VERSIONS"]}
    await person.succeed("updateENotificationPreferences", **first)
    await person.succeed("updateENotificationPreferences", **first)
    await person.succeed("updateENotificationPreferences", topics=["NEW_VERSIONS", "TOOL_CHANGES"])
    made, changed = await stream(world, person.user_id)
    assert {event.event.name for event in (made, changed)} == {"E_NOTIFICATIONS_UPDATED"}
    assert (made.actor_id, made.subject_id, made.site_id) == (person.user_id, person.user_id, None)
    assert made.before is None
    assert made.after == changed.before == first | {"user_id": str(person.user_id)}
    assert changed.after is not None
    assert (changed.after["email"], changed.after["topics"]) == (None, ["TOOL_CHANGES", "NEW_VERSIONS"])
    assert await world.events(place) == []


async def test_two_at_once_take_turns(world: World) -> None:
    person = await world.person()
    await person.ask(VIEWER)
    addresses = [f"{number}@example.com" for number in range(8)]
    await asyncio.gather(
        *(person.succeed("updateENotificationPreferences", email=address, topics=[]) for address in addresses)
    )
    events = await stream(world, person.user_id)
    chain = [event.after and event.after["email"] for event in events]
    assert sorted(map(str, chain)) == addresses
    assert [event.before and event.before["email"] for event in events] == [None, *chain[:-1]]
    assert (await own(person))["email"] == chain[-1]


async def test_the_database_keeps_each_topic_once(world: World, database: AsyncEngine) -> None:
    person = await world.person()
    statement = (
        "INSERT INTO e_notification_preference (user_id, topics)"
        " VALUES (:user, '{NEW_VERSIONS,TOOL_CHANGES,NEW_VERSIONS}')"
    )
    assert (
        await stopped(database, statement, user=person.user_id)
        == "ck_e_notification_preference_topics_differ"
    )


# Contacts and eNotifications: neither ever changes the other

SHARED = "shared@example.com"
OTHER = "other@example.com"


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return executable_schema()


def says_email(kind: Any, seen: frozenset[str] = frozenset()) -> bool:
    """Whether an input has an e-mail address in it, at whatever depth."""
    kind = get_named_type(kind)
    if not isinstance(kind, GraphQLInputObjectType) or kind.name in seen:
        return False
    seen |= {kind.name}
    return "email" in kind.fields or any(says_email(field.type, seen) for field in kind.fields.values())


def inputs(place: Place, contact_id: str, person: Person, newcomer: str) -> dict[str, dict[str, Any]]:
    """Every mutation that is told an e-mail address, or takes one away, with an input in which nothing is wrong."""
    changed = CONTACT | {"email": OTHER, "types": ["BILLING"]}
    person_to_add = form(place, newcomer, email=OTHER)
    del person_to_add["siteId"]
    return {
        "createContact": {"siteId": place.id, **changed},
        "updateContact": {"contactId": contact_id, **changed},
        "updateContacts": {"siteId": place.id, "contacts": [{"contactId": contact_id, **changed}]},
        "deleteContact": {"contactId": contact_id},
        "addUser": {"siteId": place.id, **person_to_add},
        "addUsers": {"siteId": place.id, "items": [person_to_add]},
        "updateENotificationPreferences": {"email": OTHER, "topics": ["NEW_VERSIONS"]},
    }


SPEAKING = [
    "createContact",
    "updateContact",
    "updateContacts",
    "deleteContact",
    "addUser",
    "addUsers",
    "updateENotificationPreferences",
]


def test_no_other_mutation_is_told_an_address(schema: GraphQLSchema) -> None:
    assert schema.mutation_type is not None
    telling = {
        name for name, field in schema.mutation_type.fields.items() if says_email(field.args["input"].type)
    }
    assert telling | {"deleteContact"} == set(SPEAKING)


ADDRESSES = {
    "contact": sa.select(Contact.id, Contact.email),
    "user": sa.select(User.id, User.email),
    "preference": sa.select(ENotificationPreference.user_id, ENotificationPreference.email),
}


async def addresses(world: World) -> dict[str, set[tuple[Any, ...]]]:
    """Every address of a contact, of an account, and for eNotifications, with whom it belongs to."""
    async with world.database.connect() as connection:
        return {
            name: set(map(tuple, await connection.execute(statement)))
            for name, statement in ADDRESSES.items()
        }


@pytest.mark.parametrize("mutation", SPEAKING)
async def test_neither_address_ever_changes_the_other(world: World, mutation: str) -> None:
    place = await world.site()
    person = place.primary
    contact_id = await world.contact(place, [ContactType.BILLING], email=SHARED)
    await person.succeed("updateENotificationPreferences", email=SHARED, topics=["NEW_VERSIONS"])
    before = await addresses(world)
    newcomer = f"{uuid4().hex}@example.com"
    input = inputs(place, contact_id, person, newcomer)[mutation]
    await person.succeed(mutation, **input)
    after = await addresses(world)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "updateENotificationPreferences": {"preference"},
        "addUser": {"user"},
        "addUsers": {"user"},
    }.get(mutation, {"contact"})
    if mutation in ("addUser", "addUsers"):
        assert set(before["user"]) < set(after["user"])
