"""Nominations under many hands at once: one end each, one primary contact, nobody left over."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import Membership
from app.db.nominations import Nomination
from app.rules import NominationState, Role
from app.site_transfer import TransferRefused, transfer_primary
from tests.test_concurrency import CONTENDERS, DECIDERS, at_once, outcomes
from tests.test_nominations import member_rows, nominate, nomination_rows, primary_of
from tests.world import UPDATE, Place, World


async def roles(world: World, place: Place) -> Counter[Role]:
    return Counter(row.role for row in (await member_rows(world, place)).values())


async def test_forty_answers_and_cancellations_end_it_once(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    ways = [
        (nominee, "acceptNomination"),
        (nominee, "declineNomination"),
        (place.primary, "cancelNomination"),
        (nominee, "acceptNomination"),
    ]
    acts = [person.do(mutation, nominationId=nomination_id) for person, mutation in ways * (DECIDERS // 4)]
    counted = outcomes(await at_once(acts))
    assert counted["done"] == 1
    # When it was accepted first, the former primary contact may not even see it any more.
    assert not counted.keys() - {"done", "NOMINATION_CLOSED", "FORBIDDEN", "NOT_FOUND"}
    (row,) = await nomination_rows(world, place)
    accepted = row.state is NominationState.ACCEPTED
    assert await primary_of(world, place) == (nominee if accepted else place.primary).user_id
    events = [event.event for event in await world.events(place)]
    assert events.count(f"NOMINATION_{row.state.name}") == 1
    assert events.count("PRIMARY_CONTACT_HANDED_OVER") == int(accepted)


async def test_accepting_and_cancelling_at_once(world: World) -> None:
    for _ in range(10):
        place = await world.site()
        nominee, membership_id = await world.member(place)
        nomination_id = await nominate(place, membership_id)
        payloads = await at_once(
            [
                nominee.do("acceptNomination", nominationId=nomination_id),
                place.primary.do("cancelNomination", nominationId=nomination_id),
            ]
        )
        assert outcomes(payloads)["done"] == 1
        (row,) = await nomination_rows(world, place)
        first = nominee if row.state is NominationState.ACCEPTED else place.primary
        assert await primary_of(world, place) == first.user_id


@pytest.mark.parametrize("way", ["remove", "leave"])
async def test_accepting_while_access_is_taken_away(world: World, way: str) -> None:
    """Either the nominee is the primary contact, whom nobody removes, or they are gone and the old one stays."""
    for _ in range(10):
        place = await world.site()
        nominee, membership_id = await world.secondary(place)
        manager, _ = await world.secondary(place, manage_access=UPDATE)
        nomination_id = await nominate(place, membership_id)
        payloads = await at_once(
            [
                nominee.do("acceptNomination", nominationId=nomination_id),
                manager.do("removeMembership", membershipId=membership_id)
                if way == "remove"
                else nominee.do("leaveSite", siteId=place.id),
            ]
        )
        assert outcomes(payloads)["done"] == 1
        rows = await member_rows(world, place)
        stays = nominee.user_id in rows
        assert await primary_of(world, place) == (nominee if stays else place.primary).user_id
        (row,) = await nomination_rows(world, place)
        assert row.state is (NominationState.ACCEPTED if stays else NominationState.CANCELLED)


async def test_many_nominations_at_once_leave_one(world: World) -> None:
    place = await world.site()
    members = [await world.member(place) for _ in range(CONTENDERS)]
    acts = [
        place.primary.do(
            "nominatePrimaryContact", siteId=place.id, membershipId=id, justification="Knows the site"
        )
        for _, id in members
    ]
    assert outcomes(await at_once(acts)) == {"done": 1, "NOMINATION_PENDING": CONTENDERS - 1}
    assert len(await world.rows(Nomination, Nomination.site_id == place.site_id)) == 1


async def test_the_last_seat_is_taken_while_the_primary_contact_changes(world: World) -> None:
    """The former one takes the last seat or becomes a user; there is never a fifth."""
    for _ in range(10):
        place = await world.site()
        for _ in range(3):
            await world.secondary(place)
        nominee, membership_id = await world.member(place)
        _, other = await world.member(place)
        nomination_id = await nominate(place, membership_id)
        payloads = await at_once(
            [
                nominee.do("acceptNomination", nominationId=nomination_id),
                place.primary.do("updateMembership", membershipId=other, role="SECONDARY_CONTACT"),
            ]
        )
        assert outcomes(payloads)["done"] >= 1
        assert await primary_of(world, place) == nominee.user_id
        assert (await roles(world, place))[Role.SECONDARY_CONTACT] == 4


async def test_operators_and_nominees_at_once(world: World, database: AsyncEngine) -> None:
    for _ in range(5):
        place = await world.site()
        nominee, membership_id = await world.member(place)
        people = [await world.member(place) for _ in range(4)]
        nomination_id = await nominate(place, membership_id)
        await asyncio.gather(
            *(transfer_primary(database, place.number, person.ibm_id, "Gone") for person, _ in people),
            nominee.do("acceptNomination", nominationId=nomination_id),
        )
        assert (await roles(world, place))[Role.PRIMARY_CONTACT] == 1
        (row,) = await nomination_rows(world, place)
        assert row.state in (NominationState.ACCEPTED, NominationState.CANCELLED)
        assert await primary_of(world, place) != place.primary.user_id


async def test_the_same_transfer_many_times_at_once_is_done_once(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    results = await asyncio.gather(
        *(transfer_primary(database, place.number, person.ibm_id, "Gone") for _ in range(CONTENDERS)),
        return_exceptions=True,
    )
    assert Counter(map(type, results)) == {type(None): 1, TransferRefused: CONTENDERS - 1}
    assert await primary_of(world, place) == person.user_id
    former = Membership.user_id == place.primary.user_id
    (row,) = await world.rows(Membership, Membership.site_id == place.site_id, former)
    assert row.role is Role.SECONDARY_CONTACT
