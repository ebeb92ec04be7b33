"""Whoever waits for a site sees it as those before them left it: the rows, and their own rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.db.models import Contact, HistoryEvent, Membership, Site
from app.db.webhooks import Webhook, WebhookDelivery
from app.rules import ContactType, Event, Role, UpdateLevel, no_levels
from tests.receiver import webhook_row
from tests.test_reads import statements
from tests.world import CONTACT, UPDATE, Person, Place, World

LEVELS = no_levels() | {"contact_updates": UPDATE}
SAVE, CONFIRM = "updateContact", "confirmContactReview"


@pytest.fixture
async def place(world: World) -> Place:
    """A site of its own."""
    return await world.site()


@asynccontextmanager
async def turn(world: World, place: Place) -> AsyncIterator[AsyncConnection]:
    """A transaction that has the lock of the site, and commits."""
    async with world.database.begin() as connection:
        await connection.execute(sa.select(Site.id).where(Site.id == place.site_id).with_for_update())
        yield connection


async def is_waited_for(world: World, connection: AsyncConnection) -> None:
    """Until somebody waits for this transaction."""
    own = await connection.scalar(sa.select(sa.func.pg_backend_pid()))
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND :own = ANY (pg_blocking_pids(pid))"
    ).bindparams(own=own)
    async with asyncio.timeout(30), world.database.connect() as other:
        while not await other.scalar(waiting):
            pass


async def done_after(world: World, place: Place, person: Person, mutation: str, *meanwhile: Any) -> list[str]:
    """The codes of a person's mutation that has to wait while the site is changed: none when it was done."""
    contact_id = await world.contact(place, [ContactType.BILLING])
    input = {"contactId": contact_id, **CONTACT} if mutation == SAVE else {"siteId": place.id}
    async with turn(world, place) as connection:
        waiting = asyncio.create_task(person.do(mutation, **input))
        await is_waited_for(world, connection)
        for statement in meanwhile:
            await connection.execute(statement)
    return [error["code"] for error in (await waiting)["errors"]]


def own(place: Place, person: Person) -> sa.ColumnElement[bool]:
    return sa.and_(Membership.site_id == place.site_id, Membership.user_id == person.user_id)


def removed(place: Place, person: Person) -> Any:
    return sa.delete(Membership).where(own(place, person))


def added(place: Place, person: Person, **values: Any) -> Any:
    given = {"role": Role.SECONDARY_CONTACT, "seat": 4, **LEVELS, **values}
    return sa.insert(Membership).values(id=uuid7(), site_id=place.site_id, user_id=person.user_id, **given)


@pytest.mark.parametrize("mutation", [SAVE, CONFIRM])
async def test_rights_that_were_lowered_meanwhile_are_the_lower_ones(
    world: World, place: Place, mutation: str
) -> None:
    person, _ = await world.secondary(place, contact_updates=UPDATE)
    lowered = sa.update(Membership).where(own(place, person)).values(contact_updates=UpdateLevel.VIEW)
    assert await done_after(world, place, person, mutation, lowered) == ["FORBIDDEN"]


@pytest.mark.parametrize("mutation", [SAVE, CONFIRM])
async def test_rights_that_were_raised_meanwhile_are_the_higher_ones(
    world: World, place: Place, mutation: str
) -> None:
    person, _ = await world.secondary(place)
    raised = sa.update(Membership).where(own(place, person)).values(contact_updates=UPDATE)
    assert await done_after(world, place, person, mutation, raised) == []


@pytest.mark.parametrize("mutation", [SAVE, CONFIRM])
async def test_who_was_removed_meanwhile_sees_nothing(world: World, place: Place, mutation: str) -> None:
    person, _ = await world.secondary(place, contact_updates=UPDATE)
    assert await done_after(world, place, person, mutation, removed(place, person)) == ["NOT_FOUND"]


@pytest.mark.parametrize("mutation", [SAVE, CONFIRM])
async def test_whose_access_ended_meanwhile_sees_nothing(world: World, place: Place, mutation: str) -> None:
    person, _ = await world.secondary(place, contact_updates=UPDATE)
    ended = (
        sa.update(Membership).where(own(place, person)).values(ends_at=sa.text("now() - interval '1 day'"))
    )
    assert await done_after(world, place, person, mutation, ended) == ["NOT_FOUND"]


@pytest.mark.parametrize("mutation", [SAVE, CONFIRM])
async def test_who_was_added_meanwhile_may(world: World, place: Place, mutation: str) -> None:
    person = await world.person()
    assert await done_after(world, place, person, mutation, added(place, person)) == []


@pytest.mark.parametrize(("level", "codes"), [(UPDATE, []), (UpdateLevel.VIEW, ["FORBIDDEN"])])
async def test_who_was_removed_and_added_again_meanwhile_has_the_new_rights(
    world: World, place: Place, level: UpdateLevel, codes: list[str]
) -> None:
    person, _ = await world.secondary(place, contact_updates=UPDATE)
    again = removed(place, person), added(place, person, contact_updates=level)
    assert await done_after(world, place, person, SAVE, *again) == codes


async def test_what_was_changed_meanwhile_is_changed_further(world: World, place: Place) -> None:
    moved = sa.update(Contact).where(Contact.site_id == place.site_id).values(city="Lyon")
    assert await done_after(world, place, place.primary, SAVE, moved) == []
    (event,) = await world.events(place)
    assert event.before and event.after
    assert (event.before["city"], event.after["city"]) == ("Lyon", "Paris")


async def test_what_was_deleted_meanwhile_is_not_there(world: World, place: Place) -> None:
    is_billing = Contact.types == [ContactType.BILLING]
    gone = sa.delete(Contact).where(Contact.site_id == place.site_id, is_billing)
    assert await done_after(world, place, place.primary, SAVE, gone) == ["NOT_FOUND"]


async def test_a_webhook_that_was_made_meanwhile_is_told(world: World, place: Place) -> None:
    webhook = webhook_row(place)
    async with world.database.begin() as first, world.database.connect() as second:
        await first.execute(event_of(place))
        waiting = asyncio.create_task(committed(second, event_of(place)))
        await is_waited_for(world, first)
        values = {
            name: getattr(webhook, name) for name in ("id", "site_id", "url", "slot", "events", "active")
        }
        await first.execute(sa.insert(Webhook).values(**values, created_by_id=webhook.created_by_id))
        await first.commit()
        await waiting
    async with world.database.connect() as connection:
        told = sa.select(sa.func.count()).where(WebhookDelivery.webhook_id == webhook.id)
        assert await connection.scalar(told) == 1


async def committed(connection: AsyncConnection, statement: Any) -> None:
    await connection.execute(statement)
    await connection.commit()


def event_of(place: Place) -> Any:
    """An event that is written without the lock of the site: those of a site take turns of their own."""
    about = {"stream": place.site_id, "site_id": place.site_id, "subject_id": place.site_id}
    return sa.insert(HistoryEvent).values(
        **about, event=Event.SITE_CREATED, actor_name="me", subject_type="site", subject_name="A site"
    )


async def test_what_a_member_changes_takes_one_statement_for_locks(world: World, place: Place) -> None:
    contact_id = await world.contact(place, [ContactType.BILLING])
    await place.primary.succeed(SAVE, contactId=contact_id, **CONTACT)
    with statements() as seen:
        await place.primary.succeed(SAVE, contactId=contact_id, **CONTACT | {"city": "Lyon"})
    locking, *changing = seen
    assert locking.endswith("FOR NO KEY UPDATE OF site, contact, membership_1")
    assert sorted(statement.split()[0] for statement in changing) == ["INSERT", "UPDATE"]
