"""Holds: leads that are not written to, for some time or for good, because of what came back from them.

The SQL shared by gates, planner and the code that puts e-mails off. A hold is of a lead, in one campaign or in all.
"""

# For a row `l` of campaign_lead, or of what remains to be sent.
_IN_CAMPAIGN = "h.lifted_at IS NULL AND (h.campaign_id IS NULL OR h.campaign_id = {l}.campaign_id)"
OF_LEAD = f"h.lead_id = {{l}}.lead_id AND h.domain IS NULL AND {_IN_CAMPAIGN}"
# Of a row `p` of lead. A reply may stop all at the sender's domain.
DOMAIN_OF_LEAD = "split_part({p}.address, '@', -1)"
OF_DOMAIN = f"h.domain = {DOMAIN_OF_LEAD} AND {_IN_CAMPAIGN}"
STANDS = "NOT h.stops AND (h.until IS NULL OR h.until > clock_timestamp())"
# Of a row `i` of incoming: unclear, or it holds its lead until somebody decides.
NEEDS_A_PERSON = """
i.id IN (SELECT id FROM incoming WHERE class = 'unclear'
         UNION ALL SELECT incoming_id FROM hold WHERE lifted_at IS NULL AND NOT stops AND until IS NULL)
"""
# Never written to again, for a row `l` of campaign_lead with its lead `p`.
STOPPED = f"""
(EXISTS (SELECT FROM hold h WHERE {OF_LEAD.format(l="l")} AND h.stops)
 OR EXISTS (SELECT FROM hold h WHERE {OF_DOMAIN.format(l="l", p="p")} AND h.stops))
"""  # noqa: S608  # only our own words
# Not written to for now, for a row `r` of remaining.REMAINING.
HELD = f"EXISTS (SELECT FROM hold h WHERE {OF_LEAD.format(l='r')} AND {STANDS})"
# The hold that lasts longest, for a row `cl` of campaign_lead.
STRONGEST = f"""
(SELECT h.stops, h.until, h.reason, h.reason_code, h.reason_values FROM (
    SELECT h.* FROM hold h WHERE {OF_LEAD.format(l="cl")} AND (h.stops OR {STANDS})
    UNION ALL
    SELECT h.* FROM lead p JOIN hold h ON {OF_DOMAIN.format(l="cl", p="p")} WHERE p.id = cl.lead_id AND h.stops
 ) h ORDER BY h.stops DESC, h.until DESC NULLS FIRST, h.id LIMIT 1)
"""  # noqa: S608  # only our own words

STOPPED_EMAILS = f"""
SELECT q.id FROM hold h
JOIN campaign_lead l ON {OF_LEAD.format(l="l")}
JOIN campaign_email_queue q ON q.campaign_id = l.campaign_id AND q.campaign_lead_id = l.id AND q.status = 'pending'
JOIN campaign c ON c.id = q.campaign_id AND c.status IN ('active', 'paused')
WHERE h.stops AND (%(lead)s::bigint IS NULL OR h.lead_id = %(lead)s)
UNION
SELECT q.id FROM hold h
JOIN lead p ON {DOMAIN_OF_LEAD.format(p="p")} = h.domain
JOIN campaign_lead l ON l.lead_id = p.id AND {_IN_CAMPAIGN.format(l="l")}
JOIN campaign_email_queue q ON q.campaign_id = l.campaign_id AND q.campaign_lead_id = l.id AND q.status = 'pending'
JOIN campaign c ON c.id = q.campaign_id AND c.status IN ('active', 'paused')
WHERE h.stops AND h.domain IS NOT NULL AND (%(lead)s::bigint IS NULL OR h.lead_id = %(lead)s)
ORDER BY id LIMIT %(at_once)s
"""  # noqa: S608

# Pending e-mails of held leads whose time comes before the hold's end; of one without an end, within a day.
TO_PUT_OFF = f"""
SELECT q.id AS email_id, max(h.until) AS until, bool_or(h.until IS NULL) AS is_open FROM hold h
JOIN campaign_lead l ON {OF_LEAD.format(l="l")}
JOIN campaign_email_queue q ON q.campaign_id = l.campaign_id AND q.campaign_lead_id = l.id AND q.status = 'pending'
JOIN campaign c ON c.id = q.campaign_id AND c.status IN ('active', 'paused')
WHERE {STANDS} AND q.scheduled_at < COALESCE(h.until, clock_timestamp() + interval '1 day')
  AND (%(lead)s::bigint IS NULL OR h.lead_id = %(lead)s)
GROUP BY q.id ORDER BY q.mailbox_id, q.id LIMIT %(at_once)s
"""  # noqa: S608
