"""Closed days: Polish public holidays, days frozen for all campaigns, and a campaign's last day.

Campaigns that exist go on sending on holidays, as they were started; new ones say what they do. A constant default is
added instantly. Workers of the previous version know nothing of closed days: they send only what is planned, and
nothing is planned on such a day.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

CLOSED_DAYS = """
ALTER TABLE campaign ADD COLUMN send_on_holidays boolean NOT NULL DEFAULT true;
ALTER TABLE campaign ADD COLUMN last_day date;
CREATE TABLE frozen_days (
    id bigserial PRIMARY KEY,
    first_day date NOT NULL,
    last_day date NOT NULL,
    reason text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT days_are_in_order CHECK (first_day <= last_day AND last_day - first_day < 366)
);
COMMENT ON CONSTRAINT days_are_in_order ON frozen_days
    IS 'Days end after they begin, and within a year, so that a campaign always has a next opening to look for.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(CLOSED_DAYS)
