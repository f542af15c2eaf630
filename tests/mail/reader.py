"""Parses a message strictly by RFC 5322, 2045 and 2047, and asserts its form.

Independent of `mail/` and the standard library's `email`, which are tested against it.
"""

import re
from base64 import b64decode
from dataclasses import dataclass
from itertools import pairwise

_FIELD = re.compile(r"([!-9;-~]+): (.*)", re.DOTALL)
_WORD = re.compile(r"=\?([A-Za-z0-9-]+)\?([BQ])\?([!->@-~]+)\?=", re.IGNORECASE)
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_PART = re.compile(r'text/(plain|html); charset="?utf-8"?')
_SEVERAL = re.compile(r'multipart/alternative; boundary="([^"]{1,70})"')
_QUOTED_LINE = re.compile(r"(?:(?:[\t -<>-~]|=[0-9A-F]{2})*(?:[!-<>-~]|=[0-9A-F]{2}|=))?")


@dataclass(frozen=True)
class Message:
    headers: list[tuple[str, str]]  # as they stand, unfolded
    parts: dict[str, str]  # by kind: plain, html; the line ends as they stand

    def __getitem__(self, name: str) -> str:
        [value] = [value for key, value in self.headers if key == name]
        return value

    @property
    def subject(self) -> str:
        return text(self["Subject"])

    @property
    def sender(self) -> tuple[str, str]:
        return mailbox(self["From"])


def read(content: bytes) -> Message:
    assert content.endswith(b"\r\n")
    lines = content.decode("ascii").split("\r\n")
    assert not [line for line in lines if len(line) > 998 or set(line) & set("\r\n\0")]
    headers, body = _entity(lines)
    return Message(headers, _parts(dict(headers), body))


def text(value: str) -> str:
    """An unstructured value decoded: encoded words stand alone, and white space between two of them is none."""
    decoded, after_word = "", False
    for space, token in re.findall(r"([ \t]*)([^ \t]+|$)", value):
        found = _WORD.fullmatch(token)
        assert found or "=?" not in token, f"{token!r} may be taken for an encoded word"
        assert len(space) <= 1, "many readers make one space of several"
        decoded += ("" if found and after_word else space) + (_word(found) if found else token)
        after_word = found is not None
    return decoded


def mailbox(value: str) -> tuple[str, str]:
    """The name and the address of the one mailbox in a header."""
    phrase, _, address = f" {value}".rpartition(" ")
    if not address.startswith("<"):
        assert not phrase
        assert _ADDRESS.fullmatch(address)
        return "", address
    assert _ADDRESS.fullmatch(address[1:-1])
    assert address.endswith(">")
    if found := _QUOTED_STRING.fullmatch(phrase.strip()):
        assert "=?" not in phrase
        return re.sub(r"\\(.)", r"\1", found[1]), address[1:-1]
    for word in phrase.split():
        found = _WORD.fullmatch(word)
        assert found, f"{word!r} is neither a quoted string nor an encoded word"
        # RFC 2047 section 5 (3)
        assert found[2].upper() == "B" or re.fullmatch(r"(?:[A-Za-z0-9!*+/_-]|=[0-9A-F]{2})+", found[3])
    return text(phrase.strip()), address[1:-1]


def _word(found: re.Match[str]) -> str:
    charset, encoding, encoded = found.groups()
    assert charset.lower() == "utf-8"
    assert len(found[0]) <= 75
    if encoding.upper() == "B":
        return b64decode(encoded, validate=True).decode("utf-8")
    return _unquoted(encoded.replace("_", " ")).decode("utf-8")


def _entity(lines: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The headers and the lines of the body."""
    end = lines.index("")
    for line in lines[:end]:
        assert line.strip(), "a line of a header has white space alone"
        assert len(line) <= 76 or "@" in line or "://" in line  # an address or a URI may be longer
        assert len(line) <= 76 or "=?" not in line
    unfolded = re.sub(r"\r\n(?=[ \t])", "", "\r\n".join(lines[:end])).split("\r\n")
    fields = [_FIELD.fullmatch(field) for field in unfolded]
    assert all(fields)
    return [(field[1], field[2]) for field in fields if field], lines[end + 1 :]


def _parts(headers: dict[str, str], body: list[str]) -> dict[str, str]:
    if several := _SEVERAL.fullmatch(headers["Content-Type"]):
        assert "Content-Transfer-Encoding" not in headers
        found: dict[str, str] = {}
        for lines in _between(body, f"--{several[1]}"):
            inner, content = _entity(lines)
            assert [name for name, _ in inner] == ["Content-Type", "Content-Transfer-Encoding"]
            assert _PART.fullmatch(dict(inner)["Content-Type"])
            found |= _parts(dict(inner), content)
        assert list(found) == ["plain", "html"]
        return found
    kind = _PART.fullmatch(headers["Content-Type"])
    assert kind
    return {kind[1]: _body(headers["Content-Transfer-Encoding"], body)}


def _between(lines: list[str], delimiter: str) -> list[list[str]]:
    """The lines of each part. A delimiter owns the line end before it."""
    places = [number for number, line in enumerate(lines) if line.startswith(delimiter)]
    assert [lines[place] for place in places] == [*[delimiter] * (len(places) - 1), f"{delimiter}--"]
    assert places[0] == 0, "something stands before the first part"
    assert lines[places[-1] + 1 :] == [""], "something stands after the last part"
    return [lines[first + 1 : last] for first, last in pairwise(places)]


def _body(encoding: str, lines: list[str]) -> str:
    """Decoded, as one text."""
    assert all(len(line) <= 76 for line in lines)
    match encoding:
        case "7bit":
            assert not [line for line in lines if line != line.rstrip()], "white space at a line's end may be lost"
            return "\r\n".join(lines)
        case "base64":
            return b64decode("".join(lines), validate=True).decode("utf-8")
        case "quoted-printable":
            assert all(_QUOTED_LINE.fullmatch(line) for line in lines)
            joined = "\r\n".join(lines).replace("=\r\n", "")
            return _unquoted(joined).decode("utf-8")
    raise AssertionError(f"there is no encoding {encoding!r}")


def _unquoted(encoded: str) -> bytes:
    first, *others = encoded.split("=")
    return first.encode() + b"".join(bytes.fromhex(other[:2]) + other[2:].encode() for other in others)
