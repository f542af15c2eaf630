"""An e-mail's history: each move with the attempt that it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.email.attempts import Conversation
from models.states import Result
from models.store import reason_columns
from models.store.database import rows
from reasons import Code, Reason, Why


@dataclass(frozen=True)
class PastMove:
    id: int
    at: datetime
    move: str
    from_status: str | None
    to_status: str
    reason: str | None  # in English, or the code of another time
    why: Why | None  # for people
    scheduled_from: datetime | None
    scheduled_to: datetime | None
    by: str
    kept: dict[str, Any] | None  # numbers of a hand-over, or where a copy was found
    conversation: Conversation | None  # with a mail server, that it ended

    @property
    def says_more(self) -> bool:
        """Whether the reason says more than the answer shown beside it."""
        if self.why is None or self.conversation is None or not self.conversation.reply:
            return self.why is not None
        if isinstance(self.why, Reason):
            return self.why.code is not Code.MAILBOX_FAULT and self.why != self.conversation.reason
        return self.why != self.conversation.answer

    @property
    def detail(self) -> dict[str, Any] | None:
        """The answer and the times of its phases, or else what was kept."""
        it = self.conversation
        if it is None:
            return self.kept
        seconds = {"seconds": dict(it.seconds)} if it.seconds else {}
        if it.result in (Result.UNANSWERED, Result.WITHDRAWN) or (it.result is Result.ACCEPTED and it.reply is None):
            return seconds or self.kept
        scope = {} if it.scope is None else {"scope": it.scope, "phase": it.phase}
        return {"code": it.code, "enhanced": it.enhanced, "reply": it.reply, **seconds, **scope}


# An attempt is shown with the last move about it: late proof says more than the doubt before it.
# For moves `h`: a change of time has always had a code.
REASON = """
h.reason, CASE WHEN h.move = 'replan' THEN COALESCE(h.reason_code, h.reason) ELSE h.reason_code END AS reason_code,
h.reason_values
"""

HISTORY = f"""
SELECT h.id, h.at, h.move, h.from_status, h.to_status, {REASON}, h.scheduled_from, h.scheduled_to, h.by,
       h.detail AS kept, a.outcome, a.phase, a.scope, a.code, a.enhanced, a.reply, a.seconds,
       a.reason_code AS instead_code, a.reason_values AS instead_values
FROM (
    SELECT *, CASE WHEN move IN ('accept', 'reject', 'retry', 'release', 'doubt')
                   THEN max(id) FILTER (WHERE move IN ('accept', 'reject', 'retry', 'release', 'doubt')) OVER of_token
              END AS last_of_token
    FROM email_history WHERE email_id = %s WINDOW of_token AS (PARTITION BY claim_token)
) h
LEFT JOIN attempt a ON a.claim_token = h.claim_token AND h.id = h.last_of_token
ORDER BY h.id
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Row:
    """A row of HISTORY."""

    id: int
    at: datetime
    move: str
    from_status: str | None
    to_status: str
    reason: str | None
    reason_code: str | None
    reason_values: dict[str, Any] | None
    scheduled_from: datetime | None
    scheduled_to: datetime | None
    by: str
    kept: dict[str, Any] | None
    outcome: Result | None  # None: no attempt is shown with this move
    phase: str
    scope: str | None
    code: int | None
    enhanced: str | None
    reply: str | None
    seconds: dict[str, float]
    instead_code: str | None
    instead_values: dict[str, Any] | None

    def past_move(self) -> PastMove:
        return PastMove(
            id=self.id,
            at=self.at,
            move=self.move,
            from_status=self.from_status,
            to_status=self.to_status,
            reason=self.reason,
            why=reason_columns.read(self.reason, self.reason_code, self.reason_values),
            scheduled_from=self.scheduled_from,
            scheduled_to=self.scheduled_to,
            by=self.by,
            kept=self.kept,
            conversation=self._conversation(),
        )

    def _conversation(self) -> Conversation | None:
        if self.outcome is None:
            return None
        found = reason_columns.read(None, self.instead_code, self.instead_values)
        instead = found if isinstance(found, Reason) else None
        return Conversation(
            self.outcome, self.phase, self.scope, self.code, self.enhanced, self.reply, self.seconds, instead
        )


def of_email(email_id: int) -> list[PastMove]:
    """The e-mail's moves, in order; empty if there is no such e-mail."""
    return [row.past_move() for row in rows(_Row, HISTORY, (email_id,))]
