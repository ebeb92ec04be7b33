"""What settings must be like. Every check raises ValueError that says what is right, and never shows the value."""

import json
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SIGNATURES = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "ES256K",
    "Ed25519",
]
SIGNATURES += ["Ed448", "EdDSA"]
"""All algorithms with a public key that we can check; whoever can check by another one could sign as well."""


def check_database(text: str) -> None:
    """The URL is one of PostgreSQL."""
    try:
        url = make_url(text)
        possible = url.get_backend_name() in ("postgresql", "postgres") and 0 < (url.port or 5432) < 65536
    except (ArgumentError, ValueError):
        # That would show the value, and with it the password.
        possible = False
    if not possible:
        raise ValueError(
            "write it as postgresql://user:password@host:port/database, with other characters than letters and "
            "digits in user and password as %XX"
        )


def check_mail_server(text: str) -> None:
    """The URL names a server, and never sends a password in the clear."""
    if not names_host(text, "smtp", "smtps") or urlsplit(text).path.strip("/"):
        raise ValueError("write it as smtp://host:port or smtps://user:password@host:port")
    url = urlsplit(text)
    starttls = parse_qs(url.query, keep_blank_values=True).get("starttls", ["true"])
    if starttls not in (["true"], ["false"]):
        raise ValueError("starttls is true or false")
    if url.username and url.scheme == "smtp" and starttls == ["false"]:
        raise ValueError("a password is only sent over an encrypted connection: leave starttls=false out")


def names_host(url: str, *schemes: str) -> bool:
    """Whether a URL has one of these schemes, a host, and a port that there can be."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.scheme in schemes and parts.port != 0
    except ValueError:
        # That would show the value, and with it the password.
        return False


def check_sender(text: str) -> None:
    """The sender has an address that a header can hold."""
    try:
        [(_, address)] = getaddresses([text])
        Address(addr_spec=address.encode("ascii").decode())
    except (MessageError, ValueError, IndexError) as error:
        raise ValueError("write it as Name <address>, the address in ASCII (xn--…)") from error


def list_of(value: Any) -> Any:
    """A list as the environment has it, which is a text; otherwise as it is."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError('write it as a JSON list, such as ["RS256", "ES256"]') from None


def check_signatures(names: list[str]) -> None:
    """Whoever can check a signature must not be able to make one."""
    if not set(names) <= set(SIGNATURES):
        raise ValueError(f"only these can be checked by a public key: {', '.join(SIGNATURES)}")
