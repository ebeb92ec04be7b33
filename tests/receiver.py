"""Receivers of webhooks as partners run them: real HTTP on the loopback, signatures checked by other means."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from uuid_utils.compat import uuid7

from app.db.webhooks import Webhook, WebhookDelivery
from tests.world import Place


def webhook_row(place: Place, url: str = "https://example.com/hook", slot: int = 1, **values: Any) -> Webhook:
    """A webhook as the database has it."""
    kept = {"events": [], "active": True, "created_by_id": place.primary.user_id}
    return Webhook(id=uuid7(), site_id=place.site_id, url=url, slot=slot, **kept | values)


def delivery_row(webhook: Webhook, **values: Any) -> WebhookDelivery:
    """A ping as the database has it, not to be sent before somebody asks for it."""
    kept = {"payload": '{"type":"ping"}'}
    return WebhookDelivery(id=uuid7(), site_id=webhook.site_id, webhook_id=webhook.id, **kept | values)


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What tells deliveries apart."""
        return self.headers["webhook-id"]

    @property
    def payload(self) -> dict[str, Any]:
        """The body."""
        payload: dict[str, Any] = json.loads(self.body)
        return payload

    def signed_by(self, secret: str) -> bool:
        """Whether one of the signatures was made with the secret, as the specification has it."""
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


Answer = Callable[[Received], str | None]
"""What to answer, as status line and headers; nothing to never answer."""


@dataclass
class Receiver:
    """A web server that writes down what it gets, and answers 204 or as it is told."""

    answer: Answer = lambda _: "204 No Content"
    received: list[Received] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    name: str = "127.0.0.1"
    connections: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _held: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://{self.name}:{self.port}/hooks?tool=1"

    async def next(self, count: int = 1) -> list[Received]:
        """All requests, as soon as there are so many."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return list(self.received)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with one request."""
        self.connections += 1
        self._held.add(writer)
        try:
            request = await _read(reader)
            answer = self.answer(request)
            async with self._changed:
                self.received.append(request)
                self._changed.notify_all()
            if answer is None:
                await reader.read()
            else:
                writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._held.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Break every open connection."""
        for writer in list(self._held):
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    names = tuple(line.partition(":")[0].lower() for line in lines)
    return Received(method, path, headers, body, names)


@asynccontextmanager
async def receiver(
    answer: Answer | None = None, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1"
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback."""
    made = Receiver(name=name, scheme="https" if tls else "http", **({"answer": answer} if answer else {}))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.hang_up()
        await server.wait_closed()
