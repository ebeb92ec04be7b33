"""Tokens of a real issuer: which are accepted, which are not, and what becomes of its keys."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from joserfc.jwk import RSAKey

from app import tokens
from app.db.models import User
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
    encoded,
    running_issuer,
    serving,
    signed,
)
from tests.world import World

NOW = int(time.time())
OTHER = RSAKey.generate_key(2048, auto_kid=True)


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The application, and an issuer with three keys."""
    with running_issuer(RSA, EC, OKP) as issuer:
        async with serving(database_url, issuer) as service:
            yield service


async def number_of_users(world: World) -> int:
    """How many people are known."""
    async with world.database.connect() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(User)) or 0


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
        ({}, {"exp": NOW + 86_400.5}),
        ({}, {"email": ABSENT}),
        ({}, {"given_name": ["A"], "family_name": "x" * 101, "locale": 5, "azp": {}, "own": {"deep": [1]}}),
    ],
)
async def test_what_issuers_may_do(service: Service, header: Any, changed: Any) -> None:
    user = await service.user(service.issuer.token(header=header, **changed))
    assert user["email"] == user["ibmId"]
    assert (user["firstName"], user["lastName"], user["language"]) == (None, None, "EN")


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -5), ("nbf", 10), ("iat", 10)])
async def test_clocks_may_differ_a_little(service: Service, claim: str, seconds: int) -> None:
    assert await service.user(service.issuer.token(**{claim: time.time() + seconds}))


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
    before = await number_of_users(world)
    for value in WRONG_CLAIMS[name]:
        await service.turns_away(f"Bearer {service.issuer.token(**{name: value})}")
    assert await number_of_users(world) == before


async def test_a_token_names_an_ibm_id_and_an_address(service: Service) -> None:
    await service.turns_away(f"Bearer {service.issuer.token(preferred_username=ABSENT, email=ABSENT)}")
    await service.turns_away(f"Bearer {service.issuer.token(preferred_username='word', email=ABSENT)}")


def with_public_key_as_secret(issuer: Issuer) -> str:
    """The classic confusion: what everybody may know, used as the secret of a symmetric algorithm."""
    unsigned = by_hand(compact({"alg": "HS256", "kid": RSA.kid}), compact(issuer.claims()), b"")
    secret = RSA.as_pem(private=False)
    return unsigned + encoded(hmac.digest(secret, unsigned.removesuffix(".").encode(), "sha256"))


def with_other_claims(issuer: Issuer) -> str:
    """The signature of other claims."""
    head, _, signature = issuer.token().split(".")
    return f"{head}.{encoded(compact(issuer.claims()))}.{signature}"


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "no signature": lambda its: by_hand(compact({"alg": "none"}), compact(its.claims()), b""),
    "no signature, known key": lambda its: by_hand(
        compact({"alg": "none", "kid": RSA.kid}), compact(its.claims()), b""
    ),
    "signed but said not to be": lambda its: its.token().replace(
        its.token().split(".")[0], encoded(compact({"alg": "none", "kid": RSA.kid}))
    ),
    "public key as secret": with_public_key_as_secret,
    "other claims": with_other_claims,
    "another key with the same id": lambda its: its.token(OTHER, {"kid": RSA.kid}),
    "unknown key id": lambda its: its.token(OTHER, {"kid": "unknown"}),
    "no key id": lambda its: its.token(RSA, {"kid": ABSENT}),
    "key of another kind": lambda its: its.token(RSA, {"kid": EC.kid}),
    "algorithm not allowed": lambda its: its.token(RSA, {"alg": "RS512"}),
    "brings its own key": lambda its: its.token(OTHER, {"jwk": OTHER.as_dict(private=False)}),
    "critical parameter": lambda its: its.token(RSA, {"crit": ["own"], "own": 1}),
    "five parts": lambda its: f"{its.token()}.a.b",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_is_turned_away(service: Service, world: World, name: str) -> None:
    before = await number_of_users(world)
    await service.turns_away(f"Bearer {FORGERIES[name](service.issuer)}")
    assert await number_of_users(world) == before


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


# The issuer's keys


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """An issuer of the test's own, which may be asked again at once."""
    monkeypatch.setattr(tokens, "KEYS_REST", 0)
    with running_issuer(RSA) as issuer:
        yield issuer


DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"


async def test_a_key_that_appears_later_is_found(database_url: str, another: Issuer) -> None:
    async with serving(database_url, another) as service:
        await service.user(another.token())
        await service.turns_away(f"Bearer {another.token(EC)}")
        assert another.asked == [DISCOVERY, KEYS] * 2
        another.publish(RSA, EC)
        await service.user(another.token(EC))
        assert another.asked == [DISCOVERY, KEYS] * 3
        await service.user(another.token(EC))
        await service.user(another.token(RSA))
        assert another.asked == [DISCOVERY, KEYS] * 3


async def test_made_up_key_ids_do_not_flood_the_issuer(
    database_url: str, another: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "KEYS_REST", 3600)
    async with serving(database_url, another) as service:
        calls = (service.turns_away(f"Bearer {another.token(EC, {'kid': str(n)})}") for n in range(20))
        await asyncio.gather(*calls)
        await service.user(another.token())
        another.broken = True
        await service.turns_away(f"Bearer {another.token(EC)}")
        assert another.asked == [DISCOVERY, KEYS]


async def test_a_failing_issuer_is_not_flooded_either(
    database_url: str, another: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(database_url, another) as service:
        await service.user(another.token())
        another.broken = True
        await service.turns_away(f"Bearer {another.token(EC)}")
        monkeypatch.setattr(tokens, "KEYS_REST", 3600)
        monkeypatch.setattr(tokens, "KEYS_LAST", 0)
        for _ in range(5):
            await service.turns_away(f"Bearer {another.token(EC)}")
            await service.user(another.token())
        assert another.asked == [DISCOVERY, KEYS, DISCOVERY]


async def test_requests_at_once_ask_once(database_url: str, another: Issuer) -> None:
    async with serving(database_url, another) as service:
        await asyncio.gather(*(service.user(another.token()) for _ in range(10)))
        assert another.asked == [DISCOVERY, KEYS]


async def test_a_withdrawn_key_is_not_trusted_for_ever(
    database_url: str, another: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(database_url, another) as service:
        await service.user(another.token())
        another.publish(EC)
        await service.user(another.token())
        monkeypatch.setattr(tokens, "KEYS_LAST", 0)
        await service.turns_away(f"Bearer {another.token()}")


async def test_without_keys_the_service_is_unavailable_until_the_issuer_answers(
    database_url: str, another: Issuer
) -> None:
    another.broken = True
    async with serving(database_url, another) as service:
        await service.is_unavailable(f"Bearer {another.token()}")
        await service.is_unavailable("Bearer garbage")
        assert (await service.post(None)).json() == {"data": {"viewer": None}}
        another.broken = False
        await service.user(another.token())


async def test_an_issuer_that_is_down(database_url: str) -> None:
    with running_issuer(RSA) as gone:
        pass
    for settings in ({}, {"oidc_jwks_url": "https://xn--/keys"}):
        async with serving(database_url, gone, **settings) as service:
            await service.is_unavailable(f"Bearer {gone.token()}")


async def test_the_known_keys_outlast_the_issuer(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEYS_REST", 0)
    monkeypatch.setattr(tokens, "KEYS_LAST", 0)
    async with AsyncExitStack() as stack:
        with running_issuer(RSA) as issuer:
            service = await stack.enter_async_context(serving(database_url, issuer))
            await service.user(issuer.token())
        await service.user(issuer.token())
        await service.turns_away(f"Bearer {issuer.token(EC)}")


@pytest.mark.parametrize(
    "published",
    [
        [],
        {},
        [5],
        [{"kty": "AKP", "kid": "post-quantum"}],
        [{"kty": "RSA", "n": "!", "e": "AQAB"}],
        [{"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"}],
    ],
    ids=str,
)
async def test_keys_that_cannot_be_read(database_url: str, another: Issuer, published: Any) -> None:
    another.published = published
    async with serving(database_url, another) as service:
        await service.is_unavailable(f"Bearer {another.token()}")
        another.published = [*published, RSA.as_dict(private=False)]
        await service.user(another.token())


@pytest.mark.parametrize("name", ["https://issuer.example.com", "{}/"])
async def test_the_discovery_document_of_another_issuer_is_not_believed(
    database_url: str, another: Issuer, name: str
) -> None:
    another.name = name.format(another.url)
    async with serving(database_url, another) as service:
        await service.is_unavailable(f"Bearer {another.token()}")
    async with serving(database_url, another, oidc_jwks_url=f"{another.url}/keys") as service:
        await service.user(another.token())
    assert another.asked == [DISCOVERY, KEYS]
