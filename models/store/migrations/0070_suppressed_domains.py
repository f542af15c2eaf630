"""Suppressions of domains, and who suppressed an address, why, and which e-mail proves it.

The new columns are nullable and without defaults: added instantly, and ignored by the running previous version, which
does not know suppressed domains yet. No foreign key: creating one would lock a table in use, against the lock order.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

COLUMNS = """
ALTER TABLE suppression
    ADD COLUMN IF NOT EXISTS reason_code text,
    ADD COLUMN IF NOT EXISTS reason_values jsonb,
    ADD COLUMN IF NOT EXISTS by text,
    ADD COLUMN IF NOT EXISTS email_id bigint,
    ADD COLUMN IF NOT EXISTS proof text
"""
# The address itself, and '@' with its domain and each domain above it.
KEYS = """
CREATE OR REPLACE FUNCTION suppression_keys(address text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    keys text[] := ARRAY[address];
    rest text := split_part(address, '@', 2);
BEGIN
    WHILE rest <> '' LOOP
        keys := keys || ('@' || rest);
        EXIT WHEN strpos(rest, '.') = 0;
        rest := substr(rest, strpos(rest, '.') + 1);
    END LOOP;
    RETURN keys;
END $$
"""
WHY = "What may stand in suppression.address and keeps an address from being written to; domains begin with @."


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(COLUMNS)
    run(KEYS)
    run(f"COMMENT ON FUNCTION suppression_keys(text) IS '{WHY}'")
