"""What messages say: every kind in both languages, and nothing that people are called can change that."""

import email
import re
from datetime import UTC, datetime
from email.header import decode_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from app.config import Settings
from app.messages.letters import LONGEST_LINE, TEMPLATES, Letter, write_letter
from app.messages.mail import UnusableAddress, address_of, mail_of, sender_of
from app.messages.preview import DEMO, PORTAL, SITE, demo_letter
from app.rules import DenialReason, Language, MessageKind, Role
from app.server import create_app
from tests.post import SENDER

EN, FR = Language
NBSP = "\N{NO-BREAK SPACE}"
EVERY = [(kind, language) for kind in MessageKind for language in Language]
every = pytest.mark.parametrize(("kind", "language"), EVERY, ids=lambda value: value.name)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attributes))

    def handle_data(self, data: str) -> None:
        self.text += data.split()


def words(text: str) -> str:
    """A text without its line breaks and the marks of quotations."""
    return " ".join(re.sub("^> ?", "", text, flags=re.MULTILINE).split())


# Every template


def test_there_is_a_template_for_every_kind_in_every_language_and_no_other() -> None:
    for language in Language:
        found = {file.stem for file in (TEMPLATES / language.value).iterdir()}
        assert found == {kind.value.lower() for kind in MessageKind} | {"words"}
    assert set(DEMO) == set(MessageKind)


@every
def test_text_and_html_say_the_same(kind: MessageKind, language: Language) -> None:
    letter = demo_letter(kind, language)
    page = Tags(letter.html)
    assert ("html", [("lang", language.value)]) in page.tags
    assert ("a", [("href", PORTAL), ("style", page_style(page))]) in page.tags
    said = " ".join(page.text)
    for line in words(letter.text.replace("--", "").replace(PORTAL, "")).split(" "):
        assert line.rstrip(f":{NBSP}") in said
    assert letter.subject in said
    assert max(map(len, letter.text.splitlines())) <= 78


def page_style(page: Tags) -> str | None:
    [attributes] = [attributes for tag, attributes in page.tags if tag == "a"]
    return dict(attributes)["style"]


@every
def test_nothing_is_left_open(kind: MessageKind, language: Language) -> None:
    letter = demo_letter(kind, language)
    for text in (letter.subject, letter.text, letter.html):
        assert "{" not in text and "Markup" not in text
        assert "None" not in text.replace(": None", "").replace(">None</td>", "")
        assert "\n\n\n" not in text
    assert letter.subject == letter.subject.strip()
    assert SITE["site_number"] in letter.subject


@every
def test_what_a_template_needs_must_be_there(kind: MessageKind, language: Language) -> None:
    for name in (*DEMO[kind], *SITE):
        data = {key: value for key, value in (SITE | DEMO[kind]).items() if key != name}
        if name in ("days", "levels", "former_levels", "site_name"):
            continue
        with pytest.raises((UndefinedError, TypeError)):
            write_letter(kind, language, data)


def test_without_a_portal_there_is_no_link() -> None:
    for kind, language in EVERY:
        letter = write_letter(kind, language, SITE | DEMO[kind])
        assert "href" not in letter.html and "http" not in letter.text


@pytest.mark.parametrize("kind", MessageKind)
def test_french_is_spelled_as_in_print(kind: MessageKind) -> None:
    """Typographic apostrophes, and no line break before : ; ? ! and inside « »."""
    letter = demo_letter(kind, FR)
    said = letter.text.replace(PORTAL, "").replace("23:00", "").replace("09:30", "")
    for text in (letter.subject, said):
        assert "'" not in text and '"' not in text
        for mark in ":;?!»":
            assert {text[at - 1] for at, letter in enumerate(text) if letter == mark} <= {NBSP}


def test_those_who_do_not_belong_to_a_site_are_not_told_its_name() -> None:
    for kind in (MessageKind.ACCESS_DENIED, MessageKind.ACCESS_REQUEST_EXPIRED):
        for language in Language:
            letter = demo_letter(kind, language)
            assert SITE["site_name"] not in letter.subject + letter.text + letter.html


# Values


def letter_of(kind: MessageKind, language: Language, **values: Any) -> Letter:
    return write_letter(kind, language, SITE | DEMO[kind] | values)


@pytest.mark.parametrize("kind", [MessageKind.ACCESS_DENIED, MessageKind.ACCESS_REQUEST_EXPIRED])
@pytest.mark.parametrize(
    ("asked", "english", "french"),
    [
        ("ACCESS", "request for access to", "demande d’accès au site"),
        ("EXTENSION", "request for longer access to", "demande de prolongation de votre accès au site"),
        (
            "HIGHER_LEVEL",
            "request for more privileges at",
            "demande de privilèges supplémentaires pour le site",
        ),
    ],
)
def test_the_end_of_a_request_says_what_was_asked_for(
    kind: MessageKind, asked: str, english: str, french: str
) -> None:
    for language, said in ((Language.EN, english), (Language.FR, french)):
        letter = letter_of(kind, language, request_kind=asked)
        assert said in letter.subject
        assert said in words(letter.text)


@pytest.mark.parametrize("reason", DenialReason)
def test_a_denial_gives_its_reason(reason: DenialReason) -> None:
    said = {words(letter_of(MessageKind.ACCESS_DENIED, each, reason=reason.name).text) for each in Language}
    expected = {
        DenialReason.UNKNOWN_REQUESTER: ("Nobody at the site knows the requester.", "Demandeur inconnu."),
        DenialReason.ACCESS_NOT_NECESSARY: (
            "The primary contact determined that access was not necessary.",
            "Le contact principal a déterminé que l’accès n’était pas nécessaire.",
        ),
        DenialReason.NO_BUSINESS_RELATIONSHIP: (
            "The requester has no business relationship with this site.",
            "Le demandeur n’a aucune relation commerciale avec ce site.",
        ),
    }
    for sentence in expected[reason]:
        assert any(sentence in text for text in said)


@pytest.mark.parametrize("role", [Role.USER, Role.SECONDARY_CONTACT])
def test_roles_read_well(role: Role) -> None:
    english = {Role.USER: "as a user", Role.SECONDARY_CONTACT: "as a secondary contact"}
    french = {Role.USER: "en tant qu’utilisateur", Role.SECONDARY_CONTACT: "en tant que contact secondaire"}
    assert english[role] in words(letter_of(MessageKind.WELCOME, EN, role=role.name).text)
    assert french[role] in words(letter_of(MessageKind.WELCOME, FR, role=role.name).text)


def test_dates_are_those_of_the_language_in_utc() -> None:
    late = "2026-02-28T23:30:00-02:00"
    assert "on 1 March 2026 at 01:30 UTC" in words(letter_of(MessageKind.ACCESS_ENDS, EN, ends_at=late).text)
    assert "le 1er mars 2026 à 01:30 UTC" in words(letter_of(MessageKind.ACCESS_ENDS, FR, ends_at=late).text)
    assert letter_of(MessageKind.ACCESS_ENDS, FR, ends_at="2026-08-11T00:00:00Z").subject.endswith(
        "le 11 août 2026"
    )


def test_a_change_shows_what_has_changed_and_nothing_else() -> None:
    data = {"levels": {"reporting": "VIEW", "manage_access": "NONE"}, "role": "USER", "former_role": "USER"}
    former = {"reporting": "NONE", "manage_access": "NONE"}
    text = letter_of(MessageKind.ACCESS_CHANGED, EN, **data, former_levels=former).text
    assert "  Reporting: None\n\nNow you hold:\n\n  Reporting: View\n" in text
    assert "manage access" not in text and "secondary" not in text
    data |= {"former_role": "SECONDARY_CONTACT"}
    text = letter_of(MessageKind.ACCESS_CHANGED, EN, **data, former_levels=data["levels"]).text
    assert "You are a user now; before, you were a secondary contact." in words(text)
    assert "you held" not in text


def test_a_new_end_is_said_and_one_that_stays_is_not() -> None:
    end = "2026-08-11T00:00:00+00:00"
    said = {
        (end, None): (
            "Your access ends on 11 August 2026 at 00:00 UTC now.",
            "prend désormais fin le 11 août 2026",
        ),
        (None, end): ("Your access has no end any more.", "Votre accès n’a plus de date de fin."),
    }
    for (ends_at, former), sentences in said.items():
        for language, sentence in zip(Language, sentences, strict=True):
            letter = letter_of(MessageKind.ACCESS_CHANGED, language, ends_at=ends_at, former_ends_at=former)
            assert sentence in words(letter.text)
    for same in (end, None):
        text = words(letter_of(MessageKind.ACCESS_CHANGED, EN, ends_at=same, former_ends_at=same).text)
        assert "Your access ends" not in text and "no end" not in text


def test_a_request_says_what_kind_it_is_of() -> None:
    said = {
        "ACCESS": ("asks for access to site", "demande l’accès au site"),
        "EXTENSION": ("asks for longer access to site", "demande une prolongation de son accès au site"),
        "HIGHER_LEVEL": ("asks for more privileges at site", "demande davantage de privilèges pour le site"),
    }
    for kind, sentences in said.items():
        for language, sentence in zip(Language, sentences, strict=True):
            assert sentence in letter_of(MessageKind.ACCESS_REQUESTED, language, request_kind=kind).subject


def test_nothing_held_yet_is_said() -> None:
    assert "You hold no privileges yet." in words(letter_of(MessageKind.WELCOME, EN, levels={}).text)
    assert "aucun privilège" in words(
        letter_of(MessageKind.ACCESS_GRANTED, FR, levels={"reporting": "NONE"}).text
    )


# What people are called, and what they write

NAMES = (
    "requester_name",
    "requester_email",
    "requester_ibm_id",
    "site_name",
    "site_number",
    "recipient_name",
)
evil = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "x\r\nBcc: everyone@example.com",
            "x\n\n<h1>Free</h1>",
            "a, b <c@example.com>",
            "{{ 7 * 7 }}{% raw %}",
            "&lt;b&gt;",
            "\u202eabc\u2066",
            "=?utf-8?q?=0ABcc:_x?=",
            "=?utf-8?q?=0D=0A=0D=0Abody?=",
            "=?utf-8?b?CkJjYzogeA==?=",
            "==??utf-8?q?=0ABcc:_x?=",
            "> quoted",
            "--\nRegards",
            "x" * 500,
        ]
    ),
)
PLAIN = dict.fromkeys(NAMES, "plain") | {
    "justification": "one line",
    "levels": {},
    "request_kind": "ACCESS",
    "requested_role": None,
    "requested_ends_at": None,
}
EXPECTED_TAGS = Tags(write_letter(MessageKind.ACCESS_REQUESTED, EN, PLAIN).html).tags


@given(st.dictionaries(st.sampled_from(NAMES), evil), evil, st.sampled_from(Language))
def test_no_name_and_no_justification_gets_out_of_its_place(
    names: dict[str, str], justification: str, language: Language
) -> None:
    letter = write_letter(
        MessageKind.ACCESS_REQUESTED, language, PLAIN | names | {"justification": justification}
    )
    # The HTML has the tags of the template, and those alone; empty values have no row.
    kinds = {(tag, tuple(attributes)) for tag, attributes in Tags(letter.html).tags}
    allowed = {(tag, tuple(attributes)) for tag, attributes in EXPECTED_TAGS}
    assert kinds - allowed <= {("html", (("lang", language.value),))}
    assert "49" not in letter.text or "49" in "".join(names.values()) + justification
    mail = read_again(letter)
    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Language",
    }  # fmt: skip
    assert [address.addr_spec for address in mail["To"].addresses] == ["ana@example.com"]
    assert len(list(mail.iter_parts())) == 2
    assert "\n" not in letter.subject and "\r" not in letter.subject
    quoted = [line for line in letter.text.splitlines() if line.startswith(">")]
    # A name may begin with the sign of a quotation, and a line with a name.
    assert ">" in "".join(names.values()) or all(line.startswith("> ") for line in quoted)


def sent(letter: Letter, to: Address | None = None, sender: Address | None = None) -> bytes:
    """A letter as an e-mail on the wire."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    to, sender = to or address_of("ana@example.com"), sender or sender_of(SENDER)
    return mail_of(uuid4(), letter, EN, to, sender, at).as_bytes(policy=SMTP)


def read_again(letter: Letter, to: Address | None = None) -> EmailMessage:
    """A letter as an e-mail that has gone over the wire."""
    read: Any = email.message_from_bytes(sent(letter, to), policy=SMTP)
    return read


def lines_of(content: bytes, name: str) -> str:
    """A header as it is on the wire, in lines that are not too long."""
    [lines] = re.findall(rf"^{name}: [^\r]+(?:\r\n [^\r]+)*", content.decode("ascii"), re.MULTILINE)
    assert max(map(len, lines.splitlines())) <= 76
    return lines.removeprefix(f"{name}: ")


def decoded(lines: str) -> str:
    """What a header says to any reader, after RFC 2047: blanks between encoded words do not count."""
    word = r"=\?utf-8\?[bq]\?[^? ]+\?="
    adjacent = rf"(?<!\S){word}(?:\s+{word})*(?!\S)"
    return re.sub(adjacent, lambda run: "".join(map(word_of, run[0].split())), lines.replace("\r\n", ""))


def word_of(encoded: str) -> str:
    """What an encoded word stands for: each for whole characters."""
    assert len(encoded) <= 75
    [(content, charset)] = decode_header(encoded)
    return content.decode(charset)


# Few characters, so that many are blanks; the others have every length in UTF-8.
blanks = st.text(f" {NBSP}\N{EM SPACE}\N{IDEOGRAPHIC SPACE}0é¡漢𐀀", min_size=20, max_size=150)
written = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=150)
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150)


@given(blanks | written | ascii_text, st.sampled_from(Language))
@example("00000" + 10 * NBSP + "𐀀𐀀𐀀𐀀 ¡", FR)
def test_a_subject_arrives_as_it_was_written(name: str, language: Language) -> None:
    letter = write_letter(MessageKind.ACCESS_REQUESTED, language, PLAIN | {"requester_name": f"a{name}z"})
    expected = letter.subject.replace("=?", "= ?")
    assert decoded(lines_of(sent(letter), "Subject")) == expected
    assert read_again(letter)["Subject"] == expected


@given(blanks)
def test_a_sender_arrives_as_they_are_called(name: str) -> None:
    sender = Address(f"é{name}z", addr_spec="accounts@example.com")
    lines = lines_of(sent(Letter("a", "b", "c"), sender=sender), "From")
    assert decoded(lines) == f"é{name}z <accounts@example.com>"
    assert lines.endswith(" <accounts@example.com>")


def test_an_ordinary_subject_can_be_read_as_it_is_sent() -> None:
    letter = letter_of(MessageKind.ACCESS_REQUESTED, EN, requester_name="Ana, " * 20)
    assert lines_of(sent(letter), "Subject").replace("\r\n", "") == letter.subject


@given(st.lists(st.sampled_from(["\r", "\n", "\v", "\x85", " ", "Bcc: x", "é", "=?utf-8?q?=0ABcc:_x?="])))
def test_no_subject_gets_out_of_its_header(parts: list[str]) -> None:
    letter = Letter("".join(["a", *parts, "z"]), "b", "c")
    expected = " ".join(letter.subject.splitlines()).replace("=?", "= ?")
    assert decoded(lines_of(sent(letter), "Subject")) == read_again(letter)["Subject"] == expected
    assert "Bcc" not in read_again(letter)


ENCODED = ["=?utf-8?q?=0ABcc=3A_x?=@example.com", "a=?utf-8?b?CkJjYzogeA==?=@example.com", "=?a@example.com"]


ODD = 'ab@.,;:<>()=?"\\ \r\n\té\0'


@given(st.text(alphabet=ODD, max_size=30) | st.emails() | st.sampled_from(ENCODED))
def test_whatever_an_address_is_there_is_one_recipient(value: str) -> None:
    try:
        address = address_of(value)
    except UnusableAddress:
        return
    letter = write_letter(MessageKind.ACCESS_REQUESTED, EN, PLAIN)
    if address.addr_spec.isascii():
        assert [each.addr_spec for each in read_again(letter, address)["To"].addresses] == [address.addr_spec]
    assert not re.search(r"[\s,<>]", address.addr_spec)


def test_ordinary_addresses_are_taken() -> None:
    for value in (
        "o'neil+tag@mail.example.com",
        "Camille.Durand@example.fr",
        "x_y-z@sub.example.org",
    ):
        assert address_of(value).addr_spec == value


def test_long_names_are_cut() -> None:
    letter = letter_of(MessageKind.ACCESS_REQUESTED, EN, requester_name="x" * 5000)
    assert "x" * (LONGEST_LINE - 1) + "… asks" in letter.subject
    assert "x" * LONGEST_LINE not in letter.text + letter.html


def test_a_justification_keeps_its_lines_and_is_quoted() -> None:
    text = letter_of(MessageKind.ACCESS_REQUESTED, EN, justification="One\r\n\n-- \nTwo " + "word " * 30).text
    assert "> One\n> --\n> Two word" in text
    assert max(map(len, text.splitlines())) <= 78
    for language, sentence in ((EN, "No reason was given."), (FR, "Aucune justification n’a été fournie.")):
        assert sentence in letter_of(MessageKind.ACCESS_REQUESTED, language, justification=None).text


# The preview


@every
async def test_every_message_can_be_looked_at(
    client: AsyncClient, kind: MessageKind, language: Language
) -> None:
    path = f"/development/messages/{kind.name}/{language.value}"
    html, text = await client.get(path), await client.get(f"{path}.txt")
    letter = demo_letter(kind, language)
    assert (html.status_code, html.text) == (200, letter.html)
    assert (text.status_code, text.text) == (200, f"{letter.subject}\n\n{letter.text}")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    for response in (html, text):
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "script-src" not in policy and "img-src" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_list_leads_to_every_message(client: AsyncClient) -> None:
    page = Tags((await client.get("/development/messages")).text)
    links = {dict(attributes)["href"] for tag, attributes in page.tags if tag == "a"}
    assert len(links) == 2 * len(EVERY)
    for link in links:
        assert link is not None
        assert (await client.get(link)).status_code == 200


@pytest.mark.parametrize(
    "path", ["NOTHING/en", "WELCOME/de", "welcome/en", "WELCOME/EN", "WELCOME/en.pdf", "WELCOME"]
)
async def test_there_is_nothing_else_to_look_at(client: AsyncClient, path: str) -> None:
    assert (await client.get(f"/development/messages/{path}")).status_code == 404


async def test_in_production_there_is_no_preview(settings: Settings) -> None:
    issuer = {"development": False, "oidc_issuer": "https://issuer.example.com", "oidc_audience": "us"}
    app = create_app(settings.model_copy(update=issuer))
    assert not [route for route in app.routes if "development" in getattr(route, "path", "")]


def test_templates_go_with_the_package(repository: Path) -> None:
    assert '"messages/templates/**"' in (repository / "pyproject.toml").read_text()
