"""Private instances of the four servers that Punktual uses, each reached only through a proxy."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pika

from models.store import embedded
from ops.rabbitmq import RabbitMQ
from tests.chaos.proxy import Proxy
from tests.dovecot import Dovecot
from tests.smtp_server import SmtpServer

CREDENTIALS = ("ola", "correct-horse")
_QUEUES = [f"{name}{kind}" for name in ("deliver", "tick") for kind in ("", ".DQ")]


class Servers:
    def __init__(self, home: Path) -> None:
        self.database_home = home / "postgres"
        self.broker = RabbitMQ(home / "rabbitmq")
        self.smtp = SmtpServer(credentials=CREDENTIALS)
        self.imap = Dovecot(password=CREDENTIALS[1])
        self.broker_lock, self.database_lock = threading.Lock(), threading.Lock()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.database_url = embedded.start(self.database_home)
            stack.callback(embedded.stop, self.database_home, "immediate")
            stack.callback(self.broker.stop)
            self.broker.start()
            stack.enter_context(self.smtp)
            stack.enter_context(self.imap)
            self.proxies = {
                "broker": stack.enter_context(Proxy(("127.0.0.1", self.broker.port))),
                "database": stack.enter_context(Proxy(_socket_of(self.database_url))),
                "smtp": stack.enter_context(Proxy(("127.0.0.1", self.smtp.port))),
                "imap": stack.enter_context(Proxy(("127.0.0.1", self.imap.port))),
            }
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def environment(self) -> dict[str, str]:
        """Where Punktual finds them: at the proxies."""
        broker, database = (f"127.0.0.1:{self.proxies[name].port}" for name in ("broker", "database"))
        return {
            "PUNKTUAL_BROKER_URL": f"amqp://guest:guest@{broker}/%2F",
            "PUNKTUAL_DATABASE_URL": f"postgresql://postgres@{database}/postgres?sslmode=disable&gssencmode=disable",
        }

    def purge(self) -> bool:
        """Empty the queues. False: the broker is away."""
        return self._ask_broker(lambda channel, queue: channel.queue_purge(queue), _QUEUES)

    def publish(self, queue: str, message: bytes) -> bool:
        return self._ask_broker(lambda channel, name: channel.basic_publish("", name, message), [queue])

    def _ask_broker(self, act: Callable[[Any, str], object], queues: list[str]) -> bool:
        try:
            with pika.BlockingConnection(pika.URLParameters(self.broker.url)) as connection:
                for queue in queues:
                    with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):  # nobody has declared it yet
                        act(connection.channel(), queue)
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True


def _socket_of(url: str) -> str:
    """The Unix socket on which the embedded Postgres listens."""
    [folder] = parse_qs(urlsplit(url).query)["host"]
    return f"{folder}/.s.PGSQL.5432"
