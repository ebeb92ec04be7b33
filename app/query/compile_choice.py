"""What depends on a condition, as SQL: given values, lists of parts, and rows that are looked up."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, array

from app.db.models import User
from app.language import spoken
from app.policy import visible
from app.query.collect import Selected, Shape
from app.query.compile_caller import CallerColumns
from app.query.declare import Chosen, Lookup, Parts
from app.query.given import Part, Sifted, Writer
from app.query.jsontext import Pieces, Text, merged, text_of
from app.query.lookup import PLACE, rows, use_of
from app.query.plan import Run
from app.rules import Language


class Compiler(Protocol):
    """What is needed of the compiler (see `compile`)."""

    arguments: Mapping[int, Mapping[str, Any]]
    caller: CallerColumns

    def parameter(self, kind: Any, value_of: Callable[[Run], Any]) -> Any: ...
    def object(self, shape: Shape, model: Any) -> Pieces: ...


@dataclass(frozen=True)
class Told:
    """Whoever reads a language, while a statement is compiled for everybody."""

    language: Language


def chosen(compiler: Compiler, selected: Selected, choice: Chosen, model: Any) -> Text:
    """The text of the value whose condition holds."""
    cases = [
        (condition, _told(compiler, selected, value))
        for condition, value in choice.cases(compiler.caller, model)
    ]
    otherwise = _told(compiler, selected, choice.otherwise)
    return sa.case(*cases, else_=otherwise) if cases else otherwise


def _told(compiler: Compiler, selected: Selected, value: Any) -> Text:
    """The text of a given value, in the language of the caller where that makes a difference."""
    in_languages = (_parts(compiler, selected, value, language) for language in Language)
    first, *rest = (_piece(compiler, *told) for told in zip(*in_languages, strict=True))
    return text_of([first, *rest]) if rest else first


def _parts(compiler: Compiler, selected: Selected, value: Any, language: Language) -> list[Part]:
    """A given value in a language: texts, and between them the lists whose items depend on conditions."""
    writer = Writer(compiler.arguments, Told(language))
    writer.write(selected, spoken(value, language))
    return merged(writer.parts)


def _piece(compiler: Compiler, usual: Part, *others: Part) -> Text:
    """A part of a value, as it is told in every language."""
    if isinstance(usual, Sifted):
        return _sifted(compiler, usual)
    cases = [
        (compiler.caller.language == sa.literal(language, User.language.type), sa.literal(text, sa.Text))
        for language, text in zip(list(Language)[1:], others, strict=True)
        if text != usual
    ]
    return sa.case(*cases, else_=sa.literal(usual, sa.Text)) if cases else sa.literal(usual, sa.Text)


def _sifted(compiler: Compiler, sifted: Sifted) -> Text:
    """The list of those items whose condition holds."""
    items = (
        sa.case((condition, _told(compiler, sifted.selected, item))) for condition, item in sifted.some.items
    )
    return _list_of(items)


def _list_of(items: Iterable[Text]) -> Text:
    """A list of texts, without those that are null."""
    return text_of(["[", sa.func.concat_ws(",", *items), "]"])


def parts_of(compiler: Compiler, selected: Selected, parts: Parts, model: Any) -> Text:
    """The list of those objects whose condition holds."""
    objects = (
        sa.case(
            (
                sa.and_(visible(compiler.caller, needs, model), condition),
                text_of(compiler.object(selected.shapes[name], model)),
            )
        )
        for name, (needs, condition) in parts.when.items()
    )
    return _list_of(objects)


def looked_up(compiler: Compiler, selected: Selected, lookup: Lookup) -> Any:
    """An array: the text of the objects of all inputs, in their order, then the uses of privileges that asking is."""
    number = id(selected)
    source = rows(
        lookup,
        lambda kind, value_of: compiler.parameter(kind, lambda run: value_of(run.arguments[number])),
        visible(compiler.caller, lookup.needs, lookup.found),
    )
    text = text_of(compiler.object(selected.shape, lookup.found))
    use = use_of(lookup, compiler.caller)
    told: Any = array([text, use])
    if selected.is_list:
        text = text_of(["[", sa.func.string_agg(text, aggregate_order_by(sa.literal(","), PLACE)), "]"])
        told = sa.func.array_prepend(text, sa.func.array_agg(use))
    return sa.select(told).select_from(source).scalar_subquery()
