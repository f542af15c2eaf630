"""Whether a campaign is sending, and if not, why and until when.

Checks the gates for the next e-mail of each of its mailboxes, so that people see the result a claim would get.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

import config
from models.email import facts, former_mailboxes, gates, holds, limits, recipients, remaining, windows
from models.email.gates import Closed, Facts
from models.email.recipients import MAY_BE_WRITTEN_TO
from models.owner import protection
from models.planning import usable
from models.states import CLOSED_BY_ITSELF, CampaignStatus, MailboxStatus
from models.store import installation, reason_columns
from models.store.database import clock
from models.store.database import rows as read_rows
from models.store.tables import Campaign
from reasons import Code, Reason
from scheduling.window import warsaw_day, warsaw_day_bounds

StandingName = gates.GateName | Literal["inactive", "disarmed", "unplanned", "unknown", "last", "done"]
# What may keep an active campaign from sending.
HOLDING: tuple[StandingName, ...] = (
    *("lead", "time", "downtime", "window", "limit", "mailbox", "mailbox_busy", "mailbox_gap", "pace", "smtp_host"),
    *("held", "inbox", "disarmed", "unplanned", "unknown", "last", "done"),
)
# Gates that open by themselves within moments.
_MOMENTS = {"mailbox_busy", "mailbox_gap", "pace", "smtp_host"}


@dataclass(frozen=True)
class Standing:
    gate: StandingName | None  # the closed one, or why there is none to check; None: all are open
    why: Reason
    until: datetime | None = None  # when it continues, if known
    sends: bool = False  # a claim would succeed now, or at `until`, within this opening of its window

    def __str__(self) -> str:
        return str(self.why)

    @property
    def sentence(self) -> str:
        """The reason in English."""
        return str(self.why)

    @property
    def should_send(self) -> bool:
        """An e-mail is due, and nothing delays it for more than moments."""
        return self.gate is None or self.gate in _MOMENTS

    @property
    def is_stuck(self) -> bool:
        """It has e-mails to send and will not send them until somebody acts."""
        return self.gate in ("lead", "mailbox", "inbox", "limit", "disarmed") and self.until is None


def standing(row: Campaign) -> Standing:
    return standings([row])[row.id]


def standings(rows: Sequence[Campaign]) -> dict[int, Standing]:
    """Campaign id -> its standing. The number of queries is the same for any number of campaigns."""
    active = [row for row in rows if row.status == CampaignStatus.ACTIVE]
    inactive = [row for row in rows if row.status != CampaignStatus.ACTIVE]
    left_out = {it.campaign_id: it for it in read_rows(_LeftOut, LEFT_OUT, ([row.id for row in inactive],))}
    found = {row.id: Standing("inactive", _inactive(row, left_out.get(row.id))) for row in inactive}
    if disarmed := installation.disarmed_reason():
        return found | {row.id: Standing("disarmed", Reason(Code.WAITING, because=disarmed)) for row in active}
    found |= {row.id: _UNUSABLE for row in active if usable.problem(row)}
    found |= _with_next_mail([row.id for row in active if row.id not in found])
    return found | _without_next_mail([row for row in active if row.id not in found])


_UNUSABLE = Standing("unplanned", Reason(Code.UNPLANNABLE))
_ON_UNUSABLE_MAILBOX = Standing("mailbox", Reason(Code.GAP_UNUSABLE))


# When the campaign was completed: leads that had no e-mail, because they must not be written to, and those that did not
# get all its letters.
LEFT_OUT = """
SELECT DISTINCT ON (campaign_id) campaign_id, COALESCE((values->'leads_left_out'->>1)::int, 0) AS leads,
       COALESCE((values->'leads_not_followed_up'->>1)::int, 0) AS not_followed_up
FROM change WHERE campaign_id = ANY(%s) AND verb = 'complete' ORDER BY campaign_id, id DESC
"""


class _LeftOut(NamedTuple):
    campaign_id: int
    leads: int
    not_followed_up: int


def _inactive(row: Campaign, left_out: _LeftOut | None) -> Reason:
    if row.status == CampaignStatus.COMPLETED and left_out and (left_out.leads or left_out.not_followed_up):
        is_over = row.last_day is not None and row.last_day < warsaw_day(clock())
        if left_out.leads:
            return Reason(Code.ENDED_WITHOUT if is_over else Code.COMPLETED_WITHOUT, count=left_out.leads)
        code = Code.ENDED_UNFOLLOWED if is_over else Code.COMPLETED_UNFOLLOWED
        return Reason(code, count=left_out.not_followed_up)
    why = reason_columns.current(row.paused_reason, row.paused_reason_code, row.paused_reason_values)
    if row.status != CampaignStatus.PAUSED or why is None:
        return Reason(Code.CAMPAIGN_STATUS, status=row.status)
    return Reason(Code.PAUSED_ITSELF if row.paused_by == protection.BY else Code.PAUSED_BY_PERSON, because=why)


# For each campaign and mailbox the first e-mail whose lead may be written to: the others hold nothing up.
NEXT = f"""
SELECT cm.campaign_id, next.id AS email_id FROM campaign_mailbox cm CROSS JOIN LATERAL (
    SELECT q.id FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
    WHERE q.campaign_id = cm.campaign_id AND q.mailbox_id = cm.mailbox_id AND q.status = 'pending'
      AND {MAY_BE_WRITTEN_TO}
    ORDER BY q.scheduled_at, q.id LIMIT 1
) next
WHERE cm.campaign_id = ANY(%(ids)s) AND cm.closed_reason IS NULL
"""  # noqa: S608  # only our own words
SENDING = """
SELECT campaign_id, mailbox_id FROM campaign_email_queue WHERE status = 'sending' AND campaign_id = ANY(%s)
"""


class _Next(NamedTuple):
    campaign_id: int
    email_id: int


class _Sending(NamedTuple):
    campaign_id: int
    mailbox_id: int


def _with_next_mail(campaign_ids: Sequence[int]) -> dict[int, Standing]:
    rules = config.settings().sending
    upcoming = read_rows(_Next, NEXT, {**recipients.rules(), "ids": campaign_ids})
    seen = facts.read_pending(each.email_id for each in upcoming)
    sending = set(read_rows(_Sending, SENDING, (campaign_ids,)))
    found: defaultdict[int, list[Standing]] = defaultdict(list)
    for each in upcoming:
        it = seen.get(each.email_id)
        found[each.campaign_id].append(
            _of_mail(it, rules, _Sending(it.campaign_id, it.mailbox_id) in sending) if it else _ON_UNUSABLE_MAILBOX
        )
    return {campaign_id: min(standings, key=_how_soon) for campaign_id, standings in found.items()}


def _how_soon(it: Standing) -> tuple[bool, bool, bool, float]:
    return not it.sends, it.gate is not None, it.until is None, it.until.timestamp() if it.until else 0.0


# Gates that stay closed until somebody acts or time passes, and gates that wait for other e-mails only.
_LASTING: tuple[gates.Gate, ...] = (gates.window_is_open, gates.under_the_limits, gates.mailbox_is_open)
_PASSING: tuple[gates.Gate, ...] = (gates.mailbox_is_free, gates.campaign_keeps_its_pace, gates.host_has_room)


def _of_mail(seen: Facts, rules: config.Sending, hands_over: bool) -> Standing:
    """An e-mail's standing: what a claim would find now, and at its time.

    hands_over: its mailbox sends an e-mail of the same campaign.
    """
    is_due = seen.now >= seen.scheduled_at
    if seen.follow_up and seen.follow_up.needs_inbox and not seen.follow_up.has_inbox:
        return _waiting(Closed("inbox", gates.Action.WAIT, Reason(Code.NO_INBOX)), None)
    closed = gates.first_closed(_LASTING, seen, rules)
    passing = gates.first_closed(_PASSING, seen, rules)
    if closed is None and (late := gates.not_too_late(seen, rules)):
        return _waiting(late, None)
    if closed is None and passing is None and is_due:
        return Standing(None, Reason(Code.SENDING), sends=True)
    at, hopeless = _first_open(seen, rules)
    if hopeless:
        return _waiting(hopeless, None)
    if closed:
        return _waiting(closed, at)
    if is_due and passing and passing.gate in ("mailbox_busy", "smtp_host"):
        if hands_over:
            return Standing(passing.gate, Reason(Code.HANDING_OVER), sends=True)
        return _waiting(passing, None)
    return _at(at, seen, passing.gate if is_due and passing else "time", rules)


def _first_open(seen: Facts, rules: config.Sending) -> tuple[datetime, Closed | None]:
    """When all gates are first open, from its time on, and the gate that never opens, if there is one.

    E-mails now being sent are assumed to be finished by then.
    """
    at, closed = max(seen.now, seen.scheduled_at), None
    seen = replace(seen, mailbox_busy=False, host_sending=0)
    # Each gate moves the time at most once, some again on a later day.
    for _ in range(10):
        closed = gates.first_closed((*_LASTING, *_PASSING), _then(seen, at), rules)
        if closed is None or closed.until is None:
            break
        at = closed.until
    return at, closed


def _then(seen: Facts, at: datetime) -> Facts:
    """The facts at a later time: on another day nothing counts yet."""
    if warsaw_day(at) == warsaw_day(seen.now):
        return replace(seen, now=at)
    return replace(seen, now=at, campaign_used=0, mailbox_used=0)


def _at(at: datetime, seen: Facts, gate: StandingName, rules: config.Sending) -> Standing:
    in_this_opening = warsaw_day(at) == warsaw_day(seen.now) and at < seen.window.closing(seen.now)
    if in_this_opening and not gates.not_too_late(_then(seen, at), rules):
        return Standing(gate, Reason(Code.SENDING_NEXT_AT, until=at), at, sends=True)
    return Standing(gate, Reason(Code.NEXT_AT, until=at), at)


def _waiting(closed: Closed, until: datetime | None) -> Standing:
    if until is None:
        reason = Reason(Code.WAITING, because=closed.because)
    elif closed.gate == "window":
        reason = Reason(Code.OPENS_LATER, until=until)
    else:
        reason = Reason(Code.WAITING_UNTIL, until=until, because=closed.because)
    return Standing(closed.gate, reason, until)


# What is left of campaigns without a claimable e-mail. Leads after the last one with an e-mail are checked first: all
# of them are rarely needed.
REST = f"""
SELECT c.id AS campaign_id, is_pending, is_unplanned, CASE
           WHEN pending_may_go THEN true
           WHEN NOT is_unplanned THEN false
           WHEN EXISTS (SELECT FROM {remaining.REMAINING} r WHERE r.may_be_written_to AND r.turn > last_turn) THEN true
           ELSE {remaining.IS_TO_BE_PLANNED} END AS may_go, is_unknown, is_sending, {remaining.NEW_LEADS} AS new_leads
FROM unnest(%(ids)s::bigint[]) AS c (id)
CROSS JOIN LATERAL (SELECT
    EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_id = c.id AND q.status = 'pending') AS is_pending,
    EXISTS (SELECT FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
            WHERE q.campaign_id = c.id AND q.status = 'pending' AND {MAY_BE_WRITTEN_TO}) AS pending_may_go,
    {remaining.COUNT} > 0 AS is_unplanned,
    {remaining.LAST_TURN} AS last_turn,
    EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_id = c.id AND q.status = 'unknown') AS is_unknown,
    EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_id = c.id AND q.status = 'sending') AS is_sending
    OFFSET 0  -- computed once, however often it is used above
) rest
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Rest:
    campaign_id: int
    is_pending: bool
    is_unplanned: bool
    may_go: bool  # some of what is left may be sent
    is_unknown: bool
    is_sending: bool
    new_leads: int  # without an e-mail


# Of campaigns in which something may be sent: whether some of it can be planned now, and the holds of the rest.
PLANNABLE = f"""
SELECT c.id AS campaign_id, is_free, CASE WHEN NOT is_free THEN (
    SELECT CASE WHEN bool_and(h.until IS NOT NULL) THEN min(h.until) END
    FROM {remaining.REMAINING} r JOIN hold h ON {holds.OF_LEAD.format(l="r")} AND {holds.STANDS}) END AS held_until,
    NOT is_free AND EXISTS (SELECT FROM {remaining.REMAINING} r WHERE r.may_be_written_to AND {holds.HELD}) AS is_held
FROM unnest(%(ids)s::bigint[]) AS c (id)
CROSS JOIN LATERAL (SELECT
    EXISTS (SELECT FROM {remaining.REMAINING} r WHERE r.step = 1 AND r.may_be_written_to AND NOT {holds.HELD})
    OR EXISTS (
        SELECT FROM campaign_mailbox cm JOIN mailbox m ON m.id = cm.mailbox_id AND m.status = 'active'
        JOIN campaign_email_queue q ON q.campaign_id = cm.campaign_id AND cm.mailbox_id = COALESCE((
            SELECT f.goes_on_from_id FROM former_mailbox f
            WHERE f.campaign_id = q.campaign_id AND f.mailbox_id = q.mailbox_id), q.mailbox_id)
        {remaining.UNFOLLOWED} AND cm.campaign_id = c.id
          AND NOT EXISTS (SELECT FROM hold h WHERE {holds.OF_LEAD.format(l="l")} AND {holds.STANDS})) AS is_free
    OFFSET 0
) free
"""  # noqa: S608


@dataclass(frozen=True)
class _Plannable:
    campaign_id: int
    is_free: bool
    is_held: bool
    held_until: datetime | None  # the first of them; None: some wait for a person


def _without_next_mail(rows: Sequence[Campaign]) -> dict[int, Standing]:
    if not rows:
        return {}
    shut = why_no_mailbox_sends(rows)
    found = read_rows(_Rest, REST, {**recipients.rules(), "ids": [row.id for row in rows]})
    may_go = [it.campaign_id for it in found if it.may_go]
    waiting = _waiting_leads(may_go)
    return {
        it.campaign_id: _may_go(shut[it.campaign_id], waiting.get(it.campaign_id)) if it.may_go else _left(it)
        for it in found
    }


def _waiting_leads(ids: Sequence[int]) -> dict[int, Standing]:
    """Campaign id -> what its leads wait for, if none of their e-mails can be planned now."""
    if not ids:
        return {}
    found = {}
    boxes = {it.campaign_id: it for it in reversed(former_mailboxes.waiting(ids))}
    for it in read_rows(_Plannable, PLANNABLE, {**recipients.rules(), "ids": list(ids)}):
        if it.is_free:
            continue
        if box := boxes.get(it.campaign_id):
            found[it.campaign_id] = Standing("mailbox", Reason(Code.WAITING, because=box.why))
        elif it.is_held:
            closed = Closed("held", gates.Action.WAIT, Reason(Code.LEADS_ON_HOLD), it.held_until)
            found[it.campaign_id] = _waiting(closed, it.held_until)
    return found


def _may_go(shut: Closed | None, waiting: Standing | None) -> Standing:
    if waiting:
        return waiting
    return _waiting(shut, shut.until) if shut else Standing("unplanned", Reason(Code.TO_BE_PLANNED))


def _left(rest: _Rest) -> Standing:
    if rest.is_unknown:
        return Standing("unknown", Reason(Code.TO_BE_SETTLED))
    if rest.is_sending:
        return Standing("last", Reason(Code.LAST_MAILS), sends=True)
    if rest.is_pending or rest.new_leads:
        return Standing("lead", Reason(Code.WAITING, because=Reason(Code.NO_LEADS_LEFT)))
    return Standing("done", Reason(Code.NOT_FOLLOWED_UP if rest.is_unplanned else Code.DONE))


MAILBOXES = f"""
SELECT cm.campaign_id, m.id AS mailbox_id, m.status, m.daily_limit, {CLOSED_BY_ITSELF} AS is_closed
FROM campaign_mailbox cm JOIN mailbox m ON m.id = cm.mailbox_id
WHERE cm.campaign_id = ANY(%s) AND cm.closed_reason IS NULL
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Mailbox:
    campaign_id: int
    mailbox_id: int
    status: MailboxStatus
    daily_limit: int
    is_closed: bool  # because of its domain's DNS


def why_no_mailbox_sends(rows: Sequence[Campaign]) -> dict[int, Closed | None]:
    """Campaign id -> why none of its mailboxes can send today; None: one can."""
    found, now = read_rows(_Mailbox, MAILBOXES, ([row.id for row in rows],)), clock()
    ids, today = {it.mailbox_id for it in found}, warsaw_day(now)
    used, of_day = limits.mailboxes_used(ids, today), limits.mailboxes_on(ids, today)
    shut: defaultdict[int, list[str | None]] = defaultdict(list)
    for it in found:
        shut[it.campaign_id].append(_why_it_does_not_send(it, used.get(it.mailbox_id, 0), of_day[it.mailbox_id]))
    return {row.id: _no_mailbox(set(shut[row.id]), row, now) for row in rows}


def _why_it_does_not_send(it: _Mailbox, used: int, of_day: limits.OfDay) -> str | None:
    if it.status is not MailboxStatus.ACTIVE:
        return "closed" if it.is_closed else "paused"
    if not it.daily_limit:
        return "without"
    return "full" if used >= of_day.limit or of_day.frozen_to is not None else None


def _no_mailbox(shut: set[str | None], row: Campaign, now: datetime) -> Closed | None:
    if None in shut:
        return None
    if "full" in shut:
        window = windows.window_of(row, windows.frozen_days())
        until = window.next_opening(warsaw_day_bounds(warsaw_day(now))[1])
        return Closed("limit", gates.Action.REPLAN, Reason(Code.MAILBOXES_FULL), until)
    if shut == {"without"}:
        return Closed("limit", gates.Action.REPLAN, Reason(Code.LIMITS_0))
    if "closed" in shut:
        because = Reason(Code.MAILBOXES_WITHOUT_DNS)
    elif shut == {"paused"}:
        because = Reason(Code.MAILBOXES_PAUSED)
    elif shut:
        because = Reason(Code.MAILBOXES_SHUT)
    else:
        because = Reason(Code.NO_MAILBOX)
    return Closed("mailbox", gates.Action.REPLAN, because)
