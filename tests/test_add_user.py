"""Adding a user without a request: looked up first, then added."""

import unicodedata
from typing import Any
from uuid import uuid4

import pytest

from app.db.models import User
from tests.access import GRANTED, MANAGERS, NOTHING, form, full_site, newcomer, sites_of
from tests.world import UPDATE, VIEW, Person, Place, World, ago

PREVIEW = """query($input: AddUserPreviewInput!) { addUserPreview(input: $input) {
  known name membership { id active } pendingAccessRequest { id state } } }"""
NOBODY = {"known": False, "name": None, "membership": None, "pendingAccessRequest": None}


async def preview(caller: Person, place: Place, ibm_id: str) -> Any:
    return (await caller.ask(PREVIEW, input={"siteId": place.id, "ibmId": ibm_id}))["addUserPreview"]


@pytest.mark.parametrize("who", MANAGERS)
async def test_the_preview_knows_a_person_by_their_ibm_id_in_any_case(world: World, who: str) -> None:
    place = await world.site()
    caller, person = await world.caller(place, who), await world.person()
    found = await preview(caller, place, f" {person.ibm_id.upper()} ")
    assert found == NOBODY | {"known": True, "name": person.ibm_id}


async def test_an_ibm_id_is_the_same_however_its_characters_are_composed(world: World) -> None:
    place, person = await world.site(), f"rené-{newcomer()}"
    spelled = unicodedata.normalize("NFD", person)
    await place.primary.succeed("addUser", **form(place, spelled))
    for ibm_id in (person, spelled, spelled.upper()):
        assert (await preview(place.primary, place, ibm_id))["known"]
        asked = {
            "siteId": place.id,
            "ibmId": ibm_id,
            "application": "CONTACT_UPDATE_OVERVIEW",
            "level": "VIEW",
        }
        check = "query($input: AccessCheckInput!) { accessCheck(input: $input) { allowed } }"
        assert await place.primary.ask(check, input=asked) == {"accessCheck": {"allowed": True}}
        assert await place.primary.refused("addUser", **form(place, ibm_id)) == [("ALREADY_MEMBER", "ibmId")]
    [user] = await world.rows(User, User.email == person)
    assert user.ibm_id == person


async def test_an_ibm_id_is_the_same_with_what_comes_along_when_it_is_copied(world: World) -> None:
    place, person = await world.site(), await world.person()
    copied = "\ufeff" + person.ibm_id.replace("@", "\u200b@") + " \u2060"
    assert (await preview(place.primary, place, copied))["known"]
    items = [
        {
            "ibmId": ibm_id,
            "email": person.ibm_id,
            "confirmed": True,
            "role": "USER",
            "justification": "\u200b",
        }
        for ibm_id in (person.ibm_id, copied)
    ]
    refusal = await place.primary.refused("addUsers", siteId=place.id, items=items)
    assert refusal == [("REQUIRED", "items.0.justification"), ("DUPLICATE", "items.1.ibmId")]
    payload = await place.primary.succeed(
        "addUser", "membership { user { id } }", **form(place, copied) | {"email": person.ibm_id}
    )
    assert payload["membership"]["user"] == {"id": person.id}


@pytest.mark.parametrize("ibm_id", ["nobody-has-this", "", "\x00", "\ud800", "%", "x" * 1000])
async def test_the_preview_of_an_unknown_person(world: World, ibm_id: str) -> None:
    place = await world.site()
    assert await preview(place.primary, place, ibm_id) == NOBODY


async def test_the_preview_shows_a_membership_of_this_site_only(world: World) -> None:
    place, other = await world.site(), await world.site()
    member, membership_id = await world.member(place)
    assert (await preview(place.primary, place, member.ibm_id))["membership"] == {
        "id": membership_id,
        "active": True,
    }
    assert (await preview(other.primary, other, member.ibm_id))["membership"] is None


async def test_the_preview_shows_a_pending_request_for_this_site_only(world: World) -> None:
    place, other = await world.site(), await world.site()
    requester, request_id = await world.request(place)
    shown = (await preview(place.primary, place, requester.ibm_id))["pendingAccessRequest"]
    assert shown == {"id": request_id, "state": "PENDING"}
    assert (await preview(other.primary, other, requester.ibm_id))["pendingAccessRequest"] is None


async def test_the_preview_does_not_show_an_expired_request(world: World) -> None:
    place = await world.site()
    requester, _ = await world.request(place, expires_at=ago(minutes=1))
    assert (await preview(place.primary, place, requester.ibm_id))["pendingAccessRequest"] is None


@pytest.mark.parametrize(
    "who",
    ["manage_access=VIEW", "manage_access=NONE", "contact_updates=UPDATE", "user", "ended", "stranger"],
)
async def test_who_may_not_add_users_looks_nobody_up(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    assert await preview(caller, place, place.primary.ibm_id) is None


async def test_the_preview_needs_the_id_of_a_site_of_ones_own(world: World) -> None:
    place, other = await world.site(), await world.site()
    for site_id in (other.id, place.primary.id, "site_", "\x00", "", f"site_{uuid4().hex}"):
        answer = await place.primary.ask(PREVIEW, input={"siteId": site_id, "ibmId": other.primary.ibm_id})
        assert answer == {"addUserPreview": None}


@pytest.mark.parametrize("who", MANAGERS)
async def test_adding_a_known_person_makes_the_membership(world: World, who: str) -> None:
    place = await world.site()
    caller, person = await world.caller(place, who), await world.person()
    payload = await caller.succeed(
        "addUser", GRANTED, **form(place, person.ibm_id, privileges={"reporting": "VIEW"})
    )
    membership = payload["membership"]
    assert (membership["user"], membership["role"]) == ({"ibmId": person.ibm_id}, "USER")
    assert membership["privileges"] == NOTHING | {"reporting": "VIEW"}
    assert (membership["justification"], membership["active"]) == ("New colleague", True)
    assert payload["accessRequest"] is None
    assert await sites_of(person) == [{"role": "USER", "active": True, "site": {"number": place.number}}]


async def test_a_person_is_found_by_ibm_id_and_email_in_any_case(world: World) -> None:
    place = await world.site()
    person = await world.person()
    typed = f" {person.ibm_id.upper()} "
    payload = await place.primary.succeed("addUser", "membership { user { id ibmId } }", **form(place, typed))
    assert payload["membership"]["user"] == {"id": person.id, "ibmId": person.ibm_id}


async def test_an_unknown_person_is_registered_and_bound_at_the_first_sign_in(world: World) -> None:
    place = await world.site()
    ibm_id = newcomer()
    payload = await place.primary.succeed(
        "addUser",
        "membership { user { id ibmId email name hasSignedIn } }",
        **form(place, ibm_id, email=f" {ibm_id}"),
    )
    user = payload["membership"]["user"]
    assert user == {"id": user["id"], "ibmId": ibm_id, "email": ibm_id, "name": ibm_id, "hasSignedIn": False}
    person = Person(world, ibm_id.upper())
    data = await person.ask("{ viewer { user { id hasSignedIn } memberships { nodes { role } } } }")
    assert data["viewer"] == {
        "user": {"id": user["id"], "hasSignedIn": True},
        "memberships": {"nodes": [{"role": "USER"}]},
    }


async def test_a_secondary_contact_takes_a_seat_and_may_be_given_account_management(world: World) -> None:
    place = await world.site()
    account = {"manageAccess": "VIEW", "contactUpdates": "UPDATE", "accountDocuments": "NONE"}
    payload = await place.primary.succeed(
        "addUser",
        GRANTED,
        **form(place, newcomer(), role="SECONDARY_CONTACT", privileges={"accountManagement": account}),
    )
    assert payload["membership"]["privileges"] == NOTHING | {"accountManagement": account}
    assert payload["site"] == {"remainingSecondaryContactSeats": 3, "memberships": {"totalCount": 2}}


async def test_a_new_secondary_contact_has_no_account_management_until_somebody_sets_it(world: World) -> None:
    place = await world.site()
    payload = await place.primary.succeed(
        "addUser", GRANTED, **form(place, newcomer(), role="SECONDARY_CONTACT")
    )
    assert payload["membership"]["privileges"] == NOTHING


@pytest.mark.parametrize("fourth", [{}, {"ends_at": ago(days=1)}], ids=["active", "ended"])
async def test_a_fifth_secondary_contact_is_refused_and_nobody_is_registered(
    world: World, fourth: dict[str, Any]
) -> None:
    place = await full_site(world, **fourth)
    ibm_id = newcomer()
    refusal = await place.primary.refused("addUser", **form(place, ibm_id, role="SECONDARY_CONTACT"))
    assert refusal == [("SECONDARY_CONTACT_LIMIT", "role")]
    assert await world.rows(User, User.ibm_id == ibm_id) == []


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"confirmed": False}, [("CONFIRMATION_REQUIRED", "confirmed")]),
        ({"justification": "  "}, [("REQUIRED", "justification")]),
        ({"justification": "x" * 2001}, [("TOO_LONG", "justification")]),
        ({"justification": "\x00"}, [("FORBIDDEN_CHARACTERS", "justification")]),
        ({"role": "PRIMARY_CONTACT"}, [("ROLE_NOT_ASSIGNABLE", "role")]),
        ({"email": "nobody"}, [("INVALID_EMAIL", "email")]),
        ({"email": ""}, [("REQUIRED", "email")]),
        ({"ibmId": "two words"}, [("INVALID_IBM_ID", "ibmId")]),
        ({"ibmId": " "}, [("REQUIRED", "ibmId")]),
        ({"ibmId": "x" * 255}, [("TOO_LONG", "ibmId")]),
        ({"ibmId": "\ud800"}, [("FORBIDDEN_CHARACTERS", "ibmId")]),
        (
            {"privileges": {"accountManagement": {"manageAccess": "VIEW"}}},
            [("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.manageAccess")],
        ),
        (
            {"ibmId": "", "email": "@", "confirmed": False, "justification": "", "role": "PRIMARY_CONTACT"},
            [
                ("REQUIRED", "ibmId"),
                ("INVALID_EMAIL", "email"),
                ("REQUIRED", "justification"),
                ("ROLE_NOT_ASSIGNABLE", "role"),
                ("CONFIRMATION_REQUIRED", "confirmed"),
            ],
        ),
    ],
)
async def test_a_wrong_form_is_refused_with_all_its_faults(
    world: World, changes: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    place = await world.site()
    ibm_id = newcomer()
    assert await place.primary.refused("addUser", **form(place, ibm_id, **changes)) == faults
    assert await world.rows(User, User.ibm_id == ibm_id) == []


async def test_a_known_person_is_not_added_with_another_email_address(world: World) -> None:
    place = await world.site()
    person = await world.person()
    refusal = await place.primary.refused("addUser", **form(place, person.ibm_id, email=newcomer()))
    assert refusal == [("EMAIL_MISMATCH", "email")]


async def test_a_wrong_address_can_be_corrected_while_it_is_nobodys(world: World) -> None:
    place, other, ibm_id = await world.site(), await world.site(), newcomer()
    wrong = form(place, ibm_id, email=newcomer())
    added = await place.primary.succeed("addUser", "membership { id user { id } }", **wrong)
    for site in (place, other):
        refusal = await site.primary.refused("addUser", **form(site, ibm_id))
        assert refusal == [("EMAIL_MISMATCH", "email")]
    await place.primary.succeed("removeMembership", membershipId=added["membership"]["id"])
    await other.primary.succeed("updateSiteRules", siteId=other.id, secondPersonConfirms=True)
    await world.secondary(other, manage_access=UPDATE)
    selection = "pendingNaming { id user { id email } }"
    right = await other.primary.succeed("addUser", selection, **form(other, ibm_id, role="SECONDARY_CONTACT"))
    assert right["pendingNaming"]["user"] == {"id": added["membership"]["user"]["id"], "email": ibm_id}
    assert await place.primary.refused("addUser", **wrong) == [("EMAIL_MISMATCH", "email")]
    await other.primary.succeed("rejectNaming", namingId=right["pendingNaming"]["id"])
    await place.primary.succeed("addUser", **wrong)
    [user] = await world.rows(User, User.ibm_id == ibm_id)
    assert user.email == wrong["email"]


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "user"])
async def test_a_member_is_not_added_again(world: World, who: str) -> None:
    place = await world.site()
    member = await world.caller(place, who)
    manager = await world.caller(place, "manage_access=UPDATE")
    refusal = await manager.refused("addUser", **form(place, member.ibm_id.upper()))
    assert refusal == [("ALREADY_MEMBER", "ibmId")]


async def test_nobody_adds_themselves(world: World) -> None:
    place = await world.site()
    manager = await world.caller(place, "manage_access=UPDATE")
    assert await manager.refused("addUser", **form(place, manager.ibm_id)) == [("ALREADY_MEMBER", "ibmId")]


async def test_adding_grants_the_pending_request(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place, justification="Mises à jour")
    payload = await place.primary.succeed(
        "addUser", f"accessRequest {{ id }} {GRANTED}", **form(place, requester.ibm_id)
    )
    request = payload["accessRequest"]
    assert (request["id"], request["state"], request["grantedRole"]) == (request_id, "GRANTED", "USER")
    assert request["justification"] == "Mises à jour"
    assert request["approverJustification"] == "New colleague"
    assert request["decidedBy"] == {"id": place.primary.id}


async def test_adding_grants_a_request_that_was_made_before_the_site_was(world: World) -> None:
    person = await world.person()
    number = uuid4().hex[:10].upper()
    asked = await person.succeed("requestAccess", "accessRequest { id }", siteNumber=number)
    place = await world.site(number=number)
    payload = await place.primary.succeed(
        "addUser", "accessRequest { id state site { id } }", **form(place, person.ibm_id)
    )
    assert payload["accessRequest"] == {
        "id": asked["accessRequest"]["id"],
        "state": "GRANTED",
        "site": {"id": place.id},
    }


async def test_adding_leaves_requests_for_other_sites_and_closed_ones_alone(world: World) -> None:
    place, other = await world.site(), await world.site()
    requester, elsewhere = await world.request(other)
    _, expired = await world.request(place, requester, expires_at=ago(minutes=1))
    payload = await place.primary.succeed("addUser", "accessRequest { id }", **form(place, requester.ibm_id))
    assert payload["accessRequest"] is None
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on AccessRequest { state } } }"
    states = (await requester.ask(document, ids=[elsewhere, expired]))["nodes"]
    assert states == [{"state": "PENDING"}, {"state": "EXPIRED"}]


async def test_a_former_member_begins_anew(world: World) -> None:
    place = await world.site()
    former, membership_id = await world.member(place, ends_at=ago(days=1), entitlement_inventory=VIEW)
    assert (await preview(place.primary, place, former.ibm_id))["membership"] == {
        "id": membership_id,
        "active": False,
    }
    payload = await place.primary.succeed("addUser", GRANTED, **form(place, former.ibm_id))
    membership = payload["membership"]
    assert (membership["id"], membership["endsAt"], membership["active"]) == (membership_id, None, True)
    assert membership["privileges"] == NOTHING
    assert payload["site"]["memberships"]["totalCount"] == 2


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("manage_access=VIEW", "FORBIDDEN"),
        ("manage_access=NONE", "FORBIDDEN"),
        ("contact_updates=UPDATE", "FORBIDDEN"),
        ("user", "FORBIDDEN"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_nobody_else_adds_users(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    person = await world.person()
    for ibm_id in (person.ibm_id, newcomer(), place.primary.ibm_id):
        assert await caller.refused("addUser", **form(place, ibm_id)) == [(code, "siteId")]
