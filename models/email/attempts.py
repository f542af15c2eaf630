"""Attempts: one row for each conversation with a mail server, written in the statement that records its move.

Decisions use the columns only. The server's words are kept for people to read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from models.states import Result
from models.store import reason_columns
from models.store.recordable import recordable
from reasons import Code, Reason


@dataclass(frozen=True)
class Conversation:
    """How a conversation with a mail server ended."""

    result: Result
    phase: str  # the last one reached: compose, connect, tls, auth, mail, rcpt, data, body or dot
    scope: str | None = None  # whom the answer is about: lead, content, campaign, mailbox, unclear or worker
    code: int | None = None  # of the server's reply; None: none was read
    enhanced: str | None = None  # "5.1.1"
    reply: str | None = None  # the server's words, or `instead` in English
    seconds: Mapping[str, float] = field(default_factory=dict)  # by phase
    instead: Reason | None = field(default=None, compare=False)  # what happened without an answer, or what it means

    @property
    def answer(self) -> str:
        """The whole reply, as the server gave it."""
        return " ".join(str(part) for part in (self.code, self.enhanced, self.reply) if part)

    @property
    def reason(self) -> Reason:
        """The reason for a move that only the answer decided."""
        return self.instead or Reason(Code.ANSWER, answer=self.answer)


@dataclass(frozen=True)
class Copy:
    """A copy of an e-mail in its mailbox's Sent folder: as good a proof as an answer."""

    folder: str
    uid: int
    header: str  # the one that names the e-mail
    filed_at: datetime

    @property
    def reason(self) -> Reason:
        return Reason(Code.COPY_FOUND, folder=self.folder, header=self.header)

    def detail(self) -> dict[str, Any]:
        date = self.filed_at.isoformat()
        return {"folder": self.folder, "uid": self.uid, "header": self.header, "date": date}


@dataclass(frozen=True)
class Cited:
    """A message in the mailbox that names the e-mail: a reply, or a report about it. As good a proof as an answer."""

    folder: str
    uid: int
    header: str  # that names the e-mail
    received_at: datetime

    @property
    def reason(self) -> Reason:
        return Reason(Code.ANSWER_CITES, folder=self.folder, header=self.header)

    def detail(self) -> dict[str, Any]:
        date = self.received_at.isoformat()
        return {"folder": self.folder, "uid": self.uid, "header": self.header, "date": date}


NO_ANSWER = Conversation(Result.UNANSWERED, "dot")
WITHDRAWN = Conversation(Result.WITHDRAWN, "body")
# Proved by something other than the server's answer.
PROVED = Conversation(Result.ACCEPTED, "dot")


RECORD = """
INSERT INTO attempt AS a (email_id, claim_token, mailbox_id, outcome, phase, scope, code, enhanced, reply,
                          reason_code, reason_values, seconds, started_at)
SELECT id, token, mailbox_id, %(outcome)s, %(phase)s, %(scope)s, %(code)s, %(enhanced)s, %(reply)s, %(instead_code)s,
       %(instead_values)s, %(seconds)s, COALESCE(started_at, clock_timestamp())
FROM moved
ON CONFLICT (claim_token) DO UPDATE
SET outcome = excluded.outcome, phase = excluded.phase, scope = excluded.scope, code = excluded.code,
    enhanced = excluded.enhanced, reply = excluded.reply, reason_code = excluded.reason_code,
    reason_values = excluded.reason_values, ended_at = excluded.ended_at,
    seconds = CASE WHEN excluded.seconds = '{}' THEN a.seconds ELSE excluded.seconds END
WHERE a.outcome = 'unanswered' AND excluded.outcome <> 'unanswered'
"""


def values(it: Conversation) -> dict[str, Any]:
    """The parameters of RECORD other than email, token, mailbox and started_at."""
    return {
        "outcome": it.result,
        "phase": it.phase,
        "scope": it.scope,
        "code": it.code,
        "enhanced": recordable(it.enhanced),
        "reply": recordable(it.reply),
        "seconds": Json(dict(it.seconds)),
        **reason_columns.for_sql(it.instead, "instead"),
    }
