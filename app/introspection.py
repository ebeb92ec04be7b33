"""How much a document may ask of the schema about itself, counted in the schema before anything is executed.

Types lead to fields, and these to types again, so that a short document can ask for more than anybody could want.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    get_named_type,
    get_nullable_type,
    introspection_types,
    is_list_type,
)

from app.errors import bad_input

MAXIMUM_VALUES = 50_000
"""Three times what the query of the usual tools brings, which ask for everything there is."""
FIELDS = {
    name: kind.fields for name, kind in introspection_types.items() if isinstance(kind, GraphQLObjectType)
}
"""The fields of the types that introspection answers with."""


@dataclass
class Census:
    """Counts what is asked of the schema; `left` is how many values more may be asked for."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    left: int = MAXIMUM_VALUES
    known: dict[int, list[FieldNode]] = field(default_factory=dict)

    def take(self, definition: OperationDefinitionNode) -> None:
        """Count what an operation asks for. Raises BAD_USER_INPUT when it is too much."""
        for node in self._fields(definition.selection_set):
            if node.name.value == "__schema":
                self._take("__Schema", [self.schema], node)
            elif node.name.value == "__type":
                self._take("__Type", self._named(node), node)

    def _named(self, node: FieldNode) -> Sequence[GraphQLNamedType | None]:
        """The type that is asked for by its name; all of them where the name is a variable."""
        [name] = node.arguments or ()
        types = self.schema.type_map
        if isinstance(name.value, StringValueNode):
            return [types.get(name.value.value)]
        return list(types.values())

    def _take(self, kind: str, parents: Sequence[Any], node: FieldNode) -> None:
        """Count every field of every parent that is there, and what is below."""
        parents = [parent for parent in parents if parent is not None]
        assert node.selection_set
        fields = self._fields(node.selection_set)
        self.left -= len(parents) * len(fields)
        if self.left < 0:
            text = f"This asks for more than {MAXIMUM_VALUES} values of the schema. Ask for less at once."
            raise bad_input(text)
        if not parents:
            return
        for below in fields:
            if below.selection_set:
                definition = FIELDS[kind][below.name.value]
                self._take(get_named_type(definition.type).name, self._found(definition, parents), below)

    def _found(self, definition: GraphQLField, parents: Sequence[Any]) -> Sequence[Any]:
        """What a field of introspection brings of all parents together, what is deprecated included."""
        assert definition.resolve
        # Nothing else of what a resolver is told is asked for by those of introspection.
        info: Any = SimpleNamespace(schema=self.schema)
        arguments = dict.fromkeys(definition.args, True)
        found = [definition.resolve(parent, info, **arguments) for parent in parents]
        if not is_list_type(get_nullable_type(definition.type)):
            return found
        return [value for values in found for value in values or ()]

    def _fields(self, selections: SelectionSetNode) -> list[FieldNode]:
        """The fields of a selection, with fragments expanded; found once, however often they are asked for."""
        fields = self.known.get(id(selections))
        if fields is None:
            fields = self.known[id(selections)] = []
            for node in selections.selections:
                if isinstance(node, FieldNode):
                    fields.append(node)
                elif isinstance(node, FragmentSpreadNode):
                    fields += self._fields(self.fragments[node.name.value].selection_set)
                elif isinstance(node, InlineFragmentNode):
                    fields += self._fields(node.selection_set)
        return fields


def check_introspection(schema: GraphQLSchema, document: DocumentNode) -> None:
    """Refuse a valid document that asks too much of the schema, all its operations together, by BAD_USER_INPUT."""
    definitions = document.definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    census = Census(schema, fragments)
    for node in definitions:
        if isinstance(node, OperationDefinitionNode):
            census.take(node)
