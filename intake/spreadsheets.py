"""A sheet of a spreadsheet as a table: which sheet, and its cells as people would write them."""

import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from intake import extents, hidden, number_formats
from intake.number_formats import Formats
from intake.rows import Row
from intake.tables import CELL, MOST_ROWS, Form, Hidden, header_of, is_blank, too_many_rows
from intake.texts import FileInvalid, opened
from messages import Message, Number, gettext_noop

LARGEST_SPREADSHEET = 200_000_000  # bytes
LARGEST_UNPACKED = 2_000_000_000
_MOST_CELLS = 25_000_000  # empty ones too: the library takes 32 bytes for each
# How files begin: those of Excel and LibreOffice of today; those of Excel before 2007, and any with a password.
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"

# What the libraries raise for files that are damaged.
_DAMAGED = (CalamineError, EOFError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class _Found:
    name: str
    sheet: CalamineSheet
    header: Row
    has_email: bool


class Sheet:
    """A sheet of a spreadsheet: Excel's or LibreOffice's. Of a formula, what it had last computed is read."""

    def __init__(
        self,
        path: Path,
        is_email: Callable[[str], bool],
        name: str | None = None,
        largest_unpacked: int | None = None,
    ) -> None:
        self.path, self.share, self.without_hidden = path, 0.0, False
        try:
            found = self._choose(self._sheets(path, is_email, name, largest_unpacked), name)
            self.hidden = _hidden(path, found)
            with opened(path, LARGEST_SPREADSHEET) as file:
                self._formats = number_formats.of(zipfile.ZipFile(file), found.name)
        except PasswordError:
            raise FileInvalid(
                Message(gettext_noop("%(file)s: is protected by a password; save it without one"), file=path.name)
            ) from None
        except _DAMAGED:
            template = gettext_noop("%(file)s: cannot be read as a spreadsheet: it is damaged; save it again")
            raise FileInvalid(Message(template, file=path.name)) from None
        self.name, self.header, self._sheet = found.name, found.header, found.sheet

    @staticmethod
    def _sheets(
        path: Path, is_email: Callable[[str], bool], name: str | None, largest_unpacked: int | None
    ) -> list[_Found]:
        """The sheets that have rows and are not hidden; one that is named may be hidden."""
        with opened(path, LARGEST_SPREADSHEET) as file:
            archive = zipfile.ZipFile(file)
            if _is_something_else(archive):
                template = gettext_noop(
                    "%(file)s: is a ZIP file or a document, and no spreadsheet;"
                    " unpack it, or save its table as .xlsx or CSV"
                )
                raise FileInvalid(Message(template, file=path.name))
            _refuse_oversized(path, archive, largest_unpacked or LARGEST_UNPACKED)
            file.seek(0)
            book = CalamineWorkbook.from_filelike(file)
            sheets = {it.name: it.visible for it in book.sheets_metadata if it.typ == SheetTypeEnum.WorkSheet}
            if name is not None and name not in sheets:
                template = gettext_noop("%(file)s: there is no sheet %(name)s, only %(sheets)s")
                raise FileInvalid(Message(template, file=path.name, name=repr(name), sheets=", ".join(sheets)))
            found = []
            for each, visible in sheets.items():
                if each == name or (name is None and visible == SheetVisibleEnum.Visible):
                    sheet = book.get_sheet_by_name(each)
                    if header := header_of(_rows(path, sheet, {}), is_email):
                        found.append(_Found(each, sheet, header, any(map(is_email, header.cells))))
            return found

    def _choose(self, found: list[_Found], name: str | None) -> _Found:
        if not found:
            if name is None:
                raise FileInvalid(Message(gettext_noop("%(file)s: there is nothing in it"), file=self.path.name))
            template = gettext_noop("%(file)s: sheet %(name)s is empty")
            raise FileInvalid(Message(template, file=self.path.name, name=repr(name)))
        fitting = [it for it in found if it.has_email] or found
        if len(fitting) > 1:
            names = ", ".join(repr(it.name) for it in fitting)
            template = gettext_noop("%(file)s: has several sheets, %(names)s; name the one to read with --sheet")
            raise FileInvalid(Message(template, file=self.path.name, names=names))
        return fitting[0]

    def below(self, is_a_row: Callable[[str], bool]) -> Iterator[Row]:
        height = max(self._sheet.total_height, 1)
        for row in _rows(self.path, self._sheet, self._formats):
            if row.line > self.header.line and not (self.without_hidden and row.line in self.hidden.rows):
                self.share = row.line / height
                yield row

    def described(self) -> Message:
        return Message(gettext_noop("sheet %(name)s"), name=repr(self.name))

    def separator(self) -> str:
        return CELL

    def for_errors(self) -> Form:
        return Form("utf-8-sig", ";")  # opens as columns in a Polish Excel


def _is_something_else(archive: zipfile.ZipFile) -> bool:
    """Whether it is plainly no spreadsheet: files packed together, or a document or slides."""
    names = [each.lower().lstrip("/\\") for each in archive.namelist()]
    may_be_one = any(each.startswith("xl/") or each in ("content.xml", "[content_types].xml") for each in names)
    return not may_be_one or any(each.startswith(("word/", "ppt/")) for each in names)


_DECLARED = re.compile(rb'[cC]ount="(\d+)"')


def _refuse_oversized(path: Path, archive: zipfile.ZipFile, largest_unpacked: int) -> None:
    """Raise FileInvalid for what the library would run out of memory with, which ends the process."""
    if sum(each.file_size for each in archive.infolist()) > largest_unpacked:
        template = gettext_noop("%(file)s: unpacks to more than %(most)s MB")
        raise FileInvalid(Message(template, file=path.name, most=Number(largest_unpacked // 1_000_000)))
    for part in archive.infolist():
        if part.filename.endswith("sharedStrings.xml"):
            # It makes room for as many strings as there are said to be; each takes several bytes of the part.
            with archive.open(part) as text:
                if any(int(count) > part.file_size for count in _DECLARED.findall(text.read(2000))):
                    template = gettext_noop("%(file)s: is damaged: it has fewer texts than it says")
                    raise FileInvalid(Message(template, file=path.name))
    if any(part.filename.lower() == "xl/workbook.bin" for part in archive.infolist()):
        template = gettext_noop("%(file)s: is a binary Excel file (.xlsb); save it as .xlsx")
        raise FileInvalid(Message(template, file=path.name))  # how far its cells reach cannot be told
    if (cells := extents.most_cells(archive)) > _MOST_CELLS:
        template = gettext_noop(
            "%(file)s: its table spans %(cells)s cells, and at most %(most)s are read; remove what stands far from it"
        )
        raise FileInvalid(Message(template, file=path.name, cells=Number(cells), most=Number(_MOST_CELLS)))


def _hidden(path: Path, found: _Found) -> Hidden:
    """What nobody sees of the chosen sheet. Rows above the header, and blank ones, do not count."""
    with opened(path, LARGEST_SPREADSHEET) as file:
        its = hidden.ranges(zipfile.ZipFile(file), found.name)
    columns = (number for each in its.columns for number in each[: len(found.header.cells)])
    names = [cell for number in columns if number < len(found.header.cells) and (cell := found.header.cells[number])]
    lines = (row.line for row in _rows(path, found.sheet, {}) if row.line > found.header.line) if its.rows else ()
    return Hidden(frozenset(_within(lines, its.rows)), names)


def _within(numbers: Iterable[int], ranges: Iterable[range]) -> Iterator[int]:
    """The numbers that lie in one of the ranges. numbers: in ascending order."""
    ahead = deque(sorted(ranges, key=lambda it: it.start))
    for number in numbers:
        while ahead and ahead[0].stop <= number:
            ahead.popleft()
        if ahead and number in ahead[0]:
            yield number


def _rows(path: Path, sheet: CalamineSheet, formats: Formats) -> Iterator[Row]:
    """The rows that are not blank, with their numbers as the spreadsheet shows them."""
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > MOST_ROWS:
            raise too_many_rows(path, MOST_ROWS)
        row = Row(
            number,
            [
                cell if isinstance(cell, str) else _formatted(cell, formats, number, column)
                for column, cell in enumerate(cells)
            ],
        )
        if not is_blank(row):
            yield row


def _formatted(cell: object, formats: Formats, row: int, column: int) -> str:
    if isinstance(cell, float) and (text := number_formats.written(cell, formats, row, column)) is not None:
        return text
    return _written(cell)


def _written(cell: object) -> str:
    """A number, date or time as text: whole numbers without a point, others in 15 digits, dates as 2026-11-26."""
    match cell:
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return str(int(cell))
        case float():
            return f"{cell:.15g}"  # as many as Excel keeps
        case timedelta():
            return _duration(cell)
        case datetime() if cell.time() == time.min:
            return cell.date().isoformat()
        case datetime():
            return cell.isoformat(" ", "seconds" if cell.second else "minutes")
        case date():
            return cell.isoformat()
        case time():
            return cell.isoformat("seconds" if cell.second else "minutes")
    return str(cell)


def _duration(length: timedelta) -> str:
    """A length of time like 36:00, with seconds if it has any."""
    seconds = round(abs(length).total_seconds())
    text = f"{'-' if length < timedelta() else ''}{seconds // 3600}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text
