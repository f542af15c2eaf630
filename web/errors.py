"""Error responses: a page for people, one JSON form for programs."""

from collections.abc import Callable

from apiflask import APIFlask, HTTPError
from flask import Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.http import HTTP_STATUS_CODES

import faults
from models.email.locks import NoSuchEmail
from models.inbox.incoming import CorrectionRefused, NoSuchIncoming
from models.owner.campaigns import CampaignInvalid, NoSuchCampaign
from models.owner.mailboxes import NoSuchMailbox
from models.owner.settlement import SettlementRefused
from models.store import database
from ops.watch import logs
from reasons import gettext_noop
from web.language import word

log = logs.get()

_SENTENCES = {
    400: gettext_noop("This request cannot be read."),
    401: gettext_noop("Log in, or send the token."),
    404: gettext_noop("Not found."),
    405: gettext_noop("This address does not support that method."),
    413: gettext_noop("The request is too large."),
    415: gettext_noop("Send JSON with the header Content-Type: application/json."),
    429: gettext_noop("Too many attempts. Try again in a minute."),
    500: gettext_noop("Internal error. Details are in the log."),
}
_FORM_TOO_OLD = gettext_noop("This form has expired. Go back, reload the page and submit it again.")
_FOR_PROGRAMS = ("/api/", "/health/", "/metrics")


class Error(BaseModel):
    """Why a request was refused or failed."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(description="What is wrong, in English.")
    fields: dict[str, list[str]] = Field(description="Field of the input -> what is wrong with it.")


def init(app: APIFlask) -> None:
    app.error_processor(_answer)
    app.register_error_handler(CSRFError, lambda error: _answer(HTTPError(400, _FORM_TOO_OLD)))
    for missing in (NoSuchCampaign, NoSuchEmail, NoSuchIncoming, NoSuchMailbox):
        app.register_error_handler(missing, _missing)
    for refused in (CampaignInvalid, CorrectionRefused, SettlementRefused):
        app.register_error_handler(refused, lambda error: _answer(HTTPError(409, str(error))))
    for failure in database.FAILURES:
        app.register_error_handler(failure, _database_failed)


def _answer(error: HTTPError) -> Response:
    fields = _fields(error)
    message = _sentence(error, fields, str if _is_for_programs() else word)
    if _is_for_programs():
        response = jsonify(message=message, fields=fields)
    else:
        response = make_response(render_template("error.html", status=error.status_code, message=message))
    response.status_code = error.status_code
    response.headers.extend(error.headers)
    if error.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _is_for_programs() -> bool:
    return request.path.startswith(_FOR_PROGRAMS)


def _missing(error: Exception) -> Response:
    """Programs are told what is missing; people get a general sentence in their language."""
    return _answer(HTTPError(404, str(error) if _is_for_programs() else None))


def _fields(error: HTTPError) -> dict[str, list[str]]:
    """Field of the input -> what is wrong with it, in our own words."""
    found: dict[str, list[str]] = {}
    if isinstance(error.__cause__, ValidationError):
        for fault in faults.of(error.__cause__):
            found.setdefault(fault.place[0] if fault.place else "input", []).append(str(fault.text))
        return found
    for places in error.detail.values() if isinstance(error.detail, dict) else ():
        for place, texts in places.items():
            found.setdefault(place, []).extend(texts)
    return found


def _sentence(error: HTTPError, fields: dict[str, list[str]], say: Callable[[str], str]) -> str:
    if fields:
        return "; ".join(f"{field}: {', '.join(map(say, faults))}" for field, faults in fields.items())
    if error.message in (None, HTTP_STATUS_CODES.get(error.status_code)):
        return say(_SENTENCES.get(error.status_code, HTTP_STATUS_CODES[error.status_code]))
    return say(error.message)


def _database_failed(failure: Exception) -> Response:
    database.close()
    if not database.is_outage(failure):
        log.exception("request_failed", path=request.path)
        return _answer(HTTPError(500))
    log.warning("database_away", error=str(failure).splitlines()[0])
    return _answer(HTTPError(503, gettext_noop("The database does not answer. Try again in a moment.")))
