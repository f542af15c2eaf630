"""Which e-mails are still to be planned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from models.email import holds, recipients, remaining
from models.store.database import fetch, rows
from scheduling.planner import Email

LAST_TURN = f"""
SELECT c.id AS campaign_id, {remaining.LAST_TURN} AS turn FROM unnest(%s::bigint[]) AS c (id)
"""  # noqa: S608  # only our own words


class _LastTurn(NamedTuple):
    campaign_id: int
    turn: int


# First e-mails only: a follow-up is planned when the e-mail before it has been sent.
UNPLANNED = f"""
SELECT c.id AS campaign_id, r.campaign_lead_id AS lead_id, r.step_id
FROM unnest(%(ids)s::bigint[], %(after)s::int[], %(most)s::int[]) AS c (id, after, most)
CROSS JOIN LATERAL (
    SELECT r.campaign_lead_id, r.step_id FROM {remaining.REMAINING} r
    WHERE r.step = 1 AND r.turn > c.after AND r.may_be_written_to AND NOT {holds.HELD}
    ORDER BY r.turn LIMIT c.most
) r
"""  # noqa: S608  # only our own words


class _Unplanned(NamedTuple):
    campaign_id: int
    lead_id: int
    step_id: int


PASSED_OVER = f"SELECT c.id FROM unnest(%s::bigint[]) AS c (id) WHERE {remaining.COUNT} > 0"  # noqa: S608  # only our own words


def emails(most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    """Campaign id -> the e-mails to plan, in order of their leads' turns; campaigns without any are left out.

    most: campaign id -> the most e-mails; None: all. The number of statements is the same for any number of campaigns.
    """
    after = {it.campaign_id: it.turn for it in rows(_LastTurn, LAST_TURN, (list(most),))}
    found = _emails(list(most), after, most)
    passed_over = [it for it in most if it not in found and after[it]]
    if passed_over:
        passed_over = [campaign_id for (campaign_id,) in fetch(PASSED_OVER, (passed_over,))]
    return found | _emails(passed_over, dict.fromkeys(passed_over, 0), most)


def _emails(ids: Sequence[int], after: Mapping[int, int], most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    found: defaultdict[int, list[Email]] = defaultdict(list)
    values = {"ids": list(ids), "after": [after[it] for it in ids], "most": [most[it] for it in ids]}
    for it in rows(_Unplanned, UNPLANNED, {**recipients.rules(), **values}) if ids else ():
        found[it.campaign_id].append(Email(it.lead_id, it.step_id))
    return dict(found)
