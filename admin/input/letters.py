"""Composes each lead's message once before a campaign is written, so that none fails when it is sent."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import config
from admin.input.campaign_file import FileInvalid, joined
from admin.input.leads import LeadLine
from mail import unsubscribe
from mail.compose import Envelope, Sender, Templates, compose
from mail.message import LetterInvalid
from mail.render import TemplateInvalid

_SHOWN_LINES = 5
_AN_ID = "<a-check@example.invalid>"
_A_LETTER = Templates.of("A check", "A check", None)
_A_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def check_letters(file: Path, leads: Sequence[LeadLine], templates: Templates, sender: Sender) -> None:
    """Raise FileInvalid with the lines of leads whose messages cannot be composed, each reason once.

    sender: any of the mailboxes; an invalid sender is invalid for all leads: see check_sender().
    """
    _check_unsubscribe_url(file, leads, templates)
    offered = unsubscribe.preview(sender.address, config.settings().unsubscribe.url)
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for it in leads:
        try:
            compose(templates, it.lead.fields, Envelope(sender, it.lead.address, _AN_ID, offered), _A_DAY)
        except TemplateInvalid as error:
            raise FileInvalid(str(error)) from None
        except LetterInvalid as error:
            lines[str(error)].append(it.line)
    if lines:
        raise FileInvalid(f"{file.name} {joined(f'{named(found)}: {reason}' for reason, found in lines.items())}")


def _check_unsubscribe_url(file: Path, leads: Sequence[LeadLine], templates: Templates) -> None:
    name = unsubscribe.FIELD
    if any(name in it.lead.fields for it in leads):
        raise FileInvalid(f"{file.name}: rename the column {name}: each lead's own link has that name in letters")
    if (used_at := templates.place_of(name)) and not config.settings().unsubscribe.url:
        raise FileInvalid(
            f"{used_at}: {name} needs a public page: set unsubscribe.url (PUNKTUAL_UNSUBSCRIBE_URL), or leave it out;"
            " mail programs offer to unsubscribe without it"
        )


def check_sender(sender: Sender) -> None:
    """Raise LetterInvalid if no message can be sent from it."""
    compose(_A_LETTER, {}, Envelope(sender, "a-check@leads.example", _AN_ID), _A_DAY)


def named(lines: Sequence[int]) -> str:
    """Line numbers for a message, the first few of them."""
    shown = ", ".join(str(line) for line in lines[:_SHOWN_LINES])
    more = len(lines) - _SHOWN_LINES
    return f"line{'s' if len(lines) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
