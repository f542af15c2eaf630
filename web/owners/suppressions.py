"""The suppressed addresses and domains: listed, added, removed, imported and exported."""

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

import messages
from bounds import LONGEST_REASON
from intake import suppressions as lists
from intake.suppressions import ReasonInvalid
from intake.texts import FileInvalid
from mail.address import AddressInvalid
from mail.message import LetterInvalid
from messages import Message, gettext_noop
from models.people import suppressions
from reasons import Why
from web import forms
from web.forms import MISSING, Form
from web.guard import access
from web.screen import show

blueprint = Blueprint("suppressions", __name__)

_A_PAGE = 100
_LISTED = 50


@blueprint.get("/suppressions")
def listed() -> Response:
    return _page(Form())


def _page(form: Form, imported: lists.Found | None = None, new: int = 0) -> Response:
    """imported: a list that was just read, with what cannot be used of it. new: how many of it are new."""
    part, after = request.args.get("part", "").strip().lower(), request.args.get("after", "")
    found = suppressions.page(after, part, _A_PAGE + 1)
    shown = found[:_A_PAGE]
    return show(
        "suppressions.html",
        form.status,
        form=form,
        lines=shown,
        part=part,
        after=after,
        next=shown[-1].address if len(found) > _A_PAGE else None,
        longest=LONGEST_REASON,
        imported=imported,
        new=new,
        listed=_LISTED,
        still=True,
    )


@blueprint.post("/suppressions")
def add() -> ResponseReturnValue:
    form = Form.sent()
    key = _key(form, "address")
    reason, proof = form.get("reason"), form.get("proof")
    try:
        lists.check_reason(reason, proof)
    except (ReasonInvalid, LetterInvalid) as error:
        form.refuse("reason", messages.of(error))
    if len(proof) > LONGEST_REASON:
        form.refuse("proof", Message(gettext_noop("must have at most %(bound)s characters"), bound=LONGEST_REASON))
    if not form.is_right:
        return _page(form)
    suppressions.add(key, reason, access.person(), proof=proof or None)
    return redirect(url_for("suppressions.listed", part=key), 303)


@blueprint.post("/suppressions/remove")
def remove() -> ResponseReturnValue:
    form = Form.sent()
    key, reason = _key(form, "removed"), form.get("why")
    if not reason:
        form.refuse("why", MISSING)
    if len(reason) > LONGEST_REASON:
        form.refuse("why", Message(gettext_noop("must have at most %(bound)s characters"), bound=LONGEST_REASON))
    if form.is_right and not suppressions.remove(key, access.person(), reason):
        form.refuse("removed", Message(gettext_noop("is not suppressed")))
    return redirect(url_for("suppressions.listed"), 303) if form.is_right else _page(form)


def _key(form: Form, name: str) -> str:
    try:
        return lists.key_of(form.get(name))
    except AddressInvalid as error:
        form.refuse(name, messages.of(error) if form.get(name) else MISSING)
        return ""


@blueprint.post("/suppressions/import")
def import_() -> ResponseReturnValue:
    """Lines that cannot be used are listed, and the others imported, as `suppression import` does."""
    form, upload = Form.sent(), forms.file("file")
    if upload is None:
        form.refuse("file", Message(gettext_noop("choose a file")))
        return _page(form)
    reason: Why | None = form.get("reason_of_all") or None
    try:
        if reason is not None:
            lists.check_reason(str(reason))
        with forms.on_disk(forms.name_of(upload), upload.read()) as path:
            found = lists.read(path, reason)
    except (ReasonInvalid, LetterInvalid) as error:
        form.refuse("reason_of_all", messages.of(error))
        return _page(form)
    except FileInvalid as error:
        form.refuse("file", messages.of(error))
        return _page(form)
    new = suppressions.import_(found.entries, access.person())
    return _page(Form(), found, new)


@blueprint.get("/suppressions.csv")
def export() -> Response:
    """As `suppression export` writes it, which can be imported again."""
    response = Response(lists.written(suppressions.every()), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response
