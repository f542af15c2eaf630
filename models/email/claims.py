"""A claim: which worker made it, the token every later move must name, and everything needed to send the e-mail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from models.store.installation import HistoryPosition


@dataclass(frozen=True)
class Worker:
    """The process that claims. Its start time tells it from a later process with the same pid."""

    host: str
    pid: int
    started_at: float  # seconds since the epoch

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


@dataclass(frozen=True)
class Held:
    """A claimed e-mail and its token, which every later move must name."""

    email_id: int
    token: UUID
    by: str


@dataclass(frozen=True)
class Access:
    """A mailbox's OAuth2 access token as stored."""

    token_encrypted: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True)
class Attempt:
    """What is needed to record an attempt's outcome."""

    held: Held
    campaign_id: int
    mailbox_id: int
    attempts: int  # made before this one


@dataclass(frozen=True)
class Claim(Attempt):
    """A claimed e-mail with everything needed to send it."""

    campaign_lead_id: int
    step_id: int
    step: int  # its position: 1 for a lead's first e-mail
    scheduled_at: datetime
    started_at: datetime
    history_id: int  # of the claim's row in email_history
    history_at: str
    message_id: str
    subject: str | None  # None: it continues the thread of the letters before it
    text: str
    html: str | None
    recipient: str
    person: str  # the recipient's address, normalised
    fields: Mapping[str, str]
    sender: str
    sender_name: str
    one_click: bool  # its mailbox may offer one-click unsubscribing
    smtp_host: str
    smtp_port: int
    smtp_security: str
    username: str | None
    password_encrypted: str | None = field(repr=False)
    access_token_encrypted: str | None = field(default=None, repr=False)  # of a mailbox with OAuth2
    access_ends_at: datetime | None = None
    # Of a step without a subject: the thread that it continues, back to the last letter with a subject of its own.
    thread_ids: Sequence[str] | None = None  # Message-IDs as they went over the wire, the oldest first
    thread_first_id: str | None = None  # of its first letter, as we gave it
    thread_subject: str | None = None  # its first letter's template
    thread_head: memoryview | None = field(default=None, repr=False)  # its first letter's headers, as handed over

    @property
    def access(self) -> Access | None:
        """The mailbox's access token. None if it has a password or no login."""
        if self.access_token_encrypted is None or self.access_ends_at is None:
            return None
        return Access(self.access_token_encrypted, self.access_ends_at)

    @property
    def history_position(self) -> HistoryPosition:
        """The claim's row in email_history."""
        return HistoryPosition(self.history_id, self.held.email_id, self.history_at)


# For a row `s` of campaign_step: the subject of the letters that it answers.
EARLIER_SUBJECT = """
(SELECT e.subject FROM campaign_step e
 WHERE e.campaign_id = s.campaign_id AND e.position < s.position AND e.subject IS NOT NULL AND e.removed_at IS NULL
 ORDER BY e.position DESC LIMIT 1)
"""
# For a row `q` of {emails} with its step `s`: from a follow-up's predecessor back to the first letter of their thread;
# nothing for a step with a subject, or where a follow-up goes on from another mailbox: it begins a thread.
THREAD = f"""
(WITH RECURSIVE before AS (
    SELECT p.id, p.predecessor_id, p.mailbox_id, p.message_id, p.wire_message_id, ps.subject, 1 AS back
    FROM {{emails}} p JOIN campaign_step ps ON ps.id = p.step_id
    WHERE p.id = q.predecessor_id AND p.mailbox_id = q.mailbox_id AND s.subject IS NULL
    UNION ALL
    SELECT p.id, p.predecessor_id, p.mailbox_id, p.message_id, p.wire_message_id, ps.subject, before.back + 1
    FROM before
    JOIN {{emails}} p ON p.id = before.predecessor_id AND p.mailbox_id = before.mailbox_id
        AND before.subject IS NULL
    JOIN campaign_step ps ON ps.id = p.step_id
)
SELECT array_agg(COALESCE(wire_message_id, message_id) ORDER BY back DESC) AS ids,
       (array_agg(message_id ORDER BY back DESC))[1] AS first_id,
       COALESCE((array_agg(subject ORDER BY back DESC))[1], {EARLIER_SUBJECT}) AS subject,
       (SELECT substr(e.content, 1, 16384) FROM email_content e
        WHERE e.email_id = (array_agg(before.id ORDER BY back DESC))[1]) AS head
 FROM before HAVING count(*) > 0)
"""  # noqa: S608  # only our own words
# For such a row with its thread. NULL: it continues that.
SUBJECT = f"COALESCE(s.subject, CASE WHEN thread.ids IS NULL THEN {EARLIER_SUBJECT} END)"
# What mail.compose takes of a thread.
THREAD_COLUMNS = """
thread.ids AS thread_ids, thread.first_id AS thread_first_id, thread.subject AS thread_subject,
thread.head AS thread_head
"""
# A claimed e-mail, read after the claim's commit.
CLAIMED = f"""
SELECT q.campaign_id, q.mailbox_id, q.attempts, q.campaign_lead_id, s.id AS step_id, s.position AS step,
       q.scheduled_at, q.claimed_at AS started_at, recorded.id AS history_id, recorded.at::text AS history_at,
       q.message_id, {SUBJECT} AS subject,
       s.text, s.html, cl.address AS recipient, p.address AS person, cl.fields, m.address AS sender,
       m.name AS sender_name, m.one_click, m.smtp_host, m.smtp_port, m.smtp_security, m.username,
       m.password_encrypted, o.access_token_encrypted, o.access_ends_at, {THREAD_COLUMNS}
FROM campaign_email_queue q
JOIN email_history recorded
  ON recorded.email_id = q.id AND recorded.claim_token = q.claim_token AND recorded.move = 'claim'
JOIN campaign_step s ON s.id = q.step_id
JOIN campaign_lead cl ON cl.id = q.campaign_lead_id
JOIN lead p ON p.id = cl.lead_id
JOIN mailbox m ON m.id = q.mailbox_id
LEFT JOIN mailbox_authorization o ON o.mailbox_id = m.id
LEFT JOIN LATERAL {THREAD.format(emails="campaign_email_queue")} thread ON q.predecessor_id IS NOT NULL
WHERE q.id = %(email)s AND q.claim_token = %(token)s::uuid
"""  # noqa: S608  # only our own words
