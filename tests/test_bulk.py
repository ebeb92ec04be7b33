"""Bulks: many things of one site in one act, each like the single one, all or nothing or the good ones."""

import asyncio
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db.engine import async_url
from app.db.models import AccessRequest, Membership, User
from app.db.pool import Pool
from app.db.repeats import IdempotencyKey
from app.query.ids import write_id
from app.rules import AccessRequestState, Role
from tests.access import MANAGERS, newcomer
from tests.receiver import webhook_row
from tests.test_ids import PERSON, document
from tests.test_reads import statements
from tests.world import UPDATE, Person, Place, World, ago

BULKS = {
    "addUsers": "membership { id role user { ibmId } } accessRequest { state }",
    "updateMemberships": "membership { id role version }",
    "removeMemberships": "removedMembershipId",
    "grantAccessRequests": "membership { id role } accessRequest { id state }",
    "denyAccessRequests": "accessRequest { id state denialReason }",
}
"""Every bulk, and what its results show."""
DENIED = ["manage_access=VIEW", "manage_access=NONE", "contact_updates=UPDATE", "user"]
STRANGERS = ["stranger", "ended"]
GOOD_ONES = {"errorPolicy": "GOOD_ONES"}
ERRORS = """errors { __typename code message path ... on LimitReachedError { limit current }
  ... on StaleVersionError { currentVersion membership { id } }
  ... on AlreadyDecidedError { accessRequest { state } } }"""


@pytest.fixture(scope="module", params=["engine", "interpreter"])
def world(world: World, interpreted_world: World, request: pytest.FixtureRequest) -> World:
    """The world, asked through the engine and without it."""
    return world if request.param == "engine" else interpreted_world


async def bulk(
    person: Person, place: Place, mutation: str, items: list[dict[str, Any]], **input: Any
) -> dict[str, Any]:
    """The payload of a bulk."""
    language = input.pop("language", None)
    selection = f"""succeeded failed site {{ memberships {{ totalCount }} }}
      results {{ index done {ERRORS} {BULKS[mutation]} }}"""
    return await person.do(mutation, selection, language, siteId=place.id, items=items, **input)


def faults(payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["path"])) for error in payload["errors"]]


def outcome(payload: dict[str, Any]) -> list[Any]:
    """What became of each item: done, left undone, or the codes and paths of its errors."""
    results = payload["results"]
    assert [result["index"] for result in results] == list(range(len(results)))
    assert payload["succeeded"] == sum(result["done"] for result in results)
    assert payload["failed"] == sum(bool(result["errors"]) for result in results)
    assert not any(result["done"] and result["errors"] for result in results)
    return [faults(result) or ("done" if result["done"] else "undone") for result in results]


def person_to_add(**changes: Any) -> dict[str, Any]:
    ibm_id = newcomer()
    return PERSON | {"ibmId": ibm_id, "email": ibm_id} | changes


async def good_items(world: World, place: Place, mutation: str, number: int) -> list[dict[str, Any]]:
    """Items in which nothing is wrong."""
    match mutation:
        case "addUsers":
            return [person_to_add() for _ in range(number)]
        case "updateMemberships":
            ids = [(await world.member(place))[1] for _ in range(number)]
            return [{"membershipId": id, "privileges": {"reporting": "VIEW"}} for id in ids]
        case "removeMemberships":
            return [{"membershipId": (await world.member(place))[1]} for _ in range(number)]
        case "grantAccessRequests":
            return [
                {"accessRequestId": (await world.request(place))[1], "role": "USER"} for _ in range(number)
            ]
    ids = [(await world.request(place))[1] for _ in range(number)]
    return [{"accessRequestId": id, "reason": "UNKNOWN_REQUESTER"} for id in ids]


SINGLE = {
    "addUsers": "addUser",
    "updateMemberships": "updateMembership",
    "removeMemberships": "removeMembership",
    "grantAccessRequests": "grantAccessRequest",
    "denyAccessRequests": "denyAccessRequest",
}


def test_every_bulk_is_named_here(repository: Any) -> None:
    sdl = (repository / "schema.graphql").read_text()
    assert {line.split()[1].removesuffix("Result") for line in sdl.splitlines() if line.startswith("type ") and
            line.split()[1].endswith("Result")} == {name[0].upper() + name[1:] for name in BULKS}  # fmt: skip


@pytest.mark.parametrize("who", MANAGERS)
@pytest.mark.parametrize("mutation", BULKS)
async def test_all_are_done_like_single_ones(world: World, mutation: str, who: str) -> None:
    place, other = await world.site(), await world.site()
    caller = await world.caller(place, who)
    for item in await good_items(world, other, mutation, 3):
        rest = {"siteId": other.id} if mutation == "addUsers" else {}
        await other.primary.succeed(SINGLE[mutation], **item, **rest)
    payload = await bulk(caller, place, mutation, await good_items(world, place, mutation, 3))
    assert (payload["errors"], outcome(payload)) == ([], ["done"] * 3)
    expected = [(event.event, event.reason, event.justification) for event in await world.events(other)]
    assert [
        (event.event, event.reason, event.justification) for event in await world.events(place)
    ] == expected
    assert {event.actor_id for event in await world.events(place)} == {caller.user_id}


@pytest.mark.parametrize("mutation", BULKS)
@pytest.mark.parametrize("policy", ["ALL_OR_NOTHING", "GOOD_ONES"])
async def test_who_may_not_is_refused_as_a_whole(world: World, mutation: str, policy: str) -> None:
    place = await world.site()
    items = await good_items(world, place, mutation, 2)
    for who in [*DENIED, *STRANGERS, "other primary"]:
        other = (await world.site()).primary
        caller = other if who == "other primary" else await world.caller(place, who)
        async with world.unchanged():
            payload = await bulk(caller, place, mutation, items, errorPolicy=policy)
        expected = "FORBIDDEN" if who in DENIED else "NOT_FOUND"
        assert faults(payload) == [(expected, "siteId")], who
        assert (payload["results"], payload["succeeded"], payload["failed"], payload["site"]) == (None,) * 4


@pytest.mark.parametrize("mutation", BULKS)
async def test_anonymous_callers_must_sign_in_first(world: World, mutation: str) -> None:
    place = await world.site()
    items = await good_items(world, place, mutation, 1)
    body = {"query": document(mutation), "variables": {"input": {"siteId": place.id, "items": items}}}
    async with world.unchanged():
        answer = (await world.client.post("/graphql", json=body)).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("mutation", BULKS)
async def test_none_and_too_many_are_refused(world: World, mutation: str) -> None:
    place = await world.site()
    (item,) = await good_items(world, place, mutation, 1)
    for items, code in (([], "REQUIRED"), ([item] * 101, "TOO_MANY")):
        for policy in ("ALL_OR_NOTHING", "GOOD_ONES"):
            async with world.unchanged():
                payload = await bulk(place.primary, place, mutation, items, errorPolicy=policy)
            assert faults(payload) == [(code, "items")]
            assert payload["results"] is None


@pytest.mark.parametrize("mutation", BULKS)
async def test_the_same_twice_is_refused_at_the_second(world: World, mutation: str) -> None:
    place = await world.site()
    (item,) = await good_items(world, place, mutation, 1)
    name = next(iter(item)) if mutation != "addUsers" else "ibmId"
    if name == "ibmId":
        item |= {name: f"rené-{item[name]}"}
    again = (
        item | {name: f" {unicodedata.normalize('NFD', item[name]).upper()} "} if name == "ibmId" else item
    )
    expected = [("DUPLICATE", f"items.1.{name}")]
    async with world.unchanged():
        payload = await bulk(place.primary, place, mutation, [item, again])
    assert (faults(payload), outcome(payload)) == (expected, ["undone", expected])
    payload = await bulk(place.primary, place, mutation, [item, again], **GOOD_ONES)
    assert (faults(payload), outcome(payload)) == ([], ["done", expected])


async def mixed(world: World, place: Place) -> tuple[list[dict[str, Any]], list[Any]]:
    """Changes of memberships, good and bad ones, and what becomes of each."""
    elsewhere = await world.site()
    # The primary contact manages access there too, and still finds nothing of it here.
    await world.secondary(elsewhere, person=place.primary, manage_access=UPDATE)
    (_, good), (_, better), (_, stale) = [await world.member(place) for _ in range(3)]
    (primary,) = await world.rows(
        Membership, Membership.site_id == place.site_id, Membership.role == Role.PRIMARY_CONTACT
    )
    raised = {"accountManagement": {"manageAccess": "VIEW"}}
    items: list[dict[str, Any]] = [
        {"membershipId": good, "privileges": {"reporting": "VIEW"}},
        {"membershipId": (await world.member(elsewhere))[1], "role": "USER"},
        {"membershipId": "nonsense"},
        {"membershipId": write_id("membership", primary.id), "role": "USER"},
        {"membershipId": stale, "expectedVersion": 9, "privileges": raised},
        {"membershipId": f"membership_{uuid4().hex}"},
        {"membershipId": better, "role": "SECONDARY_CONTACT", "privileges": raised},
    ]
    return items, [
        "done",
        [("NOT_FOUND", "items.1.membershipId")],
        [("WRONG_ID_KIND", "items.2.membershipId")],
        [("FORBIDDEN", "items.3.membershipId")],
        [
            ("STALE_VERSION", "items.4.expectedVersion"),
            ("LEVEL_NOT_FOR_ROLE", "items.4.privileges.accountManagement.manageAccess"),
        ],
        [("NOT_FOUND", "items.5.membershipId")],
        "done",
    ]


async def test_the_good_ones_are_done_and_the_others_say_why_not(world: World) -> None:
    place = await world.site()
    items, expected = await mixed(world, place)
    async with world.unchanged():
        tried = await bulk(place.primary, place, "updateMemberships", items, **GOOD_ONES, validateOnly=True)
    payload = await bulk(place.primary, place, "updateMemberships", items, **GOOD_ONES)
    assert (payload["errors"], outcome(payload)) == ([], expected)
    assert tried == payload
    shown = [result["membership"] and result["membership"]["version"] for result in payload["results"]]
    assert shown == [2, None, None, None, None, None, 2]
    told = payload["results"][4]["errors"][0]
    assert (told["currentVersion"], told["membership"]) == (1, {"id": items[4]["membershipId"]})
    assert [event.event for event in await world.events(place)] == ["MEMBERSHIP_UPDATED"] * 2


async def test_all_or_nothing_tells_all_faults_of_all_items_and_does_nothing(world: World) -> None:
    place = await world.site()
    items, expected = await mixed(world, place)
    undone = ["undone" if what == "done" else what for what in expected]
    for rest in ({}, {"validateOnly": True}, {"errorPolicy": "ALL_OR_NOTHING"}, {"idempotencyKey": "k"}):
        async with world.unchanged():
            payload = await bulk(place.primary, place, "updateMemberships", items, **rest)
        assert outcome(payload) == undone
        assert faults(payload) == [fault for what in expected if what != "done" for fault in what]
        assert (payload["succeeded"], payload["failed"], payload["site"]) == (0, 5, None)
        assert [result["membership"] for result in payload["results"]] == [None] * 7


async def test_seats_are_counted_in_order(world: World) -> None:
    place = await world.site()
    await world.secondary(place)
    people = [person_to_add(role="SECONDARY_CONTACT") for _ in range(5)]
    people[1]["confirmed"] = False
    full = [("SECONDARY_CONTACT_LIMIT", "items.4.role")]
    unconfirmed = [("CONFIRMATION_REQUIRED", "items.1.confirmed")]
    async with world.unchanged():
        payload = await bulk(place.primary, place, "addUsers", people)
    assert outcome(payload) == ["undone", unconfirmed, "undone", "undone", full]
    payload = await bulk(place.primary, place, "addUsers", people, **GOOD_ONES)
    assert outcome(payload) == ["done", unconfirmed, "done", "done", full]
    assert payload["results"][4]["errors"][0]["limit"] == 4
    assert [
        result["membership"] and result["membership"]["user"]["ibmId"] for result in payload["results"]
    ] == [
        person["ibmId"] if what == "done" else None
        for person, what in zip(people, outcome(payload), strict=True)
    ]
    # Nobody becomes known by an item that was not done.
    for refused in (people[1], people[4]):
        assert await world.rows(User, User.ibm_id == refused["ibmId"]) == []


@pytest.mark.parametrize("ibm_id", ["\x00", "\ud800", "a b", " ", "x" * 5000])
async def test_an_ibm_id_that_cannot_be_ends_its_item_only(world: World, ibm_id: str) -> None:
    place = await world.site()
    people = [person_to_add(), person_to_add(ibmId=ibm_id), person_to_add()]
    payload = await bulk(place.primary, place, "addUsers", people, **GOOD_ONES)
    first, (fault, *_), last = outcome(payload)
    assert (first, last) == ("done", "done")
    assert fault[1] == "items.1.ibmId"


async def test_a_seat_that_an_item_frees_is_there_for_the_next(world: World) -> None:
    place = await world.site()
    seconds = [await world.secondary(place) for _ in range(4)]
    _, user = await world.member(place)
    promotion, demotion = (
        {"membershipId": user, "role": "SECONDARY_CONTACT"},
        {"membershipId": seconds[2][1], "role": "USER"},
    )
    async with world.unchanged():
        payload = await bulk(place.primary, place, "updateMemberships", [promotion, demotion])
    assert outcome(payload) == [[("SECONDARY_CONTACT_LIMIT", "items.0.role")], "undone"]
    payload = await bulk(place.primary, place, "updateMemberships", [demotion, promotion])
    assert outcome(payload) == ["done", "done"]


async def test_requests_are_decided_like_single_ones(world: World) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    own = (await world.request(place, person=manager))[1]
    elsewhere = (await world.request(await world.site()))[1]
    (_, pending), (_, denied) = await world.request(place), await world.request(place)
    await place.primary.succeed("denyAccessRequest", accessRequestId=denied, reason="UNKNOWN_REQUESTER")
    _, expired = await world.request(place, state=AccessRequestState.WITHDRAWN, closed_at=ago(seconds=0))
    items = [{"accessRequestId": id, "role": "USER"} for id in (own, pending, denied, expired, elsewhere)]
    expected = [
        [("FORBIDDEN", "items.0.accessRequestId")],
        "done",
        [("ALREADY_DECIDED", "items.2.accessRequestId")],
        [("REQUEST_CLOSED", "items.3.accessRequestId")],
        [("NOT_FOUND", "items.4.accessRequestId")],
    ]
    payload = await bulk(manager, place, "grantAccessRequests", items, **GOOD_ONES)
    assert outcome(payload) == expected
    assert payload["results"][2]["errors"][0]["accessRequest"] == {"state": "DENIED"}
    assert payload["results"][1]["accessRequest"] == {"id": pending, "state": "GRANTED"}
    refusals = [item | {"reason": "ACCESS_NOT_NECESSARY"} for item in items]
    for item in refusals:
        del item["role"]
    async with world.unchanged():
        payload = await bulk(manager, place, "denyAccessRequests", refusals)
    expected[1] = [("ALREADY_DECIDED", "items.1.accessRequestId")]
    assert outcome(payload) == expected


async def test_nobody_removes_themselves_or_the_primary_contact_in_a_bulk(world: World) -> None:
    place = await world.site()
    manager, own = await world.secondary(place, manage_access=UPDATE)
    (row,) = await world.rows(
        Membership, Membership.site_id == place.site_id, Membership.role == Role.PRIMARY_CONTACT
    )
    _, other = await world.member(place)
    ids = (own, write_id("membership", row.id), other)
    payload = await bulk(
        manager, place, "removeMemberships", [{"membershipId": id} for id in ids], **GOOD_ONES
    )
    assert outcome(payload) == [
        [("FORBIDDEN", "items.0.membershipId")],
        [("FORBIDDEN", "items.1.membershipId")],
        "done",
    ]
    assert payload["results"][2]["removedMembershipId"] == other
    assert payload["site"]["memberships"]["totalCount"] == 2


@pytest.fixture
async def suspicious(database_url: str) -> AsyncIterator[str]:
    """A justification that the database itself refuses to keep, at the end of the transaction."""
    owner = create_async_engine(async_url(database_url), poolclass=NullPool)
    async with owner.begin() as connection:
        function = """CREATE FUNCTION refuse_suspicious() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'suspicious' USING ERRCODE = 'check_violation', CONSTRAINT = 'access_request_is_closed';
            END $$"""
        await connection.execute(sa.text(function))
        trigger = """CREATE CONSTRAINT TRIGGER suspicious AFTER UPDATE ON access_request
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.approver_justification = 'suspicious')
            EXECUTE FUNCTION refuse_suspicious()"""
        await connection.execute(sa.text(trigger))
    yield "suspicious"
    async with owner.begin() as connection:
        await connection.execute(sa.text("DROP FUNCTION refuse_suspicious CASCADE"))
    await owner.dispose()


async def test_a_violated_constraint_ends_its_item_only(world: World, suspicious: str) -> None:
    place = await world.site()
    items = await good_items(world, place, "grantAccessRequests", 3)
    items[1]["justification"] = suspicious
    closed = [("REQUEST_CLOSED", "items.1.accessRequestId")]
    async with world.unchanged():
        payload = await bulk(place.primary, place, "grantAccessRequests", items)
    assert (faults(payload), outcome(payload)) == (closed, ["undone", closed, "undone"])
    for rest in ({"validateOnly": True}, {}):
        payload = await bulk(place.primary, place, "grantAccessRequests", items, **GOOD_ONES, **rest)
        assert (faults(payload), outcome(payload)) == ([], ["done", closed, "done"])
    assert len(await world.rows(Membership, Membership.site_id == place.site_id)) == 3
    events = [event.event for event in await world.events(place)]
    assert sorted(events) == ["ACCESS_REQUEST_GRANTED"] * 2 + ["USER_ADDED"] * 2


@pytest.mark.parametrize("mutation", BULKS)
async def test_a_bulk_sent_twice_is_done_once_and_answered_alike(world: World, mutation: str) -> None:
    place, key = await world.site(), uuid4().hex
    items = await good_items(world, place, mutation, 3)
    items.insert(1, items[0])
    input = {"idempotencyKey": key, **GOOD_ONES}
    first = await bulk(place.primary, place, mutation, items, **input)
    assert Counter(map(str, outcome(first)))["done"] == 3
    async with world.unchanged():
        assert await bulk(place.primary, place, mutation, items, **input) == first
        refused = await bulk(place.primary, place, mutation, items[:1], **input)
        assert faults(refused) == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]


async def test_every_kind_of_fault_is_answered_again_alike(world: World) -> None:
    place, key = await world.site(), uuid4().hex
    items, expected = await mixed(world, place)
    input = {"idempotencyKey": key, **GOOD_ONES, "language": "fr"}
    first = await bulk(place.primary, place, "updateMemberships", items, **input)
    assert outcome(first) == expected
    async with world.unchanged():
        assert await bulk(place.primary, place, "updateMemberships", items, **input) == first
    payloads = [
        await bulk(place.primary, place, "updateMemberships", items, **GOOD_ONES, language=language)
        for language in ("fr", "en")
    ]
    said = [[error["message"] for result in one["results"] for error in result["errors"]] for one in payloads]
    assert said[0][0] != said[1][0] and len(said[0]) == len(said[1]) == 6
    assert all("{" not in sentence for sentence in said[0] + said[1])


async def test_a_refused_bulk_leaves_no_key_behind(world: World) -> None:
    place, key = await world.site(), uuid4().hex
    items = [person_to_add(), person_to_add(confirmed=False)]
    await bulk(place.primary, place, "addUsers", items, idempotencyKey=key)
    assert await world.rows(IdempotencyKey, IdempotencyKey.key == key) == []
    payload = await bulk(place.primary, place, "addUsers", items[:1], idempotencyKey=key)
    assert outcome(payload) == ["done"]


async def test_webhooks_are_told_of_what_was_done_only(world: World) -> None:
    place = await world.site()
    await world.add(webhook_row(place))
    items = [person_to_add(), person_to_add(confirmed=False), person_to_add()]
    await bulk(place.primary, place, "addUsers", items, **GOOD_ONES)
    read = "query($id: ID!) { site(id: $id) { webhooks { deliveries { nodes { event } } } } }"
    (webhook,) = (await place.primary.ask(read, id=place.id))["site"]["webhooks"]
    assert [one["event"] for one in webhook["deliveries"]["nodes"]] == ["USER_ADDED"] * 2


async def test_twenty_bulks_on_the_last_seats(world: World) -> None:
    for policy in ("ALL_OR_NOTHING", "GOOD_ONES"):
        place = await world.site()
        await world.secondary(place)
        await world.secondary(place)
        acts = [
            bulk(
                place.primary,
                place,
                "addUsers",
                [person_to_add(role="SECONDARY_CONTACT") for _ in range(2)],
                errorPolicy=policy,
            )
            for _ in range(20)
        ]
        payloads = await asyncio.gather(*acts)
        done = sum(payload["succeeded"] for payload in payloads)
        assert done == 2
        assert Counter(code for payload in payloads for code, _ in faults(payload)).keys() <= {
            "SECONDARY_CONTACT_LIMIT"
        }
        seats = await world.rows(Membership, Membership.site_id == place.site_id, Membership.seat > 0)
        assert sorted(row.seat for row in seats) == [1, 2, 3, 4]


async def test_the_same_people_added_at_two_sites_in_opposite_order(world: World) -> None:
    """Nobody waits in a circle, neither for people who are known nor for new ones."""
    for _ in range(5):
        places = [await world.site() for _ in range(2)]
        known = [(await world.person()).ibm_id for _ in range(5)]
        people = [person_to_add(ibmId=id, email=id) for id in known] + [person_to_add() for _ in range(5)]
        orders = (people, people[::-1])
        acts = [
            bulk(place.primary, place, "addUsers", order) for place, order in zip(places, orders, strict=True)
        ]
        for payload in await asyncio.gather(*acts):
            assert outcome(payload) == ["done"] * 10


async def test_a_hundred_items_in_a_bounded_time(world: World, record_property: Any) -> None:
    place = await world.site()
    people = [person_to_add() for _ in range(100)]
    began = time.perf_counter()
    payload = await bulk(place.primary, place, "addUsers", people)
    seconds = time.perf_counter() - began
    record_property("seconds", seconds)
    print(f"100 items: {seconds:.2f} s")
    assert outcome(payload) == ["done"] * 100
    assert payload["site"]["memberships"]["totalCount"] == 101
    assert seconds < 20


async def test_the_payload_is_read_back_in_as_many_statements_for_many_items_as_for_one(world: World) -> None:
    counts = []
    for number in (1, 20):
        place = await world.site()
        items = [{"membershipId": f"membership_{uuid4().hex}"} for _ in range(number)]
        _, membership_id = await world.member(place)
        items[0] = {"membershipId": membership_id}
        await bulk(place.primary, place, "removeMemberships", items[:1], validateOnly=True)
        # Items that are not found cost one statement each, apart from their savepoints.
        with statements() as seen:
            await bulk(place.primary, place, "removeMemberships", items, **GOOD_ONES)
        reading = [one for one in seen if "FOR NO KEY UPDATE" not in one and one.startswith("SELECT")]
        counts.append(len(reading))
    assert counts[0] == counts[1]


async def test_the_engine_reads_all_results_by_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    row = Pool.row

    async def noted(pool: Pool, sql: str, values: Any) -> Any:
        sent.append(sql)
        return await row(pool, sql, values)

    monkeypatch.setattr(Pool, "row", noted)
    counts = []
    for number in (1, 20):
        place = await world.site()
        items = await good_items(world, place, "grantAccessRequests", number)
        sent.clear()
        payload = await bulk(place.primary, place, "grantAccessRequests", items)
        assert outcome(payload) == ["done"] * number
        # Who calls, and with the engine, the payload; the first time, the caller is not known yet.
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 3


async def test_what_asks_for_too_much_is_refused_before_anything_is_done(world: World) -> None:
    place = await world.site()
    items = await good_items(world, place, "updateMemberships", 2)
    deep = "results { membership { site { memberships(first: 100) { nodes { user { id } } } } } }"
    kind = document("updateMemberships").partition(" {")[0]
    asked = f"{kind} {{ updateMemberships(input: $input) {{ {deep * 2} errors {{ code }} }} }}"
    deeper = asked.replace("user { id }", "user { id } site { contacts { id } }")
    async with world.unchanged():
        response = await place.primary.post(deeper, input={"siteId": place.id, "items": items})
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_rights_taken_away_meanwhile_hold_for_the_whole_bulk(world: World) -> None:
    place = await world.site()
    manager, membership_id = await world.secondary(place, manage_access=UPDATE)
    items = await good_items(world, place, "grantAccessRequests", 5)
    removal = place.primary.do("removeMembership", membershipId=membership_id)
    payload, _ = await asyncio.gather(bulk(manager, place, "grantAccessRequests", items), removal)
    granted = await world.rows(
        AccessRequest,
        AccessRequest.site_id == place.site_id,
        AccessRequest.state == AccessRequestState.GRANTED,
    )
    assert len(granted) == (0 if payload["errors"] else 5)
