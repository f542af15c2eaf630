"""`make run`: the sender and its pages, started and ended as one."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import config
from tests.pipeline.conftest import runs
from tests.scraping import free_port
from tests.waiting import BOUND, until


class Together:
    def __init__(self, output: Path, port: int) -> None:
        self.port, self._output = port, output
        environment = {**os.environ, "PUNKTUAL_BROKER_URL": "embedded", "PUNKTUAL_WEB_PORT": str(port)}
        with output.open("wb") as lines:
            self.process = psutil.Popen(
                [sys.executable, "-m", "ops.run.together"], cwd=config.ROOT, env=environment, stdout=lines, stderr=lines
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def child(self, module: str) -> psutil.Process | None:
        found = [each for each in self.process.children() if runs(each) and module in each.cmdline()]
        return found[0] if found else None

    def is_served(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=BOUND) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def is_up(self) -> bool:
        return self.is_served() and '"event": "embedded_started"' in self.said


Start = Callable[[int], Together]


@pytest.fixture
def start(db: None, tmp_path: Path) -> Iterator[Start]:
    running: list[Together] = []

    def begin(port: int) -> Together:
        running.append(Together(tmp_path / "output.log", port))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.process.terminate()
            each.process.wait(BOUND)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_pages_are_and_ends_with_all_of_it(start: Start, how: signal.Signals) -> None:
    together = start(free_port())
    until(together.is_up, "all to run")
    children = together.process.children(recursive=True)

    together.process.send_signal(how)

    assert together.process.wait(BOUND) == 0
    assert not [child for child in children if runs(child)]
    assert f"the pages are at http://127.0.0.1:{together.port}" in together.said
    assert "Traceback" not in together.said


def test_pages_that_die_come_back(start: Start) -> None:
    together = start(free_port())
    until(together.is_up, "all to run")
    web, sender = together.child("web"), together.child("actors")
    assert web
    assert sender

    web.kill()

    until(lambda: not runs(web) and together.is_served(), "the pages to be served again")
    assert runs(sender)


def test_where_their_port_is_taken_mail_is_sent_all_the_same(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as another:
        together = start(another.getsockname()[1])

        until(lambda: '"event": "embedded_started"' in together.said, "the sender")

        until(lambda: "there are no pages" in together.said, "its word about the port")
        assert together.process.poll() is None


def test_killed_it_leaves_nothing_behind(start: Start) -> None:
    together = start(free_port())
    until(together.is_up, "all to run")
    children = together.process.children(recursive=True)
    assert children

    together.process.kill()

    until(lambda: not [child for child in children if runs(child)], "its processes to end")


def test_on_another_broker_than_the_embedded_one_it_says_what_to_run() -> None:
    environment = {**os.environ, "PUNKTUAL_BROKER_URL": "amqp://guest:guest@127.0.0.1/%2F"}

    done = subprocess.run(
        [sys.executable, "-m", "ops.run.together"], cwd=config.ROOT, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "make up" in done.stderr
