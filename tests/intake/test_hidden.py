"""Which rows and columns of spreadsheets are taken as hidden, in the forms that Excel and LibreOffice write."""

import io
from zipfile import ZipFile

import pytest

from intake.hidden import Ranges, ranges

WORKBOOK = """<x:workbook xmlns:x="m" xmlns:r="o"><x:sheets><x:sheet name="Old" sheetId="1" r:id="rId9"/>
<x:sheet r:id='rId2' sheetId="2" name="A &amp; B"/></x:sheets></x:workbook>"""
RELATIONS = """<Relationships><Relationship Target="{target}" Type="worksheet" Id="rId2"/>
<Relationship Id="rId9" Target="worksheets/other.xml"/></Relationships>"""
OTHER = '<worksheet><sheetData><row r="1" hidden="1"/></sheetData></worksheet>'
Found = tuple[list[int], list[int]]
COLUMN, ROW = '<t:table-column t:visibility="collapse"{}/>', "<t:table-row{}><t:table-cell/></t:table-row>"


def archive(**parts: str) -> ZipFile:
    content = io.BytesIO()
    with ZipFile(content, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return ZipFile(content)


def excel(sheet: str, target: str = "worksheets/sheet7.xml") -> ZipFile:
    parts = {"xl/workbook.xml": WORKBOOK, "xl/_rels/workbook.xml.rels": RELATIONS.format(target=target)}
    return archive(**parts, **{"xl/worksheets/sheet7.xml": sheet, "xl/worksheets/other.xml": OTHER})


def libreoffice(table: str) -> ZipFile:
    other = '<t:table t:name="Old"><t:table-row t:visibility="filter"/></t:table>'
    return archive(**{"content.xml": f'<d>{other}<t:table t:name="A &amp; B">{table}</t:table>{other}</d>'})


@pytest.mark.parametrize(
    ("sheet", "hidden"),
    [
        ('<row r="1"/><row r="2" hidden="1"><c/></row><row r="9" spans="1:3" hidden=\'true\'>', ([2, 9], [])),
        ('<row/><row hidden="1"/><row r="7"/><row hidden="1"/>', ([2, 8], [])),
        (
            '<x:row r="3" ht="0" customHeight="1"/><x:row r="4" hidden="0"/><x:row r="5" hidden="false"/>',
            ([3], []),
        ),
        (
            '<cols><col min="2" max="3" hidden="1"/><col min="5" max="5" width="0"/><col min="6" max="6"/></cols>',
            ([], [1, 2, 4]),
        ),
        ('<rowBreaks hidden="1"/><rows hidden="1"/>', ([], [])),
    ],
)
@pytest.mark.parametrize(
    "target", ["worksheets/sheet7.xml", "/xl/worksheets/sheet7.xml", "../xl/worksheets/sheet7.xml"]
)
def test_of_excel(sheet: str, hidden: Found, target: str) -> None:
    assert numbers(ranges(excel(sheet, target), "A & B")) == hidden


@pytest.mark.parametrize(
    ("table", "hidden"),
    [
        (
            ROW.format("") + ROW.format(' t:visibility="filter"') + ROW.format(' t:visibility="collapse"'),
            ([2, 3], []),
        ),
        (
            ROW.format(' t:number-rows-repeated="3"') + ROW.format(' t:visibility="filter" t:number-rows-repeated="2"'),
            ([4, 5], []),
        ),
        ('<t:table-column t:number-columns-repeated="2"/>' + COLUMN.format(""), ([], [2])),
        (ROW.format(' t:visibility="visible"'), ([], [])),
    ],
)
def test_of_libreoffice(table: str, hidden: Found) -> None:
    assert numbers(ranges(libreoffice(table), "A & B")) == hidden


def test_a_sheet_that_is_not_found_hides_nothing() -> None:
    assert (
        ranges(excel("<row hidden='1'/>"), "Other")
        == ranges(excel("<row hidden='1'/>", "gone.xml"), "A & B")
        == ([], [])
    )


def test_a_workbook_whose_parts_have_other_names_hides_nothing_that_is_known() -> None:
    assert ranges(archive(**{"xl/book.xml": WORKBOOK}), "A & B") == Ranges([], [])


def test_a_column_without_a_number_is_damage() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        ranges(excel('<cols><col hidden="1"/></cols>'), "A & B")


def numbers(found: Ranges) -> Found:
    rows, columns = ([number for each in its for number in each] for its in found)
    return rows, columns
