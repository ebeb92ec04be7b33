"""HTTP on a connection: uvicorn's, which answers faults of the transport as text and waits for slow clients for ever.

Here, what cannot be read as HTTP is told in the form of a GraphQL error, and a request must be there in time. The
limit and the form come with the state of the application's lifespan.
"""

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http_response import Answer, HttpFault, Manner

TIMEOUT, MANNER = "request_timeout", "transport_manner"
"""What the state of the lifespan must hold: seconds, and how faults are told."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. The clock runs while something is awaited from the client, and never while we work."""

    clock: asyncio.TimerHandle | None = None
    begun = upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is awaited."""
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a request that comes in one piece needs no clock."""
        super().data_received(data)
        if self.upgraded or self.transport.is_closing() or not self._is_awaited():
            self._stop()
        elif self.clock is None:
            self._start()

    def _is_awaited(self) -> bool:
        return self.begun or self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        """The first byte of a request is here."""
        self.begun = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The last byte of a request is here."""
        self.begun = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From now on, the connection belongs to somebody else."""
        self.upgraded = True
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Tell what is no HTTP."""
        self._refuse(HttpFault(400, msg))

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
        """Tell what was wrong, where nothing else is being said, and close."""
        cycle = self.cycle
        # Of a request that was refused early, the rest may be at fault as well.
        is_answered = cycle is not None and cycle.scope is self.scope and cycle.response_complete
        is_being_answered = cycle is not None and cycle.response_started and not cycle.response_complete
        if not is_answered and not is_being_answered:
            self.transport.write(_response(fault, self.app_state[MANNER]))
        if cycle is not None and not cycle.response_complete:
            # Whoever waits for the body learns at once that it will not come, and says nothing more.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def _response(fault: HttpFault, manner: Manner) -> bytes:
    """A whole response in HTTP/1.1."""
    error = {"message": str(fault), "extensions": {"code": fault.code}}
    start, body = manner.messages(Answer(errors=[error], status=fault.status))
    fields = b"".join(b"%s: %s\r\n" % field for field in [*start["headers"], (b"connection", b"close")])
    line = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n".encode()
    return line + fields + b"\r\n" + bytes(body["body"])
