"""The rules and the dashboard, asked of a real Prometheus that reads the pages of the running product."""

import os
import re
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq import Message

from models.owner import mailboxes
from models.states import Status
from models.store.database import clock
from models.store.tables import Inbox
from scheduling.window import warsaw_day
from tests import factories as make
from tests import watching
from tests.pipeline.conftest import Punktual
from tests.prometheus_server import PrometheusServer
from tests.scraping import free_port
from tests.waiting import until

# Other processes' queues would be asked about too.
pytestmark = pytest.mark.own_servers
GRAFANA_FILLS_IN = {"$campaign": ".+", "$mailbox": ".+", "$__rate_interval": "1m"}


@pytest.fixture
def prometheus(punktual: Punktual, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Everything runs, and has read an inbox, sent a mail, had one refused, and one of which nobody knows."""
    an_inbox_was_read()
    pages = start_all(punktual)
    send_three(punktual)
    ask_everything_once(punktual)
    with PrometheusServer(tmp_path / "prometheus", pages) as running:
        wait_for_samples(running)
        yield running


def an_inbox_was_read() -> None:
    """Of a mailbox that is paused, so that its server is not asked."""
    mailbox_id = make.a_listening_mailbox()
    mailboxes.pause(mailbox_id, "tests")
    Inbox.insert(mailbox=mailbox_id, started_at=clock(), read_at=clock()).execute()


def start_all(punktual: Punktual) -> dict[str, int]:
    worker, timekeeper, web = free_port(), free_port(), free_port()
    punktual.run("worker", PUNKTUAL_METRICS_WORKER_PORT=str(worker))
    punktual.run("timekeeper", PUNKTUAL_METRICS_TIMEKEEPER_PORT=str(timekeeper))
    punktual.fork("web", PUNKTUAL_WEB_PORT=str(web))
    punktual.listening("deliver", "deliver.DQ", "tick", "upkeep")
    return {
        "punktual-web": web,
        "punktual-worker": worker,
        "punktual-timekeeper": timekeeper,
        "rabbitmq": punktual.node.metrics_port,
        "rabbitmq-queues": punktual.node.metrics_port,
    }


def send_three(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox(daily_limit=40)
    mailboxes.record_warmup(mailbox_id, warsaw_day(clock()), 36, "tests")
    leads = ["lead@leads.example", "550@leads.example", "drop-after-dot@leads.example"]
    campaign_id = make.a_campaign([mailbox_id], leads=leads, delay=1.0)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
    for email_id in ids:
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
    until(
        lambda: [make.row(email_id).status for email_id in ids] == [Status.SENT, Status.FAILED, Status.UNKNOWN],
        "each mail's end",
    )


def ask_everything_once(punktual: Punktual) -> None:
    punktual.tick()
    punktual.publish(Message(queue_name="upkeep", actor_name="examine", args=(), kwargs={}, options={}))


def wait_for_samples(prometheus: PrometheusServer) -> None:
    """Rates want two samples of each page, and RabbitMQ counts its queues every few seconds."""
    for expr in (
        "min(count_over_time(up[1m])) > 2 and min(up) == 1",
        "count_over_time(punktual_sent_total[1m]) > 2",
        'rabbitmq_detailed_queue_consumers{queue="deliver"} > 0',
        "punktual_tick_completed_timestamp_seconds > 0 and punktual_invariants_checked_timestamp_seconds > 0",
    ):
        until(lambda expr=expr: prometheus.query(expr), expr)  # type: ignore[misc]


def test_it_understands_every_question_and_has_an_answer_to_each(prometheus: PrometheusServer) -> None:
    """Labels that do not match, or match twice, are found only where there is data."""
    unanswered = {it.where: told for it in watching.asked() if (told := complaint(prometheus, it.expr))}

    assert not unanswered


# Prometheus is linked statically, so that its clock cannot be faked: to it all would have happened at another time.
@pytest.mark.skipif("TESTS_CLOCK_SHIFT" in os.environ, reason="Prometheus keeps the machine's time")
def test_of_a_sound_product_it_tells_what_is_the_matter_and_nothing_else(prometheus: PrometheusServer) -> None:
    told = {"LimitNear": "firing", "UnknownOutcome": "pending"}

    # A page that was slow to answer once is down for a moment.
    until(lambda: prometheus.alerts() == told, f"{told} and nothing else")
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}


def complaint(prometheus: PrometheusServer, expr: str) -> str | None:
    for name, value in GRAFANA_FILLS_IN.items():
        expr = expr.replace(f'="{name}"', f'=~"{value}"').replace(name, value)
    try:
        prometheus.query(expr)
        return None if prometheus.query(without_condition(expr)) else f"no answer to {without_condition(expr)}"
    except urllib.error.HTTPError as error:
        return error.read().decode()


def without_condition(expr: str) -> str:
    """The same question, answered by 0 where a condition does not hold: an empty answer means that nothing matches."""
    compared = re.sub(r" (==|!=|>=|<=|>|<) ", r" \1 bool ", expr)
    return compared.replace("unless", "and")
