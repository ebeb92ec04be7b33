"""The limits: bare ASGI applications that answer exactly these two requests with statements written by hand.

`limit_json` lets PostgreSQL build the JSON in one statement and passes the bytes on; `limit_text` lets it concatenate
the same instead; `limit_rows` reads flat rows and writes dicts. None knows GraphQL, checks a token, or asks who may
see what: nothing on this stack can be much faster.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from benchmarks import limits_sql as sql
from benchmarks.limits_text_sql import TEXT_PAGE, TEXT_SAVE

Answer = Callable[[asyncpg.Connection, dict[str, Any]], Awaitable[bytes]]
POOL_SIZE = int(os.environ["DATABASE_POOL_SIZE"])
HIGHEST = ("SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS", "VIEW", *["UPDATE"] * 4, "VIEW")
"""What the primary contact holds, whose levels are not stored."""


class Limit:
    """An ASGI application with two paths, `/page` and `/contact`."""

    def __init__(self, page: Answer, save: Answer) -> None:
        self.answers = {"/page": page, "/contact": save}
        self.idle: asyncio.LifoQueue[asyncpg.Connection] = asyncio.LifoQueue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        connection = await self.idle.get()
        try:
            answer = await self.answers[scope["path"]](connection, json.loads(body))
        finally:
            self.idle.put_nowait(connection)
        length = b"%d" % len(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        for _ in range(POOL_SIZE):
            connection = await asyncpg.connect(
                os.environ["DATABASE_URL"], server_settings={"timezone": "UTC"}
            )
            self.idle.put_nowait(connection)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        while not self.idle.empty():
            await self.idle.get_nowait().close()
        await send({"type": "lifespan.shutdown.complete"})


def passed_on(page: str, save: str) -> Limit:
    """An application that passes on what PostgreSQL wrote."""

    async def read(connection: asyncpg.Connection, variables: dict[str, Any]) -> bytes:
        return await connection.fetchval(page, variables["number"], variables["first"])

    async def write(connection: asyncpg.Connection, variables: dict[str, Any]) -> bytes:
        return await connection.fetchval(save, *_form(variables["input"]))

    return Limit(read, write)


async def rows_page(connection: asyncpg.Connection, variables: dict[str, Any]) -> bytes:
    """The page, from four lists of rows."""
    site = await connection.fetchrow(sql.SITE, variables["number"])
    memberships = await connection.fetch(sql.MEMBERSHIPS, site["id"], variables["first"])
    contacts = await connection.fetch(sql.CONTACTS, site["id"])
    requests = await connection.fetch(sql.REQUESTS, site["id"])
    page = {
        "id": str(site["id"]),
        "number": site["number"],
        "name": site["name"],
        "remainingSecondaryContactSeats": site["seats"],
        "memberships": {"nodes": [_membership(row) for row in memberships]},
        "contacts": [_contact(row) for row in contacts],
        "accessRequests": {"nodes": [_request(row) for row in requests]},
    }
    return _written({"site": page})


async def rows_save(connection: asyncpg.Connection, variables: dict[str, Any]) -> bytes:
    """Save a contact, and write its row."""
    row = await connection.fetchrow(sql.SAVE, *_form(variables["input"]))
    return _written({"updateContact": {"contact": _contact(row), "errors": []}})


def _membership(row: Any) -> dict[str, Any]:
    held = HIGHEST if row[2] == "PRIMARY_CONTACT" else row[9:]
    return {
        "id": str(row[0]),
        "justification": row[1],
        "role": row[2],
        "endsAt": row[3] and row[3].isoformat(),
        "user": {
            "id": str(row[4]),
            "name": _name(row[5], row[6]) or row[7],
            "email": row[8],
            "ibmId": row[7],
        },
        "privileges": {
            "purchaseAndDownload": held[0],
            "reporting": held[1],
            "entitlementInventory": held[2],
            "entitlementAllocations": held[3],
            "accountManagement": {
                "manageAccess": held[4],
                "contactUpdates": held[5],
                "contactUpdateOverview": "VIEW",
                "accountDocuments": held[6],
            },
        },
    }


def _contact(row: Any) -> dict[str, Any]:
    return {
        "id": str(row[0]),
        "firstName": row[1],
        "lastName": row[2],
        "email": row[3],
        "types": row[4],
        "details": {
            "phone": row[5],
            "address": row[6],
            "city": row[7],
            "stateOrProvince": row[8],
            "postalCode": row[9],
            "country": row[10],
        },
    }


def _request(row: Any) -> dict[str, Any]:
    name = _name(row[4], row[5]) or row[6]
    return {
        "id": str(row[0]),
        "justification": row[1],
        "createdAt": row[2].isoformat(),
        "requester": {"id": str(row[3]), "name": name, "email": row[7], "ibmId": row[6]},
    }


def _name(*names: str | None) -> str:
    return " ".join(filter(None, names))


def _form(form: dict[str, Any]) -> list[Any]:
    names = ("contactId", "firstName", "lastName", "email", "types", "phone", "address", "city")
    return [form[name] for name in names] + [
        form.get("stateOrProvince"),
        form.get("postalCode"),
        form["country"],
    ]


def _written(data: dict[str, Any]) -> bytes:
    return json.dumps({"data": data}, separators=(",", ":")).encode()


def json_app() -> Limit:
    """JSON by PostgreSQL's functions for it."""
    return passed_on(sql.JSON_PAGE, sql.JSON_SAVE)


def text_app() -> Limit:
    """JSON concatenated by PostgreSQL."""
    return passed_on(TEXT_PAGE, TEXT_SAVE)


def rows_app() -> Limit:
    """The application that writes dicts from rows."""
    return Limit(rows_page, rows_save)
