"""The moves of one e-mail by a worker, a person or a repair. Beside batch_moves.py the only code that changes a status.

One function per move, named by its verb: a guarded update and its history row in one transaction. It returns whether
the guard held; False means that the caller's claim is over, and it must stop.
"""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from psycopg2 import Binary

import config
from models.email import announcements, attempts, claims, gates, limits
from models.email.announcements import Moved
from models.email.attempts import Cited, Conversation, Copy
from models.email.claims import Claim, Held, Worker
from models.email.facts import read, read_for_claim
from models.email.gates import Closed
from models.email.locks import LOCK_AROUND, LOCK_EMAIL, LOCK_SMTP_HOST
from models.email.move_statements import (
    ATTEMPT,
    ATTEMPTED,
    ERROR,
    HELD,
    MOVED,
    NO_ERROR,
    UNCLAIMED,
    Detail,
    build,
    run,
    sources,
)
from models.states import Move, Status
from models.store import reason_columns
from models.store.database import Prepared, database, packet_rows
from models.store.installation import NOTHING_SEEN, Seen
from reasons import Code, Reason, Why

_CLOSING = (
    *("closed_until", "closed_reason", "closed_reason_code", "closed_reason_values"),
    *("closed_phase", "closed_code"),
)
WITHOUT_FAULTS: dict[str, object] = dict.fromkeys(_CLOSING) | {"faults": 0}
_LIMITS = ("campaign_used", "campaign_limit", "mailbox_used", "mailbox_limit")

# Only for an answer that comes while its e-mail is sending: a late one says nothing about the mailbox now.
_MAILBOX_WORKS = f"""
, works AS (
    UPDATE mailbox m SET {", ".join(f"{column} = NULL" for column in _CLOSING)}, faults = 0 FROM moved
    WHERE m.id = moved.mailbox_id AND m.faults > 0 AND moved.from_status = 'sending' AND %(mailbox_works)s
)
"""  # noqa: S608  # only our own words
_STARTED = """
, campaign_started AS (
    UPDATE campaign c SET last_start_at = %(now)s FROM moved WHERE c.id = moved.campaign_id
), mailbox_started AS (
    UPDATE mailbox m SET last_start_at = %(now)s FROM moved WHERE m.id = moved.mailbox_id
)
"""
# Asked once more under the host's lock: claims of other mailboxes may have been made since the facts were read.
_HOST_HAS_ROOM = f"""
EXISTS (SELECT FROM mailbox m WHERE m.id = q.mailbox_id AND {limits.SENDING_AT_HOST} < %(most_at_host)s)
"""  # only our own words
CLAIM = build(
    Move.CLAIM,
    Status.SENDING,
    {
        "claim_token": "%(token)s::uuid",
        "claimed_at": "%(now)s",
        "worker_host": "%(host)s",
        "worker_pid": "%(pid)s",
        "worker_started_at": "%(started_at)s",
        "looked_at": "%(looked_at)s::timestamptz",
    },
    _STARTED,
    # Not "=": the e-mail is to be found by its id, and not by its time.
    guard=f"q.scheduled_at IS NOT DISTINCT FROM %(scheduled_at)s::timestamptz AND {_HOST_HAS_ROOM}",
)
CLAIMED = Prepared("claimed", claims.CLAIMED)
# A claim's COMMIT does not wait for the disk: nothing irrevocable follows it before the hand-over, whose COMMIT does,
# and Postgres writes its log in order. A claim that a crash of Postgres loses leaves the e-mail pending, and its worker
# hands nothing over, because its token is unknown.
WITHOUT_FLUSH = Prepared("without_flush", "SELECT set_config('synchronous_commit', 'off', true)")


def claim(email_id: int, scheduled_at: datetime, worker: Worker, seen: Seen = NOTHING_SEEN) -> Claim | Closed:
    """Claim a pending e-mail if its hint is current and every gate is open.

    seen: what this machine has seen of the database. Raises DatabaseDisagrees if the database lacks it.
    The locks are statements of their own: a statement reads its snapshot from before its own lock wait. That of the
    SMTP host, which all its mailboxes share, is taken last, and held only while the server makes the move.
    """
    rules = config.settings().sending
    with database.transaction():
        facts = read_for_claim(email_id, [LOCK_AROUND], seen)
        if facts.status != Status.PENDING or facts.scheduled_at != scheduled_at:
            return Closed("hint", gates.Action.DROP, Reason(Code.STALE_HINT))
        if closed := gates.first_closed((gates.workers_clock_agrees, *gates.CLAIM), facts, rules):
            return closed
        held = Held(email_id, uuid4(), str(worker))
        values = {
            "email": email_id,
            "sources": sources(Move.CLAIM),
            "scheduled_at": scheduled_at,
            "token": str(held.token),
            "now": facts.now,
            "most_at_host": rules.smtp_host_concurrency,
            "host": worker.host,
            "pid": worker.pid,
            "started_at": worker.started_at,
            "looked_at": facts.looked_at,
            "by": held.by,
            "detail": None,
            **reason_columns.for_sql(None, "reason"),
        }
        packet = [WITHOUT_FLUSH, LOCK_SMTP_HOST, CLAIM]
        claimed = next(iter(packet_rows(partial(Claim, held), packet, values, then=CLAIMED)), None)
        if claimed is None:
            return gates.host_is_full(facts, rules.smtp_host_concurrency)
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
HAND_OVER = build(
    Move.HAND_OVER,
    Status.SENDING,
    {"handed_over_at": "%(now)s"},
    _KEPT,
    guard=f"{HELD} AND q.handed_over_at IS NULL",
)
HANDED_OVER = Prepared(
    "handed_over",
    f"""
    SELECT {MOVED}, status AS from_status FROM campaign_email_queue
    WHERE id = %(email)s AND claim_token = %(token)s::uuid AND handed_over_at IS NOT NULL
    """,  # noqa: S608  # only our own words
)


def hand_over(held: Held, content: bytes) -> Closed | None:
    """Record that the final dot may be sent from now on, and the message. Closed: the dot must not be sent.

    Committed before the dot is sent. Checks the gates that may have closed since the claim.
    """
    rules = config.settings().sending
    with database.transaction():
        facts = read(held.email_id, [LOCK_AROUND])
        if closed := gates.first_closed(gates.HAND_OVER, facts, rules):
            return closed
        # Limits can be edited later: this records that the limits of this moment were kept.
        detail = {name: getattr(facts, name) for name in _LIMITS}
        values: dict[str, Any] = {"token": str(held.token), "now": facts.now, "content": Binary(content)}
        it = (Move.HAND_OVER, [HAND_OVER], held.email_id, held.by)
        # An earlier hand-over of this claim would be found after the commit, too.
        if facts.handed_over_at is not None or not run(*it, detail=detail, then=HANDED_OVER, **values):
            return Closed("claim", gates.Action.DROP, Reason(Code.CLAIM_LOST))
    return None


ACCEPT = build(
    Move.ACCEPT,
    Status.SENT,
    {"sent_at": "clock_timestamp()", **ATTEMPTED, **NO_ERROR},
    ATTEMPT,
    _MAILBOX_WORKS,
)


def accept(held: Held, conversation: Conversation, copy: Copy | Cited | None = None) -> bool:
    """Record that the e-mail was sent. Returns whether the claim was still held.

    copy: found in the Sent folder, or a message that names the e-mail: proves the same as an answer.
    """
    reason, detail = (copy.reason, copy.detail()) if copy else (None, None)
    return _end(Move.ACCEPT, ACCEPT, held, reason, conversation, detail=detail, mailbox_works=True)


REJECT = build(Move.REJECT, Status.FAILED, {**ATTEMPTED, **ERROR}, ATTEMPT, _MAILBOX_WORKS)


def reject(
    held: Held, conversation: Conversation, reason: Reason | None = None, *, mailbox_works: bool = False
) -> bool:
    """Fail the e-mail. Returns whether the claim was still held.

    reason: None records the answer. mailbox_works: the answer refuses this e-mail, but shows that the mailbox works.
    """
    why = reason or conversation.reason
    return _end(Move.REJECT, REJECT, held, why, conversation, mailbox_works=mailbox_works)


RETRY = build(
    Move.RETRY,
    Status.PENDING,
    {
        **UNCLAIMED,
        "hinted_for": "CASE WHEN %(is_hinted)s::boolean THEN %(scheduled_at)s::timestamptz END",
        "scheduled_at": "%(scheduled_at)s::timestamptz",
        "deferred_since": "COALESCE(q.deferred_since, q.claimed_at)",
        **ATTEMPTED,
        **ERROR,
    },
    ATTEMPT,
    _MAILBOX_WORKS,
    if_cancelled={**ATTEMPTED, **ERROR},
)


def retry(
    held: Held,
    scheduled_at: datetime,
    conversation: Conversation,
    *,
    mailbox_works: bool = False,
    is_hinted: bool = False,
) -> bool:
    """Plan another attempt at `scheduled_at` for an e-mail that is proved not sent: see planning.refusals.

    mailbox_works: as for reject. is_hinted: the caller publishes the hint for that time, or calls hints.unmark.
    """
    values: dict[str, Any] = {"scheduled_at": scheduled_at, "mailbox_works": mailbox_works, "is_hinted": is_hinted}
    return _end(Move.RETRY, RETRY, held, conversation.reason, conversation, **values)


RELEASE = build(Move.RELEASE, Status.PENDING, UNCLAIMED, ATTEMPT, if_cancelled=ERROR)


def release(held: Held, reason: Why, conversation: Conversation = attempts.WITHDRAWN) -> bool:
    """Release an e-mail that is proved not sent, by no fault of its own.

    It keeps its time, and no attempt is counted.
    """
    return _end(Move.RELEASE, RELEASE, held, reason, conversation)


RELEASE_FOR_ITS_MAILBOX = build(
    Move.RELEASE,
    Status.PENDING,
    {**UNCLAIMED, "deferred_since": "NULL"},
    ATTEMPT,
    if_cancelled=ERROR,
    name="release_for_its_mailbox",
)


def release_for_its_mailbox(held: Held, reason: Why, conversation: Conversation) -> bool:
    """Release an e-mail as release() does, for a fault of its mailbox; also forget since when it has been put off."""
    return _end(Move.RELEASE, RELEASE_FOR_ITS_MAILBOX, held, reason, conversation)


RELEASE_UNHANDED = build(
    Move.RELEASE,
    Status.PENDING,
    UNCLAIMED,
    guard=f"{HELD} AND q.handed_over_at IS NULL",
    if_cancelled=ERROR,
    name="release_unhanded",
)


def release_unhanded(held: Held, reason: Why) -> bool:
    """Release an e-mail whose worker does not report, unless it has been handed over.

    Safe even if the worker is only slow: its hand-over would name the old token, so it sends no dot.
    """
    return _end(Move.RELEASE, RELEASE_UNHANDED, held, reason)


DOUBT = build(Move.DOUBT, Status.UNKNOWN, ERROR, ATTEMPT)


def doubt(held: Held, reason: Why, conversation: Conversation = attempts.NO_ANSWER) -> bool:
    """Make the e-mail unknown: the dot may have been sent, and no answer is known. Keeps the token for late proof."""
    return _end(Move.DOUBT, DOUBT, held, reason, conversation, lock=LOCK_EMAIL)


CANCEL = build(Move.CANCEL, Status.CANCELLED, ERROR, guard="true")


def cancel(email_id: int, reason: Why, by: str) -> bool:
    return run(Move.CANCEL, [LOCK_EMAIL, CANCEL], email_id, by, reason)


SETTLE_AS_SENT = build(
    Move.SETTLE,
    Status.SENT,
    {"sent_at": "clock_timestamp()", **NO_ERROR},
    guard="true",
    name="settle_as_sent",
)


def settle_as_sent(email_id: int, reason: Why, by: str) -> bool:
    return run(Move.SETTLE, [LOCK_EMAIL, SETTLE_AS_SENT], email_id, by, reason)


SETTLE_TO_SEND_AGAIN = build(
    Move.SETTLE,
    Status.PENDING,
    {**UNCLAIMED, "scheduled_at": "%(scheduled_at)s::timestamptz", "deferred_since": "NULL", **NO_ERROR},
    guard="true",
    counted="before.handed_over_at",
    name="settle_to_send_again",
)


def settle_to_send_again(email_id: int, scheduled_at: datetime, reason: str, by: str) -> bool:
    """Plan an unknown e-mail again, because a person takes the risk of a duplicate.

    The earlier hand-over still counts towards its day.
    """
    packet = [LOCK_AROUND, SETTLE_TO_SEND_AGAIN]
    return run(Move.SETTLE, packet, email_id, by, reason, scheduled_at=scheduled_at)


RECOVER = build(
    Move.RECOVER,
    Status.UNKNOWN,
    {
        "claim_token": "%(token)s::uuid",
        "handed_over_at": "%(handed_over_at)s::timestamptz",
        "message_id": "%(message_id)s",
        "mailbox_id": "%(mailbox)s",
        **ERROR,
    },
    # Not if a later hand-over was recovered before, from another machine's log.
    guard="""
    NOT (q.status = 'unknown' AND q.handed_over_at > %(handed_over_at)s::timestamptz AND EXISTS (
        SELECT FROM email_history h WHERE h.email_id = q.id AND h.claim_token = q.claim_token AND h.move = 'recover'))
    """,
    counted="CASE WHEN before.status = 'unknown' THEN before.handed_over_at END",
)


def recover(
    email_id: int, token: UUID, handed_over_at: datetime, message_id: str, mailbox_id: int, reason: Why, by: str
) -> bool:
    """Make an e-mail unknown for a hand-over that the database lacks; it is not known whether it was answered.

    If the e-mail is unknown already, its earlier hand-over still counts towards its day.
    """
    values: dict[str, Any] = {"token": str(token), "message_id": message_id, "mailbox": mailbox_id}
    return run(Move.RECOVER, [LOCK_EMAIL, RECOVER], email_id, by, reason, handed_over_at=handed_over_at, **values)


PUT_OFF = build(
    Move.REPLAN,
    Status.PENDING,
    {
        "scheduled_at": "%(scheduled_at)s::timestamptz",
        "not_before": "%(not_before)s::timestamptz",
        "hinted_for": "NULL",
    },
    guard="true",
    name="put_off",
)


def put_off(email_id: int, scheduled_at: datetime, not_before: datetime | None, reason: Why, by: str) -> bool:
    """Give a pending e-mail another time because its lead is held, or is no longer held (not_before: None).

    Until `not_before` it keeps that time: no plan moves it, and none waits for it.
    """
    times: dict[str, Any] = {"scheduled_at": scheduled_at, "not_before": not_before}
    return run(Move.REPLAN, [LOCK_AROUND, PUT_OFF], email_id, by, reason, **times)


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
    return run(move, packet, held.email_id, held.by, reason, conversation, detail, token=token, **values)
