"""The pure rules: texts, levels, ids, cursors and pages, over all inputs that people and programs may send."""

import unicodedata
from itertools import pairwise, product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import Code, RequestError
from app.query.cursor import fingerprint, read_cursor, write_cursor
from app.query.ids import parse_id, write_id
from app.query.page import DEFAULT_SIZE, MAXIMUM_SIZE, SORT, Page
from app.rules import (
    CATALOG,
    JUSTIFICATION_LENGTH,
    PRIVILEGES,
    Level,
    OverviewLevel,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
    camel,
    check_levels,
    check_role,
    no_levels,
    snake,
)
from app.texts import (
    check_justification,
    check_optional_justification,
    check_text,
    fold,
    full_name,
    is_readable,
    site_number,
    tidy,
)

LATIN = st.text(st.characters(max_codepoint=0x24F, categories=["L", "Zs"]))
"""Letters of the languages of Europe, and spaces."""
TYPED = st.text(st.sampled_from("abzABZ019-/. éß\u3000ａＢ９"))
"""What people type as a number: also in full width, with spaces around it."""
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
DIRECTIONS = list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LINE_ENDS = ["\u2028", "\u2029"]
UNSEEN = list("\u00ad\u034f\u115f\u200b\u200d\u200f\u2060\u2800\u3164\ufe0f\ufeff\U000e0041")


def codes(faults: Any) -> list[Code]:
    return [fault.code for fault in faults]


@given(st.text())
@example(" \u0301")
def test_tidying_twice_is_tidying_once(text: str) -> None:
    kept = tidy(text)
    assert tidy(kept) == kept


@given(st.text())
def test_tidied_text_is_composed_and_has_no_space_around_it(text: str) -> None:
    kept = tidy(text)
    assert kept != ""
    if kept is not None:
        assert kept == kept.strip()
        assert unicodedata.is_normalized("NFC", kept)


@pytest.mark.parametrize(
    "nothing", [None, "", " ", "\t\r\n", "\u00a0\u3000", *UNSEEN, f" {''.join(UNSEEN)} "]
)
def test_tidy_keeps_nothing_of_nothing(nothing: str | None) -> None:
    assert tidy(nothing) is None


def test_tidy_composes_accents() -> None:
    assert tidy(" Rene\u0301 ") == "Ren\u00e9"


@given(LATIN)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(LATIN)
def test_folding_forgets_accents_however_they_are_written(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert fold(decomposed) == fold(text)
    assert not any(map(unicodedata.combining, fold(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("ÉLODIE", "elodie"), ("Straße", "STRASSE"), ("Ångström", "angstrom"), ("ÇA", "ça"), ("Ł", "ł")],
)
def test_folding_forgets_case(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Łukasz", "lukasz"),
        ("Øster", "oster"),
        ("Đorđe", "dorde"),
        ("Ǿrsted Æbelø", "orsted aebelo"),
        ("Þór", "thor"),
    ],
)
def test_letters_that_unicode_does_not_take_apart_are_folded(name: str, folded: str) -> None:
    assert fold(name) == folded


@pytest.mark.parametrize("character", [*CONTROLS, *DIRECTIONS, *LINE_ENDS, "\ud800", "\udfff"])
def test_unreadable_characters(character: str) -> None:
    assert not is_readable(character)
    assert Code.FORBIDDEN_CHARACTERS in codes(check_text(f"a{character}b", 100, "name"))


@given(st.characters(categories=["L", "N", "P", "S", "M", "Zs"]))
@example("\u200d")
@example("é")
@example("漢")
@example("😀")
def test_readable_characters(character: str) -> None:
    assert is_readable(character)


@given(TYPED)
def test_number_is_the_same_however_it_is_typed(text: str) -> None:
    number = site_number(text)
    assert site_number(number) == number
    assert site_number(f" {text.lower()}\t") == site_number(text.lower()) == number


@pytest.mark.parametrize(
    "typed", ["FR-0042", " fr-0042 ", "ｆｒ-００４２", "Fr-0042\u3000", "\u200bFR-\u00ad0042 \ufeff"]
)
def test_number_examples(typed: str) -> None:
    assert site_number(typed) == "FR-0042"


def test_text_is_refused_with_all_its_faults() -> None:
    assert codes(check_text("", 5, "name")) == [Code.REQUIRED]
    assert codes(check_text(" \t", 5, "name")) == [Code.REQUIRED]
    assert codes(check_text(" abcde\t", 5, "name")) == []
    assert codes(check_text("a\0bcdef", 5, "name")) == [Code.TOO_LONG, Code.FORBIDDEN_CHARACTERS]
    assert codes(check_text("abcde", 5, "name")) == []


def test_a_text_is_as_long_as_it_is_kept() -> None:
    assert codes(check_text("e\u0301" * 5, 5, "name")) == []
    assert codes(check_justification("e\u0301" * JUSTIFICATION_LENGTH, "justification")) == []
    # Some characters are kept as several.
    assert codes(check_text("\ufb2c" * 5, 5, "name")) == [Code.TOO_LONG]


def test_what_cannot_be_seen_stays_within_what_can() -> None:
    for text in ("👩\u200d💻", "می\u200cخواهم", "❤\ufe0f"):
        assert tidy(text) == text


def test_fault_of_a_text_says_where_and_how_long() -> None:
    [fault] = check_text("abcdef", 5, "contacts", 0, "city")
    assert fault.path == ("contacts", 0, "city")
    assert fault.parameters == {"limit": 5}
    assert fault.under("input").path == ("input", "contacts", 0, "city")


def test_justification_may_have_lines_but_a_text_may_not() -> None:
    assert codes(check_justification("one\r\ntwo\tthree", "justification")) == []
    assert codes(check_text("one\ntwo", 100, "city")) == [Code.FORBIDDEN_CHARACTERS]


@pytest.mark.parametrize("text", [None, "", "  ", "\n"])
def test_optional_justification_may_be_left_out(text: str | None) -> None:
    assert codes(check_optional_justification(text, "justification")) == []


def test_optional_justification_is_checked_when_given() -> None:
    assert codes(check_optional_justification("a\0", "justification")) == [Code.FORBIDDEN_CHARACTERS]
    too_long = "a" * (JUSTIFICATION_LENGTH + 1)
    assert codes(check_optional_justification(too_long, "justification")) == [Code.TOO_LONG]


ORDERS = {
    PurchaseAndDownloadLevel: [
        "NONE",
        "SOFTWARE_DOWNLOAD",
        "SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS",
        "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
    ],
    ViewLevel: ["NONE", "VIEW"],
    UpdateLevel: ["NONE", "VIEW", "UPDATE"],
    OverviewLevel: ["VIEW"],
}
LEVELS = {
    "purchaseAndDownload": PurchaseAndDownloadLevel,
    "reporting": ViewLevel,
    "entitlementInventory": UpdateLevel,
    "entitlementAllocations": UpdateLevel,
    "accountManagement.manageAccess": UpdateLevel,
    "accountManagement.contactUpdates": UpdateLevel,
    "accountManagement.contactUpdateOverview": OverviewLevel,
    "accountManagement.accountDocuments": ViewLevel,
}
"""The domain page's privilege set, line by line."""


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_levels_rise_in_the_order_of_the_page(kind: type[Level]) -> None:
    assert [level.name for level in kind] == ORDERS[kind]
    assert all(higher >= lower and not lower >= higher for lower, higher in pairwise(kind))
    assert all(level >= level for level in kind)


def test_catalog_is_the_privilege_set_of_the_page() -> None:
    assert {".".join(privilege.path): privilege.levels for privilege in CATALOG} == LEVELS
    assert [name for name in LEVELS if name not in [".".join(one.path) for one in PRIVILEGES.values()]] == [
        "accountManagement.contactUpdateOverview"
    ]


def test_primary_contact_holds_the_highest_of_everything() -> None:
    highest = {".".join(privilege.path): privilege.highest.name for privilege in CATALOG}
    assert highest == {name: ORDERS[kind][-1] for name, kind in LEVELS.items()}


def test_new_member_holds_nothing() -> None:
    assert {level.name for level in no_levels().values()} == {"NONE"}
    assert no_levels().keys() == PRIVILEGES.keys()


@pytest.mark.parametrize("role", [Role.SECONDARY_CONTACT, Role.USER], ids=lambda role: role.name)
@pytest.mark.parametrize("name", PRIVILEGES)
def test_levels_that_fit_the_role(role: Role, name: str) -> None:
    only_secondary = name in ("manage_access", "contact_updates")
    for level in PRIVILEGES[name].levels:
        faults = list(check_levels(role, {name: level}))
        if role is Role.USER and only_secondary and level.name != "NONE":
            assert codes(faults) == [Code.LEVEL_NOT_FOR_ROLE]
            assert faults[0].path == ("privileges", "accountManagement", camel(name))
        else:
            assert faults == []


def test_all_levels_that_do_not_fit_are_told_at_once() -> None:
    given_levels = {"manage_access": UpdateLevel.VIEW, "contact_updates": UpdateLevel.UPDATE}
    assert codes(check_levels(Role.USER, given_levels)) == [Code.LEVEL_NOT_FOR_ROLE] * 2


def test_primary_contact_is_never_assigned() -> None:
    assert {role for role in Role if list(check_role(role))} == {Role.PRIMARY_CONTACT}


@pytest.mark.parametrize("name", [*PRIVILEGES, "account_management"])
def test_names_in_schema_and_database(name: str) -> None:
    assert snake(camel(name)) == name


def test_full_name_leaves_out_what_is_unknown() -> None:
    assert [full_name("Ada", "Byron"), full_name(None, "Byron"), full_name(None, "")] == [
        "Ada Byron",
        "Byron",
        "",
    ]


KINDS = st.sampled_from(["site", "user", "membership", "contact", "access_request", "history_event"])


@given(KINDS, st.uuids())
def test_id_says_what_it_is_of(kind: str, key: UUID) -> None:
    assert parse_id(write_id(kind, key)) == (kind, key)


@given(st.text())
@example("")
@example("site_")
@example("site_" + "0" * 31)
@example("site_" + "0" * 32 + "\n")
@example("site_" + "A" * 32)
@example("site_" + "\u0661" * 32)
@example("_" + "0" * 32)
@example("site_00000000-0000-0000-0000-000000000000")
def test_anything_else_is_no_id(text: str) -> None:
    assert parse_id(text) is None


VALUES = st.lists(st.text(), max_size=3)


@given(st.text(), VALUES)
def test_cursor_gives_its_values_back(of: str, values: list[str]) -> None:
    assert read_cursor(fingerprint(of), write_cursor(fingerprint(of), values)) == values


@given(st.text(), st.text(), VALUES)
def test_cursor_of_another_list_is_refused(of: str, other: str, values: list[str]) -> None:
    if of != other:
        with pytest.raises(RequestError, match="does not belong to this list"):
            read_cursor(fingerprint(other), write_cursor(fingerprint(of), values))


@given(VALUES, st.integers(min_value=0), st.characters(codec="ascii"))
def test_altered_cursor_is_refused_or_means_the_same(values: list[str], at: int, character: str) -> None:
    cursor = write_cursor("list", values)
    at %= len(cursor)
    try:
        assert read_cursor("list", cursor[:at] + character + cursor[at + 1 :]) == values
    except RequestError as error:
        assert error.code == "BAD_USER_INPUT"


@given(st.text())
@example("")
@example("é")
@example("AAAA=")
@example("\ud800")
def test_anything_else_is_no_cursor(text: str) -> None:
    with pytest.raises(RequestError):
        read_cursor("list", text)


def test_cursor_cut_short_is_refused() -> None:
    cursor = write_cursor("list", ["Ada", "1"])
    for length in range(len(cursor)):
        with pytest.raises(RequestError):
            read_cursor("list", cursor[:length])


def test_page_has_twenty_rows_by_default() -> None:
    page = Page.parse("Site.memberships", {})
    assert (page.size, page.backwards, page.after, page.before) == (DEFAULT_SIZE, False, None, None)
    assert Page.parse("Site.memberships", {"first": None, "last": None}) == page


@pytest.mark.parametrize(("name", "backwards"), [("first", False), ("last", True)])
@pytest.mark.parametrize("size", [0, 1, MAXIMUM_SIZE])
def test_page_sizes(name: str, backwards: bool, size: int) -> None:
    page = Page.parse("Site.memberships", {name: size})
    assert (page.size, page.backwards) == (size, backwards)


@pytest.mark.parametrize("arguments", [{"first": -1}, {"last": -1}, {"first": 101}, {"first": 2, "last": 2}])
def test_impossible_pages(arguments: dict[str, int]) -> None:
    with pytest.raises(RequestError) as caught:
        Page.parse("Site.memberships", arguments)
    assert caught.value.code == "BAD_USER_INPUT"


ARGUMENTS = [{}, {"filter": {"text": "a"}}, {"filter": {"text": "b"}}, {"orderBy": {"field": "NAME"}}]


@pytest.mark.parametrize("end", ["after", "before"])
def test_cursor_belongs_to_list_filter_and_order(end: str) -> None:
    lists = [
        (name, arguments) for name in ("Site.memberships", "Viewer.memberships") for arguments in ARGUMENTS
    ]
    for cut_from, used_for in product(lists, lists):
        [cursor] = Page.parse(*cut_from).slice([{f"{SORT}0": "Ada"}]).cursors()
        name, arguments = used_for
        if cut_from == used_for:
            assert getattr(Page.parse(name, {**arguments, end: cursor}), end) == ["Ada"]
        else:
            with pytest.raises(RequestError):
                Page.parse(name, {**arguments, end: cursor})


@given(st.integers(0, 5), st.integers(0, 6), st.booleans())
def test_page_shows_rows_in_the_order_of_the_list(size: int, there: int, backwards: bool) -> None:
    page = Page.parse("list", {"last" if backwards else "first": size})
    # Backwards, the rows are read from the end.
    rows = [{f"{SORT}0": str(number)} for number in range(min(there, size + 1))]
    shown = page.slice(rows)
    numbers = [int(row[f"{SORT}0"]) for row in shown.rows]
    assert numbers == sorted(range(min(there, size)), reverse=backwards)
    info = shown.info()
    assert info["hasPreviousPage" if backwards else "hasNextPage"] == (there > size)
    assert info["hasNextPage" if backwards else "hasPreviousPage"] is False
    cursors = shown.cursors() or [None]
    assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
