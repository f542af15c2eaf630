"""The demo as a newcomer meets it, interrupted in the middle and started again."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from models import embedded
from ops.catcher import read_caught
from tests.waiting import until


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    embedded.stop(tmp_path / "postgres", "immediate")


def start(var: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PUNKTUAL_DATA_DIR": str(var),
        "PUNKTUAL_DATABASE_URL": "embedded",
        "PUNKTUAL_BROKER_URL": "embedded",
        "COLUMNS": "60",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "admin", "demo"],
        cwd=config.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A run in the background has Ctrl-C switched off, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_interrupted_and_started_again_it_ends_with_each_mail_once(var: Path) -> None:
    first = start(var)
    until(lambda: len(read_caught(var / "demo" / "mails")) >= 4, "the first mails", seconds=90)

    os.killpg(first.pid, signal.SIGINT)

    first.communicate(timeout=60)
    assert first.returncode == 130
    second = start(var)
    output, _ = second.communicate(timeout=200)
    assert second.returncode == 0, output
    ids = [mail.message_id for mail in read_caught(var / "demo" / "mails")]
    assert len(ids) == len(set(ids)) == 24
    said = " ".join(output.split())
    assert "The rows and the catcher agree: planned 24, sent 24, received 24, duplicates 0, missing 0" in said
    assert re.search(r"worst lateness \d+\.\d\d s", said)


def test_on_other_servers_than_the_embedded_ones_it_refuses_to_run(var: Path) -> None:
    environment = {**os.environ, "PUNKTUAL_DATABASE_URL": "postgresql://host/name"}

    done = subprocess.run(
        [sys.executable, "-m", "admin", "demo"], cwd=config.ROOT, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "embedded" in done.stderr
