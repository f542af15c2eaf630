"""Commands about mailboxes and their warm-up."""

import os
import sys
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal

import typer

import bounds
import config
from actors.domains import look, resolver
from admin import confirm, days, show
from admin.authorize import authorize, describe
from admin.calibrate import calibrate
from admin.person import who
from intake import learnt_ceilings
from intake import mailboxes as settings
from intake.mailboxes import PORTS, DayInvalid, Incomplete, Security
from logins import check
from mail.address import normalise
from models.audit import changes
from models.inbox import looks
from models.owner import authorizations, mailboxes, missing_records
from models.owner.mailboxes import MailboxInvalid, Ramp, SentMail
from models.store import database, vault
from models.store.tables import Mailbox
from models.views import overview
from ops.terminal import escape_controls
from reasons import warsaw
from scheduling.providers import DAY, PROVIDERS, described, limits_of
from scheduling.window import warsaw_day

app = typer.Typer(help="Mailboxes that e-mails are sent from.", no_args_is_help=True)
warmup = typer.Typer(help="Warm-up e-mails that another system sends from a mailbox.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


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
    _check_server(host=host, imap_host=imap_host, username=username, name=name, sent_folder=sent_folder)
    mailboxes.check_is_new(normalise(address))
    where = _sent_mail(None, imap_host, imap_port, imap_security, sent_folder)
    new: dict[str, Any] = {
        "address": normalise(address),
        "name": name,
        "smtp_host": host,
        "smtp_port": PORTS[security] if port is None else port,
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
    """The option as models expect it: "" for none of the known providers, None if it was not given."""
    return None if given is None else "" if given == "none" else str(given)


def _tell_limits(row: Mailbox) -> None:
    if row.provider is not None:
        print(f"its provider is {described(row.provider)}")
        if any(limit.span == DAY and limit.most < row.daily_limit for limit in limits_of(row.provider)):
            print(f"its daily limit of {row.daily_limit:,} is above that, so its provider's holds")
    elif not config.is_loopback(row.smtp_host):
        print(f"no limits of {row.smtp_host} are known here: ask its provider, and keep the daily limit below them")


def _warn_if_in_clear(host: str, security: str) -> None:
    if settings.is_in_clear(host, security):
        print(
            f"punktual: warning: --security none sends every e-mail to {host} unencrypted, and it is not this machine",
            file=sys.stderr,
        )


def _try_servers(row: Mailbox, *, yes: bool) -> None:
    """Warn of each server that does not let the mailbox in, and ask whether to add it all the same."""
    failed = [it for it in check.of_servers(row) if not it.works]
    for it in failed:
        print(escape_controls(f"punktual: warning: {it.server}: {it.says}"), file=sys.stderr)
    if failed:
        confirm.ask("Its servers do not let it in. Add it all the same?", yes=yes)


def _check_server(**given: str | None) -> None:
    for name, said in settings.faults(given):
        raise MailboxInvalid(f"--{name.replace('_', '-')}: {said}")


def _password() -> str:
    """Read the password from the environment or a prompt; the process list and shell history show arguments."""
    given = os.environ.get("PUNKTUAL_MAILBOX_PASSWORD")
    return given if given is not None else typer.prompt("Password", hide_input=True)


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
    _check_server(host=host, imap_host=imap_host, username=username, name=name, sent_folder=sent_folder)
    about_smtp = (host, port, security, username, name, daily_limit, gap)
    about_imap = (imap_host, imap_port, imap_security, sent_folder)
    if all(it is None for it in (*about_smtp, *about_imap, one_click, ramp_start, ramp_step, provider)):
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
        sent_mail=None if all(it is None for it in about_imap) else where or "nowhere",
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
    try:
        return settings.ramp(row, start, step, warsaw_day(database.clock()))
    except Incomplete:
        raise typer.BadParameter("a ramp wants --ramp-start and --ramp-step") from None


def _sent_mail(
    before: SentMail | None, host: str | None, port: int | None, security: Security | None, folder: str | None
) -> SentMail | None:
    try:
        return settings.sent_mail(before, host, port, security, folder)
    except Incomplete:
        raise typer.BadParameter("the other IMAP options need --imap-host") from None


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
    if learnt := learnt_ceilings.proposed(row):
        option = {"daily_limit": "--daily-limit", "gap_seconds": "--gap"}[learnt.setting]
        keep = f"mailbox edit {row.address} {option} {learnt.value}"
        server["learnt"] = f"{show.moment(learnt.at)}: {learnt.because}; to keep below it: {keep}"
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
    show.pairs((name, value) for name, value in pairs.items() if value not in (None, ""))
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
    """The provider, and who authorized it when; never a token. None: the mailbox does not use OAuth2."""
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
        print(f"{it.server}  {escape_controls(str(it.says))}")
    if not all(it.works for it in results):
        raise typer.Exit(1)


@app.command("check-domain")
def check_domain(address: Address) -> None:
    """Ask DNS what the mailbox's domain says about its mail (MX, SPF, DMARC), and print what that means.

    Example: python -m admin mailbox check-domain ola@your-domain.pl
    """
    row = mailboxes.find(normalise(address))
    found = look(row.address.rpartition("@")[2], resolver())
    missing_records.protect()
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
    first: days.First = None,
    last: days.Last = None,
    since: days.From = None,
    to: days.To = None,
    yes: confirm.Yes = False,
) -> None:
    """Send nothing from a mailbox on some days. Shows first which e-mails move.

    Example: python -m admin mailbox freeze ola@your-domain.pl 2026-12-21 2027-01-03
    """
    row, today = mailboxes.find(normalise(address)), warsaw_day(database.clock())
    begin, end = (_day(text, today, name) for text, name in days.given(first, last, since, to))
    if end < today:
        raise MailboxInvalid(f"--to: {end} is over")
    order = partial(mailboxes.freeze, row.id, begin, end, who())
    confirm.moves(order, mailboxes.used_by(row.id), yes=yes)
    order()
    print(f"froze {row.address} from {begin} to {end}")


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
    try:
        return settings.day(text, today)
    except DayInvalid as error:
        raise MailboxInvalid(f"{option}: {error}") from None
