"""Raw bytes -> headers and parts (RFC 5322, RFC 2045), for messages that may be broken or hostile. Never raises.

The standard library's parser nests as deeply as the message and keeps every part. This one is flat and bounded, and
keeps each part's content as it is in the message.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

_MOST_PARTS, _DEEPEST = 100, 10
_LONGEST_HEAD = 64_000  # bytes
_MOST_FIELDS = 500
_LONGEST_VALUE = 4_000  # characters
_LONGEST_PARAMETERS = 1_000  # characters; the library takes quadratic time for them
# Parsed first, and then decoded: a decoded name may have commas and addresses in it (RFC 2047 section 6.2).
_OF_ADDRESSES = frozenset({"from", "sender"})
_END_OF_HEAD = re.compile(rb"\A(?=\r?\n)|\r?\n(?=\r?\n)")
_LINE_END = re.compile(rb"\r?\n")


@dataclass(frozen=True)
class Headers:
    fields: tuple[tuple[str, str], ...]  # lower-case name, value; in the message's order. Decoded, but for addresses

    def get(self, name: str) -> str:
        """The first value; "" if there is none."""
        return next(self.all(name), "")

    def all(self, name: str) -> Iterator[str]:
        wanted = name.lower()
        return (value for each, value in self.fields if each == wanted)

    def has(self, *names: str) -> bool:
        return any(each in names for each, _ in self.fields)


@dataclass(frozen=True)
class Part:
    """A leaf of the message: neither a multipart nor split any further."""

    headers: Headers
    type: str  # "text/plain"
    parameters: dict[str, str]
    content: bytes  # decoded from its transfer encoding
    name: str  # of an attached file; "" if it has none

    @property
    def is_text(self) -> bool:
        return self.type in ("text/plain", "text/html")


@dataclass(frozen=True)
class Structure:
    headers: Headers
    type: str
    parameters: dict[str, str]
    parts: tuple[Part, ...]

    def texts(self) -> list[Part]:
        """What a person wrote: texts with a name are attached, unless the message begins with one and has no other."""
        found = [part for part in self.parts if part.is_text and not part.name]
        return found or [part for part in self.parts[:1] if part.is_text]

    def of_type(self, *types: str) -> list[Part]:
        return [part for part in self.parts if part.type in types]


def read(raw: bytes) -> Structure:
    """raw: the whole message or its first bytes, bounded by the caller."""
    head, _ = _split_head(raw)
    message, headers = _head(head)
    kind, parameters = _type(message, "text/plain")
    return Structure(headers, kind, parameters, tuple(_parts(raw)))


def headers_of(content: bytes) -> Headers:
    """The headers at the beginning of a returned message."""
    return _head(_split_head(content)[0])[1]


def _parts(raw: bytes) -> list[Part]:
    found: list[Part] = []
    waiting = [(raw, "text/plain", 0)]
    while waiting and len(found) < _MOST_PARTS:
        entity, default, depth = waiting.pop()
        head, body = _split_head(entity)
        message, headers = _head(head)
        kind, parameters = _type(message, default)
        boundary = parameters.get("boundary", "")
        if kind.startswith("multipart/") and boundary and depth < _DEEPEST:
            inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            pieces = _pieces(body, boundary.encode("utf-8", "replace"))
            waiting += [(piece, inner, depth + 1) for piece in reversed(pieces)]
        else:
            name = parameters.get("name", "") or _filename(message)
            found.append(Part(headers, kind, parameters, _decoded(body, headers), name))
    return found


def _split_head(entity: bytes) -> tuple[bytes, bytes]:
    end = _END_OF_HEAD.search(entity)
    if end is None:
        return entity[:_LONGEST_HEAD], b""
    body = entity[end.end() :]
    first = _LINE_END.match(body)
    return entity[: min(end.start(), _LONGEST_HEAD)], body[first.end() :] if first else body


def _pieces(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts of a multipart (RFC 2046 section 5.1.1); the last one may lack its delimiter."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    pieces: list[bytes] = []
    match = delimiter.search(body)
    while match and not match[1] and len(pieces) < _MOST_PARTS:
        following = delimiter.search(body, match.end())
        piece = body[match.end() : following.start() if following else len(body)]
        first = _LINE_END.match(piece)
        pieces.append(piece[first.end() :] if first else piece)
        match = following
    return pieces


def _head(head: bytes) -> tuple[Message, Headers]:
    try:
        message = BytesHeaderParser(policy=compat32).parsebytes(head + b"\r\n\r\n")
        for name in {"content-type", "content-disposition"} & {each.lower() for each in message}:
            message.replace_header(name, str(message[name])[:_LONGEST_PARAMETERS])
        values = [(name.lower(), _text(str(value))) for name, value in list(message.raw_items())[:_MOST_FIELDS]]
        fields = [(name, value if name in _OF_ADDRESSES else readable(value)) for name, value in values]
    except Exception:  # noqa: BLE001  # whatever a broken header makes the library raise
        return Message(), Headers(())
    return message, Headers(tuple(fields))


def _text(value: str) -> str:
    """A header's value unfolded, 8-bit bytes as UTF-8."""
    value = " ".join(value[:_LONGEST_VALUE].split())
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def readable(value: str) -> str:
    """With its encoded words decoded (RFC 2047)."""
    if "=?" not in value:
        return value
    try:
        return "".join(
            each.decode(charset or "ascii", "replace") if isinstance(each, bytes) else each
            for each, charset in decode_header(value)
        )
    except Exception:  # noqa: BLE001  # unknown charsets, broken base64
        return value


def _type(message: Message, default: str) -> tuple[str, dict[str, str]]:
    try:
        if "content-type" not in message:
            return default, {}
        given = message.get_params(failobj=[], unquote=True) or []
        parameters = {str(name).lower(): _plain(value) for name, value in given[1:]}
        return message.get_content_type(), parameters
    except Exception:  # noqa: BLE001  # broken parameters (RFC 2231)
        return default, {}


def _plain(value: object) -> str:
    return str(value[2]) if isinstance(value, tuple) else str(value)


def _filename(message: Message) -> str:
    try:
        return message.get_filename() or ""
    except Exception:  # noqa: BLE001  # as above
        return ""


def _decoded(body: bytes, headers: Headers) -> bytes:
    encoding = re.sub(r"\([^()]*\)", "", headers.get("content-transfer-encoding"))
    match encoding.strip(' ";').lower():
        case "quoted-printable":
            return quopri.decodestring(body)
        case "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
            try:
                return base64.b64decode(letters[: len(letters) // 4 * 4] + _padded(letters[len(letters) // 4 * 4 :]))
            except (binascii.Error, ValueError):
                return body
    return body


def _padded(rest: bytes) -> bytes:
    """The last group of base64; a single letter left over says nothing."""
    return rest.ljust(4, b"=") if len(rest) > 1 else b""
