"""The log, as it comes out of a process."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import config
from ops.watch import logs

PROGRAM = """
import logging, threading, warnings
from ops.watch import logs

def fail(password):
    connection = {"password": password}
    raise RuntimeError("no\\n\\x1b[31mlogin for <ola@sender.example>")

logs.configure()
log = logs.get()
log.info("claim_refused", reason="Anna.Nowak+list@leads.example is busy\\n2026-01-01 [info] email_sent \\x1b[2J")
logging.getLogger("waitress").error("it said\\nso")
logging.getLogger("pika.adapters.blocking_connection").error("Unexpected connection close detected")
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


class TestAWarningThatComesAgain:
    @pytest.fixture
    def log(self) -> Iterator[tuple[logging.Logger, io.StringIO, list[float]]]:
        at, out = [0.0], io.StringIO()
        handler = logs.Handler(out, lambda: at[0])
        handler.setFormatter(logs._formatter(logs._renderers(as_text=False)))
        logger = logging.getLogger("dramatiq.worker.ConsumerThread(deliver)")
        logger.addHandler(handler)
        level, logger.level = logger.level, logging.INFO
        yield logger, out, at
        logger.level = level
        logger.removeHandler(handler)

    def test_is_told_whole_once_a_minute_and_then_how_often_it_came(
        self, log: tuple[logging.Logger, io.StringIO, list[float]]
    ) -> None:
        logger, out, at = log
        for second in range(60):
            at[0] = second
            logger.critical("Consumer encountered a connection error: %s", f"try {second}")
        at[0] = 61
        logger.critical("Consumer encountered a connection error: %s", "the last")

        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [line["event"].rpartition(": ")[2] for line in lines] == ["try 0", "try 0", "the last"]
        assert [line.get("repeated") for line in lines] == [None, 59, None]

    def test_is_told_each_time_where_it_says_something_else(
        self, log: tuple[logging.Logger, io.StringIO, list[float]]
    ) -> None:
        logger, out, _ = log
        for failure in (ValueError("one"), KeyError("two")):
            logger.error("Consumer encountered an unexpected error.", exc_info=failure)
        for number in range(3):
            logger.warning({"event": "attempt_superseded", "email_id": number})
        for _ in range(2):
            logger.info("Started.")

        assert len(out.getvalue().splitlines()) == 2 + 3 + 2


def test_a_full_disk_under_the_log_ends_nobody_and_is_no_traceback() -> None:
    program = (
        "from ops.watch import logs; from ops.terminal import say; logs.configure(); say('up'); logs.get().error('no')"
    )
    with open("/dev/full", "wb") as full:
        ended = [
            subprocess.run([sys.executable, "-c", program], cwd=config.ROOT, stdout=full, stderr=full),
            subprocess.run([sys.executable, "-c", program], cwd=config.ROOT, stdout=full, stderr=subprocess.PIPE),
        ]

    assert [each.returncode for each in ended] == [0, 0]
    assert b"Traceback" not in ended[1].stderr
