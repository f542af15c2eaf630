"""What the words in rows are called on the pages. Translated where they are shown; a test sees that each can be."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from babel import dates
from flask_babel import get_locale, ngettext

from reasons import Reason, Why
from web.language import duration_of_seconds, in_words, noted, number, word

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

# Words that stand within reasons, beside the statuses above.
IN_REASONS = (
    *(noted("pending"), noted("sending"), noted("subject"), noted("text"), noted("html"), noted("name")),
    *(noted("sender address"), noted("sender name"), noted("recipient")),
)

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


def reason(why: Why | None) -> str:
    """Ours in the language of the page; a person's or a server's own words, or an older sentence, as they stand."""
    return why.text(word, in_words) if isinstance(why, Reason) else why or ""


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
