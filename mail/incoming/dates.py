"""The day until which an automatic reply says its sender is away, in Polish, English or German."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from mail.incoming.words import plain

_LONGEST_AWAY = timedelta(days=400)
# A day without a year that lies farther ahead was meant as one that has passed: an old reply is still switched on.
_FARTHEST_WITHOUT_YEAR = timedelta(days=200)

_MONTHS = {
    **dict.fromkeys(("stycznia", "styczniu", "styczen", "sty", "january", "jan", "januar"), 1),
    **dict.fromkeys(("lutego", "lutym", "luty", "lut", "february", "feb", "februar"), 2),
    **dict.fromkeys(("marca", "marcu", "marzec", "mar", "march", "marz"), 3),
    **dict.fromkeys(("kwietnia", "kwietniu", "kwiecien", "kwi", "april", "apr"), 4),
    **dict.fromkeys(("maja", "maju", "maj", "may", "mai"), 5),
    **dict.fromkeys(("czerwca", "czerwcu", "czerwiec", "cze", "june", "jun", "juni"), 6),
    **dict.fromkeys(("lipca", "lipcu", "lipiec", "lip", "july", "jul", "juli"), 7),
    **dict.fromkeys(("sierpnia", "sierpniu", "sierpien", "sie", "august", "aug"), 8),
    **dict.fromkeys(("wrzesnia", "wrzesniu", "wrzesien", "wrz", "september", "sept", "sep"), 9),
    **dict.fromkeys(("pazdziernika", "pazdzierniku", "pazdziernik", "paz", "october", "oct", "oktober", "okt"), 10),
    **dict.fromkeys(("listopada", "listopadzie", "listopad", "lis", "november", "nov"), 11),
    **dict.fromkeys(("grudnia", "grudniu", "grudzien", "gru", "december", "dec", "dezember", "dez"), 12),
}
_ROMAN = {
    name: number
    for number, name in enumerate(["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"], 1)
}
_WEEKDAYS = {
    **dict.fromkeys(("poniedzialek", "poniedzialku", "montag", "monday", "mon"), 0),
    **dict.fromkeys(("wtorek", "wtorku", "dienstag", "tuesday", "tue", "tues"), 1),
    **dict.fromkeys(("sroda", "srode", "srody", "mittwoch", "wednesday", "wed"), 2),
    **dict.fromkeys(("czwartek", "czwartku", "donnerstag", "thursday", "thu", "thurs"), 3),
    **dict.fromkeys(("piatek", "piatku", "freitag", "friday", "fri"), 4),
    **dict.fromkeys(("sobota", "sobote", "soboty", "samstag", "saturday", "sat"), 5),
    **dict.fromkeys(("niedziela", "niedziele", "niedzieli", "sonntag", "sunday", "sun"), 6),
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAY = "|".join(sorted(_WEEKDAYS, key=len, reverse=True))
_DAY = r"(?P<{0}>0?[1-9]|[12]\d|3[01])"
_ENDING = r"(?:st|nd|rd|th|[-.]?(?:go|[et]?ego))?"  # "4th", "15-go"


def _day(name: str) -> str:
    return _DAY.format(name)


_DATE = re.compile(
    r"(?<![\d.,/-])(?:"
    rf"(?P<y1>20\d\d)[-./](?P<m1>0?[1-9]|1[0-2])[-./]{_day('d1')}"
    rf"|{_day('d2')}\s?(?P<s2>[./-])\s?(?P<m2>0?[1-9]|[12]\d|3[01])(?:\s?[./-]\s?(?P<y2>20\d\d|\d\d(?!\d|:)))?"
    rf"|{_day('d3')}{_ENDING}\.?(?: of)?[ -](?P<m3>{_MONTH})\b\.?,?(?:[ -](?P<y3>20\d\d))?"
    rf"|(?P<m4>{_MONTH})\b\.? {_day('d4')}{_ENDING}(?![:\d])(?:,? (?P<y4>20\d\d))?"
    rf"|{_day('d5')} (?P<r5>x?i{{1,3}}|iv|vi{{0,3}}|ix|xi{{0,2}})\b\.?(?: (?P<y5>20\d\d))?"
    r")(?![\d])"
)
# What comes right before the day of return, or the last day away.
_UNTIL = re.compile(
    r"\b(do|until|till|til|thru|through|to|by|przed|before|end(ing|s)?( on)?|konczy sie|bis|-"
    r"|(?:between|pomiedzy|miedzy)\b.{3,30}\b(?:and|a|i))(?: (dnia|konca dnia|dn\.?"
    r"|the|including|and including|wlacznie|on|day|i wlacznie z|zum|einschliesslich|inklusive))*"
    rf"[ :,]*(?:({_WEEKDAY})\b[ .,()]*)?(?:the |dnia |den )?$"
)
_BACK = re.compile(
    r"\b(wroce|wracam|wracamy|powroce|powrot|powrotu|powracam|bede (z powrotem|dostepn\w+|ponownie|obecn\w+"
    r"|w (biurze|pracy|firmie))|ponownie|dostepn[aye]|obecn[aye]|odpowiem|odpisze|odpowiedzi udziele|zapraszam\w*|od|ab"
    r"|wieder|back|return(ing|s)?|available|in the office|again|resume|reopen(s|ing)?|reply|respond|answer|from|after"
    r"|po)\b[^.!?\n]{0,45}$"
)
_RETURN = r"\b(wroce|wracam|bede|odpowiem|odpisze|back|return\w*|available|reply|respond)\b.{0,30}"
_UP_TO = r"\b(do|until|till|through)\b (the )?"
_AWAY = r"(nie ma mnie|nie bedzie mnie|niedostepn\w+|nieobecn\w+|poza biurem|out of (the )?office|away|unavailable|ooo)"
_TODAY = r"(dzis|dzisiaj|dzisiejszym|today)"
_RELATIVE = (
    (re.compile(rf"\b{_AWAY}\b.{{0,30}}\b{_TODAY}\b|\b{_TODAY}\b.{{0,30}}\b{_AWAY}\b"), "today"),
    (re.compile(rf"{_RETURN}\b(jutro|tomorrow)\b"), "tomorrow"),
    (
        re.compile(rf"{_UP_TO}(end of (the|this) week|konca (tego )?tygodnia)|\b(away|office|out) (for )?this week\b"),
        "week",
    ),
    (re.compile(rf"{_UP_TO}(end of (the|this) month|konca (tego |biezacego )?miesiaca)"), "month"),
    (re.compile(rf"{_UP_TO}(end of (the|this) year|konca (tego |biezacego )?roku)"), "year"),
    (
        re.compile(
            r"\b(wroce|wracam|bede|back|return\w*|available|do|until)\b.{0,30}"
            r"\b(next week|przyszly\w* tygodni\w*|nastepny\w* tygodni\w*)"
        ),
        "next week",
    ),
)
_ONES = {"a": 1, "one": 1, "two": 2, "dwa": 2, "dwoch": 2, "three": 3, "trzy": 3, "four": 4, "cztery": 4}
_UNITS = {"d": 1, "w": 7, "t": 7}  # by the first letter: day, dzien, dni; week; tydzien, tygodnie
# "back in two weeks", "wroce za tydzien", "for the next 10 days".
_LATER = re.compile(
    rf"(?:{_RETURN}\b(?:in|za)|\b(?:for|przez) (?:the )?(?:next|najblizsz\w+)) (?:(?P<n>\d{{1,2}}|{'|'.join(_ONES)}) )?"
    r"(?P<unit>days?|weeks?|dni|dzien|tydzien|tygodni\w*)\b"
)
# A month alone: "until January 2027", "wracam we wrzesniu". Nobody is back before it, and perhaps only at its end.
_IN_MONTH = re.compile(
    rf"(?:{_UP_TO}|{_RETURN}\b(?:in|we?) )(?P<month>{_MONTH})\b"
    rf"(?! \d{{1,2}}(?:st|nd|rd|th)?\b)\.?,?(?: (?P<year>20\d\d))?"
)
_END_OF_MONTH = re.compile(rf"\b(do|until|till|through)( the)? (konca|end of) (?P<month>{_MONTH})\b")
_ON_WEEKDAY = re.compile(
    r"\b(wroce|wracam|powrot|do|until|till|bis|ab|back|return(ing)?|bede (dostepn\w+|w (biurze|pracy)|z powrotem)"
    r"|available)"
    rf"( \w+){{0,3}}? (w |we |on |do |by |in )?(najblizszy |przyszly |next |this |coming )?(?P<day>{_WEEKDAY})\b"
)


# Of a range only its end is kept: "3-14.08", "3.08 - 14.08.2026", "3rd - 14th August", "August 3-14".
_NTH = rf"\d{{1,2}}{_ENDING}"
_DAY_MONTH = rf"{_NTH}\.?(?: of)? (?:{_MONTH})\b"
_MONTH_DAY = rf"(?:{_MONTH})\b\.? {_NTH}"
# "21 grudnia - 4 stycznia", "Mon, Dec 21 - Mon, Jan 4".
_RANGE_OF_MONTHS = re.compile(
    rf"(?:(?<![\d.]){_DAY_MONTH}|\b{_MONTH_DAY})\.?,?(?: 20\d\d)?(?: ?r\.?)?\s?-\s?"
    rf"(?:(?:{_WEEKDAY})\b\.?,? )?(?={_DAY_MONTH}|{_MONTH_DAY})"
)
_RANGE = re.compile(rf"(?<![\d.]){_NTH}\.?\s?-\s?(?={_NTH}(?:\.\s?\d|\.?(?: of)? (?:{_MONTH})\b))")
_RANGE_OF_DATES = re.compile(
    r"(?<![\d.])\d{1,2}([./])\d{1,2}(?:\1|\1(?:20)?\d\d)?(?: ?r\.?)?(?: \d\d:\d\d)?\s?-\s?(?=\d{1,2}\1\d{1,2})"
)
_OPEN_END = re.compile(r"\bdo odwolania\b|\buntil further notice\b")
_RANGE_OF_ROMAN_DATES = re.compile(r"(?<![\d.])\d{1,2} [ivx]{1,4}\s?-\s?(?=\d{1,2} [ivx]{1,4}\b)")
_RANGE_OF_ISO_DATES = re.compile(r"20\d\d-\d\d-\d\d\s?-\s?(?=20\d\d-\d\d-\d\d)")
_RANGE_AFTER_MONTH = re.compile(
    rf"\b({_MONTH}) {_NTH}(?:\s?-\s?| (?:to|through|thru|until|till) (?:the )?)"
    rf"(?={_NTH}\b(?![.:]\d)(?!\.?(?: of)? (?:{_MONTH})\b))"
)
_ABBREVIATION = re.compile(r"\b(tj|tzn|dn|godz)\.")


def last_day_away(words: str, received: date) -> date | None:
    """The last day named as one until which, or on which, somebody is away or back. None: it names none."""
    # What stands in another paragraph belongs to another sentence.
    said = _ABBREVIATION.sub(r"\1", plain(re.sub(r"\n\s*\n", ". ", words))[:4000])
    if _OPEN_END.search(said):
        return None
    for pattern in (_RANGE_OF_MONTHS, _RANGE_OF_ISO_DATES, _RANGE_OF_ROMAN_DATES, _RANGE_OF_DATES, _RANGE):
        said = pattern.sub("until ", said)
    said = _RANGE_AFTER_MONTH.sub(r"until \1 ", said)
    found = [day for day in _candidates(said, received) if received <= day <= received + _LONGEST_AWAY]
    return max(found, default=None)


def _candidates(said: str, received: date) -> Iterator[date]:
    named = False
    for match in _DATE.finditer(said):
        before = said[max(0, match.start() - 60) : match.start()]
        if _UNTIL.search(before) or _BACK.search(before):
            named = True
            yield from _dates(match, received)
    if end := _END_OF_MONTH.search(said):
        named = True
        number = _MONTHS[end["month"]]
        year = received.year + (number < received.month)
        yield date(year, number, monthrange(year, number)[1])
    for month in () if named else _IN_MONTH.finditer(said):
        named = True
        number = _MONTHS[month["month"]]
        year = int(month["year"] or received.year + (number < received.month))
        yield date(year, number, monthrange(year, number)[1])
    if not named:
        yield from _relative(said, received)


def _relative(said: str, received: date) -> Iterator[date]:
    for pattern, name in _RELATIVE:
        if pattern.search(said):
            match name:
                case "today":
                    yield received
                case "tomorrow":
                    yield received + timedelta(days=1)
                case "week":
                    yield received + timedelta(days=6 - received.weekday())
                case "next week":
                    yield received + timedelta(days=7 - received.weekday())
                case "month":
                    yield date(received.year, received.month, monthrange(received.year, received.month)[1])
                case "year":
                    yield date(received.year, 12, 31)
    for later in _LATER.finditer(said):
        number = _ONES.get(later["n"] or "a") or int(later["n"])
        yield received + timedelta(days=number * _UNITS[later["unit"][0]])
    for match in _ON_WEEKDAY.finditer(said):
        yield received + timedelta(days=(_WEEKDAYS[match["day"]] - received.weekday() - 1) % 7 + 1)


def _dates(match: re.Match[str], received: date) -> Iterator[date]:
    """The days that it may mean; of a day and month in either order the nearer one ahead."""
    for day, month, year in ((1, "m1", "y1"), (3, "m3", "y3"), (4, "m4", "y4"), (5, "r5", "y5")):
        if match[f"d{day}"]:
            yield from _on(int(match[f"d{day}"]), _month(match[month]), match[year], received)
            return
    first, second, year = int(match["d2"]), int(match["m2"]), match["y2"]
    orders = [(first, second)] if match["s2"] == "." else [(first, second), (second, first)]
    yield from sorted(each for day, month in orders for each in _on(day, month, year, received) if each >= received)[:1]


def _month(name: str) -> int:
    return _MONTHS.get(name) or _ROMAN.get(name) or int(name)


def _on(day: int, month: int, year: str | None, received: date) -> Iterator[date]:
    for candidate in [_year(year)] if year else [received.year, received.year + 1]:
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year or received <= found <= received + _FARTHEST_WITHOUT_YEAR:
            yield found
            return


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)
