"""The load generator: a fixed number of keep-alive connections, each asking anew as soon as it was answered."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import quantiles

CONCURRENCY = 8
HOST = "127.0.0.1"
FAILURE = (b'"errors":[{', b'"errors": [{')
Make = Callable[[int], bytes]
"""The request of a turn, as it goes over the wire."""


class Failed(Exception):
    """A server answered something else than it should."""


@dataclass(frozen=True)
class Timing:
    """What the clients saw in one measurement."""

    latencies: list[float]
    elapsed: float

    @property
    def requests(self) -> int:
        """How many were answered."""
        return len(self.latencies)

    @property
    def per_second(self) -> float:
        """Throughput."""
        return self.requests / self.elapsed

    def percentile(self, percent: int) -> float:
        """The latency in milliseconds that so many per cent of the requests stayed below."""
        if self.requests < 2:
            return self.latencies[0] * 1000
        return quantiles(self.latencies, n=100, method="inclusive")[percent - 1] * 1000


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with one request at a time; answers must have a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self.transport = transport
        self.received = bytearray()
        self.end = 0
        self.answered: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Collect the answer until it is whole."""
        self.received += data
        if not self.end:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return
            self.start, self.end = head + 4, head + 4 + _length(bytes(self.received[:head]))
        if len(self.received) >= self.end and self.answered and not self.answered.done():
            self.answered.set_result(bytes(self.received))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        if self.answered and not self.answered.done():
            self.answered.set_exception(error or Failed("the server closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises Failed unless it is a success without errors."""
        self.received.clear()
        self.end = 0
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        answer = await self.answered
        body = answer[self.start : self.end]
        if not answer.startswith(b"HTTP/1.1 200") or any(mark in body for mark in FAILURE):
            raise Failed(answer[:2000].decode(errors="replace"))
        return body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Failed(f"no Content-Length in {head.decode(errors='replace')}")


def post(path: str, body: bytes, token: str | None = None) -> bytes:
    """A request as it goes over the wire."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
        f"{authorization}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def connect(port: int) -> Connection:
    """A new connection."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


async def ask(port: int, request: bytes) -> bytes:
    """One request over a connection of its own."""
    connection = await connect(port)
    try:
        async with asyncio.timeout(60):
            return await connection.ask(request)
    finally:
        connection.transport.close()


async def run(port: int, make: Make, turns: Iterator[int], seconds: float) -> Timing:
    """Ask for so many seconds, and wait for what is under way then."""
    connections = [await connect(port) for _ in range(CONCURRENCY)]
    latencies: list[float] = []
    begin = time.perf_counter()

    async def client(connection: Connection) -> None:
        for turn in turns:
            request = make(turn)
            asked = time.perf_counter()
            if asked - begin >= seconds:
                return
            await connection.ask(request)
            latencies.append(time.perf_counter() - asked)

    try:
        async with asyncio.timeout(seconds + 60):
            await asyncio.gather(*map(client, connections))
    finally:
        for connection in connections:
            connection.transport.close()
    return Timing(latencies, time.perf_counter() - begin)


def endless() -> Iterator[int]:
    """Turns that never come twice."""
    return itertools.count(1)
