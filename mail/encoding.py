"""Encodes header values and texts in ASCII and short lines, so that they decode to exactly what was written.

The standard library is not used: its header folding loses or adds spaces, differently in each Python version, and
decodes text that only looks like an encoded word; its quoted-printable lines can exceed 76 characters.
"""

import re
from base64 import b64decode, b64encode, encodebytes
from collections.abc import Iterator
from quopri import decodestring

LONGEST_LINE = 76  # RFC 2047 section 2 and RFC 2045 section 6.7
_LONGEST_WORD = 75

# Words with single spaces between, none of which looks like an encoded word: safe to send as they are.
_PLAIN = re.compile(r"(?!.*=\?)[!-~]+(?: [!-~]+)*")
_NOT_IN_A_WORD = re.compile(r"[^A-Za-z0-9!*+/ -]+")  # RFC 2047 section 5 (3)
_WORD = re.compile(r"=\?utf-8\?([bq])\?([!->@-~]+)\?=")

# Text that can be sent as 7bit. Each line: short, no trailing space (servers strip it), no "From " (mail stores quote
# it), no "=_" (so that no body, in any encoding, contains the start of a boundary).
_SEVEN_BIT = re.compile(r"(?:(?!From |.*=_)[\t -~]{0,75}[!-~]\n|\n)+")
_NOT_IN_A_QUOTED_LINE = re.compile(r"[^\t\n -<>-~]+|[\t ](?=\n|\Z)|F(?=rom )")
_LINE_END = re.compile(r"\r\n|\r|\n")


def unstructured(name: str, value: str) -> str:
    """A complete header field like Subject, folded, without its last line end. value: no controls, not empty."""
    room = LONGEST_LINE - len(f"{name}: ")
    first, *others = value.split(" ")
    if _PLAIN.fullmatch(value) and len(first) <= room and all(len(word) <= _LONGEST_WORD for word in others):
        return _folded(name, [first, *others])
    return _folded(name, [*_encoded_words(value, room)])


def mailbox(name: str, person: str, address: str) -> str:
    """A complete header field like From, with one address (ASCII) and a display name; "": none."""
    if not person:
        return f"{name}: {address}"
    room = LONGEST_LINE - len(f"{name}: ")
    quoted = f'"{person}"'
    if _PLAIN.fullmatch(person) and len(quoted) <= room and not re.search(r'["\\]', person):
        return _folded(name, [quoted, f"<{address}>"])
    return _folded(name, [*_encoded_words(person, room), f"<{address}>"])


def listed(name: str, values: list[str]) -> str:
    """A complete header field with values in ASCII and commas between, folded between two values only."""
    return _folded(name, [*(f"{value}," for value in values[:-1]), values[-1]])


def spaced(name: str, values: list[str]) -> str:
    """A complete header field with values in ASCII, folded between two values only."""
    return _folded(name, values)


def decoded(value: str) -> str:
    """The value from which unstructured() wrote a field. value: the field's body, folded as it was written."""
    words = value.replace("\r\n ", " ").split(" ")
    found = [_WORD.fullmatch(word) for word in words]
    return "".join(_unencoded(*each.groups()) for each in found if each) if all(found) else " ".join(words)


def _folded(name: str, words: list[str]) -> str:
    lines = [f"{name}: {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= LONGEST_LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    return "\r\n".join(lines)


def _encoded_words(value: str, room: int) -> Iterator[str]:
    """RFC 2047 encoded words of whole characters; readers drop the space between two. room: for the first one."""
    encode = min(_q, _b, key=lambda encode: len(encode(value)))
    start = 0
    for end in range(1, len(value) + 1):
        if len(encode(value[start:end])) > room:
            yield encode(value[start : end - 1])
            start, room = end - 1, _LONGEST_WORD
    yield encode(value[start:])


def _q(text: str) -> str:
    return f"=?utf-8?q?{_NOT_IN_A_WORD.sub(_escaped, text).replace(' ', '_')}?="


def _b(text: str) -> str:
    return f"=?utf-8?b?{b64encode(text.encode()).decode()}?="


def _unencoded(encoding: str, text: str) -> str:
    return (b64decode(text) if encoding == "b" else decodestring(text, header=True)).decode()


def _escaped(found: re.Match[str]) -> str:
    return "=" + found[0].encode().hex("=").upper()


def body(text: str) -> tuple[str, str]:
    """The transfer encoding (RFC 2045 section 6) for a UTF-8 text, and the encoded text, which ends with a line end.

    All line ends become CRLF. It decodes to the original text, with or without a line end after the last line.
    """
    text = _LINE_END.sub("\n", text)
    if _SEVEN_BIT.fullmatch(text):
        return "7bit", text.replace("\n", "\r\n")
    encodings = {
        "quoted-printable": _quoted_printable(text),
        "base64": encodebytes(text.replace("\n", "\r\n").encode()).decode(),
    }
    shortest = min(encodings, key=lambda name: len(encodings[name]))
    return shortest, encodings[shortest].replace("\n", "\r\n")


def _quoted_printable(text: str) -> str:
    lines = _NOT_IN_A_QUOTED_LINE.sub(_escaped, text).split("\n")
    pieces = [piece for line in lines for piece in _wrapped(line)]
    # If the text has no final line end, add a soft one ("=").
    return "\n".join(pieces) + ("=\n" if pieces[-1] else "")


def _wrapped(line: str) -> Iterator[str]:
    while len(line) > LONGEST_LINE - 1:
        torn = line.rfind("=", LONGEST_LINE - 3, LONGEST_LINE - 1)  # an escape that would be split
        end = torn if torn >= 0 else LONGEST_LINE - 1
        yield f"{line[:end]}="
        line = line[end:]
    yield line
