"""Times that are taken and keep a gap, and the first time between them that is free. Pure."""

from bisect import bisect_left, bisect_right, insort
from datetime import datetime, timedelta

from scheduling.plan_types import whole

# So many passed times are kept before they are thrown away together.
_KEPT = 1024


class Track:
    """The taken times of one campaign or mailbox. None is ever given back."""

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
