"""The passes of the read engine, each by itself: the example of docs/read-engine.md on its way."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from graphql import DocumentNode, GraphQLSchema, get_operation_ast, parse
from graphql.execution import VariableValues

from app.actor import ANONYMOUS, Identity
from app.query.collect import FieldArguments, Selected, walk
from app.query.compile import Compiler
from app.query.cost import objects
from app.query.declare import Some
from app.query.forest import Forest, plant
from app.query.given import Writer
from app.query.page import Page
from app.query.plan import Plan, Run, Unplannable
from app.query.relations import references
from app.query.sift import conditions_in, sifted
from app.query.structure import structure_of, unfolded
from app.query.template import Draft, hole
from app.query.variables import Variables
from app.schema.enums import MembershipOrderField
from app.schema.schema import executable_schema


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The schema with its declarations."""
    return executable_schema()


@pytest.fixture(scope="module")
def guide(repository: Path) -> str:
    """The page about the read engine."""
    return (repository / "docs" / "read-engine.md").read_text()


def block(guide: str, language: str) -> str:
    """The example in a language."""
    found = re.search(rf"```{language}\n(.*?)```", guide, re.DOTALL)
    assert found
    return found[1]


def planted(schema: GraphQLSchema, query: str, **given: Any) -> tuple[Forest, VariableValues]:
    """The trees of an operation, and its variables."""
    document: DocumentNode = parse(query)
    definition = get_operation_ast(document)
    assert definition
    variables = Variables(schema, definition).coerced(given)
    assert not isinstance(variables, list)
    return plant(schema, document, definition, variables), variables


def planned(schema: GraphQLSchema, query: str, **given: Any) -> tuple[Plan, FieldArguments]:
    """The statement of an operation, and its arguments."""
    forest, variables = planted(schema, query, **given)
    arguments = forest.constant | {id(one.selected): one.arguments(variables) for one in forest.varying}
    return Compiler(arguments).plan(forest.read), arguments


def outline(selected: Selected) -> Any:
    """The keys of a tree."""
    below = [outline(field) for shape in selected.shapes.values() for field in shape.fields]
    return {selected.key: below} if below else selected.key


def plain(sql: str) -> str:
    """A statement in one form of white space."""
    return re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")").strip()


def test_a_document_becomes_a_tree_of_keys(schema: GraphQLSchema) -> None:
    query = """
      query($no: Boolean!) { site(number: "7") { ...a title: name name @skip(if: true) id @include(if: $no) } }
      fragment a on Site { number ... on Site { key: id } }"""
    forest, _ = planted(schema, query, no=False)
    assert list(map(outline, forest.roots)) == [{"site": ["number", "key", "title"]}]


def test_arguments_vary_where_variables_stand_in_them(schema: GraphQLSchema) -> None:
    query = """
      query($number: String!, $text: String) {
        site(number: $number) {
          two: memberships(first: 2) { totalCount }
          more: memberships(filter: {text: $text}) { totalCount }
        }
      }"""
    forest, variables = planted(schema, query, number="7", text="a")
    site, more = forest.varying
    assert site.direct == {"number": "number"}
    assert site.arguments(variables)["number"] == "7"
    assert more.direct is None
    assert more.arguments(variables)["filter"]["text"] == "a"
    assert any(arguments.get("first") == 2 for arguments in forest.constant.values())


def test_introspection_is_not_planned(schema: GraphQLSchema) -> None:
    with pytest.raises(Unplannable, match="introspection"):
        planted(schema, "{ __schema { description } }")


def test_a_structure_says_what_is_given_and_the_values_of_orders_only() -> None:
    given = {"filter": {"text": "a", "roles": None}, "orderBy": {"field": MembershipOrderField.NAME}}
    structure = structure_of(given)
    assert structure == (("filter", (("text", True),)), ("orderBy", (("field", "NAME"),)))
    assert structure_of({**given, "filter": {"text": "b"}}) == structure
    assert unfolded(structure) == {"filter": {"text": True}, "orderBy": {"field": "NAME"}}


def test_pages_within_pages_multiply(schema: GraphQLSchema) -> None:
    query = '{ site(number: "7") { memberships(first: 30) { nodes { user { name } } } } }'
    forest, _ = planted(schema, query)
    assert [objects(root) for root in forest.roots] == [1 + 30 * 3]


def test_a_template_is_text_with_holes_for_what_is_not_known_yet() -> None:
    draft = Draft()
    size = draft.parameter(sa.Integer, lambda run, field_id: field_id)
    template = draft.expression(hole("text") == size)
    assert template.pieces == ["", "text", " = CAST(", "parameter 0", " AS INTEGER)"]
    assert template.filled({"text": "site.name", "parameter 0": "$3"}) == "site.name = CAST($3 AS INTEGER)"


def test_the_example_is_compiled_as_the_guide_says(schema: GraphQLSchema, guide: str) -> None:
    plan, arguments = planned(schema, block(guide, "graphql"), number="7")
    assert plain(plan.sql).endswith(plain(block(guide, "sql")))
    [paged] = plan.paged
    page = Page.parse("Site.memberships", arguments[id(paged)])
    run = Run(Identity("issuer", "subject", "ibm", "client"), arguments, {id(paged): page})
    texts = ['{"title":', ',"users":{"nodes":[', '{"role":"', '"}', "]}}"]
    assert plan.values(run) == [2, "7", "issuer", "subject", *texts]
    assert plan.widths == [3]


def test_given_values_are_written_with_gaps_for_the_rows_that_they_refer_to(schema: GraphQLSchema) -> None:
    query = """
      mutation($input: DeleteContactInput!) {
        deleteContact(input: $input) { is: __typename site { id } errors { code } }
      }"""
    site_id = uuid4()
    forest, _ = planted(schema, query, input={"contactId": "contact_1"})
    [root] = forest.resolved
    [(site, _)] = references(root)
    writer = Writer({id(below): below.arguments for below in walk(root)}, ANONYMOUS)
    writer.write(root, {"site_id": site_id, "errors": []})
    assert writer.keys == {id(site): [site_id]}
    assert (
        writer.text({id(site): ['{"id":"…"}']})
        == '{"is":"DeleteContactPayload","site":{"id":"…"},"errors":[]}'
    )
    assert writer.text({}) == '{"is":"DeleteContactPayload","site":null,"errors":[]}'


def test_conditions_leave_some_items_of_a_given_list() -> None:
    value = {"codes": Some([(sa.true(), "A"), (sa.false(), "B"), (sa.true(), "C")]), "count": 3}
    assert len(list(conditions_in(value))) == 3
    assert sifted(value, iter([True, False, True])) == {"codes": ["A", "C"], "count": 3}


def test_the_guide_names_every_module(repository: Path, guide: str) -> None:
    modules = {file.stem for file in (repository / "app" / "query").glob("*.py")} - {"__init__"}
    assert {module for module in modules if f"`{module}`" not in guide} == set()
