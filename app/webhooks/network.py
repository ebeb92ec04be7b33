"""Opens the connections over which webhooks are sent, and no others than those that are allowed.

The check stands where the connection is opened: a name is resolved once, every address it has is looked at, and the
connection goes to exactly one of these. So a name that leads elsewhere a moment later (DNS rebinding) changes
nothing, and the certificate is still checked for the name.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpcore2

from app.webhook_rules import Address, is_public

MOST_ADDRESSES = 4
"""So many of a name's addresses are tried; the time to connect is shared among them."""
MOST_READ = 32_768
"""Bytes of an answer that are read at most; of these, only its head counts."""
READ_AT_ONCE = 4096
RESOLVERS = ThreadPoolExecutor(64, thread_name_prefix="webhook-names")
"""Names are looked up in threads of their own, so that slow name servers hold up nobody but webhooks."""
LOOK_UPS: dict[tuple[str, int], Future[list[Any]]] = {}
"""Those under way: a name whose server is silent takes one thread, however many webhooks lead to it."""


class AddressForbidden(httpcore2.ConnectError):
    """The name leads, also or only, to an address outside of the public internet."""


class NameNotFound(httpcore2.ConnectError):
    """The name has no address."""


Resolve = Callable[[str, int], Awaitable[list[Address]]]


async def resolve(host: str, port: int) -> list[Address]:
    """Every address of a name, in the order in which the system would use them. Raises NameNotFound."""
    # Whoever gives up leaves the look-up to the others.
    try:
        found = await asyncio.shield(asyncio.wrap_future(_look_up(host, port)))
    except (socket.gaierror, UnicodeError) as error:
        raise NameNotFound(str(error)) from error
    return [ip_address(address) for address in dict.fromkeys(str(entry[4][0]) for entry in found)]


def _look_up(host: str, port: int) -> Future[list[Any]]:
    under_way = LOOK_UPS.get((host, port))
    if under_way is None:
        under_way = RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        LOOK_UPS[host, port] = under_way
        under_way.add_done_callback(lambda _: LOOK_UPS.pop((host, port)))
    return under_way


@dataclass
class BoundedStream(httpcore2.AsyncNetworkStream):
    """A connection over which so much is read and no more.

    A receiver that says "Continue" without end would keep the whole process busy with it. What is read is read
    little by little, so that others have their turn.
    """

    inner: httpcore2.AsyncNetworkStream
    left: int = MOST_READ

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
    ) -> bytes:
        """Read. Raises ReadError when there is too much."""
        if self.left <= 0:
            raise httpcore2.ReadError("the answer has no end")
        data = await self.inner.read(min(max_bytes, self.left, READ_AT_ONCE), timeout)
        self.left -= len(data)
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
    ) -> None:
        """Write."""
        await self.inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        await self.inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
    ) -> httpcore2.AsyncNetworkStream:
        """Encrypt."""
        return BoundedStream(await self.inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self.inner.get_extra_info(info)


@dataclass
class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses only, or to all when `private` is on."""

    private: bool = False
    resolve: Resolve = resolve
    inner: httpcore2.AsyncNetworkBackend = field(default_factory=httpcore2.AnyIOBackend)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check, and connect to one of the addresses that were checked.

        Raises AddressForbidden, NameNotFound, and the errors of httpcore for what cannot be reached in time.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await self.resolve(host, port)
                if not self.private and not all(map(is_public, addresses)):
                    raise AddressForbidden(f"{host} is not on the public internet")
                return await self._connect(addresses[:MOST_ADDRESSES], port, timeout)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error

    async def _connect(
        self, addresses: list[Address], port: int, seconds: float | None
    ) -> httpcore2.AsyncNetworkStream:
        share = seconds / len(addresses) if seconds and addresses else None
        failure: Exception = NameNotFound("no address")
        for address in addresses:
            try:
                return BoundedStream(await self.inner.connect_tcp(str(address), port, timeout=share))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: webhooks lead to the network."""
        raise AddressForbidden(path)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self.inner.sleep(seconds)
