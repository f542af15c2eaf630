"""`mailbox add` tries the servers first; freezes and ramps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

import config
from models.store.tables import Mailbox
from scheduling.window import warsaw_day
from tests import factories as make
from tests.admin.test_commands import done, read, refused
from tests.forking import admin
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
PASSWORD = {"PUNKTUAL_MAILBOX_PASSWORD": "s3cret-word"}


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer(credentials=("ola", "s3cret-word")) as running:
        yield running


def command(smtp: SmtpServer, *more: str) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(smtp.port), "--security", "none", "--username", "ola"]
    return ["mailbox", "add", "ola@sender.example", *options, "--daily-limit", "40", *more]


class TestAMailbox:
    def test_that_works_is_added_without_a_word_and_nothing_is_sent(self, smtp: SmtpServer) -> None:
        result = admin(*command(smtp), **PASSWORD)

        assert (result.returncode, result.stdout, result.stderr) == (0, "added ola@sender.example\n", "")
        assert [it.split()[0] for it in smtp.commands] == ["ehlo", "AUTH", "quit"]

    def test_that_does_not_work_is_added_by_a_script_with_a_warning(self, smtp: SmtpServer) -> None:
        result = admin(*command(smtp), PUNKTUAL_MAILBOX_PASSWORD="wr0ng-one")

        assert result.returncode == 0
        assert "warning: smtp: auth: the server refuses the user name or password (535 5.7.8" in result.stderr
        assert "wr0ng-one" not in result.stderr
        assert Mailbox.select().count() == 1

    @pytest.mark.parametrize(("answer", "count"), [("n\n", 0), ("y\n", 1)])
    def test_that_does_not_work_is_asked_about_at_a_terminal(self, smtp: SmtpServer, answer: str, count: int) -> None:
        terminal, its_other_end = os.openpty()
        os.write(terminal, answer.encode())
        try:
            environment = {**os.environ, "PUNKTUAL_MAILBOX_PASSWORD": "wr0ng-one"}
            subprocess.run(
                [sys.executable, "-m", "admin", *command(smtp)],
                cwd=config.ROOT,
                stdin=its_other_end,
                capture_output=True,
                env=environment,
            )
        finally:
            os.close(terminal)
            os.close(its_other_end)

        assert Mailbox.select().count() == count

    def test_is_not_tried_where_that_is_not_wanted(self, smtp: SmtpServer) -> None:
        assert admin(*command(smtp, "--no-check"), **PASSWORD).returncode == 0
        assert smtp.connections == 0

    @pytest.mark.parametrize("more", [("--gap", "1e300"), ("--name", "Ola\nBcc: x@y.example")])
    def test_that_would_be_refused_anyway_is_not_tried(self, smtp: SmtpServer, more: tuple[str, ...]) -> None:
        assert admin(*command(smtp, *more), **PASSWORD).returncode == 1
        assert smtp.connections == 0


@pytest.mark.parametrize(("host", "warns"), [("smtp.sender.example", True), ("127.0.0.1", False), ("localhost", False)])
def test_a_warning_is_given_where_mails_would_leave_the_machine_unencrypted(host: str, warns: bool) -> None:
    result = admin(
        *("mailbox", "add", "ola@sender.example", "--host", host, "--security", "none", "--daily-limit", "4"),
        "--no-check",
    )

    assert result.returncode == 0
    assert ("unencrypted" in result.stderr) == warns


class TestTheProvider:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--host", "ssl0.ovh.net"), "its provider is OVHcloud: at most 200 in 1 h from a mailbox"),
            (("--host", "smtp.gmail.com"), "Google Workspace: at most 2,000 in 24 h"),
            (("--host", "smtp.gmail.com", "--provider", "none"), "no limits of smtp.gmail.com are known here"),
            (("--host", "relay.firm.example", "--provider", "gmail"), "its daily limit of 2,500 is above that"),
        ],
        ids=["by the hour", "by the day", "none of them", "named"],
    )
    def test_is_told_with_its_limits_when_a_mailbox_is_added(self, options: tuple[str, ...], said: str) -> None:
        assert said in done("mailbox", "add", "ola@sender.example", *options, "--daily-limit", "2500", "--no-check")


class TestFreezingAndRamping:
    @pytest.fixture(autouse=True)
    def ola(self, db: None) -> None:
        make.a_mailbox("ola@sender.example", daily_limit=40)

    def test_can_be_ordered_shown_and_taken_back(self) -> None:
        today = warsaw_day(make.now())
        last = today + timedelta(days=9)

        froze = done("mailbox", "freeze", "ola@sender.example", "--from", str(today), "--to", str(last))
        done("mailbox", "edit", "ola@sender.example", "--ramp-start", "5", "--ramp-step", "2")
        shown = read("mailbox", "show", "ola@sender.example")
        done("mailbox", "unfreeze", "ola@sender.example")
        done("mailbox", "edit", "ola@sender.example", "--ramp-start", "0")
        after = read("mailbox", "show", "ola@sender.example")

        assert froze == f"froze ola@sender.example from {today} to {last}\n"
        assert shown["frozen"] == f"{today} to {last}"
        assert shown["ramp"] == f"5 a day from {today}, 2 more after each day of sending, up to 40"
        assert (after["frozen"], after["ramp"], after["daily_limit"]) == (None, None, 40)

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("freeze", "--from", "2026-13-01", "--to", "2026-12-01"), "--from: '2026-13-01' is not a date"),
            (("freeze", "--from", "2020-01-01", "--to", "2020-01-02"), "--from: 2020-01-01 is more than a year"),
            (("freeze", "--from", "tomorrow", "--to", "2020-01-02"), "--from: 'tomorrow' is not a date"),
            (("edit", "--ramp-start", "5"), "a ramp wants --ramp-start and --ramp-step"),
            (("edit", "--ramp-start", "5", "--ramp-step", "0"), "--ramp-step: must be at least 1"),
        ],
    )
    def test_refuses_days_and_numbers_that_are_none(self, options: tuple[str, ...], complaint: str) -> None:
        verb, *rest = options

        assert complaint in refused("mailbox", verb, "ola@sender.example", *rest)
        assert Mailbox.get().ramp_start is None
