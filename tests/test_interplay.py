"""Where features meet: namings, hand-overs, ends of access, requests, blocked requesters, and each other's rules."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import AccessRequest, Membership
from app.db.site_rules import Naming
from app.rules import AccessRequestState, Role, UpdateLevel, ViewLevel
from app.site_rules import NamingState
from app.site_transfer import transfer_primary
from tests.access import form, newcomer
from tests.site_rules import blocked_row, site_with, strict_site
from tests.test_member_requests import ask_for_more, extend
from tests.test_namings import SECONDARY, WAYS, Way, membership_of, role_of, state_of
from tests.world import UPDATE, VIEW, Person, Place, World, ago

WAITS = "pendingNaming { id }"
SOON, LATER = ago(days=-30), ago(days=-60)


async def request_of(world: World, person: Person) -> AccessRequest:
    (row,) = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    found: AccessRequest = row
    return found


async def change(world: World, table: Any, which: Any, **values: Any) -> None:
    async with world.database.begin() as connection:
        await connection.execute(table.__table__.update().where(which).values(**values))


async def become_primary(
    world: World, database: AsyncEngine, place: Place, person: Person, membership_id: str, way: str
) -> None:
    """A member becomes the primary contact, as a nominee or by an operator's hand."""
    if way == "operator":
        await transfer_primary(database, place.number, person.ibm_id, "Left the company")
        return
    nomination_id = await world.nomination(place, membership_id, expires_at=ago(days=-3))
    await person.succeed("acceptNomination", nominationId=nomination_id)


# Hand-over


@pytest.mark.parametrize("way", ["nominee", "operator"])
@pytest.mark.parametrize("kind", ["more", "extension", "access", "hidden"])
async def test_what_the_new_primary_contact_had_asked_for_ends_with_the_hand_over(
    world: World, database: AsyncEngine, way: str, kind: str
) -> None:
    place = await world.site()
    person, membership_id = await world.member(place, ends_at=SOON)
    if kind == "more":
        await ask_for_more(person, place, role="SECONDARY_CONTACT")
    elif kind == "extension":
        await extend(person, place)
    else:
        # Asked for while their access had ended; it goes on since then.
        site_id = place.site_id if kind == "access" else None
        await world.add(AccessRequest(site_id=site_id, site_number=place.number, requester_id=person.user_id))
    await become_primary(world, database, place, person, membership_id, way)
    request = await request_of(world, person)
    assert (request.state, request.decided_by_id) == (AccessRequestState.WITHDRAWN, None)
    streams = {place.site_id, person.user_id}
    told = [event for event in await all_events(world, streams) if event.event == "ACCESS_REQUEST_WITHDRAWN"]
    assert [event.subject_name for event in told] == [person.ibm_id]
    assert told[0].actor_id == (person.user_id if way == "nominee" else None)


async def all_events(world: World, streams: set[Any]) -> list[Any]:
    async with world.database.connect() as connection:
        found = sa.text("SELECT * FROM history_event WHERE stream = ANY (:streams) ORDER BY at, number")
        return list(await connection.execute(found, {"streams": list(streams)}))


# Namings


async def test_whose_access_has_ended_is_not_named_without_a_new_end(world: World) -> None:
    place, second = await strict_site(world)
    person, membership_id = await world.member(place, ends_at=ago(days=1))
    named = {"membershipId": membership_id, "role": "SECONDARY_CONTACT"}
    assert await place.primary.refused("updateMembership", **named) == [("MEMBERSHIP_ENDED", "membershipId")]
    payload = await place.primary.succeed("updateMembership", WAITS, **named, endsAt=SOON.isoformat())
    await second.succeed("confirmNaming", namingId=payload["pendingNaming"]["id"])
    membership = await membership_of(world, place, person)
    assert membership and (membership.role, membership.ends_at) == (Role.SECONDARY_CONTACT, SOON)


async def test_levels_of_an_ended_membership_do_not_stand_in_the_way_of_a_new_one(world: World) -> None:
    place, second = await strict_site(world)
    await place.primary.succeed("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=True)
    person, _ = await world.member(place, ends_at=ago(days=1), entitlement_inventory=VIEW)
    _, request_id = await world.request(place, person)
    granted = {"accessRequestId": request_id, "role": "SECONDARY_CONTACT"}
    naming = (await second.succeed("grantAccessRequest", WAITS, **granted))["pendingNaming"]
    await place.primary.succeed("confirmNaming", namingId=naming["id"])
    membership = await membership_of(world, place, person)
    assert membership and membership.entitlement_inventory is UpdateLevel.NONE


@pytest.mark.parametrize("named", [False, True])
async def test_an_extension_gives_all_levels_anew_whatever_is_said_of_them(world: World, named: bool) -> None:
    place = await site_with(world, grant_at_most_held=True, second_person_confirms=named)
    manager, _ = await world.secondary(place, manage_access=UPDATE, reporting=ViewLevel.VIEW)
    role = Role.SECONDARY_CONTACT if named else Role.USER
    person, _ = await world.member(place, role, ends_at=ago(days=1), entitlement_inventory=VIEW)
    request_id = await extend(person, place)
    lower = {"privileges": {"entitlementInventory": "NONE"}}
    for given in ({}, lower, {"privileges": {"reporting": "VIEW"}}):
        refusal = await manager.refused("grantAccessRequest", accessRequestId=request_id, **given)
        assert refusal == [("LEVEL_ABOVE_YOURS", "privileges.entitlementInventory")]


async def test_a_naming_by_a_request_that_ran_out_makes_room(world: World) -> None:
    place, second = await strict_site(world)
    person, request_id = await world.request(place)
    granted = {"accessRequestId": request_id, **SECONDARY}
    first = (await place.primary.succeed("grantAccessRequest", WAITS, **granted))["pendingNaming"]["id"]
    await change(
        world, AccessRequest, AccessRequest.requester_id == person.user_id, expires_at=ago(minutes=1)
    )
    added = form(place, person.ibm_id, **SECONDARY)
    naming = (await place.primary.succeed("addUser", WAITS, **added))["pendingNaming"]
    assert await state_of(world, first) is NamingState.CANCELLED
    await second.succeed("confirmNaming", namingId=naming["id"])
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


async def test_an_end_that_has_passed_can_be_confirmed_by_nobody(world: World) -> None:
    place, second = await strict_site(world)
    added = form(place, newcomer(), **SECONDARY, endsAt=SOON.isoformat())
    id = (await place.primary.succeed("addUser", WAITS, **added))["pendingNaming"]["id"]
    await change(world, Naming, Naming.site_id == place.site_id, ends_at=ago(minutes=1))
    ask = "query($id: ID!) { node(id: $id) { ... on Naming { viewerCan { confirm { code } reject { allowed } } } } }"
    can = (await second.ask(ask, id=id))["node"]["viewerCan"]
    assert await second.refused("confirmNaming", namingId=id) == [("END_IN_PAST", "namingId")]
    assert can == {"confirm": {"code": "END_IN_PAST"}, "reject": {"allowed": True}}


# Blocked requesters


async def test_the_history_of_a_blocked_persons_request_says_where_it_was(world: World) -> None:
    place, person = await world.site(), await world.person()
    await world.add(blocked_row(place, person.ibm_id))
    await person.succeed("requestAccess", siteNumber=place.number)
    await place.primary.succeed("addUser", **form(place, person.ibm_id))
    [granted] = [event for event in await world.events(place) if event.event == "ACCESS_REQUEST_GRANTED"]
    assert (granted.before["site_id"], granted.after["site_id"]) == (None, str(place.site_id))


@pytest.mark.parametrize("ended", [False, True])
async def test_members_who_are_blocked_ask_for_more_like_others(world: World, ended: bool) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=ago(days=1) if ended else SOON)
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=person.ibm_id)
    request_id = await extend(person, place)
    assert (await request_of(world, person)).site_id == place.site_id
    await person.succeed("withdrawAccessRequest", accessRequestId=request_id)
    if not ended:
        request_id = await ask_for_more(person, place, privileges={"reporting": "VIEW"})
        await place.primary.succeed("grantAccessRequest", accessRequestId=request_id)


async def test_what_a_member_asked_for_stays_when_they_are_blocked(world: World) -> None:
    place, second = await strict_site(world)
    person, _ = await world.member(place, ends_at=SOON)
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT")
    naming = (await place.primary.succeed("grantAccessRequest", WAITS, accessRequestId=request_id))[
        "pendingNaming"
    ]
    blocked = await place.primary.succeed(
        "blockRequester", "blockedRequester { id }", siteId=place.id, ibmId=person.ibm_id
    )
    await place.primary.succeed("unblockRequester", blockedRequesterId=blocked["blockedRequester"]["id"])
    await second.succeed("confirmNaming", namingId=naming["id"])
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


# Namings, once more


@pytest.mark.parametrize("way", WAYS)
async def test_a_naming_is_tried_repeated_and_then_confirmed_in_the_same_ways(world: World, way: Way) -> None:
    place, second = await strict_site(world)
    mutation, input, person = await way(world, place)
    async with world.unchanged():
        await place.primary.succeed(mutation, WAITS, **input, validateOnly=True)
    keyed = input | {"idempotencyKey": "naming"}
    ids = [(await place.primary.succeed(mutation, WAITS, **keyed))["pendingNaming"]["id"] for _ in range(2)]
    assert ids[0] == ids[1]
    async with world.unchanged():
        await second.succeed("confirmNaming", namingId=ids[0], validateOnly=True)
    for _ in range(2):
        await second.succeed("confirmNaming", namingId=ids[0], idempotencyKey="confirmed")
    # What was proposed is done; sent once more, it is answered as it was.
    async with world.unchanged():
        await place.primary.succeed(mutation, WAITS, **keyed)
    assert await role_of(world, place, person) is Role.SECONDARY_CONTACT


@pytest.mark.parametrize("new_end", [None, LATER], ids=["no end", "another"])
async def test_another_end_overtakes_a_naming_of_a_member(world: World, new_end: datetime | None) -> None:
    place, second = await strict_site(world)
    _, membership_id = await world.member(place, ends_at=SOON)
    named = {"membershipId": membership_id, "role": "SECONDARY_CONTACT"}
    id = (await place.primary.succeed("updateMembership", WAITS, **named))["pendingNaming"]["id"]
    ends_at = new_end and new_end.isoformat()
    await place.primary.succeed("updateMembership", membershipId=membership_id, endsAt=ends_at)
    assert await state_of(world, id) is NamingState.CANCELLED
    assert await second.refused("confirmNaming", namingId=id) == [("NAMING_CLOSED", "namingId")]


async def test_a_member_whose_access_ended_meanwhile_is_not_confirmed(world: World) -> None:
    place, second = await strict_site(world)
    person, membership_id = await world.member(place, ends_at=SOON)
    named = {"membershipId": membership_id, "role": "SECONDARY_CONTACT"}
    id = (await place.primary.succeed("updateMembership", WAITS, **named))["pendingNaming"]["id"]
    past = ago(minutes=1)
    await change(world, Membership, Membership.user_id == person.user_id, ends_at=past)
    await change(world, Naming, Naming.site_id == place.site_id, ends_at=past)
    assert await second.refused("confirmNaming", namingId=id) == [("END_IN_PAST", "namingId")]
    await second.succeed("rejectNaming", namingId=id)


@pytest.mark.parametrize("by", ["update", "extension"])
async def test_an_ended_secondary_contact_is_named_anew_when_their_access_goes_on(
    world: World, by: str
) -> None:
    place, second = await strict_site(world)
    person, membership_id = await world.secondary(place, ends_at=ago(days=1), manage_access=UPDATE)
    if by == "update":
        act = place.primary.succeed("updateMembership", WAITS, membershipId=membership_id, endsAt=None)
    else:
        request_id = await extend(person, place)
        act = place.primary.succeed("grantAccessRequest", WAITS, accessRequestId=request_id)
    id = (await act)["pendingNaming"]["id"]
    membership = await membership_of(world, place, person)
    assert membership and not membership.active
    await second.succeed("confirmNaming", namingId=id)
    membership = await membership_of(world, place, person)
    assert membership and (membership.active, membership.manage_access) == (True, UPDATE)


async def test_what_a_former_primary_contact_proposed_can_be_rejected_only(world: World) -> None:
    place, second = await strict_site(world)
    added = form(place, newcomer(), **SECONDARY)
    id = (await place.primary.succeed("addUser", WAITS, **added))["pendingNaming"]["id"]
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)
    assert await second.refused("confirmNaming", namingId=id) == [("PROPOSER_NOT_ALLOWED", "namingId")]
    # They do not manage access any more, and so do not even see it.
    assert await place.primary.refused("rejectNaming", namingId=id) == [("NOT_FOUND", "namingId")]
    await nominee.succeed("rejectNaming", namingId=id)


@pytest.mark.parametrize("way", ["nominee", "operator"])
async def test_a_naming_of_the_new_primary_contact_is_overtaken(
    world: World, database: AsyncEngine, way: str
) -> None:
    place, _ = await strict_site(world)
    person, membership_id = await world.member(place)
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT")
    granted = await place.primary.succeed("grantAccessRequest", WAITS, accessRequestId=request_id)
    await become_primary(world, database, place, person, membership_id, way)
    assert await state_of(world, granted["pendingNaming"]["id"]) is NamingState.CANCELLED
    assert (await request_of(world, person)).state is AccessRequestState.WITHDRAWN


@pytest.mark.parametrize("end", ["denied", "withdrawn", "expired", "removed", "left"])
async def test_a_member_named_by_their_own_wish_stays_what_they_are_when_it_ends(
    world: World, end: str
) -> None:
    place, second = await strict_site(world)
    person, membership_id = await world.member(place)
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT")
    granted = await place.primary.succeed("grantAccessRequest", WAITS, accessRequestId=request_id)
    id = granted["pendingNaming"]["id"]
    if end == "denied":
        why = {"reason": "ACCESS_NOT_NECESSARY"}
        await second.succeed("denyAccessRequest", accessRequestId=request_id, **why)
    elif end == "withdrawn":
        await person.succeed("withdrawAccessRequest", accessRequestId=request_id)
    elif end == "expired":
        mine = AccessRequest.requester_id == person.user_id
        await change(world, AccessRequest, mine, expires_at=ago(minutes=1))
        assert await second.refused("confirmNaming", namingId=id) == [("REQUEST_CLOSED", "namingId")]
        await person.succeed(
            "requestHigherLevel", siteId=place.id, justification="Still", privileges={"reporting": "VIEW"}
        )
    elif end == "removed":
        await place.primary.succeed("removeMembership", membershipId=membership_id)
    else:
        await person.succeed("leaveSite", siteId=place.id)
    assert await state_of(world, id) is NamingState.CANCELLED
    gone = end in ("removed", "left")
    assert await role_of(world, place, person) is (None if gone else Role.USER)


async def test_a_wish_whose_naming_was_rejected_waits_on_and_can_be_granted_otherwise(world: World) -> None:
    place, second = await strict_site(world)
    person, _ = await world.member(place)
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT")
    granted = await place.primary.succeed("grantAccessRequest", WAITS, accessRequestId=request_id)
    await second.succeed("rejectNaming", namingId=granted["pendingNaming"]["id"])
    assert (await request_of(world, person)).state is AccessRequestState.PENDING
    await second.succeed("grantAccessRequest", accessRequestId=request_id, privileges={"reporting": "VIEW"})
    membership = await membership_of(world, place, person)
    assert membership and (membership.role, membership.reporting) == (Role.USER, ViewLevel.VIEW)


async def test_two_namings_of_a_bulk_for_the_last_seat(world: World) -> None:
    place, second = await strict_site(world)
    for _ in range(2):
        await world.secondary(place)
    people = [await world.person() for _ in range(2)]
    items = [
        {name: value for name, value in form(place, one.ibm_id, **SECONDARY).items() if name != "siteId"}
        | {"endsAt": SOON.isoformat()}
        for one in people
    ]
    answer = "results { done membership { id } pendingNaming { id endsAt } }"
    payload = await place.primary.succeed("addUsers", answer, siteId=place.id, items=items)
    namings = [result["pendingNaming"] for result in payload["results"]]
    assert [result["membership"] for result in payload["results"]] == [None, None]
    await second.succeed("confirmNaming", namingId=namings[0]["id"])
    refusal = await second.refused("confirmNaming", namingId=namings[1]["id"])
    assert refusal == [("SECONDARY_CONTACT_LIMIT", "namingId")]
    membership = await membership_of(world, place, people[0])
    assert membership and membership.ends_at == SOON


async def test_a_bulk_of_good_ones_with_members_wishes_and_every_kind_of_fault(world: World) -> None:
    place, second = await strict_site(world)
    member, _ = await world.member(place)
    wish = await ask_for_more(member, place, role="SECONDARY_CONTACT")
    ended, _ = await world.member(place, ends_at=ago(days=1))
    extension = await extend(ended, place)
    _, new = await world.request(place)
    _, late_id = await world.request(place, expires_at=ago(minutes=1))
    items = [
        {"accessRequestId": wish},
        {"accessRequestId": extension, "endsAt": ago(days=1).isoformat()},
        {"accessRequestId": new},
        {"accessRequestId": new, "role": "USER"},
        {"accessRequestId": late_id, "role": "USER"},
        {"accessRequestId": extension.upper()},
    ]
    answer = "results { index done pendingNaming { id } errors { code path } }"
    given = {"siteId": place.id, "items": items, "errorPolicy": "GOOD_ONES"}
    async with world.unchanged():
        tried = await place.primary.do("grantAccessRequests", answer, **given, validateOnly=True)
    payload = await place.primary.do("grantAccessRequests", answer, **given)
    assert [one["errors"] for one in tried["results"]] == [one["errors"] for one in payload["results"]]
    assert [
        [(error["code"], ".".join(error["path"])) for error in one["errors"]] for one in payload["results"]
    ] == [
        [],
        [("END_IN_PAST", "items.1.endsAt")],
        [("REQUIRED", "items.2.role")],
        [("DUPLICATE", "items.3.accessRequestId")],
        [("REQUEST_CLOSED", "items.4.accessRequestId")],
        [("DUPLICATE", "items.5.accessRequestId")],
    ]
    assert [event.event for event in await world.events(place) if event.event != "ACCESS_REQUESTED"] == [
        "NAMING_PROPOSED"
    ]
    await second.succeed("confirmNaming", namingId=payload["results"][0]["pendingNaming"]["id"])


# History

KEPT = """query($id: ID!) { site(id: $id) { history(first: 20) { nodes { event changes { field before after }
  after { __typename ... on NamingSnapshot { kind naming: state privileges { reporting } endsAt closedAt }
    ... on PrivilegeTemplateSnapshot { name privileges { reporting } }
    ... on BlockedRequesterSnapshot { ibmId reason } } } } } }"""


async def test_the_history_tells_the_values_of_namings_templates_and_blocked_requesters(world: World) -> None:
    place, second = await strict_site(world)
    added = form(place, newcomer(), **SECONDARY, endsAt=SOON.isoformat())
    naming = (await place.primary.succeed("addUser", WAITS, **added))["pendingNaming"]
    await second.succeed("rejectNaming", namingId=naming["id"])
    levels = {"privileges": {"reporting": "VIEW"}}
    await place.primary.succeed("createPrivilegeTemplate", siteId=place.id, name="Reader", **levels)
    blocked = newcomer()
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=blocked, reason="Gone")
    nodes = (await second.ask(KEPT, id=place.id))["site"]["history"]["nodes"]
    told = {node["event"]: node for node in nodes}
    proposed = told["NAMING_PROPOSED"]["after"]
    assert (proposed["kind"], proposed["naming"], proposed["privileges"]) == (
        "ADD",
        "PENDING",
        {"reporting": "VIEW"},
    )
    assert datetime.fromisoformat(proposed["endsAt"]) == SOON
    state, closed = told["NAMING_REJECTED"]["changes"]
    assert state == {"field": "state", "before": "PENDING", "after": "REJECTED"}
    assert (closed["field"], closed["before"]) == ("closedAt", None)
    template = {"__typename": "PrivilegeTemplateSnapshot", "name": "Reader", **levels}
    assert told["PRIVILEGE_TEMPLATE_CREATED"]["after"] == template
    requester = {"__typename": "BlockedRequesterSnapshot", "ibmId": blocked, "reason": "Gone"}
    assert told["REQUESTER_BLOCKED"]["after"] == requester
