"""Sentences in SQL: an enum's value as people read it, in the language of the request."""

from enum import Enum
from typing import Any

import sqlalchemy as sa

from app.language import translate
from app.rules import Language

LANGUAGE = "language"
"""The parameter that every read fills in with the caller's language."""


def in_words(column: Any, sentences: type[Enum]) -> sa.ColumnElement[str | None]:
    """The sentence that is the value of an enum; null stays null."""
    wished = sa.bindparam(LANGUAGE, Language.EN.name, sa.Text)
    return sa.case(
        *(
            (
                sa.and_(wished == language.name, column == sentence),
                sa.literal(translate(sentence.value, language), sa.Text),
            )
            for language in Language
            for sentence in sentences
        )
    )
