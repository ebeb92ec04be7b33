"""First pass of a read: what an operation selects, as a tree of declared fields.

Fragments are flattened, @skip and @include applied, aliases kept as keys, arguments coerced.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
)
from graphql.execution import get_argument_values, get_directive_values

from app.query.declare import METADATA, Declaration

EXTENSION = "strawberry-definition"


@dataclass(frozen=True)
class Selected:
    """A selected field: its key in the response, its declaration, its arguments, and what is selected below."""

    key: str
    name: str
    declaration: Declaration | None
    arguments: dict[str, Any]
    is_list: bool
    definition: GraphQLField
    node: FieldNode
    shapes: dict[str, "Shape"] = field(default_factory=dict)

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


def collect(info: GraphQLResolveInfo[Any]) -> Selected:
    """The tree below the field that is being resolved."""
    return _selected(info, info.parent_type, str(info.path.key), info.field_nodes)


def _selected(
    info: GraphQLResolveInfo[Any], parent: GraphQLObjectType, key: str, nodes: list[FieldNode]
) -> Selected:
    name = nodes[0].name.value
    definition = info.schema.get_field(parent, name)
    assert definition is not None
    inner = get_named_type(definition.type)
    types: tuple[GraphQLObjectType, ...] = ()
    if is_abstract_type(inner):
        types = tuple(info.schema.get_possible_types(inner))
    elif isinstance(inner, GraphQLObjectType):
        types = (inner,)
    return Selected(
        key=key,
        name=name,
        declaration=declaration_of(definition),
        arguments=get_argument_values(definition, nodes[0], info.variable_values),
        definition=definition,
        node=nodes[0],
        is_list=is_list_type(get_nullable_type(definition.type)),
        shapes={kind.name: _shape(info, kind, nodes) for kind in types},
    )


def _shape(info: GraphQLResolveInfo[Any], kind: GraphQLObjectType, parents: list[FieldNode]) -> Shape:
    grouped: dict[str, list[FieldNode]] = {}
    seen: set[str] = set()
    for parent in parents:
        if parent.selection_set:
            _gather(info, kind, parent.selection_set, grouped, seen)
    return Shape(kind, [_selected(info, kind, key, nodes) for key, nodes in grouped.items()])


def _gather(
    info: GraphQLResolveInfo[Any],
    kind: GraphQLObjectType,
    selections: SelectionSetNode,
    grouped: dict[str, list[FieldNode]],
    seen: set[str],
) -> None:
    for node in selections.selections:
        if not _included(info, node):
            continue
        if isinstance(node, FieldNode):
            grouped.setdefault((node.alias or node.name).value, []).append(node)
        elif isinstance(node, InlineFragmentNode):
            if _applies(info, kind, node.type_condition):
                _gather(info, kind, node.selection_set, grouped, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            fragment = info.fragments[node.name.value]
            if _applies(info, kind, fragment.type_condition):
                _gather(info, kind, fragment.selection_set, grouped, seen)


def _included(info: GraphQLResolveInfo[Any], node: Any) -> bool:
    if not node.directives:
        return True
    skip = get_directive_values(GraphQLSkipDirective, node, info.variable_values)
    include = get_directive_values(GraphQLIncludeDirective, node, info.variable_values)
    return not (skip and skip["if"]) and not (include and not include["if"])


def _applies(info: GraphQLResolveInfo[Any], kind: GraphQLObjectType, condition: Any) -> bool:
    if condition is None or condition.name.value == kind.name:
        return True
    named = info.schema.get_type(condition.name.value)
    return bool(named and is_abstract_type(named) and info.schema.is_sub_type(named, kind))


def declaration_of(definition: GraphQLField) -> Declaration | None:
    """What a field of the schema declares to read; nothing for those Strawberry resolves."""
    strawberry_field = definition.extensions.get(EXTENSION)
    declaration: Declaration | None = strawberry_field.metadata.get(METADATA) if strawberry_field else None
    return declaration
