"""Orders from the pages: form posts that carry out an order and redirect to the result."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from apiflask import abort
from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

import messages
from bounds import LONGEST_REASON
from intake import edits
from logins import send_test as test_mail
from mail.address import AddressInvalid, normalise
from messages import Message
from models.email import former_mailboxes
from models.inbox import incoming
from models.inbox.incoming import CorrectionRefused
from models.owner import campaigns, mailboxes, settlement
from models.owner.campaigns import CampaignInvalid
from models.owner.mail_tests import TestMailRefused
from models.owner.settlement import SettlementRefused
from models.views.letters import NoSuchStep
from reasons import Code, Reason, gettext_noop
from web import preview, words
from web.guard import access, origin
from web.pages import campaign_page, email_page, needs_you_page

blueprint = Blueprint("orders", __name__)

_TESTS_AT_ONCE = threading.BoundedSemaphore(2)  # each keeps a thread of the pages busy
_CAMPAIGN: dict[str, Callable[[int, str, str | None], object]] = {
    "start": lambda campaign_id, by, _: edits.start(campaign_id, by),
    "pause": campaigns.pause,
    "resume": lambda campaign_id, by, _: campaigns.resume(campaign_id, by),
    "cancel": campaigns.cancel,
}
_VERDICTS: dict[str, Callable[[int, str, str], None]] = {"sent": settlement.sent, "again": settlement.again}


@blueprint.post("/campaigns/<int:campaign_id>/<any(start, pause, resume, cancel):order>")
def order(campaign_id: int, order: str) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()
    if len(reason) > LONGEST_REASON:
        because = words.reason(Reason(Code.REASON_TOO_LONG, most=LONGEST_REASON))
        return campaign_page(campaign_id, gettext("Not done: %(because)s.", because=because))
    try:
        _CAMPAIGN[order](campaign_id, access.person(), reason or None)
    except CampaignInvalid as error:
        if isinstance(said := messages.of(error), Message):
            return campaign_page(campaign_id, gettext("Not done: %(because)s.", because=words.reason(said)))
        status = words.status(campaigns.get(campaign_id).status)
        return campaign_page(campaign_id, gettext("Not done: the campaign is now %(status)s.", status=status))
    return redirect(url_for("pages.campaign", campaign_id=campaign_id), 303)


@blueprint.post("/campaigns/<int:campaign_id>/follow-ups")
def follow_ups(campaign_id: int) -> ResponseReturnValue:
    """End the sequences of a mailbox that is gone, or let them go on from another one."""
    old, new = request.form.get("mailbox", type=int), request.form.get("from", type=int)
    is_end = request.form.get("verdict") == "end"
    known = {it.mailbox_id for it in former_mailboxes.waiting([campaign_id])}
    if old not in known or not (is_end or new in {it.id for it in mailboxes.of_campaign(campaign_id)} - {old}):
        return campaign_page(campaign_id, gettext("Choose a mailbox from which they go on, or end them."))
    try:
        change = campaigns.decision(campaign_id, old, None if is_end else new)
        campaigns.edit(campaign_id, access.person(), change)
    except CampaignInvalid as error:
        return campaign_page(campaign_id, gettext("Not done: %(because)s.", because=words.reason(messages.of(error))))
    return redirect(url_for("pages.campaign", campaign_id=campaign_id), 303)


@blueprint.post("/campaigns/<int:campaign_id>/test")
def send_test(campaign_id: int) -> ResponseReturnValue:
    """Send a test mail of a lead's letter, as `campaign test` does."""
    row, to = campaigns.get(campaign_id), request.form.get("to", "").strip()
    try:
        it = preview.of_lead(row, request.form.get("lead", "").strip(), preview.step_in(request.form))
    except NoSuchStep as error:
        return campaign_page(campaign_id, gettext("Not done: %(because)s.", because=words.reason(error.because)))
    if it is None:
        return campaign_page(campaign_id, gettext("The campaign has no such lead."))
    if not _TESTS_AT_ONCE.acquire(blocking=False):
        abort(503, gettext_noop("Other test mails are being sent. Try again in a moment."))
    try:
        normalise(to)
        it = replace(it, recipient=to)
        preview.as_test(it, it.message_id)  # refused before anything is counted
        order, _ = test_mail.send(
            row.id, it.mailbox_id, to, access.person(), partial(preview.as_test, it), test_mail.QUICK
        )
    except (AddressInvalid, CampaignInvalid, TestMailRefused) as error:
        return campaign_page(campaign_id, gettext("Not done: %(because)s.", because=words.reason(messages.of(error))))
    finally:
        _TESTS_AT_ONCE.release()
    return redirect(url_for("pages.campaign", campaign_id=campaign_id, test=order.id), 303)


@blueprint.post("/emails/<int:email_id>/settle")
def settle(email_id: int) -> ResponseReturnValue:
    reason, rule = request.form.get("reason", "").strip(), _VERDICTS.get(request.form.get("verdict", ""))
    if rule is None:
        return email_page(email_id, gettext("Choose whether it was sent or should be sent again."), reason)
    try:
        rule(email_id, reason, access.person())
    except SettlementRefused as refusal:
        return email_page(email_id, gettext("Not done: %(because)s.", because=words.reason(refusal.because)), reason)
    return redirect(url_for("pages.email", email_id=email_id), 303)


@blueprint.post("/incoming/<int:incoming_id>/judge")
def judge(incoming_id: int) -> ResponseReturnValue:
    """Correct or confirm what a message is. verdict, in the form: a class, of a bounce with a kind: bounce:address."""
    class_name, _, kind = request.form.get("verdict", "").partition(":")
    reason = request.form.get("reason", "").strip() or Reason(Code.JUDGED)
    try:
        incoming.correct(incoming_id, class_name, access.person(), reason, kind or None)
    except CorrectionRefused:
        return needs_you_page(incoming_id, gettext("Not done: choose what the message is, if it is not that already."))
    return redirect(origin.local_path(request.form.get("back")), 303)
