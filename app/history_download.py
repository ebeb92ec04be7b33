"""`GET /history.csv` and `GET /history.jsonl`: the history of a site as a file, with the rights of who asks."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from app.actor import Actor
from app.context import Context
from app.db.models import Site
from app.db.transaction import snapshot
from app.errors import Code, RequestError, bad_input, unauthenticated
from app.execution import BUSY, UNAVAILABLE, Execution
from app.history_export import FORMATS, Export, Format, Record
from app.http_response import ALWAYS, STATUS, HttpFault
from app.policy import Action, visible
from app.rules import Event
from app.schema.filters import key_of, moment_of

log = structlog.get_logger()
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
HEADERS = {name.decode(): value.decode() for name, value in ALWAYS}
SEVERAL = ("actorIds", "subjectIds", "events")
ONCE = ("site", "from", "until", "text")


@dataclass(frozen=True)
class Download:
    """Answers requests for the history as a file of one format."""

    format: str
    execution: Execution
    turns: asyncio.Semaphore
    """How many parts are read at once."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request; whatever is refused is told as a GraphQL error, before anything is sent."""
        try:
            return await self._answer(request)
        except RequestError as error:
            return _refused(error)
        except UNAVAILABLE as error:
            log.error("unavailable", error=repr(error))
            return _refused(BUSY)

    async def _answer(self, request: Request) -> Response:
        given = dict(request.headers.raw)
        identity = await self.execution.identity(given.get(b"authorization"))
        if identity is None:
            raise unauthenticated("Sign in: send a bearer token in the Authorization header.")
        wanted = _filter(request.query_params)
        site_id = key_of(wanted.pop("site"), "site")
        context = self.execution.context(identity, given.get(b"accept-language", b""))
        await context.sign_in()
        number = await self._site_number(context.actor, site_id)
        written = FORMATS[self.format]
        parts = Export(site_id, context.actor, wanted).parts(self.execution.pool)
        async with self.turns:
            first = await anext(parts)
        others = self._while_allowed(parts, context, site_id)
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{_name(number)}.{self.format}"'}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=written.media_type)
        return _Streamed(_texts(written, first, others), headers=headers, media_type=written.media_type)

    async def _while_allowed(
        self, parts: AsyncIterator[Sequence[Record]], context: Context, site_id: UUID
    ) -> AsyncIterator[Sequence[Record]]:
        """The parts, as long as the caller is at the site what they were at first. Raises FORBIDDEN."""
        standing = context.actor.standings.get(site_id)
        # Whoever reads slowly would go on hearing of the site for as long as they like.
        while True:
            async with self.turns:
                records = await anext(parts, None)
            if records is None:
                return
            await context.sign_in()
            if context.actor.standings.get(site_id) != standing:
                raise RequestError("FORBIDDEN", "Your rights have changed meanwhile; begin anew.")
            yield records

    async def _site_number(self, actor: Actor, site_id: Any) -> str:
        """The number of the site. Raises NOT_FOUND for what the caller may not see, be it there or not."""
        statement = sa.select(Site.number).where(Site.id == site_id, visible(actor, Action.SEE_SITE, Site))
        async with snapshot(self.execution.pool) as session:
            number: str | None = await session.scalar(statement)
        if number is None:
            raise HttpFault(404, Code.NOT_FOUND.value, code="NOT_FOUND")
        return number


def routes(execution: Execution) -> list[Route]:
    """A route for each format."""
    # A quarter of the connections, since subscriptions may take half: the rest is always there for requests.
    turns = asyncio.Semaphore(max(1, execution.pool.settings.database_pool_size // 4))
    return [Route(f"/history.{name}", _answering(Download(name, execution, turns))) for name in FORMATS]


def _answering(download: Download) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await download(request)

    return answer


class _Streamed(StreamingResponse):
    """A file that is forgotten at once when its reader leaves."""

    async def stream_response(self, send: Send) -> None:
        """Send the parts, and end as if that were done when it is cancelled."""
        # Whoever cancels would keep the error, in a circle, and with it the parts, until the rare garbage collection.
        with suppress(asyncio.CancelledError):
            await super().stream_response(send)


async def _texts(
    written: Format, first: Sequence[Record], others: AsyncIterator[Sequence[Record]]
) -> AsyncIterator[str]:
    yield written.head + written.write(first)
    async for records in others:
        yield written.write(records)


def _filter(given: QueryParams) -> dict[str, Any]:
    """What the parameters of the URL say, as the schema has it. Raises BAD_USER_INPUT."""
    for name, times in ((name, len(given.getlist(name))) for name in given):
        # A filter that is misspelt must not let everything through.
        if name not in (*SEVERAL, *ONCE):
            raise bad_input(f"There is no parameter {name!r}; there are {', '.join((*ONCE, *SEVERAL))}.")
        if times > 1 and name in ONCE:
            raise bad_input(f"{name} is given more than once.")
    if "site" not in given:
        raise bad_input("Give the id of the site as the parameter site.")
    wanted: dict[str, Any] = {name: given.getlist(name) for name in SEVERAL if name in given}
    wanted |= {name: given[name] for name in ONCE if name in given}
    return wanted | _parsed(wanted)


def _parsed(wanted: Mapping[str, Any]) -> dict[str, Any]:
    moments = {name: _moment(name, wanted[name]) for name in ("from", "until") if name in wanted}
    unknown = [name for name in wanted.get("events", ()) if name not in Event.__members__]
    if unknown:
        raise bad_input(f"There is no event {unknown[0]!r}.")
    return {
        **moments,
        **({"events": [Event[name] for name in wanted["events"]]} if "events" in wanted else {}),
    }


def _moment(name: str, text: str) -> datetime:
    """A moment as in the schema, or a day, which begins in UTC: people type these addresses."""
    try:
        return moment_of(f"{text}T00:00:00Z" if DAY.fullmatch(text) else text)
    except RequestError as error:
        raise bad_input(f"{name} is a day, such as 2026-03-01, or a moment. {error}") from error


def _name(number: str) -> str:
    """The name of the file; numbers may hold what names of files may not."""
    return "history-" + re.sub("[^A-Za-z0-9-]", "_", number)


def _refused(error: RequestError) -> Response:
    status = error.status if isinstance(error, HttpFault) else STATUS.get(error.code, 400)
    headers = HEADERS | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    return JSONResponse(body, status, headers)
