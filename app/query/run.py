"""Operations answered by statements that are planned once for each shape, then only filled in and passed on."""

import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution import get_argument_values, get_variable_values

from app.db.pool import Pool
from app.errors import RequestError, bad_input
from app.query.compile import Compiler
from app.query.cost import MAXIMUM_OBJECTS, objects
from app.query.forest import Forest, plant
from app.query.page import Page
from app.query.plan import Plan, Unplannable
from app.query.prepared import Answered, ById, Caller, Prepared
from app.query.structure import structure_of

log = structlog.get_logger()
MOST_SHAPES = 20
"""Of one document: by its operations, by the values of @skip and @include, and by which arguments are given."""


@dataclass
class Engine:
    """Answers what it can plan, and leaves the rest to graphql-core; `unplanned` counts the reasons."""

    schema: GraphQLSchema
    pool: Pool
    forests: dict[int, dict[Any, Forest]] = field(default_factory=dict)
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
            prepared = self._prepare(document, definition, variables, caller)
            texts = await prepared.read()
        except Unplannable as reason:
            self._note(str(reason))
            return None
        except (RequestError, GraphQLError, asyncpg.DataError):
            # Whatever is refused is told by graphql-core, at its place in the response.
            return None
        return None if texts is None else await prepared.answered(texts)

    def _prepare(
        self, document: DocumentNode, definition: OperationDefinitionNode, variables: Any, caller: Caller
    ) -> Prepared:
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
        return Prepared(self.pool, forest, plans, arguments, pages, variables, caller)

    def _forest(self, document: DocumentNode, definition: OperationDefinitionNode, variables: Any) -> Forest:
        conditions = tuple(item for item in variables.coerced.items() if isinstance(item[1], bool))
        key = (id(definition), conditions)
        forests = self.forests.get(id(document))
        if forests is None:
            forests = self.forests[id(document)] = {}
            # What belongs to a document is forgotten with it.
            weakref.finalize(document, self.forests.pop, id(document), None)
        forest = forests.get(key)
        if forest is None:
            forest = plant(self.schema, document, definition, variables)
            _keep(forests, key, forest)
        return forest

    def _plans(self, forest: Forest, arguments: ById) -> list[Plan]:
        """The statement of the roots that are read, then one for each of those that are resolved."""
        structure = tuple(structure_of(arguments[id(selected)]) for selected in forest.varying)
        plans = forest.plans.get(structure)
        if plans is None:
            plans = [Compiler(arguments).plan(forest.read)]
            plans += [Compiler(arguments).completion(root) for root in forest.resolved]
            _keep(forest.plans, structure, plans)
        return plans

    def _note(self, reason: str) -> None:
        self.unplanned[reason] += 1
        log.info("answered without a plan", reason=reason)


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= MOST_SHAPES:
        cache.pop(next(iter(cache)))
    cache[key] = value
