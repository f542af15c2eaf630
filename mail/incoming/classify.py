"""What a message in an inbox is. Pure: the bytes, and what the rows say about them. Never raises.

The rules are asked in the order of `_RULES`; the first that knows decides, and is named in the result.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from mail.incoming import (
    addresses,
    automatic,
    citations,
    dates,
    quoted,
    reports,
    structure,
    text,
    textbounce,
    unsubscribe,
)
from mail.incoming.result import Citation, Class, Facts, Incoming, Kind
from mail.incoming.structure import Structure
from mail.incoming.unsubscribe import Request
from mail.incoming.words import plain

LONGEST_EXCERPT = 1000  # characters


class _Read:
    """A message with what several rules look at."""

    def __init__(self, raw: bytes, facts: Facts) -> None:
        self.message, self.facts = structure.read(raw), facts
        self.sender = addresses.sender(self.message)
        self.subject = self.message.headers.get("subject")
        letters = [*facts.letters.values(), *([facts.unnamed] if facts.unnamed else [])]
        self.recipients = {letter.recipient for letter in letters}
        self.subject_before_ours = _before(self.subject, [letter.subject for letter in letters])
        sent = [each for letter in letters for each in letter.texts]
        body = text.body(self.message)
        split = quoted.split(body, sent)
        self.new_text, self.quotes = split.new, split.quotes
        self.is_reply = bool(facts.letters) or self.message.headers.has("in-reply-to", "references")


def _before(subject: str, ours: list[str]) -> str:
    """What stands before our own subject: "Re: ", or a program's "Automatic reply: "."""
    words = plain(subject)
    for each in ours:
        words = words.removesuffix(re.sub(r"^(re: ?)+", "", plain(each)))
    return words


def cited(raw: bytes) -> tuple[Citation, ...]:
    """The Message-IDs that it names, in order of trust, to be looked up for classify()."""
    try:
        return _cited(structure.read(raw))
    except Exception:  # noqa: BLE001  # as below
        return ()


def sender(raw: bytes) -> str:
    """The address of its sender, normalised; "" if it has none."""
    try:
        return addresses.sender(structure.read(raw))
    except Exception:  # noqa: BLE001  # as below
        return ""


def classify(raw: bytes, facts: Facts) -> Incoming:
    try:
        read = _Read(raw, facts)
        found = next(result for rule in _RULES if (result := rule(read)))
        return replace(
            found,
            cited=found.cited or _cited(read.message),
            sender=read.sender,
            message_id=read.message.headers.get("message-id").strip()[:500],
            subject=read.subject[:500],
            excerpt=found.excerpt or read.new_text[:LONGEST_EXCERPT],
        )
    except Exception:  # noqa: BLE001  # a message must never stop those after it
        return Incoming(Class.UNCLEAR, "a message that cannot be read")


def _cited(message: Structure) -> tuple[Citation, ...]:
    if reports.is_feedback(message) or _is_hotmail_complaint(message):
        return citations.of_complaint(message)
    if reports.is_delivery_report(message) or textbounce.is_one(message) or reports.is_receipt(message):
        return citations.of_report(message)
    return citations.of_reply(message)


def _own(it: _Read) -> Incoming | None:
    if it.sender and it.sender in it.facts.own_addresses and not it.message.of_type("message/delivery-status"):
        return Incoming(Class.OTHER, "our own address")
    return None


def _feedback(it: _Read) -> Incoming | None:
    if not reports.is_feedback(it.message):
        return None
    group = reports.feedback(it.message)
    kind = group.get("feedback-type", "").lower()
    if kind != "abuse":
        return Incoming(Class.OTHER, f"RFC 5965 section 7.3: feedback of the type {kind[:40] or 'unknown'}")
    return _complaint(it, "RFC 5965: abuse", reports.complained(group, it.message))


def _hotmail(it: _Read) -> Incoming | None:
    """Microsoft's Junk Mail Reporting Program sends the letter itself, in no report."""
    if not _is_hotmail_complaint(it.message):
        return None
    returned = [structure.headers_of(part.content) for part in citations.returned(it.message)]
    named = [found for each in returned if (found := addresses.of(each.get("x-hmxmroriginalrecipient")))]
    return _complaint(it, "Microsoft JMRP", tuple(named))


def _is_hotmail_complaint(message: Structure) -> bool:
    subject = plain(message.headers.get("subject"))
    from_it = addresses.sender(message).endswith(("@hotmail.com", "@outlook.com", "@microsoft.com", "@live.com"))
    return from_it and subject.startswith("complaint about message from") and bool(citations.returned(message))


def _complaint(it: _Read, rule: str, recipients: tuple[str, ...]) -> Incoming:
    return Incoming(
        Class.COMPLAINT, rule, cited=citations.of_complaint(it.message), recipients=recipients, excerpt=_first_text(it)
    )


def _delivery_report(it: _Read) -> Incoming | None:
    if not reports.is_delivery_report(it.message):
        return None
    found = reports.failure(it.message, it.recipients)
    if found is None:
        rule = "RFC 3464 section 2.3.3: an action that is no failure"
        return Incoming(Class.AUTOMATIC, rule, kind=Kind.RECEIPT, cited=citations.of_report(it.message))
    international = it.message.of_type("message/global-delivery-status")
    return _bounce(it, "RFC 6533" if international else "RFC 3464", found)


def _receipt(it: _Read) -> Incoming | None:
    is_report = reports.is_receipt(it.message)
    if not is_report and not automatic.is_read_receipt(it.subject, it.new_text):
        return None
    rule = "RFC 8098" if is_report else "words of a receipt that it was read"
    return Incoming(Class.AUTOMATIC, rule, kind=Kind.RECEIPT, cited=citations.of_report(it.message))


def _text_bounce(it: _Read) -> Incoming | None:
    if not textbounce.is_one(it.message):
        return None
    found = textbounce.failure(it.message, it.facts.own_addresses, it.recipients)
    return _bounce(it, "a mail server's words", found)


def _bounce(it: _Read, rule: str, found: reports.Failure) -> Incoming:
    return Incoming(
        Class.BOUNCE,
        rule,
        kind=found.kind,
        status=found.status,
        diagnostic=" ".join(found.diagnostic.split())[:500],
        cited=citations.of_report(it.message),
        recipients=found.recipients,
        excerpt=_first_text(it),
    )


def _first_text(it: _Read) -> str:
    return reports.for_people(it.message).strip()[:LONGEST_EXCERPT]


def _unsubscribe_command(it: _Read) -> Incoming | None:
    """What a mail program sends for List-Unsubscribe (RFC 2369): a subject, and nothing or a program's words in it."""
    if it.is_reply or not unsubscribe.is_command(it.subject) or len(it.new_text) > 300:
        return None
    return Incoming(Class.UNSUBSCRIBE, "RFC 2369: the subject of an unsubscribe message")


def _automatic_by_header(it: _Read) -> Incoming | None:
    rule = automatic.by_header(it.message, it.subject_before_ours)
    return _automatic(it, rule) if rule else None


def _automatic(it: _Read, rule: str) -> Incoming:
    kind = Kind.GONE if automatic.is_gone(it.new_text) else None
    words = f"{it.subject_before_ours}.\n\n{it.new_text}" if not it.quotes else it.new_text
    day = dates.last_day_away(words, it.facts.received_at.date())
    return Incoming(Class.AUTOMATIC, rule, kind=kind, returns_on=day)


def _calendar(it: _Read) -> Incoming | None:
    for part in it.message.of_type("text/calendar", "application/ics"):
        method = part.parameters.get("method", "").upper()
        is_answer = it.is_reply or method in ("REPLY", "COUNTER", "REQUEST", "DECLINECOUNTER")
        if is_answer and not addresses.is_daemon(it.sender):
            return Incoming(Class.HUMAN, "RFC 5546: a calendar's answer or invitation")
    return None


def _mail_to_many(it: _Read) -> Incoming | None:
    """A newsletter is no answer, unless it names one of our letters: groups and lists add such headers to replies."""
    if it.facts.letters or not automatic.is_from_a_list(it.message):
        return None
    if it.message.headers.has("in-reply-to") and not it.message.headers.has("list-unsubscribe"):
        return None
    return Incoming(Class.OTHER, "RFC 2369, RFC 2919: mail to a list")


def _unsubscribe(it: _Read) -> Incoming | None:
    match unsubscribe.request(it.new_text, "" if it.is_reply else it.subject):
        case Request.ASKED if it.recipients and not _may_speak(it):
            return Incoming(Class.UNCLEAR, "a request not to write, from somebody else than the lead")
        case Request.ASKED:
            return Incoming(Class.UNSUBSCRIBE, "the words of a request not to write")
        case Request.UNSURE:
            return Incoming(Class.UNCLEAR, "words that may be a request not to write")
    return None


def _may_speak(it: _Read) -> bool:
    """Whether its sender is one whom we wrote to, or writes from the same company's domain."""
    sender, domain = addresses.mailbox(it.sender), it.sender.rpartition("@")[2]
    is_companys = domain not in it.facts.public_domains
    return any(
        sender == addresses.mailbox(each) or (is_companys and domain == each.rpartition("@")[2])
        for each in it.recipients
    )


def _automatic_by_text(it: _Read) -> Incoming | None:
    found = automatic.by_text(it.message, it.new_text, quotes=it.quotes)
    if found is None:
        return None
    sure, rule = found
    if sure is automatic.Sure.YES:
        if addresses.is_no_reply(it.sender) and not it.is_reply:
            return Incoming(Class.OTHER, "a notification from an address that takes no replies")
        return _automatic(it, rule)
    return replace(_automatic(it, rule), class_=Class.UNCLEAR)


def _encrypted(it: _Read) -> Incoming | None:
    is_pgp = it.message.type == "multipart/encrypted" or "-----BEGIN PGP MESSAGE-----" in it.new_text[:200]
    if is_pgp or it.message.of_type("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return Incoming(Class.UNCLEAR, "RFC 8551, RFC 3156: an encrypted message")
    return None


def _nothing_new(it: _Read) -> Incoming | None:
    if any(each.isalnum() for each in it.new_text) or _has_sign(it.new_text):
        return None
    return Incoming(Class.UNCLEAR, "no new text")


def _has_sign(words: str) -> bool:
    """A picture sign is an answer, like a thumb; punctuation is none."""
    return any(ord(each) >= 0x2190 and not each.isspace() for each in words)


def _mail_server(it: _Read) -> Incoming | None:
    if not addresses.is_daemon(it.sender):
        return None
    return Incoming(Class.UNCLEAR, "a mail server's message that no rule knows")


def _person(it: _Read) -> Incoming | None:
    return Incoming(Class.HUMAN, "none of the other rules")


_RULES: tuple[Callable[[_Read], Incoming | None], ...] = (
    _own,
    _feedback,
    _hotmail,
    _delivery_report,
    _receipt,
    _text_bounce,
    _unsubscribe_command,
    _automatic_by_header,
    _calendar,
    _mail_to_many,
    _unsubscribe,
    _automatic_by_text,
    _encrypted,
    _nothing_new,
    _mail_server,
    _person,
)
