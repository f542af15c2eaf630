"""`campaign report`: what came of a campaign's e-mails."""

from typing import Annotated

import typer

from admin import show
from models.audit.sentences import duration
from models.owner import campaigns
from models.views import reports
from models.views.reports import Lateness


def report(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    json: show.AsJson = False,
) -> None:
    """Show what came of a campaign: sent, failed by kind, what came back, lateness, and how often e-mails were moved.

    Example: python -m admin campaign report Autumn
    """
    found = reports.of(campaigns.find(name))
    if json:
        show.as_json(found)
        return
    show.pairs(
        [
            ("campaign", found.campaign),
            ("status", found.status),
            ("leads", found.leads),
            *((status, count) for status, count in found.counts.items()),
            ("not planned", found.not_planned),
            ("came back", show.responses(found.responses)),
            ("first sent", found.first_sent_at),
            ("last sent", found.last_sent_at),
            ("lateness", _lateness(found.lateness)),
            ("moved", ", ".join(f"{count} × {reason}" for reason, count in found.moves.items()) or "never"),
            ("test mails", found.tests),
        ]
    )
    if found.failures:
        print()
        rows = [
            (it.count, it.scope, " ".join(str(part) for part in (it.code, it.enhanced) if part), it.example)
            for it in found.failures
        ]
        show.table(("failed", "about", "code", "the last answer"), rows, "")


def _lateness(it: Lateness) -> str:
    if it.median is None or it.p95 is None or it.worst is None:
        return "none was begun"
    half, most, worst = (duration(round(seconds)) for seconds in (it.median, it.p95, it.worst))
    return f"half within {half}, 95 % within {most}, worst {worst}; {it.over_a_minute} later than a minute"
