"""The simple number formats of Excel's cells: zeros with signs between them, like 00-000, and percent.

The library gives the numbers alone: 950 for the postcode 00-950.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from zipfile import ZipFile

from intake.hidden import found, part_of, tag

_STYLE = tag("numFmt", "cellStyleXfs", "cellXfs", "xf")
_CELL = tag("row", "c")
_BUILT_IN = {"9": "0%", "10": "0.00%"}
_PART = re.compile(r'0|[-+() ]|\\(.)|"([^"]*)"')  # a digit, or text
_SIMPLE = re.compile(rf"(?:{_PART.pattern})+")
_PERCENT = re.compile(r"[#0]+(?:\.0+)?%")

# Of each column, from 0, that has one: in which rows its format changes, and to which; "" is one that is not simple.
Formats = Mapping[int, tuple[list[int], list[str]]]


def of(archive: ZipFile, sheet: str) -> Formats:
    """Read the number formats of a sheet. Raises what reading an archive raises, and ValueError if it is no XML."""
    styles = dict(_simple_styles(archive))
    columns: dict[int, tuple[list[int], list[str]]] = {}
    row, column = 0, -1
    for name, it in found(archive, part_of(archive, sheet), _CELL) if styles else ():
        if name == "row":
            row, column = int(it.get("r", row + 1)), -1
            continue
        column = _column(it["r"]) if "r" in it else column + 1
        code = styles.get(it.get("s", "0"), "")
        if it.get("t", "n") == "n" and (code or column in columns):
            rows, codes = columns.setdefault(column, ([], []))
            if not codes or codes[-1] != code:
                rows.append(row)
                codes.append(code)
    return columns


def written(value: float, formats: Formats, row: int, column: int) -> str | None:
    """The number as its format shows it, if that is simple and exact. row: from 1. column: from 0."""
    if column not in formats:
        return None
    rows, codes = formats[column]
    at = bisect_right(rows, row)
    code = codes[at - 1] if at else ""
    if code.endswith("%"):
        return f"{value * 100:.15g}%"
    if not code or value < 0 or not value.is_integer():
        return None
    parts = list(_PART.finditer(code))
    digits = str(int(value)).zfill(sum(it[0] == "0" for it in parts))
    return "".join(_filled(parts, digits))


def _filled(parts: list[re.Match[str]], digits: str) -> Iterator[str]:
    """Put the digits into a format's places. The first place takes all the digits that have none of their own."""
    left = sum(it[0] == "0" for it in parts)
    for it in parts:
        if it[0] == "0":
            left -= 1
            taken, digits = digits[: len(digits) - left], digits[len(digits) - left :]
            yield taken
        else:
            yield it[1] or it[2] or ("" if it[0] == '""' else it[0])


def _simple_styles(archive: ZipFile) -> Iterator[tuple[str, str]]:
    """The number of each style of cells whose format is simple, and the format."""
    codes, number, is_of_cells = dict(_BUILT_IN), 0, False
    for name, it in found(archive, "xl/styles.xml", _STYLE):
        if name == "numFmt":
            codes[it.get("numFmtId", "")] = it.get("formatCode", "")
        elif name != "xf":
            is_of_cells = name == "cellXfs"
        elif is_of_cells:
            code = codes.get(it.get("numFmtId", ""), "")
            if _PERCENT.fullmatch(code) or (_SIMPLE.fullmatch(code) and code.count("0") > 1):
                yield str(number), code
            number += 1


def _column(place: str) -> int:
    """The number of a cell's column, from 0. place: like B7."""
    number = 0
    for letter in place.rstrip("0123456789").upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
