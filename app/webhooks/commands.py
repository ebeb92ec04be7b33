"""The operator's commands for webhooks: work, list, retry."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.embedded import settings_with_database
from app.db.models import Site
from app.db.webhooks import Webhook, WebhookDelivery
from app.log import configure_logging
from app.operating import require_newest_tables, with_engine
from app.query.ids import parse_id, write_id
from app.texts import site_number
from app.webhook_rules import WebhookDeliveryState, host_of
from app.webhooks.sender import Sender
from app.webhooks.worker import Worker

webhooks = typer.Typer(help="Send webhooks, see what became of them, send them again.", no_args_is_help=True)
Number = Annotated[str | None, typer.Option("--site", help="Only of the site with this number.")]


@webhooks.command()
def work(
    once: Annotated[bool, typer.Option("--once", help="Send what is due now, and end.")] = False,
) -> None:
    """Send webhooks until it is told to end (SIGINT or SIGTERM), beside servers or instead of their workers."""
    with settings_with_database() as settings:
        configure_logging(settings.log_format)
        attempts = with_engine(settings, lambda engine: _work(settings, engine, once))
    if once:
        typer.echo(f"{attempts} attempts.")


async def _work(settings: Settings, engine: AsyncEngine, once: bool) -> int:
    await require_newest_tables(engine)
    worker = Worker(settings, engine, Sender(settings.webhook_private_addresses))
    if once:
        try:
            return await worker.once()
        finally:
            await worker.close()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: loop.call_soon_threadsafe(worker.stop))
    await worker.run()
    return 0


@webhooks.command(name="list")
def list_deliveries(
    site: Number = None,
    state: Annotated[WebhookDeliveryState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """Show deliveries, the newest first: id, site, receiver, event, state, attempts, last outcome."""
    conditions = _conditions(site, state)
    with settings_with_database() as settings:
        rows = with_engine(settings, lambda engine: _listed(engine, conditions, limit))
    for row in rows:
        typer.echo("  ".join(row))
    typer.echo(f"{len(rows)} deliveries.")


async def _listed(engine: AsyncEngine, conditions: list[Any], limit: int) -> list[Sequence[str]]:
    delivery = WebhookDelivery
    statement = (
        sa.select(delivery, Site.number, Webhook.url)
        .join(Webhook, sa.and_(Webhook.site_id == delivery.site_id, Webhook.id == delivery.webhook_id))
        .join(Site, Site.id == delivery.site_id)
        .where(*conditions)
        .order_by(delivery.created_at.desc(), delivery.id.desc())
        .limit(limit)
    )
    async with engine.connect() as connection:
        return [_line(row) for row in await connection.execute(statement)]


def _line(row: Any) -> Sequence[str]:
    event = row.event.name if row.event else "PING"
    outcome = row.last_error.name if row.last_error else "-"
    status = str(row.last_status) if row.last_status else "-"
    id = write_id("webhook_delivery", row.id)
    return id, row.number, host_of(row.url), event, row.state.name, f"{row.attempts}x", outcome, status


@webhooks.command()
def retry(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of deliveries; otherwise all that are dead.")
    ] = None,
    site: Number = None,
) -> None:
    """Send deliveries again, each with all attempts before it: those named, or all that are dead."""
    keys = [parse_id(id) for id in ids or ()]
    if not all(key and key[0] == "webhook_delivery" for key in keys):
        typer.echo("These are not all ids of deliveries, such as webhooks list shows.", err=True)
        raise typer.Exit(1)
    conditions = _conditions(site, None if ids else WebhookDeliveryState.DEAD)
    if ids:
        conditions.append(WebhookDelivery.id.in_([key[1] for key in keys if key]))
    with settings_with_database() as settings:
        count = with_engine(settings, lambda engine: _queue(engine, conditions))
    typer.echo(f"{count} deliveries are queued again.")


async def _queue(engine: AsyncEngine, conditions: list[Any]) -> int:
    # Those of an inactive webhook are queued as well, and wait until it is active.
    active = sa.select(Webhook.active).where(
        Webhook.site_id == WebhookDelivery.site_id, Webhook.id == WebhookDelivery.webhook_id
    )
    values = {
        "state": WebhookDeliveryState.QUEUED,
        "attempts": 0,
        "next_attempt_at": sa.case((active.correlate(WebhookDelivery).scalar_subquery(), sa.func.now())),
        "delivered_at": None,
    }
    async with engine.begin() as connection:
        result = await connection.execute(sa.update(WebhookDelivery).where(*conditions).values(values))
        return result.rowcount


def _conditions(site: str | None, state: WebhookDeliveryState | None) -> list[Any]:
    found: list[Any] = []
    if site is not None:
        of_site = sa.select(Site.id).where(Site.number == site_number(site)).scalar_subquery()
        found.append(WebhookDelivery.site_id == of_site)
    if state is not None:
        found.append(WebhookDelivery.state == state)
    return found
