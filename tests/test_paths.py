"""Whatever way leads to a row: what the policy hides does not appear, and what it shows is there.

The ways are made by walking the schema; what may appear is decided row by row, by the policy's decision in Python.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_non_null_type,
    is_required_argument,
)
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.actor import ANONYMOUS, Actor
from app.db.models import AccessRequest, Contact, Membership, Site, User
from app.db.outbox import UndeliverableAddress
from app.db.pool import Pool
from app.identity import standings_of
from app.policy import SEEING, Action, allows
from app.query.ids import write_id
from app.rules import AccessRequestState, ContactType, DenialReason, ViewLevel
from app.schema.schema import executable_schema
from app.site_rules import NamingState
from tests.receiver import webhook_row
from tests.site_rules import blocked_row, naming_row
from tests.test_reads import statements
from tests.world import CONTACT, VIEW, Person, Place, World, ago

HOPS = 3
"""Relations that are followed from a root, which is more than it takes to come back to the same row."""
KINDS = {"site": Site, "membership": Membership, "access_request": AccessRequest, "contact": Contact}
HIDDEN = {
    "details": Action.SEE_CONTACT_DETAILS,
    "expiresAt": Action.SEE_USERS,
    "decidedBy": Action.SEE_USERS,
}
"""Fields that are null for some of those who see the row, with the right that shows them."""
SCHEMA = executable_schema()
THINGS = ("Site", "Membership", "AccessRequest", "Contact", "User")
WALKED = {f"{thing}{part}" for thing in THINGS for part in ("", "Connection", "Edge")} | {
    "Viewer",
    "ContactReview",
    "Recommendation",
}
"""Where the ways lead through; what is seen by those only who manage it has tests of its own."""
WHO = (
    "primary", "manage_access=UPDATE", "manage_access=VIEW", "no levels", "user", "ended", "requester",
    "other primary", "contact_updates=UPDATE", "contact_updates=VIEW", "stranger", "anonymous",
)  # fmt: skip


def selection(kind: Any, hops: int) -> str:
    """Everything below a type that is or leads to something with an id, and the fields that may be hidden."""
    if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
        parts = (f"... on {one.name} {selection(one, hops)}" for one in SCHEMA.get_possible_types(kind))
        return f"{{ __typename {' '.join(parts)} }}"
    return f"{{ __typename {' '.join(_fields(kind, hops))} }}"


def _fields(kind: GraphQLObjectType, hops: int) -> Iterator[str]:
    steps = 0 if kind.name.endswith(("Connection", "Edge")) else 1
    for name, declared in kind.fields.items():
        below = get_named_type(declared.type)
        if name in ("id", "totalCount") or (name == "expiresAt" and _may_be_null(declared)):
            yield name
        elif name == "details":
            yield "details { phone }"
        elif below.name in WALKED and hops >= steps:
            yield f"{name}{_arguments(declared)} {selection(below, hops - steps)}"


def _may_be_null(declared: GraphQLField) -> bool:
    """Whether a field can be hidden at all; some others have the same name."""
    return not is_non_null_type(declared.type)


def _arguments(declared: GraphQLField) -> str:
    if "first" in declared.args:
        return "(first: 8)"
    required = {
        name: list(get_named_type(one.type).values)[-1]
        for name, one in declared.args.items()
        if is_required_argument(one)
    }
    return f"({', '.join(f'{name}: {value}' for name, value in required.items())})" if required else ""


def test_every_type_with_an_id_is_reached_in_several_ways() -> None:
    page = selection(SCHEMA.get_type("Site"), HOPS)
    for way in ("memberships", "accessRequests", "contacts", "contactFor", "viewerMembership", "decidedBy"):
        assert page.count(way) > 1
    assert page.count("site {") > 5
    for one in ("UndeliverableContactEmail", "UndeliverableMemberEmail", "UnusedPrivileges"):
        assert page.count(f"... on {one}Recommendation {{ __typename") > 0
    assert {"id"} == set(SCHEMA.type_map["Node"].fields)  # type: ignore[attr-defined]


@dataclass
class Scene:
    """Two sites with somebody of every kind, and what is in the database."""

    places: list[Place]
    people: dict[str, Person | None]
    rows: dict[str, Any] = field(default_factory=dict)

    async def load(self, world: World) -> None:
        """Read all rows of the two sites."""
        sites = [place.site_id for place in self.places]
        for kind, model in KINDS.items():
            for row in await world.rows(model, model.site_id.in_(sites)):
                self.rows[write_id(kind, row.id)] = row

    def visible(self, actor: Actor) -> set[str]:
        """The ids of what exists for a caller."""
        found = {id for id, row in self.rows.items() if allows(actor, SEEING[type(row)], row)}
        return found | {write_id("user", key) for key in self._people(actor)}

    def _people(self, actor: Actor) -> Iterator[UUID]:
        if actor.user_id:
            yield actor.user_id
        for row in self.rows.values():
            if isinstance(row, Membership | AccessRequest) and allows(actor, Action.SEE_USERS, row):
                yield row.user_id
                if isinstance(row, AccessRequest) and row.decided_by_id:
                    yield row.decided_by_id

    def everything(self) -> list[str]:
        """Every id, of people as well."""
        people = {write_id("user", row.user_id) for row in self.rows.values() if hasattr(row, "user_id")}
        return [*self.rows, *sorted(people)]

    def check(self, actor: Actor, data: Any) -> set[str]:
        """The ids in an answer; fails when there is one, or a field of one, that must be hidden."""
        found = dict(things(data))
        assert set(found) <= self.visible(actor)
        for id, values in found.items():
            for name in HIDDEN.keys() & values.keys():
                if values[name] is not None:
                    assert allows(actor, HIDDEN[name], self.rows[id]), (id, name)
        return set(found)


def things(data: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything with an id in an answer. Fails when a list says it has more or less than it shows."""
    if isinstance(data, list):
        for item in data:
            yield from things(item)
    if isinstance(data, dict):
        if "id" in data:
            yield data["id"], data
        if "totalCount" in data:
            assert data["totalCount"] == len(data["nodes"]) == len(data["edges"])
        for value in data.values():
            yield from things(value)


async def refuse_mail(world: World, place: Place) -> None:
    """Let no mail reach anybody of a site, and somebody hold a level that they do not use."""
    await world.member(place, levels_changed_at=ago(days=100), reporting=ViewLevel.VIEW)
    members = await world.rows(Membership, Membership.site_id == place.site_id)
    people = await world.rows(User, User.id.in_([one.user_id for one in members]))
    contacts = await world.rows(Contact, Contact.site_id == place.site_id)
    known = {row.email for row in await world.rows(UndeliverableAddress)}
    emails = {one.email.lower() for one in (*people, *contacts)}
    await world.add(*(UndeliverableAddress(email=email) for email in emails - known))


@pytest.fixture(scope="module")
async def scene(world: World) -> Scene:
    """Somebody of every kind at the first site, some of whom are somebody else at the second."""
    place, other = await world.site(), await world.site()
    people: dict[str, Person | None] = {
        "other primary": other.primary,
        **{who: await world.caller(place, who) for who in WHO if who in ("primary", "user", "ended")},
        **{who: await world.caller(place, who) for who in WHO if who.startswith("manage_access")},
        "no levels": (await world.secondary(place))[0],
        **{who: await world.caller(other, who) for who in WHO if who.startswith("contact_updates")},
        "stranger": await world.person("stranger"),
        "anonymous": None,
    }
    await world.secondary(other, person=people["user"], manage_access=VIEW, contact_updates=VIEW)
    await world.member(other, person=people["manage_access=UPDATE"])
    for where, soon in ((place, ago(days=-1)), (other, None)):
        await world.contact(where, [ContactType.SITE_TECHNICAL])
        people["requester"], _ = await world.request(where, people.get("requester"), expires_at=soon)
        await world.request(
            where,
            decided_by_id=where.primary.user_id,
            state=AccessRequestState.DENIED,
            denial_reason=DenialReason.UNKNOWN_REQUESTER,
            closed_at=ago(days=1),
            expires_at=ago(hours=1),
        )
        await refuse_mail(world, where)
    found = Scene([place, other], people)
    await found.load(world)
    return found


@pytest.fixture(scope="module", params=["engine", "interpreter"])
def reader(world: World, interpreted_world: World, request: pytest.FixtureRequest) -> AsyncClient:
    """The service, with the engine on and off."""
    return (world if request.param == "engine" else interpreted_world).client


async def actor_of(database: AsyncEngine, person: Person | None) -> Actor:
    """Somebody with what they are at this moment."""
    if person is None or person.user_id is None:
        return ANONYMOUS
    async with database.connect() as connection:
        return Actor(person.user_id, "", standings=await standings_of(connection, person.user_id))


async def ask(client: AsyncClient, person: Person | None, document: str, **variables: Any) -> Any:
    """The data of a call; anonymous callers may get errors, and nothing else."""
    headers = {"Authorization": f"Bearer {person.token}"} if person else {}
    body = {"query": document, "variables": variables}
    answer = (await client.post("/graphql", json=body, headers=headers)).json()
    assert person is None or "errors" not in answer, answer
    return answer.get("data")


ROOTS = f"""query($id: ID!, $number: String!) {{
  byId: site(id: $id) {selection(SCHEMA.get_type("Site"), HOPS)}
  byNumber: site(number: $number) {{ ...Whole }}
  viewer {selection(SCHEMA.get_type("Viewer"), HOPS - 1)}
}}
fragment Whole on Site {selection(SCHEMA.get_type("Site"), HOPS)}"""
NODES = f"""query($ids: [ID!]!) {{
  one: nodes(ids: $ids) {{ __typename id ... on Node {{ id }} ...All }}
  two: nodes(ids: $ids) {{ ...All }}
}}
fragment All on Node {selection(SCHEMA.get_type("Node"), HOPS - 1)}"""
DIRECT = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Contact { details { phone } } } }"


@pytest.mark.parametrize("who", WHO)
async def test_nothing_hidden_appears_and_nothing_visible_is_missing(
    scene: Scene, reader: AsyncClient, database: AsyncEngine, who: str
) -> None:
    person = scene.people[who]
    actor = await actor_of(database, person)
    everything = scene.everything()
    data = await ask(reader, person, DIRECT, ids=everything)
    assert scene.check(actor, data) == scene.visible(actor) & set(everything)
    for contact in (row for row in (data or {}).get("nodes", []) if row and "details" in row):
        allowed = allows(actor, Action.SEE_CONTACT_DETAILS, scene.rows[contact["id"]])
        assert (contact["details"] is not None) is allowed
    for place in scene.places:
        seen = scene.check(actor, await ask(reader, person, ROOTS, id=place.id, number=place.number))
        assert (place.id in seen) is (place.id in scene.visible(actor))
    for some in range(0, len(everything), 5):
        scene.check(actor, await ask(reader, person, NODES, ids=everything[some : some + 5]))


SHOWING = {
    f"{kind.name}.{name}"
    for kind in SCHEMA.get_possible_types(SCHEMA.get_type("Node"))  # type: ignore[arg-type]
    for name, declared in kind.fields.items()
    if get_named_type(declared.type).name == "User"
}
"""The fields of things with an id that show a person."""
SHOW = " ".join(
    f"... on {kind} {{ {kind}_{name}: {name} {{ id }} }}"
    for kind, name in (one.split(".") for one in SHOWING)
)
MANAGED = {"Webhook.createdBy", "Message.recipient"}
"""Those of what only they see who manage access."""
CALLERS: dict[str, set[str]] = {
    "primary": SHOWING,
    "manage_access=UPDATE": SHOWING,
    "manage_access=VIEW": SHOWING - MANAGED,
    "manage_access=NONE": set(),
    "contact_updates=UPDATE": set(),
    "user": set(),
    "ended": set(),
    "stranger": set(),
}


@dataclass
class Crowd:
    """People who appear at a site in one thing only, or in none; the things; and callers."""

    things: list[str]
    people: list[str]
    callers: dict[str, Person]


@pytest.fixture(scope="module")
async def crowd(world: World) -> Crowd:
    """Something of every kind that shows people."""
    place = await world.site()
    callers = {who: await world.caller(place, who) for who in CALLERS}
    people = [await world.person() for _ in range(11)]
    keys = iter([person.user_id for person in people[4:]])
    _, membership = await world.member(place, person=people[0])
    _, request = await world.request(
        place,
        people[1],
        state=AccessRequestState.DENIED,
        denial_reason=DenialReason.UNKNOWN_REQUESTER,
        decided_by_id=next(keys),
        closed_at=ago(days=1),
    )
    nomination = await world.nomination(place, membership, nominated_by_id=next(keys))
    closed = {"state": NamingState.REJECTED, "closed_at": ago(days=1)}
    rows = {
        "naming": naming_row(place, people[2], people[3], decided_by_id=next(keys), **closed),
        "blocked_requester": blocked_row(place, blocked_by_id=next(keys)),
        "webhook": webhook_row(place, created_by_id=next(keys)),
    }
    await world.add(*rows.values())
    message = await world.message(place, people[-1])
    await place.primary.succeed("updateSiteRules", siteId=place.id, pendingRequestDays=30)
    [event] = await world.events(place)
    things = [write_id(kind, row.id) for kind, row in (*rows.items(), ("history_event", event))]
    things += [membership, request, nomination, message]
    return Crowd(things, [person.id for person in (*people, place.primary)], callers)


@pytest.mark.parametrize("who", CALLERS)
async def test_whoever_is_shown_a_person_finds_the_person_by_id_and_nobody_else(
    crowd: Crowd, reader: AsyncClient, who: str
) -> None:
    caller = crowd.callers[who]
    things = await ask(
        reader, caller, f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ {SHOW} }} }}", ids=crowd.things
    )
    fields = {
        name.replace("_", "."): one for thing in things["nodes"] if thing for name, one in thing.items()
    }
    assert {name for name, one in fields.items() if one} == CALLERS[who]
    nodes = (await ask(reader, caller, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=crowd.people))[
        "nodes"
    ]
    shown = {one["id"] for one in fields.values() if one} | ({caller.id} & set(crowd.people))
    assert {one["id"] for one in nodes if one} == shown


async def test_who_decided_is_hidden_also_from_a_requester_who_sees_the_person_elsewhere(
    world: World, reader: AsyncClient
) -> None:
    place, other = await world.site(), await world.site()
    requester, _ = await world.secondary(other, manage_access=VIEW)
    await world.member(other, person=place.primary)
    _, request = await world.request(
        place,
        requester,
        state=AccessRequestState.DENIED,
        denial_reason=DenialReason.UNKNOWN_REQUESTER,
        decided_by_id=place.primary.user_id,
        closed_at=ago(days=1),
    )
    document = """query($request: ID!, $decider: ID!) { decider: node(id: $decider) { id }
      request: node(id: $request) { ... on AccessRequest { decidedBy { id } } } }"""
    data = await ask(reader, requester, document, request=request, decider=place.primary.id)
    assert data == {"decider": {"id": place.primary.id}, "request": {"decidedBy": None}}


PAYLOADS = f"""mutation($contact: UpdateContactInput!, $deny: DenyAccessRequestInput!) {{
  updateContact(input: $contact) {selection(SCHEMA.get_type("UpdateContactPayload"), HOPS - 1)}
  denyAccessRequest(input: $deny) {{
    ... on DenyAccessRequestPayload {selection(SCHEMA.get_type("DenyAccessRequestPayload"), HOPS - 1)}
    errors {{ code ... on AlreadyDecidedError {selection(SCHEMA.get_type("AlreadyDecidedError"), HOPS - 1)} }}
  }}
}}"""
PREVIEW = f"""query($input: AddUserPreviewInput!) {{
  addUserPreview(input: $input) {selection(SCHEMA.get_type("AddUserPreview"), HOPS - 1)}
}}"""


@pytest.mark.parametrize("who", [who for who in WHO if who != "anonymous"])
async def test_nothing_hidden_appears_in_an_answer_to_a_mutation_or_a_preview(
    world: World, scene: Scene, database: AsyncEngine, who: str
) -> None:
    person = scene.people[who]
    assert person is not None
    actor = await actor_of(database, person)
    for place in scene.places:
        rows = {id: row for id, row in scene.rows.items() if row.site_id == place.site_id}
        [contact] = [
            id for id, row in rows.items() if getattr(row, "types", 0) == [ContactType.SITE_TECHNICAL]
        ]
        [request] = [id for id, row in rows.items() if getattr(row, "denial_reason", None)]
        changed = {"contactId": contact, **CONTACT, "types": ["SITE_TECHNICAL"]}
        denied = {"accessRequestId": request, "reason": "UNKNOWN_REQUESTER"}
        data = await ask(world.client, person, PAYLOADS, contact=changed, deny=denied)
        seen = scene.check(actor, data)
        assert (contact in seen) is allows(actor, Action.CHANGE_CONTACTS, rows[contact])
        may_decide = allows(actor, Action.DECIDE_ACCESS_REQUEST, rows[request])
        assert [error["code"] == "ALREADY_DECIDED" for error in data["denyAccessRequest"]["errors"]] == [
            may_decide
        ]
        for one in scene.people.values():
            asked = {"siteId": place.id, "ibmId": one.ibm_id if one else "nobody"}
            found = await ask(world.client, person, PREVIEW, input=asked)
            scene.check(actor, found)
            may_add = allows(actor, Action.ADD_USER, scene.rows[place.id])
            assert (found["addUserPreview"] is not None) is may_add


LISTS = f"""query($id: ID!, $ids: [ID!]!) {{
  site(id: $id) {selection(SCHEMA.get_type("Site"), HOPS)}
  viewer {selection(SCHEMA.get_type("Viewer"), HOPS - 1)}
  nodes(ids: $ids) {selection(SCHEMA.get_type("Node"), 1)}
}}"""


async def site_with(world: World, rows: int) -> tuple[Place, list[str]]:
    """A site with so many rows in each of its lists, and in those of its primary contact; and ids of some."""
    place = await world.site()
    ids = [place.id, place.primary.id]
    for _ in range(rows):
        _, membership = await world.member(place)
        _, request = await world.request(place)
        ids += [membership, request, await world.contact(place, [ContactType.SITE_TECHNICAL])]
        await world.request(
            place,
            decided_by_id=place.primary.user_id,
            state=AccessRequestState.DENIED,
            denial_reason=DenialReason.UNKNOWN_REQUESTER,
            closed_at=ago(days=1),
        )
        other = await world.site()
        await world.member(other, person=place.primary)
        await world.request(other, person=place.primary)
    return place, ids


async def test_the_number_of_statements_does_not_depend_on_the_number_of_rows_in_any_list(
    world: World, reader: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    row = Pool.row

    async def noting(pool: Pool, sql: str, values: Sequence[Any]) -> Any:
        compiled.append(sql)
        return await row(pool, sql, values)

    monkeypatch.setattr(Pool, "row", noting)
    counts = []
    for rows in (1, 2):
        place, ids = await site_with(world, rows)
        # The first call signs in, with statements of its own.
        await ask(reader, place.primary, "{ viewer { user { id } } }")
        compiled.clear()
        with statements() as interpreted:
            data = await ask(reader, place.primary, LISTS, id=place.id, ids=ids)
        assert data["site"]["memberships"]["totalCount"] == 1 + rows
        assert data["viewer"]["accessRequests"]["totalCount"] == rows
        assert len(data["nodes"]) == 2 + 3 * rows
        counts.append((len(compiled), len(interpreted)))
    assert counts[0] == counts[1]
    assert sum(counts[0]) > 0
