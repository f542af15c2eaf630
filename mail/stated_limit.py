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
_SPANS = (
    (re.compile(r"\bminut\w*|\bper ?min\b|/ ?min\b", re.IGNORECASE), timedelta(minutes=1)),
    (re.compile(r"\b(24|dwadzie\w+) ?-?(h\b|hours?|godz\w*)", re.IGNORECASE), timedelta(days=1)),
    (re.compile(r"\bhour\w*|\b1 ?h\b|/ ?h\b|\bgodzin\w*", re.IGNORECASE), timedelta(hours=1)),
)
_A_DAY = timedelta(days=1)
_NUMBER = r"(?P<most>\d{1,3}(?:[ ,.]\d{3})+|\d{1,7})"
_MAILS = r"(?:e-?mails?|mails?|messages?|msgs?|recipients?|wiadomo\w*|list[óo]w|odbiorc\w*)"
_PERIODS = r"(?:hours?|h\b|days?|min|godz|dob|dni)"
_MOST = (
    re.compile(rf"(?<![\d.]){_NUMBER} (?:outgoing |sent )?{_MAILS}", re.IGNORECASE),
    re.compile(rf"(?<![\d.]){_NUMBER} ?(?:per|/|an?|na) ?{_PERIODS}", re.IGNORECASE),
    re.compile(
        rf"(?:limit|quota|max(?:imum)?|only|at most|allowed)\D{{0,20}}{_NUMBER}(?![\d.]| ?-?{_PERIODS})", re.IGNORECASE
    ),
)


def stated_limit(it: Reply) -> StatedLimit | None:
    """None: the answer is not about a limit of what the mailbox sends in a time."""
    known = answers.find(it)
    if known is None or known.scope is not Scope.MAILBOX or not _LIMIT.search(it.text) or _OTHER.search(it.text):
        return None
    span = next((span for pattern, span in _SPANS if pattern.search(it.text)), _A_DAY)
    numbers = (found["most"] for pattern in _MOST if (found := pattern.search(it.text)))
    most = next((count for each in numbers if (count := int(re.sub(r"\D", "", each))) > 0), None)
    return StatedLimit(most, span)
