"""Which e-mails are still to be planned."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

from models.email import holds, recipients, remaining
from models.store import counting
from models.store.database import fetch, rows
from scheduling.planner import Bound, Email, FollowUp
from scheduling.waits import Unit, Wait

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


PASSED_OVER = f"SELECT c.id FROM unnest(%s::bigint[]) AS c (id) WHERE {remaining.COUNT_OF_FIRST} > 0"  # noqa: S608  # only our own words


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
    """The ids of one portion, of about _COUNTED_AT_ONCE in size; the next turn takes the next portion."""
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


# Looks at what sequences handed over since `since`, by an index; with -infinity at all that they ever sent.
FOLLOW_UPS = f"""
SELECT q.id AS predecessor_id, q.campaign_id, q.campaign_lead_id AS lead_id, next.id AS step_id,
       COALESCE(f.goes_on_from_id, q.mailbox_id) AS mailbox_id, q.sent_at, next.wait_count, next.wait_unit
FROM (
    SELECT c.id, c.since FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS c (id, since)
    WHERE EXISTS (SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.position > 1) OFFSET 0
) c
JOIN campaign_email_queue q ON q.campaign_id = c.id AND {counting.counts("q")} AND {counting.counted_at("q")} >= c.since
LEFT JOIN former_mailbox f ON f.campaign_id = q.campaign_id AND f.mailbox_id = q.mailbox_id
{remaining.UNFOLLOWED} AND NOT EXISTS (
    SELECT FROM hold h WHERE {holds.OF_LEAD.format(l="l")} AND {holds.STANDS})
ORDER BY q.sent_at, q.id LIMIT %(most)s
"""  # noqa: S608  # only our own words
SEQUENCES = """
SELECT c.id FROM campaign c WHERE c.status = 'active' AND EXISTS (
    SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.position > 1)
ORDER BY c.id
"""


@dataclass(frozen=True)
class Unfollowed:
    """A sent e-mail whose lead is to get the next step, and has no e-mail of it yet."""

    predecessor_id: int
    campaign_id: int
    lead_id: int
    step_id: int  # the next one
    mailbox_id: int
    sent_at: datetime
    wait_count: int
    wait_unit: str

    @property
    def wait_ends_at(self) -> datetime:
        return self._wait.ends(self.sent_at)

    @property
    def planned(self) -> FollowUp:
        bound = Bound(self.mailbox_id, self._wait.due(self.wait_ends_at))
        return FollowUp(self.campaign_id, self.lead_id, self.step_id, bound)

    @property
    def _wait(self) -> Wait:
        return Wait(self.wait_count, Unit(self.wait_unit))


# From when on sent e-mails may have no follow-up yet: the last tick planned the follow-ups of all before. Those of a
# paused campaign, or of one just resumed, have not been planned since its pause. Where a hold ended lately, a step was
# removed, or sequences go on from another mailbox, the whole past is looked at.
SINCE = """
SELECT c.id AS campaign_id, LEAST(tick.at, CASE WHEN c.status = 'paused' OR resumed.at > tick.at - %(margin)s
                                           THEN paused.at END) - %(overlap)s AS since
FROM campaign c JOIN heartbeat tick ON tick.name = 'tick'
CROSS JOIN LATERAL (SELECT max(at) AS at FROM change WHERE campaign_id = c.id AND verb = 'resume') resumed
CROSS JOIN LATERAL (SELECT max(at) AS at FROM change WHERE campaign_id = c.id AND verb = 'pause') paused
WHERE c.id = ANY(%(ids)s)
  AND NOT EXISTS (SELECT FROM former_mailbox f WHERE f.campaign_id = c.id AND f.goes_on_from_id IS NOT NULL
                    AND f.decided_at > tick.at - %(margin)s)
  AND NOT EXISTS (SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.removed_at > tick.at - %(margin)s)
  AND NOT EXISTS (SELECT FROM hold h JOIN campaign_lead l ON l.lead_id = h.lead_id AND l.campaign_id = c.id
                  WHERE NOT h.stops AND (h.lifted_at > tick.at - %(margin)s
                        OR h.until > tick.at - %(margin)s AND h.until <= clock_timestamp()))
"""
_OVERLAP, _MARGIN = timedelta(hours=2), timedelta(minutes=2)


SIZES = """
SELECT c.id AS campaign_id, (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id) AS emails
FROM unnest(%s::bigint[]) AS c (id)
"""


class _Size(NamedTuple):
    campaign_id: int
    emails: int


def in_turn(campaign_ids: Sequence[int], turn: int) -> set[int]:
    """The campaigns whose whole past is looked at in this turn: about _COUNTED_AT_ONCE e-mails, next time others."""
    sizes = {it.campaign_id: it.emails for it in rows(_Size, SIZES, (list(campaign_ids),))}
    return set(_portion(sizes, turn))


class _Since(NamedTuple):
    campaign_id: int
    since: datetime


def unfollowed_since(campaign_ids: Collection[int]) -> dict[int, datetime]:
    """Campaign id -> when the first of its e-mails may have been handed over that has no follow-up yet.

    Campaigns whose whole past is to be looked at are left out.
    """
    values = {"ids": list(campaign_ids), "overlap": _OVERLAP, "margin": _MARGIN}
    return {it.campaign_id: it.since for it in rows(_Since, SINCE, values)}


_EVER = datetime.min.replace(tzinfo=UTC)


def sequences() -> list[int]:
    """Active campaigns with more steps than one."""
    return [campaign_id for (campaign_id,) in fetch(SEQUENCES)]


def follow_ups(
    campaign_ids: Collection[int], since: Mapping[int, datetime] = MappingProxyType({}), most: int | None = None
) -> list[Unfollowed]:
    """The follow-ups still to be planned, in the order in which the e-mails before them were sent.

    since: campaign id -> only those whose e-mails were handed over since.
    """
    ids = list(campaign_ids)
    values = {"ids": ids, "since": [since.get(it, _EVER) for it in ids], "most": most}
    return rows(Unfollowed, FOLLOW_UPS, {**recipients.rules(), **values}) if ids else []
