"""Access requests from the deciders' side: granted or denied, once, by who may."""

from typing import Any

import pytest

from app.db.models import AccessRequest, Membership
from app.rules import PurchaseAndDownloadLevel, Role, UpdateLevel, ViewLevel
from tests.access import CLOSED, GRANTED, MANAGERS, NOTHING, full_site, sites_of
from tests.world import UPDATE, VIEW, Person, World, ago

DECISIONS: list[tuple[str, dict[str, Any]]] = [
    ("grantAccessRequest", {"role": "USER"}),
    ("denyAccessRequest", {"reason": "UNKNOWN_REQUESTER"}),
]


async def grant(person: Person, request_id: str, role: str = "USER", **input: Any) -> dict[str, Any]:
    return await person.succeed("grantAccessRequest", GRANTED, accessRequestId=request_id, role=role, **input)


@pytest.mark.parametrize("who", MANAGERS)
async def test_granting_makes_the_membership(world: World, who: str) -> None:
    place = await world.site()
    requester, request_id = await world.request(place, justification="Mises à jour")
    manager = await world.caller(place, who)
    payload = await grant(manager, request_id, privileges={"reporting": "VIEW"}, justification="Same team")
    assert payload["accessRequest"] == {
        "state": "GRANTED",
        "grantedRole": "USER",
        "justification": "Mises à jour",
        "approverJustification": "Same team",
        "closedAt": payload["accessRequest"]["closedAt"],
        "decidedBy": {"id": manager.id},
    }
    assert payload["accessRequest"]["closedAt"] is not None
    membership = payload["membership"]
    assert membership["privileges"] == NOTHING | {"reporting": "VIEW"}
    assert (membership["role"], membership["user"]) == ("USER", {"ibmId": requester.ibm_id})
    assert membership["justification"] == "Same team"
    assert await sites_of(requester) == [{"role": "USER", "active": True, "site": {"number": place.number}}]


async def test_without_a_word_of_the_approver_the_requesters_justification_stays(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place, justification="Mises à jour")
    payload = await grant(place.primary, request_id)
    assert payload["membership"]["justification"] == "Mises à jour"
    assert payload["accessRequest"]["approverJustification"] is None


async def test_the_approver_may_justify_what_the_requester_did_not(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    payload = await grant(place.primary, request_id, justification="New colleague")
    assert payload["accessRequest"]["justification"] is None
    assert payload["membership"]["justification"] == "New colleague"


async def test_the_approver_decides_the_levels_not_the_requester(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place, reporting=ViewLevel.VIEW, manage_access=UPDATE)
    assert (await grant(place.primary, request_id))["membership"]["privileges"] == NOTHING


async def test_a_secondary_contact_takes_a_seat_with_every_level_there_is(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    levels = {
        "purchaseAndDownload": "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
        "reporting": "VIEW",
        "entitlementInventory": "UPDATE",
        "entitlementAllocations": "VIEW",
        "accountManagement": {"manageAccess": "UPDATE", "contactUpdates": "VIEW", "accountDocuments": "VIEW"},
    }
    payload = await grant(place.primary, request_id, "SECONDARY_CONTACT", privileges=levels)
    assert payload["membership"]["privileges"] == levels
    assert payload["site"] == {"remainingSecondaryContactSeats": 3, "memberships": {"totalCount": 2}}


@pytest.mark.parametrize("fourth", [{}, {"ends_at": ago(days=1)}], ids=["active", "ended"])
async def test_a_fifth_secondary_contact_is_refused(world: World, fourth: dict[str, Any]) -> None:
    place = await full_site(world, **fourth)
    _, request_id = await world.request(place)
    async with world.unchanged():
        payload = await place.primary.do(
            "grantAccessRequest", accessRequestId=request_id, role="SECONDARY_CONTACT"
        )
    (error,) = payload["errors"]
    assert (error["__typename"], error["code"]) == ("LimitReachedError", "SECONDARY_CONTACT_LIMIT")
    assert (error["limit"], error["current"], error["path"]) == (4, 4, ["role"])
    assert (await grant(place.primary, request_id))["membership"]["role"] == "USER"


async def test_the_primary_contact_is_never_granted(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    refusal = await place.primary.refused(
        "grantAccessRequest", accessRequestId=request_id, role="PRIMARY_CONTACT"
    )
    assert refusal == [("ROLE_NOT_ASSIGNABLE", "role")]


async def test_a_user_gets_no_account_management_and_every_fault_is_told(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    refusal = await place.primary.refused(
        "grantAccessRequest",
        accessRequestId=request_id,
        role="USER",
        privileges={"accountManagement": {"manageAccess": "VIEW", "contactUpdates": "UPDATE"}},
        justification="x" * 2001,
    )
    assert refusal == [
        ("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.manageAccess"),
        ("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.contactUpdates"),
        ("TOO_LONG", "justification"),
    ]


async def test_a_user_may_be_given_none_and_the_documents(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    account = {"manageAccess": "NONE", "contactUpdates": "NONE", "accountDocuments": "VIEW"}
    payload = await grant(place.primary, request_id, privileges={"accountManagement": account})
    assert payload["membership"]["privileges"]["accountManagement"] == account


@pytest.mark.parametrize(("mutation", "input"), DECISIONS)
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
async def test_nobody_else_decides(
    world: World, who: str, code: str, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, request_id = await world.request(place)
    assert await caller.refused(mutation, accessRequestId=request_id, **input) == [(code, "accessRequestId")]


@pytest.mark.parametrize(("mutation", "input"), DECISIONS)
@pytest.mark.parametrize("who", [*MANAGERS, "user", "stranger"])
async def test_nobody_decides_their_own_request(
    world: World, who: str, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, request_id = await world.request(place, caller)
    refusal = await caller.refused(mutation, accessRequestId=request_id, **input)
    assert refusal == [("FORBIDDEN", "accessRequestId")]


async def test_a_denial_of_ones_own_request_says_why(world: World) -> None:
    place = await world.site()
    manager = await world.caller(place, "manage_access=UPDATE")
    _, request_id = await world.request(place, manager)
    payload = await manager.do("grantAccessRequest", accessRequestId=request_id, role="USER")
    assert payload["errors"][0]["message"] == "Nobody decides or changes their own access."


@pytest.mark.parametrize(("mutation", "input"), DECISIONS)
@pytest.mark.parametrize("winner", ["grant", "deny"])
async def test_who_comes_second_is_told_the_winning_decision(
    world: World, winner: str, mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    won, decision = DECISIONS[winner == "deny"]
    await place.primary.succeed(won, accessRequestId=request_id, **decision)
    manager = await world.caller(place, "manage_access=UPDATE")
    async with world.unchanged():
        (error,) = (await manager.do(mutation, accessRequestId=request_id, **input))["errors"]
    assert (error["__typename"], error["code"]) == ("AlreadyDecidedError", "ALREADY_DECIDED")
    assert error["path"] == ["accessRequestId"]
    assert error["accessRequest"] == {
        "state": "DENIED" if winner == "deny" else "GRANTED",
        "denialReason": decision.get("reason"),
        "decidedBy": {"name": place.primary.ibm_id},
    }


@pytest.mark.parametrize(("mutation", "input"), DECISIONS)
@pytest.mark.parametrize("closed", CLOSED, ids=["withdrawn", "expired", "just expired"])
async def test_a_closed_request_is_not_decided(
    world: World, closed: dict[str, Any], mutation: str, input: dict[str, Any]
) -> None:
    place = await world.site()
    _, request_id = await world.request(place, **closed)
    refusal = await place.primary.refused(mutation, accessRequestId=request_id, **input)
    assert refusal == [("REQUEST_CLOSED", "accessRequestId")]


async def test_a_membership_that_exists_meanwhile_is_raised_and_never_lowered(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place)
    _, membership_id = await world.member(
        place, person=requester, entitlement_inventory=UPDATE, reporting=ViewLevel.NONE
    )
    payload = await grant(
        place.primary,
        request_id,
        "SECONDARY_CONTACT",
        privileges={"entitlementInventory": "VIEW", "reporting": "VIEW"},
    )
    membership = payload["membership"]
    assert (membership["id"], membership["role"]) == (membership_id, "SECONDARY_CONTACT")
    assert membership["privileges"] == NOTHING | {"entitlementInventory": "UPDATE", "reporting": "VIEW"}
    assert payload["site"] == {"remainingSecondaryContactSeats": 3, "memberships": {"totalCount": 2}}


async def test_a_secondary_contact_stays_one_when_granted_as_a_user(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place)
    await world.member(place, Role.SECONDARY_CONTACT, requester, manage_access=VIEW)
    payload = await grant(place.primary, request_id, privileges={"reporting": "VIEW"})
    assert payload["membership"]["role"] == "SECONDARY_CONTACT"
    account = NOTHING["accountManagement"] | {"manageAccess": "VIEW"}  # type: ignore[operator]
    assert payload["membership"]["privileges"] == NOTHING | {
        "reporting": "VIEW",
        "accountManagement": account,
    }


@pytest.mark.parametrize("role", ["USER", "SECONDARY_CONTACT"])
async def test_the_primary_contact_is_not_changed_by_granting_their_request(world: World, role: str) -> None:
    place = await world.site()
    manager = await world.caller(place, "manage_access=UPDATE")
    _, request_id = await world.request(place, place.primary)
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=True)
    refusal = await manager.refused("grantAccessRequest", accessRequestId=request_id, role=role)
    assert refusal == [("FORBIDDEN", "accessRequestId")]


async def test_an_ended_membership_begins_anew(world: World) -> None:
    place = await world.site()
    former, membership_id = await world.member(
        place,
        Role.SECONDARY_CONTACT,
        ends_at=ago(days=1),
        manage_access=UPDATE,
        purchase_and_download=PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD,
        created_at=ago(days=400),
        justification="Project of last year",
    )
    _, request_id = await world.request(place, former)
    payload = await grant(place.primary, request_id, privileges={"reporting": "VIEW"})
    membership = payload["membership"]
    assert (membership["id"], membership["role"]) == (membership_id, "USER")
    assert (membership["active"], membership["endsAt"]) == (True, None)
    assert membership["privileges"] == NOTHING | {"reporting": "VIEW"}
    assert membership["justification"] is None
    assert membership["createdAt"] > ago(minutes=5).isoformat()
    assert payload["site"] == {"remainingSecondaryContactSeats": 4, "memberships": {"totalCount": 2}}


@pytest.mark.parametrize("who", MANAGERS)
@pytest.mark.parametrize("reason", ["UNKNOWN_REQUESTER", "ACCESS_NOT_NECESSARY", "NO_BUSINESS_RELATIONSHIP"])
async def test_the_requester_sees_why_access_was_denied(world: World, who: str, reason: str) -> None:
    place = await world.site()
    requester, request_id = await world.request(place, manage_access=UpdateLevel.VIEW)
    manager = await world.caller(place, who)
    payload = await manager.succeed(
        "denyAccessRequest",
        "accessRequest { state denialReason closedAt decidedBy { id } }"
        " site { accessRequests(filter: {states: [PENDING]}) { totalCount } }",
        accessRequestId=request_id,
        reason=reason,
    )
    denied = payload["accessRequest"]
    assert (denied["state"], denied["denialReason"]) == ("DENIED", reason)
    assert denied["decidedBy"] == {"id": manager.id}
    assert payload["site"]["accessRequests"]["totalCount"] == 0
    seen = await requester.ask(
        "query($id: ID!) { node(id: $id) { ... on AccessRequest { state denialReason decidedBy { id } } } }",
        id=request_id,
    )
    assert seen["node"] == {"state": "DENIED", "denialReason": reason, "decidedBy": None}
    assert await sites_of(requester) == []
    assert await world.rows(Membership, Membership.user_id == requester.user_id) == []
    (row,) = await world.rows(AccessRequest, AccessRequest.requester_id == requester.user_id)
    assert (row.denial_reason.name, row.decided_by_id) == (reason, manager.user_id)


async def test_a_denial_has_no_free_text_and_one_of_three_reasons(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    document = (
        "mutation($input: DenyAccessRequestInput!) { denyAccessRequest(input: $input) { errors { code } } }"
    )
    for input in ({"reason": "BECAUSE"}, {}, {"reason": "UNKNOWN_REQUESTER", "justification": "No"}):
        async with world.unchanged():
            response = await place.primary.post(document, input={"accessRequestId": request_id, **input})
        assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
