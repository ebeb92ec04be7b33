"""Parts of a server that many processes never use: loaded when they are used first, they take no memory before."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pkgutil import resolve_name
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response

from app.config import Settings


def endpoint(name: str, *given: Any) -> Callable[[Request], Awaitable[Response]]:
    """Answers by a function, written as `module:function`, which gets what is given and then the request."""

    async def answer(request: Request) -> Response:
        response: Response = await resolve_name(name)(*given, request)
        return response

    return answer


@asynccontextmanager
async def workers(settings: Settings, database: AsyncEngine) -> AsyncIterator[None]:
    """Have the workers that the settings ask for beside the server, as long as it runs."""
    asked_for = {
        "app.webhooks.worker:sending": settings.webhook_worker,
        "app.messages.worker:sending": settings.message_worker,
    }
    async with AsyncExitStack() as stack:
        for name, wanted in asked_for.items():
            if wanted:
                await stack.enter_async_context(resolve_name(name)(settings, database))
        yield
