"""The history: every mutation leaves exactly its events, with who, what, before and after, and why."""

from dataclasses import dataclass
from typing import Any

import pytest

from app.db.base import Base
from app.db.models import HistoryEvent, User
from app.history import NOT_KEPT
from app.query.ids import parse_id, write_id
from app.rules import ContactType, Role, ViewLevel, snake
from app.subjects import SubjectType
from tests.access import form, newcomer
from tests.world import CONTACT, UPDATE, VIEW, Person, Place, World, ago


@dataclass(frozen=True)
class Told:
    """What an event tells."""

    event: str
    actor: str
    subject: str
    changed: dict[str, tuple[Any, Any]]
    reason: str | None = None
    justification: str | None = None


def changed(event: Any) -> dict[str, tuple[Any, Any]]:
    """Every value that differs, before and after; what was made or deleted has nothing on one side."""
    before, after = event.before or {}, event.after or {}
    return {
        name: (before.get(name), after.get(name))
        for name in before | after
        if before.get(name) != after.get(name) and name not in ("closed_at", "decided_by_id")
    }


def tell(event: Any) -> Told:
    """An event as it is told; each comes through the development client."""
    assert event.client == "development"
    return Told(
        event.event if isinstance(event.event, str) else event.event.name,
        event.actor_name,
        event.subject_name,
        changed(event),
        event.reason,
        event.justification,
    )


async def told(world: World, place: Place) -> list[Told]:
    return [tell(event) for event in await world.events(place)]


def summary(events: list[Told]) -> list[tuple[str, str, str]]:
    return [(event.event, event.actor, event.subject) for event in events]


async def test_an_event_names_actor_site_subject_and_moment(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    before = ago(seconds=1)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    (event,) = await world.events(place)
    assert (event.actor_id, event.actor_name) == (place.primary.user_id, place.primary.ibm_id)
    assert (event.site_id, event.stream, event.number) == (place.site_id, place.site_id, 1)
    assert (event.subject_type, event.subject_name) == ("membership", member.ibm_id)
    assert write_id("membership", event.subject_id) == membership_id
    assert before < event.at < ago(seconds=-1)


async def test_a_request(world: World) -> None:
    place = await world.site()
    person = await world.person()
    await person.succeed(
        "requestAccess", siteNumber=place.number, justification="Updates", privileges={"reporting": "VIEW"}
    )
    (event,) = await world.events(place)
    assert event.before is None
    assert event.after["state"] == "PENDING"
    assert (event.after["reporting"], event.after["justification"]) == ("VIEW", "Updates")
    assert summary([tell(event)]) == [("ACCESS_REQUESTED", person.ibm_id, person.ibm_id)]
    assert event.justification == "Updates"


async def test_a_request_for_an_unknown_number_is_told_in_the_requesters_own_history(world: World) -> None:
    person = await world.person(newcomer=True)
    payload = await person.succeed("requestAccess", "accessRequest { id }", siteNumber="NO-SUCH-SITE")
    await person.succeed("withdrawAccessRequest", accessRequestId=payload["accessRequest"]["id"])
    events = await world.rows(HistoryEvent, HistoryEvent.stream == person.user_id)
    assert [event.event.name for event in sorted(events, key=lambda event: event.number)] == [
        "USER_SIGNED_IN_FIRST",
        "ACCESS_REQUESTED",
        "ACCESS_REQUEST_WITHDRAWN",
    ]
    assert {event.site_id for event in events} == {None}


async def test_a_withdrawal(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    await person.succeed("withdrawAccessRequest", accessRequestId=request_id)
    assert await told(world, place) == [
        Told("ACCESS_REQUEST_WITHDRAWN", person.ibm_id, person.ibm_id, {"state": ("PENDING", "WITHDRAWN")})
    ]


@pytest.mark.parametrize("reason", ["UNKNOWN_REQUESTER", "ACCESS_NOT_NECESSARY", "NO_BUSINESS_RELATIONSHIP"])
async def test_a_denial(world: World, reason: str) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    await place.primary.succeed("denyAccessRequest", accessRequestId=request_id, reason=reason)
    (event,) = await world.events(place)
    assert tell(event) == Told(
        "ACCESS_REQUEST_DENIED",
        place.primary.ibm_id,
        person.ibm_id,
        {"state": ("PENDING", "DENIED"), "denial_reason": (None, reason)},
        reason=reason,
    )
    assert event.after["decided_by_id"] == str(place.primary.user_id)
    assert event.after["closed_at"] is not None


async def test_a_grant(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place, justification="Updates")
    await place.primary.succeed(
        "grantAccessRequest",
        accessRequestId=request_id,
        role="SECONDARY_CONTACT",
        privileges={"reporting": "VIEW"},
        justification="Known to me",
    )
    added, granted = await world.events(place)
    assert summary([tell(added), tell(granted)]) == [
        ("USER_ADDED", place.primary.ibm_id, person.ibm_id),
        ("ACCESS_REQUEST_GRANTED", place.primary.ibm_id, person.ibm_id),
    ]
    assert added.before is None
    assert (added.after["role"], added.after["seat"]) == ("SECONDARY_CONTACT", 1)
    assert (added.after["reporting"], added.after["manage_access"]) == ("VIEW", "NONE")
    assert added.justification == granted.justification == "Known to me"
    assert changed(granted) == {
        "state": ("PENDING", "GRANTED"),
        "granted_role": (None, "SECONDARY_CONTACT"),
        "approver_justification": (None, "Known to me"),
    }
    assert granted.after["justification"] == "Updates"


async def test_a_grant_that_raises_a_membership_tells_what_it_was_before(world: World) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    await world.member(place, person=person, entitlement_inventory=VIEW)
    privileges = {"entitlementInventory": "UPDATE"}
    await place.primary.succeed(
        "grantAccessRequest", accessRequestId=request_id, role="USER", privileges=privileges
    )
    raised, granted = await told(world, place)
    assert raised == Told(
        "MEMBERSHIP_UPDATED",
        place.primary.ibm_id,
        person.ibm_id,
        {"entitlement_inventory": ("VIEW", "UPDATE")},
    )
    assert granted.event == "ACCESS_REQUEST_GRANTED"


async def test_a_membership_that_begins_anew_tells_what_it_was_before(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(
        place, Role.SECONDARY_CONTACT, ends_at=ago(days=1), manage_access=UPDATE, reporting=ViewLevel.VIEW
    )
    await place.primary.succeed("addUser", **form(place, person.ibm_id))
    (event,) = await told(world, place)
    ended = event.changed.pop("ends_at")
    assert (ended[0] is None, ended[1]) == (False, None)
    assert event == Told(
        "USER_ADDED",
        place.primary.ibm_id,
        person.ibm_id,
        {
            "role": ("SECONDARY_CONTACT", "USER"),
            "seat": (1, None),
            "manage_access": ("UPDATE", "NONE"),
            "reporting": ("VIEW", "NONE"),
            "justification": (None, "New colleague"),
        },
        justification="New colleague",
    )


async def test_an_added_user_who_was_unknown_is_registered_in_their_own_history(world: World) -> None:
    place = await world.site()
    ibm_id = newcomer()
    await place.primary.succeed("addUser", **form(place, ibm_id))
    (event,) = await told(world, place)
    assert summary([event]) == [("USER_ADDED", place.primary.ibm_id, ibm_id)]
    assert event.justification == "New colleague"
    (user,) = await world.rows(User, User.ibm_id == ibm_id)
    (registered,) = await world.rows(HistoryEvent, HistoryEvent.stream == user.id)
    assert summary([tell(registered)]) == [("USER_REGISTERED", place.primary.ibm_id, ibm_id)]
    assert (registered.before, registered.after["email"]) == (None, ibm_id)


async def test_adding_tells_of_the_request_it_grants(world: World) -> None:
    place = await world.site()
    person, _ = await world.request(place)
    await place.primary.succeed("addUser", **form(place, person.ibm_id))
    added, granted = await told(world, place)
    assert (added.event, granted.event) == ("USER_ADDED", "ACCESS_REQUEST_GRANTED")
    assert granted.justification == "New colleague"
    assert granted.changed["state"] == ("PENDING", "GRANTED")


@pytest.mark.parametrize("way", ["requestAccess", "addUser"])
async def test_an_expired_request_is_told_under_the_name_of_its_requester(world: World, way: str) -> None:
    place = await world.site()
    person, _ = await world.request(place, expires_at=ago(minutes=1))
    if way == "addUser":
        actor = place.primary
        await actor.succeed(way, **form(place, person.ibm_id))
    else:
        actor = person
        await actor.succeed(way, siteNumber=place.number)
    expired = [event for event in await told(world, place) if event.event == "ACCESS_REQUEST_EXPIRED"]
    assert expired == [
        Told("ACCESS_REQUEST_EXPIRED", actor.ibm_id, person.ibm_id, {"state": ("PENDING", "EXPIRED")})
    ]


async def test_an_update_tells_only_what_changed_and_why(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, justification="First")
    input: dict[str, Any] = {
        "membershipId": membership_id,
        "role": "SECONDARY_CONTACT",
        "privileges": {"reporting": "VIEW"},
        "justification": "Second",
    }
    await place.primary.succeed("updateMembership", **input)
    await place.primary.succeed("updateMembership", **input)
    assert await told(world, place) == [
        Told(
            "MEMBERSHIP_UPDATED",
            place.primary.ibm_id,
            member.ibm_id,
            {
                "role": ("USER", "SECONDARY_CONTACT"),
                "seat": (None, 1),
                "reporting": ("NONE", "VIEW"),
                "justification": ("First", "Second"),
            },
            justification="Second",
        )
    ]


@pytest.mark.parametrize("reason", [None, "Left the company\non Friday"])
async def test_a_removal_keeps_name_levels_and_reason(world: World, reason: str | None) -> None:
    place = await world.site()
    member, membership_id = await world.secondary(place, manage_access=VIEW)
    await place.primary.succeed("removeMembership", membershipId=membership_id, reason=reason)
    (event,) = await world.events(place)
    assert event.after is None
    assert (event.before["role"], event.before["manage_access"]) == ("SECONDARY_CONTACT", "VIEW")
    assert event.before["user_id"] == str(member.user_id)
    assert summary([tell(event)]) == [("MEMBERSHIP_REMOVED", place.primary.ibm_id, member.ibm_id)]
    assert (event.reason, event.justification) == (reason, None)


async def test_leaving(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place, reporting=ViewLevel.VIEW)
    await member.succeed("leaveSite", siteId=place.id)
    (event,) = await world.events(place)
    assert (event.after, event.before["reporting"]) == (None, "VIEW")
    assert summary([tell(event)]) == [("SITE_LEFT", member.ibm_id, member.ibm_id)]


async def test_a_contact_from_beginning_to_end(world: World) -> None:
    place = await world.site()
    editor, _ = await world.secondary(place, contact_updates=UPDATE)
    payload = await editor.succeed("createContact", "contact { id }", siteId=place.id, **CONTACT)
    contact_id = payload["contact"]["id"]
    await editor.succeed("updateContact", contactId=contact_id, **CONTACT | {"firstName": "Dominique"})
    await editor.succeed("deleteContact", contactId=contact_id)
    created, updated, deleted = await world.events(place)
    assert summary([tell(event) for event in (created, updated, deleted)]) == [
        ("CONTACT_CREATED", editor.ibm_id, "Camille Durand"),
        ("CONTACT_UPDATED", editor.ibm_id, "Dominique Durand"),
        ("CONTACT_DELETED", editor.ibm_id, "Dominique Durand"),
    ]
    assert {event.subject_id for event in (created, updated, deleted)} == {key(contact_id)}
    assert (created.before, deleted.after) == (None, None)
    assert created.after["phone"] == "+33142685300"
    assert changed(updated) == {"first_name": ("Camille", "Dominique")}
    assert deleted.before == updated.after


def key(id: str) -> Any:
    parsed = parse_id(id)
    assert parsed is not None
    return parsed[1]


@pytest.mark.parametrize("way", ["createContact", "updateContact", "updateContacts"])
async def test_handing_primary_over_tells_of_both_contacts(world: World, way: str) -> None:
    place = await world.site()
    types = {"types": ["PRIMARY"]}
    if way == "createContact":
        await place.primary.succeed(way, siteId=place.id, **CONTACT | types)
    else:
        item = {"contactId": await world.contact(place, [ContactType.BILLING]), **CONTACT, **types}
        input = item if way == "updateContact" else {"siteId": place.id, "contacts": [item]}
        await place.primary.succeed(way, **input)
    lost, gained = await told(world, place)
    assert (lost.event, lost.subject) == ("CONTACT_UPDATED", "Alix Martin")
    assert lost.changed == {"types": (["PRIMARY", "BILLING"], ["BILLING"])}
    assert gained.subject == "Camille Durand"
    assert gained.changed["types"][1] == ["PRIMARY"]


async def test_a_form_tells_of_each_contact_that_changed_and_of_no_other(world: World) -> None:
    place = await world.site()
    same = await place.primary.succeed("createContact", "contact { id }", siteId=place.id, **CONTACT)
    other = await world.contact(place, [ContactType.BILLING])
    contacts = [{"contactId": id, **CONTACT} for id in (same["contact"]["id"], other)]
    await place.primary.succeed("updateContacts", siteId=place.id, contacts=contacts)
    events = await world.events(place)
    assert [event.event for event in events] == ["CONTACT_CREATED", "CONTACT_UPDATED"]
    assert events[1].subject_id == key(other)


async def test_events_of_a_site_are_numbered_in_their_order(world: World) -> None:
    place = await world.site()
    people = [await world.member(place) for _ in range(3)]
    for _, membership_id in people:
        await place.primary.succeed("removeMembership", membershipId=membership_id)
    events = await world.events(place)
    assert [event.number for event in events] == [1, 2, 3]
    assert [event.subject_name for event in events] == [member.ibm_id for member, _ in people]


async def test_a_refused_mutation_leaves_no_event(world: World) -> None:
    place = await world.site()
    stranger: Person = await world.person()
    member, membership_id = await world.member(place)
    await stranger.refused("removeMembership", membershipId=membership_id)
    await member.refused("createContact", siteId=place.id, **CONTACT)
    await place.primary.refused("createContact", siteId=place.id, **CONTACT | {"phone": "12"})
    await place.primary.refused("leaveSite", siteId=place.id)
    assert await world.events(place) == []


def test_what_the_history_keeps_of_a_new_row_is_known_before_it_is_written() -> None:
    """Only sites and users are written first: the database gives them values that are kept."""
    given = {
        mapper.class_.__name__
        for mapper in Base.registry.mappers
        if snake(mapper.class_.__name__).upper() in SubjectType.__members__
        for column in mapper.class_.__table__.c
        if column.server_default is not None and column.default is None
        if column.name not in NOT_KEPT and column.computed is None
    }
    assert given == {"Site", "User"}
