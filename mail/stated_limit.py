"""What a server's refusal says about how many e-mails it takes in which time. Pure."""

import re
from dataclasses import dataclass
from datetime import timedelta

from mail import answers
from mail.reply import Reply, Scope


@dataclass(frozen=True)
class StatedLimit:
    most: int | None  # None: the answer has no number
    span: timedelta


# By these words an answer is about a limit, among those that are about the mailbox.
_LIMIT = re.compile(r"limit|quota|exceed|too many|\brates?\b|only \d|maximum|przekrocz", re.IGNORECASE)
# Not a limit of sending in a time.
_OTHER = re.compile(
    r"connection|session|recipients? per (message|mail)|size|storage|concurrent|simultan", re.IGNORECASE
)
# "per second", "30 minute", "/ 10 min", "24-hour", "dzienny"; a number before an adverb ("500 daily") counts e-mails.
_SPAN = re.compile(
    r"(?:(?<![\d.,])(?P<factor>\d{1,6}) ?-?(?![a-z]+ly\b|dzien|tygodniowo|miesi[eę]cznie))?(?<![^\W\d_])(?:"
    r"(?P<second>seconds\b|sekund\w*|(?:(?<=per )|(?<=/)|(?<=/ )|(?<=a )|(?<=\d)|(?<=\d[ -]))(?:s|sec|second|sek)\b)"
    r"|(?P<minute>minut\w*|(?:(?<=per )|(?<=/)|(?<=/ )|(?<=\d)|(?<=\d[ -]))min\b)"
    r"|(?P<hour>hour\w*|godzin\w*|(?:(?<=per )|(?<=/)|(?<=/ )|(?<=na )|(?<=\d)|(?<=\d[ -]))(?:h|hrs?|godz)\b)"
    r"|(?P<day>daily|days?\b|dzie[nń]\w*|dni\w*|dob[aęy]\b|dobow\w*|(?<=/)d\b)"
    r"|(?P<week>week\w*|tydzie\w*|tygodni\w*)"
    r"|(?P<month>month\w*|miesi[aąeę]c\w*)"
    r")",
    re.IGNORECASE,
)
_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}
_LONGEST = _UNITS["month"]
# A time to wait is none of the limit's: "try again in 30 minutes".
_WAIT = re.compile(
    r"\b(?:again|retry|wait|reset|block\w*|suspend\w*|disabled|lock\w*|ponownie|odczeka\w*|poczeka\w*|zablokowan\w*"
    r"|odblok\w*)\b[^.\d]{0,20}$",
    re.IGNORECASE,
)
# In which time, only its server knows.
_RATE = re.compile(r"\brates?\b|throttl", re.IGNORECASE)
_A_DAY = timedelta(days=1)
_NUMBER = r"(?P<most>\d{1,3}(?:[ ,.]\d{3})+|\d{1,7})"
_MAILS = r"(?:e-?mails?|mails?|messages?|msgs?|recipients?|wiadomo\w*|list[óo]w|odbiorc\w*)"
_PERIODS = r"(?:s(?:ec|ek|\b)|hours?|h\b|days?|min|godz|dob|dni|week|tyg|month|miesi)"
_MOST = (
    re.compile(rf"(?<![\d.]){_NUMBER} (?:outgoing |sent )?{_MAILS}", re.IGNORECASE),
    re.compile(rf"(?<![\d.]){_NUMBER} ?(?:per|/|an?|na|in) ?(?:\d{{1,6}}[ -]?)?{_PERIODS}", re.IGNORECASE),
    re.compile(
        rf"(?:limit|quota|max(?:imum)?|only|at most|allowed)\D{{0,20}}{_NUMBER}(?![\d.]| ?-?{_PERIODS})", re.IGNORECASE
    ),
)


def stated_limit(it: Reply) -> StatedLimit | None:
    """The sending limit that an answer states. None: it is about no such limit, or the limit's time cannot be known."""
    known = answers.find(it)
    if known is None or known.scope is not Scope.MAILBOX or not _LIMIT.search(it.text) or _OTHER.search(it.text):
        return None
    span = _span(it.text)
    if span is None:
        return None
    numbers = (found["most"] for pattern in _MOST if (found := pattern.search(it.text)))
    most = next((count for each in numbers if (count := int(re.sub(r"\D", "", each))) > 0), None)
    return StatedLimit(most, span)


def _span(text: str) -> timedelta | None:
    """The first period that the text names for the limit; a day if it names none. None: too long or not known."""
    waits = False
    for found in _SPAN.finditer(text):
        if _WAIT.search(text[max(0, found.start() - 40) : found.start()]):
            waits = True
            continue
        span = _UNITS[found.lastgroup or ""] * (int(found["factor"] or 1) or 1)
        return span if span <= _LONGEST else None
    return None if waits or _RATE.search(text) else _A_DAY
