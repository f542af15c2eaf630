"""The planner's simulation: plays the future in time order, one e-mail of one campaign at a time. Pure."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from itertools import pairwise, takewhile
from math import ceil
from typing import TypeVar

from scheduling.plan_types import (
    BEGIN,
    END,
    GIVE_UP_AFTER,
    Campaign,
    CurrentSlot,
    Email,
    Hold,
    Mailbox,
    Slot,
    Taken,
    whole,
)
from scheduling.pool import LimitedMailboxState, MailboxState, Pool
from scheduling.sharing import max_min
from scheduling.track import Track
from scheduling.window import Window, warsaw_day, warsaw_day_bounds

T = TypeVar("T")

JITTER = 0.2
_MICROSECOND = timedelta(microseconds=1)
# Not used for planning: an e-mail there would lose a day by the slightest delay.
LAST_MINUTE = timedelta(minutes=1)
# So many mailboxes are compared faster than kept in an order.
_FEW = 8
# What unforeseen settings and rows may raise in a computation.
FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Unplannable(Exception):
    """The planner failed for one campaign. The others can be planned without it."""

    def __init__(self, campaign_id: int) -> None:
        super().__init__(f"the planner failed at campaign {campaign_id}")
        self.campaign_id = campaign_id


class CampaignState:
    """A campaign in the simulation. Its time only goes forward."""

    # With slots a plan of a thousand campaigns takes a sixth less time: fewer places of memory are read.
    __slots__ = (
        "ahead",
        "campaign",
        "day",
        "delay",
        "last_minute_from",
        "left",
        "open_until",
        "placed_at",
        "pool",
        "previous",
        "put_off",
        "room",
        "room_for_new",
        "started",
        "steps",
        "taken",
        "taken_new",
        "to_place",
    )

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.pool = Pool([])
        self.previous = campaign.last_start
        self.to_place = deque(email for email in campaign.emails if email.bound is None)
        self.taken: Counter[date] = Counter()
        self.taken_new: Counter[date] = Counter()  # first e-mails among them
        # Slots that an e-mail keeps its distance to on both sides: of follow-ups, and in a sequence of others too.
        self.ahead = Track(campaign.delay * (1 - JITTER))
        self.started = campaign.last_start  # the last e-mail that the simulation has come to
        self.delay = campaign.delay // _MICROSECOND  # times a float it is found five times as fast as a timedelta
        self.steps = {step.id: following for step, following in pairwise(campaign.steps)}
        self.placed_at: datetime | None = None  # the last one
        self.put_off: tuple[timedelta, Hold] | None = None  # the longest of the next e-mail, if that is asked for
        # Cache of the open stretch found last: most times are in it.
        self.open_until = self.last_minute_from = BEGIN
        self.day = date.min
        self.room = self.room_for_new = 0  # of this day, as the next
        self.left: dict[MailboxState, int] | None = (
            None  # what is left of its shares of mailboxes it can use; None: not shared
        )

    @property
    def current(self) -> CurrentSlot | None:
        return self.to_place[0].current if self.to_place else None

    def room_on(self, day: date) -> int:
        if day != self.day:
            self.day, self.left = day, None
            self.room = self._room_on(day)
            self.room_for_new = self._room_for_new_on(day)
        return min(self.room, self.room_for_new)

    def left_on(self, day: date) -> int:
        """Its room on this day or a later one, for any e-mail."""
        return self.room if day == self.day else self._room_on(day)

    def _room_on(self, day: date) -> int:
        return self.campaign.daily_limit - self.campaign.used.get(day, 0) - self.taken[day]

    def _room_for_new_on(self, day: date) -> int:
        if self.campaign.new_per_day is None:
            return self.campaign.daily_limit
        return self.campaign.new_per_day - self.campaign.used_new.get(day, 0) - self.taken_new[day]

    def book_ahead(self, at: datetime, day: date) -> None:
        """Book a follow-up at a time to which the simulation has not come."""
        self.ahead.add(at)
        self.taken[day] += 1
        if day == self.day:
            self.room -= 1

    def follow(self, at: datetime) -> None:
        if self.previous is None or at > self.previous:
            self.previous = at

    def stands_at(self, at: datetime) -> bool:
        return self.current is not None and self.current.at == at


class Future:
    """The state of the simulation: slots taken so far, and each campaign's share of the mailboxes.

    Its time only goes forward: from call to call `at` must not go back.
    """

    def __init__(
        self, campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Iterable[Taken], now: datetime
    ) -> None:
        self.now = whole(now)
        self._day, self._day_ends = date.min, BEGIN
        # (mailbox, day) -> campaigns that send from it then, if it is asked for what put off slots.
        self.senders: defaultdict[tuple[int, date], set[int]] = defaultdict(set)
        self._open_for: dict[tuple[Window, date], timedelta] = {}
        self.boxes = {it.id: LimitedMailboxState(it) if it.ceilings else MailboxState(it) for it in mailboxes}
        self.states = {it.id: CampaignState(it) for it in campaigns}
        self.users: dict[MailboxState, tuple[CampaignState, ...]] = {}  # whose mailbox it is; equal ones are one tuple
        self._link()
        for each in sorted((it for it in taken if it.at < END), key=lambda it: it.at):
            self._take(each, self.day_of(each.at))
        self._day_ends = BEGIN

    def _link(self) -> None:
        """Link each campaign to its mailboxes and back; campaigns with the same mailboxes share a pool."""
        pools: dict[tuple[int, ...], Pool] = {}
        users: defaultdict[MailboxState, list[CampaignState]] = defaultdict(list)
        for state in self.states.values():
            ids = state.campaign.mailbox_ids
            if ids not in pools:
                pools[ids] = Pool([self.boxes[it] for it in ids if it in self.boxes])
            state.pool = pools[ids]
            for box in state.pool.boxes:
                users[box].append(state)
        same: dict[tuple[CampaignState, ...], tuple[CampaignState, ...]] = {}
        for box, states in users.items():
            self.users[box] = same.setdefault(tuple(states), tuple(states))

    def _take(self, taken: Taken, day: date) -> None:
        if box := self.boxes.get(taken.mailbox_id):
            box.ahead.add(taken.at)
            box.taken.setdefault(day, Counter())[taken.campaign_id] += 1
            box.following[day] += taken.is_follow_up
        if state := self.states.get(taken.campaign_id):
            state.taken[day] += 1
            state.taken_new[day] += not taken.is_follow_up
            if state.steps and not taken.is_retry:
                state.ahead.add(taken.at)
            if not taken.is_retry and not taken.is_follow_up:
                state.follow(taken.at)

    def day_of(self, at: datetime) -> date:
        if at >= self._day_ends:
            self._day = warsaw_day(at)
            self._day_ends = warsaw_day_bounds(self._day)[1]
        return self._day

    def first_moment(self, state: CampaignState) -> datetime:
        return self.now if state.previous is None and state.current is None else self.next_moment(state)

    def next_moment(self, state: CampaignState) -> datetime:
        """The next e-mail's wanted time: its current slot if it can stay, else one delay after the previous e-mail."""
        email = state.to_place[0]
        if email.current is not None and self._can_stand(state, email.current.at):
            return email.current.at
        return self._after_previous(state, jitter(state.campaign.id, email))

    def _can_stand(self, state: CampaignState, at: datetime) -> bool:
        return self._after_previous(state, 1 - JITTER) <= at < END and state.campaign.window.is_open(at)

    def _after_previous(self, state: CampaignState, delays: float) -> datetime:
        if state.previous is None:
            return self.now
        at = whole(state.previous + _MICROSECOND * round(state.delay * delays))
        return at if at > self.now else self.now

    def advance(self, state: CampaignState, at: datetime) -> tuple[Slot | None, datetime | None]:
        """Place the next e-mail at `at`, if it can be. Returns its slot, and when to go on; None: never."""
        if at >= (state.campaign.until or END):
            return None, None
        later = self.next_allowed(state, at)
        if later > at:
            return None, self._unless_hopeless(state, later)
        if state.ahead.first_at is not None and (later := self._clear_of_follow_ups(state, at)) > at:
            return None, self._unless_hopeless(state, later)
        box, later = self._choose(state, at)
        if box is None:
            return None, self._unless_hopeless(state, later)
        slot = self._settle(state, box, at)
        return slot, self.next_moment(state) if state.to_place else None

    def next_allowed(self, state: CampaignState, at: datetime) -> datetime:
        """The first time from `at` on that window and daily limit allow."""
        if at >= state.open_until:
            opening = state.campaign.window.next_opening(at)
            if opening > at:
                return opening
            state.open_until = state.campaign.window.closing(at)
            is_long = state.campaign.window.end_minute - state.campaign.window.start_minute > 2
            state.last_minute_from = state.open_until - LAST_MINUTE if is_long else state.open_until
        if at > state.last_minute_from and not state.stands_at(at):
            return state.campaign.window.next_opening(state.open_until)
        return at if state.room_on(self.day_of(at)) > 0 else self.next_day(state)

    def _clear_of_follow_ups(self, state: CampaignState, at: datetime) -> datetime:
        """`at`, or later if a slot before or behind it is too near."""
        before = state.started
        while (passed := state.ahead.passed(at)) is not None:
            state.started = passed
            state.follow(passed)
        if state.started != before:
            delays = 1 - JITTER if state.stands_at(at) else jitter(state.campaign.id, state.to_place[0])
            at = max(at, self._after_previous(state, delays))
        following = state.ahead.first_at
        return following if following is not None and following < at + state.ahead.gap else at

    def next_day(self, state: CampaignState) -> datetime:
        return state.campaign.window.next_opening(self._day_ends)

    def why_not(self, state: CampaignState, at: datetime) -> Hold:
        """Why advance() has just found no slot at `at`."""
        if self.next_allowed(state, at) > at:
            is_full = state.campaign.window.is_open(at) and state.room_on(self.day_of(at)) <= 0
            return Hold.DAILY_LIMIT if is_full else Hold.WINDOW
        if state.left:
            if any(box.ahead.is_at_ceiling for box in state.left):
                return Hold.PROVIDER
            is_closed = all((box.mailbox.open_from or BEGIN) > at for box in state.left)
            return Hold.MAILBOX_CLOSED if is_closed else Hold.MAILBOX_GAP
        senders = {it for box in state.pool.boxes for it in (*box.held, *self.senders[box.mailbox.id, self._day])}
        return Hold.SHARE if senders - {state.campaign.id} else Hold.MAILBOX_LIMIT

    def _choose(self, state: CampaignState, at: datetime) -> tuple[MailboxState | None, datetime]:
        """A mailbox for its next e-mail: the current one, or of those that may take it now the one that ranks first.

        Without one: when to ask again.
        """
        left = self._shares_of(state) if state.left is None else state.left
        current = state.to_place[0].current
        if len(left) > _FEW and current is None and (box := self._first_in_order(state, left, at)):
            return box, at
        best: MailboxState | None = None
        soonest, used_up = END, []
        for box, share in left.items():
            if box.room <= 0 or (share <= 0 and box.surplus <= 0):
                used_up.append(box)
            elif (free_from := box.free_from(at)) > at:
                if free_from < soonest:
                    soonest = free_from
            elif current is not None and box.mailbox.id == current.mailbox_id:
                return box, at
            elif best is None or box.rank < best.rank:
                best = box
        for box in used_up:
            del left[box]
        if best is not None:
            return best, at
        # The next day all have room again.
        return None, soonest if soonest < self._day_ends else self.next_day(state)

    def _first_in_order(
        self, state: CampaignState, left: Mapping[MailboxState, int], at: datetime
    ) -> MailboxState | None:
        free = state.pool.free_in_order(at, self._day)
        return next((box for box in free if box.room > 0 and (box.surplus > 0 or left.get(box, 0) > 0)), None)

    def _shares_of(self, state: CampaignState) -> dict[MailboxState, int]:
        """What it may still use today of each of its mailboxes that have room."""
        boxes = state.pool.with_room(self._day)
        if any(box.shares is None for box in boxes):
            _Sharing(self._day, self).share(boxes)
        state.left = {
            box: box.shares.get(state.campaign.id, 0) - box.held[state.campaign.id]
            for box in boxes
            if box.shares is not None
        }
        return state.left

    def pace_capacity(self, state: CampaignState) -> int:
        """How many e-mails fit into the rest of today's window, by the campaign's delay alone."""
        key = (state.campaign.window, self._day)
        if key not in self._open_for:
            self._open_for[key] = _open_for(*key, self.now)
        return ceil(self._open_for[key] / state.campaign.delay)

    def _settle(self, state: CampaignState, box: MailboxState, at: datetime) -> Slot:
        assert state.left is not None
        if state.left[box] > 0:
            state.left[box] -= 1
        else:
            box.surplus -= 1
        box.book(at)
        state.room -= 1
        state.room_for_new -= 1
        state.follow(at)
        state.placed_at = state.started = at
        email = state.to_place.popleft()
        return Slot(state.campaign.id, email.lead_id, email.step_id, box.mailbox.id, at)

    def _unless_hopeless(self, state: CampaignState, later: datetime) -> datetime | None:
        return later if later < (state.placed_at or self.now) + GIVE_UP_AFTER else None


class _Sharing:
    """Shares mailboxes' daily limits at one moment: nothing is booked meanwhile, so it finds everything out once."""

    def __init__(self, day: date, future: Future) -> None:
        self._day, self._future = day, future
        self._demands: dict[CampaignState, int] = {}
        self._with_room: dict[Pool, int] = {}
        self._shares: dict[tuple[object, int], Mapping[int, int]] = {}

    def share(self, boxes: Iterable[MailboxState]) -> None:
        """Share each mailbox's room among the campaigns that can use it today; the rest is free for all."""
        for box in boxes:
            if box.shares is None:
                held = {who: it for who, it in box.held.items() if who in self._future.states}
                capacity = box.room + sum(held.values())
                box.shares = self._alike(box, capacity) if not held else self._shared(box, capacity, held)
                box.surplus = capacity - sum(box.shares.values())

    def _alike(self, box: MailboxState, capacity: int) -> Mapping[int, int]:
        """Share the mailbox's room, once for all mailboxes of the same campaigns with as much room."""
        key = (self._future.users[box], capacity)
        if key not in self._shares:
            self._shares[key] = self._shared(box, capacity, {})
        return self._shares[key]

    def _shared(self, box: MailboxState, capacity: int, held: Mapping[int, int]) -> Mapping[int, int]:
        demands = {
            state.campaign.id: held.get(state.campaign.id, 0) + run_step(state, self._demand)
            for state in self._future.users[box]
        }
        return max_min(capacity, demands, held, turn=self._day.toordinal())

    def _demand(self, state: CampaignState) -> int:
        """How many more e-mails it could use today from each of its mailboxes with room."""
        if state not in self._demands:
            wanted = min(state.room_on(self._day), len(state.to_place), self._future.pace_capacity(state))
            boxes = self._count(state.pool)
            self._demands[state] = max(ceil(wanted / boxes), 0) if boxes else 0
        return self._demands[state]

    def _count(self, pool: Pool) -> int:
        if pool not in self._with_room:
            self._with_room[pool] = len(pool.with_room(self._day))
        return self._with_room[pool]


def _open_for(window: Window, day: date, since: datetime) -> timedelta:
    """How long it is open on a Warsaw day, from an instant on."""
    begin, end = warsaw_day_bounds(day)
    stretches = takewhile(lambda it: it[0] < end, window.stretches(begin))
    return sum((max(stop - max(start, since), timedelta(0)) for start, stop in stretches), timedelta(0))


def run_step(state: CampaignState, step: Callable[..., T], *arguments: object) -> T:
    """Run one step for a campaign; a failure is raised as Unplannable with its id."""
    try:
        return step(state, *arguments)
    except FAULTS as fault:
        raise Unplannable(state.campaign.id) from fault


def jitter(campaign_id: int, email: Email) -> float:
    """A factor between 0.8 and 1.2 for the delay; always the same for the same e-mail."""
    key = f"{campaign_id}:{email.lead_id}:{email.step_id}"
    draw = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) * 2.0**-64
    return 1 - JITTER + 2 * JITTER * draw
