"""Commands about a person whom campaigns write to."""

import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from actors.disk import forgotten
from admin import confirm, letter, show
from admin.person import who
from intake import legal_basis
from intake.legal_basis import BasisInvalid
from intake.texts import FileInvalid
from mail.address import normalise
from models.audit import changes
from models.owner import campaigns, mail_tests
from models.people import forgetting, leads, mentions
from models.people.forgetting import ForgettingRefused, Receipt
from models.people.leads import Known, LegalBasis, NoSuchLead
from models.views import found_leads, incoming, mails, overview
from models.views.found_leads import Found
from models.views.incoming import HoldLine, IncomingLine

app = typer.Typer(help="People whom campaigns write to.", no_args_is_help=True)

_MOST = 1000  # leads whose e-mails are listed
Address = Annotated[str, typer.Argument(help="The person's address.")]


@app.command("show")
def show_(address: Address, json: show.AsJson = False) -> None:
    """Show everything that is known about a person: columns, letters, replies, holds, suppression, orders.

    Example: python -m admin lead show anna@firm.pl
    """
    known = leads.about(normalise(address))
    emails = mails.find(known.address, limit=None)
    subjects = {it.id: _subject(it.id) for it in emails}
    back, holds = incoming.of_person(known.address), incoming.holds(lead=known.address, limit=None)
    tests, orders = mail_tests.to(known.address), changes.of_address(known.address, limit=None)
    is_suppressed = known.suppressed is not None and known.suppressed.address == known.address
    if known.since is None and not (is_suppressed or back or tests or orders):
        raise NoSuchLead(f"there is no lead {known.address}")
    if json:
        found = {
            "emails": [{**show.plain(it), "subject": subjects[it.id]} for it in emails],
            "incoming": back,
            "holds": holds,
            "tests": tests,
            "changes": orders,
        }
        show.as_json({**vars(known), **found})
        return
    _show_known(known)
    print()
    show.table(
        ("e-mail", "campaign", "status", "planned", "sent"),
        [(it.id, it.campaign, it.status, it.scheduled_at, it.sent_at) for it in emails],
        "no e-mails",
    )
    for it in emails:
        if (subject := subjects[it.id]) is not None:
            _show_pairs(("letter", f"{it.step}, e-mail {it.id}"), ("subject", subject), ("message id", it.message_id))
    for each in back:
        _show_incoming(each)
    _show_table(
        ("held since", "campaign", "until", "because"),
        [(it.since, it.campaign or "all", _until(it), it.reason) for it in holds],
    )
    _show_table(("test sent", "message id"), [(it.started_at, it.message_id) for it in tests])
    show.changes(orders)


def _subject(email_id: int) -> str | None:
    """The subject of an e-mail's letter. None: it was not handed over, or is no longer kept."""
    content = overview.content(email_id)
    return None if content is None else letter.subject(content)


def _show_known(known: Known) -> None:
    basis = known.basis
    show.pairs(
        [
            ("lead", known.address),
            ("since", known.since or "no lead"),
            ("legal basis", basis.basis if basis else "none"),
            *((("source", basis.source), ("date", basis.date)) if basis else ()),
            *((("suppressed", known.suppressed.reason),) if known.suppressed else ()),
            *((("forgotten", known.forgotten_at),) if known.forgotten_at else ()),
        ]
    )
    print()
    rows = [
        (it.campaign, it.address, ", ".join(f"{name}: {value}" for name, value in it.fields.items()))
        for it in known.campaigns
    ]
    show.table(("campaign", "address", "fields"), rows, "in no campaign")


def _show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table after an empty line; print nothing if it has no rows."""
    if rows:
        print()
        show.table(columns, rows, "")


def _show_pairs(*values: tuple[str, object]) -> None:
    print()
    show.pairs(values)


def _show_incoming(it: IncomingLine) -> None:
    _show_pairs(
        ("came back", it.received_at),
        ("message", f"{it.id}, {it.class_name}" + (f" ({it.kind})" if it.kind else "")),
        ("from", it.sender),
        ("to", f"{it.mailbox}, {it.folder}"),
        *((("about", f"e-mail {it.email_id} to {it.lead}"),) if it.email_id else ()),
        ("subject", it.subject),
        ("text", " ".join(it.excerpt.split())),
    )


def _until(it: HoldLine) -> datetime | str:
    return it.until or ("for good" if it.stops else "a person decides")


@app.command("find")
def find_(
    text: Annotated[str, typer.Argument(help="Parts of words, in any case; also without diacritics.")],
    campaign: Annotated[str | None, typer.Option(help="Only leads of this campaign.")] = None,
    json: show.AsJson = False,
) -> None:
    """Find leads by a part of their address, name, company or another column.

    Example: python -m admin lead find "klos piekarnia"
    """
    found = _found(text, campaigns.find(campaign).id if campaign else None, 100)
    if json:
        show.as_json(found.leads)
        return
    rows = [
        (
            it.address,
            ", ".join(value for name, value in it.fields.items() if value and name != "email"),
            it.campaign,
            it.status,
            it.scheduled_at,
        )
        for it in found.leads
    ]
    show.table(("lead", "fields", "campaign", "status", "planned"), rows, "there is no such lead")
    if found.more:
        print("there are more: search for more of the address, name or company")


def searched(text: str, campaign_id: int | None) -> list[int]:
    """Find leads and return their ids in campaigns. Raises BadParameter for a text too short, or for too many leads."""
    found = _found(text, campaign_id, _MOST)
    if found.more:
        raise typer.BadParameter(f"more than {_MOST:,} leads have it: search for more", param_hint="--search")
    return [it.campaign_lead_id for it in found.leads]


def _found(text: str, campaign_id: int | None, limit: int) -> Found:
    found = found_leads.find(text, campaign_id, limit)
    if found is None:
        raise typer.BadParameter(f"{text!r} has no word of at least {found_leads.SHORTEST} characters")
    if found.behind:
        print("a large import is still being made searchable: some leads may be missing", file=sys.stderr)
    return found


@app.command()
def basis(
    address: Address,
    basis: Annotated[str, typer.Option(help="The legal basis for writing to this person, like consent.")],
    source: Annotated[str | None, typer.Option(help="Where it comes from, like the form that was filled in.")] = None,
    date: Annotated[str | None, typer.Option(help="Since when, like 2026-11-17.")] = None,
) -> None:
    """Record the legal basis for writing to a person. Replaces the one recorded before.

    Example: python -m admin lead basis anna@firm.pl --basis consent --source "fair in Poznań" --date 2026-11-17
    """
    found = checked_basis(basis, source, date, prefix="")
    assert found is not None
    leads.set_basis(normalise(address), found, who())
    print(f"recorded the legal basis of {normalise(address)}")


def checked_basis(
    basis: str | None, source: str | None, date: str | None, prefix: str = "legal-basis-"
) -> LegalBasis | None:
    """Check the legal basis from options whose names begin with the prefix. None: no basis was given."""
    try:
        return legal_basis.checked(basis, source, date)
    except BasisInvalid as error:
        named = {"basis": prefix.removesuffix("-") or "basis"}.get(error.field, f"{prefix}{error.field}")
        raise typer.BadParameter(str(error), param_hint=f"--{named}") from None


@app.command()
def forget(
    address: Address,
    receipt: Annotated[Path | None, typer.Option(help="New file for the receipt.", show_default="none")] = None,
    yes: confirm.Yes = False,
) -> None:
    """Erase what is known about a person, for good. Counts and times stay, and a keyed hash that keeps them out.

    The person is suppressed at once. Refused while an e-mail to them is being sent. Prints a receipt.

    Example: python -m admin lead forget anna@firm.pl
    """
    confirm.ask(f"Erase what is known about {normalise(address)} for good?", yes=yes)
    file = None if receipt is None else _new(receipt)
    try:
        done = forgetting.forget(normalise(address), who(), _keep)
    except BaseException:
        if file is not None and receipt is not None:
            os.close(file)
            receipt.unlink()
        raise
    text = _text(done)
    print(text, end="")
    if file is not None:
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text)
    if others := _others_with(normalise(address)):
        print(
            f"the address also stands in columns of other leads, which were not changed: {', '.join(others)}",
            file=sys.stderr,
        )


def _others_with(address: str) -> list[str]:
    """The addresses of other leads who have this address in one of their columns."""
    names = re.compile(mentions.pattern_of(address), re.IGNORECASE)
    found = found_leads.find(address, limit=_MOST)
    leads = found.leads if found else []
    return sorted({it.address for it in leads if any(map(names.search, map(str, it.fields.values())))})


def _keep(key: str) -> None:
    try:
        forgotten.note(key)
    except OSError as error:
        raise ForgettingRefused(f"the hash cannot be kept on this machine's disk: {error.strerror}") from None


def _new(path: Path) -> int:
    """Create and open the receipt's file, before anything is erased. Raises FileInvalid if it cannot be written."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileInvalid(f"{path}: there is such a file already") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be written: {error.strerror}") from None


def _text(it: Receipt) -> str:
    return (
        f"A person was forgotten on {show.moment(it.at)} (Warsaw time), by {it.by}.\n"
        f"Erased: the address, the fields in {it.campaigns} campaigns, the content of {it.letters} letters,"
        f" {it.answers} answers of mail servers.\n"
        f"Kept: counts and times of {it.emails} e-mails, and this hash, which keeps the person out of later imports:\n"
        f"{it.key}\n"
    )
