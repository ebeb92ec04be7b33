"""A pooler in transaction mode, at its worst: each transaction runs on another connection than the one before.

It does to a session what PgBouncer does, with three connections for each client, which take turns.
"""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread

from sqlalchemy.engine import URL

from app.db.engine import async_url

PASSED_ON = {"user", "database", "client_encoding", "application_name"}
"""What PgBouncer passes on of what a client says when it connects, or a part of it."""
SSL, CANCELLATION = 80877103, 80877102
SYNC = b"S\0\0\0\4"
GONE = (OSError, asyncio.IncompleteReadError)


async def message_from(reader: StreamReader) -> tuple[bytes, bytes]:
    """The next message of the protocol: its kind, and the whole of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


async def startup_from(reader: StreamReader, writer: StreamWriter) -> tuple[int, dict[str, str]]:
    """What a client says when it connects, in the clear."""
    while True:
        body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        code, words = int.from_bytes(body[:4]), body[4:].decode().split("\0")
        if code != SSL:
            return code, dict(zip(words[::2], words[1::2], strict=False))
        writer.write(b"N")


def packed(kind: bytes, body: bytes) -> bytes:
    """A message of the protocol."""
    return kind + (len(body) + 4).to_bytes(4) + body


@dataclass
class Backend:
    """One of the connections to the database."""

    reader: StreamReader
    writer: StreamWriter
    unheard: int = 0
    """How many answers are for nobody."""


@dataclass
class Session:
    """What one client is connected to."""

    backends: list[Backend]
    client: StreamWriter
    keeps_statements: bool
    idle: bool = True

    async def from_client(self, reader: StreamReader) -> None:
        """Pass on what the client says, each transaction to the next connection."""
        while (message := await message_from(reader))[0] != b"X":
            kind, whole = message
            if self.idle:
                self.idle = False
                self.backends.append(self.backends.pop(0))
            if kind == b"P" and whole[5] and self.keeps_statements:
                # A statement with a name is there on all connections.
                for other in self.backends[1:]:
                    other.unheard += 1
                    other.writer.write(whole + SYNC)
            self.backends[0].writer.write(whole)

    async def to_client(self, backend: Backend) -> None:
        """Pass on what is answered, and see when a transaction is over."""
        while True:
            kind, whole = await message_from(backend.reader)
            if backend.unheard:
                backend.unheard -= kind == b"Z"
                continue
            self.idle = self.idle or (kind, whole[-1:]) == (b"Z", b"I")
            self.client.write(whole)


@dataclass(frozen=True)
class Pooler:
    """Where it leads to, and what it can do."""

    open: Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]
    ignores_the_rest: bool
    keeps_statements: bool

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Be the database for one client."""
        opened: list[StreamWriter] = [writer]
        with suppress(*GONE, asyncio.CancelledError):
            code, said = await startup_from(reader, writer)
            refused = [name for name in said if name and name not in PASSED_ON]
            if refused and not self.ignores_the_rest:
                fault = f"SFATAL\0C08P01\0Munsupported startup parameter: {refused[0]}\0\0"
                writer.write(packed(b"E", fault.encode()))
            elif code != CANCELLATION:
                session = Session([], writer, self.keeps_statements)
                for _ in range(3):
                    session.backends.append(Backend(*await self.open()))
                    opened.append(session.backends[-1].writer)
                await self.greet(code, said, session)
                answers = [asyncio.create_task(session.to_client(each)) for each in session.backends]
                try:
                    await session.from_client(reader)
                finally:
                    for task in answers:
                        task.cancel()
                    await asyncio.gather(*answers, return_exceptions=True)
        for each in opened:
            each.close()

    async def greet(self, code: int, said: dict[str, str], session: Session) -> None:
        """Connect to the database so often, and show the client one of the connections."""
        kept = "".join(f"{name}\0{value}\0" for name, value in said.items() if name in PASSED_ON)
        for backend in session.backends:
            startup = code.to_bytes(4) + kept.encode() + b"\0"
            backend.writer.write((len(startup) + 4).to_bytes(4) + startup)
            kind = b""
            while kind != b"Z":
                kind, whole = await message_from(backend.reader)
                if backend is session.backends[0]:
                    session.client.write(whole)

    async def run(self, listener: socket.socket, started: "Future[Callable[[], None]]") -> None:
        """Serve until what `started` is given is called."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.serve, sock=listener)
        started.set_result(lambda: loop.call_soon_threadsafe(stopped.set) and None)
        await stopped.wait()
        server.close()


def way_to(target: URL) -> Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]:
    """How a connection to a server is opened, through a socket of the system or of the network."""
    folder, port = target.query.get("host"), target.port or 5432
    if folder:
        return lambda: asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
    return lambda: asyncio.open_connection(target.host, port)


@contextmanager
def pooler(url: str, ignores_the_rest: bool = True, keeps_statements: bool = True) -> Iterator[str]:
    """A pooler before a database; the URL of the database behind it."""
    listener, target = socket.create_server(("127.0.0.1", 0)), async_url(url)
    itself, started = Pooler(way_to(target), ignores_the_rest, keeps_statements), Future[Callable[[], None]]()
    # Commands have event loops of their own, so it needs one as well.
    thread = Thread(target=lambda: asyncio.run(itself.run(listener, started)))
    thread.start()
    stop = started.result()
    try:
        behind = target.set(host="127.0.0.1", port=listener.getsockname()[1], query={})
        yield behind.render_as_string(hide_password=False)
    finally:
        stop()
        thread.join()
