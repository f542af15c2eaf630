"""`python -m admin doctor` and `arm`, as a person types them."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from actors.disk import handover_log, suppressed
from models.email import recovery
from models.inbox import looks
from models.owner import arming
from models.states import Status
from models.store import database, installation
from models.store.database import clock
from models.store.tables import CampaignEmailQueue, EmailContent, EmailHistory, Suppression
from tests import factories as make
from tests.admin.test_commands import done
from tests.forking import admin

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def journal(home: Path) -> Path:
    path = home / "journal" / "outcomes.jsonl"
    path.parent.mkdir(exist_ok=True)
    return path


def forgotten_mail() -> int:
    """A mail that this machine handed over, in a database from before that."""
    claim = make.handed_over(make.an_email())
    email_id = claim.held.email_id
    handover_log.note(recovery.of(claim, clock()), claim.history_position)
    EmailContent.delete().execute()
    EmailHistory.delete().where(EmailHistory.move != "plan").execute()
    changes = dict.fromkeys(("claim_token", "claimed_at", "worker_host", "worker_pid", "handed_over_at"))
    Q.update(status="pending", **changes).where(Q.id == email_id).execute()
    return email_id


class TestTheDoctor:
    def test_says_a_line_for_each_rule_that_holds(self) -> None:
        make.in_status(Status.SENT)

        lines = done("doctor").splitlines()

        assert len(lines) > 15
        assert all(line.startswith("ok    ") for line in lines)

    def test_fails_with_the_rule_and_what_breaks_it(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        EmailContent.delete().execute()

        result = admin("doctor")

        assert result.returncode == 1
        assert f"FAIL  the content of each sent e-mail is stored: {email_id}" in result.stdout.splitlines()
        assert not result.stderr

    def test_tells_programs_the_same(self) -> None:
        findings = json.loads(done("doctor", "--json"))

        assert {it["broken_by"] for it in findings} == {None}

    def test_finds_a_broker_that_does_not_answer_without_printing_its_password(self) -> None:
        result = admin("doctor", PUNKTUAL_BROKER_URL="amqp://ola:s3cret@127.0.0.1:1/")

        assert result.returncode == 1
        assert "FAIL  the broker holds a message for each hinted e-mail: RabbitMQ does not answer" in result.stdout
        assert "s3cret" not in result.stdout + result.stderr

    def test_finds_a_key_that_does_not_open_the_stored_passwords(self) -> None:
        make.a_mailbox(password_encrypted="gAAAA-of-another-key")

        assert "cannot be decrypted with this PUNKTUAL_SECRET_KEY" in admin("doctor").stdout

    def test_finds_answers_that_wait_in_the_journal_or_a_journal_that_cannot_be_read(self, home: Path) -> None:
        journal(home).write_text("half a li")

        assert "the last line is cut off" in admin("doctor").stdout

    def test_finds_a_schema_that_is_not_up_to_date(self) -> None:
        newest = "(SELECT max(name) FROM schema_migration)"
        [row] = database.fetch(f"DELETE FROM schema_migration WHERE name = {newest} RETURNING name, applied")

        result = admin("doctor")

        database.execute("INSERT INTO schema_migration (name, applied) VALUES (%s, %s)", row)
        assert result.returncode == 1
        assert result.stdout == f"FAIL  every migration is applied: {row[0]}\n"


class TestArming:
    def test_there_is_nothing_to_arm_where_nothing_was_forgotten(self) -> None:
        make.in_status(Status.SENT)

        assert done("arm").startswith("armed: the database has every hand-over")

    def test_suppresses_again_whom_a_restored_backup_does_not_know_as_suppressed(self) -> None:
        make.an_email(leads=["anna@leads.example"])
        done("suppression", "add", "anna@leads.example", "--reason", "she asked us to")
        Suppression.update(created_at=Suppression.created_at - timedelta(seconds=1)).execute()
        suppressed.note()
        database.execute("DELETE FROM suppression")
        assert (
            "FAIL  the database has the suppressions that this machine has seen: it lacks 1" in admin("doctor").stdout
        )

        assert done("arm").splitlines()[0] == "suppressed again, as before the backup was restored: 1"

        assert [row.address for row in Suppression.select()] == ["anna@leads.example"]
        assert "FAIL" not in admin("doctor").stdout

    def test_shows_what_was_forgotten_and_asks_what_becomes_of_it(self) -> None:
        email_id = forgotten_mail()

        result = admin("arm")

        assert result.returncode == 1
        assert make.row(email_id).message_id in result.stdout
        assert "decide the new status of these 1 e-mails" in result.stderr
        assert make.row(email_id).status == Status.PENDING

    @pytest.mark.parametrize(
        ("verdict", "status", "moves"),
        [
            ("unknown", Status.UNKNOWN, ["plan", "recover"]),
            ("sent", Status.SENT, ["plan", "recover", "settle"]),
            ("pending", Status.PENDING, ["plan"]),
        ],
    )
    def test_does_what_was_chosen_and_the_doctor_is_content(
        self, verdict: str, status: Status, moves: list[str]
    ) -> None:
        email_id = forgotten_mail()
        assert "FAIL  the database has every hand-over in this machine's log" in admin("doctor").stdout

        assert done("arm", "--forgotten-as", verdict, "--reason", "last night's backup").endswith("armed\n")

        assert make.row(email_id).status == status
        history = list(EmailHistory.select().where(EmailHistory.email == email_id).order_by(EmailHistory.id))
        assert [row.move for row in history] == moves
        assert {row.reason for row in history[1:]} <= {"last night's backup"}
        assert "ok    the database has every hand-over in this machine's log" in done("doctor")

    def test_stays_disarmed_until_every_machine_that_sends_was_asked(self) -> None:
        sent_elsewhere, _ = make.in_status(Status.SENT)
        forgotten_mail()

        told = done("arm", "--forgotten-as", "sent")

        assert make.row(sent_elsewhere).worker_host == "testhost"
        assert "still disarmed: run this on testhost too" in told
        with pytest.raises(handover_log.Disarmed):
            handover_log.check()
        assert done("arm", "--anyway").endswith("armed\n")
        handover_log.check()

    def test_waits_until_the_inboxes_were_read_again(self) -> None:
        mailbox_id = make.a_listening_mailbox(address="ola@sender.example")
        arming.disarm("a backup was restored", "tests")

        told = done("arm", "--forgotten-as", "sent")
        assert "is being read again from ola@sender.example" in told
        assert installation.disarmed_reason() is not None
        look = looks.claim_due()
        assert look is not None
        assert look.mailbox_id == mailbox_id
        looks.end(look, complete=True)

        assert done("arm", "--forgotten-as", "sent").endswith("armed\n")
        assert installation.disarmed_reason() is None

    def test_does_not_wait_for_an_inbox_where_that_is_said(self) -> None:
        make.a_listening_mailbox(address="ola@sender.example")
        arming.disarm("a backup was restored", "tests")

        assert done("arm", "--without-inboxes").endswith("armed\n")

    def test_status_says_that_nothing_is_being_sent(self) -> None:
        forgotten_mail()
        with pytest.raises(handover_log.Disarmed):
            handover_log.check()

        assert done("status").startswith("Nothing is being sent: the database is behind")
