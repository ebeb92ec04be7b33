"""Reading messages: who sees them, filtered, sorted, in pages, and why one was not delivered, in words."""

from typing import Any

import pytest

from app.db.outbox import Message
from app.query.engine import Engine
from app.rules import Language, MessageFault, MessageState
from tests.world import UPDATE, VIEW, Person, Place, World, ago

PAGE = """
query Messages($id: ID!, $filter: MessageFilter, $by: MessageOrder, $first: Int, $after: String) {
  site(id: $id) { messages(filter: $filter, orderBy: $by, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id kind email state attempts lastError createdAt sentAt recipient { email } } } }
}
"""
REFUSED = {
    "fault": MessageFault.RECIPIENT_REFUSED,
    "last_error": "550 5.1.1 <ana@example.com> unknown; host mx1",
}


async def page(person: Person, place: Place, language: str | None = None, **variables: Any) -> dict[str, Any]:
    data = await person.ask(PAGE, language, id=place.id, **variables)
    messages: dict[str, Any] = data["site"]["messages"]
    return messages


async def three(world: World) -> tuple[Place, list[str]]:
    """A site with a message that was sent, one that waits, and one that is dead, oldest first."""
    place, people = await world.site(), [await world.person(name) for name in ("cleo", "abel", "bea")]
    sent = {"state": MessageState.SENT, "sent_at": ago(hours=1), "created_at": ago(hours=3), "attempts": 1}
    waits = {"created_at": ago(hours=2)}
    dead = {"state": MessageState.DEAD, "created_at": ago(hours=1), "attempts": 3, **REFUSED}
    values = zip(people, (sent, waits, dead), strict=True)
    return place, [await world.message(place, person, **each) for person, each in values]


@pytest.mark.parametrize(
    ("who", "count"),
    [
        ("primary", 3),
        ("manage_access=UPDATE", 3),
        ("manage_access=VIEW", 0),
        ("manage_access=NONE", 0),
        ("contact_updates=UPDATE", 0),
        ("user", 0),
    ],
)
async def test_those_who_manage_access_see_them(world: World, who: str, count: int) -> None:
    place, ids = await three(world)
    person = await world.caller(place, who)
    found = await page(person, place)
    assert (found["totalCount"], len(found["nodes"])) == (count, count)
    nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Message { recipient { email } } } }"
    seen = (await person.ask(nodes, ids=ids))["nodes"]
    assert [node and node["id"] for node in seen] == (ids if count else [None] * 3)


@pytest.mark.parametrize("who", ["stranger", "ended"])
async def test_for_others_there_is_nothing(world: World, who: str) -> None:
    place, ids = await three(world)
    person = await world.caller(place, who)
    assert await person.ask(PAGE, id=place.id) == {"site": None}
    assert await person.ask("query($id: ID!) { node(id: $id) { id } }", id=ids[0]) == {"node": None}


async def test_recipients_do_not_see_their_messages_at_sites_they_do_not_manage(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    message_id = await world.message(place, member)
    assert await member.ask("query($id: ID!) { node(id: $id) { id } }", id=message_id) == {"node": None}
    elsewhere = await world.site()
    manager, _ = await world.secondary(elsewhere, manage_access=UPDATE)
    assert await manager.ask("query($id: ID!) { node(id: $id) { id } }", id=message_id) == {"node": None}


async def test_everything_is_told_but_what_only_operators_need(world: World) -> None:
    place, ids = await three(world)
    sent, waits, dead = (await page(place.primary, place))["nodes"]
    assert [node["id"] for node in (sent, waits, dead)] == ids
    assert [node["state"] for node in (sent, waits, dead)] == ["SENT", "QUEUED", "DEAD"]
    assert [node["attempts"] for node in (sent, waits, dead)] == [1, 0, 3]
    assert sent["sentAt"] and not waits["sentAt"] and not dead["sentAt"]
    assert [node["lastError"] for node in (sent, waits)] == [None, None]
    assert dead["lastError"] == "The mail server refuses the address."
    assert dead["recipient"]["email"] == dead["email"]
    assert "5.1.1" not in str((sent, waits, dead)) and "mx1" not in str((sent, waits, dead))


@pytest.mark.parametrize("fault", MessageFault)
async def test_faults_are_told_in_the_language_of_the_request(world: World, fault: MessageFault) -> None:
    place = await world.site()
    await world.message(place, fault=fault, last_error="4.7.1")
    english = (await page(place.primary, place, "en"))["nodes"][0]["lastError"]
    french = (await page(place.primary, place, "fr"))["nodes"][0]["lastError"]
    assert english == fault.value
    assert french and french != english and french.endswith(".")


async def test_a_person_who_is_no_member_any_more_is_shown_as_recipient(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    [node] = (await page(place.primary, place))["nodes"]
    assert (node["kind"], node["recipient"]["email"]) == ("ACCESS_REMOVED", member.ibm_id)


@pytest.mark.parametrize(
    ("states", "expected"), [(["DEAD"], [2]), (["QUEUED", "SENT"], [0, 1]), ([], []), (None, [0, 1, 2])]
)
async def test_filter_by_state(world: World, states: list[str] | None, expected: list[int]) -> None:
    place, ids = await three(world)
    found = await page(place.primary, place, filter={"states": states})
    assert [node["id"] for node in found["nodes"]] == [ids[index] for index in expected]
    assert found["totalCount"] == len(expected)


@pytest.mark.parametrize(
    ("field", "direction", "expected"),
    [
        ("CREATED_AT", "ASC", [0, 1, 2]),
        ("CREATED_AT", "DESC", [2, 1, 0]),
        ("RECIPIENT_NAME", "ASC", [1, 2, 0]),
        ("RECIPIENT_NAME", "DESC", [0, 2, 1]),
    ],
)
async def test_orders_and_pages(world: World, field: str, direction: str, expected: list[int]) -> None:
    place, ids = await three(world)
    after, found = None, []
    for more in (True, True, False):
        by = {"field": field, "direction": direction}
        part = await page(place.primary, place, by=by, first=1, after=after)
        found += [node["id"] for node in part["nodes"]]
        after = part["pageInfo"]["endCursor"]
        assert part["pageInfo"]["hasNextPage"] is more
    assert found == [ids[index] for index in expected]


async def test_messages_are_planned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = await three(world)
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    assert (await page(place.primary, place))["totalCount"] == 3
    assert reasons == []


async def test_a_site_shows_its_own_messages_only(world: World) -> None:
    place, _ = await three(world)
    other, _ = await three(world)
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    await world.secondary(other, person=manager, manage_access=VIEW)
    assert (await page(manager, place))["totalCount"] == 3
    assert (await page(manager, other))["totalCount"] == 0
    assert {row.language for row in await world.rows(Message, Message.site_id == place.site_id)} == {
        Language.EN
    }
