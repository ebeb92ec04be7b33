"""Which language a caller reads, and sentences in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from app.rules import Language

LOCALE = Path(__file__).parent / "locale"
RANGE = re.compile(
    r"([a-z]{2,3}|\*)(?:[-_][a-z0-9_.-]*)?(?:\s*;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.ASCII | re.IGNORECASE,
)
"""One part of an Accept-Language header: the language, what narrows it down (never mind), and its weight."""
LONGEST_HEADER = 20
"""Parts of a header that are looked at."""


@cache
def _catalogue(language: Language) -> NullTranslations:
    file = LOCALE / language.value / "LC_MESSAGES" / "messages.po"
    if not file.exists():
        return NullTranslations()
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return GNUTranslations(compiled)


def translate(sentence: str, language: Language, **parameters: Any) -> str:
    """An English sentence in the language, with its parameters filled in.

    Without parameters, what stands in braces stays, for whoever fills it in afterwards.
    """
    translated = _catalogue(language).gettext(sentence)
    return translated.format(**parameters) if parameters else translated


@dataclass(frozen=True)
class Words:
    """A sentence that each reader is told in their language; `tell` gets what translates its parts."""

    tell: Callable[[Callable[[str], str]], str]


def words(sentence: str, **parameters: Any) -> Words:
    """A marked English sentence with its parameters, to be told in any language."""
    return Words(
        lambda translate: translate(sentence).format(**parameters) if parameters else translate(sentence)
    )


def spoken(value: Any, language: Language) -> Any:
    """A value as it is, or the text of words in a language."""
    return value.tell(lambda text: translate(text, language)) if isinstance(value, Words) else value


@lru_cache(maxsize=256)
def preferred(accept_language: str) -> Language | None:
    """The language of an Accept-Language header that weighs most; none when it names none that we speak.

    The wildcard stands for the languages that the header does not name. Of equals, the first one wins.
    """
    weights = _weights(accept_language)
    spoken = {language.value for language in Language}
    if not spoken & weights.keys():
        return None
    for unnamed in spoken - weights.keys():
        weights[unnamed] = weights.get("*", 0.0)
    best = max((tag for tag in weights if tag in spoken), key=weights.__getitem__)
    return Language(best) if weights[best] > 0 else None


def _weights(accept_language: str) -> dict[str, float]:
    """The languages of a header in its order; what cannot be read is passed over."""
    weights: dict[str, float] = {}
    for part in accept_language.split(",")[:LONGEST_HEADER]:
        if found := RANGE.fullmatch(part.strip()):
            tag, weight = found[1].lower(), float(found[2] or 1)
            weights[tag] = max(weight, weights.get(tag, 0.0))
    return weights
