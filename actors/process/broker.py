"""Builds the broker of a process: which actors it has, and which middleware runs around every message.

There is no retry of messages: a message is only a hint, and what it hinted at is found again in the rows.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware
from periodiq import PeriodiqMiddleware, cron

import config
from actors.deliver import deliver
from actors.disk.identity import this_worker
from actors.evidence import seek_evidence
from actors.examine import examine
from actors.notices import tell_people
from actors.process.boot import Boot
from actors.process.messages import Consumer, Encoder
from actors.process.sharing import Sharing
from actors.process.tick_requests import TickRequests
from actors.queues import Actor
from actors.tick import tick
from models.store import database
from ops import broker_connection
from ops.watch import logs, moves

_TRIES = 6  # that Dramatiq makes to publish a message


class Role(StrEnum):
    WORKER = "worker"  # sends mail, and looks for what became of it
    TIMEKEEPER = "timekeeper"  # works off the ticks
    PERIODIQ = "periodiq"  # asks for each tick
    EMBEDDED = "embedded"  # all of it, in one process


_WORKER: tuple[Actor[...], ...] = (deliver, seek_evidence, examine, tell_people)
ACTORS: Mapping[Role, tuple[Actor[...], ...]] = {
    Role.WORKER: _WORKER,
    Role.TIMEKEEPER: (tick,),
    Role.PERIODIQ: (tick, examine),
    Role.EMBEDDED: (*_WORKER, tick),
}


def build_broker(role: Role) -> dramatiq.Broker:
    """The broker of this process, which is Dramatiq's own from now on; its log and its counting of moves too."""
    logs.configure()
    moves.watch()
    dramatiq.set_encoder(Encoder())
    broker = _broker(config.settings().broker, _middleware(role))
    for each in ACTORS[role]:
        options = {"periodic": cron(each.cron)} if each.cron else {}
        dramatiq.actor(actor_name=each.name, queue_name=each.queue, broker=broker, **options)(each.fn)
    dramatiq.set_broker(broker)
    return broker


def _middleware(role: Role) -> list[Middleware]:
    """From the outermost to the innermost; what follows a boot or a message runs from the last to the first."""
    return [
        # Not here on purpose: Retries, because the rows say what is to be done again and when; TimeLimit, because its
        # asynchronous exception could land between a server's 250 and its record. The sockets carry the timeouts.
        LogContext(),
        # Drops ticks that waited too long; the next one does their work.
        PeriodiqMiddleware(skip_delay=30),
        # What runs beside the messages, once the database is open.
        *([Boot()] if deliver in ACTORS[role] else []),
        *([TickRequests()] if role in (Role.TIMEKEEPER, Role.EMBEDDED) else []),
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


def _broker(settings: config.Broker, middleware: list[Middleware]) -> dramatiq.Broker:
    if settings.embedded:
        return InMemory(middleware=middleware)
    url = broker_connection.url(settings.blocked_timeout_seconds / _TRIES)
    # Without confirms a message that RabbitMQ never got would count as published.
    return _Rabbitmq(url=url, middleware=middleware, confirm_delivery=True)


class DatabaseConnections(Middleware):
    """Opens the database in every worker process, and keeps a thread's session from message to message."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        database.open_database(f"punktual {this_worker()}")

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        database.replace_dead_session()

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, exception: BaseException | None = None, **_: Any
    ) -> None:
        if exception is not None:
            database.close()


class LogContext(Middleware):
    """Every line logged during a message names it."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        logs.bind(message=message.message_id, actor=message.actor_name)

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **_: Any) -> None:
        logs.unbind()

    after_skip_message = after_process_message
