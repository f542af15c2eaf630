"""Which e-mails are still to be planned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
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


# Leads are planned in the order of their turns, so those behind the last planned one are found by one look at an index.
BEHIND = f"""
SELECT c.id AS campaign_id, last.turn,
       (SELECT max(l.position) FROM campaign_lead l WHERE l.campaign_id = c.id) > last.turn AS is_behind
FROM unnest(%s::bigint[]) AS c (id) CROSS JOIN LATERAL (SELECT {remaining.LAST_TURN} AS turn OFFSET 0) last
"""  # noqa: S608  # only our own words
# To find those before it that were passed over, all leads of a campaign are counted: of so many a minute, in turn.
_COUNTED_AT_ONCE = 100_000


class _Behind(NamedTuple):
    campaign_id: int
    turn: int
    is_behind: bool | None


def some_left(ids: Sequence[int], turn: int) -> list[int]:
    """Those of the campaigns that have leads to plan, or may have.

    turn: a number that goes up by one a minute. With more than _COUNTED_AT_ONCE planned leads in all, leads that were
    passed over are looked for in some of the campaigns, and next time in others.
    """
    found, planned = [], {}
    for it in rows(_Behind, BEHIND, (list(ids),)) if ids else ():
        if it.is_behind:
            found.append(it.campaign_id)
        elif it.turn:
            planned[it.campaign_id] = it.turn
    return found + _passed_over(_portion(planned, turn))


def _portion(sizes: Mapping[int, int], turn: int) -> list[int]:
    """The ids of one of several portions. All are had in as many turns as there are portions."""
    before = accumulate(sizes.values(), initial=0)
    portions = {it: count // _COUNTED_AT_ONCE for it, count in zip(sizes, before, strict=False)}
    numbers = sorted(set(portions.values()))
    return [it for it, number in portions.items() if number == numbers[turn % len(numbers)]]


def _passed_over(ids: Sequence[int]) -> list[int]:
    return [campaign_id for (campaign_id,) in fetch(PASSED_OVER, (list(ids),))] if ids else []


def emails(most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    """Campaign id -> the e-mails to plan, in order of their leads' turns; campaigns without any are left out.

    most: campaign id -> the most e-mails; None: all. The number of statements is the same for any number of campaigns.
    """
    after = {it.campaign_id: it.turn for it in rows(_LastTurn, LAST_TURN, (list(most),))}
    found = _emails(list(most), after, most)
    passed_over = _passed_over([it for it in most if it not in found and after[it]])
    return found | _emails(passed_over, dict.fromkeys(passed_over, 0), most)


def _emails(ids: Sequence[int], after: Mapping[int, int], most: Mapping[int, int | None]) -> dict[int, list[Email]]:
    found: defaultdict[int, list[Email]] = defaultdict(list)
    values = {"ids": list(ids), "after": [after[it] for it in ids], "most": [most[it] for it in ids]}
    for it in rows(_Unplanned, UNPLANNED, {**recipients.rules(), **values}) if ids else ():
        found[it.campaign_id].append(Email(it.lead_id, it.step_id))
    return dict(found)
