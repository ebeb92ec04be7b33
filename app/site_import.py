"""Writes sites with their contacts and users from a file, all or nothing; faults are named by row and column.

JSON is one object: ``{"sites": [{"number", "name", "pendingRequestDays", "contacts": [...], "users": [...]}]}``
with the schema's names in contacts and users. CSV is one flat table: a column ``kind`` (site, contact or user),
``siteNumber``, and the same names as columns. ``docs/import.md`` describes both with examples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from app.actor import Actor
from app.context import Transaction
from app.db.locks import creating_sites, without_haste
from app.db.models import AccessRequest, Contact, Membership, Site, User
from app.db.session import Session
from app.db.transaction import begin
from app.errors import Code
from app.history import record, values_of
from app.identity import rename
from app.import_checks import PersonRows, SiteRows, check_rows
from app.import_rows import ImportFault, ImportRefused, Row, document_rows, read_rows
from app.messages import notices
from app.resolvers.closing import close_as_withdrawn
from app.rules import AccessRequestState, Event, Language, Role, no_levels
from app.texts import fold

__all__ = ["ImportFault", "ImportRefused", "ImportResult", "import_document", "import_into", "import_sites"]

LARGEST = 5000
"""Sites and people of one import: the history takes a lock for each, and PostgreSQL has room for some 6,400."""


@dataclass(frozen=True)
class ImportResult:
    """How much was written; `users` counts the people who were not known before."""

    sites: int
    contacts: int
    users: int
    memberships: int


async def import_sites(database: AsyncEngine, file: Path, client: str = "command line") -> ImportResult:
    """Write the sites of a file whose name ends in ``.json`` or ``.csv``; `client` is kept in the history.

    Raises ImportRefused with every fault, having written nothing; OSError when the file cannot be read.
    """
    return await _in_transaction(database, read_rows(file), client)


async def import_document(database: AsyncEngine, document: dict[str, Any], client: str) -> ImportResult:
    """Write the sites of a document in the shape of the JSON file. Raises ImportRefused like `import_sites`."""
    return await _in_transaction(database, document_rows(document), client)


async def import_into(session: Session, document: dict[str, Any], client: str) -> ImportResult:
    """The same in a transaction of the caller's, who must take it back on ImportRefused."""
    return await _import(session, document_rows(document), client)


async def _in_transaction(database: AsyncEngine, rows: list[Row], client: str) -> ImportResult:
    async with begin(database) as session:
        await without_haste(session)
        return await _import(session, rows, client)


async def _import(session: Session, rows: list[Row], client: str) -> ImportResult:
    sites, people = check_rows(rows)
    if len(sites) + len(people) > LARGEST:
        rows[0].refuse("", f"At most {LARGEST} sites and people fit into one import; split the file.")
    await creating_sites(session)
    await _check_numbers(session, [site.row for site in sites])
    await _known(session, people)
    _refuse_faulty(rows)
    made = await _register(session, people)
    # Somebody may have signed in since: whoever is there now has to pass the same check.
    users = await _known(session, people)
    _refuse_faulty(rows)
    writer = _Writer(session, Actor(name="operator", client=client))
    for person in people:
        writer.introduce(users[person.ibm_id], person, users[person.ibm_id].id in made)
    user_of = {row: users[person.ibm_id] for person in people for row in person.rows}
    contacts, memberships = await writer.write(sites, user_of)
    return ImportResult(len(sites), len(contacts), len(made), len(memberships))


def _refuse_faulty(rows: list[Row]) -> None:
    faults = [fault for row in rows for fault in row.faults]
    if faults:
        raise ImportRefused(*faults)


def _texts(values: Iterable[str]) -> sa.ColumnElement[Any]:
    # One array parameter, because a statement can hold only so many.
    return sa.literal(list(values), ARRAY(sa.Text))


async def _check_numbers(session: Session, sites: list[Row]) -> None:
    rows = [row for row in sites if "number" not in row.faulty]
    numbers = _texts(row.kept["number"] for row in rows)
    taken = set(await session.scalars(sa.select(Site.number).where(Site.number == sa.any_(numbers))))
    for row in rows:
        if row.kept["number"] in taken:
            row.refuse("number", Code.NUMBER_TAKEN.value)


async def _known(session: Session, people: list[PersonRows]) -> dict[str, User]:
    """The users among the people, locked, by IBMid as the file has it; other addresses of theirs are refused."""
    given = sa.func.unnest(_texts(person.ibm_id for person in people)).column_valued("given")
    statement = (
        sa.select(given, User)
        .where(sa.func.lower(User.ibm_id) == sa.func.lower(given))
        .order_by(User.id)
        # What these people do at other sites meanwhile refers to their rows, and does not wait.
        .with_for_update(of=User, key_share=True)
    )
    rows = await session.execute(statement)
    known: dict[str, User] = {row[0]: row[1] for row in rows}
    for person in people:
        for row in person.rows:
            user = known.get(person.ibm_id)
            if user is not None and user.email.lower() != row.kept["email"].lower():
                row.refuse("email", Code.EMAIL_MISMATCH.value)
    return known


async def _register(session: Session, people: list[PersonRows]) -> set[UUID]:
    """Make users of the people who are not known yet, and return the ids of those."""
    names = ["ibm_id", "email", "sort_name"]
    columns = zip(*((one.ibm_id, one.first("email"), fold(one.ibm_id)) for one in people), strict=True)
    given = sa.func.unnest(*map(_texts, columns)).table_valued(*names).render_derived()
    rows = sa.select(sa.func.time_ordered_id(), *given.c)
    made = insert(User).from_select(["id", *names], rows, include_defaults=False)
    return set(await session.scalars(made.on_conflict_do_nothing().returning(User.id)))


@dataclass
class _Writer:
    """Writes rows in which nothing is wrong, and what the history says of them."""

    session: Session
    actor: Actor

    async def write(
        self, sites: list[SiteRows], users: dict[Row, User]
    ) -> tuple[list[Contact], list[Membership]]:
        """Write sites, memberships and contacts; `users` are those of the user rows."""
        made = [_site(rows.row) for rows in sites]
        memberships = [
            membership
            for site, rows in zip(made, sites, strict=True)
            for membership in _memberships(site, rows.users, users)
        ]
        contacts = [
            Contact(site_id=site.id, **row.kept)
            for site, rows in zip(made, sites, strict=True)
            for row in rows.contacts
        ]
        names = {user.id: user.name for user in users.values()}
        await self._create(Event.SITE_CREATED, {site: site.name for site in made})
        await self._create(Event.USER_ADDED, {row: names[row.user_id] for row in memberships})
        await self._create(Event.CONTACT_CREATED, {contact: contact.name for contact in contacts})
        members = {(membership.site_id, membership.user_id) for membership in memberships}
        await self._attach_requests({site.number: site for site in made}, members)
        return contacts, memberships

    def introduce(self, user: User, person: PersonRows, is_new: bool) -> None:
        """Give a person names and language, unless they have signed in and so said them themselves."""
        before = None if is_new else values_of(user)
        if user.subject is None:
            first_name = person.first("first_name") or user.first_name
            rename(user, first_name, person.first("last_name") or user.last_name)
            if language := person.first("language"):
                user.language, user.language_given = language, True
        after = values_of(user)
        if after != before:
            record(
                self.session,
                self.actor,
                Event.USER_REGISTERED,
                user,
                name=user.name,
                before=before,
                after=after,
            )

    async def _create(self, event: Event, names: dict[Any, str]) -> None:
        self.session.add_all(names)
        await self.session.flush()
        for row, name in names.items():
            record(
                self.session,
                self.actor,
                event,
                row,
                name=name,
                after=values_of(row),
                justification=getattr(row, "justification", None),
            )

    async def _attach_requests(self, sites: dict[str, Site], members: set[tuple[UUID, UUID]]) -> None:
        """Bring requests that came before their site to its deciders, or to an end where they need no decision."""
        statement = (
            sa.select(AccessRequest, User)
            .join(User, User.id == AccessRequest.requester_id)
            .where(
                AccessRequest.site_id.is_(None),
                AccessRequest.state == AccessRequestState.PENDING,
                AccessRequest.site_number == sa.any_(_texts(sites)),
            )
            .with_for_update(of=AccessRequest)
        )
        for request, requester in (await self.session.execute(statement)).all():
            site = sites[request.site_number]
            if (site.id, requester.id) in members:
                close_as_withdrawn(Transaction(self.session, self.actor, Language.EN), request, requester)
            else:
                await self._attach(request, requester, site)

    async def _attach(self, request: AccessRequest, requester: User, site: Site) -> None:
        """The site's days begin to count now, and its deciders hear of the request."""
        before = values_of(request)
        request.site_id = site.id
        if site.pending_request_days:
            request.expires_at = datetime.now(UTC) + timedelta(days=site.pending_request_days)
        record(
            self.session,
            self.actor,
            Event.ACCESS_REQUESTED,
            request,
            name=requester.name,
            before=before,
            after=values_of(request),
            justification=request.justification,
        )
        await notices.access_requested(self.session, request)


def _site(row: Row) -> Site:
    return Site(id=uuid7(), primary_membership_id=uuid7(), **row.kept)


def _memberships(site: Site, rows: list[Row], users: dict[Row, User]) -> Iterator[Membership]:
    seats = count(1)
    for row in rows:
        kept = row.kept
        is_primary = kept["role"] is Role.PRIMARY_CONTACT
        yield Membership(
            id=site.primary_membership_id if is_primary else uuid7(),
            site_id=site.id,
            user_id=users[row].id,
            role=kept["role"],
            seat=next(seats) if kept["role"] is Role.SECONDARY_CONTACT else None,
            justification=kept["justification"],
            ends_at=kept["ends_at"],
            **({} if is_primary else no_levels() | kept["levels"]),
        )
