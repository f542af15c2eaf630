"""What the answers may do in a browser, and what it may keep of them."""

from collections.abc import Callable
from typing import Any

from apiflask import APIFlask
from flask import Response, request
from flask_talisman import DENY, SAMEORIGIN, Talisman

import config

_PAGES = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}
_LETTER = {
    "sandbox": "",
    "default-src": "'none'",
    "img-src": "data:",
    "style-src": "'unsafe-inline'",
    "frame-ancestors": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}


def init(app: APIFlask) -> None:
    Talisman(
        app,
        content_security_policy=_PAGES,
        frame_options=DENY,
        # So that our own forms still say where they come from, and nobody else is told anything.
        referrer_policy="same-origin",
        permissions_policy={},
        # The proxy sends people to https: a health check or a Prometheus beside us does not need to go there.
        force_https=False,
        strict_transport_security=config.settings().web.behind_https,
        session_cookie_secure=config.settings().web.behind_https,
    )
    app.after_request(_keep_nothing)


def letter(view: Callable[..., Any]) -> Callable[..., Any]:
    """For a view that shows what a lead received: it runs nothing, loads nothing, and only our own pages frame it."""
    view.talisman_view_options = {  # type: ignore[attr-defined]
        "content_security_policy": _LETTER,
        "frame_options": SAMEORIGIN,
    }
    return view


def _keep_nothing(response: Response) -> Response:
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    # Not even the names that links lead to are asked for before somebody follows one.
    response.headers["X-DNS-Prefetch-Control"] = "off"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
