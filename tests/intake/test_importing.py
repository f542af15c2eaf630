"""Leads from a file into a campaign, as a person or a script orders it: what is told, asked, written and left out."""

import bz2
import csv
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from admin.__main__ import main
from intake import spreadsheets
from models.email import moves
from models.people import forgetting
from models.states import CampaignStatus
from models.store import database
from models.store.tables import Campaign, CampaignLead, Change, ColumnMapping, Lead, Suppression
from tests import factories as make
from tests.conftest import Override
from tests.spreadsheets import Rows, workbook

pytestmark = pytest.mark.usefixtures("db")

FILES = Path(__file__).parent / "files"
CAMPAIGN = """
name = "Autumn"
subject = "Hello {{ name }}"
text = "Dear {{ name }} of {{ company|default('your company') }}, how are you?"
mailboxes = ["ola@sender.example"]
window_start = "00:00"
window_end = "24:00"
weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
send_on_holidays = true
delay_between_emails_seconds = 90
daily_limit = 50
"""
POLISH = "Adres e-mail;Imię;Firma\r\nanna@leads.example;Łucja;Kłos; \r\njan@leads.example;Jan;Żółw\r\n"
Typed = Callable[..., tuple[object, str]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The status, or the refusal, and what was printed. answers: of the person at the terminal; None: a script."""

    def type_(*words: object, answers: str | None = None) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["admin", "campaign", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if answers is None else Terminal(answers))
        with pytest.raises(SystemExit) as ended:
            main()
        database.close()
        return ended.value.code, capsys.readouterr().out

    return type_


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make.a_mailbox("ola@sender.example")
    (tmp_path / "autumn.toml").write_text(CAMPAIGN)
    return tmp_path


@pytest.fixture
def add(typed: Typed, folder: Path) -> Typed:
    """`campaign add` of a file with this content."""

    def add_(content: str | bytes, *options: object, answers: str | None = None) -> tuple[object, str]:
        path = folder / "leads.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return typed("add", folder / "autumn.toml", "--leads", path, *options, answers=answers)

    return add_


@pytest.fixture
def add_more(typed: Typed, folder: Path, add: Typed) -> Typed:
    """`campaign add-leads` to a draft with Anna and Jan."""
    add(POLISH)

    def add_(content: str, *options: object, answers: str | None = None) -> tuple[object, str]:
        path = folder / "more.csv"
        path.write_text(content)
        return typed("add-leads", "Autumn", "--leads", path, *options, answers=answers)

    return add_


def written() -> dict[str, dict[str, str]]:
    return {row.address: row.fields for row in CampaignLead.select().order_by(CampaignLead.position)}


def nothing_written() -> bool:
    return not (Campaign.select().count() or Lead.select().count() or CampaignLead.select().count())


class TestAFileOfPeoples:
    def test_comes_in_with_what_it_was_read_as(self, add: Typed) -> None:
        status, said = add(POLISH.encode("cp1250"))

        assert status is None
        assert "leads.csv line 1: reads 'Adres e-mail' as email, 'Firma' as company, 'Imię' as name" in said
        assert "leads.csv: Windows-1250 text, columns separated by semicolons; the first rows" in said
        assert ["2", "anna@leads.example", "Kłos", "Łucja"] in [line.split() for line in said.splitlines()]
        assert "\nadded 'Autumn' with 2 leads, as a draft\n" in said
        assert written() == {
            "anna@leads.example": {"email": "anna@leads.example", "name": "Łucja", "company": "Kłos"},
            "jan@leads.example": {"email": "jan@leads.example", "name": "Jan", "company": "Żółw"},
        }

    def test_shows_five_of_its_rows_as_they_are_read(self, add: Typed) -> None:
        _, said = add("email,name\n" + "".join(f"lead{n}@leads.example,N{n}\n" for n in range(9)))

        assert [f"lead{n}@leads.example" in said for n in range(9)] == [True] * 5 + [False] * 4

    @pytest.mark.parametrize("name", ["klienci.csv", "klienci.xlsx"])
    def test_that_libreoffice_wrote_gives_its_good_rows_and_a_file_of_the_thirty_bad_ones(
        self, typed: Typed, folder: Path, name: str
    ) -> None:
        path = folder / name
        path.write_bytes((FILES / name).read_bytes())

        said = typed("add", folder / "autumn.toml", "--leads", path, "--skip-bad")[1]

        assert "30 of the rows cannot be used; they are in " in said
        assert len(written()) == 70
        codec, original = ("cp1250", "cp1250") if name.endswith("csv") else ("utf-8-sig", "")
        with (folder / "klienci.errors.csv").open(encoding=codec, newline="") as file:
            header, *bad = csv.reader(file, delimiter=";")
        assert header == ["Adres e-mail", "Imię", "Nazwa firmy", "Rabat", "reason not imported"]
        assert len(bad) == 30
        assert bad[0][0] == "zly.adres100"
        assert bad[0][4].startswith("line 4: email: 'zly.adres100' is not an e-mail address")
        assert original == "" or b"\xef\xbb\xbf" not in (folder / "klienci.errors.csv").read_bytes()


class TestBadRows:
    CONTENT = "email,name\nanna@leads.example,Anna\nno,B\njan@leads.example,\nkim@leads.example,Kim,Q\nx,Y\n"

    def test_let_nothing_in_and_are_told(self, add: Typed) -> None:
        said, _ = add(self.CONTENT)

        assert str(said).startswith("punktual: leads.csv line 3: email: 'no' is not an e-mail address")
        assert "; line 4: 'name' is empty" in str(said)
        assert str(said).endswith(
            "; and 1 more problem; nothing was imported: correct them, or leave out with --skip-bad"
        )
        assert nothing_written()

    def test_are_listed_up_to_twenty_reasons_and_all_counted(self, add: Typed) -> None:
        content = "email,name\n" + "".join(f"no{n},B\n" for n in range(30))

        refusal, said = add(content)

        assert said.count("is not an e-mail address") == 20
        assert said.endswith("and 10 more problems\n")
        assert "; and 27 more problems; nothing" in str(refusal)

    def test_are_left_out_where_that_is_agreed_and_stand_in_a_file_of_the_same_form(
        self, add: Typed, folder: Path
    ) -> None:
        content = 'sep=;\r\nE-mail;Imię;Uwagi;;\r\nanna@leads.example;Łucja;;;\r\nzły;Gęś;a\r\nŻ;"A;B""\r\nC";c;;\r\n'

        add(content.encode("iso8859-2"), "--skip-bad")

        assert list(written()) == ["anna@leads.example"]
        lines = (folder / "leads.errors.csv").read_bytes().decode("iso8859-2").split("\r\n")
        assert lines[:2] == ["sep=;", "E-mail;Imię;Uwagi;reason not imported"]
        assert lines[2].startswith("zły;Gęś;a;line 4: email: 'zły' is not an e-mail address")
        assert lines[3].startswith('Ż;"A;B""\nC";c;line 5: email: ')

    def test_can_be_corrected_in_their_file_and_brought_in_from_there(
        self, add: Typed, typed: Typed, folder: Path
    ) -> None:
        add(self.CONTENT, "--skip-bad")
        file = folder / "leads.errors.csv"
        file.write_text(file.read_text().replace("no,B", "no@leads.example,B").replace('"Kim,Q"', "Kim Q"))

        typed("add-leads", "Autumn", "--leads", file, "--skip-bad")

        assert list(written().values()) == [
            {"email": "anna@leads.example", "name": "Anna"},
            {"email": "no@leads.example", "name": "B"},
            {"email": "kim@leads.example", "name": "Kim Q"},
        ]

    def test_do_not_replace_a_file_of_earlier_ones_that_somebody_may_have_corrected(
        self, add: Typed, typed: Typed, folder: Path
    ) -> None:
        add(self.CONTENT, "--skip-bad")
        (folder / "leads.errors.csv").write_text("corrected")

        _, said = typed("add-leads", "Autumn", "--leads", folder / "leads.csv", "--skip-bad")

        assert f"they are in {folder / 'leads.errors-2.csv'}, each with the reason" in said
        assert (folder / "leads.errors.csv").read_text() == "corrected"

    def test_leave_no_file_where_there_are_none_or_nothing_was_imported(self, add: Typed, folder: Path) -> None:
        add("email,name\nno,B\n", "--skip-bad")
        add("email,name\nanna@leads.example,Anna\n", "--skip-bad")

        assert sorted(it.name for it in folder.iterdir()) == ["autumn.toml", "leads.csv"]

    def test_alone_make_no_campaign(self, add: Typed) -> None:
        said, _ = add("email,name\nno,B\nx@leads.example,\n", "--skip-bad")

        assert "there is no lead below the header, only rows that cannot be used: line 2: email: 'no'" in str(said)
        assert nothing_written()

    def test_with_a_letter_that_cannot_be_composed_are_bad_rows_too(self, add: Typed) -> None:
        add('email,name\nanna@leads.example,Anna\njan@leads.example,"Jan\nBcc: all@leads.example"\n', "--skip-bad")

        assert list(written()) == ["anna@leads.example"]


class TestAnAddressTwiceInAFile:
    def test_is_brought_in_once_by_its_first_row_and_the_others_are_told(self, add: Typed) -> None:
        _, said = add("email,name\nanna@leads.example,A\njan@leads.example,J\nANNA@leads.example,B\n")

        assert "1 row has the address of an earlier one, and is left out:" in said
        assert "  line 4: ANNA@leads.example, as in line 2" in said
        assert written()["anna@leads.example"]["name"] == "A"

    def test_is_told_of_ten_and_counted_of_all(self, add: Typed) -> None:
        _, said = add("email,name\n" + "anna@leads.example,A\n" * 14)

        assert "13 rows have the address of an earlier one" in said
        assert said.count("as in line 2") == 10
        assert "  and 3 more\n" in said

    def test_is_brought_in_by_its_first_good_row(self, add: Typed) -> None:
        add("email,name\nanna@leads.example,\nanna@leads.example,A\n", "--skip-bad")

        assert written()["anna@leads.example"]["name"] == "A"


class TestWhichColumnIsWhichField:
    def test_is_asked_once_and_remembered(self, add: Typed, typed: Typed, folder: Path) -> None:
        path = folder / "leads.csv"
        _, first = add(POLISH, answers="y\ny\n")
        _, second = typed("add-leads", "Autumn", "--leads", path, answers="")

        assert "Read them so?" in first
        assert "Read them so?" not in second
        assert ColumnMapping.get().columns == {"email": "adres e-mail", "name": "imię", "company": "firma"}

    def test_can_be_corrected_field_by_field(self, add: Typed) -> None:
        # no to what was suggested; email is column 1, company column 2, name none before it is 3
        add("Adres e-mail;Firma;Imię;Pseudonim\nanna@leads.example;Kłos;Anna;Ania\n", answers="n\n1\n2\n9\n4\ny\n")

        assert written()["anna@leads.example"]["name"] == "Ania"
        assert ColumnMapping.get().columns["name"] == "pseudonim"

    def test_that_the_header_does_not_tell_is_asked(self, add: Typed) -> None:
        add("Kontrahent;Kto;Gdzie\nKłos;Anna;anna@leads.example\n", answers="y\n3\n2\ny\n")

        assert written()["anna@leads.example"] == {
            "email": "anna@leads.example",
            "name": "Anna",
            "company": "Kłos",
        }

    @pytest.mark.parametrize(
        ("header", "complaint"),
        [
            ("Kto;Gdzie", 'has no column `email`, only kto, gdzie; name the column with --map "COLUMN=email"'),
            (
                "Email firmowy;Email prywatny",
                "email may be 'Email firmowy' or 'Email prywatny'; say which with --map \"Email firmowy=email\"",
            ),
        ],
    )
    def test_that_a_script_must_say_is_told(self, add: Typed, header: str, complaint: str) -> None:
        said, _ = add(f"{header}\na@leads.example;b@leads.example\n")

        assert complaint in str(said)
        assert nothing_written()

    def test_is_said_by_a_script_and_remembered_for_the_next(self, add: Typed, typed: Typed, folder: Path) -> None:
        content = "Kto;Gdzie;Email\nAnna;anna@leads.example;x\n"

        assert add(content, "--map", "Kto=name", "--map", "gdzie=email")[0] is None
        (folder / "next.csv").write_text("Gdzie;Email;Kto\njan@leads.example;x;Jan\n")
        typed("add-leads", "Autumn", "--leads", folder / "next.csv")

        assert {it["email"]: it["name"] for it in written().values()} == {
            "anna@leads.example": "Anna",
            "jan@leads.example": "Jan",
        }

    def test_of_no_such_column_is_told(self, add: Typed) -> None:
        said, _ = add("email,name\na@leads.example,A\n", "--map", "Adres=email")

        assert str(said).endswith("leads.csv line 1 has no column 'adres', only email, name")

    def test_that_the_letter_lacks_is_told_with_what_to_do(self, add: Typed) -> None:
        said, _ = add("email,Osobnik\na@leads.example,A\n")

        assert "'name' is undefined; the fields are email, osobnik" in str(said)
        assert str(said).endswith('; if its column has another name, say so with --map "COLUMN=field"')


class TestAPersonAtTheTerminal:
    CONTENT = "email,name\nanna@leads.example,Anna\n"

    def test_is_asked_before_anything_is_written(self, add: Typed) -> None:
        status, said = add(self.CONTENT, answers="n\n")

        assert (status, said[-21:]) == (1, "nothing was imported\n")
        assert "Add 1 lead to 'Autumn'?" in said
        assert nothing_written()

    def test_says_yes(self, add: Typed) -> None:
        add(self.CONTENT, answers="y\n")

        assert len(written()) == 1

    def test_is_not_asked_where_yes_is_given(self, add: Typed) -> None:
        _, said = add(POLISH, "--yes", answers="")

        assert "?" not in said
        assert len(written()) == 2


class TestMoreLeads:
    def test_stand_behind_the_others(self, add_more: Typed) -> None:
        _, said = add_more("email,name\nzoe@leads.example,Zoe\n")

        assert said.endswith("added 1 lead to 'Autumn'\n")
        assert list(written()) == ["anna@leads.example", "jan@leads.example", "zoe@leads.example"]
        assert [it.verb for it in Change.select().order_by(Change.id)][-1] == "add_leads"

    def test_of_the_same_file_again_change_nothing(self, typed: Typed, folder: Path, add_more: Typed) -> None:
        before = written()

        _, said = typed("add-leads", "Autumn", "--leads", folder / "leads.csv")

        assert "2 leads are in 'Autumn' already, with the same fields" in said
        assert "nothing was added to 'Autumn'" in said
        assert written() == before

    def test_of_the_file_grown_and_corrected_are_added_and_changed_after_the_difference_is_shown(
        self, add_more: Typed
    ) -> None:
        content = POLISH.replace("Łucja", "Lucyna") + "zoe@leads.example;Zoe;X\r\n"

        _, declined = add_more(content, answers="n\n")
        assert "  line 2: anna@leads.example: name: 'Łucja' → 'Lucyna'\n" in declined
        assert "Add 1 lead to 'Autumn', and change 1?" in declined
        assert written()["anna@leads.example"]["name"] == "Łucja"

        _, said = add_more(content, answers="y\n")
        assert said.endswith("added 1 lead to 'Autumn' and changed 1\n")
        assert written()["anna@leads.example"]["name"] == "Lucyna"

    def test_leave_those_that_were_written_to_as_they_are(self, add_more: Typed) -> None:
        campaign = Campaign.get()
        mailbox_id = make.a_mailbox()
        Campaign.update(status=CampaignStatus.ACTIVE).execute()
        for email_id in make.planned(campaign.id, mailbox_id, make.now()):
            moves.accept(make.handed_over(email_id).held, make.YES)

        _, said = add_more(POLISH.replace("Łucja", "Lucyna").replace("Jan", "Janusz"))

        assert "1 lead is left as it is: an e-mail is on its way, or no letter is to come" in said
        assert {it["name"] for it in written().values()} == {"Łucja", "Janusz"}

    def test_of_a_running_campaign_are_planned(self, add_more: Typed) -> None:
        Campaign.update(status=CampaignStatus.ACTIVE).execute()

        assert add_more("email,name\nzoe@leads.example,Zoe\n")[1].endswith("; their e-mails are being planned\n")

    def test_of_a_completed_campaign_wait_until_it_is_resumed(self, add_more: Typed) -> None:
        Campaign.update(status=CampaignStatus.COMPLETED).execute()

        _, said = add_more("email,name\nzoe@leads.example,Zoe\n")

        assert "it was completed, and is paused until you resume it: campaign resume 'Autumn'" in said
        assert Campaign.get().status == CampaignStatus.PAUSED

    def test_of_a_cancelled_campaign_are_refused(self, add_more: Typed) -> None:
        Campaign.update(status=CampaignStatus.CANCELLED).execute()

        said, printed = add_more("email,name\nzoe@leads.example,Zoe\n")

        assert said == "punktual: cannot add leads to the campaign 'Autumn': it is cancelled"
        assert printed == ""

    def test_are_checked_with_the_campaigns_own_letter(self, add_more: Typed) -> None:
        said, _ = add_more("email,name\nzoe@leads.example,\n")

        assert "line 2: 'name' is empty: fill it in, or give it a default in subject line 1" in str(said)


class TestAFailedFormula:
    @pytest.mark.parametrize("error", ["#N/A", "#N/D!", "#REF!", "#ADR!", "#NAZWA?", "#DIV/0!", "#dziel/0!", "Err:508"])
    def test_in_a_field_of_the_letter_is_a_bad_row(self, add: Typed, error: str) -> None:
        said, _ = add(f"email,name,notes\nanna@leads.example,A,{error}\njan@leads.example,{error},x\n")

        told = f"name: {error} is the error of a formula in the spreadsheet; correct it there"
        assert f"leads.csv line 3, {told}" in str(said)
        assert "line 2" not in str(said)

    def test_is_no_such_thing_where_it_only_looks_like_one(self, add: Typed) -> None:
        _, said = add("email,name\nanna@leads.example,#Nazwa firmy\njan@leads.example,#1\n")

        assert "added 'Autumn' with 2 leads" in said


class TestALetterWithPlaceholdersOfAnotherProduct:
    def test_is_told_before_the_person_agrees(self, add: Typed, folder: Path) -> None:
        (folder / "autumn.toml").write_text(CAMPAIGN.replace("how are you?", "how is *|KOD RABATOWY|*?"))

        status, said = add(
            "email,name,Kod rabatowy\nanna@leads.example,A,7\n", "--map", "Kod rabatowy=kod_rabatowy", answers="n\n"
        )

        told = "*|KOD RABATOWY|* goes out as it is written; for a lead's field write {{ kod_rabatowy }}"
        assert f"warning: autumn.toml: text line 1: {told}" in said
        assert status == 1
        assert not Campaign.select().exists()

    def test_is_taken_from_a_script(self, add: Typed, folder: Path) -> None:
        (folder / "autumn.toml").write_text(CAMPAIGN.replace("how are you?", "how is {name}?"))

        status, said = add("email,name\nanna@leads.example,A\n")

        assert "text line 1: {name} goes out as it is written" in said
        assert status is None or status == 0


class TestLeadsThatAnotherCampaignWroteTo:
    @pytest.fixture(autouse=True)
    def sent(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=["anna@leads.example"])
        for email_id in make.planned(campaign_id, mailbox_id, make.now()):
            moves.accept(make.handed_over(email_id).held, make.YES)

    def test_are_told_and_brought_in(self, add: Typed) -> None:
        _, said = add(POLISH)

        assert "1 lead is written to by another campaign in the last 30 days (leave out with --skip-recent):" in said
        assert "  line 2: anna@leads.example, by 'campaign " in said
        assert "added 'Autumn' with 2 leads" in said

    def test_are_left_out_where_that_is_asked_for(self, add: Typed) -> None:
        assert "added 'Autumn' with 1 lead" in add(POLISH, "--skip-recent")[1]

    def test_alone_make_no_campaign(self, add: Typed) -> None:
        said, _ = add("email,name\nanna@leads.example,A\n", "--skip-recent")

        assert said == "punktual: leads.csv: no lead is left, so 'Autumn' was not added"

    def test_are_not_looked_for_where_no_days_are_set(self, add: Typed, settings: Callable[..., None]) -> None:
        settings(LEADS_RECENT_DAYS=0)

        assert "another campaign" not in add(POLISH)[1]


class TestALongFile:
    ROWS = 10_001

    def test_comes_in_in_its_order_and_tells_on_stdout_only_what_came_of_it(self, add: Typed) -> None:
        rows = "".join(f"lead{n}@leads.example,N\n" for n in range(self.ROWS))

        said = add("email,name\n" + rows)[1]

        assert "\nadded 'Autumn' with 10,001 leads, as a draft\n" in said
        assert "checked" not in said
        assert [row.position for row in CampaignLead.select().order_by(CampaignLead.id)] == list(
            range(1, self.ROWS + 1)
        )

    def test_is_let_in_whole_or_not_at_all(self, add: Typed) -> None:
        rows = "".join(f"lead{n}@leads.example,N\n" for n in range(self.ROWS))

        said, _ = add(f"email,name\n{rows}no,N\n")

        assert f"leads.csv line {self.ROWS + 2}: email: 'no'" in str(said)
        assert nothing_written()


def test_suppressed_leads_are_told(add: Typed) -> None:
    Suppression.insert(address="anna@leads.example", reason="asked").execute()

    assert "1 lead is suppressed, and so without an e-mail: line 2\n" in add(POLISH)[1]


class TestMoreLeadsWhoGetNoEmail:
    """`campaign add-leads` tells and leaves out whom `campaign add` does."""

    MORE = "email,name,legal_basis\nzoe@leads.example,Zoe,\neve@leads.example,Eve,consent\nbo@x.example,Bo,\n"

    def test_do_not_bring_back_who_was_forgotten(self, add_more: Typed) -> None:
        make.an_email(leads=["zoe@leads.example"])
        forgetting.forget("zoe@leads.example", "ola", keep=lambda key: None)

        _, said = add_more(self.MORE)

        assert "1 lead is forgotten, and so not imported: line 2\nadded 2 leads to 'Autumn'" in said
        assert "zoe@leads.example" not in {it.address for it in Lead}
        assert "zoe@leads.example" not in written()

    def test_of_forgotten_people_alone_are_none(self, add_more: Typed) -> None:
        make.an_email(leads=["zoe@leads.example"])
        forgetting.forget("zoe@leads.example", "ola", keep=lambda key: None)

        assert "nothing was added to 'Autumn'" in add_more("email,name\nzoe@leads.example,Zoe\n")[1]

    def test_are_told_if_they_get_no_e_mail(self, add_more: Typed, settings: Override) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")
        Suppression.insert(address="zoe@leads.example", reason="asked").execute()
        Suppression.insert(address="@x.example", reason="asked").execute()

        _, said = add_more(self.MORE)

        assert "2 leads are suppressed, and so without an e-mail: lines 2, 4\n" in said
        assert (
            "2 leads are without a legal basis, and so without an e-mail (sending.require_legal_basis): lines 2, 4\n"
        ) in said

    def test_have_the_legal_basis_of_the_options_where_the_file_has_none(
        self, add_more: Typed, settings: Override
    ) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        _, said = add_more(self.MORE, "--legal-basis", "contract", "--legal-basis-date", "2020-10-01")

        assert "without a legal basis" not in said
        assert {it.address: (it.legal_basis, str(it.legal_basis_date)) for it in Lead if it.legal_basis} == {
            "zoe@leads.example": ("contract", "2020-10-01"),
            "eve@leads.example": ("consent", "None"),
            "bo@x.example": ("contract", "2020-10-01"),
        }


class TestTheLinkToUnsubscribe:
    USES = CAMPAIGN.replace("how are you?", "{{ unsubscribe_url }}")

    def test_is_no_column_that_a_person_is_asked_for(self, folder: Path, add: Typed, settings: Override) -> None:
        settings(UNSUBSCRIBE_URL="https://stop.sender.example")
        (folder / "autumn.toml").write_text(self.USES)

        _, said = add("email,name,company,town\nanna@leads.example,Anna,Kłos,Sopot\n", answers="y\n")

        assert "column for unsubscribe_url" not in said
        assert written(), said

    def test_without_a_public_page_stops_an_import(self, folder: Path, add: Typed) -> None:
        (folder / "autumn.toml").write_text(self.USES)

        assert "unsubscribe_url needs a public page" in str(add(POLISH)[0])
        assert nothing_written()

    @pytest.mark.parametrize("options", [(), ("--map", "link=unsubscribe_url")])
    def test_cannot_be_read_from_a_column(self, add: Typed, options: tuple[str, ...]) -> None:
        name = "link" if options else "unsubscribe_url"

        status, _ = add(f"email,name,{name}\nanna@leads.example,Anna,https://evil.example\n", *options)

        assert "leads.csv: rename the column unsubscribe_url" in str(status)
        assert nothing_written()


def packed(*names: str) -> bytes:
    """A ZIP file with files of these names."""
    archive = io.BytesIO()
    with ZipFile(archive, "w") as file:
        for name in names:
            file.writestr(ZipInfo(name), "email\n")
    return archive.getvalue()


def repacked(spreadsheet: bytes, before: bytes, after: bytes) -> bytes:
    """With something else in its parts."""
    packed = io.BytesIO()
    with ZipFile(io.BytesIO(spreadsheet)) as old, ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(before, after))
    return packed.getvalue()


class TestASpreadsheet:
    """arkusze.xlsx, written by LibreOffice: a sheet of notes; one with two empty rows and an empty column at first."""

    def sent_in(self, typed: Typed, folder: Path, *options: object) -> tuple[object, str]:
        path = folder / "arkusze.xlsx"
        path.write_bytes((FILES / path.name).read_bytes())
        return typed("add", folder / "autumn.toml", "--leads", path, *options)

    def test_is_read_from_its_sheet_with_addresses_and_has_its_cells_as_people_see_them(
        self, typed: Typed, folder: Path
    ) -> None:
        _, said = self.sent_in(typed, folder, "--skip-bad", "--map", "Od kiedy=since")

        assert "sheet 'Klienci'" in said
        assert written() == {
            "anna@piekarnia.example": {
                "email": "anna@piekarnia.example",
                "name": "Anna",
                "since": "2024-03-01",
                "telefon": "48600123456",
                "rabat": "12.5",
                "aktywny": "1",
                "company": "Kłos\ni Syn",
            },
            # Of a formula, what it had computed; of an error, nothing.
            "jan@kawiarnia.example": {
                "email": "jan@kawiarnia.example",
                "name": "Jan",
                "since": "2024-03-01 14:30",
                "telefon": "600-123",
                "rabat": "0.1",
                "aktywny": "",
                "company": "",
            },
        }

    def test_tells_a_number_and_a_date_in_place_of_an_address_by_the_row_that_people_see(
        self, typed: Typed, folder: Path
    ) -> None:
        said, _ = self.sent_in(typed, folder)

        assert "arkusze.xlsx line 7: email: '42' is not an e-mail address" in str(said)
        assert "; line 8: email: '2024-03-01' is not an e-mail address" in str(said)

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("--sheet", "Nie ma"), "arkusze.xlsx: there is no sheet 'Nie ma', only Opis, Klienci"),
            (("--sheet", "Opis"), "arkusze.xlsx line 1: the header has no column `email`, only lista klientów"),
            (("--encoding", "cp1250"), "arkusze.xlsx: is a spreadsheet, which has no encoding"),
        ],
    )
    def test_is_read_from_the_sheet_that_is_named(
        self, typed: Typed, folder: Path, options: tuple[str, str], complaint: str
    ) -> None:
        assert complaint in str(self.sent_in(typed, folder, *options)[0])

    PEOPLE = (("E-mail", "Imię"), ("anna@leads.example", "Łucja"))

    def test_of_excels_form_may_have_a_title_empty_rows_and_columns_and_a_hidden_sheet(self, add: Typed) -> None:
        rows: Rows = [["Klienci 2026"], [], [], [None, "E-mail", "Imię"], [None, "anna@leads.example", "Łucja"], []]

        status, said = add(workbook({"Stare": self.PEOPLE, "Nowe": rows}, hidden=["Stare"]))

        assert (status, "sheet 'Nowe'" in said) == (None, True)
        assert written() == {"anna@leads.example": {"email": "anna@leads.example", "name": "Łucja"}}

    def test_with_hidden_rows_and_columns_is_read_whole_and_says_so(self, add: Typed) -> None:
        people = [(f"{name}@leads.example", name, "10 %") for name in ("anna", "jan", "ewa", "ola")]
        rows = [("Klienci", None, None), ("email", "name", "Rabat"), *people, ("", None, None)]

        _, said = add(workbook({"A": rows}, hidden_rows=[1, 4, 6, 7], hidden_columns=[3, 4]))

        assert (
            "2 rows are hidden in the spreadsheet (read like the others; leave out with --skip-hidden): lines 4, 6"
            in said
        )
        assert "hidden in the spreadsheet, and read like the others: column 'Rabat'" in said
        assert "added 'Autumn' with 4 leads" in said

    def test_with_hidden_rows_is_read_without_them_where_that_is_asked_for(self, add: Typed) -> None:
        rows = [
            ("email", "name"),
            ("anna@leads.example", "Anna"),
            ("jan@leads.example", "Jan"),
            ("not an address", "X"),
        ]

        _, said = add(workbook({"A": rows}, hidden_rows=[2, 4]), "--skip-hidden")

        assert "2 rows are hidden in the spreadsheet (left out): lines 2, 4" in said
        assert "added 'Autumn' with 1 lead," in said

    def test_that_hides_nothing_says_nothing_of_it(self, add: Typed) -> None:
        assert "hidden" not in add(workbook({"A": self.PEOPLE}))[1]

    def test_with_a_text_behind_its_columns_is_told_so(self, add: Typed) -> None:
        rows = [("email", "name"), ("jan@leads.example", "Jan", "call him first")]

        status, _ = add(workbook({"A": rows}))

        assert "line 2: 3 cells instead of 2; name the columns behind it, or empty them" in str(status)

    def test_with_addresses_in_several_sheets_is_read_from_the_one_that_is_named(self, add: Typed) -> None:
        content = workbook({"Marzec": self.PEOPLE, "Maj": [("email", "name"), ("jan@leads.example", "Jan")]})

        said, _ = add(content)
        assert said == "punktual: leads.csv: has several sheets, 'Marzec', 'Maj'; name the one to read with --sheet"
        assert nothing_written()

        add(content, "--sheet", "Maj")
        assert list(written()) == ["jan@leads.example"]

    @pytest.mark.parametrize(
        ("value", "read"),
        [
            (48600123456, "48600123456"),
            (12.5, "12.5"),
            (0, "0"),
            (-3, "-3"),
            (1e20, "1e+20"),
            (1234567890123456, "1234567890123456"),
            ("0.30000000000000004", "0.30000000000000004"),
            (0.30000000000000004, "0.3"),
            (2.9999999999999996, "3"),
            (1234.5678, "1234.5678"),
            ("007", "007"),
            (None, ""),
        ],
    )
    def test_has_its_numbers_as_people_write_them(self, add: Typed, value: object, read: str) -> None:
        add(workbook({"A": [("email", "name", "no"), ("a@leads.example", "A", value)]}))

        assert written()["a@leads.example"]["no"] == read

    @pytest.mark.parametrize(
        ("form", "value", "read"),
        [
            (r"00\-000", 950, "00-950"),
            ("00-000", 12345, "12-345"),
            ("000000000", 12345678, "012345678"),
            (r"000\-000\-00\-00", 1234563218, "123-456-32-18"),
            ('"NIP "000" "000', 12345, "NIP 012 345"),
            ("000-000-000", 48600123456, "48600-123-456"),  # what is longer stands before the first zero
            ("[h]:mm", 1.5, "36:00"),
            ("[h]:mm:ss", 0.25, "6:00"),
            ("[h]:mm:ss", 1.0000115740740741, "24:00:01"),
            ("0%", 0.15, "15%"),
            ("0.00%", 0.07, "7%"),
            ("0%", 0.155, "15.5%"),
            # What is not exact and simple is read as the number that it is.
            ("00-000", 950.5, "950.5"),
            ("00-000", -950, "-950"),
            ("00-000;@", 950, "950"),
            ("00/00", 5, "5"),
            ("#,##0.00", 1999.9, "1999.9"),
            ("0", 12.5, "12.5"),
            ("000.00", 1.5, "1.5"),
            ("General", 950, "950"),
            ("00-000", "Łódź", "Łódź"),
            ("0%", "15 %", "15 %"),
        ],
    )
    def test_has_its_numbers_as_their_simple_formats_show_them(
        self, add: Typed, form: str, value: object, read: str
    ) -> None:
        rows: Rows = [("email", "no", "name"), (), ("a@leads.example", value, 950)]

        add(workbook({"A": rows}, formats=["General", form]))

        assert written()["a@leads.example"] == {"email": "a@leads.example", "no": read, "name": "950"}

    def test_has_each_cell_in_its_own_format(self, add: Typed) -> None:
        people = [(f"{each}@leads.example", 950) for each in "abcd"]
        content = workbook({"A": [("email", "name"), *people]}, formats=["General", "00-000"])

        add(repacked(content, b'r="B4" s="2"', b's="0"'))

        assert [it["name"] for it in written().values()] == ["00-950", "00-950", "950", "00-950"]

    def test_has_its_bad_rows_in_a_file_that_a_polish_excel_opens(self, add: Typed, folder: Path) -> None:
        add(workbook({"A": [*self.PEOPLE, ("zły", "Gęś; ś"), (12, "x")]}), "--skip-bad")

        content = (folder / "leads.errors.csv").read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        assert content.decode("utf-8-sig").splitlines()[1].startswith('zły;"Gęś; ś";line 3: email: ')

    def test_that_unpacks_to_too_much_is_not_read(self, add: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spreadsheets, "LARGEST_UNPACKED", 500)

        assert "leads.csv: unpacks to more than" in str(add(workbook({"A": self.PEOPLE}))[0])

    @pytest.mark.parametrize(
        ("before", "after"),
        [(b"<sst ", b'<sst count="99999999999" '), (b"<sst ", b'<sst uniqueCount="99999999999" ')],
    )
    def test_that_says_it_has_more_than_it_can_is_refused_and_takes_no_memory(
        self, add: Typed, before: bytes, after: bytes
    ) -> None:
        content = repacked(workbook({"A": self.PEOPLE}), before, after)

        assert add(content)[0] == "punktual: leads.csv: is damaged: it has fewer texts than it says"

    def test_of_excels_binary_form_is_told_to_be_saved_as_another(self, add: Typed) -> None:
        packed = io.BytesIO()
        with ZipFile(packed, "w") as archive:
            archive.writestr("xl/workbook.bin", b"")

        assert add(packed.getvalue())[0] == "punktual: leads.csv: is a binary Excel file (.xlsb); save it as .xlsx"

    @pytest.mark.parametrize("stray", ["XFD1048576", "XFD20000", "AAA1048576"])
    def test_with_a_cell_far_from_the_others_is_refused_and_takes_no_memory(self, add: Typed, stray: str) -> None:
        cell = f'<row><c r="{stray}"><v>1</v></c></row></sheetData>'.encode()

        said = add(repacked(workbook({"A": self.PEOPLE}), b"</sheetData>", cell))[0]

        assert str(said).startswith("punktual: leads.csv: its table spans ")

    @pytest.mark.parametrize("stray", ['<c r="XFD1048576" s="1"/>', '<c r="C900"><v>1</v></c>'])
    def test_with_formats_far_away_or_a_cell_not_too_far_is_read(self, add: Typed, stray: str) -> None:
        cell = f"<row>{stray}</row></sheetData>".encode()

        assert add(repacked(workbook({"A": self.PEOPLE}), b"</sheetData>", cell), "--skip-bad")[0] is None

    @pytest.mark.parametrize("place", range(10, 2000, 293))
    def test_that_is_damaged_anywhere_is_read_or_told(self, add: Typed, place: int) -> None:
        content = bytearray((FILES / "arkusze.xlsx").read_bytes())
        content[-place] ^= 0xFF

        status, _ = add(bytes(content), "--skip-bad")

        assert status is None or str(status).startswith("punktual: ")

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"PK\x03\x04 and no more", "leads.csv: cannot be read as a spreadsheet: "),
            (b"\xd0\xcf\x11\xe0 and no more", "leads.csv: is an Excel file of before 2007, or protected by a password"),
            (gzip.compress(b"email\n", mtime=0), "leads.csv: is a compressed file; unpack it first"),
            (bz2.compress(b"email\n"), "leads.csv: is a compressed file; unpack it first"),
            (lzma.compress(b"email\n"), "leads.csv: is a compressed file; unpack it first"),
            (b"%PDF-1.7\n\xff", "leads.csv: is a picture or a PDF, and no table; save the table as .xlsx or CSV"),
            (
                b"<html><table>\n<tr><td>email</td></tr>\n",
                "leads.csv: is a web page saved under this name, and no table",
            ),
            (b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n", "leads.csv: is a web page saved under this name"),
            ("\ufeff<table border=1>".encode("utf-16-le"), "leads.csv: is a web page saved under this name"),
            (b'<?xml version="1.0"?>\n<Workbook>', "leads.csv: is a web page saved under this name"),
            (packed("leads.csv", "leads.xlsx"), "leads.csv: is a ZIP file or a document, and no spreadsheet; unpack"),
            (packed("[Content_Types].xml", "word/document.xml"), "leads.csv: is a ZIP file or a document, and no"),
        ],
    )
    def test_that_is_none_is_told(self, add: Typed, content: bytes, complaint: str) -> None:
        assert complaint in str(add(content)[0])
