"""Behind a pooler in transaction mode: what holds, and what the service and its doctor say when it cannot."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.__main__ import main
from app.config import Settings
from app.db.engine import SERVER_ROLE, async_url
from app.server import create_app
from tests.conftest import administer
from tests.pooler import pooler
from tests.test_cli import Environment, run
from tests.world import World


@pytest.fixture
def login(database_url: str) -> Iterator[str]:
    """The database as a login of the server's own reaches it."""
    name = f"login_{uuid4().hex}"
    granted = f"GRANT {SERVER_ROLE} TO {name}"
    asyncio.run(administer(database_url, f"CREATE ROLE {name} LOGIN", granted))
    yield async_url(database_url).set(username=name, password=None).render_as_string(hide_password=False)
    asyncio.run(administer(database_url, f"DROP ROLE {name}"))


@pytest.fixture
def environment(login: str, tmp_path: Path) -> Environment:
    """The settings of an operator whose pooler is still to come."""
    try:
        asyncio.run(administer(login, "SELECT 1"))
    except asyncpg.InvalidPasswordError:
        pytest.skip("the database lets nobody in without a password")
    return {"LISTEN_DATABASE_URL": login, "DATA_DIRECTORY": str(tmp_path), "DEVELOPMENT": "true"}


@pytest.fixture
def told(database_url: str, environment: Environment) -> Environment:
    """The same, after the operator has done what the doctor says behind a pooler that ignores what it does not know."""
    with pooler(environment["LISTEN_DATABASE_URL"]) as behind:
        found = run("doctor", environment | {"DATABASE_URL": behind}, expected=1)
    asyncio.run(administer(database_url, *re.findall(r"ALTER ROLE [^;]*", found)))
    return environment


def refusal(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Why the service does not start."""
    for key, text in environment.items():
        monkeypatch.setenv(key, text)
    monkeypatch.setattr(sys, "argv", ["account-management", "serve"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_a_pooler_refuses_it_has_to_ignore(environment: Environment) -> None:
    with pooler(environment["LISTEN_DATABASE_URL"], ignores_the_rest=False) as behind:
        found = run("doctor", environment | {"DATABASE_URL": behind}, expected=1)
    assert "NOT database: unsupported startup parameter: " in found
    named = re.findall(r"ignore_startup_parameters = (.*)", found)[0].split(", ")
    assert {"role", "statement_timeout", "plan_cache_mode"} < set(named)


def test_without_its_role_and_its_limits_the_service_does_not_start(
    database_url: str,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pooler(environment["LISTEN_DATABASE_URL"]) as behind:
        own = {"DATABASE_URL": behind, "MIGRATION_DATABASE_URL": database_url}
        said = refusal(environment | own, monkeypatch, capsys)
    assert re.match(r"role login_\w+; connections are not told role, .*lock_timeout", said)
    assert "SET role = 'account_management_server';" in said


def test_a_login_that_is_told_its_role_and_limits_is_healthy(told: Environment) -> None:
    with pooler(told["LISTEN_DATABASE_URL"]) as behind:
        found = run("doctor", told | {"DATABASE_URL": behind})
    assert "NOT" not in found
    assert "role account_management_server" in found


def test_behind_a_pooler_that_loses_statements_the_service_does_not_start(
    database_url: str, told: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pooler(told["LISTEN_DATABASE_URL"], keeps_statements=False) as behind:
        found = run("doctor", told | {"DATABASE_URL": behind}, expected=1)
        own = {"DATABASE_URL": behind, "MIGRATION_DATABASE_URL": database_url}
        said = refusal(told | own, monkeypatch, capsys)
    assert "NOT database: a pooler loses prepared statements" in found
    assert said.startswith("database: a pooler loses prepared statements: use PgBouncer 1.21 or newer")


async def test_a_pooler_changes_no_answer(
    told: Environment, settings: Settings, database: AsyncEngine
) -> None:
    with pooler(told["LISTEN_DATABASE_URL"]) as behind:
        own = settings.model_copy(
            update={
                "database_url": SecretStr(behind),
                "listen_database_url": SecretStr(told["LISTEN_DATABASE_URL"]),
            }
        )
        app = create_app(own)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client,
        ):
            world = World(database, client, own)
            place = await world.site()
            asked = [place.primary.ask("{ viewer { user { id } } }") for _ in range(4)]
            for answer in await asyncio.gather(*asked):
                assert answer == {"viewer": {"user": {"id": place.primary.id}}}
            await place.primary.succeed("confirmContactReview", "site { id }", siteId=place.id)
            found = await place.primary.ask(
                "query ($id: ID!) { node(id: $id) { ... on Site { contactReview { overdue } } } }",
                id=place.id,
            )
            assert found == {"node": {"contactReview": {"overdue": False}}}
