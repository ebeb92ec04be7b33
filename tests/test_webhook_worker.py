"""The worker against real receivers: each event arrives, signed, at least once, and nobody waits for the slow."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from standardwebhooks import Webhook as Verifier

from app import history
from app.actor import Actor
from app.config import Settings
from app.db.engine import async_url
from app.db.models import Site
from app.db.webhooks import WebhookDelivery
from app.query.ids import write_id
from app.rules import Event
from app.server import create_app
from app.webhook_rules import PAUSES, WebhookDeliveryState, WebhookDisabledReason, WebhookFailure
from app.webhooks import queue as queueing
from app.webhooks import sender as sending
from app.webhooks import worker as working
from tests.conftest import administer
from tests.receiver import delivery_row, receiver
from tests.sending import Hook, Scene, until
from tests.sending import scene as make_scene
from tests.test_changed_databases import line_to
from tests.world import CONTACT

NOWHERE = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")

QUEUED, DELIVERED, DEAD = WebhookDeliveryState


@pytest.fixture
async def scene(server_url: str, template: str, settings: Settings) -> AsyncIterator[Scene]:
    async with make_scene(server_url, template, settings) as made:
        yield made


async def change(scene: Scene, hook: Hook) -> str:
    """Something that happens at the site: a new contact; its id."""
    payload = await hook.place.primary.succeed(
        "createContact", "contact { id }", siteId=hook.place.id, **CONTACT
    )
    contact: str = payload["contact"]["id"]
    return contact


async def test_an_event_arrives_signed_and_thin(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        contact_id = await change(scene, hook)
        assert await scene.send() == 1
        (got,) = partner.received
    assert (got.method, got.path) == ("POST", "/hooks?tool=1")
    assert got.headers["host"] == f"127.0.0.1:{partner.port}"
    assert got.headers["content-type"] == "application/json"
    event = (await scene.world.events(hook.place))[-1]
    assert got.payload == {
        "type": "contact.created",
        "timestamp": event.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": {
            "siteId": hook.place.id,
            "siteNumber": hook.place.number,
            "eventNumber": event.number,
            "subject": {"type": "Contact", "id": contact_id},
            "actorId": hook.place.primary.id,
        },
    }
    for personal in (CONTACT["email"], CONTACT["lastName"], hook.place.primary.ibm_id):
        assert str(personal) not in got.body.decode()
    assert got.signed_by(hook.secret)
    assert Verifier(hook.secret).verify(got.body, got.headers) == got.payload
    (delivery,) = await scene.deliveries(hook)
    assert got.body.decode() == delivery.payload == json.dumps(got.payload, separators=(",", ":"))
    assert got.id == write_id("webhook_delivery", delivery.id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DELIVERED, 1, 204)
    assert delivery.delivered_at is not None and delivery.next_attempt_at is None
    assert delivery.id.version == 7


async def test_another_secret_does_not_verify(scene: Scene) -> None:
    async with receiver() as partner:
        hook, other = await scene.hook(partner), await scene.hook(partner)
        await change(scene, hook)
        await scene.send()
        (got,) = partner.received
    assert got.signed_by(hook.secret)
    assert not got.signed_by(other.secret)


async def test_while_a_secret_rotates_both_verify_and_then_only_the_new(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        rotate = {"webhookId": hook.id}
        second = (await hook.place.primary.succeed("rotateWebhookSecret", "secret", **rotate))["secret"]
        await change(scene, hook)
        await scene.send()
        assert [partner.received[0].signed_by(secret) for secret in (hook.secret, second)] == [True, True]
        for secret in (hook.secret, second):
            Verifier(secret).verify(partner.received[0].body, partner.received[0].headers)
        await scene.execute("UPDATE webhook_secret SET ends_at = now() WHERE NOT is_current")
        await change(scene, hook)
        await scene.send()
        assert [partner.received[1].signed_by(secret) for secret in (hook.secret, second)] == [False, True]
        third = (await hook.place.primary.succeed("rotateWebhookSecret", "secret", **rotate))["secret"]
        fourth = (await hook.place.primary.succeed("rotateWebhookSecret", "secret", **rotate))["secret"]
        await change(scene, hook)
        await scene.send()
        signed = [partner.received[2].signed_by(secret) for secret in (second, third, fourth)]
        assert signed == [False, True, True]


async def test_only_wanted_events_of_its_own_site_are_sent_to_active_webhooks(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner, events=["SITE_LEFT", "CONTACT_DELETED"])
        await scene.hook(partner, (await scene.world.site()), events=["CONTACT_DELETED"])
        off = await scene.hook(partner, hook.place)
        await hook.place.primary.succeed("updateWebhook", webhookId=off.id, active=False)
        contact_id = await change(scene, hook)
        await hook.place.primary.succeed("deleteContact", contactId=contact_id)
        user, _ = await scene.world.member(hook.place)
        await user.succeed("leaveSite", siteId=hook.place.id)
        await scene.send()
        types = {(got.payload["type"], got.payload["data"]["siteId"]) for got in partner.received}
    assert types == {("contact.deleted", hook.place.id), ("site.left", hook.place.id)}
    assert len(partner.received) == 2


async def test_what_is_taken_back_is_not_told(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)

        async def record(fails: bool) -> None:
            async with AsyncSession(scene.database) as session, session.begin():
                site = await session.get_one(Site, hook.place.site_id)
                history.record(session, Actor(name="tests"), Event.CONTACT_UPDATED, site, name="x")
                await session.flush()
                assert len(list(await session.scalars(WebhookDelivery.__table__.select()))) == 1
                if fails:
                    raise RuntimeError("taken back")

        with pytest.raises(RuntimeError, match="taken back"):
            await record(fails=True)
        assert await scene.deliveries() == []
        assert await scene.send() == 0
        await record(fails=False)
        assert await scene.send() == 1
        (got,) = partner.received
    assert got.payload["data"]["subject"] == {"type": "Site", "id": hook.place.id}
    assert "actorId" not in got.payload["data"]


async def ears(scene: Scene) -> list[int]:
    """The connections on which workers listen; only the owner of the database sees what others do."""
    assert scene.settings.database_url is not None
    owner = create_async_engine(async_url(scene.settings.database_url.get_secret_value()), poolclass=NullPool)
    statement = text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    async with owner.connect() as connection:
        return list(await connection.scalars(statement))


async def test_a_change_wakes_the_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 3600)
    async with receiver() as partner, scene.working():
        hook = await scene.hook(partner)

        async def listening() -> bool:
            return bool(await ears(scene))

        await until(listening)
        await change(scene, hook)
        await partner.next()
        await hook.place.primary.succeed("pingWebhook", webhookId=hook.id)
        assert len(await partner.next(2)) == 2


async def test_a_worker_listens_past_a_pooler(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 3600)
    past_it = {"database_url": NOWHERE, "listen_database_url": scene.settings.database_url}
    own = replace(scene, settings=scene.settings.model_copy(update=past_it))
    async with receiver() as partner, own.working():
        hook = await scene.hook(partner)

        async def listening() -> bool:
            return bool(await ears(scene))

        await until(listening)
        await change(scene, hook)
        await partner.next()


async def test_a_worker_that_cannot_listen_looks_by_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 0.05)
    own = replace(scene, settings=scene.settings.model_copy(update={"listen_database_url": NOWHERE}))
    async with receiver() as partner, own.working():
        await change(scene, await scene.hook(partner))
        await partner.next()


async def test_a_worker_whose_connection_breaks_listens_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 0.05)
    async with receiver() as partner, scene.working():
        hook = await scene.hook(partner)
        seen: set[int] = set()
        assert scene.settings.database_url is not None
        url = scene.settings.database_url.get_secret_value()

        async def listening_anew() -> bool:
            now = set(await ears(scene))
            for pid in now - seen if not seen else ():
                await administer(url, f"SELECT pg_terminate_backend({pid})")
            seen.update(now)
            return len(seen) > 1

        await until(listening_anew)
        await change(scene, hook)
        await partner.next()


async def test_a_worker_that_hears_nothing_any_more_listens_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.listening.HEARTBEAT", 0.05)
    monkeypatch.setattr(working, "POLL_SECONDS", 3600)

    async def all_are_delivered() -> bool:
        return {delivery.state for delivery in await scene.deliveries()} == {DELIVERED}

    async with receiver() as partner, line_to(scene.world) as (url, silence):
        over_it = scene.settings.model_copy(update={"listen_database_url": SecretStr(url)})
        async with replace(scene, settings=over_it).working():
            hook = await scene.hook(partner)
            for _ in range(3):
                await change(scene, hook)
                await until(all_are_delivered)
                silence()


NOWHERE = SecretStr("postgresql://127.0.0.1:9/nowhere")


async def test_a_worker_listens_where_that_works(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 3600)
    around = {"database_url": NOWHERE, "listen_database_url": scene.settings.database_url}
    worker = replace(scene.worker(), settings=scene.settings.model_copy(update=around))
    async with receiver() as partner, scene.working(worker):
        hook = await scene.hook(partner)

        async def listening() -> bool:
            return bool(await ears(scene))

        await until(listening)
        await change(scene, hook)
        await partner.next()


async def test_failures_pause_longer_and_longer_until_the_delivery_is_dead(scene: Scene) -> None:
    async with receiver(lambda _: "500 Oops") as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        for attempt, pause in enumerate(PAUSES, 1):
            assert await scene.send_again() == 1
            (delivery,) = await scene.deliveries()
            assert (delivery.state, delivery.attempts, delivery.last_status) == (QUEUED, attempt, 500)
            assert delivery.last_error is WebhookFailure.BAD_STATUS
            (wait,) = await scene.pauses()
            assert pause - 5 < wait <= pause * 1.1
            assert await scene.send() == 0
        assert await scene.send_again() == 1
        (delivery,) = await scene.deliveries()
        assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == (DEAD, 10, None)
        assert await scene.send_again() == 0
    assert len(partner.received) == 10
    assert len({got.id for got in partner.received}) == 1
    assert len({got.body for got in partner.received}) == 1
    assert (await scene.row(hook)).active


async def test_the_clock_of_the_host_decides_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 5 * 86_400, tz)

    async with receiver(lambda _: "500 Oops") as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        await scene.execute("UPDATE webhook SET failing_since = now()")
        monkeypatch.setattr(queueing, "datetime", Ahead)
        await scene.send()
    (wait,) = await scene.pauses()
    assert wait <= PAUSES[0] * 1.1
    assert (await scene.row(hook)).active


async def test_a_success_after_failures_forgets_them(scene: Scene) -> None:
    answers = iter(["503 Busy", "200 OK"])
    async with receiver(lambda _: next(answers)) as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        await scene.send()
        assert (await scene.row(hook)).failing_since is not None
        await scene.send_again()
    assert (await scene.row(hook)).failing_since is None
    (delivery,) = await scene.deliveries()
    assert (delivery.state, delivery.last_status, delivery.last_error) == (DELIVERED, 200, None)


async def test_a_receiver_that_is_gone_is_sent_no_more(scene: Scene) -> None:
    async with receiver(lambda _: "410 Gone") as partner, receiver() as observer:
        hook = await scene.hook(partner, events=["CONTACT_CREATED"])
        await scene.hook(observer, hook.place, events=["WEBHOOK_DISABLED"])
        await change(scene, hook)
        await change(scene, hook)
        await scene.execute("UPDATE webhook_delivery SET next_attempt_at = NULL WHERE event_number = 4")
        assert await scene.send() == 2  # the second tells the observer
        row = await scene.row(hook)
        assert (row.active, row.disabled_reason) == (False, WebhookDisabledReason.GONE)
        assert [one.next_attempt_at for one in await scene.deliveries(hook)] == [None, None]
        await change(scene, hook)
        assert await scene.send_again() == 0
        assert len(partner.received) == 1
        assert [got.payload["type"] for got in observer.received] == ["webhook.disabled"]
        event = next(one for one in await scene.world.events(hook.place) if one.event == "WEBHOOK_DISABLED")
        assert (event.actor_id, event.reason, event.after["disabled_reason"]) == (None, "GONE", "GONE")
        partner.answer = lambda _: "200 OK"
        await hook.place.primary.succeed("updateWebhook", webhookId=hook.id, active=True)
        assert await scene.send() == 2
    row = await scene.row(hook)
    assert (row.active, row.disabled_reason) == (True, None)


async def test_a_webhook_that_fails_for_days_is_disabled(scene: Scene) -> None:
    async with receiver(lambda _: "500 Oops") as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        await scene.send()
        await scene.execute("UPDATE webhook SET failing_since = now() - interval '71 hours'")
        await scene.send_again()
        assert (await scene.row(hook)).active
        await scene.execute("UPDATE webhook SET failing_since = now() - interval '72 hours'")
        await scene.send_again()
    row = await scene.row(hook)
    assert (row.active, row.disabled_reason) == (False, WebhookDisabledReason.FAILING)
    data = await hook.place.primary.ask(
        "query($id: ID!) { node(id: $id) { ... on Webhook { active disabledReason failingSince } } }",
        id=hook.id,
    )
    assert data["node"]["disabledReason"] == "FAILING"
    assert await scene.pauses() == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"])
async def test_redirects_are_not_followed(scene: Scene, status: str) -> None:
    async with receiver() as elsewhere:
        async with receiver(lambda _: f"{status}\r\nLocation: {elsewhere.url}") as partner:
            hook = await scene.hook(partner)
            await change(scene, hook)
            assert await scene.send() == 1
            assert len(partner.received) == 1
        assert elsewhere.connections == 0
    (delivery,) = await scene.deliveries()
    assert (delivery.state, delivery.last_status) == (QUEUED, int(status[:3]))


@pytest.mark.parametrize(
    ("wish", "pause"),
    [
        ("600", 600),
        ("in two hours", 7200),
        ("999999999999", 86_400),
        ("0", 5),
        ("-5", 5),
        ("soon", 5),
        ("١٢", 5),
    ],
)
async def test_a_receiver_may_ask_for_a_longer_pause(scene: Scene, wish: str, pause: int) -> None:
    if wish == "in two hours":
        wish = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    async with receiver(lambda _: f"429 Too Many\r\nRetry-After: {wish}") as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        await scene.send()
    (wait,) = await scene.pauses()
    assert pause - 60 < wait <= pause * 1.1


async def test_nobody_waits_for_a_receiver_that_never_answers(scene: Scene) -> None:
    async with receiver(lambda _: None) as stalled, receiver() as partner:
        stalling = await scene.hook(stalled)
        for _ in range(working.AT_ONCE_PER_WEBHOOK + 2):
            await change(scene, stalling)
        hook = await scene.hook(partner)
        async with scene.working() as worker:
            await stalled.next(working.AT_ONCE_PER_WEBHOOK)
            for _ in range(30):
                await change(scene, hook)
            await partner.next(30)
            held = [one.webhook_id for one in worker.running.values()]
            assert len(stalled.received) == working.AT_ONCE_PER_WEBHOOK
            assert held.count((await scene.row(stalling)).id) == working.AT_ONCE_PER_WEBHOOK
            stalled.hang_up()


async def test_one_host_does_not_take_all_places(scene: Scene) -> None:
    """Many sites use the same tool: their webhooks share the places of its host."""
    count = working.AT_ONCE_PER_HOST // working.AT_ONCE_PER_WEBHOOK + 2
    async with receiver(lambda _: None) as stalled, receiver(name="localhost") as partner:
        for _ in range(count):
            hook = await scene.hook(stalled)
            for _ in range(working.AT_ONCE_PER_WEBHOOK):
                await change(scene, hook)
        other = await scene.hook(partner)
        async with scene.working():
            await stalled.next(working.AT_ONCE_PER_HOST)
            await change(scene, other)
            await partner.next()
            assert len(stalled.received) == working.AT_ONCE_PER_HOST
            stalled.hang_up()


async def test_failing_webhooks_leave_places_to_the_others_however_many_hosts_they_have(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "AT_ONCE_FAILING", 1)
    async with receiver(lambda _: None) as stalled, receiver() as partner:
        for url in (stalled.url, stalled.url.replace("127.0.0.1", "localhost")):
            await change(scene, await scene.hook(url))
        await scene.execute("UPDATE webhook SET failing_since = now()")
        hook = await scene.hook(partner)
        await change(scene, hook)
        async with scene.working():
            await stalled.next()
            await partner.next()
            await change(scene, hook)
            await partner.next(2)
            assert len(stalled.received) == 1
            stalled.hang_up()


async def test_an_answer_that_does_not_come_is_a_failure() -> None:
    async with receiver(lambda _: None) as stalled:
        outcome = await sending.Sender(private=True).send(stalled.url, "{}", {}, seconds=0.2)
        assert outcome == sending.Outcome(error=WebhookFailure.TIMED_OUT)
    assert (sending.CONNECT_SECONDS, sending.TOTAL_SECONDS) == (5, 15)
    assert working.GRACE_SECONDS + sending.TOTAL_SECONDS < 60


async def test_what_cannot_be_connected_is_tried_again(scene: Scene) -> None:
    async with receiver() as partner:
        pass
    hook = await scene.hook(partner)
    await change(scene, hook)
    assert await scene.send() == 1
    (delivery,) = await scene.deliveries()
    assert (delivery.state, delivery.last_error) == (QUEUED, WebhookFailure.NOT_CONNECTED)
    assert delivery.last_status is None


def start_worker(scene: Scene) -> subprocess.Popen[bytes]:
    """The operator's worker, as a process of its own."""
    assert scene.settings.database_url is not None
    own = {
        "DATABASE_URL": scene.settings.database_url.get_secret_value(),
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
        "LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "app", "webhooks", "work"]
    return subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE)


async def test_a_worker_killed_amid_deliveries_loses_none(scene: Scene) -> None:
    async with receiver(lambda _: None) as partner:
        hook = await scene.hook(partner)
        for _ in range(3):
            await change(scene, hook)
        process = start_worker(scene)
        try:
            await partner.next(3)
        finally:
            process.kill()
            process.communicate()
        first = {got.id for got in partner.received}
        assert len(first) == 3
        # Under their lease, they are left alone.
        assert await scene.send() == 0
        assert all(50 < wait <= 60 for wait in await scene.pauses())
        partner.answer = lambda _: "200 OK"
        assert await scene.send_again() == 3
        assert {got.id for got in partner.received[3:]} == first
    assert {one.state for one in await scene.deliveries()} == {DELIVERED}


async def test_a_worker_that_is_told_to_end_ends_cleanly(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        process = start_worker(scene)
        await partner.next()

        async def written() -> bool:
            return [one.state for one in await scene.deliveries()] == [DELIVERED]

        await until(written)
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0
    assert b"webhook delivered" in output
    assert hook.secret.encode() not in output and hook.secret[6:].encode() not in output
    assert b"/hooks" not in output


async def test_many_workers_send_each_delivery_once(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        for _ in range(20):
            await change(scene, hook)
        assert sum(await asyncio.gather(*(scene.send() for _ in range(4)))) == 20
    assert len({got.id for got in partner.received}) == len(partner.received) == 20


async def test_a_result_that_comes_after_the_lease_was_lost_does_not_count(scene: Scene) -> None:
    held: list[asyncio.Task[Any]] = []
    async with receiver(lambda _: None) as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        held.append(asyncio.create_task(scene.send()))
        await partner.next()
        partner.answer = lambda _: "200 OK"
        assert await scene.send_again() == 1
        (before,) = await scene.deliveries()
        assert (before.state, before.attempts) == (DELIVERED, 2)
        partner.hang_up()
        await held[0]
        (after,) = await scene.deliveries()
    assert (after.state, after.last_status, after.last_error) == (DELIVERED, 200, None)
    assert (await scene.row(hook)).failing_since is None


async def test_a_late_failure_does_not_end_the_lease_of_the_attempt_after_it(scene: Scene) -> None:
    async with receiver(lambda _: None) as first, receiver(lambda _: None) as second:
        hook = await scene.hook(first)
        await change(scene, hook)
        late = asyncio.create_task(scene.send())
        await first.next()
        await hook.place.primary.succeed("updateWebhook", webhookId=hook.id, url=second.url)
        under_way = asyncio.create_task(scene.send_again())
        await second.next()
        first.hang_up()
        await late
        (delivery,) = await scene.deliveries()
        assert (delivery.attempts, delivery.last_error) == (2, None)
        assert [50 < wait <= 60 for wait in await scene.pauses()] == [True]
        second.hang_up()
        await under_way
    (delivery,) = await scene.deliveries()
    assert (delivery.attempts, delivery.last_error) == (2, WebhookFailure.NO_ANSWER)


async def test_what_is_due_is_not_sent_through_an_inactive_webhook(scene: Scene) -> None:
    """As when a delivery is sent again at the moment in which its webhook is disabled."""
    async with receiver() as partner:
        hook = await scene.hook(partner)
        await hook.place.primary.succeed("updateWebhook", webhookId=hook.id, active=False)
        row = await scene.row(hook)
        await scene.world.add(delivery_row(row, next_attempt_at=datetime.now(UTC)))
        assert await scene.send() == 0
        assert partner.connections == 0


async def test_a_request_is_one_of_http(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        await hook.place.primary.succeed("pingWebhook", webhookId=hook.id)
        await scene.send()
    assert sorted(partner.received[0].names) == [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ]


async def test_a_webhook_deleted_amid_its_delivery_is_gone(scene: Scene) -> None:
    async with receiver(lambda _: None) as partner:
        hook = await scene.hook(partner)
        await change(scene, hook)
        task = asyncio.create_task(scene.send())
        await partner.next()
        await hook.place.primary.succeed("deleteWebhook", webhookId=hook.id)
        partner.hang_up()
        assert await task == 1
    assert await scene.deliveries() == []


async def test_old_deliveries_are_deleted_but_for_those_that_wait(scene: Scene) -> None:
    async with receiver() as partner:
        paused = await scene.hook(partner)
        await change(scene, paused)
        await paused.place.primary.succeed("updateWebhook", webhookId=paused.id, active=False)
        hook = await scene.hook(partner)
        for _ in range(3):
            await change(scene, hook)
        await scene.send()
        await scene.execute("UPDATE webhook_delivery SET created_at = now() - interval '31 days'")
        await change(scene, hook)
        await scene.execute(
            "UPDATE webhook_delivery SET created_at = now() - interval '31 days',"
            " next_attempt_at = now() + interval '1 hour' WHERE state = 'QUEUED' AND next_attempt_at <= now()"
        )
        await change(scene, hook)
        await scene.send()

        async def purged() -> bool:
            return len(await scene.deliveries(hook)) == 2

        async with scene.working():
            await until(purged)
    assert [one.state for one in await scene.deliveries(hook)] == [QUEUED, DELIVERED]
    assert [one.state for one in await scene.deliveries(paused)] == [QUEUED]


async def test_the_server_sends_by_itself_unless_others_do(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        for works in (False, True):
            app = create_app(scene.settings.model_copy(update={"webhook_worker": works}))
            async with app.router.lifespan_context(app):
                if works:
                    await partner.next()
                else:
                    await change(scene, hook)
                    assert await ears(scene) == []
            assert len(partner.received) == works
        assert await ears(scene) == []
