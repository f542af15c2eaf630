"""Checks that RabbitMQ lets us in and has our queues as Dramatiq declares them: for doctor and readiness."""

from collections.abc import Iterator
from typing import Any

import pika
from dramatiq.brokers.rabbitmq import DEAD_MESSAGE_TTL
from dramatiq.common import dq_name, xq_name
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from ops import broker_connection

QUEUES = ("deliver", "evidence", "inbox", "tick", "upkeep")
# Nothing is ever delayed in this queue, so reading from it tests the permission without taking a message.
_ALWAYS_EMPTY = dq_name("evidence")
_OTHER_ARGUMENTS, _NO_RIGHTS = 406, 403  # reply codes of AMQP 0-9-1


def why_not(seconds: float) -> str | None:
    """Why RabbitMQ cannot be used, without secrets; None: it can. seconds: timeout of each step."""
    parameters = broker_connection.parameters(seconds)
    try:
        with pika.BlockingConnection(parameters) as connection:
            return _of_queues(connection.channel(), parameters.virtual_host)
    except ProbableAuthenticationError:
        return "RabbitMQ refuses the user name or password in PUNKTUAL_BROKER_URL"
    except ProbableAccessDeniedError as error:
        return _of_virtual_host(str(error), parameters.virtual_host)
    except broker_connection.AWAY:
        return "RabbitMQ does not answer"


def declared() -> Iterator[tuple[str, dict[str, Any]]]:
    """Our queues, with the arguments that Dramatiq declares them with."""
    for queue in QUEUES:
        rejected = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": xq_name(queue)}
        yield queue, rejected
        yield dq_name(queue), rejected
        yield xq_name(queue), {"x-message-ttl": DEAD_MESSAGE_TTL}


def _of_virtual_host(words: str, name: str) -> str:
    if "not found" in words:
        return f"RabbitMQ has no virtual host {name}: `rabbitmqctl add_vhost {name}`, or correct PUNKTUAL_BROKER_URL"
    return (
        f"the user has no access to the virtual host {name}:"
        f' `rabbitmqctl set_permissions --vhost {name} USER ".*" ".*" ".*"`'
    )


def _of_queues(channel: BlockingChannel, virtual_host: str) -> str | None:
    """Why our queues cannot be used; None: they can. Declares them, which changes nothing if they exist like that."""
    name = ""
    try:
        for name, arguments in declared():
            channel.queue_declare(name, durable=True, arguments=arguments)
        name = _ALWAYS_EMPTY
        channel.basic_get(name)
    except ChannelClosedByBroker as error:
        if error.reply_code == _OTHER_ARGUMENTS:
            return (
                f"queue {name} exists with other arguments and cannot be used: stop Punktual,"
                f" `rabbitmqctl delete_queue --vhost {virtual_host} {name}`, start it again; no e-mail is lost"
                f" ({error.reply_text})"
            )
        if error.reply_code == _NO_RIGHTS:
            return (
                f"the user lacks permissions on queue {name}:"
                f' `rabbitmqctl set_permissions --vhost {virtual_host} USER ".*" ".*" ".*"`'
            )
        raise
    return None
