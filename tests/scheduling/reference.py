"""A second planner, as simple as its rules, to compare the real one with: it asks everything anew for each e-mail.

The rules are those of scheduling/planner.py. Where both differ, one of them is wrong.
"""

import heapq
from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import ceil

from scheduling.planner import JITTER, Campaign, CurrentSlot, Email, Mailbox, Slot, Taken, jitter
from scheduling.sharing import max_min
from scheduling.window import warsaw_day, warsaw_day_bounds

_LAST_MINUTE = timedelta(minutes=1)
_GIVE_UP_AFTER = timedelta(days=370)
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def plan(
    campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Sequence[Taken], now: datetime
) -> Iterator[Slot]:
    future = _Future(campaigns, mailboxes, taken, now)
    first = {line.it.id: future.first_moment(line) for line in future.lines.values() if line.to_place}
    waiting = [(at, at, campaign_id) for campaign_id, at in first.items()]
    heapq.heapify(waiting)
    while waiting:
        at, since, campaign_id = heapq.heappop(waiting)
        line = future.lines[campaign_id]
        if at >= (line.it.until or _END):
            continue
        found = future.place(line, at)
        if isinstance(found, Slot):
            yield found
            if line.to_place:
                at = future.next_moment(line)
                heapq.heappush(waiting, (at, at, campaign_id))
        elif found is not None:
            heapq.heappush(waiting, (found, since, campaign_id))


@dataclass
class _Box:
    """A mailbox in the simulation."""

    it: Mailbox
    times: list[datetime] = field(default_factory=list)  # of its planned e-mails, in order
    per_day: Counter[date] = field(default_factory=Counter)

    def book(self, at: datetime) -> None:
        insort(self.times, at)
        self.per_day[warsaw_day(at)] += 1

    def room(self, day: date) -> int:
        return self.it.daily_limit - self.it.used.get(day, 0) - self.per_day[day]

    def has_room(self, day: date) -> bool:
        return self.room(day) > 0

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on that keeps the gap to all of its e-mails and its provider's limits."""
        while (later := self._under_ceilings(self._free_by_gap(at))) > at:
            at = later
        return at

    def _under_ceilings(self, at: datetime) -> datetime:
        """`at` if one more e-mail then keeps every limit, or a later time."""
        for ceiling in self.it.ceilings:
            most, span = ceiling.limit
            times = sorted([*ceiling.counted, *self.times])
            for first, last in zip(times, times[most - 1 :], strict=False):
                if last - span < at < first + span and last - first < span:
                    return _whole(first + span)
        return at

    def _free_by_gap(self, at: datetime) -> datetime:
        if self.it.open_from is not None:
            at = max(at, _whole(self.it.open_from))
        if self.it.last_start is not None:
            at = max(at, _whole(self.it.last_start + self.it.gap))
        following = bisect_right(self.times, at - self.it.gap)
        while following < len(self.times) and self.times[following] < at + self.it.gap:
            at = _whole(self.times[following] + self.it.gap)
            following += 1
        return at

    def idle_since(self, at: datetime) -> datetime:
        before = bisect_right(self.times, at)
        if before:
            return self.times[before - 1]
        return self.it.last_start or _BEGIN


@dataclass
class _Line:
    """A campaign in the simulation."""

    it: Campaign
    previous: datetime | None
    to_place: deque[Email]
    per_day: Counter[date] = field(default_factory=Counter)

    @property
    def current(self) -> CurrentSlot | None:
        return self.to_place[0].current if self.to_place else None

    def stands_at(self, at: datetime) -> bool:
        return self.current is not None and self.current.at == at

    def book(self, at: datetime, *, is_retry: bool) -> None:
        if not is_retry:
            self.previous = at if self.previous is None else max(self.previous, at)
        self.per_day[warsaw_day(at)] += 1

    def room(self, day: date) -> int:
        return self.it.daily_limit - self.it.used.get(day, 0) - self.per_day[day]

    def next_allowed(self, at: datetime) -> datetime:
        """The first time from `at` on that window and daily limit allow."""
        opening = self.it.window.next_opening(at)
        if opening > at:
            return opening
        closing = self.it.window.closing(at)
        long_enough = self.it.window.end_minute - self.it.window.start_minute > 2
        if closing - at < _LAST_MINUTE and long_enough and not self.stands_at(at):
            return self.it.window.next_opening(closing)
        return at if self.room(warsaw_day(at)) > 0 else self.next_day(at)

    def next_day(self, at: datetime) -> datetime:
        return self.it.window.next_opening(warsaw_day_bounds(warsaw_day(at))[1])

    def pace_capacity(self, day: date, now: datetime) -> int:
        """How many e-mails fit into the rest of the day's window, by the campaign's delay alone."""
        begin, end = warsaw_day_bounds(day)
        open_for = timedelta(0)
        for start, stop in self.it.window.stretches(begin):
            if start >= end:
                break
            open_for += max(stop - max(start, now), timedelta(0))
        return ceil(open_for / self.it.delay)


class _Future:
    """The state of the simulation: slots taken so far, and each campaign's share of the mailboxes."""

    def __init__(
        self, campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Sequence[Taken], now: datetime
    ) -> None:
        self.now = _whole(now)
        self.boxes = {it.id: _Box(it) for it in mailboxes}
        self.lines = {it.id: _Line(it, it.last_start, deque(it.emails)) for it in campaigns}
        self._counts: Counter[tuple[int, int, date]] = Counter()  # campaign, mailbox, day -> slots held
        self._shares: dict[tuple[int, date], dict[int, int]] = {}
        self._surplus: dict[tuple[int, date], int] = {}
        self._give_up_at: dict[int, datetime] = {}
        for each in sorted((it for it in taken if it.at < _END), key=lambda it: it.at):
            self._take(each.campaign_id, each.mailbox_id, each.at, is_retry=each.is_retry)

    def first_moment(self, line: _Line) -> datetime:
        return self.now if line.previous is None and line.current is None else self.next_moment(line)

    def next_moment(self, line: _Line) -> datetime:
        """The next e-mail's wanted time: its current slot if it can stay, else one delay after the previous e-mail."""
        current = line.current
        if current is not None and self._can_stand(line, current.at):
            return current.at
        return self._after_previous(line, jitter(line.it.id, line.to_place[0]))

    def _can_stand(self, line: _Line, at: datetime) -> bool:
        return self._after_previous(line, 1 - JITTER) <= at < _END and line.it.window.is_open(at)

    def _after_previous(self, line: _Line, delays: float) -> datetime:
        if line.previous is None:
            return self.now
        return max(self.now, _whole(line.previous + line.it.delay * delays))

    def place(self, line: _Line, at: datetime) -> Slot | datetime | None:
        """A slot for the next e-mail at `at`, or when to try again; None: there never will be one."""
        later = line.next_allowed(at)
        if later > at:
            return self._unless_hopeless(line, later)
        day = warsaw_day(at)
        boxes = [box for box in self._boxes_of(line) if self._may_take(line, box, day)]
        if not boxes:
            return self._unless_hopeless(line, line.next_day(at))
        free = {box.it.id: box.free_from(at) for box in boxes}
        if (soonest := min(free.values())) > at:
            return self._unless_hopeless(line, min(soonest, line.next_day(at)))  # then others have room again
        box = self._best(line.current, [box for box in boxes if free[box.it.id] == at], day, at)
        return self._settle(line, box, at)

    def _settle(self, line: _Line, box: _Box, at: datetime) -> Slot:
        email = line.to_place.popleft()
        slot = Slot(line.it.id, email.lead_id, email.step_id, box.it.id, at)
        day = warsaw_day(at)
        if self._counts[line.it.id, box.it.id, day] >= self._shares[box.it.id, day].get(line.it.id, 0):
            self._surplus[box.it.id, day] -= 1
        self._take(line.it.id, box.it.id, at)
        self._give_up_at[line.it.id] = at + _GIVE_UP_AFTER
        return slot

    def _best(self, current: CurrentSlot | None, boxes: Sequence[_Box], day: date, at: datetime) -> _Box:
        """Its current mailbox; else the one with the most room left, and among equals the one idle longest."""
        stays_on = current.mailbox_id if current is not None else None
        return min(boxes, key=lambda box: (box.it.id != stays_on, -box.room(day), box.idle_since(at), box.it.id))

    def _take(self, campaign_id: int, mailbox_id: int, at: datetime, *, is_retry: bool = False) -> None:
        if mailbox_id in self.boxes:
            self.boxes[mailbox_id].book(at)
        if campaign_id in self.lines:
            self.lines[campaign_id].book(at, is_retry=is_retry)
        self._counts[campaign_id, mailbox_id, warsaw_day(at)] += 1

    def _boxes_of(self, line: _Line) -> list[_Box]:
        return [self.boxes[mailbox_id] for mailbox_id in line.it.mailbox_ids if mailbox_id in self.boxes]

    def _may_take(self, line: _Line, box: _Box, day: date) -> bool:
        if not box.has_room(day):
            return False
        if (box.it.id, day) not in self._shares:
            self._share(box, day)
        held = self._counts[line.it.id, box.it.id, day]
        share = self._shares[box.it.id, day].get(line.it.id, 0)
        return held < share or self._surplus[box.it.id, day] > 0

    def _share(self, box: _Box, day: date) -> None:
        """Share the mailbox's daily limit among the campaigns that can use it that day; the rest is free for all."""
        held = {line.it.id: self._counts[line.it.id, box.it.id, day] for line in self.lines.values()}
        capacity = box.room(day) + sum(held.values())
        demands = {
            line.it.id: held[line.it.id] + self._demand(line, day)
            for line in self.lines.values()
            if box.it.id in line.it.mailbox_ids
        }
        shares = max_min(capacity, demands, held, turn=day.toordinal())
        self._shares[box.it.id, day] = shares
        self._surplus[box.it.id, day] = capacity - sum(shares.values())

    def _demand(self, line: _Line, day: date) -> int:
        """How many more e-mails it could use on a day from each of its mailboxes with room."""
        wanted = min(line.room(day), len(line.to_place), line.pace_capacity(day, self.now))
        boxes = sum(box.has_room(day) for box in self._boxes_of(line))
        return max(ceil(wanted / boxes), 0) if boxes else 0

    def _unless_hopeless(self, line: _Line, later: datetime) -> datetime | None:
        return later if later < self._give_up_at.get(line.it.id, self.now + _GIVE_UP_AFTER) else None


def _whole(at: datetime) -> datetime:
    """Rounded up to a whole millisecond."""
    return at + timedelta(microseconds=-at.microsecond % 1000)
