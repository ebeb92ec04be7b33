"""Which language a caller reads, and sentences in it."""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from app.rules import Language

LOCALE = Path(__file__).parent / "locale"


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
    """An English sentence in the language, with its parameters filled in."""
    return _catalogue(language).gettext(sentence).format(**parameters)


def preferred(accept_language: str) -> Language | None:
    """The first language of an Accept-Language header that we speak; none when it names no such language."""
    weighed = []
    for part in accept_language.split(",")[:20]:
        tag, _, weight = part.partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag.strip().replace("-", "_")))
        except ValueError:
            continue
    wanted = [tag for weight, tag in sorted(weighed, key=lambda pair: pair[0]) if weight < 0]
    found = negotiate_locale(wanted, [language.value for language in Language])
    return Language(found[:2]) if found else None
