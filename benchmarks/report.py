"""What was found: results.json, the tables in the README between two marks, and a picture."""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import picture, ratios
from benchmarks.contestants import LARGE
from benchmarks.measure import Pace, Sample
from benchmarks.operations import OPERATIONS

LIMIT = "limit_json"
BEGIN, END = "<!-- results: written by `make bench` -->", "<!-- end of results -->"
TITLES = {
    "page50": "`page50`: a site with 50 users",
    "page500": "`page500`: a site with 500 users",
    "mutation": "`mutation`: a contact saved",
    "cold": "`cold`: `page50` as a document never seen before",
}
COLUMNS = (
    "contestant",
    "requests/s",
    "min–max",
    "of the limit",
    "p50 ms",
    "p99 ms",
    "server ms",
    "PostgreSQL ms",
    "peak MB",
)
FIGURES = ("rps", "p50_ms", "p99_ms", "server_cpu_ms", "postgres_cpu_ms", "peak_rss_mb")


@dataclass(frozen=True)
class Row:
    """The medians of one operation of one contestant, and between what its throughput lay."""

    contestant: str
    operation: str
    rps: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    postgres_cpu_ms: float
    peak_rss_mb: float
    rps_min: float
    rps_max: float


@dataclass(frozen=True)
class Report:
    """Everything that was found in one run."""

    samples: list[Sample]
    pace: Pace
    sites: int
    equal: int
    missing: str
    load_before: float

    def rows(self) -> list[Row]:
        """One for each cell, in the order of the operations, the fastest first."""
        cells: dict[tuple[str, str], list[Sample]] = {}
        for sample in self.samples:
            cells.setdefault((sample.contestant, sample.operation), []).append(sample)
        rows = [_row(*cell, samples) for cell, samples in cells.items()]
        order = [*OPERATIONS, LARGE]
        return sorted(rows, key=lambda row: (order.index(row.operation), -row.rps))

    def json(self) -> str:
        """The rows for programs; `product_ten_times` is the product, with an operation of its own."""
        written = []
        for row in self.rows():
            values = {
                name: round(value, 3) if isinstance(value, float) else value
                for name, value in vars(row).items()
            }
            written.append(values | {"contestant": row.contestant.removesuffix("_ten_times")})
        return json.dumps(written, indent=2) + "\n"

    def write(self, folder: Path) -> None:
        """Write all three files."""
        (folder / "results.json").write_text(self.json())
        bars = [
            (row.operation, row.contestant, row.rps / base)
            for row in self.rows()
            if (base := self._base(row))
        ]
        (folder / "throughput.svg").write_text(picture.draw([bar for bar in bars if bar[0] != LARGE], TITLES))
        readme = folder / "README.md"
        before, _, rest = readme.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        readme.write_text(f"{before}{BEGIN}\n\n{self.markdown()}\n{END}{after}")

    def markdown(self) -> str:
        """The tables."""
        parts = [self._circumstances()]
        for operation, title in TITLES.items():
            rows = [row for row in self.rows() if row.operation == operation]
            if rows:
                parts.append(f"### {title}\n\n{self._table(rows)}")
        beside = f"### Round by round\n\n{ratios.table(self.samples)}"
        return "\n\n".join([*parts, *self._growth(), beside]) + "\n"

    def _circumstances(self) -> str:
        others = [sample.others for sample in self.samples]
        said = (
            f"{self.pace.rounds} rounds of {self.pace.warm:g} s warm-up and {self.pace.seconds:g} s measurement; "
            f"{self.sites:,} sites; {os.cpu_count()} processors ({platform.machine()}), Python "
            f"{platform.python_version()}; {self.equal} answers compared and equal. Other processes of the "
            f"machine took {median(others):.0%} of its processors' time in the median (at most "
            f"{max(others):.0%}); its load was {self.load_before:.1f} before."
        )
        return f"{said}\n\n**{self.missing}**" if self.missing else said

    def _table(self, rows: list[Row]) -> str:
        lines = [
            f"| {' | '.join(COLUMNS)} |",
            "| --- |" + " ---: |" * (len(COLUMNS) - 1),
        ]
        for row in rows:
            base = self._base(row)
            name = f"**{row.contestant}**" if row.contestant == "product" else row.contestant
            cells = [
                name,
                _short(row.rps),
                f"{_short(row.rps_min)}–{_short(row.rps_max)}",
                f"{row.rps / base:.2f}" if base else "–",
                *(_short(getattr(row, figure)) for figure in FIGURES[1:5]),
                f"{row.peak_rss_mb:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def _base(self, row: Row) -> float | None:
        """The throughput of the limit; there is none for `cold`, so that of the same page stands in."""
        base = self._find(LIMIT, "page50" if row.operation == "cold" else row.operation)
        return base.rps if base else None

    def _find(self, contestant: str, operation: str) -> Row | None:
        cell = (contestant, operation)
        return next((row for row in self.rows() if (row.contestant, row.operation) == cell), None)

    def _growth(self) -> list[str]:
        """How the product does with ten times the sites."""
        usual = self._find("product", "page50")
        large = self._find("product_ten_times", LARGE)
        if usual is None or large is None:
            return []
        return [
            f"### Ten times the sites\n\nThe product's `page50` with {10 * self.sites:,} sites: "
            f"{_short(large.rps)} requests/s ({_short(large.rps_min)}–{_short(large.rps_max)}), "
            f"**{large.rps / usual.rps:.2f}** of what it does with {self.sites:,} "
            f"({_short(usual.rps)}, {_short(usual.rps_min)}–{_short(usual.rps_max)}). Processor time per request: "
            f"server {_short(large.server_cpu_ms)} ms (against {_short(usual.server_cpu_ms)}), "
            f"PostgreSQL {_short(large.postgres_cpu_ms)} ms (against {_short(usual.postgres_cpu_ms)})."
        ]


def _row(contestant: str, operation: str, samples: list[Sample]) -> Row:
    medians = {figure: median(getattr(sample, figure) for sample in samples) for figure in FIGURES}
    rates = [sample.rps for sample in samples]
    return Row(contestant=contestant, operation=operation, **medians, rps_min=min(rates), rps_max=max(rates))


def _short(value: float) -> str:
    """Three figures, as people read them."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
