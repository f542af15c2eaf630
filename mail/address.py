"""Normalises e-mail addresses for comparison."""

import re
from functools import cache

import email_validator
from email_validator import EmailNotValidError, validate_email

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
        raise AddressInvalid("an address has at most 320 characters")
    if _ORDINARY.fullmatch(address) and address.rpartition(".")[2].lower() not in _reserved_endings():
        return address.lower()
    _let_examples_be_valid()
    try:
        # Few servers accept a local part beyond ASCII (RFC 6531); a domain has an ASCII form.
        found = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise AddressInvalid(f"{address.strip()[:80]!r} is not an e-mail address: {_fault(address.strip())}") from None
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


def _fault(address: str) -> str:
    """What is wrong with the address, in a few words."""
    name, _, host = address.rpartition("@")
    if not address.isprintable():
        return "it has an invisible character"
    if re.search(r"[\s,;<>]", address):
        return "it has a space or a separator; give exactly one address"
    if address.count("@") != 1:
        return "it must have one @" if address else "it is empty"
    if not name or not host:
        return f"there is nothing {'after' if name else 'before'} the @"
    if not name.isascii():
        return "before the @ only ASCII characters are allowed"
    if "." not in host.strip("."):
        return "after the @ there must be a domain, like example.pl"
    if len(name) > 64:
        return "before the @ at most 64 characters are allowed"
    wrong = "before" if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+", name) or ".." in f".{name}." else "after"
    return f"it has characters or dots that are not allowed {wrong} the @"


_ANY_OF_DOMAIN = re.compile(r"(\*@|\*\.|@)?(?P<domain>[^@*]+)")


def suppressible(text: str) -> str:
    """What one entry of the suppression list concerns: an address, or a domain with all its subdomains.

    A domain is written `leads.example`, `@leads.example`, `*@leads.example` or `*.leads.example`. Returns the
    normalised address, or "@" with the domain's ASCII form.
    """
    written = text.strip()
    found = _ANY_OF_DOMAIN.fullmatch(written)
    return f"@{_normalised_domain(found['domain'], written)}" if found else normalise(written)


def _normalised_domain(name: str, written: str) -> str:
    try:
        return domain(normalise(f"anyone@{name.removesuffix('.')}"))
    except AddressInvalid:
        raise AddressInvalid(f"{written[:80]!r} is neither an e-mail address nor a domain like example.pl") from None


def on_the_wire(address: str) -> str:
    """The form for SMTP commands and headers: the local part as written, the domain in ASCII."""
    return f"{address.strip().rpartition('@')[0]}@{domain(normalise(address))}"


def domain(address: str) -> str:
    return address.rpartition("@")[2]
