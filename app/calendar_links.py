"""The secret addresses of calendar subscriptions. Whoever has one reads the calendar, so only its hash is kept."""

from hashlib import sha256
from secrets import token_urlsafe

PATH = "/calendar/{secret}.ics"
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret that nobody can guess, in characters that an address can hold."""
    return token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """What is kept of a secret. It is too long to be found by trying, so that one round without salt will do."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def address(public_url: str, secret: str) -> str:
    """Where the calendar of a secret is read."""
    return public_url + PATH.format(secret=secret)
