"""The page that unsubscribes: GET only shows it, a POST with the body of RFC 8058 acts, at once.

No login and no cookie, and nothing about a person is shown, for links are followed by scanners and forwarded. The
language is a part of the path. Also served alone, by `python -m web public`.
"""

from base64 import b64encode
from hashlib import sha256
from uuid import UUID

from apiflask import APIFlask, HTTPError
from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from werkzeug.exceptions import HTTPException

from mail import unsubscribe as tokens
from models.people import unsubscribing
from models.store import database, vault
from ops.watch import logs
from reasons import gettext_noop
from web.guard import headers
from web.guard.access import limiter
from web.language import language, word

log = logs.get()
blueprint = Blueprint("unsubscribe", __name__)

# Each of the locks that it may have to wait for ends within two tries: see database.lock_timeout_seconds.
_TRIES = 3
BY = "unsubscribe page"
# What mail programs take for a part of a link that stands in a text.
_BEHIND = ".,;:!?)>]'\""

_DONE = gettext_noop("You have been unsubscribed. We will not write to you again.")
_NOT_FOUND = gettext_noop("This link is not valid. To unsubscribe, answer the e-mail with the word “unsubscribe”.")
_PREVIEW = gettext_noop("This link is from a preview. It changes nothing.")
_NOTHING_DONE = gettext_noop("Nothing was changed. Open the link from the e-mail and use the button.")
_LATER = gettext_noop("This does not work right now, and nothing was changed. Try again in a minute.")

STYLE = """
body{margin:0;min-height:100vh;display:grid;place-items:center;font:18px/1.5 system-ui,sans-serif;color:#1d2327;\
background:#f4f5f7}
main{box-sizing:border-box;width:100%;max-width:30rem;padding:1.5rem;text-align:center}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1.25rem}
button{font:inherit;font-weight:600;min-height:3rem;padding:.6rem 1.75rem;border:0;border-radius:.5rem;color:#fff;\
background:#1f5fbf;cursor:pointer}
button:focus-visible,a:focus-visible{outline:3px solid #1f5fbf;outline-offset:3px}
p{margin:1.5rem 0 0}
a{color:inherit}
@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#16191d}button{background:#2f6fd6}}
"""
_POLICY = {
    "default-src": "'none'",
    "style-src": f"'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def init(app: APIFlask) -> None:
    app.register_blueprint(blueprint)


@blueprint.route("/unsubscribe/<any(en, pl):lang>/<token>", methods=["GET", "POST"])
@headers.unsubscribe_page(_POLICY)
@limiter.limit("300/minute")
@limiter.limit("20/minute", deduct_when=lambda response: response.status_code in (400, 404))
def unsubscribe(lang: str, token: str) -> ResponseReturnValue:
    token = token.rstrip(_BEHIND)
    if token == tokens.PREVIEW:
        return _page(lang, _PREVIEW)
    email = tokens.email_of(token, vault.derived_keys(tokens.PURPOSE))
    if email is None:
        return _page(lang, _NOT_FOUND, 404)
    if request.method != "POST":
        return _page(lang, None, token=token)
    name, value = tokens.ONE_CLICK
    if request.form.getlist(name) != [value]:
        return _page(lang, _NOTHING_DONE, 400)
    done = _done(email)
    if done is None:
        return _page(lang, _LATER, 503)
    return _page(lang, _DONE) if done else _page(lang, _NOT_FOUND, 404)


def _done(email: UUID) -> bool | None:
    """Whether there is such an e-mail; None: the database is away."""
    for _ in range(_TRIES):
        try:
            return unsubscribing.unsubscribe(email, BY)
        except database.FAILURES as failure:
            if not database.is_outage(failure):
                raise
            log.warning("unsubscribe_postponed", error=type(failure).__name__)
            database.close()
    return None


@blueprint.errorhandler(Exception)
def _failed(error: Exception) -> Response:
    lang = (request.view_args or {}).get("lang", language())
    if isinstance(error, HTTPError):  # a character that no token has
        return _page(lang, _NOT_FOUND, 404)
    if isinstance(error, HTTPException):
        code = error.code or 500
        return _page(lang, _NOTHING_DONE if code == 413 else _LATER, code)
    log.exception("unsubscribe_failed")
    return _page(lang, _LATER, 500)


def refused(error: HTTPError) -> Response:
    """What the server that has no other page answers about any other address."""
    return _page(language(), gettext_noop("Not found."), error.status_code)


def _page(lang: str, message: str | None, code: int = 200, token: str = "") -> Response:
    """The page with a message; None: with the question whether to unsubscribe."""
    with force_locale(lang):
        html = render_template("unsubscribe.html", message=message and word(message), token=token, style=STYLE)
    response = make_response(html, code)
    response.headers["X-Robots-Tag"] = "noindex"
    return response
