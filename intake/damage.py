"""Finds text that was damaged before it came here: by a wrong encoding, or by an export as HTML."""

import re
from html import unescape
from html.entities import name2codepoint

from messages import Message, gettext_noop

_POLISH = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")
_SIGNS = frozenset("„”“’‘–—…«»€°§©®")

# Letters that misread UTF-8 can be traced back to for certain. Not à: its trace is a letter and a space.
_MEANT = _POLISH | _SIGNS | frozenset("áâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿß")
_MISREAD_AS = ("cp1250", "cp1252", "iso8859-2", "latin-1", "cp852", "cp437", "mac_roman")


def _read_as(codec: str, first: int, last: int) -> str:
    """How these bytes look in an encoding. Bytes undefined in it are usually decoded as Latin-1 control characters."""
    read = (bytes([each]).decode(codec, "replace").replace("\ufffd", chr(each)) for each in range(first, last + 1))
    return "".join(read)


def _any(first: int, last: int) -> str:
    return f"[{re.escape(''.join(_read_as(codec, first, last) for codec in _MISREAD_AS))}]"


# The first two bytes of a character in UTF-8, misread: without them there is no need to look closer.
_TRACE = re.compile(_any(0xC2, 0xF4) + _any(0x80, 0xBF))


# What spreadsheets show for a formula that failed; in Polish and German ones too, and by LibreOffice.
_FAILED = re.compile(
    r"#(?:N/[AD]|NV|REF|ADR|BEZUG|VALUE|ARG|WERT|NAME|NAZWA|DIV/0|DZIEL/0|NUM|LICZBA|ZAHL|NULL|ZERO|SPILL|ROZLANIE"
    r"|CALC|OBL|FIELD|POLE|ERROR)[!?]?|#GETTING_DATA|Err:\d{3}",
    re.IGNORECASE,
)


_HTML = re.compile(
    rf"&(?:#(?!0+;)\d{{1,7}}|#[xX](?!0+;)[0-9a-fA-F]{{1,6}}|apos|{'|'.join(sorted(name2codepoint))});", re.ASCII
)


def is_failed_formula(text: str) -> bool:
    return _FAILED.fullmatch(text) is not None


def damage(text: str) -> Message | None:
    """How the text was damaged by a wrong encoding before, if that is certain."""
    if "\ufffd" in text:
        return Message(
            gettext_noop("has U+FFFD in place of a letter: the text was damaged before; export it again as UTF-8")
        )
    if not _TRACE.search(text):
        return None
    for word in re.split(r"[ \t\n]+", text):
        # A closing quote after a letter only looks like a trace.
        if meanings := _meanings(word.rstrip("»“”’")):
            meant = " / ".join(map(repr, meanings))
            template = gettext_noop(
                "%(word)s was %(meant)s before it was read in the wrong encoding; export it again as UTF-8"
            )
            return Message(template, word=repr(word[:60]), meant=meant)
    return None


def _meanings(word: str) -> list[str]:
    """The possible originals of the word, if it is UTF-8 read in another encoding."""
    found = []
    for codec in _MISREAD_AS if len(word) <= 60 and not word.isascii() else ():
        try:
            meant = b"".join(_byte(each, codec) for each in word).decode()
        except UnicodeError:
            continue
        if all(each.isascii() or each in _MEANT for each in meant):
            found.append(meant)
    return list(dict.fromkeys(found))


def _byte(letter: str, codec: str) -> bytes:
    """Encode a character. Bytes undefined in an encoding are usually decoded as Latin-1 control characters."""
    return letter.encode("latin-1" if "\x80" <= letter <= "\x9f" else codec)


def html(text: str) -> Message | None:
    """Which word of the text is HTML, if one is: it has a character reference like &amp; in it."""
    if "&" not in text or not _HTML.search(text):
        return None
    word = next(word for word in text.split() if _HTML.search(word))
    meant = _HTML.sub(lambda found: unescape(found[0]), word)
    template = gettext_noop("%(word)s is HTML for %(meant)s; export it as plain text")
    return Message(template, word=repr(word[:60]), meant=repr(meant[:60]))
