"""Commands about addresses and domains that no campaign may write to."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin import confirm, show
from admin.person import who
from intake import suppressions as lists
from intake.suppressions import ReasonInvalid
from intake.texts import FileInvalid
from mail.message import refuse_control_characters
from models.people import suppressions
from ops.terminal import escape_controls

app = typer.Typer(help="Suppressed addresses and domains. No campaign sends to them.", no_args_is_help=True)

Address = Annotated[
    str, typer.Argument(help="The lead's address, or a domain like example.pl with all its subdomains.")
]
_SHOWN_PROBLEMS = 50


def _shown(key: str) -> str:
    return f"{key.removeprefix('@')} and its subdomains" if key.startswith("@") else key


@app.command()
def add(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why. Shown with each e-mail that is not sent.")],
    proof: Annotated[str | None, typer.Option(help="What proves it, like the Message-ID of a reply.")] = None,
) -> None:
    """Never send to this address or domain again, from any campaign, even if it is imported again.

    Example: python -m admin suppression add anna@firm.pl --reason "she asked us to"
    """
    try:
        lists.check_reason(reason, proof or "")
    except ReasonInvalid as error:
        raise typer.BadParameter(str(error), param_hint="--reason") from None
    key = lists.key_of(address)
    suppressions.add(key, reason, who(), proof=proof)
    print(f"suppressed {_shown(key)}")


@app.command()
def remove(address: Address, reason: confirm.Reason = None) -> None:
    """Allow sending to this address or domain again. E-mails that were cancelled stay cancelled.

    Example: python -m admin suppression remove anna@firm.pl
    """
    key = lists.key_of(address)
    if not suppressions.remove(key, who(), confirm.checked(reason)):
        print(f"{_shown(key)} was not suppressed")
    elif still := suppressions.of([key]).get(key):
        print(f"{_shown(key)} is still suppressed, with {_shown(still.address)}")
    else:
        print(f"{_shown(key)} may be written to again")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Addresses or domains: one a line, or CSV with a column `address`.")],
    reason: Annotated[
        str | None,
        typer.Option(help="Why, for lines without their own.", show_default="imported from FILE"),
    ] = None,
) -> None:
    """Suppress all addresses and domains of a file. Lines that cannot be used are listed, and the others imported.

    Example: python -m admin suppression import do-not-mail.csv --reason "old system"
    """
    refuse_control_characters("reason", reason or "")
    found = lists.read(file, reason)
    new = suppressions.import_(found.entries, who())
    before = len(found.entries) - new
    print(f"suppressed {new} addresses and domains" + (f"; {before} were suppressed before" if before else ""))
    for problem in found.problems[:_SHOWN_PROBLEMS]:
        print(escape_controls(f"punktual: {file.name} {problem}"), file=sys.stderr)
    if (more := len(found.problems) - _SHOWN_PROBLEMS) > 0:
        print(f"punktual: and {more} more lines", file=sys.stderr)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="File to write. It must not exist.", show_default="stdout")
    ] = None,
) -> None:
    """Write all suppressions as CSV, which `suppression import` reads again.

    Example: python -m admin suppression export suppressions.csv
    """
    content = lists.written(suppressions.every())
    if file is None:
        sys.stdout.buffer.write(content)
        return
    try:
        with file.open("xb") as out:
            out.write(content)
    except FileExistsError:
        raise FileInvalid(f"{file}: there is such a file already") from None
    except OSError as error:
        raise FileInvalid(f"{file}: cannot be written: {error.strerror}") from None


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List all suppressed addresses and domains.

    Example: python -m admin suppression list
    """
    lines = suppressions.every()
    if json:
        show.as_json(lines)
        return
    cells = [(it.address, it.reason, it.since, it.by, it.email_id, it.proof) for it in lines]
    show.table(("address", "reason", "since", "by", "e-mail", "proof"), cells, "no address is suppressed")
