"""One subscription: from an operation to a stream of answers, one for each event that the caller may hear of."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from graphql import (
    DocumentNode,
    Executor,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    create_source_event_stream,
)
from graphql.execution import ExecutionResult

from app.actor import Actor, Identity
from app.config import Settings
from app.context import Context
from app.errors import RequestError, bad_input, unauthenticated
from app.execution import Execution, described, error_answer
from app.http_request import Operation
from app.http_response import Answer
from app.live.changes import Change
from app.live.feed import Feed, Subscriber
from app.live.payload import Payloads, Subscribed
from app.policy import Action, allows, hears
from app.query.collect import Selected, collect
from app.query.ids import parse_id
from app.schema.subscription import SUBJECTS

LONGEST_TIMER = 365 * 86_400
"""Seconds; tokens may have an end that no clock can wait for."""
TOO_MANY = RequestError("TOO_MANY_SUBSCRIPTIONS", "There are too many subscriptions here; try again later.")


@dataclass(frozen=True)
class Source:
    """The source stream of a subscription, as graphql-core knows it: the events of a site, and what is selected."""

    subscriber: Subscriber
    selected: Selected

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        """The next event of the site, whatever it is about."""
        return await self.subscriber.next()


@dataclass
class Subscriptions:
    """All subscriptions of this process."""

    execution: Execution
    feed: Feed
    settings: Settings
    running: int = 0
    payloads: Payloads = field(init=False)

    def __post_init__(self) -> None:
        self.payloads = Payloads(self.execution, self.feed.turns)

    async def answers(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        operation: Operation,
        identity: Identity | None,
        language: bytes,
    ) -> AsyncGenerator[Answer]:
        """An answer for each event as it happens, until the subscriber leaves or may not listen any more.

        An answer without data is an error, and the last one.
        """
        self.running += 1
        try:
            if self.running > self.settings.subscriptions_per_process:
                raise TOO_MANY
            context = self.execution.context(identity, language)
            # When a server starts anew, all its subscribers come at once.
            async with self.feed.turns:
                await context.sign_in()
            source = await self._source(document, definition, operation, context)
            if isinstance(source, ExecutionResult):
                yield Answer(errors=[described(error) for error in source.errors or ()])
                return
            try:
                subscribed = Subscribed.of(document, definition, operation, source.selected)
                ends_at = identity.ends_at if identity else math.inf
                async with aclosing(self._events(source, subscribed, context, ends_at)) as answers:
                    async for answer in answers:
                        yield answer
                        # The name would hold it until the next event, perhaps for days.
                        del answer
            finally:
                self.feed.leave(source.subscriber)
        except Exception as error:
            yield error_answer(error)
        finally:
            self.running -= 1

    async def _source(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        operation: Operation,
        context: Context,
    ) -> Source | ExecutionResult:
        """The events to tell of, or the errors that say why there are none."""
        executor = Executor.build(
            self.execution.schema,
            document,
            context_value=context,
            raw_variable_values=dict(operation.variables or {}),
            operation_name=definition.name.value if definition.name else None,
            subscribe_field_resolver=self._resolve,
        )
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        found: Any = create_source_event_stream(executor)
        source: Source | ExecutionResult = await found
        # They refer to the executor, and would keep it, and the context, until the next garbage collection.
        del executor.async_helpers
        return source

    async def _resolve(
        self, _root: Any, info: GraphQLResolveInfo[Any], siteId: str, after: str | None = None
    ) -> Source:
        """Begin to listen. Raises NOT_FOUND for a site that the caller may not see, be there one or not."""
        context: Context = info.context
        context.require_signed_in()
        selected = collect(info)
        context.accept(selected)
        kind, key = parse_id(siteId) or ("", None)
        if kind != "site" or key is None:
            raise bad_input("siteId must be the id of a site.")
        if not allows(context.actor, Action.SEE_SITE, SimpleNamespace(site_id=key)):
            raise RequestError("NOT_FOUND", "There is no such site, or you may not see it.")
        return Source(await self.feed.join(key, context.actor, after), selected)

    async def _events(
        self, source: Source, subscribed: Subscribed, context: Context, ends_at: float
    ) -> AsyncGenerator[Answer]:
        while True:
            answer = await self._next_answer(source, subscribed, context, ends_at)
            if answer is None:
                continue
            if answer.errors:
                # An event that cannot be read is not skipped: the client comes back for it.
                yield Answer(errors=answer.errors)
                return
            began = time.monotonic()
            yield answer
            # The name would hold it until the next event, perhaps for days.
            del answer
            source.subscriber.took(time.monotonic() - began)

    async def _next_answer(
        self, source: Source, subscribed: Subscribed, context: Context, ends_at: float
    ) -> Answer | None:
        """The answer for the next event of the site, or none where the caller is not told of it."""
        change = await _next(source, ends_at)
        # The rights of this moment, and not those of the one who began to listen.
        actor = replace(context.actor, standings=source.subscriber.standings)
        if not _is_told(change, SUBJECTS[source.selected.name], actor):
            return None
        return await self.payloads.read(subscribed, change, replace(context, actor=actor))


def _is_told(change: Change, subject: str | None, actor: Actor) -> bool:
    """Whether a subscription to a subject tells of an event to somebody who is this at this moment."""
    wanted = change.event is not None and subject in (None, change.subject_type)
    return wanted and hears(actor, change.subject_type, change)


async def _next(source: Source, ends_at: float) -> Change:
    """The next event. Raises UNAUTHENTICATED at the end of the token."""
    left = ends_at - time.time()
    try:
        async with asyncio.timeout(min(left, LONGEST_TIMER)) as limit:
            if left > 0:
                return await anext(source)
    except TimeoutError:
        if not limit.expired():
            raise
    raise unauthenticated("The token has ended. Sign in again.")
