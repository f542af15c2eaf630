"""What was handed over to a server, as a person reads it. It may be anything: strangers' data went into it."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage

import nh3

# The standard library's parser trusts its input in many places: each of these has been seen to leave it.
_BROKEN = (MessageError, ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
_BREAK, _TAG = re.compile(r"<(?:p|br|div|tr|li|hr|h[1-6])\b", re.IGNORECASE), re.compile(r"<[^<>]*>")
_CHARACTERS_A_LINE = 90


@dataclass(frozen=True)
class ShownLetter:
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None

    @property
    def height(self) -> int:
        """About the pixels that its HTML needs: nothing runs in its frame that could measure it."""
        html = self.html or ""
        lines = len(_BREAK.findall(html)) + len(_TAG.sub("", html)) // _CHARACTERS_A_LINE
        return min(max(40 + 22 * lines + 120 * html.lower().count("<img"), 90), 480)


def read(content: bytes) -> ShownLetter:
    """What cannot be read as a message is shown as it is."""
    try:
        message = message_from_bytes(content, policy=policy.default)
        headers = [(name, str(value)) for name, value in message.items()]
        return ShownLetter(headers, _part(message, "plain"), _part(message, "html"))
    except _BROKEN:
        return ShownLetter([], content.decode("utf-8", "replace"), None)


# Text and how it looks. Nothing that could be followed or fetched, and nothing that a browser reads ahead: no <link>,
# <meta>, <base>, form, frame or script is among these, and no address of a link.
_TAGS = nh3.ALLOWED_TAGS | {"big", "font"}
_ATTRIBUTES = {
    "*": {
        *("align", "bgcolor", "border", "cellpadding", "cellspacing", "color", "colspan", "dir", "face", "height"),
        *("lang", "rowspan", "size", "style", "title", "valign", "width"),
    },
    "img": {"alt", "src"},
}
_STYLES = {
    *("color", "background-color", "direction", "display", "vertical-align", "white-space", "word-break"),
    *("font", "font-family", "font-size", "font-style", "font-weight", "letter-spacing", "line-height"),
    *("text-align", "text-decoration", "text-indent", "text-transform"),
    *("width", "min-width", "max-width", "height", "border-collapse", "border-radius", "border-spacing"),
    *("border", "border-bottom", "border-left", "border-right", "border-top", "border-color", "border-style"),
    *("margin", "margin-bottom", "margin-left", "margin-right", "margin-top"),
    *("padding", "padding-bottom", "padding-left", "padding-right", "padding-top"),
}
_NOT_SHOWN = {
    *("head", "iframe", "math", "noscript", "object", "script", "select", "style", "svg", "template", "textarea"),
    "title",
}


def without_connections(html: str) -> str:
    """What a lead was sent as a person may look at it: its text and format, and nothing that a browser would follow."""
    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_NOT_SHOWN,
        attributes=_ATTRIBUTES,
        url_schemes={"data"},
        url_relative="deny",
        filter_style_properties=_STYLES,
        link_rel=None,
    )


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    text = str(part.get_content())
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
