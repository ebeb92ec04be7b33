"""Clients on the wire that take nothing of what they are sent, or cannot: what is kept for them has an end."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from app.config import Settings
from app.server import create_app
from app.websocket_protocol import WebSocketProtocol
from tests.live import PATIENCE, PROTOCOL, Server, plugged, running, until

TEXT, CLOSE, PING = 0x81, 0x88, 0x89
FIRST_PART, PART, LAST_PART = 0x01, 0x00, 0x80
UPGRADE = (
    "GET /graphql HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
)
EVENTS = "Accept: text/event-stream\r\nContent-Type: application/json\r\n"
QUERY = '{"query": "{ __typename }"}'


def frame(kind: int, payload: bytes) -> bytes:
    """A short frame as a client sends it; its mask changes nothing."""
    return struct.pack("!BBI", kind, 0x80 | len(payload), 0) + payload


@dataclass
class Wire:
    """A connection, of which nothing is read but what is asked for."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Write."""
        self.writer.writelines(parts)
        async with asyncio.timeout(PATIENCE):
            await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@asynccontextmanager
async def wire(server: Server) -> AsyncIterator[Wire]:
    """A connection of one's own."""
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def upgraded(server: Server) -> AsyncIterator[Wire]:
    """The same after the handshake of a WebSocket."""
    async with wire(server) as plug:
        await plug.send(UPGRADE.encode())
        assert b" 101 " in await plug.reader.readuntil(b"\r\n\r\n")
        yield plug


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server that asks soon whether somebody is still there."""
    with running(create_app(settings), ws_ping_interval=0.3, ws_ping_timeout=0.1) as server:
        yield server


@pytest.fixture(scope="module")
def patient(settings: Settings) -> Iterator[Server]:
    """A server that does not ask."""
    with running(create_app(settings), ws_ping_interval=None) as server:
        yield server


async def test_pings_whose_answers_nobody_takes_are_not_all_answered(patient: Server) -> None:
    pings = frame(PING, b"x" * 100) * 200
    async with upgraded(patient) as plug:
        for _ in range(200):
            await plug.send(pings)
        await plug.send(frame(PING, b"the last"), frame(CLOSE, struct.pack("!H", 1000)))
        answers = await plug.rest()
    assert 0 < answers.count(b"x" * 100) < 20_000
    assert b"\x8a\x08the last" in answers


async def test_parts_with_nothing_in_them_are_not_kept(patient: Server) -> None:
    async with upgraded(patient) as plug:
        await plug.send(frame(FIRST_PART, b'{"type":'), frame(PART, b"") * 1_000, frame(PING, b""))
        assert await plug.reader.readexactly(2) == b"\x8a\x00"
        [kept] = [kept for kept in patient.connections if isinstance(kept, WebSocketProtocol)]
        assert len(kept.frames) == 1
        await plug.send(frame(PART, b' "ping"'), frame(PART, b""), frame(LAST_PART, b"}"))
        assert await plug.reader.readexactly(17) == b'\x81\x0f{"type":"pong"}'
        await plug.send(frame(CLOSE, b""))
        assert await plug.rest() == b"\x88\x00"


async def test_who_sleeps_can_come_back(server: Server) -> None:
    """The code is one after which graphql-ws does: not the 1011 of who has broken something."""
    async with upgraded(server) as plug:
        told = await plug.rest()
        assert told.endswith(b"\x88\x15\x03\xe9No answer to a ping")
    async with plugged(server, None, PROTOCOL) as socket:
        await socket.initialise()
        await asyncio.wait_for(await socket.plug.ping(), PATIENCE)
    await until(lambda: not server.connections)


@pytest.mark.parametrize("accept", ["Accept: application/json\r\n", "Accept: text/event-stream\r\n"])
async def test_who_knows_no_chunks_is_sent_none(patient: Server, accept: str) -> None:
    asked = f"POST /graphql HTTP/1.0\r\n{accept}Content-Type: application/json\r\nContent-Length: {len(QUERY)}\r\n\r\n"
    async with wire(patient) as line:
        await line.send(asked.encode(), QUERY.encode())
        head, _, body = (await line.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    data = b'{"data":{"__typename":"Query"}}'
    assert body == (
        data if "json" in accept else b"event: next\ndata: %b\n\nevent: complete\ndata:\n\n" % data
    )
