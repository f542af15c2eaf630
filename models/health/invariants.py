"""Invariants: rules that all rows must satisfy at any moment. Each is a query for the ids that break it.

Constraints enforce most of them. These queries also cover what constraints cannot express, and rows changed by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from models.email import holds, recipients, remaining
from models.states import FINAL, PATHS, Status
from models.store import counting
from models.store.database import database, execute, rows
from scheduling.planner import END, LONGEST
from scheduling.window import WARSAW

_SHOWN = 5


@dataclass(frozen=True)
class CheckResult:
    rule: str
    broken_by: str | None  # what breaks the rule, with the first few ids; None: it holds
    violations: int = 0

    @property
    def holds(self) -> bool:
        return self.broken_by is None


# The same conditions as the CHECKs, to detect a database whose constraints were dropped.
STATUS_AGREES = """
SELECT id FROM campaign_email_queue WHERE NOT (
    CASE status
        WHEN 'pending' THEN claim_token IS NULL AND claimed_at IS NULL AND handed_over_at IS NULL AND sent_at IS NULL
        WHEN 'sending' THEN claim_token IS NOT NULL AND claimed_at IS NOT NULL AND worker_pid IS NOT NULL
            AND sent_at IS NULL
        WHEN 'unknown' THEN claim_token IS NOT NULL AND handed_over_at IS NOT NULL AND sent_at IS NULL
        WHEN 'sent' THEN handed_over_at IS NOT NULL AND sent_at IS NOT NULL
        WHEN 'failed' THEN error IS NOT NULL AND sent_at IS NULL
        WHEN 'cancelled' THEN sent_at IS NULL
        ELSE false
    END) ORDER BY id
"""

CONSTRAINTS_STAND = """
SELECT conname FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND contype = 'c' AND NOT convalidated
UNION ALL
SELECT name FROM unnest(ARRAY['one_sending_per_mailbox', 'campaign_email_queue_message_id',
                              'campaign_email_queue_campaign_lead_id_step_id', 'one_successor',
                              'one_first_email']) AS name
WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(name) AND i.indisunique AND i.indisvalid)
"""

ONE_SENDING = """
SELECT mailbox_id FROM campaign_email_queue WHERE status = 'sending'
GROUP BY mailbox_id HAVING count(*) > 1 ORDER BY mailbox_id
"""

ONE_MAIL_A_STEP = """
SELECT campaign_lead_id FROM campaign_email_queue GROUP BY campaign_lead_id, step_id HAVING count(*) > 1
"""

# An e-mail, its lead and its step belong to one campaign, and its predecessor is the same lead's e-mail of an earlier
# step. Each has at most one successor, beside those skipped with their removed steps, and each lead has one e-mail
# without a predecessor.
STEPS_ARE_A_CHAIN = """
SELECT q.id FROM campaign_email_queue q
LEFT JOIN campaign_lead l ON l.id = q.campaign_lead_id
LEFT JOIN campaign_step s ON s.id = q.step_id
LEFT JOIN (campaign_email_queue p JOIN campaign_step before ON before.id = p.step_id) ON p.id = q.predecessor_id
WHERE (l.campaign_id, s.campaign_id) IS DISTINCT FROM (q.campaign_id, q.campaign_id)
   OR (q.skipped AND (s.removed_at IS NULL OR q.status IN ('pending', 'sending')))
   OR (q.predecessor_id IS NOT NULL AND NOT COALESCE(
       p.campaign_lead_id = q.campaign_lead_id AND before.position < s.position, false))
UNION
SELECT min(id) FROM campaign_email_queue WHERE NOT skipped GROUP BY campaign_lead_id, predecessor_id HAVING count(*) > 1
ORDER BY 1
"""

HISTORY_BEGINS = """
SELECT q.id FROM campaign_email_queue q
LEFT JOIN LATERAL (SELECT move FROM email_history h WHERE h.email_id = q.id ORDER BY h.id LIMIT 1) first ON true
WHERE first.move IS DISTINCT FROM 'plan' ORDER BY q.id
"""

HISTORY_ENDS = """
SELECT q.id FROM campaign_email_queue q
LEFT JOIN LATERAL (
    SELECT to_status, scheduled_to, mailbox_id FROM email_history h WHERE h.email_id = q.id ORDER BY h.id DESC LIMIT 1
) last ON true
WHERE (last.to_status, last.scheduled_to, last.mailbox_id)
    IS DISTINCT FROM (q.status, q.scheduled_at, q.mailbox_id)
ORDER BY q.id
"""

# Each move starts with the status and time the previous one ended with, and is legal in the state machine.
HISTORY_IS_A_CHAIN = """
WITH chain AS (
    SELECT email_id, move, from_status, to_status, scheduled_from,
           lag(to_status) OVER moves AS before, lag(scheduled_to) OVER moves AS scheduled_before,
           row_number() OVER moves AS number
    FROM email_history WINDOW moves AS (PARTITION BY email_id ORDER BY id)
)
SELECT DISTINCT email_id FROM chain
WHERE (number > 1 AND ((from_status, scheduled_from) IS DISTINCT FROM (before, scheduled_before)))
   OR NOT (move, COALESCE(from_status, ''), to_status) IN %(legal)s
ORDER BY email_id
"""

# A hand-over and the moves after it carry the token of the preceding claim; no claim is handed over twice.
TOKENS_AGREE = """
WITH held AS (
    SELECT id, email_id, move, claim_token,
           max(id) FILTER (WHERE move IN ('claim', 'recover')) OVER (PARTITION BY email_id ORDER BY id) AS claim_id
    FROM email_history
    WHERE move IN ('claim', 'hand_over', 'accept', 'reject', 'retry', 'release', 'doubt', 'recover')
)
SELECT DISTINCT held.email_id FROM held LEFT JOIN email_history claim ON claim.id = held.claim_id
WHERE held.claim_token IS DISTINCT FROM claim.claim_token
UNION
SELECT email_id FROM held WHERE move = 'hand_over' GROUP BY email_id, claim_token HAVING count(*) > 1
ORDER BY 1
"""

# Between two hand-overs of one e-mail there must be a legal move back to pending: proof, or a person's decision.
HANDED_OVER_ONCE = """
WITH handed AS (
    SELECT email_id, id, lag(id) OVER (PARTITION BY email_id ORDER BY id) AS before
    FROM email_history WHERE move = 'hand_over'
)
SELECT DISTINCT email_id FROM handed WHERE before IS NOT NULL AND NOT EXISTS (
    SELECT FROM email_history h WHERE h.email_id = handed.email_id AND h.id > handed.before AND h.id < handed.id
      AND h.move IN ('retry', 'release', 'settle', 'reopen') AND h.to_status = 'pending')
ORDER BY email_id
"""

OUTCOMES_HAVE_ATTEMPTS = """
SELECT DISTINCT h.email_id FROM email_history h
WHERE h.move IN ('accept', 'reject', 'retry', 'doubt')
  AND NOT EXISTS (SELECT FROM attempt a WHERE a.claim_token = h.claim_token AND a.email_id = h.email_id)
ORDER BY h.email_id
"""

# Compared with the limits at the time of each hand-over: the owner may have changed them since.
LIMITS_HELD = f"""
WITH handed AS (
    SELECT h.email_id, q.campaign_id, h.mailbox_id, (h.at AT TIME ZONE %(zone)s)::date AS day,
           (h.detail->>'campaign_used')::int AS campaign_used, (h.detail->>'campaign_limit')::int AS campaign_limit,
           (h.detail->>'mailbox_used')::int AS mailbox_used, (h.detail->>'mailbox_limit')::int AS mailbox_limit
    FROM email_history h JOIN campaign_email_queue q ON q.id = h.email_id
    WHERE h.move = 'hand_over'
), counted AS (
    SELECT campaign_id, mailbox_id, (handed_over_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS n
    FROM campaign_email_queue WHERE {counting.counts()} AND handed_over_at IS NOT NULL
    GROUP BY GROUPING SETS ((campaign_id, 3), (mailbox_id, 3))
)
SELECT 'e-mail ' || email_id FROM handed WHERE campaign_used >= campaign_limit OR mailbox_used >= mailbox_limit
UNION ALL
SELECT 'campaign ' || counted.campaign_id || ' on ' || counted.day FROM counted
WHERE campaign_id IS NOT NULL AND n > (SELECT max(campaign_limit) FROM handed
                                       WHERE handed.campaign_id = counted.campaign_id AND handed.day = counted.day)
UNION ALL
SELECT 'mailbox ' || counted.mailbox_id || ' on ' || counted.day FROM counted
WHERE mailbox_id IS NOT NULL AND n > (SELECT max(mailbox_limit) FROM handed
                                      WHERE handed.mailbox_id = counted.mailbox_id AND handed.day = counted.day)
"""  # noqa: S608  # only our own words

# Leads that must not be written to were left out and counted: see campaigns.COMPLETE.
COMPLETED_IS_COMPLETE = f"""
SELECT c.id FROM campaign c
LEFT JOIN LATERAL (
    SELECT COALESCE((values->'leads_left_out'->>1)::int, 0)
         + COALESCE((values->'leads_not_followed_up'->>1)::int, 0) AS leads FROM change
    WHERE campaign_id = c.id AND verb = 'complete' ORDER BY id DESC LIMIT 1
) left_out ON true
WHERE c.status = 'completed' AND (
    EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_id = c.id AND NOT q.status = ANY(%(final)s))
    OR {remaining.LEADS} > COALESCE(left_out.leads, 0))
ORDER BY c.id
"""  # noqa: S608  # only our own words

# The same bounds as the planner's.
SETTINGS_ARE_USABLE = """
SELECT 'campaign ' || id || ' (a delay of ' || delay_seconds || ' s)' FROM campaign
WHERE NOT (delay_seconds > 0 AND delay_seconds <= %(longest)s)
UNION ALL
SELECT 'campaign ' || id || ' (its window or weekdays)' FROM campaign
WHERE NOT (0 <= window_start_minute AND window_start_minute < window_end_minute AND window_end_minute <= 1440
           AND cardinality(weekdays) > 0 AND weekdays <@ '{0,1,2,3,4,5,6}')
UNION ALL
SELECT 'campaign ' || id || ' (last started ' || last_start_at || ')' FROM campaign WHERE last_start_at >= %(end)s
UNION ALL
SELECT 'mailbox ' || id || ' (a gap of ' || gap_seconds || ' s)' FROM mailbox
WHERE NOT (gap_seconds >= 0 AND gap_seconds <= %(longest)s)
UNION ALL
SELECT 'mailbox ' || id || ' (last started ' || last_start_at || ')' FROM mailbox WHERE last_start_at >= %(end)s
UNION ALL
SELECT 'mailbox ' || id || ' (closed until ' || closed_until || ')' FROM mailbox WHERE closed_until >= %(end)s
"""

# What a restored backup tells of a lead may be older than a hand-over that a machine's log brought back.
_NOT_RECOVERED = "NOT EXISTS (SELECT FROM email_history m WHERE m.email_id = q.id AND m.move = 'recover')"
# Both are written under the campaign's lock, so the times tell which came first.
STOPPED_IS_STOPPED = f"""
SELECT q.id FROM campaign_email_queue q
JOIN campaign_lead l ON l.id = q.campaign_lead_id
JOIN hold h ON h.lead_id = l.lead_id AND (h.campaign_id IS NULL OR h.campaign_id = q.campaign_id) AND h.stops
WHERE q.predecessor_id IS NOT NULL AND q.handed_over_at > h.created_at
  AND q.handed_over_at < COALESCE(h.lifted_at, 'infinity') AND {_NOT_RECOVERED}
GROUP BY q.id ORDER BY q.id
"""  # noqa: S608  # only our own words

FOLLOW_UPS_WAIT = """
SELECT q.id FROM campaign_email_queue q JOIN campaign_email_queue p ON p.id = q.predecessor_id
WHERE q.handed_over_at IS NOT NULL AND q.looked_at IS NOT NULL
  AND (q.looked_at < q.wait_ends_at OR q.handed_over_at < q.wait_ends_at OR p.status <> 'sent')
ORDER BY q.id
"""

SENT_HAS_ITS_CONTENT = """
SELECT q.id FROM campaign_email_queue q LEFT JOIN email_content e ON e.email_id = q.id
WHERE q.status = 'sent' AND e.email_id IS NULL AND NOT EXISTS (
    SELECT FROM email_history h WHERE h.email_id = q.id AND h.move = 'recover')
ORDER BY q.id
"""

# The hand-over checks the same under the locks under which a lead is stopped.
STOPPED_ARE_LEFT_ALONE = f"""
SELECT q.id FROM hold h
JOIN campaign_lead l ON {holds.OF_LEAD.format(l="l")}
JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
WHERE h.stops AND q.handed_over_at > h.created_at AND {_NOT_RECOVERED}
GROUP BY q.id ORDER BY q.id
"""  # noqa: S608  # only our own words
# A suppression waits for the hand-overs that are being committed; a long list takes a while to be written.
SUPPRESSED_ARE_LEFT_ALONE = f"""
SELECT q.id FROM suppression s JOIN lead p ON p.address = s.address
JOIN campaign_lead l ON l.lead_id = p.id JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
WHERE q.handed_over_at > s.created_at + interval '5 minutes' AND {_NOT_RECOVERED}
ORDER BY q.id
"""  # noqa: S608
WHAT_CAME_BACK_IS_HEEDED = """
SELECT 'message ' || i.id FROM incoming i
WHERE (i.class IN ('human', 'unclear') OR (i.class = 'automatic' AND i.kind IS DISTINCT FROM 'receipt'))
  AND i.lead_id IS NOT NULL AND i.campaign_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM hold h WHERE h.incoming_id = i.id AND h.lead_id = i.lead_id AND h.lifted_at IS NULL)
UNION ALL
SELECT 'message ' || i.id FROM incoming i JOIN lead p ON p.id = i.lead_id
WHERE i.class IN ('complaint', 'unsubscribe') AND i.suppressed = p.address
  AND NOT EXISTS (SELECT FROM suppression s WHERE s.address = p.address)
  AND NOT EXISTS (SELECT FROM change c WHERE c.address = p.address AND c.verb = 'unsuppress' AND c.at > i.read_at)
"""

# Counted in SQL, so that a rule broken by a million rows still gives one line.
COUNTED = "SELECT count(*)::int AS number, (array_agg(it::text))[1:{shown}] AS first FROM ({query}) AS broken (it)"


class _Broken(NamedTuple):
    number: int
    first: list[str] | None


class Rule(NamedTuple):
    slug: str
    sentence: str
    query: str


RULES = (
    Rule("constraints_stand", "all constraints and unique indexes exist", CONSTRAINTS_STAND),
    Rule("status_agrees", "each e-mail's columns agree with its status", STATUS_AGREES),
    Rule("one_sending", "no mailbox sends two e-mails at once", ONE_SENDING),
    Rule("one_mail_a_step", "no lead has two e-mails of one step", ONE_MAIL_A_STEP),
    Rule("steps_are_a_chain", "each lead's e-mails follow the order of the campaign's steps", STEPS_ARE_A_CHAIN),
    Rule("history_begins", "each history begins with a plan", HISTORY_BEGINS),
    Rule("history_ends", "each history ends at the status and time of its e-mail", HISTORY_ENDS),
    Rule("history_is_a_chain", "each history is a chain of legal moves", HISTORY_IS_A_CHAIN),
    Rule("tokens_agree", "each move names the token of its claim", TOKENS_AGREE),
    Rule("handed_over_once", "no e-mail was handed over twice without proof or a decision", HANDED_OVER_ONCE),
    Rule("outcomes_have_attempts", "each outcome has its attempt", OUTCOMES_HAVE_ATTEMPTS),
    Rule("limits_held", "no limit was exceeded", LIMITS_HELD),
    Rule("stopped_is_stopped", "no follow-up was handed over after its lead's answer was read", STOPPED_IS_STOPPED),
    Rule("follow_ups_wait", "each follow-up was sent after its wait and a look for an answer", FOLLOW_UPS_WAIT),
    Rule("completed_is_complete", "completed campaigns have nothing left to send", COMPLETED_IS_COMPLETE),
    Rule("sent_has_its_content", "the content of each sent e-mail is stored", SENT_HAS_ITS_CONTENT),
    Rule("stopped_are_left_alone", "nobody who replied was written to after that", STOPPED_ARE_LEFT_ALONE),
    Rule("suppressed_are_left_alone", "no suppressed address was written to", SUPPRESSED_ARE_LEFT_ALONE),
    Rule("what_came_back_is_heeded", "each message that came back was acted on", WHAT_CAME_BACK_IS_HEEDED),
    Rule("settings_are_usable", "the settings of campaigns and mailboxes are valid", SETTINGS_ARE_USABLE),
)


def check() -> list[CheckResult]:
    """Check every rule in one snapshot. May take a while with millions of rows."""
    with database.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        execute("SET LOCAL statement_timeout = 0")
        return [_found(rule) for rule in RULES]


def ask(rule: Rule, seconds: float) -> CheckResult:
    """Check one rule. Raises if that takes longer: see database.took_too_long()."""
    with database.atomic():
        execute("SET TRANSACTION READ ONLY")
        execute("SET LOCAL statement_timeout = %s", (round(seconds * 1000),))
        return _found(rule)


def _found(rule: Rule) -> CheckResult:
    values = {
        **recipients.rules(),
        "legal": tuple(_legal_moves()),
        "final": [str(status) for status in FINAL],
        "zone": WARSAW.key,
        "longest": LONGEST.total_seconds(),
        "end": END,
    }
    [found] = rows(_Broken, COUNTED.format(query=rule.query, shown=_SHOWN), values)
    return CheckResult(rule.sentence, _said(found.number, found.first), found.number)


def _legal_moves() -> Iterator[tuple[str, str, str]]:
    for move, path in PATHS.items():
        sources: set[Status | str] = set(path.sources) or {""}
        yield from ((str(move), str(source), str(target)) for source in sources for target in path.targets)


def _said(count: int, first: list[str] | None) -> str | None:
    if not first:
        return None
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return ", ".join(first) + more
