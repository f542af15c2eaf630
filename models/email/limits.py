"""How many e-mails count towards a daily limit: the only place with this rule.

An e-mail counts on the Warsaw day of its hand-over, or of its claim until it is handed over. A hand-over that a person
decided to repeat still counts, and so do warm-up e-mails of another system.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from models.store import counting
from models.store.database import rows
from scheduling.window import warsaw_day_bounds


def _but(besides: str | None) -> str:
    return f" AND id <> {besides}" if besides else ""


_ON_THE_DAY = counting.counts_between("%(starts)s", "%(ends)s")


def mailboxes_used_query(ids: str = "%(ids)s", *, besides: str | None = None) -> str:
    """SQL: each mailbox's count for the day %(starts)s, %(ends)s, %(day)s, by source (campaigns, warm-up).

    ids, besides: SQL for the mailboxes' ids and for the id of an e-mail to leave out.
    """
    return f"""
SELECT mailbox_id, sum(campaign)::int AS campaign, sum(warmup)::int AS warmup FROM (
    SELECT mailbox_id, count(*) AS campaign, 0 AS warmup FROM campaign_email_queue
    WHERE mailbox_id = ANY({ids}) AND {_ON_THE_DAY}{_but(besides)}
    GROUP BY mailbox_id
    UNION ALL
    SELECT mailbox_id, count(*), 0 FROM email_history
    WHERE mailbox_id = ANY({ids}) AND handed_over_at >= %(starts)s AND handed_over_at < %(ends)s
    GROUP BY mailbox_id
    UNION ALL
    SELECT mailbox_id, 0, count FROM warmup_count WHERE mailbox_id = ANY({ids}) AND day = %(day)s
) counted GROUP BY mailbox_id
"""  # noqa: S608  # only our own words


def campaigns_used_query(ids: str = "%(ids)s", *, besides: str | None = None) -> str:
    """SQL: each campaign's count for the day. Parameters as above."""
    return f"""
SELECT campaign_id, sum(n)::int AS campaign FROM (
    SELECT campaign_id, count(*) AS n FROM campaign_email_queue
    WHERE campaign_id = ANY({ids}) AND {_ON_THE_DAY}{_but(besides)}
    GROUP BY campaign_id
    UNION ALL
    SELECT again.campaign_id, count(*) FROM email_history h JOIN campaign_email_queue again ON again.id = h.email_id
    WHERE again.campaign_id = ANY({ids}) AND h.handed_over_at >= %(starts)s AND h.handed_over_at < %(ends)s
    GROUP BY again.campaign_id
) counted GROUP BY campaign_id
"""  # noqa: S608


MAILBOXES_USED, CAMPAIGNS_USED = mailboxes_used_query(), campaigns_used_query()


class Used(NamedTuple):
    """A mailbox's count for a day, by source."""

    mailbox_id: int
    campaign: int
    warmup: int

    @property
    def all(self) -> int:
        return self.campaign + self.warmup


def mailboxes_used(ids: Iterable[int], day: date) -> dict[int, int]:
    """Mailbox id -> its count for this Warsaw day, warm-up included."""
    return {mailbox_id: used.all for mailbox_id, used in mailboxes_used_by(ids, day).items()}


def mailboxes_used_by(ids: Iterable[int], day: date) -> dict[int, Used]:
    return {used.mailbox_id: used for used in rows(Used, MAILBOXES_USED, _values(ids, day))}


class _CampaignUsed(NamedTuple):
    campaign_id: int
    campaign: int


def campaigns_used(ids: Iterable[int], day: date) -> dict[int, int]:
    """Campaign id -> its count for this Warsaw day."""
    return {it.campaign_id: it.campaign for it in rows(_CampaignUsed, CAMPAIGNS_USED, _values(ids, day))}


def _values(ids: Iterable[int], day: date) -> dict[str, object]:
    starts, ends = warsaw_day_bounds(day)
    return {"ids": list(ids), "day": day, "starts": starts, "ends": ends}
