"""Finds leads by a part of their address, name or company. The previous version is not affected.

An index of trigrams, made with what every Postgres has (pg_trgm is not part of all installations). It costs more than
importing the leads does, so an import only notes its leads in lead_search_backlog, and the tick fills lead_search. The
triggers also note what the previous version imports, and keep what is found of a lead that is changed or forgotten.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Standard bodies, which are bound to what they name when they are created: a restore runs without a search path.
SCHEMA = r"""
CREATE OR REPLACE FUNCTION search_text(written text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    lower(translate(
        normalize(written, NFKD),
        'ŁłØøĐđ' || U&'\0300\0301\0302\0303\0304\0306\0307\0308\030A\030B\030C\0326\0327\0328', 'LlOoDd'
    ));
COMMENT ON FUNCTION search_text IS 'In lower case and without diacritics.';

CREATE OR REPLACE FUNCTION lead_words(address text, fields jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN starts_with(address, 'forgotten:') THEN ''
         ELSE search_text(address || ' ' || COALESCE((
             SELECT string_agg(value, ' ') FROM jsonb_each_text(fields) WHERE length(value) <= 100), ''))
    END;
COMMENT ON FUNCTION lead_words IS 'What a lead is found by. Longer fields are no names.';

CREATE OR REPLACE FUNCTION search_grams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    ARRAY(
        SELECT gram FROM (
            SELECT substr(words, place, 3) AS gram FROM generate_series(1, length(words) - 2) AS place
        ) AS each WHERE position(' ' IN gram) = 0
    );
COMMENT ON FUNCTION search_grams IS 'The trigrams of each word.';

CREATE TABLE lead_search (
    campaign_lead_id bigint PRIMARY KEY REFERENCES campaign_lead (id) ON DELETE CASCADE,
    words text NOT NULL
);
COMMENT ON TABLE lead_search IS 'What the leads are found by.';
CREATE INDEX lead_search_grams ON lead_search USING gin (search_grams(words));
COMMENT ON INDEX lead_search_grams IS 'Finds a part of a word.';

CREATE TABLE lead_search_backlog (
    id bigserial PRIMARY KEY,
    first_id bigint NOT NULL,
    last_id bigint NOT NULL
);
COMMENT ON TABLE lead_search_backlog IS 'Ranges of campaign_lead whose rows lead_search may lack.';

CREATE OR REPLACE FUNCTION note_new_leads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lead_search_backlog (first_id, last_id) SELECT min(id), max(id) FROM new_leads HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER note_new_leads AFTER INSERT ON campaign_lead REFERENCING NEW TABLE AS new_leads
    FOR EACH STATEMENT EXECUTE FUNCTION note_new_leads();
COMMENT ON TRIGGER note_new_leads ON campaign_lead IS 'Has the tick make them searchable.';

CREATE OR REPLACE FUNCTION search_changed_leads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE lead_search s SET words = lead_words(l.address, l.fields)
    FROM changed_leads l WHERE s.campaign_lead_id = l.id;
    RETURN NULL;
END $$;
CREATE TRIGGER search_changed_leads AFTER UPDATE ON campaign_lead REFERENCING NEW TABLE AS changed_leads
    FOR EACH STATEMENT EXECUTE FUNCTION search_changed_leads();
COMMENT ON TRIGGER search_changed_leads ON campaign_lead IS 'Nobody is found by what they were called before.';

-- After the trigger, which sees whatever is committed later.
INSERT INTO lead_search_backlog (first_id, last_id) SELECT min(id), max(id) FROM campaign_lead HAVING count(*) > 0;
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(SCHEMA)
