"""`validateOnly`: every mutation answers as if it were done, refuses what it would refuse, and does nothing."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db.engine import async_url
from app.db.models import Contact, Membership, User
from app.rules import ContactType
from tests.access import form, full_site, newcomer
from tests.mutations import MUTATIONS, differences, everything, valid
from tests.test_ids import BY_ID, document
from tests.world import Person, World

CALLERS = [
    "primary",
    "manage_access=UPDATE",
    "contact_updates=UPDATE",
    "no levels",
    "user",
    "ended",
    "stranger",
]


@pytest.fixture(scope="module", params=["engine", "interpreter"])
def either(world: World, interpreted_world: World, request: pytest.FixtureRequest) -> World:
    """The world, asked through the engine and without it."""
    return world if request.param == "engine" else interpreted_world


async def tried(person: Person, mutation: str, input: dict[str, Any], selection: str = "") -> dict[str, Any]:
    """The answer of a dry run, which must leave everything as it is."""
    async with person.world.unchanged():
        return await person.do(mutation, selection, **input, validateOnly=True)


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_a_dry_run_answers_like_the_real_one_and_does_nothing(either: World, mutation: str) -> None:
    place = await either.site()
    caller, input = await valid(either, place, mutation)
    await caller.ask("{ viewer { user { id } } }")
    people = await either.count(User)
    dry = await tried(caller, mutation, input, everything(mutation))
    assert dry["errors"] == []
    assert await either.count(User) == people
    async with either.changed():
        real = await caller.do(mutation, everything(mutation), **input)
    assert differences(dry, real) == []


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("mutation", BY_ID)
async def test_who_may_not_do_it_may_not_try_it_either(world: World, mutation: str, who: str) -> None:
    place = await world.site()
    _, input = await valid(world, place, mutation)
    caller = (await world.secondary(place))[0] if who == "no levels" else await world.caller(place, who)
    dry = await tried(caller, mutation, input)
    real = await caller.do(mutation, **input)
    assert dry == real


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_who_has_not_signed_in_tries_nothing(world: World, mutation: str) -> None:
    _, input = await valid(world, await world.site(), mutation)
    body = {"query": document(mutation), "variables": {"input": input | {"validateOnly": True}}}
    async with world.unchanged():
        answer = (await world.client.post("/graphql", json=body)).json()
    assert answer["data"] == {mutation: None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("mutation", BY_ID)
async def test_ids_that_lead_nowhere_are_refused_alike(world: World, mutation: str) -> None:
    field, _ = BY_ID[mutation]
    place = await world.site()
    _, input = await valid(world, place, mutation)
    for id in ("nonsense", f"{input[field].rsplit('_', 1)[0]}_{uuid4().hex}"):
        dry = await tried(place.primary, mutation, input | {field: id})
        assert dry["errors"] and dry == await place.primary.do(mutation, **input | {field: id})


@pytest.mark.parametrize(
    ("mutation", "spoiled", "codes"),
    [
        ("requestAccess", {"siteNumber": " "}, ["REQUIRED"]),
        ("grantAccessRequest", {"role": "PRIMARY_CONTACT", "justification": "\x00"}, ["ROLE_NOT_ASSIGNABLE"]),
        ("addUser", {"confirmed": False, "justification": "", "ibmId": "a b"}, ["INVALID_IBM_ID"]),
        ("updateMembership", {"role": "PRIMARY_CONTACT"}, ["ROLE_NOT_ASSIGNABLE"]),
        ("removeMembership", {"reason": "x" * 2001}, ["TOO_LONG"]),
        ("createContact", {"firstName": " ", "types": []}, ["REQUIRED"]),
        ("updateContact", {"country": "XX"}, ["INVALID_COUNTRY"]),
        ("updateENotificationPreferences", {"topics": ["NEW_VERSIONS"] * 2}, ["DUPLICATE"]),
        ("createWebhook", {"url": "http://example.com/"}, ["HTTPS_REQUIRED"]),
        ("updateWebhook", {"expectedVersion": 7}, ["STALE_VERSION"]),
    ],
)
async def test_what_is_wrong_is_refused_alike(
    world: World, mutation: str, spoiled: dict[str, Any], codes: list[str]
) -> None:
    caller, input = await valid(world, await world.site(), mutation)
    dry = await tried(caller, mutation, input | spoiled)
    assert {error["code"] for error in dry["errors"]} >= set(codes)
    assert dry == await caller.do(mutation, **input | spoiled)


async def test_limits_hold_in_a_dry_run(world: World) -> None:
    place = await full_site(world)
    dry = await tried(place.primary, "addUser", form(place, newcomer(), role="SECONDARY_CONTACT"))
    assert [(error["code"], error["limit"]) for error in dry["errors"]] == [("SECONDARY_CONTACT_LIMIT", 4)]


async def test_what_is_tried_twice_is_fine_twice(world: World) -> None:
    """Nothing of the first try is in the way of the second, not even a person who became known by it."""
    place, ibm_id = await world.site(), newcomer()
    selection = "membership { id user { ibmId } } site { memberships { totalCount } }"
    answers = [await tried(place.primary, "addUser", form(place, ibm_id), selection) for _ in range(2)]
    assert [answer["site"]["memberships"]["totalCount"] for answer in answers] == [2, 2]
    assert answers[0]["membership"]["user"] == {"ibmId": ibm_id}
    assert answers[0]["membership"]["id"] != answers[1]["membership"]["id"]
    found = await place.primary.ask(
        "query($id: ID!) { node(id: $id) { id } }", id=answers[0]["membership"]["id"]
    )
    assert found == {"node": None}
    assert await world.rows(User, User.ibm_id == ibm_id) == []


async def test_who_only_tried_to_leave_still_belongs_to_the_site(world: World) -> None:
    """What comes after it in the same document is done with the rights that hold."""
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access="UPDATE")
    document = """mutation($leave: LeaveSiteInput!, $add: AddUserInput!) {
      leaveSite(input: $leave) { removedMembershipId errors { code } }
      addUser(input: $add) { site { memberships { totalCount } } errors { code } } }"""
    async with world.unchanged():
        answer = await manager.ask(
            document,
            leave={"siteId": place.id, "validateOnly": True},
            add=form(place, newcomer()) | {"validateOnly": True},
        )
    assert answer["leaveSite"]["removedMembershipId"]
    assert answer["addUser"] == {"site": {"memberships": {"totalCount": 3}}, "errors": []}


async def test_what_is_checked_at_the_end_is_checked_in_a_dry_run_too(
    world: World, database_url: str
) -> None:
    """The contact record of a site is damaged behind everybody's back, so that only the database can notice."""
    place = await world.site()
    contact_id = await world.contact(place, [ContactType.BILLING])
    owner = create_async_engine(async_url(database_url), poolclass=NullPool)
    async with owner.begin() as connection:
        await connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await connection.execute(sa.delete(Contact).where(Contact.id == place.contact_id))
    await owner.dispose()
    for language, sentence in ((None, "The site needs its primary contact."), ("fr", "Le site")):
        async with world.unchanged():
            dry = await place.primary.do(
                "deleteContact", "deletedContactId", language, contactId=contact_id, validateOnly=True
            )
            real = await place.primary.do("deleteContact", "deletedContactId", language, contactId=contact_id)
        assert dry == real
        assert [error["code"] for error in dry["errors"]] == ["PRIMARY_CONTACT_TYPE_REQUIRED"]
        assert dry["errors"][0]["message"].startswith(sentence)


async def test_several_tries_in_one_document_do_not_see_each_other(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    field = """removeMembership(input: {membershipId: "%s", validateOnly: true}) {
      removedMembershipId site { memberships { totalCount } } errors { code } }"""
    document = f"mutation {{ a: {field % membership_id} b: {field % membership_id} }}"
    async with world.unchanged():
        answer = await place.primary.ask(document)
    expected = {
        "removedMembershipId": membership_id,
        "site": {"memberships": {"totalCount": 1}},
        "errors": [],
    }
    assert answer == {"a": expected, "b": expected}


async def test_a_try_waits_for_nobody_afterwards(world: World) -> None:
    """Its locks are gone with it, and its connection is as good as before."""
    place = await world.site()
    for _ in range(40):
        await tried(place.primary, "addUser", form(place, newcomer()))
    await place.primary.succeed("addUser", **form(place, newcomer()))
    assert len(await world.rows(Membership, Membership.site_id == place.site_id)) == 2
