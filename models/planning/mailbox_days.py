"""How much of a mailbox's limit cannot be used on days to come: warm-up, freezes, and a ramp that is not so far yet."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from models.email import limits, windows
from models.planning import usable
from models.states import CampaignStatus
from models.store.database import rows as read_rows
from models.store.tables import Campaign, CampaignMailbox, Mailbox
from scheduling.window import Window, warsaw_day

# The planner gives up on a campaign that has no free slot for longer.
_DAYS = 370
_TO_SEND = [CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED]


class _Days(NamedTuple):
    mailbox_id: int
    first_day: date
    last_day: date
    warmup: int | None  # of warm-up e-mails; None: it is frozen


# Later warm-up e-mails, and freezes that are not over. One statement: a retry asks, too.
DAYS = """
SELECT mailbox_id, day AS first_day, day AS last_day, count AS warmup
FROM warmup_count WHERE mailbox_id = ANY(%(ids)s) AND day > %(today)s
UNION ALL
SELECT mailbox_id, first_day, last_day, NULL FROM mailbox_freeze
WHERE mailbox_id = ANY(%(ids)s) AND last_day >= %(today)s
"""


# For a row `m` of mailbox and the Warsaw day %(day)s: whether it has a freeze or a ramp.
IS_LIMITED = """
(m.ramp_start IS NOT NULL OR EXISTS (SELECT FROM mailbox_freeze f WHERE f.mailbox_id = m.id AND f.last_day >= %(day)s))
"""


def not_to_be_used(rows: Sequence[Mailbox], now: datetime, used: Mapping[int, int]) -> Iterator[tuple[int, date, int]]:
    """How much of a daily limit cannot be used: mailbox id, Warsaw day from today on, and number of e-mails.

    used: mailbox id -> what counts today. A ramp goes on after each day on which the mailbox sends: for days to come,
    those on which one of its campaigns may send.
    """
    today, by_id = warsaw_day(now), {row.id: row for row in rows}
    frozen: defaultdict[int, set[date]] = defaultdict(set)
    for it in read_rows(_Days, DAYS, {"ids": list(by_id), "today": today}):
        if it.warmup is not None:
            yield it.mailbox_id, it.first_day, it.warmup
        else:
            last = min(it.last_day, today + timedelta(days=_DAYS))
            frozen[it.mailbox_id] |= set(_days(max(it.first_day, today), last))
    for mailbox_id, days in frozen.items():
        yield from ((mailbox_id, day, by_id[mailbox_id].daily_limit) for day in days)
    young = [row for row in rows if row.ramp_start is not None]
    if not young:
        return
    limit_today = limits.mailboxes_on([row.id for row in young], today)
    sending = _windows([row.id for row in young])
    for row in young:
        sends_today = used.get(row.id, 0) > 0 or any(_opens_today(window, now) for window in sending[row.id])
        ramp = _ramp(row, today, limit_today[row.id].limit, sending[row.id], frozen[row.id], sends_today)
        yield from ((row.id, day, missing) for day, missing in ramp)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _ramp(
    row: Mailbox, today: date, limit: int, sending: Collection[Window], frozen: Collection[date], sends_today: bool
) -> Iterator[tuple[date, int]]:
    for day in _days(today, today + timedelta(days=_DAYS)):
        if limit >= row.daily_limit:
            return
        yield day, row.daily_limit - limit
        if day not in frozen and (sends_today if day == today else any(window.is_open_on(day) for window in sending)):
            limit += row.ramp_step or 0


def _opens_today(window: Window, now: datetime) -> bool:
    """Whether the window is open now or opens later today."""
    return warsaw_day(window.next_opening(now)) == warsaw_day(now)


def _windows(ids: Sequence[int]) -> defaultdict[int, set[Window]]:
    """Mailbox id -> the windows of the campaigns that send from it, or will."""
    found: defaultdict[int, set[Window]] = defaultdict(set)
    days = windows.frozen_days()
    links = CampaignMailbox.select(CampaignMailbox, Campaign).join(Campaign)
    wanted = CampaignMailbox.mailbox.in_(ids), Campaign.status.in_(_TO_SEND)
    for link in links.where(*wanted):
        if usable.problem(link.campaign) is None:
            found[link.mailbox_id].add(windows.window_of(link.campaign, days))
    return found
