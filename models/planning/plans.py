"""Reads the planner's input and writes its plan.

A plan is computed without locks and written under them, after checking that the settings it is based on are unchanged.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache, partial
from types import MappingProxyType
from typing import NamedTuple

import config
from models.email import batch_moves, facts, gates, limits, locks, windows
from models.planning import ceilings, mailbox_days, sequences, unplanned, usable
from models.states import CampaignStatus, MailboxStatus
from models.store.database import by_indexes, clock, execute, fetch, unflushed
from models.store.database import rows as read_rows
from models.store.tables import Campaign, CampaignEmailQueue, CampaignMailbox, Mailbox
from reasons import Code, Reason
from scheduling import planner
from scheduling.planner import Bound, CurrentSlot, Email, FollowUp, Slot, Taken
from scheduling.window import Days, Window, warsaw_day

Q = CampaignEmailQueue

# A plan covers at most three Warsaw days, so a campaign plans at most so many days' new e-mails. If a setting makes it
# cover more, the next tick plans the rest.
_DAYS_AHEAD = 3


@dataclass(frozen=True)
class Situation:
    """The input of a plan."""

    now: datetime
    campaigns: list[planner.Campaign]
    mailboxes: list[planner.Mailbox]
    taken: list[Taken]
    revisions: dict[tuple[str, int], int]  # updated as its plans are written
    due: list[FollowUp] = field(default_factory=list)  # follow-ups without a slot; for a forecast only
    plays_to_the_end: bool = False  # a forecast: with the follow-ups to e-mails that are still to be sent


def situation(
    campaign_ids: Collection[int] | None = None,
    *,
    again: bool = False,
    orders: Mapping[int, str] = MappingProxyType({}),
    forecast: bool = False,
    most_emails: int | Mapping[int, int | None] | None = None,
) -> Situation:
    """Active campaigns with the e-mails still to be planned, and the slots already taken on their mailboxes.

    campaign_ids: plan e-mails of these only. None: of all active campaigns.
    again: plan the e-mails that already have a slot, which they keep if it still fits.
    orders: campaign id -> the one of ORDERS for which its e-mails are planned again without keeping their slots.
    forecast: up to the last e-mail instead of the planning horizon, drafts and paused campaigns included.
    most_emails: per campaign, or by its id; None: all, or as many as fit before the horizon.

    Campaigns and mailboxes with unusable settings are left out: see usable.problems().
    """
    now = clock()
    rows = usable.only(_campaigns(campaign_ids, also_inactive=forecast))
    if again:
        ids = [row.id for row in rows]
        emails, own = _pending(ids, orders, now)
    else:
        emails = _new(rows, most_emails, forecast)
        if not forecast:
            rows = [row for row in rows if row.id in emails]
        own = _taken(TAKEN_BY, [row.id for row in rows])
    plays_to_the_end = forecast and not again
    due = _due([row.id for row in rows]) if plays_to_the_end else []
    seen = _situation(rows, emails, own, due, now, to_the_end=again or forecast)
    return replace(seen, plays_to_the_end=plays_to_the_end)


def _due(ids: Sequence[int]) -> list[FollowUp]:
    """The follow-ups that the next tick plans. What they follow was sent lately, so the whole past is not read."""
    return [it.planned for it in unplanned.follow_ups(ids, unplanned.unfollowed_since(ids))]


def around(campaign_ids: Collection[int]) -> Situation:
    """The slots already taken on the mailboxes of active campaigns, and nothing to plan."""
    rows = usable.only(_campaigns(campaign_ids))
    return _situation(rows, {}, _taken(TAKEN_BY, [row.id for row in rows]), [], clock(), to_the_end=True)


def _situation(
    rows: Sequence[Campaign],
    emails: Mapping[int, list[Email]],
    own: Sequence[Taken],
    due: list[FollowUp],
    now: datetime,
    *,
    to_the_end: bool,
) -> Situation:
    ids = [row.id for row in rows]
    linked = _mailboxes_of(ids)
    boxes = list(Mailbox.select().where(Mailbox.id.in_(sorted({it for each in linked.values() for it in each}))))
    return Situation(
        now=now,
        campaigns=_planned_campaigns(rows, linked, emails, now, to_the_end=to_the_end),
        mailboxes=_planned_mailboxes(usable.only(it for it in boxes if it.status == MailboxStatus.ACTIVE), now),
        taken=[*own, *_taken(TAKEN_BESIDE, ids, [row.id for row in boxes])],
        revisions={("campaign", row.id): row.revision for row in rows}
        | {("mailbox", row.id): row.revision for row in boxes},
        due=due,
    )


def write(campaign_id: int, slots: Sequence[Slot], seen: Situation, by: str, reason: str | None = None) -> int | None:
    """Write one campaign's slots and return how many e-mails were planned or moved.

    reason: why e-mails that already have a slot are moved. Returns None if the settings changed since: plan again.
    `seen` is updated, so that the caller can write the rest of the same plan.
    """

    def order() -> int:
        if reason is None:
            return batch_moves.plan(campaign_id, slots, by)
        why = Code.EDITED if reason == WAIT_EDITED else reason
        count = batch_moves.replan(campaign_id, slots, why, by, seen_at=seen.now)
        execute(CARRIED_OUT, {"campaign": campaign_id})
        return count

    return _written(campaign_id, slots, seen, order)


# The order for which its e-mails were planned again, and the edited waits, need nothing more.
CARRIED_OUT = """
WITH waits AS (UPDATE campaign_step SET moves = false WHERE campaign_id = %(campaign)s AND moves)
UPDATE campaign SET replan_reason = NULL WHERE id = %(campaign)s AND replan_reason IS NOT NULL
"""


def write_follow_ups(
    campaign_id: int, follow_ups: Sequence[batch_moves.FollowUpSlot], seen: Situation, by: str
) -> int | None:
    """Write one campaign's follow-ups, as write() does: they get their slots as their e-mails have been sent."""
    slots = [it.slot for it in follow_ups]
    return _written(campaign_id, slots, seen, lambda: batch_moves.follow(campaign_id, follow_ups, by))


def _written(campaign_id: int, slots: Sequence[Slot], seen: Situation, order: Callable[[], int]) -> int | None:
    """Carry out the order under the locks, if the settings are still as they were seen."""
    # A plan that a crash of Postgres loses is made again, and its hints are refused as stale.
    with unflushed():
        campaigns = locks.lock_campaigns([campaign_id])
        mailboxes = locks.lock_mailboxes(slot.mailbox_id for slot in slots)
        if not _unchanged(campaigns, mailboxes, seen):
            return None
        count = order()
        if count:
            # Invalidates plans that another timekeeper computed from the same input.
            Campaign.update(revision=Campaign.revision + 1).where(Campaign.id == campaign_id).execute()
    if count:
        seen.revisions["campaign", campaign_id] += 1
    return count


# An edited wait: what is planned of its step is planned again, the rest stays where it is.
WAIT_EDITED = "wait_edited"
# Why e-mails are replanned: an owner's order, or the gate that makes their time impossible.
REASONS = (Code.RESUMED, Code.EDITED, Code.DOWNTIME, Code.WINDOW, Code.LIMIT, Code.MAILBOX, Code.HOLIDAY)
# Owner's orders: pending e-mails are planned again from now on, even those whose slots would still fit.
ORDERS = {Code.RESUMED, Code.EDITED}


ASKED_FOR = """
SELECT id AS campaign_id, replan_reason AS reason FROM campaign
WHERE status = 'active' AND replan_reason IS NOT NULL
"""


EDITED_WAITS = """
SELECT DISTINCT s.campaign_id FROM campaign_step s JOIN campaign c ON c.id = s.campaign_id AND c.status = 'active'
WHERE s.moves
"""


class _AskedFor(NamedTuple):
    campaign_id: int
    reason: str


def to_replan() -> dict[int, str]:
    """Active campaign id -> why its pending e-mails must be replanned.

    Campaigns without a usable mailbox are left out: there are no other slots for them.
    """
    reasons = {it.campaign_id: it.reason for it in read_rows(_AskedFor, ASKED_FOR)}
    for (campaign_id,) in fetch(EDITED_WAITS):
        reasons.setdefault(campaign_id, WAIT_EDITED)
    for campaign_id in _on_unusable_mailboxes():
        reasons.setdefault(campaign_id, "mailbox")
    for (campaign_id,) in fetch(ON_FROZEN_DAYS):
        reasons.setdefault(campaign_id, Code.HOLIDAY)
    overdue = _overdue()
    # One reason is enough: after downtime the first e-mail of a campaign has it.
    for first in (True, False):
        ids = [it.email_id for it in overdue if it.is_first is first and it.campaign_id not in reasons]
        reasons |= _closed_to(ids)
    able = {campaign_id for (campaign_id,) in fetch(ABLE, (list(reasons),))} if reasons else set()
    return {campaign_id: reason for campaign_id, reason in reasons.items() if campaign_id in able}


def _closed_to(email_ids: Sequence[int]) -> dict[int, str]:
    """Campaign id -> the gate that needs another time for one of these e-mails."""
    reasons: dict[int, str] = {}
    for seen in facts.read_pending(email_ids).values() if email_ids else ():
        closed = gates.first_closed(gates.CLAIM, seen, config.settings().sending)
        if closed is not None and closed.action is gates.Action.REPLAN and not _is_stuck(seen, closed):
            is_holiday = isinstance(closed.because, Reason) and closed.because.code is Code.CLOSED_DAY
            reasons.setdefault(seen.campaign_id, Code.HOLIDAY if is_holiday else closed.gate)
    return reasons


def _is_stuck(seen: gates.Facts, closed: gates.Closed) -> bool:
    """A follow-up whose mailbox is paused or gone has no other slot until a person decides."""
    return seen.follow_up is not None and closed.gate == "mailbox" and closed.until is None


ABLE = """
SELECT DISTINCT cm.campaign_id FROM campaign_mailbox cm JOIN mailbox m ON m.id = cm.mailbox_id
WHERE cm.campaign_id = ANY(%s) AND cm.closed_reason IS NULL AND m.status = 'active' AND m.daily_limit > 0
"""

PENDING_COUNTS = """
SELECT campaign_id, count(*)::int AS emails FROM campaign_email_queue
WHERE status = 'pending' AND campaign_id = ANY(%s) GROUP BY campaign_id
"""


class _PendingCount(NamedTuple):
    campaign_id: int
    emails: int


def pending_counts(campaign_ids: Collection[int]) -> dict[int, int]:
    """Campaign id -> how many e-mails replanning it would move at most."""
    found = read_rows(_PendingCount, PENDING_COUNTS, (list(campaign_ids),))
    return {it.campaign_id: it.emails for it in found}


WANTING = f"""
SELECT c.id AS campaign_id, {windows.COLUMNS}, last.scheduled_at AS at
FROM campaign c
LEFT JOIN LATERAL (
    SELECT q.scheduled_at FROM campaign_email_queue q
    WHERE q.campaign_id = c.id AND q.status = 'pending' AND q.predecessor_id IS NULL
      AND q.attempts = 0 AND q.not_before IS NULL
    ORDER BY q.scheduled_at DESC LIMIT 1
) last ON true
WHERE c.status = 'active' ORDER BY c.id
"""  # noqa: S608  # only our own words


@dataclass(frozen=True, kw_only=True)
class _Wanting(windows.WindowRow):
    campaign_id: int
    at: datetime | None  # of its last planned e-mail


def wanting() -> list[int]:
    """Active campaigns with e-mails to plan whose last planned one is before their horizon.

    Usually few or none: neither the leads nor the settings of the others need be read.
    """
    now, ids = clock(), []
    horizon = cache(partial(_horizon_of, now))  # most campaigns have one of a few windows
    for it in read_rows(_Wanting, WANTING):
        with suppress(ValueError):  # see usable.problems()
            if it.at is None or it.at < horizon(it.window):
                ids.append(it.campaign_id)
    return unplanned.some_left(ids, turn=int(now.timestamp() // 60))


def behind(campaign_id: int, mailboxes: Mapping[Email, int]) -> list[Slot]:
    """Slots after all pending e-mails of the campaign. mailboxes: e-mail -> its current mailbox, in order."""
    now = clock()
    rows, linked = usable.only([Campaign.get_by_id(campaign_id)]), _mailboxes_of([campaign_id])
    boxes = list(Mailbox.select().where(Mailbox.id.in_(linked[campaign_id]), Mailbox.status == MailboxStatus.ACTIVE))
    found = planner.plan(
        _planned_campaigns(rows, linked, {campaign_id: _bound(list(mailboxes))}, now, to_the_end=True),
        _planned_mailboxes(usable.only(boxes), now),
        [*_taken(TAKEN_BY, [campaign_id]), *_taken(TAKEN_BESIDE, [campaign_id], [row.id for row in boxes])],
        now,
    )
    placed = {Email(slot.lead_id, slot.step_id): slot for slot in found}
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    # An e-mail without a slot is planned by the tick, like others whose mailbox cannot be used.
    return [
        placed.get(it) or Slot(campaign_id, it.lead_id, it.step_id, mailbox, at) for it, mailbox in mailboxes.items()
    ]


BOUND = """
SELECT q.campaign_lead_id AS lead_id, q.step_id, q.mailbox_id, q.wait_ends_at AS not_before
FROM unnest(%s::bigint[], %s::bigint[]) AS asked (lead_id, step_id)
JOIN campaign_email_queue q ON q.campaign_lead_id = asked.lead_id AND q.step_id = asked.step_id
WHERE q.predecessor_id IS NOT NULL
"""


class _Bound(NamedTuple):
    lead_id: int
    step_id: int
    mailbox_id: int
    not_before: datetime


def _bound(emails: Sequence[Email]) -> list[Email]:
    """Bind each e-mail that has a predecessor to its mailbox and to the end of its wait."""
    asked = [it.lead_id for it in emails], [it.step_id for it in emails]
    found = {(it.lead_id, it.step_id): Bound(it.mailbox_id, it.not_before) for it in read_rows(_Bound, BOUND, asked)}
    return [it._replace(bound=found.get((it.lead_id, it.step_id))) for it in emails]


def _campaigns(ids: Collection[int] | None, *, also_inactive: bool = False) -> list[Campaign]:
    statuses = [CampaignStatus.ACTIVE]
    if also_inactive:
        statuses += [CampaignStatus.DRAFT, CampaignStatus.PAUSED]
    wanted = Campaign.status.in_(statuses)
    if ids is not None:
        wanted &= Campaign.id.in_(list(ids))
    return list(Campaign.select().where(wanted).order_by(Campaign.id))


def _planned_campaigns(
    rows: Sequence[Campaign],
    mailboxes: Mapping[int, list[int]],
    emails: Mapping[int, list[Email]],
    now: datetime,
    *,
    to_the_end: bool,
) -> list[planner.Campaign]:
    today, frozen, ids = warsaw_day(now), windows.frozen_days(), [row.id for row in rows]
    used, steps = limits.campaigns_used(ids, today), sequences.of(ids)
    new = limits.new_leads_used([row.id for row in rows if row.new_leads_per_day is not None], today)
    return [
        replace(
            usable.campaign(row, frozen),
            mailbox_ids=tuple(mailboxes.get(row.id, ())),
            used={today: used.get(row.id, 0)},
            used_new={today: new.get(row.id, 0)},
            steps=steps.get(row.id, ()),
            emails=emails.get(row.id, ()),
            until=None if to_the_end else _horizon(row, frozen, now),
        )
        for row in rows
    ]


def _horizon(row: Campaign, frozen: tuple[Days, ...], now: datetime) -> datetime:
    return _horizon_of(now, windows.window_of(row, frozen))


def _horizon_of(now: datetime, window: Window) -> datetime:
    return planner.horizon(window, now, timedelta(hours=config.settings().planning.horizon_hours))


def _planned_mailboxes(rows: Sequence[Mailbox], now: datetime) -> list[planner.Mailbox]:
    ids = [row.id for row in rows]
    today = warsaw_day(now)
    followed = limits.follow_ups_used(ids, today)
    used: defaultdict[int, dict[date, int]] = defaultdict(dict)
    for mailbox_id, count in limits.mailboxes_used(ids, today).items():
        used[mailbox_id][today] = count
    for mailbox_id, day, count in mailbox_days.not_to_be_used(rows, now, {it: used[it][today] for it in list(used)}):
        used[mailbox_id][day] = used[mailbox_id].get(day, 0) + count
    reachable = ceilings.of(rows)
    return [
        replace(
            usable.mailbox(row, used[row.id], reachable.get(row.id, ())),
            used_to_follow={today: followed.get(row.id, 0)},
        )
        for row in rows
    ]


# After two mailbox faults past RCPT an e-mail is replanned last: it may be the cause, and would otherwise be the first
# to try the mailbox after each pause and block all others.
PENDING = """
SELECT q.campaign_id, q.campaign_lead_id AS lead_id, q.step_id, q.mailbox_id, q.scheduled_at AS at,
       q.attempts > 0 AS is_retry, COALESCE(q.not_before > clock_timestamp(), false) AS is_held,
       CASE WHEN q.predecessor_id IS NOT NULL THEN COALESCE(q.wait_ends_at, q.scheduled_at) END AS wait_ends_at,
       COALESCE(f.goes_on_from_id, q.mailbox_id) AS bound_to, s.moves AND q.attempts = 0 AS moves,
       s.wait_count, s.wait_unit
FROM campaign_email_queue q
JOIN campaign_step s ON s.id = q.step_id
LEFT JOIN former_mailbox f
    ON f.campaign_id = q.campaign_id AND f.mailbox_id = q.mailbox_id AND q.predecessor_id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT count(*) AS met FROM attempt a
    JOIN email_history h ON h.email_id = a.email_id AND h.claim_token = a.claim_token AND h.move = 'release'
    WHERE a.email_id = q.id AND a.scope <> 'worker' AND a.phase NOT IN ('connect', 'tls', 'auth', 'mail')
) faults ON true
WHERE q.status = 'pending' AND q.campaign_id = ANY(%s) ORDER BY faults.met >= 2, q.scheduled_at, q.id
"""


@dataclass(frozen=True)
class _Pending:
    campaign_id: int
    lead_id: int
    step_id: int
    mailbox_id: int
    at: datetime
    is_retry: bool
    is_held: bool  # until later
    wait_ends_at: datetime | None  # of a follow-up
    bound_to: int  # the mailbox from which a follow-up goes
    moves: bool  # its step's wait was edited
    wait_count: int | None
    wait_unit: str | None

    @property
    def taken(self) -> Taken:
        """The e-mail's slot as it is given to the planner if it stays."""
        is_follow_up = self.wait_ends_at is not None
        return Taken(
            self.campaign_id,
            self.mailbox_id,
            self.at,
            self.is_retry or self.is_held,
            self.lead_id,
            self.step_id,
            is_follow_up,
        )

    @property
    def bound(self) -> Bound | None:
        if self.wait_ends_at is None:
            return None
        wait = sequences.wait(self.wait_count, self.wait_unit) if self.moves else None
        return Bound(self.bound_to, wait.due(self.wait_ends_at) if wait else self.wait_ends_at)

    @property
    def current(self) -> CurrentSlot | None:
        """The slot that it keeps if it still fits. None if its step's wait was edited."""
        return None if self.moves else CurrentSlot(self.mailbox_id, self.at)


def _pending(
    campaign_ids: Sequence[int], orders: Mapping[int, str], now: datetime
) -> tuple[dict[int, list[Email]], list[Taken]]:
    """Campaign id -> its pending e-mails in order of their turns; and the slots that stay in any case.

    An edit leaves scheduled retries where they are, outside the campaign's pace. Resuming a campaign or a mailbox
    replans them with the rest. What is held until later stays in any case.
    """
    emails: defaultdict[int, list[Email]] = defaultdict(list)
    staying = []
    for it in read_rows(_Pending, PENDING, (campaign_ids,)):
        if it.is_held:
            staying.append(it.taken)
        elif it.campaign_id not in orders:
            emails[it.campaign_id].append(Email(it.lead_id, it.step_id, it.current, it.bound))
        elif it.is_retry and it.at > now and orders[it.campaign_id] == Code.EDITED:
            staying.append(it.taken)
        else:
            emails[it.campaign_id].append(Email(it.lead_id, it.step_id, None, it.bound))
    return emails, staying


# An e-mail that is held until later has its own time, as a retry has.
_OWN_TIME = "attempts > 0 OR not_before IS NOT NULL"
_TAKEN = f"""
SELECT campaign_id, mailbox_id, scheduled_at AS at, ({_OWN_TIME}) AS is_retry, campaign_lead_id AS lead_id, step_id,
       predecessor_id IS NOT NULL AS is_follow_up
"""
TAKEN_BY = f"""
{_TAKEN} FROM campaign_email_queue
WHERE status = 'pending' AND campaign_id = ANY(%(campaigns)s)
"""  # only our own words
TAKEN_BESIDE = f"""
{_TAKEN} FROM campaign_email_queue q
WHERE q.status = 'pending' AND EXISTS (SELECT FROM campaign c WHERE c.id = q.campaign_id AND c.status = 'active')
  AND q.mailbox_id = ANY(%(mailboxes)s) AND NOT q.campaign_id = ANY(%(campaigns)s)
"""


def _taken(query: str, campaigns: Sequence[int], mailboxes: Sequence[int] = ()) -> list[Taken]:
    if not campaigns:
        return []
    return read_rows(Taken, query, {"campaigns": list(campaigns), "mailboxes": list(mailboxes)})


def _new(
    rows: Sequence[Campaign], most_emails: int | Mapping[int, int | None] | None, forecast: bool
) -> dict[int, list[Email]]:
    if not forecast:
        return unplanned.emails({row.id: _DAYS_AHEAD * _most_on_a_day(row) for row in rows})
    by_id = most_emails if isinstance(most_emails, Mapping) else dict.fromkeys([row.id for row in rows], most_emails)
    return unplanned.emails({row.id: by_id[row.id] for row in rows})


def _most_on_a_day(row: Campaign) -> int:
    """How many new e-mails its limit and pace allow on a day, which can be an hour longer than its window says."""
    open_seconds = (row.window_end_minute - row.window_start_minute + 60) * 60
    shortest_delay = row.delay_seconds * (1 - planner.JITTER)
    if shortest_delay * row.daily_limit <= open_seconds:
        return row.daily_limit
    return int(open_seconds / shortest_delay) + 1


def _mailboxes_of(campaign_ids: Iterable[int]) -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    links = CampaignMailbox.select().where(
        CampaignMailbox.campaign.in_(list(campaign_ids)), CampaignMailbox.closed_reason.is_null()
    )
    for link in links.order_by(CampaignMailbox.mailbox):
        found[link.campaign_id].append(link.mailbox_id)
    return found


def _unchanged(campaigns: Iterable[Campaign], mailboxes: Iterable[Mailbox], seen: Situation) -> bool:
    locked = {("campaign", row.id): row.revision for row in campaigns}
    locked |= {("mailbox", row.id): row.revision for row in mailboxes}
    return all(seen.revisions.get(key) == revision for key, revision in locked.items())


# Looks only at the mailboxes that cannot be used; a follow-up has no other one, and waits. A mail whose campaign does
# not have its mailbox at all is unusual (a recovered hand-over that is to be sent again), and is looked for among those
# that are due soon.
_NOT_HELD = "(q.not_before IS NULL OR q.not_before <= statement_timestamp())"  # a held one keeps its time
_IS_FIRST = "q.predecessor_id IS NULL"
ON_UNUSABLE_MAILBOXES = f"""
SELECT c.id FROM campaign c WHERE c.status = 'active' AND c.id IN (
    SELECT q.campaign_id
    FROM mailbox m
    JOIN campaign_email_queue q ON q.mailbox_id = m.id AND q.status = 'pending' AND {_NOT_HELD} AND {_IS_FIRST}
    WHERE m.status <> 'active'
    UNION
    SELECT q.campaign_id
    FROM mailbox m JOIN campaign_email_queue q ON q.mailbox_id = m.id AND q.status = 'pending' AND {_NOT_HELD}
    WHERE m.closed_until IS NOT NULL AND q.scheduled_at < m.closed_until
    UNION
    SELECT f.campaign_id FROM former_mailbox f
    JOIN mailbox m ON m.id = f.goes_on_from_id AND m.status = 'active'
    JOIN campaign_mailbox cm ON cm.campaign_id = f.campaign_id AND cm.mailbox_id = m.id AND cm.closed_reason IS NULL
    WHERE EXISTS (
        SELECT FROM campaign_email_queue q
        WHERE q.campaign_id = f.campaign_id AND q.mailbox_id = f.mailbox_id AND q.status = 'pending' AND {_NOT_HELD}
          AND NOT {_IS_FIRST})
    UNION
    SELECT cm.campaign_id FROM campaign_mailbox cm
    WHERE cm.closed_reason IS NOT NULL AND EXISTS (
        SELECT FROM campaign_email_queue q
        WHERE q.campaign_id = cm.campaign_id AND q.mailbox_id = cm.mailbox_id AND q.status = 'pending' AND {_NOT_HELD}
          AND {_IS_FIRST})
    UNION
    SELECT q.campaign_id FROM campaign_email_queue q
    WHERE q.status = 'pending' AND {_NOT_HELD} AND {_IS_FIRST} AND q.scheduled_at < %(soon)s AND NOT EXISTS (
        SELECT FROM campaign_mailbox cm WHERE cm.campaign_id = q.campaign_id AND cm.mailbox_id = q.mailbox_id))
"""  # noqa: S608  # only our own words


# One range of the index on pending e-mails for each freeze that is not over.
ON_FROZEN_DAYS = f"""
SELECT DISTINCT q.campaign_id
FROM frozen_days f
JOIN campaign_email_queue q ON q.status = 'pending' AND {_NOT_HELD}
    AND q.scheduled_at >= f.first_day::timestamp AT TIME ZONE 'Europe/Warsaw'
    AND q.scheduled_at < (f.last_day + 1)::timestamp AT TIME ZONE 'Europe/Warsaw'
JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
WHERE f.last_day >= CURRENT_DATE - 1
"""  # noqa: S608  # only our own words


def _on_unusable_mailboxes() -> list[int]:
    soon = clock() + timedelta(minutes=config.settings().planning.buffer_minutes)
    with by_indexes():
        return [row[0] for row in fetch(ON_UNUSABLE_MAILBOXES, {"soon": soon})]


# For each campaign and mailbox, the longest overdue e-mail: what holds it back also holds back those after it.
OVERDUE = """
SELECT email_id, campaign_id, row_number() OVER (PARTITION BY campaign_id ORDER BY scheduled_at) = 1 AS is_first
FROM (
    SELECT DISTINCT ON (q.campaign_id, q.mailbox_id) q.id AS email_id, q.campaign_id, q.scheduled_at
    FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id
    WHERE q.status = 'pending' AND q.scheduled_at < %(now)s AND c.status = 'active'
    ORDER BY q.campaign_id, q.mailbox_id, q.scheduled_at
) overdue
"""


class _Overdue(NamedTuple):
    email_id: int
    campaign_id: int
    is_first: bool  # of its campaign


def _overdue() -> list[_Overdue]:
    now = clock()
    with by_indexes():
        return read_rows(_Overdue, OVERDUE, {"now": now})
