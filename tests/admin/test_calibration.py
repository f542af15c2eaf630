"""A calibration mail: sent for real, filed by the other server with its own words, and read there."""

import threading
from collections.abc import Iterator
from email import message_from_bytes

import pytest
from typer.testing import CliRunner

from admin.__main__ import app
from admin.calibrate import look
from mail import calibration
from mail.calibration import Arrival
from mail.domain import State
from models.health import calibrations
from models.owner import mail_tests, mailboxes
from models.owner.mailboxes import SentMail
from models.store import tables, vault
from models.store.tables import Mailbox
from models.views import overview
from tests import factories as make
from tests.dovecot import Dovecot
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; h=From:To:Subject:{h}; b=xyz\r\n"
BOTH = "List-Unsubscribe:\r\n List-Unsubscribe-Post"
PASSED = "Authentication-Results: mx.other.example; spf=pass (ok) smtp.mailfrom=a; dkim=pass header.d=b; dmarc=pass\r\n"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer(credentials=("sender", Dovecot.password)) as running:
        yield running


@pytest.fixture
def sender(smtp: SmtpServer, dovecot: Dovecot) -> Mailbox:
    return mailboxes.get(a_mailbox(dovecot, "sender", "ola@sender.example", smtp_port=smtp.port))


@pytest.fixture
def receiver(sender: Mailbox, dovecot: Dovecot) -> Mailbox:
    return mailboxes.get(a_mailbox(dovecot, "receiver", "jan@other.example"))


def a_mailbox(dovecot: Dovecot, user: str, address: str, **changes: int) -> int:
    password = vault.encrypt(dovecot.password)
    imap = SentMail(dovecot.host, dovecot.port, "none", None)
    return make.a_mailbox(address, username=user, password_encrypted=password, sent_mail=imap, **changes)


def test_says_what_its_arrival_shows_and_turns_one_click_on(
    sender: Mailbox, receiver: Mailbox, smtp: SmtpServer, dovecot: Dovecot
) -> None:
    def file() -> None:
        smtp.arrived(1)
        content = smtp.accepted[0].content
        dovecot.receive("receiver", (PASSED + SIGNED.format(h=BOTH)).encode() + content)
        dovecot.file("sender", content)

    filing = threading.Thread(target=file)
    filing.start()
    found = look(sender, receiver, "ola", wait=120)
    filing.join()

    assert {it.record: it.state for it in found} == dict.fromkeys(calibration.Record, State.OK)
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in smtp.accepted[0].content
    assert mailboxes.get(sender.id).one_click is True
    assert [it.record for it in overview.mailboxes([sender])[0].calibration] == [
        *("arrival", "spf", "dkim", "dmarc", "one_click", "message_id", "sent_copy")
    ]
    counted = tables.TestMail.get()
    assert (counted.mailbox_id, counted.campaign_id, str(counted.outcome)) == (sender.id, None, "accepted")


def test_of_one_that_has_not_arrived_is_unknown_not_missing(sender: Mailbox, receiver: Mailbox) -> None:
    found = {it.record: it.state for it in look(sender, receiver, "ola", wait=0)}

    assert found.pop(calibration.Record.SENT_COPY) is State.WEAK
    assert set(found.values()) == {State.UNKNOWN}
    assert mailboxes.get(sender.id).one_click is False


def test_that_the_mailbox_may_not_send_now_is_refused(sender: Mailbox, receiver: Mailbox, smtp: SmtpServer) -> None:
    mailboxes.pause(sender.id, "ola")

    with pytest.raises(mail_tests.TestMailRefused, match="the mailbox is paused"):
        look(sender, receiver, "ola", wait=0)
    assert (smtp.accepted, calibrations.of_mailboxes([sender.id])) == ([], {sender.id: []})


def test_needs_a_second_mailbox_that_can_be_read(sender: Mailbox) -> None:
    make.a_mailbox("eve@other.example")

    for options in ((), ("--to", "eve@other.example"), ("--to", sender.address)):
        result = CliRunner().invoke(app, ["mailbox", "calibrate", sender.address, *options])
        assert "with an IMAP server" in str(result.exception)


def states(it: Arrival, *, copy_found: bool | None) -> dict[str, str]:
    found = calibration.findings(it, "jan@other.example", 3, copy_found=copy_found)
    return {str(each.record): str(each.state) for each in found}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (PASSED, {"spf": "ok", "dkim": "ok", "dmarc": "ok", "one_click": "unknown"}),
        ("", {"spf": "unknown", "dkim": "unknown", "dmarc": "unknown", "one_click": "unknown"}),
        # The receiver's own stands first; what came with the e-mail proves nothing.
        (
            "Authentication-Results: mx; spf=fail; dkim=none\r\n" + PASSED,
            {"spf": "wrong", "dkim": "missing"},
        ),
        ("Authentication-Results: mx; dkim=none\r\n", {"dkim": "missing", "one_click": "missing"}),
        ("Authentication-Results: mx; spf=softfail; dkim=fail\r\n", {"spf": "wrong", "dkim": "wrong"}),
        ("Authentication-Results: mx; spf=temperror;\r\n dkim=permerror\r\n", {"spf": "unknown", "dkim": "wrong"}),
        ("Authentication-Results: mx; dkim=fail; dkim=pass (2048-bit; key)\r\n", {"dkim": "ok"}),
        (SIGNED.format(h="Date"), {"one_click": "weak"}),
        (SIGNED.format(h="List-Unsubscribe"), {"one_click": "weak"}),
        (SIGNED.format(h="Date") + SIGNED.format(h=BOTH), {"one_click": "ok"}),
        ("Authentication-Results: mx; dkim=fail\r\n" + SIGNED.format(h=BOTH), {"one_click": "weak"}),
    ],
)
def test_what_a_receiver_says_is_read_as_it_is_meant(headers: str, expected: dict[str, str]) -> None:
    it = Arrival("INBOX", make.now(), True, message_from_bytes(f"{headers}Subject: a\r\n\r\n".encode()))

    found = states(it, copy_found=None)

    assert {name: found[name] for name in expected} == expected


def test_junk_and_a_replaced_message_id_are_told() -> None:
    it = Arrival("Spam", make.now(), False, message_from_bytes(b"\r\n"))

    found = states(it, copy_found=False)

    assert (found["arrival"], found["message_id"], found["sent_copy"]) == ("wrong", "weak", "weak")
