"""Attempts as rows: a server's answer is in columns instead of a move's detail.

The previous version keeps it only in `email_history.detail`. A trigger writes the attempts of its workers while they
still run, and existing moves are converted in batches. Once no process of that version runs, a later one may remove the
trigger, these moves' `detail`, and the code that writes it.

Not in one transaction; each statement can be repeated after a failure: see 0006.
"""

from collections.abc import Callable
from typing import Any

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

_AT_ONCE = 5000  # moves

# Foreign keys separately: one table in use at a time.
TABLE = """
CREATE TABLE IF NOT EXISTS attempt (
    id bigserial PRIMARY KEY,
    email_id bigint NOT NULL,
    claim_token uuid NOT NULL,
    mailbox_id bigint NOT NULL,
    outcome text NOT NULL CONSTRAINT outcome_is_known
        CHECK (outcome IN ('accepted', 'deferred', 'refused', 'unanswered', 'withdrawn')),
    phase text NOT NULL,
    scope text,
    code integer,
    enhanced text,
    reply text,
    reason_code text,
    reason_values jsonb,
    seconds jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz(3) NOT NULL,
    ended_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT no_is_about_somebody CHECK (outcome NOT IN ('deferred', 'refused') OR scope IS NOT NULL)
);
ALTER TABLE attempt DROP CONSTRAINT IF EXISTS attempt_email_id_fkey;
ALTER TABLE attempt ADD CONSTRAINT attempt_email_id_fkey FOREIGN KEY (email_id) REFERENCES campaign_email_queue (id);
ALTER TABLE attempt DROP CONSTRAINT IF EXISTS attempt_mailbox_id_fkey;
ALTER TABLE attempt ADD CONSTRAINT attempt_mailbox_id_fkey FOREIGN KEY (mailbox_id) REFERENCES mailbox (id);
CREATE UNIQUE INDEX IF NOT EXISTS attempt_claim_token ON attempt (claim_token);
CREATE INDEX IF NOT EXISTS attempt_email_id_ended_at_id ON attempt (email_id, ended_at, id);
CREATE INDEX IF NOT EXISTS failed_attempts_by_mailbox ON attempt (mailbox_id, ended_at, id)
    WHERE outcome IN ('deferred', 'refused', 'unanswered')
"""
REASONS = {
    "CONSTRAINT outcome_is_known ON attempt": "How a conversation can end, and no other way.",
    "CONSTRAINT no_is_about_somebody ON attempt": "Whom a no is about decides whom it counts against.",
    "INDEX attempt_claim_token": "A claim has one attempt at the most, however often its outcome is recorded.",
    "INDEX attempt_email_id_ended_at_id": "The attempts to send a mail, in order.",
    "INDEX failed_attempts_by_mailbox": "What a mailbox's server last answered instead of yes.",
}

# For moves `h` as recorded by the previous version. A refusal blamed on the mailbox is still a refusal.
ATTEMPTS = """
INSERT INTO attempt AS a (email_id, claim_token, mailbox_id, outcome, phase, scope, code, enhanced, reply, seconds,
                          started_at, ended_at)
SELECT DISTINCT ON (h.claim_token) h.email_id, h.claim_token, h.mailbox_id, told.outcome,
       COALESCE(h.detail->>'phase', CASE told.outcome WHEN 'withdrawn' THEN 'body' ELSE 'dot' END),
       CASE WHEN told.outcome IN ('deferred', 'refused') THEN COALESCE(h.detail->>'scope', 'unclear') END,
       CASE WHEN jsonb_typeof(h.detail->'code') = 'number' THEN (h.detail->'code')::numeric::int END,
       h.detail->>'enhanced', h.detail->>'reply', COALESCE(h.detail->'seconds', '{}'),
       COALESCE((SELECT min(c.at) FROM email_history c
                 WHERE c.email_id = h.email_id AND c.claim_token = h.claim_token AND c.move = 'claim'), h.at),
       h.at
FROM MOVES h CROSS JOIN LATERAL (SELECT CASE
    WHEN h.move = 'accept' THEN 'accepted'
    WHEN h.move = 'doubt' THEN 'unanswered'
    WHEN h.move = 'reject' THEN CASE WHEN starts_with(h.reason, 'gave up after ') THEN 'deferred' ELSE 'refused' END
    WHEN h.move = 'release' AND NOT h.detail ? 'scope' THEN 'withdrawn'
    WHEN h.move = 'release' AND h.detail->>'scope' IN ('lead', 'content') AND h.detail->'code' >= '500' THEN 'refused'
    ELSE 'deferred' END AS outcome) told
WHERE h.claim_token IS NOT NULL
  AND (h.move IN ('accept', 'reject', 'retry', 'doubt') OR (h.move = 'release' AND h.detail IS NOT NULL))
  AND BETWEEN_THEM
ORDER BY h.claim_token, h.id DESC
ON CONFLICT (claim_token) DO UPDATE
SET outcome = excluded.outcome, phase = excluded.phase, scope = excluded.scope, code = excluded.code,
    enhanced = excluded.enhanced, reply = excluded.reply, ended_at = excluded.ended_at,
    seconds = CASE WHEN excluded.seconds = '{}' THEN a.seconds ELSE excluded.seconds END
WHERE a.outcome = 'unanswered' AND excluded.outcome <> 'unanswered'
"""


def _attempts(moves: str, which: str = "true") -> str:
    return ATTEMPTS.replace("MOVES", moves).replace("BETWEEN_THEM", which)


TRIGGER = f"""
CREATE OR REPLACE FUNCTION record_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{_attempts("(SELECT NEW.*)")};
RETURN NULL;
END $$
"""
WHEN = """
CREATE OR REPLACE TRIGGER record_attempt AFTER INSERT ON email_history FOR EACH ROW
WHEN (NEW.move IN ('accept', 'reject', 'retry', 'release', 'doubt')) EXECUTE FUNCTION record_attempt()
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for statement in TABLE.split(";"):
        run(statement)
    for thing, reason in REASONS.items():
        run(f"COMMENT ON {thing} IS %s", (reason,))
    run(TRIGGER)
    # Waits for moves being recorded: later ones are caught by the trigger, earlier ones by the batches below.
    run(WHEN)
    _fill(db)


def _fill(db: PostgresqlDatabase) -> None:
    run: Callable[..., Any] = db.execute_sql
    last = run("SELECT COALESCE(max(id), 0) FROM email_history").fetchone()[0]
    query = _attempts("email_history", "h.id > %s AND h.id <= %s")
    for after in range(0, last, _AT_ONCE):
        run(query, (after, after + _AT_ONCE))
