"""Builds a process's broker: its actors, and the middleware around every message.

Messages are not retried: a message is only a hint, and the tick finds the work again in the rows.
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
from actors.domains import check_domains
from actors.evidence import seek_evidence
from actors.examine import examine
from actors.inbox import read_inboxes
from actors.process.boot import Boot
from actors.process.messages import Consumer, Encoder
from actors.process.sharing import Sharing
from actors.process.tick_requests import TickRequests
from actors.queues import Actor
from actors.send_notices import tell_people
from actors.tick import tick
from actors.tokens import renew_tokens
from models.store import database, unresponsive_server
from ops import broker_connection
from ops.watch import logs, moves

_TRIES = 6  # made by Dramatiq to publish a message


class Role(StrEnum):
    WORKER = "worker"  # sends e-mails, searches for copies, reads inboxes, sends notices
    TIMEKEEPER = "timekeeper"  # runs the ticks
    PERIODIQ = "periodiq"  # asks for each tick
    EMBEDDED = "embedded"  # all of it, in one process


_WORKER: tuple[Actor[...], ...] = (
    deliver,
    seek_evidence,
    read_inboxes,
    examine,
    check_domains,
    renew_tokens,
    tell_people,
)
ACTORS: Mapping[Role, tuple[Actor[...], ...]] = {
    Role.WORKER: _WORKER,
    Role.TIMEKEEPER: (tick,),
    Role.PERIODIQ: (tick, examine, check_domains, renew_tokens),
    Role.EMBEDDED: (*_WORKER, tick),
}


def build_broker(role: Role) -> dramatiq.Broker:
    """Build this process's broker and make it Dramatiq's global one. Also sets up logging and the counting of moves."""
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
    """The role's middleware, from the outermost to the innermost; after_* hooks run in reverse order."""
    return [
        # Not here on purpose: Retries, because the rows say what is to be done again and when; TimeLimit, because its
        # asynchronous exception could land between a server's 250 and its record. The sockets carry the timeouts.
        LogContext(),
        # Drops ticks that waited too long; the next one does the same work.
        PeriodiqMiddleware(skip_delay=30),
        # Run beside the messages, once the database is open.
        *([Boot()] if deliver in ACTORS[role] else []),
        *([TickRequests()] if role in (Role.TIMEKEEPER, Role.EMBEDDED) else []),
        DatabaseConnections(),
        *_exposition(),
        # Last, so that the others see both ends of a skipped message.
        Sharing(),
    ]


def _exposition() -> list[Middleware]:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return []
    # Imported here because the import creates a folder.
    from dramatiq.middleware.prometheus import Prometheus

    return [Prometheus()]


class _Rabbitmq(RabbitmqBroker):
    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer


class InMemory(StubBroker):
    """Dramatiq's StubBroker with separate queues for delayed messages, as with RabbitMQ.

    A worker prefetches only a few messages of a normal queue, so an e-mail due soon would wait behind later ones.
    """

    def get_declared_queues(self) -> set[str]:
        return super().get_declared_queues() - self.get_declared_delay_queues()


def _broker(settings: config.Broker, middleware: list[Middleware]) -> dramatiq.Broker:
    if settings.embedded:
        return InMemory(middleware=middleware)
    url = broker_connection.url(settings.blocked_timeout_seconds / _TRIES)
    # Without confirms a message that RabbitMQ never received would count as published.
    return _Rabbitmq(url=url, middleware=middleware, confirm_delivery=True)


class DatabaseConnections(Middleware):
    """Opens the database in every worker process, and keeps its sessions from message to message."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        database.open_database(f"punktual {this_worker()}")
        unresponsive_server.watch()

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, exception: BaseException | None = None, **_: Any
    ) -> None:
        if exception is None:
            database.give_back()
        else:
            database.close()


class LogContext(Middleware):
    """Adds the message to every log line written while it is handled."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        logs.bind(message=message.message_id, actor=message.actor_name)

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **_: Any) -> None:
        logs.unbind()

    after_skip_message = after_process_message
