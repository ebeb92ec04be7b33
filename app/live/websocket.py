"""GraphQL over WebSocket: the protocol `graphql-transport-ws`, with every kind of operation.

See https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Who calls is said once for a socket, by the
Authorization header of the upgrade or in `connection_init`; what they may is asked anew for every operation and event.
A page of another origin gains nothing by opening a socket here: there are no cookies, and it has no token.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from app.actor import Identity
from app.documents import chosen_operation
from app.errors import RequestError
from app.execution import error_answer, masked
from app.http_request import Headers, Operation, headers_of, read_json
from app.http_response import NO_DATA, Answer, to_json
from app.live.subscriptions import LONGEST_TIMER, TOO_MANY, Subscriptions

PROTOCOL = "graphql-transport-ws"
LONGEST_REASON = 123
"""Bytes of a reason for closing, after RFC 6455."""


class Close(Exception):
    """The socket is to be closed, with a code and a reason for the client's programmer."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Left(Exception):
    """The client has closed the socket."""


FORBIDDEN = (4403, "Forbidden")
NOT_INITIALISED = (4408, "Connection initialisation timeout")


async def serve_socket(
    subscriptions: Subscriptions, size_limit: int, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve one WebSocket until either side closes it."""
    await receive()
    spoken = PROTOCOL in scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": PROTOCOL if spoken else None})
    try:
        if not spoken:
            raise Close(4406, "Subprotocol not acceptable")
        socket = Socket(subscriptions, size_limit, headers_of(scope), receive, send)
    except (Close, RequestError) as error:
        await _close(send, error)
        return
    try:
        await socket.serve()
    except (Left, OSError):
        pass
    except Exception as error:
        await _close(send, error)
    finally:
        await socket.finish()


async def _close(send: Send, error: Exception) -> None:
    code, reason = 4500, "Internal server error"
    if isinstance(error, Close):
        code, reason = error.code, str(error)
    elif isinstance(error, RequestError):
        code, reason = 4400, str(error)
    else:
        masked("unexpected error in a WebSocket", error)
    cut = reason.encode(errors="replace")[:LONGEST_REASON].decode(errors="ignore")
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.close", "code": code, "reason": cut})


@dataclass
class Socket:
    """One WebSocket: who speaks, and what they have running, by the ids they gave it."""

    subscriptions: Subscriptions
    size_limit: int
    headers: Headers
    receive: Receive
    send: Send
    identity: Identity | None = None
    initialised: bool = False
    acknowledged: bool = False
    ends_at: float = 0.0
    ends_with: tuple[int, str] = NOT_INITIALISED
    operations: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    listening: set[asyncio.Task[None] | None] = field(default_factory=set)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def serve(self) -> None:
        """Take messages until the socket is closed. Raises Close or Left."""
        self.ends_at = time.time() + self.subscriptions.settings.connection_init_timeout
        try:
            while True:
                await self._take(_message(await self._text()))
        finally:
            for id in list(self.operations):
                self._stop(id)

    async def finish(self) -> None:
        """Wait for what may change something; nobody hears of it any more."""
        if self.tasks:
            await asyncio.wait(self.tasks)

    async def _text(self) -> str:
        """The next message, which comes before the connection has to be initialised or the token ends."""
        left = self.ends_at - time.time()
        if left <= 0:
            raise Close(*self.ends_with)
        try:
            async with asyncio.timeout(min(left, LONGEST_TIMER)):
                received = await self.receive()
        except TimeoutError as error:
            raise Close(*self.ends_with) from error
        if received["type"] == "websocket.disconnect":
            raise Left
        text: str | None = received.get("text")
        if text is None:
            raise Close(4400, "A message must be text.")
        if len(text.encode(errors="surrogatepass")) > self.size_limit:
            raise Close(1009, f"A message has at most {self.size_limit} bytes.")
        return text

    async def _take(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"type": "connection_init"}:
                await self._initialise(_object(message, "payload"))
            case {"type": "ping"}:
                payload = _object(message, "payload")
                await self._say(to_json({"type": "pong"} | ({"payload": payload} if payload else {})))
            case {"type": "pong"}:
                _object(message, "payload")
            case {"type": "subscribe", "id": str(id), "payload": dict(payload)} if id:
                await self._begin(id, _operation(payload))
            case {"type": "complete", "id": str(id)}:
                self._stop(id)
            case _:
                raise Close(4400, "This is no message of graphql-transport-ws.")

    async def _initialise(self, payload: Mapping[str, Any]) -> None:
        if self.initialised:
            raise Close(4429, "Too many initialisation requests")
        self.initialised = True
        given = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
        header = (
            given.encode(errors="replace") if isinstance(given, str) else self.headers.get(b"authorization")
        )
        try:
            self.identity = await self.subscriptions.execution.identity(header)
        except RequestError as error:
            refused = error.code == "UNAUTHENTICATED"
            raise Close(*FORBIDDEN if refused else (1013, str(error))) from error
        self.ends_at, self.ends_with = self.identity.ends_at if self.identity else math.inf, FORBIDDEN
        await self._say(b'{"type":"connection_ack"}')
        self.acknowledged = True

    async def _begin(self, id: str, operation: Operation) -> None:
        if not self.acknowledged:
            raise Close(4401, "Unauthorized")
        if id in self.operations:
            raise Close(4409, f"Subscriber for {id} already exists")
        if len(self.tasks) >= self.subscriptions.settings.subscriptions_per_socket:
            await self._say_of(id, b"error", to_json(error_answer(TOO_MANY).errors))
            return
        task = asyncio.create_task(self._run(id, operation))
        self.operations[id] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _stop(self, id: str) -> None:
        """Stop an operation. What may change something is not broken off; its answer is just not sent any more."""
        task = self.operations.pop(id, None)
        if task is not None and task in self.listening:
            task.cancel()

    async def _run(self, id: str, operation: Operation) -> None:
        """Send what comes of an operation, unless the client has stopped it."""
        task = asyncio.current_task()
        try:
            async with aclosing(self._answers(id, operation)) as answers:
                async for answer in answers:
                    if self.operations.get(id) is not task:
                        return
                    if answer.data is NO_DATA:
                        del self.operations[id]
                        await self._say_of(id, b"error", to_json(answer.errors))
                        return
                    await self._say_of(id, b"next", answer.body())
                    # The name would hold it until the next event, perhaps for days.
                    del answer
            if self.operations.pop(id, None) is task:
                await self._say_of(id, b"complete")
        except (OSError, asyncio.CancelledError):
            # The client has left or stopped it. A task that ends as cancelled would keep all it has read, in a circle.
            pass
        finally:
            self.listening.discard(task)

    async def _answers(self, id: str, operation: Operation) -> AsyncGenerator[Answer]:
        """The answer to a query or a mutation, or all those of a subscription; an error where there is none."""
        execution, language = self.subscriptions.execution, self.headers.get(b"accept-language", b"")
        try:
            document = execution.documents.prepare(operation.query)
            definition = chosen_operation(document, operation.name)
            if definition.operation is not OperationType.SUBSCRIPTION:
                context = execution.context(self.identity, language)
                yield await execution.run(document, definition, operation, context)
                return
            task = asyncio.current_task()
            if self.operations.get(id) is not task:
                return
            self.listening.add(task)
            # When the token ends, the whole socket is closed, so that clients come back with another one.
            speaker = self.identity and replace(self.identity, ends_at=math.inf)
            answers = self.subscriptions.answers(document, definition, operation, speaker, language)
            async with aclosing(answers):
                async for answer in answers:
                    yield answer
                    # The name would hold it until the next event, perhaps for days.
                    del answer
        except Exception as error:
            yield error_answer(error)

    async def _say_of(self, id: str, kind: bytes, payload: bytes | None = None) -> None:
        """Send a message about an operation."""
        rest = b"" if payload is None else b',"payload":' + payload
        await self._say(b'{"id":%b,"type":"%b"%b}' % (to_json(id), kind, rest))

    async def _say(self, message: bytes) -> None:
        async with self._turn:
            await self.send({"type": "websocket.send", "text": message.decode()})


def _message(text: str) -> Mapping[str, Any]:
    try:
        message = read_json(text)
    except RequestError as error:
        raise Close(4400, "A message must be JSON that can be read.") from error
    if not isinstance(message, dict):
        raise Close(4400, "A message must be a JSON object.")
    return message


def _object(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a message that is an object, or is not there."""
    value = message.get(name)
    if not isinstance(value, dict | None):
        raise Close(4400, f"{name} must be an object.")
    return value or {}


def _operation(payload: Mapping[str, Any]) -> Operation:
    query, name = payload.get("query"), payload.get("operationName")
    if not isinstance(query, str) or not isinstance(name, str | None):
        raise Close(4400, "query must be a string, and operationName too where it is given.")
    _object(payload, "extensions")
    return Operation(query, name or None, _object(payload, "variables"))
