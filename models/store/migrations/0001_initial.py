"""The initial schema. A comment in the database explains each constraint and index."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

TABLES = """
CREATE TABLE mailbox (
    id bigserial PRIMARY KEY,
    address text NOT NULL,
    name text NOT NULL DEFAULT '',
    smtp_host text NOT NULL,
    smtp_port integer NOT NULL CONSTRAINT smtp_port_is_a_port CHECK (smtp_port BETWEEN 1 AND 65535),
    smtp_security text NOT NULL
        CONSTRAINT smtp_security_is_known CHECK (smtp_security IN ('starttls', 'tls', 'none')),
    username text,
    password_encrypted text,
    daily_limit integer NOT NULL,
    gap_seconds double precision NOT NULL,
    status text NOT NULL DEFAULT 'active' CONSTRAINT status_is_known CHECK (status IN ('active', 'paused')),
    faults integer NOT NULL DEFAULT 0,
    closed_until timestamptz(3),
    closed_reason text,
    last_start_at timestamptz(3),
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT limits_are_not_negative CHECK (daily_limit >= 0 AND gap_seconds >= 0)
);

CREATE TABLE campaign (
    id bigserial PRIMARY KEY,
    name text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    html text,
    window_start_minute smallint NOT NULL,
    window_end_minute smallint NOT NULL,
    weekdays smallint[] NOT NULL CONSTRAINT weekdays_are_days_of_the_week
        CHECK (cardinality(weekdays) > 0 AND weekdays <@ '{0,1,2,3,4,5,6}'),
    delay_seconds double precision NOT NULL,
    daily_limit integer NOT NULL,
    status text NOT NULL DEFAULT 'draft'
        CONSTRAINT status_is_known CHECK (status IN ('draft', 'active', 'paused', 'completed', 'cancelled')),
    replan_reason text CONSTRAINT replan_reason_is_known CHECK (replan_reason IN ('resumed', 'edited')),
    last_start_at timestamptz(3),
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT window_starts_before_it_ends CHECK (
        0 <= window_start_minute AND window_start_minute < window_end_minute AND window_end_minute <= 1440),
    CONSTRAINT pace_is_positive CHECK (delay_seconds > 0 AND daily_limit > 0)
);

CREATE TABLE campaign_mailbox (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    PRIMARY KEY (campaign_id, mailbox_id)
);

CREATE TABLE lead (
    id bigserial PRIMARY KEY,
    address text NOT NULL,
    legal_basis text,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE suppression (
    address text PRIMARY KEY,
    reason text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE campaign_lead (
    id bigserial PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    lead_id bigint NOT NULL REFERENCES lead (id),
    position integer NOT NULL,
    address text NOT NULL,
    fields jsonb NOT NULL
);

CREATE TABLE campaign_email_queue (
    id bigserial PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    campaign_lead_id bigint NOT NULL REFERENCES campaign_lead (id),
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    status text NOT NULL DEFAULT 'pending' CONSTRAINT status_is_known
        CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'cancelled', 'unknown')),
    scheduled_at timestamptz(3) NOT NULL,
    hinted_for timestamptz(3),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT attempts_are_not_negative CHECK (attempts >= 0),
    message_id text NOT NULL,
    claim_token uuid,
    claimed_at timestamptz(3),
    worker_host text,
    worker_pid integer,
    worker_started_at double precision,
    handed_over_at timestamptz(3),
    sent_at timestamptz(3),
    error text,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pending_is_unclaimed CHECK (
        status <> 'pending' OR (claim_token IS NULL AND claimed_at IS NULL AND handed_over_at IS NULL)),
    CONSTRAINT sending_is_claimed CHECK (
        status <> 'sending' OR (claim_token IS NOT NULL AND claimed_at IS NOT NULL
            AND worker_host IS NOT NULL AND worker_pid IS NOT NULL AND worker_started_at IS NOT NULL)),
    CONSTRAINT unknown_was_handed_over CHECK (
        status <> 'unknown' OR (claim_token IS NOT NULL AND handed_over_at IS NOT NULL)),
    CONSTRAINT sent_has_its_time CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT sent_was_handed_over CHECK (status <> 'sent' OR handed_over_at IS NOT NULL),
    CONSTRAINT failed_has_its_error CHECK (status <> 'failed' OR error IS NOT NULL)
);

CREATE TABLE email_history (
    id bigserial PRIMARY KEY,
    email_id bigint NOT NULL REFERENCES campaign_email_queue (id),
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    move text NOT NULL CONSTRAINT move_is_known CHECK (move IN (
        'plan', 'claim', 'hand_over', 'accept', 'reject', 'retry', 'release', 'doubt', 'cancel', 'replan', 'settle')),
    from_status text,
    to_status text NOT NULL,
    reason text,
    scheduled_from timestamptz(3),
    scheduled_to timestamptz(3),
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    claim_token uuid,
    handed_over_at timestamptz(3),
    by text NOT NULL,
    detail jsonb,
    CONSTRAINT replan_has_its_reason CHECK (reason IS NOT NULL OR move <> 'replan')
);

CREATE TABLE email_content (
    email_id bigint PRIMARY KEY REFERENCES campaign_email_queue (id),
    claim_token uuid NOT NULL,
    content bytea NOT NULL,
    recorded_at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE warmup_count (
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    day date NOT NULL,
    count integer NOT NULL CONSTRAINT count_is_not_negative CHECK (count >= 0),
    PRIMARY KEY (mailbox_id, day)
);

CREATE TABLE heartbeat (
    name text PRIMARY KEY,
    at timestamptz(3) NOT NULL
);
"""

INDEXES = """
CREATE UNIQUE INDEX mailbox_address ON mailbox (address);
CREATE UNIQUE INDEX campaign_name ON campaign (name);
CREATE INDEX campaign_mailbox_mailbox_id ON campaign_mailbox (mailbox_id);
CREATE UNIQUE INDEX lead_address ON lead (address);
CREATE UNIQUE INDEX campaign_lead_campaign_id_lead_id ON campaign_lead (campaign_id, lead_id);
CREATE UNIQUE INDEX campaign_lead_campaign_id_position ON campaign_lead (campaign_id, position);
CREATE INDEX campaign_lead_lead_id ON campaign_lead (lead_id);
CREATE UNIQUE INDEX campaign_email_queue_message_id ON campaign_email_queue (message_id);
CREATE UNIQUE INDEX campaign_email_queue_campaign_id_campaign_lead_id
    ON campaign_email_queue (campaign_id, campaign_lead_id);
CREATE INDEX campaign_email_queue_status_scheduled_at ON campaign_email_queue (status, scheduled_at);
CREATE UNIQUE INDEX one_sending_per_mailbox ON campaign_email_queue (mailbox_id) WHERE status = 'sending';
CREATE INDEX pending_by_campaign ON campaign_email_queue (campaign_id, scheduled_at) WHERE status = 'pending';
CREATE INDEX pending_by_mailbox ON campaign_email_queue (mailbox_id, scheduled_at) WHERE status = 'pending';
CREATE INDEX counted_by_campaign ON campaign_email_queue (campaign_id, COALESCE(handed_over_at, claimed_at))
    WHERE status IN ('sending', 'sent', 'unknown');
CREATE INDEX counted_by_mailbox ON campaign_email_queue (mailbox_id, COALESCE(handed_over_at, claimed_at))
    WHERE status IN ('sending', 'sent', 'unknown');
CREATE INDEX email_history_email_id_id ON email_history (email_id, id);
CREATE INDEX counted_again_by_mailbox ON email_history (mailbox_id, handed_over_at) WHERE handed_over_at IS NOT NULL;
"""

CONSTRAINT_REASONS = {
    "mailbox": {
        "smtp_port_is_a_port": "TCP has no other ports.",
        "smtp_security_is_known": "A connection is encrypted from the start, upgraded, or on purpose neither.",
        "status_is_known": "A mailbox is active until its owner pauses it.",
        "limits_are_not_negative": "A limit of zero stops a mailbox; less than zero means nothing.",
    },
    "campaign": {
        "weekdays_are_days_of_the_week": "0 is Monday; a campaign without a day would never send.",
        "status_is_known": "The life of a campaign: draft, active or paused, then completed or cancelled.",
        "replan_reason_is_known": "Why the planner is asked to plan the campaign again.",
        "window_starts_before_it_ends": "A window lies within one Warsaw day.",
        "pace_is_positive": "Without a pace mails would leave in a burst.",
    },
    "campaign_email_queue": {
        "status_is_known": "The statuses of the state machine, and no others.",
        "attempts_are_not_negative": "Attempts are counted up from zero.",
        "pending_is_unclaimed": "A pending mail with a claim would be two things at once.",
        "sending_is_claimed": "Without token and worker nobody could rule on a stuck mail.",
        "unknown_was_handed_over": "What was never handed over is known: it was not sent.",
        "sent_has_its_time": "A mail is sent exactly when we know since when.",
        "sent_was_handed_over": "No answer counts without the recorded hand-over before it.",
        "failed_has_its_error": "Nobody should have to guess why a mail failed.",
    },
    "email_history": {
        "move_is_known": "The moves of the state machine, and no others.",
        "replan_has_its_reason": "A schedule never moves without a recorded reason.",
    },
    "warmup_count": {"count_is_not_negative": "A count."},
}

INDEX_REASONS = {
    "mailbox_address": "One mailbox an address, so that its limit is one limit.",
    "campaign_name": "Owners call a campaign by its name.",
    "campaign_mailbox_mailbox_id": "Which campaigns does a paused mailbox concern?",
    "lead_address": "One lead a person: the normalised address.",
    "campaign_lead_campaign_id_lead_id": "A person is in a campaign once, whatever the spelling in the file.",
    "campaign_lead_campaign_id_position": "Leads are written to in one order.",
    "campaign_lead_lead_id": "Which campaigns write to this person?",
    "campaign_email_queue_message_id": "A Message-ID names one e-mail for ever.",
    "campaign_email_queue_campaign_id_campaign_lead_id": "Zero duplicates: one e-mail per lead in a campaign.",
    "campaign_email_queue_status_scheduled_at": "What is due, and what is stuck.",
    "one_sending_per_mailbox": "Never two mails from one mailbox at the same time.",
    "pending_by_campaign": "The plan of a campaign, in time order.",
    "pending_by_mailbox": "The plan of a mailbox, in time order.",
    "counted_by_campaign": "The campaign's daily limit counts rows.",
    "counted_by_mailbox": "The mailbox's daily limit counts rows.",
    "email_history_email_id_id": "The history of one e-mail, in order.",
    "counted_again_by_mailbox": "A hand-over counts towards its day even after a person sent the mail again.",
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(TABLES)
    run(INDEXES)
    for table, reasons in CONSTRAINT_REASONS.items():
        for name, reason in reasons.items():
            run(f"COMMENT ON CONSTRAINT {name} ON {table} IS %s", (reason,))
    for name, reason in INDEX_REASONS.items():
        run(f"COMMENT ON INDEX {name} IS %s", (reason,))
