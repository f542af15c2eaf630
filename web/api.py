"""The JSON API: what the pages show, and the orders a person may give."""

from typing import Any

from apiflask import APIBlueprint, APIFlask, abort
from flask import request

from mail.address import AddressInvalid, normalise
from models.owner import campaigns, changes, mailboxes, settlement
from models.views import history, mails, overview, unknowns
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
def _take_only_json() -> None:
    """415 unless the body is JSON. Another site's form, which could abuse a visitor's login, cannot send JSON."""
    if request.method == "POST" and not isinstance(request.get_json(), dict):
        abort(422, "An order is a JSON object.")


@blueprint.get("/today")
@blueprint.output(schemas.Today)
def today() -> Any:
    """The line of each campaign on this Warsaw day"""
    now, lines = timeline.now_and_lines(campaigns.every())
    return {"now": now, "lines": lines}


@blueprint.get("/counts")
@blueprint.output(schemas.Counts)
def counts() -> Any:
    """How many e-mails are in each status"""
    return overview.counts()


@blueprint.get("/campaigns")
@blueprint.output(list[schemas.Campaign])  # type: ignore[arg-type]
def every_campaign() -> Any:
    """All campaigns, each with whether it is sending, and if not why"""
    return overview.campaigns(campaigns.every())


@blueprint.get("/campaigns/<int:id>")
@blueprint.output(schemas.Campaign)
def campaign(id: int) -> Any:
    """One campaign"""
    return _campaign(id)


def _campaign(id: int) -> overview.CampaignLine:
    return overview.campaigns([campaigns.get(id)])[0]


@blueprint.get("/campaigns/<int:id>/emails")
@blueprint.input(schemas.EmailQuery, location="query", arg_name="query")
@blueprint.output(schemas.EmailPage)
def emails(id: int, query: schemas.EmailQuery) -> Any:
    """A campaign's e-mails in the order of their times, page by page"""
    campaigns.get(id)
    lead = None if query.lead is None else _address(query.lead)
    try:
        page = mails.page(id, status=query.status, lead=lead, cursor=query.cursor, limit=query.limit)
    except CursorInvalid as error:
        return abort(422, detail={"query": {"cursor": [str(error)]}})
    return {"emails": page.lines, "next": page.next, "previous": page.previous}


def _address(text: str) -> str:
    try:
        return normalise(text)
    except AddressInvalid as error:
        return abort(422, detail={"query": {"lead": [str(error)]}})


@blueprint.get("/campaigns/<int:id>/changes")
@blueprint.input(schemas.LimitQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.Change])  # type: ignore[arg-type]
def changes_of_campaign(id: int, query: schemas.LimitQuery) -> Any:
    """Who ordered what of a campaign"""
    campaigns.get(id)
    return changes.of_campaign(id, query.limit)


@blueprint.get("/emails/<int:id>")
@blueprint.output(schemas.Email)
def email(id: int) -> Any:
    """One e-mail"""
    return overview.email(id)


@blueprint.get("/emails/<int:id>/history")
@blueprint.output(list[schemas.History])  # type: ignore[arg-type]
def history_of_email(id: int) -> Any:
    """Every move of an e-mail, in order"""
    overview.email(id)
    return [{name: getattr(row, name) for name in schemas.History.model_fields} for row in history.of_email(id)]


@blueprint.get("/mailboxes")
@blueprint.output(list[schemas.Mailbox])  # type: ignore[arg-type]
def every_mailbox() -> Any:
    """All mailboxes"""
    return overview.mailboxes(mailboxes.every())


@blueprint.get("/mailboxes/<int:id>")
@blueprint.output(schemas.Mailbox)
def mailbox(id: int) -> Any:
    """One mailbox"""
    return overview.mailboxes([mailboxes.get(id)])[0]


@blueprint.get("/unknown")
@blueprint.input(schemas.PageQuery, location="query", arg_name="query")
@blueprint.output(list[schemas.Unknown])  # type: ignore[arg-type]
def unknown(query: schemas.PageQuery) -> Any:
    """The e-mails that wait for a person, by id"""
    return [{**vars(it), "email": it.line, "reason": it.reason} for it in unknowns.page(query.after, query.limit)]


@blueprint.post("/campaigns/<int:id>/start")
@blueprint.input(schemas.Order, arg_name="order")
@blueprint.output(schemas.Campaign)
def start(id: int, order: schemas.Order) -> Any:
    """Start a draft"""
    campaigns.start(id, access.person())
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/pause")
@blueprint.input(schemas.Pause, arg_name="order")
@blueprint.output(schemas.Campaign)
def pause(id: int, order: schemas.Pause) -> Any:
    """Send nothing more of it until it is resumed"""
    campaigns.pause(id, access.person(), order.reason)
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/resume")
@blueprint.input(schemas.Order, arg_name="order")
@blueprint.output(schemas.Campaign)
def resume(id: int, order: schemas.Order) -> Any:
    """Go on after a pause"""
    campaigns.resume(id, access.person())
    return _campaign(id)


@blueprint.post("/campaigns/<int:id>/cancel")
@blueprint.input(schemas.Order, arg_name="order")
@blueprint.output(schemas.Campaign)
def cancel(id: int, order: schemas.Order) -> Any:
    """End it for good: nothing that has not been sent will be"""
    campaigns.cancel(id, access.person())
    return _campaign(id)


@blueprint.post("/emails/<int:id>/settle")
@blueprint.input(schemas.Settle, arg_name="order")
@blueprint.output(schemas.Email)
def settle(id: int, order: schemas.Settle) -> Any:
    """Rule on an e-mail of which nobody knows whether the server took it"""
    rule = {"sent": settlement.sent, "again": settlement.again}[order.verdict]
    rule(id, order.reason, access.person())
    return overview.email(id)
