"""The demo: runs a real campaign on the embedded default, over real SMTP, to a catcher on this machine.

At the end it compares what the catcher received with the rows.
"""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

import clock
import config
from admin.campaign import commands as campaign_commands
from admin.comparison import Comparison, compare
from admin.person import who
from admin.show import console
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid
from models.owner.mailboxes import MailboxInvalid, SentMail
from models.states import CampaignStatus
from models.store import database, migrate, tick_request, vault
from models.store.tables import Campaign
from models.views import overview
from models.views.overview import EmailLine
from ops.catcher import Catcher
from ops.demo_imap import DemoInbox, reply_to
from ops.run import tied
from ops.run.pages import Pages
from scheduling.window import WARSAW

EXAMPLES = config.ROOT / "examples"
CAMPAIGN = "Zaproszenie na warsztaty"
MAILBOXES = {"ola@warsztaty.example": "Ola Nowak", "marek@warsztaty.example": "Marek Zieliński"}
DAILY_LIMIT = 200
GAP_SECONDS = 1.0
LONGEST_SECONDS = 300
TICK_SECONDS = 3
ANSWERS = "lucja.wojcik@ksiegarnia-zaglem.example"
ANSWER = "Dzień dobry, bardzo proszę o program warsztatów."


def demo() -> None:
    """Send the example campaign to a local mail catcher, and compare what arrived with the database."""
    settings = config.settings()
    if not (settings.database.embedded and settings.broker.embedded):
        sys.exit("punktual: the demo needs embedded services: unset PUNKTUAL_DATABASE_URL and PUNKTUAL_BROKER_URL")
    database.open_database("punktual demo")
    migrate.migrate()
    folder = settings.var / "demo" / "mails"
    with Catcher(folder) as catcher, DemoInbox() as answers:
        row = _prepare(catcher.port, answers.port)
        try:
            with _served(), _worker(settings.var / "demo" / "worker.log") as worker:
                _watch(row, worker, answers)
        except KeyboardInterrupt:
            console.print("\nstopped; `make demo` continues from here")
            raise typer.Exit(130) from None
    found = compare(_lines(row), folder)
    _report(row, found, folder)
    raise typer.Exit(0 if found.agrees else 1)


def _prepare(port: int, imap_port: int) -> Campaign:
    """Load the example, or continue an unfinished earlier run."""
    inbox = SentMail("127.0.0.1", imap_port, "none", None)
    for address, name in MAILBOXES.items():
        try:
            change = mailboxes.Edit(smtp_host="127.0.0.1", smtp_port=port, sent_mail=inbox)
            mailboxes.edit(mailboxes.find(address).id, who(), change)
        except MailboxInvalid:
            mailboxes.add(
                address=address,
                name=name,
                smtp_host="127.0.0.1",
                smtp_port=port,
                smtp_security="none",
                username=address,
                password_encrypted=vault.encrypt("demo"),
                sent_mail=inbox,
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
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the catcher must stay until it has answered
        process.send_signal(signal.SIGTERM)
        process.wait()


def _watch(row: Campaign, worker: subprocess.Popen[bytes], answers: DemoInbox) -> None:
    """Print each e-mail when it is sent, until all are; one lead answers the first."""
    shown = {line.id for line in _lines(row) if line.sent_at}
    now = clock.boottime()
    until, tick_at, has_answered = now + LONGEST_SECONDS, now, False
    console.print("  no  planned       late     to")
    while True:
        lines = _lines(row)
        for line in sorted(lines, key=lambda it: it.scheduled_at):
            if line.sent_at and line.id not in shown:
                shown.add(line.id)
                _show(line, len(shown))
        if not has_answered and (letters := [it for it in lines if it.lead == ANSWERS and it.sent_at]):
            has_answered = True
            _answer(letters[0], answers)
        if campaigns.get(row.id).status == CampaignStatus.COMPLETED:
            return
        if clock.boottime() >= tick_at:  # its days are seconds, and a tick comes each minute
            tick_request.ask_for_tick()
            tick_at = clock.boottime() + TICK_SECONDS
        if worker.poll() is not None:
            sys.exit(f"punktual: the worker ended with status {worker.returncode}; its log is {_log()}")
        if clock.boottime() > until:
            sys.exit(f"punktual: not finished after {LONGEST_SECONDS} s: {overview.standing(row)}; the log is {_log()}")
        threading.Event().wait(0.25)


def _answer(line: EmailLine, answers: DemoInbox) -> None:
    content = overview.content(line.id)
    assert content is not None
    answers.receive(line.mailbox, reply_to(content, ANSWER))
    console.print(f"     {line.lead} answers", highlight=False)


def _lines(row: Campaign) -> list[EmailLine]:
    return overview.emails(campaign_id=row.id, limit=10_000)


def _show(line: EmailLine, number: int) -> None:
    assert line.sent_at is not None
    late = (line.sent_at - line.scheduled_at).total_seconds()
    planned = f"{line.scheduled_at.astimezone(WARSAW):%H:%M:%S.%f}"[:-3]
    console.print(
        f"{number:>3}  planned {planned}  sent {late:+.2f} s  {line.lead} from {line.mailbox}", highlight=False
    )


def _report(row: Campaign, found: Comparison, folder: Path) -> None:
    verdict = "The database and the catcher agree" if found.agrees else "THE DATABASE AND THE CATCHER DISAGREE"
    sent = Counter(line.lead for line in _lines(row) if line.sent_at)
    both = sum(count == 2 for count in sent.values())
    console.print(f"\n{ANSWERS} answered the first letter and got no second one; {both} other leads got both")
    console.print(f"\n{verdict}: {found}")
    console.print(f"The e-mails are in {_short(folder)}")
    console.print(f"Show the result again: {_short(Path(sys.executable))} -m admin status")
    console.print("Show the pages again: make run")


def _log() -> Path:
    return _short(config.settings().var / "demo" / "worker.log")


def _short(path: Path) -> Path:
    """The path relative to the checkout's root, if it is below it."""
    return path.relative_to(config.ROOT) if path.is_relative_to(config.ROOT) else path
