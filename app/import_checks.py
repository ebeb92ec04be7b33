"""What the rows of an import must be, apart from what is in the database. No input or output.

Nothing is raised here: every row collects what is wrong with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any, cast

from app.contact_rules import ContactForm, check_contact, check_person
from app.errors import Code
from app.import_rows import LEVELS, OPTIONAL, REPEATED, REQUIRED, Kind, Row, one_of
from app.rules import (
    NAME_LENGTH,
    NUMBER_LENGTH,
    SECONDARY_CONTACT_SEATS,
    TEXT_LENGTH,
    ContactType,
    Language,
    Level,
    Role,
    check_levels,
    snake,
)
from app.texts import check_optional_justification, check_text, site_number, tidy, typed_ibm_id

PERSONAL = ("email", "firstName", "lastName", "language")
"""What all rows about one person must agree on."""


@dataclass
class SiteRows:
    """The rows of one site."""

    row: Row
    contacts: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)


@dataclass
class PersonRows:
    """The rows about one person."""

    rows: list[Row]

    @property
    def ibm_id(self) -> str:
        """The IBMid as the first row has it."""
        ibm_id: str = self.rows[0].kept["ibm_id"]
        return ibm_id

    def first(self, name: str) -> Any:
        """What the first row that says anything about it says."""
        return next((row.kept[name] for row in self.rows if row.kept[name] is not None), None)


def check_rows(rows: list[Row]) -> tuple[list[SiteRows], list[PersonRows]]:
    """Check every row, and what must hold among them; then they are grouped by site and by person."""
    for row in rows:
        if row.kind is not None:
            _check_columns(row, row.kind)
            row.kept = KEEPERS[row.kind](row)
    sites = {row: SiteRows(row) for row in rows if row.kind is Kind.SITE}
    for row in rows:
        if row.kind is not None and row.parent in sites:
            family = sites[row.parent]
            (family.contacts if row.kind is Kind.CONTACT else family.users).append(row)
    _check_repeated(sites, "number", {row: row.kept["number"] for row in sites})
    for family in sites.values():
        _check_site(family)
    return list(sites.values()), _people(rows)


def _check_columns(row: Row, kind: Kind) -> None:
    for column, value in row.values.items():
        if value is REPEATED:
            row.refuse(column, Code.DUPLICATE.value)
        elif column not in (*REQUIRED[kind], *OPTIONAL[kind]):
            row.refuse(column, f"A {kind.value} has no such column.")
    for column in REQUIRED[kind]:
        if column not in row.values:
            row.refuse(column, Code.REQUIRED.value)


def _keep_site(row: Row) -> dict[str, Any]:
    number, name = row.text("number"), row.text("name")
    row.add(check_text(number, NUMBER_LENGTH, "number"))
    row.add(check_text(name, TEXT_LENGTH, "name"))
    return {"number": site_number(number), "name": tidy(name), "pending_request_days": _days(row)}


def _days(row: Row) -> int | None:
    value = row.values.get("pendingRequestDays")
    if value is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,3}", str(value), re.ASCII):
        row.refuse("pendingRequestDays", "A whole number of days from 1 to 9999 is expected here.")
        return None
    return int(value)


def _keep_contact(row: Row) -> dict[str, Any]:
    names = [*REQUIRED[Kind.CONTACT][:-1], *OPTIONAL[Kind.CONTACT]]
    form = SimpleNamespace(types=_types(row), **{snake(name): row.text(name) for name in names})
    values, faults = check_contact(cast(ContactForm, form))
    row.add(faults)
    return values


def _types(row: Row) -> list[ContactType]:
    value = row.values.get("types", [])
    names = [str(item).upper() for item in value] if isinstance(value, list) else [""]
    if not set(names) <= set(ContactType.__members__):
        row.refuse("types", f"A list of contact types is expected. {one_of(ContactType)}")
        return []
    return [ContactType[name] for name in names]


def _keep_user(row: Row) -> dict[str, Any]:
    ibm_id, role = typed_ibm_id(row.text("ibmId")), row.choice("role", Role)
    email, faults = check_person(ibm_id, row.text("email"))
    row.add(faults)
    for name in ("firstName", "lastName"):
        if row.text(name).strip():
            row.add(check_text(row.text(name), NAME_LENGTH, name))
    row.add(check_optional_justification(row.text("justification"), "justification"))
    return {
        "ibm_id": ibm_id,
        "email": email,
        "first_name": tidy(row.text("firstName")),
        "last_name": tidy(row.text("lastName")),
        "language": row.choice("language", Language),
        "role": role,
        "justification": tidy(row.text("justification")),
        "ends_at": _end(row, role),
        "levels": _levels(row, role),
    }


def _end(row: Row, role: Role | None) -> datetime | None:
    text = row.text("endsAt").strip()
    if not text:
        return None
    if role is Role.PRIMARY_CONTACT:
        row.refuse("endsAt", "The access of the primary contact does not end; leave this out.")
    try:
        return _moment(text)
    except (ValueError, OverflowError):
        row.refuse(
            "endsAt",
            "A date is expected here, such as 2027-03-31, or a time with its offset from UTC, "
            "such as 2027-03-31T18:00:00+02:00.",
        )
        return None


def _moment(text: str) -> datetime:
    """The end of a day in UTC, or the very moment that is given with its offset."""
    if len(text) <= len("2027-03-31"):
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without an offset, nobody knows when that is")
    return moment.astimezone(UTC)


def _levels(row: Row, role: Role | None) -> dict[str, Level]:
    given = {
        privilege.name: level
        for column, privilege in LEVELS.items()
        if (level := row.choice(column, privilege.levels)) is not None
    }
    if role is Role.PRIMARY_CONTACT:
        for column in LEVELS.keys() & row.values.keys():
            row.refuse(column, "The primary contact holds the highest level of everything; leave this out.")
    elif role is not None:
        row.add(check_levels(role, given))
    return given


KEEPERS = {Kind.SITE: _keep_site, Kind.CONTACT: _keep_contact, Kind.USER: _keep_user}
"""For each kind, what checks a row and returns what is kept of it."""


def _check_repeated(rows: Iterable[Row], column: str, keys: dict[Row, Any]) -> None:
    seen = set()
    for row in rows:
        if keys[row] in seen:
            row.refuse(column, Code.DUPLICATE.value)
        seen.add(keys[row])


def _check_site(family: SiteRows) -> None:
    """What must hold among the rows of a site."""
    users, contacts = family.users, family.contacts
    if "number" in family.row.faulty and not (users or contacts):
        return
    _check_repeated(users, "ibmId", {row: row.kept["ibm_id"].lower() for row in users})
    _check_exactly_one(
        family.row,
        "role",
        users,
        [row for row in users if row.kept["role"] is Role.PRIMARY_CONTACT],
        (
            "The site needs a user with the role PRIMARY_CONTACT.",
            "Only one user of a site can have the role PRIMARY_CONTACT.",
        ),
    )
    _check_exactly_one(
        family.row,
        "types",
        contacts,
        [row for row in contacts if ContactType.PRIMARY in row.kept["types"]],
        ("The site needs a contact with the type PRIMARY.", Code.SEVERAL_PRIMARY_CONTACTS.value),
    )
    secondaries = [row for row in users if row.kept["role"] is Role.SECONDARY_CONTACT]
    for row in secondaries[SECONDARY_CONTACT_SEATS:]:
        row.refuse("role", f"A site has at most {SECONDARY_CONTACT_SEATS} secondary contacts.")


def _check_exactly_one(
    site: Row, column: str, rows: list[Row], holders: list[Row], sentences: tuple[str, str]
) -> None:
    """Refuse a site where none of the rows holds something, and every further row where several do."""
    for row in holders[1:]:
        row.refuse(column, sentences[1])
    # A row that cannot be read might be the one.
    if not holders and not any(column in row.faulty for row in rows):
        site.refuse(column, sentences[0])


def _people(rows: list[Row]) -> list[PersonRows]:
    """The rows about each person whom the database can be asked about, once they agree."""
    people: dict[str, PersonRows] = {}
    for row in rows:
        if row.kind is Kind.USER and row.faulty.isdisjoint({"ibmId", "email"}):
            people.setdefault(row.kept["ibm_id"].lower(), PersonRows([])).rows.append(row)
    for person in people.values():
        for column in PERSONAL:
            _check_agreement(column, [row for row in person.rows if row.kept[snake(column)] is not None])
    return list(people.values())


def _check_agreement(column: str, rows: list[Row]) -> None:
    for row in rows[1:]:
        first, this = rows[0].kept[snake(column)], row.kept[snake(column)]
        if first != this and not (column == "email" and first.lower() == this.lower()):
            where = f"line {rows[0].place}" if isinstance(rows[0].place, int) else rows[0].place
            row.refuse(column, f"This differs from what {where} says of the same person.")
