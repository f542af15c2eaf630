"""What waits in a queue of RabbitMQ, as far as AMQP tells: what a worker holds unacknowledged it does not count."""

from typing import NamedTuple

import pika
from pika.exceptions import ChannelClosedByBroker

from ops import broker_connection


class BrokerAway(Exception):
    """RabbitMQ does not answer."""


class Backlog(NamedTuple):
    messages: int  # delayed ones included
    consumers: int


def backlog(queue: str, step_seconds: float) -> Backlog:
    """step_seconds: how long one step may take."""
    try:
        with pika.BlockingConnection(broker_connection.parameters(step_seconds)) as connection:
            now, later = (_counts(connection, name) for name in (queue, f"{queue}.DQ"))
    except broker_connection.AWAY as error:
        raise BrokerAway(f"RabbitMQ does not answer ({type(error).__name__})") from None
    return Backlog(now.messages + later.messages, now.consumers)


def _counts(connection: pika.BlockingConnection, queue: str) -> Backlog:
    try:
        found = connection.channel().queue_declare(queue, passive=True).method
    except ChannelClosedByBroker:
        return Backlog(0, 0)  # nobody has declared it yet
    return Backlog(found.message_count, found.consumer_count)
