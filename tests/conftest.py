"""A real Postgres for the whole run, emptied before each test that asks for it, and settings of the tests' own."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from cryptography.fernet import Fernet

import config
from models import database, embedded, migrate
from tests import factories as make
from tests.dovecot import Dovecot
from tests.million import million, million_url, plans_of  # noqa: F401  # fixtures

# The same examples in every run: a failing test is to be understood, not run again.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=200, database=None)
hypothesis.settings.load_profile("repeatable")

for name in [name for name in os.environ if name.startswith("PUNKTUAL_")]:
    del os.environ[name]
Override = Callable[..., None]
_HOME = Path(tempfile.mkdtemp(prefix="punktual-tests-"))
os.environ["PUNKTUAL_DATA_DIR"] = str(_HOME)
os.environ["PUNKTUAL_SECRET_KEY"] = Fernet.generate_key().decode()
os.environ["PUNKTUAL_LOG_FORMAT"] = "json"


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Path]:
    yield _HOME
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[str]:
    """The URL of a database of the tests' own, with the schema up to date."""
    folder = home / "postgres"
    url = embedded.start(folder)
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("tests")
    migrate.migrate()
    yield url
    database.close()
    embedded.stop(folder, "immediate")


@pytest.fixture
def db(postgres: str) -> Iterator[None]:
    """An empty database, and no transaction left open."""
    make.nothing_left()
    # What this machine remembers of the rows that are gone now.
    shutil.rmtree(_HOME / "journal", ignore_errors=True)
    yield
    assert not database.database.in_transaction()
    database.close()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Override]:
    """Override settings for one test: settings(SENDING_MAX_ATTEMPTS=2)."""

    def override(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"PUNKTUAL_{name}", str(value))
        config.settings.cache_clear()

    yield override
    monkeypatch.undo()
    config.settings.cache_clear()
