"""A campaign's draft and its edits: letter and schedule, calendar, copy, deletion, report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

import messages
from intake import campaign_file, texts
from intake.campaign_file import CampaignFile
from intake.edits import checked_letter, senders, without_inbox
from intake.letters import check_unsubscribe_url
from intake.placeholders import foreign_in_change
from intake.texts import FileInvalid
from mail.address import AddressInvalid
from mail.compose import Templates
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from messages import Message, gettext_noop
from models.audit.sentences import WEEKDAYS
from models.owner import campaigns, mailboxes, steps
from models.owner.campaigns import CampaignInvalid, Edit, NameTaken
from models.owner.mailboxes import MailboxInvalid
from models.planning import preview, usable
from models.states import CampaignStatus
from models.store.tables import Campaign, Mailbox
from models.views import calendars, reports
from models.views.calendars import Calendar
from scheduling.planner import Unplannable
from scheduling.waits import Unit
from web import forms, words
from web.forms import MISSING, Form
from web.guard import access
from web.language import word
from web.owners import follow_ups
from web.screen import show

blueprint = Blueprint("campaigns", __name__)

_LETTER, _UPLOADED = ("subject", "text", "html"), ("text", "html")
# A page plays no more e-mails that are not planned yet: each takes about 0.1 ms.
_MOST_EMAILS = 20_000
_EDITABLE = {CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED}
_USUAL: Mapping[str, object] = {
    "window_start": "09:00",
    "window_end": "17:00",
    "weekdays": ("mon", "tue", "wed", "thu", "fri"),
    "delay_between_emails_seconds": 300,
    "daily_limit": 80,
    "follow_up_share": 70,
}
# Shown in the form once there is a follow-up.
_OF_FOLLOW_UPS = ("new_leads_per_day", "follow_up_share")


@dataclass(frozen=True)
class _Typed:
    """A form whose fields are right."""

    file: CampaignFile
    mailbox_ids: list[int]


@blueprint.route("/campaigns/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """A draft without leads, which it gets on the next page."""
    form = Form.sent()
    if request.method == "GET":
        only = [row.address for row in mailboxes.every()]
        form = Form.filled({**_USUAL, "mailboxes": only if len(only) == 1 else ()})
        return _form_page(None, form)
    _keep(form, _USUAL)
    if form.ticked("add_step"):
        return _with_another_follow_up(None, form)
    if typed := _read(form):
        try:
            campaign_id = campaigns.add(typed.file.as_new(typed.mailbox_ids), [], access.person())
            return redirect(url_for("leads.leads", campaign_id=campaign_id), 303)
        except CampaignInvalid as error:
            form.refuse("name", messages.of(error))
    return _form_page(None, form)


def _keep(form: Form, values: Mapping[str, object]) -> None:
    """Settings of follow-ups that the form did not show."""
    for name, typed in Form.filled({it: values.get(it) for it in _OF_FOLLOW_UPS}).values.items():
        form.values.setdefault(name, typed)


def _with_another_follow_up(row: Campaign | None, form: Form) -> Response:
    for name in _UPLOADED:
        _put_uploaded(form, name)
    follow_ups.add(form)
    return _form_page(row, form)


def _form_page(row: Campaign | None, form: Form, **values: Any) -> Response:
    return show(
        "campaign_form.html",
        form.status,
        row=row,
        form=form,
        mailboxes=mailboxes.every(),
        weekdays=[(name, words.weekdays([number])) for number, name in enumerate(WEEKDAYS)],
        follow_ups=follow_ups.numbers(form),
        units=[(str(it), words.unit(it)) for it in reversed(Unit)],
        still=True,
        **values,
    )


def _read(form: Form) -> _Typed | None:
    """What was typed, by the rules of a campaign file. None: something is wrong, and marked in the form."""
    for name in _UPLOADED:
        _put_uploaded(form, name)
    later = follow_ups.read(form)
    values: dict[str, Any] = {
        "name": form.get("name"),
        "subject": form.get("subject"),
        "text": form.text("text"),
        "html": form.text("html") if form.get("html") else None,
        "mailboxes": list(form.all("mailboxes")),
        "window_start": form.get("window_start"),
        "window_end": form.get("window_end"),
        "weekdays": list(form.all("weekdays")),
        "delay_between_emails_seconds": form.number("delay_between_emails_seconds"),
        "daily_limit": form.number("daily_limit"),
        "send_on_holidays": form.ticked("send_on_holidays"),
        "end_date": form.get("end_date") or None,
        "steps": list(later.values()),
        "follow_up_without_inbox": form.ticked("follow_up_without_inbox"),
        "new_leads_per_day": form.number("new_leads_per_day"),
        "follow_up_share": form.number("follow_up_share"),
    }
    for name, said in campaign_file.faults_in(values).items():
        form.refuse(name, MISSING if values[name] in (None, "") else said)
    letters = [_checked(form, values)]
    letters += [_checked(form, step, f"step-{number}-") for number, step in later.items()]
    _check_links(form, letters)
    found: list[Mailbox] = []
    try:
        found = senders(values["mailboxes"])
    except (AddressInvalid, MailboxInvalid, LetterInvalid) as error:
        form.refuse("mailboxes", messages.of(error))
    if later and (blind := without_inbox(found)) and not values["follow_up_without_inbox"]:
        template = gettext_noop("nobody would see an answer to %(mailboxes)s before a follow-up")
        form.refuse("follow_up_without_inbox", Message(template, mailboxes=", ".join(blind)))
    return _Typed(CampaignFile(**values), [it.id for it in found]) if form.is_right else None


def _put_uploaded(form: Form, name: str) -> None:
    """The content of an uploaded file in place of what was typed, so that it is seen and kept."""
    if (upload := forms.file(f"{name}_file")) is None:
        return
    try:
        with forms.on_disk(forms.name_of(upload), upload.read()) as path:
            form.put(name, texts.read(path))
    except FileInvalid as error:
        form.refuse(f"{name}_file", messages.of(error))


def _checked(form: Form, letter: Mapping[str, Any], place: str = "") -> Templates:
    """place: how the names of its fields begin."""
    templates = Templates.of(letter["subject"], letter["text"], letter["html"], {name: word(name) for name in _LETTER})
    for name in _LETTER:
        part = getattr(templates, name)
        if damage := texts.damage(letter[name] or ""):
            form.refuse(f"{place}{name}", damage)
        if part is not None:
            try:
                part.check()
            except TemplateInvalid as error:
                form.refuse(f"{place}{name}", messages.of(error) if part.source.strip() else MISSING)
    return templates


def _check_links(form: Form, letters: list[Templates]) -> None:
    if form.is_right:
        try:
            check_unsubscribe_url(letters)
        except FileInvalid as error:
            form.refuse("text", messages.of(error))


@blueprint.route("/campaigns/<int:campaign_id>/edit", methods=["GET", "POST"])
def edit(campaign_id: int) -> ResponseReturnValue:
    """A draft is changed at once. Of others the calendar's difference is shown before anything is saved."""
    row, form = campaigns.get(campaign_id), Form.sent()
    if row.status not in _EDITABLE:
        return redirect(url_for("pages.campaign", campaign_id=row.id), 303)
    if request.method == "GET":
        return _form_page(row, Form.filled(_as_it_is(row)))
    if "steps" not in form.values:  # it was not sent by the form, and says nothing of them
        form.values |= Form.filled(follow_ups.as_typed(steps.of(row.id))).values
    _keep(form, _as_it_is(row))
    if form.ticked("add_step"):
        return _with_another_follow_up(row, form)
    if not (typed := _read(form)):
        return _form_page(row, form)
    try:
        change = _change(row, typed)
        order = partial(campaigns.edit, row.id, access.person(), change)
        agreed = _fingerprint(row, form)
        if row.status != CampaignStatus.DRAFT and form.get("agreed") != agreed:
            return _form_page(row, form, difference=_difference(row, change, order), agreed=agreed)
        order()
    except FileInvalid as error:
        form.refuse("text", messages.of(error))
    except CampaignInvalid as error:
        form.refuse("name" if isinstance(error, NameTaken) else "", messages.of(error))
    if not form.is_right:
        return _form_page(row, form)
    then = "leads.leads" if row.status == CampaignStatus.DRAFT else "pages.campaign"
    return redirect(url_for(then, campaign_id=row.id), 303)


def _as_it_is(row: Campaign) -> dict[str, object]:
    subject, text, html = campaigns.letter(row.id)
    return {
        "name": row.name,
        "subject": subject,
        "text": text,
        "html": html,
        "mailboxes": [it.address for it in mailboxes.of_campaign(row.id)],
        "window_start": words.wall_clock(row.window_start_minute),
        "window_end": words.wall_clock(row.window_end_minute),
        "weekdays": [WEEKDAYS[each] for each in row.weekdays if each in range(7)],
        "delay_between_emails_seconds": row.delay_seconds,
        "daily_limit": row.daily_limit,
        "send_on_holidays": row.send_on_holidays,
        "end_date": row.last_day,
        "follow_up_without_inbox": row.follow_up_without_inbox,
        "new_leads_per_day": row.new_leads_per_day,
        "follow_up_share": row.follow_up_share,
        **follow_ups.as_typed(steps.of(row.id)),
    }


def _change(row: Campaign, typed: _Typed) -> Edit:
    """Raises FileInvalid and CampaignInvalid for a letter that does not fit its leads."""
    file = typed.file
    letter = file.subject, file.text, file.html
    others = [Templates.of(it.subject, it.text, it.html) for it in file.steps]
    change = file.as_edit(checked_letter(row, *letter, [Templates.of(*letter), *others]), typed.mailbox_ids)
    # Without follow-ups the form does not show these.
    return change if file.steps else replace(change, **dict.fromkeys(campaigns.SEQUENCE_SETTINGS))


def _fingerprint(row: Campaign, form: Form) -> str:
    """Of what was typed, and of what it changes: what was agreed to is this and nothing else."""
    typed = {name: values for name, values in form.values.items() if name not in ("csrf_token", "agreed")}
    return sha256(repr((row.revision, sorted(typed.items()))).encode()).hexdigest()


@dataclass(frozen=True)
class _Difference:
    shifts: list[preview.Shift]
    cancelled: int  # planned e-mails of removed steps
    before: Calendar | None  # None: nothing can be planned
    after: Calendar | None
    foreign: list[Message]  # placeholders of other products in its letters


def _difference(row: Campaign, change: Edit, order: Callable[[], object]) -> _Difference:
    shifts, cancelled = preview.of(order, [row.id]), steps.cancelled_by(row.id, change.later_steps or ())
    before = after = None
    if not usable.problem(row):
        before, after = calendars.of(row, _MOST_EMAILS), calendars.after(order, row.id, _MOST_EMAILS)
    return _Difference(shifts, cancelled, before, after, foreign_in_change(row, change))


@blueprint.get("/campaigns/<int:campaign_id>/calendar")
def calendar(campaign_id: int) -> Response:
    """Every e-mail that is still to go, by day and mailbox, and what limits it; of a draft, with its start."""
    row = campaigns.get(campaign_id)
    try:
        problem, found = usable.problem(row), None
        if problem is None:
            found = calendars.of(row, _MOST_EMAILS)
    except Unplannable as error:
        problem = str(error)
    used = set().union(*found.days.values()) if found else set()
    return show(
        "calendar.html",
        row=row,
        found=found,
        problem=problem,
        addresses={it.id: it.address for it in mailboxes.every() if it.id in used},
        has_leads=campaigns.has_leads(row.id),
        still=True,
    )


@blueprint.get("/campaigns/<int:campaign_id>/report")
def report(campaign_id: int) -> Response:
    row = campaigns.get(campaign_id)
    return show("report.html", row=row, it=reports.of(row))


@blueprint.route("/campaigns/<int:campaign_id>/copy", methods=["GET", "POST"])
def copy(campaign_id: int) -> ResponseReturnValue:
    row, form = campaigns.get(campaign_id), Form.sent()
    if request.method == "POST":
        try:
            name = campaign_file.named(form.get("name"))
            copied = campaigns.copy(row.id, name, access.person(), with_leads=form.ticked("with_leads"))
            return redirect(url_for("campaigns.edit", campaign_id=copied), 303)
        except (CampaignInvalid, FileInvalid) as error:
            form.refuse("name", messages.of(error) if form.get("name") else MISSING)
    return show("campaign_copy.html", form.status, row=row, form=form, still=True)


@blueprint.post("/campaigns/<int:campaign_id>/delete")
def delete(campaign_id: int) -> ResponseReturnValue:
    campaigns.delete(campaign_id, access.person())
    return redirect(url_for("pages.campaign_list"), 303)
