"""From a verified identity to an Actor: who calls, and what they are at which site, at this moment."""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from uuid_utils.compat import uuid7

from app import history
from app.actor import Actor, Identity, Standing
from app.db.models import Membership, User
from app.db.pool import Pool, render
from app.db.session import Session
from app.db.transaction import Database, begin
from app.errors import unauthenticated
from app.policy import standing
from app.rules import Event, Language, Role, UpdateLevel
from app.texts import fold, full_name, tidy


async def sign_in(pool: Pool, writes: Database, identity: Identity, wished: Language | None = None) -> Actor:
    """The actor of an identity.

    At the first sign-in, a user who was added before is bound to the identity; an unknown person becomes a user. The
    language wished for in that request is theirs from then on, where neither their issuer nor an import names one.
    Raises UNAUTHENTICATED when the IBMid is bound to another identity.
    """
    found = await pool.row(KNOWN.sql, KNOWN.values({"issuer": identity.issuer, "subject": identity.subject}))
    if found is not None:
        standings = MappingProxyType(dict(map(_standing, json.loads(found["standings"]))))
        return Actor(found["id"], found["name"], identity.client, Language[found["language"]], standings)
    return await _sign_in_first(writes, identity, wished)


async def _sign_in_first(writes: Database, identity: Identity, wished: Language | None) -> Actor:
    async with begin(writes) as session:
        # A page's first requests come all at once: they take turns, and the later ones find the user bound.
        name = f"{identity.issuer} {identity.subject}"
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
        user = (await session.execute(_user_of(identity))).one_or_none()
        return await _actor(session, identity, user or await _bind(session, identity, wished))


async def _actor(connection: Session, identity: Identity, user: Any) -> Actor:
    standings = await standings_of(connection, user.id)
    return Actor(user.id, user.name, identity.client, user.language, standings)


def _user_of(identity: Identity) -> sa.Select[UUID, str, Language]:
    return sa.select(User.id, User.name.label("name"), User.language).where(
        User.issuer == identity.issuer, User.subject == identity.subject
    )


async def _bind(session: Session, identity: Identity, wished: Language | None) -> User:
    user, registered = await person_with(session, identity.ibm_id, identity.email)
    if user.subject is not None:
        raise unauthenticated("This IBMid belongs to another identity.")
    before = None if registered else history.values_of(user)
    user.issuer, user.subject = identity.issuer, identity.subject
    given = user.language if user.language_given else None
    user.language = identity.language or given or wished or user.language
    # Till now it was what somebody else had typed, and what other sites write would go there.
    user.email = identity.email if identity.names_email else user.email
    rename(user, identity.first_name or user.first_name, identity.last_name or user.last_name)
    actor = Actor(user.id, user.name, identity.client)
    event = Event.USER_REGISTERED if registered else Event.USER_SIGNED_IN_FIRST
    history.record(session, actor, event, user, name=user.name, before=before, after=history.values_of(user))
    return user


async def person_with(session: Session, ibm_id: str, email: str) -> tuple[User, bool]:
    """The locked user with an IBMid, made when there is none; and whether it was made just now."""
    known = sa.func.lower(User.ibm_id) == sa.func.lower(ibm_id)
    # Whoever does something at this moment refers to their own row; that need not wait for this, nor this for that.
    found = sa.select(User).where(known).with_for_update(key_share=True)
    user = await session.scalar(found)
    if user is not None:
        return user, False
    # Somebody may be writing the same person at this moment: whoever comes second takes theirs.
    person = insert(User).values(id=uuid7(), ibm_id=ibm_id, email=email, sort_name=fold(ibm_id))
    made = await session.scalar(person.on_conflict_do_nothing().returning(User.id))
    return (await session.scalars(found)).one(), made is not None


def rename(user: User, first_name: str | None, last_name: str | None) -> None:
    """Give a person the names they are known by."""
    user.first_name, user.last_name = tidy(first_name), tidy(last_name)
    user.sort_name = fold(full_name(user.last_name, user.first_name) or user.ibm_id)


def _standing(row: list[str]) -> tuple[UUID, Standing]:
    site_id, role, manage_access, contact_updates = row
    return UUID(site_id), Standing(Role[role], UpdateLevel[manage_access], UpdateLevel[contact_updates])


_STANDINGS = (
    sa.select(sa.func.json_agg(sa.func.json_build_array(Membership.site_id, *standing())))
    .where(Membership.user_id == User.id, Membership.active)
    .correlate(User)
    .scalar_subquery()
)
KNOWN = render(
    sa.select(
        User.id,
        User.name.label("name"),
        User.language,
        sa.func.coalesce(_STANDINGS, sa.text("'[]'")).label("standings"),
    ).where(User.issuer == sa.bindparam("issuer"), User.subject == sa.bindparam("subject"))
)
"""A user who has signed in before, with what they are at their sites: asked with every request."""


async def standings_of(
    connection: Session, user_id: UUID, site_id: UUID | None = None
) -> Mapping[UUID, Standing]:
    """What a user is at each site (or at one), by memberships that have not ended."""
    statement = sa.select(Membership.site_id, *standing()).where(
        Membership.user_id == user_id, Membership.active
    )
    if site_id is not None:
        statement = statement.where(Membership.site_id == site_id)
    rows = await connection.execute(statement)
    return MappingProxyType({site: Standing(role, access, contacts) for site, role, access, contacts in rows})


STANDINGS = render(
    sa.select(
        Membership.user_id,
        sa.func.json_agg(sa.func.json_build_array(Membership.site_id, *standing())).label("standings"),
    )
    .where(Membership.user_id == sa.any_(sa.bindparam("user_ids", type_=ARRAY(sa.Uuid))), Membership.active)
    .group_by(Membership.user_id)
)


async def standings_of_many(pool: Pool, user_ids: Iterable[UUID]) -> dict[UUID, Mapping[UUID, Standing]]:
    """What each of these users is at each site at this moment, by memberships that have not ended."""
    found: dict[UUID, Mapping[UUID, Standing]] = {user_id: MappingProxyType({}) for user_id in user_ids}
    for row in await pool.rows(STANDINGS.sql, STANDINGS.values({"user_ids": list(found)})):
        found[row["user_id"]] = MappingProxyType(dict(map(_standing, json.loads(row["standings"]))))
    return found
