"""Putting messages into the outbox: in the transaction of the change, or of the schedule that finds them due."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from app.actor import Actor, Standing
from app.db.models import AccessRequest, Membership, Site, User
from app.db.outbox import Message
from app.db.session import Session
from app.policy import Action, allows
from app.rules import MessageKind, Role, UpdateLevel

CHANNEL = "message"
"""Where PostgreSQL says that a message is due, as soon as its transaction has committed (see the migration)."""
COLUMNS = ["id", "site_id", "recipient_id", "email", "language", "kind", "data", "occasion"]
ACTIVE = sa.or_(Membership.ends_at.is_(None), Membership.ends_at > sa.func.now())


def written(kind: MessageKind, data: Any, occasion: Any = None, site_id: Any = Site.id) -> sa.Select[Any]:
    """Messages to the `User` rows of a statement about its `Site` rows; `data` is JSON in SQL.

    They are messages of that site, unless there is another `site_id`.
    """
    names = sa.func.jsonb_build_object(
        "recipient_name", User.name, "site_number", Site.number, "site_name", Site.name, type_=JSONB
    )
    return sa.select(
        sa.func.time_ordered_id(),
        site_id,
        User.id,
        User.email,
        User.language,
        sa.literal(kind, Message.kind.type),
        data.concat(names),
        sa.null() if occasion is None else occasion,
    )


def into_outbox(messages: sa.Select[Any]) -> Any:
    """The statement that writes messages; those about an occasion that was told already are left out."""
    made = insert(Message).from_select(COLUMNS, messages, include_defaults=False)
    told = Message.occasion.is_not(None)
    return made.on_conflict_do_nothing(index_elements=["occasion"], index_where=told)


async def enqueue(
    session: Session,
    kind: MessageKind,
    site_id: UUID | None,
    recipients: Collection[UUID],
    data: Mapping[str, Any],
    occasion: str | None = None,
) -> None:
    """Write one message to each recipient; it is sent once the transaction has committed, and never if it does not."""
    values = sa.literal(dict(data), JSONB)
    messages = written(kind, values, None if occasion is None else sa.literal(occasion, sa.Text))
    messages = messages.select_from(User).outerjoin(Site, Site.id == sa.literal(site_id, sa.Uuid))
    wanted = User.id == sa.any_(sa.literal(list(recipients), ARRAY(sa.Uuid)))
    await session.execute(into_outbox(messages.where(wanted)))


async def deciders_of(session: Session, asked: AccessRequest) -> list[UUID]:
    """Who may decide a request at this moment: asked of the policy, for the few who come into question."""
    standing = (Membership.user_id, Membership.role, Membership.manage_access)
    contacts = (Membership.site_id == asked.site_id, Membership.role != Role.USER, ACTIVE)
    found = await session.execute(sa.select(*standing).where(*contacts))
    people = [
        Actor(
            user_id,
            standings={asked.site_id: Standing(role, manage_access or UpdateLevel.NONE)}
            if asked.site_id
            else {},
        )
        for user_id, role, manage_access in found
    ]
    return [
        person.user_id
        for person in people
        if person.user_id and allows(person, Action.DECIDE_ACCESS_REQUEST, asked)
    ]
