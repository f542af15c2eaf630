"""E-mail addresses in the one form by which they are compared."""

import email_validator
from email_validator import EmailNotValidError, validate_email

# Reserved for examples and tests (RFC 2606, RFC 6761): no harm in writing to them, and no use in refusing them.
email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = [
    name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name not in ("test", "example")
]


class AddressInvalid(Exception):
    """This is no address that mail can be sent to."""


def normalise(address: str) -> str:
    """Lower case, Unicode in its composed form (NFC), the domain in its ASCII form (IDNA 2008).

    The part before the @ is folded too: by RFC 5321 its case could matter, and nowhere does it.
    """
    if len(address) > 320:
        raise AddressInvalid("an address has at most 320 characters")
    try:
        # Few servers take letters beyond ASCII before the @ (RFC 6531); after it they have an ASCII form.
        found = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise AddressInvalid(f"{address.strip()[:80]!r} is no e-mail address: {error}") from None
    return f"{found.local_part.lower()}@{found.ascii_domain.lower()}"


def on_the_wire(address: str) -> str:
    """As written before the @, and in ASCII after it: as commands and headers carry it."""
    return f"{address.strip().rpartition('@')[0]}@{domain(normalise(address))}"


def domain(address: str) -> str:
    return address.rpartition("@")[2]
