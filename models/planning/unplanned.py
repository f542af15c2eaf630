"""Which e-mails are still to be planned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from models.email import recipients, remaining
from models.store.database import fetch
from scheduling.planner import Email

LAST_TURN = f"SELECT c.id, {remaining.LAST_TURN} FROM unnest(%s::bigint[]) AS c (id)"  # noqa: S608  # only our own words
# First e-mails only: a follow-up is planned when the e-mail before it has been sent.
UNPLANNED = f"""
SELECT c.id, r.campaign_lead_id, r.step_id
FROM unnest(%(ids)s::bigint[], %(after)s::int[], %(most)s::int[]) AS c (id, after, most)
CROSS JOIN LATERAL (
    SELECT r.campaign_lead_id, r.step_id FROM {remaining.REMAINING} r
    WHERE r.step = 1 AND r.turn > c.after AND r.may_be_written_to
    ORDER BY r.turn LIMIT c.most
) r
"""  # noqa: S608  # only our own words
PASSED_OVER = f"SELECT c.id FROM unnest(%s::bigint[]) AS c (id) WHERE {remaining.COUNT} > 0"  # noqa: S608  # only our own words


def emails(most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    """Campaign id -> the e-mails to plan, in order of their leads' turns; campaigns without any are left out.

    most: campaign id -> the most e-mails; None: all. The number of statements is the same for any number of campaigns.
    """
    after: dict[int, int] = dict(fetch(LAST_TURN, (list(most),)))
    found = _emails(list(most), after, most)
    passed_over = [it for it in most if it not in found and after[it]]
    if passed_over:
        passed_over = [campaign_id for (campaign_id,) in fetch(PASSED_OVER, (passed_over,))]
    return found | _emails(passed_over, dict.fromkeys(passed_over, 0), most)


def _emails(ids: Sequence[int], after: Mapping[int, int], most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    found: defaultdict[int, list[Email]] = defaultdict(list)
    values = {"ids": list(ids), "after": [after[it] for it in ids], "most": [most[it] for it in ids]}
    for campaign_id, lead_id, step_id in fetch(UNPLANNED, {**recipients.rules(), **values}) if ids else ():
        found[campaign_id].append(Email(lead_id, step_id))
    return dict(found)
