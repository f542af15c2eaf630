"""A CSV file as a table: finds its encoding and its delimiter, and reads it as a stream."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import messages
from intake import encodings, rows
from intake.encodings import EncodingUnknown
from intake.rows import DELIMITERS, Row
from intake.tables import MOST_ROWS, NONE_HIDDEN, Form, header_of, is_blank, too_many_rows
from intake.texts import FileInvalid, at, opened
from messages import Message, gettext_noop

LARGEST_CSV = 1_000_000_000  # bytes

_SEVERAL = {
    ",": gettext_noop("commas"),
    ";": gettext_noop("semicolons"),
    "\t": gettext_noop("tabs"),
    "|": gettext_noop("pipes"),
}
_OPENING = 65_536  # characters in which the header is looked for
_EXCEL_SAYS = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
_IN_QUOTES = re.compile(r'"[^"]*"')


class Csv:
    """A text file with delimiters."""

    def __init__(self, path: Path, is_email: Callable[[str], bool], encoding: str | None = None) -> None:
        self.path, self.share, self.hidden, self.without_hidden = path, 0.0, NONE_HIDDEN, False
        self._codec = _codec(path, encoding)
        self._line_end = ""  # not known yet
        self._skipped = 0  # lines before the header that are not rows
        opening = self._opening()
        self._line_end = "\n" if "\n" in opening else "\r"
        lines = [line.removesuffix("\r") for line in opening.split(self._line_end)]
        if said := _EXCEL_SAYS.fullmatch(lines[0]):
            if said[1] not in DELIMITERS:
                template = gettext_noop(
                    "%(where)s: sep=%(sign)s: columns must be separated by commas, semicolons, tabs or pipes"
                )
                raise FileInvalid(Message(template, where=at(path, 1), sign=said[1]))
            self.delimiter, self._skipped = said[1], 1
            self.header = self._header_of(lines[1:], said[1], is_email)
        else:
            self.delimiter, self.header = self._delimited(lines, is_email)

    def _opening(self) -> str:
        try:
            with opened(self.path, LARGEST_CSV) as file, self._text(file) as text:
                return text.read(_OPENING)
        except UnicodeDecodeError as error:
            raise self._undecodable(error, 1) from None

    def _text(self, file: BinaryIO) -> io.TextIOWrapper:
        return io.TextIOWrapper(file, encoding=self._codec, newline=self._line_end)

    def _delimited(self, lines: list[str], is_email: Callable[[str], bool]) -> tuple[str, Row]:
        """The delimiter that gives a column of addresses, else the one that gives most columns; and the header.

        A header that cannot be read counts only if no delimiter gives one that can.
        """
        headers = {each: self._header_of(lines, each, is_email) for each in DELIMITERS}
        with_email = {each for each in DELIMITERS if any(map(is_email, headers[each].cells))}
        readable = [each for each in DELIMITERS if _is_readable(headers[each], each in with_email)] or list(DELIMITERS)
        fitting = [each for each in readable if each in with_email]
        delimiter = max(fitting or readable, key=lambda each: len(headers[each].cells))
        header = headers[delimiter]
        bare = _IN_QUOTES.sub("", lines[header.line - 1]) if header.line <= len(lines) else ""
        for other in DELIMITERS.keys() - {delimiter}:
            if len(header.cells) > 1 and bare.count(other) >= len(header.cells) - 1:
                template = gettext_noop(
                    "%(where)s: the header has both %(these)s and %(those)s; its columns must be separated by one of"
                    " them"
                )
                these, those = Message(_SEVERAL[delimiter]), Message(_SEVERAL[other])
                raise FileInvalid(Message(template, where=at(self.path, header.line), these=these, those=those))
        return delimiter, header

    def _header_of(self, lines: list[str], delimiter: str, is_email: Callable[[str], bool]) -> Row:
        found = (row for row in rows.read(lines, delimiter) if not is_blank(row))
        header = header_of(found, is_email) or Row(1, [])
        return replace(header, line=header.line + self._skipped)

    def below(self, is_a_row: Callable[[str], bool]) -> Iterator[Row]:
        size = max(self.path.stat().st_size, 1)
        line, problem = 0, None
        try:
            with opened(self.path, LARGEST_CSV) as file, self._text(file) as text:
                found = rows.read(islice(text, self._skipped, None), self.delimiter, is_a_row)
                for count, row in enumerate(found):
                    if count > MOST_ROWS:
                        raise problem or too_many_rows(self.path, MOST_ROWS)
                    if row.problem and problem is None:  # perhaps the rest of the file is one cell
                        where = at(self.path, row.line + self._skipped)
                        problem = FileInvalid(Message("%(where)s: %(said)s", where=where, said=row.problem))
                    if count % 1000 == 0:
                        self.share = file.tell() / size
                    line = row.line + self._skipped
                    if line > self.header.line and not is_blank(row) and not _is_end_of_dos(row):
                        yield replace(row, line=line) if self._skipped else row
        except UnicodeDecodeError as error:
            raise self._undecodable(error, line + 1) from None

    def _undecodable(self, error: UnicodeDecodeError, line: int) -> FileInvalid:
        template = gettext_noop("%(file)s: is not %(encoding)s text behind line %(line)d")
        name = encodings.name_of(self._codec)
        return FileInvalid(Message(template, file=self.path.name, encoding=name, line=line))

    def described(self) -> Message:
        template = gettext_noop("%(encoding)s text, columns separated by %(separator)s")
        separator = Message(_SEVERAL[self.delimiter])
        return Message(template, encoding=encodings.name_of(self._codec), separator=separator)

    def separator(self) -> str:
        return DELIMITERS[self.delimiter]

    def for_errors(self) -> Form:
        return Form(self._codec, self.delimiter, f"sep={self.delimiter}\r\n" if self._skipped else "")


def _is_readable(header: Row, has_email: bool) -> bool:
    return not header.problem and (has_email or (len(header.cells) > 1 and header.doubtful is None))


def _is_end_of_dos(row: Row) -> bool:
    """Whether it is the character that programs of DOS end a file with."""
    return len(row.cells) == 1 and not row.cells[0].strip("\x1a")


def _codec(path: Path, encoding: str | None) -> str:
    if encoding is not None:
        try:
            found = codecs.lookup(encoding)
            "".encode(found.name)
        except LookupError:
            template = gettext_noop("there is no text encoding %(name)s; write for instance cp1250 or utf-8")
            raise FileInvalid(Message(template, name=repr(encoding))) from None
        return "utf-8-sig" if found.name == "utf-8" else found.name
    with opened(path, LARGEST_CSV) as file:
        try:
            return encodings.detect(file)
        except EncodingUnknown as error:
            template = gettext_noop(
                "%(where)s: %(error)s; save it as UTF-8 (in Excel: “CSV UTF-8”), or name it with --encoding"
            )
            raise FileInvalid(Message(template, where=at(path, error.line), error=messages.of(error))) from None
