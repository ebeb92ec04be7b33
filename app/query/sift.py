"""Given lists whose items depend on conditions, for the interpreter: the conditions, and what they leave."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.query.declare import Some


def conditions_in(value: Any) -> Iterator[sa.ColumnElement[bool]]:
    """All conditions in a given value, in their order."""
    if isinstance(value, Some):
        for condition, item in value.items:
            yield condition
            yield from conditions_in(item)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from conditions_in(item)


def sifted(value: Any, holds: Iterator[bool]) -> Any:
    """A given value with those items whose condition holds; `holds` says so of each, in the same order."""
    match value:
        case Some(items=items):
            told = [(next(holds), sifted(item, holds)) for _, item in items]
            return [item for is_there, item in told if is_there]
        case dict():
            return {name: sifted(item, holds) for name, item in value.items()}
        case list():
            return [sifted(item, holds) for item in value]
    return value
