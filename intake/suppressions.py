"""Reads and writes a list of suppressions: one address or domain per line, or CSV with a header.

What is exported can be imported again. Every error names the line and what would be right.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import messages
from bounds import LONGEST_REASON
from intake import rows, texts
from intake.rows import DELIMITERS, Row
from intake.tables import is_blank
from intake.texts import FileInvalid
from mail.address import AddressInvalid, suppressible
from mail.message import LetterInvalid, refuse_control_characters
from messages import Message, Number, gettext_noop
from models.people import forgotten
from models.people.suppressions import NewSuppression, Suppressed
from reasons import Code, Reason, Why

MOST_LINES = 1_000_000
COLUMNS = ("address", "reason", "since", "by", "email", "proof")
_ADDRESS = {"address", "adres", "domain", "domena", "e-mail", "email", "adres e-mail", "email address"}
_REASON = {"reason", "powód"}
_PROOF = {"proof", "dowód"}
_NO_HEADER = {"address": 0}
_EXCEL_SAYS = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)


class ReasonInvalid(Exception):
    """The reason of a suppression is empty or too long."""


def check_reason(reason: str, proof: str = "") -> None:
    """Check what is kept with a suppression. Raises ReasonInvalid, and LetterInvalid for control characters."""
    if not reason.strip() or len(reason) > LONGEST_REASON:
        template = gettext_noop("must have from 1 to %(most)d characters")
        raise ReasonInvalid(Message(template, most=LONGEST_REASON))
    refuse_control_characters("reason", reason)
    refuse_control_characters("proof", proof)


@dataclass(frozen=True)
class Found:
    entries: list[NewSuppression]
    problems: list[Message]  # "line 3: …"


def read(path: Path, reason: Why | None) -> Found:
    """Read a suppression list. A line that cannot be used does not stop the others.

    reason: of the lines that have none of their own. Raises FileInvalid if the file as a whole cannot be read.
    """
    lines = _lines(texts.read(path))
    skipped = 0
    if said := _EXCEL_SAYS.fullmatch(lines[0]):
        lines, skipped = lines[1:], 1
    delimiter = said[1] if said and said[1] in DELIMITERS else _delimiter(lines)
    found = [
        Row(row.line + skipped, [_unescaped(cell) for cell in row.cells], row.doubtful, row.problem)
        for row in map(partial(_as_one_cell, delimiter), rows.read(lines, delimiter))
        if not is_blank(row) and not row.cells[0].lstrip().startswith("#")
    ]
    if len(found) > MOST_LINES:
        template = gettext_noop("%(file)s: more than %(most)s lines; make several files of them")
        raise FileInvalid(Message(template, file=path.name, most=Number(MOST_LINES)))
    columns, below = _columns(path, found)
    return _entries(columns, below, reason or Reason(Code.IMPORTED, file=path.name))


# As address books write it: "Kowalska, Anna" <anna@leads.example>
_NAMED = re.compile(r"[^<>@]*<\s*(?:mailto:)?(?P<address>[^<>\s]+@[^<>\s]+)\s*>[\s,;]*", re.IGNORECASE)
_MAILTO = re.compile(r"mailto:(?P<address>[^?\s]+)(\?\S*)?", re.IGNORECASE)


def _as_one_cell(delimiter: str, row: Row) -> Row:
    """The row as one cell if it is a name in quotes before an address, which is no quoted cell; else the row itself."""
    whole = delimiter.join(row.cells)
    return Row(row.line, [whole]) if row.problem and _NAMED.fullmatch(whole) else row


def _lines(text: str) -> list[str]:
    text = text.replace("\r\n", "\n")
    return text.split("\n" if "\n" in text else "\r")


def _delimiter(lines: Iterable[str]) -> str:
    """The delimiter in the first line with an entry; a comma if it has none, as in a list of one column."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    return next((each for each in DELIMITERS if each in first), ",")


def _columns(path: Path, lines: Sequence[Row]) -> tuple[dict[str, int], Sequence[Row]]:
    """The places of the columns, and the rows below the header."""
    if not lines:
        raise FileInvalid(Message(gettext_noop("%(file)s: there is no address or domain in it"), file=path.name))
    names = [cell.strip().lower() for cell in lines[0].cells]
    columns = {
        kind: place
        for kind, known in (("address", _ADDRESS), ("reason", _REASON), ("proof", _PROOF))
        for place in [next((at for at, name in enumerate(names) if name in known), None)]
        if place is not None
    }
    if "address" in columns:
        return columns, lines[1:]
    if len([name for name in names if name]) > 1:
        template = gettext_noop(
            "%(where)s: a file with several columns must begin with a header that names one of them address"
        )
        raise FileInvalid(Message(template, where=texts.at(path, lines[0].line)))
    return _NO_HEADER, lines


def _entries(columns: dict[str, int], lines: Iterable[Row], reason: Why) -> Found:
    entries: dict[str, NewSuppression] = {}
    problems = []
    for row in lines:
        try:
            entry = _entry(columns, row, reason)
        except (AddressInvalid, LetterInvalid, ValueError) as error:
            told = messages.of(error)
            problems.append(Message(gettext_noop("line %(line)d: %(problem)s"), line=row.line, problem=told))
        else:
            entries.setdefault(entry.key, entry)
    return Found(list(entries.values()), problems)


def _entry(columns: dict[str, int], row: Row, reason: Why) -> NewSuppression:
    if row.problem:
        raise ValueError(row.problem)
    if columns is _NO_HEADER and any(cell.strip() for cell in row.cells[1:]):
        raise ValueError(Message(gettext_noop("give one address or domain a line, or a header that names the columns")))
    cells = {name: row.cells[place].strip() if place < len(row.cells) else "" for name, place in columns.items()}
    if not cells["address"]:
        raise ValueError(Message(gettext_noop("the address is missing")))
    own = {name: cells.get(name, "") for name in ("reason", "proof")}
    for name, value in own.items():
        refuse_control_characters(name, value)
        if len(value) > LONGEST_REASON:
            template = gettext_noop("the %(part)s has more than %(most)d characters")
            raise ValueError(Message(template, part=Message(name), most=LONGEST_REASON))
    named = _NAMED.fullmatch(cells["address"]) or _MAILTO.fullmatch(cells["address"])
    key = key_of(named["address"] if named else cells["address"])
    return NewSuppression(key, own["reason"] or reason, proof=own["proof"] or None)


def key_of(text: str) -> str:
    """An address, a domain, or what stands for a forgotten person, as suppressions know it. Raises AddressInvalid."""
    return text.strip() if forgotten.is_key(text.strip()) else suppressible(text)


def written(found: Iterable[Suppressed]) -> bytes:
    """The list as CSV that spreadsheets open as text: UTF-8 with its mark, and no cell that they take for a formula."""
    text = io.StringIO(newline="")
    out = csv.writer(text)
    out.writerow(COLUMNS)
    out.writerows(_escaped(_cells(it)) for it in found)
    return text.getvalue().encode("utf-8-sig")


def _cells(it: Suppressed) -> Iterator[str]:
    # A domain without its @, which a spreadsheet could take for a formula.
    yield it.address.removeprefix("@")
    yield it.reason
    yield it.since.isoformat(timespec="seconds")
    yield it.by or ""
    yield "" if it.email_id is None else str(it.email_id)
    yield it.proof or ""


# What a spreadsheet takes for a formula, and the sign that we put before it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def _escaped(cells: Iterable[str]) -> list[str]:
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
