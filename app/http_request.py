"""From HTTP to an operation: whatever is not a well-formed GraphQL-over-HTTP request ends here, as a RequestError.

What cannot be read at all (no JSON, no UTF-8, not as long as announced) is a fault of its own, 400 in every profile;
what can be read and has the wrong shape is refused with the status that the profile has for it.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from json import JSONDecoder
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from app.errors import bad_input
from app.http_response import HttpFault

METHODS = b"GET, POST"
PARAMETERS = ("query", "operationName", "variables", "extensions")
MAXIMUM_HEADERS = 100
LONGEST_HEADER = 16_384
"""In bytes. The server before us has no limit, and what is worked out from a header is kept by its value."""
Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asks for."""

    query: str
    name: str | None = None
    variables: Mapping[str, Any] | None = None


def headers_of(scope: Scope) -> Headers:
    """The header fields by their names in small letters, repeated ones as one list. Raises 431."""
    if len(scope["headers"]) > MAXIMUM_HEADERS:
        raise HttpFault(431, f"A request has at most {MAXIMUM_HEADERS} header fields.")
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found[name] = found[name] + b", " + value if name in found else value
        # A token has a limit of its own, beyond which its bearer is not let in.
        if len(found[name]) > LONGEST_HEADER and name != b"authorization":
            raise HttpFault(431, f"A header field has at most {LONGEST_HEADER} bytes.")
    return found


async def read_operation(scope: Scope, receive: Receive, headers: Headers, size_limit: int) -> Operation:
    """What a request asks for. Raises the RequestError that says why it cannot be told."""
    if scope["method"] == "POST":
        _check_content(headers)
        return _operation(read_json(await _body(receive, headers, size_limit)))
    if scope["method"] not in ("GET", "HEAD"):
        raise HttpFault(405, "Ask by POST, or queries by GET.", allow=METHODS)
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        # What a body of GET means is nobody's to say (RFC 9110, 9.3.1), and proxies disagree about it.
        raise HttpFault(400, "A request by GET has no body; its parameters stand in the URL.")
    return _operation(_parameters(scope["query_string"], size_limit))


def _check_content(headers: Headers) -> None:
    # Other media types, above all those of forms, can be posted by a page of any origin without being asked first.
    if not _is_json(headers.get(b"content-type", b"")):
        raise HttpFault(415, "Send application/json in UTF-8.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise HttpFault(415, "Send the body as it is, without Content-Encoding.")


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    kind, *parameters = content_type.decode("latin-1").lower().split(";")
    pairs = [parameter.strip().partition("=") for parameter in parameters]
    charsets = {value.strip('" ') for name, _, value in pairs if name.strip() == "charset"}
    return kind.strip() == "application/json" and charsets <= {"utf-8", "utf8"}


async def _body(receive: Receive, headers: Headers, limit: int) -> bytearray:
    """The whole body, of which no more than the limit is ever held."""
    announced = _announced(headers)
    if announced is not None and announced > limit:
        raise _too_large(limit)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Nobody will read this answer; it is no error of ours, and must not look like one in the log.
            raise HttpFault(400, "The body ends in the middle.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    if announced is not None and len(body) != announced:
        raise HttpFault(400, "The body is not as long as Content-Length says.")
    return body


def _announced(headers: Headers) -> int | None:
    """How long the body is said to be."""
    given = headers.get(b"content-length")
    if given is None:
        return None
    if not given.isdigit() or len(given) > 18:
        raise HttpFault(400, "Content-Length must be a number.")
    return int(given)


def _too_large(limit: int) -> HttpFault:
    return HttpFault(413, f"A request has at most {limit} bytes.")


def _parameters(query_string: bytes, limit: int) -> dict[str, Any]:
    """The parameters of a GET. An empty one counts as not given, but for the document."""
    if len(query_string) > limit:
        raise HttpFault(414, f"The parameters in a URL have at most {limit} bytes; use POST.")
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise HttpFault(400, "The parameters in the URL are not percent-encoded UTF-8.") from error
    counts = Counter(name for name, _ in pairs)
    repeated = [name for name in PARAMETERS if counts[name] > 1]
    if repeated:
        raise bad_input(f"{repeated[0]} is given more than once.")
    found: dict[str, Any] = {name: value for name, value in pairs if value or name == "query"}
    for name in ("variables", "extensions"):
        if name in found:
            found[name] = read_json(found[name].encode())
    return found


def read_json(text: bytes | bytearray | str) -> Any:
    """The value of a text in JSON. Raises the RequestError that says that it is none, or a dubious one."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        raise HttpFault(400, "The request is not JSON that can be read.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values under one key, a proxy or a log may have looked at the other one.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


_DECODER = JSONDecoder(
    object_pairs_hook=_without_duplicates, parse_constant=_no_constant, parse_float=_finite
)


def _operation(request: Any) -> Operation:
    if isinstance(request, list):
        raise bad_input("Send one operation at a time; batches are not taken.")
    if not isinstance(request, dict):
        raise bad_input("The request must be one JSON object with the key query.")
    query, name, variables = (request.get(key) for key in ("query", "operationName", "variables"))
    if not isinstance(query, str):
        raise bad_input("query must be a GraphQL document.")
    if not query.strip():
        raise HttpFault(400, "query must be a GraphQL document; it is empty.")
    if not isinstance(name, str | None) or not isinstance(variables, dict | None):
        raise bad_input("operationName must be a string, and variables an object.")
    if not isinstance(request.get("extensions"), dict | None):
        raise bad_input("extensions must be an object.")
    return Operation(query, name or None, variables)
