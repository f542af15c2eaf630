"""Renders each lead's letters before anything is written, so that none fails when it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import config
import messages
from intake.columns import Columns
from intake.texts import FileInvalid
from mail import unsubscribe
from mail.compose import Envelope, Sender, Templates, check, compose
from mail.message import LetterInvalid
from mail.thread import Thread
from messages import Message, Said, gettext_noop

_AN_ID = "<a-check@example.invalid>"
_A_LETTER = Templates.of("A check", "A check", None)
_A_DAY = datetime(2000, 1, 1, tzinfo=UTC)
# An invalid sender is invalid for all leads: see check_sender().
_A_SENDER = Sender("a-check@sender.example", "")


def check_columns(file: Path, columns: Columns) -> None:
    """Raise FileInvalid if a column has the name of each lead's own link."""
    if unsubscribe.FIELD in dict(columns.fields):
        template = gettext_noop("%(file)s: rename the column %(name)s: each lead's own link has that name in letters")
        raise FileInvalid(Message(template, file=file.name, name=unsubscribe.FIELD))


def check_unsubscribe_url(letters: Sequence[Templates]) -> None:
    """Raise FileInvalid if one of them has a link to a public page that there is not."""
    name = unsubscribe.FIELD
    if config.settings().unsubscribe.url:
        return
    for templates in letters:
        if used_at := templates.place_of(name):
            template = gettext_noop(
                "%(where)s: %(name)s needs a public page: set unsubscribe.url (PUNKTUAL_UNSUBSCRIBE_URL), or leave it"
                " out; mail programs offer to unsubscribe without it"
            )
            raise FileInvalid(Message(template, where=used_at, name=name))


def fault(address: str, fields: Mapping[str, str], letters: Sequence[Templates]) -> Said | None:
    """Why one of the letters cannot be composed for this lead. Raises TemplateInvalid if it cannot for any.

    letters: of the whole sequence. One without a subject answers those before it.
    """
    offered = unsubscribe.preview(_A_SENDER.address, config.settings().unsubscribe.url)
    envelope = Envelope(_A_SENDER, address, _AN_ID, offered)
    try:
        for number, templates in enumerate(letters, start=1):
            check(templates, fields, envelope)
            if templates.subject is not None and number < len(letters):  # the next one may answer it
                thread = Thread(_AN_ID, templates.subject.render(fields), (_AN_ID,))
                envelope = replace(envelope, thread=thread)
    except LetterInvalid as error:
        return messages.of(error)
    return None


def check_sender(sender: Sender) -> None:
    """Raise LetterInvalid if no message can be sent from it."""
    compose(_A_LETTER, {}, Envelope(sender, "a-check@leads.example", _AN_ID), _A_DAY)
