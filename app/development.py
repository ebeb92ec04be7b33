"""The built-in issuer of `make run`: a key of its own, and a token for every demo person. Never in production."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from app.config import Settings
from app.rules import Language
from app.tokens import Verifier

ISSUER = "urn:account-management:development"
AUDIENCE = "account-management"
LIFETIME = 12 * 3600
"""Seconds a token lasts."""


@dataclass(frozen=True)
class Persona:
    """Somebody in whose place one can try the service; the IBMid is the e-mail address too."""

    ibm_id: str
    name: str
    description: str
    language: Language


PERSONAS = (
    Persona(
        "claire.fontaine@boulangeries-reunies.example.com",
        "Claire Fontaine",
        "primary contact of Boulangeries Réunies, user at Transports Delcourt",
        Language.FR,
    ),
    Persona(
        "margaret.ellison@lakeshore-freight.example.com",
        "Margaret Ellison",
        "primary contact of Lakeshore Freight with its 250 users",
        Language.EN,
    ),
    Persona(
        "julien.moreau@boulangeries-reunies.example.com",
        "Julien Moreau",
        "secondary contact of Boulangeries Réunies, manage access UPDATE",
        Language.FR,
    ),
    Persona(
        "nadia.benali@boulangeries-reunies.example.com",
        "Nadia Benali",
        "secondary contact of Boulangeries Réunies, manage access VIEW",
        Language.FR,
    ),
    Persona(
        "thomas.girard@boulangeries-reunies.example.com",
        "Thomas Girard",
        "secondary contact of Boulangeries Réunies, contact updates UPDATE",
        Language.FR,
    ),
    Persona(
        "sophie.lambert@boulangeries-reunies.example.com",
        "Sophie Lambert",
        "secondary contact of Boulangeries Réunies, no account management",
        Language.FR,
    ),
    Persona(
        "daniel.osei@northbridge-consulting.example.net",
        "Daniel Osei",
        "user at Lakeshore Freight, Thornbury Instruments and Havenlogistiek Schelde",
        Language.EN,
    ),
    Persona(
        "lucas.petit@boulangeries-reunies.example.com",
        "Lucas Petit",
        "no access yet, waits for an answer of Boulangeries Réunies",
        Language.FR,
    ),
    Persona("grace.whitfield@example.net", "Grace Whitfield", "no access and no request", Language.EN),
)


@dataclass(frozen=True)
class OwnKeys:
    """The key of this issuer, which nobody has to publish."""

    keys: KeySet

    async def current(self) -> KeySet:
        """The one key."""
        return self.keys

    async def newest(self) -> KeySet:
        """The same; there is never another."""
        return self.keys


def key(settings: Settings) -> ECKey:
    """The issuer's key, made on first use, readable for its owner only."""
    file = settings.data_directory / "development-issuer.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_secret(file, json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True)))
    return ECKey.import_key(json.loads(file.read_text()))


def _write_secret(file: Path, text: str) -> None:
    """Write a file whole, unless another process was faster: then theirs counts."""
    draft = file.with_suffix(f".{uuid4().hex}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    with suppress(FileExistsError):
        file.hardlink_to(draft)
    draft.unlink()


def verifier(settings: Settings) -> Verifier:
    """Accepts the tokens of this issuer."""
    return Verifier(settings, ISSUER, AUDIENCE, OwnKeys(KeySet([key(settings)])))


def token_for(settings: Settings, ibm_id: str) -> str:
    """A token for a person, whether they are known or not; it lasts twelve hours."""
    persona = next((persona for persona in PERSONAS if persona.ibm_id.lower() == ibm_id.lower()), None)
    first_name, _, last_name = (persona.name if persona else "").partition(" ")
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": ibm_id.lower(),
        "exp": int(time.time() + LIFETIME),
        settings.oidc_claim_ibm_id: ibm_id,
        settings.oidc_claim_email: ibm_id if "@" in ibm_id else f"{ibm_id}@example.com",
        settings.oidc_claim_first_name: first_name,
        settings.oidc_claim_last_name: last_name,
        "locale": persona.language.value if persona else "en",
        "client_id": "development",
    }
    return jwt.encode({"alg": "ES256"}, claims, key(settings))


def personas(settings: Settings) -> list[dict[str, str]]:
    """The demo persons, each with a fresh token."""
    return [
        {
            "name": persona.name,
            "description": persona.description,
            "token": token_for(settings, persona.ibm_id),
        }
        for persona in PERSONAS
    ]
