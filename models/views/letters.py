"""What one lead's message is composed of, with its time and mailbox: for previews and test mails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from messages import Message, Said, gettext_noop
from models.email import claims, message_ids, recipients
from models.owner.campaigns import CampaignInvalid
from models.planning import sequences, usable
from models.states import Status
from models.store.database import fetch, fetch_row
from models.store.database import row as read_row
from models.store.tables import Campaign
from models.views import calendars, conversation_lines, conversations, forbidden, overview
from models.views.forbidden import Forbidden
from reasons import Reason
from scheduling.planner import Unplannable
from scheduling.waits import Wait


class NoSuchStep(CampaignInvalid):
    """The campaign's sequence has no step with this number."""

    def __init__(self, because: Message) -> None:
        super().__init__(because)
        self.because = because


@dataclass(frozen=True)
class LeadLetter(Forbidden):
    """One lead's message before it is composed: what mail.compose.letter_of() takes."""

    campaign_lead_id: int
    turn: int  # of its lead in the campaign
    step_id: int
    step: int  # 1: the first letter
    mailbox_id: int
    lead: str
    recipient: str
    fields: Mapping[str, str]
    subject: str | None  # None: it continues the thread of the letters before it
    text: str
    html: str | None
    sender: str
    sender_name: str
    one_click: bool
    message_id: str
    email_id: int | None  # None: not planned yet
    status: Status | None
    at: datetime | None  # planned for; or, if it is not planned, the forecast's time
    sent_at: datetime | None
    wait_count: int | None
    wait_unit: str | None
    step_before: int | None  # of the letter that it follows
    sent_before: datetime | None  # when that was sent
    is_past: bool  # it was added to the sequence when its lead was past its place
    thread_ids: (
        Sequence[str] | None
    )  # see Outgoing; of letters not sent yet as they will be, if no provider changes them
    thread_first_id: str | None
    thread_subject: str | None
    thread_head: memoryview | None = field(repr=False)
    ended: Said | None  # why the lead does not get it any more
    held: Message | None  # what its time waits for, if that is not known

    @property
    def wait(self) -> Wait | None:
        """The wait after the letter before it was sent. None if it is the first."""
        return sequences.wait(self.wait_count, self.wait_unit)

    @property
    def not_before(self) -> datetime | None:
        """When its wait ends. None if the letter before it was not sent yet, or it is the first."""
        return self.wait.ends(self.sent_before) if self.wait and self.sent_before else None

    @property
    def is_over(self) -> bool:
        """Whether it is being sent or has its result, so that there is nothing left to compose."""
        return self.status not in (None, Status.PENDING)

    def content(self) -> bytes | None:
        """The message as it was last handed over, byte for byte. None if it never was, or is gone."""
        return overview.content(self.email_id) if self.email_id is not None else None

    def why_no_content(self) -> Reason | None:
        return overview.why_no_content(self.email_id) if self.email_id is not None else None

    def why_not(self) -> Said | None:
        """Why it will not be sent: its lead must not be written to, or does not get this letter any more."""
        return self.why(recipients.is_basis_required()) or self.ended

    def not_composed(self, because: Said) -> Message:
        template = gettext_noop("letter %(step)d to %(lead)s cannot be composed: %(because)s")
        return Message(template, step=self.step, lead=self.lead, because=because)


# The lead's e-mails, and those that it gets later if all goes well, with the Message-IDs that they will have.
# What is not planned goes from the mailbox of the forecast, or from that of the lead's last e-mail.
LETTER = f"""
WITH it AS (
    SELECT cl.id AS lead_id, s.id AS step_id, COALESCE(last.step, 0) AS last_step,
           COALESCE(%(mailbox)s, q.mailbox_id, last.mailbox_id, (
               SELECT min(cm.mailbox_id) FROM campaign_mailbox cm WHERE cm.campaign_id = cl.campaign_id)) AS mailbox_id
    FROM campaign_lead cl
    JOIN campaign_step s ON s.campaign_id = cl.campaign_id AND s.position = %(step)s
    LEFT JOIN campaign_email_queue q ON q.campaign_lead_id = cl.id AND q.step_id = s.id
    LEFT JOIN LATERAL (
        SELECT its.position AS step, COALESCE(f.goes_on_from_id, l.mailbox_id) AS mailbox_id
        FROM campaign_email_queue l JOIN campaign_step its ON its.id = l.step_id
        LEFT JOIN former_mailbox f ON f.campaign_id = l.campaign_id AND f.mailbox_id = l.mailbox_id
        WHERE l.campaign_lead_id = cl.id AND NOT l.skipped ORDER BY its.position DESC LIMIT 1
    ) last ON true
    WHERE cl.id = %(lead)s
), emails AS (
    SELECT COALESCE(q.id, -e.id) AS id, q.id AS email_id, e.id AS step_id, e.position AS step,
           CASE WHEN q.id IS NULL THEN lag(COALESCE(q.id, -e.id)) OVER (ORDER BY e.position)
                ELSE q.predecessor_id END AS predecessor_id,
           CASE WHEN e.id = it.step_id OR q.status = 'pending' THEN m.id ELSE COALESCE(q.mailbox_id, m.id) END
               AS mailbox_id,
           COALESCE(q.message_id, CASE WHEN e.position = 1 THEN {message_ids.of("e.id")}
               ELSE {message_ids.of_follow_up("e")} END) AS message_id, q.wire_message_id, q.status,
           q.scheduled_at, q.sent_at
    FROM it
    JOIN campaign_lead cl ON cl.id = it.lead_id
    JOIN campaign c ON c.id = cl.campaign_id
    JOIN mailbox m ON m.id = it.mailbox_id
    JOIN campaign_step e ON e.campaign_id = c.id
    LEFT JOIN campaign_email_queue q ON q.campaign_lead_id = cl.id AND q.step_id = e.id
    WHERE NOT q.skipped OR q.id IS NULL AND e.removed_at IS NULL AND (e.id = it.step_id OR e.position > it.last_step)
)
SELECT cl.id AS campaign_lead_id, cl.position AS turn, s.id AS step_id, s.position AS step, m.id AS mailbox_id,
       cl.address AS lead, cl.address AS recipient, cl.fields,
       {claims.SUBJECT} AS subject, s.text, s.html, m.address AS sender, m.name AS sender_name, m.one_click,
       q.message_id, q.email_id, q.status, q.scheduled_at AS at, q.sent_at, s.wait_count, s.wait_unit,
       before.step AS step_before, before.sent_at AS sent_before, q.email_id IS NULL AND EXISTS (
           SELECT FROM emails o WHERE o.email_id IS NOT NULL AND (o.step > s.position OR o.sent_at < s.since)
       ) AS is_past,
       {claims.THREAD_COLUMNS}, NULL AS ended, NULL AS held, {forbidden.COLUMNS}
FROM it
JOIN emails q ON q.step_id = it.step_id
JOIN campaign_step s ON s.id = it.step_id
JOIN campaign_lead cl ON cl.id = it.lead_id
JOIN lead p ON p.id = cl.lead_id
JOIN mailbox m ON m.id = it.mailbox_id
{forbidden.JOINS}
LEFT JOIN emails before ON before.id = q.predecessor_id
LEFT JOIN LATERAL {claims.THREAD.format(emails="emails")} thread ON q.predecessor_id IS NOT NULL
"""  # noqa: S608  # only our own words
STEPS = "SELECT position FROM campaign_step WHERE campaign_id = %s AND removed_at IS NULL ORDER BY position"


@dataclass(frozen=True)
class _Beside:
    before: str | None
    after: str | None


FIRST = "SELECT id FROM campaign_lead WHERE campaign_id = %s ORDER BY position LIMIT 1"
OF_ADDRESS = """
SELECT l.id FROM campaign_lead l JOIN lead p ON p.id = l.lead_id WHERE l.campaign_id = %s AND p.address = %s
"""
BESIDE = """
SELECT (SELECT p.address FROM campaign_lead l JOIN lead p ON p.id = l.lead_id
        WHERE l.campaign_id = %(campaign)s AND l.position < %(turn)s ORDER BY l.position DESC LIMIT 1) AS before,
       (SELECT p.address FROM campaign_lead l JOIN lead p ON p.id = l.lead_id
        WHERE l.campaign_id = %(campaign)s AND l.position > %(turn)s ORDER BY l.position LIMIT 1) AS after
"""


def of_lead(
    row: Campaign,
    address: str | None = None,
    mailbox_id: int | None = None,
    most_emails: int | None = None,
    step: int = 1,
) -> LeadLetter:
    """A letter of a lead (its normalised address; None: the first lead), with its time and mailbox.

    mailbox_id: from this mailbox, whatever is planned. most_emails: of the forecast; a letter behind them has no time.
    Raises NoSuchStep, and CampaignInvalid if the campaign has no such lead.
    """
    _check_step(row, step)
    lead_id = _lead(row, address)
    found = _letter(lead_id, mailbox_id, step)
    if mailbox_id is not None or (found.email_id is not None and found.status is not Status.PENDING):
        return found
    told = conversations.of_lead(lead_id)
    if found.email_id is not None:
        return replace(found, held=conversation_lines.waits(told))
    found = replace(found, ended=_past(found) or told.ended, held=conversation_lines.waits(told))
    if usable.problem(row) or found.why_not() is not None:
        return found
    try:
        slots = calendars.slots_of(row, lead_id, most_emails)
    except Unplannable:  # the tick logs why; the letter can still be seen
        slots = {}
    if not slots:
        return found
    mailbox_id = next(iter(slots.values())).mailbox_id  # all of a lead's letters go from one
    slot = slots.get(found.step_id)
    return replace(_letter(lead_id, mailbox_id, step), at=slot and slot.at, held=found.held)


def _past(it: LeadLetter) -> Message | None:
    return (
        Message(gettext_noop("it was added when the lead was past its place in the sequence")) if it.is_past else None
    )


def _check_step(row: Campaign, step: int) -> None:
    steps = [position for (position,) in fetch(STEPS, (row.id,))]
    if step not in steps:
        told = ", ".join(map(str, steps))
        template = gettext_noop("the campaign %(name)s has no letter %(step)d; its letters: %(steps)s")
        raise NoSuchStep(Message(template, name=repr(row.name), step=step, steps=told))


def beside(campaign_id: int, turn: int) -> tuple[str | None, str | None]:
    """The normalised addresses of the leads before and after this turn."""
    found = read_row(_Beside, BESIDE, {"campaign": campaign_id, "turn": turn})
    return (None, None) if found is None else (found.before, found.after)


def _lead(row: Campaign, address: str | None) -> int:
    found = fetch_row(FIRST, (row.id,)) if address is None else fetch_row(OF_ADDRESS, (row.id, address))
    if found is None:
        which = "no leads" if address is None else f"no lead {address}"
        raise CampaignInvalid(f"the campaign {row.name!r} has {which}")
    lead_id: int = found[0]
    return lead_id


def _letter(lead_id: int, mailbox_id: int | None, step: int) -> LeadLetter:
    values = {"lead": lead_id, "mailbox": mailbox_id, "step": step}
    found = read_row(LeadLetter, LETTER, values)
    if found is None:
        raise CampaignInvalid("the campaign has no mailbox")
    return found
