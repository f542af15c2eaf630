"""A process that cannot start says why in one line, whichever it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import config
from models.store import migrate
from models.store.embedded import EmbeddedPostgresFailed
from models.store.vault import KeyInvalid
from ops.run.starting import starting

BROKER = "amqp://guest:guest@127.0.0.1/%2F"
# With the broker that each of them runs on.
PROCESSES = (
    ("actors worker", BROKER),
    ("actors timekeeper", BROKER),
    ("actors embedded", "embedded"),
    ("web", "embedded"),
    ("admin status", "embedded"),
    ("ops.run.together", "embedded"),
    ("ops.supervise", BROKER),
)


def started(process: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *process.split()],
        cwd=config.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("process", "broker"), PROCESSES, ids=[name for name, _ in PROCESSES])
class TestAProcess:
    def test_whose_embedded_postgres_cannot_start_says_so_in_one_line(
        self, tmp_path: Path, process: str, broker: str
    ) -> None:
        (tmp_path / "a file").touch()

        done = started(
            process,
            PUNKTUAL_DATA_DIR=str(tmp_path / "a file"),
            PUNKTUAL_DATABASE_URL="embedded",
            PUNKTUAL_BROKER_URL=broker,
        )

        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line == f"punktual: Postgres below {tmp_path / 'a file' / 'postgres'} did not start: Not a directory"

    def test_whose_database_is_away_says_so_in_one_line(self, process: str, broker: str) -> None:
        url = "postgresql://nobody@127.0.0.1:1/none"

        done = started(process, PUNKTUAL_DATABASE_URL=url, PUNKTUAL_BROKER_URL=broker)

        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith("punktual: the database does not answer: ")

    def test_with_a_setting_that_there_is_not_says_so_in_one_line(self, process: str, broker: str) -> None:
        done = started(process, PUNKTUAL_BROKER_URL=broker, PUNKTUAL_SENDIGN_MAX_ATTEMPTS="2")

        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith("punktual: PUNKTUAL_SENDIGN_MAX_ATTEMPTS: no such setting")


class _Refused(Exception):
    """Something else that a process may be refused."""


class TestARefusal:
    @pytest.mark.parametrize(
        "kind", [EmbeddedPostgresFailed, KeyInvalid, config.SettingsInvalid, migrate.SchemaOutdated, _Refused]
    )
    def test_is_told_without_what_would_begin_another_line(self, kind: type[Exception]) -> None:
        with pytest.raises(SystemExit) as ended, starting(_Refused):
            raise kind("no\nmore")

        assert ended.value.code == "punktual: no\\u000amore"

    def test_that_nobody_knows_is_no_refusal(self) -> None:
        with pytest.raises(_Refused), starting():
            raise _Refused
