"""An e-mail refers to its step, and to the e-mail before it.

The columns are added empty, which is instant; the next migration fills them. The previous version plans e-mails without
a step: a trigger sets their campaign's first step. Once no process of that version runs, a later migration may drop the
trigger with its function.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

COLUMNS = """
ALTER TABLE campaign_email_queue
    ADD COLUMN step_id bigint REFERENCES campaign_step (id),
    ADD COLUMN predecessor_id bigint REFERENCES campaign_email_queue (id);

CREATE OR REPLACE FUNCTION email_of_the_first_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.step_id := (SELECT id FROM campaign_step WHERE campaign_id = NEW.campaign_id AND position = 1);
    RETURN NEW;
END $$;
CREATE TRIGGER email_of_the_first_step BEFORE INSERT ON campaign_email_queue
FOR EACH ROW WHEN (NEW.step_id IS NULL) EXECUTE FUNCTION email_of_the_first_step();
COMMENT ON TRIGGER email_of_the_first_step ON campaign_email_queue IS 'The version before plans without steps.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(COLUMNS)
