"""Lists of suppressions as people have them: read line by line, and written so that spreadsheets do no harm."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intake import suppressions as lists
from intake.texts import FileInvalid
from mail.address import AddressInvalid, suppressible
from models.people import forgotten, suppressions
from models.people.suppressions import NewSuppression, Suppressed
from reasons import Code, Reason
from tests import factories as make
from tests.forking import admin


def read(tmp_path: Path, text: str | bytes) -> lists.Found:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return lists.read(path, "they asked")


def keys(found: lists.Found) -> list[str]:
    return [it.key for it in found.entries]


class TestWhatAnEntryIs:
    @pytest.mark.parametrize(
        ("written", "key"),
        [
            (" Anna@Leads.EXAMPLE ", "anna@leads.example"),
            ("anna@ŻÓŁW.example", "anna@xn--w-uga1v8h.example"),
            ("Leads.Example", "@leads.example"),
            ("@leads.example", "@leads.example"),
            ("*@leads.example", "@leads.example"),
            ("*.leads.example.", "@leads.example"),
            ("ŻÓŁW.example", "@xn--w-uga1v8h.example"),
            ("@z\u0307olw.example", "@xn--olw-22a.example"),
            ("ｌｅａｄｓ.example", "@leads.example"),
        ],
    )
    def test_in_its_one_form(self, written: str, key: str) -> None:
        assert suppressible(written) == key
        assert suppressible(key) == key

    @pytest.mark.parametrize(
        "wrong",
        [
            *("", "@", "*", "pl", "@pl", "leads", "https://leads.example", "leads.example/x", "a b.example"),
            *(
                "www.leads.example",
                "@www.leads.example",
                "a..example",
                "@@leads.example",
                "anna@",
                "-a.example",
                "[127.0.0.1]",
                "leads.example, b.example",
            ),
        ],
    )
    def test_or_else_refused_in_one_sentence(self, wrong: str) -> None:
        with pytest.raises(AddressInvalid) as refusal:
            suppressible(wrong)

        assert "\n" not in str(refusal.value)


class TestAList:
    def test_of_one_a_line_may_have_comments_and_empty_lines(self, tmp_path: Path) -> None:
        found = read(
            tmp_path, "# from the old system\r\n\r\nAnna@Leads.example\r\n@firm.example\r\n  # more\r\njan@x.example"
        )

        assert (keys(found), found.problems) == (["anna@leads.example", "@firm.example", "jan@x.example"], [])
        assert {it.reason for it in found.entries} == {"they asked"}

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("name", ["address", "Email", "E-mail", "Domain", "adres"])
    def test_of_columns_has_a_header_that_names_the_address(self, tmp_path: Path, delimiter: str, name: str) -> None:
        lines = [("name", name, "reason"), ("Anna", "anna@leads.example", "bounced"), ("Jan", "jan@x.example", "")]

        found = read(tmp_path, "\n".join(delimiter.join(each) for each in lines))

        assert [(it.key, it.reason) for it in found.entries] == [
            ("anna@leads.example", "bounced"),
            ("jan@x.example", "they asked"),
        ]

    def test_without_a_reason_of_its_own_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "old.txt").write_text("anna@leads.example\n")

        [entry] = lists.read(tmp_path / "old.txt", None).entries

        assert entry.reason == Reason(Code.IMPORTED, file="old.txt")

    def test_may_say_how_excel_is_to_read_it(self, tmp_path: Path) -> None:
        found = read(tmp_path, "\ufeffsep=;\naddress;reason\nanna@leads.example;bounced\nno\n")

        assert (keys(found), str(found.problems[0])[:7]) == (["anna@leads.example"], "line 4:")

    def test_tells_each_line_that_cannot_be_used_and_takes_the_others(self, tmp_path: Path) -> None:
        wrong = {2: "anna@", 4: "https://x.example", 5: '"two@x.example, three@x.example"', 7: "  ,x"}
        lines = ["address", "", "good@x.example", "", "", "other.example", ""]
        for line, text in wrong.items():
            lines[line - 1] = text

        found = read(tmp_path, "\n".join(lines))

        assert keys(found) == ["good@x.example", "@other.example"]
        assert [str(it).partition(":")[0] for it in found.problems] == [f"line {line}" for line in wrong]

    def test_may_write_addresses_as_address_books_do(self, tmp_path: Path) -> None:
        lines = [
            '"Kowalska, Anna" <anna@a.example>',
            "Jan Nowak <Jan@B.example>;",
            "<ola@c.example>",
            "mailto:ewa@d.example",
        ]
        lines += ["MAILTO:iza@e.example?subject=stop", '"Nowak, Ewa" <nowhere>', '"two@x.example" <three@x.example>']

        found = read(tmp_path, "\n".join(lines))

        assert keys(found) == [f"{it}.example" for it in ("anna@a", "jan@b", "ola@c", "ewa@d", "iza@e")]
        assert [str(it).partition(":")[0] for it in found.problems] == ["line 6", "line 7"]

    def test_with_two_addresses_in_a_line_does_not_pass_one_over(self, tmp_path: Path) -> None:
        found = read(tmp_path, "jan@x.example\nanna@x.example,ewa@x.example\nola@x.example,\n")

        assert keys(found) == ["jan@x.example", "ola@x.example"]
        assert [str(it).partition(":")[0] for it in found.problems] == ["line 2"]

    def test_with_a_quote_that_is_not_closed_loses_no_other_line(self, tmp_path: Path) -> None:
        found = read(tmp_path, 'address\n"anna@leads.example\njan@x.example\n')

        assert keys(found) == ["jan@x.example"]
        assert [str(it) for it in found.problems] == ["line 2: the quote that opens in cell 1 is not closed"]

    @pytest.mark.parametrize("reason", ["x" * 1001, "a\x07b"])
    def test_a_reason_that_cannot_be_kept_is_told_with_its_line(self, tmp_path: Path, reason: str) -> None:
        found = read(tmp_path, f"address,reason\nanna@leads.example,{reason}\n")

        assert (found.entries, str(found.problems[0])[:18]) == ([], "line 2: the reason")

    def test_the_same_entry_in_two_spellings_is_one(self, tmp_path: Path) -> None:
        assert keys(read(tmp_path, "Leads.example\n@LEADS.example\n*.leads.example\n")) == ["@leads.example"]

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b"", "list.csv: there is no address or domain in it"),
            (b"# nothing\n", "list.csv: there is no address or domain in it"),
            (b"name;phone\nAnna;1\n", "list.csv line 1: a file with several columns must begin with a header"),
            (b"anna@leads.example,reason\n", "list.csv line 1: a file with several columns must begin with a header"),
            (b"\xff\xfea\x00", "list.csv: is UTF-16 text"),
            ("address,reason\nanna@leads.example,wyg\u0105s\u0142\n".encode("cp1250"), "list.csv line 2: is not UTF-8"),
        ],
    )
    def test_that_is_none_is_refused(self, tmp_path: Path, content: bytes, fault: str) -> None:
        with pytest.raises(FileInvalid) as refusal:
            read(tmp_path, content)

        assert fault in str(refusal.value)


AT = datetime(2026, 11, 17, 9, 30, tzinfo=UTC)


def suppressed(address: str, reason: str = "they asked", by: str = "ola", proof: str | None = None) -> Suppressed:
    return Suppressed(address, reason, AT, by, None, proof)


FORMULAS = ["=1+1", "+48 123", "-1", "@SUM(A1)", "'=quoted", "'quoted", "\t=1"]


class TestAnExport:
    @pytest.mark.parametrize("text", [*FORMULAS, 'żółw, "in quotes"; and more', "two words"])
    def test_has_no_cell_that_a_spreadsheet_takes_for_a_formula(self, text: str) -> None:
        content = lists.written([suppressed("anna@leads.example", text, by=text, proof=text), suppressed("@x.example")])

        cells = [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) for cell in row]
        assert content.startswith(b"\xef\xbb\xbf")
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    def test_comes_back_as_it_was(self, tmp_path: Path) -> None:
        keys = ["=a@leads.example", "+b@leads.example", "'c@leads.example", "'=d@leads.example", "-e@leads.example"]
        keys += ["@leads.example", *forgotten.keys_of("anna@leads.example")]
        those = [suppressed(key, f"{key} asked", proof="<1@x.example>") for key in keys]
        path = tmp_path / "out.csv"
        path.write_bytes(lists.written(those))

        found = lists.read(path, None)

        assert found.problems == []
        assert found.entries == [NewSuppression(it.address, it.reason, None, it.proof) for it in those]


@pytest.mark.usefixtures("db")
class TestTheCommands:
    def test_import_what_was_exported(self, tmp_path: Path) -> None:
        suppressions.add("anna@leads.example", "=she asked", "ola")
        suppressions.add("@firm.example", "they asked", "ola")
        out = tmp_path / "out.csv"

        assert admin("suppression", "export", str(out)).returncode == 0
        assert admin("suppression", "remove", "FIRM.example").stdout == (
            "firm.example and its subdomains may be written to again\n"
        )
        assert admin("suppression", "import", str(out)).stdout == (
            "suppressed 1 addresses and domains; 1 were suppressed before\n"
        )

        assert [(it.address, it.reason) for it in suppressions.every()] == [
            ("anna@leads.example", "=she asked"),
            ("@firm.example", "they asked"),
        ]
        assert "there is such a file already" in admin("suppression", "export", str(out)).stderr
        assert admin("suppression", "export").stdout.splitlines()[2].startswith("firm.example,they asked,")

    def test_import_the_lines_that_can_be_used_and_list_the_others(self, tmp_path: Path) -> None:
        path = tmp_path / "list.txt"
        path.write_text("anna@leads.example\nanna@\n@firm.example\n")

        result = admin("suppression", "import", str(path), "--reason", "they asked")

        assert (result.returncode, result.stdout) == (1, "suppressed 2 addresses and domains\n")
        assert (
            result.stderr
            == "punktual: list.txt line 2: 'anna@' is not an e-mail address: there is nothing after the @\n"
        )
        assert [it.reason for it in suppressions.every()] == ["they asked"] * 2

    def test_tell_that_an_address_stays_suppressed_with_its_domain(self) -> None:
        admin("suppression", "add", "leads.example", "--reason", "they asked", "--proof", "<1@x.example>")
        admin("suppression", "add", "anna@mail.leads.example", "--reason", "she asked")

        assert admin("suppression", "remove", "anna@mail.leads.example").stdout == (
            "anna@mail.leads.example is still suppressed, with leads.example and its subdomains\n"
        )
        assert [(it.address, it.proof) for it in suppressions.every()] == [("@leads.example", "<1@x.example>")]

    def test_add_a_campaign_and_tell_who_of_its_leads_is_suppressed(self, tmp_path: Path) -> None:
        make.a_mailbox("ola@sender.example")
        suppressions.add("@firm.example", "they asked", "ola")
        suppressions.add("anna@xn--w-uga1v8h.example", "she asked", "ola")
        (tmp_path / "autumn.toml").write_text(
            'name = "Autumn"\nsubject = "Hello"\ntext = "Hello"\nmailboxes = ["ola@sender.example"]\n'
            'window_start = "09:00"\nwindow_end = "17:00"\nweekdays = ["mon"]\n'
            "delay_between_emails_seconds = 90\ndaily_limit = 50\n"
        )
        (tmp_path / "leads.csv").write_text("email\njan@x.firm.example\newa@leads.example\nAnna@ŻÓŁW.example\n")

        result = admin("campaign", "add", str(tmp_path / "autumn.toml"), "--leads", str(tmp_path / "leads.csv"))

        assert (
            "\n2 leads are suppressed, and so without an e-mail: lines 2, 4\n"
            "added 'Autumn' with 3 leads, as a draft\n1 e-mail: "
        ) in result.stdout, result.stderr
