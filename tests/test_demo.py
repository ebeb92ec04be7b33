"""The demo data: complete, written once, and showing every standpoint."""

import asyncio
import time

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import aliased

from app.db.models import AccessRequest, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.preferences import ENotificationPreference
from app.db.site_rules import PrivilegeTemplate
from app.demo import fill
from app.development import PERSONAS
from app.rules import AccessRequestState, DenialReason, NominationState, Role, UpdateLevel

STANDPOINTS = [
    ["PRIMARY_CONTACT", "USER"],
    ["PRIMARY_CONTACT", "USER"],
    ["SECONDARY_CONTACT UPDATE NONE"],
    ["SECONDARY_CONTACT VIEW NONE"],
    ["SECONDARY_CONTACT NONE UPDATE"],
    ["SECONDARY_CONTACT NONE NONE"],
    ["USER", "USER", "USER"],
    [],
    [],
]
"""What each persona is: role, manage access, contact updates."""


def standpoint(membership: Membership) -> str:
    """A membership in words."""
    if membership.role is not Role.SECONDARY_CONTACT:
        return membership.role.name
    levels: list[UpdateLevel | None] = [membership.manage_access, membership.contact_updates]
    return " ".join([membership.role.name, *(level.name for level in levels if level)])


async def test_personas_show_every_standpoint(empty_database: AsyncEngine) -> None:
    await fill(empty_database)
    async with AsyncSession(empty_database) as session:
        for persona, expected in zip(PERSONAS, STANDPOINTS, strict=True):
            user = await session.scalar(sa.select(User).where(User.ibm_id == persona.ibm_id))
            if persona.ibm_id == "grace.whitfield@example.net":
                assert user is None
                continue
            assert user is not None
            assert (user.name, user.language, user.subject) == (persona.name, persona.language, None)
            found = await session.scalars(sa.select(Membership).where(Membership.user_id == user.id))
            assert sorted(map(standpoint, found)) == expected


async def test_everything_there_is_to_see(empty_database: AsyncEngine) -> None:
    await fill(empty_database)
    async with AsyncSession(empty_database) as session:
        requests = list(await session.scalars(sa.select(AccessRequest)))
        ended = list(await session.scalars(sa.select(Membership.ends_at < sa.func.now())))
        overdue = set(await session.scalars(sa.select(Site.contacts_review_due_at < sa.func.now())))
        found = await session.execute(sa.select(PrivilegeTemplate.name, PrivilegeTemplate.slot))
        templates = {row.name: row.slot for row in found}
        addresses = list(await session.scalars(sa.select(ENotificationPreference.email)))
        nominations = list(await session.scalars(sa.select(Nomination.current_state)))
        seats = sa.func.count(Membership.seat)
        sites = await session.execute(
            sa.select(seats, sa.func.count()).where(Membership.site_id == Site.id).group_by(Site.id)
        )
        sizes = {tuple(row) for row in sites}
    assert {request.state for request in requests} == set(AccessRequestState)
    assert {request.denial_reason for request in requests} == {None, *DenialReason}
    assert any(
        request.state is AccessRequestState.PENDING and request.current_state is AccessRequestState.EXPIRED
        for request in requests
    )
    assert {None, True, False} == set(ended)
    assert nominations == [NominationState.PENDING]
    assert overdue == {True, False}
    assert templates == {"Responsable de magasin": 1, "Gestion des accès": 2, "Dispatch": 1}
    assert {email is None for email in addresses} == {True, False}
    assert {0, 4} <= {seats for seats, _ in sizes}
    assert 250 in {users for _, users in sizes}


async def test_it_is_written_once_and_quickly(empty_database: AsyncEngine) -> None:
    started = time.monotonic()
    assert sorted(await asyncio.gather(*(fill(empty_database) for _ in range(3)))) == [False, False, True]
    assert time.monotonic() - started < 10
    assert await fill(empty_database) is False


async def test_its_history_is_in_the_order_of_time(empty_database: AsyncEngine) -> None:
    await fill(empty_database)
    before = aliased(HistoryEvent)
    backwards = sa.select(sa.func.count()).where(
        before.stream == HistoryEvent.stream,
        before.number == HistoryEvent.number - 1,
        before.at > HistoryEvent.at,
    )
    async with AsyncSession(empty_database) as session:
        assert await session.scalar(backwards) == 0
