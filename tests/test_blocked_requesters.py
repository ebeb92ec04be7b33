"""Blocked requesters: their requests do not reach the site, and nothing tells them so."""

import asyncio
import json
import unicodedata
from typing import Any
from uuid import uuid4

import pytest

from app.db.models import AccessRequest, HistoryEvent, Membership
from app.db.site_rules import BlockedRequester, Naming
from app.query.ids import write_id
from app.rules import AccessRequestState
from app.site_rules import NamingKind, NamingState
from tests.access import form, newcomer
from tests.receiver import webhook_row
from tests.site_rules import blocked_row, naming_row, strict_site
from tests.world import VIEW, Person, Place, World, ago

LIST = """query($id: ID!, $first: Int, $after: String) { site(id: $id) {
  blockedRequesters(first: $first, after: $after) {
  totalCount pageInfo { hasNextPage endCursor } nodes { id ibmId reason createdAt blockedBy { ibmId } } } } }"""
OWN = """{ viewer { accessRequests { totalCount nodes { id siteNumber state justification createdAt closedAt expiresAt
  denialReason grantedRole site { id } decidedBy { id } requester { ibmId } } } } }"""
ASKED = "accessRequest { id state siteNumber expiresAt site { id } justification }"
REQUESTS = "query($id: ID!) { site(id: $id) { accessRequests { totalCount nodes { id } } } }"


async def blocked_at(person: Person, place: Place, **page: Any) -> Any:
    return (await person.ask(LIST, id=place.id, **page))["site"]


async def reaching(place: Place) -> list[str]:
    """The ids of the requests that a decider of the site sees."""
    requests = (await place.primary.ask(REQUESTS, id=place.id))["site"]["accessRequests"]
    assert requests["totalCount"] == len(requests["nodes"])
    return [request["id"] for request in requests["nodes"]]


def shown(payload: Any) -> str:
    """An answer without what differs between any two requests."""
    plain = json.dumps(payload)
    for request in _requests(payload):
        for name in ("id", "createdAt"):
            if request.get(name):
                plain = plain.replace(json.dumps(request[name]), '"-"')
    return plain


def _requests(payload: Any) -> list[dict[str, Any]]:
    if isinstance(payload, list):
        return [found for item in payload for found in _requests(item)]
    if not isinstance(payload, dict):
        return []
    below = [found for value in payload.values() for found in _requests(value)]
    return [payload, *below] if "siteNumber" in payload else below


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE"])
async def test_deciders_block_and_unblock(world: World, who: str) -> None:
    place = await world.site()
    person, ibm_id = await world.caller(place, who), newcomer().upper()
    answer = (
        "blockedRequester { id ibmId reason blockedBy { ibmId } } site { blockedRequesters { totalCount } }"
    )
    asked = {"siteId": place.id, "ibmId": f" {ibm_id} ", "reason": " Asks every day "}
    payload = await person.succeed("blockRequester", answer, **asked)
    blocked = payload["blockedRequester"]
    assert (blocked["ibmId"], blocked["reason"]) == (ibm_id, "Asks every day")
    assert blocked["blockedBy"] == {"ibmId": person.ibm_id}
    assert payload["site"]["blockedRequesters"] == {"totalCount": 1}
    gone = await person.succeed(
        "unblockRequester", "unblockedRequesterId accessRequest { id }", blockedRequesterId=blocked["id"]
    )
    assert (gone["unblockedRequesterId"], gone["accessRequest"]) == (blocked["id"], None)
    events = [(event.event, event.subject_name, event.reason) for event in await world.events(place)]
    assert events == [
        ("REQUESTER_BLOCKED", ibm_id, "Asks every day"),
        ("REQUESTER_UNBLOCKED", ibm_id, None),
    ]
    assert not await world.rows(BlockedRequester, BlockedRequester.site_id == place.site_id)


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("contact_updates=UPDATE", "FORBIDDEN"),
        ("user", "FORBIDDEN"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_nobody_else_blocks_or_learns_who_is_blocked(world: World, who: str, code: str) -> None:
    place = await world.site()
    person, row = await world.caller(place, who), blocked_row(place)
    id = write_id("blocked_requester", row.id)
    await world.add(row)
    refusal = await person.refused("blockRequester", siteId=place.id, ibmId=newcomer())
    assert refusal == [(code, "siteId")]
    refusal = await person.refused("unblockRequester", blockedRequesterId=id)
    assert refusal == [("NOT_FOUND", "blockedRequesterId")]
    site = await blocked_at(person, place)
    assert site is None or site["blockedRequesters"]["nodes"] == []
    assert site is None or site["blockedRequesters"]["totalCount"] == 0
    document = "query($id: ID!) { node(id: $id) { id } }"
    assert (await person.ask(document, id=id))["node"] is None
    assert (await place.primary.ask(document, id=id))["node"] == {"id": id}


async def test_who_sees_the_users_sees_who_is_blocked_as_in_the_history_but_changes_nothing(
    world: World,
) -> None:
    place = await world.site()
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    ibm_id = newcomer()
    row = blocked_row(place, ibm_id)
    id = write_id("blocked_requester", row.id)
    await world.add(row)
    [seen] = (await blocked_at(viewer, place))["blockedRequesters"]["nodes"]
    assert (seen["ibmId"], seen["blockedBy"]) == (ibm_id, {"ibmId": place.primary.ibm_id})
    assert (await viewer.ask("query($id: ID!) { node(id: $id) { id } }", id=id))["node"] == {"id": id}
    refusal = await viewer.refused("blockRequester", siteId=place.id, ibmId=newcomer())
    assert refusal == [("FORBIDDEN", "siteId")]
    assert await viewer.refused("unblockRequester", blockedRequesterId=id) == [
        ("FORBIDDEN", "blockedRequesterId")
    ]


@pytest.mark.parametrize(
    ("ibm_id", "code"),
    [("", "REQUIRED"), ("  ", "REQUIRED"), ("a b", "INVALID_IBM_ID"), ("x" * 255, "TOO_LONG"),
     ("a\x00b", "FORBIDDEN_CHARACTERS"), ("\ud800", "FORBIDDEN_CHARACTERS")],
)  # fmt: skip
async def test_what_is_no_ibm_id_cannot_be_blocked(world: World, ibm_id: str, code: str) -> None:
    place = await world.site()
    refusal = await place.primary.refused("blockRequester", siteId=place.id, ibmId=ibm_id)
    assert refusal == [(code, "ibmId")]


async def test_a_reason_that_is_too_long_is_refused(world: World) -> None:
    place = await world.site()
    asked = {"siteId": place.id, "ibmId": "a b", "reason": "x" * 2001}
    refusal = await place.primary.refused("blockRequester", **asked)
    assert refusal == [("INVALID_IBM_ID", "ibmId"), ("TOO_LONG", "reason")]


async def test_nobody_is_blocked_twice_also_not_in_another_case_or_at_once(world: World) -> None:
    place, ibm_id = await world.site(), f"rené-{newcomer()}"
    spelled = [ibm_id, ibm_id.upper(), unicodedata.normalize("NFD", ibm_id)]
    acts = [place.primary.do("blockRequester", siteId=place.id, ibmId=one) for one in spelled]
    payloads = await asyncio.gather(*acts)
    codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
    assert codes == ["ALREADY_BLOCKED"] * 2
    french = await place.primary.do("blockRequester", language="fr", siteId=place.id, ibmId=ibm_id)
    assert french["errors"][0]["message"] == "Cette personne est déjà bloquée."
    elsewhere = await world.site()
    await elsewhere.primary.succeed("blockRequester", siteId=elsewhere.id, ibmId=ibm_id)


async def test_the_list_comes_in_pages(world: World) -> None:
    place = await world.site()
    rows = [blocked_row(place) for _ in range(3)]
    names = [row.ibm_id for row in rows]
    for row in rows:
        await world.add(row)
    first = (await blocked_at(place.primary, place, first=2))["blockedRequesters"]
    assert first["totalCount"] == 3
    cursor = first["pageInfo"]["endCursor"]
    second = (await blocked_at(place.primary, place, first=2, after=cursor))["blockedRequesters"]
    assert [node["ibmId"] for node in first["nodes"] + second["nodes"]] == names
    assert not second["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize("days", [None, 5])
@pytest.mark.parametrize("language", ["en", "fr"])
async def test_a_blocked_requester_is_answered_like_everybody(
    world: World, days: int | None, language: str
) -> None:
    place = await world.site(pending_request_days=days)
    blocked, other = await world.person(), await world.person()
    await world.add(blocked_row(place, blocked.ibm_id.upper()))
    seen = []
    for person in (blocked, other):
        asked = {"siteNumber": place.number, "justification": "I need it"}
        dry = await person.do("requestAccess", ASKED, language, **asked, validateOnly=True)
        made = await person.do("requestAccess", ASKED, language, **asked)
        again = await person.do("requestAccess", ASKED, language, **asked)
        own = await person.ask(OWN, language)
        node = (
            "query($id: ID!) { node(id: $id) { ... on AccessRequest { id siteNumber state site { id } } } }"
        )
        read = await person.ask(node, language, id=made["accessRequest"]["id"])
        withdrawn = await person.do(
            "withdrawAccessRequest", ASKED, language, accessRequestId=made["accessRequest"]["id"]
        )
        told = [shown(one) for one in (dry, made, again, own, read, withdrawn)]
        seen.append([text.replace(person.ibm_id, "somebody") for text in told])
    assert seen[0] == seen[1]
    assert "PENDING_REQUEST_EXISTS" in seen[0][2] and '"WITHDRAWN"' in seen[0][5]


async def test_the_request_of_a_blocked_requester_reaches_nobody(world: World) -> None:
    place, blocked = await world.site(), await world.person()
    await world.add(blocked_row(place, blocked.ibm_id), webhook_row(place, events=[]))
    made = await blocked.succeed("requestAccess", ASKED, siteNumber=place.number)
    request_id = made["accessRequest"]["id"]
    assert await reaching(place) == []
    assert await world.events(place) == []
    preview = (
        "query($i: AddUserPreviewInput!) { addUserPreview(input: $i) { known pendingAccessRequest { id } } }"
    )
    looked_up = {"siteId": place.id, "ibmId": blocked.ibm_id}
    found = (await place.primary.ask(preview, i=looked_up))["addUserPreview"]
    assert found == {"known": True, "pendingAccessRequest": None}
    for mutation, rest in (
        ("grantAccessRequest", {"role": "USER"}),
        ("denyAccessRequest", {"reason": "UNKNOWN_REQUESTER"}),
    ):
        refusal = await place.primary.refused(mutation, accessRequestId=request_id, **rest)
        assert refusal == [("NOT_FOUND", "accessRequestId")]
    [event] = await world.rows(
        HistoryEvent, HistoryEvent.stream == blocked.user_id, HistoryEvent.event == "ACCESS_REQUESTED"
    )
    assert event.site_id is None


async def test_a_blocked_requesters_request_expires_like_all_and_can_be_made_again(world: World) -> None:
    place, blocked = await world.site(pending_request_days=5), await world.person()
    await world.add(blocked_row(place, blocked.ibm_id))
    await world.add(
        AccessRequest(site_number=place.number, requester_id=blocked.user_id, expires_at=ago(minutes=1))
    )
    await blocked.succeed("requestAccess", siteNumber=place.number)
    rows = await world.rows(AccessRequest, AccessRequest.requester_id == blocked.user_id)
    assert sorted(row.state.name for row in rows) == ["EXPIRED", "PENDING"]
    assert {row.site_id for row in rows} == {None}
    [pending] = [row for row in rows if row.state is AccessRequestState.PENDING]
    assert pending.expires_at is not None


async def test_blocking_takes_a_pending_request_away_and_unblocking_brings_it_back(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    _, other_id = await world.request(place)
    payload = await place.primary.succeed(
        "blockRequester", "blockedRequester { id }", siteId=place.id, ibmId=person.ibm_id.upper()
    )
    assert await reaching(place) == [other_id]
    own = (await person.ask(OWN))["viewer"]["accessRequests"]["nodes"]
    assert [(node["id"], node["state"]) for node in own] == [(request_id, "PENDING")]
    gone = await place.primary.succeed(
        "unblockRequester",
        "accessRequest { id state site { id } }",
        blockedRequesterId=payload["blockedRequester"]["id"],
    )
    assert gone["accessRequest"] == {"id": request_id, "state": "PENDING", "site": {"id": place.id}}
    assert sorted(await reaching(place)) == sorted([request_id, other_id])
    events = [event.event for event in await world.events(place)]
    assert events == ["REQUESTER_BLOCKED", "REQUESTER_UNBLOCKED", "ACCESS_REQUESTED"]
    await place.primary.succeed("grantAccessRequest", accessRequestId=request_id, role="USER")


async def test_closed_requests_stay_with_the_site(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    await place.primary.succeed("denyAccessRequest", accessRequestId=request_id, reason="UNKNOWN_REQUESTER")
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=person.ibm_id)
    assert await reaching(place) == [request_id]


async def test_a_request_that_ran_out_does_not_come_back(world: World) -> None:
    place, person, row_id = await world.site(), await world.person(), None
    row = blocked_row(place, person.ibm_id)
    row_id = write_id("blocked_requester", row.id)
    late = AccessRequest(site_number=place.number, requester_id=person.user_id, expires_at=ago(days=1))
    await world.add(row, late)
    gone = await place.primary.succeed("unblockRequester", "accessRequest { id }", blockedRequesterId=row_id)
    assert (gone["accessRequest"], await reaching(place)) == (None, [])


async def test_a_blocked_person_can_be_added_and_stays_blocked(world: World) -> None:
    place, person = await world.site(), await world.person()
    await world.add(blocked_row(place, person.ibm_id))
    made = await person.succeed("requestAccess", ASKED, siteNumber=place.number)
    answer = "membership { role } accessRequest { id state }"
    payload = await place.primary.succeed("addUser", answer, **form(place, person.ibm_id))
    assert payload["membership"] == {"role": "USER"}
    assert payload["accessRequest"] == {"id": made["accessRequest"]["id"], "state": "GRANTED"}
    assert await reaching(place) == [made["accessRequest"]["id"]]
    assert len(await world.rows(BlockedRequester, BlockedRequester.site_id == place.site_id)) == 1


async def test_a_naming_by_the_request_is_cancelled_when_its_requester_is_blocked(world: World) -> None:
    place, _ = await strict_site(world)
    person, _ = await world.request(place)
    [request] = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
    await world.add(naming_row(place, person, kind=NamingKind.GRANT, access_request_id=request.id))
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=person.ibm_id)
    [naming] = await world.rows(Naming, Naming.user_id == person.user_id)
    assert naming.state is NamingState.CANCELLED


async def test_blocking_while_the_request_is_made_leaves_nothing_in_between(world: World) -> None:
    for _ in range(5):
        place, person = await world.site(), await world.person()
        blocked, asked = await asyncio.gather(
            place.primary.do("blockRequester", siteId=place.id, ibmId=person.ibm_id),
            person.do("requestAccess", siteNumber=place.number),
        )
        assert (blocked["errors"], asked["errors"]) == ([], [])
        assert await reaching(place) == []


async def test_a_dry_run_blocks_nobody(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    tried = {"siteId": place.id, "ibmId": person.ibm_id, "validateOnly": True}
    async with world.unchanged():
        answer = "blockedRequester { ibmId } site { accessRequests { totalCount } }"
        payload = await place.primary.succeed("blockRequester", answer, **tried)
    assert payload["blockedRequester"] == {"ibmId": person.ibm_id}
    assert payload["site"]["accessRequests"]["totalCount"] == 0
    assert await reaching(place) == [request_id]


async def test_members_who_are_blocked_stay_members(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=person.ibm_id)
    assert len(await world.rows(Membership, Membership.user_id == person.user_id)) == 1
    assert await person.refused("requestAccess", siteNumber=place.number) == [
        ("ALREADY_MEMBER", "siteNumber")
    ]


async def test_somebody_unknown_is_blocked_before_they_sign_in(world: World) -> None:
    place, ibm_id = await world.site(), f"later-{uuid4().hex}@example.com"
    await place.primary.succeed("blockRequester", siteId=place.id, ibmId=ibm_id)
    await Person(world, ibm_id).succeed("requestAccess", siteNumber=place.number)
    assert await reaching(place) == []
