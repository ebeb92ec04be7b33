"""What things and lists have in common: ids, pages, edges."""

from typing import Any, Generic, TypeVar

import strawberry

from app.query.declare import Column, reads

T = TypeVar("T")


ID = "Opaque id, unique among all things of the service."
VERSION = "Grows with every change; as expectedVersion of an update, it keeps one from overwriting what others wrote."


@strawberry.interface(description="Anything with an id that can be read again by it.")
class Node:
    """Anything with an id."""

    id: strawberry.ID = strawberry.field(description=ID)


def opaque_id(kind: str, column: Any) -> Any:
    """The id of a thing of a kind, whose key is in a column."""
    return reads(Column(column, kind), ID)


@strawberry.type(description="Where a page of a list stands in the list.")
class PageInfo:
    """Where a page stands."""

    has_next_page: bool = strawberry.field(description="Whether more follows, when reading forward.")
    has_previous_page: bool = strawberry.field(
        description="Whether more comes before, when reading backward."
    )
    start_cursor: str | None = strawberry.field(
        description="Cursor of the first row of the page; null when it has none."
    )
    end_cursor: str | None = strawberry.field(
        description="Cursor of the last row of the page; null when it has none."
    )


@strawberry.type(description="A row of a list, with its place.")
class Edge(Generic[T]):
    """A row with its place."""

    cursor: str = strawberry.field(description="The row's place in this list, with this order and filter.")
    node: T = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list."""

    edges: list[Edge[T]] = strawberry.field(description="The rows, each with its cursor.")
    nodes: list[T] = strawberry.field(description="The rows.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
    total_count: int = strawberry.field(description="How many rows the whole list has with this filter.")
