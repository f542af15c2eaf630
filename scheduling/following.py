"""Places follow-ups in the simulation, as their e-mails are sent: each in the first free place after its wait. Pure.

A follow-up is placed when the simulation comes to the e-mail before it, days ahead of what is planned then. So it has
its place before new leads get what is left, and nothing is pushed out.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduling.plan_types import END, GIVE_UP_AFTER, Bound, Email, FollowUp, Slot, Taken, whole
from scheduling.pool import MailboxState
from scheduling.simulation import LAST_MINUTE, CampaignState, Future, run_step
from scheduling.window import Window, warsaw_day, warsaw_day_bounds

_DAY = timedelta(days=1)
_SEARCH_DAYS = 400


class _Sent(NamedTuple):
    """An e-mail of the simulation, in the order of their times."""

    at: datetime
    campaign_id: int
    lead_id: int
    step_id: int
    mailbox_id: int
    is_told: bool  # its slot is yielded when the simulation comes to it


class Following:
    """The follow-ups of a simulation."""

    def __init__(self, future: Future, *, expected: bool) -> None:
        """expected: yield follow-ups whose e-mail is still to be sent as well, which go if nobody answers."""
        self._future, self._expected = future, expected
        self._hours: dict[Window, _Hours] = {}
        self._ahead: list[_Sent] = []
        self.next_at = END

    def expect(self, taken: Iterable[Taken]) -> None:
        """Expect pending e-mails to be sent, so that their follow-ups are placed."""
        for it in taken:
            state = self._future.states.get(it.campaign_id)
            if state is not None and it.step_id in state.steps:
                self._push(_Sent(it.at, *_named(it), it.mailbox_id, is_told=False))

    def book(self, state: CampaignState, emails: Iterable[Email]) -> None:
        """Place follow-ups that are planned again, in order: those that can stay where they are before the others."""
        moving = []
        for email in emails:
            if email.bound is not None and not self._stands(state, email, email.bound):
                moving.append(email)
        for email in moving:
            assert email.bound is not None
            self._place(state, email.lead_id, email.step_id, email.bound, is_told=True)

    def follow(self, it: FollowUp) -> Slot | None:
        """Place a follow-up whose e-mail was sent. Returns None if its mailbox cannot be used or no place is free."""
        state = self._future.states[it.campaign_id]
        return run_step(state, self._place, it.lead_id, it.step_id, it.bound, self._expected)

    def sent(self, slot: Slot) -> None:
        """Add an e-mail that is being planned, so that its follow-up is placed."""
        if slot.step_id in self._future.states[slot.campaign_id].steps:
            self._push(_Sent(slot.at, *_named(slot), slot.mailbox_id, is_told=False))

    def until(self, at: datetime) -> Iterator[Slot]:
        """Let time pass: yield what was planned up to then, and place what follows it."""
        while self._ahead and self._ahead[0].at <= at:
            it = heapq.heappop(self._ahead)
            self.next_at = self._ahead[0].at if self._ahead else END
            if it.is_told:
                yield Slot(it.campaign_id, it.lead_id, it.step_id, it.mailbox_id, it.at)
            state = self._future.states[it.campaign_id]
            if (step := state.steps.get(it.step_id)) is not None and step.wait is not None:
                bound = Bound(it.mailbox_id, step.wait.due(step.wait.ends(it.at)))
                run_step(state, self._place, it.lead_id, step.id, bound, self._expected)

    def rest(self) -> Iterator[Slot]:
        """Yield the slots that are left, when nothing else is to be placed."""
        if self._expected:
            yield from self.until(END)
        else:
            yield from (
                Slot(it.campaign_id, it.lead_id, it.step_id, it.mailbox_id, it.at)
                for it in sorted(self._ahead)
                if it.is_told
            )

    def _push(self, it: _Sent) -> None:
        heapq.heappush(self._ahead, it)
        self.next_at = self._ahead[0].at

    def _stands(self, state: CampaignState, email: Email, bound: Bound) -> bool:
        """Book its current slot, if it can stay there."""
        box, current = self._box(state, bound), email.current
        if box is None or current is None or current.mailbox_id != bound.mailbox_id:
            return False
        at, day = current.at, warsaw_day(current.at)
        if not bound.not_before <= at < END or self._first_at(state, box, at) > at:
            return False
        if not state.campaign.window.is_open(at) or not self._has_room(state, box, day):
            return False
        if state.ahead.free_from(at) > at or box.ahead.free_from(at) > at:
            return False
        self._book(
            state, box, Slot(state.campaign.id, email.lead_id, email.step_id, box.mailbox.id, at), day, is_told=True
        )
        return True

    def _place(self, state: CampaignState, lead_id: int, step_id: int, bound: Bound, is_told: bool) -> Slot | None:
        box = self._box(state, bound)
        if box is None:
            return None
        hours = self._hours_of(state.campaign.window)
        at = self._first_at(state, box, bound.not_before)
        give_up_at = at + GIVE_UP_AFTER
        while at < give_up_at:
            later, day = hours.open_from(at)
            if later == at:
                if self._has_room(state, box, day):
                    later = box.ahead.free_from(state.ahead.free_from(at))
                else:
                    later = hours.ends(day)
            if later == at:
                slot = Slot(state.campaign.id, lead_id, step_id, box.mailbox.id, at)
                self._book(state, box, slot, day, is_told=is_told)
                return slot
            at = later
        return None

    def _box(self, state: CampaignState, bound: Bound) -> MailboxState | None:
        return self._future.boxes.get(bound.mailbox_id) if bound.mailbox_id in state.campaign.mailbox_ids else None

    def _first_at(self, state: CampaignState, box: MailboxState, not_before: datetime) -> datetime:
        at = max(whole(not_before), self._future.now, box.free_at)
        return at if state.started is None else max(at, whole(state.started + state.ahead.gap))

    def _has_room(self, state: CampaignState, box: MailboxState, day: date) -> bool:
        most = max(1, box.mailbox.daily_limit * state.campaign.follow_up_share // 100)
        return box.following[day] < most and state.left_on(day) > 0 and box.left_on(day) > 0

    def _book(self, state: CampaignState, box: MailboxState, slot: Slot, day: date, *, is_told: bool) -> None:
        state.book_ahead(slot.at, day)
        box.book_ahead(slot.campaign_id, slot.at, day)
        if day == state.day and state.left is not None and box in state.left:
            if state.left[box] > 0:
                state.left[box] -= 1
            else:
                box.surplus -= 1
        if is_told or slot.step_id in state.steps:
            self._push(_Sent(slot.at, *_named(slot), slot.mailbox_id, is_told))

    def _hours_of(self, window: Window) -> "_Hours":
        if window not in self._hours:
            self._hours[window] = _Hours(window)
        return self._hours[window]


def _named(it: Slot | Taken) -> tuple[int, int, int]:
    return it.campaign_id, it.lead_id, it.step_id


class _Hours:
    """A window's open stretches, without their last minutes, day by day."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._is_long = window.end_minute - window.start_minute > 2
        self._days: dict[date, list[tuple[datetime, datetime]]] = {}

    def open_from(self, at: datetime) -> tuple[datetime, date]:
        """The first time from `at` on at which it is open, and its Warsaw day. END: there is none."""
        day = _day_of(at)
        for _ in range(_SEARCH_DAYS):
            for start, last in self._on(day):
                if at <= last:
                    return max(at, start), day
            day += _DAY
        return END, day

    def ends(self, day: date) -> datetime:
        return warsaw_day_bounds(day)[1]

    def _on(self, day: date) -> list[tuple[datetime, datetime]]:
        """The first and the last time of each open stretch of the day."""
        if day not in self._days:
            tomorrow = self._window.stretches_on(day + _DAY)
            goes_on = tomorrow[0][0] if tomorrow else None
            self._days[day] = [
                (start, stop - LAST_MINUTE if self._is_long and stop != goes_on else stop - timedelta(milliseconds=1))
                for start, stop in self._window.stretches_on(day)
            ]
        return self._days[day]


def _day_of(at: datetime) -> date:
    """The Warsaw day of a time in UTC."""
    day = at.date()
    return day if at < _next_midnight(day) else day + _DAY


@lru_cache(maxsize=4096)
def _next_midnight(day: date) -> datetime:
    """The end of the Warsaw day, which is on the same day in UTC."""
    return warsaw_day_bounds(day)[1].astimezone(UTC)
