"""Variables as graphql-core coerces them.

What that does is known beforehand for a variable of a built-in type whose value is of the kind that JSON has for it.
All else, and every fault, is left to graphql-core.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    get_nullable_type,
    is_non_null_type,
)
from graphql.execution import VariableValues, get_variable_values
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValueSource

Is = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_integer(value: Any) -> bool:
    return type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


BUILT_IN: Mapping[Any, Is] = {
    GraphQLString: _is_text,
    GraphQLID: _is_text,
    GraphQLInt: _is_integer,
    GraphQLBoolean: _is_boolean,
}
"""Which values of JSON stay as they are."""


@dataclass
class Variables:
    """The variables of an operation."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    plain: dict[str, tuple[VariableValueSource, Is]] = field(default_factory=dict)
    """Those of built-in types without a default, as they are when they are not given."""

    def __post_init__(self) -> None:
        for node in self.definition.variable_definitions or ():
            signature = get_variable_signature(self.schema, node)
            if not isinstance(signature, GraphQLError) and signature.default is None:
                is_plain = BUILT_IN.get(get_nullable_type(signature.type))
                if is_plain:
                    self.plain[signature.name] = (VariableValueSource(signature), is_plain)

    def coerced(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The values that a request gives, or what is wrong with them."""
        nodes = self.definition.variable_definitions or ()
        plain = self._as_they_are(given) if len(self.plain) == len(nodes) else None
        return plain or get_variable_values(self.schema, nodes, dict(given))

    def _as_they_are(self, given: Mapping[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        values: dict[str, Any] = {}
        for name, (absent, is_plain) in self.plain.items():
            value = given.get(name, Undefined)
            if value is Undefined and not is_non_null_type(absent.signature.type):
                sources[name] = absent
            elif is_plain(value):
                sources[name] = VariableValueSource(absent.signature, value)
                values[name] = value
            else:
                return None
        return VariableValues(sources, values)
