"""Every message with demo data, to be looked at in development."""

from html import escape
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from app.messages.letters import Letter, write_letter
from app.rules import Language, MessageKind

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
PORTAL = "https://portal.example.com/"
SITE = {"site_number": "0007041833", "site_name": "Boulangeries Réunies", "recipient_name": "Claire Fontaine"}
LOW = {"purchase_and_download": "SOFTWARE_DOWNLOAD", "reporting": "VIEW", "entitlement_inventory": "NONE"}
HIGH = LOW | {"reporting": "NONE", "entitlement_inventory": "UPDATE", "manage_access": "UPDATE"}
ACCESS = {"role": "USER", "levels": LOW, "ends_at": None}
DEMO: dict[MessageKind, dict[str, Any]] = {
    MessageKind.ACCESS_REQUESTED: {
        "requester_name": "Lucas Petit",
        "requester_email": "lucas.petit@boulangeries-reunies.example.com",
        "requester_ibm_id": "lucas.petit@boulangeries-reunies.example.com",
        "justification": "Je prépare le déploiement des nouvelles caisses.\nJe dois télécharger le logiciel.",
        "levels": LOW,
        "request_kind": "HIGHER_LEVEL",
        "requested_role": "SECONDARY_CONTACT",
        "requested_ends_at": None,
    },
    MessageKind.ACCESS_GRANTED: ACCESS,
    MessageKind.ACCESS_DENIED: {"reason": "ACCESS_NOT_NECESSARY", "request_kind": "ACCESS"},
    MessageKind.ACCESS_REQUEST_EXPIRED: {
        "request_kind": "ACCESS",
        "requested_at": "2026-02-01T09:30:00+00:00",
        "expired_at": "2026-03-03T09:30:00+00:00",
    },
    MessageKind.WELCOME: ACCESS | {"ends_at": "2026-12-31T23:00:00+00:00"},
    MessageKind.ACCESS_CHANGED: {
        "role": "SECONDARY_CONTACT",
        "levels": HIGH,
        "ends_at": None,
        "former_role": "USER",
        "former_levels": LOW | {"manage_access": "NONE"},
        "former_ends_at": "2026-12-31T23:00:00+00:00",
    },
    MessageKind.ACCESS_REMOVED: {},
    MessageKind.ACCESS_ENDS: {"ends_at": "2026-12-31T23:00:00+00:00", "days": 14},
    MessageKind.PRIMARY_CONTACT_NOMINATED: {
        "nominator_name": "Julien Moreau",
        "expires_at": "2026-03-01T09:30:00+00:00",
    },
    MessageKind.PRIMARY_CONTACT_HANDED_OVER: {
        "former_name": "Julien Moreau",
        "new_name": "Claire Fontaine",
        "former_role": "SECONDARY_CONTACT",
    },
    MessageKind.MONTHLY_REVIEW: {"last_review_at": "2026-02-01T09:30:00+00:00"},
}
"""What each kind of message is about, with everything its template needs."""


def demo_letter(kind: MessageKind, language: Language) -> Letter:
    """The letter of a kind with the demo data."""
    return write_letter(kind, language, SITE | DEMO[kind], PORTAL)


async def show_all(_request: Request) -> Response:
    """The list of all messages."""
    rows = "".join(_row(kind) for kind in MessageKind)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Messages</title></head>'
        '<body style="font: 16px/1.5 sans-serif; margin: 24px"><h1>Messages to people</h1>'
        f'<table style="border-spacing: 16px 4px; text-align: left">{rows}</table></body></html>'
    )
    return HTMLResponse(page, headers=HEADERS)


def _row(kind: MessageKind) -> str:
    cells = "".join(
        f'<td><a href="/development/messages/{kind.name}/{language.value}">'
        f'{escape(demo_letter(kind, language).subject)}</a> <a href="/development/messages/{kind.name}/'
        f'{language.value}.txt">text</a></td>'
        for language in Language
    )
    return f"<tr><th>{kind.name}</th>{cells}</tr>"


async def show_html(request: Request) -> Response:
    """A message as HTML."""
    return HTMLResponse(_asked_for(request).html, headers=HEADERS)


async def show_text(request: Request) -> Response:
    """A message as text, its subject first."""
    letter = _asked_for(request)
    return PlainTextResponse(f"{letter.subject}\n\n{letter.text}", headers=HEADERS)


def _asked_for(request: Request) -> Letter:
    try:
        kind = MessageKind[request.path_params["kind"]]
        return demo_letter(kind, Language(request.path_params["language"]))
    except (KeyError, ValueError) as error:
        raise HTTPException(404, "There is no such message.") from error
