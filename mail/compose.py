"""A campaign's templates and a lead's fields -> the finished message.

Used both to send a message and to check beforehand that it can be composed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mail import message, unsubscribe
from mail.message import Letter, LetterInvalid, build, own_id
from mail.render import Template
from mail.thread import Thread, subject_of
from mail.unsubscribe import FIELD, Unsubscribe
from messages import Message
from reasons import Code, Reason


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
        for template in self.parts():
            template.check()

    def fields(self) -> set[str]:
        """The fields that they use. The templates must have been checked."""
        return set().union(*(template.fields() for template in self.parts()))

    def place_of(self, field: str) -> Message | None:
        """Where one of them uses a field: "letter.txt line 3"."""
        return next((template.at(line) for template in self.parts() for line in template.lines_of(field)), None)

    def parts(self) -> list[Template]:
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
    is_test: bool = False  # a test mail: marked as one


class Outgoing(Protocol):
    """Everything that one lead's message is made of: a claim, or what is read for a preview."""

    @property
    def subject(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str | None: ...
    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def sender(self) -> str: ...
    @property
    def sender_name(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def one_click(self) -> bool: ...
    # Of a step without a subject: the thread that it continues, back to the last letter with a subject of its own.
    @property
    def thread_ids(self) -> Sequence[str] | None: ...  # Message-IDs as they went over the wire, the oldest first
    @property
    def thread_first_id(self) -> str | None: ...  # of its first letter, as we gave it
    @property
    def thread_subject(self) -> str | None: ...  # its first letter's template
    @property
    def thread_head(self) -> memoryview | None: ...  # its first letter's headers, as handed over


def letter_of(it: Outgoing, date: datetime, keys: Sequence[bytes], url: str) -> bytes:
    """The message as it is sent. Raises as compose().

    keys: of unsubscribe.PURPOSE. url: of the public page for unsubscribing; "": there is none.
    """
    _check_fields(it.fields)
    token = unsubscribe.token(UUID(own_id(it.message_id)), keys)
    offered = unsubscribe.offer(token, it.sender, url, _language(it), one_click=it.one_click)
    return _composed(it, date, offered, _thread(it))


def test_letter_of(it: Outgoing, date: datetime, url: str) -> bytes:
    """The message as a test mail: marked as one, and its offer to unsubscribe changes nothing. Raises as compose().

    It names no letter of the lead's, since an answer to it would be taken for the lead's.
    """
    _check_fields(it.fields)
    followed = _thread(it)
    alone = followed and replace(followed, first_id=it.message_id, message_ids=())
    return _composed(it, date, unsubscribe.preview(it.sender, url, _language(it)), alone, is_test=True)


def _check_fields(fields: object) -> None:
    """Raise LetterInvalid unless the fields are texts by name: in the database they can be any JSON."""
    if not (isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values())):
        raise LetterInvalid(Reason(Code.FIELDS_DAMAGED))


def _thread(it: Outgoing) -> Thread | None:
    """The thread that the letter continues. None: it has its own subject, or there is no letter before it."""
    if it.subject is not None or it.thread_first_id is None:
        return None
    sent = subject_of(bytes(it.thread_head)) if it.thread_head is not None else None
    # A letter that was recovered or erased, or is still to be sent, is not stored.
    again = Template(it.thread_subject or "", "subject", lines=False)
    return Thread(it.thread_first_id, sent or again.render(it.fields), tuple(it.thread_ids or ()))


def _language(it: Outgoing) -> str:
    return unsubscribe.language_of(it.fields, it.subject or "", it.text)


def _composed(
    it: Outgoing, date: datetime, offered: Unsubscribe, thread: Thread | None, *, is_test: bool = False
) -> bytes:
    envelope = Envelope(Sender(it.sender, it.sender_name), it.recipient, it.message_id, offered, thread, is_test)
    return compose(Templates.of(it.subject, it.text, it.html), it.fields, envelope, date)


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
        is_test=envelope.is_test,
    )


def _subject(templates: Templates, fields: Mapping[str, str], envelope: Envelope) -> str:
    """Raises ValueError if the templates have no subject and there is no thread: a mistake of the caller."""
    if templates.subject is not None:
        return templates.subject.render(fields)
    if envelope.thread is None:
        raise ValueError("a letter without a subject needs the thread that it continues")
    return envelope.thread.answer
