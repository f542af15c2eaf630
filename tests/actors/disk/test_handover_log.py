"""A database that went back in time: what this machine remembers of it, and what it then does not do."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors import plan, readiness, record
from actors.disk import handover_log, journal
from mail.outcome import Accepted, Deferred, Phase, Refused, Reply, Scope, Unanswered
from models.email import limits, moves, recovery
from models.email.claims import Attempt, Claim, Held
from models.owner import arming, campaigns, reopening
from models.owner.arming import Verdict
from models.states import Status
from models.store import database, embedded, installation, tables
from models.store.tables import CampaignEmailQueue, CampaignLead, EmailContent, EmailHistory
from models.views import history
from scheduling.window import warsaw_day
from tests import factories as make
from tests.conftest import Override
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
READ_BY_THE_VERSION_BEFORE = {
    *("email_id", "token", "at", "message_id", "campaign_id", "campaign_lead_id", "mailbox_id", "recipient"),
}


def deliver(email_id: int) -> None:
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))


def sent_mails(smtp: SmtpServer, count: int) -> list[int]:
    """Mails of one campaign, planned, and the first of them sent."""
    mailbox_id = make.a_mailbox(smtp_port=smtp.port)
    campaign_id = make.a_campaign([mailbox_id], leads=count)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * count)
    deliver(ids[0])
    make.rested(campaign_id)
    assert make.row(ids[0]).status == Status.SENT
    return ids


def go_back_before_its_claim(email_id: int) -> None:
    """What a backup from before the claim knows of this mail."""
    EmailContent.delete().where(EmailContent.email == email_id).execute()
    EmailHistory.delete().where(EmailHistory.email == email_id, EmailHistory.move != "plan").execute()
    changes = dict.fromkeys(("claim_token", "claimed_at", "worker_host", "worker_pid", "handed_over_at", "sent_at"))
    Q.update(status="pending", attempts=0, **changes).where(Q.id == email_id).execute()


def go_back_before_its_plan(email_id: int) -> None:
    go_back_before_its_claim(email_id)
    EmailHistory.delete().where(EmailHistory.email == email_id).execute()
    tables.Attempt.delete().where(tables.Attempt.email == email_id).execute()
    Q.delete().where(Q.id == email_id).execute()


LATER = Deferred(Scope.LEAD, Phase.DOT, Reply(451, "4.7.1", "greylisted"))


def handed_over_and_logged(email_id: int) -> Claim:
    make.rested(make.row(email_id).campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    claim = make.handed_over(email_id)
    handover_log.note(recovery.of(claim, make.now()), claim.history_position)
    return claim


def claim_one() -> None:
    make.claimed(make.an_email())


def plan_one() -> None:
    make.a_campaign([make.a_mailbox()])
    plan.plan_new()
    get_broker().flush_all()


def refuse(email_id: int) -> None:
    record.record(make.handed_over(email_id), Refused(Scope.LEAD, Phase.RCPT, Reply(550, "5.1.1", "no such user")))


def lose_sight_of(email_id: int) -> None:
    record.record(make.handed_over(email_id), Unanswered("timed out"))


def cancel(email_id: int) -> None:
    assert moves.cancel(email_id, "she asked us to", "tests")


def in_a_thread_of_its_own(email_id: int) -> None:
    deliver(email_id)
    database.close()


def in_the_way(home: Path) -> None:
    """A folder stands where the record was, as on a disk that fails."""
    [file] = (home / "journal").glob("handed-over-*.jsonl")
    file.unlink()
    file.mkdir()


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


class TestADatabaseThatForgotAHandOver:
    def test_gets_no_further_claim_and_the_mail_is_not_sent_twice(self, smtp: SmtpServer) -> None:
        first, second = sent_mails(smtp, 2)
        go_back_before_its_claim(first)

        deliver(first)
        deliver(second)

        assert len(smtp.accepted) == 1
        assert {make.row(first).status, make.row(second).status} == {Status.PENDING}
        assert "is behind" in str(installation.disarmed_reason())

    def test_is_disarmed_for_the_machines_that_have_seen_nothing_too(self, smtp: SmtpServer, home: Path) -> None:
        first, second = sent_mails(smtp, 2)
        go_back_before_its_claim(first)
        assert not readiness.may_claim()
        for file in (home / "journal").iterdir():
            file.unlink()

        deliver(second)

        assert len(smtp.accepted) == 1

    def test_that_forgot_only_what_it_showed_is_noticed_too(self) -> None:
        email_id = make.an_email()
        assert readiness.may_claim()
        EmailHistory.delete().where(EmailHistory.email == email_id).execute()

        assert not readiness.may_claim()

    def test_that_forgot_only_the_hand_over_is_noticed_by_the_next_claim(self, smtp: SmtpServer) -> None:
        first, second = sent_mails(smtp, 2)
        EmailHistory.delete().where(EmailHistory.email == first, EmailHistory.move == "hand_over").execute()

        deliver(second)

        assert len(smtp.accepted) == 1
        assert "is behind" in str(installation.disarmed_reason())

    def test_recovered_the_mail_is_unknown_under_its_token_and_counts_on_its_day(self, smtp: SmtpServer) -> None:
        first, second = sent_mails(smtp, 2)
        before = make.row(first)
        go_back_before_its_claim(first)

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == [first]

        row = make.row(first)
        assert (row.status, row.claim_token, row.message_id) == (
            Status.UNKNOWN,
            before.claim_token,
            before.message_id,
        )
        assert limits.mailboxes_used([row.mailbox_id], warsaw_day(row.handed_over_at)) == {row.mailbox_id: 1}
        assert [move.move for move in history.of_email(first)] == ["plan", "recover"]
        handover_log.accept_loss()
        arming.arm("tests")
        deliver(second)
        assert len(smtp.accepted) == 2

    def test_from_before_the_plan_gets_the_lead_back_into_the_queue_under_its_message_id(
        self, smtp: SmtpServer
    ) -> None:
        first, _ = sent_mails(smtp, 2)
        before = make.row(first)
        go_back_before_its_plan(first)

        [found] = recovery.recover(handover_log.forgotten(), "restored", "tests")

        row = make.row(found)
        assert (row.status, row.message_id) == (Status.UNKNOWN, before.message_id)
        assert row.campaign_lead_id == before.campaign_lead_id

    def test_planned_anew_meanwhile_it_is_found_by_its_lead(self, smtp: SmtpServer) -> None:
        first, _ = sent_mails(smtp, 2)
        before = make.row(first)
        go_back_before_its_plan(first)
        [anew] = make.planned(before.campaign_id, before.mailbox_id, make.now())

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == [anew]
        assert make.row(anew).message_id == before.message_id

    def test_whose_ids_were_given_to_another_lead_takes_no_wrong_mail(self, smtp: SmtpServer) -> None:
        first, _ = sent_mails(smtp, 2)
        go_back_before_its_plan(first)
        CampaignLead.update(address="Somebody.Else@leads.example").execute()
        database.execute("UPDATE lead SET address = id || '@leads.example'")

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == []

    def test_whose_lead_was_spelt_otherwise_in_the_backup_is_recovered(self, smtp: SmtpServer) -> None:
        first, _ = sent_mails(smtp, 2)
        go_back_before_its_plan(first)
        database.execute("UPDATE campaign_lead SET address = upper(address)")

        assert len(recovery.recover(handover_log.forgotten(), "restored", "tests")) == 1

    def test_that_the_version_before_logged_is_recovered(self, smtp: SmtpServer) -> None:
        """With the address as the owner wrote it."""
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        [email_id] = make.planned(make.a_campaign([mailbox_id], leads=["Anna@leads.example"]), mailbox_id, make.now())
        claim = make.handed_over(email_id)
        noted = recovery.of(replace(claim, person=claim.recipient), make.now())
        go_back_before_its_claim(email_id)

        assert recovery.recover([noted], "restored", "tests") == [email_id]

    @pytest.mark.parametrize("end", [refuse, cancel, lose_sight_of])
    def test_that_had_ended_is_not_reopened_and_sent_twice(
        self, smtp: SmtpServer, end: Callable[[int], object]
    ) -> None:
        """So it was in the backup, since which it was reopened or settled, and accepted."""
        first, _ = sent_mails(smtp, 2)
        accepted = make.row(first).claim_token
        go_back_before_its_claim(first)
        end(first)

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == [first]

        assert (make.row(first).status, make.row(first).claim_token) == (Status.UNKNOWN, accepted)
        with pytest.raises(reopening.ReopeningRefused):
            reopening.one(first, "a mistake", "tests")

    def test_that_it_knows_as_sent_stays_so(self, smtp: SmtpServer) -> None:
        first, _ = sent_mails(smtp, 2)
        EmailHistory.delete().where(EmailHistory.email == first, EmailHistory.move == "hand_over").execute()

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == []

        assert make.row(first).status == Status.SENT


class TestTwoForgottenHandOversOfOneEmail:
    @pytest.fixture
    def claims(self, smtp: SmtpServer) -> list[Claim]:
        """Handed over twice since the backup; the first was answered with a refusal for now."""
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
        first = handed_over_and_logged(email_id)
        record.record(first, LATER)
        second = handed_over_and_logged(email_id)
        go_back_before_its_claim(email_id)
        return [first, second]

    def test_are_one_email_for_who_says_that_it_was_sent(self, claims: list[Claim]) -> None:
        lost = handover_log.forgotten()

        assert arming.rule_on(lost, Verdict.SENT, "restored", "tests") == 1

        assert (len(lost), make.row(claims[0].held.email_id).status) == (2, Status.SENT)

    def test_in_two_machines_logs_leave_the_last_one_whichever_is_asked_first(
        self, smtp: SmtpServer, claims: list[Claim]
    ) -> None:
        """The earlier one's answer is still in a journal, and would put an e-mail back that was accepted."""
        first, second = claims
        email_id = first.held.email_id
        for lost in reversed(handover_log.forgotten()):
            arming.rule_on([lost], Verdict.UNKNOWN, "restored", "tests")
        handover_log.accept_loss()
        journal.append(Attempt(first.held, first.campaign_id, first.mailbox_id, 0), LATER)

        assert readiness.may_claim()

        assert (make.row(email_id).status, make.row(email_id).claim_token) == (Status.UNKNOWN, second.held.token)

    def test_count_both_where_the_backup_has_one(self) -> None:
        email_id = make.an_email()
        record.record(make.handed_over(email_id), Unanswered("timed out"))
        backup: dict[str, Any] = next(iter(Q.select().where(Q.id == email_id).dicts()))
        moves.settle_to_send_again(email_id, make.now(), "again", "tests")
        make.rested(backup["campaign"])
        lost = handed_over_and_logged(email_id)
        EmailHistory.delete().where(EmailHistory.claim_token == lost.held.token).execute()
        EmailHistory.delete().where(EmailHistory.move == "settle").execute()
        Q.update(**backup).where(Q.id == email_id).execute()

        recovery.recover(handover_log.forgotten(), "restored", "tests")

        assert limits.mailboxes_used([lost.mailbox_id], warsaw_day(make.now())) == {lost.mailbox_id: 2}


def test_a_completed_campaign_whose_email_was_handed_over_since_the_backup_is_active_again(smtp: SmtpServer) -> None:
    first, _ = sent_mails(smtp, 2)
    campaign_id = make.row(first).campaign_id
    go_back_before_its_claim(first)
    for email_id in Q.select(Q.id).where(Q.campaign == campaign_id):
        cancel(email_id.id)
    assert campaigns.complete_finished("tests") == [campaign_id]

    arming.rule_on(handover_log.forgotten(), Verdict.UNKNOWN, "restored", "tests")

    assert campaigns.get(campaign_id).status == "active"


class TestAnAnswerInTheJournal:
    """Read while the database was away, which was then put back to an earlier state."""

    def journaled(self, smtp: SmtpServer) -> tuple[int, int]:
        first, second = sent_mails(smtp, 2)
        row = make.row(first)
        assert row.claim_token is not None
        attempt = Attempt(Held(first, row.claim_token, "host:1"), row.campaign_id, row.mailbox_id, 0)
        journal.append(attempt, Deferred(Scope.LEAD, Phase.DOT, Reply(451, None, "later")))
        journal.append(attempt, Accepted(Reply(250, "2.0.0", "accepted")))
        return first, second

    def test_waits_for_a_person_and_then_ends_what_was_brought_back(self, smtp: SmtpServer) -> None:
        first, _ = sent_mails(smtp, 2)
        row = make.row(first)
        assert row.claim_token is not None
        attempt = Attempt(Held(first, row.claim_token, "host:1"), row.campaign_id, row.mailbox_id, 0)
        journal.append(attempt, Accepted(Reply(250, "2.0.0", "accepted")))
        go_back_before_its_claim(first)
        assert not readiness.may_claim()
        assert journal.count() == 1

        recovery.recover(handover_log.forgotten(), "restored", "tests")
        handover_log.accept_loss()
        arming.arm("tests")

        assert readiness.may_claim()
        assert make.row(first).status == Status.SENT
        assert journal.count() == 0

    def test_for_a_mail_that_is_not_there_any_more_holds_up_nobody(self, smtp: SmtpServer) -> None:
        first, second = self.journaled(smtp)
        go_back_before_its_plan(first)
        handover_log.accept_loss()

        deliver(second)

        assert len(smtp.accepted) == 2
        assert journal.count() == 0


class TestHandOversLoggedInAnotherOrderThanCommitted:
    def test_are_both_looked_for_in_a_new_session(self, smtp: SmtpServer) -> None:
        """A standby that lagged takes over: it has the first and not the second, which was logged before it."""
        mailbox_ids = [make.a_mailbox(smtp_port=smtp.port) for _ in range(2)]
        [first], [second] = (make.planned(make.a_campaign([it]), it, make.now()) for it in mailbox_ids)
        assert readiness.may_claim()  # takes its mark, before both
        claims = [make.handed_over(first), make.handed_over(second)]
        for claim in reversed(claims):
            handover_log.note(recovery.of(claim, make.now()), claim.history_position)
        go_back_before_its_claim(second)
        make.rested(make.row(second).campaign_id)
        database.close()

        deliver(second)

        assert smtp.accepted == []
        assert "is behind" in str(installation.disarmed_reason())


class TestADatabaseThatBecameAnother:
    def test_in_the_middle_of_a_session_is_noticed_by_the_next_claim_which_is_made_again(
        self, smtp: SmtpServer
    ) -> None:
        _, second = sent_mails(smtp, 2)
        database.execute("UPDATE installation SET id = gen_random_uuid()")

        deliver(second)

        assert make.row(second).status == Status.PENDING
        assert get_broker().queues["deliver"].qsize() == 1
        assert installation.disarmed_reason() is None
        deliver(second)
        assert make.row(second).status == Status.SENT


class TestADatabaseThatForgotNothing:
    def test_is_not_disarmed_by_a_restart_a_retry_or_a_cancelled_campaign(self, smtp: SmtpServer) -> None:
        [first, second] = sent_mails(smtp, 2)
        database.close()
        campaigns.cancel(make.row(second).campaign_id, "tests")

        assert readiness.may_claim()
        assert handover_log.forgotten() == []
        assert make.row(first).status == Status.SENT

    @pytest.mark.own_servers
    @pytest.mark.parametrize("commit", [claim_one, plan_one], ids=["a claim", "a plan"])
    def test_is_not_disarmed_by_a_crash_that_loses_what_does_not_wait_for_its_disk(
        self, commit: Callable[[], object], home: Path
    ) -> None:
        make.an_email()
        database.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        database.execute("SELECT pg_reload_conf()")
        try:
            commit()
            handover_log.check()  # takes its mark

            embedded.stop(home / "postgres", "immediate")
            embedded.start(home / "postgres")
            database.close()
        finally:
            database.execute("ALTER SYSTEM RESET wal_writer_delay")
            database.execute("SELECT pg_reload_conf()")

        assert handover_log.agrees()

    def test_of_another_installation_has_witnesses_of_its_own(self, smtp: SmtpServer) -> None:
        sent_mails(smtp, 2)
        database.execute("UPDATE installation SET id = gen_random_uuid()")
        EmailHistory.delete().execute()

        assert readiness.may_claim()


class TestTheRecordOnTheDisk:
    def test_is_kept_by_many_threads_at_once(self, home: Path) -> None:
        make.an_email()
        assert readiness.may_claim()
        [mark] = (home / "journal").glob("seen-*")
        refused: list[str] = []

        def ask() -> None:
            for _ in range(20):
                os.utime(mark, (0, 0))
                if not readiness.may_claim():
                    refused.append("claiming stopped")
            database.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert refused == []

    def test_of_a_leads_first_email_is_as_the_version_before_reads_it(self, smtp: SmtpServer, home: Path) -> None:
        sent_mails(smtp, 1)

        [file] = (home / "journal").glob("handed-over-*.jsonl")
        assert set(json.loads(file.read_text())) == READ_BY_THE_VERSION_BEFORE

    def test_keeps_with_a_hand_over_what_the_database_showed_in_its_claim(self, smtp: SmtpServer, home: Path) -> None:
        _, second = sent_mails(smtp, 2)
        [mark] = (home / "journal").glob("seen-*")
        os.utime(mark, (0, 0))

        deliver(second)

        [claimed] = [line for line in history.of_email(second) if line.move == "claim"]
        assert mark.read_text().splitlines()[:2] == [str(claimed.id), str(second)]
        EmailHistory.delete().where(EmailHistory.id == claimed.id).execute()
        assert not readiness.may_claim()

    def test_holds_no_address(self, smtp: SmtpServer, home: Path) -> None:
        sent_mails(smtp, 2)

        written = "".join(file.read_text() for file in (home / "journal").iterdir())
        assert "leads" not in written
        assert "@campaign" not in written

    def test_that_was_replaced_still_tells_the_last_hand_over(
        self, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, second = sent_mails(smtp, 2)
        with monkeypatch.context() as full:
            full.setattr(handover_log, "_LONGEST_BYTES", 1)
            deliver(second)
        make.rested(make.row(second).campaign_id)
        go_back_before_its_claim(second)

        deliver(second)

        assert len(smtp.accepted) == 2
        assert "is behind" in str(installation.disarmed_reason())

    @pytest.mark.parametrize("content", [b"", b"\0" * 40, b"x", b"1\n"], ids=["empty", "zeros", "a word", "half"])
    def test_of_what_was_seen_does_no_harm_damaged(self, content: bytes, home: Path) -> None:
        assert readiness.may_claim()
        make.an_email()
        assert readiness.may_claim()
        [mark] = (home / "journal").glob("seen-*")
        mark.write_bytes(content)

        assert readiness.may_claim()

    def test_cut_off_it_stops_claiming(self, smtp: SmtpServer, home: Path) -> None:
        _, second = sent_mails(smtp, 2)
        [file] = (home / "journal").glob("handed-over-*.jsonl")
        file.write_bytes(file.read_bytes()[:-5])

        deliver(second)

        assert len(smtp.accepted) == 1

    def test_that_cannot_be_read_or_written_stops_claiming(self, smtp: SmtpServer, home: Path) -> None:
        _, second = sent_mails(smtp, 2)
        in_the_way(home)

        deliver(second)

        assert smtp.connections == 1

    def test_that_cannot_be_written_in_the_middle_of_a_conversation_no_dot_is_written(
        self, smtp: SmtpServer, home: Path
    ) -> None:
        _, second = sent_mails(smtp, 2)
        address = CampaignLead.get_by_id(make.row(second).campaign_lead_id).address
        with smtp.holding("data", address) as held:
            worker = threading.Thread(target=in_a_thread_of_its_own, args=(second,))
            worker.start()
            held.wait()
            in_the_way(home)
        worker.join()

        assert len(smtp.accepted) == 1
        assert make.row(second).status == Status.PENDING
        assert "could not be written to this machine's disk" in str(history.of_email(second)[-1].reason)

    def test_is_rotated_and_what_was_before_is_still_asked(self, smtp: SmtpServer, home: Path) -> None:
        first, second = sent_mails(smtp, 2)
        [file] = (home / "journal").glob("handed-over-*.jsonl")
        file.replace(file.with_suffix(".before.jsonl"))
        deliver(second)
        go_back_before_its_claim(first)
        go_back_before_its_claim(second)

        assert [it.email_id for it in handover_log.forgotten()] == [first, second]
        handover_log.accept_loss()
        assert handover_log.forgotten() == []
        assert handover_log.agrees()


def test_without_room_for_the_journal_nothing_is_claimed(smtp: SmtpServer, settings: Override) -> None:
    settings(SENDING_JOURNAL_ROOM_MEGABYTES=1e6)
    mailbox_id = make.a_mailbox(smtp_port=smtp.port)
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())

    deliver(email_id)

    assert smtp.connections == 0
    assert make.row(email_id).status == Status.PENDING
