"""Unknown e-mails and their copies in Sent folders, with workers in processes of their own and real IMAP servers."""

import select
import socket
from datetime import timedelta
from pathlib import Path

from models.email import moves
from models.health import heartbeats
from models.owner import mailboxes
from models.owner.mailboxes import SentMail
from models.states import Move, Status
from models.views import history
from tests import factories as make
from tests.dovecot import Dovecot
from tests.pipeline.conftest import Punktual
from tests.waiting import until

HELD = "held@leads.example"


def test_killed_after_the_dot_it_ends_as_sent_once_its_owner_says_where_the_copy_is(
    punktual: Punktual, dovecot: Dovecot, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(dovecot.certificate.public)
    mailbox_id = punktual.mailbox(address="ola@sender.example")
    [email_id] = make.planned(make.a_campaign([mailbox_id], leads=[HELD]), mailbox_id, make.now())
    worker = punktual.run("worker")
    punktual.listening()
    with punktual.smtp.holding("dot", HELD) as held:
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
        held.wait()
        punktual.kill(worker)
    punktual.smtp.arrived(1)
    dovecot.file("killed", punktual.smtp.accepted[0].content)
    punktual.run("worker", SSL_CERT_FILE=str(trusted))
    punktual.run("timekeeper")
    until(lambda: make.row(email_id).status == Status.UNKNOWN, "the doubt")
    make.age(email_id, timedelta(minutes=2))
    punktual.listening("evidence", "tick")

    where = ("--imap-host", dovecot.host, "--imap-port", str(dovecot.tls_port))
    change = ("mailbox", "edit", "ola@sender.example", "--username", "killed", *where)
    punktual.admin(*change, PUNKTUAL_MAILBOX_PASSWORD=dovecot.password)

    until(lambda: make.row(email_id).status == Status.SENT, "the evidence")
    last = history.of_email(email_id)[-1]
    assert (last.move, last.by, (last.detail or {})["header"]) == (Move.ACCEPT, "evidence", "Message-ID")
    assert len(punktual.smtp.accepted) == 1


def test_imap_servers_that_say_nothing_hold_up_neither_the_tick_nor_the_mail(punktual: Punktual) -> None:
    patient = {"PUNKTUAL_IMAP_CONVERSATION_TIMEOUT_SECONDS": "600", "PUNKTUAL_IMAP_COMMAND_TIMEOUT_SECONDS": "600"}
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        where = SentMail("127.0.0.1", silent.getsockname()[1], "none", None)
        for _ in range(4):  # as many as the worker has threads
            mailbox_id = punktual.mailbox()
            in_doubt(mailbox_id)
            mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(username="ola"))
            mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(sent_mail=where))
        punktual.run("worker", **patient)
        punktual.run("timekeeper")
        punktual.listening("deliver", "deliver.DQ", "evidence", "tick")
        punktual.tick()
        until(lambda: select.select([silent], [], [], 0)[0], "a look to begin")
        until(lambda: punktual.messages()["evidence"] == 1, "the other looks to give way")
        mailbox_id, before = punktual.mailbox(), make.now()
        make.planned(make.a_campaign([mailbox_id]), mailbox_id, before)

        punktual.tick()

        punktual.smtp.arrived(1)
        until(lambda: (heartbeats.last("tick") or before) > before, "the tick to come to its end")


def in_doubt(mailbox_id: int) -> None:
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    assert moves.doubt(make.handed_over(email_id).held, "silence")
    make.age(email_id, timedelta(minutes=2))
