"""What a mutation wrote into the history, told with its answer: the diff, also of what is only tried."""

from typing import Any

import pytest

from app.rules import ContactType, UpdateLevel
from tests.site_rules import naming_row
from tests.world import CONTACT, UPDATE, Place, World

EVENTS = "events { id event subjectName changes { field before after } }"
RAISED = {
    "event": "MEMBERSHIP_UPDATED",
    "changes": [{"field": "privileges.reporting", "before": "NONE", "after": "VIEW"}],
}


def told(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: event[name] for name in ("event", "changes")} for event in payload["events"]]


async def in_history(place: Place) -> set[str]:
    document = "query($id: ID!) { site(id: $id) { history { nodes { id } } } }"
    data = await place.primary.ask(document, id=place.id)
    return {node["id"] for node in data["site"]["history"]["nodes"]}


async def test_a_dry_run_tells_the_change_that_then_is_made(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    input = {"membershipId": membership_id, "privileges": {"reporting": "VIEW"}}
    async with world.unchanged():
        tried = await place.primary.succeed("updateMembership", EVENTS, **input, validateOnly=True)
    done = await place.primary.succeed("updateMembership", EVENTS, **input)
    assert told(tried) == told(done) == [RAISED]
    assert {event["id"] for event in done["events"]} <= await in_history(place)
    assert not {event["id"] for event in tried["events"]} & await in_history(place)
    assert done["events"][0]["subjectName"] == member.ibm_id


async def test_what_changes_nothing_tells_of_nothing(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    payload = await place.primary.succeed("updateMembership", EVENTS, membershipId=membership_id, role="USER")
    assert payload["events"] == []


async def test_what_is_refused_tells_of_nothing(world: World) -> None:
    place = await world.site()
    payload = await place.primary.do("updateMembership", EVENTS, membershipId="membership_0", role="USER")
    assert payload["events"] == [] and payload["errors"]


@pytest.mark.parametrize("policy", ["GOOD_ONES", "ALL_OR_NOTHING"])
async def test_a_bulk_tells_of_the_items_that_were_done(world: World, policy: str) -> None:
    place = await world.site()
    ids = [(await world.member(place))[1] for _ in range(3)]
    changes = [{"privileges": {"reporting": "VIEW"}}] * 2 + [
        {"privileges": {"accountManagement": {"manageAccess": "VIEW"}}}
    ]
    items = [{"membershipId": id, **change} for id, change in zip(ids, changes, strict=True)]
    payload = await place.primary.do(
        "updateMemberships", EVENTS, siteId=place.id, items=[items[2], *items[:2]], errorPolicy=policy
    )
    assert told(payload) == ([RAISED, RAISED] if policy == "GOOD_ONES" else [])


async def test_a_bulk_tells_of_more_than_a_page(world: World) -> None:
    place = await world.site()
    ids = [(await world.member(place))[1] for _ in range(60)]
    items = [{"membershipId": id, "privileges": {"reporting": "VIEW"}} for id in ids]
    payload = await place.primary.succeed("updateMemberships", EVENTS, siteId=place.id, items=items)
    assert told(payload) == [RAISED] * 60


async def test_who_looks_after_contacts_is_told_what_they_did_to_them(world: World) -> None:
    place = await world.site()
    worker, _ = await world.secondary(place, contact_updates=UPDATE)
    contact_id = await world.contact(place, [ContactType.BILLING])
    payload = await worker.succeed(
        "updateContact", EVENTS, contactId=contact_id, **CONTACT | {"city": "Lyon"}
    )
    [event] = payload["events"]
    assert event["event"] == "CONTACT_UPDATED"
    assert "Lyon" in [change["after"] for change in event["changes"]]
    assert await in_history(place) >= {event["id"]}
    data = await worker.ask("query($id: ID!) { site(id: $id) { history { nodes { event } } } }", id=place.id)
    assert "CONTACT_UPDATED" not in [node["event"] for node in data["site"]["history"]["nodes"]]


async def test_nobody_is_told_of_what_they_may_not_see(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    await world.add(naming_row(place, member))
    await member.succeed(
        "requestHigherLevel", siteId=place.id, justification="Audit", privileges={"reporting": "VIEW"}
    )
    payload = await member.succeed("leaveSite", EVENTS, siteId=place.id)
    assert [event["event"] for event in payload["events"]] == ["ACCESS_REQUEST_WITHDRAWN"]
    happened = {row.event for row in await world.events(place)}
    assert {"SITE_LEFT", "NAMING_CANCELLED"} <= happened


async def test_who_asks_for_access_is_told_the_same_whether_the_site_exists(world: World) -> None:
    place, stranger, other = await world.site(), await world.person(), await world.person()
    known = await stranger.succeed("requestAccess", EVENTS, siteNumber=place.number, justification="Audit")
    unknown = await other.succeed("requestAccess", EVENTS, siteNumber="NO-SUCH-SITE", justification="Audit")
    assert [event["event"] for event in known["events"]] == ["ACCESS_REQUESTED"]
    number = known["events"][0]["changes"][0]
    assert number == {"field": "siteNumber", "before": None, "after": place.number}
    number["after"] = "NO-SUCH-SITE"
    assert told(known) == told(unknown)


async def test_who_hears_of_everything_is_told_of_everything(world: World) -> None:
    place = await world.site()
    decider, _ = await world.secondary(place, manage_access=UpdateLevel.UPDATE)
    _, request_id = await world.request(place)
    payload = await decider.succeed("grantAccessRequest", EVENTS, accessRequestId=request_id, role="USER")
    assert {event["event"] for event in payload["events"]} == {"USER_ADDED", "ACCESS_REQUEST_GRANTED"}
