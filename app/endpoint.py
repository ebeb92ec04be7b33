"""The answer to a request: GraphQL over HTTP, and nothing in between that could end without a GraphQL response."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from app.actor import ANONYMOUS
from app.context import Context
from app.db.pool import Pool
from app.documents import Documents, InvalidDocument, chosen
from app.errors import RequestError
from app.http_request import METHODS, Headers, Operation, headers_of, read_operation
from app.http_response import ALWAYS, NO_DATA, Answer, HttpFault, Profile, manner, negotiate
from app.language import preferred
from app.query.run import Engine
from app.tokens import Verifier

log = structlog.get_logger()
UNAVAILABLE = (PoolTimeout, ConnectionError, TimeoutError)
BUSY = RequestError("SERVICE_UNAVAILABLE", "The service is busy; try again in a moment.")


@dataclass
class Endpoint:
    """Answers `/graphql`, as an ASGI application."""

    schema: GraphQLSchema
    database: AsyncEngine
    pool: Pool
    engine: Engine | None
    verifier: Verifier
    size_limit: int
    page_limit: int
    public_url: str
    profile: Profile
    documents: Documents = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        if scope["method"] == "OPTIONS":
            await _send_options(send)
            return
        client = manner(self.profile, self.profile.default)
        try:
            headers = headers_of(scope)
            client = negotiate(headers.get(b"accept", b""), self.profile)
            answer = await self._answer(scope, receive, headers)
        except Exception as error:
            # Whatever it is, the caller is answered in the form they asked for, and told no more than they may know.
            answer = _instead(error)
        for message in client.messages(answer):
            await send(message)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers) -> Answer:
        # The database is asked who the caller is only when there is something to be done for them.
        operation = await read_operation(scope, receive, headers, self.size_limit)
        document = self.documents.prepare(operation.query)
        definition = chosen(document, operation.name)
        if scope["method"] != "POST" and definition.operation is not OperationType.QUERY:
            text = "Only queries can be asked by GET; use POST."
            raise HttpFault(405, text, code="METHOD_NOT_ALLOWED", allow=b"POST")
        context = await self._context(headers)
        return await self._execute(document, definition, operation, context)

    async def _context(self, headers: Headers) -> Context:
        identity = await self.verifier.identity_in(headers.get(b"authorization"))
        wished = preferred(headers.get(b"accept-language", b"").decode("latin-1"))
        return Context(
            self.database,
            ANONYMOUS,
            wished or ANONYMOUS.language,
            self.page_limit,
            self.public_url,
            identity=identity,
            pool=self.pool,
            wished=wished,
        )

    async def _execute(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        operation: Operation,
        context: Context,
    ) -> Answer:
        if self.engine:
            answered = await self.engine.answer(document, definition, operation.variables or {}, context)
            if answered is not None:
                return Answer(answered.data.encode(), [_described(error) for error in answered.errors])
        await context.sign_in()
        result = execute(
            self.schema,
            document,
            context_value=context,
            variable_values=dict(operation.variables or {}),
            operation_name=definition.name.value if definition.name else None,
        )
        return _told(result if isinstance(result, ExecutionResult) else await result)


async def _send_options(send: Send) -> None:
    """Say what can be done here; without a header of CORS, pages of other origins learn that they cannot."""
    headers = [(b"allow", METHODS), *ALWAYS]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _instead(error: Exception) -> Answer:
    """What is said when there is no result."""
    if isinstance(error, InvalidDocument):
        return Answer(errors=error.formatted())
    if isinstance(error, HttpFault):
        return Answer(errors=[_plain(error)], status=error.status, headers=error.headers)
    if isinstance(error, RequestError):
        return Answer(errors=[_plain(error)])
    if isinstance(error, UNAVAILABLE):
        log.error("unavailable", error=repr(error))
        return Answer(errors=[_plain(BUSY)])
    return Answer(errors=[masked("unexpected error", error)])


def _plain(error: RequestError) -> dict[str, Any]:
    return {"message": str(error), "extensions": {"code": error.code}}


def _told(result: ExecutionResult) -> Answer:
    """A result as clients see it. Errors that belong to no field kept the operation from being executed at all."""
    errors = [_described(error) for error in result.errors or ()]
    executed = result.data is not None or any(error.path is not None for error in result.errors or ())
    return Answer(result.data if executed else NO_DATA, errors)


def _described(error: GraphQLError) -> dict[str, Any]:
    """An error as clients see it: with its code, and without anything that was not meant for them."""
    cause = error.original_error
    if isinstance(cause, RequestError):
        return {**error.formatted, "extensions": {"code": cause.code}}
    if _is_about_input(error):
        return {**error.formatted, "extensions": {"code": "BAD_USER_INPUT"}}
    if isinstance(cause, UNAVAILABLE):
        log.error("unavailable", error=repr(cause), path=error.path)
        return {**error.formatted, **_plain(BUSY)}
    return {**error.formatted, **masked("error in a resolver", cause or error, path=error.path)}


def _is_about_input(error: GraphQLError) -> bool:
    """Whether graphql-core refused a variable or an argument; what it says of a whole field is our fault."""
    if not isinstance(error.original_error, GraphQLError | None):
        return False
    return error.path is None or not (error.nodes and isinstance(error.nodes[0], FieldNode))


def masked(event: str, error: Exception, **details: Any) -> dict[str, Any]:
    """An error that nobody expected, as clients see it: an id that stands in the log, and not a word more."""
    error_id = uuid4().hex
    log.error(event, error_id=error_id, exc_info=error, **details)
    extensions = {"code": "INTERNAL_SERVER_ERROR", "errorId": error_id}
    return {"message": "Something went wrong on our side.", "extensions": extensions}
