"""A mail server of the test's own, which takes messages, or does not, as the test wishes; and workers to send them."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTPUTF8
from functools import cached_property
from typing import Any, cast

import sqlalchemy as sa
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.outbox import Message
from app.messages.delivery import MailServer
from app.messages.worker import Worker

SENDER = "Account management <accounts@vendor.example>"


@dataclass(frozen=True)
class Received:
    """An e-mail as the server got it."""

    sender: str
    recipients: list[str]
    mail: EmailMessage

    @cached_property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.mail["Message-ID"])

    def part(self, kind: str) -> str:
        """The text of its text or of its HTML."""
        found = self.mail.get_body((kind,))
        assert found is not None
        return str(found.get_content())


@dataclass
class Inbox:
    """What the server does: `answers` by SMTP command, and `on_data` before it takes a message."""

    answers: dict[str, str] = field(default_factory=dict)
    on_data: Callable[["Inbox", Any], Awaitable[str | None]] | None = None
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0

    @property
    def ids(self) -> list[str]:
        """The Message-IDs of what was received."""
        return [one.id for one in self.received]

    async def handle_MAIL(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A sender is named."""
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """A recipient is named."""
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:
        """A message is handed over."""
        if self.on_data and (instead := await self.on_data(self, server)):
            return instead
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.take(envelope)
        async with self.arrived:
            self.arrived.notify_all()
        return "250 OK"

    def take(self, envelope: Envelope) -> None:
        """Keep a message."""
        content = cast(bytes, envelope.content)
        mail = cast(EmailMessage, email.message_from_bytes(content, policy=SMTPUTF8))
        self.received.append(Received(envelope.mail_from or "", list(envelope.rcpt_tos), mail))

    async def wait_for(self, count: int, seconds: float = 20) -> None:
        """Wait until so many messages have come."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= count)


@asynccontextmanager
async def mail_server(
    inbox: Inbox, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Inbox]:
    """Run a mail server that does what the inbox says; with `tls`, encrypted from the beginning."""
    loop = asyncio.get_running_loop()
    protocols: list[SMTP] = []

    def speak() -> SMTP:
        protocols.append(SMTP(inbox, loop=loop, hostname="mail.test", enable_SMTPUTF8=True, **options))
        return protocols[-1]

    server = await loop.create_server(speak, "127.0.0.1", 0, ssl=tls)
    inbox.port = server.sockets[0].getsockname()[1]
    try:
        yield inbox
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None:
                # In older versions of Python, an encrypted one that is closed already cannot even be asked.
                with suppress(AttributeError):
                    protocol.transport.abort()
        await asyncio.sleep(0)


def url_of(database: AsyncEngine) -> str:
    """The address of a database, with its password."""
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def sending(settings: Settings, database: AsyncEngine, **values: Any) -> Settings:
    """Settings with which messages of a database are sent."""
    own = {"database_url": SecretStr(url_of(database)), "mail_from": SENDER, "smtp_timeout": 5.0}
    return settings.model_copy(update=own | values)


def worker_to(inbox: Inbox, settings: Settings, database: AsyncEngine, **values: Any) -> Worker:
    """A worker that sends to the test's mail server."""
    used = sending(settings, database, **values)
    server = MailServer("127.0.0.1", inbox.port, timeout=used.smtp_timeout, own_name="client.test")
    return Worker(database, used, server)


async def run_dry(worker: Worker) -> int:
    """Let a worker send all that is due; returns how much there was."""
    count = 0
    while await worker.step():
        count += 1
    return count


async def make_due(database: AsyncEngine, *which: sa.ColumnElement[bool]) -> None:
    """Let the pauses between attempts be over."""
    async with database.begin() as connection:
        waiting = sa.update(Message).where(Message.next_attempt_at.is_not(None), *which)
        await connection.execute(waiting.values(next_attempt_at=sa.func.now()))
