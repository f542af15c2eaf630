"""Mailboxes: added with a test of their login, edited, frozen, paused. A password goes in and is never shown again."""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import date
from functools import partial
from hashlib import sha256
from typing import Any

from apiflask import abort
from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

import bounds
import config
import messages
from bounds import LONGEST_REASON, OutOfBounds
from intake import learnt_ceilings
from intake import mailboxes as settings
from intake.mailboxes import PORTS, DayInvalid, Incomplete, Security
from logins import check
from logins.check import ServerCheck
from mail.address import AddressInvalid, normalise
from messages import Message, gettext_noop
from models.audit import changes
from models.owner import authorizations, campaigns, mailboxes
from models.owner.mailboxes import Edit, MailboxInvalid, NoInbox, Ramp, SentMail
from models.planning import preview
from models.states import MailboxStatus
from models.store import database, vault
from models.store.tables import Mailbox
from models.views import overview
from reasons import Why
from scheduling.providers import PROVIDERS
from scheduling.window import warsaw_day
from web.forms import MISSING, Form
from web.guard import access
from web.screen import show

blueprint = Blueprint("mailboxes", __name__)

_TESTS_AT_ONCE = threading.BoundedSemaphore(2)  # of logins, each of which keeps a thread of the pages busy
_LONGEST_PASSWORD = 1000
# A field of the form -> the column whose bounds it has.
_BOUNDS = {
    "daily_limit": "daily_limit",
    "gap": "gap_seconds",
    "port": "smtp_port",
    "imap_port": "imap_port",
    "ramp_start": "ramp_start",
    "ramp_step": "ramp_step",
}


@blueprint.route("/mailboxes/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """As `mailbox add`."""
    form = Form.sent()
    if request.method == "GET":
        usual = {"security": Security.STARTTLS, "imap_security": Security.TLS, "check": True}
        return _new_page(Form.filled({**usual, "gap": config.settings().planning.mailbox_gap_seconds}))
    address = _address(form)
    values, where = _login_of(form)
    limits, ramp = _limits_of(form, None)
    provider = _provider(form)
    if values.get("username") and not form.values.get("password", [""])[0]:
        form.refuse("password", MISSING)
    if not form.is_right:
        return _new_page(form)
    row: dict[str, Any] = {"address": address, "name": form.get("name"), **values, **limits}
    results = _tried(form, row, where)
    if form.is_right:
        try:
            mailboxes.add(
                **row,
                by=access.person(),
                sent_mail=where,
                one_click=form.ticked("one_click"),
                ramp=ramp if isinstance(ramp, Ramp) else None,
                provider=provider,
            )
        except MailboxInvalid as error:
            form.refuse("address", messages.of(error))
    if not form.is_right:
        return _new_page(form, results)
    return redirect(url_for("mailboxes.one", mailbox_id=mailboxes.find(address).id), 303)


def _new_page(form: Form, results: list[ServerCheck] | None = None) -> Response:
    return show(
        "mailbox_new.html",
        form.status,
        form=form,
        results=results or [],
        securities=list(Security),
        providers=list(PROVIDERS),
        still=True,
    )


def _address(form: Form) -> str:
    try:
        address = normalise(form.get("address"))
        mailboxes.check_is_new(address)
    except (AddressInvalid, MailboxInvalid) as error:
        form.refuse("address", messages.of(error) if form.get("address") else MISSING)
        return ""
    return address


def _login_of(form: Form) -> tuple[dict[str, Any], SentMail | None]:
    """The columns of its SMTP server and login, and its Sent folder."""
    texts = {name: form.get(name) or None for name in ("host", "imap_host", "username", "sent_folder", "name")}
    if texts["host"] is None:
        form.refuse("host", MISSING)
    for name, said in settings.faults(texts):
        form.refuse(name, said)
    security, imap_security = _security(form, "security"), _security(form, "imap_security")
    port, imap_port = (_in_bounds(form, name, form.whole(name)) for name in ("port", "imap_port"))
    if settings.is_in_clear(texts["host"] or "", security) and not form.ticked("in_clear"):
        form.refuse("security", Message(gettext_noop("would send every e-mail unencrypted to another machine")))
    where = None
    if host := texts["imap_host"]:
        where = settings.sent_mail(None, host, imap_port, imap_security, texts["sent_folder"])
        if texts["username"] is None:
            form.refuse("imap_host", Message(gettext_noop("an IMAP server wants the mailbox's user name")))
    password = form.values.get("password", [""])[0]
    if len(password) > _LONGEST_PASSWORD:
        form.refuse(
            "password", Message(gettext_noop("must have at most %(bound)s characters"), bound=_LONGEST_PASSWORD)
        )
    values = {
        "smtp_host": texts["host"],
        "smtp_port": PORTS[security] if port is None else port,
        "smtp_security": str(security),
        "username": texts["username"],
        "password_encrypted": vault.encrypt(password) if texts["username"] and password else None,
    }
    return values, where


def _security(form: Form, name: str) -> Security:
    try:
        return Security(form.get(name))
    except ValueError:
        form.refuse(name, Message(gettext_noop("choose one")))
        return Security.TLS


def _limits_of(form: Form, row: Mailbox | None) -> tuple[dict[str, Any], Any]:
    """The columns of its limit and gap, and its ramp; "none": it has none any more."""
    limit, gap = form.whole("daily_limit"), form.number("gap")
    for name, value in (("daily_limit", limit), ("gap", gap)):
        if value is None:
            form.refuse(name, MISSING)
    if isinstance(gap, str):
        form.refuse("gap", Message(gettext_noop("must be a number")))
    values = {"daily_limit": _in_bounds(form, "daily_limit", limit), "gap_seconds": _in_bounds(form, "gap", gap)}
    start, step = form.whole("ramp_start"), form.whole("ramp_step")
    if start is None and step is None:
        return values, "none" if row is not None and row.ramp_start is not None else None
    for name, value in (("ramp_start", start), ("ramp_step", step)):
        _in_bounds(form, name, value)
    try:
        return values, settings.ramp(None, start, step, (row.ramp_from if row else None) or _today())
    except Incomplete as error:
        form.refuse("ramp_step" if step is None else "ramp_start", messages.of(error))
        return values, None


def _provider(form: Form) -> str | None:
    """As mailboxes.add() takes it: None: by its server; "": none whose limits are known."""
    chosen = form.get("provider")
    if chosen in ("", "found"):
        return None
    if chosen != "none" and chosen not in PROVIDERS:
        form.refuse("provider", Message(gettext_noop("choose one")))
    return "" if chosen == "none" else chosen


def _in_bounds(form: Form, name: str, value: Any) -> Any:
    if isinstance(value, int | float):
        try:
            (bounds.MAILBOX | bounds.RAMP)[_BOUNDS[name]].check(value)
        except OutOfBounds as error:
            form.refuse(name, error.said)
    return value


def _tried(form: Form, columns: Mapping[str, Any], where: SentMail | None) -> list[ServerCheck]:
    """The answers of its servers, if they are to be asked. One that does not let it in is a problem of the form."""
    if not form.ticked("check"):
        return []
    results = _asked(Mailbox(**columns, **(where._asdict() if where else {})))
    if not all(it.works for it in results):
        form.refuse("check", Message(gettext_noop("a server does not let it in; untick this to go on all the same")))
    return results


def _asked(row: Mailbox) -> list[ServerCheck]:
    if not _TESTS_AT_ONCE.acquire(blocking=False):
        abort(503, gettext_noop("Other mailboxes are being tested. Try again in a moment."))
    try:
        return check.of_servers(row, quickly=True)
    finally:
        _TESTS_AT_ONCE.release()


@blueprint.get("/mailboxes/<int:mailbox_id>")
def one(mailbox_id: int) -> Response:
    """Show a mailbox. ?take=1 puts the limit learnt from its server's refusals into the form."""
    return _page(mailboxes.get(mailbox_id), takes=bool(request.args.get("take")))


def _page(
    row: Mailbox,
    form: Form | None = None,
    *,
    results: Collection[ServerCheck] = (),
    shifts: Collection[preview.Shift] | None = None,
    agreed: str = "",
    asked: str = "",
    takes: bool = False,
) -> Response:
    """form: of what was typed, beside which the rest is as it is. asked: the form whose e-mails move, and how."""
    where = mailboxes.sent_mail(row)
    as_it_is: dict[str, object] = {
        "name": row.name,
        "host": row.smtp_host,
        "port": row.smtp_port,
        "security": row.smtp_security,
        "username": row.username,
        "imap_host": where and where.imap_host,
        "imap_port": where and where.imap_port,
        "imap_security": where.imap_security if where else Security.TLS,
        "sent_folder": where and where.sent_folder,
        "one_click": row.one_click,
        "daily_limit": row.daily_limit,
        "gap": row.gap_seconds,
        "provider": row.provider or "none",
        "ramp_start": row.ramp_start,
        "ramp_step": row.ramp_step,
        "check": True,
    }
    learnt = learnt_ceilings.proposed(row)
    if takes and learnt:
        as_it_is[{"gap_seconds": "gap"}.get(learnt.setting, learnt.setting)] = learnt.value
    shown = Form.filled(as_it_is)
    if form is not None:
        sent = form.values.get("form", [""])[0]
        ticks = _TICKS.get(sent, ())
        shown.values = {name: it for name, it in shown.values.items() if name not in ticks} | form.values
        shown.problems = form.problems
    [line] = overview.mailboxes([row])
    return show(
        "mailbox.html",
        shown.status,
        row=row,
        line=line,
        form=shown,
        results=results,
        learnt=learnt,
        shifts=shifts,
        agreed=agreed,
        asked=asked,
        names={it.id: it.name for it in campaigns.every()} if shifts else {},
        securities=list(Security),
        providers=list(PROVIDERS),
        freezes=mailboxes.freezes(row.id, _today()),
        authorization=authorizations.of(row.id),
        changes=changes.of_mailbox(row.id),
        is_paused=row.status == MailboxStatus.PAUSED,
        still=True,
    )


# Fields that a form leaves out if they are not ticked.
_TICKS = {"login": ("check",), "limits": ("one_click",)}


@blueprint.post("/mailboxes/<int:mailbox_id>/login")
def log_in(mailbox_id: int) -> ResponseReturnValue:
    """Its servers, user name and password, as `mailbox edit`."""
    row, form = mailboxes.get(mailbox_id), Form.sent()
    values, where = _login_of(form)
    if row.username is not None and values["username"] is None:
        form.refuse("username", Message(gettext_noop("cannot be removed")))
    if values["username"] not in (None, row.username) and values["password_encrypted"] is None:
        form.refuse("password", Message(gettext_noop("a new user name wants its password")))
    if not form.is_right:
        return _page(row, form)
    known = {"password_encrypted": row.password_encrypted} if values["password_encrypted"] is None else {}
    results = _tried(form, {"id": row.id, "address": row.address, **values, **known}, where)
    if not form.is_right:
        return _page(row, form, results=results)
    changed = {name: value for name, value in values.items() if value is not None and value != getattr(row, name)}
    is_moved = where != mailboxes.sent_mail(row)
    change = Edit(**changed, sent_mail=(where or "nowhere") if is_moved else None)
    return _ordered(row, form, partial(mailboxes.edit, row.id, access.person(), change), "host")


@blueprint.post("/mailboxes/<int:mailbox_id>/limits")
def limit(mailbox_id: int) -> ResponseReturnValue:
    """Its name, limit, gap and ramp. Which e-mails move is shown first."""
    row, form = mailboxes.get(mailbox_id), Form.sent()
    values, ramp = _limits_of(form, row)
    for name, said in settings.faults({"name": form.get("name")}):
        form.refuse(name, said)
    provider = _provider(form)
    if not form.is_right:
        return _page(row, form)
    change = Edit(name=form.get("name"), **values, ramp=ramp, one_click=form.ticked("one_click"), provider=provider)
    return _confirmed(row, form, partial(mailboxes.edit, row.id, access.person(), change), "daily_limit")


@blueprint.post("/mailboxes/<int:mailbox_id>/freeze")
def freeze(mailbox_id: int) -> ResponseReturnValue:
    row, form = mailboxes.get(mailbox_id), Form.sent()
    try:
        days = settings.freeze_days(form.get("first"), form.get("last"), _today())
    except DayInvalid as error:
        form.refuse(error.args[1], messages.of(error))
        return _page(row, form)
    return _confirmed(row, form, partial(mailboxes.freeze, row.id, *days, access.person()), "last")


@blueprint.post("/mailboxes/<int:mailbox_id>/unfreeze")
def unfreeze(mailbox_id: int) -> ResponseReturnValue:
    row, form = mailboxes.get(mailbox_id), Form.sent()
    return _confirmed(row, form, partial(mailboxes.unfreeze, row.id, _today(), access.person()), "")


def _confirmed(row: Mailbox, form: Form, order: Callable[[], object], field: str) -> ResponseReturnValue:
    """Carry an order out, once the person has seen which e-mails it moves. field: what a refusal is about."""
    seen = _fingerprint(form)
    if form.get("agreed") != seen:
        try:
            shifts = preview.of(order, mailboxes.used_by(row.id))
        except MailboxInvalid as error:
            form.refuse(field, messages.of(error))
            return _page(row, form)
        if shifts:
            return _page(row, form, shifts=shifts, agreed=seen, asked=form.get("form"))
    return _ordered(row, form, order, field)


def _ordered(row: Mailbox, form: Form, order: Callable[[], object], field: str) -> ResponseReturnValue:
    try:
        order()
    except MailboxInvalid as error:
        form.refuse("imap_host" if isinstance(error, NoInbox) else field, messages.of(error))
        return _page(row, form)
    return redirect(url_for("mailboxes.one", mailbox_id=row.id), 303)


def _fingerprint(form: Form) -> str:
    """Of what was typed: what was agreed to is this and nothing else."""
    typed = {name: values for name, values in form.values.items() if name not in ("csrf_token", "agreed")}
    return sha256(repr(sorted(typed.items())).encode()).hexdigest()


@blueprint.post("/mailboxes/<int:mailbox_id>/<any(pause, resume):order>")
def order(mailbox_id: int, order: str) -> ResponseReturnValue:
    form = Form.sent()
    reason: Why | None = form.get("reason") or None
    if order == "resume":
        mailboxes.resume(mailbox_id, access.person())
    elif len(form.get("reason")) > LONGEST_REASON:
        form.refuse("reason", Message(gettext_noop("must have at most %(bound)s characters"), bound=LONGEST_REASON))
        return _page(mailboxes.get(mailbox_id), form)
    else:
        mailboxes.pause(mailbox_id, access.person(), reason)
    return redirect(url_for("mailboxes.one", mailbox_id=mailbox_id), 303)


@blueprint.post("/mailboxes/<int:mailbox_id>/check")
def test(mailbox_id: int) -> ResponseReturnValue:
    """Log in to its servers, as `mailbox check`. Sends nothing."""
    row = mailboxes.get(mailbox_id)
    return _page(row, results=_asked(row))


def _today() -> date:
    return warsaw_day(database.clock())
