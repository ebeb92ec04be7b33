"""What tests are about: sites and people made for one test, and their calls through GraphQL over HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from uuid_utils.compat import uuid7

from app import development
from app.calendar_links import PATH, hash_of, new_secret
from app.config import Settings
from app.db.base import Base
from app.db.models import AccessRequest, Contact, Membership, Site, User
from app.db.nominations import Nomination
from app.db.outbox import Message
from app.db.preferences import CalendarSubscription
from app.query.ids import parse_id, write_id
from app.rules import NOMINATION_DAYS, ContactType, Language, MessageKind, Role, UpdateLevel, no_levels
from tests import rows

UPDATE, VIEW = UpdateLevel.UPDATE, UpdateLevel.VIEW
CONTACT = {
    "firstName": "Camille",
    "lastName": "Durand",
    "phone": "01 42 68 53 00",
    "email": "camille.durand@example.com",
    "address": "12 rue de la Paix",
    "city": "Paris",
    "postalCode": "75002",
    "country": "FR",
    "types": ["BILLING"],
}
"""A contact's form in which nothing is wrong."""

WATCHED = {
    table: f"{table} AS entry"
    for table in (
        "site",
        "membership",
        "contact",
        "access_request",
        "nomination",
        "e_notification_preference",
        "calendar_subscription",
        "webhook",
        "webhook_secret",
        "webhook_delivery",
        "blocked_requester",
        "privilege_template",
        "naming",
        "message",
        "undeliverable_address",
        "privilege_use",
        "idempotency_key",
    )
} | {
    "history": "history_event AS entry WHERE event <> 'USER_SIGNED_IN_FIRST'"
    " AND (event <> 'USER_REGISTERED' OR actor_id IS DISTINCT FROM subject_id)"
}
"""What must not change when something is refused: everything but people signing in for the first time."""

# All tests of a worker share one database, so that thousands of rows are looked at, and often: the first
# is cheap, since it reads no column, and strict, since even writing the same again gives a row a new `xmin`
# (here as its distance from the first one there can be, because `age` is what makes a number of it soonest).
WRITES = "ARRAY[count(*), sum(age('3'::xid) - age(entry.xmin))]"
CONTENTS = "sum(hash_record_extended(entry, 0))"


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    world: "World"
    ibm_id: str
    user_id: UUID | None = None

    @property
    def id(self) -> str:
        """The id in the schema."""
        assert self.user_id is not None
        return write_id("user", self.user_id)

    @cached_property
    def token(self) -> str:
        """A token of the development issuer."""
        return development.token_for(self.world.settings, self.ibm_id)

    async def post(self, document: str, language: str | None = None, **variables: Any) -> Response:
        """The bare response to a call."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if language:
            headers["Accept-Language"] = language
        # Encoded here, since the client's own encoder refuses half characters, which others do send.
        headers["Content-Type"] = "application/json"
        body = json.dumps({"query": document, "variables": variables})
        return await self.world.client.post("/graphql", content=body, headers=headers)

    async def ask(self, document: str, language: str | None = None, **variables: Any) -> dict[str, Any]:
        """The data of a call in which nothing went wrong."""
        response = await self.post(document, language, **variables)
        body = response.json()
        assert response.status_code == 200, body
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    async def do(
        self, mutation: str, selection: str = "", language: str | None = None, **input: Any
    ) -> dict[str, Any]:
        """The payload of a mutation, with its errors."""
        kind = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ {selection}"
            " errors { __typename code message path ... on LimitReachedError { limit current }"
            " ... on AlreadyDecidedError { accessRequest { state denialReason decidedBy { name } } } } } }"
        )
        payload: dict[str, Any] = (await self.ask(document, language, input=input))[mutation]
        return payload

    async def succeed(self, mutation: str, selection: str = "", **input: Any) -> dict[str, Any]:
        """The payload of a mutation that must not be refused."""
        payload = await self.do(mutation, selection, **input)
        assert payload["errors"] == [], payload
        return payload

    async def refused(self, mutation: str, **input: Any) -> list[tuple[str, str]]:
        """Code and path of every error of a mutation that must be refused, having changed nothing at all."""
        async with self.world.unchanged():
            payload = await self.do(mutation, **input)
        assert payload["errors"], "it was done, but should have been refused"
        return [(error["code"], ".".join(error["path"])) for error in payload["errors"]]


@dataclass(frozen=True)
class Place:
    """A site with its primary contact."""

    site_id: UUID
    number: str
    primary: Person
    contact_id: UUID

    @property
    def id(self) -> str:
        """The id in the schema."""
        return write_id("site", self.site_id)


@dataclass(frozen=True)
class World:
    """Makes what a test needs, straight in the database."""

    database: AsyncEngine
    client: AsyncClient
    settings: Settings

    async def add(self, *new: Base) -> None:
        """Write rows, which may refer to each other, in one transaction."""
        await rows.write(self.database, *new)

    async def person(self, name: str = "person", newcomer: bool = False) -> Person:
        """A user with a name of their own, who has signed in before; a newcomer has not."""
        ibm_id = f"{name}-{uuid4().hex[:12]}@example.com"
        identity = {} if newcomer else {"issuer": development.ISSUER, "subject": ibm_id}
        user_id = uuid7()
        await self.add(User(id=user_id, ibm_id=ibm_id, email=ibm_id, sort_name=ibm_id, **identity))
        return Person(self, ibm_id, user_id)

    async def site(self, pending_request_days: int | None = None, number: str | None = None) -> Place:
        """A site with a primary contact and a primary contact record."""
        primary = await self.person("primary")
        site_id, membership_id, contact_id = uuid7(), uuid7(), uuid7()
        number = number or uuid4().hex[:10].upper()
        await self.add(
            Site(
                id=site_id,
                number=number,
                name=f"Site {number}",
                primary_membership_id=membership_id,
                pending_request_days=pending_request_days,
            ),
            Membership(id=membership_id, site_id=site_id, user_id=primary.user_id, role=Role.PRIMARY_CONTACT),
            contact_row(site_id, contact_id, types=[ContactType.PRIMARY, ContactType.BILLING]),
        )
        return Place(site_id, number, primary, contact_id)

    async def contact(self, place: Place, types: list[ContactType], **values: Any) -> str:
        """A contact of a site; its id in the schema."""
        contact_id = uuid7()
        await self.add(contact_row(place.site_id, contact_id, types=types, **values))
        return write_id("contact", contact_id)

    async def member(
        self,
        place: Place,
        role: Role = Role.USER,
        person: Person | None = None,
        seat: int | None = None,
        ends_at: datetime | None = None,
        **values: Any,
    ) -> tuple[Person, str]:
        """A member of a site, with these levels and other values; and the id of their membership in the schema."""
        person = person or await self.person(role.value.lower())
        if role is Role.SECONDARY_CONTACT and seat is None:
            seat = 1 + len(
                await self.rows(Membership, Membership.site_id == place.site_id, Membership.seat > 0)
            )
        membership_id = uuid7()
        await self.add(
            Membership(
                id=membership_id,
                site_id=place.site_id,
                user_id=person.user_id,
                role=role,
                seat=seat,
                ends_at=ends_at,
                **no_levels() | values,
            )
        )
        return person, write_id("membership", membership_id)

    async def caller(self, place: Place, who: str) -> Person:
        """Somebody by a word: primary, user, ended (a former user), stranger, or the level of a secondary contact.

        Such a level is written like "manage_access=VIEW".
        """
        if who == "primary":
            return place.primary
        if who == "stranger":
            return await self.person(who)
        if "=" in who:
            name, _, level = who.partition("=")
            return (await self.secondary(place, **{name: UpdateLevel[level]}))[0]
        return (await self.member(place, ends_at=ago(days=1) if who == "ended" else None))[0]

    async def secondary(self, place: Place, **values: Any) -> tuple[Person, str]:
        """A secondary contact."""
        return await self.member(place, Role.SECONDARY_CONTACT, **values)

    async def request(self, place: Place, person: Person | None = None, **values: Any) -> tuple[Person, str]:
        """A pending access request, and its id in the schema."""
        person = person or await self.person("requester")
        request_id = uuid7()
        await self.add(
            AccessRequest(
                id=request_id,
                site_id=place.site_id,
                site_number=place.number,
                requester_id=person.user_id,
                **values,
            )
        )
        return person, write_id("access_request", request_id)

    async def nomination(self, place: Place, nominee: str, **values: Any) -> str:
        """A nomination of a membership, pending unless it has a `state`; its id in the schema."""
        nomination_id = uuid7()
        _, key = parse_id(nominee) or ("", None)
        (member,) = await self.rows(Membership, Membership.id == key)
        kept = {
            "expires_at": ago(days=-NOMINATION_DAYS),
            "justification": "Knows the site",
            "nominated_by_id": place.primary.user_id,
        }
        await self.add(
            Nomination(
                id=nomination_id,
                site_id=place.site_id,
                user_id=member.user_id,
                membership_id=None if "state" in values else member.id,
                **kept | values,
            )
        )
        return write_id("nomination", nomination_id)

    async def calendar(self, place: Place, person: Person, slot: int = 1) -> tuple[str, str]:
        """The path of a calendar that a person has subscribed to, and its id in the schema."""
        secret, subscription_id = new_secret(), uuid7()
        await self.add(
            CalendarSubscription(
                id=subscription_id,
                site_id=place.site_id,
                user_id=person.user_id,
                slot=slot,
                secret_hash=hash_of(secret),
            )
        )
        return PATH.format(secret=secret), write_id("calendar_subscription", subscription_id)

    async def message(self, place: Place, person: Person | None = None, **values: Any) -> str:
        """A message about a site, to its primary contact if to nobody else; its id in the schema."""
        to = person or place.primary
        message_id = uuid7()
        # Left out, it would be due now, as a new message is.
        closed = {"next_attempt_at": sa.null()} if "state" in values else {}
        told = closed | {
            "email": to.ibm_id,
            "language": Language.EN,
            "kind": MessageKind.ACCESS_REMOVED,
            "data": {"recipient_name": to.ibm_id, "site_number": place.number, "site_name": "Site"},
        }
        row = Message(id=message_id, site_id=place.site_id, recipient_id=to.user_id, **told | values)
        await self.add(row)
        return write_id("message", message_id)

    async def rows(self, model: Any, *conditions: Any) -> list[Any]:
        """Rows as they are in the database."""
        async with AsyncSession(self.database) as session:
            return list(await session.scalars(sa.select(model).where(*conditions)))

    async def count(self, model: Any) -> int:
        """How many rows there are; of all tests together."""
        async with AsyncSession(self.database) as session:
            return await session.scalar(sa.select(sa.func.count()).select_from(model)) or 0

    async def events(self, place: Place) -> list[Any]:
        """The history of a site, oldest first: rows with event, actor, before, after and so on."""
        table = sa.text("SELECT * FROM history_event WHERE site_id = :site ORDER BY number")
        async with self.database.connect() as connection:
            return list(await connection.execute(table, {"site": place.site_id}))

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Fails when anything in the database is written, but for people signing in for the first time."""
        before = await self._state(WRITES)
        yield
        assert await self._state(WRITES) == before

    @asynccontextmanager
    async def changed(self) -> AsyncIterator[None]:
        """Fails when nothing in the database changes."""
        before = await self._state(CONTENTS)
        yield
        assert await self._state(CONTENTS) != before

    async def _state(self, fingerprint: str) -> Mapping[str, Any]:
        parts = [f"(SELECT {fingerprint} FROM {rows}) AS {name}" for name, rows in WATCHED.items()]
        async with self.database.connect() as connection:
            return (await connection.execute(sa.text(f"SELECT {', '.join(parts)}"))).mappings().one()


def ago(**duration: float) -> datetime:
    """A moment in the past, such as ``ago(days=1)``."""
    return datetime.now(UTC) - timedelta(**duration)


def contact_row(site_id: UUID, contact_id: UUID, **values: Any) -> Contact:
    """A contact as the database has it."""
    kept = {
        "first_name": "Alix",
        "last_name": "Martin",
        "phone": "+33142685300",
        "email": f"alix.{contact_id.hex}@example.com",
        "address": "1 place de la Bourse",
        "city": "Paris",
        "postal_code": "75002",
        "country": "FR",
    }
    return Contact(id=contact_id, site_id=site_id, **kept | values)
