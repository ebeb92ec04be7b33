"""What members ask for: a later end of their access, higher levels, a seat as secondary contact."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from app.db.models import AccessRequest, Membership
from app.rules import AccessRequestKind, AccessRequestState, PurchaseAndDownloadLevel, Role, ViewLevel
from tests.access import GRANTED, MANAGERS, NOTHING
from tests.test_concurrency import at_once, outcomes
from tests.world import UPDATE, VIEW, Person, Place, World, ago

SOON, LATER, LATEST = (ago(days=-days) for days in (30, 60, 90))
ASKED = """accessRequest { id kind state requestedRole requestedEndsAt justification site { number }
  requestedPrivileges { reporting accountManagement { manageAccess } } }"""
EXTENSION = AccessRequestKind.EXTENSION
HIGHER = AccessRequestKind.HIGHER_LEVEL


async def extend(person: Person, place: Place, ends_at: datetime = LATER) -> str:
    """The id of a request for a later end."""
    payload = await person.succeed(
        "requestExtension", ASKED, siteId=place.id, endsAt=ends_at.isoformat(), justification="Still needed"
    )
    id: str = payload["accessRequest"]["id"]
    return id


async def ask_for_more(person: Person, place: Place, **input: Any) -> str:
    """The id of a request for higher levels."""
    payload = await person.succeed(
        "requestHigherLevel", ASKED, siteId=place.id, justification="New duties", **input
    )
    id: str = payload["accessRequest"]["id"]
    return id


async def membership_of(world: World, place: Place, person: Person) -> Membership:
    (row,) = await world.rows(
        Membership, Membership.site_id == place.site_id, Membership.user_id == person.user_id
    )
    found: Membership = row
    return found


@pytest.mark.parametrize("present", [SOON, ago(days=1)], ids=["active", "ended"])
async def test_a_member_asks_for_a_later_end(world: World, present: datetime) -> None:
    place = await world.site(pending_request_days=30)
    person, _ = await world.member(place, ends_at=present)
    payload = await person.succeed(
        "requestExtension", ASKED, siteId=place.id, endsAt=LATER.isoformat(), justification=" Still needed "
    )
    request = payload["accessRequest"]
    assert (request["kind"], request["state"]) == ("EXTENSION", "PENDING")
    assert datetime.fromisoformat(request["requestedEndsAt"]) == LATER
    assert request["justification"] == "Still needed"
    assert (request["site"] is None) is (present != SOON)
    (row,) = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    assert (row.site_id, row.site_number) == (place.site_id, place.number)
    assert row.expires_at is not None
    (event,) = await world.events(place)
    assert (event.event, event.justification) == ("ACCESS_REQUESTED", "Still needed")
    assert event.after["kind"] == "EXTENSION"


@pytest.mark.parametrize(
    ("present", "wished", "codes"),
    [
        (LATER, SOON, ["END_NOT_LATER"]),
        (SOON, SOON, ["END_NOT_LATER"]),
        (None, SOON, ["END_NOT_LATER"]),
        (SOON, ago(days=1), ["END_IN_PAST", "END_NOT_LATER"]),
        (ago(days=2), ago(days=1), ["END_IN_PAST"]),
        (SOON, ago(days=-365 * 11), ["END_TOO_FAR"]),
    ],
)
async def test_a_wrong_end_is_refused(
    world: World, present: datetime | None, wished: datetime, codes: list[str]
) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=present)
    refusal = await person.refused(
        "requestExtension", siteId=place.id, endsAt=wished.isoformat(), justification="Still needed"
    )
    assert refusal == [(code, "endsAt") for code in codes]


@pytest.mark.parametrize(
    ("who", "extension", "higher"),
    [
        ("primary", "FORBIDDEN", "FORBIDDEN"),
        ("stranger", "NOT_FOUND", "NOT_FOUND"),
        ("ended", None, "NOT_FOUND"),
        ("user", "END_NOT_LATER", None),
        ("manage_access=UPDATE", "END_NOT_LATER", None),
    ],
)
async def test_who_may_ask(world: World, who: str, extension: str | None, higher: str | None) -> None:
    place = await world.site()
    inputs = {
        "requestExtension": {"endsAt": SOON.isoformat()},
        "requestHigherLevel": {"privileges": {"reporting": "VIEW"}},
    }
    for (mutation, input), code in zip(inputs.items(), (extension, higher), strict=True):
        caller = await world.caller(place, who)
        given = {"siteId": place.id, "justification": "Needed", **input}
        if code is None:
            await caller.succeed(mutation, **given)
        else:
            assert [found for found, _ in await caller.refused(mutation, **given)] == [code]


@pytest.mark.parametrize("mutation", ["requestExtension", "requestHigherLevel"])
@pytest.mark.parametrize("justification", ["", " ", "x" * 2001, "\x00"])
async def test_a_reason_that_can_be_read_is_needed(world: World, mutation: str, justification: str) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=SOON)
    wish = {"endsAt": LATER.isoformat()} if mutation == "requestExtension" else {"role": "SECONDARY_CONTACT"}
    ((_, path),) = await person.refused(mutation, siteId=place.id, justification=justification, **wish)
    assert path == "justification"


async def test_a_member_asks_for_higher_levels(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    payload = await person.succeed(
        "requestHigherLevel",
        ASKED,
        siteId=place.id,
        justification="New duties",
        role="SECONDARY_CONTACT",
        privileges={"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}},
    )
    request = payload["accessRequest"]
    assert (request["kind"], request["requestedRole"]) == ("HIGHER_LEVEL", "SECONDARY_CONTACT")
    wished = {"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}}
    assert request["requestedPrivileges"] == wished
    assert request["requestedEndsAt"] is None
    assert (await membership_of(world, place, person)).reporting is ViewLevel.NONE


ACCOUNT = "privileges.accountManagement.manageAccess"


@pytest.mark.parametrize(
    ("role", "input", "faults"),
    [
        (Role.USER, {}, [("REQUIRED", "privileges")]),
        (Role.USER, {"privileges": {}}, [("REQUIRED", "privileges")]),
        (Role.USER, {"privileges": {"reporting": "VIEW"}}, [("NOT_HIGHER", "privileges.reporting")]),
        (Role.USER, {"privileges": {"reporting": "NONE"}}, [("NOT_HIGHER", "privileges.reporting")]),
        (Role.USER, {"role": "USER"}, [("NOT_HIGHER", "role")]),
        (Role.SECONDARY_CONTACT, {"role": "SECONDARY_CONTACT"}, [("NOT_HIGHER", "role")]),
        (Role.SECONDARY_CONTACT, {"role": "USER"}, [("NOT_HIGHER", "role")]),
        (Role.USER, {"role": "PRIMARY_CONTACT"}, [("ROLE_NOT_ASSIGNABLE", "role")]),
        (
            Role.USER,
            {"privileges": {"accountManagement": {"manageAccess": "VIEW"}}},
            [("LEVEL_NOT_FOR_ROLE", ACCOUNT)],
        ),
        (
            Role.USER,
            {"role": "USER", "privileges": {"reporting": "VIEW", "entitlementInventory": "NONE"}},
            [
                ("NOT_HIGHER", "role"),
                ("NOT_HIGHER", "privileges.reporting"),
                ("NOT_HIGHER", "privileges.entitlementInventory"),
            ],
        ),
    ],
)
async def test_only_more_than_one_holds_can_be_asked_for(
    world: World, role: Role, input: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    place = await world.site()
    person, _ = await world.member(place, role, reporting=ViewLevel.VIEW)
    refusal = await person.refused("requestHigherLevel", siteId=place.id, justification="More", **input)
    assert refusal == faults


async def test_one_request_of_any_kind_is_pending(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=SOON)
    request_id = await extend(person, place)
    again = {"siteId": place.id, "justification": "More"}
    for mutation, wish in (
        ("requestExtension", {"endsAt": LATEST.isoformat()}),
        ("requestHigherLevel", {"role": "SECONDARY_CONTACT"}),
    ):
        assert await person.refused(mutation, **again, **wish) == [("PENDING_REQUEST_EXISTS", "siteId")]
    await person.succeed("withdrawAccessRequest", accessRequestId=request_id)
    await ask_for_more(person, place, role="SECONDARY_CONTACT")


async def grant(person: Person, request_id: str, **input: Any) -> dict[str, Any]:
    return await person.succeed("grantAccessRequest", GRANTED, accessRequestId=request_id, **input)


@pytest.mark.parametrize("who", MANAGERS)
@pytest.mark.parametrize("present", [SOON, ago(days=1)], ids=["active", "ended"])
async def test_granting_an_extension_moves_the_end_and_nothing_else(
    world: World, who: str, present: datetime
) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    person, membership_id = await world.secondary(
        place, ends_at=present, manage_access=VIEW, reporting=ViewLevel.VIEW, created_at=ago(days=100)
    )
    before = await membership_of(world, place, person)
    payload = await grant(caller, await extend(person, place))
    membership = payload["membership"]
    assert (membership["id"], membership["role"]) == (membership_id, "SECONDARY_CONTACT")
    assert datetime.fromisoformat(membership["endsAt"]) == LATER
    assert membership["privileges"]["accountManagement"]["manageAccess"] == "VIEW"
    assert membership["active"] is True
    after = await membership_of(world, place, person)
    assert (after.created_at, after.seat) == (before.created_at, before.seat)
    assert payload["accessRequest"]["grantedRole"] == "SECONDARY_CONTACT"
    _, updated, granted = await world.events(place)
    assert (updated.event, granted.event) == ("MEMBERSHIP_UPDATED", "ACCESS_REQUEST_GRANTED")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"endsAt": LATEST.isoformat()}, LATEST),
        ({"endsAt": ago(days=-45).isoformat()}, ago(days=-45)),
        ({"endsAt": ago(days=-1).isoformat()}, SOON),
        ({"endsAt": None}, None),
    ],
)
async def test_the_decider_chooses_the_end_but_never_an_earlier_one(
    world: World, given: dict[str, Any], expected: datetime | None
) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=SOON)
    await grant(place.primary, await extend(person, place), **given)
    found = (await membership_of(world, place, person)).ends_at
    assert (found and abs((found - expected).total_seconds()) < 60) if expected else found is None


async def test_an_extension_that_is_over_before_it_is_granted(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=ago(days=2))
    _, request_id = await world.request(
        place, person, kind=EXTENSION, requested_ends_at=ago(days=1), justification="Still needed"
    )
    refusal = await place.primary.refused("grantAccessRequest", accessRequestId=request_id)
    assert refusal == [("END_IN_PAST", "endsAt")]
    await grant(place.primary, request_id, endsAt=LATER.isoformat())


@pytest.mark.parametrize(
    "nothing", [{}, {"privileges": None, "role": None}, {"privileges": {"accountManagement": {}}}]
)
async def test_granting_gives_what_was_asked_for_when_nothing_else_is_said(
    world: World, nothing: dict[str, Any]
) -> None:
    place = await world.site()
    person, membership_id = await world.member(
        place, ends_at=SOON, purchase_and_download=PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD
    )
    wishes = {"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}}
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT", privileges=wishes)
    payload = await grant(place.primary, request_id, **nothing)
    membership = payload["membership"]
    assert (membership["id"], membership["role"]) == (membership_id, "SECONDARY_CONTACT")
    assert membership["privileges"]["purchaseAndDownload"] == "SOFTWARE_DOWNLOAD"
    assert membership["privileges"]["reporting"] == "VIEW"
    assert membership["privileges"]["accountManagement"]["manageAccess"] == "VIEW"
    assert datetime.fromisoformat(membership["endsAt"]) == SOON
    assert payload["site"]["remainingSecondaryContactSeats"] == 3


async def test_the_decider_may_give_something_else_but_never_less_than_there_was(world: World) -> None:
    place = await world.site()
    person, _ = await world.secondary(place, entitlement_inventory=VIEW, manage_access=VIEW)
    request_id = await ask_for_more(person, place, privileges={"reporting": "VIEW"})
    given = {"entitlementInventory": "NONE", "entitlementAllocations": "VIEW"}
    payload = await grant(place.primary, request_id, role="USER", privileges=given)
    account = NOTHING["accountManagement"] | {"manageAccess": "VIEW"}  # type: ignore[operator]
    assert payload["membership"]["role"] == "SECONDARY_CONTACT"
    assert payload["membership"]["privileges"] == NOTHING | {
        "entitlementInventory": "VIEW",
        "entitlementAllocations": "VIEW",
        "accountManagement": account,
    }


async def test_a_wrong_grant_is_refused(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    request_id = await ask_for_more(person, place, privileges={"reporting": "VIEW"})
    refusal = await place.primary.refused(
        "grantAccessRequest",
        accessRequestId=request_id,
        privileges={"accountManagement": {"manageAccess": "VIEW"}},
        endsAt=ago(days=1).isoformat(),
    )
    assert sorted(refusal) == [("END_IN_PAST", "endsAt"), ("LEVEL_NOT_FOR_ROLE", ACCOUNT)]
    refusal = await place.primary.refused(
        "grantAccessRequest", accessRequestId=request_id, role="PRIMARY_CONTACT"
    )
    assert ("ROLE_NOT_ASSIGNABLE", "role") in refusal


async def test_a_request_for_access_needs_a_role(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    refusal = await place.primary.refused("grantAccessRequest", accessRequestId=request_id)
    assert refusal == [("REQUIRED", "role")]


async def test_levels_of_an_ended_membership_are_not_raised_without_a_new_end(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=ago(seconds=1))
    _, request_id = await world.request(
        place, person, kind=HIGHER, reporting=ViewLevel.VIEW, justification="More"
    )
    refusal = await place.primary.refused("grantAccessRequest", accessRequestId=request_id)
    assert refusal == [("MEMBERSHIP_ENDED", "accessRequestId")]
    payload = await grant(place.primary, request_id, endsAt=SOON.isoformat())
    assert payload["membership"]["privileges"]["reporting"] == "VIEW"
    assert payload["membership"]["active"] is True


async def test_a_denial_leaves_everything_as_it_was(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=SOON)
    request_id = await extend(person, place)
    await place.primary.succeed(
        "denyAccessRequest", accessRequestId=request_id, reason="ACCESS_NOT_NECESSARY"
    )
    assert (await membership_of(world, place, person)).ends_at == SOON


@pytest.mark.parametrize("who", ["manage_access=VIEW", "manage_access=NONE", "user", "ended", "stranger"])
async def test_nobody_else_decides_and_nobody_their_own(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    person, _ = await world.secondary(place, manage_access=UPDATE, ends_at=SOON)
    request_id = await extend(person, place)
    for decider in (caller, person):
        for mutation, input in (
            ("grantAccessRequest", {}),
            ("denyAccessRequest", {"reason": "UNKNOWN_REQUESTER"}),
        ):
            ((code, _),) = await decider.refused(mutation, accessRequestId=request_id, **input)
            assert code in ("FORBIDDEN", "NOT_FOUND")


async def state_of(world: World, person: Person) -> AccessRequestState:
    (row,) = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    state: AccessRequestState = row.state
    return state


async def test_what_a_member_asked_for_ends_with_their_access(world: World) -> None:
    place = await world.site()
    removed, removed_id = await world.member(place, ends_at=SOON)
    leaving, _ = await world.member(place)
    await extend(removed, place)
    await ask_for_more(leaving, place, role="SECONDARY_CONTACT")
    await place.primary.succeed("removeMembership", membershipId=removed_id)
    await leaving.succeed("leaveSite", siteId=place.id)
    assert await state_of(world, removed) is AccessRequestState.DENIED
    assert await state_of(world, leaving) is AccessRequestState.WITHDRAWN
    assert [event.event for event in await world.events(place)] == [
        "ACCESS_REQUESTED",
        "ACCESS_REQUESTED",
        "MEMBERSHIP_REMOVED",
        "ACCESS_REQUEST_DENIED",
        "SITE_LEFT",
        "ACCESS_REQUEST_WITHDRAWN",
    ]
    # Both may ask for access anew.
    for person in (removed, leaving):
        await person.succeed("requestAccess", siteNumber=place.number)


async def test_a_request_for_access_outlasts_a_membership(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place, ends_at=ago(days=1))
    await person.succeed("requestAccess", siteNumber=place.number)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    assert await state_of(world, person) is AccessRequestState.PENDING


async def test_requests_are_found_by_their_kind(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place, ends_at=SOON)
    await extend(member, place)
    await world.request(place)
    document = """query($id: ID!, $filter: AccessRequestFilter) { site(id: $id) {
      accessRequests(filter: $filter) { nodes { kind } } } }"""
    for kinds, expected in ((["EXTENSION"], ["EXTENSION"]), (["HIGHER_LEVEL"], []), ([], [])):
        data = await place.primary.ask(document, id=place.id, filter={"kinds": kinds})
        assert [node["kind"] for node in data["site"]["accessRequests"]["nodes"]] == expected
    both = {"kinds": ["EXTENSION", "ACCESS"], "states": ["PENDING"]}
    data = await place.primary.ask(document, id=place.id, filter=both)
    assert len(data["site"]["accessRequests"]["nodes"]) == 2


async def test_who_became_primary_contact_is_not_raised(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place)
    request_id = await ask_for_more(person, place, role="SECONDARY_CONTACT")
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    nomination_id = await world.nomination(place, membership_id)
    await person.succeed("acceptNomination", nominationId=nomination_id)
    refusal = await manager.refused("grantAccessRequest", accessRequestId=request_id)
    assert refusal == [("REQUEST_CLOSED", "accessRequestId")]
    assert await state_of(world, person) is AccessRequestState.WITHDRAWN


async def test_an_addition_grants_the_extension_of_an_ended_member(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=ago(days=1))
    await extend(person, place)
    await place.primary.succeed(
        "addUser",
        siteId=place.id,
        ibmId=person.ibm_id,
        email=person.ibm_id,
        confirmed=True,
        justification="Back again",
        role="USER",
    )
    assert await state_of(world, person) is AccessRequestState.GRANTED


async def test_asking_many_times_at_once_leaves_one_pending_request(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place, ends_at=SOON)
    acts = [
        person.do("requestExtension", siteId=place.id, endsAt=LATER.isoformat(), justification="Needed")
        for _ in range(6)
    ]
    acts += [
        person.do("requestHigherLevel", siteId=place.id, role="SECONDARY_CONTACT", justification="Needed")
        for _ in range(6)
    ]
    assert outcomes(await at_once(acts)) == {"done": 1, "PENDING_REQUEST_EXISTS": 11}


async def test_granting_and_removing_at_once(world: World) -> None:
    """Whichever comes first, nothing pending is left, and nobody is a member who was removed."""
    for _ in range(5):
        place = await world.site()
        person, membership_id = await world.member(place, ends_at=SOON)
        request_id = await extend(person, place)
        payloads = await asyncio.gather(
            place.primary.do("grantAccessRequest", accessRequestId=request_id),
            place.primary.do("removeMembership", membershipId=membership_id),
        )
        assert set(outcomes(payloads)) <= {"done", "ALREADY_DECIDED"}
        assert await state_of(world, person) is not AccessRequestState.PENDING
        key = Membership.user_id == person.user_id
        assert await world.rows(Membership, Membership.site_id == place.site_id, key) == []
