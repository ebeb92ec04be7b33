"""Bearer tokens of people: JSON Web Tokens of one OpenID Connect issuer, checked by its published keys."""

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from app.config import Settings
from app.contact_rules import check_email
from app.errors import RequestError, unauthenticated
from app.identity import Identity
from app.language import preferred
from app.rules import EMAIL_LENGTH, IBM_ID_LENGTH, NAME_LENGTH, Language, check_text

LONGEST_TOKEN = 8192
SUBJECT_LENGTH = 255
KEYS_LAST = 3600.0
"""Seconds after which the issuer's keys are fetched again, so that a withdrawn key is not trusted for ever."""
KEYS_REST = 30.0
"""Seconds between two fetches, so that tokens with made-up key ids cannot make us flood the issuer."""
LEEWAY = 30
"""Seconds by which the clocks of issuer and service may differ."""


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
    _fetched: float = field(default=float("-inf"))

    async def current(self) -> KeySet:
        """The keys as they are known. Raises SERVICE_UNAVAILABLE when the issuer never answered."""
        if self._known is None or time.monotonic() - self._fetched > KEYS_LAST:
            await self._fetch()
        assert self._known is not None
        return self._known

    async def newest(self) -> KeySet:
        """The keys after a token named an unknown one, which the issuer may have begun to use just now."""
        if time.monotonic() - self._fetched > KEYS_REST:
            await self._fetch()
        return await self.current()

    async def _fetch(self) -> None:
        try:
            async with httpx2.AsyncClient(timeout=5, follow_redirects=False) as client:
                url = self.jwks_url or await self._discover(client)
                response = await client.get(url)
                self._known = KeySet.import_key_set(response.raise_for_status().json())
                self._fetched = time.monotonic()
        except (httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError, KeyError, TypeError) as error:
            if self._known is None:
                text = "The issuer of the tokens cannot be reached; try again."
                raise RequestError("SERVICE_UNAVAILABLE", text) from error
            # The keys we have are better than none; ask again, but not with every request.
            self._fetched = time.monotonic() - KEYS_LAST + KEYS_REST

    async def _discover(self, client: httpx2.AsyncClient) -> str:
        response = await client.get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        found = response.raise_for_status().json()
        if found["issuer"].rstrip("/") != self.issuer.rstrip("/"):
            raise ValueError("the discovery document is of another issuer")
        return str(found["jwks_uri"])


@dataclass(frozen=True)
class Verifier:
    """Turns a token into an identity, or refuses it."""

    settings: Settings
    issuer: str
    audience: str
    keys: Keys

    async def identity_of(self, token: str) -> Identity:
        """Who a token speaks for. Raises UNAUTHENTICATED when it is forged, expired or meant for others."""
        if len(token) > LONGEST_TOKEN:
            raise unauthenticated("The token is too long.")
        claims = await self._claims(token)
        settings = self.settings
        ibm_id = claims.get(settings.oidc_claim_ibm_id)
        email = claims.get(settings.oidc_claim_email, ibm_id)
        if (
            not _is_text(claims["sub"], SUBJECT_LENGTH)
            or not _is_text(ibm_id, IBM_ID_LENGTH)
            or not _is_text(email, EMAIL_LENGTH)
            or check_email(email)[1]
        ):
            raise unauthenticated("The token names no IBMid and e-mail address.")
        return Identity(
            issuer=self.issuer,
            subject=claims["sub"],
            ibm_id=ibm_id,
            email=email,
            first_name=_name(claims.get(settings.oidc_claim_first_name)),
            last_name=_name(claims.get(settings.oidc_claim_last_name)),
            language=preferred(str(claims.get("locale", ""))) or Language.EN,
            client=_name(claims.get("azp") or claims.get("client_id")),
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
        algorithms = self.settings.oidc_algorithms
        try:
            return jwt.decode(token, await self.keys.current(), algorithms=algorithms)
        except InvalidKeyIdError:
            return jwt.decode(token, await self.keys.newest(), algorithms=algorithms)


def _is_text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and not list(check_text(value, limit))


def _name(value: Any) -> str | None:
    return value if _is_text(value, NAME_LENGTH) else None
