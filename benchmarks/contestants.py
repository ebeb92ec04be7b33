"""Who is measured: how each is started, and how one speaks with it. One process each, as many connections each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app import development
from app.config import Settings
from app.query.ids import write_id
from benchmarks.data import Database
from benchmarks.load import HOST
from benchmarks.operations import OPERATIONS, GraphQL, Speech, Variables
from benchmarks.postgraphile import PostGraphile

NODE = Path(__file__).parent / "node"
LARGE = "page50_ten_times"
"""The page of 50 users of the product, in a database with ten times the sites."""
UVICORN = (
    sys.executable,
    "-m",
    "uvicorn",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--log-level",
    "warning",
)
ALL = {name: name for name in OPERATIONS}
CONNECTIONS = 2 * (os.cpu_count() or 1)
"""More statements at once only take the processors from each other, and some are answered much later."""
NODE_MAJOR = 22
"""PostGraphile 5 answers with errors on older versions."""


class Unavailable(Exception):
    """A contestant cannot take part on this machine; the text says why."""


@dataclass(frozen=True)
class Contestant:
    """A kind of server over one of the databases, and the operations it is measured with, by their labels."""

    name: str
    command: tuple[str, ...]
    database: Database
    speech: Speech
    operations: Mapping[str, str] = field(default_factory=lambda: ALL)
    environment: Mapping[str, str] = field(default_factory=dict)

    def environment_on(self, port: int) -> dict[str, str]:
        """What its process finds in the environment besides what the harness finds itself."""
        address = {"PORT": str(port), "UVICORN_PORT": str(port), "UVICORN_HOST": HOST, "HOST": HOST}
        database = {"DATABASE_URL": self.database.url, "DATABASE_POOL_SIZE": str(CONNECTIONS)}
        return {**database, **address, **self.environment}


def in_python(small: Database, large: Database, folder: Path) -> list[Contestant]:
    """The limits, the product, and the plain server."""
    return [
        *(_limit(kind, small) for kind in ("json", "text", "rows")),
        product("product", small, folder),
        product("product_engine_off", small, folder, environment={"READ_ENGINE": "off"}),
        product("product_ten_times", large, folder, {LARGE: "page50"}),
        Contestant("strawberry", (*UVICORN, "benchmarks.strawberry_app:app"), small, GraphQL()),
    ]


def _limit(kind: str, database: Database) -> Contestant:
    """A limit, which knows no documents and so cannot meet one for the first time."""
    command = (*UVICORN, "--factory", f"benchmarks.limits_app:{kind}_app")
    operations = {name: name for name in OPERATIONS if name != "cold"}
    return Contestant(f"limit_{kind}", command, database, Variables(), operations)


def product(
    name: str,
    database: Database,
    folder: Path,
    operations: Mapping[str, str] = ALL,
    environment: Mapping[str, str] | None = None,
) -> Contestant:
    """The service as it is served, with a token of the primary contact of every site."""
    settings = Settings(development=True, data_directory=folder, database_url=None)
    tokens = {
        site: development.token_for(settings, f"person1.site{site}@example.com")
        for site in range(1, database.big + 1)
    }
    set_for_all = {
        "DEVELOPMENT": "true",
        "MESSAGE_WORKER": "false",
        "DATA_DIRECTORY": str(folder),
        "PAGE_SIZE_LIMIT": "500",
    }
    speech = GraphQL(tokens, lambda key: write_id("contact", key))
    command = (sys.executable, "-m", "app", "serve")
    return Contestant(name, command, database, speech, operations, {**set_for_all, **(environment or {})})


def in_node(small: Database) -> list[Contestant]:
    """The two that run on Node.js. Raises Unavailable when they cannot be installed."""
    node = _installed_node()
    return [
        Contestant("mercurius", (node, str(NODE / "mercurius.mjs")), small, GraphQL()),
        Contestant(
            "postgraphile",
            (node, str(NODE / "postgraphile.mjs")),
            small,
            PostGraphile(),
            environment={"GRAPHILE_ENV": "production"},
        ),
    ]


def _installed_node() -> str:
    """Install what the lock file says, and return the Node.js to run it with: its own, or the machine's."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Unavailable("node and npm are not on this machine")
    done = NODE / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (NODE / "package-lock.json").stat().st_mtime:
        print("Installing the contestants on Node.js …", flush=True)
        install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        try:
            subprocess.run(install, cwd=NODE, check=True, timeout=600)  # noqa: S603
        except (subprocess.SubprocessError, OSError) as error:
            raise Unavailable(f"npm ci failed: {error}") from error
        done.touch()
    own = sorted((NODE / "node_modules").glob("node-*-*/bin/node"))
    node = str(own[0]) if own else str(shutil.which("node"))
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    if int(version.strip().lstrip("v").split(".")[0]) < NODE_MAJOR:
        raise Unavailable(f"Node.js {NODE_MAJOR} or newer is needed, this is {version.strip()}")
    return node
