"""Deletes the content of old letters, in portions: the oldest first, and once a day all that are old enough.

The row of a letter stays, as it does when a person is forgotten: it proves that the e-mail was handed over.
"""

from datetime import datetime
from typing import NamedTuple

from models.email import recipients
from models.email.remaining import UNFOLLOWED
from models.states import FINAL
from models.store.database import database, execute, fetch_row, row, rows, with_next

PORTION = 500

IS_DUE = "SELECT 1 FROM letter_deletion WHERE next_at <= statement_timestamp()"
# Whoever finds it locked leaves the letters to the one that has it.
TAKE = """
SELECT after_at, after_id FROM letter_deletion WHERE next_at <= statement_timestamp() FOR NO KEY UPDATE SKIP LOCKED
"""
_OLD = "e.content <> ''::bytea AND e.recorded_at < statement_timestamp() - make_interval(days => %(days)s)"
OLD = f"""
SELECT e.recorded_at, e.email_id FROM email_content e
WHERE (e.recorded_at, e.email_id) > (%(after_at)s, %(after_id)s) AND {_OLD}
ORDER BY e.recorded_at, e.email_id LIMIT %(portion)s
"""  # noqa: S608  # only our own words
GO_ON = "UPDATE letter_deletion SET after_at = %(after_at)s, after_id = %(after_id)s"
END = (
    "UPDATE letter_deletion SET after_at = DEFAULT, after_id = DEFAULT, next_at = clock_timestamp() + interval '1 day'"
)
# Not while an e-mail to the same lead in the same campaign may still leave, or may have left: a follow-up has the
# subject of its first letter as that was sent, and a person decides about an unknown one by what it said. What is
# locked is left for the next day: somebody writes the letter again, or forgets the person.
DELETE = f"""
WITH theirs AS MATERIALIZED (
    SELECT e.email_id FROM unnest(%(ids)s::bigint[]) AS old (id)
    JOIN email_content e ON e.email_id = old.id
    JOIN campaign_email_queue it ON it.id = old.id
    WHERE {_OLD}
      AND NOT EXISTS (
          SELECT FROM campaign_email_queue q
          WHERE q.campaign_lead_id = it.campaign_lead_id AND q.status <> ALL(%(final)s))
      AND NOT EXISTS (
          SELECT FROM campaign c JOIN campaign_email_queue q ON q.campaign_id = c.id {UNFOLLOWED}
              AND c.status IN ('active', 'paused') AND q.campaign_lead_id = it.campaign_lead_id)
    FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE email_content e SET content = '', deleted_at = clock_timestamp() FROM theirs WHERE e.email_id = theirs.email_id
"""  # noqa: S608  # only our own words


class _Place(NamedTuple):
    after_at: datetime
    after_id: int


class _Letter(NamedTuple):
    recorded_at: datetime
    email_id: int


def delete_letters(days: int, portion: int = PORTION) -> int | None:
    """Look at the next letters that were handed over more than so many days ago, and delete what need not be kept.

    portion: how many are looked at. Returns how many were deleted; None: there is nothing to do before tomorrow, or
    somebody else does it. One transaction, and it waits for nobody.
    """
    if fetch_row(IS_DUE) is None:
        return None
    with database.atomic():
        place = row(_Place, TAKE)
        if place is None:
            return None
        old = rows(_Letter, OLD, {**place._asdict(), "days": days, "portion": portion})
        if len(old) < portion:
            with_next(END)
        else:
            with_next(GO_ON, {"after_at": old[-1].recorded_at, "after_id": old[-1].email_id})
        values = {"ids": [it.email_id for it in old], "final": sorted(FINAL), "days": days, **recipients.rules()}
        return execute(DELETE, values) if old else 0
