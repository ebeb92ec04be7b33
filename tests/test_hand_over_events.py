"""What partner tools, subscribers and the history tell of nominations and hand-overs."""

import json

import pytest
from httpx2 import AsyncClient

from app.db.webhooks import WebhookDelivery
from tests.live import Server, joined
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.test_member_requests import ask_for_more
from tests.test_nominations import nominate
from tests.test_subscriptions import EVENTS, save_contact
from tests.test_subscriptions import server as server
from tests.test_webhooks import create
from tests.world import VIEW, World


async def test_webhooks_are_told_of_a_hand_over(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    names = ["PRIMARY_CONTACT_NOMINATED", "NOMINATION_ACCEPTED", "PRIMARY_CONTACT_HANDED_OVER"]
    await create(place, events=names)
    nomination_id = await nominate(place, membership_id)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)
    rows = await world.rows(WebhookDelivery, WebhookDelivery.site_id == place.site_id)
    assert sorted(row.event.name for row in rows if row.event) == sorted(names)
    told = {row.event.name: json.loads(row.payload) for row in rows if row.event}
    assert {payload["type"] for payload in told.values()} == {
        name.lower().replace("_", ".") for name in names
    }
    assert nomination_id in json.dumps(told["PRIMARY_CONTACT_NOMINATED"])
    assert place.id in json.dumps(told["PRIMARY_CONTACT_HANDED_OVER"])


@pytest.mark.parametrize("who", ["primary", "nominee", "viewer", "user"])
async def test_a_nomination_is_heard_by_those_who_see_it(world: World, server: Server, who: str) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    people = {
        "primary": place.primary,
        "nominee": nominee,
        "viewer": (await world.secondary(place, manage_access=VIEW))[0],
        "user": (await world.member(place))[0],
    }
    async with joined(server, people[who].token) as socket:
        await socket.begin("site", EVENTS, site=place.id)
        await server.heard_by(place, 1)
        nomination_id = await nominate(place, membership_id)
        await nominee.succeed("declineNomination", nominationId=nomination_id)
        await save_contact(place)
        seen = [] if who == "user" else ["PRIMARY_CONTACT_NOMINATED", "NOMINATION_DECLINED"]
        for event in [*seen, "CONTACT_CREATED"]:
            assert (await socket.next("site"))["siteChanged"]["event"] == event


HISTORY = """query($id: ID!) { site(id: $id) { history(orderBy: {field: NUMBER, direction: ASC}) { nodes {
  event subjectType subjectId subjectName justification changes { field before after }
  before { ... on NominationSnapshot { state } } after { ... on NominationSnapshot { state justification closedAt } }
} } } }"""


async def test_the_history_shows_what_became_of_a_nomination(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    other, _ = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    await nominee.succeed("declineNomination", nominationId=nomination_id)
    for person in (place.primary, nominee):
        made, ended = (await person.ask(HISTORY, id=place.id))["site"]["history"]["nodes"]
        assert (made["event"], ended["event"]) == ("PRIMARY_CONTACT_NOMINATED", "NOMINATION_DECLINED")
        for node in (made, ended):
            assert (node["subjectType"], node["subjectId"]) == ("NOMINATION", nomination_id)
            assert node["subjectName"] == nominee.ibm_id
        assert made["after"] == {"state": "PENDING", "justification": "Knows the site", "closedAt": None}
        assert (ended["before"]["state"], ended["after"]["state"]) == ("PENDING", "DECLINED")
        assert [change["field"] for change in ended["changes"]] == ["state", "closedAt"]
    assert (await other.ask(HISTORY, id=place.id))["site"]["history"]["nodes"] == []


async def test_the_history_shows_what_a_member_asked_for(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    await ask_for_more(member, place, role="SECONDARY_CONTACT")
    document = """query($id: ID!) { site(id: $id) { history { nodes {
      after { ... on AccessRequestSnapshot { kind requestedRole requestedEndsAt } } } } } }"""
    [node] = (await place.primary.ask(document, id=place.id))["site"]["history"]["nodes"]
    assert node["after"] == {
        "kind": "HIGHER_LEVEL",
        "requestedRole": "SECONDARY_CONTACT",
        "requestedEndsAt": None,
    }


KEPT_APART = """query($id: ID!) { site(id: $id) { history { nodes { event after { __typename
  ... on NominationSnapshot { state } ... on AccessRequestSnapshot { asked: state } } } } } }"""


async def test_states_of_the_same_name_are_kept_apart(world: World, interpreted: AsyncClient) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    await place.primary.succeed("cancelNomination", nominationId=nomination_id)
    _, request_id = await world.request(place)
    await place.primary.succeed(
        "denyAccessRequest", accessRequestId=request_id, reason="ACCESS_NOT_NECESSARY"
    )
    compiled, computed = await both(place.primary, interpreted, KEPT_APART, {"id": place.id})
    assert compiled == computed
    told = [node["after"] for node in json.loads(compiled)["data"]["site"]["history"]["nodes"]]
    assert {"__typename": "NominationSnapshot", "state": "CANCELLED"} in told
    assert {"__typename": "AccessRequestSnapshot", "asked": "DENIED"} in told
