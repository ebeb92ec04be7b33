"""The command: `python -m benchmarks`. It says what it does on standard error, and what it found in the end."""

import argparse
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks import load, report
from benchmarks.contestants import Contestant, Unavailable, in_node, in_python
from benchmarks.data import Database, Postgres, fill, postgresql
from benchmarks.measure import Pace, Sample, compare, rounds, warm_up
from benchmarks.servers import Server, running

FULL, QUICK = Pace(warm=1, seconds=1.5, rounds=9), Pace(warm=0.3, seconds=0.7, rounds=1, attempts=1)
FOLDER = Path(__file__).parent


def main() -> None:
    """Measure, and report."""
    options = _options()
    # Being asked to end must not leave servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pace = QUICK if options.quick else FULL
    sites = 200 if options.quick else 2000
    load_before = os.getloadavg()[0]
    with TemporaryDirectory(prefix="benchmark-") as folder, postgresql() as postgres:
        contestants, missing = _contestants(postgres, sites, Path(folder), options.only)
        with running(contestants, Path(folder)) as servers:
            equal, samples = uvloop.run(_measure(servers, postgres, pace))
    found = report.Report(samples, pace, sites, equal, missing, load_before)
    print(found.markdown())
    if options.out:
        options.out.write_text(found.json())
    if not (options.quick or options.only or options.out):
        found.write(FOLDER)
        print(f"Written to {FOLDER}/results.json, README.md and throughput.svg", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of about a minute; writes nothing")
    parser.add_argument(
        "--only", type=lambda names: names.split(","), help="these contestants, with commas between"
    )
    parser.add_argument("--out", type=Path, help="write the results there instead of into benchmarks/")
    return parser.parse_args()


def _contestants(
    postgres: Postgres, sites: int, folder: Path, only: list[str] | None
) -> tuple[list[Contestant], str]:
    """Who takes part, and why somebody does not."""
    small = fill(postgres, "small", sites)
    wants_large = not only or "product_ten_times" in only
    large = fill(postgres, "large", 10 * sites) if wants_large else Database(small.url, 1)
    contestants, missing = in_python(small, large, folder), ""
    try:
        contestants += in_node(small)
    except Unavailable as error:
        missing = f"WITHOUT MERCURIUS AND POSTGRAPHILE: {error}"
        print(f"\n{'!' * 80}\n{missing}\n{'!' * 80}\n", file=sys.stderr)
    unknown = set(only or ()) - {contestant.name for contestant in contestants}
    if unknown:
        sys.exit(f"Unknown contestants: {', '.join(sorted(unknown))}")
    return [one for one in contestants if not only or one.name in only], missing


async def _measure(servers: list[Server], postgres: Postgres, pace: Pace) -> tuple[int, list[Sample]]:
    turns = load.endless()
    equal = 0
    for database in {server.contestant.database for server in servers}:
        equal += await compare([one for one in servers if one.contestant.database == database], turns)
    print(f"{equal} answers are equal.", file=sys.stderr)
    await warm_up(servers, turns, pace.warm)
    return equal, await rounds(servers, postgres, pace, turns)


if __name__ == "__main__":
    main()
