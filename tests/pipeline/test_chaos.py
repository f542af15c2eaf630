"""A short run of `make chaos`. Its seed brings crashes of the database, the broker and a worker, and a cut inbox."""

import subprocess
import sys
from pathlib import Path

import config
from tests.waiting import BOUND


def test_no_promise_breaks_while_servers_and_processes_do(home: Path) -> None:
    run = [sys.executable, "-m", "tests.chaos", "--seed", "2080", "--minutes", "0.67", "--home", str(home / "chaos")]

    status, said = ended(run)

    assert status == 0, said[-20_000:]
    assert "duplicates 0\nmissing    0" in said


def ended(command: list[str]) -> tuple[int, str]:
    """The status and the words of a command that ends what it started also when its time is up."""
    process = subprocess.Popen(
        command, cwd=config.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        said, _ = process.communicate(timeout=BOUND)
    except subprocess.TimeoutExpired:
        process.terminate()
        said, _ = process.communicate()
    return process.returncode, said
