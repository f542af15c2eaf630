"""The pages on which Prometheus reads what the running processes count."""

import urllib.error

import psutil
import pytest

from models.states import Move, Status
from models.store import database
from models.store.tables import CampaignEmailQueue, EmailHistory
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.scraping import free_port, named, scrape
from tests.waiting import until

WORKED_OFF = 'dramatiq_messages_total{actor_name="deliver",queue_name="deliver"}'


Q, H = CampaignEmailQueue, EmailHistory
ACCEPTED = named("punktual_outcomes_total", outcome="accepted", scope="none")
AS_THE_ADDRESS_ASKS = [
    "anna@leads.example",
    "jan@leads.example",
    "550@leads.example",
    "dot-451x1@leads.example",
    "drop-after-dot@leads.example",
]


def test_after_a_campaign_the_counters_say_what_the_rows_say(punktual: Punktual) -> None:
    ports = {"WORKER": free_port(), "TIMEKEEPER": free_port()}
    punktual.environment |= {f"PUNKTUAL_METRICS_{name}_PORT": str(port) for name, port in ports.items()}
    punktual.environment |= {"PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": "0.1", "PUNKTUAL_WORKER_PROCESSES": "2"}
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=AS_THE_ADDRESS_ASKS, delay=0.3)
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening()

    punktual.tick()
    until(lambda: sorted(statuses()) == ["failed", "sent", "sent", "sent", "unknown"], "each mail's result")

    until(lambda: scrape(ports["WORKER"]).get(ACCEPTED) == 3, "the last one to be counted")
    worker, timekeeper = scrape(ports["WORKER"]), scrape(ports["TIMEKEEPER"])
    assert worker[named("punktual_sent_total", campaign=campaign_id, mailbox=mailbox_id)] == moves(Move.ACCEPT) == 3
    outcomes = {
        ("accepted", "none"): Move.ACCEPT,
        ("deferred", "content"): Move.RETRY,
        ("refused", "lead"): Move.REJECT,
        ("unanswered", "none"): Move.DOUBT,
    }
    for (outcome, scope), move in outcomes.items():
        assert worker[named("punktual_outcomes_total", outcome=outcome, scope=scope)] == moves(move), outcome
    assert worker[named("punktual_outcomes_total", outcome="refused", scope="content")] == 0
    assert worker["punktual_schedule_lag_seconds_count"] == 3
    assert worker["punktual_schedule_lag_seconds_sum"] == pytest.approx(seconds_late(), abs=0.01)
    assert worker[named("punktual_smtp_phase_seconds_count", phase="rcpt")] == moves(Move.CLAIM) == 6
    assert worker[named("punktual_smtp_phase_seconds_count", phase="dot")] == moves(Move.HAND_OVER) == 5
    for phase, code, enhanced, count in (
        ("dot", "250", "2.0.0", 3),
        ("dot", "451", "4.6.0", 1),
        ("dot", "none", "none", 1),
        ("rcpt", "550", "5.1.1", 1),
    ):
        assert worker[named("punktual_smtp_replies_total", phase=phase, code=code, enhanced=enhanced)] == count
    assert timekeeper["punktual_hints_published_total"] >= 5
    # Before what is far is planned, and after it.
    for step in ("hint_soon", "hint_due"):
        assert timekeeper[named("punktual_tick_step_seconds_count", step=step)] == 1
        assert timekeeper[named("punktual_tick_step_failures_total", step=step)] == 0
    assert not [name for page in (worker, timekeeper) for name in page if "@" in name]


def statuses() -> list[str]:
    return [row.status for row in Q.select(Q.status)]


def moves(move: Move) -> int:
    return H.select().where(H.move == move).count()


def seconds_late() -> float:
    late = "SELECT sum(EXTRACT(epoch FROM sent_at - scheduled_at)) FROM campaign_email_queue WHERE status = 'sent'"
    return float(database.fetch(late)[0][0])


def test_a_workers_page_counts_over_all_its_processes(punktual: Punktual) -> None:
    port = free_port()
    punktual.run("worker", PUNKTUAL_METRICS_WORKER_PORT=str(port), PUNKTUAL_WORKER_PROCESSES="2")
    punktual.listening()
    hints = [due(punktual) for _ in range(6)]

    for hint in hints:
        punktual.hint(hint)

    until(lambda: scrape(port).get(WORKED_OFF) == 6, "six messages on the page")


def test_a_worker_whose_port_is_taken_sends_all_the_same(punktual: Punktual) -> None:
    port = free_port()
    first = punktual.run("worker", PUNKTUAL_METRICS_WORKER_PORT=str(port))
    punktual.listening()
    until(lambda: scrape(port), "the first one's page")
    hint = due(punktual)

    second = punktual.run("worker", PUNKTUAL_METRICS_WORKER_PORT=str(port))
    until(lambda: '"event": "metrics_not_served"' in punktual.log.read_text(), "its word about the port")
    psutil.Process(first.pid).kill()
    until(lambda: not scrape(port), "the page to go with its keeper")
    punktual.listening()
    punktual.hint(hint)

    until(lambda: make.row(hint.email_id).status == Status.SENT, "the mail")
    assert second.poll() is None


def test_it_listens_on_this_machine_alone_unless_told_otherwise(punktual: Punktual) -> None:
    port = free_port()
    punktual.run("timekeeper", PUNKTUAL_METRICS_TIMEKEEPER_PORT=str(port))
    until(lambda: scrape(port), "its page")

    heard_at = {each.laddr.ip for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port}

    assert heard_at == {"127.0.0.1"}


def test_all_in_one_process_it_has_one_page(punktual: Punktual) -> None:
    port = free_port()
    row = make.row(due(punktual).email_id)
    sent = named("punktual_sent_total", campaign=row.campaign_id, mailbox=row.mailbox_id)

    punktual.run("embedded", PUNKTUAL_BROKER_URL="embedded", PUNKTUAL_METRICS_WORKER_PORT=str(port))

    until(lambda: scrape(port).get(sent) == 1, "the mail on the page")
    assert scrape(port)[named("punktual_tick_step_seconds_count", step="reconcile")] >= 1


def test_told_to_listen_to_others_it_asks_for_its_password(punktual: Punktual) -> None:
    port = free_port()
    open_to_others = {"PUNKTUAL_METRICS_HOST": "0.0.0.0", "PUNKTUAL_METRICS_PASSWORD": "s3cret"}

    punktual.run("timekeeper", PUNKTUAL_METRICS_TIMEKEEPER_PORT=str(port), **open_to_others)

    until(lambda: scrape(port, password="s3cret"), "its page")
    for wrong in (None, "another"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            scrape(port, password=wrong)


def due(punktual: Punktual) -> make.Hint:
    mailbox_id = punktual.mailbox()
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    return make.Hint(email_id, make.row(email_id).scheduled_at)
