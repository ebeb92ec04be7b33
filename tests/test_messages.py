"""Who is told what of a change, in which language; and that what did not happen is told to nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor
from app.context import Context
from app.db.models import Membership, Site, User
from app.db.outbox import Message
from app.db.pool import Pool
from app.identity import standings_of
from app.messages import notices
from app.messages.letters import write_letter
from app.policy import Action
from app.rules import (
    DenialReason,
    Language,
    MessageKind,
    MessageState,
    PurchaseAndDownloadLevel,
    ViewLevel,
)
from tests.access import form, full_site, newcomer
from tests.world import UPDATE, VIEW, Person, Place, World, ago

EN, FR = Language
Told = list[tuple[MessageKind, UUID]]


async def told(world: World, place: Place) -> Told:
    """Kind and recipient of the messages about a site."""
    rows = await world.rows(Message, Message.site_id == place.site_id)
    return sorted(((row.kind, row.recipient_id) for row in rows), key=str)


async def the_message(world: World, place: Place) -> Message:
    [row] = await world.rows(Message, Message.site_id == place.site_id)
    assert isinstance(row, Message)
    return row


def to(kind: MessageKind, *people: Person) -> Told:
    """Messages of one kind to these people."""
    return sorted(((kind, person.user_id) for person in people if person.user_id), key=str)


async def speaks(world: World, person: Person, language: Language, **values: Any) -> Person:
    """Somebody with a language and other values of their own."""
    await person.ask("{ viewer { user { id } } }")
    async with AsyncSession(world.database) as session, session.begin():
        changed = sa.update(User).where(User.id == person.user_id).values(language=language, **values)
        await session.execute(changed)
    return person


def text_of(row: Message) -> str:
    """What a message says, on one line, with plain spaces."""
    letter = write_letter(row.kind, row.language, row.data)
    return " ".join(f"{letter.subject} {letter.text}".split())


# Requests


async def crowded_site(world: World) -> tuple[Place, list[Person]]:
    """A site with members of every kind, and those of them who decide."""
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    await world.secondary(place, manage_access=VIEW)
    await world.secondary(place, contact_updates=UPDATE)
    await world.secondary(place, manage_access=UPDATE, ends_at=ago(days=1))
    await world.member(place)
    return place, [place.primary, manager]


async def test_a_request_is_told_to_all_who_may_decide_it_and_to_nobody_else(world: World) -> None:
    place, deciders = await crowded_site(world)
    elsewhere = await world.site()
    requester = await world.person("requester")
    await requester.succeed("requestAccess", siteNumber=place.number)
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED, *deciders)
    assert await told(world, elsewhere) == []
    for row in await world.rows(Message, Message.site_id == place.site_id):
        assert (row.state, row.attempts, row.occasion, row.sent_at) == (MessageState.QUEUED, 0, None, None)
        assert row.id.version == 7
        assert row.next_attempt_at == row.created_at


async def test_a_request_tells_who_asks_for_what_and_why(world: World) -> None:
    place = await world.site()
    await speaks(world, place.primary, FR, first_name="Claire", last_name="Fontaine")
    requester = await speaks(world, await world.person(), EN, first_name="Lucas", last_name="Petit")
    wishes = {"reporting": "VIEW", "accountManagement": {"manageAccess": "UPDATE"}}
    await requester.succeed(
        "requestAccess", siteNumber=place.number, justification="Pour les caisses", privileges=wishes
    )
    row = await the_message(world, place)
    assert (row.language, row.email) == (FR, place.primary.ibm_id)
    said = text_of(row)
    for part in (
        f"Lucas Petit demande l’accès au site {place.number} ",
        "Bonjour Claire Fontaine,",
        f"site Site {place.number} ({place.number})",
        requester.ibm_id,
        "> Pour les caisses",
        "Production de rapports : Consulter",
        "gérer l’accès : Mettre à jour",
    ):
        assert part in said, part
    assert "Achat" not in said


async def test_a_former_member_who_asks_again_does_not_hear_of_it_as_a_decider(world: World) -> None:
    place = await world.site()
    former, _ = await world.secondary(place, manage_access=UPDATE, ends_at=ago(days=1))
    await former.succeed("requestAccess", siteNumber=place.number)
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED, place.primary)


async def test_a_request_for_a_number_that_no_site_has_is_told_to_nobody(world: World, pool: Pool) -> None:
    requester = await world.person()
    before = len(await world.rows(Message))
    await requester.succeed("requestAccess", siteNumber="NO-SUCH-NUMBER")
    assert len(await world.rows(Message)) == before


@pytest.mark.parametrize("reason", DenialReason)
async def test_a_denial_is_told_to_the_requester_with_the_reason(world: World, reason: DenialReason) -> None:
    place, _ = await crowded_site(world)
    requester, request_id = await world.request(place)
    await speaks(world, requester, FR)
    await place.primary.succeed("denyAccessRequest", accessRequestId=request_id, reason=reason.name)
    assert await told(world, place) == to(MessageKind.ACCESS_DENIED, requester)
    row = await the_message(world, place)
    assert (row.language, row.data["reason"]) == (FR, reason.name)
    assert place.number in text_of(row) and f"Site {place.number}" not in text_of(row)


async def test_a_grant_is_told_to_the_requester_with_what_was_given(world: World) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    requester, request_id = await world.request(place)
    given = {"purchaseAndDownload": "SOFTWARE_DOWNLOAD"}
    await manager.succeed(
        "grantAccessRequest", accessRequestId=request_id, role="SECONDARY_CONTACT", privileges=given
    )
    assert await told(world, place) == to(MessageKind.ACCESS_GRANTED, requester)
    said = text_of(await the_message(world, place))
    assert (
        "as a secondary contact. Your privileges are: Purchase and download: Software download only" in said
    )
    assert "Reporting" not in said
    assert manager.ibm_id not in said


async def test_a_grant_that_raises_a_membership_is_told_as_a_grant_only(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place, reporting=ViewLevel.VIEW)
    _, request_id = await world.request(place, member)
    given = {"purchaseAndDownload": "SOFTWARE_DOWNLOAD"}
    await place.primary.succeed(
        "grantAccessRequest", accessRequestId=request_id, role="USER", privileges=given
    )
    assert await told(world, place) == to(MessageKind.ACCESS_GRANTED, member)
    levels = (await the_message(world, place)).data["levels"]
    assert (levels["reporting"], levels["purchase_and_download"]) == ("VIEW", "SOFTWARE_DOWNLOAD")


async def test_a_request_that_is_withdrawn_is_told_to_nobody(world: World, pool: Pool) -> None:
    place = await world.site()
    requester, request_id = await world.request(place)
    await requester.succeed("withdrawAccessRequest", accessRequestId=request_id)
    assert await told(world, place) == []


# Members


async def test_a_new_user_is_welcomed(world: World) -> None:
    place, _ = await crowded_site(world)
    ibm_id = newcomer()
    payload = await place.primary.succeed(
        "addUser", "membership { user { id } }", **form(place, ibm_id, privileges={"reporting": "VIEW"})
    )
    assert payload["membership"]
    [user] = await world.rows(User, User.ibm_id == ibm_id)
    assert await told(world, place) == [(MessageKind.WELCOME, user.id)]
    row = await the_message(world, place)
    assert (row.email, row.language) == (ibm_id, EN)
    assert f"Hello {ibm_id}," in text_of(row) and "as a user" in text_of(row)


async def test_adding_somebody_who_had_asked_is_told_once(world: World) -> None:
    place = await world.site()
    requester, _ = await world.request(place)
    await place.primary.succeed("addUser", **form(place, requester.ibm_id))
    assert await told(world, place) == to(MessageKind.WELCOME, requester)


async def test_a_member_whose_access_had_ended_is_welcomed_anew(world: World) -> None:
    place = await world.site()
    former, _ = await world.member(place, ends_at=ago(days=1))
    await place.primary.succeed("addUser", **form(place, former.ibm_id))
    assert await told(world, place) == to(MessageKind.WELCOME, former)


async def test_a_change_is_told_to_the_member_with_before_and_after(world: World) -> None:
    place, deciders = await crowded_site(world)
    member, membership_id = await world.member(place, reporting=ViewLevel.VIEW)
    await speaks(world, member, FR)
    privileges = {"reporting": "NONE", "purchaseAndDownload": "SOFTWARE_DOWNLOAD"}
    await deciders[1].succeed("updateMembership", membershipId=membership_id, privileges=privileges)
    assert await told(world, place) == to(MessageKind.ACCESS_CHANGED, member)
    row = await the_message(world, place)
    assert row.language is FR
    assert (row.data["former_levels"]["reporting"], row.data["levels"]["reporting"]) == ("VIEW", "NONE")
    assert (row.data["former_role"], row.data["role"]) == ("USER", "USER")


async def test_a_new_role_alone_is_a_change(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    await place.primary.succeed("updateMembership", membershipId=membership_id, role="SECONDARY_CONTACT")
    assert await told(world, place) == to(MessageKind.ACCESS_CHANGED, member)
    assert "You are a secondary contact now; before, you were a user." in text_of(
        await the_message(world, place)
    )


@pytest.mark.parametrize(
    "input", [{}, {"justification": "Another reason"}, {"privileges": {"reporting": "VIEW"}}]
)
async def test_what_changes_no_access_is_told_to_nobody(world: World, input: dict[str, Any]) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, reporting=ViewLevel.VIEW)
    await place.primary.succeed("updateMembership", membershipId=membership_id, **input)
    assert await told(world, place) == []


async def test_a_removal_is_told_to_the_one_who_had_access(world: World) -> None:
    place, deciders = await crowded_site(world)
    member, membership_id = await world.member(place)
    await deciders[1].succeed("removeMembership", membershipId=membership_id, reason="Left the company")
    assert await told(world, place) == to(MessageKind.ACCESS_REMOVED, member)
    assert "Left the company" not in text_of(await the_message(world, place))


async def test_access_that_had_ended_is_changed_and_removed_in_silence(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, ends_at=ago(days=1))
    privileges = {"reporting": "VIEW"}
    await place.primary.succeed("updateMembership", membershipId=membership_id, privileges=privileges)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    assert await told(world, place) == []


async def test_who_leaves_knows(world: World) -> None:
    place = await world.site()
    member, _ = await world.member(place)
    await member.succeed("leaveSite", siteId=place.id)
    assert await told(world, place) == []


async def test_a_message_says_what_held_when_it_was_written(world: World) -> None:
    place = await world.site()
    member, membership_id = await world.member(place)
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    await speaks(world, member, FR, email="another@example.com", first_name="Other", last_name="Name")
    async with AsyncSession(world.database) as session, session.begin():
        await session.execute(sa.update(Site).where(Site.id == place.site_id).values(name="Another name"))
    row = await the_message(world, place)
    assert (row.email, row.language) == (member.ibm_id, EN)
    assert f"Site {place.number}" in text_of(row) and f"Hello {member.ibm_id}," in text_of(row)


# What did not happen


async def test_what_is_refused_is_told_to_nobody(world: World, pool: Pool) -> None:
    """Every refusal compares the outbox before and after, too (see `World.unchanged`)."""
    place = await full_site(world)
    member, membership_id = await world.member(place)
    requester, request_id = await world.request(place)
    wrong = {"accountManagement": {"manageAccess": "VIEW"}}
    primary, stranger = place.primary, await world.person("stranger")
    await primary.refused("grantAccessRequest", accessRequestId=request_id, role="USER", privileges=wrong)
    await primary.refused("grantAccessRequest", accessRequestId=request_id, role="SECONDARY_CONTACT")
    await primary.refused("updateMembership", membershipId=membership_id, privileges=wrong)
    await primary.refused("addUser", **form(place, newcomer(), confirmed=False))
    await primary.refused("addUser", **form(place, newcomer(), role="SECONDARY_CONTACT"))
    await requester.refused("requestAccess", siteNumber=place.number)
    for person in (member, stranger, requester):
        await person.refused("denyAccessRequest", accessRequestId=request_id, reason="UNKNOWN_REQUESTER")
        await person.refused("removeMembership", membershipId=membership_id)
    assert await told(world, place) == []


class Interrupted(Exception):
    """What goes wrong after everything was done."""


@asynccontextmanager
async def rolled_back(world: World, pool: Pool, place: Place) -> AsyncIterator[Any]:
    """A transaction of the primary contact that fails at its very end."""
    async with world.database.connect() as connection:
        user_id = place.primary.user_id
        assert user_id is not None
        actor = Actor(user_id, standings=await standings_of(connection, user_id))
    async with world.unchanged():
        with pytest.raises(Interrupted):
            async with Context(pool, pool, actor, EN).transaction() as tx:
                yield tx
                await tx.session.flush()
                raise Interrupted


async def test_what_is_rolled_back_is_told_to_nobody(world: World, pool: Pool) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    async with rolled_back(world, pool, place) as tx:
        membership = await tx.fetch(Membership, membership_id, Action.REMOVE_MEMBERSHIP)
        tx.session.delete(membership)
        await notices.access_removed(tx.session, membership)
        written = sa.select(sa.func.count()).where(Message.site_id == place.site_id)
        assert await tx.session.scalar(written) == 1
    assert await told(world, place) == []


async def test_of_two_racing_deciders_one_is_told_of(world: World) -> None:
    """See test_concurrency for the race; here, the second comes too late."""
    place, deciders = await crowded_site(world)
    requester, request_id = await world.request(place)
    await deciders[0].succeed("grantAccessRequest", accessRequestId=request_id, role="USER")
    await deciders[1].refused("denyAccessRequest", accessRequestId=request_id, reason="UNKNOWN_REQUESTER")
    assert await told(world, place) == to(MessageKind.ACCESS_GRANTED, requester)


def test_every_level_has_a_name_that_messages_can_read() -> None:
    levels = {"purchase_and_download": [*PurchaseAndDownloadLevel][-1].name}
    data = {"recipient_name": "x", "site_number": "1", "site_name": "y", "role": "USER", "ends_at": None}
    letter = write_letter(MessageKind.WELCOME, EN, data | {"levels": levels})
    assert "quotes, product catalogs and licence renewals" in " ".join(letter.text.split())
