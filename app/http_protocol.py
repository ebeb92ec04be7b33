"""HTTP on a connection: uvicorn's, which answers faults of the transport as text and waits for slow clients for ever.

Here, what cannot be read as HTTP is told in the form of a GraphQL error, and a request must be there in time. The
limit and the form come with the state of the application's lifespan. And who asks in HTTP/1.0 is answered without
chunks, which it does not know.
"""

import asyncio
from http import HTTPStatus

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http_parser import Parser
from app.http_response import Answer, HttpFault, ResponseFormat
from app.write_timeout import WriteTimeout

TIMEOUT, SIZE, FORMAT = "request_timeout", "request_size", "transport_format"
"""What the state of the lifespan must hold: seconds, the bytes of a body or URL, and how faults are told."""
MOST_FIELDS = 2**16
"""How many bytes the fields of a head may have, and those behind a body: as many as elsewhere in uvicorn."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. The clock runs while something is awaited from the client, and never while we work."""

    parser: Parser
    write_timeout: WriteTimeout
    clock: asyncio.TimerHandle | None = None
    begun = upgraded = False
    answering: RequestResponseCycle | None = None
    """The request that is in work, or was the last one; `cycle` is the last one that came."""
    unfinished = 0
    """How many bytes have come since there was something to go on with: a head, or a piece of a body."""
    fault: HttpFault | None = None
    """What is to be told when the requests before it are answered. Nothing is read any more."""
    reason: str | None = None
    """Why a head that can be read is refused; the parser and uvicorn would only say that it cannot be."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is awaited."""
        super().connection_made(transport)
        self.parser = Parser(self)
        self.write_timeout = WriteTimeout(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more; uvicorn tells so only to the request that came last."""
        self._stop()
        self.write_timeout.stop()
        if self.answering is not None:
            _leave(self.answering)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits to be taken than shall."""
        super().pause_writing()
        self.write_timeout.pause()

    def resume_writing(self) -> None:
        """Enough has been taken."""
        super().resume_writing()
        self.write_timeout.resume()

    def data_received(self, data: bytes) -> None:
        """Read on; a request that comes in one piece needs no clock."""
        if self.fault is None:
            self.unfinished += len(data)
            super().data_received(data)
            self._look_at_size()
        if self.upgraded or self.transport.is_closing() or not self._is_awaited():
            self._stop()
        elif self.clock is None:
            self._start()

    def _look_at_size(self) -> None:
        # The parser keeps what it cannot hand on, and puts it together anew with every piece that comes.
        most = self.app_state[SIZE] + MOST_FIELDS
        if self.unfinished > most and not self.transport.is_closing():
            self._refuse(HttpFault(431, f"The head of a request has at most {most} bytes."))

    def _look_at_host(self) -> None:
        # Of two, a proxy may have looked at the other one; HTTP/1.0 knows none (RFC 9112, 3.2).
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self.reason = "A request needs exactly one Host."
            raise ValueError(self.reason)

    def _is_awaited(self) -> bool:
        return self.fault is None and (self.begun or not self._is_working())

    def _is_head_whole(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope

    def _is_working(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """The first byte of a request is here."""
        self.begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; one that stands behind the body does not count as such (RFC 9110, 6.5.1)."""
        if not self._is_head_whole():
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request can be begun, unless it is read again."""
        self.unfinished = 0
        if not self.parser.is_upgrade_ignored():
            self._look_at_host()
            super().on_headers_complete()
            if not self.pipeline:
                self.answering = self.cycle

    def on_body(self, body: bytes) -> None:
        """A piece of the body is here."""
        self.unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request is here."""
        self.unfinished = 0
        if not self.parser.is_upgrade_ignored():
            self.begun = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is the turn of the next request, or of what was wrong with it."""
        if self.pipeline:
            self.answering = self.pipeline[-1][0]
        elif self.fault is not None:
            self._tell(self.fault)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """From now on, the connection belongs to somebody else, unless they cannot read what they are given."""
        if self._is_working():
            self._refuse(HttpFault(400, "A WebSocket is opened when the requests before are answered."))
            return
        self.upgraded = True
        self.write_timeout.stop()
        super().handle_websocket_upgrade()
        # It refers to this, and would keep it, and the headers, until the next garbage collection.
        self.parser = None  # type: ignore[assignment]
        connection = getattr(self.transport.get_protocol(), "conn", None)
        error = getattr(connection, "handshake_exc", None)
        if error is not None:
            # What they could read and did not take, they have answered, and nothing more is told.
            reason = error.__cause__ or error
            self._refuse(HttpFault(400, f"The WebSocket handshake cannot be read: {reason}."))

    def send_400_response(self, msg: str) -> None:
        """Tell what is no HTTP, or what is wrong with it."""
        if self.reason is not None:
            self.logger.warning(self.reason)
        self._refuse(HttpFault(400, self.reason or msg))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer a request."""
        unknown_chunks = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, _without_chunks(cycle, app) if unknown_chunks else app)

    def _start(self) -> None:
        self.clock = self.loop.call_later(self.app_state[TIMEOUT], self._end)

    def _stop(self) -> None:
        if self.clock is not None:
            self.clock.cancel()
            self.clock = None

    def _end(self) -> None:
        """Time is over, unless it was us who did not read on."""
        if self.flow.read_paused:
            self._start()
        elif self.begun:
            self._refuse(HttpFault(408, "The request did not come in time.", code="REQUEST_TIMEOUT"))
        else:
            self.transport.close()

    def _refuse(self, fault: HttpFault) -> None:
        """Tell what was wrong when it is its turn, where nothing else is being said, and close."""
        if not self._is_head_whole():
            # Those before the request at fault are whole.
            if self._is_working():
                self.fault = fault
            else:
                self._tell(fault)
        elif self.pipeline:
            # It waits for others as the last one, and is never begun.
            self.pipeline.popleft()
            self.fault = fault
        else:
            _leave(self.cycle)
            # Of a request that was refused early, the rest may be at fault as well.
            self._tell(None if self.cycle.response_started else fault)

    def _tell(self, fault: HttpFault | None) -> None:
        if fault is not None and not self.transport.is_closing():
            self.transport.write(_response(fault, self.app_state[FORMAT]))
        self.transport.close()


def _without_chunks(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """The application, whose answers of unknown length go on until the connection is closed (RFC 9112, 6.3)."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_plain(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                if all(name != b"content-length" for name, _ in message["headers"]):
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not cycle.expected_content_length:
                # uvicorn counts what is still to come; whatever comes is right.
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return answer


def _leave(cycle: RequestResponseCycle) -> None:
    """Whoever waits for the rest of a request learns at once that it will not come, and says nothing more."""
    cycle.disconnected = True
    cycle.message_event.set()


def _response(fault: HttpFault, response_format: ResponseFormat) -> bytes:
    """A whole response in HTTP/1.1."""
    error = {"message": str(fault), "extensions": {"code": fault.code}}
    start, body = response_format.messages(Answer(errors=[error], status=fault.status))
    fields = b"".join(b"%s: %s\r\n" % field for field in [*start["headers"], (b"connection", b"close")])
    line = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n".encode()
    return line + fields + b"\r\n" + bytes(body["body"])
