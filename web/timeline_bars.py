"""Bars for lines of the day's timeline with more e-mails than can be drawn one by one. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.states import Status
from models.views.today import Stretch

# A line with more e-mails in sight is drawn as bars, and so are the longest ones where all lines have more.
MOST_OF_LINE, MOST_MARKS = 120, 1500
# Bars of a line, and of all lines.
_MOST_OF_LINE, _MOST_BARS = 30, 900
_WIDTHS = [timedelta(minutes=each) for each in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)]
# From bottom to top.
_STATUSES = (Status.SENT, Status.SENDING, Status.UNKNOWN, Status.FAILED, Status.CANCELLED, Status.PENDING)
# What is drawn above a bar that has any, the first of them.
_SIGNS = (Status.UNKNOWN, Status.FAILED, Status.SENDING)
# So that one e-mail beside thousands is seen, in percent of the tallest bar.
_LOWEST = 3.0
# A digit's share of a timeline's width, where counts are written: see the style sheet.
_DIGIT = 0.9


@dataclass(frozen=True)
class Part:
    status: Status
    top: float  # percent of the tallest bar, from the top
    height: float


@dataclass(frozen=True)
class Bar:
    begins: datetime
    ends: datetime
    x: float  # percent of the axis
    width: float
    counts: Counter[str]
    late: int
    parts: list[Part]

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 3)

    @property
    def sign(self) -> str | None:
        return next((str(status) for status in _SIGNS if self.counts[status]), None)

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def is_labelled(self) -> bool:
        """Whether its count fits below it."""
        return len(f"{self.total:,}") * _DIGIT < self.width


def few(found: dict[int, list[Stretch]]) -> set[int]:
    """The campaigns whose e-mails are few enough to be drawn one by one, the shortest lines first."""
    chosen, drawn = set(), 0
    for count, id in sorted((sum(it.count for it in each), id) for id, each in found.items()):
        drawn += count
        if count > MOST_OF_LINE or drawn > MOST_MARKS:
            break
        chosen.add(id)
    return chosen


def width_of_bars(start: datetime, end: datetime, lines: int, finest: timedelta) -> timedelta:
    """How long a bar is, if so many lines have bars. finest: how long the stretches are whose e-mails were counted."""
    most = max(1, min(_MOST_OF_LINE, _MOST_BARS // max(lines, 1)))
    return next((width for width in _WIDTHS if width >= finest and (end - start) / width <= most), end - start)


def bars(found: Sequence[Stretch], start: datetime, end: datetime, width: timedelta) -> list[Bar]:
    """A campaign's e-mails between those times. width: a multiple of that of the stretches."""
    counts: dict[int, Counter[str]] = {}
    late: Counter[int] = Counter()
    for it in found:
        if it.begins >= start:
            number = (it.begins - start) // width
            counts.setdefault(number, Counter())[it.status] += it.count
            late[number] += it.late
    tallest = max((each.total() for each in counts.values()), default=1)
    length = (end - start) / 100
    found_bars = []
    for number, each in sorted(counts.items()):
        begins, ends = (min(start + place * width, end) for place in (number, number + 1))
        x, share = round((begins - start) / length, 3), round((ends - begins) / length, 3)
        found_bars.append(Bar(begins, ends, x, share, each, late[number], _parts(each, tallest)))
    return found_bars


def _parts(counts: Counter[str], tallest: int) -> list[Part]:
    scale = max(counts.total() / tallest * 100, _LOWEST) / counts.total()
    parts, top = [], 100.0
    for status in _STATUSES:
        if counts[status]:
            top -= counts[status] * scale
            parts.append(Part(status, round(top, 2), round(counts[status] * scale, 2)))
    return parts
