"""The rules by which a run is judged: each is broken once, by hand, and must be found broken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

import clock
from models.email import moves
from models.states import Status
from models.store.tables import CampaignEmailQueue, Mailbox
from tests import factories as make
from tests.chaos import load, oracle
from tests.chaos.leads import Answer
from tests.chaos.oracle import Verdict
from tests.chaos.schedule import Kind
from tests.chaos.strikes import Incident
from tests.models.test_steps import OF_THE_VERSION_BEFORE, without
from tests.models.views.test_conversations import answered, follow, send
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def took(smtp: SmtpServer, email_id: int, headers: str = "") -> None:
    content = f"Message-ID: {make.row(email_id).message_id}\r\n{headers}\r\n"
    smtp.record("ola@sender.example", "lead@leads.example", content.encode(), 1)


def judged(smtp: SmtpServer, *incidents: Incident, answers: Sequence[Answer] = ()) -> Verdict:
    return oracle.judge(oracle.evidence(smtp, incidents, answers=answers))


def incident(kind: Kind, pid: int = make.WORKER.pid, ended_ago: timedelta = timedelta(0)) -> Incident:
    ended = clock.now() - ended_ago
    return Incident(kind, ended - timedelta(minutes=1), ended, [pid])


def failed(email_id: int) -> None:
    assert moves.reject(make.handed_over(email_id).held, make.no(550))


def cancelled(email_id: int) -> None:
    assert moves.cancel(email_id, "a test", "tests")


@pytest.fixture
def followed(smtp: SmtpServer) -> Iterator[tuple[CampaignEmailQueue, CampaignEmailQueue]]:
    """A letter and its follow-up, both sent; the mail server has seen the first one, a while ago."""
    with without(OF_THE_VERSION_BEFORE):
        mailbox_id = make.a_mailbox()
        wait = f"{load.WAIT_SECONDS} seconds"
        campaign_id = make.a_campaign([mailbox_id], follow_ups=[wait], follow_up_without_inbox=True)
        [first] = make.planned(campaign_id, mailbox_id, make.now())
        send(first)
        follow_up = follow(first)
        send(follow_up)
        took(smtp, first)
        smtp.accepted[0] = replace(smtp.accepted[0], at=smtp.accepted[0].at - timedelta(minutes=1))
        yield make.row(first), make.row(follow_up)


def test_mails_that_were_sent_and_taken_once_keep_every_promise(smtp: SmtpServer) -> None:
    for _ in range(3):
        email_id, _ = make.in_status(Status.SENT)
        took(smtp, email_id)

    verdict = judged(smtp)

    assert verdict.violations == []
    assert (verdict.statuses, verdict.duplicates, verdict.missing) == ({"sent": 3}, 0, 0)


Two = tuple[CampaignEmailQueue, CampaignEmailQueue]


class TestASequence:
    def test_keeps_every_promise(self, smtp: SmtpServer, followed: Two) -> None:
        first, follow_up = followed
        took(smtp, follow_up.id, f"In-Reply-To: {first.message_id}\r\n")
        answer = Answer(follow_up.message_id, clock.now())
        answered(follow_up.id, answer.at)

        assert judged(smtp, answers=[answer]).violations == []

    def test_breaks_one_with_a_follow_up_before_its_wait_is_over(self, smtp: SmtpServer, followed: Two) -> None:
        first, follow_up = followed
        smtp.accepted[0] = replace(smtp.accepted[0], at=clock.now())
        took(smtp, follow_up.id, f"In-Reply-To: {first.message_id}\r\n")

        assert ["after the letter before it" in each for each in judged(smtp).violations] == [True]

    def test_breaks_one_with_a_follow_up_that_answers_nothing(self, smtp: SmtpServer, followed: Two) -> None:
        took(smtp, followed[1].id)

        assert ["does not answer the letter" in each for each in judged(smtp).violations] == [True]

    def test_breaks_one_with_a_follow_up_to_a_letter_that_nobody_took(self, smtp: SmtpServer, followed: Two) -> None:
        smtp.accepted.clear()
        took(smtp, followed[1].id)

        assert any("was not accepted from" in each for each in judged(smtp).violations)

    def test_breaks_one_with_a_follow_up_after_an_answer_that_was_there(self, smtp: SmtpServer, followed: Two) -> None:
        first, follow_up = followed
        took(smtp, follow_up.id, f"In-Reply-To: {first.message_id}\r\n")
        answer = Answer(first.message_id, follow_up.looked_at - timedelta(seconds=1))
        answered(first.id, answer.at)

        assert ["the lead's answer was there" in each for each in judged(smtp, answers=[answer]).violations] == [True]

    def test_breaks_one_with_an_answer_that_is_never_read(self, smtp: SmtpServer, followed: Two) -> None:
        first, follow_up = followed
        took(smtp, follow_up.id, f"In-Reply-To: {first.message_id}\r\n")

        violations = judged(smtp, answers=[Answer(follow_up.message_id, clock.now())]).violations

        assert ["was not read" in each for each in violations] == [True]


class TestAViolation:
    def test_is_a_mail_that_was_taken_twice(self, smtp: SmtpServer) -> None:
        email_id, _ = make.in_status(Status.SENT)
        took(smtp, email_id)
        took(smtp, email_id)

        verdict = judged(smtp)

        assert [violation.endswith("was accepted 2 times") for violation in verdict.violations] == [True]
        assert verdict.duplicates == 1

    def test_is_a_sent_mail_that_was_never_taken(self, smtp: SmtpServer) -> None:
        make.in_status(Status.SENT)

        verdict = judged(smtp)

        assert [violation.endswith("the server never took it") for violation in verdict.violations] == [True]
        assert verdict.missing == 1

    @pytest.mark.parametrize("end", [failed, cancelled])
    def test_is_a_mail_that_was_not_sent_and_yet_taken(self, smtp: SmtpServer, end: Callable[[int], None]) -> None:
        email_id = make.an_email(leads=["550+1@leads.example"])
        end(email_id)
        took(smtp, email_id)

        assert [violation.endswith("the server took it") for violation in judged(smtp).violations] == [True]

    @pytest.mark.parametrize("wish", ["lead", "450x1"])
    def test_is_a_lead_that_failed_without_being_refused_for_good(self, smtp: SmtpServer, wish: str) -> None:
        failed(make.an_email(leads=[f"{wish}+1@leads.example"]))

        assert ["never refused for good" in violation for violation in judged(smtp).violations] == [True]

    def test_is_a_taken_mail_that_nobody_knows(self, smtp: SmtpServer) -> None:
        smtp.record("ola@sender.example", "lead@leads.example", b"Message-ID: <stray@x.example>\r\n\r\n", 1)

        assert judged(smtp).violations == ["<stray@x.example> was accepted, and there is no such e-mail"]

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SENDING])
    def test_is_a_mail_that_came_to_no_end(self, smtp: SmtpServer, status: Status) -> None:
        make.in_status(status)

        assert [violation.endswith("neither final nor unknown") for violation in judged(smtp).violations] == [True]

    def test_is_a_campaign_that_is_stuck(self, smtp: SmtpServer) -> None:
        verdict = oracle.judge(oracle.evidence(smtp, [], ["north: waiting for ever"]))

        assert verdict.violations == ["stuck: north: waiting for ever"]

    def test_is_a_limit_that_was_passed(self, smtp: SmtpServer) -> None:
        email_id, _ = make.in_status(Status.SENT)
        took(smtp, email_id)
        Mailbox.update(daily_limit=0).execute()

        assert ["its limit is 0" in violation for violation in judged(smtp).violations] == [True]

    def test_is_a_move_without_its_history(self, smtp: SmtpServer) -> None:
        email_id, _ = make.in_status(Status.PENDING)
        Q.update(status=Status.CANCELLED).where(Q.id == email_id).execute()

        seen, told_by_the_doctor = judged(smtp).violations
        assert "history does not lead" in seen
        assert told_by_the_doctor == f"each history ends at the status and time of its e-mail: {email_id}"

    def test_is_a_kind_of_fault_that_never_struck(self, smtp: SmtpServer) -> None:
        missed = [replace(incident(Kind.FREEZE_WORKER), struck=False) for _ in range(4)]

        assert judged(smtp, *missed[:3]).violations == []
        assert [each.startswith("freeze-worker: none of 4") for each in judged(smtp, *missed).violations] == [True]
        assert judged(smtp, *missed, incident(Kind.FREEZE_WORKER)).violations == []

    def test_is_a_mailbox_in_two_conversations(self, smtp: SmtpServer) -> None:
        with smtp.in_data("ola@sender.example", "a@x.example"), smtp.in_data("ola@sender.example", "b@x.example"):
            pass

        assert ["was sending to a@x.example and to b@x.example" in each for each in judged(smtp).violations] == [True]
        assert judged(smtp, incident(Kind.CUT_SMTP)).violations == []
        assert len(judged(smtp, incident(Kind.CUT_DATABASE)).violations) == 1


class TestAnUnknown:
    def test_that_nothing_explains_is_a_violation(self, smtp: SmtpServer) -> None:
        make.in_status(Status.UNKNOWN)

        assert ["nothing explains it" in violation for violation in judged(smtp).violations] == [True]

    def test_is_explained_by_what_its_address_asked_for(self, smtp: SmtpServer) -> None:
        claim = make.handed_over(make.an_email(leads=["drop-after-dot+1@leads.example"]))
        moves.doubt(claim.held, "silence")

        verdict = judged(smtp)

        assert verdict.violations == []
        assert "its address asked for drop-after-dot" in verdict.unknowns[0]

    @pytest.mark.parametrize("kind", [Kind.KILL_WORKER, Kind.CUT_SMTP, Kind.STALL_SMTP])
    def test_is_explained_by_what_struck_its_worker_or_its_conversation(self, smtp: SmtpServer, kind: Kind) -> None:
        make.in_status(Status.UNKNOWN)

        assert judged(smtp, incident(kind)).violations == []

    @pytest.mark.parametrize("kind", [Kind.KILL_BROKER, Kind.CRASH_DATABASE, Kind.CUT_DATABASE, Kind.KILL_MASTER])
    def test_is_not_explained_by_what_leaves_its_worker_the_answer(self, smtp: SmtpServer, kind: Kind) -> None:
        make.in_status(Status.UNKNOWN)

        assert len(judged(smtp, incident(kind)).violations) == 1

    def test_is_explained_by_a_server_that_hung_up_where_the_word_of_it_came_slowly(self, smtp: SmtpServer) -> None:
        claim = make.handed_over(make.an_email(leads=["drop-before-dotx1+1@leads.example"]))
        moves.doubt(claim.held, "silence")

        assert len(judged(smtp).violations) == 1
        assert judged(smtp, incident(Kind.SLOW_SMTP)).violations == []

    def test_is_not_explained_by_the_death_of_another_worker(self, smtp: SmtpServer) -> None:
        make.in_status(Status.UNKNOWN)

        assert len(judged(smtp, incident(Kind.KILL_WORKER, pid=make.ANOTHER_WORKER.pid)).violations) == 1

    def test_is_not_explained_by_what_was_over_before_its_hand_over(self, smtp: SmtpServer) -> None:
        make.in_status(Status.UNKNOWN)

        assert len(judged(smtp, incident(Kind.CUT_SMTP, ended_ago=timedelta(minutes=1))).violations) == 1
