"""Unsubscribing: the token that names an e-mail, and the headers and the link of that e-mail which carry it.

A token is signed and has no address in it: the random id of the e-mail's Message-ID, which no restored backup gives to
another e-mail. It knows no key and no settings: both are given.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote
from uuid import UUID

from itsdangerous import BadSignature, HMACAlgorithm, Signer

# vault.derived_keys() of this purpose sign tokens.
PURPOSE = "punktual unsubscribe"
LANGUAGES = ("en", "pl")
FIELD = "unsubscribe_url"
HEADER, POST_HEADER = "List-Unsubscribe", "List-Unsubscribe-Post"
# The body of a POST that unsubscribes (RFC 8058 section 3.2), and the value of the header that offers it.
ONE_CLICK = ("List-Unsubscribe", "One-Click")

_SIGNATURE_BYTES = 18
_FORM = r"[\w-]{22}\.[\w-]{24}"  # of 16 and of 18 bytes
# Not as it stands in our own header, which bounces and forwarded e-mails quote.
_SAID = re.compile(rf"(?<![\w=])unsubscribe-({_FORM})(?![\w-])", re.IGNORECASE | re.ASCII)


class _Short(HMACAlgorithm):
    """HMAC-SHA-256 of 144 bits (RFC 2104 section 5), so that no mail program folds a token in a subject."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:_SIGNATURE_BYTES]


@dataclass(frozen=True)
class Unsubscribe:
    """How the recipient of an e-mail can unsubscribe."""

    mailto: str
    url: str | None = None  # of the public page
    one_click: bool = False  # a mail program may post to the URL by itself (RFC 8058)

    def headers(self) -> Iterator[tuple[str, list[str]]]:
        """The headers that offer it: name, and values that a comma separates."""
        yield HEADER, [f"<{uri}>" for uri in (self.mailto, self.url) if uri]
        if self.one_click and (self.url or "").startswith("https://"):  # RFC 8058 section 3.1
            yield POST_HEADER, ["=".join(ONE_CLICK)]

    @property
    def link(self) -> str:
        """The link in the letter itself: to the public page, or without one a mailto to the mailbox."""
        return self.url or self.mailto


def offer(token: str, mailbox: str, base: str, language: str, *, one_click: bool) -> Unsubscribe:
    """How to unsubscribe by this token. mailbox: the address to write to. base: URL of the public page; "": none."""
    mailto = f"mailto:{quote(mailbox, safe='@+!$')}?subject=unsubscribe-{token}"
    return Unsubscribe(mailto, f"{base}/unsubscribe/{language}/{token}" if base else None, one_click)


# A token for previews, which names no e-mail: the page says so, and changes nothing.
PREVIEW = f"{'0' * 22}.{'0' * 24}"


def preview(mailbox: str, base: str, language: str = "en") -> Unsubscribe:
    """How to unsubscribe in a letter that no lead gets: by a token that names no e-mail."""
    return offer(PREVIEW, mailbox, base, language, one_click=False)


def token(email: UUID, keys: Sequence[bytes]) -> str:
    """Sign the token of an e-mail with the first key. email: the id in its Message-ID."""
    value = urlsafe_b64encode(email.bytes).rstrip(b"=")
    return _signer(keys).sign(value).decode("ascii")


def email_of(token: str, keys: Sequence[bytes]) -> UUID | None:
    """The id in the Message-ID of the e-mail that a token names; None if none of the keys has signed it."""
    if not re.fullmatch(_FORM, token, re.ASCII):
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(_signer(keys).unsign(token) + b"=="))
    except (BadSignature, ValueError):
        return None


def token_in(text: str) -> str | None:
    """The token in the subject or the body of a mail that a person wrote by our mailto address."""
    found = _SAID.search(text)
    return found[1] if found else None


def language_of(fields: Mapping[str, str], *texts: str) -> str:
    """The language of a lead's letter: its field `language`, or else told by the letters of Polish."""
    for name in ("language", "lang", "język", "jezyk"):
        if (said := fields.get(name, "").strip().lower()[:2]) in LANGUAGES:
            return said
    return "pl" if re.search("[ąćęłńóśźż]", " ".join(texts), re.IGNORECASE) else "en"


def _signer(keys: Sequence[bytes]) -> Signer:
    # The library signs with the last of its keys.
    return Signer(list(reversed(keys)), salt=PURPOSE.encode(), key_derivation="hmac", algorithm=_Short(sha256))
