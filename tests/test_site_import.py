"""The import of sites, all or nothing, with every fault named by row and column."""

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from app.__main__ import cli
from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.outbox import Message
from app.db.transaction import begin
from app.rules import (
    AccessRequestState,
    ContactType,
    Event,
    Language,
    MessageKind,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
)
from app.site_import import ImportResult, import_document, import_into, import_sites
from tests.import_examples import (
    Document,
    csv_file,
    csv_text,
    document,
    ibm_id,
    new_number,
    people_of,
    refused,
    rows,
    site,
    write,
)
from tests.world import World


@pytest.mark.parametrize("form", ["json", "csv", "csv with commas and a byte order mark"])
async def test_a_good_file_arrives(database: AsyncEngine, tmp_path: Path, form: str) -> None:
    number = new_number()
    text = csv_text(number).replace(";", ",") if "commas" in form else csv_text(number)
    file = (
        write(tmp_path, json.dumps(document(number)))
        if form == "json"
        else csv_file(tmp_path, text.encode("utf-8-sig" if "mark" in form else "utf-8"))
    )
    assert await import_sites(database, file) == ImportResult(sites=1, contacts=2, users=3, memberships=3)
    (made,) = await rows(database, Site, Site.number == number)
    assert (made.name, made.pending_request_days) == ("Boulangeries Réunies", 30)
    await check_contacts(database, made.id)
    await check_users(database, made, number)


async def check_contacts(database: AsyncEngine, site_id: UUID) -> None:
    """The two contacts have arrived, tidied."""
    first, second = await rows(database, Contact, Contact.site_id == site_id, order=Contact.first_name)
    assert (first.name, first.phone, first.state_or_province) == ("Claire Fontaine", "+33465711001", None)
    assert first.types == [ContactType.PRIMARY, ContactType.BILLING]
    assert (second.first_name, second.types) == ("Didier", [ContactType.BILLING])


async def check_users(database: AsyncEngine, made: Site, number: str) -> None:
    """The three users have arrived, with role and levels."""
    users = await people_of(database, number)
    assert [user.name for user in users] == ["Paul Étienne", ibm_id("sven", number), ibm_id("uma", number)]
    assert [user.language for user in users] == [Language.FR, Language.EN, Language.EN]
    found = await rows(database, Membership, Membership.site_id == made.id)
    paul, sven, uma = (next(row for row in found if row.user_id == user.id) for user in users)
    assert (paul.role, paul.id, paul.reporting) == (Role.PRIMARY_CONTACT, made.primary_membership_id, None)
    assert (sven.role, sven.seat, sven.justification) == (Role.SECONDARY_CONTACT, 1, "Informatique")
    assert (sven.manage_access, sven.reporting) == (UpdateLevel.UPDATE, ViewLevel.VIEW)
    assert sven.contact_updates is UpdateLevel.NONE
    assert (uma.role, uma.ends_at.isoformat()) == (Role.USER, "2032-01-01T00:00:00+00:00")
    assert uma.purchase_and_download is PurchaseAndDownloadLevel.NONE


async def test_everything_is_in_the_history(database: AsyncEngine) -> None:
    number = new_number()
    await import_document(database, document(number), "test client")
    (made,) = await rows(database, Site, Site.number == number)
    events = await rows(database, HistoryEvent, HistoryEvent.site_id == made.id, order=HistoryEvent.number)
    assert [event.event for event in events] == [
        Event.SITE_CREATED,
        *[Event.USER_ADDED] * 3,
        *[Event.CONTACT_CREATED] * 2,
    ]
    assert {(event.actor_name, event.actor_id, event.client) for event in events} == {
        ("operator", None, "test client")
    }
    assert all(event.before is None and event.after["id"] == str(event.subject_id) for event in events)
    assert events[2].justification == "Informatique"
    assert [event.subject_name for event in events[:2]] == ["Boulangeries Réunies", "Paul Étienne"]
    for user in await people_of(database, number):
        (event,) = await rows(database, HistoryEvent, HistoryEvent.stream == user.id)
        assert (event.event, event.after["ibm_id"]) == (Event.USER_REGISTERED, user.ibm_id)


async def test_waiting_requests_are_attached(database: AsyncEngine) -> None:
    number, person = new_number(), User(id=uuid7(), ibm_id=uuid4().hex, email="x@example.com", sort_name="x")
    pending = AccessRequest(id=uuid7(), site_number=number, requester_id=person.id, justification="Bonjour")
    withdrawn = AccessRequest(
        id=uuid7(),
        site_number=number,
        requester_id=person.id,
        state=AccessRequestState.WITHDRAWN,
        closed_at=sa.func.now(),
    )
    async with AsyncSession(database, expire_on_commit=False) as session, session.begin():
        session.add(person)
        await session.flush()
        session.add_all([pending, withdrawn])
    await import_document(database, document(number), "test")
    (made,) = await rows(database, Site, Site.number == number)
    (attached,) = await rows(database, AccessRequest, AccessRequest.site_id == made.id)
    assert (attached.id, attached.state) == (pending.id, AccessRequestState.PENDING)
    assert attached.expires_at is not None
    (event,) = await rows(
        database, HistoryEvent, HistoryEvent.site_id == made.id, HistoryEvent.subject_id == pending.id
    )
    assert (event.event, event.before["site_id"]) == (Event.ACCESS_REQUESTED, None)
    assert (event.after["site_id"], event.justification) == (str(made.id), "Bonjour")
    messages = await rows(database, Message, Message.site_id == made.id)
    assert {message.kind for message in messages} == {MessageKind.ACCESS_REQUESTED}
    assert {message.email for message in messages} == {ibm_id("paul", number), ibm_id("sven", number)}


async def test_who_becomes_a_member_waits_for_nothing(database: AsyncEngine) -> None:
    number = new_number()
    people = [
        User(id=uuid7(), ibm_id=ibm_id(name, number), email=ibm_id(name, number), sort_name=name)
        for name in ("paul", "uma")
    ]
    async with AsyncSession(database, expire_on_commit=False) as session, session.begin():
        session.add_all(people)
        await session.flush()
        session.add_all(AccessRequest(site_number=number, requester_id=person.id) for person in people)
    await import_document(database, document(number), "test")
    requests = await rows(database, AccessRequest, AccessRequest.site_number == number)
    assert [(request.state, request.site_id) for request in requests] == [
        (AccessRequestState.WITHDRAWN, None)
    ] * 2
    for request in requests:
        (event,) = await rows(database, HistoryEvent, HistoryEvent.subject_id == request.id)
        assert (event.event, event.actor_name) == (Event.ACCESS_REQUEST_WITHDRAWN, "operator")
    assert (
        await rows(
            database,
            Message,
            Message.kind == MessageKind.ACCESS_REQUESTED,
            Message.email.in_([person.email for person in people]),
        )
        == []
    )


async def test_known_people_are_taken(database: AsyncEngine) -> None:
    first, second, third = new_number(), new_number(), new_number()
    await import_document(database, document(first), "test")
    again = document(second)
    again["sites"][0]["users"][0] = site(first)["users"][0] | {
        "ibmId": ibm_id("PAUL", first),
        "email": ibm_id("PAUL", first),
        "firstName": "Paule",
    }
    assert (await import_document(database, again, "test")).users == 2
    paul = (await people_of(database, first))[0]
    assert paul.name == "Paule Étienne"
    events = await rows(database, HistoryEvent, HistoryEvent.stream == paul.id, order=HistoryEvent.number)
    assert [(event.before or {}).get("first_name") for event in events] == [None, "Paul"]
    async with AsyncSession(database) as session, session.begin():
        changed = {"issuer": "https://issuer.example.com", "subject": paul.ibm_id}
        await session.execute(sa.update(User).where(User.id == paul.id).values(changed))
    again["sites"][0] |= {"number": third, "users": [again["sites"][0]["users"][0] | {"firstName": "Jean"}]}
    await import_document(database, again, "test")
    assert (await people_of(database, first))[0].name == "Paule Étienne"


async def test_one_file_may_name_a_person_at_several_sites(database: AsyncEngine) -> None:
    first, second = new_number(), new_number()
    given = document(first, second)
    given["sites"][1]["users"][1]["ibmId"] = ibm_id("UMA", first)
    given["sites"][1]["users"][1]["email"] = ibm_id("uma", first)
    assert await import_document(database, given, "test") == ImportResult(2, 4, 5, 6)
    given = document(new_number(), new_number())
    given["sites"][1]["users"][1]["ibmId"] = given["sites"][0]["users"][0]["ibmId"]
    given["sites"][1]["users"][1]["firstName"] = "Saul"
    found = await refused(database, given["sites"][0]["number"], given)
    assert found == [("sites[1].users[1]", "email"), ("sites[1].users[1]", "firstName")]


LEFT_OUT = object()
WRONG: list[tuple[str, str, object]] = [
    ("", "number", LEFT_OUT),
    ("", "number", 7041833),
    ("", "number", "7" * 31),
    ("", "name", " "),
    ("", "town", "Lyon"),
    ("", "pendingRequestDays", 0),
    ("", "pendingRequestDays", True),
    ("", "pendingRequestDays", "soon"),
    ("contacts[1]", "types", LEFT_OUT),
    ("contacts[1]", "types", []),
    ("contacts[1]", "types", "BILLING"),
    ("contacts[1]", "types", ["FRIEND"]),
    ("contacts[1]", "types", ["BILLING", "BILLING"]),
    ("contacts[1]", "types", ["PRIMARY"]),
    ("contacts[0]", "phone", "12"),
    ("contacts[0]", "email", "claire"),
    ("contacts[0]", "postalCode", "1"),
    ("contacts[0]", "postalCode", LEFT_OUT),
    ("contacts[0]", "stateOrProvince", "Rhône"),
    ("contacts[0]", "country", LEFT_OUT),
    ("contacts[0]", "country", "Frankreich"),
    ("contacts[0]", "city", "Ly\0n"),
    ("users[2]", "ibmId", LEFT_OUT),
    ("users[2]", "ibmId", "u m a"),
    ("users[2]", "email", "uma"),
    ("users[2]", "email", 5),
    ("users[2]", "firstName", "\ud800"),
    ("users[2]", "language", "NL"),
    ("users[2]", "role", "BOSS"),
    ("users[2]", "role", "PRIMARY_CONTACT"),
    ("users[2]", "justification", "x" * 2001),
    ("users[2]", "endsAt", "31.12.2031"),
    ("users[2]", "endsAt", "2031-02-29"),
    ("users[2]", "endsAt", "9999-12-31"),
    ("users[2]", "endsAt", "2031-12-31T12:00:00"),
    ("users[0]", "endsAt", "2031-12-31"),
    ("users[0]", "privileges.reporting", "VIEW"),
    ("users[2]", "privileges.reporting", "UPDATE"),
    ("users[2]", "privileges.cooking", "VIEW"),
    ("users[2]", "privileges.accountManagement.contactUpdates", "VIEW"),
]
"""Where in a good site a wrong value is put, which is then the only fault of the file."""


@pytest.mark.parametrize(("item", "column", "value"), WRONG)
async def test_a_wrong_value_is_named(database: AsyncEngine, item: str, column: str, value: object) -> None:
    number = new_number()
    given = document(number)
    kind, index = (item[:-3], int(item[-2])) if item else ("", 0)
    target = given["sites"][0][kind][index] if kind else given["sites"][0]
    target.pop("endsAt", None)
    target.pop("privileges", None)
    *path, last = column.split(".")
    for name in path:
        target = target.setdefault(name, {})
    target[last] = value
    if value is LEFT_OUT:
        del target[last]
    place = f"sites[0].{item}" if item else "sites[0]"
    assert await refused(database, number, given) == [(place, column)]


SPOILT: dict[str, tuple[Callable[[Document], object], list[tuple[str, str | None]]]] = {
    "no list": (lambda s: s.update(contacts={}), [("", "contacts"), ("", "types")]),
    "no object": (lambda s: s["contacts"].append(5), [(".contacts[2]", None)]),
    "no contacts": (lambda s: s.pop("contacts"), [("", "types")]),
    "no users": (lambda s: s.pop("users"), [("", "role")]),
    "no primary contact": (lambda s: s["users"].pop(0), [("", "role")]),
    "no primary contact record": (lambda s: s["contacts"].pop(0), [("", "types")]),
    "five secondary contacts": (
        lambda s: s["users"].extend(s["users"][1] | {"ibmId": f"{uuid4()}"} for _ in range(4)),
        [(".users[6]", "role")],
    ),
    "an IBMid twice": (lambda s: s["users"].append(s["users"][2]), [(".users[3]", "ibmId")]),
    "an IBMid twice, composed in two ways": (
        lambda s: s["users"].extend(
            s["users"][2] | {"ibmId": ibm_id} for ibm_id in ("rene\u0301", "ren\u00e9")
        ),
        [(".users[4]", "ibmId")],
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
async def test_what_does_not_fit_together_is_named(database: AsyncEngine, fault: str) -> None:
    number = new_number()
    given, (spoil, expected) = document(number), SPOILT[fault]
    spoil(given["sites"][0])
    found = await refused(database, number, given)
    assert found == [(f"sites[0]{place}", column) for place, column in expected]


async def test_faults_of_all_rows_are_collected(database: AsyncEngine) -> None:
    taken, number = new_number(), new_number()
    await import_document(database, document(taken), "test")
    given = document(number, number, taken, new_number())
    given["sites"][0]["contacts"][0]["phone"] = "12"
    given["sites"][1]["users"] = [user | {"ibmId": f"{uuid4()}"} for user in given["sites"][1]["users"]]
    del given["sites"][2]["users"][1:]
    given["sites"][2]["users"][0] |= {"email": "other@example.com", "endsAt": "never"}
    given["sites"][3]["users"][2]["role"] = "BOSS"
    given["extra"] = 1
    assert await refused(database, number, given) == [
        ("document", "extra"),
        ("sites[0].contacts[0]", "phone"),
        ("sites[1]", "number"),
        ("sites[2]", "number"),
        ("sites[2].users[0]", "endsAt"),
        ("sites[2].users[0]", "email"),
        ("sites[3].users[2]", "role"),
    ]


async def test_an_import_that_is_too_large_is_refused(database: AsyncEngine) -> None:
    number = new_number()
    given = document(number)
    given["sites"][0]["users"] += [
        {"ibmId": f"u{index}-{number}", "email": "u@example.com", "role": "USER"} for index in range(5000)
    ]
    assert await refused(database, number, given) == [("document", None)]


async def test_the_examples_of_the_documentation_are_right(database: AsyncEngine, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "import.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"```(json|csv)\n(.*?)```", page, re.DOTALL))
    for form, text in examples.items():
        number = new_number()
        text = text.replace("0007041833", number).replace("boulangeries-reunies", number.lower())
        result = await import_sites(database, write(tmp_path, text, f"example.{form}"))
        assert result == ImportResult(sites=1, contacts=1, users=2, memberships=2)
    assert set(examples) == {"json", "csv"}


async def waiters(database: AsyncEngine) -> int:
    """How many have waited for long until a site of others is created."""
    waiting = """SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND NOT granted AND clock_timestamp() - waitstart > interval '0.5 s'"""
    async with database.connect() as connection:
        return int(await connection.scalar(sa.text(waiting)) or 0)


async def test_an_import_waits_for_another_as_long_as_that_takes(
    database: AsyncEngine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.engine.GRACE", 0.1)
    hasty = {"DATABASE_URL": database_url, "LOCK_TIMEOUT": "0.001", "STATEMENT_TIMEOUT": "0.1"}
    file = write(tmp_path, json.dumps(document(new_number())), "sites.json")
    command = partial(CliRunner().invoke, cli, ["site", "import", str(file)], env=hasty)
    async with begin(database) as session:
        await import_into(session, document(new_number()), "test")
        second = asyncio.create_task(asyncio.to_thread(command))
        while not second.done() and not await waiters(database):
            pass
    assert (await second).output.startswith("1 sites, ")


async def test_people_can_act_while_they_are_imported_elsewhere(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    again = document(new_number())
    again["sites"][0]["users"][0] |= {"ibmId": person.ibm_id, "email": person.ibm_id}
    async with begin(world.database) as session, asyncio.timeout(20):
        await import_into(session, again, "test")
        wish = {"privileges": {"reporting": "VIEW"}, "justification": "To see reports"}
        await person.succeed("requestHigherLevel", siteId=place.id, **wish)
