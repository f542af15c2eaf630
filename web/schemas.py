"""Schemas of the JSON API's input and output. Times are Warsaw's, with their offset."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from bounds import HIGHEST_ID, LONGEST_REASON
from models.states import CampaignStatus, Move, Status
from models.views.overview import StandingName
from scheduling.window import WARSAW

Moment = Annotated[
    datetime,
    PlainSerializer(lambda at: at.astimezone(WARSAW).isoformat(timespec="milliseconds"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
# Postgres text cannot contain NUL.
_WITHOUT_NUL = r"^[^\x00]*$"
Reason = Annotated[str, StringConstraints(max_length=LONGEST_REASON, pattern=_WITHOUT_NUL)]
Id = Annotated[int, Field(ge=1, le=HIGHEST_ID)]
# For optional query parameters, which cannot be null. Bounds of one stand in its type, for the document to have them.
Omitted = SkipJsonSchema[None]


class Output(BaseModel):
    """Read by attribute from the values of models/."""

    model_config = ConfigDict(from_attributes=True)


class Input(BaseModel):
    """Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Standing(Output):
    """Whether a campaign is sending and, if not, why."""

    gate: StandingName | None = Field(description="What prevents the next e-mail from being sent. null: nothing.")
    sentence: Annotated[str, BeforeValidator(str)] = Field(description="The same as an English sentence.")
    until: Moment | None = Field(description="When sending continues, if known.")
    sends: bool = Field(description="The next e-mail can be sent now, or at `until` before today's window closes.")


class Responses(Output):
    """How leads responded. Each number counts leads, not messages."""

    replied: int = Field(description="A person answered.")
    automatic: int = Field(description="An automatic reply came.")
    unclear: int = Field(description="A reply waits for a person to judge it.")
    bounced_address: int = Field(description="The address does not exist.")
    bounced_policy: int = Field(description="The recipient's server refused the e-mail after it was sent.")
    bounced_temporary: int = Field(description="It was not delivered for a reason that passes, like a full mailbox.")
    unsubscribed: int = Field(description="By e-mail or on the unsubscribe page.")
    complained: int = Field(description="The e-mail was marked as spam.")
    held: int = Field(description="Not written to for now.")
    stopped: int = Field(description="Not written to any more, because of a reply.")


class Step(Output):
    """A letter of a campaign's sequence."""

    number: int
    after: str | None = Field(
        description="How long after the letter before it, like `3 working days`. null: the first."
    )
    subject: str = Field(description="Its template.")
    answers: bool = Field(description="It has no subject of its own, and stays in the thread of the letters before it.")
    removed: bool = Field(description="From the sequence, after it had e-mails.")


class Campaign(Output):
    """A campaign with its progress."""

    id: int
    name: str
    status: CampaignStatus
    leads: int
    emails: int = Field(description="Number of e-mails of all leads and steps, planned or not.")
    counts: dict[Status, int] = Field(description="Number of e-mails by status, without those not planned yet.")
    used_today: int = Field(description="E-mails that count towards today's limit.")
    daily_limit: int
    next_at: Moment | None = Field(description="When the next pending e-mail is planned.")
    standing: Standing
    responses: Responses
    steps: list[Step] = Field(description="Its letters, in order.")


class Email(Output):
    """An e-mail: one step of a campaign to one lead."""

    id: int
    campaign: str
    lead: str
    mailbox: str
    status: Status
    scheduled_at: Moment
    sent_at: Moment | None
    attempts: int
    error: str | None = Field(description="Why the last attempt did not succeed, in English or in the server's words.")
    message_id: str = Field(description="The Message-ID header.")
    campaign_id: int
    mailbox_id: int
    deferred_until: Moment | None = Field(description="Time of the next attempt after a temporary refusal.")
    step: int = Field(description="Which letter of the campaign's sequence it is, from 1.")


class StepProgress(Output):
    """A letter of a campaign's sequence, and what became of it."""

    step: int = Field(description="Its place in the sequence, from 1. Removed letters keep theirs.")
    removed: bool = Field(description="From the sequence, after it had e-mails.")
    subject: str | None = Field(description="Its template. null: it answers the letters before it, in their thread.")
    wait: Annotated[str | None, BeforeValidator(lambda wait: wait and str(wait))] = Field(
        description='How long it waits after the letter before it, like "3 working days". null: it is the first.'
    )
    counts: dict[Status, int] = Field(description="Its e-mails by status. Those not planned yet are not counted.")
    held: int = Field(description="Planned e-mails that wait: their lead is on hold, or an answer may be unread.")
    responses: Responses = Field(description="How the leads responded to this letter.")


class EmailPage(Output):
    """A page of a campaign's e-mails."""

    emails: list[Email]
    next: str | None = Field(description="Cursor of the next page. null: this is the last one.")
    previous: str | None = Field(description="Cursor of the previous page. null: this is the first one.")


class PastMove(Output):
    """An entry in an e-mail's history: a change of its status or of its planned time."""

    at: Moment
    move: Move
    from_status: Status | None
    to_status: Status
    reason: str | None
    scheduled_from: Moment | None = Field(description="Planned time before the move.")
    scheduled_to: Moment | None = Field(description="Planned time after the move.")
    by: str = Field(description="The process or the person that made the move.")
    detail: dict[str, Any] | None = Field(description="The server's reply, or where a copy was found.")


class MailboxError(Output):
    """An attempt from a mailbox that the server did not accept."""

    at: Moment
    email_id: int
    move: Move
    reason: str | None
    code: int | None = Field(description="SMTP reply code. null: the server sent no reply.")


class DomainFinding(Output):
    """What DNS last said about one record of a mailbox's domain."""

    record: Literal["mx", "spf", "dmarc"]
    state: Literal["ok", "weak", "wrong", "missing", "unknown"] = Field(
        description="unknown: no name server answered, which is not the same as missing."
    )
    reason: str = Field(description="What that means.")
    checked_at: Moment


class CalibrationFinding(Output):
    """What the latest calibration mail of a mailbox has shown."""

    record: Literal["arrival", "spf", "dkim", "dmarc", "one_click", "message_id", "sent_copy"]
    state: Literal["ok", "weak", "wrong", "missing", "unknown"] = Field(
        description="unknown: it has not arrived, or the receiver does not say, which proves nothing."
    )
    reason: str = Field(description="What that means.")
    checked_at: Moment


class Reading(Output):
    """How reading a mailbox's inbox goes."""

    read_at: Moment | None = Field(description="When the last look that read everything began.")
    lag_minutes: int | None = Field(description="Since `read_at`. null: it was never read to its end.")
    failures: int = Field(description="Looks that failed since one worked.")
    failed_at: Moment | None
    failed_step: str | None = Field(description="Where the last look failed, like `login`.")
    failed_reason: str | None


class Mailbox(Output):
    """A mailbox with today's use of its limit."""

    id: int
    address: str
    status: Literal["active", "paused", "closed"]
    reason: str | None = Field(description="Why it is paused or closed.")
    closed_until: Moment | None = Field(description="When it opens again after errors.")
    used_today: int = Field(description="E-mails that count towards today's limit, warm-up included.")
    daily_limit: int
    gap_seconds: float = Field(description="Minimum time between two e-mails.")
    used_campaign: int = Field(description="Campaign e-mails in `used_today`.")
    used_warmup: int = Field(description="Warm-up e-mails in `used_today`.")
    faults: int = Field(description="Consecutive mailbox errors since the last accepted e-mail.")
    closed_phase: str | None = Field(description="Phase of the SMTP conversation in which the error occurred.")
    errors: list[MailboxError] = Field(description="The last five.")
    domain: list[DomainFinding] = Field(description="Empty until it was checked for the first time.")
    sends_nothing: Annotated[str, BeforeValidator(str)] | None = Field(
        description="Why an active mailbox sends nothing more today. null: it can send."
    )
    calibration: list[CalibrationFinding] = Field(description="Empty until `mailbox calibrate` was run.")
    inbox: Reading | None = Field(description="null: it has no IMAP server, so its inbox is not read.")
    responses: Responses


IncomingClass = Literal["human", "automatic", "bounce", "complaint", "unsubscribe", "unclear", "other"]
IncomingKind = Literal["address", "policy", "temporary"]


class Incoming(Output):
    """A message that came back: a reply, a bounce or a complaint."""

    id: int
    received_at: Moment
    mailbox: str
    folder: str
    uid: int = Field(description="In its folder.")
    class_name: IncomingClass = Field(description="What it counts as now.")
    kind: str | None = Field(description="Of a bounce: `address`, `policy` or `temporary`; or of an automatic reply.")
    status: str | None = Field(description="Of a bounce: a code like 5.1.1.")
    rule: str = Field(description="What decided.")
    read_as: IncomingClass = Field(description="Its class by that rule, before a person corrected it.")
    sender: str
    subject: str
    excerpt: str = Field(description="Of the new text, without what it quotes.")
    email_id: int | None = Field(description="Our e-mail that it is about.")
    campaign_id: int | None
    campaign: str | None
    lead: str | None
    suppressed: str | None = Field(description="The address that it has suppressed.")
    suppressed_sender: str | None = Field(description="Its sender's address, suppressed beside the lead's.")
    needs_a_person: bool = Field(description="It has to be judged; until then its lead is not written to.")
    held_until: Moment | None = Field(description="How long its lead is not written to, if that ends by itself.")
    is_held: bool = Field(description="Its lead is not written to because of it.")
    corrected_at: Moment | None
    corrected_by: str | None


class Letter(Output):
    """An e-mail of a conversation."""

    email_id: int
    step: int
    status: Status
    at: Moment = Field(description="When it was sent or handed over, otherwise its planned time.")


class Answer(Output):
    """A message that came back in a conversation."""

    incoming_id: int
    class_name: IncomingClass
    kind: IncomingKind | Literal["gone", "receipt"] | None
    at: Moment = Field(description="When it came, by the mailbox's server.")
    read_at: Moment = Field(description="When Punktual read it.")
    after: Letter | None = Field(description="The letter that left after it had come and before it was read.")


class Conversation(Output):
    """What a campaign and one of its leads wrote to each other, and what follows."""

    campaign_id: int
    campaign: str
    lead: str
    steps: int = Field(description="Letters of the campaign's sequence.")
    letters: list[Letter]
    answers: list[Answer]
    next: Letter | None = Field(description="The letter that is planned or being sent.")
    expected_at: Moment | None = Field(description="When the wait ends for a letter that is not planned yet.")
    line: str = Field(description="All of it in one line, as the page shows it.")
    held: Annotated[str | None, BeforeValidator(lambda why: why and str(why))] = Field(
        description="Why it waits. null: it does not."
    )
    held_until: Moment | None = Field(description="null: until a person decides.")
    ended: Annotated[str | None, BeforeValidator(lambda why: why and str(why))] = Field(
        description="Why no more letters follow. null: they do."
    )


class Hold(Output):
    """A lead that is not written to because of a message."""

    lead: str
    campaign: str | None = Field(description="null: by no campaign.")
    incoming_id: int
    stops: bool = Field(description="For good.")
    until: Moment | None = Field(description="null: for good, or until a person decides.")
    reason: str
    since: Moment


class Need(Output):
    """A problem that needs a person."""

    kind: str
    subject: int = Field(description="The campaign's or the mailbox's id. 0: the whole installation.")
    name: str
    count: int
    reason: str | None


class NeedsYou(Output):
    """What needs a person now."""

    unknown: int = Field(description="E-mails with an unknown outcome: see `/api/unknown`.")
    to_judge: int = Field(description="Number of messages to be judged.")
    messages: list[Incoming] = Field(description="The oldest 50 of them.")
    problems: list[Need]


class UnknownEmail(Output):
    """An e-mail whose outcome is unknown. It needs a person's decision."""

    email: Email
    since: Moment = Field(description="When it was handed over to the server.")
    reason: str | None
    evidence_sought_at: Moment | None = Field(description="When its Sent folder was last searched for a copy.")
    mailbox_searchable: bool = Field(description="The mailbox has an IMAP server, so the Sent folder can be searched.")
    may_send_again_from: Moment = Field(description="Sending again is refused before: the answer may still arrive.")
    campaign_ended: bool = Field(description="The campaign has ended, so the e-mail cannot be sent again.")


class RecordedChange(Output):
    """An entry in the audit log of a campaign."""

    at: Moment
    by: str = Field(description="Who made the change.")
    verb: Literal["add", "edit", "start", "pause", "resume", "cancel", "complete", "retry", "add_leads"]
    campaign_id: int | None
    mailbox_id: int | None
    values: dict[str, list[Any]] = Field(description="Setting -> [old value, new value].")
    reason: str | None


class TimeChange(Output):
    """The latest change of an e-mail's planned time."""

    at_from: Moment
    at_to: Moment
    reason: str | None


class TimelineMark(Output):
    """An e-mail on today's timeline."""

    email_id: int
    lead: str
    mailbox: str
    status: Status
    scheduled_at: Moment
    at: Moment = Field(description="Its position on the timeline: its hand-over or claim, otherwise its planned time.")
    late: bool = Field(description="Started, or still pending, more than a minute after its planned time.")
    moved: TimeChange | None
    step: int = Field(description="Which letter of the campaign's sequence it is, from 1.")


class MovedAway(Output):
    """An e-mail that was planned for today and has moved to another day."""

    email_id: int
    lead: str
    at_from: Moment
    at_to: Moment
    reason: str | None


class CampaignDay(Output):
    """A campaign's line on today's timeline."""

    campaign: Campaign
    opens: Moment | None = Field(description="When today's window opens. null: closed all day.")
    closes: Moment | None
    marks: list[TimelineMark] = Field(
        description="At most 1,000: those nearest to now. Of an active campaign also what is overdue from before today."
    )
    not_drawn: int = Field(description="E-mails of today that are not in `marks`.")
    moved_away: list[MovedAway] = Field(description="At most 1,000.")
    moved_away_not_listed: int = Field(description="E-mails that moved to another day and are not in `moved_away`.")


class Today(Output):
    """Today's timeline. A day begins at midnight in Warsaw."""

    now: Moment
    lines: list[CampaignDay]


class Counts(Output):
    """Number of e-mails of all campaigns by status."""

    pending: int
    sending: int
    sent: int
    failed: int
    cancelled: int
    unknown: int


class EmailQuery(Input):
    status: Status | Omitted = Field(None, description="Only e-mails in this status.")
    lead: str | Omitted = Field(
        None,
        max_length=320,
        pattern=_WITHOUT_NUL,
        json_schema_extra={"format": "email"},
        description="Only e-mails to this address.",
    )
    search: str | Omitted = Field(
        None,
        max_length=200,
        pattern=_WITHOUT_NUL,
        description="Only e-mails to leads with these words, or parts of them, in their address, name or another"
        " column; one word at least has 3 characters. The first 1,000 leads that are found.",
    )
    cursor: str | Omitted = Field(
        None,
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+$",
        json_schema_extra={"format": "cursor"},
        description="`next` or `previous` of another page. Without it: the first page.",
    )
    limit: int = Field(50, ge=1, le=200, description="Maximum number of e-mails.")


class PageQuery(Input):
    after: int = Field(0, ge=0, le=HIGHEST_ID, description="Last id of the previous page.")
    limit: int = Field(50, ge=1, le=200, description="Maximum number of e-mails.")


class LimitQuery(Input):
    limit: int = Field(50, ge=1, le=200, description="Maximum number of entries, newest first.")


class IncomingQuery(Input):
    class_name: IncomingClass | Omitted = Field(None, description="Only messages of this class.")
    campaign_id: Id | Omitted = Field(None, description="Only messages about this campaign.")
    mailbox_id: Id | Omitted = Field(None, description="Only messages to this mailbox.")
    lead: str | Omitted = Field(
        None,
        max_length=320,
        pattern=_WITHOUT_NUL,
        json_schema_extra={"format": "email"},
        description="Only messages about this lead.",
    )
    before: Id | Omitted = Field(None, description="Last id of the previous page.")
    limit: int = Field(50, ge=1, le=200, description="Maximum number of messages, newest first.")


class HoldQuery(Input):
    lead: str | Omitted = Field(
        None,
        max_length=320,
        pattern=_WITHOUT_NUL,
        json_schema_extra={"format": "email"},
        description="Only of this lead.",
    )
    limit: int = Field(50, ge=1, le=200, description="Maximum number of holds, newest first.")


class Correct(Input):
    """What a message really is."""

    class_name: IncomingClass
    kind: IncomingKind | None = Field(None, description="Of a bounce, and of nothing else.")
    reason: Reason = Field(min_length=1, description="How you know. Stored with the change.")


class Suppression(Output):
    """An address or a domain that no campaign may write to, and why."""

    address: str = Field(description="An address; @ with a domain and its subdomains; or a forgotten person's hash.")
    reason: str
    since: Moment
    by: str | None
    email_id: int | None = Field(description="Our e-mail that the person answered.")
    proof: str | None = Field(description="What proves it, like the Message-ID of the answer.")


class Empty(Input):
    """An empty JSON object."""


class Pause(Input):
    """Optionally, why the campaign is paused."""

    reason: Reason | None = Field(None, description="Why. Shown with the campaign.")


class Cancel(Input):
    reason: Reason | None = None


class Settle(Input):
    """A decision about an unknown e-mail."""

    verdict: Literal["sent", "again"] = Field(
        description="sent: it was sent. again: send it again; the lead may get it twice."
    )
    reason: Reason = Field(min_length=1, description="How you know. Stored in the history.")


class Suppress(Input):
    """An address or a domain that no campaign may write to."""

    address: Annotated[str, StringConstraints(max_length=400, pattern=_WITHOUT_NUL)] = Field(
        description="An address, or a domain like leads.example."
    )
    reason: Reason = Field(min_length=1)
    proof: Reason | None = None
