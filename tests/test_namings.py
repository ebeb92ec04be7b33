"""A second person confirms the naming of a secondary contact, where the site asks for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.db.models import AccessRequest, Membership
from app.db.site_rules import Naming
from app.query.ids import write_id
from app.rules import AccessRequestState, Role, ViewLevel
from app.site_rules import NamingState
from tests.access import form, full_site, newcomer
from tests.site_rules import NAMING, WAITING, naming_row, site_with, strict_site, template
from tests.world import UPDATE, VIEW, Person, Place, World, ago

LEVELS = {"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}}
SECONDARY = {"role": "SECONDARY_CONTACT", "privileges": LEVELS}
LIST = f"query($id: ID!) {{ site(id: $id) {{ pendingNamings {{ totalCount nodes {{ {NAMING} }} }} }} }}"
Named = tuple[str, dict[str, Any], Person]
"""A mutation that names somebody, its input, and who is named."""


async def added(world: World, place: Place) -> Named:
    person = await world.person()
    return "addUser", form(place, person.ibm_id, **SECONDARY), person


async def granted(world: World, place: Place) -> Named:
    person, request_id = await world.request(place, justification="Please")
    return "grantAccessRequest", {"accessRequestId": request_id, "justification": "Yes", **SECONDARY}, person


async def updated(world: World, place: Place) -> Named:
    person, membership_id = await world.member(place, justification="Before")
    return "updateMembership", {"membershipId": membership_id, "justification": "Now", **SECONDARY}, person


WAYS = [added, granted, updated]
Way = Callable[[World, Place], Awaitable[Named]]


async def propose(world: World, place: Place, way: Way = added) -> tuple[str, Person]:
    """The id of a naming that the primary contact has proposed, and who is named."""
    mutation, input, person = await way(world, place)
    payload = await place.primary.succeed(mutation, "pendingNaming { id }", **input)
    return payload["pendingNaming"]["id"], person


async def membership_of(world: World, place: Place, person: Person) -> Membership | None:
    found = await world.rows(
        Membership, Membership.site_id == place.site_id, Membership.user_id == person.user_id
    )
    return found[0] if found else None


async def role_of(world: World, place: Place, person: Person) -> Role | None:
    membership = await membership_of(world, place, person)
    return membership and membership.role


async def state_of(world: World, naming_id: str) -> NamingState:
    [row] = [row for row in await world.rows(Naming) if write_id("naming", row.id) == naming_id]
    return row.state


async def waiting(person: Person, place: Place) -> Any:
    site = (await person.ask(LIST, id=place.id))["site"]
    return site and site["pendingNamings"]


# Proposing


@pytest.mark.parametrize("way", WAYS)
async def test_naming_waits_and_nothing_takes_effect(world: World, way: Way) -> None:
    place, _ = await strict_site(world)
    mutation, input, person = await way(world, place)
    before = await membership_of(world, place, person)
    payload = await place.primary.succeed(mutation, WAITING, **input)
    naming = payload["pendingNaming"]
    kind = {"addUser": "ADD", "grantAccessRequest": "GRANT", "updateMembership": "UPDATE"}[mutation]
    assert (naming["kind"], naming["state"], naming["closedAt"]) == (kind, "PENDING", None)
    assert naming["user"] == {"ibmId": person.ibm_id}
    assert (naming["proposedBy"], naming["decidedBy"]) == ({"ibmId": place.primary.ibm_id}, None)
    assert naming["privileges"] == {"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}}
    assert naming["justification"] == input["justification"]
    shown = payload["membership"]
    assert shown is None if before is None else shown["role"] == "USER"
    after = await membership_of(world, place, person)
    assert (after and (after.version, after.justification)) == (before and (1, "Before"))
    requests = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    assert {request.state for request in requests} <= {AccessRequestState.PENDING}
    events = [event for event in await world.events(place) if event.event != "USER_REGISTERED"]
    assert [(event.event, event.actor_id) for event in events] == [("NAMING_PROPOSED", place.primary.user_id)]
    assert events[0].justification == input["justification"]


async def test_what_names_no_secondary_contact_does_not_wait(world: World) -> None:
    place, _ = await strict_site(world)
    _, user_id = await world.member(place)
    _, secondary_id = await world.secondary(place)
    _, request_id = await world.request(place)
    acts: list[tuple[str, dict[str, Any]]] = [
        ("addUser", form(place, newcomer())),
        ("grantAccessRequest", {"accessRequestId": request_id, "role": "USER"}),
        ("updateMembership", {"membershipId": user_id, "privileges": {"reporting": "VIEW"}}),
        ("updateMembership", {"membershipId": secondary_id, **SECONDARY}),
        ("updateMembership", {"membershipId": secondary_id, "role": "USER",
                              "privileges": {"accountManagement": {"manageAccess": "NONE"}}}),
    ]  # fmt: skip
    for mutation, input in acts:
        payload = await place.primary.succeed(mutation, "membership { id } pendingNaming { id }", **input)
        assert (payload["membership"] is not None, payload["pendingNaming"]) == (True, None)
    assert await world.rows(Naming, Naming.site_id == place.site_id) == []


@pytest.mark.parametrize("way", WAYS)
async def test_without_the_rule_nothing_waits(world: World, way: Way) -> None:
    place = await world.site()
    mutation, input, person = await way(world, place)
    payload = await place.primary.succeed(mutation, WAITING, **input)
    assert (payload["membership"]["role"], payload["pendingNaming"]) == ("SECONDARY_CONTACT", None)
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


@pytest.mark.parametrize("way", WAYS)
async def test_without_a_second_person_nothing_can_be_proposed(world: World, way: Way) -> None:
    place = await site_with(world, second_person_confirms=True)
    # None of these can confirm: one looks only, one has no manage access, the access of one has ended.
    await world.secondary(place, manage_access=VIEW)
    await world.secondary(place, contact_updates=UPDATE)
    await world.secondary(place, manage_access=UPDATE, ends_at=ago(days=1))
    mutation, input, _ = await way(world, place)
    assert await place.primary.refused(mutation, **input) == [("NO_SECOND_PERSON", "role")]
    french = await place.primary.do(mutation, language="fr", **input)
    assert french["errors"][0]["message"].startswith("Une deuxième personne doit confirmer cet acte")
    assert french["errors"][0]["__typename"] == "ConflictError"


@pytest.mark.parametrize("way", WAYS)
async def test_a_person_has_one_naming_that_waits(world: World, way: Way) -> None:
    place, second = await strict_site(world)
    mutation, input, _ = await way(world, place)
    acts = [person.do(mutation, **input) for person in (place.primary, second, place.primary)]
    payloads = await asyncio.gather(*acts)
    codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
    assert codes == ["NAMING_PENDING"] * 2
    french = await place.primary.do(mutation, language="fr", **input)
    assert (
        french["errors"][0]["message"]
        == "La désignation de cette personne attend déjà une deuxième personne."
    )


async def test_faults_are_told_when_it_is_proposed(world: World) -> None:
    place, manager = await strict_site(world)
    await place.primary.succeed("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=True)
    wanted = form(place, newcomer(), **SECONDARY, confirmed=False)
    assert await manager.refused("addUser", **wanted) == [
        ("LEVEL_ABOVE_YOURS", "privileges.reporting"),
        ("CONFIRMATION_REQUIRED", "confirmed"),
    ]


async def test_there_must_be_a_seat_when_it_is_proposed(world: World) -> None:
    place = await full_site(world, manage_access=UPDATE)
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=True)
    refusal = await place.primary.refused("addUser", **form(place, newcomer(), **SECONDARY))
    assert refusal == [("SECONDARY_CONTACT_LIMIT", "role")]


async def test_whose_access_has_ended_is_named_anew_on_their_old_seat(world: World) -> None:
    place = await full_site(world, manage_access=UPDATE)
    [confirming] = [row for row in await world.rows(Membership, Membership.site_id == place.site_id)
                    if row.manage_access is UPDATE]  # fmt: skip
    assert confirming.seat == 4
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=True)
    others = await world.rows(Membership, Membership.site_id == place.site_id, Membership.seat == 1)
    async with world.database.begin() as connection:
        ended = Membership.__table__.update().where(Membership.__table__.c.id == others[0].id)
        await connection.execute(ended.values(ends_at=ago(days=1)))
    data = await place.primary.ask(
        "query($id: ID!) { site(id: $id) { memberships { nodes { active user { ibmId } } } } }", id=place.id
    )
    [gone] = [node for node in data["site"]["memberships"]["nodes"] if not node["active"]]
    payload = await place.primary.succeed(
        "addUser", WAITING, **form(place, gone["user"]["ibmId"], **SECONDARY)
    )
    assert (payload["membership"], payload["pendingNaming"]["state"]) == (None, "PENDING")


async def test_a_dry_run_proposes_nothing(world: World) -> None:
    place, _ = await strict_site(world)
    mutation, input, _ = await added(world, place)
    async with world.unchanged():
        payload = await place.primary.succeed(mutation, WAITING, **input, validateOnly=True)
    assert payload["pendingNaming"]["state"] == "PENDING"


# Seeing


@pytest.mark.parametrize(
    ("who", "count"),
    [("primary", 1), ("manage_access=UPDATE", 1), ("manage_access=VIEW", 1), ("contact_updates=UPDATE", 0),
     ("user", 0), ("ended", None), ("stranger", None)],
)  # fmt: skip
async def test_who_sees_the_users_sees_what_waits(world: World, who: str, count: int | None) -> None:
    place, _ = await strict_site(world)
    naming_id, named = await propose(world, place)
    person = await world.caller(place, who)
    listed = await waiting(person, place)
    assert (listed and listed["totalCount"]) == count
    node = (await person.ask("query($id: ID!) { node(id: $id) { id } }", id=naming_id))["node"]
    assert (node is not None) is bool(count)
    if count:
        assert [one["user"]["ibmId"] for one in listed["nodes"]] == [named.ibm_id]


async def test_the_named_person_does_not_see_it(world: World) -> None:
    place, _ = await strict_site(world)
    naming_id, person = await propose(world, place, updated)
    assert await waiting(person, place) == {"totalCount": 0, "nodes": []}
    assert (await person.ask("query($id: ID!) { node(id: $id) { id } }", id=naming_id))["node"] is None


# Confirming


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_person_confirms_and_it_takes_effect(world: World, way: Way) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, way)
    answer = f"""naming {{ {NAMING} }} membership {{ role justification privileges {{ reporting }} }}
      accessRequest {{ state approverJustification decidedBy {{ ibmId }} }}
      site {{ pendingNamings {{ totalCount }} }}"""
    payload = await second.succeed("confirmNaming", answer, namingId=naming_id)
    naming = payload["naming"]
    assert (naming["state"], naming["decidedBy"]) == ("CONFIRMED", {"ibmId": second.ibm_id})
    assert naming["closedAt"] is not None
    why = {added: "New colleague", granted: "Yes", updated: "Now"}[way]  # type: ignore[index]
    assert payload["membership"] == {
        "role": "SECONDARY_CONTACT", "justification": why, "privileges": {"reporting": "VIEW"}
    }  # fmt: skip
    assert payload["site"]["pendingNamings"] == {"totalCount": 0}
    decided = {"state": "GRANTED", "approverJustification": "Yes", "decidedBy": {"ibmId": second.ibm_id}}
    assert payload["accessRequest"] == (decided if way is granted else None)
    membership = await membership_of(world, place, person)
    assert membership is not None
    assert (membership.manage_access, membership.reporting) == (VIEW, ViewLevel.VIEW)
    events = [(event.event, event.actor_id) for event in await world.events(place)][-3:]
    effect = {
        added: ["USER_ADDED"],
        granted: ["USER_ADDED", "ACCESS_REQUEST_GRANTED"],
        updated: ["MEMBERSHIP_UPDATED"],
    }
    expected = ["NAMING_CONFIRMED", *effect[way]]  # type: ignore[index]
    assert events[-len(expected) :] == [(event, second.user_id) for event in expected]


async def test_an_added_persons_own_request_is_granted_with_it(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place)
    await person.succeed("requestAccess", siteNumber=place.number)
    payload = await second.succeed("confirmNaming", "accessRequest { state }", namingId=naming_id)
    assert payload["accessRequest"] == {"state": "GRANTED"}


async def test_a_template_is_taken_as_it_was_when_it_was_proposed(world: World) -> None:
    place, second = await strict_site(world)
    template_id = await template(world, place)
    wanted = form(place, newcomer(), role="SECONDARY_CONTACT", templateId=template_id)
    naming = (await place.primary.succeed("addUser", WAITING, **wanted))["pendingNaming"]
    await place.primary.succeed("deletePrivilegeTemplate", privilegeTemplateId=template_id)
    payload = await second.succeed(
        "confirmNaming", "membership { privileges { reporting } }", namingId=naming["id"]
    )
    assert payload["membership"] == {"privileges": {"reporting": "VIEW"}}


async def test_what_waits_can_be_confirmed_after_the_rule_was_switched_off(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place)
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=False)
    await second.succeed("confirmNaming", namingId=naming_id)
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


@pytest.mark.parametrize("mutation", ["confirmNaming", "rejectNaming"])
@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("manage_access=VIEW", "FORBIDDEN"),
        ("contact_updates=UPDATE", "NOT_FOUND"),
        ("user", "NOT_FOUND"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_nobody_else_decides(world: World, mutation: str, who: str, code: str) -> None:
    place, _ = await strict_site(world)
    naming_id, _ = await propose(world, place)
    person = await world.caller(place, who)
    assert await person.refused(mutation, namingId=naming_id) == [(code, "namingId")]


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_confirms_their_own_proposal(world: World, way: Way) -> None:
    place, _ = await strict_site(world)
    naming_id, _ = await propose(world, place, way)
    assert await place.primary.refused("confirmNaming", namingId=naming_id) == [("FORBIDDEN", "namingId")]
    told = [
        (await place.primary.do("confirmNaming", language=language, namingId=naming_id))["errors"][0][
            "message"
        ]
        for language in ("en", "fr")
    ]
    assert told == [
        "Somebody else than you, who proposed this, has to confirm it.",
        "Vous avez proposé cette désignation\N{NO-BREAK SPACE}; une autre personne doit la confirmer.",
    ]


async def test_rejecting_leaves_everything_as_it_was(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, granted)
    answer = "naming { state decidedBy { ibmId } } site { pendingNamings { totalCount } }"
    payload = await second.succeed("rejectNaming", answer, namingId=naming_id)
    assert payload["naming"] == {"state": "REJECTED", "decidedBy": {"ibmId": second.ibm_id}}
    assert payload["site"]["pendingNamings"] == {"totalCount": 0}
    assert await role_of(world, place, person) is None
    [request] = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    assert request.state is AccessRequestState.PENDING
    assert [event.event for event in await world.events(place)] == ["NAMING_PROPOSED", "NAMING_REJECTED"]
    again = {"accessRequestId": write_id("access_request", request.id), **SECONDARY}
    assert (await place.primary.succeed("grantAccessRequest", WAITING, **again))["pendingNaming"]


async def test_the_proposer_takes_it_back(world: World) -> None:
    place, _ = await strict_site(world)
    naming_id, _ = await propose(world, place)
    payload = await place.primary.succeed("rejectNaming", f"naming {{ {NAMING} }}", namingId=naming_id)
    assert (payload["naming"]["state"], payload["naming"]["decidedBy"]) == ("CANCELLED", None)
    assert (await world.events(place))[-1].event == "NAMING_CANCELLED"


@pytest.mark.parametrize("end", ["confirmNaming", "rejectNaming"])
@pytest.mark.parametrize("mutation", ["confirmNaming", "rejectNaming"])
async def test_what_is_closed_stays_closed(world: World, end: str, mutation: str) -> None:
    place, second = await strict_site(world)
    naming_id, _ = await propose(world, place)
    await second.succeed(end, namingId=naming_id)
    assert await second.refused(mutation, namingId=naming_id) == [("NAMING_CLOSED", "namingId")]
    french = await second.do(mutation, language="fr", namingId=naming_id)
    assert french["errors"][0]["message"] == "Cette désignation a déjà été confirmée, rejetée ou annulée."


async def test_a_dry_run_confirms_nothing(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, _ = await propose(world, place)
    async with world.unchanged():
        answer = "naming { state } membership { role }"
        payload = await second.succeed("confirmNaming", answer, namingId=naming_id, validateOnly=True)
    assert payload["naming"] == {"state": "CONFIRMED"}
    assert payload["membership"] == {"role": "SECONDARY_CONTACT"}


# Checked again


async def test_the_seats_may_be_taken_by_then(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place)
    for _ in range(3):
        await world.secondary(place)
    refusal = await second.refused("confirmNaming", namingId=naming_id)
    assert refusal == [("SECONDARY_CONTACT_LIMIT", "namingId")]
    assert await role_of(world, place, person) is None
    assert await state_of(world, naming_id) is NamingState.PENDING


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["removed", "lowered"])
async def test_the_proposer_must_still_be_allowed_to(world: World, way: Way, loss: str) -> None:
    place, _ = await strict_site(world)
    manager, membership_id = await world.secondary(place, manage_access=UPDATE)
    mutation, input, person = await way(world, place)
    naming = (await manager.succeed(mutation, WAITING, **input))["pendingNaming"]
    before = await role_of(world, place, person)
    if loss == "removed":
        await place.primary.succeed("removeMembership", membershipId=membership_id)
    else:
        lowered = {"accountManagement": {"manageAccess": "VIEW"}}
        await place.primary.succeed("updateMembership", membershipId=membership_id, privileges=lowered)
    refusal = await place.primary.refused("confirmNaming", namingId=naming["id"])
    assert refusal == [("PROPOSER_NOT_ALLOWED", "namingId")]
    french = await place.primary.do("confirmNaming", language="fr", namingId=naming["id"])
    assert french["errors"][0]["message"].startswith("La personne qui a proposé cette désignation")
    assert await role_of(world, place, person) is before
    await place.primary.succeed("rejectNaming", namingId=naming["id"])


async def test_the_proposers_levels_count_and_not_those_of_who_confirms(world: World) -> None:
    place, _ = await strict_site(world)
    proposer, _ = await world.secondary(place, manage_access=UPDATE, reporting=ViewLevel.VIEW)
    naming_ids = []
    for _ in range(2):
        payload = await proposer.succeed("addUser", WAITING, **form(place, newcomer(), **SECONDARY))
        naming_ids.append(payload["pendingNaming"]["id"])
    await place.primary.succeed("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=True)
    await place.primary.succeed("confirmNaming", namingId=naming_ids[0])
    async with world.database.begin() as connection:
        table = Membership.__table__
        mine = table.update().where(table.c.user_id == proposer.user_id)
        await connection.execute(mine.values(reporting=ViewLevel.NONE))
    refusal = await place.primary.refused("confirmNaming", namingId=naming_ids[1])
    assert refusal == [("LEVEL_ABOVE_YOURS", "namingId")]


async def test_a_request_that_ran_out_meanwhile_is_not_granted(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, granted)
    async with world.database.begin() as connection:
        table = AccessRequest.__table__
        mine = table.update().where(table.c.requester_id == person.user_id)
        await connection.execute(mine.values(expires_at=ago(minutes=1)))
    assert await second.refused("confirmNaming", namingId=naming_id) == [("REQUEST_CLOSED", "namingId")]
    await person.succeed("requestAccess", siteNumber=place.number)
    assert await state_of(world, naming_id) is NamingState.CANCELLED


async def test_asking_and_taking_it_back_leaves_a_naming_that_does_not_come_from_it(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, added)
    made = await person.succeed("requestAccess", "accessRequest { id }", siteNumber=place.number)
    await person.succeed("withdrawAccessRequest", accessRequestId=made["accessRequest"]["id"])
    await second.succeed("confirmNaming", namingId=naming_id)
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


# Overtaken


@pytest.mark.parametrize(
    ("way", "overtake"),
    [
        (granted, "denyAccessRequest"),
        (granted, "withdrawAccessRequest"),
        (granted, "grantAccessRequest"),
        (granted, "addUser"),
        (added, "addUser"),
        (updated, "removeMembership"),
        (updated, "leaveSite"),
    ],
)
async def test_whatever_else_is_done_with_the_persons_access_cancels_it(
    world: World, way: Way, overtake: str
) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, way)
    request_ids = [
        write_id("access_request", row.id)
        for row in await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    ]
    membership = await membership_of(world, place, person)
    inputs: dict[str, dict[str, Any]] = {
        "denyAccessRequest": {"accessRequestId": request_ids, "reason": "UNKNOWN_REQUESTER"},
        "withdrawAccessRequest": {"accessRequestId": request_ids},
        "grantAccessRequest": {"accessRequestId": request_ids, "role": "USER"},
        "addUser": form(place, person.ibm_id),
        "removeMembership": {"membershipId": membership and write_id("membership", membership.id)},
        "leaveSite": {"siteId": place.id},
    }
    input = {name: value[0] if value == request_ids else value for name, value in inputs[overtake].items()}
    caller = person if overtake in ("withdrawAccessRequest", "leaveSite") else place.primary
    await caller.succeed(overtake, **input)
    assert await state_of(world, naming_id) is NamingState.CANCELLED
    assert "NAMING_CANCELLED" in [event.event for event in await world.events(place)]
    assert await second.refused("confirmNaming", namingId=naming_id) == [("NAMING_CLOSED", "namingId")]
    assert await role_of(world, place, person) is not Role.SECONDARY_CONTACT


async def test_changing_the_levels_of_the_named_member_leaves_it(world: World) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, updated)
    membership = await membership_of(world, place, person)
    assert membership is not None
    await place.primary.succeed(
        "updateMembership",
        membershipId=write_id("membership", membership.id),
        privileges={"entitlementInventory": "VIEW"},
    )
    await second.succeed("confirmNaming", namingId=naming_id)
    membership = await membership_of(world, place, person)
    assert membership is not None
    assert (membership.entitlement_inventory, membership.reporting) == (VIEW, ViewLevel.VIEW)


async def test_naming_directly_once_the_rule_is_off_cancels_what_waits(world: World) -> None:
    place, _ = await strict_site(world)
    naming_id, person = await propose(world, place, updated)
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=False)
    membership = await membership_of(world, place, person)
    assert membership is not None
    membership_id = write_id("membership", membership.id)
    await place.primary.succeed("updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT")
    assert await state_of(world, naming_id) is NamingState.CANCELLED


# At the same moment


async def test_of_many_who_decide_at_once_one_does(world: World) -> None:
    for way in WAYS:
        place, second = await strict_site(world)
        third, _ = await world.secondary(place, manage_access=UPDATE)
        naming_id, person = await propose(world, place, way)
        acts = [
            decider.do(mutation, namingId=naming_id)
            for decider in (second, third)
            for mutation in ("confirmNaming", "rejectNaming")
        ]
        payloads = await asyncio.gather(*acts, place.primary.do("rejectNaming", namingId=naming_id))
        codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
        assert codes == ["NAMING_CLOSED"] * 4
        named = await role_of(world, place, person) is Role.SECONDARY_CONTACT
        assert named is (await state_of(world, naming_id) is NamingState.CONFIRMED)


async def test_confirming_while_the_proposer_is_removed(world: World) -> None:
    outcomes = set()
    for _ in range(5):
        place, second = await strict_site(world)
        manager, membership_id = await world.secondary(place, manage_access=UPDATE)
        mutation, input, person = await added(world, place)
        naming = (await manager.succeed(mutation, WAITING, **input))["pendingNaming"]
        confirmed, removed = await asyncio.gather(
            second.do("confirmNaming", namingId=naming["id"]),
            place.primary.do("removeMembership", membershipId=membership_id),
        )
        assert removed["errors"] == []
        codes = [error["code"] for error in confirmed["errors"]]
        assert codes in ([], ["PROPOSER_NOT_ALLOWED"])
        order = [event.event for event in await world.events(place)]
        first = "NAMING_CONFIRMED" not in order or order.index("NAMING_CONFIRMED") > order.index(
            "MEMBERSHIP_REMOVED"
        )
        assert bool(codes) is first
        assert (await role_of(world, place, person) is None) is bool(codes)
        outcomes.add(tuple(codes))
    assert outcomes


async def test_the_last_seat_is_confirmed_once(world: World) -> None:
    for _ in range(5):
        place, second = await strict_site(world)
        naming_ids = [(await propose(world, place))[0] for _ in range(3)]
        await world.secondary(place)
        await world.secondary(place)
        payloads = await asyncio.gather(*(second.do("confirmNaming", namingId=id) for id in naming_ids))
        codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
        assert codes == ["SECONDARY_CONTACT_LIMIT"] * 2
        rows = await world.rows(Membership, Membership.site_id == place.site_id, Membership.seat > 0)
        assert sorted(row.seat for row in rows) == [1, 2, 3, 4]


async def test_a_naming_of_another_site_is_not_there(world: World) -> None:
    place, _ = await strict_site(world)
    elsewhere, _ = await strict_site(world)
    row = naming_row(elsewhere, await world.person())
    naming_id = write_id("naming", row.id)
    await world.add(row)
    assert await place.primary.refused("confirmNaming", namingId=naming_id) == [("NOT_FOUND", "namingId")]
    assert await waiting(place.primary, place) == {"totalCount": 0, "nodes": []}
