"""Leads of a campaign: uploaded, their columns agreed on, what is wrong with them seen and agreed to, then imported."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from apiflask import abort
from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue

import config
import messages
from intake import importing, legal_basis, mapping
from intake.bad_rows import BadRows, ErrorFile
from intake.columns import Columns, columns, is_address, is_email, without_email
from intake.importing import Findings, used_fields
from intake.leads import LeadLine, read_leads
from intake.leads_file import open_table
from intake.legal_basis import BasisInvalid
from intake.letters import check_columns, check_unsubscribe_url
from intake.mapping import Question
from intake.placeholders import foreign
from intake.tables import Hidden, Table
from intake.texts import FileInvalid
from mail.compose import Templates
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from messages import Message, Said, gettext_noop
from models.owner import campaigns
from models.owner.campaigns import CampaignInvalid
from models.people import lead_import, lead_uploads
from models.people.lead_import import LEGAL_BASIS
from models.people.lead_uploads import LARGEST, Upload
from models.people.leads import LegalBasis
from models.states import CampaignStatus
from models.store.tables import Campaign
from web import forms, words
from web.forms import Form
from web.guard import access
from web.screen import show

blueprint = Blueprint("leads", __name__)

# A file is read within a request: larger ones are for the command.
_MOST_ROWS = 200_000
_LARGEST_UNPACKED = 200_000_000
_SHOWN_ROWS, _SHOWN_FIELDS, _LISTED_LINES = 5, 6, 5
_LONGEST = 100
# Each file takes one core, and of threads there are few.
_READING = threading.Lock()
_WAIT_SECONDS = 15


@dataclass
class Checked:
    """An uploaded file, and what there is to say about it before it is imported."""

    described: Message
    hidden: Hidden
    question: Question
    fields: list[str]  # that a person may choose columns for
    picked: dict[str, int | None]
    wrong: Said | None = None  # why it cannot be read any further
    foreign: Sequence[Message] = ()  # placeholders of other products in the letters
    shown: tuple[list[str], list[LeadLine]] = ([], [])
    count: int = 0
    bad: BadRows | None = None
    findings: Findings | None = None


@dataclass(frozen=True)
class _Read:
    table: Table
    letters: list[Templates]
    checked: Checked


@contextmanager
def _read(row: Campaign, upload: Upload) -> Iterator[_Read]:
    """Raises FileInvalid if the file cannot be read at all."""
    if not _READING.acquire(timeout=_WAIT_SECONDS):
        abort(503, gettext_noop("Another file is being read. Try again in a moment."))
    try:
        with forms.on_disk(upload.name, upload.content) as path:
            yield _opened(row, upload, path)
    finally:
        _READING.release()


def _opened(row: Campaign, upload: Upload, path: Path) -> _Read:
    letters = [Templates.of(it.subject, it.text, it.html) for it in campaigns.letters(row.id)]
    used = used_fields(letters)
    table = open_table(path, is_email, sheet=upload.sheet, encoding=upload.encoding, largest_unpacked=_LARGEST_UNPACKED)
    it = mapping.question(table, used, {})
    if "email" not in {*it.choice.certain, *it.choice.suggested} and any(map(is_address, it.names)):
        raise FileInvalid(Message("%(where)s: %(said)s", where=it.where, said=without_email(it.names)))
    picked = {**it.choice.certain, **it.choice.suggested}
    fields = list(dict.fromkeys(("email", *sorted(used), *LEGAL_BASIS)))
    return _Read(table, letters, Checked(table.described(), table.hidden, it, fields, picked))


def _columns(it: _Read) -> Columns | None:
    """None: a person has to choose first."""
    found = it.checked
    if found.question.choice.open or found.picked.get("email") is None:
        found.wrong = Message(gettext_noop("choose the column of the addresses, and of each field of the letter"))
        return None
    fitting = columns(found.question.names, found.picked)
    check_columns(it.table.path, fitting)
    check_unsubscribe_url(it.letters)
    found.foreign = foreign(it.letters, dict(fitting.fields))
    names = sorted((name for name, _ in fitting.fields), key=lambda name: (name != "email", name not in found.fields))
    leads = (line for line in read_leads(it.table, fitting) if isinstance(line, LeadLine))
    found.shown = names[:_SHOWN_FIELDS], list(islice(leads, _SHOWN_ROWS))
    return fitting


def _stage(it: _Read, fitting: Columns, basis: LegalBasis | None = None, errors: ErrorFile | None = None) -> BadRows:
    """Within lead_import.staging(). Raises FileInvalid."""
    try:
        bad, it.checked.count = importing.stage(it.table, fitting, it.letters, basis, errors, most_rows=_MOST_ROWS)
    except TemplateInvalid as error:
        raise FileInvalid(*error.args) from None
    it.checked.bad = bad
    return bad


def _check(row: Campaign, upload: Upload) -> Checked | Said:
    """What there is to say about the file, or why it cannot be read at all."""
    try:
        with _read(row, upload) as it:
            try:
                if fitting := _columns(it):
                    with lead_import.staging():
                        _stage(it, fitting)
                        it.checked.findings = importing.look(row.id, skip_recent=False)
            except FileInvalid as error:
                it.checked.wrong = messages.of(error)
            return it.checked
    except FileInvalid as error:
        return messages.of(error)


@blueprint.get("/campaigns/<int:campaign_id>/leads")
def leads(campaign_id: int) -> ResponseReturnValue:
    row = campaigns.get(campaign_id)
    if row.status == CampaignStatus.CANCELLED:
        return redirect(url_for("pages.campaign", campaign_id=row.id), 303)
    return _page(row, Form())


def _page(row: Campaign, form: Form) -> Response:
    upload = lead_uploads.of(row.id)
    found = _check(row, upload) if upload else None
    return show(
        "leads.html",
        form.status,
        row=row,
        form=form,
        upload=upload,
        checked=found if isinstance(found, Checked) else None,
        wrong=found if not isinstance(found, Checked) else None,
        has_leads=campaigns.has_leads(row.id),
        count=lead_import.count(row.id),
        listed_lines=_LISTED_LINES,
        listed=importing.LISTED,
        recent_days=config.settings().leads.recent_days,
        largest=LARGEST // 1_000_000,
        still=True,
    )


@blueprint.post("/campaigns/<int:campaign_id>/leads")
def step(campaign_id: int) -> ResponseReturnValue:
    row, form = campaigns.get(campaign_id), Form.sent()
    try:
        campaigns.check_takes_leads(row)
    except CampaignInvalid:
        return redirect(url_for("pages.campaign", campaign_id=row.id), 303)
    upload = lead_uploads.of(row.id)
    match form.get("step"):
        case "columns" if upload:
            _agree_columns(row, upload, form)
        case "reading" if upload:
            lead_uploads.read_as(row.id, form.get("sheet")[:_LONGEST] or None, form.get("encoding")[:_LONGEST] or None)
        case "drop":
            lead_uploads.remove(row.id)
        case "import" if upload:
            if _import(row, upload, form):
                then = "campaigns.calendar" if row.status == CampaignStatus.DRAFT else "pages.campaign"
                return redirect(url_for(then, campaign_id=row.id), 303)
        case _:
            _upload(row, form)
    return _page(row, form) if form.problems else redirect(url_for("leads.leads", campaign_id=row.id), 303)


def _upload(row: Campaign, form: Form) -> None:
    upload = forms.file("file")
    content = upload.read(LARGEST + 1) if upload else b""
    if upload is None:
        form.refuse("file", Message(gettext_noop("choose a file")))
    elif not content:
        form.refuse("file", Message(gettext_noop("the file is empty")))
    elif len(content) > LARGEST:
        form.refuse("file", Message(gettext_noop("is larger than %(most)d MB"), most=LARGEST // 1_000_000))
    else:
        lead_uploads.put(row.id, forms.name_of(upload), content, access.person())


def _agree_columns(row: Campaign, upload: Upload, form: Form) -> None:
    """Remember which column is which field, for each file with this header."""
    try:
        with _read(row, upload) as it:
            names = it.checked.question.names
            picked = {field: _column(form.get(f"column-{field}"), len(names)) for field in it.checked.fields}
            mapping.agreed(it.checked.question, picked, (), access.person())
    except FileInvalid as error:
        form.refuse("column-email", messages.of(error))


def _column(typed: str, count: int) -> int | None:
    """A column's number, from 0. None: no column."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 4 and int(typed) < count else None


def _import(row: Campaign, upload: Upload, form: Form) -> bool:
    """Write the leads, as `campaign add-leads` does. False: something is to be agreed to first."""
    basis = _basis(form)
    if not form.is_right:
        return False
    try:
        with _read(row, upload) as it, lead_import.staging():
            fitting = _columns(it)
            if fitting is None:
                return False
            it.table.without_hidden = form.ticked("skip_hidden")
            bad = _stage(it, fitting, basis)
            found = importing.look(row.id, skip_recent=form.ticked("skip_recent"))
            if bad.count and not form.ticked("skip_bad"):
                form.refuse("skip_bad", Message(gettext_noop("agree to leave these rows out, or correct the file")))
            elif not found.writes:
                form.refuse("", Message(gettext_noop("there is nothing new to import")))
            else:
                mapping.agreed(it.checked.question, it.checked.picked, (), access.person())
                campaigns.add_staged_leads(row.id, access.person())
    except (FileInvalid, CampaignInvalid) as error:
        form.refuse("", messages.of(error))
    if form.is_right:
        lead_uploads.remove(row.id)
    return form.is_right


def _basis(form: Form) -> LegalBasis | None:
    given = (form.get(name) or None for name in LEGAL_BASIS)
    try:
        return legal_basis.checked(*given)
    except BasisInvalid as error:
        form.refuse({"basis": "legal_basis"}.get(error.field, f"legal_basis_{error.field}"), messages.of(error))
    except LetterInvalid as error:
        form.refuse("legal_basis", messages.of(error))
    return None


@blueprint.get("/campaigns/<int:campaign_id>/leads/errors.csv")
def errors(campaign_id: int) -> Response:
    """The rows that cannot be used, in the columns, encoding and delimiter of the file, each with the reason."""
    row = campaigns.get(campaign_id)
    upload = lead_uploads.of(row.id)
    if upload is None:
        abort(404)
    try:
        with _read(row, upload) as it, lead_import.staging(), ErrorFile(it.table, words.reason) as file:
            fitting = _columns(it)
            if fitting is None:
                abort(404)
            _stage(it, fitting, errors=file)
            path = file.keep()
            response = Response(path.read_bytes(), mimetype="text/csv")
    except FileInvalid:
        abort(404)
    response.headers["Content-Disposition"] = f'attachment; filename="{_ascii(path.name)}"'
    return response


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode().replace("?", "_")
