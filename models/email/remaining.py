"""What remains to be sent to a campaign's leads: the steps without an e-mail. The SQL shared by planner, completion,
pages and invariants.
"""

from models.email.recipients import MAY_BE_WRITTEN_TO

# For a row `q` of campaign_email_queue, a lead's last e-mail: its sequence was ended with its mailbox.
ENDED = """
(EXISTS (SELECT FROM former_mailbox f WHERE f.campaign_id = q.campaign_id AND f.mailbox_id = q.mailbox_id AND f.ends)
 AND NOT EXISTS (SELECT FROM campaign_email_queue n WHERE n.predecessor_id = q.id AND NOT n.skipped))
"""
# For a row `c` of campaign: one row per lead and step without an e-mail. A lead's e-mail that failed or was cancelled
# ends its sequence, as a person may with its mailbox; one that was skipped with its removed step does not. Steps that
# were inserted before its last one or appended behind it are not for it. Needs the parameters of recipients.rules(). A
# scalar subquery, so that Postgres looks at one lead at a time.
REMAINING = f"""
(SELECT l.id AS campaign_lead_id, l.lead_id, l.campaign_id, l.position AS turn, s.id AS step_id, s.position AS step,
        {MAY_BE_WRITTEN_TO} AS may_be_written_to
 FROM campaign_lead l JOIN campaign_step s ON s.campaign_id = l.campaign_id
 WHERE l.campaign_id = c.id
   AND s.removed_at IS NULL
   AND NOT EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_lead_id = l.id AND q.step_id = s.id)
   AND NOT (s.position > 1 AND (
       SELECT count(*) FROM campaign_email_queue q JOIN campaign_step its ON its.id = q.step_id
       WHERE q.campaign_lead_id = l.id AND NOT q.skipped
         AND (q.status IN ('failed', 'cancelled') OR its.position > s.position OR q.sent_at < s.since OR {ENDED})) > 0))
"""  # noqa: S608  # only our own words
# For a row `q` of campaign_email_queue: only sent e-mails whose leads are to get another step, `next`, and have no
# e-mail of it yet. A held lead gets it later.
UNFOLLOWED = f"""
JOIN campaign_step this ON this.id = q.step_id
CROSS JOIN LATERAL (
    SELECT s.id, s.wait_count, s.wait_unit, s.since FROM campaign_step s
    WHERE s.campaign_id = q.campaign_id AND s.position > this.position AND s.removed_at IS NULL
    ORDER BY s.position LIMIT 1
) next
JOIN campaign_lead l ON l.id = q.campaign_lead_id
WHERE q.status = 'sent' AND (next.since IS NULL OR q.sent_at >= next.since)
  AND NOT EXISTS (SELECT FROM campaign_email_queue f WHERE f.predecessor_id = q.id AND NOT f.skipped)
  AND NOT EXISTS (SELECT FROM campaign_email_queue f WHERE f.campaign_lead_id = l.id AND f.step_id = next.id)
  AND NOT {ENDED} AND {MAY_BE_WRITTEN_TO}
"""  # noqa: S608  # only our own words
# At least their number, by subtraction: each lead and step has at most one e-mail. Removed steps count on both sides.
COUNT = """
((SELECT count(*) FROM campaign_lead l WHERE l.campaign_id = c.id)
 * (SELECT count(*) FROM campaign_step s WHERE s.campaign_id = c.id)
 - (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id))
"""
# The number of leads without a first e-mail, which is the one without a predecessor.
COUNT_OF_FIRST = """
((SELECT count(*) FROM campaign_lead l WHERE l.campaign_id = c.id)
 - (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id)
 + (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id AND q.predecessor_id IS NOT NULL))
"""
# Whether some of these leads may still be written to.
IS_TO_BE_PLANNED = f"EXISTS (SELECT FROM {REMAINING} r WHERE r.may_be_written_to)"  # only our own words
# The number of these leads, and of those among them who have got nothing yet.
LEADS = f"""
CASE WHEN {COUNT} > 0 THEN (SELECT count(DISTINCT r.campaign_lead_id) FROM {REMAINING} r) ELSE 0 END
"""  # noqa: S608  # only our own words
NEW_LEADS = f"""
CASE WHEN {COUNT_OF_FIRST} > 0 THEN (SELECT count(*) FROM {REMAINING} r WHERE r.step = 1) ELSE 0 END
"""  # noqa: S608  # only our own words
# The turn of the last lead with an e-mail; 0 if none has one. Leads are planned in this order, so later leads are
# searched first, before the possibly hundreds of thousands of earlier ones.
LAST_TURN = """
COALESCE((SELECT l.position FROM campaign_lead l WHERE l.id = (
    SELECT max(q.campaign_lead_id) FROM campaign_email_queue q WHERE q.campaign_id = c.id)), 0)
"""
