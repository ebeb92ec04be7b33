"""Believable data for trying the service: customers, people from every standpoint, and what went on among them.

The data stand in ``demo.json``: ``sites`` in the shape of an import, ``staff`` from which the many users of one
site are made, ``requests`` with how they ended, ``reviews`` of contacts, ``privilegeTemplates``, ``nominations`` and
people's ``eNotifications``. Sites go through the import, and so through all its checks.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from app.actor import Actor
from app.db.base import Base
from app.db.locks import creating_sites
from app.db.models import AccessRequest, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.preferences import ENotificationPreference
from app.db.session import Session
from app.db.site_rules import PrivilegeTemplate
from app.db.transaction import begin
from app.errors import Fault, UserError
from app.history import record, values_of
from app.identity import person_with, rename
from app.rules import (
    NOMINATION_DAYS,
    PRIVILEGES,
    AccessRequestState,
    DenialReason,
    Event,
    Language,
    Level,
    NominationState,
    Role,
    Topic,
    check_levels,
    no_levels,
)
from app.site_import import import_into
from app.texts import check_justification, check_optional_justification

DATA = Path(__file__).with_name("demo.json")
BEGINNING = timedelta(days=420)
"""How long ago the demo's sites were created."""
CLIENT = "customer portal"
CLOSING = {
    AccessRequestState.GRANTED: Event.ACCESS_REQUEST_GRANTED,
    AccessRequestState.DENIED: Event.ACCESS_REQUEST_DENIED,
    AccessRequestState.WITHDRAWN: Event.ACCESS_REQUEST_WITHDRAWN,
    AccessRequestState.EXPIRED: Event.ACCESS_REQUEST_EXPIRED,
}


async def fill(database: AsyncEngine) -> bool:
    """Write the demo data, all of them, when there is no site yet; returns whether it did."""
    async with begin(database) as session:
        await creating_sites(session)
        if await session.scalar(sa.select(sa.exists(sa.select(Site.id)))):
            return False
        await _Story(_Dated(session.connection), datetime.now(UTC)).tell(_data())
        return True


def _data() -> dict[str, Any]:
    """The file's content with the dates of today, and with the staff among the users."""
    today = datetime.now(UTC).date()
    days = {
        "<last month>": today.replace(day=1) - timedelta(days=5),
        "<in three weeks>": today + timedelta(days=21),
    }
    text = DATA.read_text(encoding="utf-8")
    for words, day in days.items():
        text = text.replace(words, date.isoformat(day))
    data: dict[str, Any] = json.loads(text)
    for site in data["sites"]:
        if site["number"] == data["staff"]["site"]:
            site["users"] += _staff(data["staff"], data["staff"]["users"] - len(site["users"]))
    return data


def _staff(staff: dict[str, Any], wanted: int) -> list[dict[str, Any]]:
    """Users with different names: the two lists of names have no common divisor in their lengths."""
    first, last, departments = staff["firstNames"], staff["lastNames"], staff["departments"]
    users = []
    for index in range(wanted):
        first_name, last_name = first[index % len(first)], last[index * 7 % len(last)]
        email = f"{first_name}.{last_name}".lower().replace("'", "") + "@" + staff["domain"]
        person = {"ibmId": email, "email": email, "firstName": first_name, "lastName": last_name}
        users.append(person | {"role": "USER"} | departments[index % len(departments)])
    return users


class _Dated(Session):
    """Dates every new row by the moment at which the story stands."""

    moment: datetime

    def add(self, row: Base) -> None:
        """A row that is new."""
        name = "at" if isinstance(row, HistoryEvent) else "created_at"
        if getattr(row, name) is None:
            setattr(row, name, self.moment)
        super().add(row)


@dataclass
class _Story:
    """Writes what went on, step by step."""

    session: _Dated
    now: datetime
    sites: dict[str, Site] = field(default_factory=dict)
    pending: dict[int, tuple[AccessRequest, User]] = field(default_factory=dict)
    slots: dict[str, Iterator[int]] = field(default_factory=lambda: defaultdict(lambda: count(1)))

    @property
    def moment(self) -> datetime:
        """Where the story stands."""
        return self.session.moment

    async def tell(self, data: dict[str, Any]) -> None:
        """The sites first, then requests and their ends in the order of time."""
        self.session.moment = self.now - BEGINNING
        await import_into(self.session, {"sites": data["sites"]}, "demo")
        await self.session.flush()
        self.sites = {site.number: site for site in await self.session.scalars(sa.select(Site))}
        steps = [(told["daysAgo"], self._ask, told) for told in data["requests"]]
        steps += [
            (told["closed"]["daysAgo"], self._close, told) for told in data["requests"] if "closed" in told
        ]
        steps += [(told["daysAgo"], self._review, told) for told in data["reviews"]]
        steps += [(told["daysAgo"], self._nominate, told) for told in data["nominations"]]
        steps += [(told["daysAgo"], self._make_template, told) for told in data["privilegeTemplates"]]
        steps += [(told["daysAgo"], self._set_e_notifications, told) for told in data["eNotifications"]]
        for days, step, told in sorted(steps, key=lambda step: (-step[0], step[1] == self._ask)):
            self.session.moment = self.now - timedelta(days=days)
            await step(told)
            await self.session.flush()

    async def _ask(self, told: dict[str, Any]) -> None:
        requester = await self._person(told)
        site, wishes = self.sites.get(told["siteNumber"]), _levels(told)
        days = site.pending_request_days if site else None
        _refuse(check_optional_justification(told.get("justification"), "justification"))
        request = AccessRequest(
            id=uuid7(),
            site_id=site.id if site else None,
            site_number=told["siteNumber"],
            requester_id=requester.id,
            state=AccessRequestState.PENDING,
            justification=told.get("justification"),
            expires_at=self.moment + timedelta(days=days) if days else None,
            **wishes,
        )
        self.session.add(request)
        await self.session.flush()
        self._record(
            requester, Event.ACCESS_REQUESTED, request, requester, justification=request.justification
        )
        self.pending[id(told)] = request, requester

    async def _close(self, told: dict[str, Any]) -> None:
        (request, requester), end = self.pending.pop(id(told)), told["closed"]
        before = values_of(request)
        decider = await self._user(end["by"]) if "by" in end else None
        request.state = AccessRequestState[end["state"]]
        expired = request.state is AccessRequestState.EXPIRED
        request.closed_at = request.expires_at if expired else self.moment
        request.decided_by_id = decider.id if decider else None
        request.denial_reason = DenialReason[end["reason"]] if "reason" in end else None
        request.granted_role = Role[end["role"]] if "role" in end else None
        request.approver_justification = end.get("justification")
        self._record(
            decider or requester,
            CLOSING[request.state],
            request,
            requester,
            before=before,
            reason=end.get("reason"),
            justification=request.approver_justification,
        )
        if decider and request.granted_role:
            await self._admit(request, requester, decider, _levels(end))

    async def _admit(
        self, request: AccessRequest, requester: User, decider: User, levels: dict[str, Level]
    ) -> None:
        role = request.granted_role or Role.USER
        why = request.approver_justification or request.justification
        _refuse(check_levels(role, levels))
        membership = Membership(
            id=uuid7(),
            site_id=request.site_id,
            user_id=requester.id,
            role=role,
            justification=why,
            **no_levels() | levels,
        )
        self.session.add(membership)
        await self.session.flush()
        self._record(decider, Event.USER_ADDED, membership, requester, justification=why)

    async def _review(self, told: dict[str, Any]) -> None:
        site, who = self.sites[told["siteNumber"]], await self._user(told["by"])
        await self.session.newest(Site, site.id)
        before = values_of(site)
        site.contacts_reviewed_at, site.contacts_reviewed_by_id = self.moment, who.id
        self._record(who, Event.CONTACTS_REVIEWED, site, site, before=before)

    async def _nominate(self, told: dict[str, Any]) -> None:
        site = self.sites[told["siteNumber"]]
        who, nominee = await self._user(told["by"]), await self._user(told["ibmId"])
        _refuse(check_justification(told["justification"], "justification"))
        membership = sa.select(Membership.id).where(
            Membership.site_id == site.id, Membership.user_id == nominee.id
        )
        nomination = Nomination(
            id=uuid7(),
            site_id=site.id,
            user_id=nominee.id,
            membership_id=(await self.session.scalars(membership)).one(),
            nominated_by_id=who.id,
            state=NominationState.PENDING,
            justification=told["justification"],
            expires_at=self.moment + timedelta(days=NOMINATION_DAYS),
        )
        self.session.add(nomination)
        why = nomination.justification
        self._record(who, Event.PRIMARY_CONTACT_NOMINATED, nomination, nominee, justification=why)

    async def _make_template(self, told: dict[str, Any]) -> None:
        site, who = self.sites[told["siteNumber"]], await self._user(told["by"])
        slot = next(self.slots[site.number])
        template = PrivilegeTemplate(
            id=uuid7(), site_id=site.id, slot=slot, name=told["name"], **_levels(told)
        )
        self.session.add(template)
        self._record(who, Event.PRIVILEGE_TEMPLATE_CREATED, template, template)

    async def _set_e_notifications(self, told: dict[str, Any]) -> None:
        who, topics = await self._user(told["ibmId"]), [Topic[name] for name in told["topics"]]
        preference = ENotificationPreference(user_id=who.id, email=told.get("email"), topics=topics)
        self.session.add(preference)
        self._record(who, Event.E_NOTIFICATIONS_UPDATED, preference, who)

    async def _person(self, told: dict[str, Any]) -> User:
        """The one who asks; somebody who is not known yet registers with it."""
        user, made = await person_with(self.session, told["ibmId"], told["ibmId"])
        if made:
            rename(user, *told["name"].split(" ", 1))
            user.language, user.created_at = Language[told["language"]], self.moment
            self._record(user, Event.USER_REGISTERED, user, user)
        return user

    async def _user(self, ibm_id: str) -> User:
        return (await self.session.scalars(sa.select(User).where(User.ibm_id == ibm_id))).one()

    def _record(
        self, actor: User, event: Event, row: Any, about: User | Site | PrivilegeTemplate, **details: Any
    ) -> None:
        who = Actor(user_id=actor.id, name=actor.name, client=CLIENT)
        record(self.session, who, event, row, name=about.name, after=values_of(row), **details)


def _levels(told: dict[str, Any]) -> dict[str, Level]:
    """The levels under `privileges`, in the shape of an import."""
    given = told.get("privileges", {})
    flat = given | given.get("accountManagement", {})
    return {
        name: privilege.levels[flat[privilege.path[-1]]]
        for name, privilege in PRIVILEGES.items()
        if privilege.path[-1] in flat
    }


def _refuse(faults: Iterable[Fault]) -> None:
    found = list(faults)
    if found:
        raise UserError(*found)
