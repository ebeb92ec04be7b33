"""May this person do this at this site: asked by themselves, by those who see the users, and by nobody else."""

from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from app.query.engine import Engine
from app.rules import CATALOG, PRIVILEGES, Level, PrivilegeName, PurchaseAndDownloadLevel, ViewLevel
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.test_reads import statements
from tests.world import UPDATE, VIEW, Person, Place, World, ago

DECISION = "{ allowed code reason heldLevel membershipId }"
ONE = f"query($input: AccessCheckInput!) {{ accessCheck(input: $input) {DECISION} }}"
MANY = f"query($inputs: [AccessCheckInput!]!) {{ accessChecks(inputs: $inputs) {DECISION} }}"
NO_ACCESS = {
    "allowed": False,
    "code": "NO_ACCESS",
    "reason": "This person has no access to this site, as far as you may know.",
    "heldLevel": None,
    "membershipId": None,
}


def question(place: Place, person: Person, **changes: Any) -> dict[str, Any]:
    """Whether somebody may see reports."""
    asked = {"siteId": place.id, "ibmId": person.ibm_id, "application": "REPORTING", "level": "VIEW"}
    return {name: value for name, value in (asked | changes).items() if value is not None}


async def check(asker: Person, input: dict[str, Any], language: str | None = None) -> dict[str, Any]:
    decision: dict[str, Any] = (await asker.ask(ONE, language, input=input))["accessCheck"]
    return decision


async def refusal(asker: Person, **input: Any) -> str:
    """What is said of an impossible question, which is answered in no part."""
    response = await asker.post(ONE, input=input)
    [error] = response.json()["errors"]
    assert response.json()["data"] is None
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    text: str = error["message"]
    return text


@pytest.mark.parametrize("application", PrivilegeName)
async def test_a_level_includes_the_lower_ones(world: World, application: PrivilegeName) -> None:
    place = await world.site()
    privilege = next(one for one in CATALOG if one.name == application.value)
    for held, asked in product(privilege.levels, repeat=2):
        if asked.name == "NONE":
            continue
        values: dict[str, Level] = {privilege.name: held} if privilege.editable else {}
        person, membership_id = await world.secondary(place, seat=1, **values)
        input = question(place, person, application=application.name, level=asked.name)
        enough = held >= asked
        decision = await check(place.primary, input)
        assert decision == {
            "allowed": enough,
            "code": None if enough else "LEVEL_TOO_LOW",
            "reason": None if enough else "This person holds a lower level of this application.",
            "heldLevel": held.name,
            "membershipId": membership_id,
        }
        assert await check(person, input) == decision
        await place.primary.succeed("removeMembership", membershipId=membership_id)


async def test_the_primary_contact_may_everything(world: World) -> None:
    place = await world.site()
    for privilege in CATALOG:
        level = privilege.highest.name
        input = question(place, place.primary, application=privilege.name.upper(), level=level)
        decision = await check(place.primary, input)
        assert (decision["allowed"], decision["heldLevel"]) == (True, level)


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "manage_access=VIEW"])
async def test_those_who_see_the_users_ask_about_them(world: World, who: str) -> None:
    place = await world.site()
    person, membership_id = await world.member(place, reporting=ViewLevel.VIEW)
    asker = await world.caller(place, who)
    decision = await check(asker, question(place, person))
    assert (decision["allowed"], decision["membershipId"]) == (True, membership_id)
    ended, ended_id = await world.member(place, reporting=ViewLevel.VIEW, ends_at=ago(seconds=1))
    assert await check(asker, question(place, ended)) == {
        "allowed": False,
        "code": "ACCESS_ENDED",
        "reason": "This person's access to the site has ended.",
        "heldLevel": None,
        "membershipId": ended_id,
    }


@pytest.mark.parametrize("who", ["contact_updates=UPDATE", "user", "stranger", "ended", "manager elsewhere"])
async def test_others_are_told_no_more_than_of_somebody_unknown(world: World, who: str) -> None:
    place = await world.site()
    person, _ = await world.member(place, reporting=ViewLevel.VIEW)
    asker = (await world.site()).primary if who == "manager elsewhere" else await world.caller(place, who)
    unknown = {"siteId": f"site_{uuid4().hex}"}
    questions = [
        question(place, person),
        question(place, place.primary),
        question(place, person, ibmId="nobody@example.com"),
        question(place, person, ibmId="\ud800"),
        question(place, person, ibmId="\x00"),
        question(place, person, ibmId=""),
        question(place, person, **unknown),
        question(place, person, siteId=None, siteNumber=place.number),
        question(place, person, siteId=None, siteNumber="NO-SUCH-NUMBER"),
        question(place, person, siteId=None, siteNumber="\x00"),
    ]
    for input in questions:
        assert await check(asker, input) == NO_ACCESS
    assert (await asker.ask(MANY, inputs=questions))["accessChecks"] == [NO_ACCESS] * len(questions)


@pytest.mark.parametrize("who", ["user", "contact_updates=UPDATE", "manage_access=NONE", "ended"])
async def test_everyone_asks_about_themselves(world: World, who: str) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    decision = await check(person, question(place, person))
    assert decision["code"] == ("ACCESS_ENDED" if who == "ended" else "LEVEL_TOO_LOW")
    # What has ended cannot be seen any more.
    assert (decision["membershipId"] is None) is (who == "ended")
    overview = {"application": "CONTACT_UPDATE_OVERVIEW", "level": "VIEW"}
    assert (await check(person, question(place, person, **overview)))["allowed"] is (who != "ended")


async def test_requesters_have_no_access(world: World) -> None:
    place = await world.site()
    requester, _ = await world.request(place)
    assert await check(requester, question(place, requester)) == NO_ACCESS
    assert await check(place.primary, question(place, requester)) == NO_ACCESS


async def test_numbers_and_ibm_ids_are_taken_as_people_type_them(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, reporting=ViewLevel.VIEW)
    typed = {"siteId": None, "siteNumber": f" {place.number.lower()} ", "ibmId": f" {person.ibm_id.upper()}"}
    assert (await check(place.primary, question(place, person, **typed)))["allowed"]


async def test_what_is_given_or_taken_away_holds_at_once(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place)
    for level, allowed in (("VIEW", True), ("NONE", False)):
        await place.primary.succeed(
            "updateMembership", membershipId=membership_id, privileges={"reporting": level}
        )
        assert (await check(person, question(place, person)))["allowed"] is allowed
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    assert await check(person, question(place, person)) == NO_ACCESS


async def test_the_reason_is_told_in_the_language_of_the_caller(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    decision = await check(person, question(place, person), "fr")
    assert decision["reason"] == "Cette personne dispose d’un niveau inférieur pour cette application."


async def test_many_are_answered_in_the_order_of_the_questions(world: World) -> None:
    place, other = await world.site(), await world.site()
    people = [(await world.member(place, reporting=list(ViewLevel)[i % 2]))[0] for i in range(20)]
    await world.member(other, person=people[0], reporting=ViewLevel.VIEW)
    questions = [question(place, people[i % 20]) for i in range(99)] + [question(other, people[0])]
    found = (await place.primary.ask(MANY, inputs=questions))["accessChecks"]
    assert [one["allowed"] for one in found] == [bool(i % 20 % 2) for i in range(99)] + [False]
    assert found[-1] == NO_ACCESS
    assert (await place.primary.ask(MANY, inputs=[]))["accessChecks"] == []


async def test_many_are_one_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    place = await world.site()
    person, _ = await world.member(place)
    await check(person, question(place, person))
    with statements() as seen:
        await person.ask(MANY, inputs=[question(place, person)] * 100)
        await check(person, question(place, person))
    # Nothing goes through a session: the questions and the caller are one statement, straight on the driver.
    assert (seen, reasons) == ([], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"level": "UPDATE"}, "The levels of REPORTING to ask for are: VIEW."),
        ({"level": "NONE"}, "The levels of REPORTING to ask for are: VIEW."),
        ({"level": "view"}, "The levels of REPORTING to ask for are: VIEW."),
        (
            {"application": "MANAGE_ACCESS", "level": "SOFTWARE_DOWNLOAD"},
            "The levels of MANAGE_ACCESS to ask for are: VIEW, UPDATE.",
        ),
        ({"siteNumber": "1"}, "Give either siteId or siteNumber."),
        ({"siteId": None}, "Give either siteId or siteNumber."),
        ({"siteId": "contact_" + "0" * 32}, "This is not the id of a site."),
        ({"siteId": "nonsense"}, "This is not the id of a site."),
    ],
)
async def test_impossible_questions_are_the_programs_fault(
    world: World, changes: dict[str, Any], said: str
) -> None:
    place = await world.site()
    assert await refusal(place.primary, **question(place, place.primary, **changes)) == said
    inputs = [question(place, place.primary), question(place, place.primary, **changes)]
    body = (await place.primary.post(MANY, inputs=inputs)).json()
    assert (body["data"], [error["message"] for error in body["errors"]]) == (None, [said])


async def test_at_most_a_hundred_at_once(world: World) -> None:
    place = await world.site()
    body = (await place.primary.post(MANY, inputs=[question(place, place.primary)] * 101)).json()
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert body["data"] is None


async def test_anonymous_callers_must_sign_in_first(world: World) -> None:
    place = await world.site()
    body = {"query": ONE, "variables": {"input": question(place, place.primary)}}
    answer = (await world.client.post("/graphql", json=body)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert answer["data"] is None


def test_every_application_can_be_asked_for() -> None:
    assert [name.value for name in PrivilegeName] == [privilege.name for privilege in CATALOG]
    assert all(name.name.lower() == name.value for name in PrivilegeName)


@pytest.mark.parametrize("who", ["primary", "manage_access=VIEW", "user", "stranger", "ended"])
async def test_it_is_the_same_both_ways(world: World, interpreted: AsyncClient, who: str) -> None:
    place = await world.site()
    asker = await world.caller(place, who)
    full = PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS
    people = [
        asker,
        place.primary,
        (await world.member(place, purchase_and_download=full))[0],
        (await world.secondary(place, manage_access=UPDATE, contact_updates=VIEW))[0],
        (await world.member(place, ends_at=ago(days=1)))[0],
        (await world.request(place))[0],
    ]
    asked = [
        {"application": privilege.name.upper(), "level": level.name}
        for privilege in CATALOG
        for level in privilege.levels
        if level.name != "NONE"
    ]
    assert len(asked) > len(PRIVILEGES)
    questions = [question(place, person, **changes) for person in people for changes in asked][:100]
    document = MANY[:-1] + "alone: accessCheck(input: $alone) { allowed membershipId __typename } }"
    document = document.replace("$inputs:", "$alone: AccessCheckInput!, $inputs:")
    for alone in (questions[0], question(place, asker, level="IMPOSSIBLE")):
        variables = {"inputs": questions, "alone": alone}
        compiled, told = await both(asker, interpreted, document, variables)
        assert compiled == told
