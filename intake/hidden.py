"""Finds the rows and columns of a spreadsheet that are hidden, by a filter or by hand. The library reads them too."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from posixpath import join, normpath
from typing import NamedTuple
from zipfile import ZipFile

from intake.extents import tags

_ATTRIBUTE = re.compile(rb"""([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def tag(*names: str) -> re.Pattern[bytes]:
    """A pattern of a tag in any namespace. Its groups are the tag's name and its attributes."""
    return re.compile(rb"<(?:[\w.-]+:)?(%s)(?=[\s/>])([^<>]*)>" % "|".join(names).encode())


_SHEET, _RELATIONSHIP, _OF_EXCEL = tag("sheet"), tag("Relationship"), tag("row", "col")
_OF_LIBREOFFICE = tag("table", "table-row", "table-column")
_NOTHING = {"0", "0.0"}


class Ranges(NamedTuple):
    rows: list[range]  # from 1, in order
    columns: list[range]  # from 0, in order


def ranges(archive: ZipFile, sheet: str) -> Ranges:
    """Find a sheet's hidden rows and columns. Raises what reading an archive raises, and ValueError if it is no XML."""
    if "content.xml" in archive.namelist():
        return _of_libreoffice(archive, sheet)
    return _of_excel(archive, part_of(archive, sheet))


def found(archive: ZipFile, part: str, tag: re.Pattern[bytes]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The tags' names, and their attributes without namespaces; nothing if there is no such part."""
    if part not in archive.namelist():
        return
    with archive.open(part) as file:
        for name, attributes in (each.groups() for each in tags(file, tag)):
            given = {
                key.decode().rpartition(":")[2]: unescape((value or other).decode("utf-8", "replace"))
                for key, value, other in _ATTRIBUTE.findall(attributes)
            }
            yield name.decode(), given


def part_of(archive: ZipFile, sheet: str) -> str:
    """Where Excel keeps a sheet: found by its number among the workbook's relationships. Empty: not found."""
    ids = [it.get("id") for _, it in found(archive, "xl/workbook.xml", _SHEET) if it.get("name") == sheet]
    for _, it in found(archive, "xl/_rels/workbook.xml.rels", _RELATIONSHIP):
        if it.get("Id") in ids:
            return normpath(join("/xl", it.get("Target", ""))).lstrip("/")
    return ""


def _of_excel(archive: ZipFile, part: str) -> Ranges:
    hidden, last = Ranges([], []), 0
    for name, it in found(archive, part, _OF_EXCEL):
        if name == "col":
            if _is_true(it, "hidden") or it.get("width") in _NOTHING:
                hidden.columns.append(range(int(it.get("min", "")) - 1, int(it.get("max", ""))))
        else:
            last = int(it.get("r", last + 1))
            if _is_true(it, "hidden") or it.get("ht") in _NOTHING:
                hidden.rows.append(range(last, last + 1))
    return hidden


def _is_true(given: Mapping[str, str], name: str) -> bool:
    return given.get(name) in ("1", "true")


def _of_libreoffice(archive: ZipFile, sheet: str) -> Ranges:
    hidden, row, column, is_in_it = Ranges([], []), 1, 0, False
    for name, it in found(archive, "content.xml", _OF_LIBREOFFICE):
        is_hidden = it.get("visibility") in ("collapse", "filter")
        if name == "table":
            row, column, is_in_it = 1, 0, it.get("name") == sheet
        elif name == "table-row":
            ends = row + int(it.get("number-rows-repeated", 1))
            if is_hidden and is_in_it:
                hidden.rows.append(range(row, ends))
            row = ends
        else:
            ends = column + int(it.get("number-columns-repeated", 1))
            if is_hidden and is_in_it:
                hidden.columns.append(range(column, ends))
            column = ends
    return hidden
