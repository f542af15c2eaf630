"""What is counted of an attempt, once what became of it is recorded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dramatiq import get_broker
from prometheus_client import REGISTRY

from actors import tally
from actors.deliver import deliver
from mail.outcome import Reply
from models.email import attempts, moves
from models.email.claims import Held
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue
from ops.watch import metrics
from tests import factories as make
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND


@pytest.fixture
def smtp(db: None) -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


class Counting:
    """What was counted since it was made."""

    def __init__(self) -> None:
        self.before = _samples()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return _samples().get(key, 0) - self.before.get(key, 0)


def _samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    every = [sample for family in REGISTRY.collect() for sample in family.samples]
    return {(it.name, tuple(sorted(it.labels.items()))): it.value for it in every}


def delivered(smtp: SmtpServer, address: str, **mailbox: Any) -> int:
    mailbox_id = make.a_mailbox(smtp_port=smtp.port, **mailbox)
    [email_id] = make.planned(make.a_campaign([mailbox_id], leads=[address]), mailbox_id, make.now())
    hint(email_id)
    return email_id


def hint(email_id: int) -> None:
    deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))


def hint_beside(email_id: int) -> None:
    try:
        hint(email_id)
    finally:
        database.close()


class Uncountable(Exception):
    """What a counter raises that has no room, for instance."""


class TestACounterThatFails:
    """Between a server's answer and its record nothing else may fail."""

    @pytest.mark.parametrize(("address", "status"), [("anna@leads.example", "sent"), ("550@leads.example", "failed")])
    def test_finds_the_answer_recorded(
        self, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch, address: str, status: str
    ) -> None:
        def fails(*_: object) -> None:
            raise Uncountable

        monkeypatch.setattr(metrics.SMTP_REPLIES, "labels", fails)

        with pytest.raises(Uncountable):
            delivered(smtp, address)

        [row] = CampaignEmailQueue.select()
        assert row.status == status


class TestASentMail:
    def test_is_counted_once_with_its_campaign_mailbox_and_lag(self, smtp: SmtpServer) -> None:
        count = Counting()

        row = make.row(delivered(smtp, "anna@leads.example"))

        of = {"campaign": str(row.campaign_id), "mailbox": str(row.mailbox_id)}
        assert row.sent_at
        assert count("punktual_sent_total", **of) == 1
        assert count("punktual_outcomes_total", outcome="accepted", scope="none") == 1
        assert count("punktual_smtp_replies_total", phase="dot", code="250", enhanced="2.0.0") == 1
        assert count("punktual_schedule_lag_seconds_count") == 1
        lag = (row.sent_at - row.scheduled_at).total_seconds()
        assert count("punktual_schedule_lag_seconds_sum") == pytest.approx(lag)

    def test_has_the_time_of_each_phase_counted(self, smtp: SmtpServer) -> None:
        count = Counting()

        delivered(smtp, "anna@leads.example")

        for phase in ("connect", "mail", "rcpt", "data", "body", "dot"):
            assert count("punktual_smtp_phase_seconds_count", phase=phase) == 1
        for phase in ("tls", "auth"):
            assert count("punktual_smtp_phase_seconds_count", phase=phase) == 0

    def test_whose_proof_came_late_is_counted_without_a_lag(self, db: None) -> None:
        claim = make.handed_over(make.an_email())
        moves.doubt(claim.held, "silence")
        count = Counting()

        moves.accept(claim.held, attempts.PROVED, make.COPY)

        assert count("punktual_sent_total", campaign=str(claim.campaign_id), mailbox=str(claim.mailbox_id)) == 1
        assert count("punktual_schedule_lag_seconds_count") == 0


class TestAMailThatWasNotSent:
    @pytest.mark.parametrize(
        ("address", "outcome", "scope", "phase", "code", "enhanced"),
        [
            ("550@leads.example", "refused", "lead", "rcpt", "550", "5.1.1"),
            ("451@leads.example", "deferred", "lead", "rcpt", "451", "4.2.1"),
            ("dot-554@leads.example", "refused", "content", "dot", "554", "5.6.0"),
            ("554-5.0.0@leads.example", "deferred", "unclear", "rcpt", "554", "5.0.0"),
            ("550-5.4.5@leads.example", "deferred", "mailbox", "rcpt", "550", "5.4.5"),
            ("drop-after-dot@leads.example", "unanswered", "none", "dot", "none", "none"),
            ("drop-before-dot@leads.example", "deferred", "mailbox", "body", "none", "none"),
        ],
    )
    def test_is_counted_by_what_the_server_said(
        self, smtp: SmtpServer, address: str, outcome: str, scope: str, phase: str, code: str, enhanced: str
    ) -> None:
        count = Counting()

        delivered(smtp, address)

        assert count("punktual_outcomes_total", outcome=outcome, scope=scope) == 1
        assert count("punktual_smtp_replies_total", phase=phase, code=code, enhanced=enhanced) == 1
        assert count("punktual_mailbox_closures_total", phase=phase) == (scope == "mailbox")
        assert count("punktual_schedule_lag_seconds_count") == 0

    def test_because_a_gate_was_closed_is_counted_by_the_gate(self, smtp: SmtpServer) -> None:
        email_id = make.an_email()
        Campaign.update(last_start_at=make.now()).execute()
        count = Counting()

        hint(email_id)

        assert count("punktual_claims_refused_total", gate="pace") == 1

    def test_because_a_person_has_ruled_meanwhile_is_no_outcome(self, smtp: SmtpServer) -> None:
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        [email_id] = make.planned(
            make.a_campaign([mailbox_id], leads=["dot-451@leads.example"]), mailbox_id, make.now()
        )
        count = Counting()

        with smtp.holding("dot", "dot-451@leads.example") as held, ThreadPoolExecutor(1) as pool:
            late = pool.submit(hint_beside, email_id)
            held.wait()
            token = make.row(email_id).claim_token
            assert token
            moves.doubt(Held(email_id, token, "tests"), "silence")
            moves.settle_as_sent(email_id, "the provider says so", "ola")
            held.released.set()
            late.result(BOUND)

        assert count("punktual_smtp_replies_total", phase="dot", code="451", enhanced="4.6.0") == 1
        assert count("punktual_outcomes_total", outcome="deferred", scope="content") == 0


class TestWhatAServerSays:
    @pytest.mark.parametrize(
        ("reply", "code", "enhanced"),
        [
            (Reply(250, "2.0.0", "ok"), "250", "2.0.0"),
            (Reply(550, None, "no"), "550", "none"),
            (Reply(550, "5.7.26", "no"), "550", "5.7.26"),
            (Reply(550, "5.7.708", "no"), "550", "other"),
            (Reply(550, "5.9.1", "no"), "550", "other"),
            (Reply(550, "5.01.001", "no"), "550", "5.1.1"),
            (Reply(None, None, "reset"), "none", "none"),
            (Reply(-1, None, "what a lovely mail"), "none", "none"),
            (Reply(999, None, "no"), "none", "none"),
        ],
    )
    def test_becomes_one_of_few_labels(self, reply: Reply, code: str, enhanced: str) -> None:
        assert (tally.code(reply), tally.enhanced(reply)) == (code, enhanced)
