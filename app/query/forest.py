"""The trees of an operation, and which of their arguments differ from request to request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)
from graphql.execution import VariableValues, get_argument_values

from app.query.collect import OperationSource, Selected, collect_roots, walk
from app.query.declare import Value
from app.query.page import Page
from app.query.plan import Plan, Unplannable


@dataclass(frozen=True)
class Varying:
    """A field whose arguments differ from request to request.

    `direct` are the variables that arguments are as a whole, by the names that resolvers know these by; nothing when
    variables stand within the values of arguments.
    """

    selected: Selected
    direct: Mapping[str, str] | None

    def arguments(self, variables: VariableValues) -> Mapping[str, Any]:
        """The arguments of a request. Raises GraphQLError for those that cannot be."""
        values = variables.coerced
        if self.direct is None or any(values.get(name) is None for name in self.direct.values()):
            # Defaults may step in, or null may not be allowed.
            return get_argument_values(self.selected.definition, self.selected.node, variables)
        return self.selected.arguments | {name: values[variable] for name, variable in self.direct.items()}


@dataclass(frozen=True)
class Forest:
    """The trees of an operation.

    `read` are the roots that a statement reads, `resolved` those that a function or given values answer. Arguments
    are `constant`, by the id of their field, or `varying` from request to request; which of these are given decides
    between `plans`, and how many objects they ask for what the operation `costs`. `pages` are those with constant
    arguments.
    """

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    type: GraphQLObjectType
    roots: list[Selected]
    read: list[Selected]
    resolved: list[Selected]
    constant: dict[int, Mapping[str, Any]]
    varying: list[Varying]
    plans: dict[Any, list[Plan]] = field(default_factory=dict)
    costs: dict[tuple[int, ...], int] = field(default_factory=dict)
    pages: dict[int, Page] = field(default_factory=dict)


def plant(
    schema: GraphQLSchema,
    document: DocumentNode,
    definition: OperationDefinitionNode,
    variables: VariableValues,
) -> Forest:
    """The trees of an operation, with these values of @skip and @include.

    Raises Unplannable for introspection, and GraphQLError for arguments that cannot be.
    """
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    kind = schema.get_root_type(definition.operation)
    assert kind is not None
    roots = collect_roots(OperationSource(schema, fragments, variables), kind, definition)
    if any(root.name in ("__schema", "__type") for root in roots):
        raise Unplannable("introspection")
    named = [root for root in roots if root.name != "__typename"]
    resolved = [root for root in named if root.declaration is None or isinstance(root.declaration, Value)]
    read = [root for root in named if root not in resolved]
    everything = [selected for root in roots for selected in walk(root)]
    varying = [Varying(selected, _direct(selected)) for selected in everything if _varies(selected)]
    differing = {id(one.selected) for one in varying}
    constant: dict[int, Mapping[str, Any]] = {
        id(selected): selected.arguments for selected in everything if id(selected) not in differing
    }
    return Forest(schema, definition, kind, roots, read, resolved, constant, varying)


def _varies(selected: Selected) -> bool:
    return has_variables(argument.value for argument in selected.node.arguments or ())


def _direct(selected: Selected) -> Mapping[str, str] | None:
    """The arguments that are variables as a whole, if no other holds any."""
    given = {argument.name.value: argument.value for argument in selected.node.arguments or ()}
    whole = {name: value.name.value for name, value in given.items() if isinstance(value, VariableNode)}
    if has_variables(value for name, value in given.items() if name not in whole):
        return None
    return {selected.definition.args[name].out_name or name: variable for name, variable in whole.items()}


def has_variables(values: Iterable[ValueNode]) -> bool:
    """Whether a variable stands somewhere in these values."""
    return any(
        isinstance(value, VariableNode)
        or (isinstance(value, ListValueNode) and has_variables(value.values))
        or (isinstance(value, ObjectValueNode) and has_variables(part.value for part in value.fields))
        for value in values
    )
