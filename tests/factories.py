"""Rows for tests, made by the product's own functions wherever it has them, and aged by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from models.email import batch_moves, moves
from models.email.attempts import Conversation, Copy
from models.email.claims import Attempt, Claim, Held, Worker
from models.email.hints import Hint as Hint
from models.inbox import incoming, looks
from models.inbox.incoming import Found
from models.inbox.matching import Match
from models.owner import authorizations, campaigns, mailboxes
from models.owner.authorizations import Granted
from models.owner.campaigns import LaterStep, NewCampaign, NewLead
from models.owner.mailboxes import SentMail
from models.states import CampaignStatus, Result, Status
from models.store import database, tables, vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep, EmailHistory, Mailbox
from scheduling import waits
from scheduling.plan_types import whole
from scheduling.planner import Slot
from scheduling.window import Window

ALWAYS = Window(0, 24 * 60, frozenset(range(7)))
WORKER = Worker("testhost", 4242, 1_700_000_000.0)
ANOTHER_WORKER = Worker("otherhost", 4343, 1_700_000_001.0)

_numbers = count(1)


def now() -> datetime:
    """In whole milliseconds, and no earlier than any row was written: Postgres rounds to the nearest millisecond."""
    at = whole(database.clock())
    while database.clock() < at:
        pass
    return at


@contextmanager
def lost_in_a_crash() -> Iterator[None]:
    """What is written in it is gone afterwards, as after a crash of Postgres that had not written it to its disk."""
    with database.database.transaction() as unflushed:
        yield
        unflushed.rollback()


def a_mailbox(address: str | None = None, **changes: Any) -> int:
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": "Ola",
        "smtp_host": "127.0.0.1",
        "smtp_port": 2525,
        "smtp_security": "none",
        "username": None,
        "password_encrypted": None,
        "daily_limit": 1000,
        "gap_seconds": 0.0,
        "by": "tests",
    }
    return mailboxes.add(address=address or f"mailbox{number}@sender.example", **(values | changes))


def a_listening_mailbox(**changes: Any) -> int:
    """With an IMAP server, which nobody has to answer for."""
    imap = SentMail("localhost", 993, "tls", None)
    return a_mailbox(username="ola", password_encrypted=vault.encrypt("s3cret"), sent_mail=imap, **changes)


def authorize(
    mailbox_id: int,
    access: str = "an-access-token",
    refresh: str = "a-refresh-token",
    *,
    lasts: timedelta = timedelta(hours=1),
    consent_lasts: timedelta | None = None,
    username: str = "ola@sender.example",
) -> None:
    """Give the mailbox an OAuth2 login."""
    granted = Granted(
        provider="microsoft",
        tenant="sender.example",
        client_id="an-app",
        client_secret_encrypted=None,
        refresh_token_encrypted=vault.encrypt(refresh),
        access_token_encrypted=vault.encrypt(access),
        access_lasts=lasts,
        consent_lasts=consent_lasts,
    )
    authorizations.grant(mailbox_id, "tests", username, granted)


def a_campaign(
    mailbox_ids: Sequence[int],
    leads: int | Sequence[str] = 1,
    *,
    window: Window = ALWAYS,
    delay: float = 60.0,
    limit: int = 1000,
    active: bool = True,
    text: str = "Dear {{ name }}, how are you?",
    follow_ups: Sequence[str] = (),
    **more: Any,
) -> int:
    """follow_ups: the waits of its later steps, each a letter in the same thread."""
    number = next(_numbers)
    addresses = [f"lead{i}@campaign{number}.example" for i in range(1, leads + 1)] if isinstance(leads, int) else leads
    new = NewCampaign(
        name=f"campaign {number}",
        subject="Hello {{ name }}",
        text=text,
        html=None,
        mailbox_ids=mailbox_ids,
        window=window,
        delay_seconds=delay,
        daily_limit=limit,
        later_steps=[LaterStep(waits.parsed(it), None, "Still there, {{ name }}?", None) for it in follow_ups],
        **more,
    )
    people = [
        NewLead(address, address.lower(), {"email": address, "name": f"Lead {address}"}, None) for address in addresses
    ]
    campaign_id = campaigns.add(new, people, "tests")
    if active and people:
        campaigns.start(campaign_id, "tests")
    elif active:  # as when its last lead was taken out of it
        Campaign.update(status=CampaignStatus.ACTIVE).where(Campaign.id == campaign_id).execute()
    return campaign_id


def a_lead(address: str) -> NewLead:
    return NewLead(address, address, {"name": address}, None)


def step_of(campaign_id: int) -> int:
    """The campaign's first step."""
    return CampaignStep.get(CampaignStep.campaign == campaign_id, CampaignStep.position == 1).id


def slot(row: CampaignEmailQueue, at: datetime) -> Slot:
    """Another place for an e-mail, on its mailbox."""
    return Slot(row.campaign_id, row.campaign_lead_id, row.step_id, row.mailbox_id, at)


def planned(campaign_id: int, mailbox_id: int, *at: datetime) -> list[int]:
    """Put the campaign's next leads into the queue at these times, and return the e-mails' ids."""
    Q = CampaignEmailQueue
    taken = Q.select(Q.campaign_lead).where(Q.campaign == campaign_id)
    leads = CampaignLead.select(CampaignLead.id).where(
        CampaignLead.campaign == campaign_id, CampaignLead.id.not_in(taken)
    )
    ids = [row.id for row in leads.order_by(CampaignLead.position).limit(len(at))]
    assert len(ids) == len(at), "the campaign has too few leads"
    step_id = step_of(campaign_id)
    # Nothing is claimed from a mailbox that is none of the campaign's.
    tables.CampaignMailbox.insert(campaign=campaign_id, mailbox=mailbox_id).on_conflict_ignore().execute()
    slots = [Slot(campaign_id, lead, step_id, mailbox_id, when) for lead, when in zip(ids, at, strict=True)]
    batch_moves.plan(campaign_id, slots, "tests")
    rows = Q.select(Q.id).where(Q.campaign_lead.in_(ids)).order_by(Q.campaign_lead)
    return [row.id for row in rows]


def an_email(at: datetime | None = None, **campaign: Any) -> int:
    """A pending e-mail of a campaign and a mailbox of its own, due now."""
    mailbox_id = a_mailbox()
    campaign_id = a_campaign([mailbox_id], **campaign)
    return planned(campaign_id, mailbox_id, at or now())[0]


# What a mail server answered.
YES = Conversation(Result.ACCEPTED, "dot", code=250, reply="ok")

COPY = Copy("Sent", 7, "Message-ID", datetime(2026, 11, 17, 12, tzinfo=UTC))


def no(code: int | None, reply: str = "no", **more: Any) -> Conversation:
    """A permanent refusal: of the lead, after RCPT, unless given otherwise."""
    told = {"phase": "rcpt", "scope": "lead", "code": code, "reply": reply}
    return Conversation(Result.REFUSED, **(told | more))


def later(code: int | None, reply: str = "later", **more: Any) -> Conversation:
    told = {"phase": "rcpt", "scope": "lead", "code": code, "reply": reply}
    return Conversation(Result.DEFERRED, **(told | more))


def row(email_id: int) -> CampaignEmailQueue:
    return CampaignEmailQueue.get_by_id(email_id)


def came_back(email_id: int, class_: str, kind: str | None = None, **changes: Any) -> int:
    """A message about a sent e-mail, kept as the inbox reader keeps it. Its id."""
    mail, number = row(email_id), next(_numbers)
    lead = CampaignLead.get_by_id(mail.campaign_lead_id)
    at = looks.cursor(mail.mailbox_id, "INBOX", 1)
    match = Match(mail.message_id, email_id, mail.campaign_id, lead.lead_id, lead.address, None)
    values: dict[str, Any] = {
        "uid": at.last_uid + 1,
        "digest": f"digest {number}",
        "received_at": now(),
        "class_": class_,
        "kind": kind,
        "status": None,
        "rule": "a test",
        "message_id": f"<{number}@leads.example>",
        "sender": lead.address,
        "subject": "Re: hello",
        "excerpt": f"message {number}",
        "returns_on": None,
        "match": match,
        "matched_by": "In-Reply-To",
        "recipients": [lead.address] if class_ in ("bounce", "complaint") else [],
    }
    kept = incoming.keep(at, Found(**(values | changes)))
    assert kept is not None
    return kept


def claimed(email_id: int, worker: Worker = WORKER) -> Claim:
    claim = moves.claim(email_id, row(email_id).scheduled_at, worker)
    assert isinstance(claim, Claim), claim
    return claim


def handed_over(email_id: int, worker: Worker = WORKER) -> Claim:
    claim = claimed(email_id, worker)
    assert moves.hand_over(claim.held, b"Subject: hello\r\n\r\nDear lead") is None
    return claim


def attempt(held: Held) -> Attempt:
    it = row(held.email_id)
    return Attempt(held, it.campaign_id, it.mailbox_id, it.attempts)


def in_status(status: Status) -> tuple[int, Held]:
    """An e-mail brought into a status by legal moves, and the claim it bears or bore."""
    email_id = an_email()
    if status is Status.PENDING:
        return email_id, Held(email_id, uuid4(), str(WORKER))
    if status is Status.CANCELLED:
        moves.cancel(email_id, "a test", "tests")
        return email_id, Held(email_id, uuid4(), str(WORKER))
    claim = claimed(email_id) if status is Status.SENDING else handed_over(email_id)
    match status:
        case Status.SENT:
            assert moves.accept(claim.held, YES)
        case Status.FAILED:
            assert moves.reject(claim.held, no(550))
        case Status.UNKNOWN:
            assert moves.doubt(claim.held, "silence")
    return email_id, claim.held


def age(email_id: int, by: timedelta) -> None:
    """Make everything about an e-mail this much older."""
    Q = CampaignEmailQueue
    Q.update(
        scheduled_at=Q.scheduled_at - by,
        hinted_for=Q.hinted_for - by,
        claimed_at=Q.claimed_at - by,
        handed_over_at=Q.handed_over_at - by,
    ).where(Q.id == email_id).execute()
    H = EmailHistory
    H.update(scheduled_from=H.scheduled_from - by, scheduled_to=H.scheduled_to - by).where(
        H.email == email_id
    ).execute()


def rested(campaign_id: int) -> None:
    """Forget when the campaign and its mailboxes last started a mail."""
    Campaign.update(last_start_at=None).where(Campaign.id == campaign_id).execute()
    Mailbox.update(last_start_at=None).execute()


GROW_OLDER = """
UPDATE campaign SET last_start_at = last_start_at - %(by)s;
UPDATE mailbox
SET last_start_at = last_start_at - %(by)s, closed_until = closed_until - %(by)s,
    watched_from = watched_from - %(by)s, blamed_from = blamed_from - %(by)s;
UPDATE campaign_email_queue
SET scheduled_at = scheduled_at - %(by)s, hinted_for = hinted_for - %(by)s, claimed_at = claimed_at - %(by)s,
    handed_over_at = handed_over_at - %(by)s, sent_at = sent_at - %(by)s, deferred_since = deferred_since - %(by)s,
    wait_ends_at = wait_ends_at - %(by)s, looked_at = looked_at - %(by)s;
UPDATE email_history
SET at = at - %(by)s, scheduled_from = scheduled_from - %(by)s, scheduled_to = scheduled_to - %(by)s,
    handed_over_at = handed_over_at - %(by)s;
UPDATE attempt SET started_at = started_at - %(by)s, ended_at = ended_at - %(by)s;
UPDATE email_content SET recorded_at = recorded_at - %(by)s, deleted_at = deleted_at - %(by)s;
UPDATE letter_deletion SET next_at = next_at - %(by)s;
UPDATE campaign_step SET since = since - %(by)s;
UPDATE inbox SET asked_at = asked_at - %(by)s, started_at = started_at - %(by)s, read_at = read_at - %(by)s;
UPDATE domain_finding SET checked_at = checked_at - %(by)s, missing_since = missing_since - %(by)s;
UPDATE hold SET created_at = created_at - %(by)s, until = until - %(by)s, lifted_at = lifted_at - %(by)s;
"""


def everything_older(by: timedelta) -> None:
    """Let time pass: make every instant in the rows this much older."""
    database.execute(GROW_OLDER, {"by": by})


ONE_EMAIL = "campaign_email_queue_campaign_id_campaign_lead_id"


KEPT = (tables.Installation, tables.LetterDeletion)  # their one row is the migration's
EMPTY = """
DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOREACH name IN ARRAY %(filled)s::text[] LOOP
        EXECUTE format('DELETE FROM %%I', name);
    END LOOP;
    PERFORM setval(seqrelid::regclass, 1, false) FROM pg_sequence
    WHERE pg_sequence_last_value(seqrelid::regclass) IS NOT NULL
      AND seqrelid <> 'schema_migration_id_seq'::regclass;  -- its table is not emptied
    UPDATE letter_deletion SET after_at = DEFAULT, after_id = DEFAULT, next_at = DEFAULT
    WHERE (after_id, next_at) <> (0, 'epoch'::timestamptz);
END $$
"""
# A table without pages is empty, whoever has used it; VACUUM takes the pages of one that has been emptied.
FILLED = "SELECT relname FROM pg_class WHERE oid = ANY(%s::regclass[]) AND pg_relation_size(oid) > 0"


def as_if_new() -> None:
    """Take back what this thread's session has set, prepared and locked, and close it if it is dead.

    A new session would cost more: it reads the catalogue again.
    """
    database.replace_dead_session()
    if database.database.is_closed():
        return
    try:
        database.execute("DISCARD ALL")
    except database.FAILURES:
        database.close()
        return
    session = database._session_now()
    session.prepared.clear()
    session.known.clear()


def nothing_left() -> None:
    """Empty every table, as before each test, and put back what follow-ups drop. The database keeps its name.

    TRUNCATE takes three times as long: it makes new files for each table and index, and each session reads the
    catalogue again. VACUUM gives the files' pages back; without it, rows would have another order on the disk in each
    run, which a query without ORDER BY shows.
    """
    names = [table._meta.table_name for table in tables.TABLES if table not in KEPT]
    filled = [name for (name,) in database.fetch(FILLED, (names,))]
    database.execute(EMPTY, {"filled": filled})
    if filled:
        database.execute(f"VACUUM (SKIP_DATABASE_STATS, PROCESS_TOAST false) {', '.join(filled)}")
    # The first follow-up drops it: see planning/follow_ups.py.
    if not database.fetch("SELECT 1 FROM pg_class WHERE oid = to_regclass(%s)", (ONE_EMAIL,)):
        database.execute(f"CREATE UNIQUE INDEX {ONE_EMAIL} ON campaign_email_queue (campaign_id, campaign_lead_id)")
        database.execute(f"COMMENT ON INDEX {ONE_EMAIL} IS 'Put back by the tests.'")
    database.execute("UPDATE installation SET disarmed_reason = NULL")
