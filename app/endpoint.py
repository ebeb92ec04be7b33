"""GraphQL over HTTP: a request in, a response out, and nothing in between that could answer with a 500."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    validate,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.actor import ANONYMOUS, Actor
from app.context import Context
from app.errors import RequestError, bad_input, unauthenticated
from app.identity import sign_in
from app.language import preferred
from app.limits import MAXIMUM_TOKENS, check_size
from app.tokens import Verifier

log = structlog.get_logger()
STATUS = {"UNAUTHENTICATED": 401, "SERVICE_UNAVAILABLE": 503, "METHOD_NOT_ALLOWED": 405}
UNAVAILABLE = (PoolTimeout, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Operation:
    """What a client asks for."""

    query: str
    name: str | None = None
    variables: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Endpoint:
    """Answers `/graphql`."""

    schema: GraphQLSchema
    database: AsyncEngine
    verifier: Verifier
    size_limit: int
    page_limit: int

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever it is."""
        try:
            context = await self._context(request)
            operation = _from_query(request) if request.method == "GET" else await self._from_body(request)
            document, definition = self._prepared(operation)
            if request.method == "GET" and definition.operation is not OperationType.QUERY:
                raise RequestError("METHOD_NOT_ALLOWED", "Only queries can be asked by GET; use POST.")
            result = await self._execute(document, operation, context)
        except InvalidDocument as invalid:
            return _response(request, {"errors": invalid.formatted()}, 400)
        except RequestError as error:
            return _response(request, {"errors": [_plain(error)]}, STATUS.get(error.code, 400))
        except UNAVAILABLE as error:
            log.error("unavailable", error=repr(error))
            unavailable = RequestError("SERVICE_UNAVAILABLE", "The service is busy; try again in a moment.")
            return _response(request, {"errors": [_plain(unavailable)]}, 503)
        return _response(request, *_formatted(result))

    async def _context(self, request: Request) -> Context:
        actor = await self._actor(request.headers.get("authorization"))
        language = preferred(request.headers.get("accept-language", "")) or actor.language
        return Context(self.database, actor, language, self.page_limit)

    async def _actor(self, authorization: str | None) -> Actor:
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("The Authorization header must be: Bearer, a space, and a token.")
        return await sign_in(self.database, await self.verifier.identity_of(token.strip()))

    async def _from_body(self, request: Request) -> Operation:
        kind, _, parameters = request.headers.get("content-type", "").partition(";")
        if kind.strip().lower() != "application/json" or not _is_utf8(parameters):
            raise HTTPException(415, "Send application/json in UTF-8.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.size_limit:
                raise HTTPException(413, f"A request has at most {self.size_limit} bytes.")
        return _operation(_json(bytes(body)))

    def _prepared(self, operation: Operation) -> tuple[DocumentNode, OperationDefinitionNode]:
        document = prepare(self.schema, operation.query)
        definition = get_operation_ast(document, operation.name)
        if definition is None:
            raise bad_input("operationName must name one of the operations in the document.")
        if definition.operation is OperationType.SUBSCRIPTION:
            raise bad_input("Subscriptions are not served here.")
        return document, definition

    async def _execute(
        self, document: DocumentNode, operation: Operation, context: Context
    ) -> ExecutionResult:
        result = execute(
            self.schema,
            document,
            context_value=context,
            variable_values=dict(operation.variables or {}),
            operation_name=operation.name,
        )
        return result if isinstance(result, ExecutionResult) else await result


@lru_cache(maxsize=512)
def prepare(schema: GraphQLSchema, query: str) -> DocumentNode:
    """The document, parsed, measured and valid. Raises the RequestError that says why it is not."""
    try:
        document = parse(query, max_tokens=MAXIMUM_TOKENS)
    except GraphQLSyntaxError as error:
        raise RequestError("GRAPHQL_PARSE_FAILED", error.message) from error
    except RecursionError as error:
        raise RequestError("GRAPHQL_PARSE_FAILED", "The document is nested too deeply.") from error
    check_size(document)
    errors = validate(schema, document, max_errors=10)
    if errors:
        raise InvalidDocument(errors)
    return document


class InvalidDocument(RequestError):
    """The document does not fit the schema."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("GRAPHQL_VALIDATION_FAILED", errors[0].message)
        self.errors = errors

    def formatted(self) -> list[dict[str, Any]]:
        """Every fault with its place in the document."""
        return [{**error.formatted, "extensions": {"code": self.code}} for error in self.errors]


def _from_query(request: Request) -> Operation:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = _json(parameters[name].encode(errors="replace"))
    return _operation(parameters)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_input("The request is not JSON that can be read.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _operation(request: Any) -> Operation:
    if not isinstance(request, dict):
        raise bad_input("The request must be one JSON object with the key query.")
    query, name, variables = (request.get(key) for key in ("query", "operationName", "variables"))
    if not isinstance(query, str) or not query.strip():
        raise bad_input("query must be a GraphQL document.")
    if not isinstance(name, str | None) or not isinstance(variables, dict | None):
        raise bad_input("operationName must be a string, and variables an object.")
    if not isinstance(request.get("extensions"), dict | None):
        raise bad_input("extensions must be an object.")
    return Operation(query, name or None, variables)


def _is_utf8(parameters: str) -> bool:
    name, _, value = parameters.strip().partition("=")
    return name.lower() != "charset" or value.strip('" ').lower() in ("utf-8", "utf8")


def _formatted(result: ExecutionResult) -> tuple[dict[str, Any], int]:
    """The body and the status of a result; errors without data are the request's fault."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [_described(error) for error in result.errors]
        if result.data is None and all(error.path is None for error in result.errors):
            return body, 400
    return {**body, "data": result.data}, 200


def _described(error: GraphQLError) -> dict[str, Any]:
    """An error as clients see it: with its code, and without anything that was not meant for them."""
    cause = error.original_error
    if isinstance(cause, RequestError):
        return {**error.formatted, "extensions": {"code": cause.code}}
    if _is_about_input(error):
        return {**error.formatted, "extensions": {"code": "BAD_USER_INPUT"}}
    error_id = uuid4().hex
    log.error("error in a resolver", error_id=error_id, path=error.path, exc_info=cause or error)
    masked = {**error.formatted, "message": "Something went wrong on our side."}
    return {**masked, "extensions": {"code": "INTERNAL_SERVER_ERROR", "errorId": error_id}}


def _is_about_input(error: GraphQLError) -> bool:
    """Whether graphql-core refused a variable or an argument; what it says of a whole field is our fault."""
    if not isinstance(error.original_error, GraphQLError | None):
        return False
    return error.path is None or not (error.nodes and isinstance(error.nodes[0], FieldNode))


def _plain(error: RequestError) -> dict[str, Any]:
    return {"message": str(error), "extensions": {"code": error.code}}


def _response(request: Request, body: Mapping[str, Any], status: int) -> Response:
    modern = "application/graphql-response+json" in request.headers.get("accept", "")
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language, Authorization"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        headers["Allow"] = "POST"
    return Response(
        json.dumps(body, separators=(",", ":")),
        status,
        headers,
        media_type="application/graphql-response+json" if modern else "application/json",
    )
