"""One row for each conversation with a mail server, whoever records its outcome, and however often."""

from typing import Any

import pytest

from actors import record
from actors.deliver import deliver
from actors.disk import journal
from actors.readiness import work_off_journal
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, Withdrawn, no_reply
from models.email import attempts, moves, stuck
from models.email.claims import Attempt as Held
from models.email.claims import Claim
from models.owner import mailboxes
from models.states import Result, Status
from models.store import database, migrate, tables
from models.store.tables import Attempt, EmailHistory
from models.views import history
from reasons import Code, Reason
from tests import factories as make
from tests.scraping import free_port

SECONDS = {Phase.CONNECT: 0.1234, Phase.DOT: 2.0}
NO_USER, TOO_BIG = Reply(550, "5.1.1", "no such user"), Reply(552, "5.3.4", "message too big")
# Each way in which a conversation can end, and what the columns say of it.
ENDS: dict[str, tuple[Outcome, tuple[Any, ...]]] = {
    "accepted": (
        Accepted(Reply(250, "2.0.0", "ok"), seconds=SECONDS),
        ("accepted", "dot", None, 250, "2.0.0", "ok"),
    ),
    "refused": (Refused(Scope.LEAD, Phase.RCPT, NO_USER), ("refused", "rcpt", "lead", 550, "5.1.1", "no such user")),
    "not composed": (
        Refused(Scope.CONTENT, Phase.COMPOSE, Reply(None, None, "the text is empty")),
        ("refused", "compose", "content", None, None, "the text is empty"),
    ),
    "deferred": (
        Deferred(Scope.UNCLEAR, Phase.DOT, Reply(451, None, "later"), seconds=SECONDS),
        ("deferred", "dot", "unclear", 451, None, "later"),
    ),
    "fault of its mailbox": (
        Deferred(Scope.MAILBOX, Phase.AUTH, Reply(535, "5.7.8", "bad login")),
        ("deferred", "auth", "mailbox", 535, "5.7.8", "bad login"),
    ),
    "no connection": (
        Deferred(Scope.MAILBOX, Phase.CONNECT, Reply(None, None, "timed out")),
        ("deferred", "connect", "mailbox", None, None, "timed out"),
    ),
    "letter too large": (
        Deferred(Scope.CAMPAIGN, Phase.MAIL, TOO_BIG),
        ("deferred", "mail", "campaign", 552, "5.3.4", "message too big"),
    ),
    "own side": (
        Deferred(
            Scope.WORKER, Phase.DOT, Reply(None, None, "too much time passed between the hand-over and the final dot")
        ),
        ("deferred", "dot", "worker", None, None, "too much time passed between the hand-over and the final dot"),
    ),
    "unanswered": (Unanswered("timed out", seconds=SECONDS), ("unanswered", "dot", None, None, None, None)),
    "withdrawn": (Withdrawn("the campaign is paused", seconds=SECONDS), ("withdrawn", "body", None, None, None, None)),
}
JOURNALED = {name: end for name, end in ENDS.items() if name != "unanswered"}
COLUMNS = "outcome, phase, scope, code, enhanced, reply"


def rows(columns: str = COLUMNS) -> list[tuple[Any, ...]]:
    return database.fetch(f"SELECT {columns} FROM attempt ORDER BY ended_at, id")


@pytest.mark.usefixtures("db")
class TestAnOutcome:
    @pytest.mark.parametrize(("outcome", "told"), ENDS.values(), ids=ENDS)
    def test_is_a_row_of_columns(self, outcome: Outcome, told: tuple[Any, ...]) -> None:
        claim = make.handed_over(make.an_email())
        claimed_at = make.row(claim.held.email_id).claimed_at

        record.record(claim, outcome)

        assert rows() == [told]
        whole = {"connect": 0.123, "dot": 2.0} if outcome.seconds else {}
        about = (claim.held.email_id, claim.held.token, claim.mailbox_id, claimed_at, whole)
        assert rows("email_id, claim_token::text, mailbox_id, started_at, seconds") == [
            (about[0], str(about[1]), *about[2:])
        ]
        assert Attempt.get().ended_at >= claimed_at

    @pytest.mark.parametrize("outcome", [outcome for outcome, _ in ENDS.values()], ids=ENDS)
    def test_is_kept_once(self, outcome: Outcome) -> None:
        claim = make.handed_over(make.an_email())

        record.record(claim, outcome)

        [past] = [it for it in history.of_email(claim.held.email_id) if it.conversation]
        assert past.kept is None

    @pytest.mark.parametrize(("outcome", "told"), ENDS.values(), ids=ENDS)
    def test_recorded_twice_is_one_row(self, outcome: Outcome, told: tuple[Any, ...]) -> None:
        claim = make.handed_over(make.an_email())
        record.record(claim, outcome)
        first = rows("*")

        record.record(claim, outcome)

        assert rows("*") == first

    @pytest.mark.parametrize(("outcome", "told"), JOURNALED.values(), ids=JOURNALED)
    def test_that_comes_from_the_journal_is_the_same_row(self, outcome: Outcome, told: tuple[Any, ...]) -> None:
        journaled(make.handed_over(make.an_email()), outcome)

        work_off_journal()

        assert rows() == [told]

    @pytest.mark.parametrize(("outcome", "told"), JOURNALED.values(), ids=JOURNALED)
    def test_that_comes_after_a_doubt_replaces_it(self, outcome: Outcome, told: tuple[Any, ...]) -> None:
        claim = make.handed_over(make.an_email())
        record.record(claim, Unanswered("timed out", seconds=SECONDS))
        journaled(claim, outcome)

        work_off_journal()

        assert rows() == [told]
        assert Attempt.get().seconds == {"connect": 0.123, "dot": 2.0}

    @pytest.mark.parametrize("result", [Result.DEFERRED, Result.REFUSED, Result.ACCEPTED])
    def test_that_is_a_row_already_stays_as_it_is(self, result: Result) -> None:
        claim = make.handed_over(make.an_email())
        held, first = claim.held, make.no(554, "first")
        Attempt.insert(
            email=held.email_id,
            claim_token=held.token,
            mailbox=claim.mailbox_id,
            outcome=result,
            phase="dot",
            scope=first.scope,
            reply=first.reply,
            started_at=claim.started_at,
        ).execute()

        moves.accept(held, make.YES)

        assert rows("outcome, reply") == [(result, "first")]

    def test_of_a_claim_that_was_taken_back_is_none(self) -> None:
        email_id = make.an_email()
        claim = make.claimed(email_id)
        moves.release_unhanded(claim.held, "its worker died")

        record.record(claim, Refused(Scope.LEAD, Phase.RCPT, NO_USER))

        assert rows() == []

    def test_is_rolled_back_with_its_move(self) -> None:
        claim = make.handed_over(make.an_email())

        with database.database.atomic() as transaction:
            moves.accept(claim.held, make.YES)
            transaction.rollback()

        assert rows() == []
        assert make.row(claim.held.email_id).status == Status.SENDING

    def test_of_each_claim_of_a_mail_is_a_row(self) -> None:
        email_id = make.an_email()
        for outcome, _ in (ENDS["deferred"], ENDS["fault of its mailbox"], ENDS["accepted"]):
            database.execute("UPDATE mailbox SET closed_until = NULL")
            database.execute("UPDATE campaign_email_queue SET scheduled_at = clock_timestamp()")
            make.rested(make.row(email_id).campaign_id)
            record.record(make.handed_over(email_id), outcome)

        assert [outcome for outcome, *_ in rows()] == ["deferred", "deferred", "accepted"]

    def test_that_nobody_reported_is_unanswered_once_it_was_handed_over_and_none_before(self) -> None:
        handed_over, claimed = make.handed_over(make.an_email()), make.claimed(make.an_email())

        assert stuck.settle_dead(make.WORKER.host, lambda worker: False, "tests") == 2

        assert rows("email_id, outcome, phase") == [(handed_over.held.email_id, "unanswered", "dot")]
        assert make.row(claimed.held.email_id).status == Status.PENDING

    def test_proved_by_a_copy_is_accepted(self) -> None:
        claim = make.handed_over(make.an_email())
        moves.doubt(claim.held, "silence")

        moves.accept(claim.held, attempts.PROVED, make.COPY)

        assert rows("outcome, reply") == [("accepted", None)]


class TestAFailureWithoutAnAnswer:
    TROUBLE = Reason(Code.NO_CONNECTION, host="smtp.example", port=587, tried="192.0.2.1: no answer")

    @pytest.mark.parametrize("late", [False, True], ids=["at once", "from the journal"])
    def test_is_a_code_with_values_wherever_it_stands(self, db: None, late: bool) -> None:
        claim, outcome = make.claimed(make.an_email()), Deferred(Scope.MAILBOX, Phase.CONNECT, no_reply(self.TROUBLE))

        if late:
            journaled(claim, outcome)
            work_off_journal()
        else:
            record.record(claim, outcome)

        [past] = [it for it in history.of_email(claim.held.email_id) if it.conversation]
        assert past.conversation
        assert (past.conversation.instead, past.conversation.reply) == (self.TROUBLE, str(self.TROUBLE))
        assert past.why == Reason(Code.MAILBOX_FAULT, because=self.TROUBLE)
        assert mailboxes.why_closed(mailboxes.get(claim.mailbox_id)) == self.TROUBLE

    def test_is_one_where_nobody_listens(self, db: None) -> None:
        mailbox_id = make.a_mailbox(smtp_port=free_port())
        [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())

        deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))

        assert rows("outcome, scope, code, reason_code") == [("deferred", "mailbox", None, "no_connection")]


def journaled(claim: Claim, outcome: Outcome) -> None:
    journal.append(Held(claim.held, claim.campaign_id, claim.mailbox_id, claim.attempts), outcome)


# Before the table, an answer was kept in its move's detail.
KEEP_IN_DETAILS = """
UPDATE email_history h SET detail = NULLIF(
    CASE WHEN a.outcome IN ('unanswered', 'withdrawn') OR (a.outcome = 'accepted' AND a.reply IS NULL) THEN '{}'::jsonb
         WHEN a.scope IS NULL THEN jsonb_build_object('code', a.code, 'enhanced', a.enhanced, 'reply', a.reply)
         ELSE jsonb_build_object('code', a.code, 'enhanced', a.enhanced, 'reply', a.reply, 'scope', a.scope,
                                 'phase', a.phase) END
    || CASE WHEN a.seconds = '{}' THEN '{}' ELSE jsonb_build_object('seconds', a.seconds) END, '{}')
FROM attempt a
WHERE a.claim_token = h.claim_token AND h.move IN ('accept', 'reject', 'retry', 'release', 'doubt')
  AND (h.move = 'doubt') = (a.outcome = 'unanswered')
"""


def every_end() -> None:
    """A mail for each way in which a conversation can end, and one whose proof came late; answers kept in details."""
    for outcome, _ in ENDS.values():
        record.record(make.handed_over(make.an_email()), outcome)
    late = make.handed_over(make.an_email())
    record.record(late, Unanswered("timed out"))
    record.record(late, ENDS["accepted"][0])
    moves.release_unhanded(make.claimed(make.an_email()).held, "its worker died")
    database.execute(KEEP_IN_DETAILS)


# Without what only the columns of this version tell: a withdrawn mail whose phases took no time.
TOLD = f"email_id, claim_token, mailbox_id, {COLUMNS}, seconds"


def by_email() -> list[tuple[Any, ...]]:
    return database.fetch(f"SELECT {TOLD} FROM attempt ORDER BY email_id, id")


def as_before_the_migrations() -> None:
    """Have the migration that fills the table, and the one that removes its trigger, applied again."""
    names = "'0023_attempts', '0231_attempts_without_trigger'"
    database.execute(f"DELETE FROM schema_migration WHERE name IN ({names})")


class TestAMoveFromBeforeTheMigration:
    def test_is_filled_in_some_thousand_at_a_time(self, db: None) -> None:
        every_end()
        written, ids = by_email(), [row.id for row in EmailHistory.select().order_by(EmailHistory.id)]
        # As if there were a hundred thousand moves between them.
        for place, history_id in enumerate(reversed(ids)):
            query = "UPDATE email_history SET id = %s WHERE id = %s"
            database.execute(query, (1_000_000 - 2_000 * place, history_id))
        database.execute("DROP TABLE attempt")
        as_before_the_migrations()

        assert migrate.migrate() == ["0023_attempts", "0231_attempts_without_trigger"]

        assert by_email() == written
        assert database.fetch("SELECT 1 FROM attempt WHERE started_at > ended_at") == []
        assert database.fetch("SELECT 1 FROM pg_trigger WHERE tgname = 'record_attempt'") == []

    def test_is_filled_in_from_the_beginning_after_an_interruption(self, db: None) -> None:
        every_end()
        written = by_email()
        database.execute("DELETE FROM attempt WHERE mod(id, 2) = 0")
        as_before_the_migrations()

        migrate.migrate()

        assert by_email() == written

    @pytest.mark.parametrize("code", ["null", '"5xx"', "5.5", "{}"])
    def test_is_filled_in_whatever_its_detail_says(self, db: None, code: str) -> None:
        claim = make.handed_over(make.an_email())
        told = {"move": "reject", "from_status": "sending", "to_status": "failed", "by": "old", "reason": "no"}
        database.execute(
            "INSERT INTO email_history (email_id, move, from_status, to_status, by, reason, mailbox_id, claim_token,"
            " detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, jsonb_build_object('code', %s::jsonb))",
            (claim.held.email_id, *told.values(), claim.mailbox_id, str(claim.held.token), code),
        )
        as_before_the_migrations()

        migrate.migrate()

        assert rows("outcome, scope") == [("refused", "unclear")]


def test_each_table_is_emptied_before_a_test(db: None) -> None:
    assert Attempt in tables.TABLES
    assert rows() == []
