"""Messages on a real RabbitMQ that are none of ours, or another installation's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from actors import queues
from models.health import heartbeats
from models.states import Status
from ops import broker_check
from ops.rabbitmq import RabbitMQ
from tests import factories as make
from tests.actors.process.test_messages import NONE_OF_OURS
from tests.conftest import Override
from tests.forking import admin
from tests.pipeline.conftest import Punktual
from tests.waiting import until


def due(punktual: Punktual) -> make.Hint:
    mailbox_id = punktual.mailbox()
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    return make.Hint(email_id, make.row(email_id).scheduled_at)


def publish(punktual: Punktual, queue: str, *bodies: bytes) -> None:
    with punktual.connection() as connection:
        for body in bodies:
            connection.channel().basic_publish("", queue, body)


class TestUnreadableMessages:
    def test_are_rejected_and_told_of_without_their_contents_and_the_mail_behind_them_is_sent(
        self, punktual: Punktual
    ) -> None:
        hint = due(punktual)
        worker = punktual.run("worker", PUNKTUAL_WORKER_THREADS="1")
        punktual.listening()

        publish(punktual, "deliver", *NONE_OF_OURS.values())
        publish(punktual, "deliver.DQ", *NONE_OF_OURS.values())
        punktual.hint(hint)

        until(lambda: make.row(hint.email_id).status == Status.SENT, "the mail behind them")
        # One of them may well be in the queue of what is delayed.
        until(lambda: punktual.messages()["deliver.XQ"] == 2 * len(NONE_OF_OURS) - 1, "all to be rejected")
        log = punktual.log.read_text()
        assert '"event": "message_rejected"' in log
        assert "Traceback" not in log
        assert "drop_everything" not in log
        assert worker.poll() is None

    def test_a_hint_at_a_mail_that_there_is_not_is_told_in_a_line(self, punktual: Punktual) -> None:
        punktual.run("worker")
        punktual.listening()

        punktual.hint(make.Hint(10**12, make.now()))

        until(lambda: "hint_of_no_email" in punktual.log.read_text(), "its word about it")
        until(lambda: sum(punktual.messages().values()) == 0, "the hint to be worked off")
        assert "Traceback" not in punktual.log.read_text()


class TestAnotherInstallationsMessages:
    def test_are_passed_on_and_told_of(self, punktual: Punktual, settings: Override) -> None:
        settings(BROKER_URL=punktual.broker_url)
        hint = due(punktual)
        punktual.run("worker")
        punktual.listening()
        arguments = [hint.email_id, round(hint.scheduled_at.timestamp() * 1000)]
        message = {
            "queue_name": "deliver",
            "actor_name": "deliver",
            "args": arguments,
            "kwargs": {},
            "options": {"installation": "another"},
            "message_id": "m",
            "message_timestamp": 1,
        }

        publish(punktual, "deliver", json.dumps(message).encode())

        until(lambda: "virtual_host_is_shared" in punktual.log.read_text(), "its word about it")
        until(lambda: "foreign_message_dropped" in punktual.log.read_text(), "nobody to take it")
        assert make.row(hint.email_id).status == Status.PENDING
        assert heartbeats.shared() == heartbeats.SHARED
        assert f"FAIL  the broker holds a message for each hinted e-mail: {heartbeats.SHARED}" in doctor(punktual)
        punktual.hint(hint)
        until(lambda: make.row(hint.email_id).status == Status.SENT, "our own hint to be heard")


def test_doctor_names_a_queue_with_other_arguments(punktual: Punktual) -> None:
    with other_arguments(punktual.broker_url, "deliver"):
        assert "FAIL  the broker holds a message for each hinted e-mail: queue deliver exists with other" in doctor(
            punktual
        )


@contextmanager
def other_arguments(url: str, queue: str) -> Iterator[None]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.queue_declare(queue, durable=True, arguments={"x-max-length": 5})
        yield
        channel.queue_delete(queue)


def doctor(punktual: Punktual, **environment: str) -> str:
    return admin("doctor", **{**punktual.environment, **environment}).stdout


class TestTheBrokerCheck:
    @pytest.fixture(autouse=True)
    def broker(self, rabbitmq: RabbitMQ, settings: Override) -> None:
        rabbitmq.start()
        settings(BROKER_URL=rabbitmq.url)

    def test_is_content_with_queues_as_dramatiq_declares_them(self, rabbitmq: RabbitMQ) -> None:
        theirs = RabbitmqBroker(url=rabbitmq.url, middleware=[])
        for queue in (queues.DELIVER, queues.EVIDENCE, queues.INBOX, queues.TICK, queues.UPKEEP):
            theirs.declare_queue(queue, ensure=True)
        theirs.close()

        assert set(broker_check.QUEUES) == theirs.get_declared_queues()
        assert broker_check.why_not(5) is None

    @pytest.mark.parametrize("queue", ["deliver", "tick.DQ", "upkeep.XQ"])
    def test_names_a_queue_with_other_arguments_and_what_to_do(self, rabbitmq: RabbitMQ, queue: str) -> None:
        with other_arguments(rabbitmq.url, queue):
            found = str(broker_check.why_not(5))

        assert found.startswith(f"queue {queue} exists with other arguments")
        assert f"delete_queue --vhost / {queue}" in found

    def test_names_a_virtual_host_that_there_is_not(self, rabbitmq: RabbitMQ, settings: Override) -> None:
        settings(BROKER_URL=rabbitmq.url.replace("%2F", "punktual"))

        assert str(broker_check.why_not(5)).startswith("RabbitMQ has no virtual host punktual: ")

    @pytest.mark.parametrize("rights", [None, ("^$", ".*", ".*"), (".*", ".*", "^$")])
    def test_names_rights_that_are_missing(
        self, rabbitmq: RabbitMQ, settings: Override, rights: tuple[str, str, str] | None
    ) -> None:
        rabbitmq.ctl("add_vhost", "narrow")
        try:
            if rights:
                rabbitmq.ctl("set_permissions", "--vhost", "narrow", "guest", *rights)
            settings(BROKER_URL=rabbitmq.url.replace("%2F", "narrow"))

            found = str(broker_check.why_not(5))
        finally:
            rabbitmq.ctl("delete_vhost", "narrow")

        assert "set_permissions --vhost narrow" in found
        assert "guest" not in found

    def test_names_a_login_that_is_refused(self, rabbitmq: RabbitMQ, settings: Override) -> None:
        settings(BROKER_URL=rabbitmq.url.replace("guest:guest", "guest:wr0ng"))

        assert broker_check.why_not(5) == "RabbitMQ refuses the user name or password in PUNKTUAL_BROKER_URL"
