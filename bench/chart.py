"""A bar chart as SVG, readable on light and dark pages. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.figures import written

_WIDTH, _LABELS, _NUMBERS = 760, 230, 80
_BAR, _GAP, _TITLE, _MARGIN = 18, 6, 34, 16
_OURS, _THEIRS, _INK = "#1f6feb", "#9aa4b2", "#1f2328"


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    is_ours: bool


@dataclass(frozen=True)
class Panel:
    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return _TITLE + len(self.bars) * (_BAR + _GAP)


def draw(panels: Sequence[Panel]) -> str:
    """Draw the panels as one SVG. Each has its own linear scale, from 0."""
    height = sum(panel.height for panel in panels) + 2 * _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="13" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = _MARGIN
    for panel in panels:
        lines += _drawn(panel, top)
        top += panel.height
    return "\n".join([*lines, "</svg>", ""])


def _drawn(panel: Panel, top: int) -> Iterator[str]:
    yield f'<text x="{_MARGIN}" y="{top + 18}" font-weight="bold">{escape(panel.title)}</text>'
    room = _WIDTH - _LABELS - _NUMBERS
    longest = max((bar.value for bar in panel.bars), default=0) or 1
    for number, bar in enumerate(panel.bars):
        y = top + _TITLE + number * (_BAR + _GAP)
        width = max(bar.value / longest * room, 1)
        color = _OURS if bar.is_ours else _THEIRS
        yield f'<text x="{_LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(bar.name)}</text>'
        yield f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{color}"/>'
        yield f'<text x="{_LABELS + width + 6:.1f}" y="{y + 14}">{written(bar.value)}</text>'
