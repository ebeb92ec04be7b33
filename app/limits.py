"""How large an operation may be, measured on the document before anything else is done with it.

Every fragment is measured once, however often it is spread, so that measuring is never the attack. Validation
and execution walk fragments again at each spread and would not end on a document of a few hundred bytes.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from app.errors import RequestError

MAXIMUM_DEPTH = 20
MAXIMUM_FIELDS = 2_000
MAXIMUM_ROOT_FIELDS = 25
MAXIMUM_TOKENS = 10_000
MAXIMUM_NAME = 200
"""Characters of a name. An alias stands in the answer once for every object, so that a long one makes a huge answer."""


class Size(NamedTuple):
    """Of a selection: fields on its own level, fields at all with fragments expanded, and levels."""

    own: int = 0
    fields: int = 0
    depth: int = 0


NOTHING = Size()


@dataclass
class Ruler:
    """Measures selections; a fragment that contains itself counts as empty here, and fails validation."""

    fragments: dict[str, FragmentDefinitionNode]
    known: dict[str, Size] = field(default_factory=dict)

    def measure(self, selections: SelectionSetNode | None) -> Size:
        """The size of a selection set."""
        own = fields = depth = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                below = self.measure(node.selection_set) if node.selection_set else NOTHING
                inner = Size(1, below.fields + 1, below.depth + 1)
            elif isinstance(node, FragmentSpreadNode):
                inner = self._fragment(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                inner = self.measure(node.selection_set)
            else:
                continue
            own, fields, depth = own + inner.own, fields + inner.fields, max(depth, inner.depth)
        return Size(own, fields, depth)

    def _fragment(self, name: str) -> Size:
        if name not in self.known:
            self.known[name] = NOTHING
            if name in self.fragments:
                self.known[name] = self.measure(self.fragments[name].selection_set)
        return self.known[name]


def check_name(name: str) -> None:
    """Refuse a name that is too long, be it of an alias or anything else. Raises GRAPHQL_VALIDATION_FAILED."""
    if len(name) > MAXIMUM_NAME:
        text = f"A name in the document has too many characters: {len(name)}, at most {MAXIMUM_NAME}."
        raise RequestError("GRAPHQL_VALIDATION_FAILED", text)


def check_size(document: DocumentNode) -> None:
    """Refuse a document with an operation that is too large. Raises GRAPHQL_VALIDATION_FAILED."""
    definitions = document.definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    ruler = Ruler(fragments)
    for node in definitions:
        if not isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        size = ruler.measure(node.selection_set)
        for name, value, limit in (
            ("levels", size.depth, MAXIMUM_DEPTH),
            ("fields", size.fields, MAXIMUM_FIELDS),
            ("fields at the root", size.own, MAXIMUM_ROOT_FIELDS),
        ):
            if value > limit and not (name.endswith("root") and isinstance(node, FragmentDefinitionNode)):
                text = f"The operation has too many {name}: {value}, at most {limit}."
                raise RequestError("GRAPHQL_VALIDATION_FAILED", text)
