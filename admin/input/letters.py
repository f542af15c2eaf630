"""Makes each lead's message once before a campaign is written, so that none fails when its time has come."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from admin.input.campaign_file import FileInvalid, joined
from admin.input.leads import LeadLine
from mail.compose import Envelope, Sender, Templates, compose
from mail.message import LetterInvalid
from mail.render import TemplateInvalid

_SHOWN_LINES = 5
_AN_ID = "<a-check@example.invalid>"
_A_LETTER = Templates.of("A check", "A check", None)
_A_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def check_letters(file: Path, leads: Sequence[LeadLine], templates: Templates, sender: Sender) -> None:
    """Raise FileInvalid with the lines of the leads whose letters cannot be made, each reason once.

    sender: whichever mailbox it will be; what is wrong with a sender is wrong for all leads: see check_sender().
    """
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for it in leads:
        try:
            compose(templates, it.lead.fields, Envelope(sender, it.lead.address, _AN_ID), _A_DAY)
        except TemplateInvalid as error:
            raise FileInvalid(str(error)) from None
        except LetterInvalid as error:
            lines[str(error)].append(it.line)
    if lines:
        raise FileInvalid(f"{file.name} {joined(f'{_named(found)}: {reason}' for reason, found in lines.items())}")


def check_sender(sender: Sender) -> None:
    """Raise LetterInvalid where no message can come from it."""
    compose(_A_LETTER, {}, Envelope(sender, "a-check@leads.example", _AN_ID), _A_DAY)


def _named(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:_SHOWN_LINES])
    more = len(lines) - _SHOWN_LINES
    return f"line{'s' if len(lines) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
