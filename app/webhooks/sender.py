"""One attempt to deliver a webhook over HTTP, and what came of it.

It speaks straight through httpcore, which follows no redirects, keeps no cookies and reads no proxies from the
environment. The answer counts by its status; its body is not read.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore2
import structlog
from httpx2 import URL

from app.trust import trusted_certificates
from app.webhook_rules import LONGEST_PAUSE, WebhookFailure
from app.webhooks.network import AddressForbidden, GuardedBackend, NameNotFound, Resolve, resolve

log = structlog.get_logger()
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
HEADERS = {"user-agent": "account-management-webhooks/1", "content-type": "application/json", "accept": "*/*"}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: the status of the answer, or why there was none."""

    status: int | None = None
    error: WebhookFailure | None = None
    retry_after: int = 0

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None


class Sender:
    """Sends to addresses of the public internet over HTTPS, or anywhere when `private` is on.

    Every attempt opens its own connection, so that every attempt is checked.
    """

    def __init__(
        self, private: bool, trusted: ssl.SSLContext | None = None, names: Resolve = resolve
    ) -> None:
        self.private = private
        self.trusted = trusted
        self.backend = GuardedBackend(private, names)

    async def send(
        self, address: str, body: str, headers: Mapping[str, str], seconds: float = TOTAL_SECONDS
    ) -> Outcome:
        """Make one attempt within so many seconds. Raises nothing; whatever goes wrong is in the outcome."""
        url = URL(address)
        if url.scheme != "https" and not self.private:
            return Outcome(error=WebhookFailure.ADDRESS_FORBIDDEN)
        try:
            async with asyncio.timeout(seconds):
                return await self._post(url, body.encode(), {**HEADERS, **headers})
        except Exception as error:
            return Outcome(error=_meaning(error))

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Outcome:
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        fields = [(b"host", url.netloc), (b"content-length", str(len(body)).encode())]
        fields += [(name.encode(), value.encode()) for name, value in headers.items()]
        timeouts = {"timeout": {"connect": CONNECT_SECONDS}}
        trusted = self.trusted or trusted_certificates()
        async with (
            httpcore2.AsyncConnectionPool(trusted, network_backend=self.backend) as pool,
            pool.stream("POST", target, headers=fields, content=body, extensions=timeouts) as answer,
        ):
            if 200 <= answer.status <= 299:
                return Outcome(answer.status)
            wished = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
            return Outcome(answer.status, WebhookFailure.BAD_STATUS, _seconds(wished.decode("latin-1")))


def _seconds(retry_after: str) -> int:
    """How long a receiver wishes to be left alone, at most as long as the longest pause."""
    try:
        if retry_after.isascii() and retry_after.isdigit():
            wished = int(retry_after[:10])
        else:
            moment = parsedate_to_datetime(retry_after)
            # One of the forms of HTTP names no zone, and means the same.
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            wished = round((moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0
    return max(0, min(wished, LONGEST_PAUSE))


def _meaning(error: Exception) -> WebhookFailure:
    match error:
        case AddressForbidden():
            return WebhookFailure.ADDRESS_FORBIDDEN
        case NameNotFound():
            return WebhookFailure.NAME_NOT_FOUND
        case TimeoutError() | httpcore2.TimeoutException():
            return WebhookFailure.TIMED_OUT
        case ssl.SSLError():
            return WebhookFailure.CERTIFICATE_REFUSED
        case httpcore2.ConnectError():
            refused = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
            return WebhookFailure.CERTIFICATE_REFUSED if refused else WebhookFailure.NOT_CONNECTED
        case httpcore2.NetworkError() | httpcore2.ProtocolError() | OSError():
            return WebhookFailure.NO_ANSWER
    log.error("webhook attempt failed in an unknown way", kind=type(error).__name__)
    return WebhookFailure.NO_ANSWER
