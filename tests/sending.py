"""A database of its own for webhooks that are really sent, so that no other test's deliveries are in the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.engine import create_engine
from app.db.webhooks import Webhook, WebhookDelivery
from app.query.ids import parse_id
from app.server import create_app
from app.webhooks.sender import Sender
from app.webhooks.worker import Worker
from tests.conftest import administer, in_database
from tests.receiver import Receiver
from tests.world import Place, World


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again whether a condition holds, for twenty seconds at most."""
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.to_thread(threading.Event().wait, 0.02)


@dataclass(frozen=True)
class Hook:
    """A webhook as its manager knows it."""

    id: str
    secret: str
    place: Place


@dataclass(frozen=True)
class Scene:
    """An application over an empty database, whose webhooks may lead to the loopback."""

    world: World
    settings: Settings
    database: AsyncEngine

    async def hook(self, url: str | Receiver, place: Place | None = None, **input: Any) -> Hook:
        """A webhook made through the API."""
        place = place or await self.world.site()
        where = url if isinstance(url, str) else url.url
        given = {"siteId": place.id, "url": where, "events": [], **input}
        payload = await place.primary.succeed("createWebhook", "webhook { id } secret", **given)
        return Hook(payload["webhook"]["id"], payload["secret"], place)

    def worker(self, sender: Sender | None = None) -> Worker:
        """A worker that may reach the loopback."""
        return Worker(self.settings, self.database, sender or Sender(private=True))

    async def send(self, sender: Sender | None = None) -> int:
        """Have a worker send what is due; how many attempts that took."""
        worker = self.worker(sender)
        count = await worker.once()
        await worker.close()
        return count

    async def send_again(self) -> int:
        """The same, as if the pauses were over."""
        await self.execute(
            "UPDATE webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at > now()"
        )
        return await self.send()

    async def execute(self, statement: str, **values: Any) -> None:
        """Run a statement with the rights of the server."""
        async with self.database.begin() as connection:
            await connection.execute(text(statement), values)

    async def deliveries(self, hook: Hook | None = None) -> list[WebhookDelivery]:
        """The deliveries (of a webhook), oldest first."""
        of_hook = [] if hook is None else [WebhookDelivery.webhook_id == (parse_id(hook.id) or ("", None))[1]]
        rows = await self.world.rows(WebhookDelivery, *of_hook)
        return sorted(rows, key=lambda row: (row.created_at, row.id))

    async def row(self, hook: Hook) -> Webhook:
        """A webhook as it is in the database."""
        (row,) = await self.world.rows(Webhook, Webhook.id == (parse_id(hook.id) or ("", None))[1])
        return row

    async def pauses(self) -> list[float]:
        """Seconds until each queued delivery is attempted next."""
        now = datetime.now(UTC)
        return [
            (row.next_attempt_at - now).total_seconds()
            for row in await self.deliveries()
            if row.next_attempt_at
        ]

    @asynccontextmanager
    async def working(self, worker: Worker | None = None) -> AsyncIterator[Worker]:
        """A worker that runs by itself."""
        worker = worker or self.worker()
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await task


@asynccontextmanager
async def scene(server_url: str, template: str, settings: Settings) -> AsyncIterator[Scene]:
    """A scene of one test."""
    name = f"webhooks_{uuid4().hex}"
    await administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    own = settings.model_copy(
        update={
            "database_url": type(settings.database_url)(in_database(server_url, name)),
            "webhook_private_addresses": True,
        }
    )
    application, database = create_app(own), create_engine(in_database(server_url, name), own)
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client,
    ):
        yield Scene(World(database, client, own), own, database)
    await database.dispose()
    await administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")
