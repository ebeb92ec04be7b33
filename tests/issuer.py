"""A real OpenID Connect issuer for tests, on a port of its own, and the application that trusts it."""

import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from uuid import uuid4

import uvicorn
from httpx2 import ASGITransport, AsyncClient, Response
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from app.config import Settings
from app.server import create_app

AUDIENCE = "account-management-test"
RSA = RSAKey.generate_key(2048, auto_kid=True)
EC = ECKey.generate_key("P-256", auto_kid=True)
OKP = OKPKey.generate_key("Ed25519", auto_kid=True)
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
VIEWER = "{ viewer { user { id ibmId email firstName lastName language } } }"
ABSENT = object()
"""The value of a claim that a token does not have."""


@dataclass
class Issuer:
    """Publishes keys, and signs with them or with others. `asked` holds the path of every request to it."""

    url: str
    published: list[dict[str, Any]] = field(default_factory=list)
    name: str | None = None
    broken: bool = False
    asked: list[str] = field(default_factory=list)

    def publish(self, *keys: Key) -> None:
        """Publish these keys and no others."""
        self.published = [key.as_dict(private=False) for key in keys]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of somebody new, but for the changed ones."""
        person = f"{uuid4().hex}@example.com"
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": uuid4().hex,
            "exp": int(time.time()) + 600,
            "preferred_username": person,
            "email": person,
        }
        return {name: value for name, value in (claims | changed).items() if value is not ABSENT}

    def token(self, key: Key = RSA, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A token of somebody new, signed with the key."""
        return signed(key, compact(self.claims(**changed)), **(header or {}))

    async def answer(self, request: Request) -> Answer:
        """The discovery document, or the keys."""
        self.asked.append(request.url.path)
        if self.broken:
            return PlainTextResponse("out of order", 500)
        if request.url.path == "/keys":
            return JSONResponse({"keys": self.published})
        return JSONResponse({"issuer": self.name or self.url, "jwks_uri": f"{self.url}/keys"})


def compact(value: Any) -> bytes:
    """JSON as tokens hold it."""
    return json.dumps(value).encode()


def signed(key: Key, payload: bytes, **header: Any) -> str:
    """A token with any payload and any parameters in its header, well signed."""
    head = {"alg": ALGORITHMS[key.key_type], "kid": key.kid} | header
    head = {name: value for name, value in head.items() if value is not ABSENT}
    unsigned = by_hand(compact(head), payload, b"")
    signature = jws.JWSRegistry.algorithms[head["alg"]].sign(unsigned.removesuffix(".").encode(), key)
    return unsigned + encoded(signature)


def encoded(part: bytes) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def by_hand(header: bytes, payload: bytes, signature: bytes = b"signature") -> str:
    """A token of any three parts, however wrong."""
    return ".".join(map(encoded, (header, payload, signature)))


@contextmanager
def running_issuer(*keys: Key) -> Iterator[Issuer]:
    """An issuer that publishes these keys; afterwards nobody listens at its address."""
    # The socket listens before the server runs, so that no request comes too early.
    listener = socket.create_server(("127.0.0.1", 0))
    issuer = Issuer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    issuer.publish(*keys)
    routes = [Route(path, issuer.answer) for path in ("/.well-known/openid-configuration", "/keys")]
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield issuer
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Service:
    """The application, trusting one issuer."""

    issuer: Issuer
    client: AsyncClient

    async def post(self, authorization: str | bytes | None, document: str = VIEWER) -> Response:
        """The bare response to a call."""
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self.client.post("/graphql", json={"query": document}, headers=headers)

    async def ask(self, token: str, document: str = VIEWER) -> dict[str, Any]:
        """The data of a call in which nothing went wrong."""
        response = await self.post(f"Bearer {token}", document)
        assert response.status_code == 200 and "errors" not in response.json(), response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    async def user(self, token: str) -> dict[str, Any]:
        """Who a token makes one."""
        user: dict[str, Any] = (await self.ask(token))["viewer"]["user"]
        return user

    async def turns_away(self, authorization: str | bytes) -> None:
        """The caller is told to sign in, in the form of a GraphQL error."""
        response = await self.post(authorization)
        assert response.status_code == 401, response.text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["www-authenticate"] == "Bearer"
        (error,) = response.json()["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED"} and "data" not in response.json()

    async def is_unavailable(self, authorization: str) -> None:
        """The caller is told to come back."""
        response = await self.post(authorization)
        assert response.status_code == 503, response.text
        (error,) = response.json()["errors"]
        assert error["extensions"] == {"code": "SERVICE_UNAVAILABLE"} and "data" not in response.json()


@asynccontextmanager
async def serving(database_url: str, issuer: Issuer, **settings: Any) -> AsyncIterator[Service]:
    """The application as in production, over the database of the tests."""
    given = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "development": False} | settings
    app = create_app(Settings(database_url=database_url, **given))
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield Service(issuer, client)
