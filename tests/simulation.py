"""Random acts of many people at several sites at once, and what must hold after each round of them.

Everybody does everything, allowed or not: all mutations about access, an operator's transfers, and time that passes.
After each round the database is looked at: what no site may ever be in, and whether its history tells all of it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site
from app.db.nominations import Nomination
from app.history import values_of
from app.query.ids import write_id
from app.rules import PRIVILEGES, AccessRequestKind, AccessRequestState, Level, NominationState, Role
from app.site_transfer import TransferRefused, transfer_primary
from tests.test_append_only import broken_links
from tests.test_memberships import given
from tests.world import CONTACT, Person, Place, World, ago

T = TypeVar("T")
TABLES: Sequence[Any] = (Site, Membership, AccessRequest, Nomination, Contact)
ROLES = [*["USER"] * 5, *["SECONDARY_CONTACT"] * 5, "PRIMARY_CONTACT"]
AT_ONCE = [1, 4, 8, 16]
REASONS = ["UNKNOWN_REQUESTER", "ACCESS_NOT_NECESSARY", "NO_BUSINESS_RELATIONSHIP"]
TRUTHS = {
    "one primary contact": """SELECT site.id FROM site LEFT JOIN membership AS m ON m.site_id = site.id
        AND m.role = 'PRIMARY_CONTACT' WHERE site.id = ANY (:sites) GROUP BY site.id
        HAVING count(m.id) <> 1 OR min(m.id::text) <> min(site.primary_membership_id::text)""",
    "a primary contact without end": """SELECT id FROM membership WHERE site_id = ANY (:sites)
        AND role = 'PRIMARY_CONTACT' AND (ends_at IS NOT NULL OR seat IS NOT NULL OR reporting IS NOT NULL)""",
    "at most four secondary contacts": """SELECT site_id FROM membership WHERE site_id = ANY (:sites)
        AND role = 'SECONDARY_CONTACT' GROUP BY site_id
        HAVING count(*) > 4 OR count(DISTINCT seat) <> count(*) OR max(seat) > 4 OR min(seat) < 1""",
    "levels that fit the role": """SELECT id FROM membership WHERE site_id = ANY (:sites)
        AND role = 'USER' AND (manage_access <> 'NONE' OR contact_updates <> 'NONE' OR seat IS NOT NULL)""",
    "one pending request per person and site": """SELECT site_id FROM access_request
        WHERE site_id = ANY (:sites) AND state = 'PENDING' GROUP BY site_id, requester_id HAVING count(*) > 1""",
    "requests of members have a member": """SELECT r.id FROM access_request AS r WHERE r.site_id = ANY (:sites)
        AND state = 'PENDING' AND kind <> 'ACCESS' AND NOT EXISTS (SELECT FROM membership AS m
        WHERE m.site_id = r.site_id AND m.user_id = r.requester_id)""",
    "one pending nomination, of a member who is not the primary contact": """SELECT n.site_id
        FROM nomination AS n LEFT JOIN membership AS m ON m.site_id = n.site_id AND m.id = n.membership_id
        WHERE n.site_id = ANY (:sites) AND n.state = 'PENDING' GROUP BY n.site_id HAVING count(*) <> 1
        OR bool_or(m.id IS NULL OR m.user_id <> n.user_id OR m.role = 'PRIMARY_CONTACT' OR m.ends_at < n.expires_at)""",
    "a nomination by the present primary contact": """SELECT n.id FROM nomination AS n
        JOIN site ON site.id = n.site_id JOIN membership AS m ON m.id = site.primary_membership_id
        WHERE n.site_id = ANY (:sites) AND n.state = 'PENDING' AND m.user_id <> n.nominated_by_id""",
    "one primary contact record": """SELECT site.id FROM site LEFT JOIN contact AS c ON c.site_id = site.id
        AND 'PRIMARY' = ANY (c.types) WHERE site.id = ANY (:sites) GROUP BY site.id HAVING count(c.id) <> 1""",
    "decisions by somebody else": """SELECT id FROM access_request WHERE site_id = ANY (:sites)
        AND (decided_by_id = requester_id OR (state IN ('GRANTED', 'DENIED')) <> (decided_by_id IS NOT NULL))""",
}
"""What must hold, each with a query for what breaks it."""


@dataclass
class Simulation:
    """A little world, its dice, and what it is known to be."""

    world: World
    dice: Random
    places: list[Place] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    known: dict[tuple[str, UUID], Any] = field(default_factory=dict)
    numbers: dict[UUID, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def begin(self, sites: int, people: int) -> None:
        """Sites with a primary contact each, and people who are nothing yet."""
        days = [None, 5]
        self.places = [await self.world.site(pending_request_days=days[n % 2]) for n in range(sites)]
        self.people = [await self.world.person() for _ in range(people)]
        self.people += [place.primary for place in self.places]
        self.numbers = dict.fromkeys(self.sites, 0)
        self.known = await self.state()

    @property
    def sites(self) -> list[UUID]:
        """The keys of the sites."""
        return [place.site_id for place in self.places]

    async def round(self) -> None:
        """One act alone or several at once, then a look at everything; now and then, time has passed."""
        if self.dice.random() < 0.1:
            await self.let_time_pass()
        rows = await self.state_rows()
        await asyncio.gather(*(self.act(rows) for _ in range(self.dice.choice(AT_ONCE))))
        await self.look()

    @property
    def never_done(self) -> set[str]:
        """The acts of which none has succeeded yet."""
        return {name for name, _ in ACTS if not self.outcomes[f"{name}: done"]}

    async def act(self, rows: dict[Any, list[Any]]) -> None:
        """One person does one thing, which may well be refused; nothing may ever break."""
        name, act = self.dice.choice(ACTS)
        told = await act(self, rows)
        if told is not None:
            self.outcomes.update(f"{name}: {one}" for one in told or ["done"])

    async def do(self, mutation: str, *needed: Any, who: Any = None, **input: Any) -> list[str] | None:
        """The codes of the refusals of a mutation, nothing when it lacks what it is about."""
        if None in needed:
            return None
        person = self.person(who) if who and self.dice.random() < 0.7 else self.dice.choice(self.people)
        kind = mutation[0].upper() + mutation[1:]
        document = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ errors {{ code }} }} }}"
        body = (await person.post(document, input=input)).json()
        if "errors" in body:
            self.faults.append(f"{mutation} {input}: {body['errors']}")
            return ["broken"]
        return [error["code"] for error in body["data"][mutation]["errors"]]

    def person(self, user_id: UUID) -> Person:
        """The person who is a user."""
        return next(person for person in self.people if person.user_id == user_id)

    def one(self, rows: list[T]) -> T | None:
        """Any of them, if there is one."""
        return self.dice.choice(rows) if rows else None

    def primary(self, rows: dict[Any, list[Any]], site_id: UUID) -> UUID:
        """Who was the primary contact of a site when the round began."""
        [found] = [
            row.user_id
            for row in rows[Membership]
            if row.site_id == site_id and row.role is Role.PRIMARY_CONTACT
        ]
        user_id: UUID = found
        return user_id

    def levels(self) -> dict[str, Any]:
        """Some levels, fitting or not."""
        chosen: dict[str, Any] = {}
        if self.dice.random() < 0.4:
            return chosen
        for name in self.dice.sample(list(PRIVILEGES), self.dice.randint(0, 3)):
            level: Level = self.dice.choice(list(PRIVILEGES[name].levels))
            part = given(PRIVILEGES[name].path, level.name)
            account = chosen.get("accountManagement", {}) | part.pop("accountManagement", {})
            chosen |= part | ({"accountManagement": account} if account else {})
        return chosen

    def end(self) -> dict[str, Any]:
        """No word of an end, none, one that is near or far, or one in the past."""
        ends = [
            {},
            {},
            {},
            {"endsAt": None},
            *({"endsAt": ago(days=-days).isoformat()} for days in (3, 10, 40, 400, -1)),
        ]
        return self.dice.choice(ends)

    async def transfer(self, rows: dict[Any, list[Any]]) -> list[str]:
        """An operator moves the primary contact."""
        row = self.dice.choice(rows[Membership])
        place = next(place for place in self.places if place.site_id == row.site_id)
        person = self.person(row.user_id) if self.dice.random() < 0.5 else self.dice.choice(self.people)
        try:
            await transfer_primary(self.world.database, place.number, person.ibm_id, "The former one is gone")
        except TransferRefused as refused:
            return [str(refused)]
        return []

    async def let_time_pass(self) -> None:
        """Eleven days go by for what has an end; nothing of that is a change that somebody made."""
        passing = {
            "membership": "ends_at = ends_at - interval '11 days'",
            "nomination": "expires_at = expires_at - interval '11 days', created_at = created_at - interval '11 days'",
            "access_request": "expires_at = expires_at - interval '11 days'",
        }
        async with self.world.database.begin() as connection:
            for table, change in passing.items():
                pending = "" if table == "membership" else " AND state = 'PENDING'"
                statement = f"UPDATE {table} SET {change} WHERE site_id = ANY (:sites){pending}"
                await connection.execute(sa.text(statement), {"sites": self.sites})
        self.known = await self.state()

    async def state_rows(self) -> dict[Any, list[Any]]:
        """All rows of the sites, by their table."""
        async with AsyncSession(self.world.database) as session:
            return {
                table: list(await session.scalars(sa.select(table).where(table.site_id.in_(self.sites))))
                for table in TABLES
            }

    async def state(self) -> dict[tuple[str, UUID], Any]:
        """Every row as the history would write it down."""
        rows = await self.state_rows()
        return {(table.__tablename__, row.id): values_of(row) for table in TABLES for row in rows[table]}

    async def look(self) -> None:
        """Compare everything with what must hold."""
        async with self.world.database.connect() as connection:
            for truth, query in TRUTHS.items():
                broken = (await connection.execute(sa.text(query), {"sites": self.sites})).all()
                self.faults += [f"not {truth}: {row}" for row in broken]
        await self.compare_with_history()
        for site_id in self.sites:
            _, broken_at = await broken_links(self.world.database, site_id)
            self.faults += [f"history of {site_id} is broken at {number}" for number in broken_at]
        assert not self.faults, self.faults

    async def compare_with_history(self) -> None:
        """The events since the last look, told one after the other, lead from what was to what is."""
        for event in await self.new_events():
            key = (event.subject_type, event.subject_id)
            before = self.known.get(key)
            if event.before is not None and event.before != before:
                self.faults.append(f"{event.event.name} says it was {event.before}, but it was {before}")
            self.known[key] = event.after
        told = {key: after for key, after in self.known.items() if after is not None}
        state = await self.state()
        for key in told.keys() | state.keys():
            if told.get(key) != state.get(key):
                self.faults.append(f"the history tells {told.get(key)}, but it is {state.get(key)}")

    async def new_events(self) -> list[HistoryEvent]:
        found: list[HistoryEvent] = []
        async with AsyncSession(self.world.database) as session:
            for site_id, number in self.numbers.items():
                statement = (
                    sa.select(HistoryEvent)
                    .where(HistoryEvent.site_id == site_id, HistoryEvent.number > number)
                    .order_by(HistoryEvent.number)
                )
                events = list(await session.scalars(statement))
                self.numbers[site_id] = events[-1].number if events else number
                found += events
        return found


Rows = dict[Any, list[Any]]
Act = Callable[[Simulation, Rows], Awaitable[list[str] | None]]
WHY = {"justification": "Needed"}


def membership_id(row: Any) -> str | None:
    return row and write_id("membership", row.id)


def of(id: Any, kind: str) -> str | None:
    return id and write_id(kind, id.id)


async def request_access(it: Simulation, rows: Rows) -> list[str] | None:
    place = it.dice.choice(it.places)
    return await it.do("requestAccess", siteNumber=place.number, privileges=it.levels())


async def request_extension(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one([row for row in rows[Membership] if row.ends_at])
    return await it.do(
        "requestExtension",
        row,
        who=row and row.user_id,
        siteId=row and write_id("site", row.site_id),
        endsAt=ago(days=-it.dice.choice([-1, 5, 20, 50])).isoformat(),
        **WHY,
    )


async def request_higher_level(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Membership])
    role = it.dice.choice([None, None, "SECONDARY_CONTACT"])
    site_id = row and write_id("site", row.site_id)
    return await it.do(
        "requestHigherLevel",
        row,
        who=row and row.user_id,
        siteId=site_id,
        role=role,
        privileges=it.levels(),
        **WHY,
    )


def any_request(it: Simulation, rows: Rows) -> Any:
    """Mostly one that is pending."""
    pending = [row for row in rows[AccessRequest] if row.state is AccessRequestState.PENDING]
    return it.one(pending if it.dice.random() < 0.9 else rows[AccessRequest])


async def withdraw(it: Simulation, rows: Rows) -> list[str] | None:
    row = any_request(it, rows)
    return await it.do(
        "withdrawAccessRequest", row, who=row and row.requester_id, accessRequestId=of(row, "access_request")
    )


async def grant(it: Simulation, rows: Rows) -> list[str] | None:
    row = any_request(it, rows)
    role = it.dice.choice(ROLES)
    if row and row.kind is not AccessRequestKind.ACCESS and it.dice.random() < 0.6:
        role = None
    return await it.do(
        "grantAccessRequest",
        row,
        who=row and it.primary(rows, row.site_id),
        accessRequestId=of(row, "access_request"),
        role=role,
        **({"privileges": it.levels()} if role else {}),
        **it.end(),
    )


async def deny(it: Simulation, rows: Rows) -> list[str] | None:
    row = any_request(it, rows)
    return await it.do(
        "denyAccessRequest",
        row,
        who=row and it.primary(rows, row.site_id),
        accessRequestId=of(row, "access_request"),
        reason=it.dice.choice(REASONS),
    )


async def add_user(it: Simulation, rows: Rows) -> list[str] | None:
    place, person = it.dice.choice(it.places), it.dice.choice(it.people)
    return await it.do(
        "addUser",
        who=it.primary(rows, place.site_id),
        siteId=place.id,
        ibmId=person.ibm_id,
        email=person.ibm_id,
        confirmed=True,
        role=it.dice.choice(ROLES),
        privileges=it.levels(),
        **WHY,
        **it.end(),
    )


async def update(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Membership])
    role = it.dice.choice([None, *ROLES])
    return await it.do(
        "updateMembership",
        row,
        who=row and it.primary(rows, row.site_id),
        membershipId=membership_id(row),
        role=role,
        privileges=it.levels(),
        **it.end(),
    )


async def remove(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Membership])
    return await it.do(
        "removeMembership", row, who=row and it.primary(rows, row.site_id), membershipId=membership_id(row)
    )


async def leave(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Membership])
    return await it.do(
        "leaveSite", row, who=row and row.user_id, siteId=row and write_id("site", row.site_id)
    )


async def nominate(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Membership])
    return await it.do(
        "nominatePrimaryContact",
        row,
        who=row and it.primary(rows, row.site_id),
        siteId=row and write_id("site", row.site_id),
        membershipId=membership_id(row),
        **WHY,
    )


def end_nomination(mutation: str, who: str) -> Act:
    """Somebody ends a nomination, mostly one that is pending and mostly the one who may."""

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        pending = [row for row in rows[Nomination] if row.state is NominationState.PENDING]
        row = it.one(pending if it.dice.random() < 0.9 else rows[Nomination])
        return await it.do(mutation, row, who=row and getattr(row, who), nominationId=of(row, "nomination"))

    return act


async def write_contact(it: Simulation, rows: Rows) -> list[str] | None:
    place = it.dice.choice(it.places)
    types = it.dice.choice([["PRIMARY"], ["BILLING"], ["PRIMARY", "BILLING"]])
    form = {**CONTACT, "types": types}
    return await it.do("createContact", who=it.primary(rows, place.site_id), siteId=place.id, **form)


async def update_contact(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Contact])
    types = it.dice.choice([["PRIMARY"], ["BILLING"], ["PRIMARY", "BILLING"]])
    return await it.do(
        "updateContact",
        row,
        who=row and it.primary(rows, row.site_id),
        contactId=of(row, "contact"),
        **{**CONTACT, "types": types},
    )


async def delete_contact(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[Contact])
    return await it.do(
        "deleteContact", row, who=row and it.primary(rows, row.site_id), contactId=of(row, "contact")
    )


async def transfer(it: Simulation, rows: Rows) -> list[str] | None:
    return await it.transfer(rows)


ACTS: list[tuple[str, Act]] = [
    ("requestAccess", request_access),
    ("requestExtension", request_extension),
    ("requestHigherLevel", request_higher_level),
    ("withdrawAccessRequest", withdraw),
    ("grantAccessRequest", grant),
    ("grantAccessRequest", grant),
    ("denyAccessRequest", deny),
    ("addUser", add_user),
    ("addUser", add_user),
    ("updateMembership", update),
    ("updateMembership", update),
    ("removeMembership", remove),
    ("leaveSite", leave),
    ("nominatePrimaryContact", nominate),
    ("nominatePrimaryContact", nominate),
    ("acceptNomination", end_nomination("acceptNomination", "user_id")),
    ("acceptNomination", end_nomination("acceptNomination", "user_id")),
    ("declineNomination", end_nomination("declineNomination", "user_id")),
    ("cancelNomination", end_nomination("cancelNomination", "nominated_by_id")),
    ("createContact", write_contact),
    ("updateContact", update_contact),
    ("deleteContact", delete_contact),
    ("transfer-primary", transfer),
]
"""What people do, the more important acts more often."""


async def simulate(world: World, seed: int, rounds: int, sites: int = 3, people: int = 8) -> Simulation:
    """Play some rounds, and go on (not for ever) until every act has succeeded once. Fails with what is wrong."""
    simulation = Simulation(world, Random(seed))
    await simulation.begin(sites, people)
    for number in range(20 * rounds):
        if number >= rounds and not simulation.never_done:
            break
        await simulation.round()
    return simulation
