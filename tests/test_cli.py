"""The command line as operators use it."""

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
from uuid import uuid4

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from app.__main__ import cli, main
from app.development import PERSONAS

Environment = dict[str, str]
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
    for key, text in (environment | {name: value}).items():
        monkeypatch.setenv(key, text)
    monkeypatch.setattr(sys, "argv", ["account-management", "serve"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@contextmanager
def service(folder: str, port: int) -> Iterator[str]:
    """`account-management serve` with an embedded PostgreSQL, ended as a supervisor ends it; its address."""
    own = {"DEVELOPMENT": "true", "DATA_DIRECTORY": folder, "PORT": str(port), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "app", "serve"]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(f"{address}/health", process)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


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
    [request] = kept["data"]["viewer"]["accessRequests"]["nodes"]
    assert request == made["data"]["requestAccess"]["accessRequest"]
