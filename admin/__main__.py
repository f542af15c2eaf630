"""`python -m admin …`: the command line. Every refusal is one line and exit status 1."""

import gc
import os
import re
import sys

import typer
from cryptography.fernet import Fernet
from pydantic import ValidationError

import config
import faults
from actors.disk.jsonlines import LinesUnreadable
from admin import (
    arm,
    catcher,
    completion,
    demo,
    doctor,
    email,
    freeze,
    incoming,
    lead,
    mailbox,
    notices,
    show,
    suppression,
)
from admin.arm import ArmingRefused
from admin.campaign import commands as campaign
from bounds import OutOfBounds
from intake.campaign_file import FileInvalid
from mail.address import AddressInvalid
from mail.message import LetterInvalid
from models.email.locks import NoSuchEmail
from models.health import heartbeats
from models.inbox.incoming import CorrectionRefused, NoSuchIncoming
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid
from models.owner.closed_days import FreezeInvalid
from models.owner.mail_tests import TestMailRefused
from models.owner.mailboxes import MailboxInvalid
from models.owner.reopening import ReopeningRefused
from models.owner.settlement import SettlementRefused
from models.people.forgetting import ForgettingRefused, NothingToForget
from models.people.forgotten import KeyMissing
from models.people.leads import NoSuchLead
from models.store import database, installation, migrate
from models.views import overview
from ops import passwords
from ops.passwords import PasswordInvalid
from ops.run.starting import starting
from ops.terminal import escape_controls
from scheduling.planner import Unplannable

REFUSALS = (
    AddressInvalid,
    ArmingRefused,
    CampaignInvalid,
    CorrectionRefused,
    FileInvalid,
    FreezeInvalid,
    ForgettingRefused,
    KeyMissing,
    LetterInvalid,
    LinesUnreadable,
    MailboxInvalid,
    NoSuchEmail,
    NoSuchIncoming,
    NoSuchLead,
    NothingToForget,
    OutOfBounds,
    PasswordInvalid,
    ReopeningRefused,
    SettlementRefused,
    TestMailRefused,
    Unplannable,
)
# Commands that work without an up-to-date database.
_WITHOUT_SCHEMA = {"config", "migrate", "new-key", "new-password", "catcher", "demo", "doctor", "completion"}

app = typer.Typer(
    name="python -m admin",
    help="Punktual: campaigns, mailboxes and e-mails.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(mailbox.app, name="mailbox")
app.add_typer(campaign.app, name="campaign")
app.add_typer(email.app, name="email")
app.add_typer(incoming.app, name="incoming")
app.add_typer(mailbox.warmup, name="warmup")
app.add_typer(suppression.app, name="suppression")
app.add_typer(freeze.app, name="freeze")
app.add_typer(lead.app, name="lead")
app.add_typer(notices.app, name="notices")
app.command("doctor")(doctor.doctor)
app.command("arm")(arm.arm)
app.command("demo")(demo.demo)
app.command("catcher")(catcher.catcher)
app.command("completion")(completion.completion)


@app.callback()
def prepare(context: typer.Context) -> None:
    settings = config.settings()
    if context.invoked_subcommand in _WITHOUT_SCHEMA:
        return
    database.open_database("punktual admin")
    if settings.database.embedded:
        migrate.migrate()
    else:
        migrate.check()


@app.command("migrate")
def migrate_() -> None:
    """Apply missing schema migrations. Safe while Punktual runs, and safe to repeat."""
    database.open_database("punktual migrate")
    names = migrate.migrate()
    print("\n".join(f"applied {name}" for name in names) or "the schema is up to date")


@app.command("config")
def config_(json: show.AsJson = False) -> None:
    """Print the settings in force, without secrets."""
    values = config.shown(config.settings())
    if json:
        show.as_json(values)
        return
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    single = [(name, value) for name, value in values.items() if name not in sections]
    show.pairs(
        [*single, *((f"{name}.{key}", each) for name, section in sections.items() for key, each in section.items())]
    )


@app.command("new-key")
def new_key() -> None:
    """Print a new PUNKTUAL_SECRET_KEY."""
    print(Fernet.generate_key().decode())


@app.command("new-password")
def new_password() -> None:
    """Print a PUNKTUAL_WEB_PASSWORD_HASH. The password for the pages is prompted for, or read from stdin."""
    if sys.stdin.isatty():
        password = typer.prompt("Password for the pages", hide_input=True, confirmation_prompt=True, err=True)
        print("Set it in single quotes: PUNKTUAL_WEB_PASSWORD_HASH='…'", file=sys.stderr)
    else:
        password = sys.stdin.readline().removesuffix("\n")
    print(passwords.hashed(password))


@app.command()
def status(json: show.AsJson = False) -> None:
    """Show an overview: campaigns, mailboxes, e-mails by status, last tick."""
    lines = overview.campaigns(campaigns.every())
    boxes = overview.mailboxes(mailboxes.every())
    counts, tick, disarmed = overview.counts(), heartbeats.last("tick"), installation.disarmed_reason()
    if json:
        values = {"campaigns": lines, "mailboxes": boxes, "emails": counts, "last_tick_at": tick, "disarmed": disarmed}
        show.as_json(values)
        return
    if disarmed:
        print(f"Nothing is being sent: {disarmed}\n")
    rows = [(it.name, it.status, f"{it.counts['sent']}/{it.emails}", it.saying) for it in lines]
    show.table(("campaign", "status", "sent", "now"), rows, "there is no campaign yet")
    print()
    limits = [
        (it.address, it.status, f"{it.used_today}/{it.daily_limit}", it.reason or it.sends_nothing) for it in boxes
    ]
    show.table(("mailbox", "status", "today", "reason"), limits, "there is no mailbox yet")
    print()
    show.pairs([*((name, count) for name, count in counts.items()), ("last tick", tick or "never")])


def main() -> None:
    if completion.VARIABLE in os.environ:
        completion.complete(app)
    # A command ends soon, and garbage collection takes a twentieth of a long forecast.
    gc.set_threshold(100_000)
    with starting(*REFUSALS):
        if any(not each.isprintable() and _is_broken(each) for each in sys.argv):
            sys.exit("punktual: the arguments are not UTF-8 text")
        try:
            status = app(standalone_mode=False)
        except typer.TyperException as mistake:
            if type(mistake).__name__ == "NoArgsIsHelpError":  # the help was shown
                sys.exit(mistake.exit_code)
            sys.exit(f"punktual: {_in_one_line(mistake)}")
        except typer.Abort:
            sys.exit("punktual: no answer, so nothing was done")
    sys.exit(status)


def _is_broken(text: str) -> bool:
    """Whether it contains bytes that Python could not decode (surrogate escapes)."""
    return any("\ud800" <= each <= "\udfff" for each in text)


def _in_one_line(mistake: typer.TyperException) -> str:
    """A usage error in one line, with the option's name."""
    said = escape_controls(" ".join(mistake.format_message().split())).removesuffix(".").removeprefix("Invalid value: ")
    if found := re.fullmatch(r"Invalid value for '?(?P<name>[^':]+)'?: (?P<fault>.*)", said):
        cause = mistake.__cause__
        fault = str(faults.of(cause)[0].text) if isinstance(cause, ValidationError) else found["fault"]
        return f"{found['name'].partition(' / ')[0]}: {fault}"
    return said


if __name__ == "__main__":
    main()
