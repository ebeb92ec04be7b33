"""Sites to import in which nothing is wrong, and what came of them."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db.models import Site, User
from app.site_import import ImportRefused, import_document, import_sites

Document = dict[str, Any]
PEOPLE = ("paul", "sven", "uma")


def ibm_id(name: str, number: str) -> str:
    """The IBMid of somebody at a test's own site."""
    return f"{name}-{number.lower()}@example.com"


def site(number: str) -> Document:
    """A site in which nothing is wrong, for a test to spoil."""
    contact = {
        "firstName": "Claire",
        "lastName": "Fontaine",
        "phone": "04 65 71 10 01",
        "email": "claire.fontaine@example.com",
        "address": "18 quai Rambaud",
        "city": "Lyon",
        "postalCode": "69002",
        "country": "FR",
        "types": ["PRIMARY", "BILLING"],
    }
    paul, sven, uma = ({"ibmId": ibm_id(name, number), "email": ibm_id(name, number)} for name in PEOPLE)
    given = {"reporting": "VIEW", "accountManagement": {"manageAccess": "UPDATE"}}
    return {
        "number": number,
        "name": "Boulangeries Réunies",
        "pendingRequestDays": 30,
        "contacts": [contact, contact | {"firstName": "Didier", "types": ["BILLING"]}],
        "users": [
            paul | {"role": "PRIMARY_CONTACT", "firstName": "Paul", "lastName": "Étienne", "language": "FR"},
            sven | {"role": "SECONDARY_CONTACT", "justification": "Informatique", "privileges": given},
            uma | {"role": "USER", "endsAt": "2031-12-31", "privileges": {"purchaseAndDownload": "NONE"}},
        ],
    }


def document(*numbers: str) -> Document:
    """A document of such sites."""
    return {"sites": [site(number) for number in numbers]}


CSV = """\
kind;siteNumber;name;pendingRequestDays;firstName;lastName;phone;email;address;city;postalCode;country;types;\
ibmId;language;role;justification;endsAt;purchaseAndDownload;reporting;accountManagement.manageAccess
user;{0};;;Paul;Étienne;;{paul};;;;;;{paul};FR;PRIMARY_CONTACT;;;;;
user;{0};;;;;;{sven};;;;;;{sven};;secondary_contact;"Informatique";;;VIEW;UPDATE

site;{0};Boulangeries Réunies;30;;;;;;;;;;;;;;;;;
contact;{0};;;Claire;Fontaine;04 65 71 10 01;claire.fontaine@example.com;18 quai Rambaud;Lyon;69002;FR;PRIMARY BILLING
contact;{0};;;Didier;Fontaine;04 65 71 10 01;claire.fontaine@example.com;18 quai Rambaud;Lyon;69002;FR;BILLING;;;;;;;;
user;{0};;;;;;{uma};;;;;;{uma};;USER;;2031-12-31;NONE;;
"""


def csv_text(number: str) -> str:
    """The same site as a CSV file, in another order; `Paul` is on line 2, the site on line 5."""
    return CSV.format(number, **{name: ibm_id(name, number) for name in PEOPLE})


def new_number() -> str:
    """A site number that nobody else uses."""
    return uuid4().hex[:12].upper()


async def rows(database: AsyncEngine, model: Any, *conditions: Any, order: Any = None) -> list[Any]:
    """Rows as they are in the database."""
    async with AsyncSession(database) as session:
        return list(await session.scalars(sa.select(model).where(*conditions).order_by(order)))


async def people_of(database: AsyncEngine, number: str) -> list[Any]:
    """The users a test's own site has brought into the database."""
    return await rows(database, User, User.ibm_id.contains(number.lower()), order=User.ibm_id)


async def refused(database: AsyncEngine, number: str, given: Document | Path) -> list[tuple[Any, Any]]:
    """Row and column of every fault of an import that must be refused, having written nothing of the site."""
    people = await people_of(database, number)
    with pytest.raises(ImportRefused) as caught:
        await (
            import_sites(database, given)
            if isinstance(given, Path)
            else import_document(database, given, "test")
        )
    assert await rows(database, Site, Site.number == number) == []
    assert len(await people_of(database, number)) == len(people)
    assert all(fault.text and not re.search("[{}]", fault.text) for fault in caught.value.faults)
    return [(fault.row, fault.column) for fault in caught.value.faults]


def write(folder: Path, text: str | bytes, name: str = "sites.json") -> Path:
    """A file to import."""
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def csv_file(folder: Path, text: str | bytes) -> Path:
    """The same, as CSV."""
    return write(folder, text, "sites.csv")
