"""Which inboxes an answer to a lead may be in, and how far these have been read. The SQL shared by gates and looks.

Those of the mailboxes that wrote to the lead in the campaign, as far as they have IMAP settings: usually the one from
which its follow-up goes, too.
"""

# For a row `q` of a pending or claimed follow-up: ids of mailboxes.
ITS = """
(SELECT b.id FROM mailbox b WHERE b.imap_host IS NOT NULL AND b.id IN (
    SELECT e.mailbox_id FROM campaign_email_queue e
    WHERE e.campaign_lead_id = q.campaign_lead_id AND (e.id = q.id OR e.handed_over_at IS NOT NULL)))
"""
# Their number, and when the last complete look into the one that was read the longest ago began.
LOOKS = f"""
(SELECT count(*)::int AS inboxes, CASE WHEN count(*) = count(i.read_at) THEN min(i.read_at) END AS read_at,
        min(i.failed_reason) AS failed_reason
 FROM (SELECT id AS mailbox_id FROM {ITS} its WHERE q.predecessor_id IS NOT NULL) its
 LEFT JOIN inbox i ON i.mailbox_id = its.mailbox_id)
"""  # noqa: S608  # only our own words
# One of them was not read since the wait ended, or not recently.
ONE_IS_UNREAD = f"""
EXISTS (SELECT FROM {ITS} its LEFT JOIN inbox i ON i.mailbox_id = its.id
        WHERE i.read_at IS NULL OR i.read_at < q.wait_ends_at OR i.read_at < %(stale)s)
"""
# For a row `m` of mailbox: itself and those that took over its sequences, which may need a look into its inbox.
SENDERS = """
(SELECT m.id AS mailbox_id UNION
 SELECT o.goes_on_from_id FROM former_mailbox o WHERE o.mailbox_id = m.id AND o.goes_on_from_id IS NOT NULL)
"""
