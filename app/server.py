"""The web application: routes, what is opened and closed with it, and the headers of every page."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan

from app import development, history_download
from app.calendar_links import PATH
from app.config import Misconfigured, Settings
from app.db.engine import create_engine, disposed
from app.db.pool import Pool
from app.endpoint import Endpoint, Shortcut
from app.execution import Execution, masked
from app.http_protocol import FORMAT, SIZE, TIMEOUT
from app.http_response import ALWAYS, PROFILES, Profile, format_of
from app.live.feed import Feed
from app.live.subscriptions import Subscriptions
from app.log import configure_logging
from app.on_demand import endpoint, workers
from app.privilege_uses import Uses, writing_uses
from app.query.engine import Engine
from app.schema.schema import executable_schema
from app.tokens import PublishedKeys, Verifier

EXPLORER = Path(__file__).parent / "explorer"
EXPLORER_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
SAFE = {name.decode(): value.decode() for name, value in ALWAYS}


def create_app(settings: Settings | None = None) -> Starlette:
    """The application. Raises when the settings name no database or nobody who signs tokens."""
    settings = settings or Settings()
    configure_logging(settings.log_format)
    if settings.database_url is None:
        raise Misconfigured("DATABASE_URL is not set; account-management serve starts an embedded PostgreSQL")
    url = settings.database_url.get_secret_value()
    database, pool = create_engine(url, settings), Pool(url, settings)
    writes = Pool(url, settings, beside=pool)
    schema = executable_schema()
    profile, uses = PROFILES[settings.http_profile], Uses(database)
    execution = Execution(
        schema=schema,
        pool=pool,
        writes=writes,
        engine=Engine(schema, pool) if settings.read_engine else None,
        verifier=verifier_of(settings),
        page_limit=settings.page_size_limit,
        public_url=settings.base_url,
        private_webhooks=settings.webhook_private_addresses,
        uses=uses,
    )
    feed = Feed(pool, settings)
    subscriptions = Subscriptions(execution, feed, settings)
    graphql = Endpoint(execution, subscriptions, settings.request_size_limit, profile)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        _collect_less()
        async with (
            writing_uses(uses, settings.privilege_use_interval),
            workers(settings, database),
        ):
            yield _told_to_connections(settings, profile)
        await feed.close()
        await asyncio.gather(pool.close(), writes.close(), disposed(database))

    routes: list[BaseRoute] = [
        Route("/graphql", graphql),
        WebSocketRoute("/graphql", graphql),
        _health(database),
        Route(PATH, endpoint("app.calendar:feed", writes)),
        *history_download.routes(execution),
    ]
    if settings.development:
        routes += _explorer(settings) + _messages()
    return _application(routes, graphql, lifespan)


def _application(routes: list[BaseRoute], graphql: Endpoint, lifespan: Lifespan[Starlette]) -> Starlette:
    handlers = {HTTPException: _http_error, Exception: _unexpected}
    middleware = [Middleware(Shortcut, endpoint=graphql)]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers, middleware=middleware)
    # A redirect would lead to the host and the scheme of the request: behind a proxy that ends TLS to an address in
    # clear text, where clients would send what they have sent here once more.
    app.router.redirect_slashes = False
    return app


def _told_to_connections(settings: Settings, profile: Profile) -> dict[str, Any]:
    """What connections find in the state of the application's lifespan (see `http_protocol`)."""
    return {
        TIMEOUT: settings.request_timeout,
        SIZE: settings.request_size_limit,
        FORMAT: format_of(profile, profile.default),
    }


def _collect_less() -> None:
    # What lives as long as the process need not be looked at by every collection. Only what is new to the service
    # makes garbage that is left to it; a higher threshold saves little of the time, and costs megabytes.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 100)


def verifier_of(settings: Settings) -> Verifier:
    """Whose tokens are accepted: those of the configured issuer, or of the built-in one in development."""
    if settings.development:
        return development.verifier(settings)
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        raise Misconfigured("Set OIDC_ISSUER and OIDC_AUDIENCE, or DEVELOPMENT=true for the built-in issuer")
    keys = PublishedKeys(settings.oidc_issuer, settings.oidc_jwks_url)
    return Verifier(settings, settings.oidc_issuer, settings.oidc_audience, keys)


def _health(database: AsyncEngine) -> Route:
    async def health(_request: Request) -> Response:
        """Whether this process can answer, which needs the database."""
        try:
            async with database.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return JSONResponse({"status": "database unavailable"}, 503)
        return JSONResponse({"status": "ok"})

    return Route("/health", health)


def _explorer(settings: Settings) -> list[BaseRoute]:
    """GraphiQL, its files, and the demo persons to choose from."""

    async def page(_request: Request) -> Response:
        return FileResponse(EXPLORER / "index.html", headers=EXPLORER_HEADERS)

    async def personas(_request: Request) -> Response:
        return JSONResponse(development.personas(settings), headers={"Cache-Control": "no-store"})

    return [
        Route("/", page),
        Route("/development/personas", personas),
        Mount("/explorer", StaticFiles(directory=EXPLORER)),
    ]


def _messages() -> list[BaseRoute]:
    """Every message with demo data: the list of them, and each as text and as HTML."""
    return [
        Route("/development/messages", endpoint("app.messages.preview:show_all")),
        Route("/development/messages/{kind}/{language}.txt", endpoint("app.messages.preview:show_text")),
        Route("/development/messages/{kind}/{language}", endpoint("app.messages.preview:show_html")),
    ]


async def _http_error(_request: Request, error: Exception) -> Response:
    """Faults of the transport, in the form of GraphQL errors."""
    assert isinstance(error, HTTPException)
    code = "NOT_FOUND" if error.status_code == 404 else "BAD_USER_INPUT"
    body = {"errors": [{"message": error.detail, "extensions": {"code": code}}]}
    return JSONResponse(body, error.status_code, SAFE | dict(error.headers or {}))


async def _unexpected(_request: Request, error: Exception) -> Response:
    """Our own fault: an id for the log, and not a word more."""
    return JSONResponse({"errors": [masked("unexpected error", error)]}, 500, SAFE)
