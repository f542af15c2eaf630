"""A campaign's letter becomes its first step: an e-mail is (campaign, lead, step).

The previous version reads the letter from `campaign`, and adds campaigns without steps. So the columns stay, nullable,
and two triggers keep the first step and the campaign in sync. Once no process of that version runs, a later migration
may drop the triggers with their functions, and campaign.subject, .text and .html.

Locks one table in use: campaign.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

STEPS = """
CREATE TABLE campaign_step (
    id bigserial PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    position integer NOT NULL CONSTRAINT positions_count_from_one CHECK (position >= 1),
    subject text NOT NULL,
    text text NOT NULL,
    html text
);
CREATE UNIQUE INDEX campaign_step_campaign_id_position ON campaign_step (campaign_id, position);
COMMENT ON CONSTRAINT positions_count_from_one ON campaign_step IS 'The first step is number 1.';
COMMENT ON INDEX campaign_step_campaign_id_position IS 'The steps of a campaign have one order.';
"""

# Each writes only differences, so that they do not trigger each other endlessly.
TRIGGERS = """
ALTER TABLE campaign ALTER COLUMN subject DROP NOT NULL, ALTER COLUMN text DROP NOT NULL;

CREATE OR REPLACE FUNCTION letter_of_campaign_to_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_step AS s (campaign_id, position, subject, text, html)
    VALUES (NEW.id, 1, NEW.subject, NEW.text, NEW.html)
    ON CONFLICT (campaign_id, position) DO UPDATE
    SET subject = EXCLUDED.subject, text = EXCLUDED.text, html = EXCLUDED.html
    WHERE (s.subject, s.text, s.html) IS DISTINCT FROM (EXCLUDED.subject, EXCLUDED.text, EXCLUDED.html);
    RETURN NULL;
END $$;
CREATE TRIGGER letter_of_campaign_to_step AFTER INSERT OR UPDATE OF subject, text, html ON campaign
FOR EACH ROW WHEN (NEW.subject IS NOT NULL AND NEW.text IS NOT NULL) EXECUTE FUNCTION letter_of_campaign_to_step();
COMMENT ON TRIGGER letter_of_campaign_to_step ON campaign IS 'The version before adds campaigns without steps.';

CREATE OR REPLACE FUNCTION letter_of_step_to_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE campaign SET subject = NEW.subject, text = NEW.text, html = NEW.html
    WHERE id = NEW.campaign_id AND (subject, text, html) IS DISTINCT FROM (NEW.subject, NEW.text, NEW.html);
    RETURN NULL;
END $$;
CREATE TRIGGER letter_of_step_to_campaign AFTER INSERT OR UPDATE ON campaign_step
FOR EACH ROW WHEN (NEW.position = 1) EXECUTE FUNCTION letter_of_step_to_campaign();
COMMENT ON TRIGGER letter_of_step_to_campaign ON campaign_step IS 'The version before reads the letter from campaign.';
"""

FILL = """
INSERT INTO campaign_step (campaign_id, position, subject, text, html)
SELECT id, 1, subject, text, html FROM campaign ORDER BY id
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE")
    run(STEPS)
    run(FILL)
    run(TRIGGERS)
