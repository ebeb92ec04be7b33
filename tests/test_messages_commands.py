"""What operators do with messages from the command line."""

import asyncio
import email
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.db.engine import async_url
from app.db.outbox import Message, UndeliverableAddress
from app.query.ids import parse_id
from app.rules import MessageFault, MessageState
from tests.test_cli import Environment, run
from tests.world import Place, World, ago

T = TypeVar("T")
DEAD = {"state": MessageState.DEAD, "attempts": 8, "fault": MessageFault.TRY_LATER, "last_error": "451 Full"}
SENT = {"state": MessageState.SENT, "attempts": 1, "sent_at": ago(hours=1)}


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> Environment:
    """The settings of an operator, who works on the database that the tests share."""
    return {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(tmp_path), "DEVELOPMENT": "true"}


@pytest.fixture
def alone(environment: Environment, emptied_database: AsyncEngine) -> Environment:
    """The same with a database of the test's own, where no messages of other tests are waiting."""
    url = emptied_database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return environment | {"DATABASE_URL": url}


def within(environment: Environment, act: Callable[[World], Coroutine[Any, Any, T]]) -> T:
    """Do something in the database; commands have event loops of their own, and so has this."""

    async def connected() -> T:
        engine = create_async_engine(async_url(environment["DATABASE_URL"]), poolclass=NullPool)
        return await act(World(engine, cast(Any, None), cast(Any, None)))

    return asyncio.run(connected())


def a_site_with(environment: Environment, *messages: dict[str, Any]) -> tuple[Place, list[str]]:
    """A site with messages about it, and their ids."""

    async def make(world: World) -> tuple[Place, list[str]]:
        place = await world.site()
        return place, [await world.message(place, **values) for values in messages]

    return within(environment, make)


def row(environment: Environment, id: str) -> Message:
    parsed = parse_id(id)
    assert parsed is not None
    [found] = within(environment, lambda world: world.rows(Message, Message.id == parsed[1]))
    return cast(Message, found)


def test_messages_are_listed_newest_first_and_by_state_and_site(environment: Environment) -> None:
    place, ids = a_site_with(environment, SENT, {}, DEAD)
    lines = run(f"messages list --site {place.number.lower()}", environment).splitlines()
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert "DEAD  ACCESS_REMOVED" in lines[0] and lines[0].endswith("8×  451 Full")
    assert place.primary.ibm_id in lines[0]
    for state, id in zip(("SENT", "QUEUED", "DEAD"), ids, strict=True):
        assert run(f"messages list --site {place.number} --state {state}", environment).split()[0] == id
    assert len(run(f"messages list --site {place.number} --limit 1", environment).splitlines()) == 1
    assert run("messages list --site NO-SUCH-SITE", environment) == ""
    assert run("messages list --state LOST", environment, expected=2)


def test_a_message_is_shown_whole(environment: Environment) -> None:
    place, [id] = a_site_with(environment, DEAD)
    shown = run(f"messages show {id}", environment)
    for part in ("state: DEAD", "attempts: 8", "fault: TRY_LATER", "last_error: 451 Full", place.number):
        assert part in shown
    assert f"Your access to site {place.number} was removed" in shown
    assert "You no longer have access" in shown


@pytest.mark.parametrize("id", ["nonsense", "site_" + "0" * 32, "message_" + "0" * 32])
def test_what_is_no_message(environment: Environment, id: str) -> None:
    for command in ("show", "retry"):
        assert "message" in run(f"messages {command} {id}", environment, expected=1)


def test_a_dead_message_is_sent_again_with_all_its_attempts(environment: Environment) -> None:
    _, [dead, other] = a_site_with(environment, DEAD, DEAD)
    assert "1 messages" in run(f"messages retry {dead}", environment)
    again = row(environment, dead)
    assert (again.state, again.attempts, again.last_error) == (MessageState.QUEUED, 0, "451 Full")
    assert again.next_attempt_at is not None and again.next_attempt_at > ago(minutes=5)
    assert row(environment, other).state is MessageState.DEAD


def test_what_was_sent_is_not_sent_again(environment: Environment) -> None:
    _, [sent] = a_site_with(environment, SENT)
    assert "was sent" in run(f"messages retry {sent}", environment, expected=1)
    assert row(environment, sent).state is MessageState.SENT


def test_all_dead_messages_are_sent_again_and_no_others(environment: Environment) -> None:
    waiting = {"next_attempt_at": ago(hours=-3), "attempts": 2}
    _, [one, two, sent, queued] = a_site_with(environment, DEAD, DEAD, SENT, waiting)
    run("messages retry --all-dead", environment)
    assert {row(environment, id).state for id in (one, two)} == {MessageState.QUEUED}
    assert row(environment, sent).state is MessageState.SENT
    assert row(environment, queued).attempts == 2
    assert run("messages retry --all-dead", environment) == "0 messages are queued again.\n"


@pytest.mark.parametrize("arguments", ["", "{id} --all-dead"])
def test_either_one_or_all(environment: Environment, arguments: str) -> None:
    _, [dead] = a_site_with(environment, DEAD)
    said = run(f"messages retry {arguments.format(id=dead)}", environment, expected=1)
    assert "Give either" in said
    assert row(environment, dead).state is MessageState.DEAD


def test_the_doctor_looks_at_the_mail_server_and_at_dead_messages(environment: Environment) -> None:
    a_site_with(environment, DEAD)
    found = run("doctor", environment)
    assert "ok  messages go to the folder" in found
    assert re.search(r"ok  \d+ dead messages: see messages list", found)
    run("messages retry --all-dead", environment)
    assert "ok  no dead messages" in run("doctor", environment)
    nowhere = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "a <a@b.example>"}
    refused = run("doctor", environment | nowhere, expected=1)
    assert "NOT mail server 127.0.0.1" in refused and "check SMTP_URL" in refused


def test_a_worker_of_its_own_sends_until_it_is_told_to_stop(alone: Environment, tmp_path: Path) -> None:
    number = uuid4().hex
    _, [id] = a_site_with(alone, {"data": data_of(number)})
    command = [sys.executable, "-m", "app", "messages", "work"]
    with subprocess.Popen(command, env=os.environ | alone, stdout=subprocess.DEVNULL) as process:
        try:
            found = wait_for_file(tmp_path / "mail" / "new", number, process)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    mail = email.message_from_bytes(found.read_bytes())
    assert mail["Message-ID"] == f"<{id.removeprefix('message_')}@localhost>"
    assert row(alone, id).state is MessageState.SENT


def data_of(number: str) -> dict[str, str]:
    return {"recipient_name": "Ana", "site_number": number, "site_name": "One"}


def wait_for_file(folder: Path, text: str, process: subprocess.Popen[bytes]) -> Path:
    """The file with this text, as soon as it is there, within two minutes: the machine may be busy."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for file in folder.glob("*"):
            if text in file.read_text():
                return file
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError("the message did not come")


def test_an_address_from_which_a_message_came_back_is_reported(environment: Environment) -> None:
    place, _ = a_site_with(environment)
    email = place.primary.ibm_id
    said = run(f"messages bounced --email {email.upper()}", environment)
    assert said == f"{email.upper()} takes no mail.\n"
    known = UndeliverableAddress.email.in_([email, "nobody@example.com"])
    [row] = within(environment, lambda world: world.rows(UndeliverableAddress, known))
    assert row.email == email
    for nobody in ("nobody@example.com", "\x07", ""):
        said = run(f"messages bounced --email={nobody}", environment, expected=1)
        assert said.strip() == "Nobody has this address."
    assert len(within(environment, lambda world: world.rows(UndeliverableAddress, known))) == 1
    assert run("messages bounced", environment, expected=2)
