"""Access requests from the requester's side: asked for, seen, expired, withdrawn."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.db.models import AccessRequest
from app.rules import AccessRequestState, DenialReason
from tests.access import CLOSED
from tests.world import VIEW, Person, World, ago

REQUEST = """__typename id siteNumber state justification approverJustification grantedRole denialReason
  createdAt closedAt expiresAt requester { ibmId } decidedBy { name } site { id name }
  kind requestedRole requestedEndsAt
  requestedPrivileges { purchaseAndDownload reporting entitlementInventory entitlementAllocations
    accountManagement { manageAccess contactUpdates accountDocuments } }
  history { totalCount pageInfo { hasNextPage } nodes { number event actorName actor { name } client subjectType
    subjectName reason justification before { __typename } changes { field before }
    after { ... on AccessRequestSnapshot { state justification requestedPrivileges { reporting } } } } }
  viewerCan { grant { allowed code reason } deny { allowed code reason } withdraw { allowed code reason } }"""
"""Everything that can be selected of a request, but for the ids and moments of its events."""
WISHES = {
    "purchaseAndDownload": "SOFTWARE_DOWNLOAD",
    "reporting": "VIEW",
    "entitlementInventory": "UPDATE",
    "entitlementAllocations": None,
    "accountManagement": {"manageAccess": "VIEW", "contactUpdates": None, "accountDocuments": "VIEW"},
}


async def asks(person: Person, number: str, **input: Any) -> dict[str, Any]:
    """The request that a person makes."""
    payload = await person.succeed(
        "requestAccess", f"accessRequest {{ {REQUEST} }}", siteNumber=number, **input
    )
    request: dict[str, Any] = payload["accessRequest"]
    return request


async def own_requests(person: Person) -> list[dict[str, Any]]:
    data = await person.ask(f"{{ viewer {{ accessRequests {{ totalCount nodes {{ {REQUEST} }} }} }} }}")
    requests: list[dict[str, Any]] = data["viewer"]["accessRequests"]["nodes"]
    assert len(requests) == data["viewer"]["accessRequests"]["totalCount"]
    return requests


async def by_node(person: Person, id: str) -> Any:
    document = f"query($id: ID!) {{ node(id: $id) {{ ... on AccessRequest {{ {REQUEST} }} }} }}"
    return (await person.ask(document, id=id))["node"]


def alike(request: dict[str, Any]) -> dict[str, Any]:
    """A request without what differs from one to the next anyway."""
    return {name: value for name, value in request.items() if name not in ("id", "siteNumber", "createdAt")}


@pytest.mark.parametrize("days", [None, 30])
async def test_an_unknown_number_is_answered_exactly_like_a_known_one(world: World, days: int | None) -> None:
    place = await world.site(pending_request_days=days)
    person = await world.person()
    known = await asks(person, place.number, justification="Updates", privileges=WISHES)
    unknown = await asks(person, f"{place.number}-NOT", justification="Updates", privileges=WISHES)
    assert alike(known) == alike(unknown)
    assert known["state"] == "PENDING"
    assert (known["site"], known["expiresAt"], known["decidedBy"]) == (None, None, None)
    assert await own_requests(person) == [known, unknown]
    assert [await by_node(person, request["id"]) for request in (known, unknown)] == [known, unknown]


async def test_every_field_of_a_request_is_compared_above(world: World) -> None:
    person = await world.person()
    fields = '{ __type(name: "AccessRequest") { fields { name } } }'
    names = {field["name"] for field in (await person.ask(fields))["__type"]["fields"]}
    assert names | {"__typename"} == set(await asks(person, "NO-SUCH-SITE"))


async def test_an_unknown_number_is_refused_like_a_known_one(world: World) -> None:
    place = await world.site()
    person = await world.person()
    for number in (place.number, "NO-SUCH-SITE"):
        await asks(person, number)
        refusal = await person.refused("requestAccess", siteNumber=number)
        assert refusal == [("PENDING_REQUEST_EXISTS", "siteNumber")]


async def test_the_requester_sees_nothing_of_the_site(world: World) -> None:
    place = await world.site()
    person = await world.person()
    await asks(person, place.number)
    document = "query($id: ID!, $n: String!) { node(id: $id) { id } site(number: $n) { id } }"
    assert await person.ask(document, id=place.id, n=place.number) == {"node": None, "site": None}


@pytest.mark.parametrize("typed", ["{}", "  {}\t\n", "\u00a0{} ", "\ufeff{}\u200b "])
async def test_a_number_may_be_typed_in_any_case_with_spaces_around_it(world: World, typed: str) -> None:
    place = await world.site()
    person = await world.person()
    request = await asks(person, typed.format(place.number.lower()))
    assert request["siteNumber"] == place.number
    count = "query($id: ID!) { site(id: $id) { accessRequests { nodes { id requester { ibmId } } } } }"
    listed = (await place.primary.ask(count, id=place.id))["site"]["accessRequests"]["nodes"]
    assert listed == [{"id": request["id"], "requester": {"ibmId": person.ibm_id}}]


async def test_justification_and_wished_levels_are_kept_for_the_deciders(world: World) -> None:
    place = await world.site()
    person = await world.person()
    request = await asks(person, place.number, justification=" Mises à jour\nsur site ", privileges=WISHES)
    seen = await by_node(place.primary, request["id"])
    assert seen["justification"] == request["justification"] == "Mises à jour\nsur site"
    assert seen["requestedPrivileges"] == request["requestedPrivileges"] == WISHES


async def test_justification_and_wishes_may_be_left_out(world: World) -> None:
    request = await asks(await world.person(), "NO-SUCH-SITE", justification="  ")
    assert request["justification"] is None
    assert request["requestedPrivileges"] == {
        "purchaseAndDownload": None,
        "reporting": None,
        "entitlementInventory": None,
        "entitlementAllocations": None,
        "accountManagement": {"manageAccess": None, "contactUpdates": None, "accountDocuments": None},
    }


@pytest.mark.parametrize(
    ("input", "faults"),
    [
        ({"siteNumber": " "}, [("REQUIRED", "siteNumber")]),
        ({"siteNumber": "1" * 31}, [("TOO_LONG", "siteNumber")]),
        ({"siteNumber": "1\x00"}, [("FORBIDDEN_CHARACTERS", "siteNumber")]),
        ({"siteNumber": "1\ud800"}, [("FORBIDDEN_CHARACTERS", "siteNumber")]),
        (
            {"siteNumber": "", "justification": "x" * 2001},
            [("REQUIRED", "siteNumber"), ("TOO_LONG", "justification")],
        ),
        ({"siteNumber": "1", "justification": "\x00"}, [("FORBIDDEN_CHARACTERS", "justification")]),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused(
    world: World, input: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    assert await (await world.person()).refused("requestAccess", **input) == faults


async def test_a_second_pending_request_is_refused_however_the_number_is_typed(world: World) -> None:
    place = await world.site()
    person, _ = await world.request(place)
    refusal = await person.refused("requestAccess", siteNumber=f" {place.number.lower()} ")
    assert refusal == [("PENDING_REQUEST_EXISTS", "siteNumber")]


@pytest.mark.parametrize(
    ("who", "end"),
    [
        ("requester", ("withdrawAccessRequest", {})),
        ("primary", ("denyAccessRequest", {"reason": "UNKNOWN_REQUESTER"})),
    ],
)
async def test_asking_again_makes_a_new_request_and_leaves_the_closed_one(
    world: World, who: str, end: tuple[str, dict[str, Any]]
) -> None:
    place = await world.site()
    person, first = await world.request(place)
    mutation, input = end
    await (person if who == "requester" else place.primary).succeed(mutation, accessRequestId=first, **input)
    closed = await by_node(person, first)
    second = await asks(person, place.number)
    assert second["id"] != first
    assert await own_requests(person) == [closed, second]


async def test_an_expired_request_is_computed_when_read_and_can_be_asked_again(world: World) -> None:
    place = await world.site(pending_request_days=5)
    moment = ago(minutes=1)
    person, first = await world.request(place, expires_at=moment)
    for reader in (person, place.primary):
        assert (await by_node(reader, first))["state"] == "EXPIRED"
    second = await asks(person, place.number)
    assert [request["state"] for request in await own_requests(person)] == ["EXPIRED", "PENDING"]
    assert (await by_node(person, second["id"]))["state"] == "PENDING"
    rows = await world.rows(AccessRequest, AccessRequest.state == AccessRequestState.EXPIRED)
    assert [row.closed_at for row in rows if row.requester_id == person.user_id] == [moment]


async def test_a_request_expires_after_the_days_of_the_site(world: World) -> None:
    place = await world.site(pending_request_days=5)
    request = await asks(await world.person(), place.number)
    seen = await by_node(place.primary, request["id"])
    length = datetime.fromisoformat(seen["expiresAt"]) - datetime.fromisoformat(seen["createdAt"])
    assert abs(length - timedelta(days=5)) < timedelta(seconds=10)


async def test_by_default_a_request_never_expires(world: World) -> None:
    place = await world.site()
    request = await asks(await world.person(), place.number)
    assert (await by_node(place.primary, request["id"]))["expiresAt"] is None


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "user"])
async def test_a_member_need_not_ask(world: World, who: str) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    refusal = await person.refused("requestAccess", siteNumber=place.number)
    assert refusal == [("ALREADY_MEMBER", "siteNumber")]


async def test_a_former_member_may_ask(world: World) -> None:
    place = await world.site()
    request = await asks(await world.caller(place, "ended"), place.number)
    assert (request["state"], request["site"]) == ("PENDING", None)


@pytest.mark.parametrize("known", [True, False])
async def test_a_requester_withdraws_their_own_request(world: World, known: bool) -> None:
    place = await world.site()
    person = await world.person()
    request = await asks(person, place.number if known else "NO-SUCH-SITE")
    selection = f"accessRequest {{ {REQUEST} }}"
    payload = await person.succeed("withdrawAccessRequest", selection, accessRequestId=request["id"])
    withdrawn = payload["accessRequest"]
    told = [event["event"] for event in withdrawn["history"]["nodes"]]
    assert told == ["ACCESS_REQUESTED", "ACCESS_REQUEST_WITHDRAWN"]
    changed = {name: withdrawn[name] for name in ("closedAt", "history", "viewerCan")}
    assert withdrawn == request | {"state": "WITHDRAWN"} | changed
    assert request["viewerCan"]["withdraw"]["allowed"]
    assert withdrawn["viewerCan"]["withdraw"]["code"] == "REQUEST_CLOSED"
    assert withdrawn["closedAt"] is not None
    assert await own_requests(person) == [withdrawn]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("primary", "FORBIDDEN"),
        ("manage_access=UPDATE", "FORBIDDEN"),
        ("manage_access=VIEW", "FORBIDDEN"),
        ("manage_access=NONE", "NOT_FOUND"),
        ("user", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_nobody_withdraws_the_request_of_somebody_else(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, request_id = await world.request(place)
    refusal = await caller.refused("withdrawAccessRequest", accessRequestId=request_id)
    assert refusal == [(code, "accessRequestId")]


@pytest.mark.parametrize("closed", CLOSED, ids=["withdrawn", "expired", "just expired"])
async def test_a_closed_request_cannot_be_withdrawn(world: World, closed: dict[str, Any]) -> None:
    person, request_id = await world.request(await world.site(), **closed)
    refusal = await person.refused("withdrawAccessRequest", accessRequestId=request_id)
    assert refusal == [("REQUEST_CLOSED", "accessRequestId")]


async def test_who_withdraws_too_late_is_told_the_decision_but_not_who_decided(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(
        place,
        state=AccessRequestState.DENIED,
        denial_reason=DenialReason.NO_BUSINESS_RELATIONSHIP,
        decided_by_id=place.primary.user_id,
        closed_at=ago(hours=1),
    )
    async with world.unchanged():
        (error,) = (await person.do("withdrawAccessRequest", accessRequestId=request_id))["errors"]
    assert (error["code"], error["__typename"]) == ("ALREADY_DECIDED", "AlreadyDecidedError")
    decision = {"state": "DENIED", "denialReason": "NO_BUSINESS_RELATIONSHIP", "decidedBy": None}
    assert error["accessRequest"] == decision


async def test_one_person_may_wait_for_several_sites_and_one_site_has_several_requests(world: World) -> None:
    place, other = await world.site(), await world.site()
    person, somebody = await world.person(), await world.person()
    for who, where in ((person, place), (person, other), (somebody, place)):
        await asks(who, where.number)
    assert {request["siteNumber"] for request in await own_requests(person)} == {place.number, other.number}
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    count = "query($id: ID!) { site(id: $id) { accessRequests { totalCount } } }"
    assert (await viewer.ask(count, id=place.id))["site"]["accessRequests"]["totalCount"] == 2
