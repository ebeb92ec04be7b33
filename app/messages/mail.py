"""A letter as an e-mail: one recipient, and headers that hold whatever people are called."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from app.messages.letters import Letter
from app.rules import Language

ENCODED_WORD = "=?"
"""How an encoded word begins. The library decodes it wherever it stands, also into line breaks, so none may stand."""


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


def message_id(key: UUID, sender: Address) -> str:
    """The Message-ID of a message: the same at every attempt, so that a repeat shows as one."""
    return f"<{key.hex}@{sender.domain}>"


def mail_of(
    key: UUID, letter: Letter, language: Language, to: Address, sender: Address, at: datetime
) -> EmailMessage:
    """The e-mail of a letter, as text and HTML."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = letter.subject.replace(ENCODED_WORD, "= ?")
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id(key, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    mail["Content-Language"] = language.value
    return mail
