"""What only shows on a real connection: framing, haste, and clients that lie about a body or leave in the middle."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Queue
from select import select
from threading import Event, Thread
from typing import Any, BinaryIO
from uuid import uuid4

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from app.config import Settings
from app.http_protocol import HttpProtocol
from app.server import create_app

QUERY = b'{"query": "{ __typename }"}'
DATA = {"data": {"__typename": "Query"}}
POST = b"POST /graphql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
GET = b" /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: test\r\n\r\n"
HOST = b"Host: test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
WAITING = POST + b"X-Wait: yes\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
UPGRADES = [H2C, b"Connection: keep-alive, Upgrade\r\nUpgrade: anything\r\nUpgrade: websocket, TLS/1.2\r\n"]
"""What some clients announce by themselves, and others may."""
WEBSOCKET = (
    b"GET /graphql HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
PATIENCE = 20.0
"""Seconds after which a test fails that waits in vain."""


@dataclass(frozen=True)
class Reply:
    """A response, read off a connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def is_refused(self, status: int, code: str = "BAD_USER_INPUT") -> None:
        """The client is told in a GraphQL error what it did."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/json"
        assert self.json()["errors"][0]["extensions"]["code"] == code
        assert self.headers["x-content-type-options"] == "nosniff"


@dataclass(frozen=True)
class Line:
    """A connection with the server."""

    plug: socket.socket
    incoming: BinaryIO

    def send(self, *parts: bytes) -> None:
        """Write, without waiting for an answer."""
        self.plug.sendall(b"".join(parts))

    def is_closed(self) -> bool:
        """Whether the server has nothing more to say; waits until it closes."""
        return self.incoming.read() == b""

    def reply(self, to_head: bool = False) -> Reply:
        """The next response."""
        status = int(self.incoming.readline().split()[1])
        headers = {}
        while line := self.incoming.readline().decode("latin-1").strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = 0 if to_head else int(headers.get("content-length", 0))
        return Reply(status, headers, self.incoming.read(length))


@dataclass
class Watched:
    """The application; with which status and error a request ended that names itself can be waited for."""

    app: Starlette
    gate: Event = field(default_factory=Event)
    ended: Queue[tuple[bytes, int, BaseException | None]] = field(default_factory=Queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and remember."""
        headers = dict(scope.get("headers", ()))
        name = headers.get(b"x-name")
        if b"x-wait" in headers:
            await asyncio.to_thread(self.gate.wait, PATIENCE)
        while b"x-listen" in headers and (await receive())["type"] != "http.disconnect":
            pass
        status, ending = 0, None

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except BaseException as error:
            ending = error
            raise
        finally:
            if name is not None:
                self.ended.put((name, status, ending))


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    app: Watched

    def has_read(self) -> None:
        """Wait until everything that was sent before has been read, since a request behind it is answered."""
        with self.line() as line:
            line.send(b"GET", GET)
            assert line.reply().json() == DATA

    def refuses(self, wrong: bytes) -> None:
        """What is wrong is refused, alone and behind a request that was answered, and ends the connection."""
        for before in (b"", b"GET" + GET):
            with self.line() as line:
                if before:
                    line.send(before)
                    assert line.reply().json() == DATA
                line.send(wrong)
                line.reply().is_refused(400)
                assert line.is_closed()

    @contextmanager
    def line(self) -> Iterator[Line]:
        """A connection of one's own."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as plug,
            plug.makefile("rb") as incoming,
        ):
            yield Line(plug, incoming)


class Echo(asyncio.Protocol):
    """What a connection is upgraded to: it sends back what comes, behind its own greeting."""

    def __init__(self, **_: Any) -> None:
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Send back."""
        self.transport.write(
            data if data.startswith(b"echo") else b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        )


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """The application behind the server that it runs with, on a port of its own."""
    with served(settings) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(settings: Settings) -> Iterator[Server]:
    """The same with little patience."""
    with served(settings.model_copy(update={"request_timeout": 0.4})) as server:
        yield server


@pytest.fixture(scope="module")
def sockets(settings: Settings) -> Iterator[Server]:
    """The same with WebSockets, instead of what only sends back."""
    with served(settings, ws="auto") as server:
        yield server


@contextmanager
def served(settings: Settings, ws: Any = Echo) -> Iterator[Server]:
    """A running server with these settings."""
    # The socket listens before the server runs, so that no request comes too early.
    listener = socket.create_server(("127.0.0.1", 0))
    watched = Watched(create_app(settings))
    config = uvicorn.Config(
        watched, log_config=None, access_log=False, http=HttpProtocol, ws=ws, server_header=False
    )
    running = uvicorn.Server(config)
    thread = Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(listener.getsockname()[1], watched)
    finally:
        running.should_exit = True
        thread.join()


def length(body: bytes | int) -> bytes:
    """The end of the headers of a body that is so long, or says so."""
    return b"Content-Length: %d\r\n\r\n" % (body if isinstance(body, int) else len(body))


def chunk(body: bytes) -> bytes:
    """A part of a chunked body; the empty one is the last."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def test_requests_sent_at_once_are_answered_in_their_order(server: Server) -> None:
    second = b'{"query": "{ second: __typename }"}'
    with server.line() as line:
        line.send(POST, length(QUERY), QUERY, POST, length(second), second)
        assert line.reply().json() == DATA
        assert line.reply().json() == {"data": {"second": "Query"}}


def test_a_refused_request_does_not_spoil_the_next_on_the_connection(server: Server) -> None:
    with server.line() as line:
        line.send(POST.replace(b"json", b"xml"), length(QUERY), QUERY)
        line.reply().is_refused(415)
        line.send(POST, length(200_000), b" " * 200_000)
        line.reply().is_refused(413)
        line.send(POST, length(QUERY), QUERY)
        assert line.reply().json() == DATA


def test_a_body_may_come_in_pieces(server: Server) -> None:
    with server.line() as line:
        line.send(POST, length(QUERY), QUERY[:5])
        line.send(QUERY[5:])
        assert line.reply().json() == DATA
        line.send(CHUNKED, *(chunk(QUERY[at : at + 1]) for at in range(len(QUERY))), chunk(b""))
        assert line.reply().json() == DATA


def test_a_body_that_never_ends_is_refused_at_the_limit(server: Server) -> None:
    with server.line() as line:
        line.send(CHUNKED, *(chunk(b" " * 1000) for _ in range(101)))
        line.reply().is_refused(413)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(server: Server) -> None:
    with server.line() as line:
        line.send(POST, b"Expect: 100-continue\r\n", length(10**12))
        line.reply().is_refused(413)


def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    with server.line() as line:
        line.send(POST, b"Expect: 100-continue\r\n", length(QUERY))
        assert line.reply().status == 100
        line.send(QUERY)
        assert line.reply().json() == DATA


def test_a_body_that_is_longer_than_it_says_is_cut_off(server: Server) -> None:
    with server.line() as line:
        line.send(POST, length(len(QUERY) - 1), QUERY)
        # By us, or by the server for what it takes for the next request.
        assert line.reply().status == 400


@pytest.mark.parametrize("start", [POST + length(1000), CHUNKED + b"3e8\r\n"], ids=["length", "chunked"])
@pytest.mark.parametrize("body", [b"", QUERY], ids=["nothing", "something"])
def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_ours(
    server: Server,
    start: bytes,
    body: bytes,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = uuid4().hex.encode()
    with server.line() as line:
        line.send(start.replace(b"Host", b"X-Name: " + name + b"\r\nHost", 1), body)
    # What came may look whole, and is not done all the same.
    assert server.app.ended.get(timeout=PATIENCE) == (name, 400, None)
    assert capsys.readouterr().out == ""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    with server.line() as line:
        line.send(POST, length(QUERY), QUERY)
        assert line.reply().json() == DATA


def test_head_has_the_headers_of_get_and_no_body(server: Server) -> None:
    with server.line() as line:
        line.send(b"HEAD", GET, b"GET", GET)
        head, get = line.reply(to_head=True), line.reply()
    assert get.json() == DATA
    assert (head.status, head.headers) == (200, get.headers | {"date": head.headers["date"]})
    assert head.headers["content-length"] == str(len(get.body))


def test_options_have_no_body(server: Server) -> None:
    with server.line() as line:
        line.send(b"OPTIONS", GET, b"GET", GET)
        assert line.reply().status == 204
        assert line.reply().json() == DATA


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "body", [length(QUERY) + QUERY, b"Transfer-Encoding: chunked\r\n\r\n" + chunk(QUERY) + chunk(b"")]
)
def test_a_get_with_a_body_is_refused(server: Server, method: bytes, body: bytes) -> None:
    with server.line() as line:
        line.send(method, GET[:-2], body)
        assert line.reply(to_head=method == b"HEAD").status == 400


def test_a_query_string_of_raw_bytes_is_refused(server: Server) -> None:
    with server.line() as line:
        line.send(b"GET", GET.replace(b"query=", "x=é&query=".encode()))
        assert line.reply().status == 400


@pytest.mark.parametrize("garbage", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\xa5", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_told_in_a_graphql_error(server: Server, garbage: bytes) -> None:
    server.refuses(garbage)


@pytest.mark.parametrize(
    "broken",
    [
        POST + b"Content-Length: many\r\n\r\n",
        POST + b"Bad Name: x\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        CHUNKED + b"zz\r\n",
    ],
)
def test_broken_framing_is_told_in_a_graphql_error(server: Server, broken: bytes) -> None:
    with server.line() as line:
        line.send(broken)
        line.reply().is_refused(400)
        assert line.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        GET.replace(HOST, b""),
        GET.replace(HOST, HOST + HOST),
        GET.replace(HOST, HOST + b"Host: other\r\n").replace(b"1.1", b"1.0"),
    ],
)
def test_who_names_no_host_or_two_is_told_so(
    server: Server, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for before in (b"", b"GET" + GET):
        with server.line() as line:
            line.send(before, b"GET", head)
            if before:
                assert line.reply().json() == DATA
            reply = line.reply()
            reply.is_refused(400)
            assert "Host" in reply.json()["errors"][0]["message"]
            assert line.is_closed()
        assert "Host" in caplog.messages[-1]


@pytest.mark.parametrize(
    "start",
    [
        b"P",
        POST,
        POST + length(QUERY),
        POST + length(QUERY) + QUERY[:-1],
        CHUNKED,
        POST + H2C + length(QUERY) + QUERY[:-1],
    ],
)
def test_a_request_that_does_not_come_in_time_is_refused(
    hasty: Server, start: bytes, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with hasty.line() as line:
        line.send(start)
        line.reply().is_refused(408, "REQUEST_TIMEOUT")
        assert line.is_closed()
    with hasty.line() as line:
        line.send(b"GET", GET)
        assert line.reply().json() == DATA
        line.send(start)
        line.reply().is_refused(408, "REQUEST_TIMEOUT")
        assert line.is_closed()
    assert capsys.readouterr().out == ""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_who_waits_for_a_body_learns_that_it_will_not_come(hasty: Server) -> None:
    name = uuid4().hex.encode()
    with hasty.line() as line:
        line.send(POST, b"X-Name: ", name, b"\r\n", length(QUERY), QUERY[:-1])
        line.reply().is_refused(408, "REQUEST_TIMEOUT")
        assert hasty.app.ended.get(timeout=PATIENCE) == (name, 400, None)


def test_a_client_that_keeps_sending_a_little_has_no_more_time(hasty: Server) -> None:
    for start, drop in ((b"", b"\r\n"), (POST, b"x: y\r\n"), (POST + length(10**4), b" ")):
        with hasty.line() as line:
            line.send(start)
            line.plug.settimeout(0.05)
            answer = None
            while answer is None:
                line.send(drop)
                with suppress(TimeoutError):
                    answer = line.plug.recv(12)
            # Who sends nothing but empty lines has not begun a request, and is told nothing.
            assert answer == (b"HTTP/1.1 408" if start else b"")


def test_a_connection_without_a_request_is_closed(hasty: Server) -> None:
    with hasty.line() as line:
        assert line.is_closed()


def test_the_rest_of_a_refused_request_is_waited_for_and_not_answered_twice(hasty: Server) -> None:
    with hasty.line() as line:
        line.send(POST, length(200_000), b" ")
        line.reply().is_refused(413)
        assert line.is_closed()


def test_our_own_time_does_not_count(hasty: Server) -> None:
    hasty.app.gate.clear()
    with hasty.line() as working, hasty.line() as idle, hasty.line() as upgraded:
        # A second request behind the first one is not read before that is answered.
        working.send(WAITING, length(QUERY), QUERY, POST, length(QUERY))
        idle.send(POST, length(QUERY), QUERY)
        assert idle.reply().json() == DATA
        upgraded.send(WEBSOCKET, b"\r\n")
        assert upgraded.reply().status == 101
        # Twice the time that a request has, as another connection tells.
        for _ in range(2):
            with hasty.line() as clock:
                clock.send(b"P")
                clock.reply().is_refused(408, "REQUEST_TIMEOUT")
        idle.send(POST, length(QUERY), QUERY)
        assert idle.reply().json() == DATA
        upgraded.send(b"echo")
        assert upgraded.incoming.read(4) == b"echo"
        hasty.app.gate.set()
        assert working.reply().json() == DATA
        working.send(QUERY)
        assert working.reply().json() == DATA


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "anything"])
@pytest.mark.parametrize(
    "body",
    [length(QUERY) + QUERY, b"Transfer-Encoding: chunked\r\n\r\n" + chunk(QUERY) + chunk(b"")],
    ids=["length", "chunked"],
)
def test_an_upgrade_that_is_ignored_is_as_if_it_were_not_there(
    server: Server,
    upgrade: bytes,
    body: bytes,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    post, get = POST + upgrade, GET[:-2] + upgrade + b"\r\n"
    with server.line() as line:
        line.send(post, body)
        assert line.reply().json() == DATA
        line.send(post[:-20])
        line.send(post[-20:], body[:-5])
        line.send(body[-5:])
        assert line.reply().json() == DATA
        line.send(post, body, b"GET", get, POST, body, post, body, b"HEAD", get)
        for _ in range(4):
            assert line.reply().json() == DATA
        assert line.reply(to_head=True).status == 200
        line.send(b"GET", get[:-2], body)
        line.reply().is_refused(400)
        line.send(post, length(200_000), b" " * 200_000)
        line.reply().is_refused(413)
        line.send(WEBSOCKET, b"\r\n")
        assert line.reply().status == 101
    assert capsys.readouterr().out == ""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "anything"])
def test_a_body_behind_an_ignored_upgrade_is_no_request(server: Server, upgrade: bytes) -> None:
    smuggled = b"GET /graphql?query=%7Bsmuggled:__typename%7D HTTP/1.1\r\nHost: test\r\n\r\n"
    with server.line() as line:
        line.send(POST, upgrade, b"Expect: 100-continue\r\n", length(smuggled))
        assert line.reply().status == 100
        line.send(smuggled)
        line.reply().is_refused(400)
        line.send(b"GET", GET)
        assert line.reply().json() == DATA


def test_an_upgrade_that_is_ignored_does_not_keep_the_connection(server: Server) -> None:
    with server.line() as line:
        line.send(POST, b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n", length(QUERY), QUERY, b"GET", GET)
        assert line.reply().json() == DATA
        assert line.is_closed()


def test_what_is_behind_an_ignored_upgrade_is_told_in_a_graphql_error(server: Server) -> None:
    for broken in (CHUNKED[:-2] + H2C + b"\r\nzz\r\n", POST + H2C + length(QUERY) + QUERY + b"nonsense\r\n"):
        with server.line() as line:
            line.send(broken)
            if QUERY in broken:
                assert line.reply().json() == DATA
            line.reply().is_refused(400)
            assert line.is_closed()


@pytest.mark.parametrize(
    "handshake",
    [
        WEBSOCKET + b"Cookie: " + b"a" * 70_000 + b"\r\n\r\n",
        WEBSOCKET + b"X-More: y\r\n" * 140 + b"\r\n",
        WEBSOCKET.replace(b"/graphql", b"/" + b"a" * 70_000) + b"\r\n",
        WEBSOCKET + length(QUERY) + QUERY,
        WEBSOCKET.replace(b"GET", b"POST") + length(QUERY) + QUERY,
    ],
    ids=["line", "lines", "path", "body", "post"],
)
def test_a_websocket_handshake_that_cannot_be_read_is_told_in_a_graphql_error(
    sockets: Server, handshake: bytes
) -> None:
    sockets.refuses(handshake)


@pytest.mark.parametrize(
    "handshake",
    [WEBSOCKET.replace(b"GET", b"POST"), WEBSOCKET.replace(b"Key", b"Lock"), WEBSOCKET.replace(b"13", b"12")],
    ids=["post", "key", "version"],
)
def test_a_websocket_handshake_that_is_wrong_is_answered(sockets: Server, handshake: bytes) -> None:
    with sockets.line() as line:
        line.send(handshake, b"\r\n")
        assert line.reply().status in (400, 405)
        assert line.is_closed()


def test_a_websocket_handshake_may_have_a_long_token() -> None:
    """Longer than the library takes by itself, which reads its limit when it is loaded."""
    script = "import app.serving, uvicorn.protocols.websockets.auto, websockets.http11 as it; print(it.MAX_LINE_LENGTH)"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(told.stdout) >= 2**16


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("before", [b"", b"GET" + GET], ids=["one", "two"])
@pytest.mark.parametrize(
    "broken",
    [
        b"\x16\x03\x01\x00\xa5",
        POST + b"Content-Length: many\r\n\r\n",
        CHUNKED + b"zz\r\n",
        WEBSOCKET + b"\r\n",
    ],
    ids=["garbage", "head", "body", "websocket"],
)
def test_what_is_wrong_with_a_request_is_told_behind_the_answers_to_those_before(
    server: Server, broken: bytes, before: bytes, at_once: bool
) -> None:
    server.app.gate.clear()
    name = uuid4().hex.encode()
    with server.line() as line:
        line.send(
            WAITING, b"X-Name: ", name, b"\r\n", length(QUERY), QUERY, before, broken if at_once else b""
        )
        if not at_once:
            server.has_read()
            line.send(broken)
        server.has_read()
        server.app.gate.set()
        assert line.reply().json() == DATA
        assert server.app.ended.get(timeout=PATIENCE) == (name, 200, None)
        if before:
            assert line.reply().json() == DATA
        line.reply().is_refused(400)
        assert line.is_closed()


@pytest.mark.parametrize("behind", [b"GET" + GET, CHUNKED, CHUNKED + b"zz\r\n"], ids=["whole", "part", "bad"])
def test_who_answers_learns_that_the_client_has_left_whatever_it_sent_besides(
    server: Server, behind: bytes
) -> None:
    for before in (b"", b"GET" + GET):
        name = uuid4().hex.encode()
        with server.line() as line:
            line.send(before, POST, b"X-Listen: yes\r\nX-Name: ", name, b"\r\n", length(QUERY), QUERY, behind)
            if before:
                assert line.reply().json() == DATA
        assert server.app.ended.get(timeout=PATIENCE) == (name, 400, None)


def test_nothing_is_read_behind_what_is_wrong(server: Server) -> None:
    server.app.gate.clear()
    with server.line() as line:
        line.send(WAITING, length(QUERY), QUERY, b"\x16")
        server.has_read()
        line.send(POST, length(QUERY), QUERY)
        server.has_read()
        server.app.gate.set()
        assert line.reply().json() == DATA
        line.reply().is_refused(400)
        assert line.is_closed()


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (POST + b"X-Token: ", b"token "),
        (POST, b"X: y\r\n"),
        (CHUNKED + chunk(QUERY) + b"0\r\n", b"X: y\r\n"),
        (CHUNKED + b"1;x=", b"token"),
    ],
    ids=["field", "fields", "trailers", "chunk"],
)
def test_a_head_that_never_ends_is_refused_at_the_limit(server: Server, start: bytes, more: bytes) -> None:
    for before in (b"", b"GET" + GET):
        with server.line() as line:
            if before:
                line.send(before)
                assert line.reply().json() == DATA
            line.send(start)
            sent = 0
            # Nothing is sent behind the refusal: unread, it would cut the refusal off.
            while not select([line.plug], [], [], 0)[0]:
                line.send(more * 2_000)
                sent += len(more) * 2_000
                server.has_read()
            # Some more is under way where the machine has much to do.
            assert 100_000 < sent < 400_000
            line.reply().is_refused(431)
            assert line.is_closed()


def test_what_stands_behind_a_body_is_no_header(server: Server) -> None:
    with server.line() as line:
        line.send(CHUNKED, chunk(QUERY), b"0\r\nAuthorization: Basic eA==\r\nAccept: text/html\r\n\r\n")
        assert line.reply().json() == DATA


def test_a_long_head_and_a_long_body_may_come_in_pieces(server: Server) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 16_000) for n in range(4))
    with server.line() as line:
        for _ in range(3):
            for piece in (POST, fields, length(100_000), QUERY, b" " * (99_999 - len(QUERY))):
                line.send(piece)
                server.has_read()
            line.send(b" ")
            assert line.reply().json() == DATA


def test_a_request_behind_another_that_does_not_come_in_time_is_refused_in_its_turn(hasty: Server) -> None:
    hasty.app.gate.clear()
    with hasty.line() as line, hasty.line() as clock:
        line.send(WAITING, length(QUERY), QUERY, POST)
        hasty.has_read()
        clock.send(POST)
        clock.reply().is_refused(408, "REQUEST_TIMEOUT")
        hasty.app.gate.set()
        assert line.reply().json() == DATA
        line.reply().is_refused(408, "REQUEST_TIMEOUT")
        assert line.is_closed()
