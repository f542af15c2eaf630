"""The demo: runs a real campaign on the embedded default, over real SMTP, to a catcher on this machine.

At the end it compares what the catcher received with the rows.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

import clock
import config
from admin import campaign as campaign_commands
from admin.comparison import Comparison, compare
from admin.person import who
from admin.show import console
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid
from models.owner.mailboxes import MailboxInvalid
from models.states import FINAL, CampaignStatus
from models.store import database, migrate
from models.store.tables import Campaign
from models.views import overview
from models.views.overview import EmailLine
from ops.catcher import Catcher
from ops.run import tied
from ops.run.pages import Pages
from scheduling.window import WARSAW

EXAMPLES = config.ROOT / "examples"
CAMPAIGN = "Zaproszenie na warsztaty"
MAILBOXES = {"ola@warsztaty.example": "Ola Nowak", "marek@warsztaty.example": "Marek Zieliński"}
DAILY_LIMIT = 200
GAP_SECONDS = 1.0
LONGEST_SECONDS = 300


def demo() -> None:
    """Send the example campaign to a local mail catcher, and compare what arrived with the database."""
    settings = config.settings()
    if not (settings.database.embedded and settings.broker.embedded):
        sys.exit("punktual: the demo needs embedded services: unset PUNKTUAL_DATABASE_URL and PUNKTUAL_BROKER_URL")
    database.open_database("punktual demo")
    migrate.migrate()
    folder = settings.var / "demo" / "mails"
    with Catcher(folder) as catcher:
        row = _prepare(catcher.port)
        try:
            with _served(), _worker(settings.var / "demo" / "worker.log") as worker:
                _watch(row, worker)
        except KeyboardInterrupt:
            console.print("\nstopped; `make demo` continues from here")
            raise typer.Exit(130) from None
    found = compare(row, _lines(row), folder)
    _report(found, folder)
    raise typer.Exit(0 if found.agrees else 1)


def _prepare(port: int) -> Campaign:
    """Load the example, or continue an unfinished earlier run."""
    for address, name in MAILBOXES.items():
        try:
            change = mailboxes.Edit(smtp_host="127.0.0.1", smtp_port=port)
            mailboxes.edit(mailboxes.find(address).id, who(), change)
        except MailboxInvalid:
            mailboxes.add(
                address=address,
                name=name,
                smtp_host="127.0.0.1",
                smtp_port=port,
                smtp_security="none",
                username=None,
                password_encrypted=None,
                daily_limit=DAILY_LIMIT,
                gap_seconds=GAP_SECONDS,
                by=who(),
            )
    try:
        row = campaigns.find(CAMPAIGN)
    except CampaignInvalid:
        campaign_commands.add(EXAMPLES / "campaign.toml", leads=EXAMPLES / "leads.csv", yes=True)
        row = campaigns.find(CAMPAIGN)
    if row.status == CampaignStatus.DRAFT:
        campaigns.start(row.id, who())
    return row


@contextmanager
def _served() -> Iterator[None]:
    """Serve the pages if possible; the demo also works without them."""
    with (config.settings().var / "demo" / "web.log").open("ab") as lines, Pages(lines) as pages:
        closely = "; /?show=hour shows each e-mail" if pages.found else ""
        console.print(f"{pages.said}{closely}\n", highlight=False, soft_wrap=True)
        yield


@contextmanager
def _worker(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as lines:
        # Its own process group: on Ctrl-C the demo sends it one signal, so that no e-mail is interrupted.
        command = tied.command("actors", "embedded")
        process = subprocess.Popen(command, cwd=config.ROOT, stderr=lines, stdout=lines, process_group=0)  # noqa: S603
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _watch(row: Campaign, worker: subprocess.Popen[bytes]) -> None:
    """Print each e-mail when it is sent, until all are."""
    shown = {line.id for line in _lines(row) if line.sent_at}
    [summary] = overview.campaigns([row])
    emails, until = summary.emails, clock.boottime() + LONGEST_SECONDS
    console.print("  no  planned       late     to")
    while True:
        lines = _lines(row)
        for line in sorted(lines, key=lambda it: it.scheduled_at):
            if line.sent_at and line.id not in shown:
                shown.add(line.id)
                _show(line, len(shown))
        if sum(line.status in FINAL for line in lines) == emails:
            return
        if worker.poll() is not None:
            sys.exit(f"punktual: the worker ended with status {worker.returncode}; its log is {_log()}")
        if clock.boottime() > until:
            sys.exit(f"punktual: not finished after {LONGEST_SECONDS} s: {overview.standing(row)}; the log is {_log()}")
        threading.Event().wait(0.25)


def _lines(row: Campaign) -> list[EmailLine]:
    return overview.emails(campaign_id=row.id, limit=10_000)


def _show(line: EmailLine, number: int) -> None:
    assert line.sent_at is not None
    late = (line.sent_at - line.scheduled_at).total_seconds()
    planned = f"{line.scheduled_at.astimezone(WARSAW):%H:%M:%S.%f}"[:-3]
    console.print(
        f"{number:>3}  planned {planned}  sent {late:+.2f} s  {line.lead} from {line.mailbox}", highlight=False
    )


def _report(found: Comparison, folder: Path) -> None:
    verdict = "The database and the catcher agree" if found.agrees else "THE DATABASE AND THE CATCHER DISAGREE"
    console.print(f"\n{verdict}: {found}")
    console.print(f"The e-mails are in {_short(folder)}")
    console.print(f"Show the result again: {_short(Path(sys.executable))} -m admin status")
    console.print("Show the pages again: make run")


def _log() -> Path:
    return _short(config.settings().var / "demo" / "worker.log")


def _short(path: Path) -> Path:
    """The path relative to the checkout's root, if it is below it."""
    return path.relative_to(config.ROOT) if path.is_relative_to(config.ROOT) else path
