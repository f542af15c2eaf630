"""Tells this installation's messages from those of another one on the same virtual host of RabbitMQ.

Both consume the same queues, and would take each other's hints. Each message carries the id of its installation; who
receives a foreign one passes it on. `doctor` and readiness report that the virtual host is shared.
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
# RabbitMQ gives messages to its consumers in turn. Then the tick hints at the mail again.
_MOST_TIMES = 50
_BEAT_EVERY_SECONDS = 10.0


def mark_processes() -> None:
    """Have the processes that are started from here know which installation they belong to. Needs the database."""
    os.environ[_MARK] = installation.fingerprint()


class Sharing(Middleware):
    """Does nothing in a process that was started without a mark, and lets through what bears none."""

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
