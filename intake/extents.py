"""How large a grid the sheets of a spreadsheet span, found before a library makes room for each cell of it.

A cell in the last row and column of an otherwise small sheet makes that half a terabyte, which ends the process.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import IO
from zipfile import ZipFile

_CHUNK = 1_000_000  # bytes
# A cell of Excel's that has something in it, and its place: <c r="B7" t="s">.
_CELL = re.compile(rb"""<(?:\w+:)?c\s(?:[^<>]{0,300}?\s)?r=["']([A-Za-z]{1,3})(\d{1,7})["'][^<>/]{0,300}>""")
# LibreOffice's: cells and rows have no places, but say how often they are repeated.
_ODS_TAG = re.compile(rb"<(/?)(?:\w+:)?(table|table-row|(?:covered-)?table-cell)(\s[^<>]*?)?(/?)>")
_REPEATED = re.compile(rb"""number-(?:columns|rows)-repeated\s*=\s*["'](\d{1,9})["']""")


def most_cells(archive: ZipFile) -> int:
    """The cells of the largest grid. Raises what reading an archive raises, and ValueError if it is no XML."""
    found = [0]
    for part in archive.infolist():
        with archive.open(part) as file:
            found.append(_of_excel(tags(file, _CELL)))
        if part.filename == "content.xml":
            with archive.open(part) as file:
                found += _of_libreoffice(tags(file, _ODS_TAG))
    return max(found)


def tags(file: IO[bytes], tag: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Matches of a whole tag in a file that is read piece by piece."""
    rest = b""
    while piece := file.read(_CHUNK):
        text = rest + piece
        begins = text.rfind(b"<")
        end = begins if begins >= 0 and text.find(b">", begins) < 0 else len(text)
        rest = text[end:]
        if len(rest) > _CHUNK:
            raise ValueError("a tag is longer than a million bytes")
        yield from tag.finditer(text, 0, end)


def _of_excel(cells: Iterable[re.Match[bytes]]) -> int:
    columns, rows = set[bytes](), set[bytes]()
    for column, row in (each.groups() for each in cells):
        columns.add(column)
        rows.add(row)
    return _span(map(_number, columns)) * _span(map(int, rows))


def _span(places: Iterable[int]) -> int:
    found = list(places)
    return max(found) - min(found) + 1 if found else 0


@cache
def _number(column: bytes) -> int:
    """The number of a column that is named by letters: A is 1, AA is 27."""
    number = 0
    for letter in column.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _of_libreoffice(tags: Iterable[re.Match[bytes]]) -> Iterator[int]:
    row = last = widest = width = used = repeated = 0
    for closes, name, attributes, is_empty in (each.groups() for each in tags):
        if name == b"table":
            yield last * widest
            row = last = widest = 0
        elif name == b"table-row":
            if not closes:
                width, used, repeated = 0, 0, _times(attributes)
            if closes or is_empty:
                row += repeated
                widest = max(widest, used)
                last = row if used else last
        elif not closes:
            width += _times(attributes)
            used = used if is_empty else width
    yield last * widest


def _times(attributes: bytes | None) -> int:
    found = _REPEATED.search(attributes or b"")
    return int(found[1]) if found else 1
