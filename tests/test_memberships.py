"""Memberships: updated, removed, left."""

from typing import Any

import pytest

from app.db.models import Membership
from app.rules import PRIVILEGES, PurchaseAndDownloadLevel, Role, ViewLevel
from tests.access import GRANTED, MANAGERS, MEMBERSHIP, NOTHING, form, full_site, sites_of
from tests.world import UPDATE, VIEW, Person, Place, World, ago

UPDATED = f"membership {{ {MEMBERSHIP} }} site {{ remainingSecondaryContactSeats }}"
REMOVED = "removedMembershipId site { remainingSecondaryContactSeats memberships { totalCount } }"
ACTS: list[tuple[str, dict[str, Any]]] = [
    ("updateMembership", {"privileges": {"reporting": "VIEW"}}),
    ("removeMembership", {}),
]


def given(path: tuple[str, ...], level: str) -> dict[str, Any]:
    """The input of one level."""
    head, *rest = path
    return {head: given(tuple(rest), level) if rest else level}


def level_at(privileges: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = privileges
    for step in path:
        value = value[step]
    return value


async def own_membership(person: Person) -> str:
    """The id of a person's only membership."""
    id: str = (await person.ask("{ viewer { memberships { nodes { id } } } }"))["viewer"]["memberships"][
        "nodes"
    ][0]["id"]
    return id


async def set_levels(place: Place, membership_id: str, **input: Any) -> dict[str, Any]:
    return await place.primary.succeed("updateMembership", UPDATED, membershipId=membership_id, **input)


@pytest.mark.parametrize("name", PRIVILEGES)
async def test_each_level_is_set_and_all_others_stay(world: World, name: str) -> None:
    place = await world.site()
    privilege = PRIVILEGES[name]
    _, membership_id = await world.secondary(place)
    before = (await set_levels(place, membership_id))["membership"]
    assert before["privileges"] == NOTHING
    for level in privilege.levels:
        payload = await set_levels(place, membership_id, privileges=given(privilege.path, level.name))
        privileges = payload["membership"]["privileges"]
        assert level_at(privileges, privilege.path) == level.name
        lowered = await set_levels(place, membership_id, privileges=given(privilege.path, "NONE"))
        assert lowered["membership"] == before
        await set_levels(place, membership_id, privileges=given(privilege.path, level.name))


async def test_levels_that_are_left_out_stay(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.secondary(
        place,
        manage_access=VIEW,
        contact_updates=UPDATE,
        entitlement_inventory=UPDATE,
        purchase_and_download=PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD,
    )
    payload = await set_levels(
        place,
        membership_id,
        privileges={"reporting": "VIEW", "accountManagement": {"manageAccess": "NONE"}},
    )
    assert payload["membership"]["role"] == "SECONDARY_CONTACT"
    assert payload["membership"]["privileges"] == {
        "purchaseAndDownload": "SOFTWARE_DOWNLOAD",
        "reporting": "VIEW",
        "entitlementInventory": "UPDATE",
        "entitlementAllocations": "NONE",
        "accountManagement": {"manageAccess": "NONE", "contactUpdates": "UPDATE", "accountDocuments": "NONE"},
    }


async def test_an_impossible_level_cannot_even_be_written(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    document = (
        "mutation($input: UpdateMembershipInput!) { updateMembership(input: $input) { errors { code } } }"
    )
    overview = {"accountManagement": {"contactUpdateOverview": "VIEW"}}
    for privileges in ({"reporting": "UPDATE"}, {"entitlementInventory": "SOFTWARE_DOWNLOAD"}, overview):
        async with world.unchanged():
            input = {"membershipId": membership_id, "privileges": privileges}
            response = await place.primary.post(document, input=input)
        assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_justification_is_replaced_only_when_given(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, justification="First")
    assert (await set_levels(place, membership_id))["membership"]["justification"] == "First"
    payload = await set_levels(place, membership_id, justification=" Second ")
    assert payload["membership"]["justification"] == "Second"


async def test_a_promotion_takes_a_seat_and_a_demotion_frees_it(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, reporting=ViewLevel.VIEW)
    promoted = await set_levels(
        place,
        membership_id,
        role="SECONDARY_CONTACT",
        privileges={"accountManagement": {"manageAccess": "UPDATE"}},
    )
    assert promoted["site"]["remainingSecondaryContactSeats"] == 3
    assert promoted["membership"]["privileges"]["reporting"] == "VIEW"
    assert promoted["membership"]["privileges"]["accountManagement"]["manageAccess"] == "UPDATE"
    demoted = await set_levels(
        place, membership_id, role="USER", privileges={"accountManagement": {"manageAccess": "NONE"}}
    )
    assert demoted["site"]["remainingSecondaryContactSeats"] == 4
    assert demoted["membership"]["privileges"] == NOTHING | {"reporting": "VIEW"}


async def test_a_demotion_must_lower_account_management_in_the_same_input(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.secondary(place, manage_access=VIEW, contact_updates=UPDATE)
    refusal = await place.primary.refused("updateMembership", membershipId=membership_id, role="USER")
    manage, contacts = (f"privileges.accountManagement.{name}" for name in ("manageAccess", "contactUpdates"))
    assert refusal == [("LEVEL_NOT_FOR_ROLE", manage), ("LEVEL_NOT_FOR_ROLE", contacts)]
    half = {"accountManagement": {"manageAccess": "NONE"}}
    refusal = await place.primary.refused(
        "updateMembership", membershipId=membership_id, role="USER", privileges=half
    )
    assert refusal == [("LEVEL_NOT_FOR_ROLE", contacts)]


@pytest.mark.parametrize(
    ("input", "faults"),
    [
        ({"role": "PRIMARY_CONTACT"}, [("ROLE_NOT_ASSIGNABLE", "role")]),
        (
            {"privileges": {"accountManagement": {"contactUpdates": "VIEW"}}},
            [("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.contactUpdates")],
        ),
        ({"justification": "x" * 2001}, [("TOO_LONG", "justification")]),
        (
            {"role": "PRIMARY_CONTACT", "justification": "\x00"},
            [("ROLE_NOT_ASSIGNABLE", "role"), ("FORBIDDEN_CHARACTERS", "justification")],
        ),
    ],
)
async def test_a_wrong_update_of_a_user_is_refused(
    world: World, input: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    assert await place.primary.refused("updateMembership", membershipId=membership_id, **input) == faults


@pytest.mark.parametrize("fourth", [{}, {"ends_at": ago(days=1)}], ids=["active", "ended"])
async def test_a_fifth_secondary_contact_is_refused(world: World, fourth: dict[str, Any]) -> None:
    place = await full_site(world, **fourth)
    _, membership_id = await world.member(place)
    async with world.unchanged():
        payload = await place.primary.do(
            "updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT"
        )
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("SECONDARY_CONTACT_LIMIT", ["role"])
    assert (error["limit"], error["current"]) == (4, 4)


async def test_a_secondary_contact_of_a_full_site_can_still_be_updated(world: World) -> None:
    place = await full_site(world)
    (row,) = await world.rows(Membership, Membership.site_id == place.site_id, Membership.seat == 4)
    payload = await set_levels(
        place, f"membership_{row.id.hex}", role="SECONDARY_CONTACT", privileges={"reporting": "VIEW"}
    )
    assert payload["membership"]["privileges"]["reporting"] == "VIEW"


@pytest.mark.parametrize("who", MANAGERS)
async def test_managers_update_and_remove_others_also_each_other(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, membership_id = await world.secondary(place, manage_access=UPDATE)
    payload = await caller.succeed(
        "updateMembership", UPDATED, membershipId=membership_id, privileges={"reporting": "VIEW"}
    )
    assert payload["membership"]["privileges"]["reporting"] == "VIEW"
    payload = await caller.succeed("removeMembership", REMOVED, membershipId=membership_id)
    assert payload["removedMembershipId"] == membership_id


@pytest.mark.parametrize(("mutation", "input"), ACTS)
@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("manage_access=VIEW", "FORBIDDEN"),
        ("manage_access=NONE", "NOT_FOUND"),
        ("contact_updates=UPDATE", "NOT_FOUND"),
        ("user", "NOT_FOUND"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_nobody_else_updates_or_removes(
    world: World, who: str, code: str, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, membership_id = await world.member(place)
    assert await caller.refused(mutation, membershipId=membership_id, **input) == [(code, "membershipId")]


@pytest.mark.parametrize(("mutation", "input"), ACTS)
@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "manage_access=NONE", "user"])
async def test_nobody_updates_or_removes_their_own_membership(
    world: World, who: str, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    membership_id = await own_membership(caller)
    refusal = await caller.refused(mutation, membershipId=membership_id, **input)
    assert refusal == [("FORBIDDEN", "membershipId")]


@pytest.mark.parametrize(
    ("mutation", "input"),
    [
        *ACTS,
        ("updateMembership", {"role": "USER"}),
        ("updateMembership", {"role": "SECONDARY_CONTACT"}),
        ("updateMembership", {"justification": "x"}),
    ],
)
async def test_nobody_touches_the_primary_contacts_membership(
    world: World, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    membership_id = await own_membership(place.primary)
    manager = await world.caller(place, "manage_access=UPDATE")
    for caller in (place.primary, manager):
        refusal = await caller.refused(mutation, membershipId=membership_id, **input)
        assert refusal == [("FORBIDDEN", "membershipId")]
    payload = await manager.do(mutation, membershipId=membership_id, **input)
    assert payload["errors"][0]["message"].startswith("Nobody but an operator")


async def test_an_update_that_changes_nothing_changes_nothing(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.secondary(place, manage_access=VIEW, justification="Known")
    async with world.unchanged():
        await set_levels(
            place,
            membership_id,
            role="SECONDARY_CONTACT",
            privileges={"reporting": "NONE", "accountManagement": {"manageAccess": "VIEW"}},
            justification="Known",
        )


@pytest.mark.parametrize("role", [Role.SECONDARY_CONTACT, Role.USER], ids=lambda role: role.name)
async def test_removing_frees_the_seat_and_ends_all_rights_at_once(world: World, role: Role) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, role)
    see = "query($id: ID!) { site(id: $id) { id } }"
    assert (await member.ask(see, id=place.id))["site"] is not None
    payload = await place.primary.succeed("removeMembership", REMOVED, membershipId=membership_id)
    assert payload["removedMembershipId"] == membership_id
    assert payload["site"] == {"remainingSecondaryContactSeats": 4, "memberships": {"totalCount": 1}}
    assert (await member.ask(see, id=place.id))["site"] is None
    assert await sites_of(member) == []
    refusal = await place.primary.refused("removeMembership", membershipId=membership_id)
    assert refusal == [("NOT_FOUND", "membershipId")]


async def test_rights_taken_away_are_gone_with_the_next_request(world: World) -> None:
    place = await world.site()
    manager, manager_id = await world.secondary(place, manage_access=UPDATE)
    _, membership_id = await world.member(place)
    act = {"membershipId": membership_id, "privileges": {"reporting": "VIEW"}}
    await manager.succeed("updateMembership", **act)
    await set_levels(place, manager_id, privileges={"accountManagement": {"manageAccess": "VIEW"}})
    assert await manager.refused("updateMembership", **act) == [("FORBIDDEN", "membershipId")]
    await set_levels(place, manager_id, privileges={"accountManagement": {"manageAccess": "UPDATE"}})
    await manager.succeed("updateMembership", **act)


async def test_a_removed_person_can_be_added_again(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, entitlement_inventory=UPDATE)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    payload = await place.primary.succeed(
        "addUser",
        GRANTED,
        **form(place, member.ibm_id),
    )
    assert payload["membership"]["id"] != membership_id
    assert payload["membership"]["privileges"] == NOTHING


@pytest.mark.parametrize(("reason", "code"), [("x" * 2001, "TOO_LONG"), ("\x00", "FORBIDDEN_CHARACTERS")])
async def test_an_unreadable_reason_is_refused(world: World, reason: str, code: str) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    refusal = await place.primary.refused("removeMembership", membershipId=membership_id, reason=reason)
    assert refusal == [(code, "reason")]


@pytest.mark.parametrize("who", ["manage_access=UPDATE", "manage_access=NONE", "user"])
async def test_secondary_contacts_and_users_may_leave(world: World, who: str) -> None:
    place = await world.site()
    member = await world.caller(place, who)
    membership_id = await own_membership(member)
    payload = await member.succeed("leaveSite", "removedMembershipId", siteId=place.id)
    assert payload["removedMembershipId"] == membership_id
    assert await sites_of(member) == []
    assert await member.refused("leaveSite", siteId=place.id) == [("NOT_FOUND", "siteId")]
    seats = "query($id: ID!) { site(id: $id) { remainingSecondaryContactSeats memberships { totalCount } } }"
    assert (await place.primary.ask(seats, id=place.id))["site"] == {
        "remainingSecondaryContactSeats": 4,
        "memberships": {"totalCount": 1},
    }


async def test_leaving_one_site_keeps_the_others(world: World) -> None:
    place, other = await world.site(), await world.site()
    member, _ = await world.member(place)
    await world.member(other, person=member)
    await member.succeed("leaveSite", siteId=place.id)
    assert [node["site"] for node in await sites_of(member)] == [{"number": other.number}]


@pytest.mark.parametrize(
    ("who", "code"), [("primary", "FORBIDDEN"), ("ended", "NOT_FOUND"), ("stranger", "NOT_FOUND")]
)
async def test_neither_the_primary_contact_nor_a_stranger_leaves(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    assert await caller.refused("leaveSite", siteId=place.id) == [(code, "siteId")]
