"""What a plan is made of, and the slots that it yields. Instants are UTC in whole milliseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from scheduling.providers import Limit
from scheduling.waits import Wait
from scheduling.window import NEVER, Window

# A campaign without a free slot for a year has none at all.
GIVE_UP_AFTER = timedelta(days=370)
# The longest delay and gap that can be planned.
LONGEST = GIVE_UP_AFTER
# Limits of all times, so that date arithmetic cannot overflow.
BEGIN, END = datetime.min.replace(tzinfo=UTC), NEVER


class PlanInputInvalid(ValueError):
    """Settings or times with which planning is impossible."""


def interval(seconds: float, name: str) -> timedelta:
    """A stored delay or gap. Raises PlanInputInvalid if it is out of bounds."""
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise PlanInputInvalid(f"its {name} of {seconds:g} s is not between 0 s and {LONGEST.days} days")
    return timedelta(seconds=seconds)


def check_moments(*moments: datetime | None) -> None:
    """Raise PlanInputInvalid if one is too far away for date arithmetic."""
    if any(it is not None and it >= END for it in moments):
        raise PlanInputInvalid("its last start, its closing or its time is thousands of years away")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit of a mailbox's provider."""

    limit: Limit
    counted: tuple[datetime, ...] = ()  # when its e-mails that count were sent, in order; the last ones are enough


@dataclass(frozen=True, slots=True)
class Mailbox:
    id: int
    daily_limit: int
    gap: timedelta
    used: Mapping[date, int]  # Warsaw day -> e-mails that already count: with warm-up, without pending ones
    last_start: datetime | None
    open_from: datetime | None = None  # closed until then
    used_to_follow: Mapping[date, int] = field(default_factory=dict)  # the follow-ups among `used`
    ceilings: tuple[Ceiling, ...] = ()  # those that it could reach

    def __post_init__(self) -> None:
        check_moments(self.last_start, self.open_from)


class CurrentSlot(NamedTuple):
    """The slot that a pending e-mail has now."""

    mailbox_id: int
    at: datetime


class Bound(NamedTuple):
    """What a follow-up's slot depends on besides: the mailbox that its lead knows, and the wait."""

    mailbox_id: int
    not_before: datetime


class Email(NamedTuple):
    """An e-mail to plan: a step of its campaign for one lead."""

    lead_id: int
    step_id: int
    current: CurrentSlot | None = None  # when its campaign is replanned
    bound: Bound | None = None  # of a follow-up


class Step(NamedTuple):
    """A letter of a campaign's sequence."""

    id: int
    wait: Wait | None = None  # after the letter before it was sent; None: the first


class FollowUp(NamedTuple):
    """A follow-up to plan: the e-mail before it was sent."""

    campaign_id: int
    lead_id: int
    step_id: int
    bound: Bound


@dataclass(frozen=True, slots=True)
class Campaign:
    id: int
    window: Window
    delay: timedelta
    daily_limit: int
    mailbox_ids: tuple[int, ...]
    used: Mapping[date, int]
    last_start: datetime | None
    emails: Sequence[Email]  # to plan, in order
    until: datetime | None  # the planning horizon; None: to the last e-mail
    steps: tuple[Step, ...] = ()  # in order; with one or none, no e-mail is followed
    new_per_day: int | None = None  # the most first e-mails; None: as many as its limit lets
    used_new: Mapping[date, int] = field(default_factory=dict)
    follow_up_share: int = 100  # % of a mailbox's daily limit

    def __post_init__(self) -> None:
        if self.delay <= timedelta(0):
            raise PlanInputInvalid("its delay between two mails is not above 0 s")
        check_moments(self.last_start)


class Taken(NamedTuple):
    """The slot of a pending e-mail that is not replanned."""

    campaign_id: int
    mailbox_id: int
    at: datetime
    is_retry: bool = False  # a retry: it has its own time, and later e-mails need not wait for it
    lead_id: int = 0
    step_id: int = 0
    is_follow_up: bool = False


class Hold(StrEnum):
    """The rule that put an e-mail off for longest. Without one it follows the e-mail before it by the delay."""

    WINDOW = "window"
    DAILY_LIMIT = "daily_limit"  # the campaign's
    MAILBOX_LIMIT = "mailbox_limit"
    SHARE = "share"  # its mailboxes' room is other campaigns' too
    MAILBOX_GAP = "mailbox_gap"
    MAILBOX_CLOSED = "mailbox_closed"
    PROVIDER = "provider"  # a limit of its mailboxes' provider


class Slot(NamedTuple):
    campaign_id: int
    lead_id: int
    step_id: int
    mailbox_id: int
    at: datetime


# The microseconds of an instant within its millisecond -> what it lacks to the next whole one.
_LACKING = [timedelta(microseconds=-part % 1000) for part in range(1000)]


def whole(at: datetime) -> datetime:
    """Round a time up to a whole millisecond."""
    return at + _LACKING[at.microsecond % 1000]
