"""What can be wrong with the files of an import, of either format."""

import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.site_import import ImportFault, ImportRefused, import_sites
from tests.import_examples import csv_file, csv_text, document, ibm_id, new_number, refused, write

CSV_FAULTS: dict[str, tuple[str, str, list[tuple[int, str | None]]]] = {
    "an unknown column": ("justification;", "reason;", [(1, "reason")]),
    "a column twice": (";address;", ";city;", [(1, "city"), (1, "address")]),
    "a missing column": (";role;", ";;", [(1, "role"), (2, None), (3, None), (8, None)]),
    "no kind": ("\nsite;", "\n;", [(1, None), (5, "kind")]),
    "an unknown kind": ("\ncontact;", "\nperson;", [(5, "types"), (6, "kind"), (7, "kind")]),
    "a bad value": ("04 65 71 10 01", "12", [(6, "phone"), (7, "phone")]),
    "a value of another kind": (";Boulangeries Réunies;30;", ";B;30;Claire;", [(5, "firstName")]),
    "a level": (";VIEW;UPDATE", ";VIEW;MUCH", [(3, "accountManagement.manageAccess")]),
    "too many cells": (";VIEW;UPDATE", ";VIEW;UPDATE;x", [(3, None)]),
    "a quotation mark": ('"Informatique"', '"Informatique', [(3, None)]),
    "a fault in a row of two lines": ('"Informatique";;;VIEW', '"a\nb";;;MUCH', [(3, "reporting")]),
    "a fault below such a row": (
        '"Informatique";;;VIEW;UPDATE\n\nsite',
        '"a\nb"\n\nfirm',
        [(1, None), (6, "kind")],
    ),
}
"""What in a good CSV file is replaced by what, and which faults that makes (but for contacts without a site)."""


@pytest.mark.parametrize("fault", CSV_FAULTS)
async def test_a_fault_of_csv_is_named(database: AsyncEngine, tmp_path: Path, fault: str) -> None:
    number, (old, new, expected) = new_number(), CSV_FAULTS[fault]
    text = csv_text(number)
    assert old in text
    found = await refused(database, number, csv_file(tmp_path, text.replace(old, new)))
    assert [fault for fault in found if fault[1] != "siteNumber"] == expected


async def test_a_csv_row_needs_its_site(database: AsyncEngine, tmp_path: Path) -> None:
    number = new_number()
    people = [ibm_id("vera", number), ibm_id("walt", number)]
    text = csv_text(number)
    for site_number, person in zip(["", "X"], people, strict=True):
        text += f"user;{site_number};;;;;;{person};;;;;;{person};;USER\n"
    assert await refused(database, number, csv_file(tmp_path, text)) == [
        (9, "siteNumber"),
        (10, "siteNumber"),
    ]


async def test_a_site_stands_once_in_csv(database: AsyncEngine, tmp_path: Path) -> None:
    number = new_number()
    text = csv_text(number) + f"site;{number.lower()};Boulangeries\n"
    assert await refused(database, number, csv_file(tmp_path, text)) == [(9, "siteNumber")]


FILES: list[tuple[str, bytes, ImportFault]] = [
    ("sites.xlsx", b"", ImportFault("sites.xlsx", None, "The name of the file must end in .json or .csv.")),
    ("sites.json", b'{"sites":\n["\xe9"]}', ImportFault(2, None, "The file is not written in UTF-8.")),
    ("sites.json", b"[]", ImportFault("document", None, 'An object {"sites": […]} is expected.')),
    ("sites.json", b'{"sites": []}', ImportFault("document", "sites", "There is no site in it.")),
    ("sites.csv", b"kind,siteNumber\n\xe9,", ImportFault(2, None, "The file is not written in UTF-8.")),
    ("sites.csv", b"kind,siteNumber", ImportFault(1, None, "There is no site in the file.")),
]


@pytest.mark.parametrize(("name", "data", "fault"), FILES)
async def test_a_file_that_is_no_such_file(
    database: AsyncEngine, tmp_path: Path, name: str, data: bytes, fault: ImportFault
) -> None:
    with pytest.raises(ImportRefused) as caught:
        await import_sites(database, write(tmp_path, data, name))
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize("text", ["{", "", "NaN", "1" * 5000, "[" * 100_000])
async def test_a_file_that_is_not_json(database: AsyncEngine, tmp_path: Path, text: str) -> None:
    with pytest.raises(ImportRefused, match="This is not JSON"):
        await import_sites(database, write(tmp_path, text))


async def test_a_repeated_key_is_refused(database: AsyncEngine, tmp_path: Path) -> None:
    number = new_number()
    text = json.dumps(document(number)).replace('"city":', '"city": "Paris", "city":', 1)
    assert await refused(database, number, write(tmp_path, text)) == [("sites[0].contacts[0]", "city")]
