"""What all ways of asking share: who calls, what is executed for them, and how errors are told."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.actor import ANONYMOUS, Identity
from app.context import Context
from app.db.pool import OUTDATED, Pool
from app.documents import Documents, InvalidDocument
from app.errors import RequestError, bad_input, unauthenticated
from app.http_request import Operation
from app.http_response import NO_DATA, Answer, HttpFault
from app.language import preferred
from app.privilege_uses import Uses
from app.query.engine import Engine
from app.tokens import Verifier

log = structlog.get_logger()
UNAVAILABLE = (
    PoolTimeout,
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    *OUTDATED,
)
"""What says that the database is away, goes or comes, takes nobody or nothing any more, has worked on it or waited for
others for too long, can only be read now, or is being migrated: what is asked again later may go well."""
BUSY = RequestError("SERVICE_UNAVAILABLE", "The service is busy; try again in a moment.")
TOO_LARGE = bad_input("This asks for more than one answer can hold. Ask for less at once.")


@dataclass
class Execution:
    """Executes operations, however they came, with connections to read (`pool`) and others to write.

    Without an `engine`, all operations are executed by graphql-core.
    """

    schema: GraphQLSchema
    pool: Pool
    writes: Pool
    engine: Engine | None
    verifier: Verifier
    page_limit: int
    public_url: str
    private_webhooks: bool = False
    uses: Uses | None = None
    documents: Documents = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.schema)

    async def identity(self, authorization: bytes | None) -> Identity | None:
        """Whom an Authorization header speaks for; nobody without one. Raises UNAUTHENTICATED."""
        if authorization is None:
            return None
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("The Authorization header must be: Bearer, a space, and a token.")
        return await self.verifier.identity_of(token.strip())

    def context(self, identity: Identity | None, accept_language: bytes) -> Context:
        """What belongs to one request of theirs; who they are is looked up when something has to be done for them."""
        wished = preferred(accept_language.decode("latin-1"))
        return Context(
            pool=self.pool,
            writes=self.writes,
            actor=ANONYMOUS,
            language=wished or ANONYMOUS.language,
            identity=identity,
            wished=wished,
            page_limit=self.page_limit,
            public_url=self.public_url,
            private_webhooks=self.private_webhooks,
            uses=self.uses,
        )

    async def run(
        self,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        operation: Operation,
        context: Context,
        root: Any = None,
    ) -> Answer:
        """The answer to a query or a mutation, or to the event of a subscription, whose values are the root."""
        if self.engine and root is None:
            answered = await self.engine.answer(document, definition, operation.variables or {}, context)
            if answered is not None:
                return Answer(answered.data, [described(error) for error in answered.errors])
        await context.sign_in()
        result = execute(
            self.schema,
            document,
            root_value=root,
            context_value=context,
            variable_values=dict(operation.variables or {}),
            operation_name=definition.name.value if definition.name else None,
        )
        return _told(result if isinstance(result, ExecutionResult) else await result)


def error_answer(error: Exception) -> Answer:
    """The answer to a request that has no result because of this error. What nobody expected is logged and masked."""
    if isinstance(error, InvalidDocument):
        return Answer(errors=error.formatted())
    if isinstance(error, HttpFault):
        return Answer(errors=[_plain(error)], status=error.status, headers=error.headers)
    if isinstance(error, RequestError):
        return Answer(errors=[_plain(error)])
    if isinstance(error, UNAVAILABLE):
        log.error("unavailable", error=repr(error))
        return Answer(errors=[_plain(BUSY)])
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        # The texts of one statement have a gigabyte in PostgreSQL.
        log.warning("too large an answer", error=repr(error))
        return Answer(errors=[_plain(TOO_LARGE)])
    return Answer(errors=[masked("unexpected error", error)])


def _plain(error: RequestError) -> dict[str, Any]:
    return {"message": str(error), "extensions": {"code": error.code}}


def _told(result: ExecutionResult) -> Answer:
    """A result as clients see it. Errors that belong to no field kept the operation from being executed at all."""
    errors = [described(error) for error in result.errors or ()]
    executed = result.data is not None or any(error.path is not None for error in result.errors or ())
    return Answer(result.data if executed else NO_DATA, errors)


def described(error: GraphQLError) -> dict[str, Any]:
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
