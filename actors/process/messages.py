"""Rejects messages that are not ours, and logs each in one line without its content.

A message is only a hint, so rejecting one loses nothing. Without this, a message that Dramatiq cannot decode would end
its queue's consumer thread and be delivered again.
"""

import inspect
import json
from datetime import datetime
from functools import cache
from heapq import heappop, heappush
from typing import Any

from dramatiq import Broker, MessageProxy
from dramatiq.brokers.rabbitmq import _RabbitmqConsumer
from dramatiq.common import current_millis, q_name
from dramatiq.encoder import JSONEncoder

from ops.watch import logs

log = logs.get()

LONGEST_BYTES = 16_384
_FIELDS = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
# End of the year 9999 in milliseconds since the epoch; ids are lower.
_HIGHEST = 253_402_300_799_999
# RabbitMQ's consumer timeout.
_LONGEST_DELAY_MILLISECONDS = 30 * 60 * 1000
_UNREADABLE = "unreadable"


_signature = cache(inspect.signature)


class Unreadable(ValueError):
    """The message is not one of ours. Says why, without any of its content."""


class Encoder(JSONEncoder):
    """Decodes an unreadable message to a placeholder with the reason: Dramatiq would log its whole content."""

    def decode(self, data: bytes) -> dict[str, Any]:
        try:
            return _checked(data)
        except Unreadable as why:
            return {"queue_name": "", "actor_name": "", "args": (), "kwargs": {}, "options": {_UNREADABLE: str(why)}}


class Consumer(_RabbitmqConsumer):
    """Rejects messages that no actor of this process accepts, and wakes at the millisecond of a delayed one.

    Dramatiq looks at its delayed messages whenever it is given a message or None, which is by itself once a timeout.
    """

    def __init__(self, broker: Broker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._etas = Etas(timeout / 1000)

    def __next__(self) -> MessageProxy | None:
        # pika goes on with the same consumer, and with another timeout.
        self.iterator = self.channel.consume(
            self.queue_name, inactivity_timeout=self._etas.seconds_from(current_millis())
        )
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        if message is None:
            return None
        try:
            check(message, self.queue_name, self.broker)
        except Unreadable as why:
            log.warning("message_rejected", queue=self.queue_name, reason=str(why))
            self.nack(message)  # type: ignore[no-untyped-call]
            return None
        if (eta := message.options.get("eta")) is not None:
            self._etas.add(eta)
        return message


class Etas:
    """When the delayed messages that a consumer holds are to be sent on; times in milliseconds since the epoch."""

    def __init__(self, most: float) -> None:
        """most: seconds to wait at once."""
        self._most = most
        self._heap: list[int] = []

    def add(self, eta: int) -> None:
        heappush(self._heap, eta)

    def seconds_from(self, now: int) -> float:
        """Seconds until the next one. One whose time has come is not waited for, and forgotten: it is sent on next."""
        if not self._heap:
            return self._most
        left = max(self._heap[0] - now, 0)
        while self._heap and self._heap[0] <= now:
            heappop(self._heap)
        return min(self._most, left / 1000)


def check(message: MessageProxy, queue_name: str, broker: Broker) -> None:
    """Raise Unreadable unless an actor of this process is on this queue and accepts the message's arguments."""
    if why := message.options.get(_UNREADABLE):
        raise Unreadable(why)
    if message.queue_name != queue_name:
        raise Unreadable("it names another queue than the one it was in")
    actor = broker.actors.get(message.actor_name)
    if actor is None or actor.queue_name != q_name(queue_name):
        raise Unreadable("this queue has no such actor")
    try:
        _signature(actor.fn).bind(*message.args)
    except TypeError:
        raise Unreadable("its actor takes other arguments") from None


def _checked(data: bytes) -> dict[str, Any]:
    if len(data) > LONGEST_BYTES:
        raise Unreadable(f"it has {len(data)} bytes")
    try:
        it = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
    if not isinstance(it, dict) or it.keys() != _FIELDS:
        raise Unreadable("its fields are not those of a message")
    texts, numbers = ("queue_name", "actor_name", "message_id"), (it["message_timestamp"], *_list(it["args"]))
    if not all(isinstance(it[name], str) and len(it[name]) <= 100 for name in texts):
        raise Unreadable("its names are not short texts")
    if not all(map(_is_number, numbers)) or it["kwargs"] != {}:
        raise Unreadable("its arguments are not numbers in our range")
    if not isinstance(it["options"], dict) or not all(_is_option(*each) for each in it["options"].items()):
        raise Unreadable("it has options that we do not use")
    return it


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unreadable("its arguments are not a list")
    return value


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _HIGHEST


def _is_option(name: str, value: object) -> bool:
    match name:
        case "eta":
            return type(value) is int and 0 <= value <= current_millis() + _LONGEST_DELAY_MILLISECONDS
        case "scheduled_at":  # periodiq's
            return isinstance(value, str) and _is_time(value)
        case "installation":  # of actors/process/sharing.py, as the next
            return isinstance(value, str) and len(value) <= 100
        case "passed_on":
            return _is_number(value)
    return False


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
