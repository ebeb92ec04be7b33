"""The rows of a `Lookup`: its inputs, each beside the row that was asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.errors import bad_input
from app.privilege_uses import Use
from app.query.declare import Lookup, MakeParameter
from app.rules import BATCH_LIMIT, PrivilegeName

PLACE = sa.literal_column("asked.place", sa.BigInteger)
"""Where an input stands among the others."""
USE = "#use"
"""Under this label a row carries the use of a privilege that asking for it is."""


def rows(lookup: Lookup, parameter: MakeParameter, allowed: sa.ColumnElement[bool]) -> Any:
    """What to select from. `parameter` makes an array of a type out of a function that finds it in the arguments."""

    def column(name: str) -> Any:
        kind, value_of = lookup.asks[name]
        return parameter(ARRAY(kind), lambda arguments: [value_of(item) for item in inputs_in(arguments)])

    arrays = sa.func.unnest(*map(column, lookup.asks))
    inputs = arrays.table_valued(*lookup.asks, with_ordinality="place").render_derived(name="asked")
    return inputs.outerjoin(lookup.found, allowed)


def use_of(lookup: Lookup, caller: Any) -> Any:
    """The use of a privilege that asking for a row is, as a text; null when it is none."""
    used, privilege = lookup.used(caller)
    return sa.case((used, sa.func.concat_ws(" ", lookup.found.site_id, lookup.found.user_id, privilege)))


def uses_in(texts: Iterable[str | None]) -> Iterator[Use]:
    """The uses that such texts tell of."""
    for text in filter(None, texts):
        site_id, user_id, privilege = text.split(" ")
        yield Use(UUID(site_id), UUID(user_id), PrivilegeName(privilege))


def inputs_in(arguments: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The `input` or the `inputs` in some arguments. Raises BAD_USER_INPUT when there are too many."""
    inputs: Sequence[Mapping[str, Any]] = (
        arguments["inputs"] if "inputs" in arguments else [arguments["input"]]
    )
    if len(inputs) > BATCH_LIMIT:
        raise bad_input(f"At most {BATCH_LIMIT} inputs can be answered at once.")
    return inputs
