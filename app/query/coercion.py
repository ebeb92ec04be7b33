"""What graphql-core makes of values in JSON, found out once for each variable and each field of an input.

It would look anew, for every value, at what its type is. Whatever is not quite as JSON has it (a list of one without
brackets, 1.0 for 1) and every fault is left to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLString,
    Undefined,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)
from graphql.utilities.coerce_input_value import coerce_default_value

MOST_INPUTS = 1_000
"""More than there are."""
Coerce = Callable[[Any], Any]
"""What a value becomes; Undefined where graphql-core has to be asked."""


def coercion(kind: GraphQLInputType) -> Coerce:
    """How values of a type are coerced."""
    inner: Any = get_nullable_type(kind)
    if is_list_type(inner):
        coerce = _of_list(coercion(inner.of_type))
    elif is_input_object_type(inner):
        coerce = _Object(inner)
    else:
        coerce = BUILT_IN.get(inner) or _of_leaf(inner)
    null = Undefined if is_non_null_type(kind) else None
    return lambda value: null if value is None else coerce(value)


def _text(value: Any) -> Any:
    return value if type(value) is str else Undefined


def _integer(value: Any) -> Any:
    return value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else Undefined


def _boolean(value: Any) -> Any:
    return value if type(value) is bool else Undefined


BUILT_IN: Mapping[Any, Coerce] = {
    GraphQLString: _text,
    GraphQLID: _text,
    GraphQLInt: _integer,
    GraphQLBoolean: _boolean,
}


def _of_leaf(kind: Any) -> Coerce:
    def coerce(value: Any) -> Any:
        try:
            return kind.coerce_input_value(value)
        except Exception:
            # graphql-core meets it again, and tells it with its place.
            return Undefined

    return coerce


def _of_list(coerce_item: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if type(value) is not list:
            return Undefined
        items = [coerce_item(item) for item in value]
        return Undefined if Undefined in items else items

    return coerce


class _Field(NamedTuple):
    """A field of an input object: how it is coerced, what it is called then, and what it is when it is left out."""

    coerce: Coerce
    name: str
    is_required: bool
    default: Any


@dataclass(frozen=True)
class _Object:
    """How the values of an input object are coerced."""

    kind: GraphQLInputObjectType

    def __call__(self, value: Any) -> Any:
        """The object with its defaults."""
        fields = _fields(self.kind)
        if type(value) is not dict or self.kind.is_one_of or not value.keys() <= fields.keys():
            return Undefined
        coerced = {}
        for name, field in fields.items():
            if name in value:
                coerced[field.name] = made = field.coerce(value[name])
                if made is Undefined:
                    return Undefined
            elif field.is_required:
                return Undefined
            elif field.default is not Undefined:
                coerced[field.name] = field.default
        return self.kind.out_type(coerced)


@lru_cache(MOST_INPUTS)
def _fields(kind: GraphQLInputObjectType) -> Mapping[str, _Field]:
    return {
        name: _Field(
            coercion(field.type),
            field.out_name or name,
            is_required_input_field(field),
            coerce_default_value(field),
        )
        for name, field in kind.fields.items()
    }
