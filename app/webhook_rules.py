"""The rules of webhooks: their vocabulary, where they may lead, and when to try again. No input or output.

Source: the specification of Standard Webhooks (https://www.standardwebhooks.com).
"""

import re
import socket
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from httpx2 import URL, InvalidURL

from app.errors import Code, Fault
from app.texts import check_text

WEBHOOK_SLOTS = 10
URL_LENGTH = 2000
FORMER_SECRET_HOURS = 24
FAILING_DAYS = 3
"""After so many days without one success, a webhook is disabled at the next failure."""
PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one attempt to the next, as the specification suggests; after the last, the delivery is dead."""
LONGEST_PAUSE = PAUSES[-1]


class WebhookDeliveryState(Enum):
    """How far a delivery got."""

    QUEUED = "QUEUED"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


class WebhookDisabledReason(Enum):
    """Why the service itself stopped sending to a webhook."""

    GONE = "GONE"
    FAILING = "FAILING"


class WebhookFailure(Enum):
    """Why an attempt failed."""

    BAD_STATUS = "BAD_STATUS"
    TIMED_OUT = "TIMED_OUT"
    NAME_NOT_FOUND = "NAME_NOT_FOUND"
    ADDRESS_FORBIDDEN = "ADDRESS_FORBIDDEN"
    NOT_CONNECTED = "NOT_CONNECTED"
    CERTIFICATE_REFUSED = "CERTIFICATE_REFUSED"
    NO_ANSWER = "NO_ANSWER"


Address = IPv4Address | IPv6Address

_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
# What Python's registry calls global, or may do so in one of its versions, and is no host of the public internet.
_NEVER: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("224.0.0.0/3"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


def is_public(address: Address) -> bool:
    """Whether an address is a host of the public internet.

    An IPv4 address inside of an IPv6 one (mapped, or translated by NAT64) is looked at as what it is; tunnels that
    hide one (6to4, Teredo) are never public.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or (IPv4Address(address.packed[12:]) if address in _TRANSLATED else None)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in net for net in _NEVER)


_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_LOCAL_NAME = re.compile(r"([^.]+|(.*\.)?(localhost|local|internal|lan|home\.arpa))\.?")
_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)\.?")


def check_url(text: str, private: bool, *path: str | int) -> Iterator[Fault]:
    """A webhook's address: HTTPS, without credentials, and, unless `private` is on, not within a private network.

    This finds what can be seen in the address itself; where a name leads is checked with every connection.
    """
    faults = list(check_text(text, URL_LENGTH, *path))
    code = None if faults else _fault_of(text.strip(), private)
    yield from faults
    if code:
        yield Fault(code=code, path=path)


def _fault_of(text: str, private: bool) -> Code | None:
    try:
        url = URL(text)
    except InvalidURL:
        return Code.INVALID_URL
    if url.userinfo:
        return Code.CREDENTIALS_IN_URL
    if url.scheme not in ("https", "http") or url.fragment or not url.host:
        return Code.INVALID_URL
    if url.scheme == "http" and not private:
        return Code.HTTPS_REQUIRED
    return _fault_of_host(url.raw_host.decode("ascii"), private) or _fault_of_port(url.port, private)


def _fault_of_host(host: str, private: bool) -> Code | None:
    address = literal(host)
    if address is None and (_NUMERIC.fullmatch(host) or not _NAME.fullmatch(host) or len(host) > 253):
        return Code.INVALID_URL
    local = _LOCAL_NAME.fullmatch(host) if address is None else not is_public(address)
    return Code.ADDRESS_NOT_PUBLIC if local and not private else None


def _fault_of_port(port: int | None, private: bool) -> Code | None:
    if port is not None and not 0 < port < 65536:
        return Code.INVALID_URL
    sensible = private or port in (None, 443) or port >= 1024
    return None if sensible else Code.PORT_NOT_ALLOWED


def literal(host: str) -> Address | None:
    """The address that a host is written as, also in the shorthands that the resolver takes, such as 127.1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if _NUMERIC.fullmatch(host) else None
    except OSError:
        return None


def normal_url(text: str) -> str:
    """The address as it is kept: its name in ASCII, so that it is read alike everywhere."""
    url = URL(text.strip())
    # Read anew, a default port is only left out when the scheme is in small letters.
    return str(URL(str(url)))


def host_of(url: str) -> str:
    """The name or address in a webhook's address."""
    return URL(url).host


def pause_after(attempts: int) -> int | None:
    """Seconds to the next attempt after so many; nothing when there shall be none."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
