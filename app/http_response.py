"""From an answer to HTTP: which media type, which status, which bytes.

The specification is GraphQL over HTTP (github.com/graphql/graphql-over-http), in one of two profiles:

- `current` follows the text before 2 April 2026 (the parent of commit 9688a67), which most clients and tools were
  written for: 400 for every request that cannot be executed, 200 for everything that was, `application/json` for
  clients that take anything. That text would rather have 200 for a faulty document in `application/json`, and
  allows 400; we say 400 in both media types, as most servers do, so that proxies and monitors see it.
- `draft-2026` follows the draft of 6 August 2026 (commit e1e46e7): 400 for what cannot be parsed, be it JSON or
  GraphQL; 422 for what can be parsed and is wrong; 294 for data that comes with errors;
  `application/graphql-response+json` for clients that take anything, and for every failure. Its notes recommend 294
  beside that media type only, so clients of `application/json` get 200.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json import JSONEncoder
from typing import Any

from starlette.types import Message

from app.errors import RequestError

MODERN, LEGACY = "application/graphql-response+json", "application/json"
EVENTS = "text/event-stream"
CONTENT_TYPES = {MODERN: MODERN.encode() + b"; charset=utf-8", LEGACY: LEGACY.encode()}
STATUS = {
    "GRAPHQL_PARSE_FAILED": 400,
    "UNAUTHENTICATED": 401,
    "INTERNAL_SERVER_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
}
"""By the code of the error that left no data; every other is the status of a refusal in the profile."""
ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept, Accept-Language, Authorization"),
    (b"x-content-type-options", b"nosniff"),
)
"""Answers are one person's own, in their language: nobody keeps them, and nobody guesses what they are."""
NO_DATA = object()
"""Nothing was executed: the response has no `data`, which is something else than `"data": null`."""
Headers = Sequence[tuple[bytes, bytes]]


class HttpFault(RequestError):
    """HTTP was misused: answered with a status of its own, the same in every profile."""

    def __init__(
        self, status: int, text: str, code: str = "BAD_USER_INPUT", allow: bytes | None = None
    ) -> None:
        super().__init__(code, text)
        self.status = status
        self.headers: Headers = ((b"allow", allow),) if allow else ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said: values as `data`, errors as clients see them, or both.

    Data are an object or null, so a list is something else: pieces of JSON that is ready.
    """

    data: list[bytes] | object = NO_DATA
    errors: Sequence[Mapping[str, Any]] = ()
    status: int | None = None
    headers: Headers = ()

    def body(self) -> bytes:
        """The response in JSON, with the errors first, as the GraphQL specification recommends."""
        parts = [b"{"]
        if self.errors:
            parts += [b'"errors":', to_json(self.errors)]
        if self.data is not NO_DATA:
            parts += [b"," if self.errors else b"", b'"data":']
            parts += self.data if isinstance(self.data, list) else [to_json(self.data)]
        parts.append(b"}")
        return b"".join(parts)


# Compared by identity, since it is part of the key under which a negotiation is kept.
@dataclass(frozen=True, eq=False)
class Profile:
    """Where the two texts differ."""

    default: str
    """The media type for clients that take anything."""
    failures: str | None
    """The media type of every failure, or None for the one that was negotiated."""
    refused: int
    """The status of a request that can be read, but not executed."""
    partial: int
    """The status of data with errors, in the modern media type."""


PROFILES = {
    "current": Profile(default=LEGACY, failures=None, refused=400, partial=200),
    "draft-2026": Profile(default=MODERN, failures=MODERN, refused=422, partial=294),
}


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What was negotiated with a client: the content types of success and of failure, and the statuses of a profile."""

    success: bytes
    failure: bytes
    refused: int
    partial: int

    def messages(self, answer: Answer) -> tuple[Message, Message]:
        """The response, as ASGI sends it."""
        status = self._status(answer)
        body = answer.body()
        headers = [
            (b"content-type", self.success if status < 300 else self.failure),
            (b"content-length", b"%d" % len(body)),
            *ALWAYS,
            *answer.headers,
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return (
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body},
        )

    def _status(self, answer: Answer) -> int:
        if answer.status is not None:
            return answer.status
        if answer.data is NO_DATA:
            return STATUS.get(answer.errors[0]["extensions"]["code"], self.refused)
        return self.partial if answer.errors else 200


@lru_cache(maxsize=256)
def negotiate(accept: bytes, profile: Profile) -> ResponseFormat:
    """In which format to answer a client with this Accept. Raises 406 when it takes neither of our media types."""
    if not accept.strip():
        return format_of(profile, profile.default)
    ranges = list(_ranges(accept.decode("latin-1")))
    wishes = {media: _wish(media, ranges) for media in (MODERN, LEGACY)}
    quality, specificity = max(wishes.values())
    if not quality:
        raise HttpFault(406, f"The answer can be {MODERN} or {LEGACY}; Accept allows neither.")
    # Of two that are wished for alike, the modern one if it was named, and the default if a wildcard did.
    first = MODERN if specificity == 2 else profile.default
    return format_of(profile, max(wishes, key=lambda media: (wishes[media], media == first)))


@lru_cache(maxsize=256)
def takes_events(accept: bytes) -> bool:
    """Whether a client takes server-sent events, by their name; a wildcard does not mean them."""
    return any(name == EVENTS and quality > 0 for name, quality in _ranges(accept.decode("latin-1")))


@lru_cache(maxsize=256)
def takes_only_events(accept: bytes) -> bool:
    """Whether a client takes server-sent events, and nothing else that we could answer."""
    ranges = list(_ranges(accept.decode("latin-1")))
    return takes_events(accept) and not any(_wish(media, ranges)[0] for media in (MODERN, LEGACY))


@lru_cache(maxsize=8)
def format_of(profile: Profile, media: str) -> ResponseFormat:
    """The format for a client of this media type."""
    failure = CONTENT_TYPES[profile.failures or media]
    return ResponseFormat(
        success=CONTENT_TYPES[media],
        failure=failure,
        refused=profile.refused,
        partial=profile.partial if media == MODERN else 200,
    )


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """The media ranges of a header with their qualities; what is no media range at all is passed over."""
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        quality = _quality(given.get("q", "1"))
        if quality is not None and given.get("charset", "utf-8").strip('"') in ("utf-8", "utf8", "*"):
            yield name, quality


def _quality(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _wish(media: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """How much a media type is wished for, and how exactly it was named: the most exact range decides."""
    for specificity, name in ((2, media), (1, "application/*"), (0, "*/*")):
        qualities = [quality for range_name, quality in ranges if range_name == name]
        if qualities:
            return max(qualities), specificity
    return 0.0, 0


_READABLE = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ESCAPED = JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def to_json(value: object) -> bytes:
    """Compact JSON in UTF-8, with escapes only where a half character, which UTF-8 cannot hold, demands them."""
    try:
        return _READABLE.encode(value).encode()
    except UnicodeEncodeError:
        return _ESCAPED.encode(value).encode()
