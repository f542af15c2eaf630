"""The JSON API: what the pages show, and the actions that a person can take."""

from typing import Any

from apiflask import APIBlueprint, APIFlask, abort
from flask import request

from intake import edits
from mail.address import AddressInvalid, normalise, suppressible
from models.audit import changes
from models.inbox import incoming as received
from models.inbox.incoming import NoSuchIncoming
from models.owner import campaigns, mailboxes, settlement
from models.people import suppressions
from models.views import (
    conversation_lines,
    conversations,
    found_leads,
    history,
    incoming,
    mails,
    needs,
    overview,
    responses,
    sequences,
    unknowns,
)
from models.views import today as timeline
from models.views.mails import CursorInvalid
from web import openapi, schemas
from web.guard import access

blueprint = APIBlueprint("api", __name__, url_prefix="/api")


def init(app: APIFlask) -> None:
    access.csrf.exempt(blueprint)
    openapi.init(app)
    app.register_blueprint(blueprint)


@blueprint.before_request
def _require_json() -> None:
    """415 unless the body is JSON: the form of another site, which could abuse a visitor's login, cannot send it."""
    if request.method == "POST" and not isinstance(request.get_json(), dict):
        abort(422, "The body must be a JSON object.")


@blueprint.get("/today")
@blueprint.output(schemas.Today)
def today() -> Any:
    """Show each campaign's timeline of today"""
    now, lines = timeline.now_and_lines(campaigns.every())
    return {"now": now, "lines": lines}


@blueprint.get("/counts")
@blueprint.output(schemas.Counts)
def counts() -> Any:
    """Count the e-mails of all campaigns by status"""
    return overview.counts()


@blueprint.get("/campaigns")
@blueprint.output(list[schemas.Campaign])  # type: ignore[arg-type]
def every_campaign() -> Any:
    """List all campaigns, each with whether it is sending and, if not, why"""
    return overview.campaigns(campaigns.every())


@blueprint.get("/campaigns/<int:id>")
@blueprint.output(schemas.Campaign)
def campaign(id: int) -> Any:
    """Show a campaign"""
    return _campaign(id)


def _campaign(id: int) -> overview.CampaignLine:
    return overview.campaigns([campaigns.get(id)])[0]


@blueprint.get("/campaigns/<int:id>/steps")
@blueprint.output(list[schemas.StepProgress])  # type: ignore[arg-type]
def steps(id: int) -> Any:
    """List the letters of a campaign's sequence, each with what became of it"""
    campaigns.get(id)
    return sequences.steps(id)


@blueprint.get("/campaigns/<int:id>/emails")
@blueprint.input(schemas.EmailQuery, location="query", arg_name="query")
@blueprint.output(schemas.EmailPage)
def emails(id: int, query: schemas.EmailQuery) -> Any:
    """List a campaign's e-mails by time, page by page"""
    campaigns.get(id)
    lead = None if query.lead is None else _address(query.lead)
    places = None if query.search is None else _places(query.search, id)
    try:
        page = mails.page(id, status=query.status, lead=lead, places=places, cursor=query.cursor, limit=query.limit)
    except CursorInvalid as error:
        return abort(422, detail={"query": {"cursor": [str(error)]}})
    return {"emails": page.lines, "next": page.next, "previous": page.previous}


def _address(text: str) -> str:
    try:
        return normalise(text)
    except AddressInvalid as error:
        return abort(422, detail={"query": {"lead": [str(error)]}})


def _places(text: str, campaign_id: int) -> list[int]:
    if (found := found_leads.find(text, campaign_id, limit=1000)) is None:
        return abort(422, detail={"query": {"search": [f"needs a word of {found_leads.SHORTEST} characters or more"]}})
    return [it.campaign_lead_id for it in found.leads]


@blueprint.get("/campaigns/<int:id>/changes")
@blueprint.input(schemas.LimitQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.RecordedChange])  # type: ignore[arg-type]
def changes_of_campaign(id: int, query: schemas.LimitQuery) -> Any:
    """List the changes to a campaign, with who made them"""
    campaigns.get(id)
    return changes.of_campaign(id, query.limit)


@blueprint.get("/emails/<int:id>")
@blueprint.output(schemas.Email)
def email(id: int) -> Any:
    """Show an e-mail"""
    return overview.email(id)


@blueprint.get("/emails/<int:id>/history")
@blueprint.output(list[schemas.PastMove])  # type: ignore[arg-type]
def history_of_email(id: int) -> Any:
    """List an e-mail's history: every change of its status or planned time"""
    overview.email(id)
    return [{name: getattr(row, name) for name in schemas.PastMove.model_fields} for row in history.of_email(id)]


@blueprint.get("/emails/<int:id>/conversation")
@blueprint.output(schemas.Conversation)
def conversation(id: int) -> Any:
    """Show the conversation with an e-mail's lead: what was sent, what came back, and what follows"""
    overview.email(id)
    found = conversations.of_email(id)
    return found and {**vars(found), "line": conversation_lines.line(found)}


@blueprint.get("/emails/<int:id>/incoming")
@blueprint.output(list[schemas.Incoming])  # type: ignore[arg-type]
def incoming_of_email(id: int) -> Any:
    """List what came back for an e-mail"""
    overview.email(id)
    return incoming.of_email(id)


@blueprint.get("/incoming")
@blueprint.input(schemas.IncomingQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.Incoming])  # type: ignore[arg-type]
def every_incoming(query: schemas.IncomingQuery) -> Any:
    """List what came back: replies, bounces and complaints, newest first"""
    lead = None if query.lead is None else _address(query.lead)
    return incoming.page(**{**query.model_dump(), "lead": lead})


@blueprint.get("/incoming/<int:id>")
@blueprint.output(schemas.Incoming)
def one_incoming(id: int) -> Any:
    """Show a message that came back"""
    return _incoming(id)


def _incoming(id: int) -> incoming.IncomingLine:
    found = incoming.one(id)
    if found is None:
        raise NoSuchIncoming(f"there is no message {id}")
    return found


@blueprint.get("/holds")
@blueprint.input(schemas.HoldQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.Hold])  # type: ignore[arg-type]
def holds(query: schemas.HoldQuery) -> Any:
    """List leads that are not written to because of a message, newest first"""
    return incoming.holds(lead=None if query.lead is None else _address(query.lead), limit=query.limit)


@blueprint.get("/needs-you")
@blueprint.output(schemas.NeedsYou)
def needs_you() -> Any:
    """Show what needs a person: messages to judge, unknown e-mails, and problems"""
    return {
        "unknown": unknowns.count(),
        "to_judge": responses.count_needs_a_person(),
        "messages": incoming.needs_a_person(),
        "problems": needs.causes(),
    }


@blueprint.get("/mailboxes")
@blueprint.output(list[schemas.Mailbox])  # type: ignore[arg-type]
def every_mailbox() -> Any:
    """List all mailboxes"""
    return overview.mailboxes(mailboxes.every())


@blueprint.get("/mailboxes/<int:id>")
@blueprint.output(schemas.Mailbox)
def mailbox(id: int) -> Any:
    """Show a mailbox"""
    return overview.mailboxes([mailboxes.get(id)])[0]


@blueprint.get("/unknown")
@blueprint.input(schemas.PageQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.UnknownEmail])  # type: ignore[arg-type]
def unknown(query: schemas.PageQuery) -> Any:
    """List the unknown e-mails, which need a decision, by id"""
    return [{**vars(it), "email": it.line, "reason": it.reason} for it in unknowns.page(query.after, query.limit)]


@blueprint.get("/suppressions")
@blueprint.output(list[schemas.Suppression])  # type: ignore[arg-type]
def every_suppression() -> Any:
    """List suppressed addresses and domains"""
    return suppressions.every()


@blueprint.post("/suppressions")
@blueprint.input(schemas.Suppress, arg_name="order")
@blueprint.output(schemas.Suppression)
def suppress(order: schemas.Suppress) -> Any:
    """Suppress an address, or a domain with its subdomains"""
    try:
        key = suppressible(order.address)
    except AddressInvalid as error:
        return abort(422, detail={"json": {"address": [str(error)]}})
    suppressions.add(key, order.reason, access.person(), proof=order.proof)
    found = suppressions.of([key]).get(key)
    return found or abort(409, "This person was forgotten, and is suppressed.")


@blueprint.post("/campaigns/<int:id>/start")
@blueprint.input(schemas.Empty, arg_name="empty")
@blueprint.output(schemas.Campaign)
def start(id: int, empty: schemas.Empty) -> Any:
    """Start a draft campaign"""
    edits.start(id, access.person())
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/pause")
@blueprint.input(schemas.Pause, arg_name="order")
@blueprint.output(schemas.Campaign)
def pause(id: int, order: schemas.Pause) -> Any:
    """Pause a campaign: nothing is sent until it is resumed"""
    campaigns.pause(id, access.person(), order.reason)
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/resume")
@blueprint.input(schemas.Empty, arg_name="empty")
@blueprint.output(schemas.Campaign)
def resume(id: int, empty: schemas.Empty) -> Any:
    """Resume a paused campaign"""
    campaigns.resume(id, access.person())
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/cancel")
@blueprint.input(schemas.Cancel, arg_name="order")
@blueprint.output(schemas.Campaign)
def cancel(id: int, order: schemas.Cancel) -> Any:
    """Cancel a campaign for good: its unsent e-mails are never sent"""
    campaigns.cancel(id, access.person(), order.reason)
    return _campaign(id)


@blueprint.post("/incoming/<int:id>/correct")
@blueprint.input(schemas.Correct, arg_name="order")
@blueprint.output(schemas.Incoming)
def correct(id: int, order: schemas.Correct) -> Any:
    """Correct what a message is, or confirm it: what followed is taken back and done anew"""
    received.correct(id, order.class_name, access.person(), order.reason, order.kind)
    return _incoming(id)


@blueprint.post("/emails/<int:id>/settle")
@blueprint.input(schemas.Settle, arg_name="order")
@blueprint.output(schemas.Email)
def settle(id: int, order: schemas.Settle) -> Any:
    """Decide an e-mail whose outcome is unknown"""
    rule = {"sent": settlement.sent, "again": settlement.again}[order.verdict]
    rule(id, order.reason, access.person())
    return overview.email(id)
