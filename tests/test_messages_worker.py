"""Workers: woken, stopped, several at once, killed; nothing is lost, and repeats show as such."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from app.config import Settings
from app.db.engine import create_engine
from app.db.models import User
from app.db.outbox import Message
from app.messages import worker as worker_module
from app.messages.queue import claim
from app.messages.worker import Worker
from app.on_demand import workers
from app.rules import Language, MessageKind, MessageState
from app.server import create_app
from tests.conftest import administer
from tests.post import SENDER, Inbox, mail_server, make_due, run_dry, sending, url_of, worker_to
from tests.test_changed_databases import line_to
from tests.world import World

DATA = {"recipient_name": "Ana", "site_number": "1", "site_name": "One"}


@pytest.fixture
def own(emptied_database: AsyncEngine, world: World) -> World:
    """Makes things in a database of the test's own."""
    return World(emptied_database, world.client, world.settings)


async def many(own: World, count: int) -> set[str]:
    """So many messages to one person; their Message-IDs."""
    person, ids = await own.person(), [uuid7() for _ in range(count)]
    values = {
        "recipient_id": person.user_id,
        "email": person.ibm_id,
        "language": Language.EN,
        "kind": MessageKind.ACCESS_REMOVED,
        "data": DATA,
    }
    async with own.database.begin() as connection:
        await connection.execute(sa.insert(Message), [{"id": id, **values} for id in ids])
    return {f"<{id.hex}@vendor.example>" for id in ids}


async def states(own: World) -> Counter[MessageState]:
    counted = sa.select(Message.state, sa.func.count().label("count")).group_by(Message.state)
    async with own.database.connect() as connection:
        return Counter({row.state: row.count for row in await connection.execute(counted)})


async def until_all_are_sent(own: World, seconds: float = 20, retried_at_once: bool = False) -> None:
    """Wait until the outbox has nothing left to send; what a slow machine made fail waits for no pause."""
    async with asyncio.timeout(seconds):
        while set(await states(own)) != {MessageState.SENT}:
            if retried_at_once:
                await make_due(own.database, Message.fault.is_not(None))
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """A worker at work, stopped at the end if it has not been before."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await asyncio.wait_for(task, 10)


async def test_a_message_is_sent_once_and_marked(own: World, settings: Settings) -> None:
    ids = await many(own, 3)
    async with mail_server(Inbox()) as inbox:
        worker = worker_to(inbox, settings, own.database)
        assert await run_dry(worker) == 3
        assert await run_dry(worker) == 0
    assert sorted(inbox.ids) == sorted(ids)
    for row in await own.rows(Message):
        assert (row.state, row.attempts, row.next_attempt_at) == (MessageState.SENT, 1, None)
        assert row.sent_at is not None and row.sent_at >= row.created_at


async def test_what_is_claimed_is_claimed_by_nobody_else_until_the_lease_is_over(
    own: World, settings: Settings
) -> None:
    await many(own, 1)
    worker = worker_to(Inbox(), settings, own.database)
    first = await claim(own.database, worker.lease)
    assert first is not None and first.attempts == 1
    assert await claim(own.database, worker.lease) is None
    assert worker.lease.total_seconds() == 3 * worker.settings.smtp_timeout
    async with own.database.begin() as connection:
        over = Message.next_attempt_at - worker.lease
        await connection.execute(sa.update(Message).values(next_attempt_at=over))
    second = await claim(own.database, worker.lease)
    assert second is not None and (second.id, second.attempts) == (first.id, 2)


async def test_one_who_comes_back_after_the_lease_spoils_nothing(own: World, settings: Settings) -> None:
    """Two have the same message: the one says it failed, the other has sent it."""
    await many(own, 1)
    async with mail_server(Inbox({"DATA": "451 Later"})) as refusing, mail_server(Inbox()) as taking:
        slow = worker_to(refusing, settings, own.database)
        fast = worker_to(taking, settings, own.database)

        async def overtaken(_inbox: Inbox, _server: Any) -> str | None:
            async with own.database.begin() as connection:
                await connection.execute(sa.update(Message).values(next_attempt_at=sa.func.now()))
            assert await fast.step()
            return None

        refusing.on_data = overtaken
        assert await slow.step()
    [row] = await own.rows(Message)
    assert (row.state, row.fault, row.attempts) == (MessageState.SENT, None, 2)
    assert len(taking.received) == 1


async def test_several_at_once_send_every_message_once(own: World, settings: Settings) -> None:
    ids = await many(own, 60)
    async with mail_server(Inbox()) as inbox:
        workers = [worker_to(inbox, settings, own.database) for _ in range(5)]
        counts = await asyncio.gather(*map(run_dry, workers))
    assert sum(counts) == 60
    assert max(counts) < 60
    assert sorted(inbox.ids) == sorted(ids)
    assert await states(own) == {MessageState.SENT: 60}


async def test_a_worker_is_woken_by_the_commit(own: World, settings: Settings) -> None:
    async with mail_server(Inbox()) as inbox, running(worker_to(inbox, settings, own.database)):
        await many(own, 1)
        # Far sooner than it would have looked by itself.
        await inbox.wait_for(1, worker_module.POLL_EVERY / 2)
        await many(own, 1)
        await inbox.wait_for(2, worker_module.POLL_EVERY / 2)
        await until_all_are_sent(own)


async def test_a_worker_is_woken_past_a_pooler(own: World, settings: Settings) -> None:
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")
    past_it = {"database_url": nowhere, "listen_database_url": SecretStr(url_of(own.database))}
    async with mail_server(Inbox()) as inbox, running(worker_to(inbox, settings, own.database, **past_it)):
        for count in (1, 2):
            await many(own, 1)
            await inbox.wait_for(count, worker_module.POLL_EVERY / 2)
            await until_all_are_sent(own)


async def test_without_being_woken_a_worker_looks_by_itself(
    own: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_EVERY", 0.05)
    monkeypatch.setattr(worker_module, "CHANNEL", "another")
    async with mail_server(Inbox()) as inbox, running(worker_to(inbox, settings, own.database)):
        for count in (1, 2):
            await many(own, 1)
            await inbox.wait_for(count)
            await until_all_are_sent(own)


async def test_a_worker_survives_the_loss_of_its_connections(
    own: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_EVERY", 0.05)
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    its_own = create_engine(url_of(own.database), settings)
    async with mail_server(Inbox()) as inbox, running(worker_to(inbox, settings, its_own)):
        for count in (1, 2, 3):
            await administer(url_of(own.database), others)
            # The test's own connections are gone as well.
            await own.database.dispose()
            await many(own, 1)
            await inbox.wait_for(count)
            await until_all_are_sent(own)
    await its_own.dispose()


async def test_a_worker_that_hears_nothing_any_more_listens_anew(
    own: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.listening.HEARTBEAT", 0.05)
    monkeypatch.setattr(worker_module, "POLL_EVERY", 3600)
    async with line_to(own) as (url, silence), mail_server(Inbox()) as inbox:
        over_it = {"listen_database_url": SecretStr(url)}
        async with running(worker_to(inbox, settings, own.database, **over_it)):
            for count in (1, 2, 3):
                await many(own, 1)
                await inbox.wait_for(count)
                await until_all_are_sent(own)
                silence()


async def test_a_worker_that_is_stopped_finishes_what_it_is_sending(own: World, settings: Settings) -> None:
    at_once = worker_module.AT_ONCE
    await many(own, at_once + 2)
    begun, go_on = asyncio.Barrier(at_once + 1), asyncio.Event()

    async def slowly(_inbox: Inbox, _server: Any) -> str | None:
        await begun.wait()
        await go_on.wait()
        return None

    async with mail_server(Inbox(on_data=slowly)) as inbox:
        worker = worker_to(inbox, settings, own.database)
        async with running(worker) as task:
            await asyncio.wait_for(begun.wait(), 10)
            worker.stop()
            done, _ = await asyncio.wait([task], timeout=0.1)
            assert not done
            go_on.set()
            await asyncio.wait_for(task, 10)
    assert await states(own) == {MessageState.SENT: at_once, MessageState.QUEUED: 2}
    assert {row.attempts for row in await own.rows(Message)} == {0, 1}


async def test_a_message_that_is_slow_to_be_taken_holds_up_no_other(own: World, settings: Settings) -> None:
    go_on, stalled = asyncio.Event(), asyncio.Semaphore(1)

    async def slow_once(_inbox: Inbox, _server: Any) -> str | None:
        if not stalled.locked():
            await stalled.acquire()
            await go_on.wait()
        return None

    await many(own, 5)
    async with (
        mail_server(Inbox(on_data=slow_once)) as inbox,
        running(worker_to(inbox, settings, own.database, smtp_timeout=60.0)),
    ):
        await inbox.wait_for(4)
        go_on.set()
        await until_all_are_sent(own)


async def test_a_failing_schedule_keeps_no_message_waiting(
    own: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_EVERY", 0.05)

    async def broken(_database: AsyncEngine) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(worker_module, "announce", broken)
    await many(own, 2)
    async with mail_server(Inbox()) as inbox, running(worker_to(inbox, settings, own.database)):
        await inbox.wait_for(2)
        await until_all_are_sent(own)


async def test_the_schedule_is_looked_at_by_a_running_worker(own: World, settings: Settings) -> None:
    place = await own.site()
    async with own.database.begin() as connection:
        text = sa.text("UPDATE site SET created_at = now() - interval '40 days' WHERE id = :id")
        await connection.execute(text, {"id": place.site_id})
    async with mail_server(Inbox()) as inbox:
        workers = [worker_to(inbox, settings, own.database) for _ in range(3)]
        async with running(workers[0]), running(workers[1]), running(workers[2]):
            await inbox.wait_for(1)
            await until_all_are_sent(own)
    assert [row.kind for row in await own.rows(Message)] == [MessageKind.MONTHLY_REVIEW]
    assert len(inbox.received) == 1


# Beside the server


async def test_the_server_sends_what_its_mutations_tell(
    own: World, settings: Settings, tmp_path: Path
) -> None:
    """All of it for real: a mutation over HTTP, and the message in a folder."""
    used = sending(settings, own.database, message_worker=True, data_directory=tmp_path)
    (tmp_path / "development-issuer.json").write_bytes(
        (settings.data_directory / "development-issuer.json").read_bytes()
        if (settings.data_directory / "development-issuer.json").exists()
        else b""
    )
    application = create_app(used)
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client,
    ):
        here = World(own.database, client, used)
        place = await here.site()
        await (await here.person()).succeed("requestAccess", siteNumber=place.number)
        await until_all_are_sent(here)
    [file] = (tmp_path / "mail" / "new").iterdir()
    assert f"To: {place.primary.ibm_id}" in file.read_text()


async def test_the_server_stops_although_the_mail_server_stalls(
    own: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GRACE", 0.1)
    await many(own, 1)
    begun = asyncio.Event()

    async def stall(_inbox: Inbox, _server: Any) -> str | None:
        begun.set()
        await asyncio.Event().wait()
        return None

    async with mail_server(Inbox(on_data=stall)) as inbox:
        url = f"smtp://127.0.0.1:{inbox.port}"
        used = Settings(
            database_url=url_of(own.database), smtp_url=url, mail_from=SENDER, message_worker=True
        )
        async with asyncio.timeout(10), workers(used, own.database):
            await begun.wait()
    [row] = await own.rows(Message)
    assert (row.state, row.attempts) == (MessageState.QUEUED, 1)


async def test_the_server_may_leave_sending_to_others(own: World, settings: Settings) -> None:
    await many(own, 1)
    used = sending(settings, own.database, message_worker=False)
    before = len(asyncio.all_tasks())
    async with workers(used, own.database):
        assert len(asyncio.all_tasks()) == before
    assert await states(own) == {MessageState.QUEUED: 1}


# Killed


@dataclass
class Killer:
    """Starts a worker process, and kills it with -9 in the middle of messages: before or after they were taken."""

    starter: asyncio.subprocess.Process
    every: int
    kills: int
    killed: int = 0
    taken_before: bool = False
    seen: int = 0
    pids: list[int] = field(default_factory=list)
    starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start one more worker."""
        assert self.starter.stdin is not None and self.starter.stdout is not None
        self.starter.stdin.write(b"\n")
        self.pids.append(int(await asyncio.wait_for(self.starter.stdout.readline(), 20)))

    async def on_data(self, inbox: Inbox, server: Any) -> str | None:
        """Kill whoever is sending this, every so many messages, and start the next."""
        self.seen += 1
        if self.seen % self.every or self.killed == self.kills:
            return None
        self.killed += 1
        self.taken_before = not self.taken_before
        if self.taken_before:
            inbox.take(server.envelope)
        os.kill(int(server.session.host_name.removeprefix("worker-")), signal.SIGKILL)
        # Not here: the server gives this up as soon as it notices that the connection is gone.
        self.starting = asyncio.create_task(self.start())
        return "451 Nobody hears this"


@asynccontextmanager
async def killer_of(environment: dict[str, str], every: int, kills: int) -> AsyncIterator[Killer]:
    """Worker processes on these settings."""
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.forked_workers"),
        env=os.environ | environment,
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    killer = Killer(starter, every, kills)
    try:
        for _ in range(2):
            await killer.start()
        yield killer
    finally:
        for pid in killer.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert starter.stdin is not None
        starter.stdin.close()
        await starter.wait()


async def test_a_worker_killed_five_times_amid_two_hundred_messages_loses_none(own: World) -> None:
    ids = await many(own, 200)
    async with mail_server(Inbox()) as inbox:
        environment = {
            "DATABASE_URL": url_of(own.database),
            "SMTP_URL": f"smtp://127.0.0.1:{inbox.port}",
            "SMTP_TIMEOUT": "1",
            "MAIL_FROM": SENDER,
            "LOG_FORMAT": "json",
        }
        async with killer_of(environment, every=30, kills=5) as killer:
            inbox.on_data = killer.on_data
            await until_all_are_sent(own, 180, retried_at_once=True)
    assert (killer.killed, len(killer.pids)) == (5, 7)
    sent = Counter(inbox.ids)
    assert set(sent) == ids
    repeats = sum(count - 1 for count in sent.values())
    assert repeats >= 3, "those that were taken before the worker was killed come again"
    rows = await own.rows(Message)
    assert {row.state for row in rows} == {MessageState.SENT}
    assert sum(row.attempts > 1 for row in rows) > 3


async def test_the_recipient_is_the_person_of_the_message(own: World, settings: Settings) -> None:
    place = await own.site()
    person = await own.person()
    await own.message(place, person)
    async with mail_server(Inbox()) as inbox:
        await run_dry(worker_to(inbox, settings, own.database))
    [user] = await own.rows(User, User.id == person.user_id)
    assert inbox.received[0].recipients == [user.email]
