"""How a mailbox's mail servers are described: from its row and from a claim alike, the password opened here alone."""

import re

import pytest

import config
from logins import servers
from mail.connection import Server
from models.owner import mailboxes
from models.owner.mailboxes import SentMail
from models.store import vault
from models.store.tables import Mailbox
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")


def a_mailbox(sent_mail: SentMail | None = None) -> int:
    return make.a_mailbox(
        smtp_host="smtp.sender.example",
        smtp_port=465,
        smtp_security="tls",
        username="ola",
        password_encrypted=vault.encrypt("s3cret"),
        sent_mail=sent_mail,
    )


def test_it_is_the_same_from_a_mailboxs_row_and_from_a_claim_of_its_mail() -> None:
    mailbox_id = a_mailbox()
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())

    found = [servers.smtp(make.claimed(email_id)), servers.smtp(mailboxes.get(mailbox_id))]

    assert found == [Server("smtp.sender.example", 465, "tls", "ola", "s3cret")] * 2


def test_one_without_a_login_has_no_password() -> None:
    found = servers.smtp(mailboxes.get(make.a_mailbox()))

    assert (found.username, found.password) == (None, None)


def test_its_sent_folder_has_the_same_login_on_its_own_server() -> None:
    where = SentMail("imap.sender.example", 143, "starttls", "Sent")

    found = servers.sent_folder(mailboxes.get(a_mailbox(where)))

    assert found == (Server("imap.sender.example", 143, "starttls", "ola", "s3cret"), "Sent")


def test_where_nobody_said_where_it_is_there_is_none() -> None:
    assert servers.sent_folder(mailboxes.get(a_mailbox())) is None


def test_a_password_of_another_key_is_refused_for_both() -> None:
    mailbox_id = a_mailbox(SentMail("imap.sender.example", 993, "tls", None))
    Mailbox.update(password_encrypted="gAAAA-of-another-key").where(Mailbox.id == mailbox_id).execute()
    row = mailboxes.get(mailbox_id)

    for describe in (servers.smtp, servers.sent_folder):
        with pytest.raises(vault.KeyInvalid):
            describe(row)


def test_no_other_module_describes_one() -> None:
    rooms = ("actors", "admin", "intake", "logins", "web")
    files = [path for room in rooms for path in sorted((config.ROOT / room).rglob("*.py"))]

    describing = [path.name for path in files if re.search(r"\bServer\(", path.read_text())]

    assert describing == ["servers.py"]
