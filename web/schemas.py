"""Schemas of the JSON API's input and output. Times are Warsaw's, with their offset."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from bounds import HIGHEST_ID
from models.owner.settlement import MOST_REASON
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
Reason = Annotated[str, StringConstraints(max_length=MOST_REASON, pattern=_WITHOUT_NUL)]
# For optional query parameters, which cannot be null.
Omitted = SkipJsonSchema[None]


class Shape(BaseModel):
    """Read from what models/ gives."""

    model_config = ConfigDict(from_attributes=True)


class Input(BaseModel):
    """What is not named here is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Standing(Shape):
    gate: StandingName | None = Field(description="Which gate of the next claim is closed; null: all are open.")
    sentence: Annotated[str, BeforeValidator(str)]
    until: Moment | None = Field(description="When it goes on, where that is known.")
    sends: bool = Field(description="A claim would succeed now, or at `until` within this opening of its window.")


class Campaign(Shape):
    id: int
    name: str
    status: CampaignStatus
    leads: int
    emails: int = Field(description="Of all leads and steps, planned or not.")
    counts: dict[Status, int] = Field(description="Status -> e-mails. Those that are not planned yet are in none.")
    used_today: int
    daily_limit: int
    next_at: Moment | None
    standing: Standing


class Email(Shape):
    id: int
    campaign: str
    lead: str
    mailbox: str
    status: Status
    scheduled_at: Moment
    sent_at: Moment | None
    attempts: int
    error: str | None
    message_id: str
    campaign_id: int
    mailbox_id: int
    deferred_until: Moment | None = Field(description="When it is tried again, where a server put it off: see error.")


class EmailPage(Shape):
    emails: list[Email]
    next: str | None = Field(description="The cursor of the next page.")
    previous: str | None


class History(Shape):
    """One move of an e-mail."""

    at: Moment
    move: Move
    from_status: Status | None
    to_status: Status
    reason: str | None
    scheduled_from: Moment | None
    scheduled_to: Moment | None
    by: str
    detail: dict[str, Any] | None = Field(description="The server's words, or where the proof was found.")


class MailboxError(Shape):
    at: Moment
    email_id: int
    move: Move
    reason: str | None
    code: int | None


class DomainFinding(Shape):
    """What DNS last said about one record of a mailbox's domain."""

    record: Literal["mx", "spf", "dmarc"]
    state: Literal["ok", "weak", "wrong", "missing", "unknown"] = Field(
        description="unknown: no name server answered, which is not the same as missing."
    )
    reason: str = Field(description="What that means.")
    checked_at: Moment


class Mailbox(Shape):
    id: int
    address: str
    status: Literal["active", "paused", "closed"]
    reason: str | None
    closed_until: Moment | None
    used_today: int = Field(description="Warm-up mails included.")
    daily_limit: int
    gap_seconds: float
    used_campaign: int
    used_warmup: int
    faults: int
    closed_phase: str | None
    errors: list[MailboxError]
    domain: list[DomainFinding] = Field(description="Empty until it was checked for the first time.")
    sends_nothing: Annotated[str, BeforeValidator(str)] | None = Field(
        description="Why an active mailbox sends no mail on this day; null: it may."
    )


class Unknown(Shape):
    """An e-mail that waits for a person."""

    email: Email
    since: Moment
    reason: str | None
    evidence_sought_at: Moment | None
    mailbox_searchable: bool
    may_send_again_from: Moment
    campaign_ended: bool


class Change(Shape):
    at: Moment
    by: str
    verb: Literal["add", "edit", "start", "pause", "resume", "cancel", "complete", "retry"]
    campaign_id: int | None
    mailbox_id: int | None
    values: dict[str, list[Any]] = Field(description="Name -> before and after.")
    reason: str | None


class Moved(Shape):
    at_from: Moment
    at_to: Moment
    reason: str | None


class Mark(Shape):
    """An e-mail on the line of today."""

    email_id: int
    lead: str
    mailbox: str
    status: Status
    scheduled_at: Moment
    at: Moment = Field(description="When it was handed over or claimed, or else when it is planned.")
    late: bool
    moved: Moved | None


class MovedAway(Shape):
    email_id: int
    lead: str
    at_from: Moment
    at_to: Moment
    reason: str | None


class Line(Shape):
    campaign: Campaign
    opens: Moment | None
    closes: Moment | None
    marks: list[Mark]
    not_drawn: int
    moved_away: list[MovedAway]
    moved_away_not_listed: int


class Today(Shape):
    now: Moment
    lines: list[Line]


class Counts(Shape):
    """Status -> e-mails, of all campaigns."""

    pending: int
    sending: int
    sent: int
    failed: int
    cancelled: int
    unknown: int


class EmailQuery(Input):
    status: Status | Omitted = None
    lead: str | Omitted = Field(None, max_length=320, pattern=_WITHOUT_NUL, json_schema_extra={"format": "email"})
    cursor: str | Omitted = Field(
        None, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", json_schema_extra={"format": "cursor"}
    )
    limit: int = Field(50, ge=1, le=200)


class PageQuery(Input):
    after: int = Field(0, ge=0, le=HIGHEST_ID, description="The last id of the page before.")
    limit: int = Field(50, ge=1, le=200)


class LimitQuery(Input):
    limit: int = Field(50, ge=1, le=200, description="At most so many, the latest first.")


class Order(Input):
    """Nothing but the order itself: an empty object."""


class Pause(Input):
    reason: Reason | None = None


class Settle(Input):
    verdict: Literal["sent", "again"] = Field(description="again: it is sent once more, perhaps for the second time.")
    reason: Reason = Field(min_length=1)
