"""The pages on which Prometheus reads what the running processes count."""

import urllib.error

import psutil
import pytest

from models.states import Status
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.scraping import free_port, scrape
from tests.waiting import until

WORKED_OFF = 'dramatiq_messages_total{actor_name="deliver",queue_name="deliver"}'


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
    until(lambda: not scrape(port), "the page to go with its master")
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
