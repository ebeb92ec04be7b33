"""The French catalogue, the choice of the language, and what people read through GraphQL."""

from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import sqlalchemy as sa
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from httpx2 import AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import User
from app.errors import Code
from app.language import LOCALE, preferred, translate
from app.policy import Action, sentence
from app.rules import Language, Role
from tests.world import UPDATE, VIEW, Person, World

EN, FR = Language
CANADIAN = "fr-CA,fr;q=0.9"
NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def marked(repository: Path) -> set[str]:
    """Every sentence that the code marks for translation."""
    found = extract_from_dir(repository / "app", keywords={"message": None})
    return {text for _, _, text, _, _ in found if isinstance(text, str)}


@pytest.fixture(scope="module")
def french() -> Catalog:
    """The French catalogue as translators edit it."""
    with (LOCALE / "fr" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file)


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


# The catalogue


def test_every_sentence_has_its_french_and_no_french_is_left_over(marked: set[str], french: Catalog) -> None:
    assert {code.value for code in Code} <= marked
    assert {message.id for message in french if message.id} == marked
    assert not french.obsolete


def test_french_texts_are_there_finished_and_keep_their_placeholders(french: Catalog) -> None:
    for message in french:
        assert message.string, message.id
        if message.id:
            assert not message.fuzzy, message.id
            assert placeholders(str(message.string)) == placeholders(message.id)
            assert str(message.string) == translate(message.id, FR)


def test_the_header_says_what_tools_need(french: Catalog) -> None:
    assert (french.locale_identifier, french.charset, french.num_plurals) == ("fr", "utf-8", 2)
    assert french.plural_expr == "(n > 1)"


def test_french_is_spelled_as_in_print(french: Catalog) -> None:
    """Typographic apostrophes and quotation marks, and no line break before : ; ? ! and inside « »."""
    for text in (str(message.string) for message in french if message.id):
        assert "'" not in text and '"' not in text, text
        assert not any(f" {mark}" in text for mark in ":;?!»"), text
        assert "« " not in text, text
        for mark in ":;?!»":
            before = [text[at - 1] for at, letter in enumerate(text) if letter == mark]
            assert set(before) <= {NBSP}, text


def test_english_is_what_the_code_says(marked: set[str]) -> None:
    for english in marked:
        assert translate(english, EN) == english


def test_parameters_are_filled_in_once() -> None:
    assert translate("At most {limit} at once.", FR, limit=4) == "Au plus 4 à la fois."
    assert translate("{reason}", FR, reason="{who} {0} {") == "{who} {0} {"
    assert translate("Allowed: {who}.", FR) == f"Personnes autorisées{NBSP}: {{who}}."


@pytest.mark.parametrize("action", Action)
def test_every_rule_reads_as_one_sentence_in_french(action: Action) -> None:
    text = sentence(action, lambda piece: translate(piece, FR))
    assert " or " not in text and "  " not in text
    assert text[0].islower() and not text.endswith((".", ",", " "))


# The choice of the language


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("fr", FR),
        ("en", EN),
        ("FR-ca", FR),
        (CANADIAN, FR),
        ("fr-CA,fr;q=0.9,en;q=0.8", FR),
        ("en-GB,en;q=0.9,fr;q=0.8", EN),
        ("de-DE,de;q=0.9,fr;q=0.5,en;q=0.3", FR),
        ("en;q=0.3, fr;q=0.7", FR),
        ("en;q=0.3,fr;q=0.3", EN),
        ("fr, en", FR),
        ("en , fr", EN),
        ("fr ; q=0.2 , en ; q=0.4", EN),
        ("fr;Q=0.2,en;q=0.1", FR),
        ("fr;q=1.000,en", FR),
        ("en-US;q=0.2,fr;q=0.5,en;q=0.9", EN),
        ("fr_FR", FR),
        ("fr_CA.UTF-8", FR),
        ("zh-Hant-TW,fr-Latn-CA;q=0.1", FR),
        # The wildcard.
        ("*", None),
        ("*;q=0.5", None),
        ("de,*;q=0.5", None),
        ("fr,*;q=0.1", FR),
        ("*,fr;q=0.5", EN),
        ("en;q=0,*", FR),
        ("fr;q=0,*;q=0.1", EN),
        # Refused, or nothing of ours.
        ("fr;q=0", None),
        ("fr;q=0,en;q=0.0", None),
        ("fr;q=0,en", EN),
        ("de-AT,nl", None),
        ("french", None),
        ("", None),
        (" , ,", None),
        # What cannot be read is passed over.
        ("fr;q=high,en;q=0.1", EN),
        ("fr;q=nan,en;q=0.1", EN),
        ("fr;q=inf,en;q=0.1", EN),
        ("fr;q=-1,en;q=0.1", EN),
        ("fr;q=2,en;q=0.1", EN),
        ("fr;q=1_0,en;q=0.1", EN),
        ("fr;level=1,en;q=0.1", EN),
        ("fr fr,en;q=0.1", EN),
        ("\N{FULLWIDTH LATIN SMALL LETTER F}r,en", EN),
        ("None", None),
        ("[]", None),
        pytest.param("x," * 5000 + "fr", None, id="long"),
    ],
)
def test_preferred_language(header: str, expected: Language | None) -> None:
    assert preferred(header) is expected


RANGES = st.sampled_from(["fr", "en", "fr-CA", "*", "de", "", " ", "\0", "é", "x" * 300])
WEIGHTS = st.sampled_from(["", ";q=0", ";q=1", ";q=0.5", ";q=", ";q=1e9", ";q=nan", ";;q=1", ";q=٣", ";"])


@given(st.text() | st.lists(st.tuples(RANGES, WEIGHTS)).map(lambda parts: ",".join(map("".join, parts))))
def test_no_header_is_too_odd(header: str) -> None:
    assert preferred(header) in (EN, FR, None)


@given(st.permutations([("fr", 0.8), ("en", 0.4), ("de", 0.9), ("nl", 0.1)]))
def test_the_order_of_different_weights_does_not_matter(parts: list[tuple[str, float]]) -> None:
    assert preferred(", ".join(f"{tag};q={weight}" for tag, weight in parts)) is FR


# Through GraphQL


async def french_speaking(world: World, person: Person) -> Person:
    """Somebody whose own language is French, whatever their token says."""
    await person.ask("{ viewer { user { id } } }")
    async with AsyncSession(world.database) as session, session.begin():
        await session.execute(sa.update(User).where(User.id == person.user_id).values(language=FR))
    return person


async def refusals(person: Person, language: str | None, mutation: str, **input: Any) -> list[str]:
    """The messages of a refused mutation."""
    payload = await person.do(mutation, language=language, **input)
    return [error["message"] for error in payload["errors"]]


async def test_errors_come_in_the_language_of_the_header_or_else_of_the_user(world: World) -> None:
    place = await world.site()
    form = {"siteId": place.id, "ibmId": "a b", "email": "a@example.com", "confirmed": False}
    form |= {"justification": "x" * 2001, "role": "PRIMARY_CONTACT", "privileges": {}}
    french = [
        "Un identifiant IBM ne contient pas d’espace.",
        "Ce champ contient au plus 2000 caractères.",
        "On ne devient contact principal que par passation, jamais par attribution du rôle.",
        "Confirmez qu’il s’agit de la bonne personne.",
    ]
    english = [
        "An IBMid has no spaces in it.",
        "At most 2000 characters fit here.",
        "The primary contact is named by hand-over only, never by assigning the role.",
        "Confirm that this is the right person.",
    ]
    for language, expected in ((CANADIAN, french), ("en", english), (None, english), ("*", english)):
        assert await refusals(place.primary, language, "addUser", **form) == expected
    await french_speaking(world, place.primary)
    for language, expected in ((None, french), ("de", french), ("*", french), ("en-GB", english)):
        assert await refusals(place.primary, language, "addUser", **form) == expected


async def test_a_denial_names_who_may_in_the_language_of_the_caller(world: World) -> None:
    place = await world.site()
    viewer, _ = await world.secondary(place, manage_access=VIEW)
    _, request_id = await world.request(place)
    french = [
        f"Personnes autorisées{NBSP}: le contact principal, ou un contact secondaire doté du privilège"
        f" «{NBSP}Gérer l’accès{NBSP}» au niveau «{NBSP}Mettre à jour{NBSP}»"
    ]
    english = ["Allowed: the primary contact, or a secondary contact with manage access UPDATE"]

    async def denial(language: str | None) -> list[str]:
        denied = {"accessRequestId": request_id, "reason": "UNKNOWN_REQUESTER"}
        return [
            text.split(";")[0].rstrip()
            for text in await refusals(viewer, language, "denyAccessRequest", **denied)
        ]

    assert await denial(CANADIAN) == french
    assert await denial("en") == await denial(None) == english
    await french_speaking(world, viewer)
    assert await denial(None) == french
    assert await denial("en;q=0.1") == english


async def test_a_denial_for_what_is_ones_own_says_so(world: World) -> None:
    place = await world.site()
    manager, membership_id = await world.secondary(place, manage_access=UPDATE)
    change = {"membershipId": membership_id, "role": "USER"}
    assert await refusals(manager, CANADIAN, "updateMembership", **change) == [
        "Nul ne peut traiter sa propre demande d’accès ni modifier son propre accès."
    ]
    assert await refusals(manager, "en", "updateMembership", **change) == [
        "Nobody decides or changes their own access."
    ]


# The privilege catalogue

NONE = ("NONE", "None", "Aucun")
SEE = ("VIEW", "View", "Consulter")
CHANGE = ("UPDATE", "Update", "Mettre à jour")
DOWNLOADS = (
    NONE,
    ("SOFTWARE_DOWNLOAD", "Software download only", "Téléchargements logiciels uniquement"),
    (
        "SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS",
        "Software download and media access only",
        "Téléchargement logiciel et accès support uniquement",
    ),
    (
        "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
        "Software download, media access, quotes, product catalogs and licence renewals",
        "Téléchargement logiciel, accès support, devis, catalogues de produits et renouvellements de licences",
    ),
)
ALL = [role.name for role in Role]
CONTACTS = ["PRIMARY_CONTACT", "SECONDARY_CONTACT"]
ACCOUNT = f"Gestion du compte{NBSP}: "
TABLE = [
    ("purchaseAndDownload", "Achat et téléchargement", DOWNLOADS, ALL),
    ("reporting", "Production de rapports", (NONE, SEE), ALL),
    (
        "entitlementInventory",
        f"Droits{NBSP}: inventaire des droits et déploiements",
        (NONE, SEE, CHANGE),
        ALL,
    ),
    ("entitlementAllocations", "Allocations de droits", (NONE, SEE, CHANGE), ALL),
    ("accountManagement.manageAccess", f"{ACCOUNT}gérer l’accès", (NONE, SEE, CHANGE), CONTACTS),
    (
        "accountManagement.contactUpdates",
        f"{ACCOUNT}mises à jour des contacts",
        (NONE, SEE, CHANGE),
        CONTACTS,
    ),
    (
        "accountManagement.contactUpdateOverview",
        f"{ACCOUNT}aperçu de la mise à jour des contacts",
        (SEE,),
        ALL,
    ),
    ("accountManagement.accountDocuments", f"{ACCOUNT}documents liés au compte", (NONE, SEE), ALL),
]
"""The table of the domain page, "Privilege set": field, label, levels, who may hold it."""

CATALOG = """{ privilegeCatalog { applications { field heldBy editable label
    french: label(language: FR) english: label(language: EN)
    levels { level label french: label(language: FR) english: label(language: EN) } } } }"""


async def catalog(client: AsyncClient, language: str | None = None) -> list[dict[str, Any]]:
    """The catalogue as an anonymous caller gets it."""
    headers = {"Accept-Language": language} if language else {}
    response = await client.post("/graphql", json={"query": CATALOG}, headers=headers)
    assert response.status_code == 200 and "errors" not in response.json(), response.text
    applications: list[dict[str, Any]] = response.json()["data"]["privilegeCatalog"]["applications"]
    return applications


async def test_the_catalogue_is_the_table_of_the_domain(client: AsyncClient) -> None:
    found = await catalog(client)
    assert [
        (
            one["field"],
            one["french"],
            tuple((level["level"], level["english"], level["french"]) for level in one["levels"]),
            one["heldBy"],
        )
        for one in found
    ] == TABLE
    fixed = [one["field"] for one in found if not one["editable"]]
    assert fixed == ["accountManagement.contactUpdateOverview"]
    assert len({one["english"] for one in found} & {one["french"] for one in found}) == 0


@pytest.mark.parametrize(
    ("header", "column"), [(CANADIAN, "french"), ("en", "english"), (None, "english"), ("nl", "english")]
)
async def test_labels_follow_the_header(client: AsyncClient, header: str | None, column: str) -> None:
    for one in await catalog(client, header):
        assert one["label"] == one[column]
        assert [level["label"] for level in one["levels"]] == [level[column] for level in one["levels"]]


async def test_labels_follow_the_users_language_without_a_header(world: World) -> None:
    person = await french_speaking(world, await world.person())
    data = await person.ask(CATALOG)
    assert all(one["label"] == one["french"] for one in data["privilegeCatalog"]["applications"])
