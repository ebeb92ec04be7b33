"""Operations answered by statements that are planned once for each shape, then only filled in and passed on."""

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    located_error,
)
from graphql.execution import get_argument_values, get_variable_values
from graphql.pyutils import Path

from app.actor import Identity
from app.db.pool import Pool
from app.errors import RequestError, bad_input
from app.query import plan as planned
from app.query.collect import Selected
from app.query.compile import Compiler
from app.query.cost import MAXIMUM_OBJECTS, objects
from app.query.declare import OfCaller, Value
from app.query.forest import Forest, plant
from app.query.given import Values, Writer
from app.query.page import Page
from app.query.plan import Plan, Run, Unplannable

log = structlog.get_logger()
MOST_PLANS = 500
Structure = tuple[Any, ...] | str | bool
ById = Mapping[int, Mapping[str, Any]]


class Caller(planned.Caller, Protocol):
    """What answering needs of the request: who calls, and a place for what is prepared for its resolvers."""

    answers: dict[Any, Any]

    async def sign_in(self) -> None:
        """Find out who calls, and what they may do at this moment."""
        ...


@dataclass
class Answered:
    """The JSON text of `data`, and the errors of fields that are null because of them."""

    data: str
    errors: list[GraphQLError] = field(default_factory=list)


@dataclass
class Engine:
    """Answers what it can plan, and leaves the rest to graphql-core; `unplanned` counts the reasons."""

    schema: GraphQLSchema
    pool: Pool
    forests: dict[Any, Forest] = field(default_factory=dict)
    plans: dict[Any, tuple[Forest, list[Plan]]] = field(default_factory=dict)
    unplanned: Counter[str] = field(default_factory=Counter)

    async def answer(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        given: Mapping[str, Any],
        caller: Caller,
    ) -> Answered | None:
        """The response; nothing when graphql-core has to answer, be it with an error. Then nothing was done yet."""
        variables = get_variable_values(self.schema, definition.variable_definitions or (), dict(given))
        if isinstance(variables, list):
            return None
        try:
            operation = self._prepare(document, definition, variables, caller)
            texts = await operation.read()
        except Unplannable as reason:
            self._note(str(reason))
            return None
        except (RequestError, GraphQLError, asyncpg.DataError):
            # Whatever is refused is told by graphql-core, at its place in the response.
            return None
        return None if texts is None else await operation.answered(texts)

    def _prepare(
        self, document: DocumentNode, definition: OperationDefinitionNode, variables: Any, caller: Caller
    ) -> "Operation":
        forest = self._forest(document, definition, variables)
        arguments: dict[int, Mapping[str, Any]] = forest.constant | {
            id(selected): get_argument_values(selected.definition, selected.node, variables)
            for selected in forest.varying
        }
        if sum(objects(root, arguments) for root in forest.roots) > MAXIMUM_OBJECTS:
            raise bad_input("This asks for too much.")
        plans = self._plans(forest, arguments)
        pages = {
            id(selected): Page.parse(
                f"{selected.owner}.{selected.name}", arguments[id(selected)], caller.page_limit
            )
            for plan in plans
            for selected in plan.paged
        }
        return Operation(self.pool, forest, plans, arguments, pages, variables, caller)

    def _forest(self, document: DocumentNode, definition: OperationDefinitionNode, variables: Any) -> Forest:
        conditions = tuple(item for item in variables.coerced.items() if isinstance(item[1], bool))
        key = (id(document), id(definition), conditions)
        forest = self.forests.get(key)
        if forest is None or forest.document is not document:
            forest = plant(self.schema, document, definition, variables)
            _keep(self.forests, key, forest)
        return forest

    def _plans(self, forest: Forest, arguments: ById) -> list[Plan]:
        """The statement of the roots that are read, then one for each of those that are resolved."""
        structure = tuple(_structure(arguments[id(selected)]) for selected in forest.varying)
        known, plans = self.plans.get((id(forest), structure), (None, []))
        if known is not forest:
            plans = [Compiler(arguments).plan(forest.read)]
            plans += [Compiler(arguments).completion(root) for root in forest.resolved]
            _keep(self.plans, (id(forest), structure), (forest, plans))
        return plans

    def _note(self, reason: str) -> None:
        self.unplanned[reason] += 1
        log.debug("read without a plan", reason=reason)


@dataclass
class Operation:
    """An operation whose arguments have been looked at and whose statements are planned."""

    pool: Pool
    forest: Forest
    plans: list[Plan]
    arguments: ById
    pages: Mapping[int, Page]
    variables: Any
    caller: Caller

    async def read(self) -> dict[str, str] | None:
        """The texts of the roots that are read, by their keys; nothing when the caller has to sign in first.

        Everything about the values of all roots is refused here, before anything is done.
        """
        plan, *others = self.plans
        if self.caller.identity is None:
            public = all(isinstance(root.declaration, OfCaller) for root in self.forest.read)
            return dict.fromkeys((root.key for root in self.forest.read), "null") if public else None
        for other in others:
            other.values(self._run(self.caller.identity, {}))
        if self.forest.resolved:
            await self.caller.sign_in()
        if not plan.sql:
            return {}
        run = self._run(self.caller.identity, {})
        row = await self.pool.row(plan.sql, plan.values(run))
        if row is None:
            await self.caller.sign_in()
            row = await self.pool.row(plan.sql, plan.values(run))
        return {root.key: text for root, text in zip(self.forest.read, row, strict=True)}

    async def answered(self, texts: dict[str, str]) -> Answered:
        """The response, with the texts of the roots that are read; the others are resolved in their order."""
        answered = Answered("")
        for root, plan in zip(self.forest.resolved, self.plans[1:], strict=True):
            try:
                texts[root.key] = await self._resolved(root, plan)
            except Exception as error:
                # Whatever it is, it is told at the place of the field, which can always be null.
                answered.errors.append(located_error(error, [root.node], [root.key]))
                texts[root.key] = "null"
        typename = f'"{self.forest.type.name}"'
        names = (f'"{root.key}":{texts.get(root.key) or typename}' for root in self.forest.roots)
        answered.data = "{" + ",".join(names) + "}"
        return answered

    async def _resolved(self, root: Selected, plan: Plan) -> str:
        if isinstance(root.declaration, Value):
            values = root.declaration.compute({}, self.arguments[id(root)], self.caller)
            return await self.complete(root, plan, values)
        self.caller.answers[root.key] = Completion(self, root, plan)
        assert root.definition.resolve
        found = root.definition.resolve(None, self._info(root), **self.arguments[id(root)])
        return await found or "null"

    async def complete(self, root: Selected, plan: Plan, values: Values) -> str:
        """The text of given values, with what they refer to as it is now. Raises BAD_USER_INPUT for a forged cursor."""
        writer = Writer(self.arguments, self.caller)
        writer.write(root, values)
        found: dict[int, Any] = {}
        if self.caller.identity and any(key for keys in writer.keys.values() for key in keys):
            try:
                row = await self.pool.row(plan.sql, plan.values(self._run(self.caller.identity, writer.keys)))
            except asyncpg.DataError as error:
                raise bad_input("A value in the request cannot be compared with what is kept.") from error
            found = dict(zip(plan.relations, row, strict=True))
        return writer.text(found)

    def _run(self, identity: Identity, keys: Mapping[int, list[Any]]) -> Run:
        return Run(identity, self.arguments, self.pages, keys)

    def _info(self, root: Selected) -> GraphQLResolveInfo[Any]:
        """What graphql-core tells a resolver."""
        return GraphQLResolveInfo(
            field_name=root.name,
            field_nodes=[root.node],
            return_type=root.definition.type,
            parent_type=self.forest.type,
            path=Path(None, root.key, root.owner),
            schema=self.forest.schema,
            fragments={},
            root_value=None,
            operation=self.forest.definition,
            variable_values=self.variables,
            context=self.caller,
            is_awaitable=inspect.isawaitable,  # type: ignore[arg-type]
            abort_signal=None,
            async_helpers=None,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Completion:
    """What a resolver answers with: it turns given values into the text of its field."""

    operation: Operation
    root: Selected
    plan: Plan

    async def complete(self, values: Values) -> str:
        """The text of the field, with what the values refer to as it is now."""
        return await self.operation.complete(self.root, self.plan, values)


def _structure(values: Any, by_value: bool = False) -> Structure:
    """What decides the shape of a statement: what is given, and the values of orders."""
    if isinstance(values, dict):
        return tuple(
            (name, _structure(value, by_value or name == "orderBy"))
            for name, value in values.items()
            if value is not None
        )
    return values.name if by_value and isinstance(values, Enum) else True


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= MOST_PLANS:
        cache.pop(next(iter(cache)))
    cache[key] = value
