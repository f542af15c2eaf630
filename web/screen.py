"""Renders a page in the common layout, shows invisible characters, and sends an ETag."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response, g, make_response, render_template, request

from models.health import heartbeats
from models.store import installation
from models.views import needs, unknowns
from reasons import Why
from web.guard import access

# Control characters, and those that reorder or hide text. Joiners, which scripts and emoji need, are allowed.
_INVISIBLE = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True)
class Frame:
    """What the layout shows on every page."""

    unknown: int
    needs: int  # what needs a person, the unknown e-mails included
    disarmed: Why | None  # why sending is stopped
    last_tick: datetime | None
    tick_is_old: bool
    may_log_out: bool


def show(template: str, code: int = 200, **values: Any) -> Response:
    response = make_response(visible(render_template(template, frame=_frame(), **values)), code)
    if request.method == "GET" and code == 200:
        response.set_etag(_fingerprint(response))
        response.make_conditional(request)
    return response


def visible(html: str) -> str:
    """Untrusted text with invisible characters shown, if they would change what people see."""
    return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", html.replace("\r\n", "\n"))


def _fingerprint(response: Response) -> str:
    """A hash of the page without its CSRF tokens, which differ in every response."""
    token = str(g.get("csrf_token", ""))
    html = response.get_data(as_text=True)
    return sha256((html.replace(token, "") if token else html).encode()).hexdigest()[:32]


def _frame() -> Frame:
    last = heartbeats.last("tick")
    return Frame(
        unknown=unknowns.count(),
        needs=needs.count(),
        disarmed=installation.disarmed_reason(),
        last_tick=last,
        tick_is_old=heartbeats.is_overdue(last),
        may_log_out=access.person() == "web:password",
    )
