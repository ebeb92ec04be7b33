"""What a message says: its subject, text and HTML, out of a template for each kind and language.

A template speaks once; `kit` and `layout` make text or HTML of it. Values are those of the moment at which the message
was written, and are never trusted: names become one line, HTML is escaped.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_time
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.language import translate
from app.rules import LEVEL_LABELS, PRIVILEGES, Language, MessageKind
from app.texts import UNREADABLE

TEMPLATES = Path(__file__).parent / "templates"
LOCALES = {Language.EN: "en_GB", Language.FR: "fr_FR"}
COLON = {Language.EN: ":", Language.FR: "\N{NO-BREAK SPACE}:"}
AT = {Language.EN: "at", Language.FR: "à"}
WIDTH = 72
LONGEST_LINE = 200
"""Characters of a name that are shown."""
SPACES = re.compile("[ \t\r\n]+")
KEPT = ("  ", "> ")
"""How lines begin that are no running text."""


@dataclass(frozen=True)
class Letter:
    """A message as it is read."""

    subject: str
    text: str
    html: str


def _wrapped(block: str) -> str:
    """Running text in short lines; facts stay as they are, and what is quoted stays quoted."""
    if not block.startswith(KEPT):
        return _fill(SPACES.sub(" ", block), "")
    return "\n".join(
        _fill(line[2:], "> ") if line.startswith("> ") else line for line in block.splitlines() if line
    )


def _fill(text: str, prefix: str) -> str:
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, **options)


def _environment(html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Of the two parts of a message, one is HTML; in the other there is nothing to escape.
        autoescape=html,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["wrapped"] = _wrapped
    return environment


FORMATS = {"txt": _environment(html=False), "html": _environment(html=True)}


def write_letter(
    kind: MessageKind, language: Language, data: Mapping[str, Any], portal_url: str | None = None
) -> Letter:
    """The letter of a message. Raises UndefinedError when the data lack something that it says."""
    values = _values(language, data) | {"portal_url": portal_url}
    template = f"{language.value}/{kind.value.lower()}.jinja"
    said: Any = FORMATS["txt"].get_template(template).make_module(_in("txt", values))
    subject = SPACES.sub(" ", said.subject)
    parts = {name: _part(name, template, _in(name, values) | {"subject": subject}) for name in FORMATS}
    return Letter(subject.strip(), parts["txt"], parts["html"])


def _in(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values, with the macros of a format."""
    return values | {"kit": f"kit.{name}.jinja"}


def _part(name: str, template: str, values: dict[str, Any]) -> str:
    environment = FORMATS[name]
    words: Any = environment.get_template(values["words"]).make_module(values)
    body: Any = environment.get_template(template).make_module(values)
    blocks = [block.strip("\n") for block in body.body.split("\n\n") if block.strip()]
    said = {"greeting": words.greeting, "open": words.open, "footer": words.footer, "blocks": blocks}
    return environment.get_template(f"layout.{name}.jinja").render(values | said) + "\n"


def _values(language: Language, data: Mapping[str, Any]) -> dict[str, Any]:
    """What templates speak of: the data made safe, with labels and dates in the language."""
    values = {name: _line(value) if isinstance(value, str) else value for name, value in data.items()}
    if data.get("justification"):
        lines = map(_line, data["justification"].splitlines())
        values["justification"] = [line for line in lines if line]
    levels, former = data.get("levels") or {}, data.get("former_levels")
    shown = [name for name in PRIVILEGES if _is_shown(name, levels, former)]
    return values | {
        "levels": _labelled(shown, levels, language),
        "former_levels": _labelled(shown, former or {}, language),
        "language": language.value,
        "words": f"{language.value}/words.jinja",
        "colon": COLON[language],
        "day": lambda value: _day(value, language),
        "moment": lambda value: _moment(value, language),
    }


def _is_shown(name: str, levels: Mapping[str, str], former: Mapping[str, str] | None) -> bool:
    """Whether a level is worth a line: it is above nothing or, where there were others before, it has changed."""
    if former is not None:
        return levels.get(name) != former.get(name)
    return levels.get(name, "NONE") != "NONE"


def _labelled(names: list[str], levels: Mapping[str, str], language: Language) -> list[tuple[str, str]]:
    """Privileges and their levels, as people read them."""
    rows = []
    for name in names:
        if name in levels:
            label = LEVEL_LABELS[PRIVILEGES[name].levels[levels[name]]]
            rows.append((translate(PRIVILEGES[name].label, language), translate(label, language)))
    return rows


def _line(value: str) -> str:
    """A value on one line, without what cannot be read."""
    readable = UNREADABLE.sub(" ", value[: 4 * LONGEST_LINE])
    line = SPACES.sub(" ", readable).strip()
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _day(value: str, language: Language) -> str:
    """A date in words, as it is in UTC."""
    day = datetime.fromisoformat(value).astimezone(UTC)
    text = format_date(day, "long", LOCALES[language])
    # The first of a month is an ordinal in French, which the patterns of the CLDR do not know.
    return re.sub(r"^1 ", "1er ", text) if language is Language.FR else text


def _moment(value: str, language: Language) -> str:
    """A date and the time of day, in UTC."""
    time = format_time(datetime.fromisoformat(value).astimezone(UTC), "short", locale=LOCALES[language])
    return f"{_day(value, language)} {AT[language]} {time} UTC"
