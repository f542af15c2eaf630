"""`campaign edit`: everything that a campaign file says can be changed later, drafts and running campaigns alike."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from admin import confirm
from admin.campaign import follow_ups, summary
from admin.campaign.leads import tell_foreign
from admin.person import who
from intake import texts
from intake.campaign_file import CampaignFile, FileInvalid, edited, place_of, read_campaign
from intake.edits import checked_letter, senders, without_inbox
from intake.placeholders import foreign_in_change
from mail.address import AddressInvalid, normalise
from mail.compose import Templates
from mail.message import LetterInvalid
from models.owner import campaigns, mailboxes, steps
from models.owner.campaigns import CampaignInvalid, Edit, Letter
from models.owner.mailboxes import MailboxInvalid
from models.states import CampaignStatus
from models.store.tables import Campaign, Mailbox


def edit(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    file: Annotated[Path | None, typer.Option(help="A campaign file, which replaces all settings.")] = None,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    subject: Annotated[str | None, typer.Option(help="Template of the subject.")] = None,
    text_file: Annotated[Path | None, typer.Option(help="File with the template of the plain text.")] = None,
    html_file: Annotated[str | None, typer.Option(help='File with the template of the HTML; "" removes it.')] = None,
    add_mailbox: Annotated[list[str] | None, typer.Option(help="Send from this mailbox too. May be repeated.")] = None,
    remove_mailbox: Annotated[
        list[str] | None, typer.Option(help="Send no more from this mailbox: its e-mails move. May be repeated.")
    ] = None,
    window_start: Annotated[str | None, typer.Option(help='Start of the sending window, like "09:00".')] = None,
    window_end: Annotated[str | None, typer.Option(help='End of the sending window, like "17:00".')] = None,
    weekdays: Annotated[str | None, typer.Option(help="Days to send on, like mon,tue,wed.")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds between two e-mails.")] = None,
    daily_limit: Annotated[int | None, typer.Option(help="E-mails per day.")] = None,
    send_on_holidays: Annotated[
        bool | None, typer.Option("--send-on-holidays/--not-on-holidays", help="Send on Polish public holidays?")
    ] = None,
    end_date: Annotated[str | None, typer.Option(help='Last day of sending, like "2026-12-31", or "none".')] = None,
    yes: confirm.Yes = False,
) -> None:
    """Change a campaign: its letter, mailboxes, schedule or name. Shows first which e-mails move.

    What is being sent is left alone. A new letter is checked for every lead who may still get it.

    Example: python -m admin campaign edit Autumn --text-file letter.txt --daily-limit 60
    """
    row = campaigns.find(name)
    schedule = (window_start, window_end, weekdays, delay, daily_limit, send_on_holidays, end_date)
    single = (new_name, subject, text_file, html_file, add_mailbox, remove_mailbox, *schedule)
    given = [it for it in single if it not in (None, [])]
    if bool(given) == (file is not None):
        raise typer.BadParameter("give at least one option to change: either --file, or single settings")
    if file is not None:
        change = _from_file(row, file)
    else:
        change = replace(
            edited(row, *schedule, name=new_name),
            letter=_letter(row, subject, text_file, html_file),
            mailbox_ids=_mailbox_ids(row, add_mailbox or (), remove_mailbox or ()),
        )
    _order(row, change, yes=yes)


def _order(row: Campaign, change: Edit, *, yes: bool) -> None:
    tell_foreign(foreign_in_change(row, change))
    order = partial(campaigns.edit, row.id, who(), change)
    moves = confirm.show_moves(order, [row.id])
    if cancelled := steps.cancelled_by(row.id, change.later_steps or ()) if change.later_steps is not None else 0:
        told = "planned e-mails of removed steps, cancelled"
        print(f"{told}: {cancelled}; their leads go on with the next step, if there is one")
    if row.status != CampaignStatus.DRAFT:
        ends_differ = summary.print_difference(row, order)
        if moves or cancelled or ends_differ or change.letter is not None:
            confirm.ask("Make this change?", yes=yes)
    if not order():
        print(f"nothing was changed: {row.name!r} has these settings already")
        return
    later = "; its e-mails are planned again when it is resumed" if row.status == CampaignStatus.PAUSED else ""
    print(f"changed {row.name!r}" + ("; its e-mails are being planned again" if moves else later))
    if change.mailbox_ids is not None:
        follow_ups.print_waiting(campaigns.get(row.id))


def _from_file(row: Campaign, file: Path) -> Edit:
    found, letters = read_campaign(file)
    boxes = senders_of(file, found)
    check_inboxes(file, found, boxes)
    letter = checked_letter(row, found.subject, found.text, found.html, letters)
    return found.as_edit(letter, [it.id for it in boxes])


def check_inboxes(file: Path, campaign: CampaignFile, senders: Sequence[Mailbox]) -> None:
    """Raise FileInvalid if a follow-up could not be sent because nobody would see an answer to the letter before it."""
    without = without_inbox(senders)
    if campaign.steps and without and not campaign.follow_up_without_inbox:
        raise FileInvalid(
            f"{place_of(file, 'steps')}: nobody would see an answer to {', '.join(without)} before a follow-up: give it"
            " IMAP settings (mailbox edit --imap-host), or set follow_up_without_inbox = true"
        )


def _letter(row: Campaign, subject: str | None, text_file: Path | None, html_file: str | None) -> Letter | None:
    if subject is None and text_file is None and html_file is None:
        return None
    old_subject, old_text, old_html = campaigns.letter(row.id)
    where = {name: path.name for name, path in (("text", text_file), ("html", html_file and Path(html_file))) if path}
    text = old_text if text_file is None else _read(text_file)
    html = old_html if html_file is None else _read(Path(html_file)) if html_file else None
    subject = old_subject if subject is None else subject
    templates = Templates.of(subject, text, html, where)
    others = [Templates.of(it.subject, it.text, it.html) for it in campaigns.letters(row.id)[1:]]
    return checked_letter(row, subject, text, html, [templates, *others])


def _read(path: Path) -> str:
    text = texts.read(path).replace("\r\n", "\n").replace("\r", "\n")
    if damage := texts.damage(text):
        raise FileInvalid(f"{path.name}: {damage}")
    return text


def _mailbox_ids(row: Campaign, added: Iterable[str], removed: Iterable[str]) -> list[int] | None:
    new, gone = senders(added), [mailboxes.find(normalise(it)) for it in removed]
    if not new and not gone:
        return None
    current = {it.id for it in mailboxes.of_campaign(row.id)}
    if strangers := [it.address for it in gone if it.id not in current]:
        raise CampaignInvalid(f"{strangers[0]} is none of the mailboxes of {row.name!r}")
    return sorted((current | {it.id for it in new}) - {it.id for it in gone})


def senders_of(file: Path, campaign: CampaignFile) -> list[Mailbox]:
    """The mailboxes that a campaign file names, without duplicates, by id."""
    try:
        return senders(campaign.mailboxes)
    except (MailboxInvalid, AddressInvalid, LetterInvalid) as error:
        raise FileInvalid(f"{place_of(file, 'mailboxes')}: {error}") from None
