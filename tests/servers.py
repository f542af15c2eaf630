"""The Postgres and the RabbitMQ that all test processes of a run share; each has its own database and virtual host.

The first process that asks starts a server, and the one that began the run ends it. A test that stops or alters a
server bears the mark `own_servers`: it gets others, which no other process uses.
"""

import fcntl
import os
import shutil
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import config
from models.store import database, embedded, migrate
from ops.rabbitmq import RabbitMQ
from tests.waiting import BOUND, until

_HOME = "TESTS_SHARED_HOME"
_TEMPLATE = "tests_template"
# A crash of the shared server would lose nothing that anybody wants, and every test empties its tables.
_IN_A_HURRY = ("max_connections = 400", "fsync = off", "synchronous_commit = off", "full_page_writes = off")

# Which of the run's processes this is: a word for names of databases and virtual hosts.
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "main")


def begin() -> None:
    """Called by every process of the run, before anything else is; the first one decides where the servers live."""
    if _HOME not in os.environ:
        os.environ[_HOME] = tempfile.mkdtemp(prefix="punktual-tests-shared-")


def end() -> None:
    """Called by the process that began the run, after all others have ended."""
    home = Path(os.environ.pop(_HOME))
    embedded.stop(home / "postgres", "immediate")
    if (home / "rabbitmq").exists():
        RabbitMQ(home / "rabbitmq").stop()
    shutil.rmtree(home, ignore_errors=True)


def own_database() -> str:
    """The URL of an empty database of this process, with the schema up to date."""
    home = Path(os.environ[_HOME])
    with _alone(home / "postgres.lock"):
        template = home / "template"
        if not template.exists():
            template.write_text(_make_template(home / "postgres"))
        url = template.read_text()
        with working_on(url):
            database.execute(f"CREATE DATABASE tests_{PROCESS} TEMPLATE {_TEMPLATE}")
    return at_database(url, f"tests_{PROCESS}")


def _make_template(folder: Path) -> str:
    """Start the server, and return the URL of its first database, which nothing else uses."""
    embedded.start(folder)
    embedded.stop(folder)
    with (folder / "postgresql.auto.conf").open("a") as settings:
        settings.writelines(f"{line}\n" for line in _IN_A_HURRY)
    url = embedded.start(folder)
    with working_on(url):
        database.execute(f"CREATE DATABASE {_TEMPLATE}")
    with working_on(at_database(url, _TEMPLATE)):
        migrate.migrate()
    return url


def own_virtual_host() -> str:
    """The URL of a virtual host of this process."""
    home = Path(os.environ[_HOME])
    with _alone(home / "rabbitmq.lock"):
        node = rabbitmq()
        node.start()
        until(lambda: _add_virtual_host(node, PROCESS), "RabbitMQ's pages to answer")
    return urlunsplit(urlsplit(node.url)._replace(path=f"/{PROCESS}"))


def rabbitmq() -> RabbitMQ:
    return RabbitMQ(Path(os.environ[_HOME]) / "rabbitmq")


def _add_virtual_host(node: RabbitMQ, name: str) -> bool:
    """By the HTTP API, which is faster than rabbitmqctl. Whoever adds one may use it. False: it does not answer yet."""
    request = urllib.request.Request(f"{node.pages}/api/vhosts/{name}", method="PUT")
    request.add_header("Authorization", f"Basic {b64encode(b'guest:guest').decode()}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=BOUND) as answer:
            return bool(answer.status in (201, 204))
    except OSError:
        return False


@contextmanager
def working_on(url: str) -> Iterator[None]:
    """Use another database in this process until the block ends."""
    before = os.environ.get("PUNKTUAL_DATABASE_URL")
    _open(url)
    try:
        yield
    finally:
        _open(before)


def _open(url: str | None) -> None:
    database.close()
    os.environ.pop("PUNKTUAL_DATABASE_URL", None)
    if url is not None:
        os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    if url is not None:
        database.open_database("tests")


# Not by pg_stat_activity, which stands still inside a transaction. A lock on a row names no database.
_LOCK_WAITS = """
SELECT count(DISTINCT waits.pid) FROM pg_locks waits JOIN pg_locks here ON here.pid = waits.pid
WHERE NOT waits.granted AND here.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def lock_waits() -> int:
    """How many sessions of this process's database wait for a lock."""
    return int(database.fetch(_LOCK_WAITS)[0][0])


def at_database(url: str, name: str) -> str:
    """The same server's database of this name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that one process of the run can hold at a time."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
