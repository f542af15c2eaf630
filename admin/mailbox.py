"""Commands about mailboxes and their warm-up."""

import os
import re
import sys
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import typer

import bounds
import config
from actors.domains import resolver
from admin import confirm, show
from admin.authorize import authorize, describe
from admin.calibrate import calibrate
from admin.person import who
from logins import check
from mail import domain
from mail.address import normalise
from mail.message import check_sender_name, refuse_control_characters
from models.inbox import looks
from models.owner import authorizations, changes, mailboxes
from models.owner.mailboxes import MailboxInvalid, Ramp, SentMail
from models.store import database, vault
from models.store.tables import Mailbox
from models.views import overview
from ops.terminal import escape_controls
from reasons import warsaw
from scheduling.providers import PROVIDERS, described
from scheduling.window import warsaw_day

app = typer.Typer(help="Mailboxes that e-mails are sent from.", no_args_is_help=True)
warmup = typer.Typer(help="Warm-up e-mails that another system sends from a mailbox.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
_IMAP_PORTS = {Security.STARTTLS: 143, Security.TLS: 993, Security.NONE: 143}

ImapHost = Annotated[str | None, typer.Option(help='IMAP server that holds the Sent folder; "" removes it.')]
ImapPort = Annotated[int | None, typer.Option(help="IMAP port. Default: 993 for tls, otherwise 143.")]
ImapSecurity = Annotated[Security | None, typer.Option(help="IMAP encryption. Default: tls.")]
OneClick = Annotated[
    bool | None,
    typer.Option(
        "--one-click/--no-one-click",
        help="Offer one-click unsubscribing (RFC 8058): only if the provider's DKIM signs List-Unsubscribe and"
        " List-Unsubscribe-Post. Needs unsubscribe.url.",
    ),
]
RampStart = Annotated[
    int | None,
    typer.Option(min=0, help="Ramp of a young mailbox: e-mails on its first day, up to the daily limit. 0: no ramp."),
]
RampStep = Annotated[
    int | None, typer.Option(min=1, help="Ramp: so many e-mails a day more after each day on which it sent.")
]
# A table's keys become choices on the command line.
Provider = StrEnum("Provider", [*PROVIDERS, "none"])  # type: ignore[misc]
ProviderName = Annotated[
    Provider | None,
    typer.Option("--provider", help="Its provider, whose limits hold above the daily limit. Default: by its server."),
]
SentFolder = Annotated[str | None, typer.Option(help='Sent folder. Default, or "": the one that the server marks.')]


@app.command()
def add(
    address: Address,
    host: Annotated[str, typer.Option(help="SMTP server.")],
    daily_limit: Annotated[int, typer.Option(help="E-mails per day, all campaigns and warm-up included.")],
    port: Annotated[
        int | None, typer.Option(help="SMTP port. Default: 587 for starttls, 465 for tls, 25 for none.")
    ] = None,
    security: Annotated[
        Security, typer.Option(help="SMTP encryption. none: only for servers on this machine.")
    ] = Security.STARTTLS,
    username: Annotated[
        str | None, typer.Option(help="User name. The password comes from PUNKTUAL_MAILBOX_PASSWORD or a prompt.")
    ] = None,
    name: Annotated[str, typer.Option(help="Sender name that leads see.")] = "",
    gap: Annotated[float | None, typer.Option(help="Minimum seconds between two e-mails.")] = None,
    imap_host: ImapHost = None,
    imap_port: ImapPort = None,
    imap_security: ImapSecurity = None,
    sent_folder: SentFolder = None,
    one_click: OneClick = None,
    ramp_start: RampStart = None,
    ramp_step: RampStep = None,
    provider: ProviderName = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not log in to its servers to try them.")] = False,
    yes: confirm.Yes = False,
) -> None:
    """Add a mailbox. Logs in to its servers first to try them, and sends nothing.

    Example: python -m admin mailbox add ola@your-domain.pl --host smtp.your-provider.pl --username ola@your-domain.pl
    --daily-limit 40
    """
    _check_server(host, imap_host, username, name, sent_folder)
    mailboxes.check_is_new(normalise(address))
    where = _sent_mail(None, imap_host, imap_port, imap_security, sent_folder)
    new: dict[str, Any] = {
        "address": normalise(address),
        "name": name,
        "smtp_host": host,
        "smtp_port": _PORTS[security] if port is None else port,
        "smtp_security": str(security),
        "username": username,
        "password_encrypted": vault.encrypt(_password()) if username else None,
        "daily_limit": daily_limit,
        "gap_seconds": config.settings().planning.mailbox_gap_seconds if gap is None else gap,
    }
    ramp = _ramp(None, ramp_start, ramp_step)
    ramp = None if ramp == "none" else ramp
    more = {**(where._asdict() if where else {}), **(ramp._asdict() if ramp else {})}
    bounds.check(bounds.MAILBOX | bounds.RAMP, {**new, **more})
    _warn_if_in_clear(host, security)
    if not no_check:
        _try_servers(Mailbox(**new, **more), yes=yes)
    key = _provider(provider)
    mailboxes.add(**new, by=who(), sent_mail=where, one_click=bool(one_click), ramp=ramp, provider=key)
    print(f"added {normalise(address)}")
    _tell_limits(mailboxes.find(normalise(address)))


def _provider(given: Provider | None) -> str | None:
    """As models have it: "" for none of them, None if none was given."""
    return None if given is None else "" if given == "none" else str(given)


def _tell_limits(row: Mailbox) -> None:
    if row.provider is not None:
        print(f"its provider is {described(row.provider)}")
    elif not config.is_loopback(row.smtp_host):
        print(f"no limits of {row.smtp_host} are known here: ask its provider, and keep the daily limit below them")


def _warn_if_in_clear(host: str, security: str) -> None:
    if security == Security.NONE and not config.is_loopback(host):
        print(
            f"punktual: warning: --security none sends every e-mail to {host} unencrypted, and it is not this machine",
            file=sys.stderr,
        )


def _try_servers(row: Mailbox, *, yes: bool) -> None:
    """Say which server does not let it in, and ask whether to add it all the same."""
    failed = [it for it in check.of_servers(row) if not it.works]
    for it in failed:
        print(escape_controls(f"punktual: warning: {it.server}: {it.says}"), file=sys.stderr)
    if failed:
        confirm.ask("Its servers do not let it in. Add it all the same?", yes=yes)


def _check_server(
    host: str | None, imap_host: str | None, username: str | None, name: str | None, sent_folder: str | None
) -> None:
    """Check the given options. An empty IMAP server removes it."""
    for option, server in (("--host", host), ("--imap-host", imap_host or None)):
        if server is not None and not _is_host(server):
            raise MailboxInvalid(f"{option}: {server[:80]!r} is not a server name like smtp.your-provider.pl")
    if username == "":
        raise MailboxInvalid("--username: must not be empty; leave it out if the server needs none")
    check_sender_name(name or "")
    for what, text in (("user name", username), ("folder's name", sent_folder)):
        refuse_control_characters(what, text or "")
        if len(text or "") > _LONGEST:
            raise MailboxInvalid(f"the {what} has more than {_LONGEST} characters")


_LONGEST = 320
_HOST = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*\.?")


def _is_host(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None


def _password() -> str:
    """Never an argument: arguments are visible in the process list and in the shell's history."""
    given = os.environ.get("PUNKTUAL_MAILBOX_PASSWORD")
    return given if given is not None else typer.prompt("Password", hide_input=True)


def _sent_mail(
    before: SentMail | None, host: str | None, port: int | None, security: Security | None, folder: str | None
) -> SentMail | None:
    """The Sent folder's settings: the current ones, changed by the given options."""
    known_host = before.imap_host if before else None
    host = known_host if host is None else host
    if not host:
        if port is not None or security or folder:
            raise typer.BadParameter("the other IMAP options need --imap-host")
        return None
    known_security, known_port = (Security(before.imap_security), before.imap_port) if before else (None, 0)
    security = security or known_security or Security.TLS
    return SentMail(
        imap_host=host,
        imap_port=port if port is not None else known_port if known_security == security else _IMAP_PORTS[security],
        imap_security=security,
        sent_folder=(before.sent_folder if before and folder is None else folder) or None,
    )


@app.command()
def edit(
    address: Address,
    host: Annotated[str | None, typer.Option(help="SMTP server.")] = None,
    port: Annotated[int | None, typer.Option(help="SMTP port.")] = None,
    security: Annotated[Security | None, typer.Option(help="SMTP encryption.")] = None,
    username: Annotated[
        str | None, typer.Option(help="User name, with a new password from PUNKTUAL_MAILBOX_PASSWORD or a prompt.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Sender name that leads see.")] = None,
    daily_limit: Annotated[
        int | None, typer.Option(help="E-mails per day, all campaigns and warm-up included.")
    ] = None,
    gap: Annotated[float | None, typer.Option(help="Minimum seconds between two e-mails.")] = None,
    imap_host: ImapHost = None,
    imap_port: ImapPort = None,
    imap_security: ImapSecurity = None,
    sent_folder: SentFolder = None,
    one_click: OneClick = None,
    ramp_start: RampStart = None,
    ramp_step: RampStep = None,
    provider: ProviderName = None,
    yes: confirm.Yes = False,
) -> None:
    """Change the given settings. A new limit or gap plans the campaigns again: shows first which e-mails move.

    Example: python -m admin mailbox edit ola@your-domain.pl --daily-limit 60
    """
    _check_server(host, imap_host, username, name, sent_folder)
    about_smtp = (host, port, security, username, name, daily_limit, gap)
    about_imap = (imap_host, imap_port, imap_security, sent_folder)
    if (*about_smtp, *about_imap, one_click, ramp_start, ramp_step, provider) == (None,) * 15:
        raise typer.BadParameter("give at least one option to change")
    row = mailboxes.find(normalise(address))
    _warn_if_in_clear(host or row.smtp_host, security or (row.smtp_security if host else ""))
    where = _sent_mail(mailboxes.sent_mail(row), *about_imap)
    change = mailboxes.Edit(
        name=name,
        smtp_host=host,
        smtp_port=port,
        smtp_security=security,
        username=username,
        password_encrypted=vault.encrypt(_password()) if username else None,
        daily_limit=daily_limit,
        gap_seconds=gap,
        sent_mail=None if about_imap == (None,) * 4 else where or "nowhere",
        one_click=one_click,
        ramp=_ramp(row, ramp_start, ramp_step),
        provider=_provider(provider),
    )
    order = partial(mailboxes.edit, row.id, who(), change)
    confirm.moves(order, mailboxes.used_by(row.id), yes=yes)
    order()
    print(f"changed {normalise(address)}")
    if host is not None or provider is not None:
        _tell_limits(mailboxes.get(row.id))


def _ramp(row: Mailbox | None, start: int | None, step: int | None) -> Ramp | Literal["none"] | None:
    """The given ramp beside the mailbox's own; a new one begins today."""
    if start is None and step is None:
        return None
    if start == 0:
        return "none"
    start = row.ramp_start if start is None and row else start
    step = row.ramp_step if step is None and row else step
    if start is None or step is None:
        raise typer.BadParameter("a ramp wants --ramp-start and --ramp-step")
    begun = row.ramp_from if row else None
    return Ramp(start, step, begun or warsaw_day(database.clock()))


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List all mailboxes, with today's use of their daily limits.

    Example: python -m admin mailbox list
    """
    lines = overview.mailboxes(mailboxes.every())
    if json:
        show.as_json(lines)
        return
    rows = [
        (it.address, it.status, f"{it.used_today}/{it.daily_limit}", it.closed_until, it.reason or it.sends_nothing)
        for it in lines
    ]
    show.table(("mailbox", "status", "today", "closed until", "reason"), rows, "there is no mailbox yet")


@app.command("show")
def show_(address: Address, json: show.AsJson = False) -> None:
    """Show one mailbox.

    Example: python -m admin mailbox show ola@your-domain.pl
    """
    row = mailboxes.find(normalise(address))
    [line] = overview.mailboxes([row])
    server = {
        "name": row.name,
        "smtp": f"{row.smtp_host}:{row.smtp_port}",
        "security": row.smtp_security,
        "username": row.username,
        "password": "stored" if row.password_encrypted else "none",
        "oauth": _oauth(row.id),
        "imap": f"{row.imap_host}:{row.imap_port}" if row.imap_host else None,
        "imap_security": row.imap_security,
        "sent_folder": row.sent_folder,
        "one_click": row.one_click,
        "provider": described(row.provider) if row.provider else None,
        "ramp": f"{row.ramp_start} a day from {row.ramp_from}, {row.ramp_step} more after each day of sending, up to"
        f" {row.daily_limit}"
        if row.ramp_start
        else None,
        "frozen": ", ".join(
            f"{it.first_day} to {it.last_day}" for it in mailboxes.freezes(row.id, warsaw_day(database.clock()))
        )
        or None,
    }
    orders = changes.of_mailbox(row.id, show.FEW)
    if json:
        show.as_json({**vars(line), **server, "changes": orders})
        return
    pairs = {**vars(line), **server}
    errors = [(it.at, it.email_id, it.move, it.code, it.reason) for it in pairs.pop("errors")]
    domain = [(it.record, it.state, str(it.why)) for it in pairs.pop("domain")]
    calibration = [(it.record, it.state, str(it.why)) for it in pairs.pop("calibration")]
    inbox = pairs.pop("inbox")
    pairs["inbox read"] = inbox.read_at or "never to its end" if inbox else "no: it has no IMAP server"
    if inbox and inbox.failures:
        pairs["inbox error"] = f"{inbox.failures} looks failed, the last at {inbox.failed_step}: {inbox.failed_reason}"
    pairs["came back"] = show.responses(pairs.pop("responses"))
    show.pairs(pairs.items())
    if domain:
        print()
        show.table(("record", "state", "what its domain says"), domain, "")
    if calibration:
        print()
        show.table(("record", "state", "what its calibration mail shows"), calibration, "")
    if errors:
        print()
        show.table(("at", "e-mail", "move", "code", "reason"), errors, "")
    show.changes(orders)


def _oauth(mailbox_id: int) -> str | None:
    """Who consented to what, never a token."""
    it = authorizations.of(mailbox_id)
    if it is None:
        return None
    ends = f", ends {warsaw(it.consent_ends_at)}" if it.consent_ends_at else ""
    return f"{describe(it.provider)}, authorized {warsaw(it.authorized_at)} by {it.authorized_by}{ends}"


app.command("authorize")(authorize)
app.command("calibrate")(calibrate)


@app.command("check")
def check_(address: Address) -> None:
    """Log in to the mailbox's SMTP and IMAP servers and print the result. Sends nothing.

    Example: python -m admin mailbox check ola@your-domain.pl
    """
    results = check.of_servers(mailboxes.find(normalise(address)))
    for it in results:
        print(f"{it.server}  {escape_controls(it.says)}")
    if not all(it.works for it in results):
        raise typer.Exit(1)


@app.command("check-domain")
def check_domain(address: Address) -> None:
    """Ask DNS what the mailbox's domain says about its mail (MX, SPF, DMARC), and print what that means.

    Example: python -m admin mailbox check-domain ola@your-domain.pl
    """
    row = mailboxes.find(normalise(address))
    found = domain.check(row.address.rpartition("@")[2], resolver())
    for it in found:
        print(f"{it.record:<5}  {escape_controls(str(it.because))}")
    if any(it.state in ("wrong", "missing") for it in found):
        raise typer.Exit(1)


@app.command()
def read(address: Address) -> None:
    """Have the mailbox's inbox read now for replies and bounces.

    Example: python -m admin mailbox read ola@your-domain.pl
    """
    row = mailboxes.find(normalise(address))
    if row.imap_host is None:
        raise MailboxInvalid(f"{row.address} has no IMAP server: mailbox edit --imap-host names it")
    looks.ask(row.id)
    print(f"{row.address} will be read; `incoming list` shows what came back")


@app.command()
def freeze(
    address: Address,
    first: Annotated[str, typer.Option("--from", help="First day on which it sends nothing, like 2026-12-21.")],
    last: Annotated[str, typer.Option("--to", help="Last such day.")],
    yes: confirm.Yes = False,
) -> None:
    """Send nothing from a mailbox on some days. Shows first which e-mails move.

    Example: python -m admin mailbox freeze ola@your-domain.pl --from 2026-12-21 --to 2027-01-03
    """
    row, today = mailboxes.find(normalise(address)), warsaw_day(database.clock())
    days = _day(first, today, "--from"), _day(last, today, "--to")
    if days[1] < today:
        raise MailboxInvalid(f"--to: {days[1]} is over")
    order = partial(mailboxes.freeze, row.id, *days, who())
    confirm.moves(order, mailboxes.used_by(row.id), yes=yes)
    order()
    print(f"froze {row.address} from {days[0]} to {days[1]}")


@app.command()
def unfreeze(address: Address, yes: confirm.Yes = False) -> None:
    """Take back all freezes of a mailbox that are not over. Shows first which e-mails move.

    Example: python -m admin mailbox unfreeze ola@your-domain.pl
    """
    row, today = mailboxes.find(normalise(address)), warsaw_day(database.clock())
    order = partial(mailboxes.unfreeze, row.id, today, who())
    confirm.moves(order, mailboxes.used_by(row.id), yes=yes)
    count = order()
    print(f"took back {count} freeze{'' if count == 1 else 's'} of {row.address}")


@app.command()
def pause(address: Address, reason: confirm.Reason = None) -> None:
    """Pause a mailbox. Its e-mails move to the campaign's other mailboxes.

    Example: python -m admin mailbox pause ola@your-domain.pl --reason "on leave"
    """
    mailboxes.pause(mailboxes.find(normalise(address)).id, who(), confirm.checked(reason))
    print(f"paused {normalise(address)}")


@app.command()
def resume(address: Address) -> None:
    """Reopen a mailbox after a pause or after errors.

    Example: python -m admin mailbox resume ola@your-domain.pl
    """
    mailboxes.resume(mailboxes.find(normalise(address)).id, who())
    print(f"resumed {normalise(address)}")


@warmup.command()
def record(
    address: Annotated[str, typer.Argument(metavar="MAILBOX", help="The mailbox's address.")],
    count: Annotated[
        int, typer.Argument(help="Number of warm-up e-mails on that day. Replaces the number recorded before.")
    ],
    day: Annotated[str | None, typer.Option(help="Date, like 2026-11-17. Default: today in Warsaw.")] = None,
) -> None:
    """Record how many warm-up e-mails a mailbox sent on a day. They count towards its daily limit.

    Example: python -m admin warmup record ola@your-domain.pl 20
    """
    today = warsaw_day(database.clock())
    on = today if day is None else _day(day, today, "--day")
    mailboxes.record_warmup(mailboxes.find(normalise(address)).id, on, count, who())
    print(f"recorded {count} warm-up e-mails of {normalise(address)} on {on}")


def _day(text: str, today: date, option: str) -> date:
    """A day within a year; any other is a typing error."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise MailboxInvalid(f"{option}: {text[:40]!r} is not a date like {today}") from None
    if abs(day - today) > timedelta(days=366):
        raise MailboxInvalid(f"{option}: {day} is more than a year from today")
    return day
