"""Which relations are to be looked up: not those that come joined with their row, and all those of given values."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from app.query.collect import Selected
from app.query.declare import Relation, Value
from app.query.plan import Unplannable


@cache
def is_joined(relation: Relation, source: Relation, parent: Any) -> bool:
    """Whether the rows of `source` come joined with the row that a relation of theirs leads to."""
    if not (relation.follows and relation.on and relation.local) or relation.where:
        return False
    wanted = getattr(relation.model, relation.on) == getattr(parent, relation.local)
    return any(target is relation.model and wanted.compare(condition) for target, condition in source.joins)


def references(given: Selected) -> Iterator[tuple[Selected, Relation]]:
    """The relations in the objects of given values below a field."""
    for shape in given.shapes.values():
        for below in shape.fields:
            match below.declaration:
                case Relation() as relation:
                    yield below, relation
                case Value():
                    yield from references(below)
                case None if below.name != "__typename":
                    raise Unplannable(below.coordinate)
