"""Reads: what is seen by whom, by whatever path; lists in pages, orders and filters."""

import base64
import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.models import User
from app.db.statements import Prepared
from app.query.cursor import DIGEST_LENGTH, fingerprint, write_cursor
from app.rules import ContactType, PurchaseAndDownloadLevel, ViewLevel
from app.schema import search
from app.schema.enums import MembershipOrderField, OrderDirection
from app.texts import plain
from tests.world import UPDATE, VIEW, Person, Place, World

PAGE = """
query Page($id: ID!) {
  site(id: $id) {
    id number name remainingSecondaryContactSeats
    viewerMembership { role }
    memberships(first: 100) {
      totalCount
      nodes { id role active privileges { reporting accountManagement { manageAccess } } user { ibmId } }
    }
    contacts { email types details { phone city } }
    accessRequests { totalCount nodes { state requester { ibmId } expiresAt } }
  }
}
"""


async def busy_site(world: World) -> tuple[Place, dict[str, Person]]:
    """A site with somebody of every kind."""
    place = await world.site()
    people = {
        "primary": place.primary,
        "manager": (await world.secondary(place, manage_access=UPDATE))[0],
        "viewer": (await world.secondary(place, manage_access=VIEW))[0],
        "editor": (await world.secondary(place, contact_updates=UPDATE))[0],
        "user": (await world.member(place))[0],
        "requester": (await world.request(place))[0],
        "stranger": await world.person("stranger"),
    }
    yesterday = datetime.now(UTC) - timedelta(days=1)
    people["ended"] = (await world.member(place, ends_at=yesterday))[0]
    return place, people


@pytest.mark.parametrize(
    ("who", "members", "requests", "details"),
    [
        ("primary", 6, 1, True),
        ("manager", 6, 1, False),
        ("viewer", 6, 1, False),
        ("editor", 1, 0, True),
        ("user", 1, 0, False),
    ],
)
async def test_members_see_of_the_site_what_their_rights_allow(
    world: World, who: str, members: int, requests: int, details: bool
) -> None:
    place, people = await busy_site(world)
    site = (await people[who].ask(PAGE, id=place.id))["site"]
    assert site["memberships"]["totalCount"] == len(site["memberships"]["nodes"]) == members
    assert site["accessRequests"]["totalCount"] == len(site["accessRequests"]["nodes"]) == requests
    assert [contact["details"] is not None for contact in site["contacts"]] == [details]
    assert site["contacts"][0]["types"] == ["PRIMARY", "BILLING"]
    if members == 1:
        assert site["memberships"]["nodes"][0]["user"]["ibmId"] == people[who].ibm_id


@pytest.mark.parametrize("who", ["requester", "stranger", "ended"])
async def test_for_others_the_site_does_not_exist(world: World, who: str) -> None:
    place, people = await busy_site(world)
    assert await people[who].ask(PAGE, id=place.id) == {"site": None}
    by_number = "query($n: String!) { site(number: $n) { id } }"
    assert await people[who].ask(by_number, n=place.number) == {"site": None}
    assert await people[who].ask(by_number, n="NO-SUCH-NUMBER") == {"site": None}


async def test_nothing_hidden_appears_by_another_path(world: World) -> None:
    place, people = await busy_site(world)
    _, request_id = await world.request(place)
    _, membership_id = await world.member(place)
    contact_id = await world.contact(place, [ContactType.BILLING])
    ids = [place.id, membership_id, request_id, contact_id, people["manager"].id]
    document = """
      query($ids: [ID!]!) { nodes(ids: $ids) { __typename id
        ... on Site { memberships { nodes { user { email } } } }
        ... on Membership { user { email } site { name } }
        ... on AccessRequest { requester { email } site { name } }
        ... on Contact { email details { phone } site { accessRequests { totalCount } } }
        ... on User { email } } }
    """
    seen = {who: (await person.ask(document, ids=ids))["nodes"] for who, person in people.items()}
    assert [node and node["__typename"] for node in seen["primary"]] == [
        "Site", "Membership", "AccessRequest", "Contact", "User",
    ]  # fmt: skip
    assert [node is not None for node in seen["user"]] == [True, False, False, True, False]
    assert seen["user"][3]["details"] is None
    assert seen["user"][3]["site"]["accessRequests"]["totalCount"] == 0
    for who in ("requester", "stranger", "ended"):
        assert seen[who] == [None] * 5


async def test_the_viewer_sees_their_own_things_also_where_the_site_is_hidden(world: World) -> None:
    place, people = await busy_site(world)
    document = """{ viewer { user { ibmId }
        memberships { nodes { role active site { number } } }
        accessRequests { nodes { siteNumber state site { number } expiresAt decidedBy { name } } } } }"""
    ended = (await people["ended"].ask(document))["viewer"]
    assert ended["memberships"]["nodes"] == []
    asking = (await people["requester"].ask(document))["viewer"]
    assert asking["accessRequests"]["nodes"] == [
        {"siteNumber": place.number, "state": "PENDING", "site": None, "expiresAt": None, "decidedBy": None}
    ]
    assert asking["user"] == {"ibmId": people["requester"].ibm_id}


async def test_the_primary_contact_holds_the_highest_of_everything(world: World) -> None:
    place = await world.site()
    document = """query($id: ID!) { site(id: $id) { viewerMembership { privileges {
      purchaseAndDownload reporting entitlementInventory entitlementAllocations
      accountManagement { manageAccess contactUpdates contactUpdateOverview accountDocuments } } } } }"""
    data = await place.primary.ask(document, id=place.id)
    assert data["site"]["viewerMembership"]["privileges"] == {
        "purchaseAndDownload": "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
        "reporting": "VIEW",
        "entitlementInventory": "UPDATE",
        "entitlementAllocations": "UPDATE",
        "accountManagement": {
            "manageAccess": "UPDATE",
            "contactUpdates": "UPDATE",
            "contactUpdateOverview": "VIEW",
            "accountDocuments": "VIEW",
        },
    }


LIST = """query($id: ID!, $filter: MembershipFilter, $by: MembershipOrder,
  $first: Int, $after: String, $last: Int, $before: String) {
  site(id: $id) { memberships(filter: $filter, orderBy: $by, first: $first, after: $after,
    last: $last, before: $before) {
    totalCount
    edges { cursor node { user { ibmId } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""


async def listed(place: Place, **variables: Any) -> tuple[list[str], dict[str, Any], int]:
    """IBMids, page info and total count of a page."""
    page = (await place.primary.ask(LIST, id=place.id, **variables))["site"]["memberships"]
    ids = [edge["node"]["user"]["ibmId"] for edge in page["edges"]]
    if page["edges"]:
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
    return ids, page["pageInfo"], page["totalCount"]


@pytest.mark.parametrize("field", ["NAME", "ROLE", "CREATED_AT"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_together_are_the_list_in_both_directions(
    world: World, field: str, direction: str
) -> None:
    place = await world.site()
    for _ in range(6):
        await world.member(place)
    by = {"field": field, "direction": direction}
    whole, info, count = await listed(place, by=by)
    assert (len(whole), count, info["hasNextPage"]) == (7, 7, False)
    forward: list[str] = []
    info = {"endCursor": None, "hasNextPage": True}
    while info["hasNextPage"]:
        ids, info, count = await listed(place, by=by, first=3, after=info["endCursor"])
        forward += ids
        assert count == 7
    assert forward == whole
    backward: list[str] = []
    info = {"startCursor": None, "hasPreviousPage": True}
    while info["hasPreviousPage"]:
        ids, info, _ = await listed(place, by=by, last=3, before=info["startCursor"])
        backward = ids + backward
    assert backward == whole


async def test_opposite_orders_mirror_each_other(world: World) -> None:
    place = await world.site()
    for _ in range(4):
        await world.member(place)
    rising, _, _ = await listed(place, by={"field": "NAME", "direction": "ASC"})
    falling, _, _ = await listed(place, by={"field": "NAME", "direction": "DESC"})
    assert rising == falling[::-1] == sorted(rising)


async def named(world: World, place: Place, first: str, last: str) -> Person:
    """A member with a name."""
    person, _ = await world.member(place)
    async with world.database.begin() as connection:
        await connection.execute(
            sa.update(User)
            .where(User.id == person.user_id)
            .values(first_name=first, last_name=last, sort_name=f"{last} {first}".lower().replace("é", "e"))
        )
    return person


@pytest.mark.parametrize("text", ["Lemée", "LEMEE", "zoé lemee", "lemee z"])
async def test_members_are_found_without_regard_to_case_and_accents(world: World, text: str) -> None:
    place = await world.site()
    person = await named(world, place, "Zoé", "Lemée")
    await world.member(place)
    assert await listed(place, filter={"text": text}) == ([person.ibm_id], await info_of(place, text), 1)


async def info_of(place: Place, text: str) -> dict[str, Any]:
    """The page info of a search."""
    return (await listed(place, filter={"text": text}))[1]


async def test_members_are_found_by_mail_and_wildcards_mean_themselves(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    assert (await listed(place, filter={"text": person.ibm_id.upper()}))[0] == [person.ibm_id]
    assert (await listed(place, filter={"text": "%"}))[0] == []
    assert (await listed(place, filter={"text": "_____"}))[0] == []


@pytest.mark.parametrize("email", ["zoë.müller@example.com", "søren.strauß@example.com", "νίκος@example.com"])
async def test_members_are_found_by_mail_without_regard_to_case_and_accents(world: World, email: str) -> None:
    place = await world.site()
    person = await named(world, place, "Anna", "Schmidt")
    async with world.database.begin() as connection:
        await connection.execute(sa.update(User).where(User.id == person.user_id).values(email=email))
    spelled = unicodedata.normalize("NFD", email)
    for text in (email, email.upper(), spelled, spelled.upper(), plain(email), "schmidt " + email):
        assert (await listed(place, filter={"text": text}))[0] == [person.ibm_id]
    assert (await listed(place, filter={"text": "x" + email}))[0] == []


async def test_what_is_searched_and_what_is_searched_for_are_made_plain_alike(world: World) -> None:
    # Letters that Unicode has had for long: the newest ones are not known alike to every version of both.
    codes = (*range(0x20, 0x7F), *range(0xA0, 0x700), *range(0x1E00, 0x3100))
    # Of those that Unicode has not assigned yet, one side may know more than the other.
    letters = [letter for letter in map(chr, codes) if unicodedata.category(letter) != "Cn"]
    words = sa.func.unnest(sa.literal(letters, ARRAY(sa.Text))).column_valued("word")
    async with world.database.connect() as connection:
        found = (await connection.execute(sa.select(words, search.plain(words)))).all()
    assert [(word, made) for word, made in found if made != plain(word)] == []


async def test_members_are_filtered_by_role_and_level(world: World) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE, reporting=ViewLevel.VIEW)
    media = PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS
    buyer, _ = await world.member(place, purchase_and_download=media)
    await world.member(place)

    async def found(**condition: Any) -> set[str]:
        return set((await listed(place, filter=condition))[0])

    assert await found(roles=["SECONDARY_CONTACT"]) == {manager.ibm_id}
    assert await found(roles=[]) == set()
    at_least = {"purchaseAndDownload": "SOFTWARE_DOWNLOAD"}
    assert await found(privilegesAtLeast=at_least) == {place.primary.ibm_id, buyer.ibm_id}
    assert await found(roles=["USER"], privilegesAtLeast=at_least) == {buyer.ibm_id}
    account = {"accountManagement": {"manageAccess": "VIEW"}}
    assert await found(privilegesAtLeast=account) == {place.primary.ibm_id, manager.ibm_id}


async def test_requests_are_filtered_by_the_state_of_this_moment(world: World) -> None:
    place = await world.site()
    await world.request(place)
    await world.request(place, expires_at=datetime.now(UTC) - timedelta(minutes=1))
    document = """query($id: ID!, $states: [AccessRequestState!]) { site(id: $id) {
      accessRequests(filter: {states: $states}) { totalCount nodes { state } } } }"""
    for states, found in ((["PENDING"], ["PENDING"]), (["EXPIRED"], ["EXPIRED"]), (["DENIED"], [])):
        data = await place.primary.ask(document, id=place.id, states=states)
        assert [node["state"] for node in data["site"]["accessRequests"]["nodes"]] == found
        assert data["site"]["accessRequests"]["totalCount"] == len(found)


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 1, "last": 1},
        {"first": 101},
        {"first": -1},
        {"after": "bm9wZQ"},
        {"after": ""},
        {"before": "éé"},
        {"filter": {"text": "x" * 101}},
        {"filter": {"text": "a\u0000b"}},
    ],
)
async def test_an_impossible_page_is_a_clear_error(world: World, arguments: dict[str, Any]) -> None:
    place = await world.site()
    response = await place.primary.post(LIST, id=place.id, **arguments)
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_cursor_belongs_to_its_list_order_and_filter(world: World) -> None:
    place = await world.site()
    await world.member(place)
    _, info, _ = await listed(place, first=1)
    cursor = info["endCursor"]
    last = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for variables in (
        {"after": cursor, "by": {"field": "ROLE", "direction": "ASC"}},
        {"after": cursor, "filter": {"roles": ["USER"]}},
        {"after": last},
    ):
        response = await place.primary.post(LIST, id=place.id, **variables)
        assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}, variables


@pytest.mark.parametrize(
    "values", [[], ["x"], ["x", "y"], ["x", "y", "z"], ["ROLE", "not-a-uuid"], ["\u0000", "0"]]
)
async def test_a_forged_cursor_is_a_clear_error(world: World, values: list[str]) -> None:
    place = await world.site()
    by = {"field": "ROLE", "direction": "ASC"}
    of = fingerprint(
        "Site.memberships", None, {"field": MembershipOrderField.ROLE, "direction": OrderDirection.ASC}
    )
    response = await place.primary.post(LIST, id=place.id, by=by, after=write_cursor(of, values))
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert ("compared" if len(values) == 2 else "cursor") in response.text


@pytest.mark.parametrize("payload", ["5", "null", "nope", "[" * 5_000, f"[{'1' * 5_000}]", '{"a": 1}', '"x"'])
async def test_a_forged_cursor_need_not_hold_a_list(world: World, payload: str) -> None:
    place = await world.site()
    of = fingerprint("Site.memberships", None, None)
    digest = hashlib.md5((of + payload).encode(), usedforsecurity=False).hexdigest()[:DIGEST_LENGTH]
    after = base64.urlsafe_b64encode(f"{digest}{payload}".encode()).decode().rstrip("=")
    document = (
        "query($id: ID!, $after: String) { site(id: $id) { memberships(after: $after) { nodes { id } } } }"
    )
    [error] = (await place.primary.post(document, id=place.id, after=after)).json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_page_of_nothing_still_counts(world: World) -> None:
    place = await world.site()
    ids, info, count = await listed(place, first=0)
    assert (ids, count, info["hasNextPage"]) == ([], 1, True)


async def test_aliases_fragments_and_directives_read_what_they_say(world: World) -> None:
    place, people = await busy_site(world)
    document = """query($id: ID!, $no: Boolean!) { a: site(id: $id) { ...Names b: __typename }
      c: site(id: $id) { few: memberships(first: 1) { nodes { id } } all: memberships { nodes { id } }
        name @skip(if: $no) number @include(if: $no) ... on Node { id } } }
      fragment Names on Site { title: name contacts { ... on Contact { who: lastName } lastName } }"""
    data = await people["primary"].ask(document, id=place.id, no=True)
    assert data["a"] == {
        "title": f"Site {place.number}",
        "contacts": [{"who": "Martin", "lastName": "Martin"}],
        "b": "Site",
    }
    assert (len(data["c"]["few"]["nodes"]), len(data["c"]["all"]["nodes"])) == (1, 6)
    assert "name" not in data["c"] and data["c"]["number"] == place.number and data["c"]["id"] == place.id


async def test_contact_for_a_type_falls_back_to_the_primary_contact_record(world: World) -> None:
    place = await world.site()
    await world.contact(place, [ContactType.SITE_TECHNICAL], last_name="First")
    await world.contact(place, [ContactType.SITE_TECHNICAL], last_name="Second")
    document = """query($id: ID!) { site(id: $id) {
      technical: contactFor(type: SITE_TECHNICAL) { lastName }
      renewal: contactFor(type: SUBSCRIPTION_AND_SUPPORT_RENEWAL) { lastName }
      contacts(type: SITE_TECHNICAL) { lastName } } }"""
    site = (await place.primary.ask(document, id=place.id))["site"]
    assert site["technical"] == {"lastName": "First"}
    assert site["renewal"] == {"lastName": "Martin"}
    assert [contact["lastName"] for contact in site["contacts"]] == ["First", "Second"]


@pytest.mark.parametrize(
    "arguments", ["", '(id: "site_x", number: "1")', '(id: "nonsense")', '(id: "user_' + "0" * 32 + '")']
)
async def test_a_site_is_asked_for_by_one_right_key(world: World, arguments: str) -> None:
    person = await world.person()
    response = await person.post(f"{{ site{arguments} {{ id }} }}")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_unknown_and_malformed_ids_are_nothing(world: World) -> None:
    person = await world.person()
    ids = ["site_" + "0" * 32, "nonsense", "", "site_", "planet_" + "0" * 32, "site_\u0000"]
    data = await person.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert data == {"nodes": [None] * len(ids)}
    response = await person.post("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 101)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of all sessions of this process, be they to read for the interpreter or to write."""
    seen: list[str] = []
    call = Prepared.call

    def noted(prepared: Prepared, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        seen.append(call(prepared, values)[0])
        return call(prepared, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "call", noted)
        yield seen


async def test_pages_within_pages_are_refused_before_anything_is_read(world: World) -> None:
    place = await world.site()
    document = "{ id }"
    for _ in range(3):
        document = "{ memberships(first: 100) { nodes { site " + document + " } } }"
    with statements() as seen:
        response = await place.primary.post("query($id: ID!) { site(id: $id) " + document + " }", id=place.id)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert not [statement for statement in seen if "LATERAL" in statement]


async def test_a_document_cannot_ask_for_too_much_by_many_roots_either(world: World) -> None:
    place = await world.site()
    page = "site(id: $id) { memberships(first: 100) { nodes { site { memberships(first: 50) { nodes { id } } } } } }"
    document = "query($id: ID!) {" + "".join(f" a{index}: {page}" for index in range(6)) + " }"
    response = await place.primary.post(document, id=place.id)
    codes = [error["extensions"]["code"] for error in response.json()["errors"]]
    assert codes and set(codes) == {"BAD_USER_INPUT"}


def on(kinds: dict[str, str]) -> str:
    """What is selected of each type."""
    return " ".join(f"... on {kind} {{ {selection} }}" for kind, selection in kinds.items())


async def test_objects_are_counted_as_of_the_type_of_which_most_is_asked(world: World) -> None:
    place = await world.site()
    site = "site { contacts { id } webhooks { id } deciders { name } }"
    kinds = dict.fromkeys(("Membership", "Contact", "AccessRequest", "Nomination", "Naming"), site)
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { %s } }"
    data = await place.primary.ask(document % on(kinds), ids=[place.id] * 100)
    assert len(data["nodes"]) == 100
    kinds["Naming"] = "site { memberships(first: 100) { nodes { user { id } } } }"
    response = await place.primary.post(document % on(kinds), ids=[place.id] * 100)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_parts_are_counted_all_together(world: World) -> None:
    place = await world.site()
    page = "(first: 100) { nodes { site { memberships(first: 100) { nodes { id } } } } }"
    kinds = {
        "AccessEndsSoonRecommendation": f"memberships{page}",
        "OldPendingRequestsRecommendation": f"accessRequests{page}",
    }
    document = "query($id: ID!) { site(id: $id) { recommendations { %s } } }"
    for kind, selection in kinds.items():
        await place.primary.ask(document % on({kind: selection}), id=place.id)
    response = await place.primary.post(document % on(kinds), id=place.id)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
