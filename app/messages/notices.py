"""What people are told of changes: one function for each kind of change, called in its transaction."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import AccessRequest, Membership, User
from app.messages.outbox import deciders_of, enqueue
from app.rules import PRIVILEGES, MessageKind


async def access_requested(session: AsyncSession, asked: AccessRequest) -> None:
    """Tell the deciders that somebody asks. The statements are the same where the site does not exist."""
    requester = await session.get_one(User, asked.requester_id)
    data = {
        "requester_name": requester.name,
        "requester_email": requester.email,
        "requester_ibm_id": requester.ibm_id,
        "justification": asked.justification,
        "levels": _levels(asked),
    }
    deciders = await deciders_of(session, asked)
    await enqueue(session, MessageKind.ACCESS_REQUESTED, asked.site_id, deciders, data)


async def access_granted(session: AsyncSession, asked: AccessRequest, membership: Membership) -> None:
    """Tell the requester what they were given, be it new or added to what they had."""
    recipients = [asked.requester_id]
    await enqueue(session, MessageKind.ACCESS_GRANTED, asked.site_id, recipients, _access(membership))


async def access_denied(session: AsyncSession, asked: AccessRequest) -> None:
    """Tell the requester why not."""
    assert asked.denial_reason is not None
    data = {"reason": asked.denial_reason.name}
    await enqueue(session, MessageKind.ACCESS_DENIED, asked.site_id, [asked.requester_id], data)


async def welcome(session: AsyncSession, membership: Membership) -> None:
    """Tell somebody who was added to a site."""
    recipients = [membership.user_id]
    await enqueue(session, MessageKind.WELCOME, membership.site_id, recipients, _access(membership))


async def access_changed(session: AsyncSession, membership: Membership, before: dict[str, Any]) -> None:
    """Tell a member what they hold now and held before; nothing where that is the same, or access has ended."""
    data, held = _access(membership), {name: before[name] for name in PRIVILEGES}
    if not _lasts(membership) or (data["role"], data["levels"]) == (before["role"], held):
        return
    data |= {"former_role": before["role"], "former_levels": held}
    await enqueue(session, MessageKind.ACCESS_CHANGED, membership.site_id, [membership.user_id], data)


async def access_removed(session: AsyncSession, membership: Membership) -> None:
    """Tell somebody that their access was taken away, unless it had ended before."""
    if _lasts(membership):
        recipients = [membership.user_id]
        await enqueue(session, MessageKind.ACCESS_REMOVED, membership.site_id, recipients, {})


def _access(membership: Membership) -> dict[str, Any]:
    ends_at = membership.ends_at.isoformat() if membership.ends_at else None
    return {"role": membership.role.name, "levels": _levels(membership), "ends_at": ends_at}


def _levels(row: AccessRequest | Membership) -> dict[str, str]:
    """The levels that a row speaks of, by privilege name."""
    levels = {name: getattr(row, name) for name in PRIVILEGES}
    return {name: level.name for name, level in levels.items() if level is not None}


def _lasts(membership: Membership) -> bool:
    return membership.ends_at is None or membership.ends_at > datetime.now(UTC)
