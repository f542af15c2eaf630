"""What the planner looks at, and how its plan is written down.

A plan is computed without locks and written under them, after checking that the settings it was computed from have not
changed meanwhile.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import config
from models import emails, facts, gates
from models.database import clock, database, fetch, fetch_row
from models.tables import Campaign, CampaignEmailQueue, CampaignMailbox, Mailbox, WarmupCount
from scheduling import planner
from scheduling.planner import Lead, Slot, Standing, Taken
from scheduling.window import Window, warsaw_day

Q = CampaignEmailQueue

# A plan reaches over three Warsaw days at the most: no campaign places more than three daily limits of new leads.
_DAYS_AHEAD = 3


@dataclass(frozen=True)
class Situation:
    """All that a plan is computed from."""

    now: datetime
    campaigns: list[planner.Campaign]
    mailboxes: list[planner.Mailbox]
    taken: list[Taken]
    revisions: Mapping[tuple[str, int], int]


def situation(
    campaign_ids: Sequence[int] | None = None,
    *,
    again: bool = False,
    forecast: bool = False,
    most_leads: int | None = None,
) -> Situation:
    """The active campaigns with the leads that are still to be planned.

    campaign_ids: only these get leads to place; the others count with what is planned already.
    again: the leads to place are those that are planned already, with the places they hold.
    forecast: to the last lead instead of to the planning horizon, and drafts and paused campaigns too.
    most_leads: so many of each campaign at most; None: all, or as many as the horizon may take.
    """
    now = clock()
    rows = _campaigns(campaign_ids if forecast else None)
    mailboxes = list(Mailbox.select().where(Mailbox.status == "active"))
    chosen = {row.id for row in rows if campaign_ids is None or row.id in campaign_ids}
    pending = _pending([row.id for row in rows])
    return Situation(
        now=now,
        campaigns=_planned_campaigns(
            [row for row in rows if row.id in chosen], pending, now, again, forecast, most_leads
        ),
        mailboxes=_planned_mailboxes(mailboxes, now),
        taken=[
            Taken(campaign, mailbox, at)
            for campaign, mails in pending.items()
            if not (again and campaign in chosen)
            for _, mailbox, at in mails
        ],
        revisions={("campaign", row.id): row.revision for row in rows}
        | {("mailbox", row.id): row.revision for row in mailboxes},
    )


def write(campaign_id: int, slots: Sequence[Slot], seen: Situation, by: str, reason: str | None = None) -> int | None:
    """Write one campaign's slots and return how many mails were planned or moved.

    reason: of a plan for mails that are planned already. None: the settings changed since; plan anew.
    """
    with database.atomic():
        campaigns = facts.lock_campaigns([campaign_id])
        mailboxes = facts.lock_mailboxes(slot.mailbox_id for slot in slots)
        if not _unchanged(campaigns, mailboxes, seen):
            return None
        if reason is None:
            count = emails.plan(campaign_id, slots, by)
        else:
            count = emails.replan(campaign_id, slots, reason, by)
            Campaign.update(replan_reason=None).where(Campaign.id == campaign_id).execute()
        if count:
            # What another timekeeper computed from the same situation is outdated by this.
            Campaign.update(revision=Campaign.revision + 1).where(Campaign.id == campaign_id).execute()
        return count


# Of every replan: what an owner did, or which gate says that a mail cannot stay where it is.
REASONS = ("resumed", "edited", "downtime", "window", "limit", "mailbox")


def to_replan() -> dict[int, str]:
    """Active campaign id -> why its pending mails cannot stay where they are."""
    reasons: dict[int, str] = dict(fetch(ASKED_FOR))
    for campaign_id in _on_unusable_mailboxes():
        reasons.setdefault(campaign_id, "mailbox")
    for email_id in _first_overdue():
        seen = facts.read(email_id)
        closed = gates.first_closed(gates.CLAIM, seen, config.settings().sending)
        if closed is not None and closed.action is gates.Action.REPLAN:
            reasons.setdefault(seen.campaign_id, closed.gate)
    return reasons


def retry_moment(email_id: int, not_before: datetime) -> datetime:
    """The first moment for another attempt that keeps window, limits and mailbox gap and moves no other mail."""
    row = Q.get_or_none(Q.id == email_id)
    if row is None:
        raise facts.NoSuchEmail(f"there is no e-mail {email_id}")
    campaign, mailbox = Campaign.get_by_id(row.campaign_id), Mailbox.get_by_id(row.mailbox_id)
    near = fetch(NEAR, {"email": email_id, "campaign": campaign.id, "mailbox": mailbox.id})
    now = clock()
    return planner.retry_moment(
        _planned_campaigns([campaign], defaultdict(list), now, again=True, forecast=False)[0],
        _planned_mailboxes([mailbox], now)[0],
        [Taken(*mail) for mail in near],
        not_before,
    )


def _campaigns(also: Sequence[int] | None) -> list[Campaign]:
    wanted = Campaign.status == "active"
    if also is not None:
        wanted |= Campaign.id.in_(list(also)) & Campaign.status.in_(["draft", "paused"])
    return list(Campaign.select().where(wanted).order_by(Campaign.id))


def _planned_campaigns(
    rows: Sequence[Campaign],
    pending: Mapping[int, list[tuple[int, int, datetime]]],
    now: datetime,
    again: bool,
    forecast: bool,
    most_leads: int | None = None,
) -> list[planner.Campaign]:
    ids = [row.id for row in rows]
    today = warsaw_day(now)
    used = facts.campaigns_used(ids, today)
    mailboxes = _mailboxes_of(ids)
    hours = timedelta(hours=config.settings().planning.horizon_hours)
    campaigns = []
    for row in rows:
        window = window_of(row)
        campaigns.append(
            planner.Campaign(
                id=row.id,
                window=window,
                delay=timedelta(seconds=row.delay_seconds),
                daily_limit=row.daily_limit,
                mailbox_ids=tuple(mailboxes[row.id]),
                used={today: used.get(row.id, 0)},
                last_start=row.last_start_at,
                leads=_standing(pending[row.id]) if again else _new(row, most_leads, forecast),
                until=None if again or forecast else planner.horizon(window, now, hours),
            )
        )
    return campaigns


def _planned_mailboxes(rows: Sequence[Mailbox], now: datetime) -> list[planner.Mailbox]:
    ids = [row.id for row in rows]
    today = warsaw_day(now)
    used: defaultdict[int, dict[object, int]] = defaultdict(dict)
    for mailbox_id, count in facts.mailboxes_used(ids, today).items():
        used[mailbox_id][today] = count
    later = WarmupCount.select().where(WarmupCount.mailbox.in_(ids), WarmupCount.day > today)
    for row in later:
        used[row.mailbox_id][row.day] = row.count
    return [
        planner.Mailbox(
            id=row.id,
            daily_limit=row.daily_limit,
            gap=timedelta(seconds=row.gap_seconds),
            used=used[row.id],  # type: ignore[arg-type]
            last_start=row.last_start_at,
            open_from=row.closed_until,
        )
        for row in rows
    ]


def window_of(row: Campaign) -> Window:
    return Window(row.window_start_minute, row.window_end_minute, frozenset(row.weekdays))


# A mail that met its mailbox's fault twice after its lead was named goes last where it is planned again: were the fault
# its own, it would be the first to try the mailbox after each pause, and none behind it would ever leave.
PENDING = """
SELECT q.campaign_id, q.campaign_lead_id, q.mailbox_id, q.scheduled_at
FROM campaign_email_queue q
LEFT JOIN LATERAL (
    SELECT count(*) AS met FROM email_history h
    WHERE h.email_id = q.id AND h.move = 'release'
      AND h.detail->>'scope' = 'mailbox' AND h.detail->>'phase' NOT IN ('connect', 'tls', 'auth', 'mail')
) faults ON true
WHERE q.status = 'pending' AND q.campaign_id = ANY(%s) ORDER BY faults.met >= 2, q.scheduled_at, q.id
"""


def _pending(campaign_ids: Sequence[int]) -> defaultdict[int, list[tuple[int, int, datetime]]]:
    """Campaign id -> its pending mails in the order of their turns: campaign lead, mailbox, time."""
    found: defaultdict[int, list[tuple[int, int, datetime]]] = defaultdict(list)
    for campaign_id, lead_id, mailbox_id, at in fetch(PENDING, (campaign_ids,)):
        found[campaign_id].append((lead_id, mailbox_id, at))
    return found


def _standing(mails: Iterable[tuple[int, int, datetime]]) -> list[Lead]:
    return [Lead(lead, Standing(mailbox, at)) for lead, mailbox, at in mails]


UNPLANNED = """
SELECT l.id FROM campaign_lead l
WHERE l.campaign_id = %(campaign)s AND l.position > %(after)s AND NOT EXISTS (
    SELECT FROM campaign_email_queue q WHERE q.campaign_id = l.campaign_id AND q.campaign_lead_id = l.id)
ORDER BY l.position LIMIT %(limit)s
"""
LAST_PLANNED = """
SELECT position FROM campaign_lead
WHERE id = (SELECT max(campaign_lead_id) FROM campaign_email_queue WHERE campaign_id = %s)
"""
COUNTS = """
SELECT (SELECT count(*) FROM campaign_lead WHERE campaign_id = %(campaign)s),
       (SELECT count(*) FROM campaign_email_queue WHERE campaign_id = %(campaign)s)
"""


def unplanned(campaign_id: int, limit: int | None) -> list[int]:
    """The leads that have no e-mail yet, in the order of their turns.

    Leads get theirs in that order, so those after the last that has one come first: a search among hundreds of
    thousands that were planned before is only for one that was passed over.
    """
    last = fetch_row(LAST_PLANNED, (campaign_id,))
    values = {"campaign": campaign_id, "limit": limit}
    found = fetch(UNPLANNED, {**values, "after": last[0] if last else 0})
    if not found and last:
        leads, mails = fetch(COUNTS, values)[0]
        found = fetch(UNPLANNED, {**values, "after": 0}) if leads > mails else []
    return [lead_id for (lead_id,) in found]


def _new(row: Campaign, most_leads: int | None, forecast: bool) -> list[Lead]:
    most = most_leads if forecast else _DAYS_AHEAD * row.daily_limit
    return [Lead(lead_id) for lead_id in unplanned(row.id, most)]


def _mailboxes_of(campaign_ids: Iterable[int]) -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    links = CampaignMailbox.select().where(CampaignMailbox.campaign.in_(list(campaign_ids)))
    for link in links.order_by(CampaignMailbox.mailbox):
        found[link.campaign_id].append(link.mailbox_id)
    return found


def _unchanged(campaigns: Iterable[Campaign], mailboxes: Iterable[Mailbox], seen: Situation) -> bool:
    locked = {("campaign", row.id): row.revision for row in campaigns}
    locked |= {("mailbox", row.id): row.revision for row in mailboxes}
    return all(seen.revisions.get(key) == revision for key, revision in locked.items())


ASKED_FOR = "SELECT id, replan_reason FROM campaign WHERE status = 'active' AND replan_reason IS NOT NULL"

NEAR = """
SELECT campaign_id, mailbox_id, scheduled_at FROM campaign_email_queue
WHERE status = 'pending' AND (mailbox_id = %(mailbox)s OR campaign_id = %(campaign)s) AND id <> %(email)s
"""

ON_UNUSABLE_MAILBOXES = """
SELECT DISTINCT q.campaign_id
FROM mailbox m
JOIN campaign_email_queue q ON q.mailbox_id = m.id AND q.status = 'pending'
JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
WHERE m.status <> 'active'
   OR q.scheduled_at < m.closed_until
   OR NOT EXISTS (SELECT FROM campaign_mailbox cm WHERE cm.campaign_id = c.id AND cm.mailbox_id = m.id)
"""


def _on_unusable_mailboxes() -> list[int]:
    return [row[0] for row in fetch(ON_UNUSABLE_MAILBOXES)]


# Of each campaign and mailbox, the mail that waits longest: what holds it back holds back those behind it.
FIRST_OVERDUE = """
SELECT DISTINCT ON (q.campaign_id, q.mailbox_id) q.id
FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id
WHERE q.status = 'pending' AND q.scheduled_at < clock_timestamp() AND c.status = 'active'
ORDER BY q.campaign_id, q.mailbox_id, q.scheduled_at
"""


def _first_overdue() -> list[int]:
    return [row[0] for row in fetch(FIRST_OVERDUE)]
