"""Which limits of their providers mailboxes could reach, and the e-mails that already count for these."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.email import limits
from models.store.database import rows as read_rows
from models.store.tables import Mailbox
from scheduling import providers
from scheduling.planner import Ceiling, interval
from scheduling.providers import Limit

# needed: so many must count already, or the mailbox cannot reach the limit by its own gap and daily limit.
COUNTED = f"""
SELECT k.mailbox_id, k.most, k.seconds, counted.times
FROM unnest(%(mailboxes)s::bigint[], %(mosts)s::int[], %(seconds)s::int[], %(needed)s::int[])
    k (mailbox_id, most, seconds, needed)
CROSS JOIN LATERAL (
    SELECT array_agg(at ORDER BY at) AS times, count(*) AS emails
    FROM (SELECT at FROM ({limits.counted_since("k.mailbox_id", "k.seconds")}) counted
          ORDER BY at DESC LIMIT k.most) latest
) counted
WHERE counted.emails > k.needed
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Counted:
    mailbox_id: int
    most: int
    seconds: int
    times: list[datetime] | None  # None: none


def of(rows: Sequence[Mailbox]) -> dict[int, list[Ceiling]]:
    """Mailbox id -> the limits that it could reach."""
    asked = [
        (row.id, limit.most, limit.seconds, limit.most - limit.possible(gap, row.daily_limit))
        for row, gap in ((row, interval(row.gap_seconds, "gap")) for row in rows)
        for limit in providers.limits_of(row.provider)
    ]
    found: defaultdict[int, list[Ceiling]] = defaultdict(list)
    if asked:
        names = ("mailboxes", "mosts", "seconds", "needed")
        values = {name: list(each) for name, each in zip(names, zip(*asked, strict=True), strict=True)}
        for it in read_rows(_Counted, COUNTED, values):
            limit = Limit(it.most, timedelta(seconds=it.seconds))
            found[it.mailbox_id].append(Ceiling(limit, tuple(it.times or ())))
    return found
