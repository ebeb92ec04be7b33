"""What depends on a condition, as SQL: given values, lists of parts, and rows that are looked up."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, array

from app.db.models import User
from app.language import spoken
from app.policy import visible
from app.query.collect import FieldArguments, Selected, Shape
from app.query.declare import Chosen, Lookup, Parts, Some
from app.query.given import Part, Sifted, Writer
from app.query.jsontext import Pieces, Sql, constant, merged, text_of
from app.query.lookup import PLACE, rows, use_of
from app.query.template import Draft, Template, hole
from app.rules import Language


class Compiler(Protocol):
    """What is needed of the compiler (see `compile`)."""

    arguments: FieldArguments

    def fill(self, template: Template, selected: Selected | None = None, **texts: str) -> Sql: ...
    def object(self, shape: Shape, model: Any) -> Pieces: ...


@dataclass(frozen=True)
class AnyReader:
    """Whoever reads a language, while a statement is compiled for everybody."""

    language: Language


def chosen(compiler: Compiler, selected: Selected, choice: Chosen, model: Any) -> Sql:
    """The text of the value whose condition holds."""
    cases = [
        (compiler.fill(condition), _told(compiler, selected, value))
        for condition, value in _cases(choice, model)
    ]
    return _case(cases, _told(compiler, selected, choice.otherwise))


@cache
def _cases(choice: Chosen, model: Any) -> list[tuple[Template, Any]]:
    """The cases of a choice, with their conditions over the row of a table."""
    draft = Draft()
    return _drafted(draft, choice.cases(draft.caller, model), model)


def _drafted(draft: Draft, cases: Iterable[tuple[Any, Any]], model: Any) -> list[tuple[Template, Any]]:
    return [(draft.expression(condition, model), _ready(draft, value, model)) for condition, value in cases]


def _ready(draft: Draft, value: Any, model: Any) -> Any:
    """A value in which all conditions, on which items of its lists depend, are templates."""
    match value:
        case Some(items=items):
            return Some(_drafted(draft, items, model))
        case list():
            return [_ready(draft, item, model) for item in value]
        case dict():
            return {name: _ready(draft, item, model) for name, item in value.items()}
    return value


def _case(cases: list[tuple[Sql, Sql]], otherwise: Sql) -> Sql:
    whens = (f"WHEN {condition} THEN {text} " for condition, text in cases)
    return Sql(f"CASE {''.join(whens)}ELSE {otherwise} END") if cases else otherwise


def _told(compiler: Compiler, selected: Selected, value: Any) -> Sql:
    """The text of a given value, in the language of the caller where that makes a difference."""
    in_languages = (_parts(compiler, selected, value, language) for language in Language)
    first, *rest = (_piece(compiler, *told) for told in zip(*in_languages, strict=True))
    return text_of([first, *rest]) if rest else first


def _parts(compiler: Compiler, selected: Selected, value: Any, language: Language) -> list[Part]:
    """A given value in a language: texts, and between them the lists whose items depend on conditions."""
    writer = Writer(compiler.arguments, AnyReader(language))
    writer.write(selected, spoken(value, language))
    return merged(writer.parts)


def _piece(compiler: Compiler, usual: Part, *others: Part) -> Sql:
    """A part of a value, as it is told in every language."""
    if isinstance(usual, Sifted):
        return _sifted(compiler, usual)
    cases = [
        (compiler.fill(_speaks(language)), constant(str(text)))
        for language, text in zip(list(Language)[1:], others, strict=True)
        if text != usual
    ]
    return _case(cases, constant(str(usual)))


@cache
def _speaks(language: Language) -> Template:
    """Whether the caller is told things in a language."""
    draft = Draft()
    return draft.expression(draft.caller.language == sa.literal(language, User.language.type))


def _sifted(compiler: Compiler, sifted: Sifted) -> Sql:
    """The list of those items whose condition holds."""
    items = ((compiler.fill(condition), item) for condition, item in sifted.some.items)
    return text_of(_list_of((so, _told(compiler, sifted.selected, item)) for so, item in items))


def _list_of(items: Iterable[tuple[Sql, Sql]]) -> Pieces:
    """A list of those texts whose condition holds."""
    texts = (f"CASE WHEN {condition} THEN {text} END" for condition, text in items)
    return ["[", Sql(f"concat_ws(',', {', '.join(texts)})"), "]"]


def parts_of(compiler: Compiler, selected: Selected, parts: Parts, model: Any) -> Pieces:
    """The list of those objects whose condition holds."""
    objects = (
        (compiler.fill(_is_part(parts, name, model)), compiler.object(selected.shapes[name], model))
        for name in parts.when
    )
    return _list_of((so, text_of(pieces)) for so, pieces in objects)


@cache
def _is_part(parts: Parts, name: str, model: Any) -> Template:
    """Whether the object of a type is in the list."""
    draft = Draft()
    needs, condition = parts.when[name]
    return draft.expression(sa.and_(visible(draft.caller, needs, model), condition), model)


def looked_up(compiler: Compiler, selected: Selected, lookup: Lookup) -> Sql:
    """An array: the text of the objects of all inputs, in their order, then the uses of privileges that asking is."""
    text = text_of(compiler.object(selected.shape, lookup.found))
    template = _lookup(lookup, selected.is_list)
    return Sql(f"({compiler.fill(template, selected, text=text)})")


@cache
def _lookup(lookup: Lookup, is_list: bool) -> Template:
    """The statement of a lookup; what is told of each input, goes into `text`."""
    draft = Draft()
    allowed = visible(draft.caller, lookup.needs, lookup.found)

    def parameter(kind: Any, value_of: Any) -> Any:
        return draft.parameter(kind, lambda run, field_id: value_of(run.arguments[field_id]))

    text, use = hole("text"), use_of(lookup, draft.caller)
    told: Any = array([text, use])
    if is_list:
        joined = sa.func.string_agg(text, aggregate_order_by(sa.literal(","), PLACE))
        told = sa.func.array_prepend(sa.func.concat("[", joined, "]"), sa.func.array_agg(use))
    return draft.statement(sa.select(told).select_from(rows(lookup, parameter, allowed)))
