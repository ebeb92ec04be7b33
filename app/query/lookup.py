"""The rows of a `Lookup`: its inputs, each beside the row that was asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.errors import bad_input
from app.query.declare import Lookup
from app.rules import BATCH_LIMIT

PLACE = sa.literal_column("asked.place", sa.BigInteger)
"""Where an input stands among the others."""
Parameter = Callable[[Any, Callable[[Mapping[str, Any]], Any]], Any]


def rows(lookup: Lookup, parameter: Parameter, allowed: sa.ColumnElement[bool]) -> Any:
    """What to select from. `parameter` makes an array of a type out of a function that finds it in the arguments."""

    def column(name: str) -> Any:
        kind, value_of = lookup.asks[name]
        return parameter(ARRAY(kind), lambda arguments: [value_of(item) for item in inputs_in(arguments)])

    arrays = sa.func.unnest(*map(column, lookup.asks))
    inputs = arrays.table_valued(*lookup.asks, with_ordinality="place").render_derived(name="asked")
    return inputs.outerjoin(lookup.found, allowed)


def inputs_in(arguments: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The `input` or the `inputs` in some arguments. Raises BAD_USER_INPUT when there are too many."""
    inputs: Sequence[Mapping[str, Any]] = (
        arguments["inputs"] if "inputs" in arguments else [arguments["input"]]
    )
    if len(inputs) > BATCH_LIMIT:
        raise bad_input(f"At most {BATCH_LIMIT} inputs can be answered at once.")
    return inputs
