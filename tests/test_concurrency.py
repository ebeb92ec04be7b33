"""Many at once, over parallel connections: limits hold, decisions fall once, nobody waits for ever."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, User
from app.query.ids import write_id
from app.rules import AccessRequestState, ContactType, Role, UpdateLevel, no_levels
from tests.world import CONTACT, Person, Place, World

SITES = 50
CONTENDERS = 12
DECIDERS = 40
Payload = dict[str, Any]


async def at_once(acts: Iterable[Awaitable[Payload]]) -> list[Payload]:
    return list(await asyncio.gather(*acts))


def outcomes(payloads: list[Payload]) -> Counter[str]:
    """How many succeeded, under "done", and how many were refused with which code."""
    return Counter(error["code"] for payload in payloads for error in payload["errors"] or [{"code": "done"}])


async def membership_rows(world: World, place: Place, *conditions: Any) -> list[Membership]:
    return await world.rows(Membership, Membership.site_id == place.site_id, *conditions)


async def contenders(
    world: World, place: Place, of_each_kind: int = CONTENDERS // 3
) -> list[Awaitable[Payload]]:
    """Acts that each want a secondary contact's seat: a third adds, a third grants, a third promotes."""
    people = [
        User(id=uuid7(), ibm_id=f"{uuid4().hex}@example.com", email="a@example.com", sort_name="a")
        for _ in range(2 * of_each_kind)
    ]
    askers, users = people[::2], people[1::2]
    requests = [
        AccessRequest(id=uuid7(), site_id=place.site_id, site_number=place.number, requester_id=asker.id)
        for asker in askers
    ]
    members = [
        Membership(id=uuid7(), site_id=place.site_id, user_id=user.id, role=Role.USER, **no_levels())
        for user in users
    ]
    request_ids = [write_id("access_request", row.id) for row in requests]
    membership_ids = [write_id("membership", row.id) for row in members]
    await world.add(*people, *requests, *members)
    primary = place.primary
    return [
        *(add_user(primary, place, f"{uuid4().hex}@example.com") for _ in range(of_each_kind)),
        *(grant(primary, id) for id in request_ids),
        *(promote(primary, id) for id in membership_ids),
    ]


def add_user(
    person: Person, place: Place, ibm_id: str, role: str = "SECONDARY_CONTACT"
) -> Awaitable[Payload]:
    return person.do(
        "addUser",
        siteId=place.id,
        ibmId=ibm_id,
        email=ibm_id,
        confirmed=True,
        justification="Needed",
        role=role,
    )


def grant(person: Person, request_id: str, role: str = "SECONDARY_CONTACT") -> Awaitable[Payload]:
    return person.do("grantAccessRequest", accessRequestId=request_id, role=role)


def deny(person: Person, request_id: str) -> Awaitable[Payload]:
    return person.do("denyAccessRequest", accessRequestId=request_id, reason="UNKNOWN_REQUESTER")


def promote(person: Person, membership_id: str) -> Awaitable[Payload]:
    return person.do("updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT")


async def test_seats_are_never_five_and_always_four(world: World) -> None:
    for _ in range(SITES):
        place = await world.site()
        payloads = await at_once(await contenders(world, place))
        assert outcomes(payloads) == {"done": 4, "SECONDARY_CONTACT_LIMIT": CONTENDERS - 4}
        seats = await membership_rows(world, place, Membership.role == Role.SECONDARY_CONTACT)
        assert sorted(row.seat for row in seats if row.seat) == [1, 2, 3, 4]


async def test_three_who_want_the_last_three_seats_at_once_all_get_one(world: World) -> None:
    """Nobody is refused because of others who looked for a free seat at the same moment."""
    for _ in range(SITES // 5):
        place = await world.site()
        await world.secondary(place)
        assert outcomes(await at_once(await contenders(world, place, of_each_kind=1))) == {"done": 3}


async def test_one_request_is_decided_once(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place)
    others = [await world.secondary(place, manage_access=UpdateLevel.UPDATE) for _ in range(3)]
    deciders = [place.primary, *(person for person, _ in others)]
    acts = [
        (grant(decider, request_id, "USER") if number % 2 else deny(decider, request_id))
        for number, decider in enumerate(deciders * (DECIDERS // len(deciders)))
    ]
    payloads = await at_once(acts)
    assert outcomes(payloads) == {"done": 1, "ALREADY_DECIDED": DECIDERS - 1}
    [request] = await world.rows(AccessRequest, AccessRequest.requester_id == requester.user_id)
    winning = [payload["errors"][0]["accessRequest"] for payload in payloads if payload["errors"]]
    assert winning == [await decision(world, request)] * (DECIDERS - 1)
    granted = request.state is AccessRequestState.GRANTED
    assert len(await membership_rows(world, place, Membership.user_id == requester.user_id)) == granted
    assert len(await events(world, request.id)) == 1


async def decision(world: World, request: AccessRequest) -> Payload:
    """What those who come too late are told."""
    [decider] = await world.rows(User, User.id == request.decided_by_id)
    reason = request.denial_reason and request.denial_reason.name
    return {"state": request.state.name, "denialReason": reason, "decidedBy": {"name": decider.name}}


async def events(world: World, subject_id: UUID | None) -> list[HistoryEvent]:
    return await world.rows(HistoryEvent, HistoryEvent.subject_id == subject_id)


async def test_primary_type_has_one_holder_however_many_hand_it_out(world: World) -> None:
    place = await world.site()
    contact_ids = [await world.contact(place, [ContactType.BILLING]) for _ in range(CONTENDERS)]
    form = CONTACT | {"types": ["PRIMARY", "BILLING"]}
    payloads = await at_once(
        [
            *(place.primary.do("updateContact", contactId=id, **form) for id in contact_ids),
            *(place.primary.do("createContact", siteId=place.id, **form) for _ in range(CONTENDERS)),
        ]
    )
    assert outcomes(payloads) == {"done": 2 * CONTENDERS}
    contacts = await world.rows(Contact, Contact.site_id == place.site_id)
    assert len(contacts) == 2 * CONTENDERS + 1
    assert sum(ContactType.PRIMARY in contact.types for contact in contacts) == 1


@pytest.mark.parametrize("exists", [True, False], ids=["site", "no site"])
async def test_asking_many_times_at_once_leaves_one_pending_request(world: World, exists: bool) -> None:
    place, person = await world.site(), await world.person()
    number = place.number if exists else uuid4().hex[:10].upper()
    payloads = await at_once(person.do("requestAccess", siteNumber=number) for _ in range(CONTENDERS))
    assert outcomes(payloads) == {"done": 1, "PENDING_REQUEST_EXISTS": CONTENDERS - 1}
    assert len(await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)) == 1


async def test_of_two_who_remove_each_other_one_succeeds(world: World) -> None:
    for _ in range(5):
        place = await world.site()
        one, one_id = await world.secondary(place, manage_access=UpdateLevel.UPDATE)
        other, other_id = await world.secondary(place, manage_access=UpdateLevel.UPDATE)
        payloads = await at_once(
            [
                one.do("removeMembership", membershipId=other_id),
                other.do("removeMembership", membershipId=one_id),
            ]
        )
        assert outcomes(payloads) == {"done": 1, "NOT_FOUND": 1}
        assert len(await membership_rows(world, place, Membership.role == Role.SECONDARY_CONTACT)) == 1


async def test_secondary_removed_while_granting_grants_nothing_afterwards(world: World) -> None:
    """Rights are those of this moment: whoever waits for the site sees what was taken meanwhile."""
    place = await world.site()
    secondary, membership_id = await world.secondary(place, manage_access=UpdateLevel.UPDATE)
    request_ids = [(await world.request(place))[1] for _ in range(CONTENDERS)]
    grants = [grant(secondary, id, "USER") for id in request_ids]
    removal = place.primary.do("removeMembership", membershipId=membership_id)
    payloads = await at_once([*grants[:6], removal, *grants[6:]])
    counted = outcomes(payloads)
    assert counted["done"] + counted["NOT_FOUND"] == CONTENDERS + 1
    users = await membership_rows(world, place, Membership.role == Role.USER)
    assert len(users) == counted["done"] - 1


async def user_rows(world: World, ibm_id: str) -> list[User]:
    return await world.rows(User, User.ibm_id.ilike(ibm_id))


async def test_new_person_signing_in_many_times_at_once_becomes_one_user(world: World) -> None:
    ibm_id = f"new-{uuid4().hex}@example.com"
    calls = [Person(world, spelled).ask("{ viewer { user { id } } }") for spelled in [ibm_id] * CONTENDERS]
    answers = await at_once(calls)
    [user] = await user_rows(world, ibm_id)
    assert answers == [{"viewer": {"user": {"id": write_id("user", user.id)}}}] * CONTENDERS
    assert [event.event.name for event in await events(world, user.id)] == ["USER_REGISTERED"]


async def test_added_person_signing_in_many_times_at_once_is_bound_once(world: World) -> None:
    person = await world.person(newcomer=True)
    await at_once(person.ask("{ viewer { user { id } } }") for _ in range(CONTENDERS))
    assert len(await user_rows(world, person.ibm_id)) == 1
    assert [event.event.name for event in await events(world, person.user_id)] == ["USER_SIGNED_IN_FIRST"]


async def test_new_person_added_at_many_sites_at_once_becomes_one_user(world: World) -> None:
    places = [await world.site() for _ in range(CONTENDERS)]
    ibm_id = f"new-{uuid4().hex}@example.com"
    spelled = [ibm_id, ibm_id.upper()]
    acts = [add_user(place.primary, place, spelled[n % 2], "USER") for n, place in enumerate(places)]
    assert outcomes(await at_once(acts)) == {"done": CONTENDERS}
    [user] = await user_rows(world, ibm_id)
    assert len(await world.rows(Membership, Membership.user_id == user.id)) == CONTENDERS


async def test_same_person_added_many_times_at_once_at_one_site(world: World) -> None:
    place, ibm_id = await world.site(), f"new-{uuid4().hex}@example.com"
    payloads = await at_once(add_user(place.primary, place, ibm_id, "USER") for _ in range(CONTENDERS))
    assert outcomes(payloads) == {"done": 1, "ALREADY_MEMBER": CONTENDERS - 1}
    assert len(await user_rows(world, ibm_id)) == 1


async def test_adding_and_granting_and_withdrawing_at_once(world: World) -> None:
    """Whichever comes first, the request ends once, and the person is a member at most once."""
    for _ in range(5):
        place = await world.site()
        person, request_id = await world.request(place)
        payloads = await at_once(
            [
                add_user(place.primary, place, person.ibm_id, "USER"),
                grant(place.primary, request_id, "USER"),
                person.do("withdrawAccessRequest", accessRequestId=request_id),
                deny(place.primary, request_id),
            ]
        )
        assert not outcomes(payloads).keys() - {
            "done",
            "ALREADY_MEMBER",
            "ALREADY_DECIDED",
            "REQUEST_CLOSED",
        }
        [request] = await world.rows(AccessRequest, AccessRequest.requester_id == person.user_id)
        assert request.state is not AccessRequestState.PENDING
        closings = [event for event in await events(world, request.id) if event.before is not None]
        assert len(closings) == 1
        # The addition succeeds whatever became of the request, unless the grant was first.
        assert len(await membership_rows(world, place, Membership.user_id == person.user_id)) == 1
