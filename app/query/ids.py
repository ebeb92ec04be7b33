"""Opaque ids of the schema: what the thing is, and its key."""

import re
from uuid import UUID

_PATTERN = re.compile(r"([a-z]+(?:_[a-z]+)*)_([0-9a-f]{32})")


def write_id(kind: str, key: UUID) -> str:
    """The id of a row, such as ``site_0197…``."""
    return f"{kind}_{key.hex}"


def parse_id(value: str) -> tuple[str, UUID] | None:
    """Kind and key of an id; nothing when it is none of ours."""
    match = _PATTERN.fullmatch(value)
    return (match[1], UUID(match[2])) if match else None
