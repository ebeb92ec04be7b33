"""The product beside others, round by round: the speed of a machine changes, but rarely within a round."""

from collections.abc import Callable
from statistics import median

from benchmarks.contestants import LARGE
from benchmarks.measure import Sample

Figure = Callable[[Sample], float]
LIMITS = ("limit_json", "limit_rows")
"""How people would write it by hand; the better one counts."""
OTHERS = ("limit_json", "limit_text", "mercurius", "postgraphile")
HEAD = "| the product | beside | ratio | min–max |\n| --- | --- | ---: | ---: |"


def table(samples: list[Sample]) -> str:
    """Ratios of requests per second and of processor time: their medians, and between what they lay."""
    cells: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        cells.setdefault((sample.contestant, sample.operation), []).append(sample)

    def figures(figure: Figure, operation: str, *contestants: str) -> list[float]:
        """The figure in each round; of several contestants, the lowest."""
        found = [cells.get((one, operation), []) for one in contestants]
        return [min(map(figure, samples)) for samples in zip(*found, strict=True)] if all(found) else []

    def line(what: str, beside: str, ours: list[float], theirs: list[float]) -> str | None:
        ratios = [one / other for one, other in zip(ours, theirs, strict=False)]
        if not ratios:
            return None
        return f"| {what} | {beside} | {median(ratios):.2f} | {min(ratios):.2f}–{max(ratios):.2f} |"

    lines: list[str | None] = []
    for operation in ("page50", "page500", "mutation"):
        rate = figures(_rate, operation, "product")
        what = f"`{operation}`: requests/s"
        lines += [line(what, f"`{other}`", rate, figures(_rate, operation, other)) for other in OTHERS]
    for operation in ("page50", "page500"):
        ours, theirs = figures(_work, operation, "product"), figures(_work, operation, *LIMITS)
        lines.append(
            line(f"`{operation}`: processor time", " or ".join(f"`{one}`" for one in LIMITS), ours, theirs)
        )
        theirs = figures(_work, operation, "limit_text")
        lines.append(line(f"`{operation}`: processor time", "`limit_text`", ours, theirs))
    known = figures(_work, "page50", "product")
    lines += [
        line("`cold`: processor time", "its own `page50`", figures(_work, "cold", "product"), known),
        line(
            "`page50`, ten times the sites: processor time",
            "its own `page50`",
            figures(_work, LARGE, "product_ten_times"),
            known,
        ),
    ]
    return "\n".join([HEAD, *filter(None, lines)])


def _rate(sample: Sample) -> float:
    return sample.rps


def _work(sample: Sample) -> float:
    """Milliseconds of server and PostgreSQL together."""
    return sample.server_cpu_ms + sample.postgres_cpu_ms
