"""What people are told of changes: one function for each kind of change, called in its transaction."""

from datetime import datetime
from typing import Any

from app.db.models import AccessRequest, Membership, User
from app.db.nominations import Nomination
from app.db.session import Session
from app.messages.outbox import deciders_of, enqueue
from app.rules import PRIVILEGES, MessageKind


async def access_requested(session: Session, asked: AccessRequest) -> None:
    """Tell the deciders that somebody asks. The statements are the same where the site does not exist."""
    requester = await session.get_one(User, asked.requester_id)
    data = {
        "requester_name": requester.name,
        "requester_email": requester.email,
        "requester_ibm_id": requester.ibm_id,
        "justification": asked.justification,
        "levels": _levels(asked),
        "request_kind": asked.kind.name,
        "requested_role": asked.requested_role.name if asked.requested_role else None,
        "requested_ends_at": _moment(asked.requested_ends_at),
    }
    deciders = await deciders_of(session, asked)
    await enqueue(session, MessageKind.ACCESS_REQUESTED, asked.site_id, deciders, data)


async def access_granted(session: Session, asked: AccessRequest, membership: Membership) -> None:
    """Tell the requester what they were given, be it new or added to what they had."""
    recipients = [asked.requester_id]
    await enqueue(session, MessageKind.ACCESS_GRANTED, asked.site_id, recipients, _access(membership))


async def access_denied(session: Session, asked: AccessRequest) -> None:
    """Tell the requester that it was denied, what they had asked for, and why."""
    assert asked.denial_reason is not None
    data = {"reason": asked.denial_reason.name, "request_kind": asked.kind.name}
    await enqueue(session, MessageKind.ACCESS_DENIED, asked.site_id, [asked.requester_id], data)


async def welcome(session: Session, membership: Membership) -> None:
    """Tell somebody who was added to a site."""
    recipients = [membership.user_id]
    await enqueue(session, MessageKind.WELCOME, membership.site_id, recipients, _access(membership))


async def access_changed(session: Session, membership: Membership, before: dict[str, Any]) -> None:
    """Tell a member what they hold now and held before; nothing where that is the same, or access has ended."""
    data = _access(membership)
    former = {"role": before["role"], "levels": {name: before[name] for name in PRIVILEGES}}
    former["ends_at"] = before["ends_at"]
    if not membership.active or data == former:
        return
    data |= {f"former_{name}": value for name, value in former.items()}
    await enqueue(session, MessageKind.ACCESS_CHANGED, membership.site_id, [membership.user_id], data)


async def access_removed(session: Session, membership: Membership) -> None:
    """Tell somebody that their access was taken away, unless it had ended before."""
    if membership.active:
        recipients = [membership.user_id]
        await enqueue(session, MessageKind.ACCESS_REMOVED, membership.site_id, recipients, {})


async def primary_contact_nominated(session: Session, nomination: Nomination) -> None:
    """Tell a member that they are asked to take over, and until when they can answer."""
    nominator = await session.get_one(User, nomination.nominated_by_id)
    data = {"nominator_name": nominator.name, "expires_at": _moment(nomination.expires_at)}
    kind, recipients = MessageKind.PRIMARY_CONTACT_NOMINATED, [nomination.user_id]
    await enqueue(session, kind, nomination.site_id, recipients, data)


async def primary_contact_handed_over(session: Session, former: Membership, new: Membership) -> None:
    """Tell both, the former primary contact and the new one."""
    people = {membership: await session.get_one(User, membership.user_id) for membership in (former, new)}
    data = {
        "former_name": people[former].name,
        "new_name": people[new].name,
        "former_role": former.role.name,
    }
    kind, recipients = MessageKind.PRIMARY_CONTACT_HANDED_OVER, [former.user_id, new.user_id]
    await enqueue(session, kind, new.site_id, recipients, data)


def _access(membership: Membership) -> dict[str, Any]:
    ends_at = _moment(membership.ends_at)
    return {"role": membership.role.name, "levels": _levels(membership), "ends_at": ends_at}


def _levels(row: AccessRequest | Membership) -> dict[str, str]:
    """The levels that a row speaks of, by privilege name."""
    levels = {name: getattr(row, name) for name in PRIVILEGES}
    return {name: level.name for name, level in levels.items() if level is not None}


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
