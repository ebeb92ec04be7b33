"""A letter as an e-mail: one recipient, and headers that hold whatever people are called."""

import re
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import Policy
from email.utils import format_datetime, parseaddr
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from app.messages.letters import Letter
from app.rules import Language

ENCODED_WORD = "=?"
"""How an encoded word begins. The library decodes it wherever it stands, also into line breaks, so none may stand."""

PLAIN = re.compile("[!-~]{1,60}( [!-~]{1,60})*")
"""What a header holds as it is: words of ASCII that fit on a line, and one blank between them."""


class ExactHeader(Header):
    """A header whose text arrives as it was written, blank by blank; only line breaks become blanks.

    The library folds headers by itself, and loses blanks between encoded words; one with a `name` it lets fold itself.
    """

    def __init__(self, name: str, text: str) -> None:
        line = " ".join(text.splitlines()).replace(ENCODED_WORD, "= ?")
        # With lines of 76 characters, no encoded word is longer than the 75 that it may have.
        super().__init__(line, None if PLAIN.fullmatch(line) else "utf-8", maxlinelen=76, header_name=name)
        self.name = name

    def fold(self, *, policy: Policy) -> str:
        """The header as it is sent."""
        return f"{self.name}: {self.encode(' ', linesep=policy.linesep)}{policy.linesep}"


class UnusableAddress(Exception):
    """Nobody can be written to at this address."""


def address_of(value: str) -> Address:
    """An address as a header takes it: exactly one, whatever stands in it. Raises UnusableAddress."""
    try:
        # Where it leads is for the mail server to find out.
        known = validate_email(value, check_deliverability=False)
        if ENCODED_WORD in known.local_part:
            raise UnusableAddress("An address holds no encoded words.")
        return Address(username=known.local_part, domain=known.ascii_domain)
    except (EmailNotValidError, ValueError) as error:
        raise UnusableAddress(str(error)) from error


def sender_of(value: str) -> Address:
    """The sender in a setting such as ``Name <address>``."""
    name, address = parseaddr(value)
    return Address(display_name=name, addr_spec=address)


def _from(sender: Address) -> Address | ExactHeader:
    """The sender as a header takes them. Words of ASCII may need quotes, which the library knows about."""
    if sender.display_name.isascii() or not sender.addr_spec.isascii():
        return sender
    header = ExactHeader("From", sender.display_name)
    header.append(f"<{sender.addr_spec}>", "us-ascii")
    return header


def message_id(key: UUID, sender: Address) -> str:
    """The Message-ID of a message: the same at every attempt, so that a repeat shows as one."""
    return f"<{key.hex}@{sender.domain}>"


def mail_of(
    key: UUID, letter: Letter, language: Language, to: Address, sender: Address, at: datetime
) -> EmailMessage:
    """The e-mail of a letter, as text and HTML."""
    mail = EmailMessage()
    mail["From"] = _from(sender)
    mail["To"] = to
    mail["Subject"] = ExactHeader("Subject", letter.subject)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id(key, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    mail["Content-Language"] = language.value
    return mail
