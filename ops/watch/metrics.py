"""Every metric of Punktual, declared here and nowhere else.

Workers and timekeeper count events; gauges of the current state are read from the rows at each scrape.
prometheus_client decides at import whether values are shared by several processes, so ops/watch/metrics_folder.py sets
the environment before such a process starts.
"""

from typing import NamedTuple

from prometheus_client import Counter, Histogram

from models.email import gates
from models.inbox import incoming
from models.planning import plans

SENT = Counter("punktual_sent_total", "E-mails that a server accepted.", ["campaign", "mailbox"])
OUTCOMES = Counter(
    "punktual_outcomes_total",
    "Attempts by outcome, and by scope: what the error was about.",
    ["outcome", "scope"],
)
SCHEDULE_LAG = Histogram(
    "punktual_schedule_lag_seconds",
    "Time from the scheduled time to the server's answer, for sent e-mails.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800),
)
SMTP_PHASE = Histogram(
    "punktual_smtp_phase_seconds",
    "Duration of a phase of an SMTP conversation; dot is the wait for the answer to the final dot.",
    ["phase"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
SMTP_REPLIES = Counter(
    "punktual_smtp_replies_total",
    "Final replies of attempts, by phase, code (or none) and enhanced code (none; other if not in RFC 3463).",
    ["phase", "code", "enhanced"],
)
RECORDS_REFUSED = Counter(
    "punktual_records_refused_total",
    "Outcomes that the database refused to record; they wait in the journal.",
)
CLAIMS_REFUSED = Counter("punktual_claims_refused_total", "Claims refused by a closed gate.", ["gate"])
REPLANNED = Counter(
    "punktual_replanned_emails_total", "E-mails that were planned again, with another time or mailbox.", ["reason"]
)
MAILBOX_CLOSURES = Counter("punktual_mailbox_closures_total", "Mailboxes closed after an error.", ["phase"])
HINTS_PUBLISHED = Counter("punktual_hints_published_total", "Hints confirmed by the broker.")
HINT_FAILURES = Counter("punktual_hint_failures_total", "Hints that could not be published.")
TICK_STEP_FAILURES = Counter("punktual_tick_step_failures_total", "Steps of the tick that failed.", ["step"])
TICK_STEP = Histogram(
    "punktual_tick_step_seconds",
    "Duration of a step of the tick.",
    ["step"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60),
)
LETTERS_DELETED = Counter("punktual_letters_deleted_total", "Letters whose content was deleted because of their age.")
NOTICES = Counter("punktual_notices_total", "Notices to people, sent or failed.", ["result"])

INCOMING = Counter("punktual_incoming_total", "Messages that came back and were kept, by class.", ["class"])
ANSWERS_READ_LATE = Counter(
    "punktual_answers_read_late_total", "Messages that had come before a follow-up left, and were read after it."
)
INBOX_LOOKS = Counter("punktual_inbox_looks_total", "Looks into inboxes, by result.", ["result"])

# Exported as 0 from the start: Prometheus sees no increase in a series that first appears as 1.
for _gate in gates.NAMES:
    CLAIMS_REFUSED.labels(_gate)
for _reason in plans.REASONS:
    REPLANNED.labels(_reason)
for _result in ("sent", "failed"):
    NOTICES.labels(_result)
for _class in incoming.CLASSES:
    INCOMING.labels(_class)
for _result in ("complete", "partial", "failed"):
    INBOX_LOOKS.labels(_result)


class State(NamedTuple):
    """A gauge that web/metrics.py fills from the rows."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


EMAILS = State("punktual_emails", "E-mails of active and paused campaigns.", ("campaign", "status"))
RESPONSES = State(
    "punktual_responses_leads",
    "Leads of active and paused campaigns that responded, by how; held and stopped: not written to because of it.",
    ("campaign", "response"),
)
TO_BE_JUDGED = State("punktual_messages_to_judge", "Messages that came back and that a person has to judge.")
INBOX_READ = State(
    "punktual_inbox_read_timestamp_seconds",
    "When the last look into the mailbox's inbox that read everything began; 0 before the first.",
    ("mailbox",),
)
INBOX_FAILURES = State(
    "punktual_inbox_failed_looks", "Looks into the mailbox's inbox that failed since one worked.", ("mailbox",)
)
FOLLOW_UPS_HELD = State(
    "punktual_follow_ups_held",
    "Follow-ups of active campaigns that wait because an answer may be unread: their mailbox's inbox is not read.",
    ("campaign",),
)
UNKNOWN_OUTCOMES = State("punktual_unknown_outcomes", "E-mails whose outcome is unknown.")
DUE_OLDEST = State(
    "punktual_due_oldest_seconds",
    "Age of the oldest due e-mail of active campaigns with an open window; 0 if none.",
    ("mailbox",),
)
MAILBOX_USED = State(
    "punktual_mailbox_used_emails",
    "E-mails that count towards the mailbox's daily limit today (Warsaw day), by kind.",
    ("mailbox", "kind"),
)
MAILBOX_LIMIT = State(
    "punktual_mailbox_limit_emails", "The mailbox's limit for today, its ramp included.", ("mailbox",)
)
MAILBOX_GAP = State("punktual_mailbox_gap_seconds", "The minimum time between two of its e-mails.", ("mailbox",))
MAILBOX_PLANNED = State(
    "punktual_mailbox_planned_emails",
    "Pending e-mails of active campaigns, scheduled for today (Warsaw day) or earlier.",
    ("mailbox",),
)
MAILBOX_STATE = State("punktual_mailbox_state", "1 for the mailbox's current state.", ("mailbox", "state"))
WINDOW_OPEN = State("punktual_window_open", "1 if the campaign's window is open.", ("campaign",))
SHOULD_SEND = State(
    "punktual_campaign_should_send",
    "1 if an e-mail is due and no gate holds it back for more than a few seconds.",
    ("campaign",),
)
BLOCKED = State(
    "punktual_campaign_blocked",
    "1 for the first closed gate of an active campaign's next e-mail; time: it is not due yet.",
    ("campaign", "gate"),
)
CAMPAIGN_DELAY = State("punktual_campaign_delay_seconds", "The delay between two of its e-mails.", ("campaign",))
CAMPAIGN_LAST_START = State(
    "punktual_campaign_last_start_timestamp_seconds",
    "When its last e-mail was claimed; 0 before the first.",
    ("campaign",),
)
CAMPAIGN_INFO = State("punktual_campaign_info", "1; the campaign's name.", ("campaign", "name"))
HINTED = State("punktual_hinted_emails", "E-mails with a hint in the broker, according to the database.")
TICK_COMPLETED = State(
    "punktual_tick_completed_timestamp_seconds",
    "When a tick last completed without a failed step; 0 before the first.",
)
ARMED = State("punktual_armed", "1 if sending is allowed; 0 after a restored backup, until a person has run `arm`.")
VIOLATIONS = State("punktual_invariant_violations", "Rows that violate the invariant, at its latest check.", ("rule",))
INVARIANTS_CHECKED = State(
    "punktual_invariants_checked_timestamp_seconds",
    "When the longest unchecked invariant was last checked; 0 if one never was.",
)
SCRAPE = State("punktual_scrape_seconds", "How long it took to read these metrics from the database.")
