"""First pass of a read: what an operation selects, as a tree of declared fields.

Fragments are flattened, @skip and @include applied, aliases kept as keys, arguments coerced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
)
from graphql.execution import get_argument_values, get_directive_values

from app.query.declare import METADATA, Declaration

EXTENSION = "strawberry-definition"
MOST_FIELDS = 5_000
"""Of all types, more than there are."""
FieldArguments = Mapping[int, Mapping[str, Any]]
"""The arguments of fields in a request, by the `id` of the `Selected` that stands for the field."""


@dataclass(frozen=True, eq=False)
class Selected:
    """A selected field: its key in the response, its declaration, its arguments, and what is selected below.

    `owner` and `name` are the type and the field of the schema; `nodes` are all places in the document that select it.
    `shapes` are what is selected of each object type that can stand there, by its name; leaves have none. Fields are
    compared by identity: what belongs to one is kept by its `id` (see `FieldArguments`).
    """

    key: str
    owner: str
    name: str
    declaration: Declaration | None
    arguments: dict[str, Any]
    is_list: bool
    definition: GraphQLField
    nodes: list[FieldNode]
    shapes: dict[str, "Shape"] = field(default_factory=dict)

    @property
    def node(self) -> FieldNode:
        """The first place in the document that selects it; its arguments are the same in all."""
        return self.nodes[0]

    @property
    def coordinate(self) -> str:
        """The field in the schema (a schema coordinate, in GraphQL's words), such as `Site.memberships`."""
        return f"{self.owner}.{self.name}"

    @property
    def shape(self) -> "Shape":
        """What is selected below a field of one object type."""
        return next(iter(self.shapes.values()))


@dataclass(frozen=True)
class Shape:
    """What is selected of an object type."""

    type: GraphQLObjectType
    fields: list[Selected]

    def named(self, name: str) -> Iterator[Selected]:
        """The selections of one field, under whatever keys."""
        return (selected for selected in self.fields if selected.name == name)


class _Known(NamedTuple):
    """What the schema says of a field, whatever a document says of it."""

    definition: GraphQLField
    declaration: Declaration | None
    is_list: bool
    types: tuple[GraphQLObjectType, ...]
    """Of which types the objects in it can be."""


class Source(Protocol):
    """Where a selection comes from: an operation, or the field that graphql-core is resolving."""

    @property
    def schema(self) -> GraphQLSchema: ...
    @property
    def fragments(self) -> Mapping[str, FragmentDefinitionNode]: ...
    @property
    def variable_values(self) -> Any: ...


class OperationSource(NamedTuple):
    """An operation with its variables, as a source."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variable_values: Any


def collect(info: GraphQLResolveInfo[Any]) -> Selected:
    """The tree below the field that is being resolved."""
    return _selected(info, info.parent_type, str(info.path.key), info.field_nodes)


def collect_roots(
    operation: OperationSource, root: GraphQLObjectType, definition: OperationDefinitionNode
) -> list[Selected]:
    """The trees of all root fields of an operation."""
    grouped: dict[str, list[FieldNode]] = {}
    _gather(operation, root, definition.selection_set, grouped, set())
    return [_selected(operation, root, key, nodes) for key, nodes in grouped.items()]


def walk(selected: Selected) -> Iterator[Selected]:
    """A selection and everything below it."""
    yield selected
    for shape in selected.shapes.values():
        for below in shape.fields:
            yield from walk(below)


def _selected(source: Source, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Selected:
    name = nodes[0].name.value
    known = _known(source.schema, parent, name)
    return Selected(
        key=key,
        owner=parent.name,
        name=name,
        declaration=known.declaration,
        arguments=_arguments(source, known.definition, nodes[0]),
        definition=known.definition,
        nodes=nodes,
        is_list=known.is_list,
        shapes={kind.name: _shape(source, kind, nodes) for kind in known.types},
    )


def _arguments(source: Source, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
    return get_argument_values(definition, node, source.variable_values) if definition.args else {}


@lru_cache(MOST_FIELDS)
def _known(schema: GraphQLSchema, parent: GraphQLObjectType, name: str) -> _Known:
    definition = schema.get_field(parent, name)
    assert definition is not None
    inner = get_named_type(definition.type)
    types: tuple[GraphQLObjectType, ...] = ()
    if is_abstract_type(inner):
        types = tuple(schema.get_possible_types(inner))
    elif isinstance(inner, GraphQLObjectType):
        types = (inner,)
    return _Known(
        definition, declaration_of(definition), is_list_type(get_nullable_type(definition.type)), types
    )


def _shape(source: Source, kind: GraphQLObjectType, parents: list[FieldNode]) -> Shape:
    grouped: dict[str, list[FieldNode]] = {}
    seen: set[str] = set()
    for parent in parents:
        if parent.selection_set:
            _gather(source, kind, parent.selection_set, grouped, seen)
    return Shape(kind, [_selected(source, kind, key, nodes) for key, nodes in grouped.items()])


def _gather(
    source: Source,
    kind: GraphQLObjectType,
    selections: SelectionSetNode,
    grouped: dict[str, list[FieldNode]],
    seen: set[str],
) -> None:
    for node in selections.selections:
        if not _included(source, node):
            continue
        if isinstance(node, FieldNode):
            grouped.setdefault((node.alias or node.name).value, []).append(node)
        elif isinstance(node, InlineFragmentNode):
            if _applies(source, kind, node.type_condition):
                _gather(source, kind, node.selection_set, grouped, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            fragment = source.fragments[node.name.value]
            if _applies(source, kind, fragment.type_condition):
                _gather(source, kind, fragment.selection_set, grouped, seen)


def _included(source: Source, node: Any) -> bool:
    if not node.directives:
        return True
    skip = get_directive_values(GraphQLSkipDirective, node, source.variable_values)
    include = get_directive_values(GraphQLIncludeDirective, node, source.variable_values)
    return not (skip and skip["if"]) and not (include and not include["if"])


def _applies(source: Source, kind: GraphQLObjectType, condition: Any) -> bool:
    if condition is None or condition.name.value == kind.name:
        return True
    named = source.schema.get_type(condition.name.value)
    return bool(named and is_abstract_type(named) and source.schema.is_sub_type(named, kind))


def declaration_of(definition: GraphQLField) -> Declaration | None:
    """What a field of the schema declares to read; nothing for those Strawberry resolves."""
    strawberry_field = definition.extensions.get(EXTENSION)
    declaration: Declaration | None = strawberry_field.metadata.get(METADATA) if strawberry_field else None
    return declaration
