"""Commands about mailboxes and their warm-up."""

import os
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import typer

import config
from actors.nudge import ask_for_tick
from admin import show
from mail.address import normalise
from models import database, mailboxes, overview, vault
from scheduling.window import warsaw_day

app = typer.Typer(help="Mailboxes: where mail is sent from.", no_args_is_help=True)
warmup = typer.Typer(help="Warm-up mails that another system sends from a mailbox.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@app.command()
def add(
    address: Address,
    host: Annotated[str, typer.Option(help="Its SMTP server.")],
    daily_limit: Annotated[int, typer.Option(min=0, help="Mails a day, over all campaigns, warm-up included.")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: 587, 465 or 25 by security.")] = None,
    security: Annotated[Security, typer.Option(help="none: only for servers on this machine.")] = Security.STARTTLS,
    username: Annotated[str | None, typer.Option(help="Its password: PUNKTUAL_MAILBOX_PASSWORD, or asked for.")] = None,
    name: Annotated[str, typer.Option(help="The name that leads see.")] = "",
    gap: Annotated[float | None, typer.Option(min=0, help="Least seconds between two mails.")] = None,
) -> None:
    """Add a mailbox."""
    mailboxes.add(
        address=normalise(address),
        name=name,
        smtp_host=host,
        smtp_port=port or _PORTS[security],
        smtp_security=security,
        username=username,
        password_encrypted=vault.encrypt(_password()) if username else None,
        daily_limit=daily_limit,
        gap_seconds=config.settings().planning.mailbox_gap_seconds if gap is None else gap,
    )
    print(f"added {normalise(address)}")


def _password() -> str:
    """Never an argument: those are in the list of processes and in the shell's history."""
    given = os.environ.get("PUNKTUAL_MAILBOX_PASSWORD")
    return given if given is not None else typer.prompt("Password", hide_input=True)


@app.command()
def edit(
    address: Address,
    host: Annotated[str | None, typer.Option(help="Its SMTP server.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    security: Annotated[Security | None, typer.Option()] = None,
    username: Annotated[str | None, typer.Option(help="With another password, as for add.")] = None,
    name: Annotated[str | None, typer.Option(help="The name that leads see.")] = None,
    daily_limit: Annotated[int | None, typer.Option(min=0, help="Mails a day, warm-up included.")] = None,
    gap: Annotated[float | None, typer.Option(min=0, help="Least seconds between two mails.")] = None,
) -> None:
    """Change what is given; its campaigns are planned again."""
    given = {
        "smtp_host": host,
        "smtp_port": port,
        "smtp_security": security,
        "username": username,
        "password_encrypted": vault.encrypt(_password()) if username else None,
        "name": name,
        "daily_limit": daily_limit,
        "gap_seconds": gap,
    }
    mailboxes.edit(mailboxes.find(normalise(address)).id, **_only_given(given))
    ask_for_tick()
    print(f"changed {normalise(address)}")


def _only_given(values: Mapping[str, object]) -> dict[str, object]:
    changes = {name: value for name, value in values.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what is to be changed")
    return changes


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """All mailboxes, with what they have used of today's limit."""
    lines = overview.mailboxes(mailboxes.every())
    if json:
        show.as_json(lines)
        return
    rows = [(it.address, it.status, f"{it.used_today}/{it.daily_limit}", it.closed_until, it.reason) for it in lines]
    show.table(("mailbox", "status", "today", "closed until", "reason"), rows, "there is no mailbox yet")


@app.command("show")
def show_(address: Address, json: show.AsJson = False) -> None:
    """One mailbox."""
    row = mailboxes.find(normalise(address))
    [line] = overview.mailboxes([row])
    server = {
        "name": row.name,
        "smtp": f"{row.smtp_host}:{row.smtp_port}",
        "security": row.smtp_security,
        "username": row.username,
        "password": "stored" if row.password_encrypted else "none",
    }
    if json:
        show.as_json({**vars(line), **server})
        return
    show.pairs([*vars(line).items(), *server.items()])


@app.command()
def pause(address: Address) -> None:
    """Send nothing more from it; its mails move to the campaign's other mailboxes."""
    mailboxes.pause(mailboxes.find(normalise(address)).id)
    ask_for_tick()
    print(f"paused {normalise(address)}")


@app.command()
def resume(address: Address) -> None:
    """Open it again, after a pause or after faults."""
    mailboxes.resume(mailboxes.find(normalise(address)).id)
    ask_for_tick()
    print(f"resumed {normalise(address)}")


@warmup.command()
def record(
    address: Annotated[str, typer.Argument(metavar="MAILBOX", help="The mailbox's address.")],
    count: Annotated[
        int, typer.Argument(min=0, help="All its warm-up mails of that day; saying it twice is harmless.")
    ],
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: today in Warsaw.")] = None,
) -> None:
    """Say how many warm-up mails left a mailbox on a day. They count towards its daily limit."""
    on: date = day.date() if day else warsaw_day(database.clock())
    mailboxes.record_warmup(mailboxes.find(normalise(address)).id, on, count)
    print(f"{count} warm-up mails of {normalise(address)} on {on}")
