"""What waits in a queue of RabbitMQ, as far as AMQP tells: what a worker holds unacknowledged it does not count."""

from typing import NamedTuple

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

import config


class BrokerAway(Exception):
    """RabbitMQ does not answer."""


class Backlog(NamedTuple):
    messages: int  # delayed ones included
    consumers: int


def backlog(queue: str) -> Backlog:
    try:
        with pika.BlockingConnection(_parameters()) as connection:
            now, later = (_counts(connection, name) for name in (queue, f"{queue}.DQ"))
    except (AMQPError, OSError) as error:
        # Its words may hold the URL, and that the password.
        raise BrokerAway(f"RabbitMQ does not answer ({type(error).__name__})") from None
    return Backlog(now.messages + later.messages, now.consumers)


def _counts(connection: pika.BlockingConnection, queue: str) -> Backlog:
    try:
        found = connection.channel().queue_declare(queue, passive=True).method
    except ChannelClosedByBroker:
        return Backlog(0, 0)  # nobody has declared it yet
    return Backlog(found.message_count, found.consumer_count)


def _parameters() -> pika.URLParameters:
    settings = config.settings().broker
    parameters = pika.URLParameters(settings.url.get_secret_value())
    parameters.blocked_connection_timeout = settings.blocked_timeout_seconds
    return parameters
