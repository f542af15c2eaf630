"""What becomes of sequences whose mailbox was taken from its campaign, and follow-ups whose wait was edited.

The version before knows neither. Its workers send nothing that would break them: the gates look at columns it knows.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

FORMER_MAILBOXES = """
CREATE TABLE former_mailbox (
    campaign_id bigint NOT NULL REFERENCES campaign (id) ON DELETE CASCADE,
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    removed_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    ends boolean NOT NULL DEFAULT false,
    goes_on_from_id bigint REFERENCES mailbox (id),
    decided_at timestamptz(3),
    PRIMARY KEY (campaign_id, mailbox_id),
    CONSTRAINT one_decision CHECK (NOT (ends AND goes_on_from_id IS NOT NULL) AND goes_on_from_id <> mailbox_id
        AND (decided_at IS NOT NULL) = (ends OR goes_on_from_id IS NOT NULL))
);
CREATE INDEX former_mailbox_mailbox_id ON former_mailbox (mailbox_id);
COMMENT ON CONSTRAINT one_decision ON former_mailbox IS
    'Its sequences end, or go on from another mailbox, or wait until a person decides.';
COMMENT ON INDEX former_mailbox_mailbox_id IS 'A look into an inbox asks which follow-ups wait for it.';
ALTER TABLE campaign_step ADD COLUMN moves boolean NOT NULL DEFAULT false;
"""
# Mailboxes that were taken from campaigns with follow-ups before there was this table.
TAKEN_BEFORE = """
INSERT INTO former_mailbox (campaign_id, mailbox_id)
SELECT DISTINCT q.campaign_id, q.mailbox_id FROM campaign c
JOIN campaign_email_queue q ON q.campaign_id = c.id
WHERE c.status IN ('active', 'paused')
  AND EXISTS (SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.position > 1)
  AND NOT EXISTS (SELECT FROM campaign_mailbox cm WHERE cm.campaign_id = c.id AND cm.mailbox_id = q.mailbox_id)
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(FORMER_MAILBOXES)
    run(TAKEN_BEFORE)
