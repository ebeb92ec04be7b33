"""What a text to search for means, as conditions over columns: without regard to case and accents."""

import re
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


def contains(arguments: Arguments, *columns: Any) -> sa.ColumnElement[bool]:
    """Whether each word of the text in a filter is somewhere in these columns."""
    patterns = arguments.value(ARRAY(sa.Text), "filter", "text", convert=_patterns)
    return plain(sa.func.concat_ws(" ", *columns)).like(sa.all_(patterns))


def plain(words: Any) -> sa.ColumnElement[str]:
    """The same as `app.texts.plain`, in SQL."""
    apart = sa.func.normalize(words, sa.literal_column("NFKD"))
    small = sa.func.lower(sa.func.regexp_replace(apart, texts.COMBINING.pattern, "", "g"), type_=sa.Text)
    found = sa.func.translate(small, "".join(ONE_FOR_ONE), "".join(ONE_FOR_ONE.values()), type_=sa.Text)
    for letter in (letter for letter in LETTERS if letter not in ONE_FOR_ONE):
        found = sa.func.replace(found, letter, LETTERS[letter], type_=sa.Text)
    return found


def _patterns(text: str) -> list[str]:
    """A pattern for each word. Raises BAD_USER_INPUT when the text is too long or cannot be read."""
    if len(text) > SEARCH_LENGTH or not texts.is_readable(text):
        raise bad_input(f"A text to search for has at most {SEARCH_LENGTH} readable characters.")
    return [_pattern(word) for word in texts.plain(text).split()]


def _pattern(word: str) -> str:
    """What contains a word; the characters of patterns mean themselves."""
    return "%" + PATTERN_CHARACTER.sub(r"\\\g<0>", word) + "%"
