"""Opaque ids of the schema: what the thing is, and its key."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.errors import bad_input
from app.rules import BATCH_LIMIT

_PATTERN = re.compile(r"([a-z]+(?:_[a-z]+)*)_([0-9a-f]{32})")


def write_id(kind: str, key: UUID) -> str:
    """The id of a row, such as ``site_0197…``."""
    return f"{kind}_{key.hex}"


def parse_id(value: str) -> tuple[str, UUID] | None:
    """Kind and key of an id; nothing when it is none of ours."""
    match = _PATTERN.fullmatch(value)
    return (match[1], UUID(match[2])) if match else None


def ids_in(arguments: Mapping[str, Any]) -> list[tuple[str | None, UUID | None]]:
    """Kind and key of the `id` or the `ids` in some arguments; both nothing for what is no id of ours.

    Raises BAD_USER_INPUT when there are too many.
    """
    ids = arguments.get("ids", [arguments.get("id")])
    if len(ids) > BATCH_LIMIT:
        raise bad_input(f"At most {BATCH_LIMIT} ids can be looked up at once.")
    return [parse_id(value) or (None, None) for value in ids]
