"""A part's content -> text: charsets that are wrong, unknown or missing, and HTML with its quotations marked by ">"."""

import codecs
import html
import re

from mail.incoming.structure import Part, Structure

LONGEST = 50_000  # characters of a body that are looked at
_LONGEST_HTML = 200_000
# These decode slowly, or decode what is not a text.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"})
# Declared by programs that do not know what they have.
_VAGUE = frozenset({"ascii", "iso8859-1", "cp1252", "latin-1"})
_POLISH = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ"


def body(message: Structure) -> str:
    """The text that a person would read: plain if there is any, else HTML's."""
    texts = message.texts()
    plain = [of(part) for part in texts if part.type == "text/plain"]
    if any(each.strip() for each in plain):
        return "\n".join(plain)[:LONGEST]
    return "\n".join(of_html(of(part)) for part in texts if part.type == "text/html")[:LONGEST]


def all_of(message: Structure) -> tuple[str, ...]:
    """Its plain text and its HTML's text, each by itself."""
    return tuple(of(part) if part.type == "text/plain" else of_html(of(part)) for part in message.texts())


def of(part: Part) -> str:
    return decoded(part.content, part.parameters.get("charset", "")).replace("\r\n", "\n").replace("\r", "\n")


def decoded(content: bytes, charset: str) -> str:
    """What is valid UTF-8 beyond ASCII is UTF-8, whatever is declared; a vague charset may be a Polish one."""
    name = _codec(charset)
    if content.isascii() or (name or "").startswith(("utf-16", "utf-32")):
        return content.decode(name or "ascii", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > len(content) - 4:  # a character cut in two at the end of what was read
            return content[: error.start].decode("utf-8")
    if name is not None and name not in _VAGUE and name != "utf-8":
        return content.decode(name, "replace")
    return max((content.decode(each, "replace") for each in ("cp1252", "iso8859-2", "cp1250")), key=_polish_letters)


def _codec(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset.strip().strip("\"'")).name
        b"".decode(name)
    except (LookupError, ValueError, TypeError):
        return None
    return None if name in _NO_CHARSETS else name


def _polish_letters(text: str) -> int:
    return sum(text.count(letter) for letter in _POLISH)


_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "hr", "pre"})
_OF_A_BODY = _BLOCKS | {"body"}
_UNSEEN = frozenset({"head", "script", "style", "title"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
# html.unescape raises ValueError for a number of thousands of digits.
_HUGE_NUMBER = re.compile(r"&#\d{20,};?")
# Containers of the quoted message, by class or id.
_QUOTE = re.compile(r"gmail_quote|yahoo_quoted|moz-cite|protonmail_quote|tutanota_quote|zmail_extra|quoted-message")
# From here to the end everything is quoted.
_REST_IS_QUOTED = re.compile(
    r"divRplyFwdMsg|appendonsend|mail-editor-reference-message|OLK_SRC_BODY_SECTION|stopSpelling"
)
REST_IS_QUOTED = "-----Original Message-----"


_NAME = re.compile(r"(/?)([a-zA-Z][\w:-]{0,30})")
_NAMES = re.compile(r"""\b(?:class|id)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)


def of_html(markup: str) -> str:
    """Its text, a line for each block; lines of a quotation begin with "> ".

    By hand, because the standard library's parser takes quadratic time for markup that is made for that.
    """
    reader = _Reader()
    first, *rest = _without_comments(markup[:_LONGEST_HTML]).split("<")
    reader.read_words(first)
    for piece in rest:
        tag, closed, words = piece.partition(">")
        name = _NAME.match(tag)
        if name is not None:
            reader.read_tag(name[2].lower(), tag[:2000], is_end=bool(name[1]))
            reader.read_words(words)
        elif tag[:1] in ("!", "?", "/"):
            reader.read_words(words)
        else:
            reader.read_words(f"<{tag}{closed}{words}")  # a sign of less than
    return reader.text()


def _without_comments(markup: str) -> str:
    kept, position = [], 0
    while (start := markup.find("<!--", position)) >= 0:
        kept.append(markup[position:start])
        end = markup.find("-->", start)
        position = end + 3 if end >= 0 else len(markup)
    return "".join([*kept, markup[position:]])


class _Reader:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._unseen = ""  # the tag of an element that shows nothing
        self._quote, self._open = "", 0  # the tag of the outermost quotation, and how often that is open

    def text(self) -> str:
        self._end_line()
        return "\n".join(self._lines)

    def read_tag(self, tag: str, whole: str, *, is_end: bool) -> None:
        if self._unseen == "head" and tag in _OF_A_BODY:  # it need not be closed
            self._unseen = ""
        if self._unseen:
            self._unseen = "" if is_end and tag == self._unseen else self._unseen
            return
        if tag in _BLOCKS or tag == "blockquote":
            self._end_line()
        if is_end:
            self._leave(tag)
        elif tag in _UNSEEN:
            self._unseen = tag
        else:
            self._enter(tag, " ".join(_NAMES.findall(whole)))

    def _enter(self, tag: str, names: str) -> None:
        if _REST_IS_QUOTED.search(names):
            self._end_line()
            self._lines.append(REST_IS_QUOTED)
        if tag in _VOID:
            return
        if self._quote == tag:
            self._open += 1
        elif not self._quote and (tag == "blockquote" or _QUOTE.search(names)):
            self._end_line()
            self._quote, self._open = tag, 1

    def _leave(self, tag: str) -> None:
        if self._quote == tag:
            self._open -= 1
            if not self._open:
                self._end_line()
                self._quote = ""

    def read_words(self, words: str) -> None:
        if not self._unseen:
            self._line.append(words)

    def _end_line(self) -> None:
        words = " ".join(html.unescape(_HUGE_NUMBER.sub("", "".join(self._line))).split())
        self._line.clear()
        self._lines.append(f"> {words}" if self._quote and words else words)
