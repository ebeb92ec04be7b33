"""The statements of the interpreter: the columns that a shape needs, of the rows that the caller may see."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.actor import Actor
from app.db.concern import is_object
from app.policy import SEEING, seen, visible
from app.query.collect import Selected, Shape
from app.query.declare import (
    Arguments,
    Chosen,
    Column,
    Group,
    Kept,
    KeptRow,
    Lookup,
    Paged,
    Parts,
    Records,
    Relation,
    Variant,
    kept_column,
)
from app.query.lookup import PLACE, USE, rows, use_of
from app.query.page import SORT, Page
from app.query.rows import PARENT, array_of, labelled
from app.query.sift import conditions_in


def select_of(actor: Actor, relation: Relation, shapes: Iterable[Shape]) -> sa.Select[Any]:
    """The columns that shapes need of the rows of a relation, and the key of the parent of each."""
    columns = {PARENT: getattr(relation.model, relation.on) if relation.on else sa.null()}
    for shape in shapes:
        columns.update(_columns(actor, shape, relation.model))
    return from_of(actor, relation, sa.select(*_labelled(columns)))


def from_of(actor: Actor, relation: Relation, statement: sa.Select[Any]) -> sa.Select[Any]:
    """The statement over those rows of a relation that the caller may see."""
    needs = relation.needs
    may = visible(actor, needs, relation.model) if needs else seen(actor, relation.model)
    statement = statement.select_from(relation.model).where(may)
    for target, condition in relation.joins:
        statement = statement.join(target, condition)
    return statement


def conditions_of(relation: Relation, selected: Selected, actor: Actor) -> list[sa.ColumnElement[bool]]:
    """What the arguments of a relation ask of its rows."""
    return relation.where(Arguments(selected.arguments), actor) if relation.where else []


def page_of(
    actor: Actor, selected: Selected, connection: Paged, page: Page, keys: list[Any], shapes: list[Shape]
) -> sa.Select[Any]:
    """A page cut out of the list of each parent."""
    on = getattr(connection.model, connection.on or "")
    parents = sa.select(sa.func.unnest(array_of(keys, on)).label("key")).subquery()
    columns, descending = connection.order_by(Arguments(selected.arguments))
    conditions = [
        on == parents.c.key,
        *conditions_of(connection, selected, actor),
        *page.conditions(columns, descending),
    ]
    reverse = descending != page.backwards
    cut = (
        select_of(actor, connection, shapes)
        .add_columns(*(sa.cast(column, sa.Text).label(f"{SORT}{i}") for i, column in enumerate(columns)))
        .where(*conditions)
        .order_by(*(column.desc() if reverse else column.asc() for column in columns))
        .limit(page.size + 1)
        .correlate(parents)
        .lateral()
    )
    return sa.select(cut).select_from(parents.join(cut, sa.true()))


def lookup_of(actor: Actor, lookup: Lookup, selected: Selected) -> sa.Select[Any]:
    """The columns that a shape needs of the inputs and of what is looked up for them, in the order of the inputs."""
    source = rows(
        lookup,
        lambda kind, value_of: sa.literal(value_of(selected.arguments), kind),
        visible(actor, lookup.needs, lookup.found),
    )
    columns = _labelled(_columns(actor, selected.shape, lookup.found))
    used = use_of(lookup, actor).label(USE)
    return sa.select(PLACE, used, *columns).select_from(source).order_by(PLACE)


def _labelled(columns: dict[str, Any]) -> list[Any]:
    return [column.label(label) for label, column in columns.items()]


def _columns(actor: Actor, shape: Shape, model: Any) -> dict[str, Any]:
    """The columns that a shape needs of its table; those of a field are labelled with its coordinate."""
    columns: dict[str, Any] = {}
    for selected in shape.fields:
        label = selected.coordinate
        match selected.declaration:
            case Column(sql=sql, needs=needs):
                columns[label] = sa.case((visible(actor, needs, model), sql)) if needs else sql
            case Kept() as kept:
                columns[label] = kept_column(kept, model.values).sql
            case Variant() as variant:
                columns[label] = sa.case((is_object(variant.column), variant.by))
                columns.update(_varied(actor, selected, variant, model))
            case Records(rows=made):
                columns[label] = _gathered(actor, made, model)
            case Chosen() as choice:
                columns.update(_chosen(label, choice.cases(actor, model)))
            case Parts(when=when):
                for name, (needs, condition) in when.items():
                    columns[f"{label}.{name}"] = sa.and_(visible(actor, needs, model), condition)
                    columns.update(_columns(actor, selected.shapes[name], model))
            case Group(needs=needs):
                columns.update(_columns(actor, selected.shape, model))
                if needs:
                    columns[label] = visible(actor, needs, model)
            case Relation(local=str(name)) as relation:
                columns[name] = _key(actor, relation, getattr(model, name), model)
    return columns


def _key(actor: Actor, relation: Relation, column: Any, model: Any) -> Any:
    """What a related row is found by; null where it takes more than seeing this row, and the caller may not."""
    if relation.follows is None or relation.follows is SEEING.get(model):
        return column
    return sa.case((visible(actor, relation.follows, model), column))


def _varied(actor: Actor, selected: Selected, variant: Variant, model: Any) -> dict[str, Any]:
    """The columns of all that the object in a JSON column can be, each null in rows that say it is something else."""
    row, columns = KeptRow(variant.column, model.site_id), dict[str, Any]()
    for name, shape in selected.shapes.items():
        is_that = variant.by.in_([value for value, one in variant.types.items() if one == name])
        for label, column in labelled(selected.name, _columns(actor, shape, row)).items():
            # Of something else, a value of the same name may be none that this type can have; and several types have
            # objects of one type, under whatever names.
            columns[label] = sa.case((is_that, column), else_=columns.get(label))
    return columns


def _gathered(actor: Actor, made: Callable[[Any], sa.Select[Any]], model: Any) -> Any:
    """The objects of a subquery, in one array."""
    found = made(lambda action: visible(actor, action, model)).subquery()
    return sa.select(sa.func.jsonb_agg(sa.func.to_jsonb(found.table_valued()))).scalar_subquery()


def _chosen(label: str, cases: Sequence[tuple[sa.ColumnElement[bool], Any]]) -> dict[str, Any]:
    """Which case it is, and all conditions in the value of each case."""
    columns = {label: _first_of([condition for condition, _ in cases])}
    for place, (_, value) in enumerate(cases):
        for number, condition in enumerate(conditions_in(value)):
            columns[f"{label}.{place}.{number}"] = condition
    return columns


def _first_of(conditions: Sequence[sa.ColumnElement[bool]]) -> Any:
    """The place of the first condition that holds, or the number of them when none does."""
    otherwise = sa.literal(len(conditions))
    cases = [(condition, place) for place, condition in enumerate(conditions)]
    return sa.case(*cases, else_=otherwise) if cases else otherwise
