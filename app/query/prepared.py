"""An operation that is ready to be answered, and its answer."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import asyncpg
from graphql import GraphQLError, GraphQLResolveInfo, located_error
from graphql.pyutils import Path

from app.actor import Identity
from app.db.pool import Pool
from app.errors import bad_input
from app.query import plan as planned
from app.query.collect import FieldArguments, Selected
from app.query.declare import OfCaller, Value
from app.query.forest import Forest
from app.query.given import Values, Writer
from app.query.lookup import uses_in
from app.query.page import Page
from app.query.plan import Plan, Run

Json = list[bytes]
"""A text in pieces: it can be long, and is put together when all of the answer is there."""
NULL = [b"null"]


class RowSource(Protocol):
    """Where statements are sent: the pool, or a transaction."""

    async def row(self, sql: str, values: Sequence[Any]) -> Any:
        """The first row of a statement."""
        ...


class Caller(planned.Caller, Protocol):
    """What answering needs of the request: who calls, and a place for what is prepared for its resolvers."""

    completers: dict[Any, Any]

    async def sign_in(self) -> None:
        """Find out who calls, and what they may do at this moment."""
        ...


@dataclass
class Answered:
    """The JSON text of `data` in pieces, and the errors of fields that are null because of them."""

    data: Json
    errors: list[GraphQLError]


@dataclass
class Prepared:
    """An operation whose arguments have been looked at and whose statements are planned.

    The first of `plans` reads roots, the others complete what resolvers give, in the order of `forest.resolved`.
    `variables` are for them. First comes `read`, then `answered`.
    """

    pool: Pool
    forest: Forest
    plans: list[Plan]
    arguments: FieldArguments
    pages: Mapping[int, Page]
    variables: Any
    caller: Caller

    async def read(self) -> dict[str, Json] | None:
        """The texts of the roots that are read, by their keys; nothing when the caller has to sign in first.

        Everything about the values of all roots is refused here, before anything is done.
        """
        plan, *others = self.plans
        if self.caller.identity is None:
            public = all(isinstance(root.declaration, OfCaller) for root in self.forest.read)
            return dict.fromkeys((root.key for root in self.forest.read), NULL) if public else None
        # Only to be refused in time: these are filled in again when there are keys to fill in (see `complete`).
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
        columns = iter(row)
        widths = zip(self.forest.read, plan.widths, strict=True)
        return {root.key: self._text(list(islice(columns, width))) for root, width in widths}

    def _text(self, columns: list[Any]) -> Json:
        """The text of a root; what is told beside it of the use of privileges is remembered."""
        first = columns[0]
        if isinstance(first, list):
            text, *uses = first
            self.caller.note(uses_in(uses))
            return [text.encode()]
        return NULL if first is None else [column for column in columns if column]

    async def answered(self, texts: dict[str, Json]) -> Answered:
        """The response, with the texts of the roots that are read; the others are resolved in their order."""
        errors = []
        for root, plan in zip(self.forest.resolved, self.plans[1:], strict=True):
            try:
                texts[root.key] = [(await self._resolved(root, plan)).encode()]
            except Exception as error:
                # Whatever it is, it is told at the place of the field, which can always be null.
                errors.append(located_error(error, root.nodes, [root.key]))
                texts[root.key] = NULL
        typename = [f'"{self.forest.type.name}"'.encode()]
        pieces = [b"{"]
        for root in self.forest.roots:
            name = f'{"," if len(pieces) > 1 else ""}"{root.key}":'
            pieces += [name.encode(), *(texts.get(root.key) or typename)]
        return Answered([*pieces, b"}"], errors)

    async def _resolved(self, root: Selected, plan: Plan) -> str:
        if isinstance(root.declaration, Value):
            values = root.declaration.compute({}, self.arguments[id(root)], self.caller)
            return await self.complete(root, plan, values)
        self.caller.completers[root.key] = Completion(self, root, plan)
        assert root.definition.resolve
        found = root.definition.resolve(None, self._info(root), **self.arguments[id(root)])
        return await found or "null"

    async def complete(
        self, root: Selected, plan: Plan, values: Values, source: RowSource | None = None
    ) -> str:
        """The text of given values, with what they refer to as it is now. Raises BAD_USER_INPUT for a forged cursor."""
        writer = Writer(self.arguments, self.caller)
        writer.write(root, values)
        found: dict[int, Any] = {}
        if self.caller.identity and any(key for keys in writer.keys.values() for key in keys):
            try:
                run = self._run(self.caller.identity, writer.keys)
                row = await (source or self.pool).row(plan.sql, plan.values(run))
            except asyncpg.DataError as error:
                raise bad_input("A value in the request cannot be compared with what is kept.") from error
            found = dict(zip(plan.relations, row, strict=True))
        return writer.text(found)

    def _run(self, identity: Identity, keys: Mapping[int, list[Any]]) -> Run:
        return Run(identity, self.arguments, self.pages, self.caller.wished, keys)

    def _info(self, root: Selected) -> GraphQLResolveInfo[Any]:
        """What graphql-core tells a resolver."""
        return GraphQLResolveInfo(
            field_name=root.name,
            field_nodes=root.nodes,
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

    prepared: Prepared
    root: Selected
    plan: Plan

    async def complete(self, values: Values, tx: RowSource | None = None) -> str:
        """The text of the field, with what the values refer to as it is now, or as it is in a transaction."""
        return await self.prepared.complete(self.root, self.plan, values, tx)
