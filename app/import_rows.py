"""Reads a file of sites into rows: one form for JSON and CSV, so that every rule is checked once for both.

A row is an object of the JSON file or a line of the CSV file, with its values by column. Levels are columns
with dotted names, such as ``privileges.accountManagement.manageAccess``; CSV leaves out ``privileges.``.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from app.errors import Code, Fault
from app.rules import PRIVILEGES
from app.texts import UNREADABLE, site_number

E = TypeVar("E", bound=Enum)


class Kind(Enum):
    """What a row describes."""

    SITE = "site"
    CONTACT = "contact"
    USER = "user"


LEVELS = {".".join(("privileges", *privilege.path)): privilege for privilege in PRIVILEGES.values()}
REQUIRED = {
    Kind.SITE: ("number", "name"),
    Kind.CONTACT: ("firstName", "lastName", "phone", "email", "address", "city", "country", "types"),
    Kind.USER: ("ibmId", "email", "role"),
}
OPTIONAL = {
    Kind.SITE: ("pendingRequestDays",),
    Kind.CONTACT: ("stateOrProvince", "postalCode"),
    Kind.USER: ("firstName", "lastName", "language", "justification", "endsAt", *LEVELS),
}
COLUMNS = {"kind", "number"}.union(*REQUIRED.values(), *OPTIONAL.values())
REPEATED = object()
"""Stands for the value of a key that a JSON object has more than once."""


@dataclass(frozen=True)
class ImportFault:
    """One thing wrong in a file: the line of a CSV file or the path in a JSON file, the column, and why."""

    row: int | str
    column: str | None
    text: str

    def __str__(self) -> str:
        row = f"line {self.row}" if isinstance(self.row, int) else self.row
        return f"{row}, {self.column}: {self.text}" if self.column else f"{row}: {self.text}"


class ImportRefused(Exception):
    """A file is refused: nothing is written; `faults` holds everything that is wrong with it."""

    def __init__(self, *faults: ImportFault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(eq=False)
class Row:
    """Values by column, what is kept of them, and what is wrong with them.

    `place` is a line of a CSV file or a path in a JSON file; `parent` is the site of a contact or user.
    """

    place: int | str
    values: dict[str, Any] = field(default_factory=dict)
    kind: Kind | None = None
    parent: "Row | None" = None
    kept: dict[str, Any] = field(default_factory=dict)
    faults: list[ImportFault] = field(default_factory=list)
    faulty: set[str] = field(default_factory=set)

    def add(self, faults: Iterable[Fault]) -> None:
        """Take the faults of a check, but none of a column that was refused before."""
        self._take([(".".join(map(str, fault.path)), sentence(fault)) for fault in faults])

    def refuse(self, column: str, text: str) -> None:
        """Refuse what stands in a column, unless it was refused before; no name stands for the whole row."""
        self._take([(column, text)])

    def _take(self, found: list[tuple[str, str]]) -> None:
        fresh = [(column, text) for column, text in found if column not in self.faulty]
        self.faults += [ImportFault(self.place, self._shown(column), text) for column, text in fresh]
        self.faulty |= {column for column, _ in fresh}

    def _shown(self, column: str) -> str | None:
        if isinstance(self.place, int):
            column = "siteNumber" if column == "number" else column.removeprefix("privileges.")
        return UNREADABLE.sub("", column) or None

    def text(self, column: str) -> str:
        """The text of a column, empty when there is none."""
        value = self.values.get(column, "")
        if isinstance(value, str):
            return value
        self.refuse(column, "A text in quotation marks is expected here.")
        return ""

    def choice(self, column: str, kind: type[E]) -> E | None:
        """The member of an enum that a column names, in capital or small letters."""
        text = self.text(column).strip().upper()
        if text and text not in kind.__members__:
            self.refuse(column, one_of(kind))
        return kind.__members__.get(text)


def sentence(fault: Fault) -> str:
    """A fault in English."""
    text: str = fault.code.value
    return text.format(**fault.parameters)


def one_of(kind: type[Enum]) -> str:
    """The sentence that names the members of an enum."""
    return f"One of these is expected here: {', '.join(kind.__members__)}."


def read_rows(file: Path) -> list[Row]:
    """The rows of a file whose name ends in ``.json`` or ``.csv``, in their order, with what is wrong so far.

    Raises ImportRefused when nothing can be made of the file; OSError when it cannot be read.
    """
    reader = {".json": _json_rows, ".csv": _csv_rows}.get(file.suffix.lower())
    if reader is None:
        raise ImportRefused(ImportFault(file.name, None, "The name of the file must end in .json or .csv."))
    data = file.read_bytes()
    try:
        return reader(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImportRefused(ImportFault(line, None, "The file is not written in UTF-8.")) from error


def _json_rows(text: str) -> list[Row]:
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ImportRefused(ImportFault(line, None, f"This is not JSON: {error}.")) from error
    return document_rows(document)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    return {name: value if counts[name] == 1 else REPEATED for name, value in pairs}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def document_rows(document: Any) -> list[Row]:
    """The rows of a document in the shape of the JSON file, with what is wrong with the shape."""
    if not isinstance(document, dict):
        raise ImportRefused(ImportFault("document", None, 'An object {"sites": […]} is expected.'))
    top = Row("document", dict(document))
    sites = list(_children(top, "sites", "sites", Kind.SITE))
    if not sites:
        top.refuse("sites", "There is no site in it.")
    for column in top.values:
        top.refuse(column, "There is no such column.")
    rows = [top]
    for site in sites:
        contacts = _children(site, "contacts", f"{site.place}.contacts", Kind.CONTACT)
        rows += [site, *contacts, *_children(site, "users", f"{site.place}.users", Kind.USER)]
    return rows


def _children(parent: Row, column: str, place: str, kind: Kind) -> Iterator[Row]:
    """The rows of a list inside an object. One that is no object is of no kind, so that nobody reads it."""
    items = parent.values.pop(column, [])
    if not isinstance(items, list):
        parent.refuse(column, "One list is expected here.")
        return
    for index, item in enumerate(items):
        row = Row(f"{place}[{index}]", parent=parent)
        if isinstance(item, dict):
            row.kind, row.values = kind, dict(_flat(item))
        else:
            row.refuse("", "An object is expected here.")
        yield row


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """An object with the levels inside it by their dotted names; null counts as left out."""
    for name, value in values.items():
        if isinstance(value, dict) and prefix + name in ("privileges", "privileges.accountManagement"):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, value


def _csv_rows(text: str) -> list[Row]:
    lines = [(line, cells) for line, cells in _csv_lines(text) if any(cells)]
    first, names = lines[0] if lines else (1, [])
    columns = [_column(name) for name in names]
    rows = [_csv_row(line, cells, columns) for line, cells in lines[1:]]
    header = Row(first)
    _check_header(header, columns, {row.kind for row in rows if row.kind})
    for row in rows:
        # What is wrong with a column is said once, not in every row.
        row.faulty |= header.faulty
    if not any(row.kind is Kind.SITE for row in rows):
        header.refuse("", "There is no site in the file.")
    _find_parents(rows)
    return [header, *rows]


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The trimmed cells of every record, with the line on which it begins."""
    delimiter = ";" if ";" in text.lstrip().partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise ImportRefused(ImportFault(line, None, f"This is not CSV: {error}.")) from error


def _column(name: str) -> str:
    """The name that a column of a CSV file has in a row."""
    if f"privileges.{name}" in LEVELS:
        return f"privileges.{name}"
    return "number" if name == "siteNumber" else name


def _csv_row(line: int, cells: list[str], columns: list[str]) -> Row:
    named = list(zip_longest(columns, cells, fillvalue=""))
    row = Row(line, {name: cell for name, cell in named if name and cell})
    if any(cell and not name for name, cell in named):
        row.refuse("", "There is a value here in a column without a name.")
    row.kind = row.choice("kind", Kind)
    if "kind" in columns and "kind" not in row.values:
        row.refuse("kind", Code.REQUIRED.value)
    row.values.pop("kind", None)
    if "types" in row.values:
        row.values["types"] = row.values["types"].split()
    return row


def _check_header(header: Row, columns: list[str], kinds: set[Kind]) -> None:
    for column, count in Counter(filter(None, columns)).items():
        if column not in COLUMNS:
            header.refuse(column, "There is no such column.")
        elif count > 1:
            header.refuse(column, Code.DUPLICATE.value)
    needed = {"kind", "number"}.union(*(REQUIRED[kind] for kind in kinds))
    for column in sorted(needed.difference(columns)):
        header.refuse(column, "This column is missing.")


def _find_parents(rows: list[Row]) -> None:
    """Give contacts and users the first site of their number, wherever it stands in the file."""
    sites: dict[str, Row] = {}
    for row in rows:
        if row.kind is Kind.SITE:
            sites.setdefault(site_number(row.text("number")), row)
    for row in rows:
        if row.kind in (Kind.CONTACT, Kind.USER):
            number = row.values.pop("number", "")
            row.parent = sites.get(site_number(number)) if number else None
            if not number:
                row.refuse("number", Code.REQUIRED.value)
            elif row.parent is None:
                row.refuse("number", "No row of the kind site has this number.")
