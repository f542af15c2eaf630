"""What was handed over to a server, as a person reads it. It may be anything: strangers' data went into it."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage

# The standard library's parser trusts its input in many places: each of these has been seen to leave it.
_BROKEN = (MessageError, ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)


@dataclass(frozen=True)
class Letter:
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None


def read(content: bytes) -> Letter:
    """What cannot be read as a message is shown as it is."""
    try:
        message = message_from_bytes(content, policy=policy.default)
        headers = [(name, str(value)) for name, value in message.items()]
        return Letter(headers, _part(message, "plain"), _part(message, "html"))
    except _BROKEN:
        return Letter([], content.decode("utf-8", "replace"), None)


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    text = str(part.get_content())
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
