"""Finds the encoding of a text file: by its BOM, as UTF-8, as UTF-16, or by which 8-bit encoding yields Polish letters.

Libraries guess wrong here: they take short Windows-1250 texts for Windows-1252, and ISO-8859-2 for Windows-1250.
"""

import codecs
import re
from collections.abc import Iterable
from typing import BinaryIO

from intake.damage import damage
from messages import Message, gettext_noop

# In the order in which they are preferred. A text that none of them reads well is refused.
_EIGHT_BIT = {"cp1250": "Windows-1250", "iso8859-2": "ISO-8859-2", "cp852": "CP852"}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose BOM is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NAMES = {**_EIGHT_BIT, "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}

_POLISH_SMALL = "ąćęłńóśźż"
_POLISH = frozenset(_POLISH_SMALL + _POLISH_SMALL.upper())
# At the same place in Windows-1250, Windows-1252 and ISO-8859-2: they tell nothing.
_NEUTRAL = frozenset("áâäçéëíîôöúüýßÁÂÄÇÉËÍÎÔÖÚÜÝ„”“’‘‚–—…«»€°§©®×\xa0\xad")
_LONE_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # of damaged UTF-8; no text in these encodings
_SAMPLE = 200_000  # bytes
_HEAD = 4096


class EncodingUnknown(Exception):
    """None of the encodings can be the file's."""

    def __init__(self, line: int | None, because: Message) -> None:
        super().__init__(because)
        self.line = line


def name_of(codec: str) -> str:
    """As people call it."""
    return _NAMES.get(codec, codec.upper())


def detect(file: BinaryIO) -> str:
    """The codec for a text file, which is read to its end. Raises EncodingUnknown."""
    head = file.read(_HEAD)
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            return codec
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 8:
        if min(even, odd) > len(head) // 8:
            raise EncodingUnknown(None, Message(gettext_noop("is UTF-32 text without a BOM, or no text at all")))
        return "utf-16-le" if odd > even else "utf-16-be"
    file.seek(0)
    line = _first_line_beyond_utf8(file)
    if line is None:
        return "utf-8"
    file.seek(0)
    if best := eight_bit(file):
        return best
    raise EncodingUnknown(line, Message(gettext_noop("is not UTF-8 text, nor in any other encoding of Polish")))


def _first_line_beyond_utf8(lines: Iterable[bytes]) -> int | None:
    number = 0
    for number, line in enumerate(lines, start=1):
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError as error:
                # An old Mac's lines end with CR alone: then this one is the whole file.
                return number + len(re.findall(rb"\r(?!\n)", error.object[: error.start]))
    return None


def eight_bit(lines: Iterable[bytes]) -> str | None:
    """The 8-bit codec in which the text makes the best Polish."""
    used: set[int] = set()
    sample = bytearray()
    for line in lines:
        if not line.isascii():
            used.update(line)
            if len(sample) < _SAMPLE:
                sample += line[:_SAMPLE]
    scores = {codec: _score(codec, bytes(sorted(used)), bytes(sample)) for codec in _EIGHT_BIT}
    best = max(scores, key=lambda codec: scores[codec])
    return best if scores[best] >= 0 else None


def _score(codec: str, used: bytes, sample: bytes) -> float:
    """How well the text reads in an encoding; below 0: not at all."""
    try:
        used.decode(codec)
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return -1
    if any("\x80" <= each <= "\x9f" for each in text) or any(map(damage, text.split("\n"))):
        return -1
    if _LONE_SURROGATE.search(sample):
        return -1
    around = zip(" " + text, text, text[1:] + " ", strict=False)
    return sum(_weight(*each) for each in around if not each[1].isascii())


def _weight(last: str, character: str, following: str) -> float:
    if character in _POLISH:
        is_odd = character.isupper() and (last.islower() or (last.isalpha() and following.islower()))
        return -1 if is_odd else 1
    if character in _NEUTRAL:
        return 0
    return -1 if character.isalpha() else -2
