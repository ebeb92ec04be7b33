"""Bulks at a site with stricter rules: every item is held to them like the single mutation."""

from typing import Any

import pytest

from app.db.models import Membership
from app.db.site_rules import Naming
from app.rules import MessageKind, Role, UpdateLevel, ViewLevel
from app.site_rules import NamingState
from tests.site_rules import NAMING, blocked_row, site_with, strict_site, template
from tests.test_bulk import GOOD_ONES, bulk, faults, good_items, outcome, person_to_add
from tests.test_bulk import world as world
from tests.test_messages import to, told
from tests.test_namings import role_of, state_of
from tests.world import Place, World

SECONDARY = {"role": "SECONDARY_CONTACT"}
KINDS = {
    "addUsers": ("ADD", MessageKind.WELCOME),
    "updateMemberships": ("UPDATE", MessageKind.ACCESS_CHANGED),
    "grantAccessRequests": ("GRANT", MessageKind.ACCESS_GRANTED),
}
"""What gives somebody a role, the kind of naming that comes of it, and what the person is told of."""
WAITING = (
    f"results {{ done membership {{ role }} pendingNaming {{ {NAMING} }} errors {{ code path }} }} failed"
)


async def levels_of(world: World, place: Place) -> list[tuple[ViewLevel | None, UpdateLevel | None]]:
    """The levels of reporting and of the inventory of those who are neither primary nor secondary contacts."""
    rows = await world.rows(Membership, Membership.site_id == place.site_id, Membership.role == Role.USER)
    return [(row.reporting, row.entitlement_inventory) for row in rows]


async def waiting(place: Place, mutation: str, items: list[dict[str, Any]], **input: Any) -> dict[str, Any]:
    """The payload of a bulk, with its namings."""
    return await place.primary.do(mutation, WAITING, siteId=place.id, items=items, **input)


@pytest.mark.parametrize("mutation", KINDS)
async def test_namings_wait_and_the_rest_is_done(world: World, mutation: str) -> None:
    place, second = await strict_site(world)
    kind, message = KINDS[mutation]
    plain, *named = await good_items(world, place, mutation, 3)
    items = [plain, *(item | SECONDARY for item in named)]
    payload = await waiting(place, mutation, items)
    results = payload["results"]
    assert [(result["done"], result["errors"]) for result in results] == [(True, [])] * 3
    assert [bool(result["pendingNaming"]) for result in results] == [False, True, True]
    namings = [result["pendingNaming"] for result in results[1:]]
    assert {(naming["kind"], naming["state"]) for naming in namings} == {(kind, "PENDING")}
    seats = Membership.role == Role.SECONDARY_CONTACT
    assert len(await world.rows(Membership, Membership.site_id == place.site_id, seats)) == 1
    assert [told_of for told_of, _ in await told(world, place)] == [message]
    await second.succeed("confirmNaming", namingId=namings[0]["id"])
    assert len(await world.rows(Membership, Membership.site_id == place.site_id, seats)) == 2
    assert [told_of for told_of, _ in await told(world, place)] == [message] * 2
    assert await state_of(world, namings[1]["id"]) is NamingState.PENDING


async def test_one_item_that_cannot_be_proposed_takes_the_namings_of_the_others_back(world: World) -> None:
    place = await site_with(world, second_person_confirms=True)
    items = [person_to_add(), person_to_add(**SECONDARY)]
    async with world.unchanged():
        payload = await bulk(place.primary, place, "addUsers", items)
    assert faults(payload) == [("NO_SECOND_PERSON", "items.1.role")]
    payload = await bulk(place.primary, place, "addUsers", items, **GOOD_ONES)
    assert outcome(payload) == ["done", [("NO_SECOND_PERSON", "items.1.role")]]
    assert await world.rows(Naming, Naming.site_id == place.site_id) == []


async def test_a_bulk_of_namings_sent_twice_proposes_once_and_answers_alike(world: World) -> None:
    place, _ = await strict_site(world)
    items = [person_to_add(**SECONDARY)]
    first = await waiting(place, "addUsers", items, idempotencyKey="once")
    async with world.unchanged():
        second = await waiting(place, "addUsers", items, idempotencyKey="once")
    assert first == second
    assert first["results"][0]["pendingNaming"]["id"]


async def test_a_dry_run_shows_what_would_wait_and_proposes_nothing(world: World) -> None:
    place, _ = await strict_site(world)
    async with world.unchanged():
        payload = await waiting(place, "addUsers", [person_to_add(**SECONDARY)], validateOnly=True)
    [result] = payload["results"]
    assert (result["done"], result["membership"]) == (True, None)
    assert result["pendingNaming"]["kind"] == "ADD"


@pytest.mark.parametrize("mutation", KINDS)
async def test_templates_give_their_levels_and_privileges_replace_them(world: World, mutation: str) -> None:
    place, other = await world.site(), await world.site()
    here = await template(world, place, entitlement_inventory=UpdateLevel.UPDATE)
    foreign = await template(world, other)
    items = [
        item | {"templateId": id, "privileges": privileges}
        for item, id, privileges in zip(
            await good_items(world, place, mutation, 4),
            [here, here, foreign, place.id],
            [None, {"entitlementInventory": "VIEW"}, None, None],
            strict=True,
        )
    ]
    payload = await bulk(place.primary, place, mutation, items, **GOOD_ONES)
    assert outcome(payload) == [
        "done",
        "done",
        [("NOT_FOUND", "items.2.templateId")],
        [("WRONG_ID_KIND", "items.3.templateId")],
    ]
    given = await levels_of(world, place)
    assert {(ViewLevel.VIEW, UpdateLevel.UPDATE), (ViewLevel.VIEW, UpdateLevel.VIEW)} <= set(given)
    assert [reporting for reporting, _ in given].count(ViewLevel.VIEW) == 2


@pytest.mark.parametrize("mutation", KINDS)
async def test_nobody_gives_more_than_they_hold(world: World, mutation: str) -> None:
    place = await site_with(world, grant_at_most_held=True)
    manager, _ = await world.secondary(place, manage_access=UpdateLevel.UPDATE, reporting=ViewLevel.NONE)
    plain, above = await good_items(world, place, mutation, 2)
    plain, above = plain | {"privileges": {}}, above | {"privileges": {"reporting": "VIEW"}}
    refused = [("LEVEL_ABOVE_YOURS", "items.1.privileges.reporting")]
    async with world.unchanged():
        assert faults(await bulk(manager, place, mutation, [plain, above])) == refused
    assert outcome(await bulk(manager, place, mutation, [plain, above], **GOOD_ONES)) == ["done", refused]
    assert outcome(await bulk(place.primary, place, mutation, [above])) == ["done"]


async def test_removing_members_and_denying_requests_cancels_what_waits_for_them(world: World) -> None:
    place, _ = await strict_site(world)
    for naming, ending in (
        ("updateMemberships", "removeMemberships"),
        ("grantAccessRequests", "denyAccessRequests"),
    ):
        [item] = await good_items(world, place, naming, 1)
        [named] = (await waiting(place, naming, [item | SECONDARY]))["results"]
        about = {name: id for name, id in item.items() if name.endswith("Id")}
        reason = {"reason": "UNKNOWN_REQUESTER"} if ending == "denyAccessRequests" else {}
        assert outcome(await bulk(place.primary, place, ending, [about | reason])) == ["done"]
        assert await state_of(world, named["pendingNaming"]["id"]) is NamingState.CANCELLED


async def test_whoever_is_blocked_can_be_added_with_their_request(world: World) -> None:
    place = await world.site()
    asking = await world.person()
    await world.add(blocked_row(place, asking.ibm_id))
    await asking.succeed("requestAccess", siteNumber=place.number)
    email = (await asking.ask("{ viewer { user { email } } }"))["viewer"]["user"]["email"]
    item = person_to_add(ibmId=asking.ibm_id, email=email)
    payload = await bulk(place.primary, place, "addUsers", [item])
    assert payload["results"][0]["accessRequest"] == {"state": "GRANTED"}
    assert await role_of(world, place, asking) is Role.USER
    assert await told(world, place) == to(MessageKind.WELCOME, asking)
