"""The log, as it comes out of a process."""

import json
import os
import subprocess
import sys

import pytest

import config

PROGRAM = """
import logging, threading, warnings
from ops import logs

def fail(password):
    connection = {"password": password}
    raise RuntimeError("no\\n\\x1b[31mlogin for <ola@sender.example>")

logs.configure()
log = logs.get()
log.info("claim_refused", reason="Anna.Nowak+list@leads.example is busy\\n2026-01-01 [info] email_sent \\x1b[2J")
logging.getLogger("pika").error("it said\\nso")
try:
    fail("s3cret" + "-word")
except RuntimeError:
    log.exception("tick_step_failed")
    logging.getLogger("dramatiq").exception("Failed to process")
warnings.warn("deprecated")
thread = threading.Thread(target=fail, args=("s3cret" + "-word",))
thread.start()
thread.join()
fail("s3cret" + "-word")
"""


def logged(log_format: str) -> str:
    environment = {**os.environ, "PUNKTUAL_LOG_FORMAT": log_format, "PUNKTUAL_LOG_LEVEL": "debug"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=config.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("log_format", ["text", "json"])
class TestInEachFormat:
    def test_a_traceback_shows_no_local_variables(self, log_format: str) -> None:
        lines = logged(log_format)

        assert lines.count("RuntimeError") >= 2
        assert "s3cret-word" not in lines

    def test_what_somebody_else_wrote_begins_no_line_and_moves_no_cursor(self, log_format: str) -> None:
        lines = logged(log_format)

        assert not any(line.startswith(("2026-01-01", "so")) for line in lines.splitlines())
        assert "\x1b" not in lines

    def test_no_address_is_told_in_anybodys_words(self, log_format: str) -> None:
        lines = logged(log_format)

        assert "leads.example" not in lines
        assert "sender.example" not in lines
        assert "*** is busy" in lines
        assert "login for <***>" in lines


def test_each_line_of_json_is_one_event_what_nobody_caught_included() -> None:
    lines = [json.loads(line) for line in logged("json").splitlines()]

    events = [line["event"] for line in lines]
    assert events[:4] == ["claim_refused", "it said\\u000aso", "tick_step_failed", "Failed to process"]
    assert "deprecated" in events[4]
    assert events[5:] == ["uncaught_exception", "uncaught_exception"]
    assert all(line["level"] and line["timestamp"] for line in lines)
