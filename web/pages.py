"""The pages. Read-only: their orders are in orders.py."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apiflask import abort
from flask import Blueprint, Response, make_response, request

from bounds import HIGHEST_ID, LONGEST_REASON
from mail.address import AddressInvalid, normalise
from models.audit import changes
from models.email import former_mailboxes
from models.inbox import incoming as received
from models.inbox import reply_stops
from models.owner import campaigns, mail_tests, mailboxes
from models.people import suppressions
from models.states import CampaignStatus, Status
from models.store import database
from models.store.tables import Campaign
from models.views import (
    conversations,
    exports,
    found_leads,
    history,
    incoming,
    mails,
    needs,
    overview,
    sequences,
    unknowns,
)
from models.views import today as timeline
from models.views.letters import NoSuchStep
from models.views.mails import CursorInvalid
from reasons import gettext_noop
from web import email_times, letter, outlook, preview, timeline_bars, timeline_layout, words
from web.guard import headers
from web.screen import show

blueprint = Blueprint("pages", __name__)
blueprint.app_context_processor(lambda: {"words": words, "most_reason": LONGEST_REASON})

_A_PAGE = 50
_LONGEST_STRETCH = timedelta(hours=25)
_ORDER = (
    CampaignStatus.ACTIVE,
    CampaignStatus.PAUSED,
    CampaignStatus.DRAFT,
    CampaignStatus.COMPLETED,
    CampaignStatus.CANCELLED,
)
_ON_THE_WAY = {CampaignStatus.ACTIVE, CampaignStatus.PAUSED}
_FIRST = {CampaignStatus.ACTIVE: 0, CampaignStatus.PAUSED: 1}


@blueprint.get("/")
def today() -> Response:
    rows = campaigns.every()
    now = database.clock()
    hour = request.args.get("show") == "hour"
    sight = timeline.between(*timeline_layout.hour_around(now), now) if hour else timeline.whole_day(now)
    found = timeline.stretches(rows, sight, _finest(hour=hour))
    counts = timeline.counts(rows, now) if hour else {id: timeline.by_status(each) for id, each in found.items()}
    shown = [row for row in rows if row.status in _ON_THE_WAY or row.id in counts]
    shown.sort(key=lambda row: (_FIRST.get(row.status, 2), row.id))
    return show(
        "today.html",
        drawn=_drawn(shown, sight, found, hour=hour),
        counts=counts,
        totals=_totals(rows, counts),
        hour=hour,
    )


def _drawn(
    rows: list[Campaign], sight: timeline.Sight, found: dict[int, list[timeline.Stretch]], *, hour: bool
) -> timeline_layout.Picture:
    now, lines = sight.now, timeline.lines(rows, overview.heads(rows), sight.now)
    every = [it for each in found.values() for it in each]
    axis = timeline_layout.axis_around(now, every) if hour else timeline_layout.axis_of_day(now, lines, every)
    few = timeline_bars.few(found)
    marks = timeline.marks([row for row in rows if row.id in few], sight)
    crowded = {id: each for id, each in found.items() if id not in few}
    return timeline_layout.draw(
        now,
        axis,
        [replace(line, marks=marks[line.campaign.id]) for line in lines],
        crowded,
        timeline.moved_within(crowded, now),
        _finest(hour=hour),
    )


def _finest(*, hour: bool) -> timedelta:
    return timeline_layout.MINUTE if hour else timeline_layout.QUARTER


def _totals(rows: Iterable[Campaign], counts: dict[int, Counter[str]]) -> dict[str, int]:
    """Totals for the overview; planned e-mails of inactive campaigns do not count, since they will not be sent."""
    of_day: Counter[str] = sum(counts.values(), Counter())
    active = [counts[row.id]["pending"] for row in rows if row.status == CampaignStatus.ACTIVE and row.id in counts]
    return {"sent": of_day["sent"], "pending": sum(active), "failed": of_day["failed"]}


@blueprint.get("/campaigns")
def campaign_list() -> Response:
    rows = sorted(campaigns.every(), key=lambda row: (_ORDER.index(row.status), -row.id))
    return show("campaigns.html", lines=overview.campaigns(rows))


@blueprint.get("/campaigns/<int:campaign_id>")
def campaign(campaign_id: int) -> Response:
    return campaign_page(campaign_id)


def campaign_page(campaign_id: int, refusal: str | None = None) -> Response:
    """Show a campaign. refusal: why an order from this page was not carried out."""
    row = campaigns.get(campaign_id)
    status, lead = request.args.get("status", ""), request.args.get("lead", "").strip()
    letter_wanted, step = request.args.get("letter", "").strip(), preview.step_in(request.values)
    shown, no_step = _preview(row, letter_wanted, step) if _has_preview(row) else (None, "")
    stretch = _stretch()
    [line] = overview.campaigns([row])
    ahead = outlook.of(row)
    return show(
        "campaign.html",
        409 if refusal else 200,
        row=row,
        line=line,
        ahead=ahead,
        days=outlook.days(mails.days(row.id), ahead.forecast, ahead.today),
        senders=mailboxes.of_campaign(row.id),
        subjects=campaigns.subjects(row.id),
        steps=sequences.steps(row.id),
        too_small=mailboxes.too_small_for(row.id),
        waiting=former_mailboxes.waiting([row.id]),
        changes=changes.of_campaign(row.id),
        stops=reply_stops.of(row.id),
        page=_mails(row.id, status, lead, stretch),
        stretch=stretch,
        status=status,
        lead_wanted=lead,
        statuses=list(Status),
        preview=shown,
        no_step=no_step,
        has_preview=_has_preview(row),
        letter_wanted=letter_wanted,
        step_wanted=step,
        refusal=refusal,
        tested=mail_tests.of_campaign(row.id, _id(request.args.get("test", type=int))),
    )


def _has_preview(row: Campaign) -> bool:
    """Whether the page has a preview: a draft's always, a running campaign's if asked, as its forecast takes time."""
    asked = "letter" in request.args or "step" in request.args
    return row.status == CampaignStatus.DRAFT or (row.status in _ON_THE_WAY and asked)


def _preview(row: Campaign, address: str, step: int) -> tuple[preview.Preview | None, str]:
    """A letter, or why its sequence does not have it. None and "": there is no such lead."""
    try:
        return preview.of(row, address, step), ""
    except NoSuchStep as error:
        return None, words.told(error.because)


@blueprint.get("/campaigns/<int:campaign_id>/letter/html")
@headers.letter
def letter_html(campaign_id: int) -> Response:
    """The HTML of a letter to one lead, for the page's sandboxed frame."""
    shown, _ = _preview(campaigns.get(campaign_id), request.args.get("lead", ""), preview.step_in(request.args))
    if shown is None or shown.shown is None:
        abort(404)
    return _html(shown.shown)


@blueprint.get("/campaigns/<int:campaign_id>/emails.csv")
def export(campaign_id: int) -> Response:
    """The campaign's e-mails with the leads' own columns, as `email list --csv` writes them."""
    row = campaigns.get(campaign_id)
    delimiter = ";" if request.args.get("semicolons") else ","
    found = exports.as_csv(exports.emails(campaign_id=row.id), exports.column_names(row.id), delimiter)
    response = Response("".join(found), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="campaign-{row.id}.csv"'
    return response


def _stretch() -> tuple[datetime, datetime] | None:
    """The part of the timeline, of a day at most, whose e-mails are wanted."""
    since, until = request.args.get("since"), request.args.get("until")
    if since is None and until is None:
        return None
    try:
        starts, ends = datetime.fromisoformat(since or ""), datetime.fromisoformat(until or "")
        is_valid = timedelta(0) < ends.astimezone(UTC) - starts.astimezone(UTC) <= _LONGEST_STRETCH
    except (ValueError, OverflowError):
        is_valid = False
    if not is_valid or starts.tzinfo is None or ends.tzinfo is None:
        abort(400, gettext_noop("This link is not valid."))
    return starts, ends


def _mails(campaign_id: int, status: str, lead: str, stretch: tuple[datetime, datetime] | None) -> mails.Page:
    wanted = Status(status) if status in set(Status) else None
    try:
        return mails.page(
            campaign_id,
            status=wanted,
            places=found_leads.places(lead, campaign_id) if lead else None,
            stretch=stretch,
            cursor=request.args.get("cursor") or None,
            limit=_A_PAGE,
        )
    except CursorInvalid:
        abort(400, gettext_noop("This link is not valid."))


@blueprint.get("/emails/<int:email_id>")
def email(email_id: int) -> Response:
    return email_page(email_id)


def email_page(email_id: int, refusal: str | None = None, typed: str = "") -> Response:
    """Show an e-mail. refusal: why a decision was refused. typed: the reason the person entered."""
    line, moves = overview.email(email_id), history.of_email(email_id)
    content = overview.content(email_id)
    return show(
        "email.html",
        409 if refusal else 200,
        line=line,
        moves=moves,
        came_back=incoming.of_email(email_id),
        conversation=conversations.of_email(email_id),
        **_lead(line.lead, line.campaign_id),
        times=email_times.times(line, moves),
        letter=letter.read(content) if content is not None else None,
        gone=overview.why_no_content(email_id) if content is None else None,
        unknown=unknowns.one(line.id) if line.status == Status.UNKNOWN else None,
        refusal=refusal,
        typed=typed,
        now=database.clock(),
    )


@blueprint.get("/emails/<int:email_id>/html")
@headers.letter
def html(email_id: int) -> Response:
    """The message's HTML alone, for the page's sandboxed frame."""
    overview.email(email_id)
    content = overview.content(email_id)
    if content is None:
        abort(404)
    return _html(letter.read(content))


def _html(read: letter.ShownLetter) -> Response:
    if read.html is None:
        abort(404)
    response = make_response(letter.without_connections(read.html))
    response.mimetype = "text/html"
    return response


@blueprint.get("/mailboxes")
def mailbox_list() -> Response:
    return show("mailboxes.html", lines=overview.mailboxes(mailboxes.every()))


@blueprint.get("/unknown")
def unknown_list() -> Response:
    after = _id(request.args.get("after", 0, type=int))
    found = unknowns.page(after, _A_PAGE + 1)
    shown = found[:_A_PAGE]
    return show(
        "unknown.html",
        found=shown,
        after=after,
        next=shown[-1].line.id if len(found) > _A_PAGE else None,
        now=database.clock(),
    )


@blueprint.get("/needs-you")
def needs_you() -> Response:
    return needs_you_page()


def needs_you_page(refused: int | None = None, refusal: str | None = None) -> Response:
    """Show what needs a person. refusal: why judging the message with the id `refused` was refused."""
    after = _id(request.args.get("after", 0, type=int))
    found = incoming.needs_a_person(after, _A_PAGE + 1)
    return show(
        "needs_you.html",
        409 if refusal else 200,
        found=found[:_A_PAGE],
        after=after,
        next=found[_A_PAGE - 1].id if len(found) > _A_PAGE else None,
        causes=needs.causes(),
        refused=refused,
        refusal=refusal,
    )


@blueprint.get("/incoming")
def incoming_list() -> Response:
    """List what came back, newest first: all of it, or that of a campaign, a mailbox or a class."""
    wanted = {name: request.args.get(name, type=int) for name in ("campaign", "mailbox")}
    class_name = request.args.get("class", "")
    found = incoming.page(
        class_name=class_name if class_name in received.CLASSES else None,
        campaign_id=wanted["campaign"] and _id(wanted["campaign"]),
        mailbox_id=wanted["mailbox"] and _id(wanted["mailbox"]),
        before=_id(request.args.get("before", 0, type=int)) or None,
        limit=_A_PAGE + 1,
    )
    return show(
        "incoming.html",
        found=found[:_A_PAGE],
        next=found[_A_PAGE - 1].id if len(found) > _A_PAGE else None,
        wanted={**wanted, "class": class_name},
        classes=received.CLASSES,
    )


def _id(value: int | None) -> int:
    return min(max(value or 0, 0), HIGHEST_ID)


@blueprint.get("/find")
def find() -> Response:
    """Find leads by a part of their address, name or company; for a complete address also the person's e-mails."""
    wanted = request.args.get("address", "").strip()
    try:
        address = normalise(wanted) if wanted else None
    except AddressInvalid:
        address = None
    return show(
        "find.html",
        wanted=wanted,
        shortest=found_leads.SHORTEST,
        found=found_leads.find(wanted),
        is_address=address is not None,
        lines=mails.find(address) if address else [],
        came_back=incoming.page(lead=address) if address else [],
        conversations=conversations.of_person(address) if address else [],
        **(_lead(address) if address else {}),
    )


def _lead(address: str, campaign_id: int | None = None) -> dict[str, Any]:
    """What keeps a lead from being written to."""
    try:
        found = normalise(address)
    except AddressInvalid:  # of a forgotten person
        return {"suppressed": None, "holds": []}
    return {
        "suppressed": suppressions.of([found]).get(found),
        "holds": incoming.holds(lead=found, campaign_id=campaign_id),
    }
