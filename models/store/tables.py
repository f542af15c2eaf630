"""The tables, with every constraint and index that a guarantee depends on.

The migrations define the same in SQL, with comments; a test compares both. Only models/ reads and writes tables, and
only moves.py and batch_moves.py change an e-mail's status.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    Check,
    CompositeKey,
    DateField,
    DateTimeField,
    DoubleField,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    Node,
    SmallIntegerField,
    TextField,
    UUIDField,
)
from peewee import JSONField as PeeweeJSONField
from playhouse.postgres_ext import ArrayField

from bounds import CAMPAIGN, MAILBOX, SEQUENCE, WARMUP, Bounds
from models.states import CampaignStatus, MailboxStatus, Move, Result, Status
from models.store import counting
from models.store.database import database

CLOCK = SQL("clock_timestamp()")


def _one_of(column: str, values: Iterable[str]) -> Node:
    listed = ", ".join(f"'{value}'" for value in values)
    return Check(f"{column} IN ({listed})", f"{column}_is_known")


def _bounded(name: str, **columns: Bounds) -> Node:
    each = (f"{column} BETWEEN {it.least} AND {it.most}" for column, it in columns.items())
    return Check(" AND ".join(each), name)


def _default(value: str) -> list[Node]:
    return [SQL(f"DEFAULT {value}")]


class MomentField(DateTimeField):
    """An instant in whole milliseconds, so that it compares exactly with a message's ETA."""

    field_type = "TIMESTAMPTZ(3)"


class JSONField(PeeweeJSONField):
    field_type = "JSONB"


class EnumField(TextField):
    """A text column with the values of an enum."""

    def __init__(self, kind: type[StrEnum], constraints: list[Node]) -> None:
        self._kind = kind
        super().__init__(constraints=constraints)

    def python_value(self, value: str | None) -> StrEnum | None:
        return None if value is None else self._kind(value)


class Table(Model):
    class Meta:
        database = database
        legacy_table_names = False


class Mailbox(Table):
    id = BigAutoField()
    address = TextField(unique=True)  # normalised
    name = TextField(constraints=_default("''"))
    smtp_host = TextField()
    smtp_port = IntegerField()
    smtp_security = TextField(
        constraints=[Check("smtp_security IN ('starttls', 'tls', 'none')", "smtp_security_is_known")]
    )
    username = TextField(null=True)
    password_encrypted = TextField(null=True)  # a Fernet token
    daily_limit = IntegerField()
    gap_seconds = DoubleField()
    status = EnumField(MailboxStatus, constraints=_default("'active'"))
    faults = IntegerField(constraints=_default("0"))  # consecutive, since the last accepted e-mail
    closed_until = MomentField(null=True)
    closed_reason = TextField(null=True)  # in English; see reason_columns.py
    closed_phase = TextField(null=True)  # of the fault that closed it: connect, tls, auth, mail, …
    closed_code = IntegerField(null=True)  # of the server's reply, if it gave one
    watched_from = MomentField(null=True)  # a person confirmed that it works: earlier refusals no longer count
    blamed_from = MomentField(
        null=True
    )  # e-mails that failed since then failed because of the mailbox, and are to be reopened
    last_start_at = MomentField(null=True)
    imap_host = TextField(null=True)  # of its Sent folder; user name and password are the same
    imap_port = IntegerField(null=True)
    imap_security = TextField(
        null=True, constraints=[Check("imap_security IN ('tls', 'starttls', 'none')", "imap_security_is_known")]
    )
    sent_folder = TextField(null=True)  # null: the folder the server flags as \Sent
    revision = IntegerField(constraints=_default("1"))  # incremented with every change that a plan depends on
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    closed_reason_code = TextField(null=True)
    closed_reason_values = JSONField(null=True)
    paused_by = TextField(null=True)
    paused_reason = TextField(null=True)
    paused_reason_code = TextField(null=True)
    paused_reason_values = JSONField(null=True)
    one_click = BooleanField(constraints=_default("false"))  # DKIM signs the headers that RFC 8058 wants signed
    ramp_start = IntegerField(null=True)  # its limit on the first day of its ramp; null: it has none
    ramp_step = IntegerField(null=True)  # added after each day on which it sent
    ramp_from = DateField(null=True)
    provider = TextField(null=True)  # a key of scheduling/providers.py; null: none, or one whose limits are not known

    class Meta:
        constraints = [
            _one_of("status", MailboxStatus),
            Check(
                "num_nulls(ramp_start, ramp_step, ramp_from) IN (0, 3) AND ramp_start BETWEEN 1 AND 1000000"
                " AND ramp_step BETWEEN 1 AND 1000000",
                "ramp_is_whole",
            ),
            _bounded("limits_are_bounded", daily_limit=MAILBOX["daily_limit"], gap_seconds=MAILBOX["gap_seconds"]),
            Check("smtp_port BETWEEN 1 AND 65535", "smtp_port_is_a_port"),
            Check("imap_port BETWEEN 1 AND 65535", "imap_port_is_a_port"),
            Check(
                "num_nulls(imap_host, imap_port, imap_security) IN (0, 3)"
                " AND (sent_folder IS NULL OR imap_host IS NOT NULL)",
                "imap_is_whole",
            ),
            Check("imap_host IS NULL OR username IS NOT NULL", "imap_has_its_username"),
        ]


class MailboxAuthorization(Table):
    """OAuth2: a mailbox's consent at its provider, instead of a password."""

    mailbox_id: int
    mailbox = ForeignKeyField(Mailbox, primary_key=True)
    provider = TextField(constraints=[Check("provider IN ('microsoft', 'google')", "provider_is_known")])
    tenant = TextField(null=True)  # Microsoft's: an id or a domain of the organisation
    client_id = TextField()  # of the owner's app registration
    client_secret_encrypted = TextField(null=True)  # Fernet tokens, as the two below
    refresh_token_encrypted = TextField()
    access_token_encrypted = TextField()
    access_ends_at = MomentField()
    consent_ends_at = MomentField(null=True)  # when the refresh token ends; null: the provider does not say
    renewed_at = MomentField(constraints=_default("clock_timestamp()"))
    authorized_at = MomentField(constraints=_default("clock_timestamp()"))
    authorized_by = TextField()


class Campaign(Table):
    id = BigAutoField()
    name = TextField()
    window_start_minute = SmallIntegerField()  # minute of the Warsaw day
    window_end_minute = SmallIntegerField()
    weekdays: Any = ArrayField(SmallIntegerField, index=False)  # 0 is Monday
    delay_seconds = DoubleField()
    daily_limit = IntegerField()
    status = EnumField(CampaignStatus, constraints=_default("'draft'"))
    replan_reason = TextField(null=True)  # not null: the planner must plan it again
    last_start_at = MomentField(null=True)
    revision = IntegerField(constraints=_default("1"))
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    watched_from = MomentField(null=True)  # the automatic pause looks at results since then; null: all
    paused_by = TextField(null=True)
    paused_reason = TextField(null=True)
    paused_reason_code = TextField(null=True)
    paused_reason_values = JSONField(null=True)
    send_on_holidays = BooleanField(constraints=_default("true"))
    last_day = DateField(null=True)  # of sending, in Warsaw; null: no end
    stop_in_all_campaigns = BooleanField(constraints=_default("false"))  # a reply stops the lead's other campaigns too
    stop_colleagues = BooleanField(constraints=_default("false"))  # and its leads at the same domain
    follow_up_without_inbox = BooleanField(constraints=_default("false"))  # from mailboxes that have no IMAP
    new_leads_per_day = IntegerField(null=True)  # null: as many as the daily limit lets
    follow_up_share = IntegerField(constraints=_default("70"))  # % of a mailbox's day that follow-ups may take

    class Meta:
        constraints = [
            _one_of("status", CampaignStatus),
            Check("replan_reason IN ('resumed', 'edited')", "replan_reason_is_known"),
            Check(
                "0 <= window_start_minute AND window_start_minute < window_end_minute AND window_end_minute <= 1440",
                "window_starts_before_it_ends",
            ),
            Check("cardinality(weekdays) > 0 AND weekdays <@ '{0,1,2,3,4,5,6}'", "weekdays_are_days_of_the_week"),
            _bounded("pace_is_bounded", **CAMPAIGN),
            _bounded("sequence_is_bounded", **SEQUENCE),
        ]


Campaign.add_index(
    Campaign.index(Campaign.name, unique=True, where=SQL("status <> 'cancelled'"), name="campaign_name_in_use")
)


class CampaignStep(Table):
    """One letter in a campaign's sequence."""

    campaign_id: int
    id = BigAutoField()
    campaign = ForeignKeyField(Campaign, index=False)
    position = IntegerField(constraints=[Check("position >= 1", "positions_count_from_one")])
    subject = TextField(null=True)  # null: it answers the letters before it, in the same thread
    text = TextField()
    html = TextField(null=True)
    wait_count = IntegerField(null=True)  # after the letter before it was sent: see scheduling/waits.py
    wait_unit = TextField(null=True)
    since = MomentField(null=True)  # only for leads whose letter before was sent since then; null: for all
    moves = BooleanField(constraints=_default("false"))  # its wait was edited: what is planned of it is planned again
    removed_at = MomentField(null=True)  # from the sequence, after it had e-mails; it keeps its place beside the others

    class Meta:
        constraints = [
            Check(
                "num_nulls(wait_count, wait_unit) IN (0, 2) AND (position = 1 OR wait_count IS NOT NULL)",
                "a_later_step_has_its_wait",
            ),
            Check(
                "wait_count BETWEEN 1 AND 31536000"
                " AND wait_unit IN ('seconds', 'minutes', 'hours', 'days', 'working days')",
                "waits_are_positive",
            ),
            Check("position > 1 OR subject IS NOT NULL", "the_first_step_has_a_subject"),
            Check("position > 1 OR removed_at IS NULL", "the_first_step_stays"),
        ]
        indexes = ((("campaign", "position"), True),)


class FrozenDays(Table):
    """Warsaw days on which no campaign sends."""

    id = BigAutoField()
    first_day = DateField()
    last_day = DateField()
    reason = TextField()
    created_at = MomentField(constraints=_default("clock_timestamp()"))

    class Meta:
        constraints = [Check("first_day <= last_day AND last_day - first_day < 366", "days_are_in_order")]


class CampaignMailbox(Table):
    campaign_id: int
    mailbox_id: int
    campaign = ForeignKeyField(Campaign, index=False)
    mailbox = ForeignKeyField(Mailbox)
    closed_reason = TextField(null=True)  # why the mailbox's server does not accept this campaign's letter
    closed_reason_code = TextField(null=True)
    closed_reason_values = JSONField(null=True)

    class Meta:
        primary_key = CompositeKey("campaign", "mailbox")


class FormerMailbox(Table):
    """A mailbox that was taken from its campaign, and what becomes of the sequences of those whom it wrote to."""

    campaign_id: int
    mailbox_id: int
    goes_on_from_id: int | None
    campaign = ForeignKeyField(Campaign, index=False, on_delete="CASCADE")
    mailbox = ForeignKeyField(Mailbox)
    removed_at = MomentField(constraints=_default("clock_timestamp()"))
    ends = BooleanField(constraints=_default("false"))
    goes_on_from = ForeignKeyField(Mailbox, null=True, index=False, backref="takes_over")
    decided_at = MomentField(null=True)  # null: they wait until a person decides

    class Meta:
        primary_key = CompositeKey("campaign", "mailbox")
        constraints = [
            Check(
                "NOT (ends AND goes_on_from_id IS NOT NULL) AND goes_on_from_id <> mailbox_id"
                " AND (decided_at IS NOT NULL) = (ends OR goes_on_from_id IS NOT NULL)",
                "one_decision",
            ),
        ]


class Lead(Table):
    id = BigAutoField()
    address = TextField(unique=True)  # normalised: one row per person, whatever the spelling
    legal_basis = TextField(null=True)
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    legal_basis_source = TextField(null=True)  # where it comes from, like the form that was filled in
    legal_basis_date = DateField(null=True)
    forgotten_at = MomentField(null=True)  # then the address is a keyed hash: see people/forgotten.py


Lead.add_index(Lead.index(Lead.id, where=SQL("forgotten_at IS NOT NULL"), name="forgotten_leads"))
Lead.add_index(Lead.index(SQL("split_part(address, '@', -1)"), name="lead_by_domain"))


class Suppression(Table):
    """An address or a domain that no campaign may write to. Imports do not remove it."""

    # Normalised; of a domain with all its subdomains "@leads.example"; of a forgotten person a keyed hash.
    address = TextField(primary_key=True)
    reason = TextField()
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)
    by = TextField(null=True)  # a person, or a part of Punktual; null: written by the previous version
    email_id = BigIntegerField(null=True)  # our e-mail that it answers
    proof = TextField(null=True)  # what proves it, like the Message-ID of a reply


Suppression.add_index(
    Suppression.index(Suppression.email_id, where=SQL("reason_code = 'unsubscribed'"), name="unsubscribed")
)


class CampaignLead(Table):
    campaign_id: int
    lead_id: int
    id = BigAutoField()
    campaign = ForeignKeyField(Campaign, index=False)
    lead = ForeignKeyField(Lead)
    position = IntegerField()  # the lead's turn in the campaign
    address = TextField()  # as the owner wrote it
    fields = JSONField()  # the values for the templates

    class Meta:
        indexes = ((("campaign", "lead"), True), (("campaign", "position"), True))


class LeadSearch(Table):
    """What a campaign's lead is found by. Written by the tick, and by a trigger when the lead changes."""

    campaign_lead = ForeignKeyField(CampaignLead, primary_key=True, on_delete="CASCADE")
    words = TextField()  # in lower case, without diacritics


LeadSearch.add_index(LeadSearch.index(SQL("search_grams(words)"), using="gin", name="lead_search_grams"))


class LeadSearchBacklog(Table):
    """A range of leads whom LeadSearch may lack. Written by a trigger."""

    id = BigAutoField()
    first_id = BigIntegerField()
    last_id = BigIntegerField()


class CampaignEmailQueue(Table):
    """One e-mail: a step of a campaign, sent to one of its leads."""

    campaign_id: int
    campaign_lead_id: int
    step_id: int
    predecessor_id: int | None
    mailbox_id: int
    id = BigAutoField()
    campaign = ForeignKeyField(Campaign, index=False)
    campaign_lead = ForeignKeyField(CampaignLead, index=False)
    mailbox = ForeignKeyField(Mailbox, index=False)
    status = TextField(constraints=_default("'pending'"))
    scheduled_at = MomentField()
    hinted_for = MomentField(null=True)  # the scheduled_at that the last published hint was for
    attempts = IntegerField(constraints=_default("0"))
    message_id = TextField(unique=True)
    claim_token = UUIDField(null=True)
    claimed_at = MomentField(null=True)
    worker_host = TextField(null=True)
    worker_pid = IntegerField(null=True)
    worker_started_at = DoubleField(null=True)  # seconds since the epoch: tells a process from a later one with its pid
    handed_over_at = MomentField(null=True)
    evidence_sought_at = MomentField(null=True)  # when its copy was last looked for in the Sent folder
    sent_at = MomentField(null=True)
    error = TextField(null=True)
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    deferred_since = MomentField(null=True)  # the first of its attempts answered with a temporary refusal
    step = ForeignKeyField(CampaignStep, index=False)
    predecessor = ForeignKeyField("self", null=True, index=False)  # the lead's e-mail before it; null: the first
    error_code = TextField(null=True)
    error_values = JSONField(null=True)
    not_before = MomentField(null=True)  # its lead was held until then, and it has its own time since
    wait_ends_at = MomentField(null=True)  # of a follow-up: it is not sent before
    looked_at = MomentField(null=True)  # of a claimed follow-up: when the look into the inbox began that allowed it
    wire_message_id = TextField(null=True)  # as its lead got it, if the provider changed message_id
    skipped = BooleanField(constraints=_default("false"))  # cancelled with its removed step: its sequence goes on

    class Meta:
        constraints = [
            _one_of("status", Status),
            Check(
                "status <> 'pending' OR (claim_token IS NULL AND claimed_at IS NULL AND handed_over_at IS NULL)",
                "pending_is_unclaimed",
            ),
            Check(
                "status <> 'sending' OR (claim_token IS NOT NULL AND claimed_at IS NOT NULL"
                " AND worker_host IS NOT NULL AND worker_pid IS NOT NULL AND worker_started_at IS NOT NULL)",
                "sending_is_claimed",
            ),
            Check(
                "status <> 'unknown' OR (claim_token IS NOT NULL AND handed_over_at IS NOT NULL)",
                "unknown_was_handed_over",
            ),
            Check("(status = 'sent') = (sent_at IS NOT NULL)", "sent_has_its_time"),
            Check("status <> 'sent' OR handed_over_at IS NOT NULL", "sent_was_handed_over"),
            Check("status <> 'failed' OR error IS NOT NULL", "failed_has_its_error"),
            Check("attempts >= 0", "attempts_are_not_negative"),
            Check("predecessor_id IS NULL OR status <> 'sending' OR looked_at IS NOT NULL", "follow_up_is_not_blind"),
        ]
        indexes = (
            (("campaign_lead", "step"), True),
            (("campaign", "campaign_lead"), True),  # until the first follow-up: see planning/follow_ups.py
            (("status", "scheduled_at"), False),
            (("campaign", "scheduled_at", "id"), False),
            (("campaign", "status", "scheduled_at", "id"), False),
        )


_STARTED = SQL(counting.counted_at())
_PENDING = SQL("status = 'pending'")


def _index(name: str, *fields: Field | SQL, where: SQL, unique: bool = False) -> None:
    CampaignEmailQueue.add_index(CampaignEmailQueue.index(*fields, unique=unique, where=where, name=name))


_Q = CampaignEmailQueue
_index("one_successor", _Q.predecessor, where=SQL("predecessor_id IS NOT NULL AND NOT skipped"), unique=True)
_index("one_first_email", _Q.campaign, _Q.campaign_lead, where=SQL("predecessor_id IS NULL"), unique=True)
_index("follow_ups_by_campaign", _Q.campaign, _Q.step, _Q.status, where=SQL("predecessor_id IS NOT NULL"))
_index(
    "pending_follow_ups",
    _Q.mailbox,
    _Q.scheduled_at,
    where=SQL("status = 'pending' AND predecessor_id IS NOT NULL"),
)
_index(
    "pending_first_emails",
    _Q.campaign,
    _Q.scheduled_at,
    where=SQL("status = 'pending' AND predecessor_id IS NULL"),
)
_index("one_sending_per_mailbox", _Q.mailbox, where=SQL("status = 'sending'"), unique=True)
_index("pending_by_mailbox", _Q.mailbox, _Q.scheduled_at, where=_PENDING)
_index(
    "pending_by_campaign_and_mailbox",
    *(_Q.campaign, _Q.mailbox, _Q.scheduled_at, _Q.id, _Q.campaign_lead, _Q.attempts, _Q.not_before),
    *(_Q.step, _Q.predecessor),
    where=_PENDING,
)
# Covers the queries about a day's count: index-only scans.
_OF_A_DAY = (_STARTED, _Q.id, _Q.status, _Q.handed_over_at, _Q.claimed_at)
for _by, _field in (("campaign", _Q.campaign), ("mailbox", _Q.mailbox)):
    # Always true. Postgres infers it only from a query that names the column, so no query can take the other index.
    _index(f"used_by_{_by}", _field, *_OF_A_DAY, where=SQL(f"{counting.counts()} AND {_by}_id IS NOT NULL"))
_index("unknown_by_id", _Q.id, where=SQL("status = 'unknown'"))
_index("errors_with_addresses", _Q.id, where=SQL("strpos(error, '@') > 0"))
_index(
    "deferred_by_campaign",
    _Q.campaign,
    _Q.scheduled_at,
    where=SQL("status = 'pending' AND deferred_since IS NOT NULL"),
)


class EmailHistory(Table):
    """Every move of every e-mail, in order, never changed."""

    email_id: int
    mailbox_id: int
    id = BigAutoField()
    email = ForeignKeyField(CampaignEmailQueue, index=False)
    at = MomentField(constraints=_default("clock_timestamp()"))
    move = TextField()
    from_status = TextField(null=True)
    to_status = TextField()
    reason = TextField(null=True)
    scheduled_from = MomentField(null=True)
    scheduled_to = MomentField(null=True)
    mailbox = ForeignKeyField(Mailbox, index=False)
    claim_token = UUIDField(null=True)
    handed_over_at = MomentField(null=True)  # of a hand-over that still counts although the e-mail is sent again
    by = TextField()  # which process or person
    detail = JSONField(null=True)  # numbers of a hand-over; for an answer, only for the previous version
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)

    class Meta:
        constraints = [_one_of("move", Move), Check("reason IS NOT NULL OR move <> 'replan'", "replan_has_its_reason")]
        indexes = ((("email", "id"), False),)


EmailHistory.add_index(
    EmailHistory.index(
        EmailHistory.mailbox,
        EmailHistory.handed_over_at,
        where=SQL("handed_over_at IS NOT NULL"),
        name="counted_again_by_mailbox",
    )
)
EmailHistory.add_index(
    EmailHistory.index(
        EmailHistory.scheduled_from,
        EmailHistory.scheduled_to,
        EmailHistory.email,
        EmailHistory.id,
        where=SQL("scheduled_from <> scheduled_to"),
        name="moves_from_a_day",
    )
)
EmailHistory.add_index(
    EmailHistory.index(
        EmailHistory.mailbox,
        EmailHistory.id,
        where=SQL("move = 'doubt' OR (move IN ('reject', 'retry', 'release') AND detail IS NOT NULL)"),
        name="errors_by_mailbox",
    )
)
EmailHistory.add_index(
    EmailHistory.index(EmailHistory.id, where=SQL("strpos(reason, '@') > 0"), name="reasons_with_addresses")
)


class Attempt(Table):
    """One conversation with a mail server; at most one per claim."""

    email_id: int
    mailbox_id: int
    id = BigAutoField()
    email = ForeignKeyField(CampaignEmailQueue, index=False)
    claim_token = UUIDField(unique=True)
    mailbox = ForeignKeyField(Mailbox, index=False)
    outcome = TextField()
    phase = TextField()  # the last one reached: compose, connect, tls, auth, mail, rcpt, data, body or dot
    scope = TextField(null=True)  # whom the answer is about; null: accepted, or no answer
    code = IntegerField(null=True)  # of the server's reply; null: none was read
    enhanced = TextField(null=True)  # "5.1.1"
    reply = TextField(null=True)  # the server's words, or what happened instead, in English
    reason_code = TextField(null=True)  # what happened instead of an answer; with reason_values
    reason_values = JSONField(null=True)
    seconds = JSONField(constraints=_default("'{}'"))  # phase -> how long it took
    started_at = MomentField()  # when its mail was claimed
    ended_at = MomentField(constraints=_default("clock_timestamp()"))  # when its outcome was recorded

    class Meta:
        constraints = [
            _one_of("outcome", Result),
            Check("outcome NOT IN ('deferred', 'refused') OR scope IS NOT NULL", "no_is_about_somebody"),
        ]
        indexes = ((("email", "ended_at", "id"), False),)


Attempt.add_index(
    Attempt.index(
        Attempt.mailbox,
        Attempt.ended_at,
        Attempt.id,
        where=SQL("outcome IN ('deferred', 'refused', 'unanswered')"),
        name="failed_attempts_by_mailbox",
    )
)
Attempt.add_index(
    Attempt.index(
        Attempt.id,
        where=SQL("outcome <> 'accepted' AND strpos(reply, '@') > 0"),
        name="replies_with_addresses",
    )
)


class EmailContent(Table):
    """The message as handed over to the server, byte for byte, so that owners can see what a lead received."""

    email_id: int
    email = ForeignKeyField(CampaignEmailQueue, primary_key=True)
    claim_token = UUIDField()
    content = BlobField()  # empty: its person was forgotten, or, since deleted_at, it was old
    recorded_at = MomentField(constraints=_default("clock_timestamp()"))
    deleted_at = MomentField(null=True)


EmailContent.add_index(
    EmailContent.index(
        EmailContent.recorded_at, EmailContent.email, where=SQL("content <> ''::bytea"), name="letters_by_age"
    )
)


class LetterDeletion(Table):
    """Up to which old letter the deletion has got, and when it goes on. One row, created by the migration."""

    single = BooleanField(primary_key=True, constraints=[*_default("true"), Check("single", "there_is_one_pass")])
    after_at = MomentField(constraints=_default("'epoch'"))
    after_id = BigIntegerField(constraints=_default("0"))
    next_at = MomentField(constraints=_default("'epoch'"))


class MailboxFreeze(Table):
    """Warsaw days, both ends included, on which a mailbox sends nothing."""

    mailbox_id: int
    id = BigAutoField()
    mailbox = ForeignKeyField(Mailbox, index=False)
    first_day = DateField()
    last_day = DateField()

    class Meta:
        constraints = [Check("first_day <= last_day", "freeze_begins_before_it_ends")]
        indexes = ((("mailbox", "last_day"), False),)


class WarmupCount(Table):
    """How many warm-up mails another system sent from a mailbox on a Warsaw day."""

    mailbox_id: int
    mailbox = ForeignKeyField(Mailbox, index=False)
    day = DateField()
    count = IntegerField(constraints=[_bounded("count_is_bounded", **WARMUP)])

    class Meta:
        primary_key = CompositeKey("mailbox", "day")


class TestMail(Table):
    """One letter of a campaign that a person had sent to an address as a test. It counts, and is never sent again."""

    mailbox_id: int
    campaign_id: int | None
    id = BigAutoField()
    mailbox = ForeignKeyField(Mailbox, index=False)
    campaign = ForeignKeyField(Campaign, index=False, null=True, on_delete="SET NULL")
    recipient = TextField()  # normalised
    by = TextField()
    message_id = TextField()
    started_at = MomentField(constraints=_default("clock_timestamp()"))
    lease_ends_at = MomentField()  # from then on its process is taken for dead
    handed_over_at = MomentField(null=True)
    ended_at = MomentField(null=True)
    outcome = TextField(null=True)  # null: under way, or its process died
    answer = TextField(null=True)  # the server's words, or what happened instead, in English

    class Meta:
        constraints = [
            _one_of("outcome", Result),
            Check("(ended_at IS NULL) = (outcome IS NULL)", "ended_with_its_outcome"),
        ]


TestMail.add_index(
    TestMail.index(TestMail.mailbox, unique=True, where=SQL("ended_at IS NULL"), name="one_test_per_mailbox")
)
TestMail.add_index(TestMail.index(TestMail.mailbox, TestMail.started_at, name="test_mails_of_a_day"))


class Change(Table):
    """Audit log: what was done to a campaign, mailbox, address or the installation, and by whom. Never updated.

    A deleted draft's rows become one of the installation.
    """

    campaign_id: int | None
    mailbox_id: int | None
    id = BigAutoField()
    at = MomentField(constraints=_default("clock_timestamp()"))
    by = TextField()  # a person, or a part of Punktual
    verb = TextField()
    campaign = ForeignKeyField(Campaign, index=False, null=True)
    mailbox = ForeignKeyField(Mailbox, index=False, null=True)
    values = JSONField()  # name -> [old, new]
    reason = TextField(null=True)
    address = TextField(null=True)  # that was suppressed or released
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)

    class Meta:
        constraints = [Check("num_nonnulls(campaign_id, mailbox_id, address) <= 1", "change_is_of_one")]
        indexes = ((("campaign", "id"), False), (("mailbox", "id"), False))


Change.add_index(Change.index(Change.address, Change.id, where=SQL("address IS NOT NULL"), name="change_by_address"))


class Installation(Table):
    """The database's id, and why it is disarmed, if it is. One row, created by the migration."""

    id = UUIDField(primary_key=True, constraints=_default("gen_random_uuid()"))
    single = BooleanField(unique=True, constraints=[*_default("true"), Check("single", "there_is_one")])
    disarmed_reason = TextField(null=True)
    disarmed_reason_code = TextField(null=True)
    disarmed_reason_values = JSONField(null=True)
    requires_legal_basis = BooleanField(constraints=_default("true"))  # unless the setting says otherwise


class Heartbeat(Table):
    """When each background job last finished."""

    name = TextField(primary_key=True)
    at = MomentField()


class Finding(Table):
    """The latest result of an invariant's check."""

    rule = TextField(primary_key=True)
    violations = IntegerField(constraints=[Check("violations >= 0", "violations_are_not_negative")])
    example = TextField(null=True)
    checked_at = MomentField()


class DomainFinding(Table):
    """What the DNS of a mailbox's domain last said about its mail."""

    domain = TextField()
    record = TextField()
    state = TextField()
    reason = TextField()
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)
    checked_at = MomentField(constraints=_default("clock_timestamp()"))
    missing_since = MomentField(null=True)  # the first answer that it is missing; silence in between changes nothing

    class Meta:
        primary_key = CompositeKey("domain", "record")
        constraints = [
            _one_of("record", ("mx", "spf", "dmarc")),
            _one_of("state", ("ok", "weak", "wrong", "missing", "unknown")),
        ]


class CalibrationFinding(Table):
    """What the latest calibration mail of a mailbox has shown."""

    mailbox_id = BigIntegerField()
    record = TextField()
    state = TextField()
    reason = TextField()
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)
    checked_at = MomentField(constraints=_default("clock_timestamp()"))

    class Meta:
        primary_key = CompositeKey("mailbox_id", "record")
        constraints = [
            _one_of("record", ("arrival", "spf", "dkim", "dmarc", "one_click", "message_id", "sent_copy")),
            _one_of("state", ("ok", "weak", "wrong", "missing", "unknown")),
        ]


class Notice(Table):
    """A notice to the people in charge, open for as long as its cause lasts."""

    id = BigAutoField()
    kind = TextField()
    subject = BigIntegerField()  # id of a campaign or mailbox, depending on kind; 0: the installation
    opened_at = MomentField(constraints=_default("clock_timestamp()"))
    closed_at = MomentField(null=True)  # when the cause was found to be over
    due_at = MomentField(null=True)  # when to send it (again); null: not now
    attempts = IntegerField(constraints=_default("0"))  # to send what is due
    reached: Any = ArrayField(TextField, index=False, constraints=_default("'{}'"))  # places told
    told_at = MomentField(null=True)  # when it last reached every notifier
    said = TextField(null=True)
    error = TextField(null=True)  # of the last attempt

    class Meta:
        constraints = [
            _one_of(
                "kind",
                (
                    *("unknown", "mailbox", "campaign", "disarmed", "complaint", "unclear", "consent"),
                    *("inbox", "domain", "calibration", "follow_ups", "records"),
                ),
            ),
            Check("attempts >= 0", "attempts_are_not_negative"),
            Check("closed_at IS NULL OR due_at IS NULL", "closed_is_not_due"),
        ]


Notice.add_index(
    Notice.index(Notice.kind, Notice.subject, unique=True, where=SQL("closed_at IS NULL"), name="one_open_notice")
)


class Inbox(Table):
    """How reading a mailbox's inbox and junk folder goes."""

    mailbox = ForeignKeyField(Mailbox, primary_key=True)
    asked_at = MomentField(null=True)  # a person asked for a look; null once it began
    started_at = MomentField(null=True)  # of the last look
    read_at = MomentField(null=True)  # the start of the last look that read everything
    failures = IntegerField(constraints=[*_default("0"), Check("failures >= 0", "failures_are_not_negative")])  # since
    failed_at = MomentField(null=True)
    failed_step = TextField(null=True)  # connect, login, folder, search or password
    failed_reason = TextField(null=True)


class InboxCursor(Table):
    """How far a folder has been read."""

    mailbox_id: int
    mailbox = ForeignKeyField(Mailbox, index=False)
    folder = TextField()
    uidvalidity = BigIntegerField()
    last_uid = BigIntegerField(constraints=[*_default("0"), Check("last_uid >= 0", "uids_are_not_negative")])
    since = DateField()  # earlier messages are not read
    updated_at = MomentField(constraints=_default("clock_timestamp()"))

    class Meta:
        primary_key = CompositeKey("mailbox", "folder", "uidvalidity")


class Incoming(Table):
    """A message that came back: an answer, a bounce or a complaint."""

    mailbox_id: int
    email_id: int | None
    campaign_id: int | None
    lead_id: int | None
    id = BigAutoField()
    mailbox = ForeignKeyField(Mailbox, index=False)
    folder = TextField()
    uidvalidity = BigIntegerField()
    uid = BigIntegerField()
    digest = TextField()  # of its first bytes: recognises it in another folder or under another UIDVALIDITY
    message_id = TextField(null=True)
    received_at = MomentField()  # the server's INTERNALDATE
    read_at = MomentField(constraints=_default("clock_timestamp()"))
    class_ = TextField(column_name="class")  # human, automatic, bounce, …: a person may have corrected it
    kind = TextField(null=True)  # of a bounce or an automatic reply
    status = TextField(null=True)  # of a bounce: "5.1.1"
    rule = TextField()  # that decided
    read_as = TextField()  # the class by that rule
    sender = TextField()
    subject = TextField()
    excerpt = TextField()  # of the new text
    returns_on = DateField(null=True)
    email = ForeignKeyField(CampaignEmailQueue, null=True, index=False)
    campaign = ForeignKeyField(Campaign, null=True, index=False)
    lead = ForeignKeyField(Lead, null=True, index=False)
    matched_by = TextField(null=True)  # the header with our id; or sender, or recipient
    suppressed = TextField(null=True)  # the address that it has suppressed
    evidence = JSONField()  # cited ids, recipients, the server's words
    corrected_at = MomentField(null=True)
    corrected_by = TextField(null=True)

    class Meta:
        constraints = [
            Check(
                "class IN ('human', 'automatic', 'bounce', 'complaint', 'unsubscribe', 'unclear', 'other')",
                "class_is_known",
            ),
            Check(
                "class <> 'bounce' OR (kind IS NOT NULL AND kind IN ('address', 'policy', 'temporary'))",
                "bounce_has_its_kind",
            ),
        ]
        indexes = ((("mailbox", "digest"), True), (("mailbox", "folder", "uidvalidity", "uid"), True))


_I = Incoming
Incoming.add_index(_I.index(_I.email, _I.id, where=SQL("email_id IS NOT NULL"), name="incoming_by_email"))
Incoming.add_index(_I.index(_I.lead, _I.id, where=SQL("lead_id IS NOT NULL"), name="incoming_by_lead"))
Incoming.add_index(
    _I.index(_I.campaign, _I.class_, _I.id, where=SQL("campaign_id IS NOT NULL"), name="incoming_by_campaign")
)
Incoming.add_index(_I.index(_I.id, where=SQL("class = 'unclear'"), name="incoming_unclear"))
Incoming.add_index(_I.index(_I.received_at, where=SQL("class = 'complaint'"), name="complaints_by_time"))


class Hold(Table):
    """A lead that is not written to because of what came back from it."""

    lead_id: int
    campaign_id: int | None
    incoming_id: int
    id = BigAutoField()
    lead = ForeignKeyField(Lead, index=False)
    campaign = ForeignKeyField(Campaign, null=True, index=False)  # null: in every campaign
    incoming = ForeignKeyField(Incoming, index=False)
    stops = BooleanField()  # for good
    until = MomentField(null=True)  # null: for good, or until a person decides
    domain = TextField(null=True)  # not the lead, who replied, but the leads at this domain, whenever they come
    reason = TextField()
    reason_code = TextField(null=True)
    reason_values = JSONField(null=True)
    created_at = MomentField(constraints=_default("clock_timestamp()"))
    lifted_at = MomentField(null=True)  # taken back

    class Meta:
        constraints = [Check("NOT stops OR until IS NULL", "a_stop_has_no_end")]


Hold.add_index(Hold.index(Hold.lead, where=SQL("lifted_at IS NULL"), name="hold_of_lead"))
Hold.add_index(Hold.index(Hold.incoming, name="hold_of_incoming"))
Hold.add_index(Hold.index(Hold.domain, where=SQL("domain IS NOT NULL AND lifted_at IS NULL"), name="hold_of_domain"))
Hold.add_index(
    Hold.index(Hold.incoming, where=SQL("lifted_at IS NULL AND NOT stops AND until IS NULL"), name="hold_open")
)


class ColumnMapping(Table):
    """Which columns of leads files with this header the fields of letters are read from."""

    header = TextField(primary_key=True)  # SHA-256 of the columns' names, in any order
    columns = JSONField()  # field -> the name of its column; null: it has none
    by = TextField()
    at = MomentField(constraints=_default("clock_timestamp()"))


class LeadUpload(Table):
    """A leads file on its way into a campaign."""

    campaign_id: int
    campaign = ForeignKeyField(Campaign, primary_key=True, on_delete="CASCADE")
    name = TextField()
    content = BlobField()
    sheet = TextField(null=True)
    encoding = TextField(null=True)
    by = TextField()
    at = MomentField(constraints=_default("clock_timestamp()"))


class WebSession(Table):
    """A browser's login session."""

    id = UUIDField(primary_key=True)
    ends_at = MomentField()


TABLES: tuple[type[Table], ...] = (
    Mailbox,
    MailboxAuthorization,
    Campaign,
    CampaignStep,
    FrozenDays,
    CampaignMailbox,
    FormerMailbox,
    Lead,
    Suppression,
    CampaignLead,
    LeadSearch,
    LeadSearchBacklog,
    CampaignEmailQueue,
    EmailHistory,
    Attempt,
    EmailContent,
    LetterDeletion,
    MailboxFreeze,
    WarmupCount,
    TestMail,
    Change,
    Heartbeat,
    Installation,
    Finding,
    CalibrationFinding,
    DomainFinding,
    Notice,
    ColumnMapping,
    LeadUpload,
    WebSession,
    Inbox,
    InboxCursor,
    Incoming,
    Hold,
)
