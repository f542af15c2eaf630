"""Which leads are still to get an e-mail."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from models.email import recipients
from models.store.database import fetch

# Leads get their e-mails in the order of their turns, so those after the last that has one come first: a search among
# hundreds of thousands that were planned before is only for one that was passed over.
LAST_PLANNED = """
SELECT c.id, COALESCE((SELECT l.position FROM campaign_lead l WHERE l.id = (
    SELECT max(q.campaign_lead_id) FROM campaign_email_queue q WHERE q.campaign_id = c.id)), 0)
FROM unnest(%s::bigint[]) AS c (id)
"""
UNPLANNED = f"""
SELECT c.id, l.id
FROM unnest(%(ids)s::bigint[], %(after)s::int[], %(most)s::int[]) AS c (id, after, most)
CROSS JOIN LATERAL (
    SELECT l.id FROM campaign_lead l
    WHERE l.campaign_id = c.id AND l.position > c.after AND {recipients.IS_TO_BE_PLANNED}
    ORDER BY l.position LIMIT c.most
) l
"""  # noqa: S608  # only our own words
PASSED_OVER = f"SELECT c.id FROM unnest(%s::bigint[]) AS c (id) WHERE {recipients.WITHOUT_AN_EMAIL} > 0"  # noqa: S608


def leads(most: Mapping[int, int | None]) -> dict[int, list[int]]:
    """Campaign id -> its campaign leads, in the order of their turns; campaigns that have none are left out.

    most: campaign id -> so many of it at the most; None: all. In as many statements for a hundred campaigns as for one.
    """
    after: dict[int, int] = dict(fetch(LAST_PLANNED, (list(most),)))
    found = _leads(list(most), after, most)
    passed_over = [it for it in most if it not in found and after[it]]
    if passed_over:
        passed_over = [campaign_id for (campaign_id,) in fetch(PASSED_OVER, (passed_over,))]
    return found | _leads(passed_over, dict.fromkeys(passed_over, 0), most)


def _leads(ids: Sequence[int], after: Mapping[int, int], most: Mapping[int, int | None]) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    values = {"ids": list(ids), "after": [after[it] for it in ids], "most": [most[it] for it in ids]}
    for campaign_id, lead_id in fetch(UNPLANNED, {**recipients.rules(), **values}) if ids else ():
        found[campaign_id].append(lead_id)
    return dict(found)
