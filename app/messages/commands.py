"""What operators do with messages: look at them, send them again, send them from another host."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.embedded import settings_with_database
from app.db.models import Site
from app.db.outbox import Message
from app.log import configure_logging
from app.messages import bounces
from app.messages.delivery import delivery_of
from app.messages.letters import write_letter
from app.messages.queue import requeue
from app.messages.worker import Worker
from app.operating import require_newest_tables, with_engine
from app.query.ids import parse_id, write_id
from app.rules import MessageState
from app.texts import is_readable, site_number

messages = typer.Typer(help="Messages to people: look at them, send them again.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="Id of the message, as `messages list` prints it.")]
SHOWN = (
    "kind",
    "state",
    "email",
    "language",
    "attempts",
    "next_attempt_at",
    "fault",
    "last_error",
    "sent_at",
)


@messages.command(name="list")
def list_messages(
    state: Annotated[MessageState | None, typer.Option(help="Only those in this state.")] = None,
    site: Annotated[str | None, typer.Option(help="Only those about the site with this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List the newest messages: id, when, state, kind, address, attempts, and why the last one failed."""
    conditions = [Message.state == state] if state else []
    conditions += [Site.number == site_number(site)] if site else []
    statement = sa.select(*Message.__table__.c).outerjoin(Site, Site.id == Message.site_id)
    newest = statement.where(*conditions).order_by(Message.created_at.desc(), Message.id.desc())
    for row in _rows(newest.limit(limit)):
        cells = (write_id("message", row.id), f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.state.name)
        typer.echo("  ".join((*cells, row.kind.name, row.email, f"{row.attempts}×", row.last_error or "")))


@messages.command()
def show(id: Id) -> None:
    """Show all that is known of a message, and its text."""
    found = _rows(sa.select(*Message.__table__.c).where(Message.id == _key(id)))
    if not found:
        _refuse("There is no such message.")
    for name in SHOWN:
        value = getattr(found[0], name)
        typer.echo(f"{name}: {getattr(value, 'name', value)}")
    typer.echo(f"data: {json.dumps(found[0].data, ensure_ascii=False)}")
    letter = write_letter(found[0].kind, found[0].language, found[0].data)
    typer.echo(f"\n{letter.subject}\n\n{letter.text}")


@messages.command()
def retry(
    id: Annotated[str | None, typer.Argument(help="Id of a message that was not sent.")] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All dead messages instead of one.")] = False,
) -> None:
    """Send a message that was not sent again, beginning now, with all its attempts; or all dead ones."""
    if (id is None) != all_dead:
        _refuse("Give either the id of a message or --all-dead.")
    which = Message.state == MessageState.DEAD if id is None else Message.id == _key(id)
    again = _with_database(lambda engine: requeue(engine, which))
    if id is not None and not again:
        _refuse("There is no such message, or it was sent.")
    typer.echo(f"{len(again)} messages are queued again.")


@messages.command()
def bounced(
    email: Annotated[str, typer.Option(help="The address that the message was sent to.")],
) -> None:
    """Report that a message came back after the mail server had taken it, for a mail system's bounce handler.

    Those who can do something about it are told, until the address takes a message again or is replaced.
    """
    if not is_readable(email) or not _with_database(lambda engine: bounces.report(engine, email)):
        _refuse("Nobody has this address.")
    typer.echo(f"{email.strip()} takes no mail.")


@messages.command()
def work() -> None:
    """Send messages from this host, beside the servers, until stopped; a message that is being sent is sent."""
    with settings_with_database() as settings:
        configure_logging(settings.log_format)
        with_engine(settings, lambda engine: _work(settings, engine))


async def _work(settings: Settings, engine: AsyncEngine) -> None:
    await require_newest_tables(engine)
    worker = Worker(engine, settings, delivery_of(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(worker.stop))
    await worker.run()


def _rows(statement: sa.Select[Any]) -> list[Any]:
    async def read(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as connection:
            return list(await connection.execute(statement))

    return _with_database(read)


def _with_database(act: Callable[[AsyncEngine], Any]) -> Any:
    with settings_with_database() as settings:
        return with_engine(settings, act)


def _key(id: str) -> Any:
    kind, key = parse_id(id) or ("", None)
    if kind != "message":
        _refuse("This is not the id of a message.")
    return key


def _refuse(text: str) -> None:
    typer.echo(text, err=True)
    raise typer.Exit(1)
