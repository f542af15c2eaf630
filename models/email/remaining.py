"""What remains of a campaign's leads: the steps that they have no e-mail of. The one query, in SQL, for the planner,
completion, pages and invariants.
"""

from models.email.recipients import MAY_BE_WRITTEN_TO

# Of a row `c` of campaign: a row for each lead and step that there is no e-mail of. Ask for the values of
# recipients.rules() with it.
REMAINING = f"""
(SELECT l.id AS campaign_lead_id, l.position AS turn, s.id AS step_id, s.position AS step,
        {MAY_BE_WRITTEN_TO} AS may_be_written_to
 FROM campaign_lead l JOIN campaign_step s ON s.campaign_id = l.campaign_id
 WHERE l.campaign_id = c.id
   AND NOT EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_lead_id = l.id AND q.step_id = s.id))
"""  # noqa: S608  # only our own words
# How many they are, counted without a look at each: a lead and a step have one e-mail at the most.
COUNT = """
((SELECT count(*) FROM campaign_lead l WHERE l.campaign_id = c.id)
 * (SELECT count(*) FROM campaign_step s WHERE s.campaign_id = c.id)
 - (SELECT count(*) FROM campaign_email_queue q WHERE q.campaign_id = c.id))
"""
# Whether some of them may still be written to.
IS_TO_BE_PLANNED = f"EXISTS (SELECT FROM {REMAINING} r WHERE r.may_be_written_to)"  # only our own words
# How many leads they are of.
LEADS = f"""
CASE WHEN {COUNT} > 0 THEN (SELECT count(DISTINCT r.campaign_lead_id) FROM {REMAINING} r) ELSE 0 END
"""  # noqa: S608  # only our own words
# The turn of the last lead that has an e-mail, 0 where none has. Leads are first written to in the order of their
# turns: what remains is looked for behind it, before it is looked for among hundreds of thousands planned before.
LAST_TURN = """
COALESCE((SELECT l.position FROM campaign_lead l WHERE l.id = (
    SELECT max(q.campaign_lead_id) FROM campaign_email_queue q WHERE q.campaign_id = c.id)), 0)
"""
