"""What the words in rows are called on the pages. Translated where they are shown; a test sees that each can be."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from babel import dates
from flask_babel import get_locale, ngettext

from web.language import duration_of_seconds, noted, number, word

STATUSES = {
    "pending": noted("planned"),
    "sending": noted("being sent"),
    "sent": noted("sent"),
    "failed": noted("failed"),
    "unknown": noted("unknown"),
    "cancelled": noted("cancelled"),
    "draft": noted("draft"),
    "active": noted("active"),
    "paused": noted("paused"),
    "completed": noted("completed"),
    "closed": noted("closed"),
}

MEANINGS = {
    "pending": noted("It is planned for its time. Nothing has begun."),
    "sending": noted("A worker is talking to the server about it right now."),
    "sent": noted("The server answered that it has taken it."),
    "failed": noted("It is proved not accepted, and will not be tried again."),
    "cancelled": noted("It will not be sent."),
    "unknown": noted(
        "It was handed over, and no answer was recorded: nobody knows whether it arrived. It is never sent again by"
        " itself."
    ),
}

MOVES = {
    "plan": noted("planned"),
    "claim": noted("taken by a worker"),
    "hand_over": noted("handed over to the server"),
    "accept": noted("accepted"),
    "reject": noted("refused"),
    "retry": noted("to be tried again"),
    "release": noted("given back, not sent"),
    "doubt": noted("left without an answer"),
    "cancel": noted("cancelled"),
    "replan": noted("moved"),
    "settle": noted("ruled on by a person"),
    "recover": noted("found in a machine's own record"),
    "reopen": noted("to be tried again after it had failed"),
}

# Others are a server's or a person's words, and stay as they were said.
REASONS: dict[str, str] = {
    "downtime": noted("nothing could be sent at the time"),
    "window": noted("outside the window"),
    "limit": noted("the limit of the day was reached"),
    "mailbox": noted("its mailbox could not be used"),
    "edited": noted("the settings were changed"),
    "resumed": noted("sending was resumed"),
    **{
        text: text
        for text in (
            noted("the campaign was cancelled"),
            noted("its worker died"),
            noted("its worker died after the hand-over"),
            noted("its worker did not report in time"),
            noted("its worker did not report in time after the hand-over"),
            noted("its refusal was its mailbox's fault"),
            noted("no legal basis is recorded for this lead"),
            noted("outside the window"),
            noted("the mailbox's daily limit is 0"),
            noted("the server hung up when TLS was to begin"),
            noted("the server did not answer to TLS in time"),
            noted("this port speaks TLS from the first byte: its security must be tls"),
            noted("a password is never sent over an unencrypted connection"),
            noted("the conversation took too long"),
            noted("the server's answer cannot be understood: it is no SMTP"),
            noted("timed out"),
        )
    },
}
# The same with something filled in: again such a reason, or the words of a server or a person.
_REASONS_WITH = (
    noted("suppressed: %(reason)s"),
    noted("mailbox: %(reason)s"),
    noted("closed: %(reason)s"),
    noted("withdrawn before the dot: %(reason)s"),
    noted("the campaign is %(status)s"),
    noted("the mailbox is %(status)s"),
    noted("the campaign's daily limit of %(limit)d is used up"),
    noted("the mailbox's daily limit of %(limit)d is used up"),
    # As the version before wrote it into rows.
    noted("the campaign's %(limit)d mails of today are used"),
    noted("the mailbox's %(limit)d mails of today are used"),
    # What went wrong between us and a mail server, before or instead of its own words.
    noted("no connection to %(host)s, port %(port)d (%(tried)s)"),
    noted("no address is known of %(host)s: %(reason)s"),
    noted("no name server told the address of %(host)s within %(seconds)s s"),
    noted("the certificate of %(host)s has expired: its provider must renew it"),
    noted("the certificate of %(host)s is not valid yet: see whether this machine's clock is right"),
    noted("the certificate is for another name than %(host)s: take the host name that the provider tells"),
    noted(
        "the certificate of %(host)s is from an authority that this machine does not trust (%(reason)s): ask its"
        " provider, or add the authority to this machine's certificates"
    ),
    noted("TLS failed: %(reason)s"),
    noted("no answer to the final dot: %(reason)s"),
    noted("the letter has %(size)d bytes, and the server takes %(most)d"),
)
_FILLED = {"s": ".*", "d": "[0-9]+"}


def _pattern(text: str) -> re.Pattern[str]:
    """What the text has become once something is filled in."""
    parts = re.split(r"%\((\w+)\)([sd])", text)
    fixed, names, kinds = parts[::3], parts[1::3], parts[2::3]
    filled = (f"(?P<{name}>{_FILLED[kind]})" for name, kind in zip(names, kinds, strict=True))
    return re.compile("".join(chain.from_iterable(zip(map(re.escape, fixed), [*filled, ""], strict=True))), re.DOTALL)


_PATTERNS = {text: _pattern(text) for text in _REASONS_WITH}

VERBS = {
    "add": noted("added"),
    "start": noted("started"),
    "pause": noted("paused"),
    "resume": noted("resumed"),
    "edit": noted("changed"),
    "cancel": noted("cancelled"),
    "complete": noted("completed"),
    "retry": noted("active again: failed mails are tried once more"),
}

COLUMNS = {
    "window_start_minute": noted("window opens"),
    "window_end_minute": noted("window closes"),
    "weekdays": noted("weekdays"),
    "delay_seconds": noted("delay"),
    "daily_limit": noted("daily limit"),
    "leads_left_out": noted("leads that must not be written to"),
}

_IN_SENTENCES = (noted("pending"),)

# The name of a status beside a number of mails in it.
OF_SEVERAL: dict[str, Callable[[int], str]] = {
    "pending": lambda count: ngettext("planned", "planned", count),
    "sending": lambda count: ngettext("being sent", "being sent", count),
    "sent": lambda count: ngettext("sent", "sent", count),
    "failed": lambda count: ngettext("failed", "failed", count),
    "unknown": lambda count: ngettext("unknown", "unknown", count),
    "cancelled": lambda count: ngettext("cancelled", "cancelled", count),
}

COUNTS: dict[str, Callable[[int], str]] = {
    "pending": lambda count: ngettext("%(num)d planned", "%(num)d planned", count),
    "sending": lambda count: ngettext("%(num)d being sent", "%(num)d being sent", count),
    "sent": lambda count: ngettext("%(num)d sent", "%(num)d sent", count),
    "failed": lambda count: ngettext("%(num)d failed", "%(num)d failed", count),
    "unknown": lambda count: ngettext("%(num)d unknown", "%(num)d unknown", count),
    "cancelled": lambda count: ngettext("%(num)d cancelled", "%(num)d cancelled", count),
    "forecast": lambda count: ngettext("%(num)d forecast", "%(num)d forecast", count),
}


def count(name: str, number: int) -> str:
    return COUNTS[name](number)


def status(name: str) -> str:
    return word(STATUSES.get(name, name))


def of_several(name: str, count: int = 2) -> str:
    """A status where it stands for a number of mails, or over a column of them."""
    return OF_SEVERAL[name](count)


def meaning(name: str) -> str:
    return word(MEANINGS[name])


def move(name: str) -> str:
    return word(MOVES.get(name, name))


def reason(text: str | None) -> str:
    """Why something happened, as it stands in a row: ours in the language of the page."""
    if not text or text in REASONS:
        return word(REASONS[text]) if text else ""
    for ours, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(text):
            return word(ours) % {name: _part(value) for name, value in found.groupdict().items()}
    return text


def _part(text: str) -> str | int:
    if text.isdecimal():
        return int(text)
    return status(text) if text in STATUSES else reason(text)


def verb(name: str) -> str:
    return word(VERBS.get(name, name))


def column(name: str) -> str:
    return word(COLUMNS.get(name, name))


def value(name: str, given: Any) -> str:
    """A setting as a person would say it."""
    show: Callable[[Any], str] | None = _VALUES.get(name)
    if given is None:
        return "–"
    return show(given) if show else str(given)


def wall_clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def weekdays(numbers: Sequence[int]) -> str:
    """Mon–Fri, where they follow each other."""
    names: Mapping[int, str] = dates.get_day_names("abbreviated", locale=get_locale())
    days = sorted(numbers)
    if days == list(range(7)):
        return word(noted("every day"))
    if len(days) > 2 and all(later - earlier == 1 for earlier, later in pairwise(days)):
        return f"{names.get(days[0], days[0])}–{names.get(days[-1], days[-1])}"
    return ", ".join(names.get(each, str(each)) for each in days)


_VALUES: dict[str, Callable[[Any], str]] = {
    "window_start_minute": wall_clock,
    "window_end_minute": wall_clock,
    "weekdays": weekdays,
    "delay_seconds": duration_of_seconds,
    "gap_seconds": duration_of_seconds,
    "daily_limit": number,
}
