"""The measurement: answers compared first, then rounds in which the contestants take turns."""

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks import load
from benchmarks.data import Postgres
from benchmarks.operations import OPERATIONS, compared, make
from benchmarks.servers import Server, forget_peak, peak_megabytes, processor_seconds

COMPARED_SITES = 20
CALM, ATTEMPTS = 0.15, 3
"""A measurement during which others took more than this part of the processors is repeated, so often at most."""
ORDER = random.Random(1)  # noqa: S311


@dataclass(frozen=True)
class Pace:
    """How long everything takes: seconds of warm-up and of measurement for each cell, rounds, attempts."""

    warm: float
    seconds: float
    rounds: int
    attempts: int = ATTEMPTS


@dataclass(frozen=True)
class Sample:
    """One operation of one contestant, measured once."""

    contestant: str
    operation: str
    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    postgres_cpu_ms: float
    peak_rss_mb: float
    others: float
    """Which part of the machine's processor time went to neither the server, PostgreSQL nor the load generator."""


class Different(Exception):
    """Two contestants do not answer the same."""


async def compare(servers: list[Server], turns: Iterator[int]) -> int:
    """Ask all servers over one database the same; return how many answers were equal. Raises Different."""
    first, *others = servers
    big = first.contestant.database.big
    sites = [ORDER.randint(1, first.contestant.database.sites) for _ in range(COMPARED_SITES)]
    equal = 0
    for site, size in [*((site, 50) for site in sites), (big, 500)]:
        expected = await _told(first, first.contestant.speech.page(site, size))
        assert len(expected["site"]["memberships"]["nodes"]) == size
        for server in others:
            _demand(first, server, expected, await _told(server, server.contestant.speech.page(site, size)))
            equal += 1
    for site in sites:
        turn = next(turns)
        expected = await _told(first, first.contestant.speech.save(site, turn))
        assert f"{turn} rue" in expected["updateContact"]["contact"]["details"]["address"]
        for server in others:
            _demand(first, server, expected, await _told(server, server.contestant.speech.save(site, turn)))
            equal += 1
    return equal


async def _told(server: Server, request: bytes) -> Any:
    """What a server answers, in the one form."""
    with server.named():
        return compared(server.contestant.speech, await load.ask(server.port, request))


def _demand(first: Server, server: Server, expected: Any, found: Any) -> None:
    if expected != found:
        names = f"{first.contestant.name} and {server.contestant.name}"
        raise Different(f"{names} answer differently at {_difference(expected, found)}")


def _difference(one: Any, other: Any, path: str = "data") -> str:
    """Where two answers differ first."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
        return next(
            _difference(one[key], other[key], f"{path}.{key}") for key in one if one[key] != other[key]
        )
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next(_difference(a, b, f"{path}[{index}]") for index, (a, b) in pairs if a != b)
    return f"{path}: {one!r} and {other!r}"


async def rounds(servers: list[Server], postgres: Postgres, pace: Pace, turns: Iterator[int]) -> list[Sample]:
    """Every operation of every contestant in every round; who begins is drawn anew each time."""
    samples = []
    for round in range(1, pace.rounds + 1):
        for operation in OPERATIONS:
            for server in ORDER.sample(servers, len(servers)):
                for label, name in server.contestant.operations.items():
                    if name != operation:
                        continue
                    samples.append(await _cell(server, postgres, pace, label, operation, turns))
                    _tell(f"round {round}", samples[-1])
                    if operation == "mutation":
                        await server.contestant.database.settle()
    return samples


async def _cell(
    server: Server, postgres: Postgres, pace: Pace, label: str, operation: str, turns: Iterator[int]
) -> Sample:
    """Warm up and measure; when others disturb that, measure again, and keep what they disturbed least."""
    contestant = server.contestant
    requests = make(contestant.speech, operation, contestant.database.sites)
    forget_peak(server.process)
    samples: list[Sample] = []
    with server.named():
        await load.run(server.port, requests, turns, pace.warm)
        while len(samples) < pace.attempts and all(sample.others > CALM for sample in samples):
            before = _used(server, postgres)
            timing = await load.run(server.port, requests, turns, pace.seconds)
            samples.append(_sample(server, label, timing, before, _used(server, postgres)))
    return min(samples, key=lambda sample: sample.others)


def _sample(
    server: Server, label: str, timing: load.Timing, before: list[float], after: list[float]
) -> Sample:
    *ours, everybodys = (late - early for early, late in zip(before, after, strict=True))
    return Sample(
        contestant=server.contestant.name,
        operation=label,
        requests=timing.requests,
        rps=timing.per_second,
        p50_ms=timing.percentile(50),
        p99_ms=timing.percentile(99),
        server_cpu_ms=ours[0] / timing.requests * 1000,
        postgres_cpu_ms=ours[1] / timing.requests * 1000,
        peak_rss_mb=peak_megabytes(server.process),
        others=max(everybodys - sum(ours), 0.0) / (timing.elapsed * (os.cpu_count() or 1)),
    )


def _used(server: Server, postgres: Postgres) -> list[float]:
    """Seconds of processor: of the server, of PostgreSQL, of ourselves, of the whole machine."""
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
    own = psutil.Process().cpu_times()
    return [
        processor_seconds(server.process),
        processor_seconds(postgres.postmaster),
        own.user + own.system,
        busy,
    ]


def _tell(round: str, sample: Sample) -> None:
    line = (
        f"{round}  {sample.operation:16} {sample.contestant:18} {sample.rps:8.1f}/s"
        f"  p50 {sample.p50_ms:7.2f} ms  p99 {sample.p99_ms:7.2f} ms"
        f"  server {sample.server_cpu_ms:7.3f} ms  PostgreSQL {sample.postgres_cpu_ms:6.3f} ms"
        f"  {sample.peak_rss_mb:4.0f} MB  others {sample.others:4.0%}"
    )
    print(line, file=sys.stderr, flush=True)


async def warm_up(servers: list[Server], turns: Iterator[int], seconds: float) -> None:
    """Let every server see every operation before anything is measured."""
    for server in servers:
        for operation in server.contestant.operations.values():
            requests = make(server.contestant.speech, operation, server.contestant.database.sites)
            with server.named():
                await load.run(server.port, requests, turns, seconds)
