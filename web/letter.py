"""Shows a message that was handed over. Its content is untrusted."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage

import nh3

# The standard library's parser can raise any of these on bad input.
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
        """An estimate of the HTML's height in pixels: its frame runs no script that could measure it."""
        html = self.html or ""
        lines = len(_BREAK.findall(html)) + len(_TAG.sub("", html)) // _CHARACTERS_A_LINE
        return min(max(40 + 22 * lines + 120 * html.lower().count("<img"), 90), 480)


def read(content: bytes) -> ShownLetter:
    """Parse a message; one that cannot be parsed is shown as text."""
    try:
        message = message_from_bytes(content, policy=policy.default)
        headers = [(name, str(value)) for name, value in message.items()]
        return ShownLetter(headers, _part(message, "plain"), _part(message, "html"))
    except _BROKEN:
        return ShownLetter([], content.decode("utf-8", "replace"), None)


# Text and formatting only: nothing that can be followed, fetched or prefetched. So no <link>, <meta>, <base>, forms,
# frames or scripts, and no link targets.
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
    """The HTML with text and formatting only, so that viewing it opens no connection."""
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
