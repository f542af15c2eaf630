"""A campaign whose leads answer, bounce, complain and leave: each ends where a careful person would put it.

E-mails leave through a real SMTP server. What the leads' servers and programs make of them, in the shapes of the
corpus, comes back through another, is filed in a real Dovecot, and is read there.
"""

import os
import re
import signal
import smtplib
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from dramatiq import get_broker
from peewee import fn

from actors import deliver, inbox
from actors.plan import plan_new
from mail.inbox import Message
from models.email import moves
from models.health import invariants
from models.inbox import looks
from models.owner.mailboxes import SentMail
from models.states import Status
from models.store import database, vault
from models.store.tables import CampaignEmailQueue, Hold, Inbox, InboxCursor, Incoming, Lead, Suppression
from models.views import responses
from models.views.responses import Responses
from reasons import Code
from scheduling.window import warsaw_day
from tests import factories as make
from tests.conftest import Override
from tests.dovecot import Dovecot
from tests.forking import Forked
from tests.mail.test_incoming import CORPUS, LEAD, LETTER, OUR_ID, UNIQUE, US
from tests.pipeline import effects
from tests.smtp_server import Delivery, SmtpServer
from tests.waiting import BOUND, until
from web.app import create_public_app

Q = CampaignEmailQueue
SIZE, USER = 200, "listening"
ANSWERS = [
    *("gmail-reply-pl", "iphone-reply-top", "outlook-reply-plain-headers", "outlook-reply-html-only"),
    *("thunderbird-reply-below-quote", "apple-mail-reply", "android-outlook-reply", "interia-like-reply-od-do"),
    *("onet-like-reply-quote-without-marks", "rewritten-message-id-no-reference"),
] * 2
AUTOMATIC = ["ticket-created-pl", "wp-like-autoresponder", "challenge-response", *["away"] * 7]
# Five dialects: Postfix, Exim, Exchange, Gmail, qmail.
BOUNCES = ["postfix-user-unknown", "exim-text", "m365-recipient-not-found", "gmail-user-does-not-exist", "qmail"] * 2
REQUESTS = ["wypisz-pl", "unsubscribe-en", "mailto", "mailto", "mailto"]
POSTS = ["post"] * 5
COMPLAINTS = ["arf-abuse", "jmrp", "arf-abuse-last-message-id"]
UNCLEAR = ["nothing-but-the-quotation", "write-to-another-address"]
EVERYBODY = [*ANSWERS, *AUTOMATIC, *BOUNCES, *REQUESTS, *POSTS, *COMPLAINTS, *UNCLEAR]
HOW = EVERYBODY + ["silent"] * (SIZE - len(EVERYBODY))


@pytest.fixture
def leads_servers(db: None, broker: None) -> Iterator[SmtpServer]:
    with SmtpServer(credentials=(USER, Dovecot.password)) as running:
        yield running
    get_broker().flush_all()


@pytest.fixture
def our_server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def test_everybody_ends_where_a_careful_person_would_have_put_them(
    dovecot: Dovecot, leads_servers: SmtpServer, our_server: SmtpServer, settings: Override
) -> None:
    settings(UNSUBSCRIBE_URL="https://stop.example", SENDING_PAUSE_AT_FAILED_PERCENT="off")
    mailbox_id = a_mailbox(dovecot, USER, smtp_port=leads_servers.port)
    leads = {f"lead{number}@firma{number}.example": how for number, how in enumerate(HOW)}
    campaign_id = make.a_campaign([mailbox_id], leads=list(leads), delay=0.001, text=LETTER, stop_in_all_campaigns=True)
    send_all(campaign_id)
    letters = {it.recipient: it for it in leads_servers.accepted}
    assert letters.keys() == leads.keys()

    answer({letters[address]: how for address, how in leads.items()}, our_server)
    file([it.content for it in our_server.accepted], dovecot)
    inbox.read_inboxes()

    assert responses.of_campaigns([campaign_id])[campaign_id] == Responses(
        replied=20, automatic=10, unclear=2, bounced_address=10, unsubscribed=10, complained=3, held=12, stopped=20
    )
    assert where_they_are() == expected(leads)
    assert Q.select().where(Q.status == Status.SENT).count() == SIZE

    leads_servers.accepted.clear()
    send_all(make.a_campaign([mailbox_id], leads=list(leads), delay=0.001, text=LETTER))

    assert {it.recipient for it in leads_servers.accepted} == {it for it, how in leads.items() if how == "silent"}
    assert [it.rule for it in invariants.check() if not it.holds] == []


BEGIN = ("looks.claim_due", "looks.claim_due", "looks.cursor")
# Before each death, and the cursor then. What the one before had kept is not met again. The last but one comes before
# the cursor's advance alone, over a message that is gone.
DEATHS = [
    *[((), None), (BEGIN[:1], None), (BEGIN[:2], None), (BEGIN, 0)],
    *[((*BEGIN, "incoming.keep"), 1), ((*BEGIN, "incoming.keep", "incoming.keep"), 3)],
    ((*BEGIN, "looks.advance", "looks.end", "looks.claim_due"), 4),
]


def test_killed_before_each_of_its_effects_the_reader_keeps_all_of_it_once(
    dovecot: Dovecot, db: None, tmp_path: Path
) -> None:
    mailbox_id = a_mailbox(dovecot, "killed")
    answered, bounced, away = (sent(mailbox_id, f"{name}@firma.example") for name in ("anna", "jan", "ewa"))
    dovecot.receive("killed", response(answered, "gmail-reply-pl"))
    dovecot.receive("killed", response(bounced, "qmail"))
    dovecot.receive("killed", response(away, "vacation-null-return-path"))
    dovecot.receive("killed", response(away, "mdn-displayed"))
    with dovecot.logged_in("killed") as client:
        client.select_folder("INBOX")
        client.delete_messages([4])
        client.expunge()

    reached: list[tuple[tuple[str, ...], int | None]] = []
    while (effects_before := read_until_killed(tmp_path, before=len(reached) + 1)) is not None:
        reached.append((effects_before, InboxCursor.select(fn.MAX(InboxCursor.last_uid)).scalar()))

    assert reached == DEATHS
    assert sorted((it.class_, it.folder) for it in Incoming.select()) == [
        *[("automatic", "INBOX"), ("bounce", "INBOX"), ("human", "INBOX")]
    ]
    assert sorted((str(it.reason_code), it.stops) for it in Hold.select()) == [
        ("answered_automatically", False),
        ("replied", True),
    ]
    assert [it.address for it in Suppression.select()] == ["jan@firma.example"]
    assert InboxCursor.get().last_uid == 4
    assert [it.rule for it in invariants.check() if not it.holds] == []


def read_until_killed(folder: Path, before: int) -> tuple[str, ...] | None:
    """What a reader did until it was killed before its n-th effect. None: it had fewer."""
    Inbox.update(started_at=None).execute()
    log = folder / f"effects-{before}"
    environment = {**os.environ, effects.LOG: str(log), effects.DIE_BEFORE: str(before)}
    status = Forked(("tests.pipeline.workers.reads_inboxes",), environment, folder / "out", folder / "err").wait(BOUND)
    assert status in (0, -signal.SIGKILL), (folder / "err").read_text()
    done = log.read_text().splitlines() if log.exists() else ()
    return tuple(done) if status else None


def test_two_readers_of_one_message_keep_it_once(dovecot: Dovecot, db: None) -> None:
    mailbox_id = a_mailbox(dovecot, "twice")
    dovecot.receive("twice", response(sent(mailbox_id, "anna@firma.example"), "gmail-reply-pl"))
    at = looks.cursor(mailbox_id, "INBOX", 1)
    with dovecot.logged_in("twice") as client:
        client.select_folder("INBOX", readonly=True)
        raw = client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"]
    message = Message(1, make.now(), len(raw), raw)
    kept: list[int | None] = []

    def read_too() -> None:
        kept.append(inbox.read_message(at, message))
        database.close()

    second = threading.Thread(target=read_too)
    with database.database.atomic():
        kept.append(inbox.read_message(at, message))
        second.start()
        until(lambda: database.fetch(WAITS), "the second reader to wait for the first")
    second.join()

    assert [it is not None for it in kept] == [True, False]
    assert (Incoming.select().count(), Hold.select().count()) == (1, 1)


WAITS = "SELECT FROM pg_locks WHERE NOT granted"


def a_mailbox(dovecot: Dovecot, user: str, **changes: int) -> int:
    return make.a_mailbox(
        US,
        username=user,
        password_encrypted=vault.encrypt(dovecot.password),
        sent_mail=SentMail(dovecot.host, dovecot.port, "none", None),
        one_click=True,
        **changes,
    )


def sent(mailbox_id: int, address: str) -> Delivery:
    """An e-mail that arrived."""
    campaign_id = make.a_campaign([mailbox_id], leads=[address])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    moves.accept(make.handed_over(email_id).held, make.YES)
    return Delivery(US, address, make.row(email_id).message_id, b"", 1, 1, make.now())


def send_all(campaign_id: int) -> None:
    """Plan the campaign as the tick does, and deliver each e-mail as its hint does."""
    plan_new()
    for row in Q.select().where(Q.campaign == campaign_id).order_by(Q.scheduled_at):
        make.rested(campaign_id)
        until_due = Q.update(scheduled_at=make.now()).where(Q.id == row.id, Q.scheduled_at > make.now())
        until_due.execute()
        deliver.deliver(row.id, round(make.row(row.id).scheduled_at.timestamp() * 1000))


def answer(letters: dict[Delivery, str], our_server: SmtpServer) -> None:
    """Each lead's server or program answers our server, or uses the page."""
    page = create_public_app().test_client(use_cookies=False)
    with smtplib.SMTP(our_server.host, our_server.port) as sending:
        for letter, how in letters.items():
            if how == "post":
                done = page.post(unsubscribe_at(letter, "https"), data={"List-Unsubscribe": "One-Click"})
                assert done.status_code == 200
            elif how != "silent":
                sending.sendmail(letter.recipient, [US], response(letter, how))


def response(letter: Delivery, how: str) -> bytes:
    if how == "mailto":
        subject = unquote(urlsplit(unsubscribe_at(letter, "mailto")).query.removeprefix("subject="))
        return f"From: <{letter.recipient}>\r\nTo: <{US}>\r\nSubject: {subject}\r\n\r\n\r\n".encode()
    if how == "away":
        day = warsaw_day(make.now()) + timedelta(days=20)
        return (
            f"From: <{letter.recipient}>\r\nTo: <{US}>\r\nSubject: Automatic reply: hello\r\n"
            f"Auto-Submitted: auto-replied\r\nIn-Reply-To: {letter.message_id}\r\n\r\nI am away until {day}.\r\n"
        ).encode()
    message = (CORPUS / f"{how}.eml").read_bytes()
    own = letter.message_id.strip("<>").partition("@")[0]
    for theirs, ours in ((OUR_ID, letter.message_id), (UNIQUE, own), (LEAD, letter.recipient)):
        message = message.replace(theirs.encode(), ours.encode())
    return message


def unsubscribe_at(letter: Delivery, scheme: str) -> str:
    header = str(message_from_bytes(letter.content)["List-Unsubscribe"])
    [found] = re.findall(rf"<({scheme}:[^>]+)>", re.sub(r"\s", "", header))
    return urlsplit(found).path if scheme == "https" else str(found)


def file(contents: list[bytes], dovecot: Dovecot) -> None:
    """As the server that took them for our mailbox does."""
    with dovecot.logged_in(USER) as client:
        for content in contents:
            client.append("INBOX", content, msg_time=make.now())


def where_they_are() -> dict[str, str]:
    """Address -> why the lead is not written to; "": it is."""
    because = {it.lead_id: str(it.reason_code) for it in Hold.select().order_by(Hold.id)}
    held = {it.address: because.get(it.id, "") for it in Lead.select()}
    return held | {it.address: str(it.reason_code) for it in Suppression.select()}


def expected(leads: dict[str, str]) -> dict[str, str]:
    why = {
        **dict.fromkeys(ANSWERS, Code.REPLIED),
        **dict.fromkeys(AUTOMATIC, Code.ANSWERED_AUTOMATICALLY),
        "away": Code.AWAY_UNTIL,
        **dict.fromkeys(BOUNCES, Code.BOUNCED),
        **dict.fromkeys(REQUESTS, Code.ASKED_TO_STOP),
        "post": Code.UNSUBSCRIBED,
        **dict.fromkeys(COMPLAINTS, Code.COMPLAINED),
        **dict.fromkeys(UNCLEAR, Code.UNCLEAR_REPLY),
        "silent": "",
    }
    return {address: str(why[how]) for address, how in leads.items()}
