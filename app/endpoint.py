"""The answer to a request: GraphQL over HTTP, and nothing in between that could end without a GraphQL response."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from graphql import OperationDefinitionNode, OperationType
from starlette.types import ASGIApp, Receive, Scope, Send

from app.documents import chosen_operation
from app.errors import bad_input
from app.execution import Execution, error_answer
from app.http_request import METHODS, Headers, headers_of, read_operation
from app.http_response import (
    ALWAYS,
    Answer,
    HttpFault,
    Profile,
    format_of,
    negotiate,
    takes_events,
    takes_only_events,
)
from app.live.sse import single, stream
from app.live.subscriptions import Subscriptions
from app.live.websocket import serve_socket


@dataclass
class Endpoint:
    """Answers `/graphql`, as an ASGI application: over HTTP, as server-sent events, and over WebSocket."""

    execution: Execution
    subscriptions: Subscriptions
    size_limit: int
    profile: Profile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is, or serve one WebSocket."""
        if scope["type"] == "websocket":
            await serve_socket(self.subscriptions, self.size_limit, scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await _send_options(send)
            return
        response_format = format_of(self.profile, self.profile.default)
        only_events = False
        try:
            headers = headers_of(scope)
            accept = headers.get(b"accept", b"")
            only_events = takes_only_events(accept)
            if not only_events:
                response_format = negotiate(accept, self.profile)
            answer = await self._answer(scope, receive, headers)
        except Exception as error:
            # Whatever it is, the caller is answered in the form they asked for, and told no more than they may know.
            answer = error_answer(error)
        if isinstance(answer, AsyncGenerator):
            await stream(answer, receive, send)
        elif only_events and answer.status is None:
            await stream(single(answer), receive, send)
        else:
            for message in response_format.messages(answer):
                await send(message)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Headers
    ) -> Answer | AsyncGenerator[Answer]:
        # The database is asked who the caller is only when there is something to be done for them.
        operation = await read_operation(scope, receive, headers, self.size_limit)
        document = self.execution.documents.prepare(operation.query)
        definition = chosen_operation(document, operation.name)
        _check_way(scope["method"], headers, definition)
        identity = await self.execution.identity(headers.get(b"authorization"))
        language = headers.get(b"accept-language", b"")
        if definition.operation is OperationType.SUBSCRIPTION:
            return self.subscriptions.answers(document, definition, operation, identity, language)
        context = self.execution.context(identity, language)
        return await self.execution.run(document, definition, operation, context)


@dataclass
class Shortcut:
    """Brings requests for `/graphql` to the endpoint at once, where the routes would bring them as well.

    What is done on the way through the routes, for errors and exceptions above all, the endpoint does in a form of its
    own; it would take one part in sixteen of Python's time for a page of 50.
    """

    app: ASGIApp
    endpoint: Endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on with one request."""
        is_graphql = scope["type"] == "http" and scope["path"] == f"{scope.get('root_path', '')}/graphql"
        await (self.endpoint if is_graphql else self.app)(scope, receive, send)


def _check_way(method: str, headers: Headers, definition: OperationDefinitionNode) -> None:
    """Refuse an operation that cannot be answered the way it came."""
    kind = definition.operation
    if kind is OperationType.SUBSCRIPTION and not takes_events(headers.get(b"accept", b"")):
        raise bad_input("Subscribe over WebSocket (graphql-transport-ws), or accept text/event-stream.")
    only_post = kind is OperationType.MUTATION or (kind is OperationType.SUBSCRIPTION and method == "HEAD")
    if method != "POST" and only_post:
        text = "Only queries can be asked by GET; use POST."
        raise HttpFault(405, text, code="METHOD_NOT_ALLOWED", allow=b"POST")


async def _send_options(send: Send) -> None:
    """Say what can be done here; without a header of CORS, pages of other origins learn that they cannot."""
    headers = [(b"allow", METHODS), *ALWAYS]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
