"""Counts of e-mails per mailbox and campaign, and the limits that they are compared with.

Which e-mails count, and on which day: store/counting.py. A hand-over that a person decided to repeat still counts, and
so do test mails and warm-up e-mails of another system.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from models.store import counting
from models.store.database import rows
from scheduling.providers import PROVIDERS
from scheduling.window import WARSAW, warsaw_day_bounds


def _but(besides: str | None) -> str:
    return f" AND id <> {besides}" if besides else ""


_ON_THE_DAY = counting.counts_between("%(starts)s", "%(ends)s")


def _between(moment: str) -> str:
    return f"{moment} >= %(starts)s AND {moment} < %(ends)s"


def _of_mailbox(which: str, besides: str | None) -> tuple[str, ...]:
    """SQL: tables with conditions, whose rows each count for a mailbox on the day; without warm-up.

    which: SQL that follows the mailbox's id, like "= 1".
    """
    return (
        f"campaign_email_queue WHERE mailbox_id {which} AND {_ON_THE_DAY}{_but(besides)}",
        f"email_history WHERE mailbox_id {which} AND {_between('handed_over_at')}",
        f"test_mail WHERE mailbox_id {which} AND {counting.TEST_COUNTS} AND {_between('started_at')}",
    )


def _count(of: str) -> str:
    return f"(SELECT count(*) FROM {of})"  # noqa: S608  # only our own words


def _warmup_of(which: str) -> str:
    return f"warmup_count WHERE mailbox_id {which} AND day = %(day)s"


def _of_campaign(which: str, besides: str | None) -> tuple[str, ...]:
    """SQL: tables with conditions, whose rows each count for a campaign on the day. which: as for _of_mailbox()."""
    its_campaign = "(SELECT again.campaign_id FROM campaign_email_queue again WHERE again.id = h.email_id)"
    return (
        f"campaign_email_queue WHERE campaign_id {which} AND {_ON_THE_DAY}{_but(besides)}",
        f"(SELECT {its_campaign} AS campaign_id FROM email_history h WHERE {_between('h.handed_over_at')}) h"  # noqa: S608
        f" WHERE campaign_id {which}",
    )


def mailboxes_used_query(ids: str = "%(ids)s", *, besides: str | None = None) -> str:
    """SQL: each mailbox's count for the day %(starts)s, %(ends)s, %(day)s, by source (campaigns, warm-up).

    ids, besides: SQL for the mailboxes' ids and for the id of an e-mail to leave out.
    """
    which = f"= ANY({ids})"
    counts = [
        *(
            f"SELECT mailbox_id, count(*) AS campaign, 0 AS warmup FROM {each} GROUP BY mailbox_id"  # noqa: S608
            for each in _of_mailbox(which, besides)
        ),
        f"SELECT mailbox_id, 0, count FROM {_warmup_of(which)}",  # noqa: S608
    ]
    return f"""
SELECT mailbox_id, sum(campaign)::int AS campaign, sum(warmup)::int AS warmup
FROM ({" UNION ALL ".join(counts)}) counted GROUP BY mailbox_id
"""  # noqa: S608  # only our own words


def campaigns_used_query(ids: str = "%(ids)s", *, besides: str | None = None) -> str:
    """SQL: each campaign's count for the day. Parameters: as for mailboxes_used_query()."""
    counts = [
        f"SELECT campaign_id, count(*) AS n FROM {each} GROUP BY campaign_id"  # noqa: S608
        for each in _of_campaign(f"= ANY({ids})", besides)
    ]
    return f"""
SELECT campaign_id, sum(n)::int AS campaign FROM ({" UNION ALL ".join(counts)}) counted GROUP BY campaign_id
"""  # noqa: S608


# As an expression it takes Postgres less time than the queries above for one id: most of that is setting a query up.
def mailbox_used(mailbox: str, *, besides: str | None = None) -> str:
    """SQL: a mailbox's count for the day, warm-up included. mailbox: SQL for its id."""
    counts = map(_count, _of_mailbox(f"= {mailbox}", besides))
    warmup = f"(SELECT COALESCE(sum(count), 0) FROM {_warmup_of(f'= {mailbox}')})"  # noqa: S608
    return f"({' + '.join((*counts, warmup))})::int"


def campaign_used(campaign: str, *, besides: str | None = None) -> str:
    """SQL: a campaign's count for the day. campaign: SQL for its id."""
    counts = map(_count, _of_campaign(f"= {campaign}", besides))
    return f"({' + '.join(counts)})::int"


def limit_on(day: str) -> str:
    """SQL for a row `m` of mailbox: its limit on a day, which its ramp may keep below its daily limit. day: SQL."""
    return f"""
CASE WHEN m.ramp_start IS NULL THEN m.daily_limit
     ELSE LEAST(m.daily_limit, m.ramp_start::bigint + m.ramp_step * {_sending_days(day)})::int END
"""


def _sending_days(before: str) -> str:
    """SQL: on how many days of its ramp it has sent something, before a day."""
    starts, ends = (f"({day}::timestamp AT TIME ZONE '{WARSAW.key}')" for day in ("m.ramp_from", before))
    return f"""
(SELECT count(DISTINCT day) FROM (
    SELECT ({counting.counted_at("r")} AT TIME ZONE '{WARSAW.key}')::date AS day FROM campaign_email_queue r
    WHERE r.mailbox_id = m.id AND {counting.counts_between(starts, ends, "r")}
    UNION ALL
    SELECT w.day FROM warmup_count w
    WHERE w.mailbox_id = m.id AND w.count > 0 AND w.day >= m.ramp_from AND w.day < {before}
 ) days)
"""  # noqa: S608  # only our own words


def frozen_to(day: str) -> str:
    """SQL for a row `m` of mailbox: the last day of the freeze that this day is in; null: it is in none."""
    its = f"f.mailbox_id = m.id AND {day} BETWEEN f.first_day AND f.last_day"
    return f"(SELECT max(f.last_day) FROM mailbox_freeze f WHERE {its})"  # noqa: S608  # only our own words


def counted_since(mailbox: str, span_seconds: str, *, besides: str | None = None) -> str:
    """SQL: `at`, when each e-mail of a mailbox that counts was sent, within a span up to now. mailbox, span: SQL.

    Of warm-up e-mails only the day is known: they count for spans of a day, until a span after their day.
    """
    since = f"statement_timestamp() - {span_seconds} * interval '1 second'"
    warmed_up = f"(w.day + 1)::timestamp AT TIME ZONE '{WARSAW.key}'"
    return f"""
SELECT {counting.counted_at()} AS at FROM campaign_email_queue
WHERE mailbox_id = {mailbox} AND {counting.counts()} AND {counting.counted_at()} > {since}{_but(besides)}
UNION ALL
SELECT handed_over_at FROM email_history WHERE mailbox_id = {mailbox} AND handed_over_at > {since}
UNION ALL
SELECT started_at FROM test_mail WHERE mailbox_id = {mailbox} AND {counting.TEST_COUNTS} AND started_at > {since}
UNION ALL
SELECT {warmed_up} FROM warmup_count w CROSS JOIN generate_series(1, w.count)
WHERE w.mailbox_id = {mailbox} AND {span_seconds} >= 86400 AND {warmed_up} > {since}
  AND w.day::timestamp AT TIME ZONE '{WARSAW.key}' <= statement_timestamp()
"""  # noqa: S608  # only our own words


_LIMITS = ", ".join(f"('{key}', {limit.most}, {limit.seconds})" for key, it in PROVIDERS.items() for limit in it.limits)


def ceiling_query(*, besides: str) -> str:
    """SQL for a row `m` of mailbox: the limit of its provider that is reached for longest (most, seconds, until).

    Without a row none is reached. besides: SQL for the id of an e-mail to leave out.
    """
    ends = "nth.at + k.seconds * interval '1 second'"
    return f"""
SELECT k.most AS ceiling_most, k.seconds AS ceiling_seconds, {ends} AS ceiling_until
FROM (VALUES {_LIMITS}) k (provider, most, seconds)
CROSS JOIN LATERAL (
    SELECT at FROM ({counted_since("m.id", "k.seconds", besides=besides)}) counted
    ORDER BY at DESC OFFSET k.most - 1 LIMIT 1
) nth
WHERE k.provider = m.provider AND {ends} > clock_timestamp() ORDER BY 3 DESC LIMIT 1
"""  # noqa: S608  # only our own words


class OfDay(NamedTuple):
    """What a mailbox may send on a day."""

    mailbox_id: int
    limit: int
    frozen_to: date | None


OF_DAY = f"""
SELECT m.id AS mailbox_id, {limit_on("%(day)s::date")} AS limit, {frozen_to("%(day)s::date")} AS frozen_to
FROM mailbox m WHERE m.id = ANY(%(ids)s)
"""  # noqa: S608  # only our own words


def mailboxes_on(ids: Iterable[int], day: date) -> dict[int, OfDay]:
    """Mailbox id -> what it may send on this Warsaw day."""
    return {it.mailbox_id: it for it in rows(OfDay, OF_DAY, {"ids": list(ids), "day": day})}


# SQL: how many e-mails are being sent through the SMTP host of the mailbox `m`.
SENDING_AT_HOST = """
(SELECT count(*) FROM campaign_email_queue h JOIN mailbox o ON o.id = h.mailbox_id
 WHERE h.status = 'sending' AND o.smtp_host = m.smtp_host)
"""
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


# First e-mails have no predecessor.
_BY_KIND = f"""
SELECT {{by}}_id AS id, count(*)::int AS emails FROM campaign_email_queue
WHERE {{by}}_id = ANY(%(ids)s) AND {_ON_THE_DAY} AND predecessor_id IS {{kind}} GROUP BY 1
"""  # noqa: S608  # only our own words
NEW_LEADS_USED = _BY_KIND.format(by="campaign", kind="NULL")
FOLLOW_UPS_USED = _BY_KIND.format(by="mailbox", kind="NOT NULL")


class _Count(NamedTuple):
    id: int
    emails: int


def new_leads_used(campaign_ids: Iterable[int], day: date) -> dict[int, int]:
    """Campaign id -> how many first e-mails count on this Warsaw day."""
    return _counts(NEW_LEADS_USED, campaign_ids, day)


def follow_ups_used(mailbox_ids: Iterable[int], day: date) -> dict[int, int]:
    """Mailbox id -> how many follow-ups count on this Warsaw day."""
    return _counts(FOLLOW_UPS_USED, mailbox_ids, day)


def _counts(query: str, ids: Iterable[int], day: date) -> dict[int, int]:
    wanted = list(ids)
    return {it.id: it.emails for it in rows(_Count, query, _values(wanted, day))} if wanted else {}


def _values(ids: Iterable[int], day: date) -> dict[str, object]:
    starts, ends = warsaw_day_bounds(day)
    return {"ids": list(ids), "day": day, "starts": starts, "ends": ends}
