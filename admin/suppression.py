"""Commands about addresses that no campaign may write to."""

from typing import Annotated

import typer

from admin import show
from admin.person import who
from mail.address import normalise
from mail.message import refuse_control_characters
from models.owner import suppressions
from models.owner.settlement import MOST_REASON

app = typer.Typer(help="Suppressed addresses. No campaign sends to them.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The lead's address.")]


@app.command()
def add(
    address: Address, reason: Annotated[str, typer.Option(help="Why. Shown with each e-mail that is not sent.")]
) -> None:
    """Never send to this address again, from any campaign, even if it is imported again."""
    if not reason.strip() or len(reason) > MOST_REASON:
        raise typer.BadParameter(f"must have from 1 to {MOST_REASON} characters", param_hint="--reason")
    refuse_control_characters("reason", reason)
    suppressions.add(normalise(address), reason, who())
    print(f"suppressed {normalise(address)}")


@app.command()
def remove(address: Address) -> None:
    """Allow sending to this address again. E-mails that were cancelled stay cancelled."""
    found = suppressions.remove(normalise(address), who())
    print(f"{normalise(address)} may be written to again" if found else f"{normalise(address)} was not suppressed")


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List all suppressed addresses."""
    lines = suppressions.every()
    if json:
        show.as_json(lines)
        return
    cells = [(it.address, it.reason, it.since, it.by) for it in lines]
    show.table(("address", "reason", "since", "by"), cells, "no address is suppressed")
