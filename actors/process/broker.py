"""Sets Dramatiq's broker when imported. Actor files import `actor` from here, so that none is declared before.

Owns which middleware runs around every message. There is no retry of messages: a message is only a hint, and what it
hinted at is found again in the rows.
"""

import os
from functools import partial
from typing import Any
from urllib.parse import urlencode

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerError
from dramatiq.middleware import Middleware
from periodiq import PeriodiqMiddleware
from pika.adapters.utils.connection_workflow import AMQPConnectorException

import config
from actors.disk.identity import this_worker
from actors.process.messages import Consumer, Encoder
from actors.process.sharing import Sharing
from models.store import database
from ops.watch import logs, moves

# What publishing raises while the broker is away. Dramatiq lets through what pika makes of a name that does not resolve
# and of a broker that takes a connection and then says nothing.
FAILURES = (BrokerError, OSError, AMQPConnectorException)

_TRIES = 6  # that Dramatiq makes to publish a message


class DatabaseConnections(Middleware):
    """Opens the database in every worker process, and gives a thread's connection back after each message."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        database.open_database(f"punktual {this_worker()}")

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **_: Any) -> None:
        database.close()

    after_skip_message = after_process_message


class LogContext(Middleware):
    """Every line logged during a message names it."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        logs.bind(message=message.message_id, actor=message.actor_name)

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **_: Any) -> None:
        logs.unbind()

    after_skip_message = after_process_message


def _middleware() -> list[Middleware]:
    return [
        # Not here on purpose: Retries, because the rows say what is to be done again and when; TimeLimit, because its
        # asynchronous exception could land between a server's 250 and its record. The sockets carry the timeouts.
        LogContext(),
        # Drops ticks that waited too long; the next one does their work.
        PeriodiqMiddleware(skip_delay=30),
        DatabaseConnections(),
        *_exposition(),
        # Last: what the others count of a message that is skipped is even.
        Sharing(),
    ]


def _exposition() -> list[Middleware]:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return []
    # Imported here because importing it makes a folder, also where nothing is counted.
    from dramatiq.middleware.prometheus import Prometheus

    return [Prometheus()]


def _rabbitmq_url(settings: config.Broker) -> str:
    url = settings.url.get_secret_value()
    one_try = settings.blocked_timeout_seconds / _TRIES
    limits = {
        "heartbeat": settings.heartbeat_seconds,
        "blocked_connection_timeout": one_try,
        "socket_timeout": one_try,
        "stack_timeout": one_try,
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(limits)}"


class _Rabbitmq(RabbitmqBroker):
    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer


class InMemory(StubBroker):
    """Names queues of delayed messages as RabbitMQ's does: apart from the others.

    A worker holds only a few messages of each of the others, so that a mail due soon would wait behind later ones.
    """

    def get_declared_queues(self) -> set[str]:
        return super().get_declared_queues() - self.get_declared_delay_queues()


def _broker(settings: config.Broker) -> dramatiq.Broker:
    if settings.embedded:
        return InMemory(middleware=_middleware())
    # Without confirms a message that RabbitMQ never got would count as published.
    return _Rabbitmq(url=_rabbitmq_url(settings), middleware=_middleware(), confirm_delivery=True)


logs.configure()
moves.watch()
dramatiq.set_encoder(Encoder())
broker = _broker(config.settings().broker)
dramatiq.set_broker(broker)
actor = partial(dramatiq.actor, broker=broker)


def ask(queue: str, actor_name: str, *args: int, delay: int | None = None) -> None:
    """Have it done by whoever works off the queue; the one who asks need not import it. delay: in milliseconds.

    Returns once the broker has confirmed the message, which is a hint: twice, late or never does no harm.
    """
    message: dramatiq.Message[None] = dramatiq.Message(queue, actor_name, args, kwargs={}, options={})
    broker.enqueue(message, delay=delay)
