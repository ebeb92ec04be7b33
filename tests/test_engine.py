"""The compiled reads against graphql-core: two ways, one meaning, to the byte."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    IntValueNode,
    NameNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    parse,
    parse_value,
    print_ast,
    visit,
)
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries

from app.db.models import AccessRequest, Membership
from app.db.outbox import UndeliverableAddress
from app.db.privilege_uses import PrivilegeUse
from app.query.engine import Engine
from app.query.ids import write_id
from app.rules import (
    AccessRequestState,
    ContactType,
    DenialReason,
    Event,
    Language,
    MessageFault,
    MessageState,
    NominationState,
    PrivilegeName,
    ViewLevel,
)
from app.site_rules import NamingKind, NamingState
from app.webhook_rules import WebhookDeliveryState, WebhookFailure
from tests.receiver import delivery_row, webhook_row
from tests.site_rules import blocked_row, naming_row, template_row
from tests.test_reads import LIST, PAGE, busy_site, statements
from tests.world import CONTACT as CONTACT_FORM
from tests.world import UPDATE, Person, Place, World, ago

PLANNED = ("site", "viewer", "privilegeCatalog")
LISTS = (
    "memberships",
    "accessRequests",
    "history",
    "deliveries",
    "messages",
    "pendingNamings",
    "blockedRequesters",
)
ENDS = {"first", "last", "after", "before"}
PEOPLE = ("primary", "manager", "viewer", "editor", "user", "requester", "stranger", "ended")
ORDERS = [
    None,
    *({"field": field, "direction": way} for field in ("NAME", "ROLE") for way in ("ASC", "DESC")),
]
OWN = "query($id: ID!) { site(id: $id) { viewerMembership { id } } }"
Scene = tuple[Place, dict[str, Person]]


@pytest.fixture(scope="module")
def interpreted(interpreted_world: World) -> AsyncClient:
    """The same service with the engine off: all reads go through graphql-core."""
    return interpreted_world.client


@pytest.fixture(scope="module")
async def scene(world: World) -> Scene:
    """A site with somebody of every kind, requests in every state, and names that need escaping."""
    place, people = await busy_site(world)
    decided = {
        "decided_by_id": place.primary.user_id,
        "closed_at": ago(days=1),
        "justification": 'say "hé\n"',
    }
    denied = {"state": AccessRequestState.DENIED, "denial_reason": DenialReason.UNKNOWN_REQUESTER}
    await world.request(place, **decided, **denied)
    await world.request(place, state=AccessRequestState.WITHDRAWN, closed_at=ago(days=2))
    await world.request(place, expires_at=ago(minutes=1), reporting=ViewLevel.VIEW)
    await world.contact(
        place, [ContactType.SITE_TECHNICAL, ContactType.BILLING], last_name='O\'Neil \\ "Ω" \t🂡'
    )
    await people["editor"].succeed("confirmContactReview", siteId=place.id)
    for who in ("user", "manager"):
        await people[who].succeed(
            "updateENotificationPreferences", email="é@example.com", topics=["NEW_VERSIONS"]
        )
    await world.calendar(place, place.primary)
    membership_id = (await people["user"].ask(OWN, id=place.id))["site"]["viewerMembership"]["id"]
    await world.nomination(place, membership_id, state=NominationState.DECLINED, closed_at=ago(days=2))
    await world.nomination(place, membership_id, justification='"Ünïcode"')
    await people["editor"].succeed(
        "requestHigherLevel", siteId=place.id, justification="More", privileges={"reporting": "VIEW"}
    )
    await people["ended"].succeed(
        "requestExtension", siteId=place.id, justification="More", endsAt="2030-01-01T00:00:00Z"
    )
    await make_history(world, place, people["user"])
    await add_webhooks(world, place)
    await add_site_rules(world, place, people)
    failed = {"fault": MessageFault.RECIPIENT_REFUSED, "last_error": "550 unknown", "attempts": 3}
    dead = {"state": MessageState.DEAD}
    await world.message(place, people["user"], **failed, **dead)
    await world.message(
        place,
        await world.person("removed"),
        state=MessageState.SENT,
        sent_at=ago(days=1),
    )
    await world.message(place, people["requester"], language=Language.FR)
    await add_advice(world, place, people["user"])
    other, _ = await busy_site(world)
    await world.secondary(other, person=people["user"], manage_access=UPDATE)
    return place, people


async def add_advice(world: World, place: Place, user: Person) -> None:
    """People and contacts whom no mail reaches, and levels that are used or not."""
    for number in range(3):
        email = f"{number}.{place.number}@example.com".lower()
        await world.contact(place, [ContactType.BILLING], email=email, last_name=f'"Ünreached" {number}')
        person, _ = await world.member(place, levels_changed_at=ago(days=100), reporting=ViewLevel.VIEW)
        last = {"privilege": PrivilegeName.REPORTING, "last_used_on": ago(days=number * 90).date()}
        await world.add(
            UndeliverableAddress(email=email),
            UndeliverableAddress(email=person.ibm_id),
            PrivilegeUse(site_id=place.site_id, user_id=person.user_id, **last),
        )
    await world.add(UndeliverableAddress(email=user.ibm_id))


async def make_history(world: World, place: Place, user: Person) -> None:
    """Events about subjects of every kind, with and without values, before and after."""
    asker = await world.person("asker")
    asked = await asker.succeed("requestAccess", "accessRequest { id }", siteNumber=place.number)
    request_id = asked["accessRequest"]["id"]
    granted = await place.primary.succeed(
        "grantAccessRequest", "membership { id }", accessRequestId=request_id, role="USER"
    )
    await place.primary.succeed(
        "removeMembership", membershipId=granted["membership"]["id"], reason="é, gone"
    )
    contact_id = await world.contact(place, [ContactType.BILLING])
    form = {
        **CONTACT_FORM,
        "lastName": 'O\'Neil \\ "Ω" \t🂡'.replace("\t", " "),
        "types": ["SITE_TECHNICAL", "BILLING"],
    }
    await place.primary.succeed("updateContact", contactId=contact_id, **form)
    await place.primary.succeed("createCalendarSubscription", siteId=place.id)
    hook = {"url": "https://partner.example/hooks?token=abc", "events": ["SITE_LEFT"]}
    made = await place.primary.succeed("createWebhook", "webhook { id }", siteId=place.id, **hook)
    await place.primary.succeed("deleteWebhook", webhookId=made["webhook"]["id"])
    [own] = [
        row
        for row in await world.rows(Membership, Membership.user_id == user.user_id)
        if row.site_id == place.site_id
    ]
    await place.primary.succeed(
        "updateMembership", membershipId=write_id("membership", own.id), privileges={"reporting": "VIEW"}
    )


async def add_site_rules(world: World, place: Place, people: dict[str, Person]) -> None:
    """Blocked requesters, templates, and namings that wait and do not."""
    rules = {"grantAtMostWhatYouHold": True, "pendingRequestDays": 30}
    await place.primary.succeed("updateSiteRules", siteId=place.id, **rules)
    await world.add(blocked_row(place, reason='say "hé"'), blocked_row(place))
    await world.add(template_row(place, name="Über \\"), template_row(place, 2, manage_access=UPDATE))
    done = {
        "state": NamingState.REJECTED,
        "decided_by_id": people["manager"].user_id,
        "closed_at": ago(days=1),
    }
    await world.add(naming_row(place, people["user"], kind=NamingKind.UPDATE, **done))
    await world.add(naming_row(place, people["user"], kind=NamingKind.UPDATE, reporting=ViewLevel.VIEW))
    [request] = await world.rows(AccessRequest, AccessRequest.requester_id == people["requester"].user_id)
    granted = {"kind": NamingKind.GRANT, "access_request_id": request.id}
    await world.add(naming_row(place, people["requester"], people["manager"], **granted))


async def add_webhooks(world: World, place: Place) -> None:
    """A webhook with a delivery in every state, and one with nothing."""
    webhook = webhook_row(place, description='say "hé"', events=[Event.CONTACT_UPDATED, Event.SITE_LEFT])
    states = (
        {"state": WebhookDeliveryState.DEAD, "last_error": WebhookFailure.TIMED_OUT, "attempts": 10},
        {},
    )
    done = {"state": WebhookDeliveryState.DELIVERED, "delivered_at": ago(hours=1), "last_status": 204}
    deliveries = [delivery_row(webhook, **values) for values in (*states, done)]
    await world.add(webhook, webhook_row(place, slot=2), *deliveries)


def reads(sdl: str) -> str:
    """The schema with nothing at its root but what the engine plans."""
    kept = []
    for node in parse(sdl).definitions:
        name = node.name.value if isinstance(node, ObjectTypeDefinitionNode) else ""
        if name == "Query" and isinstance(node, ObjectTypeDefinitionNode):
            node = replace(node, fields=tuple(f for f in node.fields if f.name.value in PLANNED))
        if name != "Mutation":
            kept.append(node)
    return print_ast(DocumentNode(definitions=tuple(kept)))


class Sensible(Visitor):
    """Makes a generated query ask for a site that is there, and for pages that can be."""

    def __init__(self, site_id: str) -> None:
        super().__init__()
        self.site_id = site_id

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        """Put sensible arguments in the place of those that are hardly ever right."""
        if node.name.value in LISTS or ENDS & {part.name.value for part in node.arguments or ()}:
            return replace(node, arguments=tuple(self._page(node)))
        if node.name.value == "site" and node.arguments:
            return replace(node, arguments=(argument("id", StringValueNode(value=self.site_id)),))
        return None

    def leave_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode:
        """Ask for the type of everything, as clients with a cache do."""
        return replace(node, selections=(*node.selections, FieldNode(name=NameNode(value="__typename"))))

    def _page(self, node: FieldNode) -> list[ArgumentNode]:
        kept = [part for part in node.arguments if part.name.value in ("filter", "orderBy")]
        sizes = [part for part in node.arguments if part.name.value in ("first", "last")]
        for part in sizes:
            if isinstance(part.value, IntValueNode):
                wanted = IntValueNode(value=str(abs(int(part.value.value)) % 5))
                return [*kept, argument(part.name.value, wanted)]
        return kept


def argument(name: str, value: Any) -> ArgumentNode:
    """An argument of a document."""
    return ArgumentNode(name=NameNode(value=name), value=value)


async def both(
    person: Person, interpreted: AsyncClient, document: str, variables: dict[str, Any]
) -> tuple[bytes, bytes]:
    """The bodies of the two ways."""
    compiled = await person.post(document, **variables)
    headers = {"Authorization": f"Bearer {person.token}"}
    body = {"query": document, "variables": variables}
    return compiled.content, (await interpreted.post("/graphql", json=body, headers=headers)).content


@pytest.mark.parametrize(
    "list",
    [
        'history(filter: {actorIds: ["nope"]}) { __typename }',
        'history(filter: {actorIds: ["nope"]}) { pageInfo { hasPreviousPage } }',
        f'memberships(filter: {{text: "{"a" * 101}"}}) {{ pageInfo {{ __typename }} }}',
    ],
)
async def test_an_impossible_filter_is_refused_even_if_nothing_depends_on_it(
    scene: Scene, interpreted: AsyncClient, list: str
) -> None:
    document = f"query($id: ID!) {{ site(id: $id) {{ {list} }} }}"
    compiled, told = await both(scene[0].primary, interpreted, document, {"id": scene[0].id})
    assert compiled == told
    assert b'"code":"BAD_USER_INPUT"' in compiled


@pytest.mark.parametrize(
    "root",
    ["{{ viewer {} }}", 'mutation {{ updateContacts(input: {{siteId: "x", contacts: []}}) {{ site {} }} }}'],
)
async def test_an_impossible_filter_is_refused_for_anonymous_callers_as_well(
    world: World, interpreted: AsyncClient, root: str
) -> None:
    body = {"query": root.format(f'{{ memberships(filter: {{text: "{"a" * 101}"}}) {{ nodes {{ id }} }} }}')}
    compiled, told = [await one.post("/graphql", json=body) for one in (world.client, interpreted)]
    assert compiled.content == told.content
    assert compiled.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_error_names_every_place_that_asked(world: World, interpreted: AsyncClient) -> None:
    document = """mutation { a: leaveSite(input: {siteId: "x"}) { errors { code } } ...Again }
      fragment Again on Mutation { a: leaveSite(input: {siteId: "x"}) { errors { message } } }"""
    answers = [await one.post("/graphql", json={"query": document}) for one in (world.client, interpreted)]
    assert answers[0].content == answers[1].content
    assert [place["line"] for place in answers[0].json()["errors"][0]["locations"]] == [1, 2]


@pytest.mark.parametrize("arguments", ["", "(first: 0)", "(first: 2)", "(last: 2)"])
@pytest.mark.parametrize("more", ["", "totalCount", "nodes { id }"])
async def test_each_part_of_a_page_can_be_asked_for_alone(
    scene: Scene, interpreted: AsyncClient, arguments: str, more: str
) -> None:
    place, people = scene
    parts = ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename")
    pages = " ".join(f"{part}: memberships{arguments} {{ {more} pageInfo {{ {part} }} }}" for part in parts)
    document = f"query($id: ID!) {{ site(id: $id) {{ {pages} }} viewer {{ {pages} }} }}"
    for person in (place.primary, people["user"], people["stranger"]):
        compiled, complete = await both(person, interpreted, document, {"id": place.id})
        assert compiled == complete
        assert b'"errors"' not in compiled


SDL = reads((Path(__file__).parent.parent / "schema.graphql").read_text())
relaxed = settings(max_examples=80, suppress_health_check=list(HealthCheck))


@relaxed
@given(document=queries(SDL), who=st.sampled_from(PEOPLE))
async def test_random_queries_of_random_people_mean_the_same_both_ways(
    scene: Scene, interpreted: AsyncClient, document: str, who: str
) -> None:
    place, people = scene
    asked = print_ast(visit(parse(document), Sensible(place.id)))
    compiled, told = await both(people[who], interpreted, asked, {})
    assert compiled == told, asked


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(
    "by", [None, *({"field": f, "direction": d} for f in ("NAME", "ROLE") for d in ("ASC", "DESC"))]
)
async def test_pages_and_cursors_are_the_same_both_ways(
    scene: Scene, interpreted: AsyncClient, who: str, by: Any
) -> None:
    place, people = scene
    for size in ({"first": 2}, {"last": 2}, {"first": 0}, {"last": 100}, {}):
        variables = {"id": place.id, "by": by, **size}
        compiled, told = await both(people[who], interpreted, LIST, variables)
        assert compiled == told
        site = (await people[who].ask(LIST, **variables))["site"]
        info = site and site["memberships"]["pageInfo"]
        if info and info["endCursor"]:
            way = {"before": info["startCursor"]} if "last" in size else {"after": info["endCursor"]}
            compiled, told = await both(people[who], interpreted, LIST, variables | way)
            assert compiled == told


@pytest.mark.parametrize(
    "filter",
    [
        {"roles": ["USER"]},
        {"roles": []},
        {"active": True},
        {"active": False, "privilegesAtLeast": {"reporting": "NONE"}},
        {"text": "user example"},
        {"text": ""},
        {"text": "%_\\"},
        {"privilegesAtLeast": {"accountManagement": {"manageAccess": "VIEW"}}},
        {"roles": ["USER", "SECONDARY_CONTACT"], "text": "@", "privilegesAtLeast": {"reporting": "NONE"}},
        {"text": "x" * 101},
        {"text": "\u0000"},
    ],
)
async def test_filters_mean_the_same_both_ways(scene: Scene, interpreted: AsyncClient, filter: Any) -> None:
    place, people = scene
    compiled, told = await both(people["primary"], interpreted, LIST, {"id": place.id, "filter": filter})
    assert compiled == told


async def test_a_page_is_one_statement_that_is_planned_once(
    world: World, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, people = scene
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    first = await people["primary"].ask(PAGE, id=place.id)
    with statements() as seen:
        assert await people["primary"].ask(PAGE, id=place.id) == first
    # Nothing goes through a session: the caller and the page are one statement, straight on the driver.
    assert (seen, reasons) == ([], [])


async def test_what_cannot_be_planned_is_counted_and_answered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, people = scene
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    data = await people["primary"].ask("{ __schema { queryType { name } } }")
    assert data["__schema"]["queryType"]["name"] == "Query"
    assert reasons == ["introspection"]


class Repeated(Sensible):
    """Makes a generated query a mutation, of which nothing changes when it is done again."""

    def __init__(self, site_id: str, inputs: dict[str, str]) -> None:
        super().__init__(site_id)
        self.inputs = inputs

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> OperationDefinitionNode:
        """What was generated as a query changes something."""
        return replace(node, operation=OperationType.MUTATION)

    def leave_field(self, node: FieldNode, *rest: Any) -> FieldNode | None:
        """Give each mutation its input."""
        if node.name.value in self.inputs:
            value = parse_value(self.inputs[node.name.value])
            return replace(node, arguments=(argument("input", value),))
        return super().leave_field(node, *rest)


def payloads(sdl: str) -> str:
    """A schema whose queries are the payloads of some mutations."""
    kept = []
    for node in parse(sdl).definitions:
        name = node.name.value if isinstance(node, ObjectTypeDefinitionNode) else ""
        if name == "Mutation" and isinstance(node, ObjectTypeDefinitionNode):
            fields = tuple(replace(f, arguments=()) for f in node.fields if f.name.value in REPEATED)
            node = replace(node, name=NameNode(value="Query"), fields=fields)
        if name != "Query":
            kept.append(node)
    return print_ast(DocumentNode(definitions=tuple(kept)))


REPEATED = (
    "updateContact", "denyAccessRequest", "updateMembership", "rejectNaming", "updateSiteRules", "updateMemberships",
)  # fmt: skip
PAYLOADS = payloads((Path(__file__).parent.parent / "schema.graphql").read_text())
CONTACT = """{contactId: "%s", firstName: "Zoé", lastName: "Durand", phone: "+33142685300", email: "z@example.com",
  address: "1 rue de la Paix", city: "Paris", postalCode: "75002", country: "FR", types: [BILLING]}"""


@pytest.fixture(scope="module")
async def repeated(world: World, scene: Scene) -> dict[str, str]:
    """Inputs of mutations that were done: once more, they change nothing or are refused."""
    place, _ = scene
    (_, membership_id), (_, other_id) = await world.member(place), await world.member(place)
    _, request_id = await world.request(place)
    contact_id = await world.contact(place, [ContactType.BILLING])
    naming = naming_row(place, await world.person())
    naming_id = write_id("naming", naming.id)
    await world.add(naming)
    inputs = {
        "updateContact": CONTACT % contact_id,
        "denyAccessRequest": f'{{accessRequestId: "{request_id}", reason: UNKNOWN_REQUESTER}}',
        "updateMembership": f'{{membershipId: "{membership_id}", role: USER}}',
        "rejectNaming": f'{{namingId: "{naming_id}"}}',
        "updateSiteRules": f'{{siteId: "{place.id}", secondPersonConfirms: true, pendingRequestDays: null}}',
        "updateMemberships": f'''{{siteId: "{place.id}", errorPolicy: GOOD_ONES, items: [
            {{membershipId: "{membership_id}", expectedVersion: 7}}, {{membershipId: "{membership_id}"}},
            {{membershipId: "{other_id}", role: USER}}]}}''',
    }
    for name, input in inputs.items():
        await place.primary.ask(f"mutation {{ {name}(input: {input}) {{ errors {{ code }} }} }}")
    return inputs


@relaxed
@given(document=queries(PAYLOADS), who=st.sampled_from(PEOPLE))
async def test_random_payloads_of_random_people_mean_the_same_both_ways(
    scene: Scene, repeated: dict[str, str], interpreted: AsyncClient, document: str, who: str
) -> None:
    place, people = scene
    asked = print_ast(visit(parse(document), Repeated(place.id, repeated)))
    compiled, told = await both(people[who], interpreted, asked, {})
    assert compiled == told, asked


NODES = """query($ids: [ID!]!, $id: ID!) { one: node(id: $id) { __typename id } nodes(ids: $ids) { __typename id
  ... on Site { name memberships(first: 2) { totalCount nodes { user { email } } } }
  ... on Membership { user { email } site { name } privileges { reporting } }
  ... on AccessRequest { requester { email } site { name } }
  ... on Contact { email details { phone } site { accessRequests { totalCount } } } ... on User { email eNotifications
  { email topics } }
  ... on Nomination { state justification expiresAt nominee { email } nominatedBy { email } membership { role } }
  ... on HistoryEvent { number event actor { email } actorName subjectId before { __typename } changes { field } }
  ... on Naming { kind privileges { reporting } proposedBy { email } accessRequest { state } site { name } }
  ... on PrivilegeTemplate { name privileges { accountManagement { manageAccess } } }
  ... on BlockedRequester { ibmId blockedBy { email } }
  ... on CalendarSubscription { createdAt lastUsedAt site { contactReview { overdue lastDoneBy { email } } } } }
  ... on Message { kind lastError recipient { email hasSignedIn } } } }"""


@pytest.mark.parametrize("who", PEOPLE)
async def test_things_are_found_by_id_the_same_both_ways(
    world: World, scene: Scene, interpreted: AsyncClient, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, people = scene
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    contact_id = await world.contact(place, [ContactType.BILLING])
    _, calendar_id = await world.calendar(place, people[who], slot=20)
    elsewhere = await world.site()
    nomination_id = await world.nomination(elsewhere, (await world.member(elsewhere, person=people[who]))[1])
    events = [write_id("history_event", event.id) for event in await world.events(place)]
    of_rules = [
        blocked_row(place),
        template_row(place, 3 + PEOPLE.index(who)),
        naming_row(place, await world.person()),
    ]
    kinds = ("blocked_requester", "privilege_template", "naming")
    ids_of_rules = [write_id(kind, row.id) for kind, row in zip(kinds, of_rules, strict=True)]
    await world.add(*of_rules)
    removed = await world.person("removed")
    message_id = await world.message(place, removed)
    ids = [
        *ids_of_rules,
        calendar_id,
        nomination_id,
        *events,
        people["user"].id,
        message_id,
        removed.id,
        contact_id,
        "nonsense",
        request_id,
        place.id,
        membership_id,
        place.id,
        "site_" + "0" * 32,
    ]
    for id in ids:
        compiled, told = await both(people[who], interpreted, NODES, {"ids": ids, "id": id})
        assert compiled == told
    assert reasons == []


async def test_without_the_engine_the_number_of_statements_does_not_depend_on_the_number_of_rows(
    world: World, interpreted: AsyncClient
) -> None:
    small, _ = await busy_site(world)
    large, _ = await busy_site(world)
    for _ in range(20):
        await world.member(large)
        await world.request(large)
    counts = []
    for place in (small, large):
        headers = {"Authorization": f"Bearer {place.primary.token}"}
        body = {"query": PAGE, "variables": {"id": place.id}}
        await interpreted.post("/graphql", json=body, headers=headers)
        with statements() as seen:
            await interpreted.post("/graphql", json=body, headers=headers)
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert 5 < counts[0] < 12
