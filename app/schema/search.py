"""What a text to search for means, as conditions over columns: without regard to case and accents."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app import texts
from app.errors import bad_input
from app.query.declare import Arguments

SEARCH_LENGTH = 100
PATTERN_CHARACTER = re.compile(r"[%_\\]")
LETTERS = {chr(letter): plain for letter, plain in texts.PLAIN.items()}
ONE_FOR_ONE = {letter: plain for letter, plain in LETTERS.items() if len(plain) == 1}


def contains(
    arguments: Arguments, searched: Any, as_searched: Callable[[str], str] = texts.plain
) -> sa.ColumnElement[bool]:
    """Whether each word of the text in a filter, made `as_searched` as what is searched, is somewhere in that."""
    patterns = arguments.value(ARRAY(sa.Text), "filter", "text", convert=partial(_patterns, as_searched))
    return sa.type_coerce(searched, sa.Text).like(sa.all_(patterns))


def plain(*columns: Any) -> sa.ColumnElement[str]:
    """Columns in one text, the same as `app.texts.plain`, in SQL."""
    words = sa.func.concat_ws(" ", *columns)
    # Most texts have no letter but those of ASCII, and to take others apart takes ten times as long.
    is_ascii = sa.func.octet_length(words) == sa.func.char_length(words)
    return sa.case((is_ascii, sa.func.lower(words, type_=sa.Text)), else_=_taken_apart(words))


def _taken_apart(words: Any) -> sa.ColumnElement[str]:
    apart = sa.func.normalize(words, sa.literal_column("NFKD"))
    small = sa.func.lower(sa.func.regexp_replace(apart, texts.COMBINING.pattern, "", "g"), type_=sa.Text)
    found = sa.func.translate(small, "".join(ONE_FOR_ONE), "".join(ONE_FOR_ONE.values()), type_=sa.Text)
    for letter in (letter for letter in LETTERS if letter not in ONE_FOR_ONE):
        found = sa.func.replace(found, letter, LETTERS[letter], type_=sa.Text)
    return found


def _patterns(as_searched: Callable[[str], str], text: str) -> list[str]:
    """A pattern for each word. Raises BAD_USER_INPUT when the text is too long or cannot be read."""
    if len(text) > SEARCH_LENGTH or not texts.is_readable(text):
        raise bad_input(f"A text to search for has at most {SEARCH_LENGTH} readable characters.")
    return [_pattern(word) for word in as_searched(text).split()]


def _pattern(word: str) -> str:
    """What contains a word; the characters of patterns mean themselves."""
    return "%" + PATTERN_CHARACTER.sub(r"\\\g<0>", word) + "%"
