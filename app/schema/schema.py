"""The schema, put together: Strawberry's definition, with the declared fields read by the read engine."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import strawberry
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    build_ast_schema,
    get_named_type,
    get_nullable_type,
    introspection_types,
    is_input_object_type,
    is_list_type,
    lexicographic_sort_schema,
    parse,
    print_schema,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info
from strawberry.types.arguments import InputContext

from app.errors import unauthenticated
from app.policy import has_rule
from app.query.collect import EXTENSION, collect, declaration_of
from app.query.declare import tables_of
from app.query.rows import TYPE
from app.schema.calendar import CalendarSubscription
from app.schema.contacts import Contact
from app.schema.filters import moment_of
from app.schema.history import HistoryEvent
from app.schema.messages import Message
from app.schema.mutation import Mutation
from app.schema.namings import Naming
from app.schema.nominations import Nomination
from app.schema.payloads import ERROR_TYPES
from app.schema.privilege_templates import PrivilegeTemplate
from app.schema.query import PUBLIC, Query
from app.schema.recommended import RECOMMENDATION_TYPES
from app.schema.site_rules import BlockedRequester
from app.schema.subscription import Subscription
from app.schema.types import AccessRequest, Membership
from app.schema.users import User
from app.schema.webhooks import Webhook, WebhookDelivery

Make = Callable[[Any], Any]
"""Makes something of the values of a request."""
DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A moment after RFC 3339, written in UTC with microseconds, such as 2026-03-01T09:30:00.000000+00:00, "
    "and read with any offset.",
    serialize=lambda moment: moment.isoformat(timespec="microseconds"),
    parse_value=moment_of,
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
)


@cache
def executable_schema() -> GraphQLSchema:
    """The schema of this process, built once: it holds nothing of an application."""
    return build_schema()


def build_schema() -> GraphQLSchema:
    """The executable schema. Raises ValueError when a field reads rows of which no rule says who sees them."""
    types = [
        User,
        Membership,
        Contact,
        AccessRequest,
        Nomination,
        Message,
        CalendarSubscription,
        HistoryEvent,
        Webhook,
        WebhookDelivery,
        BlockedRequester,
        PrivilegeTemplate,
        Naming,
        *ERROR_TYPES,
        *RECOMMENDATION_TYPES,
    ]
    config = StrawberryConfig(scalar_map={datetime: DATE_TIME})
    schema: GraphQLSchema = strawberry.Schema(
        Query, Mutation, Subscription, types=types, config=config
    )._schema
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            kind.resolve_type = _type_name
        elif isinstance(kind, GraphQLInputObjectType):
            kind.extensions[EXTENSION].from_input = _from_input(_maker(kind))
        elif isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            kind.is_type_of = None
            _check_rules(kind)
            _attach(kind, is_root=kind is schema.query_type)
    # Strawberry's own resolver fails at lists and at what is never null.
    introspection_types["__Type"].fields["isOneOf"].resolve = _is_one_of  # type: ignore[attr-defined]
    return schema


def _from_input(make: Make) -> Callable[[type, Mapping[str, Any], InputContext], Any]:
    return lambda _model, values, _context: make(values)


def _maker(kind: GraphQLInputObjectType) -> Make:
    """Makes an input of the values of a request. Strawberry would find out anew of what fields, for every value."""
    model = kind.extensions[EXTENSION].origin
    fields = [
        (name, field.extensions[EXTENSION].python_name, _maker_within(field.type))
        for name, field in kind.fields.items()
    ]

    def make(values: Mapping[str, Any]) -> Any:
        given = {
            python_name: make_within(values[name]) if make_within else values[name]
            for name, python_name, make_within in fields
            if name in values
        }
        return model(**given)

    return make


def _maker_within(kind: GraphQLInputType) -> Make | None:
    """Makes what a field of an input holds; nothing for leaves, which graphql-core has made."""
    inner: Any = get_nullable_type(kind)
    if is_list_type(inner):
        # What stands in a document is coerced once for all requests, and nobody shall change it for the others.
        make = _maker_within(inner.of_type) or _itself
        return lambda values: None if values is None else [make(value) for value in values]
    if is_input_object_type(inner):
        make = _maker(inner)
        return lambda value: None if value is None else make(value)
    return None


def _itself(value: Any) -> Any:
    return value


def _check_rules(kind: GraphQLObjectType) -> None:
    """What nobody has decided about is not served, not even to be found hidden later."""
    for name, field in kind.fields.items():
        for table in tables_of(declaration_of(field)):
            if not has_rule(table):
                raise ValueError(
                    f"{kind.name}.{name} reads {table.__name__}, which has no rule in policy.SEEING"
                )


def _attach(kind: GraphQLObjectType, is_root: bool) -> None:
    """Declared fields of roots start a read; all others are found where the read has put them."""
    for field in kind.fields.values():
        if is_root and declaration_of(field):
            field.resolve = _read
        elif kind.name == "Subscription":
            field.resolve = _tell
        elif kind.name == "Mutation":
            field.resolve = _doing(field)
        elif kind.name != "Query":
            field.resolve = _by_key


def _doing(field: GraphQLField) -> Callable[..., Awaitable[Any]]:
    """Calls the mutation. Strawberry would look for extensions on the way, which none has."""
    definition = field.extensions[EXTENSION]
    assert definition.is_async and not definition.extensions
    kind: Any = get_named_type(field.args["input"].type)
    mutation, make = definition.base_resolver.wrapped_func, _maker(kind)

    async def do(_source: Any, info: GraphQLResolveInfo[Any], input: Mapping[str, Any]) -> Any:
        return await mutation(None, Info(_raw_info=info, _field=definition), make(input))

    return do


async def _read(_source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    if info.context.actor.user_id is None and info.field_name not in PUBLIC:
        raise unauthenticated("Sign in: send a bearer token in the Authorization header.")
    return await info.context.read(collect(info))


async def _tell(source: dict[str, Any], info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    return await info.context.completer(info).complete(source)


def _by_key(source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    return source[info.path.key]


def _type_name(value: Any, _info: GraphQLResolveInfo[Any], _interface: Any) -> str:
    return str(value[TYPE])


def _is_one_of(kind: Any, _info: GraphQLResolveInfo[Any]) -> bool | None:
    return kind.is_one_of if isinstance(kind, GraphQLInputObjectType) else None


def sdl(schema: GraphQLSchema) -> str:
    """The schema as partners read it; sorted, so that moving code about does not show as a change of the API."""
    return print_schema(lexicographic_sort_schema(build_ast_schema(parse(print_schema(schema))))) + "\n"
