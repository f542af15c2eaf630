"""The planner: simulates the future in time order and yields a slot (time and mailbox) for each e-mail.

Pure: no database, no clock, nothing random. Stopped at the planning horizon, its output is written to the queue; run to
the end, it is the forecast. Instants are UTC in whole milliseconds.
"""

import heapq
from bisect import insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from itertools import takewhile
from math import ceil
from typing import NamedTuple, TypeVar

from scheduling.sharing import max_min
from scheduling.window import NEVER, Window, warsaw_day, warsaw_day_bounds

T = TypeVar("T")

JITTER = 0.2
# Not used for planning: an e-mail there would lose a day by the slightest delay.
_LAST_MINUTE = timedelta(minutes=1)
# A campaign without a free slot for a year has none at all.
_GIVE_UP_AFTER = timedelta(days=370)
# The longest delay and gap that can be planned.
LONGEST = _GIVE_UP_AFTER
# So many mailboxes are compared faster than kept in an order.
_FEW = 8
# Limits of all times, so that date arithmetic cannot overflow.
_BEGIN, END = datetime.min.replace(tzinfo=UTC), NEVER
_NOTHING: Counter[int] = Counter()
# What unforeseen settings and rows may raise in a computation.
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class PlanInputInvalid(ValueError):
    """Settings or times with which planning is impossible."""


class Unplannable(Exception):
    """The planner failed for one campaign. The others can be planned without it."""

    def __init__(self, campaign_id: int) -> None:
        super().__init__(f"the planner failed at campaign {campaign_id}")
        self.campaign_id = campaign_id


def interval(seconds: float, name: str) -> timedelta:
    """A stored delay or gap. Raises PlanInputInvalid if it is out of bounds."""
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise PlanInputInvalid(f"its {name} of {seconds:g} s is not between 0 s and {LONGEST.days} days")
    return timedelta(seconds=seconds)


def check_moments(*moments: datetime | None) -> None:
    """Raise PlanInputInvalid if one is too far away for date arithmetic."""
    if any(it is not None and it >= END for it in moments):
        raise PlanInputInvalid("its last start, its closing or its time is thousands of years away")


@dataclass(frozen=True)
class Mailbox:
    id: int
    daily_limit: int
    gap: timedelta
    used: Mapping[date, int]  # Warsaw day -> e-mails that already count: with warm-up, without pending ones
    last_start: datetime | None
    open_from: datetime | None = None  # closed until then

    def __post_init__(self) -> None:
        check_moments(self.last_start, self.open_from)


class CurrentSlot(NamedTuple):
    """The slot that a pending e-mail has now."""

    mailbox_id: int
    at: datetime


class Email(NamedTuple):
    """An e-mail to plan: a step of its campaign for one lead."""

    lead_id: int
    step_id: int
    current: CurrentSlot | None = None  # when its campaign is replanned


@dataclass(frozen=True)
class Campaign:
    id: int
    window: Window
    delay: timedelta
    daily_limit: int
    mailbox_ids: tuple[int, ...]
    used: Mapping[date, int]
    last_start: datetime | None
    emails: Sequence[Email]  # to plan, in order
    until: datetime | None  # the planning horizon; None: to the last e-mail

    def __post_init__(self) -> None:
        if self.delay <= timedelta(0):
            raise PlanInputInvalid("its delay between two mails is not above 0 s")
        check_moments(self.last_start)


class Taken(NamedTuple):
    """The slot of a pending e-mail that is not replanned."""

    campaign_id: int
    mailbox_id: int
    at: datetime
    is_retry: bool = False  # a retry: it has its own time, and later e-mails need not wait for it


class Slot(NamedTuple):
    campaign_id: int
    lead_id: int
    step_id: int
    mailbox_id: int
    at: datetime


def plan(
    campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Iterable[Taken], now: datetime
) -> Iterator[Slot]:
    """The slots of all campaigns in time order. Deterministic.

    Raises Unplannable for the campaign that it fails for.
    """
    future = _Future(campaigns, mailboxes, taken, now)
    first = {line.it.id: _of(line, future.first_moment) for line in future.lines.values() if line.to_place}
    # (time, waiting since, campaign): a contested mailbox goes to the campaign that asked first.
    waiting = [(at, at, campaign_id) for campaign_id, at in first.items()]
    heapq.heapify(waiting)
    while waiting:
        at, since, campaign_id = waiting[0]
        line = future.lines[campaign_id]
        slot, later = _of(line, future.advance, at)
        if later is None:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (later, later if slot else since, campaign_id))
        if slot is not None:
            yield slot


def _of(line: "_Line", step: Callable[..., T], *arguments: object) -> T:
    """Run one step for a campaign; a failure is raised as Unplannable with its id."""
    try:
        return step(line, *arguments)
    except _FAULTS as fault:
        raise Unplannable(line.it.id) from fault


def horizon(window: Window, now: datetime, at_least: timedelta) -> datetime:
    """The end of the next open day, but at least `at_least` from now: on Friday evening Monday is planned."""
    today = warsaw_day(now)
    later = (stop for start, stop in window.stretches(now) if warsaw_day(start) > today)
    end = next(later, now)
    for stop in later:
        if warsaw_day(stop - timedelta(milliseconds=1)) != warsaw_day(end - timedelta(milliseconds=1)):
            break
        end = stop
    return max(end, now + at_least)


def retry_moment(campaign: Campaign, mailbox: Mailbox, taken: Iterable[Taken], not_before: datetime) -> datetime:
    """The first time for another attempt within window, limits and mailbox gap.

    It moves no other e-mail, so it ignores the campaign's pace, which the claim checks at that time. It also ignores
    the campaign's last day: a retry after it is cancelled when that day is over.
    """
    campaign = replace(campaign, window=replace(campaign.window, last_day=None))
    future = _Future([campaign], [mailbox], taken, not_before)
    line, box = future.lines[campaign.id], future.boxes[mailbox.id]
    at = first = future.next_allowed(line, _whole(not_before))
    while at < not_before + _GIVE_UP_AFTER:
        later = future.next_day(line) if box.room_on(future.day_of(at)) <= 0 else box.free_from(at)
        if later == at:
            return at
        at = future.next_allowed(line, later)
    return first


class _Box:
    """A mailbox in the simulation. Its time only goes forward."""

    def __init__(self, it: Mailbox) -> None:
        self.it = it
        self.lines: tuple[_Line, ...] = ()  # the campaigns that use it
        self.ahead: deque[datetime] = deque()  # e-mails planned for later, in order
        self.taken: dict[date, Counter[int]] = {}  # day -> campaign -> its e-mails planned before
        self.latest = it.last_start or _BEGIN
        self.free_at = _whole(max(it.open_from or _BEGIN, it.last_start + it.gap if it.last_start else _BEGIN))
        self.day = date.min
        self.room = 0  # of this day, as all below
        self.held = _NOTHING
        self.rank = (0, _BEGIN, it.id)
        self.shares: Mapping[int, int] | None = None  # campaign -> slots; None: nobody has asked for one
        self.surplus = 0  # slots that are in nobody's share

    def room_on(self, day: date) -> int:
        if day != self.day:
            self.day, self.shares, self.surplus, self.held = day, None, 0, self.taken.get(day, _NOTHING)
            self.room = self.it.daily_limit - self.it.used.get(day, 0) - self.held.total()
            self._rank()
        return self.room

    def book(self, at: datetime) -> None:
        self.room -= 1
        self._pass(at)

    def _pass(self, at: datetime) -> None:
        self.latest = at
        free_at = _whole(at + self.it.gap)
        if free_at > self.free_at:
            self.free_at = free_at
        self._rank()

    def _rank(self) -> None:
        """The least goes first: the one with the most room left, and among equals the one idle longest."""
        self.rank = (-self.room, self.latest, self.it.id)

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on that keeps the gap to all of its e-mails."""
        while self.ahead and self.ahead[0] <= at:
            self._pass(self.ahead.popleft())
        if self.free_at > at:
            at = self.free_at
        for later in self.ahead:
            if later >= at + self.it.gap:
                break
            at = max(at, _whole(later + self.it.gap))
        return at


class _Pool:
    """The mailboxes of one campaign or several, in the order of their ranks.

    A rank only gets worse during a day. So it is enough to look again at those that seem to be first.
    """

    def __init__(self, boxes: list[_Box]) -> None:
        self.boxes = boxes
        self._day = date.min
        self._ranking: list[tuple[tuple[int, datetime, int], _Box]] = []

    def with_room(self, day: date) -> list[_Box]:
        return [box for box in self.boxes if box.room_on(day) > 0]

    def in_order(self, at: datetime, day: date) -> Iterator[_Box]:
        """Those with room."""
        if day != self._day:
            self._day, self._ranking = day, sorted((box.rank, box) for box in self.with_room(day))
        place = 0
        while place < len(self._ranking):
            rank, box = self._ranking[place]
            box.free_from(at)
            if rank == box.rank:
                yield box
                place += 1
            else:
                del self._ranking[place]
                insort(self._ranking, (box.rank, box))


class _Line:
    """A campaign in the simulation. Its time only goes forward."""

    def __init__(self, it: Campaign) -> None:
        self.it = it
        self.pool = _Pool([])
        self.previous = it.last_start
        self.to_place = deque(it.emails)
        self.taken: Counter[date] = Counter()
        self.placed_at: datetime | None = None  # the last one
        # Cache of the open stretch found last: most times are in it.
        self.open_until = self.last_minute_from = _BEGIN
        self.day = date.min
        self.room = 0  # of this day, as the next
        self.left: dict[_Box, int] | None = None  # what is left of its shares of mailboxes it can use; None: not shared

    @property
    def current(self) -> CurrentSlot | None:
        return self.to_place[0].current if self.to_place else None

    def room_on(self, day: date) -> int:
        if day != self.day:
            self.day, self.left = day, None
            self.room = self.it.daily_limit - self.it.used.get(day, 0) - self.taken[day]
        return self.room

    def follow(self, at: datetime) -> None:
        if self.previous is None or at > self.previous:
            self.previous = at

    def stands_at(self, at: datetime) -> bool:
        return self.current is not None and self.current.at == at


class _Future:
    """The state of the simulation: slots taken so far, and each campaign's share of the mailboxes.

    Times must not go back from call to call, except for `after_previous`.
    """

    def __init__(
        self, campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Iterable[Taken], now: datetime
    ) -> None:
        self.now = _whole(now)
        self._day, self._day_ends = date.min, _BEGIN
        self._open_for: dict[tuple[Window, date], timedelta] = {}
        self.boxes = {it.id: _Box(it) for it in mailboxes}
        self.lines = {it.id: _Line(it) for it in campaigns}
        self._link()
        for each in sorted((it for it in taken if it.at < END), key=lambda it: it.at):
            self._take(each, self.day_of(each.at))
        self._day_ends = _BEGIN

    def _link(self) -> None:
        """Each campaign to its mailboxes and back; campaigns with the same mailboxes share a pool."""
        pools: dict[tuple[int, ...], _Pool] = {}
        lines: defaultdict[_Box, list[_Line]] = defaultdict(list)
        same: dict[tuple[_Line, ...], tuple[_Line, ...]] = {}
        for line in self.lines.values():
            ids = line.it.mailbox_ids
            line.pool = pools.get(ids) or pools.setdefault(
                ids, _Pool([self.boxes[it] for it in ids if it in self.boxes])
            )
            for box in line.pool.boxes:
                lines[box].append(line)
        for box, users in lines.items():
            box.lines = same.setdefault(tuple(users), tuple(users))

    def _take(self, taken: Taken, day: date) -> None:
        if box := self.boxes.get(taken.mailbox_id):
            box.ahead.append(taken.at)
            box.taken.setdefault(day, Counter())[taken.campaign_id] += 1
        if line := self.lines.get(taken.campaign_id):
            line.taken[day] += 1
            if not taken.is_retry:
                line.follow(taken.at)

    def day_of(self, at: datetime) -> date:
        if at >= self._day_ends:
            self._day = warsaw_day(at)
            self._day_ends = warsaw_day_bounds(self._day)[1]
        return self._day

    def first_moment(self, line: _Line) -> datetime:
        return self.now if line.previous is None and line.current is None else self.next_moment(line)

    def next_moment(self, line: _Line) -> datetime:
        """The next e-mail's wanted time: its current slot if it can stay, else one delay after the previous e-mail."""
        email = line.to_place[0]
        if email.current is not None and self._can_stand(line, email.current.at):
            return email.current.at
        return self._after_previous(line, jitter(line.it.id, email))

    def _can_stand(self, line: _Line, at: datetime) -> bool:
        return self._after_previous(line, 1 - JITTER) <= at < END and line.it.window.is_open(at)

    def _after_previous(self, line: _Line, delays: float) -> datetime:
        if line.previous is None:
            return self.now
        at = _whole(line.previous + line.it.delay * delays)
        return at if at > self.now else self.now

    def advance(self, line: _Line, at: datetime) -> tuple[Slot | None, datetime | None]:
        """The next e-mail's slot at `at`, if there is one; and when to go on. None: never."""
        if at >= (line.it.until or END):
            return None, None
        later = self.next_allowed(line, at)
        if later > at:
            return None, self._unless_hopeless(line, later)
        box, later = self._choose(line, at)
        if box is None:
            return None, self._unless_hopeless(line, later)
        slot = self._settle(line, box, at)
        return slot, self.next_moment(line) if line.to_place else None

    def next_allowed(self, line: _Line, at: datetime) -> datetime:
        """The first time from `at` on that window and daily limit allow."""
        if at >= line.open_until:
            opening = line.it.window.next_opening(at)
            if opening > at:
                return opening
            line.open_until = line.it.window.closing(at)
            is_long = line.it.window.end_minute - line.it.window.start_minute > 2
            line.last_minute_from = line.open_until - _LAST_MINUTE if is_long else line.open_until
        if at > line.last_minute_from and not line.stands_at(at):
            return line.it.window.next_opening(line.open_until)
        return at if line.room_on(self.day_of(at)) > 0 else self.next_day(line)

    def next_day(self, line: _Line) -> datetime:
        return line.it.window.next_opening(self._day_ends)

    def _choose(self, line: _Line, at: datetime) -> tuple[_Box | None, datetime]:
        """A mailbox for its next e-mail: the current one, or of those that may take it now the one that ranks first.

        Without one: when to ask again.
        """
        left = self._shares_of(line) if line.left is None else line.left
        current = line.to_place[0].current
        if len(left) > _FEW and current is None and (box := self._first_in_order(line, left, at)):
            return box, at
        best: _Box | None = None
        soonest, used_up = END, []
        for box, share in left.items():
            if share <= 0 and box.surplus <= 0:
                used_up.append(box)
            elif (free_from := box.free_from(at)) > at:
                soonest = min(soonest, free_from)
            elif current is not None and box.it.id == current.mailbox_id:
                return box, at
            elif best is None or box.rank < best.rank:
                best = box
        for box in used_up:
            del left[box]
        return best, soonest if left else self.next_day(line)

    def _first_in_order(self, line: _Line, left: Mapping[_Box, int], at: datetime) -> _Box | None:
        for box in line.pool.in_order(at, self._day):
            if box.free_at <= at and (box.surplus > 0 or left.get(box, 0) > 0) and box.free_from(at) == at:
                return box
        return None

    def _shares_of(self, line: _Line) -> dict[_Box, int]:
        """What it may still use today of each of its mailboxes that have room."""
        boxes = line.pool.with_room(self._day)
        if any(box.shares is None for box in boxes):
            _Sharing(self._day, self).share(boxes)
        line.left = {
            box: box.shares.get(line.it.id, 0) - box.held[line.it.id] for box in boxes if box.shares is not None
        }
        return line.left

    def pace_capacity(self, line: _Line) -> int:
        """How many e-mails fit into the rest of today's window, by the campaign's delay alone."""
        key = (line.it.window, self._day)
        if key not in self._open_for:
            self._open_for[key] = _open_for(*key, self.now)
        return ceil(self._open_for[key] / line.it.delay)

    def _settle(self, line: _Line, box: _Box, at: datetime) -> Slot:
        assert line.left is not None
        if line.left[box] > 0:
            line.left[box] -= 1
        else:
            box.surplus -= 1
        box.book(at)
        line.room -= 1
        line.follow(at)
        line.placed_at = at
        email = line.to_place.popleft()
        return Slot(line.it.id, email.lead_id, email.step_id, box.it.id, at)

    def _unless_hopeless(self, line: _Line, later: datetime) -> datetime | None:
        return later if later < (line.placed_at or self.now) + _GIVE_UP_AFTER else None


class _Sharing:
    """Shares mailboxes' daily limits at one moment: nothing is booked meanwhile, so it finds everything out once."""

    def __init__(self, day: date, future: _Future) -> None:
        self._day, self._future = day, future
        self._demands: dict[_Line, int] = {}
        self._with_room: dict[_Pool, int] = {}
        self._shares: dict[tuple[object, int], Mapping[int, int]] = {}

    def share(self, boxes: Iterable[_Box]) -> None:
        """Share each mailbox's room among the campaigns that can use it today; the rest is free for all."""
        for box in boxes:
            if box.shares is None:
                held = {who: it for who, it in box.held.items() if who in self._future.lines}
                capacity = box.room + sum(held.values())
                box.shares = self._alike(box, capacity) if not held else self._shared(box, capacity, held)
                box.surplus = capacity - sum(box.shares.values())

    def _alike(self, box: _Box, capacity: int) -> Mapping[int, int]:
        """Mailboxes of the same campaigns with as much room are shared alike."""
        key = (box.lines, capacity)
        if key not in self._shares:
            self._shares[key] = self._shared(box, capacity, {})
        return self._shares[key]

    def _shared(self, box: _Box, capacity: int, held: Mapping[int, int]) -> Mapping[int, int]:
        demands = {line.it.id: held.get(line.it.id, 0) + _of(line, self._demand) for line in box.lines}
        return max_min(capacity, demands, held, turn=self._day.toordinal())

    def _demand(self, line: _Line) -> int:
        """How many more e-mails it could use today from each of its mailboxes with room."""
        if line not in self._demands:
            wanted = min(line.room_on(self._day), len(line.to_place), self._future.pace_capacity(line))
            boxes = self._count(line.pool)
            self._demands[line] = max(ceil(wanted / boxes), 0) if boxes else 0
        return self._demands[line]

    def _count(self, pool: _Pool) -> int:
        if pool not in self._with_room:
            self._with_room[pool] = len(pool.with_room(self._day))
        return self._with_room[pool]


def _open_for(window: Window, day: date, since: datetime) -> timedelta:
    """How long it is open on a Warsaw day, from an instant on."""
    begin, end = warsaw_day_bounds(day)
    stretches = takewhile(lambda it: it[0] < end, window.stretches(begin))
    return sum((max(stop - max(start, since), timedelta(0)) for start, stop in stretches), timedelta(0))


def jitter(campaign_id: int, email: Email) -> float:
    """A factor between 0.8 and 1.2 for the delay; always the same for the same e-mail."""
    key = f"{campaign_id}:{email.lead_id}:{email.step_id}"
    draw = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) / 2**64
    return 1 - JITTER + 2 * JITTER * draw


# The microseconds of an instant within its millisecond -> what it lacks to the next whole one.
_LACKING = [timedelta(microseconds=-part % 1000) for part in range(1000)]


def _whole(at: datetime) -> datetime:
    """Rounded up to a whole millisecond."""
    return at + _LACKING[at.microsecond % 1000]
