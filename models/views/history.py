"""The past of one e-mail: each move, and the attempt that it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.email.attempts import Conversation
from models.email.states import Result
from models.store.database import fetch


@dataclass(frozen=True)
class PastMove:
    id: int
    at: datetime
    move: str
    from_status: str | None
    to_status: str
    reason: str | None
    scheduled_from: datetime | None
    scheduled_to: datetime | None
    by: str
    kept: dict[str, Any] | None  # the numbers of a hand-over, or where a copy was found
    conversation: Conversation | None  # with a mail server, that it ended

    @property
    def detail(self) -> dict[str, Any] | None:
        told = self.conversation.detail() if self.conversation else None
        return told or self.kept


# An attempt stands beside the last of the moves that tell of it: late proof has more to say than the doubt before it.
HISTORY = """
SELECT h.id, h.at, h.move, h.from_status, h.to_status, h.reason, h.scheduled_from, h.scheduled_to, h.by, h.detail,
       a.outcome, a.phase, a.scope, a.code, a.enhanced, a.reply, a.seconds
FROM (
    SELECT *, CASE WHEN move IN ('accept', 'reject', 'retry', 'release', 'doubt')
                   THEN max(id) FILTER (WHERE move IN ('accept', 'reject', 'retry', 'release', 'doubt')) OVER of_token
              END AS last_of_token
    FROM email_history WHERE email_id = %s WINDOW of_token AS (PARTITION BY claim_token)
) h
LEFT JOIN attempt a ON a.claim_token = h.claim_token AND h.id = h.last_of_token
ORDER BY h.id
"""


def of_email(email_id: int) -> list[PastMove]:
    return [_past_move(*row) for row in fetch(HISTORY, (email_id,))]


def _past_move(*row: Any) -> PastMove:
    move, (result, *told) = row[:10], row[10:]
    return PastMove(*move, Conversation(Result(result), *told) if result else None)
