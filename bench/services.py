"""The servers of a run: an own Postgres and RabbitMQ below var/bench, and a database and virtual host for each case."""

import os
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg2

import config
from bench.processes import Started, cpu_seconds, run, until
from models.store import embedded
from ops.rabbitmq import RabbitMQ


class Database:
    """A database of its own, and a connection to it for what the benchmark asks."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self.asked = 0  # how many transactions the benchmark itself has caused

    def ask(self, query: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        self.asked += 1
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def one(self, query: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """The first column of the only row."""
        return self.ask(query, values)[0][0]

    def close(self) -> None:
        self._connection.close()


class Services:
    """Postgres and RabbitMQ for the benchmark alone. home: the folder of all data and logs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rabbitmq = RabbitMQ(home / "rabbitmq")
        self._cases = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(embedded.stop, self.home / "postgres", "immediate")
            stack.callback(self.rabbitmq.stop)
            self.start()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self) -> None:
        """Start Postgres and RabbitMQ unless they run."""
        self._postgres_url = embedded.start(self.home / "postgres")
        self.rabbitmq.start()

    def kill(self) -> None:
        """Crash Postgres and RabbitMQ."""
        self.rabbitmq.kill()
        embedded.stop(self.home / "postgres", "immediate")

    def database(self, *, migrated: bool = True) -> Database:
        """Create an empty database, with the product's schema if `migrated`. Drops the one before."""
        name = f"bench_{'product' if migrated else 'rival'}"
        with closing(Database(self._postgres_url)) as server:
            server.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.ask(f"CREATE DATABASE {name}")
        found = Database(urlunsplit(urlsplit(self._postgres_url)._replace(path=f"/{name}")))
        if migrated:
            run([sys.executable, "-m", "admin", "migrate"], self.environment(found.url))
        return found

    def again(self, database: Database) -> Database:
        """Connect to the same database after its server was started again."""
        return until(lambda: _connected(database.url), "Postgres", 120)

    def virtual_host(self) -> str:
        """The URL of a new, empty virtual host."""
        self._cases += 1
        name = f"case-{os.getpid()}-{self._cases}"
        until(lambda: self._ask_rabbitmq("PUT", f"vhosts/{name}"), "RabbitMQ's pages", 60)
        return urlunsplit(urlsplit(self.rabbitmq.url)._replace(path=f"/{name}"))

    def end_virtual_host(self, url: str) -> None:
        """Delete it with all its messages."""
        self._ask_rabbitmq("DELETE", f"vhosts{urlsplit(url).path}")

    def environment(self, database_url: str, broker_url: str = "", **settings: object) -> dict[str, str]:
        """The environment of the product's processes: a data folder of their own, and these settings."""
        self._cases += 1
        values = {
            "DATA_DIR": self.home / "data" / f"{os.getpid()}-{self._cases}",
            "DATABASE_URL": database_url,
            "METRICS_WORKER_PORT": free_port(),
            "METRICS_TIMEKEEPER_PORT": free_port(),
            "WEB_PORT": free_port(),
            "LOG_FORMAT": "json",
            **({"BROKER_URL": broker_url} if broker_url else {}),
            **settings,
        }
        ours = {f"{config.PREFIX}{name}": str(value) for name, value in values.items()}
        # Compiled once, as where Punktual is operated, whatever this shell has set; not beside the sources.
        theirs = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**theirs, "PYTHONPYCACHEPREFIX": str(self.home / "bytecode"), **ours}

    def postgres_cpu(self) -> float:
        return cpu_seconds(int((self.home / "postgres" / "postmaster.pid").read_text().splitlines()[0]))

    @contextmanager
    def cpu_beside(self, process: Started, times: int = 1) -> Iterator[dict[str, float]]:
        """CPU seconds of the process and of Postgres during the block, divided by `times`. Read them after it."""
        found: dict[str, float] = {}
        before = process.cpu_seconds(), self.postgres_cpu()
        yield found
        own, postgres = process.cpu_seconds() - before[0], self.postgres_cpu() - before[1]
        both = {"cpu": own, "postgres_cpu": postgres, "busy_s": own + postgres}
        found |= {name: seconds / times for name, seconds in both.items()}

    def rabbitmq_cpu(self) -> float:
        return cpu_seconds(int((self.rabbitmq.home / "node.pid").read_text()))

    def messages(self) -> float:
        """How many messages RabbitMQ was given since it was started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rabbitmq.metrics_port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        name = "rabbitmq_global_messages_received_total"
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def log(self, name: str) -> Path:
        folder = self.home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def _ask_rabbitmq(self, method: str, path: str) -> bool:
        request = urllib.request.Request(f"{self.rabbitmq.pages}/api/{path}", method=method)
        request.add_header("Authorization", f"Basic {b64encode(b'guest:guest').decode()}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bool(answer.status in (201, 204))
        except OSError:
            return False


def _connected(url: str) -> Database | None:
    try:
        return Database(url)
    except psycopg2.OperationalError:
        return None


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
