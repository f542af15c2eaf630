"""What one lead's message is composed of, with its time and mailbox: for previews and test mails."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from models.email import message_ids, recipients
from models.owner.campaigns import CampaignInvalid
from models.planning import usable
from models.states import Status
from models.store.database import fetch_row
from models.store.database import row as read_row
from models.store.tables import Campaign
from models.views import calendars, forbidden, overview
from models.views.forbidden import Forbidden
from reasons import Reason, Why
from scheduling.planner import Unplannable


@dataclass(frozen=True)
class LeadLetter(Forbidden):
    """One lead's message before it is composed: what mail.compose.letter_of() takes."""

    campaign_lead_id: int
    turn: int  # of its lead in the campaign
    mailbox_id: int
    recipient: str
    fields: Mapping[str, str]
    subject: str
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

    @property
    def is_over(self) -> bool:
        """It was handed over, or never will be: there is nothing left to compose."""
        return self.status not in (None, Status.PENDING)

    def content(self) -> bytes | None:
        """As it was last handed over, byte for byte. None: never, or it is gone."""
        return overview.content(self.email_id) if self.email_id is not None else None

    def why_no_content(self) -> Reason | None:
        return overview.why_no_content(self.email_id) if self.email_id is not None else None

    def why_not(self) -> Why | None:
        """Why it will not be sent, if its lead must not be written to."""
        return self.why(recipients.is_basis_required())


# Of an e-mail that is not planned: from the mailbox of its forecast.
LETTER = f"""
SELECT cl.id AS campaign_lead_id, cl.position AS turn, m.id AS mailbox_id, cl.address AS recipient, cl.fields,
       s.subject, s.text, s.html, m.address AS sender, m.name AS sender_name, m.one_click,
       COALESCE(q.message_id, {message_ids.of("s.id")}) AS message_id, q.id AS email_id, q.status,
       q.scheduled_at AS at, q.sent_at, {forbidden.COLUMNS}
FROM campaign_lead cl
JOIN campaign c ON c.id = cl.campaign_id
JOIN lead p ON p.id = cl.lead_id
JOIN campaign_step s ON s.campaign_id = c.id AND s.position = 1
{forbidden.JOINS}
LEFT JOIN campaign_email_queue q ON q.campaign_lead_id = cl.id AND q.step_id = s.id
JOIN mailbox m ON m.id = COALESCE(%(mailbox)s, q.mailbox_id, (
    SELECT min(cm.mailbox_id) FROM campaign_mailbox cm WHERE cm.campaign_id = c.id))
WHERE cl.id = %(lead)s
"""  # noqa: S608  # only our own words


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
    row: Campaign, address: str | None = None, mailbox_id: int | None = None, most_emails: int | None = None
) -> LeadLetter:
    """The letter of a lead (its normalised address; None: the first lead), with its time and mailbox.

    mailbox_id: from this mailbox, whatever is planned. most_emails: of the forecast; a lead behind them has no time.
    Raises CampaignInvalid if the campaign has no such lead.
    """
    lead_id = _lead(row, address)
    found = _letter(lead_id, mailbox_id)
    if found.email_id is not None or mailbox_id is not None or usable.problem(row) or found.why_not() is not None:
        return found
    try:
        slot = calendars.slot_of(row, lead_id, most_emails)
    except Unplannable:  # the tick logs why; the letter can still be seen
        slot = None
    return found if slot is None else replace(_letter(lead_id, slot.mailbox_id), at=slot.at)


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


def _letter(lead_id: int, mailbox_id: int | None) -> LeadLetter:
    values = {"lead": lead_id, "mailbox": mailbox_id}
    found = read_row(LeadLetter, LETTER, values)
    if found is None:
        raise CampaignInvalid("the campaign has no mailbox")
    return found
