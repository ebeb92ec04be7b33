"""How long it takes from a commit until subscribers have it: `python -m benchmarks.subscribers`.

All subscribers are different people who listen to one site over WebSocket; each is answered with their own rights.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import asyncpg
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app import development
from app.config import Settings
from app.query.ids import write_id
from benchmarks.contestants import product
from benchmarks.data import Database, fill, postgresql
from benchmarks.load import HOST
from benchmarks.operations import key
from benchmarks.servers import Server, processor_seconds, running

PEOPLE = """
INSERT INTO "user" (id, ibm_id, email, issuer, subject, sort_name)
SELECT gen_random_uuid(), name, name, 'urn:account-management:development', name, name
FROM generate_series(1, $1) AS number, format('listener%s@example.com', number) AS name"""
MEMBERS = """
INSERT INTO membership (site_id, id, user_id, role, purchase_and_download, reporting, entitlement_inventory,
    entitlement_allocations, manage_access, contact_updates, account_documents)
SELECT $1, gen_random_uuid(), id, 'USER', 'NONE', 'NONE', 'NONE', 'NONE', 'NONE', 'NONE', 'NONE'
FROM "user" WHERE ibm_id LIKE 'listener%'"""
CHANGE = """
WITH changed AS (UPDATE contact SET address = $3 WHERE site_id = $1 AND id = $2 RETURNING id)
INSERT INTO history_event (stream, site_id, event, actor_name, subject_type, subject_id, subject_name, before, after)
SELECT $1, $1, 'CONTACT_UPDATED', 'benchmark', 'contact', id, 'a contact', '{}', '{}' FROM changed"""
SUBSCRIPTION = """subscription Changes($site: ID!) { siteChanged(siteId: $site) {
  event eventId at site { id name contacts { id firstName lastName email types } viewerMembership { role } } } }"""
SITE, CONTACT = key(1, 1, 0), key(4, 1, 2)
MOST = 1000


@dataclass(frozen=True)
class Measured:
    """What one way of serving gave: latencies in seconds, and processor time per delivered event."""

    name: str
    latencies: list[float]
    slowest: list[float]
    processor: float

    def line(self) -> str:
        """A row of the table."""
        cuts = quantiles(self.latencies, n=100, method="inclusive")
        values = (cuts[49], cuts[98], median(self.slowest), max(self.slowest))
        times = " | ".join(
            f"{value * 1000:,.0f}" if value > 0.1 else f"{value * 1000:.1f}" for value in values
        )
        return f"| {self.name} | {times} | {self.processor * 1000:.2f} |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subscribers", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=30, help="how many changes are made in each measurement"
    )
    events = parser.parse_args().events
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    before = os.getloadavg()[0]
    with TemporaryDirectory(prefix="benchmark-") as folder, postgresql() as postgres:
        database = fill(postgres, "live", 20)
        both = [product(f"process{number}", database, Path(folder)) for number in (1, 2)]
        with running(both, Path(folder)) as servers:
            found = uvloop.run(_measure(database, servers, Path(folder), events))
    machine = f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {before:.1f} before"
    print(f"{events} events each; {machine}.\n")
    print(
        "| subscribers, processes | p50 ms | p99 ms | all of them, median ms | all, slowest ms | server ms |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(one.line() for one in found))


async def _measure(database: Database, servers: list[Server], folder: Path, events: int) -> list[Measured]:
    settings = Settings(development=True, data_directory=folder, database_url=None)
    tokens = [
        development.token_for(settings, f"listener{number}@example.com") for number in range(1, MOST + 1)
    ]
    connection = await asyncpg.connect(database.url)
    await connection.execute(PEOPLE, MOST)
    await connection.execute(MEMBERS, SITE)
    await connection.execute("ANALYZE")
    found = []
    for count, used in ((1, servers[:1]), (1, servers), (MOST, servers[:1]), (MOST, servers)):
        name = f"{count:,} on {len(used)}"
        print(f"{name} …", file=sys.stderr)
        found.append(await _measured(name, tokens[:count], used, connection, events))
    await connection.close()
    return found


async def _measured(
    name: str, tokens: list[str], servers: list[Server], connection: asyncpg.Connection, events: int
) -> Measured:
    latencies: list[float] = []
    slowest: list[float] = []
    async with AsyncExitStack() as stack:
        plugs = await _plugged(stack, tokens, servers)
        # The first ones compile the statement and fill the caches.
        for turn in range(3):
            await _told(plugs, connection, f"{turn} rue de la Bourse")
        before = sum(processor_seconds(server.process) for server in servers)
        for turn in range(events):
            took = await _told(plugs, connection, f"{turn} rue de la Paix")
            latencies += took
            slowest.append(max(took))
        used = sum(processor_seconds(server.process) for server in servers) - before
    return Measured(name, latencies, slowest, used / len(latencies))


async def _plugged(stack: AsyncExitStack, tokens: list[str], servers: list[Server]) -> list[ClientConnection]:
    """A WebSocket for everybody, each with its subscription; the servers take turns."""
    turns = asyncio.Semaphore(20)

    async def plug(number: int, token: str) -> ClientConnection:
        url = f"ws://{HOST}:{servers[number % len(servers)].port}/graphql"
        protocol = Subprotocol("graphql-transport-ws")
        async with turns:
            made = await stack.enter_async_context(
                connect(url, subprotocols=[protocol], compression=None, open_timeout=60, ping_interval=None)
            )
            await made.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
            )
            await made.recv()
            payload = {"query": SUBSCRIPTION, "variables": {"site": write_id("site", SITE)}}
            await made.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            # A second operation is answered once the first has begun.
            await made.send(
                json.dumps({"id": "2", "type": "subscribe", "payload": {"query": "{ __typename }"}})
            )
            await made.recv()
            await made.recv()
        return made

    plugs = await asyncio.gather(*(plug(number, token) for number, token in enumerate(tokens)))
    await asyncio.sleep(1)
    return plugs


async def _told(plugs: list[ClientConnection], connection: asyncpg.Connection, address: str) -> list[float]:
    """Make a change; how long it took from its commit until each has it."""
    receiving = [asyncio.create_task(_next(plug)) for plug in plugs]
    await asyncio.sleep(0)
    async with connection.transaction():
        await connection.execute(CHANGE, SITE, CONTACT, address)
        committing = time.perf_counter()
    return [arrived - committing for arrived in await asyncio.gather(*receiving)]


async def _next(plug: ClientConnection) -> float:
    async with asyncio.timeout(60):
        text = await plug.recv()
    arrived = time.perf_counter()
    assert isinstance(text, str) and '"event":"CONTACT_UPDATED"' in text and '"role":"USER"' in text, text
    return arrived


if __name__ == "__main__":
    main()
