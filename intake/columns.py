"""Which column of a leads file is which field of the letter: as named, as chosen before, or as its header suggests."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from intake.rows import DELIMITERS, Row
from intake.tables import Table, name_of
from intake.texts import FileInvalid, at
from mail.address import AddressInvalid, normalise
from messages import Message, Said, gettext_noop
from models.people.lead_import import LEGAL_BASIS

LONGEST_NAME = 100
MOST_COLUMNS = 200

# Keywords of the templates.
_RESERVED = frozenset({"and", "else", "elif", "false", "if", "in", "is", "none", "not", "or", "true"})
_RESERVED |= {"False", "None", "True", "self"}

# Names of the same thing, without case, diacritics, spaces and signs.
_EMAIL = {"email", "mail", "emailaddress", "mailaddress", "adresemail", "adresmail", "adrespocztyelektronicznej"}
_EMAIL |= {"emailadresse", "mailadresse", "email1value", "personemail"}  # German; exports of Google and Pipedrive
_EMAIL |= {"pocztaelektroniczna", "adreselektroniczny", "emailcontact", "emailkontaktowy", "contactemail", "epoczta"}
_FIRST_NAME = {"firstname", "imie", "imiona", "givenname", "forename"}
_NAME = {"name", "fullname", "imieinazwisko", "imienazwisko", "nazwiskoiimie", "nazwiskoimie", "osoba"}
_NAME |= {"osobakontaktowa", "contact", "contactname", "contactperson", "kontakt"}
_SAME = (
    _EMAIL,
    _FIRST_NAME,
    _NAME,
    {"lastname", "surname", "familyname", "nazwisko"},
    {"company", "companyname", "firma", "nazwafirmy", "organization", "organisation", "organizacja", "kontrahent"}
    | {"nazwakontrahenta", "przedsiebiorstwo", "nazwaprzedsiebiorstwa", "business", "businessname"},
    {"city", "town", "miasto", "miejscowosc"},
    {"country", "kraj", "panstwo"},
    {"street", "ulica", "streetaddress"},
    {"postcode", "postalcode", "zip", "zipcode", "kodpocztowy", "kod"},
    {"region", "state", "wojewodztwo"},
    {"phone", "phonenumber", "telephone", "tel", "mobile", "telefon", "numertelefonu", "nrtelefonu", "komorka"},
    {"position", "jobtitle", "role", "stanowisko", "rola"},
    {"industry", "branza", "sector", "sektor"},
    {"website", "www", "web", "url", "stronawww", "stronainternetowa", "strona"},
    {"legalbasis", "podstawaprawna"},
    {"legalbasissource", "zrodlopodstawyprawnej", "podstawaprawnazrodlo"},
    {"legalbasisdate", "datapodstawyprawnej", "podstawaprawnadata"},
)
_USUAL = frozenset().union(*_SAME) | {"fname", "lname", "mergefname", "vorname", "nachname", "prenom", "nom"}
# What a field may be read from where there is nothing better.
_INSTEAD = ((_NAME, _FIRST_NAME), (_FIRST_NAME, {"name"}))


@dataclass(frozen=True)
class Choice:
    """Where the fields of the letter come from: column numbers, from 0. None: from no column."""

    certain: Mapping[str, int | None]  # as named, as chosen
    suggested: Mapping[str, int]
    open: Mapping[str, Sequence[int]]  # the columns that may be meant, for a person to choose from


@dataclass(frozen=True)
class Columns:
    """The columns of a file as they are read."""

    count: int
    fields: tuple[tuple[str, int], ...]  # field -> its column's number, from 0

    @property
    def email(self) -> int:
        return dict(self.fields)["email"]


def plain(name: str) -> str:
    """The name without case, diacritics, spaces and signs, to compare it with others."""
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    return "".join(each for each in letters if each.isalnum())


def is_usual(name: str) -> bool:
    """Whether many leads files have a column of this name."""
    return plain(name) in _USUAL


def is_email(cell: str) -> bool:
    return plain(cell) in _EMAIL


def names_of(header: Row) -> list[str]:
    """The columns' names, without those at the end that have none."""
    names = [name_of(cell) for cell in header.cells]
    while names and not names[-1]:
        names.pop()
    return names


def choose(where: Said, names: Sequence[str], used: Collection[str], chosen: Mapping[str, str | None]) -> Choice:
    """Find the column of each field. Raises FileInvalid if two columns have the name that is meant.

    where: file and line of the header, for errors. used: the fields of the letter. chosen: field -> name of its column,
    or None: from no column; names that the header does not have are ignored.
    """
    certain: dict[str, int | None] = {}
    suggested: dict[str, int] = {}
    open_: dict[str, Sequence[int]] = {}
    for field in dict.fromkeys(("email", *sorted(used), *LEGAL_BASIS)):
        name = chosen.get(field, field)
        if name is None:
            certain[field] = None
        elif name_of(name) in names:
            certain[field] = _the_one(where, names, name_of(name))
        elif len(found := _candidates(names, field)) == 1:
            suggested[field] = found[0]
        elif found := found or _perhaps(names, field):
            open_[field] = found
    return Choice(certain, suggested, open_)


def _the_one(where: Said, names: Sequence[str], name: str) -> int:
    found = [number for number, each in enumerate(names) if each == name]
    if len(found) > 1:
        template = gettext_noop("%(where)s: the columns %(numbers)s are all named %(name)s; rename all but one")
        numbers = ", ".join(str(number + 1) for number in found)
        raise FileInvalid(Message(template, where=where, numbers=numbers, name=repr(name)))
    return found[0]


def _candidates(names: Sequence[str], field: str) -> list[int]:
    """The columns with the field's own name; else with a name for the same; else with one that may replace it."""
    wanted = plain(field)
    tiers = [{wanted}, *(same for same in _SAME if wanted in same), *(it for same, it in _INSTEAD if wanted in same)]
    for tier in tiers:
        if found := [number for number, name in enumerate(names) if plain(name) in tier]:
            return found
    return []


def _perhaps(names: Sequence[str], field: str) -> list[int]:
    if len(names) == 1 and any(map(is_email, re.split(r"[\s:]+", names[0]))):
        return []  # several columns, not separated by a delimiter
    return [number for number, name in enumerate(names) if field == "email" and "mail" in plain(name)]


def columns(names: Sequence[str], picked: Mapping[str, int | None]) -> Columns:
    """The picked fields, and each other column under its own name where a template can use that."""
    fields = {field: number for field, number in picked.items() if number is not None}
    taken = set(fields.values())
    for number, name in enumerate(names):
        if number not in taken and name not in picked and _is_field(name) and names.count(name) == 1:
            fields[name] = number
    return Columns(len(names), tuple(fields.items()))


def _is_field(name: str) -> bool:
    return name.isidentifier() and name not in _RESERVED and len(name) <= LONGEST_NAME


def check_field(name: str) -> None:
    """Raise FileInvalid unless a template can use the name."""
    if not _is_field(name):
        template = gettext_noop("--map: %(name)s is not a name that a template can use")
        raise FileInvalid(Message(template, name=repr(name[:60])))


def check_header(table: Table, names: Sequence[str]) -> None:
    where = at(table.path, table.header.line)
    if table.header.problem:
        raise FileInvalid(Message("%(where)s: %(said)s", where=where, said=table.header.problem))
    if not names:
        template = gettext_noop("%(where)s: the first line is empty; it must name the columns, and one of them email")
        raise FileInvalid(Message(template, where=where))
    if len(names) > MOST_COLUMNS:
        template = gettext_noop("%(where)s: %(count)d columns; at most %(most)d are allowed")
        raise FileInvalid(Message(template, where=where, count=len(names), most=MOST_COLUMNS))


def without_email(names: Sequence[str]) -> Message:
    """Why there is no column of addresses, and what would be right."""
    if any(map(is_address, names)):
        return Message(
            gettext_noop("the header is missing; the first line must name the columns, and one of them email")
        )
    for name in names:
        for other in (*DELIMITERS, ":"):
            if len(parts := name.split(other)) > 1 and any(map(is_email, parts)):
                if other in DELIMITERS:
                    template = gettext_noop("the columns are separated by %(sign)s, but the line before says otherwise")
                    return Message(template, sign=repr(other))
                wanted = gettext_noop("a comma, a semicolon, a tab or a pipe")
                template = gettext_noop("the columns are separated by %(sign)s and must be separated by %(wanted)s")
                return Message(template, sign=repr(other), wanted=Message(wanted))
    found = ", ".join(names)[:200]
    template = gettext_noop(
        'the header has no column `email`, only %(found)s; name the column with --map "COLUMN=email"'
    )
    return Message(template, found=found)


def is_address(text: str) -> bool:
    try:
        normalise(text)
    except AddressInvalid:
        return False
    return True
