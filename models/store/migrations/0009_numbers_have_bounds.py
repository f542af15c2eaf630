"""Bounds for limits, gaps, delays and counts, as CHECK constraints.

A value out of bounds is set to the nearest bound and recorded as a change, in the transaction that adds the constraint.
One table per transaction, so that no two locks are held at once. The tables are small. Nothing is replanned: a plan
made with a longer gap or delay also respects the shorter one.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

# GREATEST and LEAST treat NaN as the largest value, as the constraint's comparison does.
CAMPAIGN = """
LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE;
WITH bounded AS (
    SELECT id, delay_seconds, daily_limit, LEAST(GREATEST(delay_seconds, 0.001), 604800) AS delay,
           LEAST(GREATEST(daily_limit, 1), 1000000) AS daily
    FROM campaign
), changed AS (
    UPDATE campaign c SET delay_seconds = delay, daily_limit = daily, revision = revision + 1
    FROM bounded b WHERE b.id = c.id AND (b.delay_seconds, b.daily_limit) IS DISTINCT FROM (delay, daily)
    RETURNING b.*
)
INSERT INTO change (by, verb, campaign_id, values, reason)
SELECT 'migration', 'edit', id, jsonb_strip_nulls(jsonb_build_object(
           'delay_seconds', CASE WHEN delay_seconds <> delay THEN jsonb_build_array(delay_seconds, delay) END,
           'daily_limit', CASE WHEN daily_limit <> daily THEN jsonb_build_array(daily_limit, daily) END)),
       'beyond what a number may be' FROM changed ORDER BY id;
ALTER TABLE campaign DROP CONSTRAINT IF EXISTS pace_is_positive, DROP CONSTRAINT IF EXISTS pace_is_bounded,
    ADD CONSTRAINT pace_is_bounded
        CHECK (delay_seconds BETWEEN 0.001 AND 604800 AND daily_limit BETWEEN 1 AND 1000000);
COMMENT ON CONSTRAINT pace_is_bounded ON campaign IS
    'No plan can be made of a pace that is none, or that leads out of the calendar.'
"""

MAILBOX = """
LOCK TABLE mailbox IN ACCESS EXCLUSIVE MODE;
WITH bounded AS (
    SELECT id, gap_seconds, daily_limit, LEAST(GREATEST(gap_seconds, 0), 86400) AS gap,
           LEAST(GREATEST(daily_limit, 0), 1000000) AS daily
    FROM mailbox
), changed AS (
    UPDATE mailbox m SET gap_seconds = gap, daily_limit = daily, revision = revision + 1
    FROM bounded b WHERE b.id = m.id AND (b.gap_seconds, b.daily_limit) IS DISTINCT FROM (gap, daily)
    RETURNING b.*
)
INSERT INTO change (by, verb, mailbox_id, values, reason)
SELECT 'migration', 'edit', id, jsonb_strip_nulls(jsonb_build_object(
           'gap_seconds', CASE WHEN gap_seconds <> gap THEN jsonb_build_array(gap_seconds, gap) END,
           'daily_limit', CASE WHEN daily_limit <> daily THEN jsonb_build_array(daily_limit, daily) END)),
       'beyond what a number may be' FROM changed ORDER BY id;
ALTER TABLE mailbox DROP CONSTRAINT IF EXISTS limits_are_not_negative, DROP CONSTRAINT IF EXISTS limits_are_bounded,
    ADD CONSTRAINT limits_are_bounded
        CHECK (daily_limit BETWEEN 0 AND 1000000 AND gap_seconds BETWEEN 0 AND 86400);
COMMENT ON CONSTRAINT limits_are_bounded ON mailbox IS
    'A limit or a gap below zero would let everything through; one beyond all measure leads out of the calendar.'
"""

# Nothing is replanned: the count is above the daily limit either way.
WARMUP = """
LOCK TABLE warmup_count IN ACCESS EXCLUSIVE MODE;
WITH changed AS (
    UPDATE warmup_count w SET count = 1000000 FROM warmup_count b
    WHERE b.mailbox_id = w.mailbox_id AND b.day = w.day AND b.count > 1000000
    RETURNING w.mailbox_id, w.day, b.count
)
INSERT INTO change (by, verb, mailbox_id, values, reason)
SELECT 'migration', 'edit', mailbox_id, jsonb_build_object('warmup ' || day, jsonb_build_array(count, 1000000)),
       'beyond what a number may be' FROM changed ORDER BY mailbox_id, day;
ALTER TABLE warmup_count DROP CONSTRAINT IF EXISTS count_is_not_negative, DROP CONSTRAINT IF EXISTS count_is_bounded,
    ADD CONSTRAINT count_is_bounded CHECK (count BETWEEN 0 AND 1000000);
COMMENT ON CONSTRAINT count_is_bounded ON warmup_count IS
    'Warm-up mails are counted, and summed with others in the same type.'
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for table in (CAMPAIGN, MAILBOX, WARMUP):
        with db.atomic():
            for statement in table.split(";\n"):
                run(statement)
