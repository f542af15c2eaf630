"""The demo as a newcomer meets it, interrupted in the middle and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from models.store import embedded
from ops.catcher import read_caught
from tests.scraping import free_port
from tests.waiting import BOUND, until


@pytest.fixture
def var(home: Path) -> Iterator[Path]:
    # Not in tmp_path: another run of pytest takes it from the embedded Postgres, which is no root where we are.
    folder = home / "demo"
    yield folder
    embedded.stop(folder / "postgres", "immediate")


def start(var: Path, port: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PUNKTUAL_DATA_DIR": str(var),
        "PUNKTUAL_DATABASE_URL": "embedded",
        "PUNKTUAL_BROKER_URL": "embedded",
        "PUNKTUAL_WEB_PORT": str(port),
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
    port = free_port()
    first = start(var, port)
    until(lambda: len(read_caught(var / "demo" / "mails")) >= 4, "the first mails")
    served_while_it_sends = is_served(port)

    os.killpg(first.pid, signal.SIGINT)

    first.communicate(timeout=BOUND)
    assert first.returncode == 130
    assert "Traceback" not in (var / "demo" / "worker.log").read_text()
    assert served_while_it_sends
    assert not is_served(port)
    with socket.create_server(("127.0.0.1", port)):  # another program's: the demo goes on without pages
        second = start(var, port)
        output, _ = second.communicate(timeout=BOUND)
    assert second.returncode == 0, output
    ids = [mail.message_id for mail in read_caught(var / "demo" / "mails")]
    assert len(ids) == len(set(ids)) == 47
    said = " ".join(output.split())
    assert f"there are no pages: port {port} of 127.0.0.1 is taken" in said
    assert "The database and the catcher agree: planned 47, sent 47, received 47, duplicates 0, missing 0" in said
    assert "answered the first letter and got no second one; 23 other leads got both" in said
    assert re.search(r"worst lateness \d+\.\d\d s", said)


def is_served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=BOUND) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_on_other_servers_than_the_embedded_ones_it_refuses_to_run(var: Path) -> None:
    environment = {**os.environ, "PUNKTUAL_DATABASE_URL": "postgresql://host/name"}

    done = subprocess.run(
        [sys.executable, "-m", "admin", "demo"], cwd=config.ROOT, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "embedded" in done.stderr
