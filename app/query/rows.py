"""Rows as they come from the database, and the objects made of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.query.collect import Selected, Shape

PARENT = "#parent"
"""Under this label every row carries the key of its parent."""
TYPE = object()
"""Under this key every object carries the name of its type."""

Row = Mapping[str, Any]


def labelled(name: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of what is kept under a field, told from those of other fields of the same types."""
    return {f"{name}/{label}": column for label, column in columns.items()}


def kept_part(name: str, row: Row) -> Row:
    """The part of a row that is kept under a field."""
    return {
        label.removeprefix(f"{name}/"): value for label, value in row.items() if label.startswith(f"{name}/")
    }


def array_of(keys: Iterable[Any], column: Any) -> Any:
    """The different keys, as one array parameter of a column's type."""
    return sa.literal(list(dict.fromkeys(keys)), ARRAY(column.type))


def by_parent(rows: Sequence[Row], values: Sequence[Any]) -> dict[Any, list[Any]]:
    """Values by the parent that their rows belong to, in their order."""
    groups: dict[Any, list[Any]] = {}
    for row, value in zip(rows, values, strict=True):
        groups.setdefault(row[PARENT], []).append(value)
    return groups


def keyed(shape: Shape, values: Mapping[str, Any]) -> dict[Any, Any]:
    """An object of plain values, under the keys by which they were asked for."""
    values = {"__typename": shape.type.name, **values}
    return {TYPE: shape.type.name} | {
        selected.key: values[selected.name] for selected in shape.fields if selected.name in values
    }


def node_shapes(below: Selected) -> list[Shape]:
    """The shapes in which the rows of a page are asked for, by `nodes` or by `edges`."""
    if below.name == "nodes":
        return [below.shape]
    return [node.shape for node in below.shape.named("node")] if below.name == "edges" else []
