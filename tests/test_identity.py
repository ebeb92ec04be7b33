"""Who calls: tokens of a real issuer, its keys, the first sign-in, and the development issuer."""

import asyncio
import hashlib
import hmac
import stat
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    is_required_argument,
    is_required_input_field,
)
from httpx2 import AsyncClient
from joserfc.jwk import ECKey, RSAKey
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette

from app import development, tokens
from app.config import Settings
from app.db.models import Base, Membership, User
from app.query.ids import write_id
from app.rules import Language, UpdateLevel
from app.schema.query import PUBLIC
from app.schema.schema import build_schema
from app.server import create_app
from tests.issuer import (
    ABSENT,
    AUDIENCE,
    EC,
    OKP,
    RSA,
    Issuer,
    Service,
    by_hand,
    compact,
    running_issuer,
    serving,
    signed,
)
from tests.world import VIEW, World

NOW = int(time.time())
OTHER = RSAKey.generate_key(2048)


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The application, and an issuer with three keys."""
    with running_issuer(RSA, EC, OKP) as issuer:
        async with serving(database_url, issuer) as service:
            yield service


async def count(world: World, table: type[Base]) -> int:
    """How many rows a table has."""
    async with world.database.connect() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# Tokens


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("key", [RSA, EC, OKP], ids=["RS256", "ES256", "EdDSA"])
async def test_a_token_signed_with_a_published_key_lets_in(service: Service, key: Any) -> None:
    ibm_id = uuid4().hex
    user = await service.user(service.issuer.token(key, preferred_username=ibm_id, email="a@example.com"))
    assert (user["ibmId"], user["email"]) == (ibm_id, "a@example.com")


@pytest.mark.parametrize(
    ("header", "changed"),
    [
        ({"alg": "PS256"}, {}),
        ({"typ": "at+jwt"}, {}),
        ({"nonce": "a parameter of the issuer's own"}, {}),
        ({}, {"aud": ["another", AUDIENCE]}),
        ({}, {"exp": NOW - 5}),
        ({}, {"exp": NOW + 600.5}),
        ({}, {"nbf": NOW + 10, "iat": NOW + 10}),
        ({}, {"email": ABSENT}),
        ({}, {"given_name": ["A"], "family_name": "x" * 101, "locale": 5, "azp": {}, "own": {"deep": [1]}}),
    ],
)
async def test_what_issuers_may_do(service: Service, header: Any, changed: Any) -> None:
    user = await service.user(service.issuer.token(header=header, **changed))
    assert user["email"] == user["ibmId"]
    assert (user["firstName"], user["lastName"], user["language"]) == (None, None, "EN")


WRONG_CLAIMS = {
    "iss": ["https://issuer.example.com", "", 5, ["x"], ABSENT],
    "aud": ["another", ["another", "third"], [], {AUDIENCE: AUDIENCE}, [[AUDIENCE]], None, ABSENT],
    "exp": [NOW - 3600, NOW - 31, True, "tomorrow", float("nan"), float("inf"), -(10**400), None, ABSENT],
    "nbf": [NOW + 3600, "now", None],
    "iat": [NOW + 3600, "now"],
    "sub": ["", " ", 5, "a\0b", "a\ud800", "x" * 256, None, ABSENT],
    "preferred_username": ["", 5, ["a@example.com"], "two words", " a", "a\0b", "\ud800", "x" * 255, ABSENT],
    "email": ["", 5, "no address", "a@", "a@b@example.com", "\ud800@example.com", f"{'x' * 250}@a.com", None],
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
async def test_a_signed_token_with_a_wrong_claim_is_turned_away(
    service: Service, world: World, name: str
) -> None:
    before = await count(world, User)
    for value in WRONG_CLAIMS[name]:
        await service.turns_away(f"Bearer {service.issuer.token(**{name: value})}")
    assert await count(world, User) == before


async def test_a_token_names_an_ibm_id_and_an_address(service: Service) -> None:
    await service.turns_away(f"Bearer {service.issuer.token(preferred_username=ABSENT, email=ABSENT)}")
    await service.turns_away(f"Bearer {service.issuer.token(preferred_username='word', email=ABSENT)}")


def with_public_key_as_secret(issuer: Issuer) -> str:
    """The classic confusion: what everybody may know, used as the secret of a symmetric algorithm."""
    unsigned = by_hand(compact({"alg": "HS256", "kid": RSA.kid}), compact(issuer.claims()), b"")
    secret = RSA.as_pem(private=False)
    signature = hmac.new(secret, unsigned.rstrip(".").encode(), hashlib.sha256).digest()
    return by_hand(compact({"alg": "HS256", "kid": RSA.kid}), compact(issuer.claims()), signature)


FORGERIES = {
    "no signature": lambda issuer: by_hand(compact({"alg": "none"}), compact(issuer.claims()), b""),
    "no signature, known key": lambda issuer: by_hand(
        compact({"alg": "None", "kid": RSA.kid}), compact(issuer.claims()), b""
    ),
    "public key as secret": with_public_key_as_secret,
    "another key with the same id": lambda issuer: issuer.token(OTHER, {"kid": RSA.kid}),
    "unknown key id": lambda issuer: issuer.token(OTHER, {"kid": "unknown"}),
    "no key id": lambda issuer: by_hand(compact({"alg": "RS256"}), compact(issuer.claims())),
    "key of another kind": lambda issuer: issuer.token(RSA, {"kid": EC.kid}),
    "weak algorithm": lambda issuer: issuer.token(RSA, {"alg": "RS512"}),
    "its own key": lambda issuer: issuer.token(
        OTHER, {"kid": "unknown", "jwk": OTHER.as_dict(private=False)}
    ),
    "critical parameter": lambda issuer: issuer.token().replace(
        issuer.token().split(".")[0],
        by_hand(compact({"alg": "RS256", "kid": RSA.kid, "crit": ["x"], "x": 1}), b"").split(".")[0],
    ),
    "other claims": lambda issuer: ".".join(
        [issuer.token().split(".")[0], by_hand(b"", compact(issuer.claims())).split(".")[1], "c2ln"]
    ),
    "encrypted": lambda issuer: f"{issuer.token()}.a.b",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_is_turned_away(service: Service, world: World, name: str) -> None:
    before = await count(world, User)
    await service.turns_away(f"Bearer {FORGERIES[name](service.issuer)}")
    assert await count(world, User) == before


ODD_HEADERS = [
    *(b"", b"{", b"null", b"5", b'"alg"', b'["alg"]', b'["alg","b64"]', b"\xff", b"[" * 3000, b'{"a":1}'),
    *(b'{"alg":5}', b'{"alg":null}', b'{"alg":["RS256"]}', b'{"alg":"RS256","kid":5}', b'{"alg":"EdDSA2"}'),
    *(b'{"alg":"RS256","crit":5}', b'{"alg":"RS256","crit":[{}]}', b'{"alg":"RS256","b64":false}'),
    *(b'{"alg":"RS256","crit":["b64"],"b64":false}', b'{"alg":"RS256","kid":"\\ud800"}', b'{"alg":"RS256"}'),
]
ODD_PAYLOADS = [
    b"",
    b"{",
    b"null",
    b"5",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    b"[" * 3000,
    b'{"exp":' + b"9" * 5000 + b"}",
]


async def test_no_token_is_too_odd(service: Service) -> None:
    good = service.issuer.token()
    odd = [by_hand(header, compact(service.issuer.claims())) for header in ODD_HEADERS]
    odd += [signed(RSA, payload) for payload in ODD_PAYLOADS]
    odd += [good[:end] for end in range(1, len(good), 13)] + [
        good[: good.rindex(".")],
        good + "A",
        good + ".",
    ]
    odd += ["garbage", ".", "..", "...", "a.b.c", "=.=.=", "x" * 8193, "x" * 100_000, good.replace(".", " ")]
    for token in odd:
        await service.turns_away(f"Bearer {token}")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer \t ", "Basic dTpw", "Digest x", "Token x", "Bearerx", "Bearer, x"],
)
async def test_other_schemes_are_turned_away(service: Service, authorization: str) -> None:
    await service.turns_away(authorization)
    await service.turns_away(authorization.replace("Bearer", "") + service.issuer.token())


async def test_bytes_beyond_ascii_are_turned_away(service: Service) -> None:
    for token in ("é".encode(), b"\xff\xfe", "\N{FULLWIDTH LATIN SMALL LETTER A}.b.c".encode(), b"a\x80.b.c"):
        await service.turns_away(b"Bearer " + token)


async def test_the_scheme_is_known_in_any_case(service: Service) -> None:
    token = service.issuer.token()
    for authorization in (f"bearer {token}", f"BEARER  {token} "):
        assert (await service.post(authorization)).json()["data"]["viewer"]["user"]


async def test_claims_go_by_other_names(database_url: str, service: Service) -> None:
    names = {"ibm_id": "uid", "email": "mail", "first_name": "prenom", "last_name": "nom"}
    settings = {f"oidc_claim_{name}": claim for name, claim in names.items()}
    async with serving(database_url, service.issuer, **settings) as renamed:
        claims = {"uid": uuid4().hex, "mail": "a@example.com", "prenom": "Zoé", "nom": "Petit"}
        user = await renamed.user(service.issuer.token(**claims))
        assert [user[name] for name in ("ibmId", "email", "firstName", "lastName")] == list(claims.values())
        await renamed.turns_away(f"Bearer {service.issuer.token()}")
