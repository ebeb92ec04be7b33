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
from graphql.execution import VariableValues

from app.db.pool import Pool
from app.errors import RequestError, bad_input
from app.query.collect import FieldArguments, Selected
from app.query.compile import Compiler
from app.query.cost import MAXIMUM_OBJECTS, count, objects
from app.query.declare import Arguments, Paged
from app.query.forest import Forest, plant
from app.query.page import Page
from app.query.plan import Plan, Unplannable
from app.query.prepared import Answered, Caller, Prepared
from app.query.structure import structure_of
from app.query.variables import Variables

log = structlog.get_logger()
MOST_SHAPES = 20
"""Of one document: by its operations, by the values of @skip and @include, and by which arguments are given."""


@dataclass(frozen=True)
class Known:
    """What is known of an operation that was asked for before: its variables, and its trees by their conditions."""

    variables: Variables
    forests: dict[Any, Forest] = field(default_factory=dict)


@dataclass
class Engine:
    """Answers what it can plan, and leaves the rest to graphql-core; `unplanned` counts the reasons."""

    schema: GraphQLSchema
    pool: Pool
    known: dict[int, dict[int, Known]] = field(default_factory=dict)
    unplanned: Counter[str] = field(default_factory=Counter)

    async def answer(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        given: Mapping[str, Any],
        caller: Caller,
    ) -> Answered | None:
        """The response; nothing when graphql-core has to answer, be it with an error. Then nothing was done yet."""
        known = self._known(document, definition)
        variables = known.variables.coerced(given)
        if isinstance(variables, list):
            return None
        try:
            prepared = self._prepare(known, document, variables, caller)
            texts = await prepared.read()
        except Unplannable as reason:
            self._note(str(reason))
            return None
        except (RequestError, GraphQLError, asyncpg.DataError):
            # Whatever is refused is told by graphql-core, at its place in the response.
            return None
        return None if texts is None else await prepared.answered(texts)

    def _prepare(
        self, known: Known, document: DocumentNode, variables: VariableValues, caller: Caller
    ) -> Prepared:
        forest = self._forest(known, document, variables)
        arguments = forest.constant | {id(one.selected): one.arguments(variables) for one in forest.varying}
        if _cost(forest, arguments) > MAXIMUM_OBJECTS:
            raise bad_input("This asks for too much.")
        plans = self._plans(forest, arguments)
        pages = {
            id(paged): _page(forest, paged, arguments, caller.page_limit)
            for plan in plans
            for paged in plan.paged
        }
        for plan in plans:
            # For anonymous callers no statement is run that would read the filters.
            for unread in plan.unread if caller.identity else (*plan.unread, *plan.paged):
                _check_filter(unread, arguments, caller)
        return Prepared(self.pool, forest, plans, arguments, pages, variables, caller)

    def _known(self, document: DocumentNode, definition: OperationDefinitionNode) -> Known:
        operations = self.known.get(id(document))
        if operations is None:
            operations = self.known[id(document)] = {}
            # What belongs to a document is forgotten with it.
            weakref.finalize(document, self.known.pop, id(document), None)
        known = operations.get(id(definition))
        if known is None:
            known = operations[id(definition)] = Known(Variables(self.schema, definition))
        return known

    def _forest(self, known: Known, document: DocumentNode, variables: VariableValues) -> Forest:
        # @skip and @include take booleans, so that no other variable decides what is selected.
        conditions = tuple(item for item in variables.coerced.items() if isinstance(item[1], bool))
        forest = known.forests.get(conditions)
        if forest is None:
            forest = plant(self.schema, document, known.variables.definition, variables)
            _keep(known.forests, conditions, forest)
        return forest

    def _plans(self, forest: Forest, arguments: FieldArguments) -> list[Plan]:
        """The statement of the roots that are read, then one for each of those that are resolved."""
        structure = tuple(structure_of(arguments[id(one.selected)]) for one in forest.varying)
        plans = forest.plans.get(structure)
        if plans is None:
            plans = [Compiler(arguments).plan(forest.read)]
            plans += [Compiler(arguments).completion(root) for root in forest.resolved]
            _keep(forest.plans, structure, plans)
        return plans

    def _note(self, reason: str) -> None:
        self.unplanned[reason] += 1
        log.info("answered without a plan", reason=reason)


def _cost(forest: Forest, arguments: FieldArguments) -> int:
    """How many objects the operation asks for, which depends on how many its varying fields ask for."""
    counts = tuple(count(one.selected, arguments[id(one.selected)]) for one in forest.varying)
    cost = forest.costs.get(counts)
    if cost is None:
        cost = sum(objects(root, arguments) for root in forest.roots)
        _keep(forest.costs, counts, cost)
    return cost


def _page(forest: Forest, paged: Selected, arguments: FieldArguments, limit: int) -> Page:
    """The page that a connection asks for. Raises BAD_USER_INPUT for one that cannot be."""
    field_id = id(paged)
    page = forest.pages.get(field_id)
    if page is None or page.size > limit:
        page = Page.parse(paged.coordinate, arguments[field_id], limit)
        if field_id in forest.constant:
            forest.pages[field_id] = page
    return page


def _check_filter(selected: Selected, arguments: FieldArguments, caller: Caller) -> None:
    """Raises the RequestError of a filter that cannot be."""
    if isinstance(selected.declaration, Paged) and selected.declaration.where:
        selected.declaration.where(Arguments(arguments[id(selected)]), caller.actor)


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    """Remember something in the place of the oldest, where there are too many."""
    if len(cache) >= MOST_SHAPES:
        cache.pop(next(iter(cache)))
    cache[key] = value
