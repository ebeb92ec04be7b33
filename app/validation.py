"""The rules of graphql-core over a document, all of them and unchanged, with less around them.

Its own `validate` asks each of thirty rules about each kind of node, for every document anew, and goes into names, of
which no rule wants to hear, and into each leaf, of which most are beyond doubt. That takes several times as long as the
rules themselves. (Of the faster parsers and validators for Python that are maintained, none makes the nodes of
graphql-core, which is what executes.)
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from graphql import (
    BREAK,
    SKIP,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    TypeInfo,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    specified_rules,
)
from graphql.language.ast import QUERY_DOCUMENT_KEYS
from graphql.pyutils import RefMap
from graphql.validation import ValidationContext
from graphql.validation.validate import ValidationAbortedError
from graphql.validation.validation_context import VariableUsage, VariableUsageVisitor

WALKED = {
    kind: tuple(key for key in keys if key not in ("name", "alias", "description"))
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}
"""Below which parts of a node there is anything for a rule."""
TOO_MANY = "Too many validation errors, error limit reached. Validation aborted."


def faults(schema: GraphQLSchema, document: DocumentNode, most: int) -> list[GraphQLError]:
    """What `graphql.validate` finds, of a document that `check_size` let pass. Raises RecursionError."""
    errors: list[GraphQLError] = []

    def on_error(error: GraphQLError) -> None:
        if len(errors) >= most:
            raise ValidationAbortedError(TOO_MANY)
        errors.append(error)

    types = TypeInfo(schema)
    context = _Context(schema, document, types, on_error)
    together = _Together(types, [rule(context) for rule in specified_rules])
    try:
        together.walk(document, None, None)
    except ValidationAbortedError as error:
        # The frames of the validation shall not live as long as the error.
        error.__context__ = None
        errors.append(error.with_traceback(None))
    # What it calls points back at it: nothing of this shall wait until all memory is searched for garbage.
    together.calls.clear()
    return errors


Called = tuple[Callable[..., None], Callable[..., None]]
"""What is called for a node before and after all below it."""


class _Together:
    """Several visitors on one walk, and the types on the way, which are known before the visitors are called."""

    def __init__(self, types: TypeInfo, visitors: Sequence[Visitor]) -> None:
        self.calls: dict[str, Called] = {}
        self.types = types
        self.visitors = visitors
        self.path: list[str | int] = []
        self.ancestors: list[Any] = []
        self.silent: set[int] = set()
        self.silent_until: defaultdict[int, list[int]] = defaultdict(list)

    def walk(self, node: Any, key: str | int | None, parent: Any) -> None:
        """Call the visitors for a node, which stands under a key of its parent, and for all below it."""
        enter, leave = self.calls.get(node.kind) or self._calls(node.kind)
        path, ancestors = self.path, self.ancestors
        enter(node, key, parent, path, ancestors)
        if parent is not None:
            ancestors.append(parent)
        for name in WALKED.get(node.kind, ()):
            below = getattr(node, name)
            if not below:
                continue
            path.append(name)
            if isinstance(below, tuple):
                ancestors.append(node)
                alone = _alone(self.types.get_parent_type())
                for place, part in enumerate(below):
                    if _is_bare(part) and part.name.value in alone:
                        continue
                    path.append(place)
                    self.walk(part, place, below)
                    path.pop()
                ancestors.pop()
            else:
                self.walk(below, name, node)
            path.pop()
        if parent is not None:
            ancestors.pop()
        leave(node, key, parent, path, ancestors)

    def _calls(self, kind: str) -> Called:
        called = self.calls[kind] = (self._enter(kind), self._leave(kind))
        return called

    def _enter(self, kind: str) -> Callable[..., None]:
        types, listeners = getattr(self.types, f"enter_{kind}", None), self._listeners("enter", kind)
        silent = self.silent

        def enter(node: Any, *place: Any) -> None:
            if types:
                types(node)
            for number, method in listeners:
                if number not in silent and (wish := method(node, *place)) is not None:
                    self._heed(number, wish, node)

        return enter

    def _leave(self, kind: str) -> Callable[..., None]:
        types, listeners = getattr(self.types, f"leave_{kind}", None), self._listeners("leave", kind)
        silent, silent_until = self.silent, self.silent_until

        def leave(node: Any, *place: Any) -> None:
            for number, method in listeners:
                if number not in silent and (wish := method(node, *place)) is not None:
                    self._heed(number, wish)
            if id(node) in silent_until:
                silent.difference_update(silent_until.pop(id(node)))
            if types:
                types()

        return leave

    def _heed(self, number: int, wish: Any, node: Any = None) -> None:
        """Leave a visitor out until a node is left, or from now on, if that is what it answered."""
        if wish is BREAK or wish is True:
            self.silent.add(number)
        elif node and (wish is SKIP or wish is False):
            self.silent.add(number)
            self.silent_until[id(node)].append(number)

    def _listeners(self, way: str, kind: str) -> list[tuple[int, Callable[..., Any]]]:
        methods = _methods(tuple(map(type, self.visitors)), way, kind)
        return [(number, getattr(self.visitors[number], name)) for number, name in methods]


@cache
def _methods(visitors: tuple[type[Visitor], ...], way: str, kind: str) -> list[tuple[int, str]]:
    """Which visitors hear of nodes of a kind that are entered or left, and by which method."""
    return [
        (number, name)
        for number, visitor in enumerate(visitors)
        if (name := next((name for name in (f"{way}_{kind}", way) if hasattr(visitor, name)), None))
    ]


class _Context(ValidationContext):
    """What rules know of the document."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # To be found by their value, nodes would have to look at all that is below them, again and again.
        self._fragment_spreads = RefMap()  # type: ignore[assignment]
        self._variable_usages = RefMap()  # type: ignore[assignment]
        self._recursive_variable_usages = RefMap()  # type: ignore[assignment]

    def get_variable_usages(
        self, node: OperationDefinitionNode | FragmentDefinitionNode
    ) -> list[VariableUsage]:
        """Where variables stand in an operation or a fragment, and of which type they have to be there."""
        usages = self._variable_usages.get(node)
        if usages is None:
            fragment = node if isinstance(node, FragmentDefinitionNode) else None
            visitor = VariableUsageVisitor(self._type_info, fragment)
            self._note(visitor, node)
            usages = self._variable_usages[node] = visitor.usages
        return usages

    def _note(self, visitor: VariableUsageVisitor, node: Node) -> None:
        """Note the variables in a node, but for those that it declares."""
        self._type_info.enter(node)
        if isinstance(node, VariableNode):
            visitor.enter_variable(node)
        for key in () if isinstance(node, VariableDefinitionNode) else WALKED.get(node.kind, ()):
            below = getattr(node, key) or ()
            for part in below if isinstance(below, tuple) else (below,):
                if not _is_bare(part):
                    self._note(visitor, part)
        self._type_info.leave(node)


@cache
def _alone(kind: GraphQLOutputType | None) -> frozenset[str]:
    """The fields of a type in which no rule finds a fault when nothing stands with them and nothing below them."""
    fields = kind.fields.items() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) else ()
    named = ["__typename"] if is_composite_type(kind) else []
    return frozenset(named + [name for name, field in fields if _can_be_alone(field)])


def _can_be_alone(field: GraphQLField) -> bool:
    return is_leaf_type(get_named_type(field.type)) and not any(
        map(is_required_argument, field.args.values())
    )


def _is_bare(node: Node) -> bool:
    """Whether it is a field and nothing more, as most are."""
    return isinstance(node, FieldNode) and not (node.selection_set or node.arguments or node.directives)
