"""A real database for each test process, emptied before each test that asks for it, and settings of the tests' own."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dramatiq
import hypothesis
import pytest
from cryptography.fernet import Fernet
from xdist.scheduler import LoadScopeScheduling

import config
from actors.process.broker import Role, build_broker
from models.store import database, embedded, migrate
from tests import factories as make
from tests import servers
from tests.dovecot import Dovecot
from tests.million import million, million_url, plans_of  # noqa: F401  # fixtures
from tests.round_trips import proxy  # noqa: F401  # a fixture
from tests.scraping import free_port
from tests.waiting import past_midnight

# The same examples in every run, so that failures are reproducible.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100, database=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=5000, database=None)
hypothesis.settings.load_profile("repeatable")

for name in [name for name in os.environ if name.startswith("PUNKTUAL_")]:
    del os.environ[name]
Override = Callable[..., None]
_HOME = Path(tempfile.mkdtemp(prefix="punktual-tests-"))
os.environ["PUNKTUAL_DATA_DIR"] = str(_HOME)
os.environ["PUNKTUAL_SECRET_KEY"] = Fernet.generate_key().decode()
os.environ["PUNKTUAL_LOG_FORMAT"] = "json"
# A database of the tests is a new installation, which would require one of every lead.
os.environ["PUNKTUAL_SENDING_REQUIRE_LEGAL_BASIS"] = "false"


# No two processes that test side by side have their pages at the same port.
os.environ["PUNKTUAL_METRICS_WORKER_PORT"] = str(free_port())
os.environ["PUNKTUAL_METRICS_TIMEKEEPER_PORT"] = str(free_port())
servers.begin()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "own_servers: stops or alters Postgres or RabbitMQ, and gets its own of both")
    config.addinivalue_line("markers", "slow: left out by `make test-quick`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start processes or servers as slow, and files whose tests take long."""
    for item in items:
        starts = {"million_url", "serve", "punktual", "dovecot"} & set(getattr(item, "fixturenames", ()))
        starts_servers = starts or item.get_closest_marker("own_servers")
        if starts_servers or item.path.parent.name in ("pipeline", "ops") or item.path.name in _SLOW:
            item.add_marker(pytest.mark.slow)
    if servers.PROCESS != "main":
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """In a run of several processes: see InOneProcess."""
    if item.path.parent.name == "pipeline":
        return 0 if item.path.name in ("test_chaos.py", "test_demo.py", "test_outage.py") else 1
    return 3 if item.path.name in ("test_million.py", "test_interleavings.py", "test_api_document.py") else 2


_SLOW = (
    *("test_commands.py", "test_embedded.py", "test_faked.py", "test_importing.py", "test_pythons.py"),
    # Those that wait for servers, or start some.
    *("test_channels.py", "test_database.py", "test_dial.py", "test_imap.py", "test_migrate.py", "test_serving.py"),
    "test_smtp.py",
    # Those that compute for long.
    *("test_interleavings.py", "test_reference.py", "test_world.py"),
)


def pytest_collection_finish() -> None:
    """Keep the collected tests out of every later round of the garbage collector."""
    gc.collect()
    gc.freeze()


class InOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # of a package without types
    """Distributes tests one by one, but runs all tests of some files in one process.

    The million rows are made once, and the embedded Postgres uses socket names that exist once per machine.
    Half of the processes begin at the front, with tests that mostly wait for processes and servers, and half at the
    end, with those that compute. On both sides the longest come first, so that the last ones are short.
    Grouped by file name: pytest-xdist 3.8 does not see its own mark for groups under pytest 9.2.
    See https://github.com/pytest-dev/pytest-xdist/issues/1386.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((file for file in ("test_million.py", "test_embedded.py") if f"/{file}::" in nodeid), nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        if self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        # Forget what is complete: with each test that ends, all that its process was given is counted again.
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InOneProcess:
    return InOneProcess(config, log)


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)
    if servers.PROCESS == "main":
        servers.end()


@pytest.fixture(scope="session", autouse=True)
def home() -> Path:
    return _HOME


@pytest.fixture(scope="session", autouse=True)
def broker() -> dramatiq.Broker:
    """The embedded default's: what is published stays in this test process."""
    return build_broker(Role.EMBEDDED)


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[str]:
    """The URL of a database of this test process's own, with the schema up to date."""
    url = servers.own_database()
    with servers.working_on(url):
        yield url


@pytest.fixture(scope="session")
def own_postgres(home: Path) -> Iterator[str]:
    """The URL of a database on a server that only this test process uses: `home / "postgres"`."""
    folder = home / "postgres"
    url = embedded.start(folder)
    with servers.working_on(url):
        migrate.migrate()
    yield url
    embedded.stop(folder, "immediate")


@pytest.fixture
def db(postgres: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """An empty database, and no transaction left open."""
    past_midnight(seconds=30)
    own = request.node.get_closest_marker("own_servers")
    with servers.working_on(request.getfixturevalue("own_postgres")) if own else nullcontext():
        make.nothing_left()
        # What this machine remembers of the rows that are gone now.
        shutil.rmtree(_HOME / "journal", ignore_errors=True)
        yield
        assert not database.database.in_transaction()
        make.as_if_new()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Override]:
    """Override settings for one test: settings(SENDING_RETRY_FACTOR=2)."""

    def override(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"PUNKTUAL_{name}", str(value))
        config.settings.cache_clear()

    yield override
    monkeypatch.undo()
    config.settings.cache_clear()
