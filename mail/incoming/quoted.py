"""The new text of a reply: its body without the lines that we sent, quotations, signatures and disclaimers.

Programs quote in hundreds of ways. What we sent is known, so its lines are subtracted first; the ways of quoting are
for what is not ours, and for when the letter is not known.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from mail.incoming.text import REST_IS_QUOTED
from mail.incoming.words import plain

_QUOTE = re.compile(r"^\s*(>|&gt;|\|\s)")
_NAMES = (
    "od|from|von|de|nadawca|wyslano|sent|data|date|gesendet|envoye|do|to|an|a|temat|subject|betreff|objet|dw|cc|kopia"
)
_FIELD = re.compile(rf"^[*_ ]*({_NAMES}|reply-to|odpowiedz do)[*_ ]*:(?!//)")
_SENDER = re.compile(r"^[*_ ]*(od|from|von|de|nadawca)[*_ ]*:")
# From such a line to the end all is quoted or forwarded.
_SEPARATOR = re.compile(
    r"^[-_=*~ ]{2,}.{0,12}(original message|original appointment|wiadomosc oryginalna|oryginalna wiadomosc"
    r"|tresc oryginaln"
    r"|forwarded message|wiadomosc przekazana|przekazana wiadomosc|przekazywana wiadomosc|wiadomosc napisana przez"
    r"|ursprungliche nachricht|message d'origine|mensaje original).{0,20}$"
    r"|^(begin forwarded message|poczatek przekazywanej wiadomosci|poczatek przekazanej wiadomosci)\b"
)
_RULE = re.compile(r"^[-_=]{8,}$")
# "On ... wrote:", "W dniu ... pisze:", also broken over up to three lines. With numbers or an address in it, and at its
# end a colon or nothing: a person's sentence may begin so, and ask for something after it.
_ATTRIBUTION = re.compile(
    r"^((on|at|w dniu|dnia|le|am|il|el|op)\b(?=.*(\d.*:$|\d:\d\d|@))|wiadomosc napisana\b|uzytkownik\b).{4,300}"
    r"(wrote|writes|pisze|napisal(a|\(a\)|/a)?|napisano|schrieb|ecrit|escribio|ha scritto|schreef)(\b.{0,80}:)?$"
    r"|^(pon|wt|sr|czw|pt|sob|niedz|nd|mon|tue|wed|thu|fri|sat|sun)\w*\.?,? (?=.*\d).{4,200}"
    r"(wrote|pisze|napisal(a|\(a\)|/a)?)\b.{0,80}:$"
)
_WROTE = re.compile(r"wrote|writes|pisze|napisa|schr|ecrit|escribio|ha scritto|@\S+>\s?:?$")
_BRIEF_ATTRIBUTION = re.compile(
    r"^.{0,120}[<(][^\s@<>()]+@[^\s@<>()]+[>)].{0,40}(wrote|napisal(a|\(a\)|/a)?|pisze|schrieb|ecrit)\s?:?$"
    r"|^\d{4}-\d\d-\d\d.{0,200}<[^\s@<>]+@[^\s@<>]+>\s?:?$"
)
_SIGNATURE = re.compile(
    r"^(sent (from|with|via) |wyslane? (z|przez|za pomoca) |wyslano (z|przez|za pomoca) |get outlook for"
    r"|pobierz (aplikacje )?outlook"
    r"|von meinem .{2,20} gesendet|enviado desde|envoye de mon|this message was sent from"
    r"|wiadomosc (zostala )?wyslana z (aplikacji|telefonu|urzadzenia)).{0,120}$"
)
_DISCLAIMER = re.compile(
    r"^(?!.*(automat|nie odpowiada|wygenerowan|do not reply))(uwaga:? |notice:? |disclaimer|confidential|poufn"
    r"|klauzula|(rodo|gdpr)\b(?!.{0,60}\b(zadam|prosze|prosimy|usun\w*|please|delete|remove|stop)\b)"
    r"|informacj[ae] (o przetwarzaniu|rodo|poufn|dotyczac)"
    r"|administratorem (pani|panstwa|danych)|ta (wiadomosc|korespondencja)|tresc (tej|niniejszej) wiadomosci"
    r"|niniejsz[aey] (wiadomosc|e-?mail|korespondencja)|(this|the) (e-?mail|message|communication"
    r"|information)( and any| contains| is| in this| may| \(| transmitted)"
    r"|jesli nie (jest pan|sa panstwo|jestes)|jezeli nie (jest pan|sa panstwo|jestes)|if you (are not the"
    r"|have received this)"
    r"|pomysl,? zanim wydrukujesz|please consider the environment|wolne od wirusow|virus-free"
    r"|ten e-?mail zostal sprawdzony)"
)
# What a disclaimer is about. Other words may begin like one.
_OF_DISCLAIMERS = re.compile(
    r"confidential|privileged|proprietary|intended|addressee|recipient|unauthori[sz]ed|disclaimer|disclos|liab|legal"
    r"|in error|virus|malware|scanned|encrypted|environment"
    r"|poufn|tajemnic|adresat|przeznaczon|omylkow|pomylk|przetwarz|administrator|klauzul|rodo|gdpr|osobow|kodeks|prawn"
    r"|zastrzezon|stanowi|wirus|wydruk"
)
# A disclaimer may ask to delete it, but not to do something for a person. Nor does a server's warning.
_OF_A_PERSON = re.compile(
    r"\b((remove|delete|unsubscribe|take) (me|us|my|our)|stop (sending|writing|e-?mailing|contacting)"
    r"|(usun|wypis|wykresl|skresl)\w* (mnie|nas)|(mnie|nas) (usun|wypis|wykresl|skresl)\w*|zadam|zadamy|cofam"
    r"|(wnosze|zglaszam) sprzeciw|nie (zgadzam|wyrazam|zycze)|(mo(ich|je)|nasz(ych|e)) dan(ych|e)"
    r"|(do mnie|do nas|prosze) nie pis\w+)\b"
)
# What a server writes above a message from outside.
_BANNER = re.compile(
    r"^\W{0,3}(caution|warning|attention|uwaga|ostrzezenie|external|this (e-?mail|message)|ta wiadomosc|wiadomosc)\b"
    r".{0,80}\b(outside|external|spoza|z zewnatrz|zewnetrzn\w+)\b"
    r"|^you don't often get e-?mail from\b|^(nieczesto|rzadko) otrzymujesz wiadomosci\b"
)
_MOST_LINES = 2000
_LONG = 25  # characters; a line that long is ours wherever it stands in our letter


@dataclass(frozen=True)
class Split:
    new: str
    quotes: bool  # whether the body repeats what was written before


def split(body: str, sent: Iterable[str] = ()) -> Split:
    """sent: the texts of our letters that the body may quote."""
    ours = [plain(each) for each in sent]
    kept, quotes = _without_quotations(body.splitlines()[:_MOST_LINES], ours)
    left = _without_ours(kept, ours)
    return Split("\n".join(left).strip(), quotes or len(left) < len(kept))


def _without_quotations(lines: list[str], ours: list[str]) -> tuple[list[str], bool]:
    """The lines that are left, and whether there was a quotation."""
    kept: list[str] = []
    index, quotes = 0, False
    last = _last_of_a_quotation(lines, ours)
    while index < len(lines):
        line = lines[index]
        words = plain(line)
        if _is_signature(line):
            break
        is_top = not any(each.strip() for each in kept)
        if is_top and _BANNER.match(words) and not _OF_A_PERSON.search(words):
            index += 1
            continue
        # At the top it may be a person's first words.
        if not is_top and _is_disclaimer(words, lines[index : index + 9]):
            break
        if _separates(words, lines, index):
            return kept, True
        if span := _attribution(lines, index):
            index, quotes = index + span, True
            # Without a mark of its own the quotation goes to the end, unless what we sent tells what is ours.
            if last < index:
                break
            continue
        if _QUOTE.match(line):
            quotes = True
        elif not _SIGNATURE.match(words):
            kept.append(line)
        index += 1
    return kept, quotes


def _is_signature(line: str) -> bool:
    return line.rstrip("\r") in ("-- ", "--")


def _is_disclaimer(words: str, ahead: list[str]) -> bool:
    """ahead: this line and those after it."""
    if len(words) <= 30 or not _DISCLAIMER.match(words):
        return False
    paragraph = plain(" ".join(takewhile(str.strip, ahead)))
    return _OF_DISCLAIMERS.search(paragraph) is not None and not _OF_A_PERSON.search(paragraph)


def _separates(words: str, lines: list[str], index: int) -> bool:
    """Whether from this line on all is quoted or forwarded."""
    if words == plain(REST_IS_QUOTED) or _SEPARATOR.search(words):
        return True
    ahead = [plain(each) for each in lines[index : index + 9]]
    if _RULE.match(words):
        ahead = ahead[1:]
    elif not _SENDER.match(words):
        return False
    fields = [each for each in ahead if each][:6]
    return bool(fields) and bool(_SENDER.match(fields[0])) and sum(bool(_FIELD.match(each)) for each in fields) >= 3


def _attribution(lines: list[str], index: int) -> int:
    """How many lines say who wrote what follows; 0: none."""
    for count in (1, 2, 3):
        those = lines[index : index + count]
        if len(those) < count or any(not each.strip() or _QUOTE.match(each) for each in those):
            return 0
        joined = plain(" ".join(those))
        if (
            len(joined) < 400
            and _WROTE.search(joined)
            and (_ATTRIBUTION.search(joined) or (count == 1 and _BRIEF_ATTRIBUTION.search(joined)))
        ):
            return count
    return 0


def _last_of_a_quotation(lines: list[str], ours: list[str]) -> int:
    """The place of the last line that is marked as quoted, or is ours; -1: there is none."""
    found = (index for index, line in enumerate(lines) if _QUOTE.match(line) or _is_ours(plain(line), ours))
    return max(found, default=-1)


def _is_ours(words: str, ours: list[str]) -> bool:
    return len(words) >= _LONG and any(words in it for it in ours)


def _without_ours(lines: list[str], ours: list[str]) -> list[str]:
    """Drop each line that stands in our letter: a long one anywhere, a short one only next to another."""
    places: list[_Place | None] = [None] * len(lines)
    for step in (1, -1):  # downwards, then upwards
        beside: _Place | None = None
        for index in range(len(lines))[::step]:
            if words := plain(lines[index]):
                places[index] = beside = places[index] or _place(words, ours, beside, step)
    return [line for line, place in zip(lines, places, strict=True) if place is None]


class _Place(NamedTuple):
    """Where a line stands in what we sent."""

    letter: str
    start: int
    end: int


def _place(words: str, ours: list[str], beside: _Place | None, step: int) -> _Place | None:
    if beside is not None:
        letter, start, end = beside
        if step > 0 and letter[end:].lstrip().startswith(words):
            found = letter.index(words, end)
            return _Place(letter, found, found + len(words))
        if step < 0 and letter[:start].rstrip().endswith(words):
            found = letter.rindex(words, 0, start)
            return _Place(letter, found, found + len(words))
    for letter in ours if len(words) >= _LONG else ():
        if (found := letter.find(words)) >= 0:
            return _Place(letter, found, found + len(words))
    return None
