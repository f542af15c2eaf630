"""The planner: simulates the future in time order and yields a slot (time and mailbox) for each e-mail.

Pure: no database, no clock, nothing random. Stopped at the planning horizon, its output is written to the queue; run to
the end, it is the forecast. Instants are UTC in whole milliseconds.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scheduling.following import Following
from scheduling.plan_types import (
    END,
    GIVE_UP_AFTER,
    LONGEST,
    Bound,
    Campaign,
    Ceiling,
    CurrentSlot,
    Email,
    FollowUp,
    Hold,
    Mailbox,
    PlanInputInvalid,
    Slot,
    Step,
    Taken,
    check_moments,
    interval,
    whole,
)
from scheduling.simulation import FAULTS, JITTER, CampaignState, Future, Unplannable, jitter, run_step
from scheduling.window import Window, warsaw_day

# Whoever plans needs this module alone.
__all__ = [
    "END",
    "JITTER",
    "LONGEST",
    "Bound",
    "Campaign",
    "Ceiling",
    "CurrentSlot",
    "Email",
    "FollowUp",
    "Hold",
    "Mailbox",
    "PlanInputInvalid",
    "Slot",
    "Step",
    "Taken",
    "Unplannable",
    "check_moments",
    "follow",
    "horizon",
    "interval",
    "jitter",
    "plan",
    "retry_moment",
]


def plan(
    campaigns: Sequence[Campaign],
    mailboxes: Sequence[Mailbox],
    taken: Sequence[Taken],
    now: datetime,
    holds: dict[Slot, Hold] | None = None,
    *,
    due: Sequence[FollowUp] = (),
    expected: bool = False,
) -> Iterator[Slot]:
    """The slots of all campaigns in time order. Deterministic.

    The places of follow-ups to e-mails that are still to be sent are kept free, though nothing is planned for them yet.
    holds: if given, filled with the rule that put each first e-mail's slot off for longest. due: follow-ups whose
    e-mails were sent, and which have no slot. expected: yield the slots of all follow-ups, as they are if nobody
    answers. Raises Unplannable for the campaign that it fails for.
    """
    future = Future(campaigns, mailboxes, taken, now)
    following = Following(future, expected=expected)
    for state in future.states.values():
        run_step(state, following.book, state.campaign.emails)
    for each in due:
        following.follow(each)
    following.expect(taken)
    first = {
        state.campaign.id: run_step(state, future.first_moment) for state in future.states.values() if state.to_place
    }
    # (time, waiting since, campaign): a contested mailbox goes to the campaign that asked first.
    waiting = [(at, at, campaign_id) for campaign_id, at in first.items()]
    heapq.heapify(waiting)
    while waiting:
        at, since, campaign_id = waiting[0]
        if following.next_at <= at:
            yield from following.until(at)
        state = future.states[campaign_id]
        try:
            slot, later = future.advance(state, at)
        except FAULTS as fault:
            raise Unplannable(campaign_id) from fault
        if holds is not None:
            _note(holds, future, state, at, slot, later)
        if later is None:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (later, later if slot else since, campaign_id))
        if slot is not None:
            if state.steps:
                following.sent(slot)
            yield slot
    yield from following.rest()


def follow(
    campaigns: Sequence[Campaign],
    mailboxes: Sequence[Mailbox],
    taken: Sequence[Taken],
    due: Iterable[FollowUp],
    now: datetime,
) -> Iterator[tuple[FollowUp, Slot]]:
    """Yield the slots of follow-ups whose e-mails were sent. due: in the order in which these were sent.

    Those whose mailbox cannot be used now are left out. Raises Unplannable for the campaign that it fails for.
    """
    following = Following(Future(campaigns, mailboxes, taken, now), expected=False)
    for each in due:
        slot = following.follow(each)
        if slot is not None:
            yield each, slot


def _note(
    holds: dict[Slot, Hold],
    future: Future,
    state: CampaignState,
    at: datetime,
    slot: Slot | None,
    later: datetime | None,
) -> None:
    """Remember what put off the campaign's next e-mail from `at`; or, if it got its slot, note what did for longest."""
    if slot is not None:
        if state.put_off is not None:
            holds[slot] = state.put_off[1]
        state.put_off = None
        future.senders[slot.mailbox_id, future.day_of(slot.at)].add(slot.campaign_id)
    elif later is not None and (state.put_off is None or later - at > state.put_off[0]):
        state.put_off = (later - at, run_step(state, future.why_not, at))


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
    future = Future([campaign], [mailbox], taken, not_before)
    state, box = future.states[campaign.id], future.boxes[mailbox.id]
    at = first = future.next_allowed(state, whole(not_before))
    while at < not_before + GIVE_UP_AFTER:
        later = future.next_day(state) if box.room_on(future.day_of(at)) <= 0 else box.free_from(at)
        if later == at:
            return at
        at = future.next_allowed(state, later)
    return first
