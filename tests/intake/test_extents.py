"""How large a grid a spreadsheet spans, told from its tags: tables of LibreOffice say how often a cell is repeated."""

import io
from zipfile import ZipFile

import pytest

from intake import extents

EMPTY_CELLS = '<t:table-cell t:number-columns-repeated="16384"/>'
EMPTY_REST = f'<t:table-row t:number-rows-repeated="1048570">{EMPTY_CELLS}</t:table-row>'


def spreadsheet(name: str, content: str) -> ZipFile:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return ZipFile(packed)


def cell(repeated: int = 1) -> str:
    return f'<t:table-cell t:number-columns-repeated="{repeated}" t:v="x"><p>A</p></t:table-cell>'


def row(*cells: str, repeated: int = 1) -> str:
    return f'<t:table-row t:number-rows-repeated="{repeated}">{"".join(cells)}</t:table-row>'


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        ("", 0),
        (row(cell(), cell()) + EMPTY_REST, 2),
        (row(cell()) + row(cell(), cell(5)), 12),
        (row(cell(16_000), repeated=3000), 48_000_000),
        (row(cell(), repeated=2) + row('<t:table-cell t:number-columns-repeated="9"/>', cell()), 30),
        (row(cell()) + "<t:table-row/>" * 3 + row(cell()), 5),
        (row(cell()) + "</t:table><t:table>" + row(cell(7)), 7),
    ],
)
def test_of_libreoffice_empty_cells_behind_the_last_one_do_not_count(rows: str, cells: int) -> None:
    assert extents.most_cells(spreadsheet("content.xml", f"<t:table>{rows}</t:table>")) == cells


@pytest.mark.parametrize("padding", [0, 999_985, 999_990, 999_995, 1_000_000])
def test_a_tag_is_found_wherever_the_pieces_are_cut(padding: int) -> None:
    content = f"<r>{' ' * padding}<c r='B3' s='1'><v/></c><c r=\"AA12\"><v/></c><c r='XFD9999'/></r>"

    assert extents.most_cells(spreadsheet("xl/any.xml", content)) == 26 * 10


def test_a_tag_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than a million"):
        extents.most_cells(spreadsheet("xl/any.xml", "<c " + "x" * 3_000_000))
