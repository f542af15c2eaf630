"""Whether a text or an HTML part shows anything. A letter that looks blank is never sent."""

import re
from html.parser import HTMLParser

# White space, control characters, and what Unicode calls default-ignorable; the Braille blank and a null notehead.
_SEEN = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NEVER_SHOWN = frozenset({"head", "noframes", "script", "style", "template", "title"})
_HIDING = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
# An element of these ends where the next begins, with an end tag or without.
_END_LEFT_OUT = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "tbody", "option"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


def is_blank(text: str) -> bool:
    return not _SEEN.search(text)


def is_blank_html(html: str) -> bool:
    """It shows no text and no picture: what is left has no size, is hidden, or is a comment."""
    reader = _Reader()
    try:
        # Never closed: that would take for text what is left open, such as a comment. "<![" of Word's conditions is no
        # markup that the parser knows; as for browsers, it begins a comment up to the next ">".
        reader.feed(html.replace("<![", "<!x[") + "\n")
    except _SomethingSeen:
        return False
    return True


class _SomethingSeen(Exception):
    """There is something to see: no more need be read."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.depth = "", 0  # the hidden element that it is in, and how deep among others of its name

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.hidden and tag == self.hidden:
            self.depth += 1
            if tag in _END_LEFT_OUT:
                self.hidden = ""
        if self.hidden:
            return
        given = dict(attrs)
        is_hidden = tag in _NEVER_SHOWN or "hidden" in given or _HIDING.search(given.get("style") or "")
        if is_hidden:
            self.hidden, self.depth = ("" if tag in _VOID else tag), 1
        elif tag == "svg" or (tag == "img" and _is_picture(given)):
            raise _SomethingSeen

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.depth -= 1
            self.hidden = tag if self.depth else ""

    def handle_data(self, data: str) -> None:
        if not self.hidden and not is_blank(data):
            raise _SomethingSeen


def _is_picture(given: dict[str, str | None]) -> bool:
    """A picture of one pixel only counts who opens the letter."""
    return bool((given.get("src") or "").strip()) and not {given.get("width"), given.get("height")} & {"0", "1"}
