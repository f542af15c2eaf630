"""Rows of a case, in the product's schema, written by SQL into an empty database: ids count from 1 in each table."""

from datetime import datetime, timedelta

from bench.services import Database

SUBJECT = "{{ name }}, a question about {{ company }}"
TEXT = (
    "Dear {{ name }},\n\n"
    + "we have looked at what {{ company }} does, and would like to talk to you.\n" * 8
    + "\nOla\n"
)

MAILBOXES = """
INSERT INTO mailbox (address, name, smtp_host, smtp_port, smtp_security, daily_limit, gap_seconds)
SELECT 'box' || n || '@sender.example', 'Ola', '127.0.0.1', %(port)s, 'none', %(limit)s, %(gap)s
FROM generate_series(1, %(mailboxes)s) n
"""
CAMPAIGNS = """
INSERT INTO campaign (name, window_start_minute, window_end_minute, weekdays, delay_seconds, daily_limit, status)
SELECT 'campaign ' || n, 0, 1440, '{0,1,2,3,4,5,6}', %(delay)s, %(limit)s, %(status)s
FROM generate_series(1, %(campaigns)s) n;
INSERT INTO campaign_step (campaign_id, position, subject, text)
SELECT id, 1, %(subject)s, %(text)s FROM campaign ORDER BY id
"""
LEAD = """
INSERT INTO lead (address) SELECT 'lead' || n || '@leads.example' FROM generate_series(1, %(leads)s) n ORDER BY n
"""
# Lead n of all belongs to campaign 1 + n %% campaigns.
LEADS_DUE = """
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT 1 + (id - 1) %% %(campaigns)s, id, id, address,
       jsonb_build_object('email', address, 'name', 'Lead ' || id, 'company', 'Bakery ' || id)
FROM lead ORDER BY id;
INSERT INTO campaign_mailbox (campaign_id, mailbox_id)
SELECT DISTINCT 1 + n %% %(campaigns)s, 1 + n %% %(mailboxes)s FROM generate_series(0, %(leads)s - 1) n
"""
EMAILS_DUE = """
INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at, message_id)
SELECT l.campaign_id, l.id, s.id, 1 + (l.lead_id - 1) %% %(mailboxes)s,
       date_trunc('milliseconds', %(begin)s::timestamptz + (l.lead_id - 1) * %(apart)s::interval),
       '<' || gen_random_uuid() || '@sender.example>'
FROM campaign_lead l JOIN campaign_step s ON s.campaign_id = l.campaign_id ORDER BY l.lead_id;
INSERT INTO email_history (email_id, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, 'plan', 'pending', scheduled_at, mailbox_id, 'bench' FROM campaign_email_queue ORDER BY id
"""
# Even campaigns have a third of the leads of odd ones. Each uses some of the mailboxes, and shares them with others.
LEADS_TO_PLAN = """
CREATE TEMP TABLE mine AS
SELECT row_number() OVER (ORDER BY c.id, n) AS number, c.id AS campaign, n AS position
FROM campaign c CROSS JOIN LATERAL generate_series(1, CASE WHEN c.id %% 2 = 1 THEN %(most)s ELSE %(fewest)s END) n;
INSERT INTO lead (address) SELECT 'lead' || number || '@leads.example' FROM mine ORDER BY number;
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT campaign, number, position, 'lead' || number || '@leads.example',
       jsonb_build_object('name', 'Lead', 'company', 'Bakery')
FROM mine ORDER BY number;
INSERT INTO campaign_mailbox (campaign_id, mailbox_id)
SELECT DISTINCT c.id, 1 + (c.id * %(each)s + n) %% %(mailboxes)s
FROM campaign c CROSS JOIN generate_series(1, %(each)s) n
"""
# E-mails of one more campaign at equal distances before a moment: sent, or pending where that is still to come.
TIMELINE = """
SET session_replication_role = replica;
INSERT INTO campaign (name, window_start_minute, window_end_minute, weekdays, delay_seconds, daily_limit, status)
SELECT 'timeline ' || count(*), 0, 1440, '{0,1,2,3,4,5,6}', 60, 1000000, %(status)s FROM campaign;
CREATE TEMP TABLE this AS SELECT max(id) AS id FROM campaign;
INSERT INTO campaign_step (campaign_id, position, subject, text) SELECT id, 1, 'Hello', 'Hello' FROM this;
INSERT INTO campaign_mailbox (campaign_id, mailbox_id) SELECT this.id, m.id FROM this, mailbox m;
CREATE TEMP TABLE people AS
WITH written AS (
    INSERT INTO lead (address)
    SELECT 'of' || this.id || '-' || n || '@leads.example' FROM this, generate_series(1, %(emails)s) n
    RETURNING id, address
)
SELECT row_number() OVER (ORDER BY id) AS position, id, address FROM written;
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT this.id, p.id, p.position, p.address, '{}' FROM people p, this ORDER BY p.position;
INSERT INTO campaign_email_queue
    (campaign_id, campaign_lead_id, step_id, mailbox_id, status, scheduled_at, hinted_for, attempts, message_id,
     claim_token, claimed_at, worker_host, worker_pid, worker_started_at, handed_over_at, sent_at)
SELECT l.campaign_id, l.id, s.id, 1 + l.position %% (SELECT count(*) FROM mailbox),
       CASE WHEN begun THEN 'sent' ELSE 'pending' END, at, CASE WHEN begun THEN at END, begun::int,
       '<' || gen_random_uuid() || '@sender.example>', CASE WHEN begun THEN gen_random_uuid() END,
       CASE WHEN begun THEN at END, CASE WHEN begun THEN 'host' END, CASE WHEN begun THEN 1 END,
       CASE WHEN begun THEN 1 END, CASE WHEN begun THEN at END, CASE WHEN begun THEN at END
FROM this
JOIN campaign_step s ON s.campaign_id = this.id
JOIN campaign_lead l ON l.campaign_id = this.id
CROSS JOIN LATERAL (
    SELECT date_trunc('milliseconds', %(end)s::timestamptz - l.position * %(apart)s::interval) AS at
) placed
CROSS JOIN LATERAL (SELECT at <= clock_timestamp() AS begun) told
ORDER BY at;
INSERT INTO email_history (email_id, at, move, from_status, to_status, scheduled_from, scheduled_to, mailbox_id,
                           claim_token, by)
SELECT q.id, q.scheduled_at, m.move, m.was, m.became, q.scheduled_at, q.scheduled_at, q.mailbox_id, q.claim_token,
       'bench'
FROM this
JOIN campaign_email_queue q ON q.campaign_id = this.id
JOIN (VALUES ('plan', NULL, 'pending'), ('claim', 'pending', 'sending'), ('hand_over', 'sending', 'sending'),
             ('accept', 'sending', 'sent')) AS m (move, was, became) ON m.move = 'plan' OR q.status = 'sent'
ORDER BY q.id;
INSERT INTO attempt (email_id, claim_token, mailbox_id, outcome, phase, code, started_at, ended_at)
SELECT q.id, q.claim_token, q.mailbox_id, 'accepted', 'dot', 250, q.scheduled_at, q.scheduled_at
FROM this JOIN campaign_email_queue q ON q.campaign_id = this.id AND q.status = 'sent'
ON CONFLICT DO NOTHING;
DROP TABLE this, people;
SET session_replication_role = DEFAULT
"""
MOVES_OF_A_SENT_EMAIL = 4


def due(
    database: Database, *, emails: int, campaigns: int, mailboxes: int, port: int, begin: datetime, apart: timedelta
) -> None:
    """Insert planned e-mails at equal distances from `begin` on. Neighbours in time share no campaign or mailbox."""
    campaigns, mailboxes = min(campaigns, emails), min(mailboxes, emails)
    values: dict[str, object] = {"leads": emails, "campaigns": campaigns, "mailboxes": mailboxes, "port": port}
    values |= {"limit": 1_000_000, "gap": 0, "delay": 0.001, "status": "active", "subject": SUBJECT, "text": TEXT}
    for statements in (MAILBOXES, CAMPAIGNS, LEAD, LEADS_DUE, EMAILS_DUE):
        database.ask(statements, {**values, "begin": begin, "apart": apart})
    database.ask("VACUUM ANALYZE")


def to_plan(
    database: Database,
    *,
    campaigns: int,
    leads: int,
    port: int = 25,
    delay_seconds: float = 150.0,
    daily_limit: int = 500,
) -> None:
    """Insert active campaigns of which nothing is planned, with so many leads on average and five mailboxes each."""
    mailboxes = max(campaigns // 2, 5)
    values: dict[str, object] = {"campaigns": campaigns, "mailboxes": mailboxes, "each": 5, "port": port}
    values |= {"most": leads * 3 // 2, "fewest": leads // 2}
    values |= {"gap": 1, "delay": delay_seconds, "status": "active", "subject": "Hello", "text": "Dear {{ name }}"}
    database.ask(MAILBOXES, {**values, "limit": 5_000})
    for statements in (CAMPAIGNS, LEADS_TO_PLAN):
        database.ask(statements, {**values, "limit": daily_limit})
    database.ask("VACUUM ANALYZE")


def timeline(database: Database, *, emails: int, end: datetime, apart: timedelta, status: str) -> None:
    """Insert a campaign with so many e-mails at equal distances before `end`; needs mailboxes.

    Each is sent with its whole history, or pending where its time is still to come. Run VACUUM ANALYZE afterwards.
    """
    database.ask(TIMELINE, {"emails": emails, "end": end, "apart": apart, "status": status})


def sent_before(database: Database, emails: int, end: datetime) -> None:
    """Insert a completed campaign with so many e-mails during the sixty days before `end`."""
    timeline(database, emails=emails, end=end, apart=timedelta(days=60) / emails, status="completed")
