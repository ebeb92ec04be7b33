"""Answers as server-sent events: the distinct connections mode of the GraphQL over SSE protocol.

See https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: every result is an event `next`, the end is an
event `complete`, and errors before the execution are told as results too. Lines end with LF alone, as clients split
them.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.types import Receive, Send

from app.http_response import ALWAYS, EVENTS, Answer

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody in between takes the connection for dead."""
HEADERS = [
    (b"content-type", EVENTS.encode() + b"; charset=utf-8"),
    *ALWAYS,
    # Proxies must pass on every event at once.
    (b"x-accel-buffering", b"no"),
]
COMPLETE = b"event: complete\ndata:\n\n"
SILENCE = b":\n\n"


async def single(answer: Answer) -> AsyncGenerator[Answer]:
    """The one answer to a query or a mutation, or an error, as a stream."""
    yield answer


async def stream(answers: AsyncGenerator[Answer], receive: Receive, send: Send) -> None:
    """Send answers as they come, until they end or the client leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    sending = asyncio.create_task(_send_all(answers, send))
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.wait({sending, leaving})
    with suppress(asyncio.CancelledError):
        sending.result()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_all(answers: AsyncGenerator[Answer], send: Send) -> None:
    async with aclosing(answers):
        while await _send_next(answers, send):
            pass
    await _send(send, COMPLETE, last=True)


async def _send_next(answers: AsyncGenerator[Answer], send: Send) -> bool:
    """Send the next answer, and keep nothing of it; whether there was one."""
    answer = await _next(answers, send)
    if answer is not None:
        await _send(send, b"event: next\ndata: %b\n\n" % answer.body())
    return answer is not None


async def _next(answers: AsyncGenerator[Answer], send: Send) -> Answer | None:
    """The next answer, or none at the end; while there is silence, it is broken."""
    coming = asyncio.create_task(_coming(answers))
    try:
        while not (await asyncio.wait({coming}, timeout=HEARTBEAT))[0]:
            await _send(send, SILENCE)
        return coming.result()
    finally:
        coming.cancel()
        await asyncio.wait({coming})


async def _coming(answers: AsyncGenerator[Answer]) -> Answer | None:
    try:
        return await anext(answers, None)
    except asyncio.CancelledError:
        # A task that ends as cancelled would keep what it has waited for, in a circle.
        return None


async def _send(send: Send, part: bytes, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": not last})
