"""The first and the last of some days, as commands take them: two arguments, or --from and --to."""

from typing import Annotated

import typer

First = Annotated[str | None, typer.Argument(help="First day, like 2026-12-28.")]
Last = Annotated[str | None, typer.Argument(help="Last day, included. Without it: the first day only.")]
From = Annotated[str | None, typer.Option("--from", help="First day, instead of the argument.")]
To = Annotated[str | None, typer.Option("--to", help="Last day, instead of the argument.")]


def given(first: str | None, last: str | None, since: str | None, to: str | None) -> list[tuple[str, str]]:
    """The first and the last day as given, each with the name of its argument or option."""
    begin = _one(first, "FIRST", since, "--from")
    if begin is None:
        raise typer.BadParameter("give the first day and the last, like 2026-12-28 2026-12-31")
    return [begin, _one(last, "LAST", to, "--to") or begin]


def _one(argument: str | None, name: str, option: str | None, option_name: str) -> tuple[str, str] | None:
    if argument is not None and option is not None:
        raise typer.BadParameter(f"is given as {name} too; give it once", param_hint=option_name)
    if argument is not None:
        return argument, name
    return None if option is None else (option, option_name)
