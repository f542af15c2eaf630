"""Connection parameters for RabbitMQ: the configured URL, with a timeout for each step."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

import config

# Raised while RabbitMQ is away. The message may contain the URL, with its password.
AWAY = (AMQPError, AMQPConnectorException, OSError)


def url(step_seconds: float) -> str:
    """The URL with its secrets. step_seconds: timeout for connecting, logging in, and a blocked connection.

    Settings override the same parameters in the configured URL: pika accepts each only once.
    """
    settings = config.settings().broker
    parts = urlsplit(settings.url.get_secret_value())
    limits = {
        "heartbeat": settings.heartbeat_seconds,
        "blocked_connection_timeout": step_seconds,
        "socket_timeout": step_seconds,
        "stack_timeout": step_seconds,
    }
    return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **limits})))


def parameters(step_seconds: float) -> pika.URLParameters:
    """The parameters for a single connection attempt."""
    found = pika.URLParameters(url(step_seconds))
    found.connection_attempts = 1
    return found
