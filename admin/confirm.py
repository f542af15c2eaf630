"""Shows which e-mails a change would move before it is made, and asks for confirmation at a terminal."""

import sys
from collections.abc import Callable, Collection
from typing import Annotated

import typer

from admin import show
from bounds import LONGEST_REASON
from models.owner import campaigns
from models.planning import preview
from models.planning.preview import Shift
from ops.terminal import escape_controls

Reason = Annotated[str | None, typer.Option("--reason", help="Why. Kept with the change, and shown.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation. Scripts are never asked.")]


def moves(order: Callable[[], object], campaign_ids: Collection[int], *, yes: bool) -> None:
    """Print which e-mails move, if any do. Exits if the person at the terminal declines."""
    if show_moves(order, campaign_ids):
        ask("Make this change?", yes=yes)


def show_moves(order: Callable[[], object], campaign_ids: Collection[int]) -> bool:
    """Print which e-mails move. Returns whether any do."""
    shifts = preview.of(order, campaign_ids)
    names = {row.id: row.name for row in campaigns.every()} if shifts else {}
    for it in shifts:
        print(escape_controls(_described(it, names[it.campaign_id])))
    return bool(shifts)


def ask(question: str, *, yes: bool) -> None:
    """Ask the person at the terminal for confirmation, and exit if they decline. yes: do not ask."""
    if not yes and sys.stdin.isatty() and not typer.confirm(question):
        print("nothing was changed")
        raise typer.Exit(1)


def _described(it: Shift, name: str) -> str:
    emails = f"{it.moved} e-mail of {name!r} moves" if it.moved == 1 else f"{it.moved} e-mails of {name!r} move"
    first = f"the first from {show.moment(it.first_before)} to {show.moment(it.first_after)}"
    last = f"the last from {show.moment(it.last_before)} to {show.moment(it.last_after)}"
    return f"{emails}: {first}, {last}"


def checked(reason: str | None) -> str | None:
    """The reason without spaces around it. None if none was given. Raises BadParameter if it is too long."""
    reason = (reason or "").strip()
    if len(reason) > LONGEST_REASON:
        raise typer.BadParameter(f"--reason: a reason has at most {LONGEST_REASON} characters")
    return reason or None
