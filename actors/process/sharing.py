"""Detects messages of another installation on the same RabbitMQ virtual host.

Both would consume each other's hints. Each message carries its installation's mark; a foreign one is put back into the
queue. `doctor` and readiness report a shared virtual host.
"""

import os
import time
from typing import Any

from dramatiq import Broker, Message, MessageProxy
from dramatiq.errors import BrokerError
from dramatiq.middleware import Middleware, SkipMessage

from models.health import heartbeats
from models.store import database, installation
from ops.watch import logs

log = logs.get()

_MARK = "INSTALLATION_MARK"
_OPTION, _PASSED_ON = "installation", "passed_on"
# RabbitMQ delivers round-robin, so few tries suffice. After that the other's tick hints at the e-mail again.
_MOST_TIMES = 50
_BEAT_EVERY_SECONDS = 10.0


def mark_processes() -> None:
    """Set the installation mark in the environment of child processes. Needs the database."""
    os.environ[_MARK] = installation.fingerprint()


class Sharing(Middleware):
    """Marks sent messages and puts foreign ones back. Off in a process without a mark; accepts unmarked messages."""

    def __init__(self) -> None:
        self._mark = os.environ.get(_MARK)
        self._beat_at = 0.0

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        if self._mark:
            message.options.setdefault(_OPTION, self._mark)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        bears, passed_on = message.options.get(_OPTION), message.options.get(_PASSED_ON, 0)
        is_foreign = bool(self._mark and bears and bears != self._mark)
        if is_foreign or passed_on:
            self._tell(message.queue_name)
        if is_foreign:
            _pass_on(broker, message, passed_on + 1)
            raise SkipMessage("it is another installation's")

    def _tell(self, queue: str) -> None:
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + _BEAT_EVERY_SECONDS
        log.error("virtual_host_is_shared", queue=queue, reason=heartbeats.SHARED)
        try:
            heartbeats.beat(heartbeats.FOREIGN_MESSAGE)
        except database.FAILURES as failure:
            log.warning("sharing_not_recorded", error=type(failure).__name__)
            database.close()


def _pass_on(broker: Broker, message: MessageProxy, times: int) -> None:
    if times > _MOST_TIMES:
        log.warning("foreign_message_dropped", queue=message.queue_name)
        return
    try:
        broker.enqueue(message.copy(options={_PASSED_ON: times}))
    except (BrokerError, OSError) as failure:
        log.warning("foreign_message_dropped", queue=message.queue_name, error=type(failure).__name__)
