"""What comes back: how far inboxes are read, what was found in them, and which leads are held because of it.

Nullable columns and columns with a constant default: added instantly, and ignored by the running previous version,
which still sends to held leads. Not in one transaction; each statement can be repeated after a failure: see 0006.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

COLUMNS = (
    "ALTER TABLE campaign ADD COLUMN IF NOT EXISTS stop_in_all_campaigns boolean NOT NULL DEFAULT false,"
    " ADD COLUMN IF NOT EXISTS stop_colleagues boolean NOT NULL DEFAULT false",
    "ALTER TABLE campaign_email_queue ADD COLUMN IF NOT EXISTS not_before timestamptz(3)",
)
# Foreign keys separately: one table in use at a time.
TABLES = """
CREATE TABLE IF NOT EXISTS inbox (
    mailbox_id bigint PRIMARY KEY,
    asked_at timestamptz(3),
    started_at timestamptz(3),
    read_at timestamptz(3),
    failures integer NOT NULL DEFAULT 0 CONSTRAINT failures_are_not_negative CHECK (failures >= 0),
    failed_at timestamptz(3),
    failed_step text,
    failed_reason text
);
CREATE TABLE IF NOT EXISTS inbox_cursor (
    mailbox_id bigint NOT NULL,
    folder text NOT NULL,
    uidvalidity bigint NOT NULL,
    last_uid bigint NOT NULL DEFAULT 0 CONSTRAINT uids_are_not_negative CHECK (last_uid >= 0),
    since date NOT NULL,
    updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (mailbox_id, folder, uidvalidity)
);
CREATE TABLE IF NOT EXISTS incoming (
    id bigserial PRIMARY KEY,
    mailbox_id bigint NOT NULL,
    folder text NOT NULL,
    uidvalidity bigint NOT NULL,
    uid bigint NOT NULL,
    digest text NOT NULL,
    message_id text,
    received_at timestamptz(3) NOT NULL,
    read_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    class text NOT NULL,
    kind text,
    status text,
    rule text NOT NULL,
    read_as text NOT NULL,
    sender text NOT NULL,
    subject text NOT NULL,
    excerpt text NOT NULL,
    returns_on date,
    email_id bigint,
    campaign_id bigint,
    lead_id bigint,
    matched_by text,
    suppressed text,
    evidence jsonb NOT NULL,
    corrected_at timestamptz(3),
    corrected_by text,
    CONSTRAINT class_is_known CHECK
        (class IN ('human', 'automatic', 'bounce', 'complaint', 'unsubscribe', 'unclear', 'other')),
    CONSTRAINT bounce_has_its_kind CHECK
        (class <> 'bounce' OR (kind IS NOT NULL AND kind IN ('address', 'policy', 'temporary')))
);
CREATE TABLE IF NOT EXISTS hold (
    id bigserial PRIMARY KEY,
    lead_id bigint NOT NULL,
    campaign_id bigint,
    incoming_id bigint NOT NULL,
    stops boolean NOT NULL,
    until timestamptz(3),
    reason text NOT NULL,
    reason_code text,
    reason_values jsonb,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    lifted_at timestamptz(3),
    CONSTRAINT a_stop_has_no_end CHECK (NOT stops OR until IS NULL)
)
"""
KEYS = {
    "inbox": {"mailbox_id": "mailbox"},
    "inbox_cursor": {"mailbox_id": "mailbox"},
    "incoming": {
        "mailbox_id": "mailbox",
        "email_id": "campaign_email_queue",
        "campaign_id": "campaign",
        "lead_id": "lead",
    },
    "hold": {"lead_id": "lead", "campaign_id": "campaign", "incoming_id": "incoming"},
}
INDEXES = {
    "incoming_mailbox_id_digest": "UNIQUE INDEX {} ON incoming (mailbox_id, digest)",
    "incoming_mailbox_id_folder_uidvalidity_uid": "UNIQUE INDEX {} ON incoming (mailbox_id, folder, uidvalidity, uid)",
    "incoming_by_email": "INDEX {} ON incoming (email_id, id) WHERE email_id IS NOT NULL",
    "incoming_by_lead": "INDEX {} ON incoming (lead_id, id) WHERE lead_id IS NOT NULL",
    "incoming_by_campaign": "INDEX {} ON incoming (campaign_id, class, id) WHERE campaign_id IS NOT NULL",
    "incoming_unclear": "INDEX {} ON incoming (id) WHERE class = 'unclear'",
    "complaints_by_time": "INDEX {} ON incoming (received_at) WHERE class = 'complaint'",
    "hold_of_lead": "INDEX {} ON hold (lead_id) WHERE lifted_at IS NULL",
    "hold_of_incoming": "INDEX {} ON hold (incoming_id)",
}
REASONS = {
    "CONSTRAINT failures_are_not_negative ON inbox": "Looks that failed are counted up from zero.",
    "CONSTRAINT uids_are_not_negative ON inbox_cursor": "UIDs are positive; 0: nothing has been read.",
    "CONSTRAINT class_is_known ON incoming": "What came back is one of these, or other.",
    "CONSTRAINT bounce_has_its_kind ON incoming": "Only a bounce of the address suppresses it.",
    "CONSTRAINT a_stop_has_no_end ON hold": "A lead is stopped for good, or held until a time or a decision.",
    "INDEX incoming_mailbox_id_digest": "What is read twice, also under another UIDVALIDITY or folder, is kept once.",
    "INDEX incoming_mailbox_id_folder_uidvalidity_uid": "A message of a folder is kept once.",
    "INDEX incoming_by_email": "What came back for an e-mail.",
    "INDEX incoming_by_lead": "What came back from a lead.",
    "INDEX incoming_by_campaign": "A campaign's replies and bounces.",
    "INDEX incoming_unclear": "What needs a person.",
    "INDEX complaints_by_time": "The latest complaints, for notices.",
    "INDEX hold_of_lead": "Whether a lead is held, asked for each e-mail.",
    "INDEX hold_of_incoming": "What a message led to, to take it back.",
}
# Allows all that the old one did, so existing rows need no check.
NOTICES = """
ALTER TABLE notice DROP CONSTRAINT kind_is_known;
ALTER TABLE notice ADD CONSTRAINT kind_is_known
    CHECK (kind IN ('unknown', 'mailbox', 'campaign', 'disarmed', 'complaint', 'unclear')) NOT VALID;
ALTER TABLE notice VALIDATE CONSTRAINT kind_is_known;
COMMENT ON CONSTRAINT kind_is_known ON notice IS 'The few things that need a person.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for statement in (*COLUMNS, *TABLES.split(";")):
        run(statement)
    for table, keys in KEYS.items():
        for column, target in keys.items():
            key = f"{table}_{column}_fkey"
            run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {key}")
            run(f"ALTER TABLE {table} ADD CONSTRAINT {key} FOREIGN KEY ({column}) REFERENCES {target} (id)")
    for name, index in INDEXES.items():
        run(f"CREATE {index.format(f'IF NOT EXISTS {name}')}")
    for thing, reason in REASONS.items():
        run(f"COMMENT ON {thing} IS %s", (reason,))
    run(NOTICES)
