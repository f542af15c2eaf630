"""The moves of an e-mail: the only code that changes a status.

One function a move, named by its verb: a guarded update and its history row in one transaction. It returns whether the
guard held; False means that the mail is no longer the caller's, who must stop.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from psycopg2 import Binary
from psycopg2.extras import Json

import config
from models.email import announcements, attempts, claims, gates
from models.email.announcements import Moved
from models.email.attempts import Conversation, Copy
from models.email.claims import Claim, Held, Worker
from models.email.facts import read, read_for_claim
from models.email.gates import Closed
from models.email.locks import LOCK_AROUND, LOCK_EMAIL, LOCK_SMTP_HOST
from models.states import PATHS, Move, Status
from models.store import reason_columns
from models.store.database import Prepared, database, execute, packet_rows
from models.store.installation import NOTHING_SEEN, Seen
from models.store.recordable import recordable
from reasons import Code, Reason, Why
from scheduling.planner import Slot

_CLOSING = (
    *("closed_until", "closed_reason", "closed_reason_code", "closed_reason_values"),
    *("closed_phase", "closed_code"),
)
WITHOUT_FAULTS: dict[str, object] = dict.fromkeys(_CLOSING) | {"faults": 0}
_LIMITS = ("campaign_used", "campaign_limit", "mailbox_used", "mailbox_limit")
Detail = Mapping[str, Any]
Changes = Mapping[str, str]  # column -> its new value, in SQL

_CLAIM = ("claim_token", "claimed_at", "worker_host", "worker_pid", "worker_started_at", "handed_over_at")
_UNCLAIMED: Changes = dict.fromkeys((*_CLAIM, "hinted_for"), "NULL")
_ATTEMPTED: Changes = {"attempts": "q.attempts + 1"}
_ERROR: Changes = {"error": "%(reason)s", "error_code": "%(reason_code)s", "error_values": "%(reason_values)s::jsonb"}
_NO_ERROR: Changes = dict.fromkeys(_ERROR, "NULL")


# One mail's move as a statement: a guarded update and its history row. Whoever runs it has locked the row by a
# statement before it: a guard is judged with the snapshot from before its own statement's lock wait.
_MOVED = """
WITH moved AS (
    UPDATE campaign_email_queue q SET {changes}
    FROM campaign_email_queue before JOIN campaign c ON c.id = before.campaign_id
    WHERE q.id = %(email)s AND before.id = q.id AND q.status IN ({sources}) AND {guard}
    RETURNING q.*, before.status AS from_status, before.scheduled_at AS scheduled_from, {counted} AS counted,
              COALESCE(q.claim_token, before.claim_token) AS token,
              COALESCE(before.claimed_at, before.handed_over_at) AS started_at
), told AS (
    INSERT INTO email_history
        (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
         mailbox_id, claim_token, handed_over_at, by, detail)
    SELECT id, '{move}', from_status, status, %(reason)s, %(reason_code)s, %(reason_values)s::jsonb, scheduled_from,
           scheduled_at, mailbox_id, token, counted, %(by)s, %(detail)s::jsonb
    FROM moved
    RETURNING id, email_id, at
)
"""
_AFTER = "SELECT campaign_id, mailbox_id, from_status, status AS to_status, scheduled_at, sent_at FROM moved"
_ATTEMPT = f", attempted AS ({attempts.RECORD})"
# Late proof tells of its mail, and nothing of how the mailbox works by now.
_MAILBOX_WORKS = f"""
, works AS (
    UPDATE mailbox m SET {", ".join(f"{column} = NULL" for column in _CLOSING)}, faults = 0 FROM moved
    WHERE m.id = moved.mailbox_id AND m.faults > 0 AND moved.from_status = 'sending' AND %(mailbox_works)s
)
"""  # noqa: S608  # only our own words
_HELD = "q.claim_token = %(token)s::uuid"


def _moved(
    move: Move,
    to: Status,
    changes: Changes,
    *then: str,
    guard: str = _HELD,
    if_cancelled: Changes | None = None,
    counted: str = "NULL::timestamptz",
    returns: str = _AFTER,
    name: str | None = None,
) -> Prepared:
    """The statement of a move.

    then: what comes of it in the same statement, where `moved` is the row after its move and `told` its history.
    if_cancelled: what changes instead where its campaign was cancelled, for which its campaign is to be locked.
    counted: the time of a hand-over that still counts.
    """
    sources, targets = PATHS[move]
    assert to in targets, f"{move} does not lead to {to}"
    changes = {"status": f"'{to}'", **changes}
    if if_cancelled is not None:
        assert Status.CANCELLED in targets, f"{move} does not lead to {Status.CANCELLED}"
        changes = _either("c.status = 'cancelled'", {"status": f"'{Status.CANCELLED}'", **if_cancelled}, changes)
    moved = _MOVED.format(
        move=move,
        changes=", ".join(f"{column} = {value}" for column, value in changes.items()),
        sources=", ".join(f"'{status}'" for status in sorted(sources)),
        guard=guard,
        counted=counted,
    )
    return Prepared(name or move, "".join((moved, *then, returns)))


def _either(condition: str, these: Changes, those: Changes) -> Changes:
    return {
        column: f"CASE WHEN {condition} THEN {these.get(column, f'q.{column}')}"
        f" ELSE {those.get(column, f'q.{column}')} END"
        for column in sorted(these.keys() | those.keys())
    }


_STARTED = """
, campaign_started AS (
    UPDATE campaign c SET last_start_at = %(now)s FROM moved WHERE c.id = moved.campaign_id
), mailbox_started AS (
    UPDATE mailbox m SET last_start_at = %(now)s FROM moved WHERE m.id = moved.mailbox_id
)
"""
CLAIM = _moved(
    Move.CLAIM,
    Status.SENDING,
    {
        "claim_token": "%(token)s::uuid",
        "claimed_at": "%(now)s",
        "worker_host": "%(host)s",
        "worker_pid": "%(pid)s",
        "worker_started_at": "%(started_at)s",
    },
    _STARTED,
    guard="q.scheduled_at = %(scheduled_at)s",
    returns=claims.CLAIMED,
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
                **reason_columns.for_sql(None, "reason"),
            },
        )
        announcements.tell(
            Moved(
                move=Move.CLAIM,
                email_id=email_id,
                campaign_id=claimed.campaign_id,
                mailbox_id=claimed.mailbox_id,
                from_status=Status.PENDING,
                to_status=Status.SENDING,
                scheduled_at=claimed.scheduled_at,
                by=held.by,
            )
        )
        return claimed


_KEPT = """
, kept AS (
    INSERT INTO email_content (email_id, claim_token, content, recorded_at)
    SELECT id, claim_token, %(content)s, clock_timestamp() FROM moved
    ON CONFLICT (email_id) DO UPDATE
    SET claim_token = excluded.claim_token, content = excluded.content, recorded_at = excluded.recorded_at
)
"""
HAND_OVER = _moved(
    Move.HAND_OVER,
    Status.SENDING,
    {"handed_over_at": "%(now)s"},
    _KEPT,
    guard=f"{_HELD} AND q.handed_over_at IS NULL",
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
        values: dict[str, Any] = {"token": str(held.token), "now": facts.now, "content": Binary(content)}
        if not _move(Move.HAND_OVER, [HAND_OVER], held.email_id, held.by, detail=detail, **values):
            return Closed("claim", gates.Action.DROP, Reason(Code.CLAIM_LOST))
    return None


ACCEPT = _moved(
    Move.ACCEPT,
    Status.SENT,
    {"sent_at": "clock_timestamp()", **_ATTEMPTED, **_NO_ERROR},
    _ATTEMPT,
    _MAILBOX_WORKS,
)


def accept(held: Held, conversation: Conversation, copy: Copy | None = None) -> bool:
    """copy: where a copy of it was found, which proves the same as an answer."""
    reason, detail = (copy.reason, copy.detail()) if copy else (None, None)
    return _end(Move.ACCEPT, ACCEPT, held, reason, conversation, detail=detail, mailbox_works=True)


REJECT = _moved(Move.REJECT, Status.FAILED, {**_ATTEMPTED, **_ERROR}, _ATTEMPT, _MAILBOX_WORKS)


def reject(
    held: Held, conversation: Conversation, reason: Reason | None = None, *, mailbox_works: bool = False
) -> bool:
    """reason: None: the answer itself. mailbox_works: the answer proves it, although it is a no to this mail."""
    why = reason or conversation.reason
    return _end(Move.REJECT, REJECT, held, why, conversation, mailbox_works=mailbox_works)


RETRY = _moved(
    Move.RETRY,
    Status.PENDING,
    {
        **_UNCLAIMED,
        "hinted_for": "CASE WHEN %(is_hinted)s::boolean THEN %(scheduled_at)s::timestamptz END",
        "scheduled_at": "%(scheduled_at)s::timestamptz",
        "deferred_since": "COALESCE(q.deferred_since, q.claimed_at)",
        **_ATTEMPTED,
        **_ERROR,
    },
    _ATTEMPT,
    _MAILBOX_WORKS,
    if_cancelled={**_ATTEMPTED, **_ERROR},
)


def retry(
    held: Held,
    scheduled_at: datetime,
    conversation: Conversation,
    *,
    mailbox_works: bool = False,
    is_hinted: bool = False,
) -> bool:
    """Proved not sent: another attempt at `scheduled_at`, see planning.refusals.

    mailbox_works: as for reject. is_hinted: the caller publishes the hint for that time, or calls hints.unmark.
    """
    values: dict[str, Any] = {"scheduled_at": scheduled_at, "mailbox_works": mailbox_works, "is_hinted": is_hinted}
    return _end(Move.RETRY, RETRY, held, conversation.reason, conversation, **values)


RELEASE = _moved(Move.RELEASE, Status.PENDING, _UNCLAIMED, _ATTEMPT, if_cancelled=_ERROR)


def release(held: Held, reason: Why, conversation: Conversation = attempts.WITHDRAWN) -> bool:
    """Its worker proves that it was not sent, by no fault of the mail: it keeps its time, no attempt is counted."""
    return _end(Move.RELEASE, RELEASE, held, reason, conversation)


RELEASE_FOR_ITS_MAILBOX = _moved(
    Move.RELEASE,
    Status.PENDING,
    {**_UNCLAIMED, "deferred_since": "NULL"},
    _ATTEMPT,
    if_cancelled=_ERROR,
    name="release_for_its_mailbox",
)


def release_for_its_mailbox(held: Held, reason: Why, conversation: Conversation) -> bool:
    """The same, for a fault of its mailbox: for how long it was put off before does not count either."""
    return _end(Move.RELEASE, RELEASE_FOR_ITS_MAILBOX, held, reason, conversation)


RELEASE_UNHANDED = _moved(
    Move.RELEASE,
    Status.PENDING,
    _UNCLAIMED,
    guard=f"{_HELD} AND q.handed_over_at IS NULL",
    if_cancelled=_ERROR,
    name="release_unhanded",
)


def release_unhanded(held: Held, reason: Why) -> bool:
    """Take a mail back from a worker that does not report, unless it has been handed over by now.

    Safe even if that worker is only slow: its hand-over names the old token, and so writes no dot.
    """
    return _end(Move.RELEASE, RELEASE_UNHANDED, held, reason)


DOUBT = _moved(Move.DOUBT, Status.UNKNOWN, _ERROR, _ATTEMPT)


def doubt(held: Held, reason: Why, conversation: Conversation = attempts.NO_ANSWER) -> bool:
    """The dot may have left and nothing proves what became of it. The token stays, for late proof."""
    return _end(Move.DOUBT, DOUBT, held, reason, conversation, lock=LOCK_EMAIL)


CANCEL = _moved(Move.CANCEL, Status.CANCELLED, _ERROR, guard="true")


def cancel(email_id: int, reason: Why, by: str) -> bool:
    return _move(Move.CANCEL, [LOCK_EMAIL, CANCEL], email_id, by, reason)


SETTLE_AS_SENT = _moved(
    Move.SETTLE,
    Status.SENT,
    {"sent_at": "clock_timestamp()", **_NO_ERROR},
    guard="true",
    name="settle_as_sent",
)


def settle_as_sent(email_id: int, reason: Why, by: str) -> bool:
    return _move(Move.SETTLE, [LOCK_EMAIL, SETTLE_AS_SENT], email_id, by, reason)


SETTLE_TO_SEND_AGAIN = _moved(
    Move.SETTLE,
    Status.PENDING,
    {**_UNCLAIMED, "scheduled_at": "%(scheduled_at)s::timestamptz", "deferred_since": "NULL", **_NO_ERROR},
    guard="true",
    counted="before.handed_over_at",
    name="settle_to_send_again",
)


def settle_to_send_again(email_id: int, scheduled_at: datetime, reason: str, by: str) -> bool:
    """A person takes the risk of a duplicate. The earlier hand-over still counts towards its day."""
    packet = [LOCK_AROUND, SETTLE_TO_SEND_AGAIN]
    return _move(Move.SETTLE, packet, email_id, by, reason, scheduled_at=scheduled_at)


RECOVER = _moved(
    Move.RECOVER,
    Status.UNKNOWN,
    {
        "claim_token": "%(token)s::uuid",
        "handed_over_at": "%(handed_over_at)s::timestamptz",
        "message_id": "%(message_id)s",
        "mailbox_id": "%(mailbox)s",
        **_ERROR,
    },
    guard="true",
)


def recover(
    email_id: int, token: UUID, handed_over_at: datetime, message_id: str, mailbox_id: int, reason: Why, by: str
) -> bool:
    """The database had forgotten this hand-over, and does not know any more whether it was answered."""
    values: dict[str, Any] = {"token": str(token), "message_id": message_id, "mailbox": mailbox_id}
    return _move(Move.RECOVER, [LOCK_EMAIL, RECOVER], email_id, by, reason, handed_over_at=handed_over_at, **values)


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


def _end(
    move: Move,
    statement: Prepared,
    held: Held,
    reason: Why | None,
    conversation: Conversation | None = None,
    detail: Detail | None = None,
    *,
    lock: Prepared = LOCK_AROUND,
    **values: Any,
) -> bool:
    """End a claim."""
    packet, token = [lock, statement], str(held.token)
    return _move(move, packet, held.email_id, held.by, reason, conversation, detail, token=token, **values)


def _move(
    move: Move,
    packet: Sequence[Prepared],
    email_id: int,
    by: str,
    reason: Why | None = None,
    conversation: Conversation | None = None,
    detail: Detail | None = None,
    **values: Any,
) -> bool:
    """Run a move's statement, behind that which takes its locks, as a part of the caller's transaction if there is one.

    conversation: what it came of, recorded as its attempt. values: that the statement asks for besides.
    """
    # A server's words must never keep what it decided from being recorded.
    kept = recordable(detail or (conversation.detail() if conversation else None))
    values |= {
        "email": email_id,
        "by": by,
        "detail": Json(kept) if kept else None,
        **reason_columns.for_sql(reason, "reason"),
        **(attempts.values(conversation) if conversation else {}),
    }
    with database.transaction():
        rows: list[dict[str, Any]] = packet_rows(dict, packet, values)
        for row in rows:
            row |= {"from_status": Status(row["from_status"]), "to_status": Status(row["to_status"])}
            told = partial(Moved, move=move, email_id=email_id, by=by, reason=reason, conversation=conversation)
            announcements.tell(told(detail=detail or {}, **row))
    return bool(rows)
