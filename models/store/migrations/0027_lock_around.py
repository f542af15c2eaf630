"""A function that takes the locks around an e-mail in one round trip. The previous version does not use it."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# A function, because in a VOLATILE one each statement gets a new snapshot, taken after the preceding lock wait, and
# because its statements are planned once per session.
LOCK_AROUND = """
CREATE FUNCTION lock_around(wanted bigint) RETURNS SETOF campaign_email_queue LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    locked bigint;
    found_row campaign_email_queue;
BEGIN
    PERFORM FROM campaign
    WHERE id = (SELECT campaign_id FROM campaign_email_queue WHERE id = wanted) FOR NO KEY UPDATE;
    LOOP
        -- Read under the campaign's lock, without which no plan moves the mail to another mailbox: one mailbox locked
        -- in vain, and the right one after it, would break the order and deadlock against a plan of another campaign.
        SELECT mailbox_id INTO locked FROM campaign_email_queue WHERE id = wanted;
        PERFORM FROM mailbox WHERE id = locked FOR NO KEY UPDATE;
        SELECT * INTO found_row FROM campaign_email_queue WHERE id = wanted FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN;
        ELSIF found_row.mailbox_id = locked THEN
            RETURN NEXT found_row;
            RETURN;
        END IF;
    END LOOP;
END $$
"""
WHY = "The e-mail, with its campaign and its mailbox locked before it: the order in which everybody locks."


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("DROP FUNCTION IF EXISTS lock_around(bigint)")  # refers to tables that were moved aside
    run(LOCK_AROUND)
    run(f"COMMENT ON FUNCTION lock_around(bigint) IS '{WHY}'")
