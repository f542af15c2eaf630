"""What the planner looks at, and how its plan is written down.

A plan is computed without locks and written under them, after checking that the settings it was computed from have not
changed meanwhile.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from peewee import fn

import config
from models import emails, facts, gates
from models.database import clock, database
from models.states import Status
from models.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignMailbox, Mailbox, WarmupCount
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


def situation(campaign_ids: Sequence[int] | None = None, *, again: bool = False, forecast: bool = False) -> Situation:
    """The active campaigns with the leads that are still to be planned.

    campaign_ids: only these get leads to place; the others count with what is planned already.
    again: the leads to place are those that are planned already, with the places they hold.
    forecast: to the last lead instead of to the planning horizon, and drafts and paused campaigns too.
    """
    now = clock()
    rows = _campaigns(campaign_ids if forecast else None)
    mailboxes = list(Mailbox.select().where(Mailbox.status == "active"))
    chosen = {row.id for row in rows if campaign_ids is None or row.id in campaign_ids}
    pending = _pending([row.id for row in rows])
    return Situation(
        now=now,
        campaigns=_planned_campaigns([row for row in rows if row.id in chosen], pending, now, again, forecast),
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
            return emails.plan(campaign_id, slots, by)
        Campaign.update(replan_reason=None).where(Campaign.id == campaign_id).execute()
        return emails.replan(campaign_id, slots, reason, by)


def to_replan() -> dict[int, str]:
    """Active campaign id -> why its pending mails cannot stay where they are."""
    asked = Campaign.select(Campaign.id, Campaign.replan_reason).where(
        Campaign.status == "active", Campaign.replan_reason.is_null(False)
    )
    reasons: dict[int, str] = dict(asked.tuples())
    for campaign_id in _on_unusable_mailboxes():
        reasons.setdefault(campaign_id, "mailbox")
    for email_id in _first_overdue():
        seen = facts.read(email_id)
        closed = gates.first_closed(gates.CLAIM, seen, config.settings().sending)
        if closed is not None and closed.action is gates.Action.REPLAN:
            reasons.setdefault(seen.campaign_id, closed.gate)
    return reasons


def retry_moment(email: CampaignEmailQueue, not_before: datetime) -> datetime:
    """The first moment for another attempt that keeps window, limits and mailbox gap and moves no other mail."""
    campaign, mailbox = Campaign.get_by_id(email.campaign_id), Mailbox.get_by_id(email.mailbox_id)
    near = Q.select(Q.campaign, Q.mailbox, Q.scheduled_at).where(
        (Q.status == Status.PENDING) & ((Q.mailbox == mailbox.id) | (Q.campaign == campaign.id)) & (Q.id != email.id)
    )
    now = clock()
    return planner.retry_moment(
        _planned_campaigns([campaign], {}, now, again=False, forecast=False)[0],
        _planned_mailboxes([mailbox], now)[0],
        [Taken(*row) for row in near.tuples()],
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
                leads=_standing(pending[row.id]) if again else _unplanned(row, forecast),
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


def _pending(campaign_ids: Iterable[int]) -> dict[int, list[tuple[int, int, datetime]]]:
    """Campaign id -> its pending mails in time order: campaign lead, mailbox, time."""
    found: defaultdict[int, list[tuple[int, int, datetime]]] = defaultdict(list)
    query = Q.select(Q.campaign, Q.campaign_lead, Q.mailbox, Q.scheduled_at).where(
        Q.status == Status.PENDING, Q.campaign.in_(list(campaign_ids))
    )
    for campaign, lead, mailbox, at in query.order_by(Q.scheduled_at, Q.id).tuples():
        found[campaign].append((lead, mailbox, at))
    return found


def _standing(mails: Iterable[tuple[int, int, datetime]]) -> list[Lead]:
    return [Lead(lead, Standing(mailbox, at)) for lead, mailbox, at in mails]


def _unplanned(row: Campaign, forecast: bool) -> list[Lead]:
    planned = Q.select(Q.id).where(Q.campaign == row.id, Q.campaign_lead == CampaignLead.id)
    query = CampaignLead.select(CampaignLead.id).where(CampaignLead.campaign == row.id, ~fn.EXISTS(planned))
    query = query.order_by(CampaignLead.position)
    if not forecast:
        query = query.limit(_DAYS_AHEAD * row.daily_limit)
    return [Lead(lead) for (lead,) in query.tuples()]


def _mailboxes_of(campaign_ids: Iterable[int]) -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    links = CampaignMailbox.select().where(CampaignMailbox.campaign.in_(list(campaign_ids)))
    for link in links.order_by(CampaignMailbox.mailbox):
        found[link.campaign_id].append(link.mailbox_id)
    return found


def _unchanged(campaigns: Iterable[Campaign], mailboxes: Iterable[Mailbox], seen: Situation) -> bool:
    locked = chain((("campaign", row) for row in campaigns), (("mailbox", row) for row in mailboxes))
    return all(seen.revisions.get((kind, row.id)) == row.revision for kind, row in locked)


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
    return [row[0] for row in database.execute_sql(ON_UNUSABLE_MAILBOXES).fetchall()]


# Of each campaign and mailbox, the mail that waits longest: what holds it back holds back those behind it.
FIRST_OVERDUE = """
SELECT DISTINCT ON (q.campaign_id, q.mailbox_id) q.id
FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id
WHERE q.status = 'pending' AND q.scheduled_at < clock_timestamp() AND c.status = 'active'
ORDER BY q.campaign_id, q.mailbox_id, q.scheduled_at
"""


def _first_overdue() -> list[int]:
    return [row[0] for row in database.execute_sql(FIRST_OVERDUE).fetchall()]
