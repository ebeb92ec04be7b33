"""The picture of the README: bars, one group for each operation, drawn as SVG without a library."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LABEL, BAR, GAP, HEAD = 760, 170, 18, 6, 40
SCALE = WIDTH - LABEL - 70
COLOURS = {"product": "#0f62fe", "limit_json": "#8d8d8d", "limit_text": "#8d8d8d", "limit_rows": "#8d8d8d"}
OTHERS = "#c6c6c6"

Bar = tuple[str, str, float]
"""Operation, contestant, throughput as a part of the limit's."""


def draw(bars: Sequence[Bar], titles: Mapping[str, str]) -> str:
    """The whole picture."""
    top, drawn = 10.0, []
    for operation, title in titles.items():
        group = [(name, part) for found, name, part in bars if found == operation]
        if not group:
            continue
        drawn.append(_text(0, top + 20, title.replace("`", ""), "bold"))
        for place, (name, part) in enumerate(group):
            drawn += _bar(
                top + HEAD + place * (BAR + GAP), name, part, max(1.0, *(part for _, part in group))
            )
        top += HEAD + len(group) * (BAR + GAP) + 10
    size = f'width="{WIDTH}" height="{top:g}" viewBox="0 0 {WIDTH} {top:g}"'
    style = 'font-family="sans-serif" font-size="13" fill="#161616"'
    background = f'<rect width="{WIDTH}" height="{top:g}" fill="#ffffff"/>'
    title = "<title>Throughput as a part of the limit's</title>"
    body = "\n".join([title, background, *drawn])
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {style}>\n{body}\n</svg>\n'


def _bar(top: float, name: str, part: float, most: float) -> list[str]:
    width = part / most * SCALE
    colour = COLOURS.get(name, OTHERS)
    middle = top + BAR - 5
    return [
        _text(0, middle, name, "bold" if name == "product" else "normal"),
        f'<rect x="{LABEL}" y="{top:g}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
        _text(LABEL + width + 6, middle, f"{part:.2f}", "normal"),
    ]


def _text(left: float, top: float, text: str, weight: str) -> str:
    return f'<text x="{left:.1f}" y="{top:g}" font-weight="{weight}">{escape(text)}</text>'
