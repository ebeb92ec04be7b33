"""What depends on a condition, as SQL: given values, lists of parts, and rows that are looked up."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, array

from app.db.models import User
from app.language import spoken
from app.policy import visible
from app.query.collect import Selected, Shape
from app.query.declare import Chosen, Lookup, Parts
from app.query.given import Writer
from app.query.jsontext import Pieces, Sql, literal, text_of
from app.query.lookup import PLACE, rows, use_of
from app.query.template import Draft, Template, hole
from app.rules import Language


class Compiler(Protocol):
    """What is needed of the compiler (see `compile`)."""

    arguments: Mapping[int, Mapping[str, Any]]

    def fill(self, template: Template, selected: Selected | None = None, **texts: str) -> Sql: ...
    def object(self, shape: Shape, model: Any) -> Pieces: ...


@dataclass(frozen=True)
class Told:
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
    cases = choice.cases(draft.caller, model)
    return [(draft.expression(condition, model), value) for condition, value in cases]


def _case(cases: list[tuple[Sql, Sql]], otherwise: Sql) -> Sql:
    whens = (f"WHEN {condition} THEN {text} " for condition, text in cases)
    return Sql(f"CASE {''.join(whens)}ELSE {otherwise} END") if cases else otherwise


def _told(compiler: Compiler, selected: Selected, value: Any) -> Sql:
    """The text of a given value, in the language of the caller where that makes a difference."""
    usual, *others = (_text(compiler, selected, value, language) for language in Language)
    cases = [
        (compiler.fill(_speaks(language)), literal(text))
        for language, text in zip(list(Language)[1:], others, strict=True)
        if text != usual
    ]
    return _case(cases, literal(usual))


@cache
def _speaks(language: Language) -> Template:
    """Whether the caller is told things in a language."""
    draft = Draft()
    return draft.expression(draft.caller.language == sa.literal(language, User.language.type))


def _text(compiler: Compiler, selected: Selected, value: Any, language: Language) -> str:
    writer = Writer(compiler.arguments, Told(language))
    writer.write(selected, spoken(value, language))
    return writer.text({})


def parts_of(compiler: Compiler, selected: Selected, parts: Parts, model: Any) -> Pieces:
    """The list of those objects whose condition holds."""
    objects = (
        f"CASE WHEN {compiler.fill(_is_part(parts, name, model))}"
        f" THEN {text_of(compiler.object(selected.shapes[name], model))} END"
        for name in parts.when
    )
    return ["[", Sql(f"concat_ws(',', {', '.join(objects)})"), "]"]


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
        return draft.parameter(kind, lambda run, number: value_of(run.arguments[number]))

    text, use = hole("text"), use_of(lookup, draft.caller)
    told: Any = array([text, use])
    if is_list:
        joined = sa.func.string_agg(text, aggregate_order_by(sa.literal(","), PLACE))
        told = sa.func.array_prepend(sa.func.concat("[", joined, "]"), sa.func.array_agg(use))
    return draft.statement(sa.select(told).select_from(rows(lookup, parameter, allowed)))
