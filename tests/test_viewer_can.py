"""What a caller is told they may do, against what the mutations then do: the same answer, in the same words."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor
from app.db.models import AccessRequest, Site, User
from app.db.nominations import Nomination
from app.db.preferences import CalendarSubscription
from app.identity import standings_of
from app.policy import Action, allows, denial
from app.query.engine import Engine
from app.query.ids import parse_id, write_id
from app.rules import (
    CALENDAR_SUBSCRIPTIONS,
    AccessRequestState,
    ContactType,
    DenialReason,
    Language,
    NominationState,
    Role,
)
from app.site_rules import TEMPLATE_SLOTS, NamingKind, NamingState
from tests.site_rules import naming_row, template, template_row
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.test_ids import PERSON
from tests.world import CONTACT, UPDATE, Person, Place, World, ago

CALLERS = (
    "primary",
    "manage_access=UPDATE",
    "manage_access=VIEW",
    "contact_updates=UPDATE",
    "contact_updates=VIEW",
    "user",
    "requester",
    "member with a request",
    "member for a time",
    "nominator",
    "nominee",
)
LANGUAGES = (None, "fr", "en")
WHY = "{ allowed code reason }"
ACTIONS: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    "Site": {
        "addUser": ("addUser", "siteId", PERSON),
        "changeContacts": ("createContact", "siteId", CONTACT),
        "confirmContactReview": ("confirmContactReview", "siteId", {}),
        "manageAccess": (
            "removeMemberships",
            "siteId",
            {"items": [{"membershipId": "membership_0"}], "errorPolicy": "GOOD_ONES"},
        ),
        "updateSiteRules": ("updateSiteRules", "siteId", {"grantAtMostWhatYouHold": True}),
        "blockRequesters": ("blockRequester", "siteId", {"ibmId": "blocked@example.com"}),
        "createPrivilegeTemplate": ("createPrivilegeTemplate", "siteId", {"name": "New", "privileges": {}}),
        "subscribeToCalendar": ("createCalendarSubscription", "siteId", {}),
        "leaveSite": ("leaveSite", "siteId", {}),
        "requestHigherLevel": (
            "requestHigherLevel",
            "siteId",
            {"justification": "Needed", "privileges": {"reporting": "VIEW"}},
        ),
        "nominatePrimaryContact": (
            "nominatePrimaryContact",
            "siteId",
            {"justification": "Needed", "membershipId": "of a member"},
        ),
    },
    "Membership": {
        "update": ("updateMembership", "membershipId", {"privileges": {"reporting": "VIEW"}}),
        "remove": ("removeMembership", "membershipId", {}),
        "requestExtension": (
            "requestExtension",
            "siteId",
            {"justification": "Needed", "endsAt": ago(days=-30).isoformat()},
        ),
    },
    "Nomination": {
        "accept": ("acceptNomination", "nominationId", {}),
        "decline": ("declineNomination", "nominationId", {}),
        "cancel": ("cancelNomination", "nominationId", {}),
    },
    "AccessRequest": {
        "grant": ("grantAccessRequest", "accessRequestId", {"role": "USER"}),
        "deny": ("denyAccessRequest", "accessRequestId", {"reason": "UNKNOWN_REQUESTER"}),
        "withdraw": ("withdrawAccessRequest", "accessRequestId", {}),
    },
    "Contact": {
        "update": ("updateContact", "contactId", {**CONTACT, "types": ["PRIMARY", "BILLING"]}),
        "delete": ("deleteContact", "contactId", {}),
    },
    "Naming": {"confirm": ("confirmNaming", "namingId", {}), "reject": ("rejectNaming", "namingId", {})},
    "PrivilegeTemplate": {
        "update": ("updatePrivilegeTemplate", "privilegeTemplateId", {"privileges": {"reporting": "NONE"}}),
        "delete": ("deletePrivilegeTemplate", "privilegeTemplateId", {}),
    },
}
"""What is asked about each kind of thing, with the mutation that does it."""
OTHERS = (
    "requester",
    "user",
    "contact_updates=UPDATE",
    "contact_updates=VIEW",
    "member for a time",
    "nominee",
)
HIDDEN: dict[str, tuple[str, ...]] = {
    "Site": ("requester",),
    "Membership": ("requester",),
    "Contact": ("requester",),
    "AccessRequest": (),
    "Nomination": ("requester",),
    "Naming": OTHERS,
    "PrivilegeTemplate": OTHERS,
}
"""Who sees nothing of a kind."""
WITHOUT_MUTATION = {
    "seeUsers": Action.SEE_USERS,
    "seeContactDetails": Action.SEE_CONTACT_DETAILS,
}
"""What else is asked about a site: told by the policy alone."""
ASK = "query($id: ID!) { node(id: $id) { " + " ".join(
    f"... on {kind} {{ viewerCan {{ {' '.join(f'{kind}_{name}: {name} {WHY}' for name in actions)} }} }}"
    for kind, actions in ACTIONS.items()
)
ASK += " } }"


@pytest.fixture
def reasons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why something was not planned."""
    found: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: found.append(reason))
    return found


async def caller(world: World, place: Place, who: str) -> Person:
    """Somebody at a site by a word, also with a request of their own."""
    if who == "requester":
        return (await world.request(place))[0]
    if who == "member with a request":
        member, _ = await world.secondary(place, manage_access=UPDATE)
        return (await world.request(place, member))[0]
    if who == "member for a time":
        return (await world.member(place, ends_at=ago(days=-3)))[0]
    if who in ("nominator", "nominee"):
        nominee, membership_id = await world.member(place)
        await world.nomination(place, membership_id)
        return nominee if who == "nominee" else place.primary
    return await world.caller(place, who)


async def things(world: World, place: Place, person: Person) -> list[tuple[str, str]]:
    """Things of every kind and in every state, new ones, those of the caller among them."""
    decided = {"decided_by_id": (await world.person()).user_id, "closed_at": ago(days=1)}
    denied = {"state": AccessRequestState.DENIED, "denial_reason": DenialReason.UNKNOWN_REQUESTER}
    primarys_own = [await world.request(place, place.primary)] if who_is_not(place.primary, person) else []
    requests = [
        await world.request(place),
        *primarys_own,
        await world.request(place, expires_at=ago(minutes=1)),
        await world.request(place, state=AccessRequestState.WITHDRAWN, closed_at=ago(days=1)),
        await world.request(place, **decided, **denied),
        await world.request(place, person, **decided, **denied),
    ]
    memberships = [
        await world.member(place),
        await world.secondary(place),
        await world.member(place, ends_at=ago(days=1)),
    ]
    contacts = [await world.contact(place, [ContactType.BILLING])]
    nominations = await nominations_of(world, place, memberships[0][1], await own(person, "memberships"))
    return [
        ("Site", place.id),
        *(("AccessRequest", id) for _, id in requests),
        *(("AccessRequest", id) for id in await own(person, "accessRequests")),
        *(("Membership", id) for _, id in memberships),
        *(("Membership", id) for id in await own(person, "memberships")),
        *(("Membership", id) for id in await own(place.primary, "memberships")),
        *(("Nomination", id) for id in nominations),
        *(("Contact", id) for id in contacts),
        *(("Contact", f"contact_{id.hex}") for id in [place.contact_id]),
        ("PrivilegeTemplate", await template(world, place)),
        *(("Naming", id) for id in await namings(world, place, person)),
    ]


async def namings(world: World, place: Place, person: Person) -> list[str]:
    """Namings in every state that bears on whether they can be confirmed or rejected, the caller's among them."""
    second, _ = await world.secondary(place, manage_access=UPDATE)
    other, request_id = await world.request(place, expires_at=ago(minutes=1))
    (_, request) = parse_id(request_id) or ("", None)
    closed = {"state": NamingState.CANCELLED, "closed_at": ago(days=1)}
    rows = [
        naming_row(place, await world.person(), **closed),
        naming_row(place, other, kind=NamingKind.GRANT, access_request_id=request),
        naming_row(place, await world.person(), proposer=await world.person()),
        naming_row(place, await world.person(), proposer=person),
        naming_row(place, await world.person(), proposer=second),
        naming_row(place, await world.person(), ends_at=ago(minutes=1)),
        naming_row(place, await world.person()),
        naming_row(place, await world.person()),
    ]
    if who_is_not(place.primary, person):
        rows.append(naming_row(place, person))
    ids = [write_id("naming", row.id) for row in rows]
    await world.add(*rows)
    return ids


async def nominations_of(world: World, place: Place, member: str, own: list[str]) -> list[str]:
    """A closed nomination of somebody, closed ones and the pending one, if any, of the caller; one that ran out."""
    closed = {"state": NominationState.DECLINED, "closed_at": ago(days=1)}
    pending = await world.rows(Nomination, Nomination.site_id == place.site_id)
    ids = [write_id("nomination", row.id) for row in pending]
    primary = await world.rows(Site, Site.id == place.site_id)
    of_others = [id for id in own if id != write_id("membership", primary[0].primary_membership_id)]
    ids += [await world.nomination(place, id, **closed) for id in (member, *of_others)]
    if not pending:
        late = {"created_at": ago(days=15), "expires_at": ago(days=1)}
        ids.append(await world.nomination(place, (*of_others, member)[0], **late))
    return ids


def who_is_not(one: Person, other: Person) -> bool:
    return one.ibm_id != other.ibm_id


async def own(person: Person, what: str) -> list[str]:
    """The ids of somebody's own things."""
    nodes = (await person.ask(f"{{ viewer {{ {what} {{ nodes {{ id }} }} }} }}"))["viewer"][what]["nodes"]
    return [node["id"] for node in nodes]


async def told(person: Person, id: str, language: str | None) -> dict[str, Any] | None:
    """What the caller may do with a thing, by name of the action; nothing when they do not see it."""
    node = (await person.ask(ASK, language, id=id))["node"]
    return node and {name.partition("_")[2]: value for name, value in node["viewerCan"].items()}


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("kind", ACTIONS)
async def test_the_mutation_then_does_just_what_was_said(
    world: World, kind: str, who: str, reasons: list[str]
) -> None:
    compared, is_used = 0, True
    for name, (mutation, field, input) in ACTIONS[kind].items():
        # What is only refused leaves the site as it is, so that it will do for the next action as well.
        if is_used:
            place, is_used = await world.site(), False
            person = await caller(world, place, who)
            all_things = await things(world, place, person)
        about = await own(person, "memberships") if name == "requestExtension" else None
        for index, (found, id) in enumerate(all_things):
            language = LANGUAGES[index % len(LANGUAGES)]
            if found == kind and (said := await told(person, id, language)):
                if about is not None and id not in about:
                    # Nobody can even say that they ask for somebody else.
                    assert said[name]["code"] == "FORBIDDEN"
                    continue
                given = {field: id if about is None else place.id, **fresh(input, index, all_things)}
                payload = await person.do(mutation, language=language, **given)
                assert answer(payload) == said[name], (name, id)
                compared, is_used = compared + 1, is_used or said[name]["allowed"]
    assert (compared == 0) is (who in HIDDEN[kind])
    assert reasons == []


def fresh(input: dict[str, Any], index: int, things: list[tuple[str, str]]) -> dict[str, Any]:
    """An input in which the person is somebody nobody knows, and the member the first of the things."""
    ibm_id = f"new-{UUID(int=index).hex}@example.com"
    member = next(id for kind, id in things if kind == "Membership")
    values = {"ibmId": ibm_id, "email": ibm_id, "membershipId": member}
    return input | {name: value for name, value in values.items() if name in input}


def answer(payload: dict[str, Any]) -> dict[str, Any]:
    """What a mutation did, as a permission says it."""
    if not payload["errors"]:
        return {"allowed": True, "code": None, "reason": None}
    [error] = payload["errors"]
    return {"allowed": False, "code": error["code"], "reason": error["message"]}


async def test_both_answers_come_up_for_every_action(world: World) -> None:
    """Agreement proves little unless every action is allowed to some and refused to others."""
    seen: set[tuple[str, str, bool]] = set()
    for who in CALLERS:
        place = await world.site()
        person = await caller(world, place, who)
        for kind, id in await things(world, place, person):
            for name, said in (await told(person, id, None) or {}).items():
                seen.add((kind, name, said["allowed"]))
    expected = {(kind, name) for kind, actions in ACTIONS.items() for name in actions}
    assert seen == {(kind, name, allowed) for kind, name in expected for allowed in (True, False)}


async def test_everything_of_the_schema_is_asked_about(world: World) -> None:
    person = await world.person()
    for kind, actions in ACTIONS.items():
        document = f'{{ __type(name: "{kind}Permissions") {{ fields {{ name }} }} }}'
        names = {field["name"] for field in (await person.ask(document))["__type"]["fields"]}
        assert names == {*actions, *(WITHOUT_MUTATION if kind == "Site" else ())}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("who", CALLERS[:6])
async def test_what_has_no_mutation_is_told_by_the_policy(world: World, who: str, language: Language) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    names = " ".join(f"{name} {WHY}" for name in WITHOUT_MUTATION)
    document = f"query($id: ID!) {{ site(id: $id) {{ viewerCan {{ {names} }} }} }}"
    said = (await person.ask(document, language.value, id=place.id))["site"]["viewerCan"]
    actor, site = await actor_of(world, person), place
    for name, action in WITHOUT_MUTATION.items():
        assert said[name]["allowed"] is allows(actor, action, site)
        if not said[name]["allowed"]:
            assert said[name]["code"] == "FORBIDDEN"
            assert (said[name]["reason"] == denial(actor, action, site)) is (language is Language.EN)


async def actor_of(world: World, person: Person) -> Actor:
    assert person.user_id
    async with world.database.connect() as connection:
        return Actor(person.user_id, standings=await standings_of(connection, person.user_id))


async def test_somebody_with_a_pending_request_need_not_ask_again(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    document = f"query($id: ID!) {{ site(id: $id) {{ viewerCan {{ requestHigherLevel {WHY} }} }} }}"
    for values, code in (
        ({"state": AccessRequestState.WITHDRAWN, "closed_at": ago(days=1)}, None),
        ({}, "PENDING_REQUEST_EXISTS"),
    ):
        await world.request(place, member, **values)
        said = (await member.ask(document, id=place.id))["site"]["viewerCan"]["requestHigherLevel"]
        assert said["code"] == code
        assert said["allowed"] is (code is None)


async def test_a_request_that_is_older_than_the_site_is_pending_too(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, ends_at=ago(days=-1))
    document = f"""query($id: ID!, $own: ID!) {{ site(id: $id) {{ viewerCan {{ requestHigherLevel {WHY} }} }}
      node(id: $own) {{ ... on Membership {{ viewerCan {{ requestExtension {WHY} }} }} }} }}"""
    await world.request(place, member)
    async with AsyncSession(world.database) as session, session.begin():
        without = sa.update(AccessRequest).where(AccessRequest.requester_id == member.user_id)
        await session.execute(without.values(site_id=None))
    data = await member.ask(document, id=place.id, own=membership_id)
    wish = {"siteId": place.id, "justification": "Needed"}
    higher = await member.do("requestHigherLevel", **wish, role="SECONDARY_CONTACT")
    longer = await member.do("requestExtension", **wish, endsAt=ago(days=-2).isoformat())
    assert data["site"]["viewerCan"]["requestHigherLevel"] == answer(higher)
    assert data["node"]["viewerCan"]["requestExtension"] == answer(longer)
    assert answer(higher)["code"] == answer(longer)["code"] == "PENDING_REQUEST_EXISTS"


async def test_with_the_last_slot_taken_no_calendar_can_be_subscribed(world: World) -> None:
    place, other = await world.site(), await world.site()
    await world.member(other, person=place.primary)
    document = f"""query($id: ID!) {{ site(id: $id) {{ viewerCan {{ subscribeToCalendar {WHY} }} }}
      viewer {{ calendarSubscriptions {{ site {{ viewerCan {{ subscribeToCalendar {WHY} }} }} }} }} }}"""
    for slot in range(1, CALENDAR_SUBSCRIPTIONS + 1):
        data = await place.primary.ask(document, id=place.id)
        assert data["site"]["viewerCan"]["subscribeToCalendar"]["allowed"]
        await world.calendar(place, place.primary, slot=slot)
    data = await place.primary.ask(document, "fr", id=place.id)
    payload = await place.primary.do("createCalendarSubscription", language="fr", siteId=place.id)
    said = data["site"]["viewerCan"]["subscribeToCalendar"]
    assert said == answer(payload)
    assert said["code"] == "CALENDAR_SUBSCRIPTION_LIMIT"
    nested = [one["site"]["viewerCan"]["subscribeToCalendar"] for one in subscriptions(data)]
    assert nested == [said] * CALENDAR_SUBSCRIPTIONS
    assert len(await world.rows(CalendarSubscription, CalendarSubscription.site_id == place.site_id)) == 20


async def test_with_the_last_template_taken_no_other_can_be_created(world: World) -> None:
    place = await world.site()
    document = f"query($id: ID!) {{ site(id: $id) {{ viewerCan {{ createPrivilegeTemplate {WHY} }} }} }}"
    for number, code in ((TEMPLATE_SLOTS - 1, None), (1, "TEMPLATE_LIMIT")):
        taken = 0 if code is None else TEMPLATE_SLOTS - 1
        await world.add(*(template_row(place, taken + slot) for slot in range(1, number + 1)))
        data = await place.primary.ask(document, "fr", id=place.id)
        said = data["site"]["viewerCan"]["createPrivilegeTemplate"]
        assert said["code"] == code
    payload = await place.primary.do(
        "createPrivilegeTemplate", language="fr", siteId=place.id, name="One more", privileges={}
    )
    assert said == answer(payload)


def subscriptions(data: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data["viewer"]["calendarSubscriptions"]
    return found


async def test_a_manager_cannot_grant_what_the_primary_contact_asked_for_but_can_deny_it(
    world: World,
) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    _, request_id = await world.request(place, place.primary)
    said = await told(manager, request_id, "en")
    assert said is not None
    assert said["grant"] == {
        "allowed": False,
        "code": "FORBIDDEN",
        "reason": "Nobody but an operator changes the access of the primary contact.",
    }
    assert said["deny"]["allowed"]


async def test_reasons_come_in_the_language_of_the_header_or_else_of_the_user(world: World) -> None:
    place = await world.site()
    english = "Allowed: a secondary contact, or a user of the site."
    document = "query($id: ID!) { site(id: $id) { viewerCan { leaveSite { reason } } } }"

    async def reason(language: str | None) -> str:
        data = await place.primary.ask(document, language, id=place.id)
        text: str = data["site"]["viewerCan"]["leaveSite"]["reason"]
        return text

    french = await reason("fr-CA")
    assert french.startswith("Personnes autorisées")
    # One plan serves both languages, in whatever order they come.
    assert [await reason(wished) for wished in ("en", "fr", None, "de")] == [
        english,
        french,
        english,
        english,
    ]
    await speak(world, place.primary, Language.FR)
    assert [await reason(wished) for wished in (None, "de", "en")] == [french, french, english]


async def speak(world: World, person: Person, language: Language) -> None:
    """Let somebody's language be another one."""
    async with AsyncSession(world.database) as session, session.begin():
        await session.execute(sa.update(User).where(User.id == person.user_id).values(language=language))


async def test_a_payload_tells_what_can_be_done_next(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    selection = f"accessRequest {{ viewerCan {{ grant {WHY} deny {{ code }} }} }}"
    payload = await place.primary.do(
        "denyAccessRequest", selection, "fr", accessRequestId=request_id, reason="UNKNOWN_REQUESTER"
    )
    said = payload["accessRequest"]["viewerCan"]
    assert said["deny"]["code"] == said["grant"]["code"] == "ALREADY_DECIDED"
    # Nobody is told that somebody else has done what they did themselves.
    assert said["grant"]["reason"] == "Une décision a déjà été prise sur cette demande d’accès."


EVERYTHING = (
    """query($id: ID!) { site(id: $id) { viewerCan { __typename """
    + " ".join(
        f"{name} {{ why: reason code __typename allowed }}" for name in ACTIONS["Site"] | WITHOUT_MUTATION
    )
    + """ } assignableRoles
      assignableLevels { role applications { field heldBy levels { level label fr: label(language: FR) } } }
      memberships(first: 50) { nodes { assignableRoles viewerCan { update { allowed reason } remove { code }
        requestExtension { code reason } } } }
      nomination { viewerCan { accept { allowed code } decline { reason } cancel { allowed code reason } } }
      accessRequests(first: 50) { nodes { viewerCan { grant { allowed reason code } deny { code }
        withdraw { reason } } } }
      contacts { viewerCan { update { allowed } delete { allowed code reason } } }
      pendingNamings(first: 50) { nodes { viewerCan { confirm { allowed code reason } reject { reason } } } }
      privilegeTemplates { viewerCan { update { allowed reason } delete { code } } }
      deciders { name role membership { user { email } viewerCan { remove { reason } } } }
      recommendations { __typename code message action ... on ContactReviewOverdueRecommendation { dueAt }
        ... on AccessEndsSoonRecommendation { memberships(first: 1) { totalCount edges { cursor node { id endsAt } }
          pageInfo { hasNextPage } } }
        ... on OldPendingRequestsRecommendation {
          accessRequests(last: 1) { nodes { id site { recommendations { code } } } } } }
      } }"""
)


@pytest.mark.parametrize("who", CALLERS)
async def test_it_is_the_same_both_ways(
    world: World, interpreted: AsyncClient, who: str, reasons: list[str]
) -> None:
    place = await world.site()
    person = await caller(world, place, who)
    await things(world, place, person)
    await world.member(place, ends_at=ago(days=-3))
    await world.member(place, Role.SECONDARY_CONTACT, ends_at=ago(days=-2))
    await world.request(place, created_at=ago(days=8))
    await world.request(place, created_at=ago(days=9))
    answers = set()
    for language in Language:
        await speak(world, person, language)
        compiled, told = await both(person, interpreted, EVERYTHING, {"id": place.id})
        assert compiled == told
        assert b"errors" not in compiled
        answers.add(compiled)
    assert len(answers) == (1 if who == "requester" else len(Language))
    assert reasons == []
