"""Commands about days on which no campaign sends."""

from datetime import date
from typing import Annotated

import typer

from admin import days, show
from admin.person import who
from bounds import LONGEST_REASON
from intake.campaign_file import day
from mail.message import refuse_control_characters
from models.owner import closed_days
from scheduling.window import Days

app = typer.Typer(help="Days on which no campaign sends.", no_args_is_help=True)


@app.command()
def add(
    first: days.First = None,
    last: days.Last = None,
    since: days.From = None,
    to: days.To = None,
    reason: Annotated[str, typer.Option(help="Why, like 'company holidays'. Shown in the list.")] = "",
) -> None:
    """Send nothing on these days. E-mails planned there move behind them.

    Example: python -m admin freeze add 2026-12-28 2026-12-31 --reason "company holidays"
    """
    if len(reason) > LONGEST_REASON:
        raise typer.BadParameter(f"must have at most {LONGEST_REASON} characters", param_hint="--reason")
    refuse_control_characters("reason", reason)
    found = _days(first, last, since, to)
    closed_days.freeze(found, reason, who())
    print(f"frozen: {_shown(found)}; what is planned then is planned again")


@app.command()
def remove(first: days.First = None, last: days.Last = None, since: days.From = None, to: days.To = None) -> None:
    """Allow sending on these days again. Active campaigns are planned again.

    Example: python -m admin freeze remove 2026-12-28 2026-12-31
    """
    found = _days(first, last, since, to)
    print(
        f"{_shown(found)}: {'no longer frozen' if closed_days.release(found, who()) else 'exactly this was not frozen'}"
    )


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List the frozen days.

    Example: python -m admin freeze list
    """
    lines = closed_days.every()
    if json:
        show.as_json(lines)
        return
    cells = [(it.first_day.isoformat(), it.last_day.isoformat(), it.reason) for it in lines]
    show.table(("first day", "last day", "reason"), cells, "no day is frozen")


def _days(first: str | None, last: str | None, since: str | None, to: str | None) -> Days:
    return Days(*(_day(*it) for it in days.given(first, last, since, to)))


def _day(text: str, argument: str) -> date:
    try:
        return day(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=argument) from None


def _shown(found: Days) -> str:
    return str(found.first) if found.first == found.last else f"{found.first} to {found.last}"
