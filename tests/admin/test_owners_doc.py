"""docs/owners.md shows what its commands really print: they are run here, in their order.

OWNERS_DOC=write pytest tests/admin/test_owners_doc.py writes what they print into it.
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from actors import plan as planning
from models.email import moves
from models.store.tables import Campaign, CampaignEmailQueue
from scheduling.window import warsaw_day
from tests import factories as make
from tests.conftest import Override
from tests.forking import admin
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
DOC = config.ROOT / "docs" / "owners.md"
WRITES = os.environ.get("OWNERS_DOC") == "write"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Q = CampaignEmailQueue

# A file that a line announces, commands with what they print, and what happens meanwhile.
PARTS = re.compile(
    r"^`(?P<name>[\w.]+)`[^\n]*:\n\n```\w*\n(?P<content>.*?)```$"
    r"|^```console\n(?P<session>.*?)```$|^<!-- (?P<event>\w+) -->$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (?P<line>(?:.*\\\n)*.*)\n(?P<printed>(?:(?!\$ ).*\n)*)", re.MULTILINE)
VARYING = [
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\d{4}-\d\d-\d\d|\d+ [A-Z][a-z]{2})"), "DAY"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?(\.\d+)?\b"), "TIME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|(?<=Thread-Index: )\S+|(?<=unsubscribe-)[^>]+"), "ID"),
    (re.compile(r"(?<=Date: )[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d{4}|\+0[12]00\b"), "DAY"),
    (re.compile(r" +"), " "),
    (re.compile(r" +$", re.MULTILINE), ""),
]


def constant(printed: str) -> str:
    """Without what differs each day."""
    for pattern, instead in VARYING:
        printed = pattern.sub(instead, printed)
    return printed


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer(credentials=("ola@your-domain.pl", "secret")) as running:
        yield running


class Owner:
    """Types what the page says, in a folder of its own, with a mail server on this machine."""

    def __init__(self, folder: Path, smtp: SmtpServer) -> None:
        self.folder, self._smtp = folder, smtp

    def save(self, name: str, content: str) -> None:
        if not WRITES:  # so that it does not matter when the test runs
            others = [day for number, day in enumerate(DAYS) if number != warsaw_day(make.now()).weekday()]
            any_day = f"weekdays = {others}\nsend_on_holidays = true"
            content = re.sub(r"^weekdays = .*$", any_day, content, flags=re.MULTILINE)
        (self.folder / name).write_text(content, encoding="cp1250" if name.endswith(".csv") else "utf-8")

    def types(self, line: str) -> str:
        server = f"--host 127.0.0.1 --port {self._smtp.port} --security none"
        words = shlex.split(line.replace("\\\n", " ").replace("--host smtp.your-provider.pl", server))
        assert words[:3] == ["python", "-m", "admin"], line
        arguments = [str(self.folder / each) if (self.folder / each).is_file() else each for each in words[3:]]
        ran = admin(*arguments, PUNKTUAL_MAILBOX_PASSWORD="secret", COLUMNS="80", USER="ola", LOGNAME="ola")
        printed = (ran.stdout + ran.stderr).replace(f"{self.folder}/", "")
        return re.sub(r" +$", "", printed, flags=re.MULTILINE)


def happens(event: str) -> None:
    if event == "planned":
        planning.plan_new()
        planning.replan()
    elif event == "sent":
        first = Q.select().order_by(Q.scheduled_at).limit(1).get()
        row = Campaign.get_by_id(first.campaign_id)
        any_time = {"window_start_minute": 0, "window_end_minute": 1440, "weekdays": list(range(7))}
        any_time["send_on_holidays"] = True
        kept = {name: getattr(row, name) for name in any_time}
        Campaign.update(any_time).where(Campaign.id == row.id).execute()
        Q.update(scheduled_at=make.now()).where(Q.id == first.id).execute()
        make.rested(row.id)
        assert moves.accept(make.handed_over(first.id).held, make.YES)
        Campaign.update(kept).where(Campaign.id == row.id).execute()
    else:
        raise AssertionError(event)


def test_every_command_prints_what_the_page_shows(tmp_path: Path, smtp: SmtpServer, settings: Override) -> None:
    settings(PLANNING_HORIZON_HOURS=24 * 14)  # all at once, whatever the weekday
    owner, text = Owner(tmp_path, smtp), DOC.read_text(encoding="utf-8")

    for part in PARTS.finditer(text):
        if part["name"]:
            owner.save(part["name"], part["content"])
        elif part["event"]:
            happens(part["event"])
        else:
            for command in COMMAND.finditer(part["session"]):
                printed = owner.types(command["line"])
                if WRITES:
                    shown = f"$ {command['line']}\n{command['printed']}"
                    text = text.replace(shown, f"$ {command['line']}\n{printed}", 1)
                else:
                    assert constant(printed) == constant(command["printed"]), command["line"]
    if WRITES:
        DOC.write_text(text, encoding="utf-8")
