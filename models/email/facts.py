"""Reads the facts that the gates check. They stay true only while the caller holds the locks of locks.py."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from models.email import holds, inboxes, limits, windows
from models.email.gates import Facts, FollowUpFacts, Hold, Reached
from models.email.locks import NoSuchEmail
from models.email.suppressed import ENTRY
from models.email.windows import WindowRow
from models.states import CampaignStatus, MailboxStatus, Status
from models.store import counting, reason_columns
from models.store.database import MACHINE, Clock, Prepared, clock_difference, packet_rows, rows
from models.store.installation import AGREES, NOTHING_SEEN, DatabaseDisagrees, Seen
from scheduling.planner import check_moments, interval
from scheduling.providers import PROVIDERS, Limit
from scheduling.window import warsaw_day, warsaw_day_bounds

# For a list, Postgres is to take the small index of what is being sent, by asking for the worker_host that each such
# e-mail has. A claim must not: all that was sent since the last vacuum still has an entry there.
_BEING_SENT = "b.mailbox_id = m.id AND b.status = 'sending'"
_BEING_SENT_IN_A_LIST = f"{_BEING_SENT} AND b.worker_host IS NOT NULL"
# An e-mail's surroundings. The counts are complete because whoever adds to them holds the same locks.
_COLUMNS = f"""
       q.id AS email_id, q.campaign_id, q.mailbox_id, q.status, q.scheduled_at, q.handed_over_at,
       c.status AS campaign_status, {windows.COLUMNS}, c.delay_seconds,
       c.daily_limit AS campaign_limit, c.last_start_at AS campaign_last_start, m.status AS mailbox_status,
       m.closed_until, m.closed_reason, m.closed_reason_code, m.closed_reason_values,
       m.paused_reason, m.paused_reason_code, m.paused_reason_values,
       {limits.limit_on("%(day)s::date")} AS mailbox_limit, {limits.frozen_to("%(day)s::date")} AS mailbox_frozen_to,
       m.gap_seconds, m.last_start_at AS mailbox_last_start,
       EXISTS (SELECT FROM campaign_email_queue b WHERE {{being_sent}} AND b.id <> q.id)
           OR EXISTS (SELECT FROM test_mail t WHERE t.mailbox_id = m.id AND {counting.TEST_IS_UNDER_WAY})
           AS mailbox_busy,
       cm.mailbox_id IS NOT NULL AS mailbox_is_its_campaigns,
       (SELECT its.removed_at IS NULL FROM campaign_step its WHERE its.id = q.step_id) AS step_is_its_campaigns,
       {{host_sending}} AS host_sending,
       s.address AS suppressed_by, s.reason AS suppressed, s.reason_code AS suppressed_code,
       s.reason_values AS suppressed_values, l.legal_basis,
       (SELECT requires_legal_basis FROM installation) AS requires_legal_basis,
       hold.stops AS hold_stops, hold.until AS hold_until, hold.reason AS hold_reason,
       hold.reason_code AS hold_code, hold.reason_values AS hold_values,
       m.provider, ceiling.ceiling_most, ceiling.ceiling_seconds, ceiling.ceiling_until,
       (SELECT p.status FROM campaign_email_queue p WHERE p.id = q.predecessor_id) AS predecessor_status,
       q.wait_ends_at, c.follow_up_without_inbox,
       m.imap_host IS NOT NULL AS has_inbox, looks.inboxes, looks.read_at AS inbox_read_at,
       looks.failed_reason AS inbox_failed_reason
"""  # noqa: S608  # only our own words
_AROUND = f"""
FROM campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN mailbox m ON m.id = q.mailbox_id
JOIN campaign_lead cl ON cl.id = q.campaign_lead_id
JOIN lead l ON l.id = cl.lead_id
LEFT JOIN LATERAL {ENTRY.format(address="l.address")} s ON true
LEFT JOIN LATERAL {holds.STRONGEST} hold ON true
LEFT JOIN LATERAL ({limits.ceiling_query(besides="q.id")}) ceiling ON true
LEFT JOIN LATERAL {inboxes.LOOKS} looks ON true
LEFT JOIN campaign_mailbox cm ON cm.campaign_id = q.campaign_id AND cm.mailbox_id = q.mailbox_id
"""  # only our own words
_IN_A_LIST = _COLUMNS.format(
    being_sent=_BEING_SENT_IN_A_LIST, host_sending=f"{limits.SENDING_AT_HOST} - (q.status = 'sending')::int"
)
FACTS = f"SELECT {_IN_A_LIST} {_AROUND} WHERE q.id = ANY(%(ids)s)"


@dataclass(frozen=True, kw_only=True)
class _Around(WindowRow):
    """A row of FACTS."""

    email_id: int
    campaign_id: int
    mailbox_id: int
    status: Status
    scheduled_at: datetime
    handed_over_at: datetime | None
    campaign_status: CampaignStatus
    delay_seconds: float
    campaign_limit: int
    campaign_last_start: datetime | None
    mailbox_status: MailboxStatus
    closed_until: datetime | None
    closed_reason: str | None
    closed_reason_code: str | None
    closed_reason_values: dict[str, Any] | None
    paused_reason: str | None
    paused_reason_code: str | None
    paused_reason_values: dict[str, Any] | None
    mailbox_limit: int
    gap_seconds: float
    mailbox_last_start: datetime | None
    mailbox_busy: bool
    host_sending: int
    suppressed_by: str | None
    suppressed: str | None
    suppressed_code: str | None
    suppressed_values: dict[str, Any] | None
    legal_basis: str | None
    requires_legal_basis: bool
    hold_stops: bool | None
    hold_until: datetime | None
    hold_reason: str | None
    hold_code: str | None
    hold_values: dict[str, Any] | None
    predecessor_status: Status | None
    wait_ends_at: datetime | None
    follow_up_without_inbox: bool
    has_inbox: bool
    inboxes: int  # in which an answer may be
    inbox_read_at: datetime | None
    inbox_failed_reason: str | None
    mailbox_is_its_campaigns: bool
    step_is_its_campaigns: bool
    mailbox_frozen_to: date | None
    provider: str | None
    ceiling_most: int | None  # all three, or none
    ceiling_seconds: int | None
    ceiling_until: datetime | None


# What its host is sending is counted by the claim itself, under the host's lock. One statement for claim and hand-over:
# Postgres plans it for milliseconds, in each session, and again after each autovacuum of one of its tables.
FACTS_OF_ONE = Prepared(
    "facts_of_one",
    f"""
    SELECT statement_timestamp() AS asked_at, clock_timestamp() AS now,
           {limits.campaign_used("q.campaign_id", besides="q.id")} AS campaign_used,
           {limits.mailbox_used("q.mailbox_id", besides="q.id")} AS mailbox_used, {AGREES} AS agrees,
           {_COLUMNS.format(being_sent=_BEING_SENT, host_sending="0")} {_AROUND}
    WHERE q.id = %(email)s
    """,
)


@dataclass(frozen=True, kw_only=True)
class _One(_Around):
    """A row of FACTS_OF_ONE; the counts leave this e-mail out."""

    asked_at: datetime  # when the database received the packet, before any wait for a lock
    now: datetime
    campaign_used: int
    mailbox_used: int
    agrees: bool


def read(email_id: int, locks: Sequence[Prepared] = (), machine: Clock = MACHINE) -> Facts:
    """Take the locks and read the facts about this e-mail, in one round trip.

    Raises ValueError if the settings of its campaign or mailbox are unusable.
    """
    row, off = _read(email_id, locks, NOTHING_SEEN, machine)
    return _facts(row, row.now, off, row.campaign_used, row.mailbox_used)


def read_for_claim(email_id: int, locks: Sequence[Prepared], seen: Seen) -> Facts:
    """Take the locks and read the facts, as read() does, for a claim.

    Raises DatabaseDisagrees if the database is disarmed or lacks what this machine has seen in it.
    """
    row, off = _read(email_id, locks, seen, MACHINE)
    if not row.agrees:
        raise DatabaseDisagrees
    return _facts(row, row.now, off, row.campaign_used, row.mailbox_used)


def _read(email_id: int, locks: Sequence[Prepared], seen: Seen, machine: Clock) -> tuple[_One, timedelta]:
    """Read the row of FACTS_OF_ONE, and the least difference between both clocks: network delay may hide more."""
    packet, values, day = (*locks, FACTS_OF_ONE), seen.values(), warsaw_day(machine())
    while True:
        starts, ends = warsaw_day_bounds(day)
        before = machine()
        found = packet_rows(_One, packet, {"email": email_id, "day": day, "starts": starts, "ends": ends, **values})
        after = machine()
        if not found:
            raise NoSuchEmail(f"there is no e-mail {email_id}")
        [row] = found
        # The database says which day it is: this machine's clock may be wrong, and midnight may pass during a wait.
        if warsaw_day(row.now) == day:
            return row, max(before - row.asked_at, row.now - after, timedelta(0))
        day = warsaw_day(row.now)


def read_pending(ids: Iterable[int]) -> dict[int, Facts]:
    """Read the facts about several pending e-mails, by id. The counts do not include these e-mails.

    E-mails with unusable settings are left out: see usable.problems().
    """
    now, off = clock_difference()
    day = warsaw_day(now)
    around = rows(_Around, FACTS, {"ids": list(ids), "day": day})
    campaigns = limits.campaigns_used({row.campaign_id for row in around}, day)
    mailboxes = limits.mailboxes_used({row.mailbox_id for row in around}, day)
    found: dict[int, Facts] = {}
    for row in around:
        with suppress(ValueError):
            found[row.email_id] = _facts(
                row, now, off, campaigns.get(row.campaign_id, 0), mailboxes.get(row.mailbox_id, 0)
            )
    return found


def _facts(row: _Around, now: datetime, clock_off: timedelta, campaign_used: int, mailbox_used: int) -> Facts:
    check_moments(row.scheduled_at, row.campaign_last_start, row.closed_until, row.mailbox_last_start)
    return Facts(
        now=now.astimezone(UTC),
        clock_off=clock_off,
        email_id=row.email_id,
        campaign_id=row.campaign_id,
        mailbox_id=row.mailbox_id,
        status=row.status,
        scheduled_at=row.scheduled_at,
        handed_over_at=row.handed_over_at,
        campaign_status=row.campaign_status,
        window=row.window,
        delay=interval(row.delay_seconds, "delay"),
        campaign_limit=row.campaign_limit,
        campaign_used=campaign_used,
        campaign_last_start=row.campaign_last_start,
        mailbox_status=row.mailbox_status,
        mailbox_closed_until=row.closed_until,
        mailbox_closed_reason=reason_columns.current(
            row.closed_reason, row.closed_reason_code, row.closed_reason_values
        ),
        mailbox_paused_reason=reason_columns.current(
            row.paused_reason, row.paused_reason_code, row.paused_reason_values
        ),
        mailbox_limit=row.mailbox_limit,
        mailbox_used=mailbox_used,
        mailbox_gap=interval(row.gap_seconds, "gap"),
        mailbox_last_start=row.mailbox_last_start,
        mailbox_busy=row.mailbox_busy,
        host_sending=row.host_sending,
        suppressed_by=row.suppressed_by,
        suppressed=reason_columns.current(row.suppressed, row.suppressed_code, row.suppressed_values),
        legal_basis=row.legal_basis,
        requires_legal_basis=row.requires_legal_basis,
        hold=_hold(row),
        follow_up=_follow_up(row),
        mailbox_is_its_campaigns=row.mailbox_is_its_campaigns,
        step_is_its_campaigns=row.step_is_its_campaigns,
        mailbox_frozen_to=row.mailbox_frozen_to,
        ceiling=reached(row.provider, row.ceiling_most, row.ceiling_seconds, row.ceiling_until),
    )


def reached(provider: str | None, most: int | None, seconds: int | None, until: datetime | None) -> Reached | None:
    """The provider's limit in the columns of limits.ceiling_query(); None if no limit is reached."""
    if provider is None or most is None or seconds is None or until is None:
        return None
    return Reached(PROVIDERS[provider].name, Limit(most, timedelta(seconds=seconds)), until)


def _follow_up(row: _Around) -> FollowUpFacts | None:
    if row.predecessor_status is None:
        return None
    return FollowUpFacts(
        predecessor_status=row.predecessor_status,
        wait_ends_at=row.wait_ends_at or row.scheduled_at,
        needs_inbox=row.inboxes > 0 or not row.follow_up_without_inbox,
        has_inbox=row.has_inbox or row.follow_up_without_inbox,
        read_at=row.inbox_read_at,
        failed_reason=row.inbox_failed_reason,
    )


def _hold(row: _Around) -> Hold | None:
    if row.hold_stops is None:
        return None
    because = reason_columns.read(row.hold_reason, row.hold_code, row.hold_values)
    return Hold(row.hold_stops, row.hold_until, because or "")
