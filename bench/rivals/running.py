"""Starts the rivals on rows that are ready, and ends them; or tells why one cannot be measured here."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from socket import create_connection
from urllib.parse import parse_qs, urlsplit

import config
from bench import rows
from bench.processes import Started, run, started, until
from bench.services import Database, Services, free_port

_NODE_FOLDER = config.ROOT / "bench"
_HERE = Path(__file__).parent

FILL = """
INSERT INTO mail (sender, recipient, fields, scheduled_at, message_id)
SELECT 'box' || n || '@sender.example', 'lead' || n || '@leads.example',
       jsonb_build_object('name', 'Lead ' || n, 'company', 'Bakery ' || n),
       date_trunc('milliseconds', %(begin)s::timestamptz + (n - 1) * %(apart)s::interval),
       '<' || gen_random_uuid() || '@sender.example>'
FROM generate_series(1, %(emails)s) n
"""


@dataclass(frozen=True)
class Rival:
    queue: str  # celery or bullmq
    kind: str  # short or gated

    @property
    def table(self) -> str:
        return "mail" if self.kind == "short" else "campaign_email_queue"

    @property
    def history(self) -> str:
        return "mail_history" if self.kind == "short" else "email_history"


@dataclass(frozen=True)
class Crew:
    """The processes of a rival: those that send, and its broker's if it is not RabbitMQ."""

    workers: Sequence[Started]
    broker: Started | None = None


def why_not(rival: Rival) -> str | None:
    """Why it cannot be measured on this machine."""
    if rival.queue == "celery":
        return None
    for program, package in (("redis-server", "redis-server"), ("node", "nodejs"), ("npm", "npm")):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install {package}"
    return None


def fill(rival: Rival, services: Services, *, emails: int, port: int, begin: datetime, apart: timedelta) -> Database:
    """A database with its mails planned."""
    database = services.database(migrated=rival.kind == "gated")
    if rival.kind == "gated":
        rows.due(database, emails=emails, campaigns=100, mailboxes=emails, port=port, begin=begin, apart=apart)
        return database
    database.ask((_HERE / "short.sql").read_text(encoding="utf-8"))
    database.ask(FILL, {"emails": emails, "begin": begin, "apart": apart})
    database.ask("VACUUM ANALYZE")
    return database


@contextmanager
def working(
    rival: Rival, services: Services, database: Database, port: int, processes: int, threads: int, *, eta: bool = False
) -> Iterator[Crew]:
    """Publishes all mails, and then starts its workers."""
    environment = {
        **os.environ,
        "BENCH_RIVAL": rival.kind,
        "BENCH_PORT": str(port),
        "BENCH_ETA": "1" if eta else "0",
        "BENCH_THREADS": str(threads),
    }
    start = _celery if rival.queue == "celery" else _bullmq
    with start(services, database, environment, processes, threads) as crew:
        yield crew


@contextmanager
def _celery(
    services: Services, database: Database, environment: dict[str, str], processes: int, threads: int
) -> Iterator[Crew]:
    broker_url = services.virtual_host()
    environment |= {"BENCH_BROKER": broker_url, "BENCH_DATABASE": database.url}
    run([sys.executable, "-m", "bench.rivals.celery_app"], environment)
    command = [sys.executable, "-m", "celery", "-A", "bench.rivals.celery_app", "worker", "-P", "threads"]
    command += ["-c", str(threads), "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"]
    with ExitStack() as stack:
        yield Crew(
            [
                stack.enter_context(started([*command, "-n", f"w{n}@%h"], environment, services.log("celery")))
                for n in range(processes)
            ]
        )
    services.end_virtual_host(broker_url)


@contextmanager
def _bullmq(
    services: Services, database: Database, environment: dict[str, str], processes: int, threads: int
) -> Iterator[Crew]:
    _install_packages(environment)
    port = free_port()
    folder = services.home / "redis" / f"{os.getpid()}-{port}"
    folder.mkdir(parents=True)
    redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    redis += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    environment |= {"BENCH_REDIS": str(port), "BENCH_DATABASE": json.dumps(_for_node(database.url))}
    environment |= {"BENCH_LETTER": json.dumps({"subject": rows.SUBJECT, "text": rows.TEXT})}
    command = ["node", str(_HERE / "bull.mjs")]
    with ExitStack() as stack:
        broker = stack.enter_context(started(redis, environment, services.log("redis")))
        until(lambda: _accepts(port), "Redis", 30)
        run([*command, "publish"], environment)
        log = services.log("bullmq")
        yield Crew(
            [stack.enter_context(started([*command, "work"], environment, log)) for _ in range(processes)], broker
        )


def _install_packages(environment: dict[str, str]) -> None:
    """Once: what package-lock.json pins."""
    lock, installed = _NODE_FOLDER / "package-lock.json", _NODE_FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        run(["npm", "ci"], environment, _NODE_FOLDER)


def socket_of(url: str) -> str:
    """The Unix socket on which the embedded Postgres listens."""
    return f"{_for_node(url)['host']}/.s.PGSQL.5432"


def name_of(url: str) -> str:
    return _for_node(url)["database"]


def _for_node(url: str) -> dict[str, str]:
    """libpq's URL with a socket's folder, as the package pg wants it."""
    parts = urlsplit(url)
    return {"host": parse_qs(parts.query)["host"][0], "database": parts.path.lstrip("/"), "user": parts.username or ""}


def _accepts(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
