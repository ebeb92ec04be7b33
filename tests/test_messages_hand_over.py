"""Who is told of nominations, of hand-overs, of what members ask for, and of a new end of their access."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.outbox import Message
from app.rules import Language, MessageKind, ViewLevel
from app.site_transfer import TransferRefused, transfer_primary
from tests.access import full_site
from tests.test_member_requests import ask_for_more, extend
from tests.test_messages import crowded_site, speaks, text_of, the_message, to, told
from tests.test_nominations import nominate
from tests.world import UPDATE, Person, Place, World, ago

EN, FR = Language
SOON, LATER = ago(days=-10), ago(days=-100)


async def messages_to(world: World, place: Place, person: Person) -> list[Message]:
    return await world.rows(Message, Message.site_id == place.site_id, Message.recipient_id == person.user_id)


# Nominations and hand-overs


@pytest.mark.parametrize(
    ("language", "sentence"),
    [(EN, "Claire Fontaine would like to hand over"), (FR, "Claire Fontaine souhaite vous confier")],
)
async def test_a_nomination_is_told_to_the_nominee_in_their_language(
    world: World, language: Language, sentence: str
) -> None:
    place, _ = await crowded_site(world)
    await speaks(world, place.primary, FR, first_name="Claire", last_name="Fontaine")
    nominee, membership_id = await world.member(place)
    await speaks(world, nominee, language)
    await nominate(place, membership_id)
    assert await told(world, place) == to(MessageKind.PRIMARY_CONTACT_NOMINATED, nominee)
    row = await the_message(world, place)
    assert (row.language, row.email) == (language, nominee.ibm_id)
    assert sentence in text_of(row)
    days = (datetime.fromisoformat(row.data["expires_at"]) - row.created_at).total_seconds() / 86_400
    assert days == pytest.approx(14, abs=0.01)


@pytest.mark.parametrize("mutation", ["cancelNomination", "declineNomination"])
async def test_the_end_of_a_nomination_without_a_hand_over_is_told_to_nobody(
    world: World, mutation: str
) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id)
    caller = nominee if mutation == "declineNomination" else place.primary
    await caller.succeed(mutation, nominationId=nomination_id)
    assert await told(world, place) == []


async def test_a_hand_over_is_told_to_both_each_in_their_language(world: World) -> None:
    place, _ = await crowded_site(world)
    await speaks(world, place.primary, FR, first_name="Julien", last_name="Moreau")
    nominee, membership_id = await world.member(place)
    await speaks(world, nominee, EN, first_name="Claire", last_name="Fontaine")
    nomination_id = await world.nomination(place, membership_id)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)
    assert await told(world, place) == to(MessageKind.PRIMARY_CONTACT_HANDED_OVER, place.primary, nominee)
    [french] = await messages_to(world, place, place.primary)
    [english] = await messages_to(world, place, nominee)
    assert "Julien Moreau stays at the site as a user." in text_of(english)
    assert "Claire Fontaine has taken over" in text_of(english)
    assert (french.language, french.data["new_name"]) == (FR, "Claire Fontaine")
    assert "en tant qu’utilisateur" in text_of(french)


async def test_a_former_primary_contact_with_a_seat_is_called_a_secondary_contact(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)
    [row] = await messages_to(world, place, nominee)
    assert "as a secondary contact" in text_of(row)


async def test_a_hand_over_by_an_operator_is_told_to_both_and_to_no_nominee(
    world: World, database: AsyncEngine
) -> None:
    place = await full_site(world)
    _, membership_id = await world.member(place)
    await world.nomination(place, membership_id)
    successor, _ = await world.member(place, ends_at=ago(days=1))
    await transfer_primary(database, place.number, successor.ibm_id, "Left the company")
    assert await told(world, place) == to(MessageKind.PRIMARY_CONTACT_HANDED_OVER, place.primary, successor)
    [row] = await messages_to(world, place, successor)
    assert row.data["former_role"] == "USER"
    assert "Left the company" not in text_of(row)


async def test_what_is_refused_is_told_to_nobody(world: World, database: AsyncEngine) -> None:
    """Every refusal compares the outbox before and after, too (see `World.unchanged`)."""
    place = await world.site()
    member, membership_id = await world.member(place, ends_at=SOON)
    nominee, other_id = await world.member(place)
    nomination_id = await world.nomination(place, other_id)
    wish: dict[str, Any] = {"siteId": place.id, "justification": "Needed"}
    await place.primary.refused("nominatePrimaryContact", **wish, membershipId=membership_id)
    await member.refused("nominatePrimaryContact", **wish, membershipId=other_id)
    await member.refused("acceptNomination", nominationId=nomination_id)
    await nominee.refused("cancelNomination", nominationId=nomination_id)
    await member.refused("requestExtension", **wish, endsAt=ago(days=1).isoformat())
    await member.refused("requestHigherLevel", **wish)
    await place.primary.refused(
        "updateMembership", membershipId=membership_id, endsAt=ago(days=1).isoformat()
    )
    with pytest.raises(TransferRefused):
        await transfer_primary(database, place.number, place.primary.ibm_id, "No reason")
    assert await told(world, place) == []


async def test_a_nomination_that_is_only_tried_is_told_to_nobody(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    async with world.unchanged():
        await nominate(place, membership_id, validateOnly=True)


# What members ask for


async def test_what_a_member_asks_for_is_told_to_the_deciders(world: World) -> None:
    place, deciders = await crowded_site(world)
    await speaks(world, place.primary, FR)
    longer, _ = await world.member(place, ends_at=SOON)
    await extend(longer, place, LATER)
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED, *deciders)
    [french] = await messages_to(world, place, place.primary)
    [english] = await messages_to(world, place, deciders[1])
    assert "demande une prolongation de son accès au site" in text_of(french)
    assert "L’accès est souhaité jusqu’au" in text_of(french)
    assert "asks for longer access to the site" in text_of(english)
    assert datetime.fromisoformat(english.data["requested_ends_at"]) == LATER


async def test_a_wish_for_more_says_what_for(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    await ask_for_more(member, place, role="SECONDARY_CONTACT", privileges={"reporting": "VIEW"})
    said = text_of(await the_message(world, place))
    assert "asks for more privileges at the site" in said
    assert "The requester wishes to become a secondary contact." in said
    assert "Reporting: View" in said
    assert "until" not in said


async def test_a_manager_who_asks_for_more_does_not_hear_of_it(world: World) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    await ask_for_more(manager, place, privileges={"reporting": "VIEW"})
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED, place.primary)


async def test_a_granted_extension_is_told_with_the_new_end(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place, ends_at=ago(days=1))
    request_id = await extend(member, place, LATER)
    await place.primary.succeed("grantAccessRequest", accessRequestId=request_id)
    [row] = await messages_to(world, place, member)
    assert row.kind is MessageKind.ACCESS_GRANTED
    assert datetime.fromisoformat(row.data["ends_at"]) == LATER
    assert "Your access ends on" in text_of(row)


async def test_a_denied_wish_is_told_with_the_reason(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    request_id = await ask_for_more(member, place, role="SECONDARY_CONTACT")
    await place.primary.succeed(
        "denyAccessRequest", accessRequestId=request_id, reason="ACCESS_NOT_NECESSARY"
    )
    [row] = await messages_to(world, place, member)
    assert (row.kind, row.data["reason"]) == (MessageKind.ACCESS_DENIED, "ACCESS_NOT_NECESSARY")
    assert "Your request for more privileges at the site" in text_of(row)


async def test_a_wish_that_is_denied_by_a_removal_is_told_with_it(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    await ask_for_more(member, place, role="SECONDARY_CONTACT")
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    rows = await messages_to(world, place, member)
    assert {row.kind for row in rows} == {MessageKind.ACCESS_DENIED, MessageKind.ACCESS_REMOVED}
    assert len(rows) == 2


async def test_who_leaves_is_not_told_of_what_they_had_asked_for(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    await ask_for_more(member, place, role="SECONDARY_CONTACT")
    await member.succeed("leaveSite", siteId=place.id)
    assert await messages_to(world, place, member) == []


# A new end


@pytest.mark.parametrize(
    ("present", "wished", "sentence"),
    [
        (None, LATER, "Your access ends on"),
        (SOON, LATER, "Your access ends on"),
        (LATER, SOON, "Your access ends on"),
        (SOON, None, "Your access has no end any more."),
        (ago(days=1), SOON, "Your access ends on"),
    ],
)
async def test_a_new_end_is_told_to_the_member(
    world: World, present: datetime | None, wished: datetime | None, sentence: str
) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, ends_at=present, reporting=ViewLevel.VIEW)
    await place.primary.succeed(
        "updateMembership", membershipId=membership_id, endsAt=wished and wished.isoformat()
    )
    assert await told(world, place) == to(MessageKind.ACCESS_CHANGED, member)
    row = await the_message(world, place)
    assert sentence in text_of(row)
    assert "Reporting" not in text_of(row)
    former = row.data["former_ends_at"]
    assert (former and datetime.fromisoformat(former)) == present


async def test_an_end_that_stays_is_told_to_nobody(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, ends_at=SOON)
    for input in ({}, {"endsAt": SOON.isoformat()}, {"justification": "Another reason"}):
        await place.primary.succeed("updateMembership", membershipId=membership_id, **input)
    assert await told(world, place) == []
