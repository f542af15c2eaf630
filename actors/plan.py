"""Tick steps that plan: new e-mails, follow-ups, and pending ones that must be replanned.

A plan is computed for all campaigns at once, written campaign by campaign, and hints are published as it is written. A
campaign that cannot be planned is logged and left out; the others are planned as if it did not exist.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import accumulate, groupby, islice

import clock
import config
from actors.hint import hint_planned
from models.email import former_mailboxes, recipients, removed_steps
from models.email.batch_moves import FollowUpSlot
from models.inbox import holding, unread
from models.planning import follow_ups, plans, usable
from models.planning.plans import Situation
from models.planning.unplanned import Unfollowed
from models.store import database, tick_request
from ops.watch import logs
from scheduling import planner
from scheduling.planner import Slot, Unplannable

log = logs.get()
BY = "planner"

# E-mails planned per step, which takes seconds. If more are left, another tick is asked for at once.
AT_ONCE = 100_000
# Hints are published whenever so many e-mails have been written: few of one campaign's are due soon.
HINTED_AT_ONCE = 1000
# How often a step replans campaigns that changed while they were planned.
_ROUNDS = 3


@dataclass
class _Written:
    """The result of writing a step's plans."""

    mails: int = 0
    outdated: set[int] = field(default_factory=set)
    unhinted: list[int] = field(default_factory=list)  # campaigns whose hints are still to be published
    unhinted_mails: int = 0  # written of these
    hints: bool = True  # False: the broker is away, and each further hint would cost its timeout

    def write(self, campaign_id: int, slots: Sequence[Slot], seen: Situation, reason: str | None = None) -> None:
        self._write(campaign_id, lambda: plans.write(campaign_id, slots, seen, BY, reason))

    def follow(self, campaign_id: int, found: Sequence[FollowUpSlot], seen: Situation) -> None:
        self._write(campaign_id, lambda: plans.write_follow_ups(campaign_id, found, seen, BY))

    def _write(self, campaign_id: int, write: Callable[[], int | None]) -> None:
        try:
            count = write()
        except database.FAILURES as failure:
            if database.is_outage(failure) and not database.took_too_long(failure):
                raise
            log.error("plan_not_written", campaign_id=campaign_id, error=str(failure).strip())
            return
        if count is None:
            self.outdated.add(campaign_id)
            log.info("plan_outdated", campaign_id=campaign_id)
        elif count:
            self.mails += count
            self.unhinted.append(campaign_id)
            self.unhinted_mails += count
            if self.unhinted_mails >= HINTED_AT_ONCE:
                self.hint()

    def hint(self) -> None:
        """Publish the hints of what was written since the last time."""
        if self.unhinted:
            self.hints = self.hints and hint_planned(self.unhinted)
            self.unhinted, self.unhinted_mails = [], 0


def plan_new() -> None:
    """Plan e-mails up to the planning horizon; those due soon first, for all campaigns."""
    for (kind, id), why in usable.problems().items():
        log.error("settings_unusable", **{kind: id}, error=why)
    _without_failing(plans.wanting(), _plan)


def _plan(campaign_ids: Collection[int]) -> None:
    seen, written = plans.situation(campaign_ids), _Written()
    soon = seen.now + timedelta(minutes=config.settings().planning.buffer_minutes)
    played = 0
    for _, portion in groupby(islice(_play(seen), AT_ONCE), key=lambda slot: slot.at < soon):
        for campaign_id, slots in _by_campaign(portion).items():
            played += len(slots)
            written.write(campaign_id, slots, seen)
    written.hint()
    if played == AT_ONCE and written.mails:
        tick_request.ask_for_tick()


def plan_follow_ups() -> None:
    """Give each sent e-mail's follow-up its time, days ahead."""
    due = follow_ups.due(AT_ONCE)
    by_campaign: defaultdict[int, list[Unfollowed]] = defaultdict(list)
    for it in due:
        by_campaign[it.campaign_id].append(it)
    if by_campaign:
        follow_ups.allow_second_emails()
        _without_failing(by_campaign, partial(_follow, by_campaign))
    if len(due) == AT_ONCE:
        tick_request.ask_for_tick()


def _follow(due: Mapping[int, Sequence[Unfollowed]], campaign_ids: Collection[int]) -> None:
    seen, written = plans.around(campaign_ids), _Written()
    asked = sorted((it for each in campaign_ids for it in due[each]), key=lambda it: (it.sent_at, it.predecessor_id))
    for campaign_id, found in follow_ups.placed(asked, seen).items():
        written.follow(campaign_id, found, seen)
    written.hint()


def replan() -> bool:
    """Replan pending e-mails where an owner's order or a gate requires it.

    Returns whether some are left to another tick, for which it has asked.
    """
    recipients.cancel_forbidden(BY)
    recipients.cancel_stopped(BY)
    former_mailboxes.cancel_ended(BY)
    removed_steps.cancel_left(BY)
    holding.put_off_held(BY)
    unread.put_off_unread(BY)
    reasons, written = plans.to_replan(), _Written()
    campaign_ids = portion = _portion(list(reasons))
    for _ in range(_ROUNDS):
        written.outdated.clear()
        _without_failing(campaign_ids, partial(_replan, reasons, written))
        if not written.outdated:
            break
        reasons = plans.to_replan()
        campaign_ids = [it for it in portion if it in written.outdated & reasons.keys()]
    are_left = len(portion) < len(reasons) and written.mails > 0
    if are_left:
        tick_request.ask_for_tick()
    return are_left


def _replan(reasons: Mapping[int, str], written: _Written, campaign_ids: Collection[int]) -> None:
    orders = {it: reasons[it] for it in campaign_ids if reasons[it] in plans.ORDERS}
    seen = plans.situation(campaign_ids, again=True, orders=orders)
    slots = _by_campaign(_play(seen))
    # The campaign with the earliest slot is written first. Writing one without slots clears its replan request.
    for campaign_id in [*slots, *(it.id for it in seen.campaigns if it.id not in slots)]:
        written.write(campaign_id, slots.get(campaign_id, []), seen, reasons[campaign_id])
    written.hint()


def _portion(campaign_ids: Sequence[int]) -> list[int]:
    """The first campaigns with AT_ONCE pending e-mails together. If there are more, each minute starts elsewhere."""
    counts = plans.pending_counts(campaign_ids)
    first = int(clock.now().timestamp() // 60) % max(len(campaign_ids), 1) if sum(counts.values()) > AT_ONCE else 0
    in_turn = [*campaign_ids[first:], *campaign_ids[:first]]
    before = accumulate((counts.get(it, 0) for it in in_turn), initial=0)
    return [it for it, mails in zip(in_turn, before, strict=False) if mails < AT_ONCE]


def _play(seen: Situation) -> Iterator[Slot]:
    return planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now)


def _by_campaign(slots: Iterable[Slot]) -> dict[int, list[Slot]]:
    """Campaign id -> its slots, in order of their first slot."""
    found: defaultdict[int, list[Slot]] = defaultdict(list)
    for slot in slots:
        found[slot.campaign_id].append(slot)
    return found


def _without_failing(campaign_ids: Collection[int], step: Callable[[Collection[int]], None]) -> None:
    """Run a step for these campaigns; repeat it without each campaign for which the planner fails."""
    left = list(campaign_ids)
    while left:
        try:
            step(left)
            break
        except Unplannable as failure:
            log.exception("campaign_unplannable", campaign_id=failure.campaign_id)
            left.remove(failure.campaign_id)
