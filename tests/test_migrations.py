"""The migrations make the tables that the models describe, can be taken back, and tell where they are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from app.__main__ import cli
from app.config import Misconfigured, Settings
from app.db import privilege_uses, site_rules, webhooks  # noqa: F401 - their tables belong to the metadata
from app.db.engine import SERVER_ROLE, async_url
from app.db.migrate import alembic_config, current_revision, migrate, newest_revision
from app.db.outbox import Message
from app.db.trouble import DatabaseTrouble
from app.doctor import require_database
from app.operating import migrated, with_engine
from tests.conftest import administer, in_database

T = TypeVar("T")
CATALOGUE = {
    "columns": """
        SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated,
            attcollation::regcollation, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped""",
    "constraints": """
        SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('t', 'n')""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "enums": "SELECT enumtypid::regtype, enumlabel, row_number() OVER (PARTITION BY enumtypid"
    " ORDER BY enumsortorder) FROM pg_enum",
}
OTHERS = {
    "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "triggers": "SELECT tgrelid::regclass, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "rights": """
        SELECT name, acl::text FROM (
            SELECT relname AS name, unnest(relacl) AS acl FROM pg_class
            UNION ALL SELECT nspname, unnest(nspacl) FROM pg_namespace
        ) AS objects WHERE acl::text LIKE 'account_management_server=%'""",
}


@pytest.fixture
def fresh_url(server_url: str) -> Iterator[str]:
    """A database with nothing in it, not even our tables."""
    name = f"fresh_{uuid4().hex}"
    asyncio.run(administer(server_url, f"CREATE DATABASE {name}"))
    yield in_database(server_url, name)
    asyncio.run(administer(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def plain_url(server_url: str, template: str) -> Iterator[str]:
    """The same, as its owner, who may do nothing elsewhere; the role of the server is there already."""
    name = f"plain_{uuid4().hex}"
    owned = (f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}")
    asyncio.run(administer(server_url, *owned))
    yield async_url(server_url).set(username=name, database=name).render_as_string(hide_password=False)
    asyncio.run(administer(server_url, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}"))


def in_transaction(url: str, act: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do something in a database, as its owner."""

    async def connected() -> T:
        engine = create_async_engine(async_url(url), poolclass=NullPool)
        async with engine.begin() as connection:
            result = await act(connection)
        await engine.dispose()
        return result

    return asyncio.run(connected())


def described(url: str, queries: dict[str, str]) -> dict[str, set[tuple[Any, ...]]]:
    """What the database says of itself, but for the table in which Alembic keeps the revision."""

    async def describe(connection: AsyncConnection) -> dict[str, set[tuple[Any, ...]]]:
        rows = {
            name: {tuple(map(str, row)) for row in await connection.execute(text(query))}
            for name, query in queries.items()
        }
        return {
            name: {
                row for row in found if name == "rights" or not any("alembic_version" in cell for cell in row)
            }
            for name, found in rows.items()
        }

    return in_transaction(url, describe)


def revision(url: str) -> str | None:
    return in_transaction(url, current_revision)


async def make_from_models(connection: AsyncConnection) -> None:
    """The tables as the models describe them; the function in a check has to be there before."""
    function = (
        "CREATE FUNCTION has_no_duplicates(items anyarray) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    )
    await connection.execute(text(function))
    await connection.run_sync(Message.metadata.create_all)


def test_alembic_finds_nothing_to_migrate(fresh_url: str) -> None:
    migrate(fresh_url)
    command.check(alembic_config(fresh_url))


def test_models_and_migrations_make_the_same_tables(fresh_url: str, database_url: str) -> None:
    """Alembic compares no checks, no conditions of indexes and no values of enums; the catalogue has all."""
    in_transaction(fresh_url, make_from_models)
    by_models, by_migrations = described(fresh_url, CATALOGUE), described(database_url, CATALOGUE)
    for name in CATALOGUE:
        assert by_models[name] == by_migrations[name]


def test_down_to_nothing_and_up_again(fresh_url: str) -> None:
    queries = CATALOGUE | OTHERS
    migrate(fresh_url)
    first = described(fresh_url, queries)
    assert all(first.values())
    command.downgrade(alembic_config(fresh_url), "base")
    assert not any(described(fresh_url, queries).values())
    assert revision(fresh_url) is None
    migrate(fresh_url)
    assert described(fresh_url, queries) == first


def test_every_single_migration_can_be_taken_back(fresh_url: str) -> None:
    config = alembic_config(fresh_url)
    for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions())):
        command.upgrade(config, script.revision)
        after = described(fresh_url, CATALOGUE | OTHERS)
        command.downgrade(config, "-1")
        command.upgrade(config, script.revision)
        assert described(fresh_url, CATALOGUE | OTHERS) == after


def test_revision_is_told(fresh_url: str) -> None:
    assert revision(fresh_url) is None
    migrate(fresh_url)
    assert revision(fresh_url) == newest_revision()


def test_migrating_twice_as_a_plain_owner_changes_nothing(plain_url: str) -> None:
    migrate(plain_url)
    first = described(plain_url, CATALOGUE | OTHERS)
    migrate(plain_url)
    assert described(plain_url, CATALOGUE | OTHERS) == first


def test_migration_that_fails_leaves_nothing_behind(fresh_url: str) -> None:
    in_transaction(fresh_url, lambda connection: connection.execute(text("CREATE TABLE contact (id int)")))
    before = described(fresh_url, CATALOGUE | OTHERS)
    with pytest.raises(DBAPIError, match="contact"):
        migrate(fresh_url)
    assert described(fresh_url, CATALOGUE | OTHERS) == before
    assert revision(fresh_url) is None


def test_migrations_take_turns_and_their_time_but_do_not_wait_long_for_another_lock(fresh_url: str) -> None:
    name = async_url(fresh_url).database
    asyncio.run(administer(fresh_url, f"ALTER DATABASE {name} SET statement_timeout = '1min'"))
    patience, turns = [], []
    limits = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    turn = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND granted"

    def ask(connection: Connection) -> None:
        patience.append(tuple(connection.exec_driver_sql(limits).one()))
        turns.append(connection.exec_driver_sql(turn).scalar())

    event.listen(Engine, "commit", ask)
    try:
        migrate(fresh_url)
    finally:
        event.remove(Engine, "commit", ask)
    assert len(patience) > 10 and set(patience) == {("5s", "0")}
    assert set(turns) == {1}


async def revise_as_newer_code(connection: AsyncConnection) -> None:
    """A revision that nobody here knows."""
    await connection.execute(text("CREATE TABLE alembic_version AS SELECT '9999' AS version_num"))
    await connection.execute(text(f"GRANT SELECT ON alembic_version TO {SERVER_ROLE}"))


def test_tables_of_newer_code_are_left_alone(fresh_url: str, template: str) -> None:
    in_transaction(fresh_url, revise_as_newer_code)
    settings = Settings(database_url=fresh_url)
    with pytest.raises(DatabaseTrouble, match="newer version of the service"):
        migrated(settings)
    with pytest.raises(Misconfigured, match="newer version of the service"):
        with_engine(settings, lambda engine: require_database(settings, engine))


@pytest.mark.parametrize("worker", [["messages", "work"], ["webhooks", "work", "--once"]])
def test_workers_do_not_begin_on_older_tables(fresh_url: str, template: str, worker: list[str]) -> None:
    """They would send what they cannot mark as sent, again and again."""
    result = CliRunner().invoke(cli, worker, env={"DATABASE_URL": fresh_url})
    assert isinstance(result.exception, DatabaseTrouble)
    assert "run account-management migrate" in str(result.exception)


async def write_names(connection: AsyncConnection) -> None:
    """People whose names were folded as far as Unicode does it."""
    for name in ("łukasz", "øster", "æsa", "ada"):
        person = 'INSERT INTO "user" (id, ibm_id, email, sort_name) VALUES (gen_random_uuid(), :name, :name, :name)'
        await connection.execute(text(person).bindparams(name=name))


async def sort_names(connection: AsyncConnection) -> list[str]:
    """Names in their order."""
    return list(await connection.scalars(text('SELECT sort_name FROM "user" ORDER BY sort_name')))


def test_names_are_folded_anew(fresh_url: str) -> None:
    command.upgrade(alembic_config(fresh_url), "0011")
    in_transaction(fresh_url, write_names)
    migrate(fresh_url)
    assert in_transaction(fresh_url, sort_names) == ["ada", "aesa", "lukasz", "oster"]


async def write_people(connection: AsyncConnection) -> None:
    """One whose import said French, one of whom nothing is known, and one who has signed in and said French."""
    person = (
        'INSERT INTO "user" (id, ibm_id, email, sort_name, language, issuer, subject)'
        " VALUES (gen_random_uuid(), :name, :name, :name, :language, :issuer, :issuer)"
    )
    for name, language, issuer in (
        ("imported", "FR", None),
        ("added", "EN", None),
        ("signed in", "FR", "https://x"),
    ):
        values = {"name": name, "language": language, "issuer": issuer}
        await connection.execute(text(person), values)


async def given_languages(connection: AsyncConnection) -> list[str]:
    """Who has been given a language."""
    return list(await connection.scalars(text('SELECT ibm_id FROM "user" WHERE language_given')))


def test_languages_that_imports_gave_are_known(fresh_url: str) -> None:
    command.upgrade(alembic_config(fresh_url), "0013")
    in_transaction(fresh_url, write_people)
    migrate(fresh_url)
    assert in_transaction(fresh_url, given_languages) == ["imported"]


async def write_contacts(connection: AsyncConnection) -> None:
    """Contacts of a site that is not there."""
    await connection.execute(text("SET LOCAL session_replication_role = replica"))
    contact = text(
        "INSERT INTO contact (site_id, id, first_name, last_name, phone, email, address, city, country, types)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), 'Ana', :name, '', '', '', '', 'FR', '{BILLING}')"
    )
    for name in ("Zola", "Élie", "ØRSTED", "Straße", "elie"):
        await connection.execute(contact, {"name": name})


async def contact_names(connection: AsyncConnection) -> list[str]:
    """What contacts are sorted by, in that order."""
    return list(await connection.scalars(text("SELECT sort_name FROM contact ORDER BY sort_name")))


def test_contacts_that_were_there_are_sorted_as_new_ones_are(fresh_url: str) -> None:
    command.upgrade(alembic_config(fresh_url), "0014")
    in_transaction(fresh_url, write_contacts)
    migrate(fresh_url)
    names = ["elie ana", "elie ana", "orsted ana", "strasse ana", "zola ana"]
    assert in_transaction(fresh_url, contact_names) == names


async def append_as_before(connection: AsyncConnection) -> None:
    """Two events, hashed by the trigger that the database has at this revision."""
    await connection.execute(
        text(
            "INSERT INTO history_event (stream, event, actor_name, subject_type, subject_id, subject_name, after)"
            " SELECT key, 'USER_REGISTERED', 'me', 'user', key, 'é', jsonb_build_object('é', NULL, 'b', 1)"
            " FROM (SELECT gen_random_uuid() AS key) AS one, generate_series(1, 2)"
        )
    )


async def wrong_hashes(connection: AsyncConnection) -> tuple[Any, ...]:
    """How many events there are, how many ids they have, and how many of their hashes are wrong."""
    row = await connection.execute(
        text(
            "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE hash <> hash_of_history_event(written))"
            " FROM history_event AS written"
        )
    )
    return tuple(row.one())


def test_hashes_that_are_older_than_the_ids_of_events_stay_valid(fresh_url: str) -> None:
    command.upgrade(alembic_config(fresh_url), "0006")
    in_transaction(fresh_url, append_as_before)
    migrate(fresh_url)
    in_transaction(fresh_url, append_as_before)
    assert in_transaction(fresh_url, wrong_hashes) == (4, 4, 0)


async def write_messages(connection: AsyncConnection) -> None:
    """Messages as they were before addresses were kept: refused, refused and sent later, failed otherwise."""
    await connection.execute(
        text(
            """INSERT INTO "user" (id, ibm_id, email, sort_name) SELECT gen_random_uuid(), 'me', 'me', 'me'"""
        )
    )
    for email, state, fault, days in (
        ("Gone@x.fr", "DEAD", "RECIPIENT_REFUSED", 9),
        ("gone@x.fr", "SENT", None, 10),
        ("back@x.fr", "DEAD", "RECIPIENT_REFUSED", 9),
        ("Back@x.fr", "SENT", None, 8),
        ("busy@x.fr", "DEAD", "TRY_LATER", 9),
    ):
        values = {"email": email, "state": state, "fault": fault, "days": days}
        await connection.execute(
            text(
                "INSERT INTO message"
                " (id, recipient_id, email, language, kind, data, state, next_attempt_at, fault, last_error, sent_at,"
                " created_at) SELECT gen_random_uuid(), id, :email, 'EN', 'WELCOME', '{}',"
                " CAST(:state AS message_state), NULL, CAST(:fault AS message_fault), CAST(:fault AS text),"
                " CASE WHEN :state = 'SENT' THEN now() - make_interval(days => :days) END,"
                ' now() - make_interval(days => :days) FROM "user"'
            ),
            values,
        )


async def undeliverable(connection: AsyncConnection) -> list[str]:
    return list(await connection.scalars(text("SELECT email FROM undeliverable_address")))


def test_addresses_that_have_refused_the_last_message_are_known(fresh_url: str) -> None:
    command.upgrade(alembic_config(fresh_url), "0009")
    in_transaction(fresh_url, write_messages)
    migrate(fresh_url)
    assert in_transaction(fresh_url, undeliverable) == ["gone@x.fr"]


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("")).get_heads()) == 1
