"""Makes each lead's message once before a campaign is written, so that none fails when its time has come."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from admin.input.campaign_file import FileInvalid, joined
from admin.input.leads import LeadLine
from mail.compose import Envelope, Templates, compose
from mail.message import LetterInvalid
from mail.render import TemplateInvalid

_SHOWN_LINES = 5
_A_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def check_letters(file: Path, leads: Sequence[LeadLine], templates: Templates, sender: str) -> None:
    """Raise FileInvalid with the lines of the leads whose letters cannot be made, each reason once."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for it in leads:
        envelope = Envelope(sender, "", it.lead.address, "<a-check@example.invalid>")
        try:
            compose(templates, it.lead.fields, envelope, _A_DAY)
        except TemplateInvalid as error:
            raise FileInvalid(str(error)) from None
        except LetterInvalid as error:
            lines[str(error)].append(it.line)
    if lines:
        raise FileInvalid(f"{file.name} {joined(f'{_named(found)}: {reason}' for reason, found in lines.items())}")


def _named(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:_SHOWN_LINES])
    more = len(lines) - _SHOWN_LINES
    return f"line{'s' if len(lines) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
