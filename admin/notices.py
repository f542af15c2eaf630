"""Commands about notices to the people in charge."""

import typer

from admin import show
from models.owner import notices
from ops import notifiers

app = typer.Typer(help="Notices to the people in charge, sent to PUNKTUAL_NOTICES_URLS.", no_args_is_help=True)


@app.command()
def test() -> None:
    """Send a test notice to each address and print the result.

    Example: python -m admin notices test
    """
    where = notifiers.configured()
    if not where:
        print("no notices are sent: PUNKTUAL_NOTICES_URLS is empty")
        raise typer.Exit(1)
    failures = [_send_test(notifier) for notifier in where]
    if any(failures):
        raise typer.Exit(1)


def _send_test(notifier: notifiers.Notifier) -> str | None:
    failure = notifier.tell("Punktual: test notice", "Punktual sends a notice here when a problem needs a person.")
    print(f"{notifier.name}  {failure or 'ok'}")
    return failure


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List the latest notices, newest first.

    Example: python -m admin notices list
    """
    lines = notices.latest()
    if json:
        show.as_json([it._asdict() for it in lines])
        return
    rows = [(it.opened_at, (it.said or it.kind).splitlines()[0], it.told_at, it.closed_at, it.error) for it in lines]
    show.table(("since", "notice", "sent", "ended", "error"), rows, "no notice was needed yet")
