"""Queries answered by one statement: planned once for each shape, then only filled in and passed on."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution import get_argument_values, get_variable_values

from app.db.pool import Pool
from app.errors import RequestError
from app.query.collect import Operation, Selected, collect_roots, walk
from app.query.compile import Compiler
from app.query.cost import MAXIMUM_OBJECTS, objects
from app.query.load import Caller
from app.query.page import Page
from app.query.plan import Plan, Run, Unplannable

log = structlog.get_logger()
MOST_PLANS = 500
Structure = tuple[Any, ...] | str | bool


@dataclass
class Forest:
    """The trees of an operation."""

    document: DocumentNode
    roots: list[Selected]
    with_arguments: list[Selected]


@dataclass
class Engine:
    """Answers what it can plan, and leaves the rest to graphql-core; `unplanned` counts the reasons."""

    schema: GraphQLSchema
    pool: Pool
    forests: dict[Any, Forest] = field(default_factory=dict)
    plans: dict[Any, tuple[Forest, Plan]] = field(default_factory=dict)
    unplanned: Counter[str] = field(default_factory=Counter)

    async def answer(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        given: Mapping[str, Any],
        caller: Caller,
    ) -> str | None:
        """The JSON text of `data`; nothing when graphql-core has to answer, be it with an error."""
        if caller.actor.user_id is None:
            return None
        variables = get_variable_values(self.schema, definition.variable_definitions or (), dict(given))
        if isinstance(variables, list):
            return None
        try:
            forest = self._forest(document, definition, variables)
            arguments = {
                id(selected): get_argument_values(selected.definition, selected.node, variables)
                for selected in forest.with_arguments
            }
            if sum(objects(root, arguments) for root in forest.roots) > MAXIMUM_OBJECTS:
                return None
            plan = self._plan(forest, arguments)
            return await self._run(forest, plan, arguments, caller)
        except Unplannable as reason:
            self._note(str(reason))
        except (RequestError, GraphQLError, asyncpg.DataError):
            # Whatever is refused is told by graphql-core, at its place in the response.
            pass
        return None

    def _forest(self, document: DocumentNode, definition: OperationDefinitionNode, variables: Any) -> Forest:
        conditions = tuple(item for item in variables.coerced.items() if isinstance(item[1], bool))
        key = (id(document), id(definition), conditions)
        forest = self.forests.get(key)
        if forest is None or forest.document is not document:
            fragments = {
                node.name.value: node
                for node in document.definitions
                if isinstance(node, FragmentDefinitionNode)
            }
            roots = collect_roots(Operation(self.schema, fragments, variables), definition)
            everything = [selected for root in roots for selected in walk(root)]
            forest = Forest(
                document, roots, [selected for selected in everything if selected.definition.args]
            )
            _keep(self.forests, key, forest)
        return forest

    def _plan(self, forest: Forest, arguments: Mapping[int, Mapping[str, Any]]) -> Plan:
        structure = tuple(structure_of(arguments[id(selected)]) for selected in forest.with_arguments)
        known, plan = self.plans.get((id(forest), structure), (None, None))
        if plan is None or known is not forest:
            plan = Compiler(arguments).plan(forest.roots)
            _keep(self.plans, (id(forest), structure), (forest, plan))
        return plan

    async def _run(
        self, forest: Forest, plan: Plan, arguments: Mapping[int, Mapping[str, Any]], caller: Caller
    ) -> str:
        pages = {
            id(selected): Page.parse(
                f"{selected.owner}.{selected.name}", arguments[id(selected)], caller.page_limit
            )
            for selected in plan.paged
        }
        row = await self.pool.row(plan.sql, plan.values(Run(caller.actor, arguments, pages)))
        parts = (f'"{root.key}":{text}' for root, text in zip(forest.roots, row, strict=True))
        return "{" + ",".join(parts) + "}"

    def _note(self, reason: str) -> None:
        self.unplanned[reason] += 1
        log.debug("read without a plan", reason=reason)


def structure_of(values: Any, by_value: bool = False) -> Structure:
    """What decides the shape of a statement: what is given, and the values of orders."""
    if isinstance(values, dict):
        return tuple(
            (name, structure_of(value, by_value or name == "orderBy"))
            for name, value in values.items()
            if value is not None
        )
    return values.name if by_value and isinstance(values, Enum) else True


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= MOST_PLANS:
        cache.pop(next(iter(cache)))
    cache[key] = value
