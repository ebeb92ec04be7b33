"""Variables are coerced as graphql-core does it, whichever way."""

from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, parse
from graphql.execution import VariableValues, get_variable_values
from hypothesis import given
from hypothesis import strategies as some

from app.query.variables import Variables

SCHEMA = build_schema("""
  input Filter { a: Int!, b: [String!], c: [Within], d: Order = UP, e: [Int] = 3, within: Within }
  input Within { x: Float, o: [Order!]!, t: Boolean = true, further: Within }
  input OneOf @oneOf { a: Int, b: String }
  enum Order { UP DOWN }
  type Query { a(f: Filter, o: Order, id: ID, x: Float): Int }
""")
TYPES = (
    "String",
    "String!",
    "ID",
    "ID!",
    "Int",
    "Int!",
    "Boolean",
    "Boolean!",
    "Float",
    "[Int]",
    "Order",
    "[Order!]!",
    "Filter",
    "[Filter!]",
    "OneOf",
)
LEAVES = some.one_of(
    some.none(),
    some.booleans(),
    some.text(max_size=3),
    some.integers(min_value=-(2**32), max_value=2**32),
    some.floats(allow_nan=False),
    some.sampled_from(["UP", 1.0, "1", [1], [None], {"a": 1}, {"a": 1, "b": ["x"]}, {"b": []}]),
)
NAMES = some.sampled_from(["a", "b", "c", "d", "e", "within", "x", "o", "t", "further", "unknown"])
WITHIN = some.fixed_dictionaries(
    {"o": some.lists(some.sampled_from(["UP", "DOWN", "SIDEWAYS", None]), max_size=2)},
    optional={"x": LEAVES, "t": some.none() | some.booleans(), "further": some.just({"o": []})},
)
FILTERS = some.fixed_dictionaries(
    {"a": some.integers(0, 9)},
    optional={"b": LEAVES, "c": some.lists(WITHIN | some.none(), max_size=2), "within": WITHIN, "e": LEAVES},
)
VALUES = FILTERS | some.recursive(
    LEAVES, lambda values: some.lists(values, max_size=2) | some.dictionaries(NAMES, values, max_size=4)
)


def told(result: VariableValues | list[GraphQLError]) -> Any:
    """What a coercion came to, to be compared."""
    if isinstance(result, list):
        return [error.formatted for error in result]
    # 1, 1.0 and True are equal, but told apart in writing.
    return repr(result.coerced), {name: (s.signature.name, s.value) for name, s in result.sources.items()}


@given(
    types=some.lists(some.sampled_from(TYPES), max_size=3),
    default=some.booleans(),
    values=some.dictionaries(some.sampled_from(["v0", "v1", "v2", "other"]), VALUES),
)
def test_the_quick_way_and_graphql_core_say_the_same(
    types: list[str], default: bool, values: dict[str, Any]
) -> None:
    declared = ", ".join(f"$v{index}: {kind}" for index, kind in enumerate(types))
    declared += ", $d: Int = 3" if default else ""
    [operation] = parse(f"query({declared}) {{ a }}" if declared else "{ a }").definitions
    assert isinstance(operation, OperationDefinitionNode)
    expected = get_variable_values(SCHEMA, operation.variable_definitions or (), values)
    assert told(Variables(SCHEMA, operation).coerced(values)) == told(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String!", "S1"),
        ("ID", "site_1"),
        ("Int", 50),
        ("Boolean!", False),
        ("[Filter!]", [{"a": 1, "c": None, "within": {"o": ["UP"], "further": {"o": []}}}]),
    ],
)
def test_what_json_has_a_kind_for_needs_no_coercion(
    kind: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    [operation] = parse(f"query($v: {kind}, $absent: ID) {{ a }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    variables = Variables(SCHEMA, operation)
    expected = get_variable_values(SCHEMA, operation.variable_definitions or (), {"v": value})
    monkeypatch.setattr("app.query.variables.get_variable_values", None)
    result = variables.coerced({"v": value})
    assert told(result) == told(expected)
