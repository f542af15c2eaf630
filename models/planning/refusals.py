"""Reads what the record of a refusal depends on, in one round trip and under the locks of the move that follows.

A refusal is the mailbox's fault, or its e-mail is put off, or it fails.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from models.email import blame, limits, locks, windows
from models.email.blame import Answer
from models.email.windows import WindowRow
from models.planning import mailbox_days
from models.store.database import MACHINE, Clock, row
from models.store.tables import Mailbox
from scheduling import planner
from scheduling.planner import Taken
from scheduling.window import warsaw_day, warsaw_day_bounds


class Kind(NamedTuple):
    """What a server answered; answers of one kind count together."""

    scope: str  # lead, content or unclear
    code: int
    enhanced: str | None


@dataclass(frozen=True, kw_only=True)
class Refusal(WindowRow):
    """A refused e-mail with its campaign, its mailbox and, where they were asked for, the slots around it."""

    email_id: int
    campaign_id: int
    mailbox_id: int
    now: datetime
    faults: int  # of its mailbox, in a row
    put_off_for: timedelta  # since its first attempt that was put off
    delay_seconds: float
    campaign_limit: int
    campaign_used: int | None
    campaign_last_start: datetime | None
    mailbox_limit: int
    mailbox_used: int | None
    gap_seconds: float
    mailbox_last_start: datetime | None
    closed_until: datetime | None
    ceiling_until: datetime | None  # a limit of its provider is reached until then
    warmup_days: list[date] | None  # after today
    warmup_counts: list[int] | None
    is_limited: bool  # its mailbox is frozen on some days to come, or ramps up
    near_campaigns: list[int] | None  # of each other pending e-mail of its campaign or mailbox
    near_mailboxes: list[int] | None
    near_times: list[datetime] | None
    near_are_retries: list[bool] | None
    counting_from: datetime | None  # see blame.ANSWERS
    emails: list[int | None] | None
    leads: list[int | None] | None
    domains: list[str | None] | None

    def blames_mailbox(self, kind: Kind) -> bool:
        """Whether its mailbox is to blame. kind: the same as for read()."""
        answers = {
            email_id: Answer(lead_id, domain, *kind)
            for email_id, lead_id, domain in zip(self.emails or (), self.leads or (), self.domains or (), strict=True)
            if email_id is not None and lead_id is not None and domain is not None
        }
        answer = answers.pop(self.email_id, None)
        return answer is not None and blame.is_the_mailboxes(answer, answers.values())

    def retry_moment(self, not_before: datetime) -> datetime:
        """The first time for another attempt within window, limits and mailbox gap that moves no other e-mail.

        Raises ValueError if the settings of its campaign or mailbox are unusable.
        """
        today = warsaw_day(self.now)
        near = (self.near_campaigns, self.near_mailboxes, self.near_times, self.near_are_retries)
        return planner.retry_moment(
            planner.Campaign(
                id=self.campaign_id,
                window=self.window,
                delay=planner.interval(self.delay_seconds, "delay"),
                daily_limit=self.campaign_limit,
                mailbox_ids=(self.mailbox_id,),
                used={today: self.campaign_used or 0},
                last_start=self.campaign_last_start,
                emails=(),
                until=None,
            ),
            planner.Mailbox(
                id=self.mailbox_id,
                daily_limit=self.mailbox_limit,
                gap=planner.interval(self.gap_seconds, "gap"),
                used=self._mailbox_used(),
                last_start=self.mailbox_last_start,
                open_from=max(filter(None, (self.closed_until, self.ceiling_until)), default=None),
            ),
            [Taken(*each) for each in zip(*(it or () for it in near), strict=True)],
            not_before,
        )

    def _mailbox_used(self) -> Counter[date]:
        """Warsaw day -> what its mailbox cannot use of its daily limit."""
        today = warsaw_day(self.now)
        used = Counter({today: self.mailbox_used or 0})
        if not self.is_limited:
            used.update(dict(zip(self.warmup_days or (), self.warmup_counts or (), strict=True)))
        else:  # rare enough for more round trips
            row = Mailbox.get_by_id(self.mailbox_id)
            for _, day, count in mailbox_days.not_to_be_used([row], self.now, {row.id: used[today]}):
                used[day] += count
        return used


# Its blame is only read for a refusal that may be the mailbox's fault, the slots only for an e-mail that may be tried
# again: the parameters are known when this is planned, so Postgres leaves out what is not asked for.
FACTS = f"""
SELECT q.id AS email_id, q.campaign_id, q.mailbox_id, clock_timestamp() AS now, m.faults,
       COALESCE(clock_timestamp() - COALESCE(q.deferred_since, q.claimed_at), '0') AS put_off_for,
       {windows.COLUMNS}, c.delay_seconds,
       c.daily_limit AS campaign_limit, campaign_used.campaign AS campaign_used,
       c.last_start_at AS campaign_last_start,
       m.daily_limit AS mailbox_limit, mailbox_used.campaign + mailbox_used.warmup AS mailbox_used, m.gap_seconds,
       m.last_start_at AS mailbox_last_start, m.closed_until, ceiling.ceiling_until,
       later.warmup_days, later.warmup_counts,
       {mailbox_days.IS_LIMITED} AS is_limited,
       near.near_campaigns, near.near_mailboxes, near.near_times, near.near_are_retries,
       answers.counting_from, answers.emails, answers.leads, answers.domains
FROM campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN mailbox m ON m.id = q.mailbox_id
LEFT JOIN LATERAL ({limits.ceiling_query(besides="q.id")}) ceiling ON %(put_off)s
LEFT JOIN LATERAL ({limits.campaigns_used_query("ARRAY[q.campaign_id]")}) campaign_used ON %(put_off)s
LEFT JOIN LATERAL ({limits.mailboxes_used_query("ARRAY[q.mailbox_id]")}) mailbox_used ON %(put_off)s
LEFT JOIN LATERAL (
    SELECT array_agg(n.campaign_id) AS near_campaigns, array_agg(n.mailbox_id) AS near_mailboxes,
           array_agg(n.scheduled_at) AS near_times,
           array_agg(n.attempts > 0 OR n.not_before IS NOT NULL) AS near_are_retries
    FROM campaign_email_queue n
    WHERE n.status = 'pending' AND (n.mailbox_id = m.id OR n.campaign_id = c.id) AND n.id <> q.id
) near ON %(put_off)s
LEFT JOIN LATERAL (
    SELECT array_agg(w.day) AS warmup_days, array_agg(w.count) AS warmup_counts
    FROM warmup_count w WHERE w.mailbox_id = m.id AND w.day > %(day)s
) later ON %(put_off)s
LEFT JOIN LATERAL ({blame.ANSWERS}) answers ON %(code)s IS NOT NULL
WHERE q.id = %(email)s
"""  # noqa: S608  # only our own words


def read(email_id: int, kind: Kind | None = None, *, put_off: bool = False, machine: Clock = MACHINE) -> Refusal:
    """Lock the e-mail's campaign, mailbox and row, and read these facts.

    kind: read whether the mailbox is to blame for this answer, which is not recorded yet. put_off: read what
    retry_moment() needs.
    """
    scope, code, enhanced = kind or (None, None, None)
    values = {"email": email_id, "scope": scope, "code": code, "enhanced": enhanced, "put_off": put_off}
    day = warsaw_day(machine())
    while True:
        starts, ends = warsaw_day_bounds(day)
        locks.lock_around_with_next(email_id)
        found = row(Refusal, FACTS, {**values, "day": day, "starts": starts, "ends": ends})
        if found is None:
            raise locks.NoSuchEmail(f"there is no e-mail {email_id}")
        # The database says which day it is: this machine's clock may be wrong.
        if warsaw_day(found.now) == day:
            return found
        day = warsaw_day(found.now)


def retry_moment(email_id: int, not_before: datetime) -> datetime:
    """Lock the e-mail and read its facts as read() does; return Refusal.retry_moment()."""
    return read(email_id, put_off=True).retry_moment(not_before)
