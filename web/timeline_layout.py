"""Layout of the day's timeline: times -> positions on an axis, in percent of its width. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from models.views.today import CampaignDay, MovedAway, Stretch, TimeChange, TimelineMark
from reasons import Why
from scheduling.window import WARSAW, warsaw_day, warsaw_day_bounds
from web import timeline_bars
from web.timeline_bars import Bar

_HOUR = timedelta(hours=1)
# (span around now, distance of labels): the smallest that contains all e-mails of the hour is used.
_AROUND = [(timedelta(minutes=whole), timedelta(minutes=step)) for whole, step in ((3, 1), (15, 1), (60, 5))]
_MOST_LABELS = 13
# Stretches whose e-mails are counted, of the whole day and of the hour around now. Bars are as long or longer.
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)
_ABOVE = {"sending", "failed", "unknown"}
# With more moves than this on a line, they are drawn as bands with a count.
FEW_MOVES = 12
# Positions further apart than this, in percent, get separate bands.
_APART = 4.0


@dataclass(frozen=True)
class Tick:
    x: float
    at: datetime
    minor: bool  # hidden on a small screen


@dataclass(frozen=True)
class Axis:
    start: datetime
    end: datetime
    step: timedelta

    def place(self, at: datetime) -> float:
        """The position in percent, clamped to the edges."""
        return round(min(max((at - self.start) / (self.end - self.start), 0), 1) * 100, 3)

    def shows(self, at: datetime) -> bool:
        return self.start <= at <= self.end

    @property
    def ticks(self) -> list[Tick]:
        count = int((self.end - self.start) / self.step)
        first = self.start + (-_past_midnight(self.start) % self.step)
        times = [first + number * self.step for number in range(count + 1)]
        return [Tick(self.place(at), at, bool(place % 2)) for place, at in enumerate(times) if self.shows(at)]


@dataclass(frozen=True)
class Placed:
    mark: TimelineMark
    x: float
    origin: float | None  # position before its latest move, if that is on the axis


@dataclass(frozen=True)
class Band:
    """E-mails that moved for the same reason, grouped by their previous positions."""

    x: float
    width: float
    first: datetime
    last: datetime
    count: int
    why: Why | None
    is_away: bool  # they moved to another day


@dataclass(frozen=True)
class Drawn:
    line: CampaignDay
    open: tuple[float, float] | None
    marks: list[Placed]
    bars: list[Bar]  # instead of marks, where there are too many to draw each one
    left: list[tuple[float, MovedAway]]
    moved: Counter[Why | None]  # why -> number of its marks
    moved_within: Counter[Why | None]  # why -> number of e-mails that moved within the day; of a line with bars
    overdue: int  # from before this day
    bands: list[Band]  # used when there are too many moves to draw each one


@dataclass(frozen=True)
class Picture:
    axis: Axis
    now: datetime
    now_at: float
    lines: list[Drawn]

    @property
    def crowded(self) -> bool:
        return any(line.bars for line in self.lines)

    @property
    def follow_ups(self) -> bool:
        return any(placed.mark.step > 1 for line in self.lines for placed in line.marks)

    @property
    def banded(self) -> bool:
        return any(line.bands for line in self.lines)


def hour_around(now: datetime) -> tuple[datetime, datetime]:
    minute = now.replace(second=0, microsecond=0)
    whole = _AROUND[-1][0]
    return minute - whole / 3, minute + whole * 2 / 3


def axis_around(now: datetime, found: Iterable[Stretch]) -> Axis:
    """The shortest axis around now that shows all stretches, at most an hour. found: the stretches of that hour."""
    minute = now.replace(second=0, microsecond=0)
    *closer, hour = [Axis(minute - whole / 3, minute + whole * 2 / 3, step) for whole, step in _AROUND]
    times = [it.begins for it in found]
    return next((axis for axis in closer if times and axis.start <= min(times) and max(times) < axis.end), hour)


def axis_of_day(now: datetime, lines: Sequence[CampaignDay], found: Iterable[Stretch]) -> Axis:
    """From the first opening to the last closing, extended to include all e-mails, in whole hours.

    Those that are overdue from the day before do not count: they are drawn at its left edge.
    """
    begin, end = warsaw_day_bounds(warsaw_day(now))
    times = [at for line in lines for at in (line.opens, line.closes) if at]
    times += [at for it in found if it.begins >= begin for at in (it.begins, it.begins + QUARTER)]
    times = times or [begin, end]
    start = begin + (min(times) - begin) // _HOUR * _HOUR
    stop = begin - (begin - max(times)) // _HOUR * _HOUR
    start, stop = max(start, begin), min(max(stop, start + _HOUR), end)
    return Axis(start, stop, _HOUR * -(-((stop - start) // _HOUR) // _MOST_LABELS))


def draw(
    now: datetime,
    axis: Axis,
    lines: Sequence[CampaignDay],
    crowded: Mapping[int, Sequence[Stretch]],
    moved_within: Mapping[int, Counter[Why | None]],
    finest: timedelta,
) -> Picture:
    """Lay out the timeline.

    lines: with the marks in sight. crowded: of those with bars instead, the stretches in sight, `finest` long.
    """
    width = timeline_bars.width_of_bars(axis.start, axis.end, len(crowded), finest)
    return Picture(
        axis,
        now,
        axis.place(now),
        [_drawn(line, axis, crowded.get(line.campaign.id, ()), width, moved_within) for line in lines],
    )


def _drawn(
    line: CampaignDay,
    axis: Axis,
    crowd: Sequence[Stretch],
    width: timedelta,
    moved_within: Mapping[int, Counter[Why | None]],
) -> Drawn:
    # Marks drawn last are on top.
    marks = [_placed(mark, axis) for mark in sorted(line.marks, key=lambda mark: mark.status in _ABOVE)]
    left = [(axis.place(each.at_from), each) for each in line.moved_away if axis.shows(each.at_from)]
    bands = [
        *_bands([(it.origin, it.mark.moved) for it in marks if it.origin is not None and it.mark.moved], is_away=False),
        *_bands(left, is_away=True),
    ]
    return Drawn(
        line=line,
        open=(axis.place(line.opens), axis.place(line.closes)) if line.opens and line.closes else None,
        marks=marks,
        bars=timeline_bars.bars(crowd, axis.start, axis.end, width),
        left=[] if any(band.is_away for band in bands) else left,
        moved=Counter(mark.moved.why for mark in line.marks if mark.moved),
        moved_within=moved_within.get(line.campaign.id, Counter()),
        overdue=_overdue(line, crowd, axis),
        bands=bands,
    )


def _overdue(line: CampaignDay, crowd: Sequence[Stretch], axis: Axis) -> int:
    return sum(mark.at < axis.start for mark in line.marks) + sum(it.count for it in crowd if it.begins < axis.start)


def _bands(moves: Sequence[tuple[float, TimeChange | MovedAway]], *, is_away: bool) -> Iterator[Band]:
    if len(moves) <= FEW_MOVES:
        return
    for why, of_it in groupby(sorted(moves, key=lambda it: (str(it[1].why), it[0])), lambda it: it[1].why):
        together: list[tuple[float, TimeChange | MovedAway]] = []
        for move in of_it:
            if together and move[0] - together[-1][0] > _APART:
                yield _band(together, why, is_away)
                together = []
            together.append(move)
        yield _band(together, why, is_away)


def _band(moves: Sequence[tuple[float, TimeChange | MovedAway]], why: Why | None, is_away: bool) -> Band:
    (first, earliest), (last, latest) = moves[0], moves[-1]
    return Band(first, round(last - first, 3), earliest.at_from, latest.at_from, len(moves), why, is_away)


def _placed(mark: TimelineMark, axis: Axis) -> Placed:
    origin = mark.moved.at_from if mark.moved else None
    return Placed(mark, axis.place(mark.at), axis.place(origin) if origin and axis.shows(origin) else None)


def _past_midnight(at: datetime) -> timedelta:
    local = at.astimezone(WARSAW)
    return timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
