"""Variables as graphql-core coerces them.

What is known beforehand of that (see `coercion`) is done here; defaults of variables, and every fault, are left to
graphql-core.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, Undefined, is_non_null_type
from graphql.execution import VariableValues, get_variable_values
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValueSource

from app.query.coercion import Coerce, coercion


@dataclass
class Variables:
    """The variables of an operation."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    plain: dict[str, tuple[VariableValueSource, Coerce]] = field(default_factory=dict)
    """Those without a default, as they are when they are not given, and how they are coerced."""

    def __post_init__(self) -> None:
        for node in self.definition.variable_definitions or ():
            signature = get_variable_signature(self.schema, node)
            if not isinstance(signature, GraphQLError) and signature.default is None:
                self.plain[signature.name] = (VariableValueSource(signature), coercion(signature.type))

    def coerced(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The values that a request gives, or what is wrong with them."""
        nodes = self.definition.variable_definitions or ()
        plain = self._known(given) if len(self.plain) == len(nodes) else None
        return plain or get_variable_values(self.schema, nodes, dict(given))

    def _known(self, given: Mapping[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        values: dict[str, Any] = {}
        for name, (absent, coerce) in self.plain.items():
            value = given.get(name, Undefined)
            if value is Undefined:
                if is_non_null_type(absent.signature.type):
                    return None
                sources[name] = absent
                continue
            values[name] = made = coerce(value)
            if made is Undefined:
                return None
            sources[name] = VariableValueSource(absent.signature, value)
        return VariableValues(sources, values)
