"""Security and caching headers of the responses."""

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
        # Our own forms still send their origin, and other sites get nothing.
        referrer_policy="same-origin",
        permissions_policy={},
        # The proxy redirects people to https; local health checks and Prometheus do not need it.
        force_https=False,
        strict_transport_security=config.settings().web.behind_https,
        session_cookie_secure=config.settings().web.behind_https,
    )
    app.after_request(_keep_nothing)


def letter(view: Callable[..., Any]) -> Callable[..., Any]:
    """For a view of a lead's message: no scripts, no loading, framed only by our own pages."""
    view.talisman_view_options = {  # type: ignore[attr-defined]
        "content_security_policy": _LETTER,
        "frame_options": SAMEORIGIN,
    }
    return view


def unsubscribe_page(policy: dict[str, str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a page in one file, with its own content security policy."""

    def with_policy(view: Callable[..., Any]) -> Callable[..., Any]:
        view.talisman_view_options = {"content_security_policy": policy}  # type: ignore[attr-defined]
        return view

    return with_policy


def _keep_nothing(response: Response) -> Response:
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    # The browser must not resolve the hosts of links in advance.
    response.headers["X-DNS-Prefetch-Control"] = "off"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
