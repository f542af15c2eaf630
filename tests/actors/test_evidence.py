"""What becomes of an unknown e-mail whose copy is, or is not, in its mailbox's Sent folder."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from cryptography.fernet import Fernet
from dramatiq import Message, get_broker

from actors import deliver, reconcile
from actors import evidence as pipeline
from mail import imap
from mail.connection import Server
from mail.imap import Patience
from models.email import evidence, moves
from models.owner import settlement
from models.owner.mailboxes import SentMail
from models.states import Move, Status
from models.store import database, vault
from models.store.tables import CampaignEmailQueue, Mailbox
from models.views import history, overview
from tests import factories as make
from tests.dovecot import Dovecot

pytestmark = pytest.mark.usefixtures("db")
_numbers = count(1)


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    yield
    get_broker().flush_all()


@pytest.fixture
def user() -> str:
    return f"owner{next(_numbers)}"


def doubtful(dovecot: Dovecot, user: str) -> int:
    """An e-mail handed over some minutes ago, of a mailbox whose Sent folder can be looked into."""
    mailbox_id = make.a_mailbox(
        username=user,
        password_encrypted=vault.encrypt(dovecot.password),
        sent_mail=SentMail(dovecot.host, dovecot.port, "none", None),
    )
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    claim = make.claimed(email_id)
    content = deliver.compose(claim)
    assert isinstance(content, bytes)
    assert moves.hand_over(claim.held, content) is None
    assert moves.doubt(claim.held, "silence")
    make.age(email_id, timedelta(minutes=20))
    return email_id


def handed_over(email_id: int) -> bytes:
    content = overview.content(email_id)
    assert content
    return content


def seek(email_id: int) -> CampaignEmailQueue:
    pipeline.seek_evidence(make.row(email_id).mailbox_id)
    return make.row(email_id)


def test_a_copy_ends_it_as_sent_and_the_history_tells_where_it_was_found(dovecot: Dovecot, user: str) -> None:
    email_id = doubtful(dovecot, user)
    dovecot.file(user, handed_over(email_id))

    row = seek(email_id)

    assert (row.status, row.attempts, row.error) == (Status.SENT, 1, None)
    last = history.of_email(email_id)[-1]
    assert (last.move, last.by) == (Move.ACCEPT, "evidence")
    assert (last.detail or {}).keys() == {"folder", "uid", "header", "date"}
    assert ((last.detail or {})["folder"], (last.detail or {})["uid"], (last.detail or {})["header"]) == (
        "Sent",
        1,
        "Message-ID",
    )


def test_a_copy_with_another_message_id_does_too(dovecot: Dovecot, user: str) -> None:
    email_id = doubtful(dovecot, user)
    dovecot.file(user, handed_over(email_id).replace(make.row(email_id).message_id.encode(), b"<1@provider.example>"))

    assert seek(email_id).status == Status.SENT
    assert (history.of_email(email_id)[-1].detail or {})["header"] == "X-Punktual-Id"


def test_without_a_copy_it_stays_unknown_for_a_person(dovecot: Dovecot, user: str) -> None:
    email_id = doubtful(dovecot, user)
    before = history.of_email(email_id)

    row = seek(email_id)

    assert row.status == Status.UNKNOWN
    assert row.evidence_sought_at is not None
    assert history.of_email(email_id) == before
    settlement.sent(email_id, "she answered it", "ola")


def test_another_mail_of_the_same_campaign_is_no_copy_of_it(dovecot: Dovecot, user: str) -> None:
    email_id, another_id = doubtful(dovecot, user), doubtful(dovecot, user)
    dovecot.file(user, handed_over(another_id))

    assert seek(email_id).status == Status.UNKNOWN
    assert seek(another_id).status == Status.SENT


@pytest.mark.parametrize("status", [Status.PENDING, Status.SENDING])
def test_a_mail_that_a_person_had_sent_again_during_the_look_is_left_alone(
    dovecot: Dovecot, user: str, status: Status
) -> None:
    email_id = doubtful(dovecot, user)
    dovecot.file(user, handed_over(email_id))
    server = Server(dovecot.host, dovecot.port, "none", user, dovecot.password)
    with imap.sent_folder(server, None, Patience.configured()) as sent:
        [mail] = evidence.claim_due(make.row(email_id).mailbox_id)
        settlement.again(email_id, "it is not in my Sent folder", "ola")
        if status is Status.SENDING:
            CampaignEmailQueue.update(scheduled_at=make.now()).execute()
            make.rested(make.row(email_id).campaign_id)
            make.handed_over(email_id)

        pipeline.rule_on(mail, sent)

    assert make.row(email_id).status == status


class TestASearchThatFails:
    @pytest.mark.parametrize(
        ("changes", "step"),
        [
            ({"password_encrypted": vault.encrypt("wr0ng-one")}, "login"),
            ({"password_encrypted": Fernet(Fernet.generate_key()).encrypt(b"s3cret").decode()}, "password"),
            ({"sent_folder": "Nowhere"}, "folder"),
            ({"imap_security": "tls"}, "connect"),
        ],
    )
    def test_changes_nothing_and_is_told_without_addresses_or_passwords(
        self, dovecot: Dovecot, user: str, changes: dict[str, str], step: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        email_id = doubtful(dovecot, user)
        Mailbox.update(changes).execute()

        assert seek(email_id).status == Status.UNKNOWN

        [line] = [record.msg for record in caplog.records if "sent_folder_unreadable" in str(record.msg)]
        assert isinstance(line, dict)
        assert (line["mailbox_id"], line["step"]) == (make.row(email_id).mailbox_id, step)
        assert not [word for word in ("@", user, "wr0ng-one", dovecot.password) if word in caplog.text]

    def test_is_not_repeated_at_once(self, dovecot: Dovecot, user: str) -> None:
        email_id = doubtful(dovecot, user)
        Mailbox.update(sent_folder="Nowhere").execute()
        seek(email_id)

        assert evidence.due() == []


class TestASearchThatGivesWay:
    def test_to_another_of_the_same_process_is_due_as_before(self, dovecot: Dovecot, user: str) -> None:
        email_id = doubtful(dovecot, user)
        dovecot.file(user, handed_over(email_id))

        with pipeline._ONE_LOOK:
            assert seek(email_id).status == Status.UNKNOWN

        assert evidence.due() == [make.row(email_id).mailbox_id]
        assert seek(email_id).status == Status.SENT

    def test_to_another_into_the_same_mailbox_is_due_as_before(self, dovecot: Dovecot, user: str) -> None:
        email_id = doubtful(dovecot, user)
        dovecot.file(user, handed_over(email_id))

        def beside() -> None:
            seek(email_id)
            database.close()

        with evidence.try_lock(make.row(email_id).mailbox_id):
            thread = threading.Thread(target=beside)
            thread.start()
            thread.join()

        assert make.row(email_id).status == Status.UNKNOWN
        assert seek(email_id).status == Status.SENT


def test_the_tick_asks_once_for_each_mailbox_that_has_mails_to_be_looked_for(dovecot: Dovecot, user: str) -> None:
    first, second = doubtful(dovecot, user), doubtful(dovecot, user)
    make.age(doubtful(dovecot, user), -timedelta(minutes=20))

    reconcile.reconcile()

    queue = get_broker().queues["evidence"]
    asked = [Message.decode(queue.get_nowait()).args[0] for _ in range(queue.qsize())]
    assert asked == [make.row(first).mailbox_id, make.row(second).mailbox_id]
