-- One row a mail and a history: what a rival without gates needs.
CREATE TABLE mail (
    id bigserial PRIMARY KEY,
    sender text NOT NULL,
    recipient text NOT NULL,
    fields jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    scheduled_at timestamptz NOT NULL,
    claim_token uuid,
    claimed_at timestamptz,
    handed_over_at timestamptz,
    sent_at timestamptz,
    message_id text NOT NULL
);
CREATE INDEX ON mail (status, scheduled_at);
CREATE TABLE mail_history (
    id bigserial PRIMARY KEY,
    mail_id bigint NOT NULL REFERENCES mail,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    move text NOT NULL,
    claim_token uuid,
    reply text
);
CREATE INDEX ON mail_history (mail_id, id);
