"""The operator's commands for webhooks."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.config import Settings
from app.query.ids import write_id
from app.webhook_rules import WebhookDeliveryState
from tests.receiver import receiver
from tests.sending import Hook, Scene
from tests.sending import scene as make_scene
from tests.test_cli import run
from tests.world import CONTACT

QUEUED, DELIVERED, DEAD = WebhookDeliveryState


@pytest.fixture
async def scene(server_url: str, template: str, settings: Settings) -> AsyncIterator[Scene]:
    async with make_scene(server_url, template, settings) as made:
        yield made


async def command(scene: Scene, words: str, expected: int = 0) -> list[str]:
    """The lines that a command says."""
    assert scene.settings.database_url is not None
    environment = {
        "DATABASE_URL": scene.settings.database_url.get_secret_value(),
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
    }
    said = await asyncio.to_thread(run, f"webhooks {words}", environment, expected)
    return said.strip().splitlines()


async def fail_for_good(scene: Scene, hook: Hook, count: int = 1) -> None:
    """Have deliveries that are dead."""
    for _ in range(count):
        await hook.place.primary.succeed("createContact", siteId=hook.place.id, **CONTACT)
    await scene.execute(
        "UPDATE webhook_delivery SET state = 'DEAD', next_attempt_at = NULL, attempts = 10,"
        " last_error = 'BAD_STATUS', last_status = 500 WHERE state = 'QUEUED'"
    )


async def test_every_command_explains_itself(scene: Scene) -> None:
    overview = " ".join(await command(scene, "--help"))
    for name in ("work", "list", "retry"):
        assert name in overview
        assert len(" ".join(await command(scene, f"{name} --help")).split()) > 15


async def test_what_is_due_is_sent_once(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        await hook.place.primary.succeed("pingWebhook", webhookId=hook.id)
        assert (await command(scene, "work --once"))[-1] == "1 attempts."
        assert (await command(scene, "work --once"))[-1] == "0 attempts."
    assert [got.payload["type"] for got in partner.received] == ["ping"]
    assert partner.received[0].signed_by(hook.secret)


async def test_deliveries_are_listed_by_site_and_state(scene: Scene) -> None:
    hook, other = (
        await scene.hook("https://partner.example/x?token=abc"),
        await scene.hook("https://b.example/"),
    )
    await fail_for_good(scene, hook)
    await other.place.primary.succeed("pingWebhook", webhookId=other.id)
    newest, oldest, total = await command(scene, "list")
    (row,) = await scene.deliveries(hook)
    assert oldest.split() == [
        write_id("webhook_delivery", row.id),
        hook.place.number,
        "partner.example",
        "CONTACT_CREATED",
        "DEAD",
        "10x",
        "BAD_STATUS",
        "500",
    ]
    assert newest.split()[1:] == [other.place.number, "b.example", "PING", "QUEUED", "0x", "-", "-"]
    assert total == "2 deliveries."
    assert await command(scene, "list --state DEAD") == [oldest, "1 deliveries."]
    assert await command(scene, f"list --site {other.place.number.lower()}") == [newest, "1 deliveries."]
    assert await command(scene, "list --site NONE") == ["0 deliveries."]
    assert await command(scene, "list --limit 1") == [newest, "1 deliveries."]


async def test_dead_deliveries_are_sent_again(scene: Scene) -> None:
    async with receiver() as partner:
        hook, other = await scene.hook(partner), await scene.hook(partner)
        await fail_for_good(scene, hook, 3)
        await fail_for_good(scene, other)
        first = await scene.deliveries(hook)
        chosen = write_id("webhook_delivery", first[0].id)
        assert await command(scene, f"retry {chosen}") == ["1 deliveries are queued again."]
        assert [one.state for one in await scene.deliveries(hook)] == [QUEUED, DEAD, DEAD]
        assert await command(scene, f"retry --site {hook.place.number}") == ["2 deliveries are queued again."]
        assert [one.state for one in await scene.deliveries(other)] == [DEAD]
        assert await scene.send() == 3
        assert {got.id for got in partner.received} == {write_id("webhook_delivery", one.id) for one in first}
        assert await command(scene, "retry") == ["1 deliveries are queued again."]
        assert await command(scene, "retry") == ["0 deliveries are queued again."]
        assert await command(scene, f"retry {chosen}") == ["1 deliveries are queued again."]
        assert await scene.send() == 2


async def test_what_belongs_to_an_inactive_webhook_waits_until_it_is_active(scene: Scene) -> None:
    async with receiver() as partner:
        hook = await scene.hook(partner)
        await fail_for_good(scene, hook)
        await hook.place.primary.succeed("updateWebhook", webhookId=hook.id, active=False)
        assert await command(scene, "retry") == ["1 deliveries are queued again."]
        assert await scene.send() == 0
        await hook.place.primary.succeed("updateWebhook", webhookId=hook.id, active=True)
        assert await scene.send() == 1


async def test_what_is_no_id_of_a_delivery_changes_nothing(scene: Scene) -> None:
    hook = await scene.hook("https://partner.example/")
    await fail_for_good(scene, hook)
    (row,) = await scene.deliveries()
    right = write_id("webhook_delivery", row.id)
    said = await command(scene, f"retry {right} {hook.id}", expected=1)
    assert "ids of deliveries" in said[-1]
    await command(scene, "list --state LOST", expected=2)
    assert [one.state for one in await scene.deliveries()] == [DEAD]
