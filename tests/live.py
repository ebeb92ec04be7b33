"""Real servers with subscribers: over WebSocket, and by server-sent events."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import uvicorn
from httpx2 import AsyncClient, Response
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.http_protocol import HttpProtocol
from app.live.subscriptions import Subscriptions
from app.websocket_protocol import WebSocketProtocol
from tests.world import Place

PATIENCE = 20.0
"""Seconds after which a test fails that waits in vain."""
PROTOCOL = Subprotocol("graphql-transport-ws")
EVENTS = {"Accept": "text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Server:
    """A running server, and its application."""

    address: str
    app: Starlette
    connections: Set[Any] = frozenset()
    """The protocols of those that are open."""

    @property
    def subscriptions(self) -> Subscriptions:
        """Those of this process."""
        subscriptions: Subscriptions = self.app.routes[0].endpoint.subscriptions  # type: ignore[attr-defined]
        return subscriptions

    def client(self) -> AsyncClient:
        """Speaks HTTP with it. The certificates of the system take long to load, and there is no TLS here."""
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return AsyncClient(base_url=f"http://{self.address}", timeout=PATIENCE, verify=no_certificates)

    def listeners(self, place: Place) -> int:
        """How many listen to a site."""
        topic = self.subscriptions.feed.topics.get(place.site_id)
        return len(topic.subscribers) if topic else 0

    async def heard_by(self, place: Place, number: int = 1) -> None:
        """Wait until so many listen to a site; the protocols have no message that says so."""
        await until(lambda: self.listeners(place) == number)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextmanager
def running(app: Starlette, **options: Any) -> Iterator[Server]:
    """The application behind the server that it runs with, on a port of its own."""
    # The socket listens before the server runs, so that no request comes too early.
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # The kernel takes little in advance of who takes nothing.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(f"127.0.0.1:{listener.getsockname()[1]}", app, server.server_state.connections)
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Socket:
    """A WebSocket, after the handshake. Messages of operations wait here until they are asked for."""

    plug: ClientConnection
    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.plug.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """The next message, whatever it is about."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.plug.recv())
            return message

    async def initialise(self, token: str | None = None) -> None:
        """Say who calls."""
        payload = {"authorization": f"Bearer {token}"} if token else {}
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def begin(self, id: str, query: str, **variables: Any) -> None:
        """Ask for an operation."""
        await self.send(id=id, type="subscribe", payload={"query": query, "variables": variables})

    async def of(self, id: str) -> dict[str, Any]:
        """The next message about an operation."""
        while not self.waiting.get(id):
            message = await self.receive()
            self.waiting.setdefault(message["id"], []).append(message)
        return self.waiting[id].pop(0)

    async def next(self, id: str = "1") -> dict[str, Any]:
        """The data of the next result of an operation, in which nothing went wrong."""
        message = await self.of(id)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        data: dict[str, Any] = message["payload"]["data"]
        return data

    async def refusal(self, id: str = "1") -> str:
        """The code of the error with which an operation ends."""
        message = await self.of(id)
        assert message["type"] == "error", message
        code: str = message["payload"][0]["extensions"]["code"]
        return code

    async def closed(self) -> tuple[int, str]:
        """Code and reason with which the server closes the socket."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason


@asynccontextmanager
async def plugged(
    server: Server, headers: Mapping[str, str] | None, *protocols: str, **options: Any
) -> AsyncIterator[Socket]:
    """A WebSocket of one's own, for one of these protocols."""
    spoken = [Subprotocol(protocol) for protocol in protocols] or None
    url = f"ws://{server.address}/graphql"
    async with connect(url, subprotocols=spoken, additional_headers=headers, **options) as plug:
        yield Socket(plug)


@asynccontextmanager
async def joined(server: Server, token: str | None, **options: Any) -> AsyncIterator[Socket]:
    """A WebSocket of somebody."""
    async with plugged(server, None, PROTOCOL, **options) as socket:
        await socket.initialise(token)
        yield socket


@dataclass
class Stream:
    """Server-sent events, as they come."""

    response: Response
    lines: AsyncIterator[str]

    async def event(self) -> tuple[str, Any]:
        """The next event: its name, and its data."""
        found: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self.lines:
                if not line and found:
                    break
                name, _, value = line.partition(":")
                if name:
                    found[name] = value.removeprefix(" ")
        return found["event"], json.loads(found["data"]) if found["data"] else None

    async def next(self) -> dict[str, Any]:
        """The data of the next result, in which nothing went wrong."""
        name, payload = await self.event()
        assert name == "next" and "errors" not in payload, (name, payload)
        data: dict[str, Any] = payload["data"]
        return data

    async def refusal(self) -> str:
        """The code of the error with which the stream ends."""
        name, payload = await self.event()
        assert name == "next" and "data" not in payload, (name, payload)
        assert await self.event() == ("complete", None)
        code: str = payload["errors"][0]["extensions"]["code"]
        return code


@asynccontextmanager
async def streaming(
    server: Server,
    token: str | None,
    query: str,
    method: str = "POST",
    accept: str = "text/event-stream",
    **variables: Any,
) -> AsyncIterator[Stream]:
    """An operation whose answers come as server-sent events."""
    headers = EVENTS | {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
    asked: dict[str, Any] = {"query": query, "variables": variables}
    if method == "POST":
        sent: dict[str, Any] = {"json": asked}
    else:
        sent = {"params": asked | {"variables": json.dumps(variables)}}
    async with (
        server.client() as client,
        client.stream(method, "/graphql", headers=headers, **sent) as response,
    ):
        yield Stream(response, response.aiter_lines())
