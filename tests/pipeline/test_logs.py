"""The log of a real run: each line in one form, one line a move, and nothing in it that is told in confidence."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil

from models.states import Move, Result
from models.store import vault
from models.store.tables import Attempt, CampaignEmailQueue, EmailHistory, Mailbox
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.smtp_server import SmtpServer
from tests.waiting import until

Q, H = CampaignEmailQueue, EmailHistory
USER, PASSWORD, WRONG = "ola@sender.example", "kXq7-mailbox-w0rd", "kXq7-wrong-w0rd"
LEADS = ["anna@leads.example", "550@leads.example", "dot-451x1@leads.example", "drop-after-dot@leads.example"]
# Of many mails at once there is one line a campaign.
AT_ONCE = (Move.PLAN, Move.REPLAN)


def test_every_line_is_one_event_and_every_move_is_one_line(punktual: Punktual) -> None:
    punktual.environment |= {"PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": "0.1", "PUNKTUAL_LOG_LEVEL": "debug"}
    echo = "535 5.7.8 not {line} of ola@sender.example"
    with SmtpServer(credentials=(USER, PASSWORD), refusal=echo, mechanisms="PLAIN") as strict:
        right, wrong = (
            make.a_mailbox(smtp_port=strict.port, username=USER, password_encrypted=vault.encrypt(password))
            for password in (PASSWORD, WRONG)
        )
        make.a_campaign([right], leads=LEADS, delay=0.3)
        make.a_campaign([wrong], leads=["jan@leads.example"])
        worker = punktual.run("worker")
        for name in ("timekeeper", "periodiq"):
            punktual.run(name)
        punktual.listening()
        punktual.tick()
        until(lambda: Mailbox.get_by_id(wrong).faults, "the failing login")
        until(lambda: statuses() == ["failed", "pending", "sent", "sent", "unknown"], "each mail's result")
        until(lambda: told(punktual) == made(), "a line for each move")
        for below in psutil.Process(worker.pid).children():
            below.kill()
        until(lambda: "process_ended" in {line["event"] for line in logged(punktual)}, "the killed ones' successors")
        punktual.end()

    lines = list(logged(punktual))
    assert all(line["event"] and line["level"] and line["timestamp"] for line in lines)
    assert told(punktual) == made()
    assert sum(line["count"] for line in lines if line.get("move") == "plan") == len(LEADS) + 1
    assert "ops.run.keeper" in {line["logger"] for line in lines}
    text = punktual.log.read_text()
    for secret in ("@", "leads.example", "Dear", "Hello", PASSWORD, WRONG):
        assert secret not in text, secret


def test_a_line_of_a_move_says_what_was_done_why_and_how_long_it_took(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=["anna@leads.example", "550@leads.example"], delay=0.3)
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening()

    punktual.tick()
    until(lambda: statuses() == ["failed", "sent"], "each mail's result")
    until(lambda: {"accept", "reject"} <= {line.get("move") for line in logged(punktual)}, "their lines")

    accepted, rejected = (line_of(punktual, move) for move in ("accept", "reject"))
    assert (accepted["campaign_id"], accepted["mailbox_id"]) == (campaign_id, mailbox_id)
    assert (accepted["from_status"], accepted["to_status"], accepted["code"]) == ("sending", "sent", 250)
    assert accepted["seconds"].keys() == {"connect", "mail", "rcpt", "data", "body", "dot"}
    assert [rejected[name] for name in ("code", "enhanced", "phase", "scope")] == [550, "5.1.1", "rcpt", "lead"]
    assert Attempt.get(Attempt.outcome == Result.ACCEPTED).seconds == accepted["seconds"]


def statuses() -> list[str]:
    return sorted(row.status for row in Q.select(Q.status))


def logged(punktual: Punktual) -> Iterator[dict[str, Any]]:
    whole, _, _ = punktual.log.read_text().rpartition("\n")
    yield from map(json.loads, whole.splitlines())


def told(punktual: Punktual) -> Counter[tuple[int, str]]:
    lines = [line for line in logged(punktual) if line["event"] == "email_moved"]
    return Counter((line["email_id"], line["move"]) for line in lines)


def made() -> Counter[tuple[int, str]]:
    return Counter((row.email_id, row.move) for row in H.select().where(H.move.not_in(AT_ONCE)))


def line_of(punktual: Punktual, move: str) -> dict[str, Any]:
    [found] = [line for line in logged(punktual) if line.get("move") == move]
    return found
