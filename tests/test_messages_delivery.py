"""Handing messages over: to a mail server that takes, refuses, stalls and drops, and to a Maildir."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.outbox import Message
from app.messages.delivery import Maildir, MailServer, Undelivered, delivery_of
from app.messages.letters import write_letter
from app.messages.mail import UnusableAddress, address_of, mail_of, message_id, sender_of
from app.messages.queue import PAUSES
from app.rules import Language, MessageFault, MessageKind, MessageState
from tests.post import SENDER, Inbox, mail_server, make_due, run_dry, worker_to
from tests.world import World

DATA = {"recipient_name": "Ana", "site_number": "1", "site_name": "One"}
KEY = UUID("01a20787-e2c5-7142-ae39-855519ba22a2")
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def a_mail(to: str = "ana@example.com") -> EmailMessage:
    letter = write_letter(MessageKind.ACCESS_REMOVED, Language.EN, DATA)
    return mail_of(KEY, letter, Language.EN, address_of(to), sender_of(SENDER), AT)


async def deliver(server: MailServer, to: str = "ana@example.com") -> None:
    address = address_of(to).addr_spec
    await server.deliver(a_mail(to), "accounts@vendor.example", address)


async def test_a_message_arrives_with_everything_it_needs() -> None:
    async with mail_server(Inbox()) as inbox:
        await deliver(MailServer("127.0.0.1", inbox.port))
    [got] = inbox.received
    assert (got.sender, got.recipients) == ("accounts@vendor.example", ["ana@example.com"])
    assert dict(got.mail.items()) | {"Content-Type": "multipart/alternative"} == {
        "From": SENDER,
        "To": "ana@example.com",
        "Subject": "Your access to site 1 was removed",
        "Date": "Sun, 01 Mar 2026 09:30:00 +0000",
        "Message-ID": f"<{KEY.hex}@vendor.example>",
        "Content-Language": "en",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": "multipart/alternative",
    }
    assert got.mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in got.mail.iter_parts()] == ["text/plain", "text/html"]
    assert "You no longer have access to the site One (1)." in got.part("plain")
    assert "You no longer have access to the site One (1)." in got.part("html")


@pytest.mark.parametrize(
    ("command", "answer", "fault"),
    [
        ("RCPT", "550 5.1.1 No such user", MessageFault.RECIPIENT_REFUSED),
        ("RCPT", "451 4.7.1 Greylisted", MessageFault.TRY_LATER),
        ("DATA", "554 5.7.1 Looks like spam", MessageFault.MESSAGE_REFUSED),
        ("DATA", "452 4.3.1 Disk full", MessageFault.TRY_LATER),
        ("MAIL", "553 5.7.1 Not your address", MessageFault.SERVER_REFUSED),
        ("MAIL", "421 4.3.2 Shutting down", MessageFault.TRY_LATER),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_server(
    command: str, answer: str, fault: MessageFault
) -> None:
    async with mail_server(Inbox({command: answer})) as inbox:
        with pytest.raises(Undelivered) as caught:
            await deliver(MailServer("127.0.0.1", inbox.port))
    assert caught.value.fault is fault
    assert str(caught.value) == answer
    assert inbox.received == []


async def never(_inbox: Inbox, _server: Any) -> str | None:
    await asyncio.Event().wait()
    return None


async def test_a_server_that_stalls_is_left() -> None:
    async with mail_server(Inbox(on_data=never)) as inbox:
        with pytest.raises(Undelivered) as caught:
            await asyncio.wait_for(deliver(MailServer("127.0.0.1", inbox.port, timeout=0.3)), 5)
    assert caught.value.fault is MessageFault.SERVER_UNREACHABLE


async def test_a_server_that_says_nothing_at_all_is_left() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Undelivered) as caught:
            await asyncio.wait_for(deliver(MailServer("127.0.0.1", port, timeout=0.3)), 5)
        await asyncio.wait_for(hung_up.wait(), 5)
    assert caught.value.fault is MessageFault.SERVER_UNREACHABLE


async def drop(_inbox: Inbox, server: Any) -> str | None:
    server.transport.abort()
    return "250 OK"


async def test_a_connection_that_drops_is_no_delivery() -> None:
    async with mail_server(Inbox(on_data=drop)) as inbox:
        with pytest.raises(Undelivered) as caught:
            await deliver(MailServer("127.0.0.1", inbox.port))
    assert caught.value.fault is MessageFault.SERVER_UNREACHABLE


async def test_a_connection_that_drops_after_the_message_was_taken_is_a_delivery() -> None:
    class Curt(Inbox):
        async def handle_QUIT(self, server: Any, _session: Any, _envelope: Any) -> str:
            server.transport.abort()
            return "221 Bye"

    async with mail_server(Curt()) as inbox:
        await deliver(MailServer("127.0.0.1", inbox.port))
    assert len(inbox.received) == 1


async def test_a_server_that_is_not_there() -> None:
    async with mail_server(Inbox()) as inbox:
        pass
    with pytest.raises(Undelivered) as caught:
        await deliver(MailServer("127.0.0.1", inbox.port))
    assert caught.value.fault is MessageFault.SERVER_UNREACHABLE


async def test_addresses_beyond_ascii_need_a_server_that_takes_them() -> None:
    async with mail_server(Inbox()) as inbox:
        await deliver(MailServer("127.0.0.1", inbox.port), "zoë@exämple.de")
        await deliver(MailServer("127.0.0.1", inbox.port), "zoe@exämple.de")
    assert [got.recipients for got in inbox.received] == [
        ["zoë@xn--exmple-cua.de"],
        ["zoe@xn--exmple-cua.de"],
    ]
    assert [str(got.mail["To"]) for got in inbox.received] == [
        "zoë@xn--exmple-cua.de",
        "zoe@xn--exmple-cua.de",
    ]


# Encrypted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of a mail server on 127.0.0.1, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """How the server encrypts; clients trust its certificate for the time of the test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield context


def by_password(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"me@work", b"s3cret/"), handled=False)


@asynccontextmanager
async def with_password(tls: ssl.SSLContext) -> AsyncIterator[Inbox]:
    """A server that wants STARTTLS and a password."""
    options = {"require_starttls": True, "auth_required": True, "authenticator": by_password}
    async with mail_server(Inbox(), tls_context=tls, **options) as inbox:
        yield inbox


def settings_to(url: str, port: int, **values: Any) -> Settings:
    return Settings(smtp_url=url.format(port=port), mail_from=SENDER, smtp_timeout=5, **values)


async def test_a_password_goes_over_starttls(tls: ssl.SSLContext) -> None:
    async with with_password(tls) as inbox:
        delivery = delivery_of(settings_to("smtp://me%40work:s3cret%2F@127.0.0.1:{port}", inbox.port))
        await delivery.deliver(a_mail(), "accounts@vendor.example", "ana@example.com")
    assert len(inbox.received) == 1


async def test_a_wrong_password_is_the_fault_of_the_settings(tls: ssl.SSLContext) -> None:
    async with with_password(tls) as inbox:
        delivery = delivery_of(settings_to("smtp://me%40work:wrong@127.0.0.1:{port}", inbox.port))
        with pytest.raises(Undelivered) as caught:
            await delivery.deliver(a_mail(), "accounts@vendor.example", "ana@example.com")
    assert caught.value.fault is MessageFault.SERVER_REFUSED
    assert inbox.received == []


async def test_a_server_without_starttls_gets_neither_password_nor_message() -> None:
    async with mail_server(Inbox()) as inbox:
        for url in ("smtp://me:s3cret@127.0.0.1:{port}", "smtp://127.0.0.1:{port}?starttls=true"):
            with pytest.raises(Undelivered) as caught:
                delivery = delivery_of(settings_to(url, inbox.port))
                await delivery.deliver(a_mail(), "accounts@vendor.example", "ana@example.com")
            assert caught.value.fault is MessageFault.SERVER_UNREACHABLE
    assert inbox.received == []


async def test_the_doctor_greets_the_server_and_leaves(tls: ssl.SSLContext) -> None:
    async with with_password(tls) as inbox:
        for secret, well in (("s3cret%2F", True), ("wrong", False)):
            url = f"smtp://me%40work:{secret}@127.0.0.1:{{port}}"
            server = delivery_of(settings_to(url, inbox.port))
            assert isinstance(server, MailServer)
            if well:
                await server.greet()
            else:
                with pytest.raises(Undelivered):
                    await server.greet()
    assert inbox.received == []


async def test_smtps_is_encrypted_from_the_beginning(tls: ssl.SSLContext) -> None:
    async with mail_server(Inbox(), tls=tls) as inbox:
        delivery = delivery_of(settings_to("smtps://127.0.0.1:{port}", inbox.port))
        await delivery.deliver(a_mail(), "accounts@vendor.example", "ana@example.com")
    assert len(inbox.received) == 1


@pytest.mark.parametrize("url", ["smtps://127.0.0.1:{port}", "smtp://127.0.0.1:{port}?starttls=true"])
async def test_an_unknown_certificate_is_not_trusted_and_no_fault_of_the_address(
    url: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    encrypted = {"tls": tls} if url.startswith("smtps") else {"tls_context": tls}
    async with mail_server(Inbox(), **encrypted) as inbox:
        delivery = delivery_of(settings_to(url, inbox.port))
        with pytest.raises(Undelivered) as caught:
            await delivery.deliver(a_mail(), "accounts@vendor.example", "ana@example.com")
    assert "certificate" in str(caught.value).lower()
    assert caught.value.fault is MessageFault.SERVER_UNREACHABLE


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"smtp_url": "http://mail.example.com"}, "write it as smtp"),
        ({"smtp_url": "smtp://"}, "write it as smtp"),
        ({"smtp_url": "smtp://mail.example.com:99999"}, "[Pp]ort"),
        ({"smtp_url": "smtp://mail.example.com?starttls=maybe"}, "true or false"),
        ({"smtp_url": "smtp://me:s3cret@mail.example.com?starttls=false"}, "encrypted connection"),
        ({"mail_from": "nobody"}, "Name <address>"),
        ({"mail_from": "Us <us@exämple.com>"}, "ASCII"),
        ({"mail_from": "a@example.com, b@example.com, <c@example.com>"}, "Name <address>"),
        ({"smtp_url": "smtp://mail.example.com", "mail_from": None}, "needs MAIL_FROM"),
        ({"portal_url": "javascript:alert(1)"}, "scheme"),
    ],
)
def test_wrong_settings_are_told(values: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in ({"mail_from": SENDER} | values).items() if value is not None}
    with pytest.raises(ValidationError, match=said) as caught:
        Settings(**given)
    assert "s3cret" not in str(caught.value)


# A folder


async def test_without_a_mail_server_messages_are_files(settings: Settings, tmp_path: Path) -> None:
    used = settings.model_copy(update={"data_directory": tmp_path / "data"})
    delivery = delivery_of(used)
    await asyncio.gather(*(delivery.deliver(a_mail(), "", "") for _ in range(5)))
    files = list((tmp_path / "data" / "mail" / "new").iterdir())
    mails = [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]
    assert [mail["Message-ID"] for mail in mails] == [message_id(KEY, sender_of(SENDER))] * 5
    assert list((tmp_path / "data" / "mail" / "tmp").iterdir()) == []


async def test_addresses_beyond_ascii_stand_in_a_file_as_they_are(tmp_path: Path) -> None:
    address = address_of("zoë@exämple.de").addr_spec
    await Maildir(tmp_path).deliver(a_mail(address), "accounts@vendor.example", address)
    (file,) = (tmp_path / "new").iterdir()
    assert "\nTo: zoë@xn--exmple-cua.de\n" in file.read_text()


async def test_a_folder_that_cannot_be_written_is_no_delivery(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("not a folder")
    with pytest.raises(Undelivered):
        await Maildir(tmp_path / "mail" / "below").deliver(a_mail(), "", "")


# Again and again


async def the_message(world: World) -> Message:
    [row] = await world.rows(Message)
    assert isinstance(row, Message)
    return row


def own_world(database: AsyncEngine, world: World) -> World:
    """Makes things in a database of the test's own."""
    return World(database, world.client, world.settings)


async def test_a_message_is_tried_with_growing_pauses_and_then_dead(
    emptied_database: AsyncEngine, world: World, settings: Settings
) -> None:
    own = own_world(emptied_database, world)
    await own.message(await own.site())
    async with mail_server(Inbox({"DATA": "451 4.3.0 Try again"})) as inbox:
        worker = worker_to(inbox, settings, emptied_database)
        for attempt, pause in enumerate(PAUSES, 1):
            before = datetime.now(UTC)
            assert await run_dry(worker) == 1
            row = await the_message(own)
            assert (row.state, row.attempts, row.fault) == (
                MessageState.QUEUED,
                attempt,
                MessageFault.TRY_LATER,
            )
            assert row.next_attempt_at is not None
            assert before + pause <= row.next_attempt_at <= datetime.now(UTC) + pause
            assert await run_dry(worker) == 0
            await make_due(emptied_database)
        assert await run_dry(worker) == 1
    row = await the_message(own)
    assert (row.state, row.attempts, row.next_attempt_at) == (MessageState.DEAD, len(PAUSES) + 1, None)
    assert row.last_error == "451 4.3.0 Try again"


@pytest.mark.parametrize(
    ("answers", "address", "tries", "fault"),
    [
        ({"RCPT": "550 No such user"}, "ana@example.com", 3, MessageFault.RECIPIENT_REFUSED),
        ({"DATA": "554 Spam"}, "ana@example.com", 3, MessageFault.MESSAGE_REFUSED),
        ({}, "no address", 1, MessageFault.ADDRESS_UNUSABLE),
        ({}, "a@example.com, b@example.com", 1, MessageFault.ADDRESS_UNUSABLE),
        ({}, "a@example.com\r\nBcc: b@example.com", 1, MessageFault.ADDRESS_UNUSABLE),
    ],
)
async def test_what_is_hopeless_is_dead_soon(
    emptied_database: AsyncEngine,
    world: World,
    settings: Settings,
    answers: dict[str, str],
    address: str,
    tries: int,
    fault: MessageFault,
) -> None:
    own = own_world(emptied_database, world)
    await own.message(await own.site(), email=address)
    async with mail_server(Inbox(answers)) as inbox:
        worker = worker_to(inbox, settings, emptied_database)
        for attempt in range(1, tries + 1):
            await make_due(emptied_database)
            assert await run_dry(worker) == 1
            row = await the_message(own)
            assert (row.attempts, row.fault) == (attempt, fault)
    assert row.state is MessageState.DEAD
    assert inbox.received == []


async def test_a_message_that_cannot_be_written_does_not_hold_up_the_others(
    emptied_database: AsyncEngine, world: World, settings: Settings
) -> None:
    own = own_world(emptied_database, world)
    place = await own.site()
    await own.message(place, data={})
    await own.message(place)
    async with mail_server(Inbox()) as inbox:
        assert await run_dry(worker_to(inbox, settings, emptied_database)) == 2
    assert len(inbox.received) == 1
    states = {row.fault: row.state for row in await own.rows(Message)}
    assert states == {MessageFault.NOT_WRITTEN: MessageState.QUEUED, None: MessageState.SENT}


async def test_what_the_server_says_is_kept_as_far_as_it_can_be_read(
    emptied_database: AsyncEngine, world: World, settings: Settings
) -> None:
    own = own_world(emptied_database, world)
    await own.message(await own.site())
    async with mail_server(Inbox({"DATA": "451 \x07 héhé" + "x" * 400})) as inbox:
        await run_dry(worker_to(inbox, settings, emptied_database))
    said = (await the_message(own)).last_error
    assert said is not None
    assert said.isprintable()
    assert 300 < len(said) <= 500


def test_an_id_makes_one_message_id() -> None:
    sender = sender_of(SENDER)
    assert message_id(KEY, sender) == message_id(KEY, sender)
    assert message_id(uuid4(), sender) != message_id(uuid4(), sender)


@pytest.mark.parametrize(
    "value", ["", "a", "a@", "@b.example", "a@b@c", "a b@c.example", "a@b.example,", "<a@b.c>"]
)
def test_what_is_no_address(value: str) -> None:
    with pytest.raises(UnusableAddress):
        address_of(value)
