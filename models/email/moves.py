"""The moves of an e-mail: the only code that changes a status.

One function a move, named by its verb: a guarded update and its history row in one transaction. It returns whether the
guard held; False means that the mail is no longer the caller's, who must stop.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from peewee import fn
from psycopg2 import Binary
from psycopg2.extras import Json

import config
from models.email import announcements, attempts, claims, gates, locks
from models.email.announcements import Moved
from models.email.attempts import Conversation, Copy
from models.email.claims import Claim, Held, Worker
from models.email.facts import read, read_for_claim
from models.email.gates import Closed, Facts
from models.email.locks import LOCK_AROUND, LOCK_SMTP_HOST
from models.states import PATHS, CampaignStatus, Move, Status
from models.store import reason_columns
from models.store.database import Prepared, database, execute, fetch_row, packet_rows
from models.store.installation import NOTHING_SEEN, Seen
from models.store.recordable import recordable
from models.store.tables import CLOCK, Campaign, CampaignEmailQueue, Mailbox
from reasons import Code, Reason, Why
from scheduling.planner import Slot

Q = CampaignEmailQueue
_CLOSING = (
    *("closed_until", "closed_reason", "closed_reason_code", "closed_reason_values"),
    *("closed_phase", "closed_code"),
)
WITHOUT_FAULTS: dict[str, object] = dict.fromkeys(_CLOSING) | {"faults": 0}
_LIMITS = ("campaign_used", "campaign_limit", "mailbox_used", "mailbox_limit")
Detail = Mapping[str, Any]

_UNCLAIMED: dict[str, Any] = {
    "claim_token": None,
    "claimed_at": None,
    "worker_host": None,
    "worker_pid": None,
    "worker_started_at": None,
    "handed_over_at": None,
    "hinted_for": None,
}


# The parts of one mail's move as a statement: a guarded update and its history row. Whoever runs it has locked the
# row by a statement before it: a guard is judged with the snapshot from before its own statement's lock wait.
_MOVED = """
WITH moved AS (
    UPDATE campaign_email_queue q SET status = '{to}', {changes}
    FROM campaign_email_queue before
    WHERE q.id = %(email)s AND before.id = q.id AND q.status IN ({sources}) AND {guard}
    RETURNING q.*, before.status AS from_status, before.scheduled_at AS scheduled_from
), told AS (
    INSERT INTO email_history
        (email_id, move, from_status, to_status, scheduled_from, scheduled_to, mailbox_id, claim_token, by, detail)
    SELECT id, '{move}', from_status, status, scheduled_from, scheduled_at, mailbox_id, claim_token, %(by)s,
           %(detail)s::jsonb
    FROM moved
    RETURNING id, email_id, at
)
"""


def _moved(move: Move, to: Status, changes: str, *then: str, guard: str) -> str:
    """then: what comes of it in the same statement, where `moved` is the row after its move and `told` its history."""
    sources, targets = PATHS[move]
    assert to in targets, f"{move} does not lead to {to}"
    known = ", ".join(f"'{status}'" for status in sorted(sources))
    return _MOVED.format(move=move, to=to, changes=changes, sources=known, guard=guard) + "".join(then)


_STARTED = """
, campaign_started AS (
    UPDATE campaign c SET last_start_at = %(now)s FROM moved WHERE c.id = moved.campaign_id
), mailbox_started AS (
    UPDATE mailbox m SET last_start_at = %(now)s FROM moved WHERE m.id = moved.mailbox_id
)
"""
CLAIM = Prepared(
    "claim",
    _moved(
        Move.CLAIM,
        Status.SENDING,
        "claim_token = %(token)s::uuid, claimed_at = %(now)s, worker_host = %(host)s, worker_pid = %(pid)s,"
        " worker_started_at = %(started_at)s",
        _STARTED,
        claims.CLAIMED,
        guard="q.scheduled_at = %(scheduled_at)s",
    ),
)


def claim(email_id: int, scheduled_at: datetime, worker: Worker, seen: Seen = NOTHING_SEEN) -> Claim | Closed:
    """Take a pending e-mail, if its hint still holds and every gate is open at this very moment.

    seen: what this machine has seen of the database, which must know it still: raises DatabaseDisagrees.
    Separate statements on purpose: a statement counts with the snapshot from before its own lock wait.
    """
    rules = config.settings().sending
    with database.atomic():
        facts = read_for_claim(email_id, (LOCK_AROUND, LOCK_SMTP_HOST), seen)
        if facts.status != Status.PENDING or facts.scheduled_at != scheduled_at:
            return Closed("hint", gates.Action.DROP, Reason(Code.STALE_HINT))
        if closed := gates.first_closed((gates.workers_clock_agrees, *gates.CLAIM), facts, rules):
            return closed
        held = Held(email_id, uuid4(), str(worker))
        [claimed] = packet_rows(
            partial(Claim, held),
            [CLAIM],
            {
                "email": email_id,
                "scheduled_at": scheduled_at,
                "token": str(held.token),
                "now": facts.now,
                "host": worker.host,
                "pid": worker.pid,
                "started_at": worker.started_at,
                "by": held.by,
                "detail": None,
            },
        )
        _tell(Move.CLAIM, facts, held)
        return claimed


_KEPT = """
INSERT INTO email_content (email_id, claim_token, content, recorded_at)
SELECT id, claim_token, %(content)s, clock_timestamp() FROM moved
ON CONFLICT (email_id) DO UPDATE
SET claim_token = excluded.claim_token, content = excluded.content, recorded_at = excluded.recorded_at
RETURNING email_id
"""
HAND_OVER = Prepared(
    "hand_over",
    _moved(
        Move.HAND_OVER,
        Status.SENDING,
        "handed_over_at = %(now)s",
        _KEPT,
        guard="q.claim_token = %(token)s::uuid AND q.handed_over_at IS NULL",
    ),
)


def hand_over(held: Held, content: bytes) -> Closed | None:
    """Record that from now on the final dot may leave, and what it ends. A Closed means: write no dot.

    Committed before the dot is written, and guarded by the gates that may have closed since the claim.
    """
    rules = config.settings().sending
    with database.atomic():
        facts = read(held.email_id, [LOCK_AROUND])
        if closed := gates.first_closed(gates.HAND_OVER, facts, rules):
            return closed
        # The limits may be changed later: this shows that they were kept.
        detail = {name: getattr(facts, name) for name in _LIMITS}
        handed_over: list[dict[str, Any]] = packet_rows(
            dict,
            [HAND_OVER],
            {
                "email": held.email_id,
                "token": str(held.token),
                "now": facts.now,
                "by": held.by,
                "detail": Json(detail),
                "content": Binary(content),
            },
        )
        if not handed_over:
            return Closed("claim", gates.Action.DROP, Reason(Code.CLAIM_LOST))
        _tell(Move.HAND_OVER, facts, held, detail)
    return None


def _tell(move: Move, facts: Facts, held: Held, detail: Detail | None = None) -> None:
    """Of a move to sending, which leaves the mail its time."""
    announcements.tell(
        Moved(
            move=move,
            email_id=held.email_id,
            campaign_id=facts.campaign_id,
            mailbox_id=facts.mailbox_id,
            from_status=facts.status,
            to_status=Status.SENDING,
            scheduled_at=facts.scheduled_at,
            by=held.by,
            detail=detail or {},
        )
    )


def accept(held: Held, conversation: Conversation, copy: Copy | None = None) -> bool:
    """copy: where a copy of it was found, which proves the same as an answer."""
    with database.atomic():
        row = locks.lock_around(held.email_id)
        moved = _move(
            Move.ACCEPT,
            held.email_id,
            Status.SENT,
            by=held.by,
            token=held.token,
            reason=copy.reason if copy else None,
            detail=copy.detail() if copy else None,
            conversation=conversation,
            sent_at=CLOCK,
            attempts=Q.attempts + 1,
            error=None,
        )
        if moved:
            _forget_faults(row)
    return moved


def reject(
    held: Held, conversation: Conversation, reason: Reason | None = None, *, mailbox_works: bool = False
) -> bool:
    """reason: None: the answer itself. mailbox_works: the answer proves it, although it is a no to this mail."""
    error = reason or conversation.reason
    with database.atomic():
        row = locks.lock_around(held.email_id)
        moved = _move(
            Move.REJECT,
            held.email_id,
            Status.FAILED,
            by=held.by,
            token=held.token,
            reason=error,
            conversation=conversation,
            attempts=Q.attempts + 1,
            error=error,
        )
        if moved and mailbox_works:
            _forget_faults(row)
    return moved


def retry(held: Held, scheduled_at: datetime, conversation: Conversation, *, mailbox_works: bool = False) -> bool:
    """Proved not sent: another attempt at `scheduled_at`, which plans.retry_moment() tells.

    mailbox_works: as for reject.
    """
    error = conversation.reason
    put_off = {"scheduled_at": scheduled_at, "deferred_since": fn.COALESCE(Q.deferred_since, Q.claimed_at)}
    changes = {**_UNCLAIMED, **put_off, "attempts": Q.attempts + 1, "error": error}
    with database.atomic():
        row = locks.lock_around(held.email_id)
        moved = _back(Move.RETRY, held, error, conversation, changes)
        if moved and mailbox_works:
            _forget_faults(row)
    return moved


def release(held: Held, reason: Why, conversation: Conversation = attempts.WITHDRAWN) -> bool:
    """Its worker proves that it was not sent, by no fault of the mail: it keeps its time, no attempt is counted."""
    return _back(Move.RELEASE, held, reason, conversation, dict(_UNCLAIMED))


def release_for_its_mailbox(held: Held, reason: Why, conversation: Conversation) -> bool:
    """The same, for a fault of its mailbox: for how long it was put off before does not count either."""
    return _back(Move.RELEASE, held, reason, conversation, {**_UNCLAIMED, "deferred_since": None})


def release_unhanded(held: Held, reason: Why) -> bool:
    """Take a mail back from a worker that does not report, unless it has been handed over by now.

    Safe even if that worker is only slow: its hand-over names the old token, and so writes no dot.
    """
    return _back(Move.RELEASE, held, reason, None, dict(_UNCLAIMED), unhanded=True)


def doubt(held: Held, reason: Why, conversation: Conversation = attempts.NO_ANSWER) -> bool:
    """The dot may have left and nothing proves what became of it. The token stays, for late proof."""
    return _move(
        Move.DOUBT,
        held.email_id,
        Status.UNKNOWN,
        by=held.by,
        token=held.token,
        reason=reason,
        conversation=conversation,
        error=reason,
    )


def cancel(email_id: int, reason: Why, by: str) -> bool:
    return _move(Move.CANCEL, email_id, Status.CANCELLED, by=by, reason=reason, error=reason)


def settle_as_sent(email_id: int, reason: Why, by: str) -> bool:
    return _move(Move.SETTLE, email_id, Status.SENT, by=by, reason=reason, sent_at=CLOCK, error=None)


def settle_to_send_again(email_id: int, scheduled_at: datetime, reason: str, by: str) -> bool:
    """A person takes the risk of a duplicate. The earlier hand-over still counts towards its day."""
    with database.atomic():
        row = locks.lock_around(email_id)
        counted = row.handed_over_at
        changes = {**_UNCLAIMED, "scheduled_at": scheduled_at, "error": None, "deferred_since": None}
        return _move(Move.SETTLE, email_id, Status.PENDING, by=by, reason=reason, counted=counted, **changes)


def recover(
    email_id: int, token: UUID, handed_over_at: datetime, message_id: str, mailbox_id: int, reason: Why, by: str
) -> bool:
    """The database had forgotten this hand-over, and does not know any more whether it was answered."""
    return _move(
        Move.RECOVER,
        email_id,
        Status.UNKNOWN,
        by=by,
        reason=reason,
        claim_token=token,
        handed_over_at=handed_over_at,
        message_id=message_id,
        mailbox=mailbox_id,
        error=reason,
    )


# What a planner puts into the queue: new e-mails. A lead that has its e-mail of a step already is left alone.
PLAN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), planned AS (
    INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at, message_id)
    SELECT %(campaign)s, slot.campaign_lead_id, slot.step_id, slot.mailbox_id, slot.scheduled_at,
           '<' || gen_random_uuid() || '@' || split_part(m.address, '@', 2) || '>'
    FROM slot JOIN mailbox m ON m.id = slot.mailbox_id
    ORDER BY slot.scheduled_at
    ON CONFLICT (campaign_lead_id, step_id) DO NOTHING
    RETURNING id, mailbox_id, scheduled_at
)
INSERT INTO email_history (email_id, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, 'plan', 'pending', scheduled_at, mailbox_id, %(by)s FROM planned ORDER BY id
"""


def plan(campaign_id: int, slots: Sequence[Slot], by: str) -> int:
    """Put e-mails into the queue, each with its mailbox and time. Returns how many were new."""
    values = {"campaign": campaign_id, "by": by, **_columns(slots)}
    return _told(Move.PLAN, execute(PLAN, values), campaign_id, by)


# Moves only what still stands where the planner saw it, and only what really moves: what was tried meanwhile waits for
# its own time.
REPLAN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), before AS (
    SELECT q.id, q.scheduled_at AS old_at, slot.mailbox_id, slot.scheduled_at
    FROM campaign_email_queue q JOIN slot USING (campaign_lead_id, step_id)
    WHERE q.campaign_id = %(campaign)s AND q.status = 'pending'
      AND (q.scheduled_at, q.mailbox_id) IS DISTINCT FROM (slot.scheduled_at, slot.mailbox_id)
      AND NOT EXISTS (SELECT FROM email_history h WHERE h.email_id = q.id AND h.at > %(seen_at)s)
    ORDER BY q.id FOR NO KEY UPDATE OF q
), moved AS (
    UPDATE campaign_email_queue q
    SET scheduled_at = before.scheduled_at, mailbox_id = before.mailbox_id, hinted_for = NULL
    FROM before WHERE q.id = before.id AND q.status = 'pending'
    RETURNING q.id, before.old_at, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, scheduled_from, scheduled_to, mailbox_id, by)
SELECT id, 'replan', 'pending', 'pending', %(reason)s, %(reason)s, old_at, scheduled_at, mailbox_id, %(by)s
FROM moved ORDER BY id
"""


def replan(campaign_id: int, slots: Sequence[Slot], reason: str, by: str, seen_at: datetime | None = None) -> int:
    """Give pending mails other times or mailboxes. Returns how many moved. reason: a code, one of plans.REASONS.

    seen_at: when the planner saw where they stand; None: just now. The caller holds the campaign's lock, under which no
    pending mail of it can move otherwise.
    """
    values = {"campaign": campaign_id, "by": by, "reason": reason, "seen_at": seen_at, **_columns(slots)}
    return _told(Move.REPLAN, execute(REPLAN, values), campaign_id, by, Reason(Code(reason)))


CANCEL_PENDING = """
WITH pending AS (
    SELECT id FROM campaign_email_queue
    WHERE campaign_id = %(campaign)s AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
), cancelled AS (
    UPDATE campaign_email_queue q
    SET status = 'cancelled', error = %(reason)s, error_code = %(reason_code)s, error_values = %(reason_values)s
    FROM pending WHERE q.id = pending.id
    RETURNING q.id, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
     mailbox_id, by)
SELECT id, 'cancel', 'pending', 'cancelled', %(reason)s, %(reason_code)s, %(reason_values)s,
       scheduled_at, scheduled_at, mailbox_id, %(by)s
FROM cancelled ORDER BY id
"""


def cancel_pending(campaign_id: int, reason: Why, by: str) -> int:
    """Cancel all that is still to come of a campaign. The caller holds the campaign's lock."""
    values = {"campaign": campaign_id, **reason_columns.for_sql(reason, "reason"), "by": by}
    return _told(Move.CANCEL, execute(CANCEL_PENDING, values), campaign_id, by, reason)


# Only a refusal leads to failed; asked again all the same, because this is where a mail could be sent twice.
REOPEN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), before AS (
    SELECT q.id, q.scheduled_at AS old_at, slot.mailbox_id, slot.scheduled_at
    FROM campaign_email_queue q JOIN slot USING (campaign_lead_id, step_id)
    WHERE q.campaign_id = %(campaign)s AND q.status = 'failed' AND (
        SELECT h.move FROM email_history h
        WHERE h.email_id = q.id AND h.move IN ('hand_over', 'doubt', 'recover', 'settle', 'accept', 'reject')
        ORDER BY h.id DESC LIMIT 1) = 'reject'
    ORDER BY q.id FOR NO KEY UPDATE OF q
), reopened AS (
    UPDATE campaign_email_queue q
    SET status = 'pending', scheduled_at = before.scheduled_at, mailbox_id = before.mailbox_id, hinted_for = NULL,
        claim_token = NULL, claimed_at = NULL, worker_host = NULL, worker_pid = NULL, worker_started_at = NULL,
        handed_over_at = NULL, attempts = 0, error = NULL, deferred_since = NULL
    FROM before WHERE q.id = before.id AND q.status = 'failed'
    RETURNING q.id, before.old_at, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
     mailbox_id, by)
SELECT id, 'reopen', 'failed', 'pending', %(reason)s, %(reason_code)s, %(reason_values)s, old_at,
       scheduled_at, mailbox_id, %(by)s
FROM reopened ORDER BY id
"""


def reopen(campaign_id: int, slots: Sequence[Slot], reason: Why, by: str) -> int:
    """Have failed mails tried again, at these places. Returns how many. The caller holds the campaign's lock."""
    values = {"campaign": campaign_id, **reason_columns.for_sql(reason, "reason"), "by": by, **_columns(slots)}
    return _told(Move.REOPEN, execute(REOPEN, values), campaign_id, by, reason)


PUT_OFF_FOR = """
SELECT COALESCE(clock_timestamp() - COALESCE(deferred_since, claimed_at), '0') FROM campaign_email_queue WHERE id = %s
"""


def put_off_for(email_id: int) -> timedelta:
    """How long ago the first of its attempts was, of those that were answered with "not now"."""
    row = fetch_row(PUT_OFF_FOR, (email_id,))
    if row is None:
        raise locks.NoSuchEmail(f"there is no e-mail {email_id}")
    age: timedelta = row[0]
    return age


def _told(move: Move, count: int, campaign_id: int, by: str, reason: Why | None = None) -> int:
    if count:
        announcements.tell(Moved(move=move, count=count, campaign_id=campaign_id, by=by, reason=reason))
    return count


def _columns(slots: Sequence[Slot]) -> dict[str, list[Any]]:
    return {
        "leads": [slot.lead_id for slot in slots],
        "steps": [slot.step_id for slot in slots],
        "mailboxes": [slot.mailbox_id for slot in slots],
        "times": [slot.at for slot in slots],
    }


def _back(
    move: Move,
    held: Held,
    reason: Why,
    conversation: Conversation | None,
    changes: dict[str, Any],
    *,
    unhanded: bool = False,
) -> bool:
    with database.atomic():
        row = locks.lock_around(held.email_id)
        if unhanded and row.handed_over_at is not None:
            return False
        to = Status.PENDING
        if Campaign.get_by_id(row.campaign_id).status == CampaignStatus.CANCELLED:
            to, changes = Status.CANCELLED, {"error": reason, "attempts": changes.get("attempts", Q.attempts)}
        return _move(
            move, held.email_id, to, by=held.by, token=held.token, reason=reason, conversation=conversation, **changes
        )


def _move(
    move: Move,
    email_id: int,
    to: Status,
    *,
    by: str,
    token: UUID | None = None,
    reason: Why | None = None,
    detail: Detail | None = None,
    conversation: Conversation | None = None,
    counted: datetime | None = None,
    **changes: Any,
) -> bool:
    """The guarded update and its history row. token: what the row must still bear, where given.

    conversation: what it came of, recorded as its attempt.
    """
    # A server's words must never keep what it decided from being recorded.
    if "error" in changes:
        changes |= reason_columns.written(changes["error"], "error")
    sources, targets = PATHS[move]
    assert to in targets, f"{move} does not lead to {to}"
    with database.atomic():
        before = locks.lock_email(email_id)
        guard = (Q.id == email_id) & Q.status.in_(list(sources))
        if token is not None:
            guard &= Q.claim_token == token
        if not Q.update(status=to, **changes).where(guard).execute():
            return False
        _record(move, before, by, reason, detail, conversation, counted)
    return True


HISTORY = """
INSERT INTO email_history (email_id, move, from_status, to_status, reason, scheduled_from, scheduled_to, mailbox_id,
                           claim_token, handed_over_at, by, detail, reason_code, reason_values)
VALUES (%(email)s, %(move)s, %(from_status)s, %(to_status)s, %(reason)s, %(scheduled_from)s, %(scheduled_to)s,
        %(mailbox)s, %(token)s, %(counted)s, %(by)s, %(detail)s, %(reason_code)s, %(reason_values)s)
"""
HISTORY_WITH_ATTEMPT = f"WITH recorded AS ({attempts.RECORD}) {HISTORY}"


def _record(
    move: Move,
    before: CampaignEmailQueue,
    by: str,
    reason: Why | None,
    detail: Detail | None,
    conversation: Conversation | None,
    counted: datetime | None,
) -> None:
    after = Q.get_by_id(before.id)
    kept = recordable(detail or (conversation.detail() if conversation else None))
    values: dict[str, Any] = {
        "email": before.id,
        "move": move,
        "from_status": before.status,
        "to_status": after.status,
        **reason_columns.for_sql(reason, "reason"),
        "scheduled_from": before.scheduled_at,
        "scheduled_to": after.scheduled_at,
        "mailbox": after.mailbox_id,
        "token": after.claim_token or before.claim_token,
        "counted": counted,
        "by": by,
        "detail": Json(kept) if kept else None,
    }
    if conversation is None:
        execute(HISTORY, values)
    else:
        started_at = before.claimed_at or before.handed_over_at
        execute(HISTORY_WITH_ATTEMPT, {**values, **attempts.values(conversation), "started_at": started_at})
    announcements.tell(
        Moved(
            move=move,
            email_id=after.id,
            campaign_id=after.campaign_id,
            mailbox_id=after.mailbox_id,
            from_status=Status(before.status),
            to_status=Status(after.status),
            reason=reason,
            scheduled_at=after.scheduled_at,
            sent_at=after.sent_at,
            by=by,
            detail=detail or {},
            conversation=conversation,
        )
    )


def _forget_faults(row: CampaignEmailQueue) -> None:
    """row: as it was before its move. Late proof tells of its mail, and nothing of how the mailbox works by now."""
    if row.status == Status.SENDING:
        Mailbox.update(WITHOUT_FAULTS).where(Mailbox.id == row.mailbox_id, Mailbox.faults > 0).execute()
