"""A conversation in one line: its parts as messages. The page adds links, API and commands have the English."""

from collections.abc import Iterator
from dataclasses import dataclass

from messages import Message, gettext_noop
from models.states import Status
from models.views.conversations import Answer, Conversation, Letter
from reasons import Code, Reason, warsaw

# What a message that came back is.
CLASSES = {
    "human": gettext_noop("reply"),
    "automatic": gettext_noop("automatic reply"),
    "bounce": gettext_noop("bounce"),
    "complaint": gettext_noop("spam complaint"),
    "unsubscribe": gettext_noop("asks not to be written to"),
    "unclear": gettext_noop("unclear"),
    "other": gettext_noop("no answer"),
}
_LETTERS = {
    Status.SENT: gettext_noop("letter %(step)d sent %(at)s"),
    Status.FAILED: gettext_noop("letter %(step)d failed %(at)s"),
    Status.UNKNOWN: gettext_noop("letter %(step)d unknown %(at)s"),
}
_SKIPPED = gettext_noop("letter %(step)d not sent: %(reason)s")
_UNDECIDED = gettext_noop("nothing follows until you decide whether letter %(step)d was sent")
_ARROW = " → "


@dataclass(frozen=True)
class Part:
    kind: str  # for the style sheet
    text: Message
    email_id: int | None = None
    incoming_id: int | None = None


def line(it: Conversation) -> str:
    """The conversation as one line, in English, with Warsaw times."""
    return _ARROW.join(part.text.text(str, warsaw) for part in parts(it))


def parts(it: Conversation) -> list[Part]:
    return [*(_event(each) for each in it.events), *_held(it), _then(it)]


def waits(it: Conversation) -> Message | None:
    """What the next letter waits for, if its time depends on it: the end of a hold, or a person's decision."""
    last = _last(it)
    if it.next is None and last and last.status is Status.UNKNOWN:
        return Message(_UNDECIDED, step=last.step)
    return next((part.text for part in _held(it)), None)


def _last(it: Conversation) -> Letter | None:
    return next((each for each in reversed(it.letters) if not each.is_skipped), None)


def _event(it: Letter | Answer) -> Part:
    if isinstance(it, Letter) and it.is_skipped:
        skipped = Message(_SKIPPED, step=it.step, reason=it.why or Reason(Code.STEP_REMOVED))
        return Part(f"letter-of {it.status}", skipped, email_id=it.email_id)
    if isinstance(it, Letter):
        text = Message(_LETTERS[it.status], step=it.step, at=it.at)
        return Part(f"letter-of {it.status}", text, email_id=it.email_id)
    answer = Message("%(what)s %(at)s", what=Message(CLASSES.get(it.class_name, it.class_name)), at=it.at)
    if it.after is None:
        return Part(f"answer {it.class_name}", answer, incoming_id=it.incoming_id)
    template = gettext_noop("%(answer)s (read %(read)s, after letter %(step)d had left %(left)s)")
    late = Message(template, answer=answer, read=it.read_at, step=it.after.step, left=it.after.at)
    return Part(f"answer {it.class_name} late", late, incoming_id=it.incoming_id)


def _held(it: Conversation) -> Iterator[Part]:
    if it.held and it.held_until:
        yield Part("held", Message(gettext_noop("on hold until %(at)s: %(reason)s"), at=it.held_until, reason=it.held))
    elif it.held:
        yield Part("held", Message(gettext_noop("on hold until you decide: %(reason)s"), reason=it.held))


def _then(it: Conversation) -> Part:
    last = _last(it)
    if it.ended:
        return Part("ended", Message(gettext_noop("ended: %(reason)s"), reason=it.ended))
    if it.next and it.next.status is Status.SENDING:
        being_sent = Message(gettext_noop("letter %(step)d is being sent"), step=it.next.step)
        return Part("next", being_sent, email_id=it.next.email_id)
    if it.next:
        planned = Message(gettext_noop("next: letter %(step)d %(at)s"), step=it.next.step, at=it.next.at)
        return Part("next", planned, email_id=it.next.email_id)
    if it.expected_step and it.expected_at:
        expected = gettext_noop("next: letter %(step)d, after %(at)s")
        return Part("next", Message(expected, step=it.expected_step, at=it.expected_at))
    if last and last.status is Status.UNKNOWN:
        return Part("next", Message(_UNDECIDED, step=last.step))
    if last and it.held:
        return Part("next", Message(gettext_noop("the next letter waits")))
    return Part("next", Message(gettext_noop("not planned yet")))
