"""Spreadsheets in the form that Excel writes: a zip of XML, its texts in one table of strings (ECMA-376)."""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from io import BytesIO
from zipfile import ZipFile

Rows = Sequence[Sequence[object]]

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def workbook(
    sheets: Mapping[str, Rows],
    hidden: Sequence[str] = (),
    *,
    hidden_rows: Collection[int] = (),
    hidden_columns: Collection[int] = (),
    formats: Sequence[str] = (),
) -> bytes:
    """sheets: name -> its rows of texts, numbers, and None for empty cells.

    hidden: sheets. hidden_rows, hidden_columns: of each sheet, counted from 1. formats: of numbers, column by column.
    """
    strings: dict[str, int] = {}
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}" state="{_state(name, hidden)}"/>'
        for n, name in zip(numbers, sheets, strict=True)
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{_TYPE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    related += f'<Relationship Id="rId0" Type="{_TYPE}/sharedStrings" Target="sharedStrings.xml"/>'
    files = {
        "_rels/.rels": f'<Relationships {_RELATIONS}><Relationship Id="rId1" Type="{_TYPE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_TYPE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships {_RELATIONS}>{related}</Relationships>",
        **{
            f"xl/worksheets/sheet{n}.xml": _sheet(rows, strings, hidden_rows, hidden_columns, len(formats))
            for n, rows in zip(numbers, sheets.values(), strict=True)
        },
    }
    if formats:
        files["xl/styles.xml"] = _styles(formats)
    texts = "".join(f'<si><t xml:space="preserve">{escape(it)}</t></si>' for it in strings)
    files["xl/sharedStrings.xml"] = f"<sst {_MAIN}>{texts}</sst>"
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, _HEAD + text)
    return content.getvalue()


def _state(name: str, hidden: Sequence[str]) -> str:
    return "hidden" if name in hidden else "visible"


def _styles(formats: Sequence[str]) -> str:
    """Style 0 is General, those of the columns follow; the styles of styles before them are another list."""
    codes = "".join(f'<numFmt numFmtId="{n}" formatCode="{escape(it)}"/>' for n, it in enumerate(formats, start=164))
    styles = "".join(f'<xf numFmtId="{n}"/>' for n in (0, *range(164, 164 + len(formats))))
    return (
        f'<styleSheet {_MAIN}><numFmts>{codes}</numFmts><cellStyleXfs><xf numFmtId="164"/><xf/></cellStyleXfs>'
        f'<cellXfs>{styles}</cellXfs><dxfs><dxf><numFmt numFmtId="999" formatCode="000"/></dxf></dxfs></styleSheet>'
    )


def _sheet(
    rows: Rows, strings: dict[str, int], hidden: Collection[int], columns: Collection[int], formatted: int
) -> str:
    lines = []
    cols = "".join(f'<col min="{each}" max="{each}" width="9" hidden="1" customWidth="1"/>' for each in columns)
    for number, row in enumerate(rows, start=1):
        cells = "".join(
            _cell(f"{chr(ord('A') + at)}{number}", it, strings, at + 1 if at < formatted else 0)
            for at, it in enumerate(row)
            if it is not None
        )
        marks = ' hidden="1"' if number in hidden else ""
        lines.append(f'<row r="{number}"{marks}>{cells}</row>' if cells else "")
    return f"<worksheet {_MAIN}>{cols and f'<cols>{cols}</cols>'}<sheetData>{''.join(lines)}</sheetData></worksheet>"


def _cell(place: str, value: object, strings: dict[str, int], style: int) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" s="{style}" t="s"><v>{strings.setdefault(value, len(strings))}</v></c>'
    return f'<c r="{place}" s="{style}"><v>{value}</v></c>'
