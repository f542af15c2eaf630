"""Finds the encoding of a text file: by its BOM, as UTF-8, as UTF-16, or by which 8-bit encoding yields Polish words.

Libraries guess wrong here: they take short Windows-1250 texts for Windows-1252, and ISO-8859-2 for Windows-1250.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import BinaryIO, NamedTuple

from intake.damage import damage
from messages import Message, gettext_noop

# In the order in which they are preferred. A text that none of them reads well is refused.
_USUAL = "cp1250"
_EIGHT_BIT = {_USUAL: "Windows-1250", "iso8859-2": "ISO-8859-2", "cp852": "CP852", "mac_latin2": "MacCE"}
_FOREIGN = ("cp1252", "mac_roman")  # not read; a text that may be in one of them is refused
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose BOM is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NAMES = {**_EIGHT_BIT, "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}

_POLISH = frozenset("ąćęłńóśźż")
# What Polish spelling does not have, for words with one of its letters: "Muńoz" is "Muñoz" in another encoding.
_NOT_POLISH = re.compile(
    "[ąćęńśź][aąeęioóuy]|[aeouyó][ąę]|^[ąęń]|[qvx]"
    "|^ć(?![mpw])|^ś(?![clmnprtw])|ć[clnr]|[bcdfghjkmnpstwz]ń|[lłrw]ń(?!$)"
    "|[bcćfghjklłmnńpqrsśtwzżź]ź|dź[lrs]|[bcfghjklmnprstwz]ż(?![aąeęioóuy])"
)
_NOT_A_WORD = re.compile("(?<![aeiouyäöü])ß|[aeou]i?á|[aeiouy]ä|ç(?![aeiouâáôóú])")  # in any language
# The other letters that words of a language have: of the neighbours, and of those who write in Windows-1252.
_LANGUAGES = tuple(
    map(
        frozenset,
        (
            *("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţ", "äöüßé"),
            *("àâæçèéêëîïôùûüœ", "áéíñóúü", "àáâãçéêíóôõúü", "àèéìíòóùú", "åäæéöøü", "äõöšüž", "áæðéíóöúýþ"),
        ),
    )
)
# At the same place in Windows-1250, Windows-1252 and ISO-8859-2: they tell nothing.
_NEUTRAL = frozenset("áâäçéëíîôöúüß")
_SIGNS = frozenset("„”“’‘‚–—…«»€°§©®×\xa0\xad")
_JOINING = frozenset("’‘–—\xa0\xad")  # may stand between two letters
_OPENING = frozenset("„‚")
_BEHIND_WORDS = frozenset("§©®°€…")
# As word processors write them; in another encoding these bytes are letters that words seldom end with.
_PLAIN = re.compile(r"(?<=[^\W\d_]{3})’s\b|(?<=[a-ząćęłńóśźż])[…®]")
_LITTLE_WORD = re.compile(r"(?:^|[\W\d_])[aiouwz]")  # the spaces in "sp. z o.o." and "w Warszawie" do not break
_WORD, _SIGN = re.compile(r"[^\W\d_]+"), re.compile(r"[^\w\x00-\x7f]")
_LONE_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # of damaged UTF-8; no text in these encodings
_SAMPLE = 200_000  # bytes
_HEAD = 4096


class EncodingUnknown(Exception):
    """None of the encodings can be the file's."""

    def __init__(self, line: int | None, because: Message) -> None:
        super().__init__(because)
        self.line = line


def name_of(codec: str) -> str:
    """The codec's name as people know it, like UTF-8."""
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


class _Kind(Enum):
    """What a character says of the encoding."""

    POLISH = auto()
    NEUTRAL = auto()
    RARE = auto()  # another language's, or a sign that may be a letter in another encoding
    WRONG = auto()


class _Reading(NamedTuple):
    """A text as read in one encoding."""

    alphabet: str
    kinds: Counter[_Kind]

    @property
    def is_possible(self) -> bool:
        return self.kinds[_Kind.POLISH] >= self.kinds[_Kind.WRONG]

    @property
    def evidence(self) -> int:
        return self.kinds[_Kind.POLISH] - 2 * self.kinds[_Kind.RARE] - 2 * self.kinds[_Kind.WRONG]


def eight_bit(lines: Iterable[bytes]) -> str | None:
    """The 8-bit codec in which the text makes the best Polish, if no other may be meant as well."""
    used: set[int] = set()
    sample = bytearray()
    for line in lines:
        if not line.isascii():
            used.update(line)
            if len(sample) < _SAMPLE:
                sample += line[:_SAMPLE]
    readings = {
        codec: it
        for codec in (*_EIGHT_BIT, *_FOREIGN)
        if (it := _reading(codec, bytes(sorted(used)), bytes(sample))) and it.is_possible
    }
    best = max(readings, key=lambda codec: readings[codec].evidence, default="")
    return best if best in _EIGHT_BIT and _is_clear(best, readings) else None


def _is_clear(best: str, readings: Mapping[str, _Reading]) -> bool:
    """Whether no other encoding gives another text that is as good."""
    its = readings[best]
    others = [it.evidence for it in readings.values() if it.alphabet != its.alphabet]
    if best == _USUAL and (its.evidence > 0 or set(its.kinds) == {_Kind.NEUTRAL}):
        return True
    return not others or its.evidence > max(0, *others)


def _reading(codec: str, used: bytes, sample: bytes) -> _Reading | None:
    """Count what the characters say of this encoding. None: the text cannot be in it."""
    try:
        alphabet, text = used.decode(codec), sample.decode(codec)
    except UnicodeDecodeError:
        return None
    if any("\x80" <= each <= "\x9f" for each in text) or any(map(damage, text.split("\n"))):
        return None
    if _LONE_SURROGATE.search(sample):
        return None
    kinds = Counter[_Kind]()
    for word, count in Counter(_WORD.findall(text)).items():
        if not word.isascii():
            for kind in _of_letters(word):
                kinds[kind] += count
    kinds.update(_of_signs(text))
    return _Reading(alphabet, kinds)


def _of_letters(word: str) -> Iterator[_Kind]:
    """What each letter of a word that is not ASCII says of the encoding."""
    small = word.lower()
    letters = {each for each in small if not each.isascii()}
    is_polish = letters <= _POLISH and not (len(letters) == 1 and _NOT_POLISH.search(small))
    is_word = is_polish or (any(letters <= each for each in _LANGUAGES) and not _NOT_A_WORD.search(small))
    for last, letter, following in zip(" " + word, word, word[1:] + " ", strict=False):
        if letter.isascii():
            continue
        if not is_word or _is_odd(last, letter, following):
            yield _Kind.WRONG
        elif is_polish:
            yield _Kind.POLISH
        elif letter.lower() in _NEUTRAL and (letter.isupper() or last.isalpha()):
            yield _Kind.NEUTRAL
        else:
            yield _Kind.RARE


def _is_odd(last: str, letter: str, following: str) -> bool:
    """Whether it is a capital within a word, or small where only a capital could be."""
    if letter.isupper():
        return last.islower() or (last.isalpha() and following.islower())
    return following.isupper() or not (last.isalpha() or following.isalpha())


def _of_signs(text: str) -> Iterator[_Kind]:
    plain = {found.start() for found in _PLAIN.finditer(text)}
    for found in _SIGN.finditer(text):
        at = found.start()
        is_plain = at in plain
        yield _Kind.NEUTRAL if is_plain else _of_sign(found[0], text[max(at - 2, 0) : at], text[at + 1 : at + 2])


def _of_sign(sign: str, before: str, following: str) -> _Kind:
    """What a sign says of the encoding. before: up to two characters. following: one at most."""
    is_behind = before[-1:].isalpha()
    if sign not in _SIGNS or (is_behind and (sign in _OPENING or (sign not in _JOINING and following.isalpha()))):
        return _Kind.WRONG
    if sign == "\xa0" and _LITTLE_WORD.fullmatch(before):
        return _Kind.NEUTRAL
    is_rare = not following.isupper() if is_behind else sign in _BEHIND_WORDS and following.isalpha()
    return _Kind.RARE if is_rare else _Kind.NEUTRAL
