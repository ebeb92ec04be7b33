"""WebSockets on a connection: uvicorn's, which keeps all it has for who takes nothing, and lets nobody come back.

It answers every ping at once, also when nobody takes the answers, keeps every part of a message, also those without
anything in them, and waits for ever until a client has taken what there is when it closes.
"""

from asyncio import BaseTransport, Transport
from typing import cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from app.write_timeout import WriteTimeout

ASLEEP = (1001, "No answer to a ping")
"""How the socket of a computer that sleeps is closed. After uvicorn's 1011, graphql-ws would not come back."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    write_timeout: WriteTimeout
    pongs = b""
    """What is to be answered to the last pings, once the client takes anything."""

    def connection_made(self, transport: BaseTransport) -> None:
        """The handshake is here."""
        super().connection_made(transport)
        self.write_timeout = WriteTimeout(cast(Transport, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody takes anything any more."""
        self.write_timeout.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits to be taken than shall."""
        super().pause_writing()
        self.write_timeout.pause()

    def resume_writing(self) -> None:
        """Enough has been taken."""
        super().resume_writing()
        self.write_timeout.resume()
        self.transport.write(self.pongs)
        self.pongs = b""

    def handle_ping(self) -> None:
        """Answer pings; while nothing is taken, only the last ones are (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            # What comes at once is answered with the first of it.
            self.pongs = b"".join(self.conn.data_to_send()) or self.pongs

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message. There is no end to those with nothing in them."""
        if event.data or event.fin:
            super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        """Close the socket of a client that does not answer a ping."""
        self.stop_keepalive()
        if not self.close_sent and not self.transport.is_closing():
            code, reason = ASLEEP
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.conn.fail(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message. Raises OSError when the socket is closed, by whomever."""
        try:
            await super().send(message)
        except RuntimeError as error:
            if self.close_sent:
                raise ClientDisconnected from error
            raise
