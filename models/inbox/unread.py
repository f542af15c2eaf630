"""Follow-ups that are overdue because an answer may be unread: each gets another time, with that reason."""

from contextlib import suppress
from datetime import timedelta

import config
from models.email import facts, gates, inboxes, locks, moves
from models.planning import refusals
from models.store.database import by_indexes, clock, database, fetch

_AT_ONCE = 1000
# A follow-up waits so long for the look that was asked for, at its own time.
PATIENCE = timedelta(minutes=3)
# It is put off for as long again as it has waited.
_SHORTEST, _LONGEST = timedelta(minutes=15), timedelta(hours=4)

# Looks only at what is overdue, mailbox by mailbox.
UNREAD = f"""
SELECT q.id FROM mailbox m
JOIN campaign_email_queue q ON q.mailbox_id = m.id AND q.status = 'pending' AND q.predecessor_id IS NOT NULL
    AND q.scheduled_at < %(overdue)s
JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
WHERE (m.imap_host IS NULL AND NOT c.follow_up_without_inbox) OR {inboxes.ONE_IS_UNREAD}
ORDER BY q.mailbox_id, q.id LIMIT %(at_once)s
"""  # noqa: S608  # only our own words


def put_off_unread(by: str) -> int:
    """Give overdue follow-ups whose inbox is unread another time. Returns how many."""
    now = clock()
    values = {"overdue": now - PATIENCE, "stale": now - gates.LOOK_LASTS, "at_once": _AT_ONCE}
    with by_indexes():
        found = [email_id for (email_id,) in fetch(UNREAD, values)]
    return sum(_put_off(email_id, by) for email_id in found)


def _put_off(email_id: int, by: str) -> bool:
    with suppress(ValueError), database.atomic():  # settings that cannot be used: see usable.problems()
        locks.lock_around(email_id)
        seen = facts.read_pending([email_id]).get(email_id)
        closed = gates.no_answer_is_unread(seen, config.settings().sending) if seen else None
        if seen is None or seen.follow_up is None or closed is None:
            return False
        waited = seen.now - seen.follow_up.wait_ends_at
        not_before = seen.now + min(max(waited, _SHORTEST), _LONGEST)
        moment = refusals.retry_moment(email_id, not_before=not_before)
        return moves.put_off(email_id, moment, not_before, closed.because, by)
    return False
