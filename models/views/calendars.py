"""A campaign's calendar: every e-mail that is still to go, planned already or not, and what makes it as long as it is.

Plays what the tick would do next: pending e-mails keep their times unless they must be planned again, and the others
follow them. Active campaigns that share its mailboxes are played beside it, because they take room too.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice, pairwise
from typing import Any, NamedTuple

from models.email import limits, recipients, remaining
from models.email.recipients import MAY_BE_WRITTEN_TO
from models.planning import plans, usable
from models.planning.plans import Situation
from models.states import CampaignStatus
from models.store import reason_columns
from models.store.database import clock, database, fetch
from models.store.database import rows as read_rows
from models.store.tables import Campaign
from models.views import forbidden, standings
from models.views.forbidden import Forbidden
from reasons import Code, Reason, Why
from scheduling import planner
from scheduling.planner import Email, Hold, Slot, Taken, Unplannable
from scheduling.providers import PROVIDERS
from scheduling.window import warsaw_day, warsaw_days

# E-mails of other campaigns that are played beside its own, in all.
_MOST_BESIDE = 100_000
_PLANNABLE = {CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED}


class Entry(NamedTuple):
    """One e-mail that is still to go."""

    at: datetime
    campaign_lead_id: int
    step_id: int
    mailbox_id: int
    email_id: int | None  # None: not planned yet
    is_follow_up: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A lead that will not be written to."""

    address: str
    why: Why | None


@dataclass(frozen=True)
class Calendar:
    entries: list[Entry]  # in time order
    days: Mapping[date, Counter[int]]  # Warsaw day -> mailbox id -> e-mails
    follow_ups: Counter[date]  # how many of a day's e-mails are follow-ups, if nobody answers
    steady: Reason | None  # of a sequence: how many new leads a day it can go on with
    goes_on: bool  # more e-mails follow, which were not played
    held_by: Reason | None  # None: fewer than two e-mails
    nowhere: Reason | None  # why the rest of its e-mails has no time at all
    left_out: list[LeftOut]
    left_out_count: int


def of(row: Campaign, most_emails: int | None = None, most_left_out: int = 20) -> Calendar:
    """The campaign's calendar. Raises Unplannable if the planner fails for it.

    most_emails: at most so many that are not planned yet; None for all.
    """
    return _played(_read(row, most_emails, most_left_out))


def after(order: Callable[[], object], campaign_id: int, most_emails: int | None = None) -> Calendar:
    """The calendar as it would be after an order, which is rolled back. Raises what the order raises."""
    with database.atomic() as transaction:
        order()
        seen = _read(Campaign.get_by_id(campaign_id), most_emails, 0)
        transaction.rollback()
    return _played(seen)


def slots_of(row: Campaign, campaign_lead_id: int, most_emails: int | None = None) -> dict[int, Slot]:
    """Step's id -> where a lead's e-mail that is not planned yet would go, if nobody answers.

    Left out: those that would go nowhere, or behind the first most_emails.
    """
    slots = _slots(_read(row, most_emails, 0))
    return {it.step_id: it for it in [*slots.moved, *slots.new] if it.lead_id == campaign_lead_id}


def leads(campaign_id: int) -> dict[int, str]:
    """Id of each of the campaign's leads -> its address, as its owner wrote it."""
    found = read_rows(_Lead, "SELECT id, address FROM campaign_lead WHERE campaign_id = %s", (campaign_id,))
    return {it.id: it.address for it in found}


class _Lead(NamedTuple):
    id: int
    address: str


class _Mailboxes(NamedTuple):
    """The capacity of the mailboxes that the campaign may send from now."""

    allow: int  # e-mails a day, if no other campaign used them
    today: int  # of these, as far as their ramps are
    providers: list[str] | None  # keys of scheduling/providers.py


@dataclass(frozen=True)
class _Seen:
    """What is read to play a calendar."""

    row: Campaign
    pending: list[Entry]
    reason: str | None  # why its pending e-mails are planned again
    again: Situation | None  # of its pending e-mails, if there are any
    new: Situation | None  # of its other e-mails, and those of the campaigns beside it
    most: int | None
    mailboxes: _Mailboxes
    no_mailbox: Reason | None  # why none sends today
    until: datetime | None  # when one does again; None: not by itself
    left_out: tuple[list[LeftOut], int]

    @property
    def later_steps(self) -> set[int]:
        """Its follow-ups' steps."""
        its = [it for it in self.new.campaigns if it.id == self.row.id] if self.new else []
        return {step.id for it in its for step in it.steps[1:]}


def _read(row: Campaign, most: int | None, most_left_out: int) -> _Seen:
    is_plannable = row.status in _PLANNABLE and not usable.problem(row)
    pending = _pending(row.id) if is_plannable else []
    reason = Code.RESUMED if row.status == CampaignStatus.PAUSED else plans.to_replan().get(row.id) if pending else None
    orders = {row.id: reason} if reason in plans.ORDERS else {}
    beside = [campaign_id for (campaign_id,) in fetch(CONNECTED, (row.id,))]
    shut = standings.why_no_mailbox_sends([row])[row.id]
    new = plans.situation(beside, forecast=True, most_emails=_most(row.id, beside, most)) if is_plannable else None
    return _Seen(
        row=row,
        pending=pending,
        reason=reason,
        again=plans.situation([row.id], again=True, orders=orders, forecast=True) if pending else None,
        new=new,
        most=most,
        mailboxes=read_rows(_Mailboxes, MAILBOXES, {"campaign": row.id, "today": warsaw_day(clock())})[0],
        no_mailbox=shut.because if shut else None,
        until=shut.until if shut else None,
        left_out=([], 0) if _all_are_written_to(row.id, len(pending), new) else _left_out(row.id, most_left_out),
    )


def _most(campaign_id: int, ids: Sequence[int], most: int | None) -> dict[int, int | None]:
    """Campaign id -> how many e-mails are played; of those beside it only some, however many campaigns they are."""
    beside = (_MOST_BESIDE if most is None else min(2 * most, _MOST_BESIDE)) // max(len(ids) - 1, 1)
    its = None if most is None else most + 1
    return {it: its if it == campaign_id else max(beside, 1) for it in ids}


@dataclass(frozen=True)
class _Slots:
    """Where the e-mails go that do not keep a time."""

    moved: list[Slot]  # pending ones that are planned again
    new: list[Slot]
    holds: Mapping[Slot, Hold]
    goes_on: bool
    unplaced: bool


def _slots(seen: _Seen) -> _Slots:
    holds: dict[Slot, Hold] = {}
    moved = list(_play(seen.again, holds)) if seen.again and seen.reason else []
    if seen.new is None:
        return _Slots(moved, [], holds, False, False)
    its, campaign_id = _standing(seen, moved), seen.row.id
    taken = [it for it in seen.new.taken if it.campaign_id != campaign_id]
    later = seen.later_steps
    taken += [
        Taken(campaign_id, it.mailbox_id, it.at, False, it.campaign_lead_id, it.step_id, it.step_id in later)
        for it in [*(_entry(it) for it in moved), *its]
    ]
    wanted = _to_plan(seen.new, campaign_id)
    new = _own(replace(seen.new, taken=taken), campaign_id, wanted, holds, is_sequence=bool(later))
    goes_on = seen.most is not None and wanted > seen.most
    first = sum(it.step_id not in later for it in new)
    return _Slots(moved, new[: seen.most] if goes_on else new, holds, goes_on, first < wanted)


def _to_plan(seen: Situation, campaign_id: int) -> int:
    return next((len(it.emails) for it in seen.campaigns if it.id == campaign_id), 0)


def _entry(it: Slot, email_id: int | None = None, *, is_follow_up: bool = False) -> Entry:
    return Entry(it.at, it.lead_id, it.step_id, it.mailbox_id, email_id, is_follow_up)


def _own(seen: Situation, campaign_id: int, wanted: int, holds: dict[Slot, Hold], *, is_sequence: bool) -> list[Slot]:
    """The slots of one campaign, played beside the others until its last e-mail has its place."""
    while wanted or is_sequence:
        try:
            its = (it for it in _play(seen, holds) if it.campaign_id == campaign_id)
            return list(its if is_sequence else islice(its, wanted))
        except Unplannable as failure:  # the tick logs why, and plans the others without it
            if failure.campaign_id == campaign_id:
                raise
            seen = replace(seen, campaigns=[it for it in seen.campaigns if it.id != failure.campaign_id])
    return []


def _play(seen: Situation, holds: dict[Slot, Hold]) -> Iterator[Slot]:
    return planner.plan(
        seen.campaigns, seen.mailboxes, seen.taken, seen.now, holds, due=seen.due, expected=seen.plays_to_the_end
    )


def _standing(seen: _Seen, moved: Sequence[Slot]) -> list[Entry]:
    """The pending e-mails that keep their times: not without a mailbox, nor after the campaign's last day."""
    if seen.no_mailbox is not None and seen.until is None:
        return []
    others = {(slot.lead_id, slot.step_id) for slot in moved}
    last = seen.row.last_day or date.max
    keep = (it for it in seen.pending if (it.campaign_lead_id, it.step_id) not in others)
    return [it for it in keep if warsaw_day(it.at) <= last]


def _played(seen: _Seen) -> Calendar:
    slots = _slots(seen)
    ids = {(it.campaign_lead_id, it.step_id): it.email_id for it in seen.pending}
    later = seen.later_steps
    moving = [
        _entry(it, ids.get((it.lead_id, it.step_id)), is_follow_up=it.step_id in later)
        for it in [*slots.moved, *slots.new]
    ]
    standing = _standing(seen, slots.moved)
    has_late_ones = len(standing) + len(slots.moved) < len(seen.pending)
    entries = sorted([*standing, *moving])
    days: defaultdict[date, Counter[int]] = defaultdict(Counter)
    follow_ups: Counter[date] = Counter()
    dated = list(_with_days(entries))
    for it, day in dated:
        days[day][it.mailbox_id] += 1
        if it.is_follow_up:
            follow_ups[day] += 1
    return Calendar(
        entries=entries,
        days=dict(days),
        follow_ups=follow_ups,
        steady=_steady(seen),
        goes_on=slots.goes_on,
        held_by=_held_by(seen, slots, [(it, day) for it, day in dated if not it.is_follow_up]),
        nowhere=_nowhere(seen) if slots.unplaced or has_late_ones else None,
        left_out=seen.left_out[0],
        left_out_count=seen.left_out[1],
    )


def _with_days(entries: Sequence[Entry]) -> Iterator[tuple[Entry, date]]:
    return zip(entries, warsaw_days(it.at for it in entries), strict=True)


def _steady(seen: _Seen) -> Reason | None:
    """What a day of a sequence is like once its follow-ups have come, if nobody answers."""
    steps, a_day = len(seen.later_steps) + 1, min(seen.row.daily_limit, seen.mailboxes.allow)
    if steps == 1 or not a_day:
        return None
    most_follow_ups = seen.mailboxes.allow * seen.row.follow_up_share // 100
    new = max(min(a_day // steps, seen.row.new_leads_per_day or a_day), 1)
    if new * (steps - 1) > most_follow_ups:
        return Reason(Code.STEADY_FALLS_BEHIND, limit=a_day, steps=steps, share=seen.row.follow_up_share)
    return Reason(Code.STEADY, limit=a_day, steps=steps, new=new)


def _nowhere(seen: _Seen) -> Reason:
    """Why some e-mails have no time at all."""
    if seen.no_mailbox is not None:
        return seen.no_mailbox
    last = seen.row.last_day
    return Reason(Code.HELD_BY_SHARE) if last is None else Reason(Code.HELD_BY_LAST_DAY, day=f"{last:%Y-%m-%d}")


# Active campaigns that share a mailbox with it, directly or by another one's mailboxes.
CONNECTED = """
WITH RECURSIVE reached (id) AS (
    SELECT %s::bigint
    UNION
    SELECT c.id FROM reached
    JOIN campaign_mailbox its ON its.campaign_id = reached.id AND its.closed_reason IS NULL
    JOIN campaign_mailbox other ON other.mailbox_id = its.mailbox_id AND other.closed_reason IS NULL
    JOIN campaign c ON c.id = other.campaign_id AND c.status = 'active'
)
SELECT id FROM reached
"""
MAILBOXES = f"""
SELECT COALESCE(sum(m.daily_limit), 0)::int AS allow,
       COALESCE(sum({limits.limit_on("%(today)s::date")}), 0)::int AS today,
       array_agg(DISTINCT m.provider ORDER BY m.provider) FILTER (WHERE m.provider IS NOT NULL) AS providers
FROM campaign_mailbox cm JOIN mailbox m ON m.id = cm.mailbox_id
WHERE cm.campaign_id = %(campaign)s AND cm.closed_reason IS NULL AND m.status = 'active'
"""  # noqa: S608  # only our own words
PENDING = f"""
SELECT q.scheduled_at AS at, q.campaign_lead_id, q.step_id, q.mailbox_id, q.id AS email_id,
       q.predecessor_id IS NOT NULL AS is_follow_up
FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
WHERE q.campaign_id = %(campaign)s AND q.status = 'pending' AND {MAY_BE_WRITTEN_TO}
"""  # noqa: S608  # only our own words


def _pending(campaign_id: int) -> list[Entry]:
    return read_rows(Entry, PENDING, {**recipients.rules(), "campaign": campaign_id})


def _held_by(seen: _Seen, slots: _Slots, dated: Sequence[tuple[Entry, date]]) -> Reason | None:
    """The rule that most often put an e-mail off to another day; if all go on one day, what spaces them."""
    if len(dated) < 2:
        return None
    entries = [it for it, _ in dated]
    put_off = [(earlier, later) for (earlier, day), (later, next_day) in pairwise(dated) if day != next_day]
    if put_off:
        leads = {later.campaign_lead_id for _, later in put_off}
        its = [slot for slot in (*slots.moved, *slots.new) if slot.lead_id in leads]
        by = {(slot.lead_id, slot.step_id): slots.holds.get(slot) for slot in its}
        found = Counter[Hold | None]()
        for earlier, later in put_off:
            key = (later.campaign_lead_id, later.step_id)
            found[by[key] if key in by else _standing_held_by(seen.again, earlier, later, entries)] += 1
        [(hold, _)] = found.most_common(1)
        return _sentence(seen, hold)
    holds = [slots.holds.get(slot) for slot in (*slots.moved, *slots.new)]
    if Hold.PROVIDER in holds:
        return _held_by_provider(seen)
    return Reason(Code.HELD_BY_GAP if holds.count(Hold.MAILBOX_GAP) > len(holds) / 2 else Code.HELD_BY_DELAY)


def _standing_held_by(seen: Situation | None, earlier: Entry, later: Entry, entries: Sequence[Entry]) -> Hold | None:
    """The rule that put off a planned e-mail: the planner's answer for a place behind those before it."""
    if seen is None or not seen.campaigns:
        return None
    [campaign] = seen.campaigns
    alone = replace(campaign, emails=(Email(later.campaign_lead_id, later.step_id),), last_start=earlier.at)
    before = [Taken(campaign.id, it.mailbox_id, it.at) for it in entries if it.at <= earlier.at]
    holds: dict[Slot, Hold] = {}
    list(planner.plan([alone], seen.mailboxes, [*seen.taken, *before], earlier.at, holds))
    return next(iter(holds.values()), None)


def _sentence(seen: _Seen, hold: Hold | None) -> Reason:
    row, given = seen.row, {"limit": seen.row.daily_limit, "mailboxes": seen.mailboxes.allow}
    match hold:
        case Hold.DAILY_LIMIT:
            return Reason(Code.HELD_BY_DAILY_LIMIT, **given)
        case Hold.MAILBOX_LIMIT if seen.mailboxes.today < seen.mailboxes.allow:
            return Reason(Code.HELD_BY_RAMP, today=seen.mailboxes.today, mailboxes=seen.mailboxes.allow)
        case Hold.MAILBOX_LIMIT:
            return Reason(Code.HELD_BY_MAILBOXES, **given)
        case Hold.SHARE:
            return Reason(Code.HELD_BY_SHARE)
        case Hold.WINDOW:
            minutes = row.window_end_minute - row.window_start_minute
            allowed = max(int(minutes * 60 / row.delay_seconds), 1)
            return Reason(Code.HELD_BY_WINDOW, window=allowed, limit=row.daily_limit)
        case Hold.MAILBOX_GAP:
            return Reason(Code.HELD_BY_GAP)
        case Hold.PROVIDER:
            return _held_by_provider(seen)
        case Hold.MAILBOX_CLOSED:
            return Reason(Code.HELD_BY_CLOSING)
    return Reason(Code.HELD_BY_DELAY)


def _held_by_provider(seen: _Seen) -> Reason:
    """The reason that names the providers of its mailboxes: a limit of one of them put e-mails off."""
    found = [PROVIDERS[it] for it in seen.mailboxes.providers or () if it in PROVIDERS]
    told = "; ".join(", ".join(map(str, it.limits)) for it in found)
    return Reason(Code.HELD_BY_PROVIDER, provider=", ".join(it.name for it in found), limits=told)


@dataclass(frozen=True)
class _LeftOut(Forbidden):
    address: str
    error: str | None
    error_code: str | None
    error_values: dict[str, Any] | None
    total: int

    def why_not(self, is_basis_required: bool) -> Why:
        if self.error is not None:
            return reason_columns.current(self.error, self.error_code, self.error_values) or self.error
        return self.why(is_basis_required) or ""


LEFT_OUT = f"""
SELECT l.address, CASE WHEN q.status = 'cancelled' THEN q.error END AS error, q.error_code, q.error_values,
       count(*) OVER ()::int AS total, {forbidden.COLUMNS}
FROM campaign_lead l
JOIN campaign_lead cl ON cl.id = l.id
JOIN lead p ON p.id = l.lead_id
{forbidden.JOINS}
LEFT JOIN campaign_email_queue q ON q.campaign_id = l.campaign_id AND q.campaign_lead_id = l.id
WHERE l.campaign_id = %(campaign)s
  AND (q.status = 'cancelled' AND NOT q.skipped OR (q.id IS NULL OR q.status = 'pending') AND NOT {MAY_BE_WRITTEN_TO})
ORDER BY l.position LIMIT %(most)s
"""  # noqa: S608  # only our own words


# If all of them are to be planned or pending for a lead that may be written to, no lead has to be looked at.
UNSENT = f"""
SELECT {remaining.COUNT_OF_FIRST} AS unplanned,
       (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id AND q.status = 'pending') AS pending,
       (SELECT count(*) FROM campaign_email_queue q
        WHERE q.campaign_id = c.id AND q.status = 'cancelled' AND NOT q.skipped) AS cancelled
FROM campaign c WHERE c.id = %s
"""  # noqa: S608  # only our own words


class _Unsent(NamedTuple):
    unplanned: int
    pending: int
    cancelled: int


def _all_are_written_to(campaign_id: int, pending: int, new: Situation | None) -> bool:
    """pending, new: those for leads that may be written to."""
    found = _Unsent(_to_plan(new, campaign_id) if new else 0, pending, 0)
    return read_rows(_Unsent, UNSENT, (campaign_id,)) == [found]


def _left_out(campaign_id: int, most: int) -> tuple[list[LeftOut], int]:
    """The first of the leads that will not be written to, and how many they are."""
    found = read_rows(_LeftOut, LEFT_OUT, {**recipients.rules(), "campaign": campaign_id, "most": most})
    is_required = recipients.is_basis_required()
    return [LeftOut(it.address, it.why_not(is_required)) for it in found], found[0].total if found else 0
