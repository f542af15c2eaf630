"""Access control: requests from this machine, or with the password or the token.

Owns /login and /logout. Checks before every view except public ones, and also for unknown paths.
"""

import hmac
from datetime import timedelta
from uuid import UUID, uuid4

from apiflask import APIFlask, abort
from flask import Blueprint, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from models.owner import web_sessions
from models.store import vault
from ops.passwords import is_password
from ops.watch import logs
from reasons import gettext_noop
from web.guard.origin import from_another_site, is_for_loopback, local_path, network

LOGGED_IN_FOR = timedelta(hours=12)
# A browser that has logged in before is remembered for this long, and has its own limit of login attempts.
KNOWN_FOR = timedelta(days=31)

log = logs.get()
blueprint = Blueprint("access", __name__)
csrf = CSRFProtect()
limiter = Limiter(lambda: network(get_remote_address()), storage_uri="memory://", headers_enabled=True)

# The unsubscribe page: mail providers and people post to it from anywhere, by any name of this server.
_PUBLIC = {"unsubscribe"}
# The metrics have their own check.
_OPEN_TO_ALL = {"health", "metrics"}


def init(app: APIFlask) -> None:
    web = config.settings().web
    bound_to = web.password_hash.get_secret_value() if web.password_hash else ""
    app.config.update(
        SECRET_KEY=vault.derived_key("punktual web sessions", bound_to=bound_to),
        PERMANENT_SESSION_LIFETIME=KNOWN_FOR,
        SESSION_COOKIE_NAME="__Host-punktual" if web.behind_https else "punktual",
        SESSION_COOKIE_SECURE=web.behind_https,
        SESSION_COOKIE_SAMESITE="Lax",
        # Otherwise a response still in progress at logout would log the person in again.
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # valid for the whole session: a page may stay open all day
    )
    app.before_request(_let_in)
    init_public(app, behind_https=web.behind_https)
    csrf.init_app(app)
    app.register_blueprint(blueprint)


def init_public(app: APIFlask, *, behind_https: bool) -> None:
    """What the unsubscribe page needs, which is for everybody."""
    if behind_https:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    limiter.init_app(app)


def person() -> str:
    """The person's name for the audit log. Only for views, which need a login."""
    who: str = g.person
    return who


def _let_in() -> ResponseReturnValue | None:
    if request.blueprint in _PUBLIC:
        return None
    if not config.settings().web.protected and not is_for_loopback():
        abort(400, gettext_noop("This host name is not allowed."))
    if from_another_site():
        abort(403, gettext_noop("Requests from other websites are refused."))
    if request.blueprint in _OPEN_TO_ALL or request.endpoint == "static":
        return None  # works without the database
    g.person = _who()
    if g.person or request.endpoint == "access.log_in":
        return None
    return _turn_away()


def _who() -> str | None:
    if not config.settings().web.protected:
        return "web"
    if "Authorization" in request.headers:
        return "api:token" if _has_token() else None
    id = _session_id()
    return "web:password" if id and web_sessions.is_open(id) else None


def _session_id() -> UUID | None:
    try:
        return UUID(session.get("id"))
    except (ValueError, TypeError, AttributeError):
        return None


def _has_token() -> bool:
    wanted, given = config.settings().web.token, request.authorization
    if wanted is None or given is None or given.type != "bearer" or given.token is None:
        return False
    return hmac.compare_digest(given.token.encode(), wanted.get_secret_value().encode())


def _turn_away() -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        abort(401)
    back = request.full_path.removesuffix("?") if request.method == "GET" else None
    return redirect(url_for("access.log_in", next=back), 303)


def _attempts_of() -> str:
    return f"known {session['known']}" if "known" in session else f"from {network(get_remote_address())}"


@blueprint.route("/login", methods=["GET", "POST"])
@limiter.limit("30/minute", key_func=lambda: "all", methods=["POST"], exempt_when=lambda: "known" in session)
@limiter.limit("5/minute", key_func=_attempts_of, methods=["POST"])
def log_in() -> ResponseReturnValue:
    stored, back = config.settings().web.password_hash, local_path(request.args.get("next"))
    if g.person:
        return redirect(back, 303)
    if request.method == "GET" or stored is None:
        return render_template("login.html", there_is_a_password=stored is not None), 200 if stored else 403
    if not is_password(request.form.get("password", ""), stored.get_secret_value()):
        log.warning("login_failed", address=request.remote_addr)
        return render_template("login.html", there_is_a_password=True, failed=True), 401
    _remember()
    log.info("logged_in", address=request.remote_addr)
    return redirect(back, 303)


def _remember() -> None:
    _forget()
    session.permanent = True
    session.setdefault("known", uuid4().hex)
    session["id"] = web_sessions.begin(LOGGED_IN_FOR).hex


def _forget() -> None:
    """End the session in the browser and in the database, so that a copied cookie is useless."""
    if id := _session_id():
        web_sessions.end(id)
    for name in session.keys() - {"known", "_permanent"}:
        del session[name]


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    _forget()
    return redirect(url_for("access.log_in"), 303)
