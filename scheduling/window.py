"""When a campaign may send: a stretch of the Warsaw wall clock on some weekdays, but not on closed days.

Pure. An instant is inside if its wall-clock time and weekday are, so the clock changes need no special rule.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from scheduling.holidays import is_holiday

WARSAW = ZoneInfo("Europe/Warsaw")
DAY_MINUTES = 24 * 60

# A weekly window that falls into the skipped hour opens a week later; closed days may add a year to that.
_SEARCH_DAYS = 400
# An open stretch is followed no further: a window may be open around the clock, every day.
_LONGEST_STRETCH_DAYS = 15
# The next opening of a window that does not open again. It leaves room for date arithmetic.
NEVER = datetime(9000, 1, 1, tzinfo=UTC)


class WindowInvalid(ValueError):
    """The window would never open, or its end is not after its start."""


@dataclass(frozen=True)
class Days:
    """Warsaw days, both ends included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Window:
    """When a campaign may send. Minutes of the Warsaw wall clock, the end exclusive; weekdays from 0, Monday."""

    start_minute: int
    end_minute: int
    weekdays: frozenset[int]
    on_holidays: bool = True
    frozen: tuple[Days, ...] = ()  # closed whatever the weekday
    last_day: date | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_minute < self.end_minute <= DAY_MINUTES:
            raise WindowInvalid("a window must start before it ends, between 00:00 and 24:00")
        if not self.weekdays or not self.weekdays <= set(range(7)):
            raise WindowInvalid("a window needs at least one weekday, from 0 for Monday to 6 for Sunday")

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(WARSAW)
        minute = local.hour * 60 + local.minute
        return self.start_minute <= minute < self.end_minute and self.is_open_on(local.date())

    def is_open_on(self, day: date) -> bool:
        return day.weekday() in self.weekdays and not self.is_closed_on(day)

    def is_closed_on(self, day: date) -> bool:
        """Whether the day is closed whatever its weekday."""
        if self.last_day is not None and day > self.last_day:
            return True
        return any(day in days for days in self.frozen) or (not self.on_holidays and is_holiday(day))

    def next_opening(self, at: datetime) -> datetime:
        """`at` itself if open, else the start of the next open stretch, in UTC. NEVER if it does not open again."""
        if self.is_open(at):
            return at
        return next((start for start, _ in self.stretches(at) if start > at), NEVER)

    def closing(self, at: datetime) -> datetime:
        """The end of the open stretch around `at`, in UTC. Adjacent stretches are one."""
        end = at
        for start, stop in self.stretches(at, _LONGEST_STRETCH_DAYS):
            if start > end:
                break
            end = max(end, stop)
        return end

    def stretches(self, at: datetime, days: int = _SEARCH_DAYS) -> Iterator[tuple[datetime, datetime]]:
        """The open stretches from the Warsaw day of `at` on, in order, in UTC."""
        first = warsaw_day(at)
        for offset in range(days):
            day = first + timedelta(days=offset)
            if self.last_day is not None and day > self.last_day:
                return
            yield from self.stretches_on(day)

    def stretches_on(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The open stretches of a Warsaw day, in order, in UTC."""
        return _stretches_of(self, day) if self.is_open_on(day) else ()


@lru_cache(maxsize=4096)
def _stretches_of(window: Window, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The open stretches of a day: usually one; none or two if the clock changes inside the window."""
    begin, end = warsaw_day_bounds(day)
    edges = {_edge(day, minute, fold) for minute in (window.start_minute, window.end_minute) for fold in (0, 1)}
    inner = sorted(edge for edge in edges | _clock_changes(begin, end) if begin < edge < end)
    found: list[tuple[datetime, datetime]] = []
    for start, stop in pairwise([begin, *inner, end]):
        if not window.is_open(start):
            continue
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, stop))
    return tuple(found)


def _edge(day: date, minute: int, fold: int) -> datetime:
    if minute == DAY_MINUTES:
        return warsaw_day_bounds(day)[1]
    return datetime.combine(day, time(minute // 60, minute % 60, fold=fold), WARSAW).astimezone(UTC)


def warsaw_day(at: datetime) -> date:
    return at.astimezone(WARSAW).date()


def warsaw_days(times: Iterable[datetime]) -> Iterator[date]:
    """The day of each time, for many times in order: each day is looked up once."""
    day, ends = date.min, datetime.min.replace(tzinfo=UTC)
    for at in times:
        if at >= ends:
            day = warsaw_day(at)
            ends = warsaw_day_bounds(day)[1]
        yield day


def warsaw_day_bounds(day: date) -> tuple[datetime, datetime]:
    """Start and end of a Warsaw day, in UTC: 23, 24 or 25 hours apart."""
    midnight = datetime.combine(day, time(0), WARSAW)
    next_midnight = datetime.combine(day + timedelta(days=1), time(0), WARSAW)
    return midnight.astimezone(UTC), next_midnight.astimezone(UTC)


def _clock_changes(begin: datetime, end: datetime) -> set[datetime]:
    """The instant of the day's clock change, if there is one. Poland changes at 01:00 UTC."""
    if end - begin == timedelta(hours=24):
        return set()
    return {datetime.combine(begin.astimezone(WARSAW).date(), time(1), UTC)}
