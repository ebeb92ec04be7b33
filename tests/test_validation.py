"""Our way through the rules against that of graphql-core: the same errors, in the same order."""

import json
import random
from pathlib import Path

import pytest
from graphql import (
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    build_ast_schema,
    parse,
    print_ast,
    specified_rules,
    validate,
)
from graphql.language import Lexer, Source, TokenKind
from graphql.validation import ValidationRule

from app.documents import parsed
from app.errors import RequestError
from app.limits import check_size
from app.schema.schema import build_schema
from app.validation import faults
from benchmarks.operations import PAGE, SAVE

FAULTY = [
    "{ nothing site { id { x } } viewer }",
    "{ site(id: 1.5, id: 2, colour: RED) { id } site(id: 2) { ...None } }",
    "query A { __typename } query A { __typename } { __typename }",
    "query($a: ID, $a: Nothing, $b: Site = 1) { site(id: $c) { memberships(first: $a) { nodes { ...F } } } }",
    "fragment F on Site { ...G } fragment G on Site { ...F id @skip } fragment G on ID { x }",
    '{ site(number: "1") { ...F } } fragment F on Membership { id } fragment H on Nothing { id }',
    "{ a: viewer { user { a: id } } a: viewer { user { a: name b: name } } a: __typename }",
    "query($n: String) { viewer { memberships(first: $n, orderBy: {field: NONE, field: NAME}) { totalCount } } }",
    "query($unused: Int) @deprecated { viewer @skip(if: true) @skip(if: 1) @none { user { id @include } } }",
    "{ ... on User { id } node(id: 1) { ... on Site { id } ... on Viewer { user { id } } ... on PageInfo { a } } }",
    "subscription { siteChanged(siteId: 1) { eventId } b: siteChanged(siteId: 2) { eventId } }",
    "type Query { a: Int } extend type Site { b(c: Int = 1): Int @deprecated } { viewer { user { id } } }",
    "mutation { updateContact(input: {types: [NONE, BILLING, 3], x: {y: null}}) { contact { id } errors { field } } }",
    "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    "query($id: ID! = null, $ids: [ID] = [1, [2]]) { node(id: $id) { id } nodes(ids: $ids) { id } }",
    "{ viewer { ...R } } fragment R on Viewer { ...S } fragment S on Viewer { ...R }",
    "{ a b c d e f g h i j k l m n o p q r s t u v w }",
]
"""Something for each rule to find fault with, and a little more."""
VALID = [
    '"A description" query Q("of a variable" $id: ID!) { site(id: $id) { id } }',
    """query($n: Int = 3, $roles: [Role!], $level: UpdateLevel, $on: Boolean!, $by: MembershipOrder) {
      viewer { memberships(first: $n, orderBy: $by) { nodes { site { ...People } } } } }
    fragment People on Site { memberships(first: $n, filter: {roles: $roles, active: $on, privilegesAtLeast: {
      accountManagement: {manageAccess: $level}}}) { nodes { id ... on Node @include(if: $on) { ...Id } } } }
    fragment Id on Node { id @skip(if: $on) }""",
]
NOT_OURS = ("KnownOperationTypes", "Defer", "Stream")
"""Rules about what the schema has all of, or nothing of."""


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema()


@pytest.fixture(scope="module")
def documents(repository: Path) -> list[str]:
    """Documents that are valid, and some that are not."""
    examples = json.loads((repository / "app/explorer/examples.json").read_text())
    return [PAGE, SAVE, *VALID, *(example["query"] for example in examples), *FAULTY]


def told(errors: list[GraphQLError]) -> list[object]:
    """What is told of errors, and the nodes that they point at."""
    return [(type(error), error.formatted, list(map(print_ast, error.nodes or ()))) for error in errors]


def compared(schema: GraphQLSchema, text: str) -> int:
    """How many errors both ways find in a document, which are the same."""
    document = parse(text)
    check_size(document)
    found = validate(schema, document)
    for most in (100, 10):
        assert told(faults(schema, document, most)) == told(validate(schema, document, max_errors=most)), text
    return len(found)


def test_documents_have_the_same_faults(schema: GraphQLSchema, documents: list[str]) -> None:
    assert [compared(schema, text) > 0 for text in documents] == [text in FAULTY for text in documents]


def test_documents_are_parsed_as_graphql_core_parses_them(documents: list[str]) -> None:
    for text in documents:
        assert parsed(text).to_dict(locations=True) == parse(text).to_dict(locations=True)


@pytest.mark.parametrize("rule", specified_rules)
def test_every_rule_is_heard(schema: GraphQLSchema, rule: type[ValidationRule]) -> None:
    errors = [error for text in FAULTY for error in validate(schema, parse(text), [rule])]
    assert bool(errors) != rule.__name__.startswith(NOT_OURS)


def tokens(text: str) -> list[str]:
    """The tokens of a document."""
    lexer = Lexer(Source(text))
    found = []
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        found.append(text[token.start : token.end])
    return found


def test_documents_with_mistakes_have_the_same_faults(schema: GraphQLSchema, documents: list[str]) -> None:
    chance = random.Random(20)
    found = []
    words = [word for text in documents for word in tokens(text)]
    for _ in range(800):
        mistaken = tokens(chance.choice(documents))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(mistaken))
            mistaken[place : place + chance.randint(0, 1)] = chance.choice([[], [chance.choice(words)]])
        try:
            found.append(compared(schema, " ".join(mistaken)))
        except (GraphQLSyntaxError, RequestError):
            continue
    assert len(found) > 100
    assert sum(count > 0 for count in found) > 80
    assert sum(count == 0 for count in found) > 5


def test_leaves_are_passed_over_only_where_no_rule_could_find_a_fault() -> None:
    fields = "leaf: Int needs(x: Int!): Int may(x: Int = 1): [Int!]! below: Query one: One"
    small = build_ast_schema(parse(f"type Query {{ {fields} }} union One = Query"))
    document = parse(
        "{ leaf needs may below one none __typename a: one { __typename leaf } b: below { c: leaf } }"
    )
    found = faults(small, document, 100)
    assert found == validate(small, document)
    assert len(found) == 5


def test_the_rules_that_hear_of_a_leaf_are_those_that_were_thought_of() -> None:
    hearing = ("enter", "leave", "enter_field", "leave_field")
    assert {rule.__name__ for rule in specified_rules if any(hasattr(rule, way) for way in hearing)} == {
        "FieldsOnCorrectTypeRule",
        "MaxIntrospectionDepthRule",
        "ProvidedRequiredArgumentsRule",
        "ScalarLeafsRule",
        "UniqueArgumentNamesRule",
        "UniqueDirectivesPerLocationRule",
    }
