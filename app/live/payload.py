"""What subscribers are told of an event: read with the rights of the moment, once for all who read the same.

The relations of an event are compiled to one statement, as queries are, and its values are written beside them.
What cannot be compiled goes through graphql-core, like the payload of a mutation.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import asyncpg
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode

from app.context import Context
from app.errors import RequestError
from app.execution import Execution
from app.http_request import Operation
from app.http_response import Answer
from app.live.changes import Change
from app.query.collect import Selected, walk
from app.query.compile import Compiler
from app.query.given import Writer
from app.query.page import Page
from app.query.plan import Plan, Run, Unplannable
from app.query.structure import structure_of

MOST_PLANS = 200


@dataclass(frozen=True, eq=False)
class Subscribed:
    """An operation that somebody subscribed with: what was sent, and what it selects of each event.

    Two with an equal `key` ask for the same; two with an equal `shape` are read by the same statement.
    """

    document: DocumentNode
    definition: OperationDefinitionNode
    operation: Operation
    selected: Selected
    fields: list[Selected]
    key: tuple[Any, ...]
    shape: tuple[Any, ...]

    @classmethod
    def of(
        cls,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        operation: Operation,
        selected: Selected,
    ) -> Self:
        """Look through an operation once, for all its events."""
        fields = list(walk(selected))
        given = operation.variables or {}
        sent = (operation.query, operation.name)
        conditions = sorted((name, value) for name, value in given.items() if isinstance(value, bool))
        structure = tuple(structure_of(field.arguments) for field in fields if field is not selected)
        key = (*sent, json.dumps(given, sort_keys=True))
        shape = (*sent, tuple(conditions), structure)
        return cls(document, definition, operation, selected, fields, key, shape)


@dataclass
class Payloads:
    """Reads the payloads of events. `reading` holds those that are being read, for whoever asks for the same."""

    execution: Execution
    turns: asyncio.Semaphore
    plans: dict[Any, tuple[Plan, Subscribed]] = field(default_factory=dict)
    reading: dict[Any, asyncio.Task[Answer]] = field(default_factory=dict)

    async def read(self, subscribed: Subscribed, change: Change, context: Context) -> Answer:
        """The answer for one event, read anew unless it is being read for the same person and operation."""
        key = (subscribed.key, context.actor.user_id, context.language, change.id)
        task = self.reading.get(key)
        if task is None:
            task = asyncio.create_task(self._in_turn(subscribed, change, context))
            self.reading[key] = task
            task.add_done_callback(partial(self._is_read, key))
        # Who leaves must not take the answer away from those who stay.
        return await asyncio.shield(task)

    def _is_read(self, key: Any, task: asyncio.Task[Answer]) -> None:
        del self.reading[key]
        # Who waits is told what went wrong. Where nobody does any more, nobody need be, not even the log.
        if not task.cancelled():
            task.exception()

    async def _in_turn(self, subscribed: Subscribed, change: Change, context: Context) -> Answer:
        async with self.turns:
            return await self._payload(subscribed, change.values(), context)

    async def _payload(self, subscribed: Subscribed, values: dict[str, Any], context: Context) -> Answer:
        """Read an object of given values with its relations. The one place that knows in which way."""
        if self.execution.engine:
            try:
                return Answer([await self._compiled(subscribed, values, context)])
            except (Unplannable, RequestError, GraphQLError, asyncpg.DataError):
                # Whatever is refused is told by graphql-core, at its place in the response.
                pass
        return await self.execution.run(
            subscribed.document, subscribed.definition, subscribed.operation, context, root=values
        )

    async def _compiled(self, subscribed: Subscribed, values: dict[str, Any], context: Context) -> bytes:
        plan, planned = self._plan(subscribed)
        arguments: dict[int, Mapping[str, Any]] = {
            id(known): asked.arguments for known, asked in zip(planned.fields, subscribed.fields, strict=True)
        }
        writer = Writer(arguments, context)
        writer.write(planned.selected, values)
        found: Mapping[int, Any] = {}
        if plan.sql and context.identity:
            pages = _pages(plan, arguments, context)
            run = Run(context.identity, arguments, pages, context.wished, writer.keys)
            row = await self.execution.pool.row(plan.sql, plan.values(run))
            found = dict(zip(plan.relations, row, strict=True))
        return f'{{"{planned.selected.key}":{writer.text(found)}}}'.encode()

    def _plan(self, subscribed: Subscribed) -> tuple[Plan, Subscribed]:
        """The statement for operations of this shape, and the operation it was compiled from."""
        found = self.plans.get(subscribed.shape)
        if found is None:
            if len(self.plans) >= MOST_PLANS:
                self.plans.pop(next(iter(self.plans)))
            arguments = {id(field): field.arguments for field in subscribed.fields}
            found = Compiler(arguments).completion(subscribed.selected), subscribed
            self.plans[subscribed.shape] = found
        return found


def _pages(plan: Plan, arguments: Mapping[int, Mapping[str, Any]], context: Context) -> dict[int, Page]:
    return {
        id(field): Page.parse(field.coordinate, arguments[id(field)], context.page_limit)
        for field in plan.paged
    }
