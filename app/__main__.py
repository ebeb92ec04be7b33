"""The command line: for operators, and for whoever tries the service."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app import demo, development, doctor, history_commands
from app.config import Misconfigured, Settings
from app.db.embedded import settings_with_database
from app.db.migrate import newest_revision
from app.db.trouble import DatabaseTrouble
from app.history_commands import Format
from app.messages.commands import messages
from app.operating import migrated, with_engine
from app.rules import Event
from app.schema.schema import build_schema, sdl
from app.server import verifier_of
from app.site_import import ImportRefused, ImportResult, import_document, import_sites
from app.site_transfer import TransferRefused, transfer_primary
from app.webhooks.commands import webhooks

cli = typer.Typer(
    name="account-management",
    help="Account management of customer sites: who may do what. Settings are environment variables; the README "
    "lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sites = typer.Typer(
    help="Create sites, read them from a file, or move a primary contact.", no_args_is_help=True
)
cli.add_typer(sites, name="site")
histories = typer.Typer(
    help="Prove that the history is what was written, or export it.", no_args_is_help=True
)
cli.add_typer(histories, name="history")
cli.add_typer(webhooks, name="webhooks")
cli.add_typer(messages, name="messages")


def main() -> None:
    """Run the command; what an operator can do something about is told in a sentence, not in a traceback."""
    try:
        cli()
    except (DatabaseTrouble, OSError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except Misconfigured as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except ValidationError as error:
        for fault in error.errors():
            name, said = str(next(iter(fault["loc"]), "")).upper(), fault["msg"].removeprefix("Value error, ")
            typer.echo(f"Setting {name}: {said}" if name else said, err=True)
        sys.exit(2)


@cli.command()
def serve(
    workers: Annotated[int, typer.Option(min=1, help="Processes to serve with.")] = 1,
) -> None:
    """Serve the API. In development: migrate, fill in demo data, and print a token for each demo person."""
    # Being asked to end must not end us before the embedded PostgreSQL is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with settings_with_database() as settings:
        if settings.development:
            migrated(settings)
        else:
            verifier_of(settings)
        with_engine(settings, lambda engine: doctor.require_database(settings, engine))
        if settings.development:
            with_engine(settings, demo.fill)
            greet(settings)
    # Where the settings name no database, the process that serves has to bring one.
    become("app.serving" if Settings().database_url else "app.embedded_serving", str(workers))


def become(program: str, *arguments: str) -> NoReturn:
    """Go on as another program, without the memory that we needed so far."""
    command = [sys.executable, "-m", program, *arguments]
    sys.stdout.flush()
    if sys.platform == "win32":
        # There, a program that becomes another one counts as ended.
        sys.exit(subprocess.call(command))  # noqa: S603
    os.execv(command[0], command)  # noqa: S606


def greet(settings: Settings) -> None:
    """Say what to open, and hand out tokens."""
    address = f"http://{settings.host}:{settings.port}"
    typer.echo(
        f"\nExplorer   {address}/\nGraphQL    {address}/graphql\nMessages   {address}/development/messages\n"
        "\nTokens of the demo persons, for 12 hours:\n"
    )
    for persona in development.personas(settings):
        typer.echo(f"{persona['name']}, {persona['description']}\n{persona['token']}\n")


@cli.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    with settings_with_database() as settings:
        migrated(settings)
    typer.echo(f"The tables are at revision {newest_revision()}.")


@cli.command(name="demo")
def fill_in_demo() -> None:
    """Fill in believable demo data, if there is no site yet."""
    with settings_with_database() as settings:
        migrated(settings)
        done = with_engine(settings, demo.fill)
    typer.echo("Demo data is in." if done else "There are sites already; nothing was changed.")


@cli.command()
def token(
    ibm_id: Annotated[str, typer.Option(help="The person's IBMid.")],
) -> None:
    """Print a token of the development issuer, for twelve hours. Needs DEVELOPMENT=true."""
    settings = Settings()
    if not settings.development:
        typer.echo("Only the development issuer hands out tokens: set DEVELOPMENT=true.", err=True)
        raise typer.Exit(1)
    typer.echo(development.token_for(settings, ibm_id))


@cli.command()
def schema() -> None:
    """Print the schema in GraphQL's definition language."""
    typer.echo(sdl(build_schema()), nl=False)


@cli.command(name="doctor")
def diagnose() -> None:
    """Look whether the service can run as it is set up, and say what to do where it cannot."""
    with settings_with_database() as settings:

        async def findings(engine: AsyncEngine) -> list[doctor.Finding]:
            return [finding async for finding in doctor.examine(settings, engine)]

        found = with_engine(settings, findings)
    for finding in found:
        typer.echo(f"{'ok ' if finding.well else 'NOT'} {finding.what}")
        if not finding.well:
            typer.echo(f"    {finding.advice}")
    raise typer.Exit(0 if all(finding.well for finding in found) else 1)


@sites.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A .csv or .json file.", exists=True, dir_okay=False)],
) -> None:
    """Read sites, contacts and users from a file, all or nothing; every fault is named by row and column."""
    with settings_with_database() as settings:
        report(lambda: with_engine(settings, lambda engine: import_sites(engine, file), hurried=False))


@sites.command()
def create(
    number: Annotated[str, typer.Option(help="The number people will type.")],
    name: Annotated[str, typer.Option(help="The customer's name for the site.")],
    primary_ibm_id: Annotated[str, typer.Option(help="IBMid of the primary contact.")],
    primary_email: Annotated[str, typer.Option(help="Their e-mail address.")],
    first_name: Annotated[str, typer.Option(help="Their first name.")],
    last_name: Annotated[str, typer.Option(help="Their last name.")],
    phone: Annotated[str, typer.Option(help="Their telephone number.")],
    address: Annotated[str, typer.Option(help="Street and number.")],
    city: Annotated[str, typer.Option(help="City.")],
    country: Annotated[str, typer.Option(help="Country, two letters, such as FR.")],
    postal_code: Annotated[str | None, typer.Option(help="Postal code.")] = None,
    state_or_province: Annotated[str | None, typer.Option(help="State or province.")] = None,
) -> None:
    """Create a site with its primary contact, who is its primary contact record as well."""
    person = {"firstName": first_name, "lastName": last_name, "email": primary_email}
    contact = {
        **person,
        "phone": phone,
        "address": address,
        "city": city,
        "country": country,
        "postalCode": postal_code,
        "stateOrProvince": state_or_province,
        "types": ["PRIMARY"],
    }
    user = {**person, "ibmId": primary_ibm_id, "role": "PRIMARY_CONTACT"}
    made = {"number": number, "name": name, "contacts": [contact], "users": [user]}
    with settings_with_database() as settings:
        report(
            lambda: with_engine(
                settings,
                lambda engine: import_document(engine, {"sites": [made]}, "command line"),
                hurried=False,
            )
        )


@sites.command(name="transfer-primary")
def move_primary(
    number: Annotated[str, typer.Argument(help="The number of the site.")],
    ibm_id: Annotated[str, typer.Argument(help="IBMid of the member who becomes the primary contact.")],
    reason: Annotated[str, typer.Option(help="Why, for the history of the site.")],
) -> None:
    """Make a member the primary contact without a nomination, for a documented reason.

    The former one becomes a secondary contact, or a user when all four seats are taken.
    """
    with settings_with_database() as settings:
        try:
            with_engine(settings, lambda engine: transfer_primary(engine, number, ibm_id, reason))
        except TransferRefused as refused:
            typer.echo(f"{refused} Nothing was written.", err=True)
            raise typer.Exit(1) from refused
    typer.echo(f"{ibm_id} is the primary contact of site {number}.")


@histories.command()
def verify(
    site: Annotated[
        str | None, typer.Option(help="Number of the one site to look at; all by default.")
    ] = None,
) -> None:
    """Hash every event anew and compare the links of the chain; ends with 1 at the first one that is broken."""
    with settings_with_database() as settings:
        raise typer.Exit(
            0 if with_engine(settings, lambda engine: history_commands.verify(engine, site)) else 1
        )


@histories.command()
def export(
    site: Annotated[str, typer.Option(help="Number of the site.")],
    format: Annotated[Format, typer.Option(help="For spreadsheets, or for programs.")] = Format.CSV,
    actor: Annotated[
        list[str] | None, typer.Option(help="Only what this user did, by id; repeatable.")
    ] = None,
    subject: Annotated[list[str] | None, typer.Option(help="Only what is about this id; repeatable.")] = None,
    event: Annotated[list[Event] | None, typer.Option(help="Only these events; repeatable.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="From this moment on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment, in UTC.")] = None,
    text: Annotated[str | None, typer.Option(help="Only events whose words contain all of these.")] = None,
) -> None:
    """Write the history of a site to the standard output: the whole of it unless filtered, contact details included."""
    wanted = {
        "actorIds": actor,
        "subjectIds": subject,
        "events": event,
        "from": since,
        "until": until,
        "text": text,
    }
    filter = {name: value for name, value in wanted.items() if value}
    with settings_with_database() as settings:
        done = with_engine(
            settings, lambda engine: history_commands.export(engine, site, format.value, filter)
        )
        raise typer.Exit(0 if done else 1)


def report(work: Callable[[], ImportResult]) -> None:
    """Say what an import did, or every fault it was refused for."""
    try:
        result = work()
    except ImportRefused as refused:
        for fault in refused.faults:
            typer.echo(str(fault), err=True)
        typer.echo(f"Nothing was written: {len(refused.faults)} faults.", err=True)
        raise typer.Exit(1) from refused
    typer.echo(
        f"{result.sites} sites, {result.contacts} contacts, {result.memberships} memberships,"
        f" {result.users} new users."
    )


if __name__ == "__main__":
    main()
