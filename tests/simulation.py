"""Random acts of many people at several sites at once, and what must hold after each round of them.

Everybody does everything, allowed or not: all mutations about access and the rules of a site, one by one and in bulks,
some of them only tried and some sent twice, an operator's transfers, and time that passes. After each round the
database is looked at: what no site may ever be in, and whether its history tells all of it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site
from app.db.nominations import Nomination
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.history import values_of
from app.query.ids import write_id
from app.rules import (
    PRIVILEGES,
    AccessRequestKind,
    AccessRequestState,
    Event,
    Level,
    NominationState,
    Role,
    UpdateLevel,
)
from app.site_transfer import TransferRefused, transfer_primary
from tests.test_append_only import broken_links
from tests.test_memberships import given
from tests.world import CONTACT, Person, Place, World, ago

T = TypeVar("T")
TABLES: Sequence[Any] = (
    Site, Membership, AccessRequest, Nomination, Contact, Naming, BlockedRequester, PrivilegeTemplate,
)  # fmt: skip
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
    "a primary contact waits for nothing": """SELECT r.id FROM access_request AS r
        JOIN site ON site.number = r.site_number JOIN membership AS m ON m.id = site.primary_membership_id
        WHERE site.id = ANY (:sites) AND r.requester_id = m.user_id AND r.state = 'PENDING'""",
    "a naming that waits is about something": """SELECT n.id FROM naming AS n
        LEFT JOIN access_request AS r ON r.id = n.access_request_id
        LEFT JOIN membership AS m ON m.site_id = n.site_id AND m.user_id = n.user_id
        WHERE n.site_id = ANY (:sites) AND n.state = 'PENDING' AND (m.role = 'PRIMARY_CONTACT'
        OR (m.role = 'SECONDARY_CONTACT' AND coalesce(m.ends_at > now(), true))
        OR (n.kind = 'UPDATE' AND m.id IS NULL)
        OR (n.kind = 'GRANT' AND (r.state <> 'PENDING' OR r.site_id IS DISTINCT FROM n.site_id
            OR r.requester_id <> n.user_id OR (r.kind <> 'ACCESS' AND m.id IS NULL))))""",
    "nobody confirms alone": """SELECT id FROM naming WHERE site_id = ANY (:sites)
        AND (decided_by_id IN (proposed_by_id, user_id) OR proposed_by_id = user_id)""",
    "requests of who is blocked do not reach the site": """SELECT r.id FROM access_request AS r
        JOIN "user" AS u ON u.id = r.requester_id JOIN blocked_requester AS b
        ON b.site_id = r.site_id AND lower(b.ibm_id) = lower(u.ibm_id) WHERE r.site_id = ANY (:sites)
        AND r.kind = 'ACCESS' AND r.state = 'PENDING' AND coalesce(r.expires_at > now(), true)""",
    "messages are about what was done": """SELECT m.kind, m.id FROM message AS m WHERE m.site_id = ANY (:sites)
        AND NOT EXISTS (SELECT FROM history_event AS h WHERE h.site_id = m.site_id AND h.at = m.created_at
        AND CASE m.kind WHEN 'ACCESS_REQUESTED' THEN h.event = 'ACCESS_REQUESTED'
        WHEN 'PRIMARY_CONTACT_HANDED_OVER' THEN h.event = 'PRIMARY_CONTACT_HANDED_OVER'
        ELSE m.recipient_id::text = coalesce(nullif(h.after, 'null'), h.before) ->>
            CASE WHEN h.subject_type = 'access_request'
            THEN 'requester_id' ELSE 'user_id' END
        AND h.event::text = ANY (CASE m.kind WHEN 'WELCOME' THEN '{USER_ADDED,MEMBERSHIP_UPDATED}'::text[]
            WHEN 'ACCESS_GRANTED' THEN '{ACCESS_REQUEST_GRANTED}' WHEN 'ACCESS_DENIED' THEN '{ACCESS_REQUEST_DENIED}'
            WHEN 'ACCESS_CHANGED' THEN '{MEMBERSHIP_UPDATED}' WHEN 'ACCESS_REMOVED' THEN '{MEMBERSHIP_REMOVED}'
            WHEN 'PRIMARY_CONTACT_NOMINATED' THEN '{PRIMARY_CONTACT_NOMINATED}' END) END)""",
    "decisions are told": """SELECT h.event, h.number FROM history_event AS h WHERE h.site_id = ANY (:sites)
        AND h.event IN ('ACCESS_REQUEST_GRANTED', 'ACCESS_REQUEST_DENIED', 'USER_ADDED') AND NOT EXISTS
        (SELECT FROM message AS m WHERE m.site_id = h.site_id AND m.created_at = h.at AND m.recipient_id::text
        = h.after ->> CASE WHEN h.subject_type = 'access_request' THEN 'requester_id' ELSE 'user_id' END)""",
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
    rows: dict[Any, list[Any]] = field(default_factory=dict)
    numbers: dict[UUID, int] = field(default_factory=dict)
    acts: Sequence[tuple[str, "Act"]] = ()
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def begin(self, sites: int, people: int) -> None:
        """Sites with a primary contact and two who manage access each, and people who are nothing yet."""
        days = [None, 5]
        self.places = [await self.world.site(pending_request_days=days[n % 2]) for n in range(sites)]
        self.people = [await self.world.person() for _ in range(people)]
        for place in self.places:
            self.people.append(place.primary)
            for _ in range(2):
                self.people.append((await self.world.secondary(place, manage_access=UpdateLevel.UPDATE))[0])
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
        await asyncio.gather(*(self.act(self.rows) for _ in range(self.dice.choice(AT_ONCE))))
        await self.look()

    @property
    def never_done(self) -> set[str]:
        """The acts of which none has succeeded yet."""
        return {
            name
            for name, _ in self.acts
            if not self.outcomes[f"{name}: done"] + self.outcomes[f"{name}: repeated"]
        }

    async def act(self, rows: dict[Any, list[Any]]) -> None:
        """One person does one thing, which may well be refused; nothing may ever break."""
        name, act = self.dice.choice(self.acts)
        told = await act(self, rows)
        if told is not None:
            self.outcomes.update(f"{name}: {one}" for one in told or ["done"])

    async def do(self, mutation: str, *needed: Any, who: Any = None, **input: Any) -> list[str] | None:
        """The codes of the refusals of a mutation, nothing when it lacks what it is about."""
        if None in needed:
            return None
        person = self.person(who) if who and self.dice.random() < 0.7 else self.dice.choice(self.people)
        way = self.dice.random()
        if way < 0.1:
            return ["tried", *await self.send(person, mutation, input | {"validateOnly": True})]
        if way > 0.2:
            return await self.send(person, mutation, input)
        keyed = input | {"idempotencyKey": f"{self.dice.getrandbits(64):x}"}
        told = await self.send(person, mutation, keyed)
        again = await self.send(person, mutation, keyed)
        if not told and again:
            self.faults.append(f"{mutation} {keyed}: done, and then {again}")
        return told or ["repeated"]

    async def send(self, person: Person, mutation: str, input: dict[str, Any]) -> list[str]:
        """The codes of the refusals of a mutation."""
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

    def deciders(self, rows: dict[Any, list[Any]], site_id: UUID, *but: UUID) -> list[UUID]:
        """Who decided at a site when the round began; the primary contact twice, to be chosen more often."""
        primary = self.primary(rows, site_id)
        managers = [
            row.user_id
            for row in rows[Membership]
            if row.site_id == site_id and row.active and row.manage_access is UpdateLevel.UPDATE
        ]
        return [user_id for user_id in (primary, primary, *managers) if user_id not in but]

    def template(self, rows: dict[Any, list[Any]], site_id: UUID) -> dict[str, Any]:
        """Now and then, the template by which levels are given."""
        here = [row for row in rows[PrivilegeTemplate] if row.site_id == site_id]
        if not here or self.dice.random() < 0.7:
            return {}
        return {"templateId": write_id("privilege_template", self.dice.choice(here).id)}

    def levels(self) -> dict[str, Any]:
        """Some levels, fitting or not."""
        chosen: dict[str, Any] = {}
        if self.dice.random() < 0.3:
            return chosen
        if self.dice.random() < 0.4:
            chosen = {"accountManagement": {"manageAccess": "UPDATE"}}
        for name in self.dice.sample(list(PRIVILEGES), self.dice.randint(0, 3)):
            level: Level = self.dice.choice(list(PRIVILEGES[name].levels))
            part = given(PRIVILEGES[name].path, level.name)
            account = chosen.get("accountManagement", {}) | part.pop("accountManagement", {})
            chosen |= part | ({"accountManagement": account} if account else {})
        return chosen

    def end(self) -> dict[str, Any]:
        """No word of an end, none, one that is near or far, or one in the past."""
        ends: list[dict[str, Any]] = [
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
            "naming": "ends_at = ends_at - interval '11 days'",
        }
        async with self.world.database.begin() as connection:
            for table, change in passing.items():
                pending = "" if table == "membership" else " AND state = 'PENDING'"
                # The requests of those who are blocked have no site.
                where = (
                    "site_number = ANY (:numbers)" if table == "access_request" else "site_id = ANY (:sites)"
                )
                statement = f"UPDATE {table} SET {change} WHERE {where}{pending}"
                known = {"numbers": [place.number for place in self.places], "sites": self.sites}
                await connection.execute(
                    sa.text(statement).bindparams(
                        **{name: value for name, value in known.items() if f":{name}" in where}
                    )
                )
        self.known = await self.state()

    async def state(self) -> dict[tuple[str, UUID], Any]:
        """Every row of the sites as the history would write it down; the rows are kept until the next look."""
        async with AsyncSession(self.world.database) as session:
            self.rows = {
                table: list(await session.scalars(sa.select(table).where(table.site_id.in_(self.sites))))
                for table in TABLES
            }
        return {(table.__tablename__, row.id): values_of(row) for table in TABLES for row in self.rows[table]}

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
        events = await self.new_events()
        acts = {(event.site_id, event.at): [one for one in events if one.at == event.at] for event in events}
        kinds = {table.__tablename__ for table in TABLES}
        for event in (one for one in events if one.subject_type in kinds):
            key = (event.subject_type, event.subject_id)
            before = self.known.get(key)
            if event.before is not None and event.before != before and not came_to_light(event, before):
                self.faults.append(f"{event.event.name} says it was {event.before}, but it was {before}")
            if event.before == event.after or (before and before.get("state", "PENDING") != "PENDING"):
                self.faults.append(f"{event.event.name} changes {before} to {event.after}")
            self.faults += broken_rules(self.known, event, acts[event.site_id, event.at])
            self.known[key] = event.after
            if event.event is Event.REQUESTER_BLOCKED:
                self.forget_request_of(event)
        told = {key: after for key, after in self.known.items() if after is not None}
        state = await self.state()
        for key in told.keys() | state.keys():
            if told.get(key) != state.get(key):
                self.faults.append(f"the history tells {told.get(key)}, but it is {state.get(key)}")

    def forget_request_of(self, blocked: HistoryEvent) -> None:
        """A request that is not the site's any more, which its history does not tell."""
        [user_id] = [
            str(person.user_id)
            for person in self.people
            if person.ibm_id.lower() == blocked.subject_name.lower()
        ]
        for (kind, id), values in self.known.items():
            if kind != "access_request" or not values or values["site_id"] != str(blocked.site_id):
                continue
            waits = (values["requester_id"], values["kind"], values["state"]) == (
                user_id,
                "ACCESS",
                "PENDING",
            )
            if waits and lasts(values["expires_at"], blocked.at):
                self.known[kind, id] = None

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


def lasts(end: str | None, at: datetime) -> bool:
    """Whether an end has not come at a moment."""
    return end is None or datetime.fromisoformat(end) > at


def came_to_light(event: HistoryEvent, before: Any) -> bool:
    """Whether a request that was hidden from the site, as of somebody who is blocked, reaches it by this event."""
    hidden = event.before is not None and event.before.get("site_id", "") is None
    return before is None and event.subject_type == "access_request" and hidden


def broken_rules(
    known: dict[tuple[str, UUID], Any], event: HistoryEvent, act: list[HistoryEvent]
) -> list[str]:
    """What an event of a membership does against the rules of its site, as they were when it was done."""
    names = {one.event for one in act}
    after, before = event.after, event.before
    if event.subject_type != "membership" or not after or Event.PRIMARY_CONTACT_HANDED_OVER in names:
        return []
    site, faults = known["site", event.site_id], []  # type: ignore[index]
    was = before if before and lasts(before["ends_at"], event.at) else None
    goes_on = lasts(after["ends_at"], event.at)
    named = (
        after["role"] == "SECONDARY_CONTACT" and goes_on and (not was or was["role"] != "SECONDARY_CONTACT")
    )
    naming = [
        one.after
        for one in act
        if one.event is Event.NAMING_CONFIRMED and one.after and one.after["user_id"] == after["user_id"]
    ]
    if site["second_person_confirms"] and named and not naming:
        faults.append(f"one person alone named {after}")
    giver = str(naming[0]["proposed_by_id"] if naming else event.actor_id)
    held = [
        row
        for (kind, _), row in known.items()
        if kind == "membership" and row and (row["site_id"], row["user_id"]) == (str(event.site_id), giver)
    ]
    if site["grant_at_most_held"] and goes_on and held[0]["role"] != "PRIMARY_CONTACT":
        for name, privilege in PRIVILEGES.items():
            rank = {level.name: level.rank for level in privilege.levels}
            allowed = max(rank[held[0][name]], rank[was[name]] if was else 0)
            if rank[after[name]] > allowed:
                faults.append(f"{held[0]} gave {name} of {after}, who had {was}")
    return faults


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
    role: str | None = it.dice.choice(ROLES)
    if row and row.kind is not AccessRequestKind.ACCESS and it.dice.random() < 0.6:
        role = None
    return await it.do(
        "grantAccessRequest",
        row,
        who=row and it.one(it.deciders(rows, row.site_id)),
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
        who=row and it.one(it.deciders(rows, row.site_id)),
        accessRequestId=of(row, "access_request"),
        reason=it.dice.choice(REASONS),
    )


async def add_user(it: Simulation, rows: Rows) -> list[str] | None:
    place, person = it.dice.choice(it.places), it.dice.choice(it.people)
    return await it.do(
        "addUser",
        who=it.one(it.deciders(rows, place.site_id)),
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
        who=row and it.one(it.deciders(rows, row.site_id)),
        membershipId=membership_id(row),
        role=role,
        privileges=it.levels(),
        **(it.template(rows, row.site_id) if row else {}),
        **it.end(),
    )


async def trust(it: Simulation, rows: Rows) -> list[str] | None:
    """Let a secondary contact manage access, as not every former primary contact would."""
    row = it.one([row for row in rows[Membership] if row.role is Role.SECONDARY_CONTACT and row.active])
    given = {"accountManagement": {"manageAccess": "UPDATE"}}
    who = row and it.primary(rows, row.site_id)
    return await it.do("updateMembership", row, who=who, membershipId=membership_id(row), privileges=given)


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
    if it.dice.random() < 0.6:
        return None
    return await it.transfer(rows)


ACTS: list[tuple[str, Act]] = [
    ("requestAccess", request_access),
    ("requestExtension", request_extension),
    ("requestHigherLevel", request_higher_level),
    ("withdrawAccessRequest", withdraw),
    ("grantAccessRequest", grant),
    ("grantAccessRequest", grant),
    ("denyAccessRequest", deny),
    *[("addUser", add_user)] * 5,
    *[("updateMembership", update)] * 2,
    *[("updateMembership", trust)] * 3,
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
