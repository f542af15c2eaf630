"""The product as it runs for real: several processes on a RabbitMQ, a Postgres and an SMTP server."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pika
import psutil
import pytest
from dramatiq import Message

import config
from models.email.hints import Hint
from models.health import invariants
from ops.rabbitmq import RabbitMQ
from tests import factories as make
from tests import servers
from tests.forking import Forked, admin
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND, past_midnight, until

# A queue that is asked for before anybody has declared it is nothing to warn of here.
logging.getLogger("pika").setLevel(logging.CRITICAL)
QUEUES = [f"{name}{kind}" for name in ("deliver", "evidence", "inbox", "tick", "upkeep") for kind in ("", ".DQ", ".XQ")]


@pytest.fixture(scope="session")
def virtual_host() -> str:
    """The URL of this test process's virtual host on the node that all share."""
    return servers.own_virtual_host()


@pytest.fixture(scope="session")
def rabbitmq(home: Path) -> Iterator[RabbitMQ]:
    """A node that only this test process uses."""
    node = RabbitMQ(home / "rabbitmq")
    node.start()
    yield node
    node.stop()


def runs(process: psutil.Process) -> bool:
    """A zombie process is not running."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


Process = subprocess.Popen[bytes] | Forked


class Punktual:
    """The running processes of one test, and what a test may do to them."""

    def __init__(self, broker_url: str, own_node: RabbitMQ | None, smtp: SmtpServer, log: Path) -> None:
        self.broker_url, self._own_node, self.smtp, self.log = broker_url, own_node, smtp, log
        self.processes: list[Process] = []
        self.environment = {
            "PUNKTUAL_BROKER_URL": broker_url,
            "PUNKTUAL_WORKER_PROCESSES": "1",
            "PUNKTUAL_WORKER_THREADS": "4",
        }

    @property
    def node(self) -> RabbitMQ:
        """The test's own RabbitMQ, to be stopped and altered as it likes."""
        assert self._own_node, "other tests use this RabbitMQ too: mark the test `own_servers`"
        return self._own_node

    def run(self, name: str, **environment: str) -> Forked:
        return self.fork("actors", name, **environment)

    def consume(self, role: str, **environment: str) -> Forked:
        """One process that consumes the role's queues, without a supervisor."""
        return self.fork("actors.process.consume", role, "4", **environment)

    def fork(self, *command: str, **environment: str) -> Forked:
        environment = {**os.environ, **self.environment, **environment}
        self.log.touch()  # which a test may read before the process has come so far
        process = Forked(command, environment, out=self.log, err=self.log)
        self.processes.append(process)
        return process

    def altered_worker(self, name: str, role: str = "worker", **environment: str) -> subprocess.Popen[bytes]:
        """One of tests/pipeline/workers, in a single process."""
        return self.start([sys.executable, "-m", f"tests.pipeline.workers.{name}", role, "4"], **environment)

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=config.ROOT,
                env={**os.environ, **self.environment, **environment},
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        return process

    def admin(self, *arguments: str, **environment: str) -> None:
        """Run an admin command while the processes run."""
        admin(*arguments, **{**self.environment, **environment}).check_returncode()

    def family(self) -> list[psutil.Process]:
        """All running processes of this test, with those below them."""
        running = [psutil.Process(each.pid) for each in self.processes if each.poll() is None]
        return [member for each in running for member in (each, *each.children(recursive=True)) if runs(member)]

    def kill(self, process: Process) -> None:
        """SIGKILL to the process and all below it, at once."""
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in family:
            each.suspend()
        for each in family:
            each.kill()
        process.wait(BOUND)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill(process)

    def mailbox(self, **changes: Any) -> int:
        return make.a_mailbox(smtp_host="127.0.0.1", smtp_port=self.smtp.port, **changes)

    def tick(self) -> None:
        """What periodiq would send within the minute."""
        self.publish(Message(queue_name="tick", actor_name="tick", args=(), kwargs={}, options={}))

    def hint(self, hint: Hint) -> None:
        arguments = (hint.email_id, round(hint.scheduled_at.timestamp() * 1000))
        self.publish(Message(queue_name="deliver", actor_name="deliver", args=arguments, kwargs={}, options={}))

    def publish(self, message: Message[None]) -> None:
        # RabbitMQ drops what is sent to a queue that nobody has declared yet.
        until(lambda: self.consumers(message.queue_name), f"somebody to listen to {message.queue_name}")
        with self.connection() as connection:
            connection.channel().basic_publish("", message.queue_name, message.encode())

    def purge(self) -> None:
        with self.connection() as connection:
            for queue in QUEUES:
                try:
                    connection.channel().queue_purge(queue)
                except pika.exceptions.ChannelClosedByBroker:
                    continue  # not declared yet

    def messages(self) -> dict[str, int]:
        """Queue -> messages in it, held ones included."""
        node, name = self._own_node or servers.rabbitmq(), unquote(urlsplit(self.broker_url).path[1:])
        lines = node.ctl("list_queues", "-p", name, "name", "messages", "--no-table-headers").splitlines()
        return {name: int(count) for name, count in (line.split() for line in lines)}

    def connection(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.broker_url))

    def listening(self, *queues: str) -> None:
        """Wait until somebody consumes these queues."""
        until(
            lambda: all(self.consumers(queue) for queue in queues or ["deliver", "deliver.DQ"]), "the workers to listen"
        )

    def consumers(self, queue: str) -> int:
        with self.connection() as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)
            except pika.exceptions.ChannelClosedByBroker:
                return 0


@pytest.fixture
def punktual(db: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Punktual]:
    past_midnight(seconds=90)
    node: RabbitMQ | None = None
    if request.node.get_closest_marker("own_servers"):
        node = request.getfixturevalue("rabbitmq")
        node.start()  # a test that failed may have left it stopped
    with SmtpServer() as smtp:
        url = node.url if node else request.getfixturevalue("virtual_host")
        running = Punktual(url, node, smtp, tmp_path / "processes.log")
        running.purge()
        yield running
        running.end()
        broken = [it for it in invariants.check() if not it.holds]
        running.purge()
    if running.log.exists():
        print(running.log.read_text()[-20_000:])
    assert not broken, "whatever a test does, the rows agree in the end"
