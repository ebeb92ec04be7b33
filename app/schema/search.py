"""What a text to search for means, as conditions over columns: without regard to case and accents."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app import texts
from app.db.folded import folded
from app.errors import bad_input
from app.query.declare import Arguments

SEARCH_LENGTH = 100
PATTERN_CHARACTER = re.compile(r"[%_\\]")


def contains(
    arguments: Arguments, searched: Any, as_searched: Callable[[str], str] = texts.plain
) -> sa.ColumnElement[bool]:
    """Whether each word of the text in a filter, made `as_searched` as what is searched, is somewhere in that."""
    patterns = arguments.value(ARRAY(sa.Text), "filter", "text", convert=partial(_patterns, as_searched))
    return sa.type_coerce(searched, sa.Text).like(sa.all_(patterns))


def plain(*columns: Any) -> sa.ColumnElement[str]:
    """Columns in one text, the same as `app.texts.plain`, in SQL."""
    return folded(sa.func.concat_ws(" ", *columns))


def _patterns(as_searched: Callable[[str], str], text: str) -> list[str]:
    """A pattern for each word. Raises BAD_USER_INPUT when the text is too long or cannot be read."""
    if len(text) > SEARCH_LENGTH or not texts.is_readable(text):
        raise bad_input(f"A text to search for has at most {SEARCH_LENGTH} readable characters.")
    return [_pattern(word) for word in as_searched(text).split()]


def _pattern(word: str) -> str:
    """What contains a word; the characters of patterns mean themselves."""
    return "%" + PATTERN_CHARACTER.sub(r"\\\g<0>", word) + "%"
