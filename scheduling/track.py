"""Times that are taken and keep a gap, and the first time between them that is free. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime, timedelta

from scheduling.plan_types import Ceiling, whole

# So many passed times are kept before they are thrown away together.
_KEPT = 1024


class Track:
    """The taken times of one campaign or mailbox. None is ever given back."""

    __slots__ = ("_first", "_full_from", "_full_to", "_times", "first_at", "gap")
    is_at_ceiling = False  # whether a limit of its provider has put off what was asked for last

    def __init__(self, gap: timedelta) -> None:
        self.gap = gap
        self._times: list[datetime] = []  # in order
        self._first = 0  # the first that was not passed
        self.first_at: datetime | None = None
        # Disjoint stretches without a free time, in order: where many times are taken, they are not searched again.
        self._full_from: list[datetime] = []
        self._full_to: list[datetime] = []

    def add(self, at: datetime) -> None:
        insort(self._times, at, lo=self._first)
        self.first_at = self._times[self._first]

    def passed(self, at: datetime) -> datetime | None:
        """Pass the first time, and return it, if it is not after `at`."""
        first_at = self.first_at
        if first_at is None or first_at > at:
            return None
        self._first += 1
        if self._first == _KEPT:
            del self._times[:_KEPT]
            self._first = 0
        self.first_at = self._times[self._first] if self._first < len(self._times) else None
        return first_at

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on that keeps the gap to those before and behind it that were not passed."""
        place = bisect_right(self._full_from, at) - 1
        begins = at
        if place >= 0 and at < self._full_to[place]:
            at, begins = self._full_to[place], self._full_from[place]
        following = bisect_right(self._times, at - self.gap, lo=self._first)
        while following < len(self._times) and self._times[following] < at + self.gap:
            at = whole(self._times[following] + self.gap)
            following += 1
        if at > begins:
            self._remember(begins, at)
        return at

    def _remember(self, begins: datetime, ends: datetime) -> None:
        first, behind = bisect_left(self._full_from, begins), bisect_left(self._full_from, ends)
        self._full_from[first:behind], self._full_to[first:behind] = [begins], [ends]


class LimitedTrack(Track):
    """The taken times of a mailbox that could reach a limit of its provider."""

    def __init__(self, gap: timedelta, ceilings: Iterable[Ceiling]) -> None:
        super().__init__(gap)
        self._counts = [_Count(ceiling) for ceiling in ceilings]

    def add(self, at: datetime) -> None:
        super().add(at)
        for count in self._counts:
            count.add(at)

    def count(self, at: datetime) -> None:
        """Count a time that is taken now. No earlier time is asked for any more."""
        for count in self._counts:
            count.add(at)
            count.forget_before(at)

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on that keeps the gap and exceeds no limit by what is taken around it."""
        at = super().free_from(at)
        self.is_at_ceiling = False
        while (later := max(count.free_from(at) for count in self._counts)) > at:
            self.is_at_ceiling = True
            at = super().free_from(later)
        return at


class _Count:
    """The times that count for one limit of a provider."""

    def __init__(self, ceiling: Ceiling) -> None:
        self._most, self._span = ceiling.limit.most, ceiling.limit.span
        self._times = list(ceiling.counted)  # in order

    def add(self, at: datetime) -> None:
        insort(self._times, at)

    def forget_before(self, at: datetime) -> None:
        """Forget times that are too old to count from `at` on, many at once."""
        if len(self._times) > _KEPT and self._times[_KEPT] <= at - self._span:
            del self._times[:_KEPT]

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on at which one more e-mail exceeds the limit in no span."""
        times, span = self._times, self._span
        first = bisect_right(times, at - span)
        while first + self._most <= len(times) and (last := times[first + self._most - 1]) - span < at:
            if at < times[first] + span and last - times[first] < span:  # they may lie around it, further apart
                at = whole(times[first] + span)
            first += 1
        return at
