"""Opaque cursors: where a page ends, bound to the list, the order and the filter it was cut from."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from app.errors import bad_input

DIGEST_LENGTH = 12


def fingerprint(*parts: Any) -> str:
    """What a list is, in a few characters: its name, filter and order."""
    return _digest(repr(parts))


def _digest(*texts: str) -> str:
    # Against mix-ups, not against attackers: a cursor only says where to begin. PostgreSQL knows MD5 as well.
    digest = hashlib.md5("".join(texts).encode(errors="replace"), usedforsecurity=False)
    return digest.hexdigest()[:DIGEST_LENGTH]


def write_cursor(list_fingerprint: str, values: Sequence[str]) -> str:
    """The cursor of the row with these sort values, in the list with this fingerprint."""
    payload = json.dumps(list(values), ensure_ascii=False)
    text = _digest(list_fingerprint, payload) + payload
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(list_fingerprint: str, cursor: str) -> list[str]:
    """The sort values in a cursor of the list with this fingerprint.

    Raises BAD_USER_INPUT when it was altered or belongs to another list, order or filter.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        check, payload = text[:DIGEST_LENGTH], text[DIGEST_LENGTH:]
        values = json.loads(payload) if check == _digest(list_fingerprint, payload) else None
    except (ValueError, RecursionError):
        # The digest can be made by whoever knows how, around whatever they like.
        values = None
    if not isinstance(values, list):
        raise bad_input("This cursor does not belong to this list with this order and filter.")
    return [str(value) for value in values]
