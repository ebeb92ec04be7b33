"""What is asked, in the words of each kind of server, and how answers are brought into one form to be compared."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from benchmarks.load import Make, post

OPERATIONS = ("page50", "cold", "page500", "mutation")
STEP = 7919
"""A prime, so that one site after the other is visited, far from the last one, none twice in a row."""

CONTACT = """
fragment Whole on Contact {
  id firstName lastName email types
  details { phone address city stateOrProvince postalCode country }
}"""
PAGE = (
    """query Page($number: String!, $first: Int!) {
  site(number: $number) {
    id number name remainingSecondaryContactSeats
    memberships(first: $first) {
      nodes {
        id role justification endsAt
        user { id name email ibmId }
        privileges {
          purchaseAndDownload reporting entitlementInventory entitlementAllocations
          accountManagement { manageAccess contactUpdates contactUpdateOverview accountDocuments }
        }
      }
    }
    contacts { ...Whole }
    accessRequests(filter: {states: [PENDING]}) {
      nodes { id justification createdAt requester { id name email ibmId } }
    }
  }
}"""
    + CONTACT
)
SAVE = (
    """mutation Save($input: UpdateContactInput!) {
  updateContact(input: $input) { contact { ...Whole } errors { code message path } }
}"""
    + CONTACT
)
SEATS = "remainingSecondaryContactSeats"
"""A field of the site which all have; a never seen document asks for it once more, under a name never used."""


class Speech(Protocol):
    """Puts the operations into the words of a kind of server."""

    def page(self, site: int, first: int, unseen: int | None = None) -> bytes:
        """The page of a site; with a document that nobody has seen when `unseen` is given."""
        ...

    def save(self, site: int, turn: int) -> bytes:
        """Save the second contact of a site, with an address of this turn."""
        ...

    def told(self, data: dict[str, Any]) -> dict[str, Any]:
        """What is under `data`, with the names and the nesting that all others have."""
        ...


def key(kind: int, site: int, place: int) -> UUID:
    """The key of a row, as `fill.sql` makes it."""
    return UUID(f"{site:08x}-0000-7{kind:03x}-8000-{place:012x}")


def number(site: int) -> str:
    """The number of a site, as `fill.sql` makes it."""
    return f"S{site:07}"


def form(site: int, turn: int) -> dict[str, Any]:
    """A contact as it shall be, in which only the address is new."""
    return {
        "firstName": "Camille",
        "lastName": "Durand",
        "phone": "+33142685300",
        "email": f"camille.durand@site{site}.example.com",
        "address": f"{turn} rue de la Paix",
        "city": "Paris",
        "postalCode": "75002",
        "country": "FR",
        "types": ["BILLING"],
    }


def contact(site: int) -> UUID:
    """The contact of a site that is saved again and again."""
    return key(4, site, 2)


@dataclass(frozen=True)
class GraphQL:
    """The product, and the servers that have the same schema. With tokens by site where they are asked for."""

    tokens: Mapping[int, str] = field(default_factory=dict)
    id: Callable[[UUID], str] = str

    def page(self, site: int, first: int, unseen: int | None = None) -> bytes:
        """The page of a site."""
        document = PAGE if unseen is None else PAGE.replace(SEATS, f"{SEATS} cold{unseen}: {SEATS}")
        return self._post(site, document, {"number": number(site), "first": first})

    def save(self, site: int, turn: int) -> bytes:
        """Save a contact."""
        return self._post(site, SAVE, {"input": {"contactId": self.id(contact(site)), **form(site, turn)}})

    def _post(self, site: int, document: str, variables: dict[str, Any]) -> bytes:
        body = json.dumps({"query": document, "variables": variables}).encode()
        return post("/graphql", body, self.tokens.get(site))

    def told(self, data: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return data


@dataclass(frozen=True)
class Variables:
    """The limits: no document, only its variables."""

    def page(self, site: int, first: int, unseen: int | None = None) -> bytes:
        """The page of a site."""
        return post("/page", json.dumps({"number": number(site), "first": first}).encode())

    def save(self, site: int, turn: int) -> bytes:
        """Save a contact."""
        variables = {"input": {"contactId": str(contact(site)), **form(site, turn)}}
        return post("/contact", json.dumps(variables).encode())

    def told(self, data: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return data


def make(speech: Speech, operation: str, sites: int) -> Make:
    """The requests of an operation, turn by turn; all but those for the large page go from site to site."""

    def request(turn: int) -> bytes:
        site = 1 + turn * STEP % sites
        match operation:
            case "page50":
                return speech.page(site, 50)
            case "page500":
                return speech.page(sites + 1, 500)
            case "mutation":
                return speech.save(site, turn)
        return speech.page(site, 50, unseen=turn)

    return request


def compared(speech: Speech, body: bytes) -> Any:
    """An answer in the one form in which all must be equal: keys as UUIDs, moments in one notation."""
    answer = json.loads(body)
    assert set(answer) == {"data"}, sorted(answer)
    return _plain(speech.told(answer["data"]))


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, name) for item in value]
    if name == "id":
        return UUID(value.replace("-", "")[-32:])
    if name in ("createdAt", "endsAt") and value is not None:
        return datetime.fromisoformat(value)
    return value
