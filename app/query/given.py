"""Objects of given values as JSON text: payloads of mutations, the catalogue. What they refer to is read for them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from graphql import GraphQLEnumType, GraphQLScalarType, get_named_type

from app.query.collect import FieldArguments, Selected, Shape
from app.query.declare import Relation, Some, Value
from app.query.rows import TYPE
from app.rules import Language

Values = Mapping[Any, Any]


class Gap(NamedTuple):
    """Where the texts of related rows belong: which relation, from which of its rows, and how many for a list."""

    relation: int
    first: int
    several: int | None = None


class Sifted(NamedTuple):
    """Where a list belongs whose items depend on conditions: of which field, and of which items."""

    selected: Selected
    some: Some


Part = str | Gap | Sifted


class Reader(Protocol):
    """Who reads what is written; values can depend on more of the request, where there is one."""

    @property
    def language(self) -> Language: ...


@dataclass
class Writer:
    """Writes given values, leaves gaps for what they refer to, and gathers the keys of that."""

    arguments: FieldArguments
    caller: Reader
    parts: list[Part] = field(default_factory=list)
    keys: dict[int, list[UUID | None]] = field(default_factory=dict)

    def write(self, selected: Selected, value: Any) -> None:
        """Write the value of a field: a leaf, an object, or a list of either."""
        if isinstance(value, Some):
            self.parts.append(Sifted(selected, value))
        elif value is None or not selected.shapes:
            self.parts.append(leaf(selected, value))
        elif isinstance(value, list):
            self._list(selected, value)
        else:
            shape = selected.shapes[value[TYPE]] if TYPE in value else selected.shape
            self._object(shape, value)

    def _list(self, selected: Selected, values: list[Values]) -> None:
        self.parts.append("[")
        for index, value in enumerate(values):
            if index:
                self.parts.append(",")
            self.write(selected, value)
        self.parts.append("]")

    def _object(self, shape: Shape, values: Values) -> None:
        self.parts.append("{")
        for index, selected in enumerate(shape.fields):
            self.parts.append(f'{"," if index else ""}"{selected.key}":')
            match selected.declaration:
                case Value(compute=compute):
                    self.write(selected, compute(values, self.arguments[id(selected)], self.caller))
                case Relation(local=str(local)):
                    self._refer(selected, values.get(local))
                case _:
                    self.parts.append(f'"{shape.type.name}"')
        self.parts.append("}")

    def _refer(self, selected: Selected, referred: Any) -> None:
        """Leave a gap for the row with a key, or for the list of those with several."""
        keys = self.keys.setdefault(id(selected), [])
        several = (referred or []) if selected.is_list else None
        self.parts.append(Gap(id(selected), len(keys), None if several is None else len(several)))
        keys.extend([referred] if several is None else several)

    def text(self, found: Mapping[int, Sequence[str]]) -> str:
        """The whole, with the texts of the related rows by their relation."""
        return "".join(part if isinstance(part, str) else _filled(part, found) for part in self.parts)


def _filled(gap: Gap | Sifted, found: Mapping[int, Sequence[str]]) -> str:
    """What belongs into a gap; a list leaves out what the caller may not see."""
    assert isinstance(gap, Gap), "conditions hold for rows, and what is given has none"
    texts = found.get(gap.relation)
    if gap.several is None:
        return texts[gap.first] if texts else "null"
    seen = (text for text in (texts or ())[gap.first : gap.first + gap.several] if text != "null")
    return f"[{','.join(seen)}]"


def leaf(selected: Selected, value: Any) -> str:
    """A value without parts, or a list of such, in JSON."""
    kind = get_named_type(selected.definition.type)
    assert isinstance(kind, GraphQLScalarType | GraphQLEnumType) or value is None
    return json.dumps(_serialized(kind, value), ensure_ascii=False, separators=(",", ":"))


def _serialized(kind: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_serialized(kind, item) for item in value]
    return None if value is None else kind.serialize(value)
