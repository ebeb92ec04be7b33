"""Variables are coerced as graphql-core does it, whichever way."""

from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, parse
from graphql.execution import VariableValues, get_variable_values
from hypothesis import given
from hypothesis import strategies as some

from app.query.variables import Variables

SCHEMA = build_schema("""
  input Filter { a: Int!, b: [String!] }
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
    "Filter",
)
VALUES = some.one_of(
    some.none(),
    some.booleans(),
    some.text(max_size=3),
    some.integers(min_value=-(2**32), max_value=2**32),
    some.floats(allow_nan=False),
    some.sampled_from(["UP", 1.0, "1", [1], [None], {"a": 1}, {"a": 1, "b": ["x"]}, {"b": []}]),
)


def told(result: VariableValues | list[GraphQLError]) -> Any:
    """What a coercion came to, to be compared."""
    if isinstance(result, list):
        return [error.formatted for error in result]
    types = {name: type(value) for name, value in result.coerced.items()}
    return result.coerced, types, {name: (s.signature.name, s.value) for name, s in result.sources.items()}


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
    [("String!", "S1"), ("ID", "site_1"), ("Int", 50), ("Boolean!", False)],
)
def test_what_json_has_a_kind_for_needs_no_coercion(
    kind: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    [operation] = parse(f"query($v: {kind}, $absent: ID) {{ a }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    variables = Variables(SCHEMA, operation)
    monkeypatch.setattr("app.query.variables.get_variable_values", None)
    result = variables.coerced({"v": value})
    assert isinstance(result, VariableValues)
    assert result.coerced == {"v": value}
