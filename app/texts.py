"""Texts that people type: checked, tidied, and folded for sorting and searching. No input or output."""

import unicodedata
from collections.abc import Iterator

from app.errors import Code, Fault
from app.rules import JUSTIFICATION_LENGTH


def check_text(value: str, limit: int, *path: str | int) -> Iterator[Fault]:
    """A text of one line is there, not too long, and holds only what people can read."""
    yield from _check_text(value, limit, "", path)


def check_justification(value: str, *path: str | int) -> Iterator[Fault]:
    """The same for a text that may have several lines."""
    yield from _check_text(value, JUSTIFICATION_LENGTH, "\n\r\t", path)


def check_optional_justification(value: str | None, *path: str | int) -> Iterator[Fault]:
    """The same for one that may be left out; an empty one counts as left out."""
    if value and value.strip():
        yield from check_justification(value, *path)


def _check_text(value: str, limit: int, allowed: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    value = value.strip()
    if not value:
        yield Fault(code=Code.REQUIRED, path=path)
    if len(value) > limit:
        yield Fault(code=Code.TOO_LONG, path=path, parameters={"limit": limit})
    if not all(character in allowed or is_readable(character) for character in value):
        yield Fault(code=Code.FORBIDDEN_CHARACTERS, path=path)


def is_readable(character: str) -> bool:
    """No control character, no half of a character, nothing that reverses the direction of the text."""
    return (
        unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        and not "\u202a" <= character <= "\u202e"
        and not "\u2066" <= character <= "\u2069"
    )


def tidy(value: str | None) -> str | None:
    """A text as it is kept: composed characters, no space around it; nothing when it is empty."""
    return unicodedata.normalize("NFC", value).strip() or None if value else None


def fold(value: str) -> str:
    """A text as it is sorted and searched: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", value.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def full_name(*names: str | None) -> str:
    """The given names in their order; empty when none is known."""
    return " ".join(filter(None, names))


def site_number(value: str) -> str:
    """A site number as it is kept, however people type it."""
    return unicodedata.normalize("NFKC", value).strip().upper()
