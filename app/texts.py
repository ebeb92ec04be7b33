"""Texts that people type: checked, tidied, and folded for sorting and searching. No input or output."""

import re
import unicodedata
from collections.abc import Iterator

from app.errors import Code, Fault
from app.rules import JUSTIFICATION_LENGTH

UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
"""Control characters, halves of a character, and what reverses the direction of the text."""
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
"""What cannot be seen by itself: Unicode's default ignorable characters, and the blank of Braille."""
LATIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not take apart, as they are sorted and searched."""
PLAIN = {**LATIN, ord("ß"): "ss", ord("ς"): "σ"}
"""What small letters become where a text is searched; of two small forms it is one."""
COMBINING = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u3099\u309a]"
)
"""Accents once a letter is taken apart, the points of Hebrew, the vowels of Arabic, the voicing of kana."""
BETWEEN_LINES = str.maketrans(dict.fromkeys("\n\r\t"))


def check_text(value: str, limit: int, *path: str | int) -> Iterator[Fault]:
    """A text of one line is there, not too long, and holds only what people can read."""
    text = tidy(value) or ""
    yield from _check_text(text, limit, text, path)


def check_justification(value: str, *path: str | int) -> Iterator[Fault]:
    """The same for a text that may have several lines."""
    text = tidy(value) or ""
    yield from _check_text(text, JUSTIFICATION_LENGTH, text.translate(BETWEEN_LINES), path)


def check_optional_justification(value: str | None, *path: str | int) -> Iterator[Fault]:
    """The same for one that may be left out; an empty one counts as left out."""
    if tidy(value):
        yield from check_justification(value or "", *path)


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
    """A text as it is kept: composed characters, no space around it; nothing when there is nothing to be seen."""
    text = unicodedata.normalize("NFC", value).strip() if value else ""
    return text if without_invisible(text).strip() else None


def without_invisible(value: str) -> str:
    """A text without what comes along unseen when it is copied from elsewhere."""
    return INVISIBLE.sub("", value)


def fold(value: str) -> str:
    """A text as it is sorted and searched: without case and accents, also where these are part of the letter."""
    decomposed = unicodedata.normalize("NFKD", value.casefold()).translate(LATIN)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def plain(value: str) -> str:
    """A text to look for, without case and accents: just what `app.db.folded` makes of columns."""
    return COMBINING.sub("", unicodedata.normalize("NFKD", value)).lower().translate(PLAIN)


def full_name(*names: str | None) -> str:
    """The given names in their order; empty when none is known."""
    return " ".join(filter(None, names))


def typed_ibm_id(value: str) -> str:
    """An IBMid as it is kept and looked for: the same one, however its characters are composed and copied."""
    return unicodedata.normalize("NFC", without_invisible(value)).strip()


def site_number(value: str) -> str:
    """A site number as it is kept, however people type it."""
    return unicodedata.normalize("NFKC", without_invisible(value)).strip().upper()
