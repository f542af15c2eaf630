"""A campaign's templates and a lead's fields -> the finished message.

Used both to send a message and to check beforehand that it can be composed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mail import message
from mail.message import Letter, build
from mail.render import Template
from mail.thread import Thread
from mail.unsubscribe import FIELD, Unsubscribe


@dataclass(frozen=True)
class Templates:
    """A campaign's templates."""

    subject: Template | None  # None: the letter answers the ones before it, with their subject
    text: Template
    html: Template | None

    @classmethod
    def of(
        cls, subject: str | None, text: str, html: str | None, where: Mapping[str, str] | None = None
    ) -> "Templates":
        """where: name -> the file or key to show in errors. None, for stored templates: the name itself."""
        place = {"subject": "subject", "text": "text", "html": "html", **(where or {})}
        return cls(
            None if subject is None else Template(subject, place["subject"], lines=False),
            Template(text, place["text"]),
            None if html is None else Template(html, place["html"], html=True),
        )

    def check(self) -> None:
        for template in self._each():
            template.check()

    def fields(self) -> set[str]:
        """The fields that they use. The templates must have been checked."""
        return set().union(*(template.fields() for template in self._each()))

    def place_of(self, field: str) -> str | None:
        """Where one of them uses a field: "letter.txt line 3"."""
        return next((template.at(line) for template in self._each() for line in template.lines_of(field)), None)

    def _each(self) -> list[Template]:
        return [template for template in (self.subject, self.text, self.html) if template is not None]


@dataclass(frozen=True)
class Sender:
    """The mailbox as leads see it."""

    address: str
    name: str  # "": none


@dataclass(frozen=True)
class Envelope:
    """The parts of a message that do not come from templates."""

    sender: Sender
    recipient: str
    message_id: str  # with its angle brackets
    unsubscribe: Unsubscribe | None = None
    thread: Thread | None = None  # for templates without a subject


def compose(templates: Templates, fields: Mapping[str, str], envelope: Envelope, date: datetime) -> bytes:
    """The message for one lead; date: aware, of this attempt.

    Raises TemplateInvalid if a template is wrong for any lead, LetterInvalid if the letter is wrong for this lead.
    """
    return build(_letter(templates, fields, envelope), date)


def check(templates: Templates, fields: Mapping[str, str], envelope: Envelope) -> None:
    """Raise what compose() would. It renders the letter, and leaves out encoding it."""
    message.check(_letter(templates, fields, envelope))


def _letter(templates: Templates, fields: Mapping[str, str], envelope: Envelope) -> Letter:
    if envelope.unsubscribe:
        fields = {**fields, FIELD: envelope.unsubscribe.link}
    return Letter(
        sender_address=envelope.sender.address,
        sender_name=envelope.sender.name,
        recipient=envelope.recipient,
        subject=_subject(templates, fields, envelope),
        text=templates.text.render(fields),
        html=None if templates.html is None else templates.html.render(fields),
        message_id=envelope.message_id,
        unsubscribe=envelope.unsubscribe,
        thread=envelope.thread if templates.subject is None else None,
    )


def _subject(templates: Templates, fields: Mapping[str, str], envelope: Envelope) -> str:
    """Raises ValueError if the templates have no subject and there is no thread: a mistake of the caller."""
    if templates.subject is not None:
        return templates.subject.render(fields)
    if envelope.thread is None:
        raise ValueError("a letter without a subject needs the thread that it continues")
    return envelope.thread.answer
