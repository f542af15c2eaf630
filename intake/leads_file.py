"""Opens a leads file, CSV or spreadsheet, by what it is and not by its name."""

import re
from collections.abc import Callable
from pathlib import Path

from intake.csv_files import LARGEST_CSV, Csv
from intake.spreadsheets import OLE, ZIP, Sheet
from intake.tables import Table
from intake.texts import FileInvalid, opened
from messages import Message, gettext_noop

_PACKED = gettext_noop("%(file)s: is a compressed file; unpack it first")
_PICTURE = gettext_noop("%(file)s: is a picture or a PDF, and no table; save the table as .xlsx or CSV")
# What a file begins with -> why it is no leads file.
_OTHERS = {
    b"\x1f\x8b": _PACKED,  # gzip
    **{b"BZh%d" % level: _PACKED for level in range(1, 10)},  # bzip2
    b"\xfd7zX": _PACKED,  # xz
    b"7z\xbc\xaf": _PACKED,
    b"Rar!": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,  # zstd
    b"%PDF": _PICTURE,
    b"\x89PNG": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,  # JPEG
    b"GIF8": _PICTURE,
}

_HEAD = 1024  # bytes
_BOM = b"\xef\xbb\xbf|\xff\xfe|\xfe\xff"
_WEB_PAGE = re.compile(
    rb"(?:%s)?\s*<(?:!--|!doctype\b|\?xml\b|(?:html|head|body|meta|style|script|div|table|tr|workbook)[\s>])" % _BOM,
    re.IGNORECASE,
)


def open_table(
    path: Path,
    is_email: Callable[[str], bool],
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    largest_unpacked: int | None = None,
) -> Table:
    """Open a CSV file or a spreadsheet as a table. Raises FileInvalid.

    is_email: whether a header cell names the column of the addresses. encoding: instead of detecting it.
    largest_unpacked: bytes of a spreadsheet, which is read into memory, instead of the usual limit.
    """
    with opened(path, LARGEST_CSV) as file:
        head = file.read(_HEAD)
    kind = head[:4]
    if why := next((why for begins, why in _OTHERS.items() if kind.startswith(begins)), None):
        raise FileInvalid(Message(why, file=path.name))
    if _WEB_PAGE.match(head.replace(b"\0", b"")):  # in UTF-16 too
        template = gettext_noop(
            "%(file)s: is a web page saved under this name, and no table; open it in Excel, and save it as .xlsx or CSV"
        )
        raise FileInvalid(Message(template, file=path.name))
    if kind == OLE:
        # Read by the library, but texts that formulas computed come as 0.
        raise FileInvalid(
            Message(
                gettext_noop(
                    "%(file)s: is an Excel file of before 2007, or protected by a password;"
                    " save it as .xlsx without one"
                ),
                file=path.name,
            )
        )
    is_spreadsheet = kind == ZIP
    if is_spreadsheet and encoding:
        raise FileInvalid(
            Message(
                gettext_noop("%(file)s: is a spreadsheet, which has no encoding: leave --encoding out"), file=path.name
            )
        )
    if sheet is not None and not is_spreadsheet:
        raise FileInvalid(Message(gettext_noop("%(file)s: is not a spreadsheet: leave --sheet out"), file=path.name))
    return Sheet(path, is_email, sheet, largest_unpacked) if is_spreadsheet else Csv(path, is_email, encoding)
