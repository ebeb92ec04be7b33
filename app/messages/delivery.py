"""Handing e-mails over: to a mail server or, where there is none, to a Maildir."""

import asyncio
import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from app.config import Settings
from app.rules import MessageFault

PERMANENT = 500
"""From this code on, a mail server means for ever what it refuses."""
GOODBYE = 2.0
"""Seconds to take leave in, after the message was taken."""


class Undelivered(Exception):
    """The message was not taken: why, and what was said of it."""

    def __init__(self, fault: MessageFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Delivery(Protocol):
    """Where e-mails go."""

    async def deliver(self, mail: EmailMessage, sender: str, recipient: str) -> None:
        """Hand an e-mail over; it counts as sent when this returns. Raises Undelivered."""
        ...


@dataclass
class Maildir:
    """A folder in which every e-mail is a file, for development and for those who fetch mail themselves."""

    folder: Path

    async def deliver(self, mail: EmailMessage, sender: str, recipient: str) -> None:
        """Write the e-mail to the disk."""
        content = mail.as_bytes(policy=EmailPolicy(utf8=not _plain(sender, recipient)))
        try:
            await asyncio.to_thread(self._add, content)
        except (OSError, mailbox.Error) as error:
            raise Undelivered(MessageFault.SERVER_UNREACHABLE, repr(error)) from error

    def _add(self, content: bytes) -> None:
        # Several processes may write the first message at the same time, which the library does not expect.
        for name in ("cur", "new", "tmp"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        mailbox.Maildir(self.folder, create=False).add(content)


@dataclass
class MailServer:
    """A mail server, spoken to anew for every message."""

    host: str
    port: int | None = None
    username: str | None = None
    password: str | None = None
    encrypted: bool = False
    starttls: bool = False
    timeout: float = 30.0
    own_name: str | None = None

    async def deliver(self, mail: EmailMessage, sender: str, recipient: str) -> None:
        """Send the e-mail, and wait until the server has taken it."""
        async with self._spoken_to() as server:
            await _send(server, mail, sender, recipient)

    async def greet(self) -> None:
        """See whether the server would take messages: connect, encrypt and sign in. Raises Undelivered."""
        async with self._spoken_to():
            pass

    @asynccontextmanager
    async def _spoken_to(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection to the server, signed in, left politely. Raises Undelivered for all that goes wrong."""
        server = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.encrypted,
            start_tls=self.starttls,
            local_hostname=self.own_name,
            timeout=self.timeout,
        )
        try:
            async with asyncio.timeout(self.timeout):
                await server.connect()
                self.own_name = server.local_hostname
                yield server
            # What was to be done is done: whatever happens now must not have it done again.
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await server.quit(timeout=GOODBYE)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise Undelivered(_fault(error), _said(error)) from error
        finally:
            server.close()


async def _send(server: aiosmtplib.SMTP, mail: EmailMessage, sender: str, recipient: str) -> None:
    """Addresses beyond ASCII need a server that takes them; the rest of the message is ASCII anyway."""
    plain = _plain(sender, recipient)
    content = mail.as_bytes(policy=SMTP if plain else SMTPUTF8)
    await server.sendmail(sender, [recipient], content, mail_options=[] if plain else ["SMTPUTF8"])


def _plain(sender: str, recipient: str) -> bool:
    return sender.isascii() and recipient.isascii()


def _fault(error: Exception) -> MessageFault:
    """What it means that the server answered so, or did not answer."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refused, *_]):
            return MessageFault.RECIPIENT_REFUSED if refused.code >= PERMANENT else MessageFault.TRY_LATER
        case aiosmtplib.SMTPDataError(code=code) if code >= PERMANENT:
            return MessageFault.MESSAGE_REFUSED
        case aiosmtplib.SMTPResponseException(code=code):
            return MessageFault.SERVER_REFUSED if code >= PERMANENT else MessageFault.TRY_LATER
        case OSError():
            # Before ValueError, which a certificate that is refused is as well.
            return MessageFault.SERVER_UNREACHABLE
        case aiosmtplib.SMTPNotSupported() | ValueError():
            return MessageFault.ADDRESS_UNUSABLE
    return MessageFault.SERVER_UNREACHABLE


def _said(error: Exception) -> str:
    """The words of the server, or else of the error."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}"


def delivery_of(settings: Settings) -> Maildir | MailServer:
    """Where the settings say that e-mails go."""
    if settings.smtp_url is None:
        return Maildir(settings.data_directory / "mail")
    url = urlsplit(settings.smtp_url.get_secret_value())
    encrypted = url.scheme == "smtps"
    wished = parse_qs(url.query).get("starttls", ["true" if url.username else "false"])
    return MailServer(
        host=url.hostname or "",
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password or "") if url.username else None,
        encrypted=encrypted,
        starttls=wished == ["true"] and not encrypted,
        timeout=settings.smtp_timeout,
    )
