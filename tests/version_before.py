"""A database as the version before leaves it, with rows in every state, and the statements by which it goes on.

Its last migration is LAST. The statements are that version's own: it reads and writes with them beside a newer one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from playhouse.migrations import Runner

from models.store import database, migrate
from tests import servers

LAST = "0017_deferred_by_campaign"

CAMPAIGN_STATES = ("active", "draft", "paused", "completed", "cancelled")
# The state of an e-mail -> the moves that led to it, each with the status that it ended in.
EMAILS: dict[str, list[tuple[str, str]]] = {
    "pending": [("plan", "pending")],
    "moved": [("plan", "pending"), ("replan", "pending")],
    "deferred": [("plan", "pending"), ("claim", "sending"), ("hand_over", "sending"), ("retry", "pending")],
    "claimed": [("plan", "pending"), ("claim", "sending")],
    "handed over": [("plan", "pending"), ("claim", "sending"), ("hand_over", "sending")],
    "sent": [("plan", "pending"), ("claim", "sending"), ("hand_over", "sending"), ("accept", "sent")],
    "failed": [("plan", "pending"), ("claim", "sending"), ("hand_over", "sending"), ("reject", "failed")],
    "unknown": [("plan", "pending"), ("claim", "sending"), ("hand_over", "sending"), ("doubt", "unknown")],
    "cancelled": [("plan", "pending"), ("cancel", "cancelled")],
}

ADD_MAILBOXES = """
INSERT INTO mailbox (address, smtp_host, smtp_port, smtp_security, daily_limit, gap_seconds, status, faults,
                     closed_until, closed_reason)
VALUES ('ola@sender.example', '127.0.0.1', 2525, 'none', 1000, 0, 'active', 0, NULL, NULL),
       ('jan@sender.example', '127.0.0.1', 2525, 'none', 1000, 0, 'active', 1, now() + interval '1 hour', '535 no'),
       ('ewa@sender.example', '127.0.0.1', 2525, 'none', 1000, 0, 'paused', 0, NULL, NULL)
"""
ADD_CAMPAIGN = """
WITH added AS (
    INSERT INTO campaign (name, subject, text, html, window_start_minute, window_end_minute, weekdays, delay_seconds,
                          daily_limit, status, watched_from)
    VALUES (%(name)s, %(subject)s, %(text)s, %(html)s, 0, 1440, '{0,1,2,3,4,5,6}', 1, 1000, %(status)s, now())
    RETURNING id
), linked AS (
    INSERT INTO campaign_mailbox (campaign_id, mailbox_id) SELECT added.id, mailbox.id FROM added, mailbox
)
SELECT id FROM added
"""
ADD_LEAD = """
WITH person AS (INSERT INTO lead (address) VALUES (%(address)s) RETURNING id)
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT %(campaign)s, id, id, %(address)s, '{}' FROM person RETURNING id
"""
ADD_EMAIL = """
INSERT INTO campaign_email_queue
    (campaign_id, campaign_lead_id, mailbox_id, status, scheduled_at, attempts, message_id, claim_token, claimed_at,
     worker_host, worker_pid, worker_started_at, handed_over_at, sent_at, error, deferred_since)
SELECT %(campaign)s, %(lead)s, %(mailbox)s, %(status)s, date_trunc('milliseconds', now()), %(attempts)s,
       '<' || gen_random_uuid() || '@sender.example>', CASE WHEN %(held)s THEN %(token)s::uuid END,
       CASE WHEN %(held)s THEN now() END, CASE WHEN %(held)s THEN 'host' END, CASE WHEN %(held)s THEN 42 END,
       CASE WHEN %(held)s THEN 1.5 END, CASE WHEN %(held)s AND %(handed_over)s THEN now() END,
       CASE WHEN %(status)s = 'sent' THEN now() END, CASE WHEN %(status)s <> 'sent' THEN 'as it was' END,
       CASE WHEN %(attempts)s > 0 AND %(status)s = 'pending' THEN now() END
RETURNING id
"""
ADD_HISTORY = """
INSERT INTO email_history (email_id, move, from_status, to_status, reason, scheduled_from, scheduled_to, mailbox_id,
                           claim_token, by, detail)
SELECT id, %(move)s, %(before)s, %(after)s, 'as it was',
       CASE WHEN %(before)s::text IS NOT NULL THEN scheduled_at END, scheduled_at, mailbox_id,
       CASE WHEN %(held)s THEN %(token)s::uuid END, 'host:42',
       CASE WHEN %(move)s = 'hand_over' THEN '{"campaign_used": 0, "campaign_limit": 1000, "mailbox_used": 0,
                                               "mailbox_limit": 1000}'::jsonb END
FROM campaign_email_queue WHERE id = %(email)s
"""
ADD_CONTENT = """
INSERT INTO email_content (email_id, claim_token, content) VALUES (%(email)s, %(token)s, 'Subject: as it was')
"""
RECORD_COMPLETION = """
INSERT INTO change (by, verb, campaign_id, values)
SELECT 'tick', 'complete', id, '{"status": ["active", "completed"], "leads_left_out": [0, 1]}'
FROM campaign WHERE status = 'completed'
"""

PLAN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, mailbox_id, scheduled_at)
), planned AS (
    INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, mailbox_id, scheduled_at, message_id)
    SELECT %(campaign)s, slot.campaign_lead_id, slot.mailbox_id, slot.scheduled_at,
           '<' || gen_random_uuid() || '@' || split_part(m.address, '@', 2) || '>'
    FROM slot JOIN mailbox m ON m.id = slot.mailbox_id
    ORDER BY slot.scheduled_at
    ON CONFLICT (campaign_id, campaign_lead_id) DO NOTHING
    RETURNING id, mailbox_id, scheduled_at
)
INSERT INTO email_history (email_id, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, 'plan', 'pending', scheduled_at, mailbox_id, 'planner' FROM planned ORDER BY id
"""
LETTER = """
SELECT c.subject, c.text, c.html FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id WHERE q.id = %s
"""


@contextmanager
def installed(postgres: str, last: str = LAST) -> Iterator[None]:
    """Use an empty database, migrated up to this migration, until the block ends."""
    name = f"before_{servers.PROCESS}"
    with servers.working_on(postgres):
        database.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        with servers.working_on(servers.at_database(postgres, name)):
            up_to(last)
            yield
    finally:
        with servers.working_on(postgres):
            database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def up_to(migration: str) -> None:
    """Apply the migrations that are missing, up to and with this one."""
    Runner(database.database, str(migrate.FOLDER)).up(migration)
    database.close()  # with what they set in its session


def filled() -> dict[str, int]:
    """Put rows in every state into it. Returns the state of an e-mail of the active campaign -> the e-mail's id."""
    database.execute(ADD_MAILBOXES)
    ids: dict[str, int] = {}
    for status in CAMPAIGN_STATES:
        campaign_id = a_campaign(status, html="<p>Hello</p>" if status == "paused" else None)
        if status == "active":
            ids = {state: _an_email(campaign_id, state) for state in EMAILS}
        elif status != "draft":
            for state in ("sent", "failed", "cancelled", *(["pending"] if status == "paused" else [])):
                _an_email(campaign_id, state)
        a_lead(campaign_id)
    database.execute(RECORD_COMPLETION)
    return ids


def a_campaign(status: str = "active", html: str | None = None) -> int:
    values = {"name": f"{status} {uuid4()}", "subject": f"Of the {status}", "text": "Hello", "html": html}
    return int(database.fetch(ADD_CAMPAIGN, values | {"status": status})[0][0])


def a_lead(campaign_id: int) -> int:
    """Add a lead without an e-mail."""
    values = {"address": f"{uuid4()}@leads.example", "campaign": campaign_id}
    return int(database.fetch(ADD_LEAD, values)[0][0])


def plans(campaign_id: int, lead_id: int) -> int:
    """Plan a lead as the planner of that version does. Returns the number of e-mails."""
    at = database.clock()
    return database.execute(PLAN, {"campaign": campaign_id, "leads": [lead_id], "mailboxes": [1], "times": [at]})


def letter(email_id: int) -> tuple[str, str, str | None]:
    """What a worker of that version would send."""
    [found] = database.fetch(LETTER, (email_id,))
    return found


def token_of(email_id: int) -> UUID:
    return UUID(str(database.fetch("SELECT claim_token FROM campaign_email_queue WHERE id = %s", (email_id,))[0][0]))


def _an_email(campaign_id: int, state: str) -> int:
    moves, token = EMAILS[state], str(uuid4())
    status = moves[-1][1]
    names = [move for move, _ in moves]
    values: dict[str, Any] = {
        "campaign": campaign_id,
        "lead": a_lead(campaign_id),
        "mailbox": 2 if state == "handed over" else 1,  # a mailbox sends one at a time
        "status": status,
        "attempts": int("retry" in names or status in ("sent", "failed")),
        "held": status in ("sending", "sent", "failed", "unknown"),
        "handed_over": "hand_over" in names,
        "token": token,
    }
    email_id = int(database.fetch(ADD_EMAIL, values)[0][0])
    before: str | None = None
    for move, after in moves:
        held = {"held": move not in ("plan", "replan", "cancel"), "token": token}
        database.execute(ADD_HISTORY, {"email": email_id, "move": move, "before": before, "after": after, **held})
        before = after
    if "hand_over" in names:
        database.execute(ADD_CONTENT, {"email": email_id, "token": token})
    return email_id
