"""How RabbitMQ is reached: the configured URL with a limit for each step, for all who connect to it."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

import config

# Raised while RabbitMQ is away. The words may hold the URL, and that the password.
AWAY = (AMQPError, AMQPConnectorException, OSError)


def url(step_seconds: float) -> str:
    """With its secrets. step_seconds: how long one step may take: to connect, to log in, to wait while it is blocked.

    Where the configured URL says something about them itself, the settings win: pika takes each only once.
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
    """For one try."""
    found = pika.URLParameters(url(step_seconds))
    found.connection_attempts = 1
    return found
