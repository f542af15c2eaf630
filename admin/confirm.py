"""Shows which e-mails a change would move before it is made, and asks for confirmation at a terminal."""

import sys
from collections.abc import Callable, Collection
from typing import Annotated

import typer

from admin import show
from models.owner import campaigns, preview
from models.owner.preview import Shift
from ops.terminal import escape_controls

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation. Scripts are never asked.")]


def moves(order: Callable[[], object], campaign_ids: Collection[int], *, yes: bool) -> bool:
    """Whether e-mails will move. Exits if the person at the terminal declines."""
    shifts = preview.of(order, campaign_ids)
    names = {row.id: row.name for row in campaigns.every()} if shifts else {}
    for it in shifts:
        print(escape_controls(_described(it, names[it.campaign_id])))
    if shifts and not yes and sys.stdin.isatty() and not typer.confirm("Make this change?"):
        print("nothing was changed")
        raise typer.Exit(1)
    return bool(shifts)


def _described(it: Shift, name: str) -> str:
    emails = f"{it.moved} e-mail of {name!r} moves" if it.moved == 1 else f"{it.moved} e-mails of {name!r} move"
    first = f"the first from {show.moment(it.first_before)} to {show.moment(it.first_after)}"
    last = f"the last from {show.moment(it.last_before)} to {show.moment(it.last_after)}"
    return f"{emails}: {first}, {last}"
