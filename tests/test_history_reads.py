"""The history as it is read: who sees which events, pages, filters, typed values, and names that stay."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from graphql import GraphQLObjectType, get_named_type

from app.db.models import HistoryEvent, Membership
from app.query.engine import Engine
from app.query.ids import write_id
from app.rules import ContactType, Event
from app.schema.kept import MODELS, PATHS
from app.schema.schema import executable_schema
from app.schema.snapshots import SNAPSHOTS
from app.site_import import import_document
from app.subjects import SubjectType
from app.texts import plain
from tests.import_examples import document, new_number
from tests.test_reads import statements
from tests.world import CONTACT, UPDATE, VIEW, Person, Place, World, ago

EVENTS = """query($id: ID!, $filter: HistoryFilter, $by: HistoryOrder, $first: Int, $after: String, $last: Int,
  $before: String) { site(id: $id) { history(filter: $filter, orderBy: $by, first: $first, after: $after,
    last: $last, before: $before) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes { id number at event actorName actor { id } client subjectType subjectId subjectName reason justification
      before { ...Levels } after { ...Levels ...Card } changes { field before after } } } } }
  fragment Levels on MembershipSnapshot { __typename role endsAt privileges {
    reporting accountManagement { manageAccess } } }
  fragment Card on ContactSnapshot { firstName types details { phone } }"""


async def history(person: Person, place: Place, **variables: Any) -> dict[str, Any]:
    """A page of the history of a site."""
    page: dict[str, Any] = (await person.ask(EVENTS, id=place.id, **variables))["site"]["history"]
    return page


async def events(person: Person, place: Place, **variables: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await history(person, place, **variables))["nodes"]
    return nodes


def named(nodes: list[dict[str, Any]]) -> list[str]:
    return [node["event"] for node in nodes]


async def eventful(world: World) -> tuple[Place, dict[str, Person], dict[str, str]]:
    """A site where much has happened, people of every kind, and ids."""
    place = await world.site()
    requester = await world.person("requester")
    asked = await requester.succeed("requestAccess", "accessRequest { id }", siteNumber=place.number)
    member, membership_id = await world.member(place, person=await world.person("user", newcomer=True))
    contact_id = await world.contact(place, [ContactType.BILLING])
    await place.primary.succeed("updateContact", contactId=contact_id, **CONTACT)
    await place.primary.succeed(
        "updateMembership", membershipId=membership_id, privileges={"reporting": "VIEW"}, justification="Été"
    )
    people = {
        who: await world.caller(place, who)
        for who in (
            "manage_access=VIEW",
            "manage_access=UPDATE",
            "contact_updates=UPDATE",
            "stranger",
            "ended",
        )
    }
    people |= {"primary": place.primary, "user": member, "requester": requester}
    ids = {"request": asked["accessRequest"]["id"], "membership": membership_id, "contact": contact_id}
    return place, people, ids


ALL = ["ACCESS_REQUESTED", "CONTACT_UPDATED", "MEMBERSHIP_UPDATED"]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("primary", ALL),
        ("manage_access=VIEW", ALL),
        ("manage_access=UPDATE", ALL),
        ("contact_updates=UPDATE", []),
        ("user", ["MEMBERSHIP_UPDATED"]),
    ],
)
async def test_members_see_what_their_rights_allow(world: World, who: str, seen: list[str]) -> None:
    place, people, _ = await eventful(world)
    page = await history(people[who], place)
    assert (named(page["nodes"]), page["totalCount"]) == (seen, len(seen))


@pytest.mark.parametrize("who", ["requester", "stranger", "ended"])
async def test_for_others_there_is_no_site_and_no_event(world: World, who: str) -> None:
    place, people, _ = await eventful(world)
    assert await people[who].ask(EVENTS, id=place.id) == {"site": None}
    found = [write_id("history_event", event.id) for event in await world.events(place)]
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on HistoryEvent { event } } }"
    expected = [{"event": "ACCESS_REQUESTED"} if who == "requester" else None, None, None]
    assert (await people[who].ask(document, ids=found))["nodes"] == expected


async def test_anonymous_callers_are_told_to_sign_in(world: World) -> None:
    place, _, _ = await eventful(world)
    body = {"query": EVENTS, "variables": {"id": place.id}}
    response = await world.client.post("/graphql", json=body)
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_who_did_it_is_told_to_those_who_see_the_users_and_to_themselves(world: World) -> None:
    place, people, ids = await eventful(world)
    [told] = await events(people["primary"], place, filter={"subjectIds": [ids["membership"]]})
    assert (told["actorName"], told["client"]) == (place.primary.ibm_id, "development")
    assert told["actor"] == {"id": place.primary.id}
    [hidden] = await events(people["user"], place)
    assert (hidden["actorName"], hidden["client"], hidden["actor"]) == (None, None, None)
    assert (hidden["id"], hidden["justification"]) == (told["id"], "Été")
    assert await events(people["user"], place, filter={"actorIds": [place.primary.id]}) == []
    assert await events(people["user"], place, filter={"text": place.primary.ibm_id}) == []
    document = """query($id: ID!) { node(id: $id) {
      ... on AccessRequest { history { nodes { actorName actor { id } } } } } }"""
    asked = await people["requester"].ask(document, id=ids["request"])
    own = {"actorName": people["requester"].ibm_id, "actor": {"id": people["requester"].id}}
    assert asked["node"]["history"]["nodes"] == [own]


async def test_values_are_typed_and_changes_have_the_paths_of_the_snapshot(world: World) -> None:
    place, people, ids = await eventful(world)
    _, contact, membership = await events(people["primary"], place)
    levels = {"reporting": "NONE", "accountManagement": {"manageAccess": "NONE"}}
    assert membership["before"] == {
        "__typename": "MembershipSnapshot", "role": "USER", "endsAt": None, "privileges": levels,
    }  # fmt: skip
    assert membership["after"]["privileges"] == levels | {"reporting": "VIEW"}
    assert membership["changes"] == [
        {"field": "privileges.reporting", "before": "NONE", "after": "VIEW"},
        {"field": "justification", "before": None, "after": "Été"},
    ]
    assert contact["after"] == {
        "firstName": "Camille",
        "types": ["BILLING"],
        "details": {"phone": "+33142685300"},
    }
    assert (contact["subjectType"], contact["subjectId"]) == ("CONTACT", ids["contact"])
    assert {"field": "details.address", "before": "1 place de la Bourse", "after": "12 rue de la Paix"} in (
        contact["changes"]
    )


async def test_contact_details_are_guarded_in_snapshots_and_changes(world: World) -> None:
    place, people, _ = await eventful(world)
    _, contact, _ = await events(people["manage_access=VIEW"], place)
    assert contact["after"]["details"] is None
    assert [change["field"] for change in contact["changes"]] == ["firstName", "lastName", "email"]
    both, _ = await world.secondary(place, manage_access=VIEW, contact_updates=VIEW)
    _, contact, _ = await events(both, place)
    assert contact["after"]["details"] == {"phone": "+33142685300"}


async def test_the_primary_contacts_levels_are_told_as_the_highest(world: World) -> None:
    place = await world.site()
    [primary] = await world.rows(Membership, Membership.user_id == place.primary.user_id)
    kept = {
        "role": "PRIMARY_CONTACT",
        "reporting": None,
        "manage_access": None,
        "ends_at": ago(days=1).isoformat(),
    }
    await insert(world, place, subject_id=primary.id, before=None, after=kept)
    [event] = await events(place.primary, place)
    assert event["after"]["privileges"] == {
        "reporting": "VIEW",
        "accountManagement": {"manageAccess": "UPDATE"},
    }
    assert event["after"]["endsAt"] == kept["ends_at"]
    fields = {change["field"]: change["after"] for change in event["changes"]}
    assert fields["privileges.accountManagement.manageAccess"] == "UPDATE"
    assert event["before"] is None


async def insert(world: World, place: Place, **values: Any) -> None:
    """An event straight in the database."""
    event = {
        "event": "MEMBERSHIP_UPDATED",
        "actor_name": "somebody",
        "subject_type": "membership",
        "subject_id": uuid4(),
        "subject_name": "subject",
    }
    async with world.database.begin() as connection:
        site = {"stream": place.site_id, "site_id": place.site_id}
        await connection.execute(sa.insert(HistoryEvent).values(**site | event | values))


async def test_nothing_that_is_not_for_people_is_shown(world: World) -> None:
    place = await world.site()
    secret = "not for people"
    for kind in SubjectType:
        kept = dict.fromkeys(
            ("seat", "issuer", "subject", "sort_name", "site_id", "secret_hash", "slot", "url", "version"),
            secret,
        )
        kept |= {"decided_by_id": secret, "expires_at": secret, "primary_membership_id": secret}
        await insert(world, place, subject_type=kind.name.lower(), before=None, after=kept)
    response = await place.primary.post(EVENTS, id=place.id, last=100)
    assert len(response.json()["data"]["site"]["history"]["nodes"]) == len(SubjectType)
    assert secret not in response.text
    shown = {name for paths in PATHS.values() for name in paths}
    assert shown.isdisjoint(kept)


async def test_of_webhooks_it_is_told_what_happened_but_no_values(world: World) -> None:
    place = await world.site()
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    url = "https://partner.example/hooks?token="
    given = {"siteId": place.id, "url": url + "first-secret", "events": ["SITE_LEFT"]}
    made = await place.primary.succeed("createWebhook", "webhook { id } secret", **given)
    webhook = {"webhookId": made["webhook"]["id"]}
    await place.primary.succeed("updateWebhook", **webhook, url=url + "second-secret")
    await place.primary.succeed("rotateWebhookSecret", **webhook)
    await place.primary.succeed("deleteWebhook", **webhook)
    kept = [event.after for event in await world.events(place) if event.event == "WEBHOOK_UPDATED"]
    assert [values["url"] for values in kept if values] == [url + "second-secret"]
    for person in (place.primary, viewer):
        answer = (await person.post(EVENTS, id=place.id, last=4)).text
        nodes = json.loads(answer)["data"]["site"]["history"]["nodes"]
        happened = ["CREATED", "UPDATED", "SECRET_ROTATED", "DELETED"]
        assert named(nodes) == [f"WEBHOOK_{what}" for what in happened]
        for node in nodes:
            assert (node["subjectType"], node["subjectId"]) == ("WEBHOOK", webhook["webhookId"])
            assert (node["before"], node["after"], node["changes"]) == (None, None, [])
        assert "-secret" not in answer
        assert made["secret"] not in answer


def test_every_path_is_a_field_of_the_snapshot_and_a_column_of_the_table() -> None:
    schema = executable_schema()
    assert set(PATHS) == set(MODELS) == set(SNAPSHOTS)
    for kind, paths in PATHS.items():
        leaves = set()
        for name, path in paths.items():
            assert name in MODELS[kind].__table__.c
            shown: Any = schema.get_type(SNAPSHOTS[kind].__name__)
            for part in path.split("."):
                assert isinstance(shown, GraphQLObjectType), path
                shown = get_named_type(shown.fields[part].type)
            leaves.add(path)
        assert leaves == set(_leaves(schema.get_type(SNAPSHOTS[kind].__name__)))


def _leaves(kind: Any, prefix: str = "") -> list[str]:
    found = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        found += (
            _leaves(inner, f"{prefix}{name}.") if isinstance(inner, GraphQLObjectType) else [prefix + name]
        )
    return found


async def test_names_stay_when_people_and_memberships_are_gone(world: World) -> None:
    place = await world.site()
    manager, manager_id = await world.secondary(place, manage_access=UPDATE)
    member, member_id = await world.member(place)
    await manager.succeed("removeMembership", membershipId=member_id, reason="Left the company")
    await place.primary.succeed("removeMembership", membershipId=manager_id)
    # Whoever sees the messages still sees to whom they went; this one does not.
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    removed, _ = await events(viewer, place)
    assert (removed["actorName"], removed["actor"]) == (manager.ibm_id, None)
    assert (removed["subjectName"], removed["subjectId"]) == (member.ibm_id, member_id)
    assert (removed["reason"], removed["after"]) == ("Left the company", None)
    assert removed["before"]["role"] == "USER"
    gone = "query($id: ID!) { node(id: $id) { id } }"
    assert await place.primary.ask(gone, id=removed["subjectId"]) == {"node": None}


@pytest.mark.parametrize("field", ["NUMBER", "AT"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_together_are_the_history_in_both_directions(
    world: World, field: str, direction: str
) -> None:
    place = await world.site()
    for days in (3, 1, 2, 2, 2, 5, 4):
        await insert(world, place, at=ago(days=days).replace(microsecond=0, second=0))
    by = {"field": field, "direction": direction}
    whole = [node["number"] for node in await events(place.primary, place, by=by)]
    in_order = {"NUMBER": [1, 2, 3, 4, 5, 6, 7], "AT": [6, 7, 1, 3, 4, 5, 2]}[field]
    assert whole == in_order[:: 1 if direction == "ASC" else -1]
    forward, page = [], {"pageInfo": {"endCursor": None, "hasNextPage": True}}
    while page["pageInfo"]["hasNextPage"]:
        page = await history(place.primary, place, by=by, first=3, after=page["pageInfo"]["endCursor"])
        forward += [node["number"] for node in page["nodes"]]
        assert page["totalCount"] == 7
    backward, page = [], {"pageInfo": {"startCursor": None, "hasPreviousPage": True}}
    while page["pageInfo"]["hasPreviousPage"]:
        page = await history(place.primary, place, by=by, last=3, before=page["pageInfo"]["startCursor"])
        backward = [node["number"] for node in page["nodes"]] + backward
    assert forward == backward == whole


async def test_filters(world: World) -> None:
    place, people, ids = await eventful(world)
    primary = people["primary"]

    async def found(**filter: Any) -> list[str]:
        page = await history(primary, place, filter=filter)
        assert page["totalCount"] == len(page["nodes"])
        return named(page["nodes"])

    assert await found(actorIds=[primary.id]) == ALL[1:]
    assert await found(actorIds=[people["requester"].id, people["stranger"].id]) == ALL[:1]
    assert await found(subjectIds=[ids["request"], ids["contact"]]) == ALL[:2]
    assert await found(events=["MEMBERSHIP_UPDATED", "SITE_LEFT"]) == ALL[2:]
    assert await found(events=[]) == []
    assert await found(text="ete") == ALL[2:]
    assert await found(text="DURAND camille") == ALL[1:2]
    assert await found(text=people["requester"].ibm_id) == ALL[:1]
    assert await found(text="%") == []
    assert await found(actorIds=[primary.id], subjectIds=[ids["contact"]], text="Camille") == ALL[1:2]
    moments = [node["at"] for node in await events(primary, place)]
    assert await found(**{"from": moments[1]}) == ALL[1:]
    assert await found(until=moments[1]) == ALL[:1]
    assert await found(until=moments[1].replace("+00:00", "Z").lower()) == ALL[:1]
    assert await found(**{"from": moments[0], "until": moments[2].replace("+00:00", "Z")}) == ALL[:2]


@pytest.mark.parametrize("name", ["ΟΔΟΣ", "Οδός", "Øresund", "STRASSE", "Straße"])
async def test_a_text_is_found_in_whatever_case_it_is_typed(world: World, name: str) -> None:
    place = await world.site()
    await place.primary.succeed("createPrivilegeTemplate", siteId=place.id, name=name, privileges={})
    for text in (name, name.lower(), name.upper(), name.casefold(), plain(name)):
        assert named(await events(place.primary, place, filter={"text": text})) == [
            "PRIVILEGE_TEMPLATE_CREATED"
        ]


@pytest.mark.parametrize(
    "filter",
    [
        {"actorIds": ["site_" + "0" * 32]},
        {"actorIds": ["nonsense"]},
        {"subjectIds": ["nonsense"]},
        {"subjectIds": ["site_" + "0" * 32] * 101},
        {"text": "x" * 101},
        {"text": "a\u0000b"},
        {"from": "yesterday"},
        {"from": 5},
        {"from": "2026-03-01T09:30:00"},
        {"from": "20260301T09Z"},
        {"until": "0001-01-01T00:00:00+23:59"},
        {"events": ["NOTHING"]},
    ],
)
async def test_an_impossible_filter_is_a_clear_error(world: World, filter: dict[str, Any]) -> None:
    place = await world.site()
    response = await place.primary.post(EVENTS, id=place.id, filter=filter)
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"BAD_USER_INPUT"}


PARTS = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename
  ... on Membership { history { totalCount nodes { event } } }
  ... on Contact { history(filter: {events: [CONTACT_UPDATED]}) { totalCount nodes { event } } }
  ... on User { history { totalCount nodes { event subjectType subjectId number } } }
  ... on AccessRequest { history { totalCount nodes { event } } } } }"""


async def test_things_have_a_history_of_their_own(world: World) -> None:
    _, people, ids = await eventful(world)
    asked = [ids["membership"], ids["contact"], ids["request"]]
    nodes = (await people["primary"].ask(PARTS, ids=asked))["nodes"]
    assert [named(node["history"]["nodes"]) for node in nodes] == [[ALL[2]], [ALL[1]], [ALL[0]]]
    nodes = (await people["user"].ask(PARTS, ids=asked))["nodes"]
    assert [node and named(node["history"]["nodes"]) for node in nodes] == [[ALL[2]], [], None]
    nodes = (await people["requester"].ask(PARTS, ids=asked))["nodes"]
    assert [node and node["history"]["totalCount"] for node in nodes] == [None, None, 1]


async def test_a_persons_own_history_is_theirs_alone(world: World) -> None:
    _, people, _ = await eventful(world)
    user = people["user"]
    await user.succeed("updateENotificationPreferences", email=None, topics=["NEW_VERSIONS"])
    [seen] = (await user.ask(PARTS, ids=[user.id]))["nodes"]
    assert seen["history"]["nodes"] == [
        {"event": "USER_SIGNED_IN_FIRST", "subjectType": "USER", "subjectId": user.id, "number": None},
        {
            "event": "E_NOTIFICATIONS_UPDATED",
            "subjectType": "E_NOTIFICATION_PREFERENCE",
            "subjectId": user.id,
            "number": None,
        },
    ]
    [hidden] = (await people["primary"].ask(PARTS, ids=[user.id]))["nodes"]
    assert hidden == {"__typename": "User", "history": {"totalCount": 0, "nodes": []}}


REQUESTS = """{ viewer { accessRequests { nodes { history { totalCount pageInfo { endCursor }
  nodes { number event actorName subjectName subjectType before { __typename }
    after { ... on AccessRequestSnapshot { state requestedPrivileges { reporting } } }
    changes { field after } } } } } } }"""


async def test_the_history_of_a_request_does_not_tell_whether_there_is_a_site(world: World) -> None:
    place = await world.site()
    for _ in range(30):
        await insert(world, place)
    answers = []
    for number in (place.number, uuid4().hex[:10].upper()):
        person = await world.person("asker")
        await person.succeed("requestAccess", siteNumber=number, privileges={"reporting": "VIEW"})
        [request] = (await person.ask(REQUESTS))["viewer"]["accessRequests"]["nodes"]
        moment, id = read_anyhow(request["history"].pop("pageInfo")["endCursor"])
        assert moment.startswith("20") and UUID(id).version == 4
        text = str(request).replace(person.ibm_id, "IBMID").replace(number, "NUMBER")
        answers.append(text)
    assert answers[0] == answers[1]


def read_anyhow(cursor: str) -> list[str]:
    """The values that stand in a cursor."""
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    values: list[str] = json.loads(raw[12:])
    return values


async def test_that_a_site_was_made_later_is_not_told_to_who_asked_before(world: World) -> None:
    number, person = new_number(), await world.person("asker")
    await person.succeed("requestAccess", siteNumber=number)
    before = await person.ask(REQUESTS)
    await import_document(world.database, document(number), "tests")
    events = await world.rows(HistoryEvent, HistoryEvent.event == Event.ACCESS_REQUESTED)
    assert len([event for event in events if (event.after or {}).get("site_number") == number]) == 2
    assert await person.ask(REQUESTS) == before


async def test_a_history_is_one_statement_however_many_events_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, people, _ = await eventful(world)
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    await history(people["primary"], place)
    for _ in range(20):
        await insert(world, place)
    with statements() as seen:
        assert len(await events(people["primary"], place, first=100)) == 23
    assert (seen, reasons) == ([], [])


async def test_the_id_of_an_event_finds_it_again(world: World) -> None:
    place, people, _ = await eventful(world)
    nodes = await events(people["primary"], place)
    document = "query($id: ID!) { node(id: $id) { id __typename ... on HistoryEvent { number event } } }"
    for node in nodes:
        found = (await people["primary"].ask(document, id=node["id"]))["node"]
        assert found == {
            "id": node["id"], "__typename": "HistoryEvent", "number": node["number"], "event": node["event"],
        }  # fmt: skip
