"""The interpreter: the selected tree, filled from the database for graphql-core, where no compiled statement answers.

One statement per selected relation (two for a connection whose `totalCount` is selected), whatever the number
of rows: the children of all parents are fetched together by their keys. graphql-core then completes the values;
it finds each under its key in the response.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from app.db.base import Base
from app.db.session import Session
from app.language import spoken
from app.query.collect import Selected, Shape
from app.query.declare import (
    Arguments,
    Chosen,
    Column,
    Constant,
    Find,
    Group,
    Kept,
    Lookup,
    OfCaller,
    Paged,
    Parts,
    Records,
    Relation,
    Value,
    Variant,
)
from app.query.ids import ids_in, write_id
from app.query.load_statement import conditions_of, from_of, lookup_of, page_of, select_of
from app.query.lookup import USE, uses_in
from app.query.page import Page, Slice
from app.query.plan import Caller
from app.query.rows import (
    PARENT,
    TYPE,
    Row,
    array_of,
    by_parent,
    kept_part,
    keyed,
    node_shapes,
)
from app.query.sift import sifted


@dataclass
class Interpreter:
    """Reads for one caller over one connection; a test demands the same of it as of the compiler, to the byte."""

    connection: Session
    caller: Caller

    async def root(self, selected: Selected) -> Any:
        """The value of a field of `Query`."""
        [value] = await self._values(selected, [{}], None)
        return value

    async def complete(
        self, shape: Shape, rows: Sequence[Row], model: type[Base] | None = None
    ) -> list[dict[Any, Any]]:
        """The response objects of these rows, in their order."""
        results: list[dict[Any, Any]] = [{TYPE: shape.type.name} for _ in rows]
        for selected in shape.fields:
            values = await self._values(selected, rows, model) if rows else ()
            for result, value in zip(results, values, strict=False):
                result[selected.key] = value
        return results

    async def _values(
        self, selected: Selected, rows: Sequence[Row], model: type[Base] | None
    ) -> Iterable[Any]:
        match selected.declaration:
            case Kept():
                return [row[selected.coordinate] for row in rows]
            case Column(kind=kind):
                values = [row[selected.coordinate] for row in rows]
                return [value and write_id(kind, value) for value in values] if kind else values
            case Constant(value=value):
                return [value for _ in rows]
            case OfCaller():
                caller = {"user_id": self.caller.actor.user_id}
                known = await self.complete(selected.shape, [caller]) if caller["user_id"] else [None]
                return known * len(rows)
            case Group(needs=needs):
                objects = await self.complete(selected.shape, rows, model)
                hidden = [needs and not row[selected.coordinate] for row in rows]
                return [None if hide else value for hide, value in zip(hidden, objects, strict=True)]
            case Variant(types=types):
                names = [types.get(row[selected.coordinate]) for row in rows]
                return [
                    await self._varied(selected, name, row) for name, row in zip(names, rows, strict=True)
                ]
            case Records():
                found = [row[selected.coordinate] or [] for row in rows]
                return [[keyed(selected.shape, item) for item in items] for items in found]
            case Value() as declared:
                values = [declared.compute(row, selected.arguments, self.caller) for row in rows]
                return await self._given(selected, values)
            case Chosen() as choice:
                values = self._choices(choice, model)
                chosen = (_chosen(values, selected.coordinate, row) for row in rows)
                return await self._given(selected, list(chosen))
            case Parts() as parts:
                return await self._parts(selected, parts, rows, model)
            case Lookup() as lookup:
                return [await self._looked_up(selected, lookup) for _ in rows]
            case Paged() as connection:
                return await self._connected(selected, connection, rows)
            case Relation() as relation:
                return await self._related(selected, relation, rows)
            case Find() as find:
                return [await self._found(selected, find) for _ in rows]
        return [selected.owner for _ in rows]

    async def _varied(self, selected: Selected, name: str | None, row: Row) -> Any:
        """The object in a JSON column, as the type of this name."""
        if name is None:
            return None
        [value] = await self.complete(selected.shapes[name], [kept_part(selected.name, row)])
        return value

    def _choices(self, choice: Chosen, model: Any) -> list[Any]:
        values = [*(value for _, value in choice.cases(self.caller.actor, model)), choice.otherwise]
        return [spoken(value, self.caller.language) for value in values]

    async def _given(self, selected: Selected, values: list[Any]) -> list[Any]:
        """Given values; where they are objects or lists of objects, all are completed in turn, together."""
        if not selected.shapes:
            return values
        items = [item for value in values for item in (value if isinstance(value, list) else [value])]
        objects = iter(await self._objects(selected, items))
        return [
            [next(objects) for _ in value] if isinstance(value, list) else next(objects) for value in values
        ]

    async def _objects(self, selected: Selected, items: Sequence[Any]) -> list[Any]:
        """The response objects of given values, in their order; those of one type are completed together."""
        found: list[Any] = [None] * len(items)
        for name, shape in selected.shapes.items():
            places = [
                place for place, item in enumerate(items) if item is not None and item.get(TYPE, name) == name
            ]
            objects = await self.complete(shape, [items[place] for place in places])
            for place, value in zip(places, objects, strict=True):
                found[place] = value
        return found

    async def _parts(
        self, selected: Selected, parts: Parts, rows: Sequence[Row], model: type[Base] | None
    ) -> list[Any]:
        """The objects of each row whose condition holds."""
        lists: list[list[Any]] = [[] for _ in rows]
        for name in parts.when:
            objects = await self.complete(selected.shapes[name], rows, model)
            for found, row, value in zip(lists, rows, objects, strict=True):
                if row[f"{selected.coordinate}.{name}"]:
                    found.append(value)
        return lists

    async def _looked_up(self, selected: Selected, lookup: Lookup) -> Any:
        """The objects of all inputs, in their order."""
        statement = lookup_of(self.caller.actor, lookup, selected)
        found = await self._fetch(statement)
        self.caller.note(uses_in(row[USE] for row in found))
        objects = await self.complete(selected.shape, found, lookup.found)
        return objects if selected.is_list else objects[0]

    async def _related(self, selected: Selected, relation: Relation, rows: Sequence[Row]) -> list[Any]:
        """The rows that belong to each parent: all of them for a list, the first for a single object."""
        statement = select_of(self.caller.actor, relation, [selected.shape])
        statement = statement.where(*conditions_of(relation, selected, self.caller.actor))
        order = list(relation.order(Arguments(selected.arguments))) if relation.order else []
        keys: list[Any] = [None] * len(rows)
        if relation.on and relation.local:
            on = getattr(relation.model, relation.on)
            keys = [row.get(relation.local) for row in rows]
            if not any(keys):
                return [[] if selected.is_list else None] * len(rows)
            statement = statement.where(on == sa.any_(array_of(_flat(keys), on)))
            if not selected.is_list:
                statement, order = statement.ext(distinct_on(on)), [on, *order]
        found = await self._fetch(statement.order_by(*order))
        children = by_parent(found, await self.complete(selected.shape, found, relation.model))
        if selected.is_list:
            return [[child for one in _flat([key]) for child in children.get(one, [])] for key in keys]
        return [next(iter(children.get(key, [])), None) for key in keys]

    async def _connected(self, selected: Selected, connection: Paged, rows: Sequence[Row]) -> list[Any]:
        """Pages of a list, one for each parent; the rows of all pages are completed together."""
        assert connection.local
        keys = [row[connection.local] for row in rows]
        page = Page.parse(selected.coordinate, selected.arguments, self.caller.page_limit)
        slices = await self._slices(selected, connection, page, keys)
        objects = {key: {TYPE: selected.shape.type.name} for key in slices}
        for below in selected.shape.fields:
            if below.name == "totalCount":
                counts = await self._counts(selected, connection, keys)
                values: Mapping[Any, Any] = {key: counts.get(key, 0) for key in slices}
            elif below.name == "pageInfo":
                values = {key: keyed(below.shape, cut.info()) for key, cut in slices.items()}
            elif below.name == "__typename":
                values = dict.fromkeys(slices, selected.shape.type.name)
            else:
                values = await self._nodes(below, connection, slices)
            for key, value in values.items():
                objects[key][below.key] = value
        return [objects[key] for key in keys]

    async def _slices(
        self, selected: Selected, connection: Paged, page: Page, keys: list[Any]
    ) -> dict[Any, Slice]:
        found: dict[Any, list[Row]] = {}
        shapes = [shape for below in selected.shape.fields for shape in node_shapes(below)]
        if shapes or any(below.name in ("edges", "pageInfo") for below in selected.shape.fields):
            rows = await self._fetch(page_of(self.caller.actor, selected, connection, page, keys, shapes))
            found = by_parent(rows, rows)
        return {key: page.slice(found.get(key, [])) for key in keys}

    async def _counts(self, selected: Selected, connection: Paged, keys: list[Any]) -> dict[Any, int]:
        on = getattr(connection.model, connection.on or "")
        statement = (
            from_of(self.caller.actor, connection, sa.select(on, sa.func.count()))
            .where(on == sa.any_(array_of(keys, on)), *conditions_of(connection, selected, self.caller.actor))
            .group_by(on)
        )
        return {row[0]: row[1] for row in await self.connection.execute(statement)}

    async def _nodes(
        self, below: Selected, connection: Paged, slices: Mapping[Any, Slice]
    ) -> dict[Any, list[Any]]:
        """The `nodes` or `edges` of every page."""
        rows = [row for cut in slices.values() for row in cut.rows]
        if below.name == "nodes":
            objects = iter(await self.complete(below.shape, rows, connection.model))
        else:
            objects = iter(await self._edges(below.shape, rows, slices, connection.model))
        return {key: [next(objects) for _ in cut.rows] for key, cut in slices.items()}

    async def _edges(
        self, shape: Shape, rows: list[Row], slices: Mapping[Any, Slice], model: type[Base]
    ) -> list[dict[Any, Any]]:
        name = shape.type.name
        edges = [
            keyed(shape, {"cursor": cursor, "__typename": name})
            for cut in slices.values()
            for cursor in cut.cursors()
        ]
        for node in shape.named("node"):
            for edge, value in zip(edges, await self.complete(node.shape, rows, model), strict=True):
                edge[node.key] = value
        return edges

    async def _found(self, selected: Selected, find: Find) -> Any:
        """The rows with the ids in the arguments, each null when there is none that the caller may see."""
        parsed = ids_in(selected.arguments)
        found: dict[Any, Any] = {}
        for kind, (type_name, model) in find.kinds.items():
            keys = [key for name, key in parsed if name == kind]
            if keys and type_name in selected.shapes:
                objects = await self._by_key(selected.shapes[type_name], model, keys)
                found.update({(kind, key): value for key, value in objects.items()})
        values = [found.get(name) for name in parsed]
        return values if selected.is_list else values[0]

    async def _by_key(self, shape: Shape, model: type[Base], keys: list[Any]) -> dict[Any, Any]:
        relation = Relation(model, on="id", local="id")
        column: Any = model.__table__.c.id
        rows = await self._fetch(
            select_of(self.caller.actor, relation, [shape]).where(column == sa.any_(array_of(keys, column)))
        )
        objects = await self.complete(shape, rows, model)
        return {row[PARENT]: value for row, value in zip(rows, objects, strict=True)}

    async def _fetch(self, statement: sa.Select[Any]) -> list[Row]:
        found = (await self.connection.execute(statement)).mappings()
        rows: list[Row] = [dict(row) for row in found]
        return rows


def _chosen(values: list[Any], label: str, row: Row) -> Any:
    """The value that a row chooses, with those of its items whose condition holds."""
    place = row[label]
    return sifted(values[place], (row[f"{label}.{place}.{number}"] for number in count()))


def _flat(keys: list[Any]) -> list[Any]:
    """Keys, one by one, where given values refer to several rows at once."""
    return [one for key in keys for one in (key if isinstance(key, list) else [key])]
