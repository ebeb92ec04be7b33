"""Bearer tokens of people: JSON Web Tokens of one OpenID Connect issuer, checked by its published keys."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, TypeGuard

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, KeySet
from joserfc.jws import JWSRegistry

from app.actor import Identity
from app.config import Settings
from app.contact_rules import check_email
from app.errors import RequestError, unauthenticated
from app.language import preferred
from app.rules import EMAIL_LENGTH, IBM_ID_LENGTH, NAME_LENGTH
from app.texts import check_text, typed_ibm_id
from app.trust import trusted_certificates

LONGEST_TOKEN = 8192
SUBJECT_LENGTH = 255
KEYS_LAST = 3600.0
"""Seconds after which the issuer's keys are fetched again, so that a withdrawn key is not trusted for ever."""
KEYS_REST = 30.0
"""Seconds between two fetches, so that tokens with made-up key ids cannot make us flood the issuer."""
FETCH_LASTS = 5.0
"""Seconds the issuer has to answer."""
TOKENS_REST = 60.0
"""Seconds for which a checked token is not checked again."""
MOST_KNOWN = 10_000
LEEWAY = 30
"""Seconds by which the clocks of issuer and service may differ."""
NEVER = float("-inf")
UNANSWERED = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    TimeoutError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)
log = structlog.get_logger()


class Keys(Protocol):
    """The keys that tokens may be signed with."""

    async def current(self) -> KeySet:
        """The keys as they are known."""
        ...

    async def newest(self) -> KeySet:
        """The keys after a token named an unknown one."""
        ...


@dataclass
class PublishedKeys:
    """The keys of an issuer, fetched when they are needed, and again when a token names an unknown one."""

    issuer: str
    jwks_url: str | None = None
    _known: KeySet | None = None
    _fetched: float = NEVER
    _tried: float = NEVER
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> KeySet:
        """The keys as they are known. Raises SERVICE_UNAVAILABLE when the issuer never answered."""
        if self._known is None or self._are_old():
            await self._fetch()
        if self._known is None:
            text = "The issuer of the tokens cannot be reached; try again."
            raise RequestError("SERVICE_UNAVAILABLE", text)
        return self._known

    async def published(self) -> KeySet:
        """The keys as the issuer publishes them at this moment. Raises one of UNANSWERED, which says why not."""
        client = httpx2.AsyncClient(timeout=FETCH_LASTS, verify=trusted_certificates())
        async with asyncio.timeout(FETCH_LASTS), client:
            return await self._published(client)

    def _are_old(self) -> bool:
        # The keys we have are better than none: while the issuer fails, or keeps one request waiting, they do.
        waiting = self._turn.locked() or not _passed(self._tried, KEYS_REST)
        return _passed(self._fetched, KEYS_LAST) and not waiting

    async def newest(self) -> KeySet:
        """The keys after a token named an unknown one, which the issuer may have begun to use just now."""
        if _passed(self._tried, KEYS_REST):
            await self._fetch()
        return await self.current()

    async def _fetch(self) -> None:
        """Ask the issuer, once for all requests that wait for the answer."""
        began = time.monotonic()
        async with self._turn:
            if self._tried >= began:
                return
            try:
                self._known = await self.published()
                self._fetched = time.monotonic()
            except UNANSWERED as error:
                log.error(
                    "the keys of the issuer could not be fetched", issuer=self.issuer, error=repr(error)
                )
            self._tried = time.monotonic()

    async def _published(self, client: httpx2.AsyncClient) -> KeySet:
        response = await client.get(self.jwks_url or await self._discover(client))
        keys = []
        for key in response.raise_for_status().json()["keys"]:
            # An issuer may publish keys of other kinds beside those that we can read.
            with suppress(JoseError, ValueError, KeyError, TypeError):
                keys.append(JWKRegistry.import_key(key))
        if not keys:
            raise ValueError("the issuer publishes no key that can be read")
        return KeySet(keys)

    async def _discover(self, client: httpx2.AsyncClient) -> str:
        response = await client.get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        found = response.raise_for_status().json()
        # To the letter, as in the tokens: a slash more or less would have every one of them refused.
        if found["issuer"] != self.issuer:
            raise ValueError(f"its discovery document is of the issuer {found['issuer']}")
        return str(found["jwks_uri"])


@dataclass(frozen=True)
class Verifier:
    """Turns a token into an identity, or refuses it."""

    settings: Settings
    issuer: str
    audience: str
    keys: Keys
    known: dict[bytes, tuple[Identity, float]] = field(default_factory=dict)
    """Whom a token speaks for, and until when, by its hash."""

    async def identity_of(self, token: str) -> Identity:
        """Who a token speaks for. Raises UNAUTHENTICATED when it is forged, expired or meant for others."""
        if len(token) > LONGEST_TOKEN:
            raise unauthenticated("The token is too long.")
        key = sha256(token.encode()).digest()
        identity, until = self.known.get(key, (None, 0.0))
        if identity is None or time.time() >= until:
            claims = await self._claims(token)
            identity = self._identity(claims)
            self._remember(key, identity)
        return identity

    def _remember(self, key: bytes, identity: Identity) -> None:
        """A page sends the same token many times; checking the signature once a minute is enough."""
        if len(self.known) >= MOST_KNOWN:
            self.known.pop(next(iter(self.known)))
        self.known[key] = identity, min(time.time() + TOKENS_REST, identity.ends_at)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        settings = self.settings
        ibm_id = claims.get(settings.oidc_claim_ibm_id)
        email = _address(claims.get(settings.oidc_claim_email, ibm_id))
        if not _is_text(claims["sub"], SUBJECT_LENGTH) or not _is_word(ibm_id) or email is None:
            raise unauthenticated("The token names no IBMid and e-mail address.")
        return Identity(
            issuer=self.issuer,
            subject=claims["sub"],
            ibm_id=typed_ibm_id(ibm_id),
            email=email,
            first_name=_name(claims.get(settings.oidc_claim_first_name)),
            last_name=_name(claims.get(settings.oidc_claim_last_name)),
            language=preferred(str(claims.get("locale", ""))),
            client=_name(claims.get("azp") or claims.get("client_id")),
            ends_at=claims["exp"] + LEEWAY,
            names_email=settings.oidc_claim_email in claims,
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            decoded = await self._decode(token)
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise unauthenticated("The token is not valid, or no longer. Sign in again.") from error
        return decoded.claims

    async def _decode(self, token: str) -> jwt.Token:
        # Header parameters that we do not know are not for us, unless they are marked as critical.
        registry = JWSRegistry(algorithms=self.settings.oidc_algorithms, strict_check_header=False)
        try:
            return jwt.decode(token, await self.keys.current(), registry=registry)
        except InvalidKeyIdError:
            return jwt.decode(token, await self.keys.newest(), registry=registry)


def _passed(moment: float, seconds: float) -> bool:
    return time.monotonic() - moment > seconds


def _is_text(value: Any, limit: int) -> TypeGuard[str]:
    return isinstance(value, str) and not list(check_text(value, limit))


def _is_word(value: Any) -> TypeGuard[str]:
    return _is_text(value, IBM_ID_LENGTH) and value.split() == [value]


def _address(value: Any) -> str | None:
    if not _is_text(value, EMAIL_LENGTH):
        return None
    address, faults = check_email(value)
    return None if faults else address


def _name(value: Any) -> str | None:
    return value if _is_text(value, NAME_LENGTH) else None
