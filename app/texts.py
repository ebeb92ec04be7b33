"""Texts that people type: checked, tidied, and folded for sorting and searching. No input or output."""

import re
import unicodedata
from collections.abc import Iterator

from app.errors import Code, Fault
from app.rules import JUSTIFICATION_LENGTH

UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
"""Control characters, halves of a character, and what reverses the direction of the text."""
LATIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not take apart, as they are sorted."""
BETWEEN_LINES = str.maketrans(dict.fromkeys("\n\r\t"))


def check_text(value: str, limit: int, *path: str | int) -> Iterator[Fault]:
    """A text of one line is there, not too long, and holds only what people can read."""
    yield from _check_text(value.strip(), limit, value.strip(), path)


def check_justification(value: str, *path: str | int) -> Iterator[Fault]:
    """The same for a text that may have several lines."""
    line = value.strip().translate(BETWEEN_LINES)
    yield from _check_text(value.strip(), JUSTIFICATION_LENGTH, line, path)


def check_optional_justification(value: str | None, *path: str | int) -> Iterator[Fault]:
    """The same for one that may be left out; an empty one counts as left out."""
    if value and value.strip():
        yield from check_justification(value, *path)


def _check_text(value: str, limit: int, line: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if not value:
        yield Fault(code=Code.REQUIRED, path=path)
    if len(value) > limit:
        yield Fault(code=Code.TOO_LONG, path=path, parameters={"limit": limit})
    if not is_readable(line):
        yield Fault(code=Code.FORBIDDEN_CHARACTERS, path=path)


def is_readable(text: str) -> bool:
    """Whether there is nothing in a text that people cannot read."""
    return UNREADABLE.search(text) is None


def tidy(value: str | None) -> str | None:
    """A text as it is kept: composed characters, no space around it; nothing when it is empty."""
    return unicodedata.normalize("NFC", value).strip() or None if value else None


def fold(value: str) -> str:
    """A text as it is sorted and searched: without case and accents, also where these are part of the letter."""
    decomposed = unicodedata.normalize("NFKD", value.casefold()).translate(LATIN)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def full_name(*names: str | None) -> str:
    """The given names in their order; empty when none is known."""
    return " ".join(filter(None, names))


def site_number(value: str) -> str:
    """A site number as it is kept, however people type it."""
    return unicodedata.normalize("NFKC", value).strip().upper()
