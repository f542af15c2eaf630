"""Normalises e-mail addresses for comparison."""

import re
import unicodedata
from functools import cache

import email_validator
from email_validator import EmailNotValidError, validate_email

from messages import Message, gettext_noop

# Reserved for examples and tests (RFC 2606, RFC 6761): accepted, because writing to them does no harm.
_HARMLESS = ("test", "example")


# What the library would take as it stands, whatever else it looks at: most addresses, in a hundredth of the time.
_ORDINARY = re.compile(
    r"(?=.{1,254}\Z)(?=.{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    re.IGNORECASE | re.ASCII,
)


class AddressInvalid(Exception):
    """Not an address that e-mail can be sent to."""


def normalise(address: str) -> str:
    """Lower case, Unicode in its composed form (NFC), the domain in its ASCII form (IDNA 2008).

    The local part is lower-cased too: RFC 5321 lets its case matter, but no provider does.
    """
    if len(address) > 320:
        raise AddressInvalid(Message(gettext_noop("an address has at most 320 characters")))
    if _ORDINARY.fullmatch(address) and address.rpartition(".")[2].lower() not in _reserved_endings():
        return address.lower()
    _let_examples_be_valid()
    try:
        if _mixes_alphabets(address):
            raise EmailNotValidError
        # Few servers accept a local part beyond ASCII (RFC 6531); a domain has an ASCII form.
        found = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        told = {"address": repr(address.strip()[:80]), "fault": _fault(address.strip())}
        raise AddressInvalid(Message(gettext_noop("%(address)s is not an e-mail address: %(fault)s"), **told)) from None
    return f"{found.local_part.lower()}@{found.ascii_domain.lower()}"


@cache
def _reserved_endings() -> frozenset[str]:
    """The last labels of domains that the library looks at more closely."""
    _let_examples_be_valid()
    return frozenset(name.rpartition(".")[2] for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)


@cache
def _let_examples_be_valid() -> None:
    """Change the library's setting, which is global to the process."""
    allowed = [name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name not in _HARMLESS]
    email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = allowed


def _mixes_alphabets(address: str) -> bool:
    """Whether a label of its domain has letters that only look like those beside them."""
    labels = [] if address.isascii() else domain(address).split(".")
    alphabets = ({unicodedata.name(each, "").partition(" ")[0] for each in label if each.isalpha()} for label in labels)
    return any("LATIN" in each and each & {"CYRILLIC", "GREEK"} for each in alphabets)


def _fault(address: str) -> Message:
    """What is wrong with the address, in a few words."""
    name, _, host = address.rpartition("@")
    if not address.isprintable():
        return Message(gettext_noop("it has an invisible character"))
    if re.search(r"[\s,;<>]", address):
        return Message(gettext_noop("it has a space or a separator; give exactly one address"))
    if not address:
        return Message(gettext_noop("it is empty"))
    if address.lower().startswith("mailto:"):
        return Message(gettext_noop("leave out mailto:"))
    if address.count("@") != 1:
        return Message(gettext_noop("it must have one @"))
    if not name:
        return Message(gettext_noop("there is nothing before the @"))
    if not host:
        return Message(gettext_noop("there is nothing after the @"))
    if not name.isascii():
        return Message(gettext_noop("before the @ only ASCII characters are allowed"))
    if _mixes_alphabets(address):
        return Message(gettext_noop("after the @ letters of two alphabets are mixed, which only look alike"))
    if "." not in host.strip("."):
        return Message(gettext_noop("after the @ there must be a domain, like example.pl"))
    if len(name) > 64:
        return Message(gettext_noop("before the @ at most 64 characters are allowed"))
    if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+", name) or ".." in f".{name}.":
        return Message(gettext_noop("it has characters or dots that are not allowed before the @"))
    return Message(gettext_noop("it has characters or dots that are not allowed after the @"))


_ANY_OF_DOMAIN = re.compile(r"(\*@|\*\.|@)?(?P<domain>[^@*]+)")


def suppressible(text: str) -> str:
    """What one entry of the suppression list concerns: an address, or a domain with all its subdomains.

    A domain is written `leads.example`, `@leads.example`, `*@leads.example` or `*.leads.example`. Returns the
    normalised address, or "@" with the domain's ASCII form.
    """
    written = text.strip()
    found = _ANY_OF_DOMAIN.fullmatch(written)
    if found and found["domain"].lower().startswith("www."):
        template = gettext_noop("%(address)s: leave out www., which belongs to a web page, not to an address")
        raise AddressInvalid(Message(template, address=repr(written[:80])))
    return f"@{_normalised_domain(found['domain'], written)}" if found else normalise(written)


def _normalised_domain(name: str, written: str) -> str:
    try:
        return domain(normalise(f"anyone@{name.removesuffix('.')}"))
    except AddressInvalid:
        template = gettext_noop("%(address)s is neither an e-mail address nor a domain like example.pl")
        raise AddressInvalid(Message(template, address=repr(written[:80]))) from None


def on_the_wire(address: str) -> str:
    """The form for SMTP commands and headers: the local part as written, the domain in ASCII."""
    return f"{address.strip().rpartition('@')[0]}@{domain(normalise(address))}"


def domain(address: str) -> str:
    return address.rpartition("@")[2]
