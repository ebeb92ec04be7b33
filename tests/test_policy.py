"""Who may do what: the table of the domain page, written down once more, against the policy and its SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.actor import ANONYMOUS, Actor, Standing
from app.context import Context
from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.outbox import Message
from app.db.pool import Pool
from app.db.preferences import CalendarSubscription
from app.db.site_rules import Naming
from app.errors import RequestError, UserError
from app.history import record
from app.identity import standings_of
from app.policy import Action, allowed, allows, denial, denials, privilege_used, seen, visible, who_may
from app.rules import (
    AccessRequestState,
    ContactType,
    DenialReason,
    Event,
    Language,
    PrivilegeName,
    Role,
    UpdateLevel,
)
from tests.receiver import webhook_row
from tests.site_rules import naming_row
from tests.world import Person, Place, World, contact_row

PAGE = """
action                   | by              | primary | NONE | VIEW | UPDATE | user | other
SEE_SITE                 | -               | all     | all  | all  | all    | all  | none
SEE_CONTACTS             | -               | all     | all  | all  | all    | all  | none
SEE_CONTACT_DETAILS      | contact_updates | all     | none | all  | all    | none | none
CHANGE_CONTACTS          | contact_updates | all     | none | none | all    | none | none
SEE_MEMBERSHIP           | manage_access   | all     | own  | all  | all    | own  | none
SEE_USERS                | manage_access   | all     | none | all  | all    | none | none
SEE_HISTORY              | manage_access   | all     | own  | all  | all    | own  | requests
SEE_WRITTEN              | manage_access   | all     | own  | all  | all    | own  | requests
SEE_WRITTEN              | contact_updates | all     | none | work | work   | none | none
SEE_ACTOR                | manage_access   | all     | done | all  | all    | done | done
SEE_ACCESS_REQUEST       | manage_access   | all     | own  | all  | all    | own  | own
DECIDE_ACCESS_REQUEST    | manage_access   | others  | none | none | others | none | none
ADD_USER                 | manage_access   | all     | none | none | all    | none | none
UPDATE_MEMBERSHIP        | manage_access   | users   | none | none | users  | none | none
REMOVE_MEMBERSHIP        | manage_access   | users   | none | none | users  | none | none
REQUEST_ACCESS           | -               | none    | none | none | none   | none | all
WITHDRAW_ACCESS_REQUEST  | -               | own     | own  | own  | own    | own  | own
REQUEST_HIGHER_LEVEL     | -               | none    | all  | all  | all    | all  | none
REQUEST_EXTENSION        | -               | none    | own  | own  | own    | own  | own
LEAVE_SITE               | -               | none    | all  | all  | all    | all  | none
NOMINATE_PRIMARY_CONTACT | -               | all     | none | none | none   | none | none
SEE_NOMINATION           | manage_access   | all     | own  | all  | all    | own  | own
ANSWER_NOMINATION        | -               | own     | own  | own  | own    | own  | none
MANAGE_API_TOKENS        | manage_access   | all     | none | none | all    | none | none
SEE_E_NOTIFICATIONS          | -           | own     | own  | own  | own    | own  | own
UPDATE_E_NOTIFICATIONS       | -           | own     | own  | own  | own    | own  | own
SUBSCRIBE_TO_CALENDAR        | -           | all     | none | none | none   | none | none
SEE_CALENDAR_SUBSCRIPTION    | -           | own     | own  | own  | own    | own  | own
REVOKE_CALENDAR_SUBSCRIPTION | -           | own     | own  | own  | own    | own  | own
MANAGE_WEBHOOKS          | manage_access   | all     | none | none | all    | none | none
UPDATE_SITE_RULES          | -             | all     | none | none | none   | none | none
MANAGE_BLOCKED_REQUESTERS  | manage_access | all     | none | none | all    | none | none
MANAGE_PRIVILEGE_TEMPLATES | manage_access | all     | none | none | all    | none | none
CONFIRM_NAMING           | manage_access   | others  | none | none | others | none | none
REJECT_NAMING            | manage_access   | others  | none | none | others | none | none
SEE_MESSAGES             | manage_access   | all     | none | none | all    | none | none
SEE_DECIDERS                 | -           | all     | all  | all  | all    | all  | none
CHECK_ACCESS             | manage_access   | all     | own  | all  | all    | own  | own
MANAGE_ACCESS            | manage_access   | all     | none | none | all    | none | none
"""
"""The domain page's table, line by line. NONE, VIEW and UPDATE are a secondary contact's level of `by`.

The cells say with whose rows: all, one's own, those of others, those of users (others, but not the primary
contact), those about one's own requests and person, what one has done oneself, that where it is about contacts, or
none. Of an action with several lines, each allows.
Who may withdraw a request is whoever made it, also as a member asking for a higher level.
"""

HEAD, *LINES = [[cell.strip() for cell in line.split("|")] for line in PAGE.strip().splitlines()]
EXPECTED: Mapping[Action, list[dict[str, str]]] = {
    Action[name]: [dict(zip(HEAD, line, strict=True)) for line in LINES if line[0] == name]
    for name in dict.fromkeys(line[0] for line in LINES)
}
HERE, ELSEWHERE, CALLER, PRIMARY, SOMEBODY = (uuid4() for _ in range(5))
SECONDARIES = {
    f"secondary-{manage.name}-{contacts.name}": Standing(Role.SECONDARY_CONTACT, manage, contacts)
    for manage, contacts in product(UpdateLevel, UpdateLevel)
}
STANDINGS: Mapping[str, Standing | None] = {
    "primary": Standing(Role.PRIMARY_CONTACT),
    **SECONDARIES,
    "user": Standing(Role.USER),
    "other": None,
}


def caller(standing: Standing | None, user_id: UUID = CALLER) -> Actor:
    return Actor(user_id, "caller", standings={HERE: standing} if standing else {})


def cells(action: Action, standing: Standing | None) -> set[str]:
    """What the lines of the page say of a caller."""
    return {_cell(line, standing) for line in EXPECTED[action]}


def _cell(line: Mapping[str, str], standing: Standing | None) -> str:
    if standing is None:
        return line["other"]
    if standing.role is Role.SECONDARY_CONTACT:
        level = UpdateLevel.NONE if line["by"] == "-" else getattr(standing, line["by"])
        return line[level.name]
    return line["primary" if standing.role is Role.PRIMARY_CONTACT else "user"]


def includes(whose: set[str], row: Any, user_id: UUID = CALLER) -> bool:
    """Whether one of these cells of the page speaks of this row."""
    return any(_includes(cell, row, user_id) for cell in whose)


def _includes(whose: str, row: Any, user_id: UUID) -> bool:
    own = getattr(row, "user_id", None) == user_id
    primary = getattr(row, "role", None) is Role.PRIMARY_CONTACT
    return {
        "all": True,
        "own": own,
        "others": not own,
        "users": not own and not primary,
        "requests": own and getattr(row, "outlasts_access", False),
        "done": getattr(row, "actor_id", None) == user_id,
        "work": getattr(row, "contact_worker_id", None) == user_id,
        "none": False,
    }[whose]


def rows_at(site_id: UUID | None, role: Role) -> list[Any]:
    """The caller's own row with their role, the primary contact's, and somebody else's; each done by somebody."""
    rows = [
        SimpleNamespace(site_id=site_id, user_id=user, role=held, proposed_by_id=SOMEBODY)
        for user, held in (
            (CALLER, role),
            (PRIMARY, Role.PRIMARY_CONTACT),
            (SOMEBODY, Role.USER),
            (SOMEBODY, Role.SECONDARY_CONTACT),
        )
    ]
    told = product((PRIMARY, CALLER), (False, True), (None, CALLER))
    return [
        SimpleNamespace(**vars(row), actor_id=actor_id, outlasts_access=outlasts, contact_worker_id=worker_id)
        for actor_id, outlasts, worker_id in told
        for row in rows
    ]


def test_page_speaks_of_every_action() -> None:
    assert set(EXPECTED) == set(Action)


@pytest.mark.parametrize("who", STANDINGS)
@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_decision_is_that_of_the_page(action: Action, who: str) -> None:
    standing = STANDINGS[who]
    for row in rows_at(HERE, standing.role if standing else Role.USER):
        assert allows(caller(standing), action, row) is includes(cells(action, standing), row), row


@pytest.mark.parametrize("who", STANDINGS)
@pytest.mark.parametrize("site_id", [ELSEWHERE, None], ids=["another site", "no site"])
def test_standing_counts_at_its_own_site_only(site_id: UUID | None, who: str) -> None:
    for action, row in product(Action, rows_at(site_id, Role.USER)):
        assert allows(caller(STANDINGS[who]), action, row) is includes(cells(action, None), row), action


@pytest.mark.parametrize("role", Role)
def test_ended_membership_gives_nothing_and_is_not_seen(role: Role) -> None:
    membership = SimpleNamespace(site_id=HERE, user_id=CALLER, role=role)
    assert not allows(caller(None), Action.SEE_SITE, membership)
    assert not allows(caller(None), Action.SEE_MEMBERSHIP, membership)


def test_anonymous_callers_may_do_nothing() -> None:
    nobodys = SimpleNamespace(
        site_id=HERE,
        user_id=None,
        role=Role.USER,
        actor_id=None,
        outlasts_access=True,
        contact_worker_id=None,
        proposed_by_id=None,
    )
    rows = [*rows_at(HERE, Role.USER), nobodys]
    assert not [action for action, row in product(Action, rows) if allows(ANONYMOUS, action, row)]


OF_EVENTS = {Action.SEE_HISTORY, Action.SEE_WRITTEN, Action.SEE_ACTOR}
OF_THE_SITE = {
    action
    for action in set(Action) - OF_EVENTS
    if {"own", "others", "users"}.isdisjoint(cell for line in EXPECTED[action] for cell in line.values())
}
MODELS: Mapping[type[Any], set[Action]] = {
    Site: OF_THE_SITE,
    Contact: OF_THE_SITE,
    AccessRequest: set(Action)
    - OF_EVENTS
    - {
        Action.UPDATE_MEMBERSHIP,
        Action.REMOVE_MEMBERSHIP,
        Action.REQUEST_EXTENSION,
        Action.CONFIRM_NAMING,
    },
    Membership: set(Action) - OF_EVENTS - {Action.CONFIRM_NAMING},
    Naming: {Action.CONFIRM_NAMING, Action.REJECT_NAMING},
    HistoryEvent: {*OF_EVENTS, Action.SEE_SITE, Action.SEE_CONTACT_DETAILS},
    Message: OF_THE_SITE,
    Nomination: {Action.SEE_NOMINATION, Action.ANSWER_NOMINATION, Action.NOMINATE_PRIMARY_CONTACT},
    User: {Action.SEE_E_NOTIFICATIONS, Action.UPDATE_E_NOTIFICATIONS},
    CalendarSubscription: {
        Action.SUBSCRIBE_TO_CALENDAR,
        Action.SEE_CALENDAR_SUBSCRIPTION,
        Action.REVOKE_CALENDAR_SUBSCRIPTION,
    },
}
"""On which rows an action makes sense: sites and contacts belong to nobody."""


@dataclass
class Landscape:
    """Sites, people and requests of all kinds, and who the people are to the policy."""

    actors: list[Actor]
    rows: dict[type[Any], list[Any]]


@pytest.fixture(scope="module")
async def landscape(world: World) -> Landscape:
    """Three sites with every kind of member, people who are different things at several, and a stranger."""
    places = [await world.site() for _ in range(3)]
    stranger = await world.person("stranger")
    ended = datetime.now(UTC) - timedelta(seconds=1)
    levels = list(product(UpdateLevel, UpdateLevel))
    for index, (place, next_place) in enumerate(zip(places, [*places[1:], places[0]], strict=True)):
        secondaries = [
            (await world.secondary(place, manage_access=manage_access, contact_updates=contact_updates))[0]
            for manage_access, contact_updates in levels[index::3]
        ]
        user, user_id = await world.member(place)
        await world.nomination(place, user_id)
        gone, _ = await world.member(
            place, Role.SECONDARY_CONTACT, ends_at=ended, manage_access=UpdateLevel.UPDATE
        )
        await world.member(next_place, person=place.primary, ends_at=None if index else ended)
        await add_requests(world, place, [stranger, user, gone, place.primary], next_place.primary.user_id)
        await world.contact(place, [ContactType.BILLING])
        await world.calendar(place, place.primary)
        named = await world.person("named")
        await world.add(
            naming_row(place, named),
            naming_row(place, stranger),
            naming_row(place, user, proposer=next_place.primary),
        )
        await world.message(place, await world.person("removed"))
        await add_events(world, place, [user, gone, stranger, *secondaries])
    await stranger.succeed("updateENotificationPreferences", email=None, topics=["NEW_VERSIONS"])
    await stranger.succeed("requestAccess", siteNumber=uuid4().hex[:20])
    await add_request_without_site(world, stranger.user_id)
    await add_request_without_site(world, places[0].primary.user_id)
    return await survey(world, [place.site_id for place in places])


async def add_events(world: World, place: Place, people: list[Person]) -> None:
    """Events about subjects of every kind that a site has, each about a person done by themselves and by another."""
    other = await world.person()
    subjects = [
        contact_row(place.site_id, uuid4(), types=[ContactType.BILLING]),
        webhook_row(place),
    ]
    for person in people:
        subjects += [
            Membership(site_id=place.site_id, id=uuid4(), user_id=person.user_id),
            AccessRequest(site_id=place.site_id, id=uuid4(), requester_id=person.user_id),
            CalendarSubscription(site_id=place.site_id, id=uuid4(), user_id=person.user_id, slot=1),
        ]
    async with AsyncSession(world.database) as session, session.begin():
        for subject, actor, values in product(subjects, [*people, other], ("before", "after")):
            kept = {values: {name: str(key) for name, key in vars(subject).items() if name.endswith("_id")}}
            doer = Actor(actor.user_id, "somebody")
            event = Event.ACCESS_REQUESTED if isinstance(subject, AccessRequest) else Event.MEMBERSHIP_UPDATED
            record(session, doer, event, subject, name="subject", **kept)


async def add_requests(world: World, place: Place, people: list[Any], decider: UUID | None) -> None:
    """A pending request of each, and one denied by somebody who is no member of the site any more."""
    closed = {"state": AccessRequestState.DENIED, "denial_reason": DenialReason.UNKNOWN_REQUESTER}
    for person in people:
        await world.request(place, person)
    if decider is not None:
        await world.request(place, **closed, decided_by_id=decider, closed_at=datetime.now(UTC))


async def add_request_without_site(world: World, requester_id: UUID | None) -> None:
    await world.add(AccessRequest(site_number=uuid4().hex.upper(), requester_id=requester_id))


async def survey(world: World, site_ids: list[UUID]) -> Landscape:
    """All rows of these sites and of their people, and all people as actors."""
    rows: dict[type[Any], list[Any]] = {
        model: await world.rows(model, model.site_id.in_(site_ids))
        for model in (Site, Membership, Contact, CalendarSubscription, Message, Naming, Nomination)
    }
    people = {row.user_id for row in rows[Membership]}
    here = AccessRequest.site_id.in_(site_ids)
    asking = sa.select(AccessRequest.requester_id).where(here)
    rows[AccessRequest] = await world.rows(
        AccessRequest, sa.or_(here, AccessRequest.requester_id.in_(asking))
    )
    people |= {row.requester_id for row in rows[AccessRequest]}
    people |= {row.recipient_id for row in rows[Message]} | {row.user_id for row in rows[Naming]}
    async with world.database.connect() as connection:
        actors = [
            Actor(person, standings=await standings_of(connection, person)) for person in sorted(people)
        ]
    rows[User] = await world.rows(User, User.id.in_(people))
    rows[HistoryEvent] = await world.rows(HistoryEvent, HistoryEvent.stream.in_([*site_ids, *people]))
    return Landscape([*actors, ANONYMOUS], rows)


async def selected(
    database: AsyncEngine, conditions: dict[str, Any], rows: list[Any]
) -> dict[str, set[UUID]]:
    """The ids of the rows for which each condition holds."""
    model = type(rows[0])
    statement = sa.select(model.id, *(condition.label(name) for name, condition in conditions.items()))
    async with database.connect() as connection:
        result = await connection.execute(statement.where(model.id.in_([row.id for row in rows])))
        found = result.mappings().all()
    return {name: {row["id"] for row in found if row[name]} for name in conditions}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_sql_selects_what_the_decision_allows(
    database: AsyncEngine, landscape: Landscape, model: type[Any]
) -> None:
    for actor in landscape.actors:
        conditions = {action.name: visible(actor, action, model) for action in MODELS[model]}
        by_sql = await selected(database, conditions, landscape.rows[model])
        decided = {
            action.name: {row.id for row in landscape.rows[model] if allows(actor, action, row)}
            for action in MODELS[model]
        }
        assert by_sql == decided


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_sql_gives_the_reason_that_the_decision_gives(
    database: AsyncEngine, landscape: Landscape, model: type[Any]
) -> None:
    told = set()
    for actor in landscape.actors[:-1]:
        cases = {action: denials(actor, action, model) for action in MODELS[model]}
        conditions = {
            f"{action.name} {i}": so for action, found in cases.items() for i, (so, _) in enumerate(found)
        }
        found = await selected(database, conditions, landscape.rows[model])
        for action, row in product(MODELS[model], landscape.rows[model]):
            if not allows(actor, action, row):
                first = (
                    why for i, (_, why) in enumerate(cases[action]) if row.id in found[f"{action.name} {i}"]
                )
                reason = next(first, who_may(action)).tell(str)
                assert reason == denial(actor, action, row)
                told.add(reason)
    assert told


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_rows_show_a_difference(landscape: Landscape, model: type[Any]) -> None:
    """Agreement proves little unless every action is allowed on some rows and refused on others."""
    decisions = {
        (action, allows(actor, action, row))
        for actor, row, action in product(landscape.actors, landscape.rows[model], MODELS[model])
    }
    assert decisions == set(product(MODELS[model], (True, False)))


async def test_one_sees_oneself_and_the_people_of_sites_whose_users_one_sees(
    database: AsyncEngine, landscape: Landscape
) -> None:
    for actor in landscape.actors:
        conditions = {"seen": seen(actor, User)}
        people = await selected(database, conditions, landscape.rows[User])
        assert people["seen"] == expected_people(actor, landscape)


def expected_people(actor: Actor, landscape: Landscape) -> set[UUID]:
    """The caller; the users, requesters and deciders of sites where they see these; who is in nominations and
    namings, and recipients of messages."""
    seeing = {site_id for site_id, at in actor.standings.items() if cells(Action.SEE_USERS, at) == {"all"}}
    appearing = {row.user_id for row in landscape.rows[Membership] if row.site_id in seeing}
    for request in landscape.rows[AccessRequest]:
        if request.site_id in seeing:
            appearing |= {request.requester_id, request.decided_by_id}
    for nomination in landscape.rows[Nomination]:
        if nomination.site_id in seeing or nomination.user_id == actor.user_id:
            appearing |= {nomination.user_id, nomination.nominated_by_id}
    for naming in landscape.rows[Naming]:
        if naming.site_id in seeing:
            appearing |= {naming.user_id, naming.proposed_by_id}
    telling = {
        site_id for site_id, at in actor.standings.items() if cells(Action.SEE_MESSAGES, at) == {"all"}
    }
    appearing |= {row.recipient_id for row in landscape.rows[Message] if row.site_id in telling}
    return ({actor.user_id} | appearing) - {None}


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_every_action_has_a_sentence(action: Action) -> None:
    assert allowed(action).startswith("Allowed: ")
    assert allowed(action).endswith(".")
    for standing, row in product(STANDINGS.values(), rows_at(HERE, Role.USER)):
        assert denial(caller(standing), action, row).endswith(".")


def test_sentences_of_the_schema() -> None:
    assert allowed(Action.SEE_SITE) == "Allowed: every member of the site."
    assert allowed(Action.CHANGE_CONTACTS) == (
        "Allowed: the primary contact, or a secondary contact with contact updates UPDATE."
    )
    assert allowed(Action.SEE_MEMBERSHIP) == (
        "Allowed: the primary contact, or a secondary contact with manage access VIEW or UPDATE, "
        "or the person it belongs to; only while access lasts."
    )
    assert allowed(Action.REMOVE_MEMBERSHIP) == (
        "Allowed: the primary contact, or a secondary contact with manage access UPDATE; "
        "never for what is one's own; never for the primary contact's membership."
    )


@pytest.mark.parametrize(
    ("action", "who", "whose", "reason"),
    [
        (Action.UPDATE_MEMBERSHIP, "secondary-UPDATE-NONE", 0, "Nobody decides or changes their own access."),
        (
            Action.UPDATE_MEMBERSHIP,
            "secondary-UPDATE-NONE",
            1,
            "Nobody but an operator changes the access of the primary contact.",
        ),
        (Action.WITHDRAW_ACCESS_REQUEST, "primary", 2, "This belongs to somebody else."),
        (
            Action.ADD_USER,
            "user",
            2,
            "Allowed: the primary contact, or a secondary contact with manage access UPDATE.",
        ),
        (Action.LEAVE_SITE, "primary", 0, "Allowed: a secondary contact, or a user of the site."),
    ],
)
def test_denial_gives_the_reason_that_fits(action: Action, who: str, whose: int, reason: str) -> None:
    assert denial(caller(STANDINGS[who]), action, rows_at(HERE, Role.SECONDARY_CONTACT)[whose]) == reason


@pytest.mark.parametrize(
    ("action", "who", "privilege"),
    [
        (Action.ADD_USER, "secondary-UPDATE-NONE", PrivilegeName.MANAGE_ACCESS),
        (Action.CHANGE_CONTACTS, "secondary-NONE-UPDATE", PrivilegeName.CONTACT_UPDATES),
        (Action.ADD_USER, "secondary-VIEW-UPDATE", None),
        (Action.ADD_USER, "primary", None),
        (Action.LEAVE_SITE, "secondary-UPDATE-UPDATE", None),
        (Action.SEE_SITE, "secondary-UPDATE-UPDATE", None),
        # Their own request they might see without it.
        (Action.SEE_ACCESS_REQUEST, "secondary-UPDATE-NONE", None),
    ],
)
def test_the_privilege_is_told_without_which_it_were_not_allowed(
    action: Action, who: str, privilege: PrivilegeName | None
) -> None:
    own, *_ = rows_at(HERE, Role.SECONDARY_CONTACT)
    assert privilege_used(caller(STANDINGS[who]), action, own) == privilege


def test_nobody_confirms_what_they_proposed() -> None:
    naming = SimpleNamespace(site_id=HERE, user_id=SOMEBODY, proposed_by_id=CALLER)
    for standing in (STANDINGS["primary"], STANDINGS["secondary-UPDATE-NONE"]):
        assert not allows(caller(standing), Action.CONFIRM_NAMING, naming)
        assert allows(caller(standing), Action.REJECT_NAMING, naming)
        reason = denial(caller(standing), Action.CONFIRM_NAMING, naming)
        assert reason == "Somebody else than you, who proposed this, has to confirm it."


def test_denial_is_translated_piece_by_piece() -> None:
    french = {"Allowed: {who}.": "Autorisé : {who}.", "the primary contact": "le contact principal"}
    row = rows_at(HERE, Role.USER)[0]
    reason = denial(caller(None), Action.NOMINATE_PRIMARY_CONTACT, row, lambda text: french.get(text, text))
    assert reason == "Autorisé : le contact principal."


def signed_in(pool: Pool, place: Place) -> Context:
    actor = Actor(place.primary.user_id, standings={place.site_id: Standing(Role.PRIMARY_CONTACT)})
    return Context(pool, pool, actor, Language.EN)


async def test_transaction_that_never_asked_the_policy_writes_nothing(world: World, pool: Pool) -> None:
    place = await world.site()
    async with world.unchanged():
        with pytest.raises(RuntimeError, match="never asked the policy"):
            async with signed_in(pool, place).transaction() as tx:
                tx.session.add(contact_row(place.site_id, uuid4(), types=[ContactType.BILLING]))
                await tx.session.flush()


async def test_transaction_that_was_refused_writes_nothing(world: World, pool: Pool) -> None:
    place, other = await world.site(), await world.site()
    async with world.unchanged():
        with pytest.raises(UserError, match="FORBIDDEN"):
            async with signed_in(pool, place).transaction() as tx:
                tx.session.add(contact_row(place.site_id, uuid4(), types=[ContactType.BILLING]))
                await tx.session.flush()
                tx.require(Action.CHANGE_CONTACTS, SimpleNamespace(site_id=other.site_id))


async def test_transaction_that_asked_commits(world: World, pool: Pool) -> None:
    place, contact_id = await world.site(), uuid4()
    async with signed_in(pool, place).transaction() as tx:
        contact = contact_row(place.site_id, contact_id, types=[ContactType.BILLING])
        tx.require(Action.CHANGE_CONTACTS, contact)
        tx.session.add(contact)
    assert await world.rows(Contact, Contact.id == contact_id)


async def test_anonymous_callers_get_no_transaction(pool: Pool) -> None:
    with pytest.raises(RequestError, match="Sign in"):
        async with Context(pool, pool, ANONYMOUS, Language.EN).transaction():
            pytest.fail("a transaction was opened")
