-- name: claim
UPDATE mail SET status = 'sending', claim_token = $2::uuid, claimed_at = clock_timestamp()
WHERE id = $1::bigint AND status = 'pending'
RETURNING sender, recipient, fields, message_id

-- name: hand_over
UPDATE mail SET handed_over_at = clock_timestamp()
WHERE id = $1::bigint AND status = 'sending' AND claim_token = $2::uuid AND handed_over_at IS NULL
RETURNING id

-- name: accept
UPDATE mail SET status = 'sent', sent_at = clock_timestamp()
WHERE id = $1::bigint AND status = 'sending' AND claim_token = $2::uuid
RETURNING id

-- name: history
INSERT INTO mail_history (mail_id, move, claim_token, reply) VALUES ($1::bigint, $2::text, $3::uuid, $4::text)
