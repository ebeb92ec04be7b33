"""Webhooks reach the public internet and nothing else, whatever their address says and wherever its name leads."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import httpcore2
import pytest
import trustme

from app.config import Settings
from app.errors import Code
from app.webhook_rules import WebhookFailure, check_url, is_public, literal, normal_url
from app.webhooks import sender as sending
from app.webhooks.network import AddressForbidden, GuardedBackend, NameNotFound, resolve
from app.webhooks.sender import Outcome, Sender
from tests.receiver import receiver
from tests.sending import Scene
from tests.sending import scene as make_scene

PRIVATE = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.254",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_outside_of_the_public_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ip_address(address))


# The address as it is given


BRACKETED = [f"[{address}]" if ":" in address else address for address in PRIVATE if "%" not in address]


@pytest.mark.parametrize("host", BRACKETED)
def test_private_addresses_are_refused_as_they_are_written(host: str) -> None:
    assert faults(f"https://{host}/hook") == [Code.ADDRESS_NOT_PUBLIC]
    assert faults(f"https://{host}:8443/hook") == [Code.ADDRESS_NOT_PUBLIC]
    assert faults(f"http://{host}/hook", private=True) == []


def faults(url: str, private: bool = False) -> list[Code]:
    found = list(check_url(url, private, "url"))
    assert all(fault.path == ("url",) for fault in found)
    return [fault.code for fault in found]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", Code.REQUIRED),
        ("  ", Code.REQUIRED),
        ("https://example.com/" + "x" * 2000, Code.TOO_LONG),
        ("https://example.com/\x00", Code.FORBIDDEN_CHARACTERS),
        ("https://example.com/\r\nHost: x", Code.FORBIDDEN_CHARACTERS),
        ("https://example.com/\ud800", Code.FORBIDDEN_CHARACTERS),
        ("example.com", Code.INVALID_URL),
        ("//example.com/", Code.INVALID_URL),
        ("https:", Code.INVALID_URL),
        ("https://", Code.INVALID_URL),
        ("https:///path", Code.INVALID_URL),
        ("https://example.com/#part", Code.INVALID_URL),
        ("https://exa mple.com/", Code.INVALID_URL),
        ("https://%65xample.com/", Code.INVALID_URL),
        ("https://a..example.com/", Code.INVALID_URL),
        ("https://-a.example.com/", Code.INVALID_URL),
        ("https://" + "a." * 126 + "com/", Code.INVALID_URL),
        ("https://" + "a" * 64 + ".com/", Code.INVALID_URL),
        ("https://１２７.0.0.1/", Code.INVALID_URL),
        ("https://256.256.256.256/", Code.INVALID_URL),
        ("https://1.2.3.4.5/", Code.INVALID_URL),
        ("https://example.com:0/", Code.INVALID_URL),
        ("https://example.com:65536/", Code.INVALID_URL),
        ("https://example.com:99999999999999999999/", Code.INVALID_URL),
        ("https://example.com:port/", Code.INVALID_URL),
        ("https://[::1/", Code.INVALID_URL),
        ("https://[fe80::1%25eth0]/", Code.ADDRESS_NOT_PUBLIC),
        ("ftp://example.com/", Code.INVALID_URL),
        ("file:///etc/passwd", Code.INVALID_URL),
        ("gopher://example.com/", Code.INVALID_URL),
        ("javascript:alert(1)", Code.INVALID_URL),
        ("http://example.com/", Code.HTTPS_REQUIRED),
        ("https://user@example.com/", Code.CREDENTIALS_IN_URL),
        ("https://user:password@example.com/", Code.CREDENTIALS_IN_URL),
        ("https://example.com\\@127.0.0.1/", Code.CREDENTIALS_IN_URL),
        ("https://example.com:22/", Code.PORT_NOT_ALLOWED),
        ("https://example.com:25/", Code.PORT_NOT_ALLOWED),
        ("https://example.com:80/", Code.PORT_NOT_ALLOWED),
        ("https://2130706433/", Code.ADDRESS_NOT_PUBLIC),
        ("https://0x7f000001/", Code.ADDRESS_NOT_PUBLIC),
        ("https://0x7f.1/", Code.ADDRESS_NOT_PUBLIC),
        ("https://0177.0.0.1/", Code.INVALID_URL),
        ("https://127.1/", Code.ADDRESS_NOT_PUBLIC),
        ("https://0/", Code.ADDRESS_NOT_PUBLIC),
        ("https://localhost/", Code.ADDRESS_NOT_PUBLIC),
        ("https://LOCALHOST./", Code.ADDRESS_NOT_PUBLIC),
        ("https://a.localhost/", Code.ADDRESS_NOT_PUBLIC),
        ("https://printer.local/", Code.ADDRESS_NOT_PUBLIC),
        ("https://metadata.google.internal/", Code.ADDRESS_NOT_PUBLIC),
        ("https://intranet/", Code.ADDRESS_NOT_PUBLIC),
    ],
)
def test_addresses_that_webhooks_may_not_have(url: str, code: Code) -> None:
    assert faults(url) == [code]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        " https://example.com/hooks?token=1 ",
        "HTTPS://EXAMPLE.COM:443/",
        "https://example.com:8443/a/b",
        "https://8.8.8.8/",
        "https://134744072/",
        "https://[2606:4700::1111]/",
        "https://bücher.example/é",
        "https://a_b.example.com./",
        "https://xn--bcher-kva.example/",
    ],
)
def test_addresses_that_webhooks_may_have(url: str) -> None:
    assert faults(url) == []
    assert faults(normal_url(url)) == []
    assert normal_url(normal_url(url)) == normal_url(url)


def test_a_name_is_kept_in_ascii() -> None:
    assert normal_url(" https://BÜCHER.example/é ") == "https://xn--bcher-kva.example/%C3%A9"


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0"])
def test_shorthands_are_read_as_the_resolver_reads_them(host: str) -> None:
    """Or else a check of the address as written would look at another one than the connection goes to."""
    (entry,) = socket.getaddrinfo(host, 443, family=socket.AF_INET, type=socket.SOCK_STREAM)
    assert str(literal(host)) == entry[4][0]


# Where the name leads


class Names:
    """A name server that answers in turn, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[object]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [ip_address(address) for address in answer]


class Dials(httpcore2.AsyncNetworkBackend):
    """Writes down which addresses are dialled, and reaches none of them."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore2.AsyncNetworkStream:
        """Reach nobody."""
        self.dialled.append(host)
        raise httpcore2.ConnectError("nobody there")


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_to_a_private_address_is_not_dialled(address: str) -> None:
    for answer in ([address], ["8.8.8.8", address], [address, "2606:4700::1111"]):
        dials = Dials()
        backend = GuardedBackend(False, Names(answer), dials)  # type: ignore[arg-type]
        with pytest.raises(AddressForbidden):
            await backend.connect_tcp("partner.example", 443)
        assert dials.dialled == []


async def test_what_was_checked_is_what_is_dialled() -> None:
    names, dials = Names(["8.8.8.8", "1.1.1.1"], ["127.0.0.1"]), Dials()
    backend = GuardedBackend(False, names, dials)  # type: ignore[arg-type]
    with pytest.raises(httpcore2.ConnectError, match="nobody there"):
        await backend.connect_tcp("partner.example", 443, timeout=5)
    assert (dials.dialled, names.asked) == (["8.8.8.8", "1.1.1.1"], 1)
    with pytest.raises(AddressForbidden):
        await backend.connect_tcp("partner.example", 443, timeout=5)
    assert len(dials.dialled) == 2


async def test_there_is_no_way_through_a_socket_file() -> None:
    with pytest.raises(AddressForbidden):
        await GuardedBackend(True).connect_unix_socket("/var/run/docker.sock")


async def test_names_are_resolved_as_the_system_does() -> None:
    assert ip_address("127.0.0.1") in await resolve("localhost", 443)
    assert await resolve("127.0.0.1", 443) == [ip_address("127.0.0.1")]
    assert await resolve("::1", 443) == [ip_address("::1")]
    for name in ("no-such-name.invalid", "a" * 64 + ".example"):
        with pytest.raises(NameNotFound):
            await resolve(name, 443)


async def test_a_name_whose_server_is_silent_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = [], threading.Event()

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        answer.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    impatient, *patient = [asyncio.create_task(resolve("silent.example", 443)) for _ in range(5)]
    await asyncio.sleep(0)
    impatient.cancel()
    answer.set()
    assert await asyncio.gather(*patient) == [[ip_address("8.8.8.8")]] * 4
    assert await resolve("silent.example", 443) == [ip_address("8.8.8.8")]
    assert asked == ["silent.example"] * 2


# Through the sender, to receivers that are there


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certified(authority: trustme.CA) -> ssl.SSLContext:
    """What a receiver called partner.example serves with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("partner.example").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def attempt(sender: Sender, url: str) -> Outcome:
    return await sender.send(url, "{}", {"webhook-id": "1"})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_the_loopback_is_not_reached(host: str, certified: ssl.SSLContext) -> None:
    async with receiver(tls=certified) as inside:
        outcome = await attempt(Sender(False), f"https://{host}:{inside.port}/")
        assert inside.connections == 0
    assert outcome == Outcome(error=WebhookFailure.ADDRESS_FORBIDDEN)


async def test_plain_http_is_not_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not where a webhook was made while the setting allowed it."""
    names = Names(["8.8.8.8"])
    outcome = await attempt(Sender(False, names=names), "http://partner.example/")  # type: ignore[arg-type]
    assert (outcome.error, names.asked) == (WebhookFailure.ADDRESS_FORBIDDEN, 0)


async def test_a_name_that_rebinds_to_the_loopback_is_not_followed(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with receiver(tls=certified, name="partner.example") as inside:
        names = Names(["127.0.0.1"], ["8.8.8.8"])
        sender = Sender(False, trusting, names)  # type: ignore[arg-type]
        outcome = await attempt(sender, inside.url)
        assert inside.connections == 0
    assert outcome.error is WebhookFailure.ADDRESS_FORBIDDEN
    assert names.asked == 1


async def test_the_certificate_is_checked_for_the_name_though_an_address_is_dialled(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    names = Names(["127.0.0.1"])
    async with receiver(tls=certified, name="partner.example") as partner:
        reached = await attempt(Sender(True, trusting, names), partner.url)  # type: ignore[arg-type]
        assert reached == Outcome(204)
        assert partner.received[0].headers["host"] == f"partner.example:{partner.port}"
        partner.name = "other.example"
        wrong = await attempt(Sender(True, trusting, names), partner.url)  # type: ignore[arg-type]
        untrusted = await attempt(Sender(True, None, names), partner.url)  # type: ignore[arg-type]
        assert len(partner.received) == 1
    assert wrong == untrusted == Outcome(error=WebhookFailure.CERTIFICATE_REFUSED)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as partner:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await attempt(Sender(True), partner.url) == Outcome(204)
        assert (proxy.connections, partner.connections) == (0, 1)


async def test_every_attempt_opens_its_own_connection() -> None:
    async with receiver() as partner:
        sender = Sender(True)
        for _ in range(3):
            assert (await sender.send(partner.url, "{}", {})).delivered
        assert partner.connections == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", WebhookFailure.NO_ANSWER),
        (b"SSH-2.0-OpenSSH_9.6\r\n", WebhookFailure.NO_ANSWER),
        (b"HTTP/1.1 200", WebhookFailure.NO_ANSWER),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, WebhookFailure.NO_ANSWER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nbody that never ends", None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", None),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + b"HTTP/1.1 204 No Content\r\n\r\n",
            WebhookFailure.NO_ANSWER,
        ),
    ],
    ids=[
        "nothing",
        "other protocol",
        "half a line",
        "endless head",
        "endless body",
        "interim answer",
        "endless interim answers",
    ],
)
async def test_strange_answers_are_outcomes_like_others(said: bytes, error: WebhookFailure | None) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    outcome = await attempt(Sender(True), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    await server.wait_closed()
    assert outcome.error is error


@pytest.mark.parametrize(
    "wish", ["Mon, 01 Jan 2035 00:00:00 +99999999999999", "Mon, 01 Jan 99999 00:00:00 GMT", "(" * 1000]
)
async def test_a_pause_that_cannot_be_understood_leaves_the_status_as_it_is(wish: str) -> None:
    async with receiver(lambda _: f"410 Gone\r\nRetry-After: {wish}") as partner:
        assert await attempt(Sender(True), partner.url) == Outcome(410, WebhookFailure.BAD_STATUS)


async def test_a_pause_may_be_wished_for_in_the_form_without_a_zone() -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    async with receiver(lambda _: f"503 Busy\r\nRetry-After: {until:%a %b %d %H:%M:%S %Y}") as partner:
        assert 7100 < (await attempt(Sender(True), partner.url)).retry_after <= 7200


async def test_a_name_server_that_does_not_answer_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_host: str, _port: int) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(sending, "CONNECT_SECONDS", 0.05)
    outcome = await attempt(Sender(True, names=never), "https://partner.example/")  # type: ignore[arg-type]
    assert outcome.error is WebhookFailure.TIMED_OUT


async def test_a_name_without_addresses_is_not_found() -> None:
    outcome = await attempt(Sender(True, names=Names([])), "https://partner.example/")  # type: ignore[arg-type]
    assert outcome.error is WebhookFailure.NAME_NOT_FOUND


# Through the worker


@pytest.fixture
async def scene(server_url: str, template: str, settings: Settings) -> AsyncIterator[Scene]:
    async with make_scene(server_url, template, settings) as made:
        yield made


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["169.254.169.254"], ["::ffff:10.0.0.1"]]
)
async def test_the_worker_reaches_no_private_address(
    scene: Scene, answer: list[str], certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with receiver(tls=certified, name="partner.example") as inside:
        hook = await scene.hook(inside)
        await hook.place.primary.succeed("pingWebhook", webhookId=hook.id)
        assert await scene.send(Sender(False, trusting, Names(answer))) == 1  # type: ignore[arg-type]
        assert inside.connections == 0
    (delivery,) = await scene.deliveries()
    assert (delivery.last_error, delivery.last_status) == (WebhookFailure.ADDRESS_FORBIDDEN, None)
    assert delivery.next_attempt_at is not None


async def test_the_setting_is_off_unless_it_is_switched_on(scene: Scene) -> None:
    assert Settings.model_fields["webhook_private_addresses"].default is False
    async with receiver() as inside:
        hook = await scene.hook(inside)
        await hook.place.primary.succeed("pingWebhook", webhookId=hook.id)
        await scene.send(Sender(Settings().webhook_private_addresses))
        assert inside.connections == 0
        await scene.send_again()
        assert inside.connections == 1
