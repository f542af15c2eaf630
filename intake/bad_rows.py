"""The rows of a leads file that cannot be used: each reason with its lines, and a file of them, to be corrected."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType

from intake.columns import names_of
from intake.tables import Table
from intake.texts import FileInvalid
from messages import Message, Said, gettext_noop

# No field of a template, so that it is left out when the corrected file comes in.
_REASON = gettext_noop("reason not imported")
_SHOWN_LINES = 5
_SHOWN_REASONS = 3
MOST_REASONS = 20  # that are kept, and listed


@dataclass
class _Lines:
    first: list[int] = field(default_factory=list)
    count: int = 0


class BadRows:
    """Counts all bad rows, and keeps only as many reasons and line numbers as messages show."""

    def __init__(self) -> None:
        self.count = 0
        self._reasons: dict[Said, _Lines] = {}

    def add(self, line: int, because: Said) -> None:
        """Count a bad row. because: the text that follows the line's number."""
        self.count += 1
        if because not in self._reasons and len(self._reasons) == MOST_REASONS:
            return
        lines = self._reasons.setdefault(because, _Lines())
        lines.count += 1
        if len(lines.first) < _SHOWN_LINES:
            lines.first.append(line)

    def listed(self) -> Iterator[str]:
        for because, lines in self._reasons.items():
            yield f"{named(lines.first, lines.count)}{because}"
        if more := self.count - sum(lines.count for lines in self._reasons.values()):
            yield _more(more)

    def reasons(self) -> Iterator[tuple[Said, list[int], int]]:
        """Each reason with its first lines, and how many they are."""
        yield from ((because, lines.first, lines.count) for because, lines in self._reasons.items())

    def sentence(self) -> str:
        """The first reasons with their lines, and how many more problems there are."""
        told = list(self.listed())[: min(_SHOWN_REASONS, len(self._reasons))]
        shown = sum(lines.count for lines in list(self._reasons.values())[:_SHOWN_REASONS])
        return "; ".join([*told, *([_more(self.count - shown)] if self.count > shown else [])])

    @property
    def is_told_in_one_sentence(self) -> bool:
        return len(self._reasons) <= _SHOWN_REASONS


def named(lines: Sequence[int], count: int) -> str:
    """Line numbers for a message, the first few of this many."""
    more = count - len(lines[:_SHOWN_LINES])
    shown = ", ".join(map(str, lines[:_SHOWN_LINES]))
    return f"line{'s' if count > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")


def _more(count: int) -> str:
    return f"and {count} more problem{'s' if count > 1 else ''}"


class ErrorFile:
    """Beside a leads file: its bad rows in the same columns, encoding and delimiter, and the reason of each.

    It appears once it is kept, and never replaces an earlier one, in which somebody may have corrected rows.
    """

    def __init__(self, table: Table, written: Callable[[Said], str] = str) -> None:
        """Prepare the file of a table's bad rows. written: formats a reason in a person's language."""
        self._input, self._written = table.path, written
        self._form = table.for_errors()
        self._count = len(names_of(table.header))
        self._header = table.header.cells[: self._count]

    def __enter__(self) -> "ErrorFile":
        form = self._form
        try:
            self._file = NamedTemporaryFile(
                "w", encoding=form.codec, errors="replace", newline="", dir=self._input.parent, delete=False
            )
        except OSError as error:
            raise self._unwritable(error) from None
        self._file.write(form.opening)
        self._rows = csv.writer(self._file, delimiter=form.delimiter)
        self._rows.writerow([*self._header, self._written(Message(_REASON))])
        return self

    def add(self, cells: Sequence[str], line: int, because: Said) -> None:
        """Write a bad row. Cells beyond the last column are put into that column."""
        cells = [*cells, *[""] * (self._count - len(cells))]
        last = self._form.delimiter.join(cells[self._count - 1 :]).rstrip(self._form.delimiter)
        reason = Message(gettext_noop("line %(line)d%(said)s"), line=line, said=because)
        self._rows.writerow([*cells[: self._count - 1], last, self._written(reason)])

    def keep(self) -> Path:
        try:
            self._file.close()
            path = self._new_path()
            os.replace(self._file.name, path)
        except OSError as error:
            raise self._unwritable(error) from None
        return path

    def _unwritable(self, error: OSError) -> FileInvalid:
        template = gettext_noop("%(folder)s: the bad rows cannot be written there: %(error)s")
        return FileInvalid(Message(template, folder=self._input.parent, error=error.strerror))

    def _new_path(self) -> Path:
        """Create leads.errors.csv, or the first of leads.errors-2.csv, … that does not exist yet."""
        for number in count(1):
            path = self._input.with_name(f"{self._input.stem}.errors{f'-{number}' if number > 1 else ''}.csv")
            with suppress(FileExistsError):
                path.touch(mode=0o600, exist_ok=False)
                return path
        raise AssertionError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        with suppress(FileNotFoundError):  # kept
            os.unlink(self._file.name)
