"""Reading a leads file: what is read, and how each mistake is told with its line and column."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake import csv_files, rows
from intake.damage import damage
from intake.texts import FileInvalid
from tests.leads_files import fields, opened, read, read_all

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "leads.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refusal(path: Path, *used: str) -> str:
    with pytest.raises(FileInvalid) as refused:
        read(path, used)
    assert "\n" not in str(refused.value)
    return str(refused.value)


JAN = {"email": "jan@leads.example", "name": "Jan", "company": "Kłos, Syn i S-ka"}


class TestAnUnambiguousFile:
    @pytest.mark.parametrize(
        "content",
        [
            'email,name,company\njan@leads.example,Jan,"Kłos, Syn i S-ka"\n',
            "email;name;company\r\njan@leads.example;Jan;Kłos, Syn i S-ka\r\n",
            "email\tname\tcompany\njan@leads.example\tJan\tKłos, Syn i S-ka\n",
            "sep=;\r\nemail;name;company\r\njan@leads.example;Jan;Kłos, Syn i S-ka\r\n",
            '"sep=\t"\nemail\tname\tcompany\njan@leads.example\tJan\tKłos, Syn i S-ka\n',
            '"email";"name";"company"\n"jan@leads.example";"Jan";"Kłos, Syn i S-ka"\n',
            'email, name, company\njan@leads.example, "Jan", "Kłos, Syn i S-ka" \n',
            '\ufeffEmail , Name , Company\n\n ,,\njan@leads.example,Jan,"Kłos, Syn i S-ka"',
            'email,name,company\rjan@leads.example,Jan,"Kłos, Syn i S-ka"\r',
            'email,name,company,,\njan@leads.example,Jan,"Kłos, Syn i S-ka"\n',
            'email,name,company,,\njan@leads.example,Jan,"Kłos, Syn i S-ka",,\n',
            'email,name,company\njan@leads.example,Jan,"Kłos, Syn i S-ka",,\n',
            "email|name|company\njan@leads.example|Jan|Kłos, Syn i S-ka\n",
            "sep=|\nemail|name|company\njan@leads.example|Jan|Kłos, Syn i S-ka\n",
            "Klienci, stan na dziś;;\n\nemail;name;company\njan@leads.example;Jan;Kłos, Syn i S-ka\n",
            '"Firma (nazwa, forma)";email;name;company\n-;jan@leads.example;Jan;Kłos, Syn i S-ka\n',
            "Firma (nazwa, forma);email;name;company\n-;jan@leads.example;Jan;Kłos, Syn i S-ka\n",
        ],
    )
    def test_is_read_whatever_separates_its_columns_and_lines(self, write: Write, content: str) -> None:
        found = read(write(content), {"name", "company"})

        assert fields(found) == [JAN]

    def test_quotes_that_are_written_twice_are_quotes(self, write: Write) -> None:
        path = write('email,company\njan@leads.example,"Firma ""Kłos"""\neve@leads.example," ""A"", ""B"" "\n')

        assert [each["company"] for each in fields(read(path))] == ['Firma "Kłos"', '"A", "B"']

    def test_each_row_has_the_line_on_which_it_begins(self, write: Write) -> None:
        path = write('email,note\n\na@leads.example,"one\r\ntwo\n\nthree"\n\nb@leads.example,\n')

        found = read(path)

        assert [each.line for each in found] == [3, 8]
        assert fields(found)[0]["note"] == "one\ntwo\n\nthree"

    def test_a_file_with_a_line_of_excels_counts_it(self, write: Write) -> None:
        assert refusal(write("sep=;\nemail;name\na;b\n")).startswith(
            "leads.csv line 3: email: 'a' is not an e-mail address"
        )

    @given(st.lists(st.lists(st.text(st.characters(exclude_characters="\r\x00")), min_size=1), min_size=1))
    def test_what_is_written_by_the_rules_comes_back(self, table: list[list[str]]) -> None:
        for delimiter in rows.DELIMITERS:
            text = "\n".join(delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in table)

            assert [row.cells for row in rows.read(text.split("\n"), delimiter)] == table


class TestAColumnThatNoTemplateUses:
    @pytest.mark.parametrize(
        ("header", "used"),
        [
            ("email,name,First Name", {"name"}),
            ("email,name,first-name", {"name"}),
            ("email,name,2nd", {"name"}),
            ("email,name,none", {"name"}),
            ("email,name,True", {"name"}),
            ("email,name,self", {"name"}),
            ("email,name," + "x" * 101, {"name"}),
        ],
    )
    def test_is_left_out_where_none_could(self, write: Write, header: str, used: set[str]) -> None:
        path = write(f"{header}\njan@leads.example,Jan,\ufffd\n")

        assert fields(read(path, used)) == [{"email": "jan@leads.example", "name": "Jan"}]

    def test_may_be_there_twice(self, write: Write) -> None:
        path = write("email,phone,phone,name\njan@leads.example,1,2,Jan\n")

        assert fields(read(path, {"name"})) == [{"email": "jan@leads.example", "name": "Jan"}]


class TestAHeader:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("", "line 1: the first line is empty; it must name the columns, and one of them email"),
            ("name\nAnna\n", "line 1: the header has no column `email`, only name"),
            ("a@b.example,A\n", "line 1: the header is missing; the first line must name the columns"),
            ("email:name\na@b.example:A\n", "line 1: the columns are separated by ':' and must be separated by a"),
            ("sep=:\nemail:name\n", "line 1: sep=:: columns must be separated by commas, semicolons, tabs or pipes"),
            ("sep=;\nemail,name\n", "line 2: the columns are separated by ',', but the line before says otherwise"),
            ("email;name,company\n", "line 1: the header has both semicolons and commas; its columns must be"),
            (
                "email,name,name\na@b.example,A,B\n",
                "line 1: the columns 2, 3 are all named 'name'; rename all but one",
            ),
            ("email,Email\na@b.example,b@c.example\n", "line 1: the columns 1, 2 are all named 'email'; rename"),
            ("email\x1b[2J,name\na@b.example,A\n", "no column `email`, only email\x1b[2j, name"),
            ("email," + ",".join(f"c{n}" for n in range(200)) + "\n", "line 1: 201 columns; at most 200"),
            ('email,"name\na@b.example,A\n', "line 1: the quote that opens in cell 2 is not closed"),
            ('email,"na;me\na@b.example,A\n', "line 1: the header has both commas and semicolons"),
            ('email;x, "y"\na@b.example;A\n', "line 1: the header has both semicolons and commas"),
        ],
    )
    def test_that_cannot_be_used_is_told_with_what_would_be_right(
        self, write: Write, content: str, complaint: str
    ) -> None:
        assert complaint in refusal(write(content), "name")

    @pytest.mark.parametrize("delimiter", rows.DELIMITERS)
    @pytest.mark.parametrize("name", ["E-mail\n(służbowy)", "E-mail \r\n (służbowy)", "e-mail (służbowy)"])
    def test_with_a_line_break_in_a_cell_is_read_and_named_in_one_line(
        self, write: Write, name: str, delimiter: str
    ) -> None:
        path = write(f'"{name}"{delimiter}Imię\njan@leads.example{delimiter}Jan\n')

        found, _ = read_all(*opened(path, {"name"}, {"email": "e-mail (służbowy)"}))

        assert fields(found) == [{"email": "jan@leads.example", "name": "Jan"}]


OK = "email,name\nanna@leads.example,Anna\njan@leads.example,Jan\n"


class TestARow:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("eve@leads.example\n", "line 4: 1 cell instead of 2; an empty cell needs its comma too"),
            (
                "eve@leads.example,Kłos, Syn\n",
                "line 4: 3 cells instead of 2; a cell with a comma in it must be in quotes",
            ),
            ("eve,Eve\n", "line 4: email: 'eve' is not an e-mail address: it must have one @"),
            ("eve@leads.example," + "x" * 10_001 + "\n", "line 4, name: is longer than 10,000 characters"),
            ("eve@leads.example,E\x00ve\n", "line 4: the name has a control character"),
            ("eve@leads.example,\x1b[2JEve\n", "line 4: the name has a control character"),
            ("eve@leads.example,Eve\rb@leads.example,B\n", "line 4: 3 cells instead of 2"),
            ("eve@leads.example,Eve\rSmith\n", "line 4, name: has a carriage return (CR) in it"),
            ('eve@leads.example,Eve "E" Smith\n', "line 4, name: has a quote in it and does not begin with one"),
            ('eve@leads.example,5" pipe\n', "line 4, name: has a quote in it and does not begin with one"),
            (
                'eve@leads.example,"Eve" Smith\n',
                "line 4: the quote that opens in cell 2 is closed and followed by text",
            ),
            ('eve@leads.example,"Eve "E" Smith"\n', "line 4: the quote that opens in cell 2 is closed and followed by"),
            ("eve@leads.example,Micha\ufffd\n", "line 4, name: has U+FFFD in place of a letter: the text was damaged"),
            ("eve@leads.example,MichaĹ‚\n", "line 4, name: 'MichaĹ‚' was 'Michał' before it was read in the wrong"),
            (
                "eve@leads.example,Pawe&#322;\n",
                "line 4, name: 'Pawe&#322;' is HTML for 'Paweł'; export it as plain text",
            ),
            ("eve@leads.example,Pawe&#x142;\n", "line 4, name: 'Pawe&#x142;' is HTML for 'Paweł'; export it as plain"),
            (
                "eve@leads.example,J&oacute;zef\n",
                "line 4, name: 'J&oacute;zef' is HTML for 'Józef'; export it as plain",
            ),
            (
                "eve@leads.example,Kowalski &amp; Syn\n",
                "line 4, name: '&amp;' is HTML for '&'; export it as plain text",
            ),
            ("eve@leads.example,x.example/?a=1&amp;b=2\n", "is HTML for 'x.example/?a=1&b=2'; export it as plain text"),
            ("".join(f"a{n},b\n" for n in range(9)), "; and 6 more problems"),
        ],
    )
    def test_that_cannot_be_used_is_told_with_its_line(self, write: Write, content: str, complaint: str) -> None:
        assert complaint in refusal(write(OK + content))

    @pytest.mark.parametrize(
        "name", ["AT&T", "B&B;", "AT&T; oddział", "Q&A", "R&D;", "x.example/?a=1&copy=2&amp=3", "&#;", "&#0;", "a & b;"]
    )
    def test_with_an_ampersand_that_is_no_html_is_read(self, write: Write, name: str) -> None:
        assert fields(read(write(f"{OK}eve@leads.example,{name}\n")))[-1]["name"] == name

    def test_the_first_few_are_told_and_how_many_more_there_are(self, write: Write) -> None:
        said = refusal(write(OK + 'a,b\nb@leads.example\nc@leads.example,x"y\nd,d\ne\n'))

        assert [said.count(part) for part in ("line 4", "lines 5, 8", "line 6", "line 7")] == [1, 1, 1, 0]
        assert said.endswith("; and 1 more problem")

    def test_the_same_reason_is_told_once_with_its_first_lines(self, write: Write) -> None:
        assert refusal(write("email,name\n" + "a\n" * 7)) == (
            "leads.csv lines 2, 3, 4, 5, 6 and 2 more: 1 cell instead of 2; an empty cell needs its comma too"
        )

    def test_leaves_the_rows_around_it_as_they_are(self, write: Write) -> None:
        path = write(OK + 'eve,"Eve" X\n\nb@leads.example,"Bo\nX"\nc@leads.example,C,D\nd@leads.example,"D')

        found, bad = read_all(*opened(path))

        assert [it.line for it in found] == [2, 3, 6]
        assert [it.partition(":")[0] for it in bad.listed()] == ["line 4", "line 8", "line 9"]


class TestTheEndOfAFileOfDos:
    @pytest.mark.parametrize("end", ["\x1a", "\x1a\r\n", "\x1a\x1a\x1a"])
    def test_is_no_row(self, write: Write, end: str) -> None:
        assert [it.line for it in read(write(OK + end))] == [2, 3]

    def test_behind_a_cell_is_told(self, write: Write) -> None:
        assert "line 4: the name has a control character" in refusal(write(OK + "eve@leads.example,Eve\x1a"))


class TestAnUnclosedQuote:
    def test_is_told_with_the_line_where_it_opens(self, write: Write) -> None:
        rest = "".join(f"l{n}@leads.example,Jan\n" for n in range(500))

        found, bad = read_all(*opened(write(OK + 'eve@leads.example,"Eve\n' + rest)))

        assert list(bad.listed()) == ["line 4: the quote that opens in cell 2 is not closed"]
        assert [it.line for it in found] == [2, 3, *range(5, 505)]

    def test_is_told_with_its_line_where_the_next_one_seems_to_close_it(self, write: Write) -> None:
        said = refusal(write(OK + 'eve@leads.example,"Eve\nb@leads.example,Bo\nc@leads.example,"C"\n'))

        assert said.startswith(
            "leads.csv line 4: the quote that opens in cell 2 is closed in line 6 and followed by text"
        )

    def test_does_not_swallow_the_leads_up_to_the_next_one(self, write: Write) -> None:
        found, bad = read_all(
            *opened(write(OK + 'eve@leads.example,"Eve\nb@leads.example,Bo\nc@leads.example,Cy"\nd@leads.example,D\n'))
        )

        assert [it.line for it in found] == [2, 3, 5, 7]
        assert [it[:6] for it in bad.listed()] == ["line 4", "line 6"]
        assert next(bad.listed()).endswith(
            "the quote that opens in cell 2 is not closed: the cell contains whole lines of the file"
        )

    @pytest.mark.parametrize(
        "line", ['x{n}@leads.example,"Eve', '"x{n}@leads.example,Eve', 'x{n}@leads.example,"Eve""']
    )
    def test_in_every_line_takes_no_longer_than_in_one(self, write: Write, line: str) -> None:
        path = write("email,name\n" + "".join(f"{line.format(n=n)}\n" for n in range(20_000)))

        found, bad = read_all(*opened(path))

        assert (len(found), bad.count) == (0, 20_000)

    def test_that_holds_most_of_the_file_is_told_and_not_the_number_of_its_lines(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(csv_files, "MOST_ROWS", 50)
        path = write('email,name\njan@leads.example,"' + "x\n" * 30_000 + '"\n')

        with pytest.raises(FileInvalid, match=r"^leads\.csv line 2: the quote that opens in cell 2 is not closed$"):
            read(path, {"name"})


class TestDamage:
    @pytest.mark.parametrize("word", ["Michał", "Żółć", "gęślą", "„Kłos”", "Müller", "café", "Łódź"])
    @pytest.mark.parametrize("codec", ["cp1250", "cp1252", "latin-1", "iso8859-2", "cp852", "cp437", "mac_roman"])
    def test_is_found_whatever_the_text_was_taken_for(self, word: str, codec: str) -> None:
        misread = "".join(
            bytes([byte]).decode(codec if not 0x80 <= byte <= 0x9F else "latin-1", "replace")
            if codec in ("latin-1", "iso8859-2")
            else bytes([byte]).decode(codec, "replace").replace("\ufffd", chr(byte))
            for byte in word.encode()
        )

        said = str(damage(f"dobry {misread} x"))

        assert said is not None
        assert repr(word) in said

    @pytest.mark.parametrize(
        "text",
        [
            *("Michał Żółw", "Zażółć gęślą jaźń", "Müller & Söhne", "«PÅ TÅ»", "„BLÅ“", "IRMÃ DE", "Ä–Ö", "Ĺubomír"),
            *(
                "Ångström – 5 µm ± 2 %",
                "naïve café",
                "Åse’s",
                "Łódź…",
                "ĂŢ",
                "© 2026 Kłos",
                "日本語",
                "Привет",
                "😀 ok",
                "≈ 5 √ 2 ¬ x",
                "┌─┬─┐ ├Zoë┤",
                "Dvořák, Ńóż, «Ół»",
            ),
        ],
    )
    def test_is_not_seen_where_there_is_none(self, text: str) -> None:
        assert damage(text) is None


class TestAFileThatHasNoLeads:
    def test_is_not_read_and_not_waited_for(self, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as file:
            file.truncate(1_000_000_001)
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")

        for name, complaint in (
            ("large", "is larger than 1000 MB"),
            ("pipe", "is not a file"),
            ("loop", "cannot be read: Too many levels of symbolic links"),
            ("nowhere.csv", "there is no such file"),
            ("", "is a folder, not a file"),
            ("x" * 300, "cannot be read: File name too long"),
        ):
            assert complaint in refusal(tmp_path / name)
        assert "is not a file" in refusal(Path("/dev/zero"))
