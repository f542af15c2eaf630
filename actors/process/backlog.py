"""The number of messages waiting in a RabbitMQ queue, by AMQP: without those that a worker holds unacknowledged."""

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
    """Count a queue's messages, delayed ones too, and its consumers. Raises BrokerAway.

    step_seconds: timeout of each step of the connection.
    """
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
        return Backlog(0, 0)  # not declared yet
    return Backlog(found.message_count, found.consumer_count)
