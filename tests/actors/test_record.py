"""Recording what a server answered, whatever the database says to it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import Queue as _Queue
from typing import Any

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors import record
from actors.disk import journal
from actors.disk.identity import this_worker
from actors.readiness import work_off_journal
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope
from models.email import moves, stuck
from models.email.claims import Attempt, Claim, Worker
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue
from tests import factories as make
from tests.conftest import Override
from tests.read_only import read_only_server
from tests.smtp_server import SmtpServer

DEAD = Worker(this_worker().host, 999_999_999, 1.0)
Refuse = Callable[..., None]
Queue = _Queue[Any]

ERRORS = {
    "read_only_sql_transaction": "25006",
    "insufficient_privilege": "42501",
    "undefined_column": "42703",
    "unique_violation": "23505",
    "check_violation": "23514",
    "disk_full": "53100",
    "untranslatable_character": "22P05",
    "internal_error": "XX000",
    "deadlock_detected": "40P01",
}


@pytest.fixture
def refuse(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refuse]:
    """Have the database refuse rows of the history: refuse(code, condition on NEW)."""
    monkeypatch.setattr(record, "_KEEP_TRYING_SECONDS", 0)

    def start(code: str, condition: str) -> None:
        database.execute(
            f"""
            CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused by a test' USING ERRCODE = '{code}'; END $$;
            DROP TRIGGER IF EXISTS refuse ON email_history;
            CREATE TRIGGER refuse BEFORE INSERT ON email_history FOR EACH ROW WHEN ({condition})
            EXECUTE FUNCTION refuse()
            """
        )

    yield start
    accept_again()


def accept_again() -> None:
    database.execute("DROP TRIGGER IF EXISTS refuse ON email_history")


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


def deliver(smtp: SmtpServer, address: str) -> int:
    mailbox_id = make.a_mailbox(smtp_port=smtp.port)
    [email_id] = make.planned(make.a_campaign([mailbox_id], leads=[address]), mailbox_id, make.now())
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return email_id


class TestAnAnswerWhoseRecordRaises:
    @pytest.mark.parametrize("code", ERRORS.values(), ids=ERRORS)
    def test_goes_to_the_journal_and_is_recorded_once_the_cause_is_gone(
        self, refuse: Refuse, smtp: SmtpServer, code: str
    ) -> None:
        refuse(code, "NEW.move = 'accept'")

        email_id = deliver(smtp, "anna@leads.example")

        assert make.row(email_id).status == Status.SENDING
        assert journal.count() == 1
        accept_again()
        work_off_journal()
        assert make.row(email_id).status == Status.SENT
        assert journal.is_empty()
        assert len(smtp.accepted) == 1

    @pytest.mark.own_servers
    def test_is_kept_also_where_the_whole_server_becomes_read_only_before_it(
        self, refuse: Refuse, smtp: SmtpServer
    ) -> None:
        with smtp.holding("dot", "anna@leads.example") as held, ThreadPoolExecutor() as beside:
            delivery = beside.submit(deliver, smtp, "anna@leads.example")
            held.wait()
            with read_only_server():
                held.released.set()
                email_id = delivery.result()
                assert journal.count() == 1

        work_off_journal()
        assert make.row(email_id).status == Status.SENT

    def test_of_no_is_kept_as_well(self, refuse: Refuse, smtp: SmtpServer) -> None:
        refuse("42703", "NEW.move = 'reject'")

        email_id = deliver(smtp, "550@leads.example")

        assert make.row(email_id).status == Status.SENDING
        accept_again()
        work_off_journal()
        assert make.row(email_id).status == Status.FAILED


class TestAHandOverWhoseRecordRaises:
    @pytest.mark.parametrize("code", ERRORS.values(), ids=ERRORS)
    def test_no_dot_follows_and_the_mail_is_given_back(self, refuse: Refuse, smtp: SmtpServer, code: str) -> None:
        refuse(code, "NEW.move = 'hand_over'")

        email_id = deliver(smtp, "anna@leads.example")

        assert smtp.accepted == []
        assert make.row(email_id).status == Status.PENDING


class TestAClaimWhoseRecordRaises:
    def test_nobody_is_connected_to_and_it_is_hinted_again(self, refuse: Refuse, smtp: SmtpServer) -> None:
        refuse("25006", "NEW.move = 'claim'")

        email_id = deliver(smtp, "anna@leads.example")

        assert smtp.connections == 0
        assert make.row(email_id).status == Status.PENDING
        assert get_broker().queues["deliver.DQ"].qsize() == 1


def journaled(claim: Claim, outcome: Outcome) -> int:
    journal.append(Attempt(claim.held, claim.campaign_id, claim.mailbox_id, claim.attempts), outcome)
    return claim.held.email_id


class TestAnOutcomeThatTheDatabaseRefuses:
    def test_does_not_hold_up_those_behind_it_and_is_recorded_in_the_end(self, refuse: Refuse) -> None:
        first, second = (
            journaled(make.handed_over(make.an_email()), Accepted(Reply(250, None, "ok"))) for _ in range(2)
        )
        refuse("23505", f"NEW.email_id = {first}")

        for _ in range(2):
            work_off_journal()

        assert make.row(second).status == Status.SENT
        assert (journal.count(), journal.refused_emails()) == (0, [first])
        accept_again()
        work_off_journal()
        assert make.row(first).status == Status.SENT
        assert journal.is_empty()

    @pytest.mark.parametrize(
        "outcome",
        [
            Refused(Scope.LEAD, Phase.RCPT, Reply(550, "5.1.1", "no such user")),
            Deferred(Scope.LEAD, Phase.RCPT, Reply(451, None, "later")),
        ],
    )
    def test_is_not_claimed_again_although_its_worker_died_and_its_lease_is_over(
        self, refuse: Refuse, outcome: Outcome
    ) -> None:
        email_id = journaled(make.claimed(make.an_email(), DEAD), outcome)
        make.age(email_id, timedelta(hours=1))
        refuse("42703", "NEW.move IN ('reject', 'retry')")

        work_off_journal()
        ruled_on = stuck.settle_dead(DEAD.host, lambda worker: worker != DEAD, "tests") + stuck.settle_expired("tests")

        assert ruled_on == 0
        assert make.row(email_id).status == Status.SENDING

    def test_stays_while_the_database_is_away_again(self, refuse: Refuse) -> None:
        email_id = journaled(make.handed_over(make.an_email()), Accepted(Reply(250, None, "ok")))
        refuse("42703", "true")
        work_off_journal()
        refuse("57P01", "true")

        with pytest.raises(database.FAILURES):
            work_off_journal()

        assert journal.refused_emails() == [email_id]

    def test_that_cannot_be_written_down_anew_is_not_lost(
        self, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [journaled(make.handed_over(make.an_email()), Accepted(Reply(250, None, "ok"))) for _ in range(2)]
        refuse("42703", "true")
        work_off_journal()
        refuse("42703", f"NEW.email_id = {ids[0]}")
        path = journal.refused_path().with_suffix(".draft")
        path.mkdir()

        with pytest.raises(OSError, match=r"\.draft"):
            record.retry_refused()

        assert journal.refused_emails() == ids
        path.rmdir()


class TestWordsThatNoColumnTakes:
    @pytest.mark.parametrize("words", ["no\x00body", "lone \ud800 half", "\udc80\udcff", "Użytkownik 😀 nie istnieje"])
    def test_do_not_keep_the_outcome_from_being_recorded(self, db: None, words: str) -> None:
        for outcome, status in (
            (Refused(Scope.LEAD, Phase.RCPT, Reply(550, None, words)), Status.FAILED),
            (Deferred(Scope.MAILBOX, Phase.CONNECT, Reply(None, None, words)), Status.PENDING),
        ):
            claim = make.claimed(make.an_email())

            record.record(claim, outcome)

            assert make.row(claim.held.email_id).status == status
        assert journal.is_empty()


class TestTheHintOfARetry:
    """Marked as published in the move itself, so that the tick does not publish another."""

    ANSWER = Deferred(Scope.LEAD, Phase.RCPT, Reply(451, None, "later"))

    def put_off(self, settings: Override, first_seconds: int) -> CampaignEmailQueue:
        settings(SENDING_RETRY_FIRST_SECONDS=first_seconds)
        claim = make.claimed(make.an_email())
        record.record(claim, self.ANSWER)
        return make.row(claim.held.email_id)

    def test_that_is_soon_is_published_and_marked(self, db: None, settings: Override, no_hints: Queue) -> None:
        row = self.put_off(settings, first_seconds=60)

        assert (row.status, row.hinted_for) == (Status.PENDING, row.scheduled_at)
        assert no_hints.qsize() == 1

    def test_that_is_later_is_left_to_the_tick(self, db: None, settings: Override, no_hints: Queue) -> None:
        row = self.put_off(settings, first_seconds=7200)

        assert (row.status, row.hinted_for) == (Status.PENDING, None)
        assert no_hints.qsize() == 0

    def test_is_not_marked_if_the_broker_is_away(self, db: None, settings: Override, no_hints: Queue) -> None:
        queues = get_broker().queues
        without = {name: queues.pop(name) for name in list(queues) if name.startswith("deliver")}
        try:
            row = self.put_off(settings, first_seconds=60)
        finally:
            queues.update(without)

        assert (row.status, row.hinted_for) == (Status.PENDING, None)

    def test_is_not_published_for_a_claim_that_is_over(self, db: None, settings: Override, no_hints: Queue) -> None:
        settings(SENDING_RETRY_FIRST_SECONDS=60)
        claim = make.claimed(make.an_email())
        moves.release(claim.held, "a test")

        record.record(claim, self.ANSWER)

        assert no_hints.qsize() == 0
        assert make.row(claim.held.email_id).attempts == 0


@pytest.fixture
def no_hints() -> Iterator[Queue]:
    get_broker().flush_all()
    yield get_broker().queues["deliver.DQ"]
    get_broker().flush_all()
