"""The gates: conditions that must hold before a planned e-mail is sent, and what to do when one does not.

The claim, the hand-over and "why is nothing being sent?" all use them. The functions are pure; facts.py reads the
facts that they check.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal, get_args

import config
from models.email.suppressed import DOMAIN
from models.states import CampaignStatus, MailboxStatus, Status
from reasons import Code, Reason, Why
from scheduling.providers import Limit
from scheduling.window import NEVER, Window, warsaw_day, warsaw_day_bounds


class Action(StrEnum):
    DROP = "drop"  # forget the hint; whoever opens the gate plans again
    WAIT = "wait"  # hint again for when it opens; the e-mail keeps its scheduled time
    REPLAN = "replan"  # the tick plans another time, with the gate's reason
    CANCEL = "cancel"  # the mail will not be sent


GateName = Literal[
    "hint",  # the hint does not match the row
    "claim",  # another worker has it
    "clock",
    "campaign",
    "lead",
    "held",  # after what came back from its lead
    "predecessor",  # the e-mail before it was not sent
    "inbox",  # an answer may be unread
    "time",
    "downtime",
    "window",
    "limit",
    "mailbox",
    "mailbox_busy",
    "mailbox_gap",
    "pace",
    "smtp_host",
]
NAMES: tuple[GateName, ...] = get_args(GateName)


@dataclass(frozen=True)
class Closed:
    gate: GateName
    action: Action
    because: Reason
    until: datetime | None = None  # when it opens, if known

    @property
    def reason(self) -> str:
        return str(self.because)


@dataclass(frozen=True)
class Hold:
    """Why a lead is not written to after what came back from it."""

    stops: bool  # for good; otherwise until a time, or until a person decides
    until: datetime | None
    because: Why


@dataclass(frozen=True)
class FollowUpFacts:
    """What a follow-up depends on besides: the e-mail before it, and whether an answer to it would have been seen."""

    predecessor_status: Status
    wait_ends_at: datetime
    needs_inbox: bool  # False: its campaign allows follow-ups from a mailbox without IMAP settings
    has_inbox: bool  # its mailbox, as far as its campaign needs that
    read_at: datetime | None  # when the last complete look into each inbox began in which an answer may be
    failed_reason: str | None  # of the look after that


@dataclass(frozen=True)
class Reached:
    """A limit of the mailbox's provider that is reached."""

    provider: str  # its name
    limit: Limit
    until: datetime


@dataclass(frozen=True)
class Facts:
    """One e-mail and its surroundings at the instant `now` of the database's clock."""

    now: datetime
    clock_off: timedelta  # the least difference between this machine's clock and that one
    email_id: int
    campaign_id: int
    mailbox_id: int
    status: Status
    scheduled_at: datetime
    handed_over_at: datetime | None
    campaign_status: str
    window: Window
    delay: timedelta
    campaign_limit: int
    campaign_used: int  # without this e-mail; likewise for the mailbox below
    campaign_last_start: datetime | None
    mailbox_status: str
    mailbox_closed_until: datetime | None
    mailbox_closed_reason: Why | None
    mailbox_limit: int
    mailbox_used: int
    mailbox_gap: timedelta
    mailbox_last_start: datetime | None
    mailbox_busy: bool
    host_sending: int
    suppressed_by: str | None  # the address, or "@" with the domain
    suppressed: Why | None
    legal_basis: str | None
    requires_legal_basis: bool  # of this installation, if the setting leaves it to that
    hold: Hold | None
    follow_up: FollowUpFacts | None = None  # None: it is the first to its lead
    mailbox_is_its_campaigns: bool = True  # False: it was taken from the campaign
    step_is_its_campaigns: bool = True  # False: it was removed from the sequence
    mailbox_paused_reason: Why | None = None  # a Reason: Punktual itself paused it
    mailbox_frozen_to: date | None = None  # the last day of a freeze that today is in
    ceiling: Reached | None = None  # None: its mailbox is below all limits of its provider

    @property
    def looked_at(self) -> datetime | None:
        """When the look into the inbox began that shows no answer, for a follow-up whose gates are open.

        Returns now for a follow-up that needs no look, and None for a first e-mail.
        """
        if self.follow_up is None:
            return None
        return self.follow_up.read_at if self.follow_up.needs_inbox else self.now


Gate = Callable[[Facts, config.Sending], Closed | None]

# A gate is checked again after this if nothing tells when it opens.
_ASK_AGAIN = timedelta(seconds=2)
# How old a look into the inbox may be when a follow-up is claimed, and when it is handed over.
LOOK_LASTS = timedelta(minutes=5)
# A look takes some seconds, and is asked for when this gate closes.
_LOOK_AGAIN = timedelta(seconds=2)
# The least share of a campaign's delay between two starts: the delay varies by 20 %.
_LEAST_PACE = 0.8


def workers_clock_agrees(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed for workers if their clock is off: they would handle delayed messages at the wrong time."""
    if it.clock_off.total_seconds() <= rules.clock_tolerance_seconds:
        return None
    because = Reason(Code.CLOCK_OFF, seconds=it.clock_off.total_seconds())
    return Closed("clock", Action.WAIT, because, it.now + timedelta(minutes=1))


def campaign_is_active(it: Facts, rules: config.Sending) -> Closed | None:
    if it.campaign_status == CampaignStatus.ACTIVE:
        return None
    return Closed("campaign", Action.DROP, Reason(Code.CAMPAIGN_STATUS, status=it.campaign_status))


def step_is_its_campaigns(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed if the e-mail's step was removed from its campaign. The tick cancels the e-mail: see removed_steps.py."""
    return None if it.step_is_its_campaigns else Closed("campaign", Action.DROP, Reason(Code.STEP_REMOVED))


def lead_may_be_written_to(it: Facts, rules: config.Sending) -> Closed | None:
    if it.suppressed_by is not None:
        return Closed("lead", Action.CANCEL, why_suppressed(it.suppressed_by, it.suppressed or ""))
    is_required = it.requires_legal_basis if rules.require_legal_basis == "auto" else rules.require_legal_basis
    if is_required and not it.legal_basis:
        return Closed("lead", Action.CANCEL, Reason(Code.NO_LEGAL_BASIS))
    if it.hold is not None and it.hold.stops:
        return Closed("lead", Action.CANCEL, Reason(Code.STOPPED, because=it.hold.because))
    return None


def why_suppressed(by: str, why: Why) -> Reason:
    if by.startswith(DOMAIN):
        return Reason(Code.SUPPRESSED_DOMAIN, domain=by.removeprefix(DOMAIN), reason=why)
    return Reason(Code.SUPPRESSED, reason=why)


def lead_is_not_held(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed while the lead is held. The tick gives the e-mail another time: see models/inbox/holding.py."""
    if it.hold is None or it.hold.stops:
        return None
    return Closed("held", Action.WAIT, Reason(Code.HELD, because=it.hold.because), it.hold.until)


def predecessor_was_sent(it: Facts, rules: config.Sending) -> Closed | None:
    if it.follow_up is None or it.follow_up.predecessor_status == Status.SENT:
        return None
    return Closed("predecessor", Action.WAIT, Reason(Code.PREDECESSOR, status=it.follow_up.predecessor_status))


def no_answer_is_unread(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed for a follow-up while an answer may be unread: no inbox is read, or none was read recently enough.

    An e-mail that is overdue because of this gate gets another time from the tick: see models/inbox/unread.py.
    """
    if it.follow_up is None or not it.follow_up.needs_inbox:
        return None
    if not it.follow_up.has_inbox:
        return Closed("inbox", Action.WAIT, Reason(Code.NO_INBOX))
    read_at = it.follow_up.read_at
    if read_at is not None and read_at >= it.follow_up.wait_ends_at and it.now - read_at <= LOOK_LASTS:
        return None
    because = Reason(Code.INBOX_NOT_READ, because=it.follow_up.failed_reason or Reason(Code.NO_LOOK_SINCE))
    return Closed("inbox", Action.WAIT, because, it.now + _LOOK_AGAIN)


def not_too_early(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed before the e-mail's time. A follow-up's time is not before its wait ends either; this makes sure."""
    starts = it.scheduled_at if it.follow_up is None else max(it.scheduled_at, it.follow_up.wait_ends_at)
    if it.now >= starts:
        return None
    return Closed("time", Action.WAIT, Reason(Code.PLANNED_FOR_LATER), starts)


def not_too_late(it: Facts, rules: config.Sending) -> Closed | None:
    if it.now <= it.scheduled_at + tolerance(it.delay, rules):
        return None
    return Closed("downtime", Action.REPLAN, Reason(Code.TOO_LATE))


def window_is_open(it: Facts, rules: config.Sending) -> Closed | None:
    if it.window.is_open(it.now):
        return None
    is_closed = it.window.is_closed_on(warsaw_day(it.now))
    opening = it.window.next_opening(it.now)
    because = Reason(Code.CLOSED_DAY if is_closed else Code.OUTSIDE_WINDOW)
    if opening >= NEVER and it.window.last_day is not None:
        because = Reason(Code.PAST_LAST_DAY, day=f"{it.window.last_day:%Y-%m-%d}")
    return Closed("window", Action.REPLAN, because, opening if opening < NEVER else None)


def under_the_limits(it: Facts, rules: config.Sending) -> Closed | None:
    if it.campaign_used >= it.campaign_limit:
        because = Reason(Code.CAMPAIGN_LIMIT, limit=it.campaign_limit)
        return Closed("limit", Action.REPLAN, because, _another_day(it))
    if it.mailbox_limit == 0:
        return Closed("limit", Action.REPLAN, Reason(Code.MAILBOX_LIMIT_0))
    if it.mailbox_used >= it.mailbox_limit:
        because = Reason(Code.MAILBOX_LIMIT, limit=it.mailbox_limit)
        return Closed("limit", Action.REPLAN, because, _another_day(it))
    return None


def under_its_providers_limits(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed while a limit of the provider is reached. If that lasts too long, the e-mail is planned again."""
    if it.ceiling is None:
        return None
    provider, limit, until = it.ceiling.provider, it.ceiling.limit, it.ceiling.until
    because = Reason(Code.PROVIDER_LIMIT, provider=provider, most=limit.most, span=limit.length)
    is_soon = until <= it.scheduled_at + tolerance(it.delay, rules)
    return Closed("limit", Action.WAIT if is_soon else Action.REPLAN, because, until)


def _another_day(it: Facts) -> datetime:
    return _window_after(it, warsaw_day(it.now))


def _window_after(it: Facts, day: date) -> datetime:
    """When its campaign's window opens first after a day."""
    return it.window.next_opening(warsaw_day_bounds(day)[1])


def mailbox_is_open(it: Facts, rules: config.Sending) -> Closed | None:
    if it.mailbox_status != MailboxStatus.ACTIVE:
        why, status = it.mailbox_paused_reason, Reason(Code.MAILBOX_STATUS, status=it.mailbox_status)
        because = Reason(Code.MAILBOX_CLOSED, because=why) if isinstance(why, Reason) else status
        return Closed("mailbox", Action.REPLAN, because)
    if it.mailbox_frozen_to is not None:
        because = Reason(Code.MAILBOX_FROZEN, to=f"{it.mailbox_frozen_to:%Y-%m-%d}")
        return Closed("mailbox", Action.REPLAN, because, _window_after(it, it.mailbox_frozen_to))
    if it.mailbox_closed_until is not None and it.mailbox_closed_until > it.now:
        because = Reason(Code.MAILBOX_CLOSED, because=it.mailbox_closed_reason or "")
        return Closed("mailbox", Action.REPLAN, because, it.mailbox_closed_until)
    return None


def mailbox_is_its_campaigns(it: Facts, rules: config.Sending) -> Closed | None:
    """Closed if its campaign has lost the mailbox. For the claim only: what is being sent by then is left alone."""
    if it.mailbox_is_its_campaigns:
        return None
    return Closed("mailbox", Action.REPLAN, Reason(Code.MAILBOX_REMOVED))


def mailbox_is_free(it: Facts, rules: config.Sending) -> Closed | None:
    if it.mailbox_busy:
        because = Reason(Code.MAILBOX_BUSY)
        return Closed("mailbox_busy", Action.WAIT, because, it.now + _ASK_AGAIN)
    return _after("mailbox_gap", it.now, it.mailbox_last_start, it.mailbox_gap, Reason(Code.MAILBOX_GAP))


def campaign_keeps_its_pace(it: Facts, rules: config.Sending) -> Closed | None:
    return keeps_pace(it.now, it.campaign_last_start, it.delay)


def keeps_pace(now: datetime, last_start: datetime | None, delay: timedelta) -> Closed | None:
    """Closed until _LEAST_PACE of the campaign's delay has passed since its last start (None if it has none)."""
    return _after("pace", now, last_start, delay * _LEAST_PACE, Reason(Code.PACE))


def host_has_room(it: Facts, rules: config.Sending) -> Closed | None:
    return None if it.host_sending < rules.smtp_host_concurrency else host_is_full(it, it.host_sending)


def host_is_full(it: Facts, sending: int) -> Closed:
    because = Reason(Code.SMTP_HOST_BUSY, count=sending)
    return Closed("smtp_host", Action.WAIT, because, it.now + _ASK_AGAIN)


CLAIM: tuple[Gate, ...] = (
    campaign_is_active,
    step_is_its_campaigns,
    lead_may_be_written_to,
    lead_is_not_held,
    predecessor_was_sent,
    not_too_early,
    no_answer_is_unread,
    not_too_late,
    window_is_open,
    under_the_limits,
    under_its_providers_limits,
    mailbox_is_its_campaigns,
    mailbox_is_open,
    mailbox_is_free,
    campaign_keeps_its_pace,
    host_has_room,
)
# Gates that may have closed since the claim, during the SMTP conversation.
HAND_OVER: tuple[Gate, ...] = (
    campaign_is_active,
    lead_may_be_written_to,
    lead_is_not_held,
    predecessor_was_sent,
    no_answer_is_unread,
    window_is_open,
    under_the_limits,
    under_its_providers_limits,
    mailbox_is_open,
)


def first_closed(gates: Iterable[Gate], facts: Facts, rules: config.Sending) -> Closed | None:
    return next((closed for gate in gates if (closed := gate(facts, rules))), None)


def tolerance(delay: timedelta, rules: config.Sending) -> timedelta:
    """How late an e-mail may start: after another's retry it may have to wait for two of its campaign's delays."""
    return max(timedelta(seconds=rules.late_tolerance_seconds), 2 * delay)


def _after(gate: GateName, now: datetime, last: datetime | None, gap: timedelta, because: Reason) -> Closed | None:
    if last is None or now >= last + gap:
        return None
    return Closed(gate, Action.WAIT, because, last + gap)
