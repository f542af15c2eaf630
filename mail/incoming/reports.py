"""Reports in a form for machines: delivery status (RFC 3464, RFC 6533), receipts (RFC 8098), complaints (RFC 5965)."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mail.incoming import addresses, causes, text
from mail.incoming.result import Kind
from mail.incoming.structure import Part, Structure

_DELIVERY = ("message/delivery-status", "message/global-delivery-status")
_DISPOSITION = ("message/disposition-notification", "message/global-disposition-notification")
_MOST_GROUPS = 100
_UNICODE = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")

Group = dict[str, str]  # lower-case name -> value


@dataclass(frozen=True)
class Delivery:
    """A recipient's group of a delivery status report."""

    recipients: tuple[str, ...]  # final and original
    action: str
    status: str
    diagnostic: str


@dataclass(frozen=True)
class Failure:
    """What a delivery status report says of the recipients that it is about."""

    kind: Kind
    status: str | None
    diagnostic: str
    recipients: tuple[str, ...]


def is_delivery_report(message: Structure) -> bool:
    if not message.of_type(*_DELIVERY):
        return False
    # In another kind of message it is a report that a person passes on.
    return message.type == "multipart/report" or addresses.is_daemon(addresses.sender(message))


def deliveries(message: Structure) -> list[Delivery]:
    groups = [group for part in message.of_type(*_DELIVERY) for group in fields(part)]
    return [_delivery(group) for group in groups if group.keys() & {"final-recipient", "action", "status"}]


def failure(message: Structure, wanted: Collection[str]) -> Failure | None:
    """None: it tells of no failure and no delay. wanted: our letter's recipients; of several failures theirs counts."""
    found = [each for each in deliveries(message) if each.action not in ("delivered", "relayed", "expanded")]
    if not found:
        return None if deliveries(message) else _without_groups(message)
    ours = [each for each in found if set(each.recipients) & set(wanted)] or found
    failed = [each for each in ours if each.action != "delayed"] or ours
    more = for_people(message)
    judged = [(each, _cause(each, more)) for each in failed]
    each, cause = next((it for it in judged if it[1].kind is Kind.ADDRESS), judged[0])
    recipients = dict.fromkeys(it for other, its in judged if its.kind is cause.kind for it in other.recipients)
    return Failure(cause.kind, cause.status, each.diagnostic, tuple(recipients))


def _cause(it: Delivery, more: str) -> causes.Cause:
    found = causes.of(it.status, it.diagnostic, more)
    return causes.Cause(Kind.TEMPORARY, found.status) if it.action == "delayed" else found


def _without_groups(message: Structure) -> Failure:
    words = for_people(message)
    found = causes.of(None, "", words)
    return Failure(found.kind, found.status, " ".join(words.split())[:500], ())


def _delivery(group: Group) -> Delivery:
    recipients = [_address(group.get(name, "")) for name in ("final-recipient", "original-recipient")]
    status = re.search(r"[245]\.\d{1,3}\.\d{1,3}", group.get("status", ""))
    return Delivery(
        recipients=tuple(dict.fromkeys(each for each in recipients if each)),
        action=group.get("action", "failed").split("(")[0].strip().lower() or "failed",
        status=status[0] if status else "",
        diagnostic=group.get("diagnostic-code", "").partition(";")[2].strip() or group.get("diagnostic-code", ""),
    )


def _address(value: str) -> str:
    """ "rfc822; anna@klient.example", or with the escapes of RFC 6533 section 3 "utf-8; \\x{105}nna@…"."""
    kind, _, address = value.partition(";")
    if not address:
        kind, address = "", value
    if kind.strip().lower() == "utf-8":
        address = _UNICODE.sub(_character, address)
    found = addresses.normalised(re.sub(r"\([^()]*\)", "", address))
    return found if "@" in found else next(iter(addresses.in_text(address)), "")


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"


def for_people(message: Structure) -> str:
    """The report's first text."""
    texts = [part for part in message.parts if part.type in ("text/plain", "text/html")]
    for part in texts[:1]:
        return text.of(part) if part.type == "text/plain" else text.of_html(text.of(part))
    return ""


def is_receipt(message: Structure) -> bool:
    # In another kind of message it is attached to what a person writes.
    return message.type in ("multipart/report", *_DISPOSITION) and bool(message.of_type(*_DISPOSITION))


def is_feedback(message: Structure) -> bool:
    return message.parameters.get("report-type", "").lower() == "feedback-report" or bool(
        message.of_type("message/feedback-report")
    )


def feedback(message: Structure) -> Group:
    """The report's fields, together."""
    together: Group = {}
    for part in message.of_type("message/feedback-report"):
        for group in fields(part):
            together = group | together
    return together


def complained(group: Group, message: Structure) -> tuple[str, ...]:
    """Whose complaint it is, where the report does not hide it."""
    values = (group.get(name, "") for name in ("original-rcpt-to", "removal-recipient"))
    return tuple(dict.fromkeys(found for value in values if (found := addresses.of(value))))


def fields(part: Part) -> list[Group]:
    """The groups of fields of a part, which are divided by empty lines (RFC 3464 section 2.1)."""
    groups: list[Group] = []
    group: Group = {}
    name = ""
    for line in [*_lines(part), ""]:
        if not line.strip():
            if group:
                groups.append(group)
            group, name = {}, ""
        elif line[0] in " \t" and name:
            group[name] = f"{group[name]} {line.strip()}"[:4000]
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()[:80]
            group.setdefault(name, value.strip()[:4000])
        if len(groups) >= _MOST_GROUPS:
            break
    return groups


def _lines(part: Part) -> Iterable[str]:
    return text.decoded(part.content, part.parameters.get("charset", "utf-8")).replace("\r\n", "\n").split("\n")[:5000]
