"""Builds and runs the statement of one e-mail's move: a guarded update, its history row, and what else comes of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from psycopg2.extras import Json

from models.email import announcements, attempts
from models.email.announcements import Moved
from models.email.attempts import Conversation
from models.states import PATHS, Move, Status
from models.store import reason_columns
from models.store.database import Prepared, packet_rows
from models.store.recordable import recordable
from reasons import Why

Detail = Mapping[str, Any]
Changes = Mapping[str, str]  # column -> its new value, in SQL

_CLAIM = ("claim_token", "claimed_at", "worker_host", "worker_pid", "worker_started_at", "handed_over_at")
UNCLAIMED: Changes = dict.fromkeys((*_CLAIM, "looked_at", "hinted_for"), "NULL")
ATTEMPTED: Changes = {"attempts": "q.attempts + 1"}
ERROR: Changes = {"error": "%(reason)s", "error_code": "%(reason_code)s", "error_values": "%(reason_values)s::jsonb"}
NO_ERROR: Changes = dict.fromkeys(ERROR, "NULL")

# A guard: the claim is still held.
HELD = "q.claim_token = %(token)s::uuid"
# Part of a statement: records the attempt that the move ends.
ATTEMPT = f", attempted AS ({attempts.RECORD})"

# The row must have been locked by an earlier statement: after waiting for a lock, this statement's guard would still be
# checked against its old snapshot. The statuses are a parameter: told what they are, Postgres looks for the e-mail in
# the index of what is being sent, where all that was sent since the last vacuum still has an entry.
_MOVED = """
WITH moved AS (
    UPDATE campaign_email_queue q SET {changes}
    FROM campaign_email_queue before JOIN campaign c ON c.id = before.campaign_id
    WHERE q.id = %(email)s AND before.id = q.id AND q.status = ANY(%(sources)s::text[]) AND {guard}
    RETURNING q.*, before.status AS from_status, before.scheduled_at AS scheduled_from, {counted} AS counted,
              COALESCE(q.claim_token, before.claim_token) AS token,
              COALESCE(before.claimed_at, before.handed_over_at) AS started_at
), recorded AS (
    INSERT INTO email_history
        (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
         mailbox_id, claim_token, handed_over_at, by, detail)
    SELECT id, '{move}', from_status, status, %(reason)s, %(reason_code)s, %(reason_values)s::jsonb, scheduled_from,
           scheduled_at, mailbox_id, token, counted, %(by)s, %(detail)s::jsonb
    FROM moved
    RETURNING id, email_id, at
)
"""
# What a move is announced with, beside the status that it came from.
MOVED = "campaign_id, mailbox_id, status AS to_status, scheduled_at, sent_at"
_AFTER = f"SELECT {MOVED}, from_status FROM moved"  # noqa: S608  # only our own words


def build(
    move: Move,
    to: Status,
    changes: Changes,
    *then: str,
    guard: str = HELD,
    if_cancelled: Changes | None = None,
    counted: str = "NULL::timestamptz",
    name: str | None = None,
) -> Prepared:
    """The statement of a move.

    then: more parts of the statement, in which `moved` is the row after the move and `recorded` its history row.
    if_cancelled: what changes instead if its campaign was cancelled; the campaign must be locked. counted: the time of
    a hand-over that still counts towards its day.
    """
    _, targets = PATHS[move]
    assert to in targets, f"{move} does not lead to {to}"
    changes = {"status": f"'{to}'", **changes}
    if if_cancelled is not None:
        assert Status.CANCELLED in targets, f"{move} does not lead to {Status.CANCELLED}"
        changes = _either("c.status = 'cancelled'", {"status": f"'{Status.CANCELLED}'", **if_cancelled}, changes)
    moved = _MOVED.format(
        move=move,
        changes=", ".join(f"{column} = {value}" for column, value in changes.items()),
        guard=guard,
        counted=counted,
    )
    return Prepared(name or move, "".join((moved, *then, _AFTER)))


def sources(move: Move) -> list[str]:
    """The statuses that the move may come from: a parameter of its statement."""
    return sorted(PATHS[move][0])


def _either(condition: str, if_true: Changes, if_false: Changes) -> Changes:
    return {
        column: f"CASE WHEN {condition} THEN {if_true.get(column, f'q.{column}')}"
        f" ELSE {if_false.get(column, f'q.{column}')} END"
        for column in sorted(if_true.keys() | if_false.keys())
    }


def run(
    move: Move,
    packet: Sequence[Prepared],
    email_id: int,
    by: str,
    reason: Why | None = None,
    conversation: Conversation | None = None,
    detail: Detail | None = None,
    then: Prepared | None = None,
    **values: Any,
) -> bool:
    """Run a packet, the statement that takes the locks before that of the move, in the caller's transaction if any.

    conversation: the one that ended, recorded as an attempt. then: see packet_rows; it has a row if the guard held.
    values: the statement's other parameters. Returns whether the guard held.
    """
    kept = recordable(detail)  # a folder's name may have characters that Postgres refuses
    values |= {
        "email": email_id,
        "sources": sources(move),
        "by": by,
        "detail": Json(kept) if kept else None,
        **reason_columns.for_sql(reason, "reason"),
        **(attempts.values(conversation) if conversation else {}),
    }
    rows: list[dict[str, Any]] = packet_rows(dict, packet, values, then)
    for row in rows:
        row |= {"from_status": Status(row["from_status"]), "to_status": Status(row["to_status"])}
        moved = partial(Moved, move=move, email_id=email_id, by=by, reason=reason, conversation=conversation)
        announcements.tell(moved(detail=detail or {}, **row))
    return bool(rows)
