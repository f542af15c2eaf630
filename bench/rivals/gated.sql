-- name: lock_campaign
SELECT c.id FROM campaign c JOIN campaign_email_queue q ON q.campaign_id = c.id
WHERE q.id = $1::bigint FOR NO KEY UPDATE OF c

-- name: lock_mailbox
SELECT m.id FROM mailbox m JOIN campaign_email_queue q ON q.mailbox_id = m.id
WHERE q.id = $1::bigint FOR NO KEY UPDATE OF m

-- name: lock_host
SELECT pg_advisory_xact_lock(hashtext(m.smtp_host))
FROM mailbox m JOIN campaign_email_queue q ON q.mailbox_id = m.id WHERE q.id = $1::bigint

-- The first gate that is closed, and for how many seconds, if that is known. A statement after the locks: it counts
-- with a snapshot from after their waits.
-- name: claim_gate
WITH day AS (
    SELECT start AT TIME ZONE 'Europe/Warsaw' AS starts, (start + interval '1 day') AT TIME ZONE 'Europe/Warsaw' AS ends,
           start::date AS date
    FROM date_trunc('day', statement_timestamp() AT TIME ZONE 'Europe/Warsaw') start
)
SELECT CASE
    WHEN q.status <> 'pending' THEN 'stale'
    WHEN c.status <> 'active' THEN 'campaign'
    WHEN s.address IS NOT NULL THEN 'lead'
    WHEN statement_timestamp() < q.scheduled_at THEN 'early'
    WHEN statement_timestamp() > q.scheduled_at + greatest(300, 2 * c.delay_seconds) * interval '1 second' THEN 'late'
    WHEN (extract(isodow FROM local.at) - 1)::smallint <> ALL (c.weekdays)
      OR local.minute < c.window_start_minute OR local.minute >= c.window_end_minute THEN 'window'
    WHEN of_campaign.used >= c.daily_limit OR of_mailbox.used >= m.daily_limit THEN 'limit'
    WHEN m.status <> 'active' OR m.closed_until > statement_timestamp() THEN 'mailbox'
    WHEN EXISTS (SELECT FROM campaign_email_queue b WHERE b.mailbox_id = m.id AND b.status = 'sending') THEN 'busy'
    WHEN statement_timestamp() < m.last_start_at + m.gap_seconds * interval '1 second' THEN 'gap'
    WHEN statement_timestamp() < c.last_start_at + 0.8 * c.delay_seconds * interval '1 second' THEN 'pace'
    WHEN of_host.sending >= $2::int THEN 'host'
    END AS closed,
    greatest(extract(epoch FROM q.scheduled_at - statement_timestamp()),
             extract(epoch FROM m.last_start_at + m.gap_seconds * interval '1 second' - statement_timestamp()),
             extract(epoch FROM c.last_start_at + 0.8 * c.delay_seconds * interval '1 second' - statement_timestamp()),
             0.001)::float AS seconds
FROM day, campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN mailbox m ON m.id = q.mailbox_id
JOIN campaign_lead l ON l.id = q.campaign_lead_id
JOIN lead p ON p.id = l.lead_id
LEFT JOIN suppression s ON s.address = p.address
CROSS JOIN LATERAL (SELECT statement_timestamp() AT TIME ZONE 'Europe/Warsaw' AS at,
                           extract(epoch FROM (statement_timestamp() AT TIME ZONE 'Europe/Warsaw')::time) / 60 AS minute
                   ) local
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM campaign_email_queue u
            WHERE u.campaign_id = c.id AND u.status IN ('sending', 'sent', 'unknown')
              AND COALESCE(u.handed_over_at, u.claimed_at) >= day.starts
              AND COALESCE(u.handed_over_at, u.claimed_at) < day.ends)
         + (SELECT count(*) FROM email_history h JOIN campaign_email_queue u ON u.id = h.email_id
            WHERE u.campaign_id = c.id AND h.handed_over_at >= day.starts AND h.handed_over_at < day.ends) AS used
) of_campaign
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM campaign_email_queue u
            WHERE u.mailbox_id = m.id AND u.status IN ('sending', 'sent', 'unknown')
              AND COALESCE(u.handed_over_at, u.claimed_at) >= day.starts
              AND COALESCE(u.handed_over_at, u.claimed_at) < day.ends)
         + (SELECT count(*) FROM email_history h
            WHERE h.mailbox_id = m.id AND h.handed_over_at >= day.starts AND h.handed_over_at < day.ends)
         + COALESCE((SELECT w.count FROM warmup_count w WHERE w.mailbox_id = m.id AND w.day = day.date), 0) AS used
) of_mailbox
CROSS JOIN LATERAL (
    SELECT count(*) AS sending FROM campaign_email_queue b JOIN mailbox o ON o.id = b.mailbox_id
    WHERE b.status = 'sending' AND o.smtp_host = m.smtp_host
) of_host
WHERE q.id = $1::bigint

-- name: claim
WITH moved AS (
    UPDATE campaign_email_queue
    SET status = 'sending', claim_token = $2::uuid, claimed_at = clock_timestamp(), worker_host = $3::text,
        worker_pid = $4::int, worker_started_at = $5::float
    WHERE id = $1::bigint AND status = 'pending'
    RETURNING *
), told AS (
    INSERT INTO email_history (email_id, move, from_status, to_status, scheduled_from, scheduled_to, mailbox_id,
                               claim_token, by)
    SELECT id, 'claim', 'pending', 'sending', scheduled_at, scheduled_at, mailbox_id, claim_token, $3::text FROM moved
), campaign_started AS (
    UPDATE campaign c SET last_start_at = moved.claimed_at FROM moved WHERE c.id = moved.campaign_id
), mailbox_started AS (
    UPDATE mailbox m SET last_start_at = moved.claimed_at FROM moved WHERE m.id = moved.mailbox_id
)
SELECT m.address AS sender, l.address AS recipient, l.fields, moved.message_id, s.subject, s.text
FROM moved
JOIN mailbox m ON m.id = moved.mailbox_id
JOIN campaign_lead l ON l.id = moved.campaign_lead_id
JOIN campaign_step s ON s.id = moved.step_id

-- The gates that may have closed during the conversation.
-- name: hand_over_gate
WITH day AS (
    SELECT start AT TIME ZONE 'Europe/Warsaw' AS starts, (start + interval '1 day') AT TIME ZONE 'Europe/Warsaw' AS ends,
           start::date AS date
    FROM date_trunc('day', statement_timestamp() AT TIME ZONE 'Europe/Warsaw') start
)
SELECT CASE
    WHEN q.status <> 'sending' OR q.claim_token <> $2::uuid OR q.handed_over_at IS NOT NULL THEN 'stale'
    WHEN c.status <> 'active' THEN 'campaign'
    WHEN s.address IS NOT NULL THEN 'lead'
    WHEN (extract(isodow FROM local.at) - 1)::smallint <> ALL (c.weekdays)
      OR local.minute < c.window_start_minute OR local.minute >= c.window_end_minute THEN 'window'
    WHEN of_campaign.used >= c.daily_limit OR of_mailbox.used >= m.daily_limit THEN 'limit'
    WHEN m.status <> 'active' OR m.closed_until > statement_timestamp() THEN 'mailbox'
    END AS closed
FROM day, campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN mailbox m ON m.id = q.mailbox_id
JOIN campaign_lead l ON l.id = q.campaign_lead_id
JOIN lead p ON p.id = l.lead_id
LEFT JOIN suppression s ON s.address = p.address
CROSS JOIN LATERAL (SELECT statement_timestamp() AT TIME ZONE 'Europe/Warsaw' AS at,
                           extract(epoch FROM (statement_timestamp() AT TIME ZONE 'Europe/Warsaw')::time) / 60 AS minute
                   ) local
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM campaign_email_queue u
            WHERE u.campaign_id = c.id AND u.status IN ('sending', 'sent', 'unknown') AND u.id <> q.id
              AND COALESCE(u.handed_over_at, u.claimed_at) >= day.starts
              AND COALESCE(u.handed_over_at, u.claimed_at) < day.ends)
         + (SELECT count(*) FROM email_history h JOIN campaign_email_queue u ON u.id = h.email_id
            WHERE u.campaign_id = c.id AND h.handed_over_at >= day.starts AND h.handed_over_at < day.ends) AS used
) of_campaign
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM campaign_email_queue u
            WHERE u.mailbox_id = m.id AND u.status IN ('sending', 'sent', 'unknown') AND u.id <> q.id
              AND COALESCE(u.handed_over_at, u.claimed_at) >= day.starts
              AND COALESCE(u.handed_over_at, u.claimed_at) < day.ends)
         + (SELECT count(*) FROM email_history h
            WHERE h.mailbox_id = m.id AND h.handed_over_at >= day.starts AND h.handed_over_at < day.ends)
         + COALESCE((SELECT w.count FROM warmup_count w WHERE w.mailbox_id = m.id AND w.day = day.date), 0) AS used
) of_mailbox
WHERE q.id = $1::bigint

-- name: hand_over
WITH moved AS (
    UPDATE campaign_email_queue SET handed_over_at = clock_timestamp()
    WHERE id = $1::bigint AND status = 'sending' AND claim_token = $2::uuid AND handed_over_at IS NULL
    RETURNING *
), told AS (
    INSERT INTO email_history (email_id, move, from_status, to_status, scheduled_from, scheduled_to, mailbox_id,
                               claim_token, by)
    SELECT id, 'hand_over', 'sending', 'sending', scheduled_at, scheduled_at, mailbox_id, claim_token, worker_host
    FROM moved
), kept AS (
    INSERT INTO email_content (email_id, claim_token, content) SELECT id, claim_token, $3::bytea FROM moved
    ON CONFLICT (email_id) DO UPDATE SET claim_token = excluded.claim_token, content = excluded.content
)
SELECT id FROM moved

-- name: lock_email
SELECT id FROM campaign_email_queue WHERE id = $1::bigint FOR NO KEY UPDATE

-- name: accept
WITH moved AS (
    UPDATE campaign_email_queue SET status = 'sent', sent_at = clock_timestamp(), attempts = attempts + 1, error = NULL
    WHERE id = $1::bigint AND status = 'sending' AND claim_token = $2::uuid
    RETURNING *
), attempted AS (
    INSERT INTO attempt (email_id, claim_token, mailbox_id, outcome, phase, code, reply, started_at)
    SELECT id, claim_token, mailbox_id, 'accepted', 'dot', 250, $3::text, claimed_at FROM moved
), told AS (
    INSERT INTO email_history (email_id, move, from_status, to_status, scheduled_from, scheduled_to, mailbox_id,
                               claim_token, by)
    SELECT id, 'accept', 'sending', 'sent', scheduled_at, scheduled_at, mailbox_id, claim_token, worker_host FROM moved
)
SELECT id FROM moved

-- Proved not sent: back to pending under its history.
-- name: release
WITH moved AS (
    UPDATE campaign_email_queue
    SET status = 'pending', claim_token = NULL, claimed_at = NULL, worker_host = NULL, worker_pid = NULL,
        worker_started_at = NULL, handed_over_at = NULL
    WHERE id = $1::bigint AND status = 'sending' AND claim_token = $2::uuid
    RETURNING *
), told AS (
    INSERT INTO email_history (email_id, move, from_status, to_status, reason, scheduled_from, scheduled_to, mailbox_id,
                               claim_token, by)
    SELECT id, 'release', 'sending', 'pending', $3::text, scheduled_at, scheduled_at, mailbox_id, $2::uuid, 'rival'
    FROM moved
)
SELECT id FROM moved
