"""Whether a text or HTML part shows anything. A letter that looks blank is never sent."""

import re
from html.parser import HTMLParser

# Anything but white space, control and default-ignorable characters, the Braille blank and a null notehead.
_SEEN = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NEVER_SHOWN = frozenset({"head", "noframes", "script", "style", "template", "title"})
_HIDING = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?)(?![\w.%])", re.IGNORECASE
)
_NO_HEIGHT = re.compile(r"(?<![\w-])(?:max-)?height\s*:\s*0(?:px)?(?![\w.%])", re.IGNORECASE)
_CUT_OFF = re.compile(r"overflow\s*:\s*hidden\b", re.IGNORECASE)
_A_PIXEL = re.compile(r"\s*[01](?:\.0)?\s*(?:px)?\s*", re.IGNORECASE)
_STYLED_A_PIXEL = re.compile(r"(?<![\w-])(?:width|height)\s*:\s*[01](?:px)?(?![\w.%])", re.IGNORECASE)
# Elements that end where the next one begins, even without an end tag.
_END_LEFT_OUT = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "tbody", "option"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


def is_blank(text: str) -> bool:
    return not _SEEN.search(text)


def is_blank_html(html: str) -> bool:
    """Whether it shows no text and no picture: everything in it has no size, is hidden, or is a comment."""
    reader = _Reader()
    try:
        # Not closed: close() would treat an unfinished comment as text. The parser does not know "<![" (Word's
        # conditionals); as in browsers, it begins a comment up to the next ">".
        reader.feed(html.replace("<![", "<!x[") + "\n")
    except _SomethingSeen:
        return False
    return True


class _SomethingSeen(Exception):
    """Stops the parser: something visible was found."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.depth = "", 0  # the enclosing hidden element, and the nesting depth of its name

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.hidden and tag == self.hidden:
            self.depth += 1
            if tag in _END_LEFT_OUT:
                self.hidden = ""
        if self.hidden:
            return
        given = dict(attrs)
        is_hidden = tag in _NEVER_SHOWN or "hidden" in given or _is_hiding(given.get("style") or "")
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


def _is_hiding(style: str) -> bool:
    return bool(_HIDING.search(style) or (_NO_HEIGHT.search(style) and _CUT_OFF.search(style)))


def _is_picture(given: dict[str, str | None]) -> bool:
    """Whether it is a picture that people see: one of one pixel only tracks who opens the letter."""
    sizes = (given.get("width") or "", given.get("height") or "")
    is_a_pixel = any(map(_A_PIXEL.fullmatch, sizes)) or _STYLED_A_PIXEL.search(given.get("style") or "")
    return bool((given.get("src") or "").strip()) and not is_a_pixel
