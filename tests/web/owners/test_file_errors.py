"""What is wrong with a person's file, on a Polish page: each sentence about files, and files that are wrong."""

import ast
import codecs
import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path

import pytest

import config
from models.owner import campaigns
from models.store.tables import Campaign
from tests import factories as make
from tests.spreadsheets import workbook
from tests.web.owners.conftest import Owner, text
from tests.web.test_language import messages, polish, texts

PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[sdf]")
MODULES = sorted((config.ROOT / "intake").glob("*.py"))
# Said to commands alone, or to nobody.
NOT_ON_PAGES = {
    *("and ", " and ", " more", " more problem", "step ", "step 1: "),  # bad rows and letters, as commands name them
    *("as it is", "as they are", "A check"),  # values that stand for others
    *("adres e-mail", "email address"),  # names of columns
    *("user name", "folder's name"),  # fields of a mailbox, translated where they stand
    "a tag is longer than a million bytes",  # the file is called damaged
    *(": email: ", ", legal_basis_date: "),  # names of columns
}


def marked(tree: ast.AST) -> set[ast.AST]:
    """What is in gettext_noop(), and docstrings."""
    found = set[ast.AST]()
    for node in ast.walk(tree):
        is_marked = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "gettext_noop"
        if is_marked or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            found.update(ast.walk(node))
    return found


def words_without_polish(source: str) -> list[str]:
    tree = ast.parse(source)
    left_out = marked(tree)
    found = (it.value for it in ast.walk(tree) if isinstance(it, ast.Constant) and it not in left_out)
    sentences = (PLACEHOLDER.sub("", it) for it in found if isinstance(it, str))
    return [it for it in sentences if " " in it and re.search("[a-z]{2}", it) and it not in NOT_ON_PAGES]


def plain_text_raised(source: str) -> list[str]:
    """What is raised with a text, which no page can translate, instead of a message."""
    errors = {"FileInvalid", "EncodingUnknown", "CampaignInvalid", "ReasonInvalid", "ValueError", "_Broken"}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in errors:
            for said in node.args:
                is_str = isinstance(said, ast.Call) and isinstance(said.func, ast.Name) and said.func.id == "str"
                is_text = isinstance(said, ast.Constant) and isinstance(said.value, str)
                if is_str or is_text or isinstance(said, ast.JoinedStr | ast.BinOp):
                    found.append(ast.unparse(node))
    return [it for it in found if "a tag is longer" not in it]


class TestEachSentenceOfReadingFiles:
    @pytest.mark.parametrize("module", MODULES, ids=lambda it: it.stem)
    def test_is_a_message_of_the_catalogue(self, module: Path) -> None:
        assert words_without_polish(module.read_text()) == []
        assert plain_text_raised(module.read_text()) == []

    def test_is_not_left_as_it_is_in_polish(self) -> None:
        translated = {entry.id: texts(entry)[0] for entry in polish() if isinstance(entry.id, str)}
        said = [it for it, where in messages().items() if where.startswith("intake/") and isinstance(it, str)]

        assert [it for it in said if translated[it] == it and " " in it] == []

    @pytest.mark.parametrize(
        "source",
        [
            'raise FileInvalid(f"{path.name}: is a folder")',
            'raise FileInvalid(f"{where}: {error}")',
            "raise FileInvalid(str(error))",
            'raise FileInvalid(Message("%(file)s: is a folder", file=path))',
            'raise FileInvalid(Message(template, cell=f"cell of {number}"))',
        ],
    )
    def test_would_be_found_if_it_were_none(self, source: str) -> None:
        assert words_without_polish(source) + plain_text_raised(source) != []


@cache
def english() -> list[str]:
    """The fixed parts of what reading files says that stand in no Polish text."""
    whole = " ".join(it for entry in polish() if entry.id for it in texts(entry)).lower()
    said = (it for it, where in messages().items() if re.match(r"(intake/|mail/address|faults)", where))
    parts = {part.strip(" :;,()") for it in said if isinstance(it, str) for part in PLACEHOLDER.split(it)}
    return sorted(part for part in parts if len(part) > 5 and part.lower() not in whole)


def english_in(page: str) -> list[str]:
    """Whatever letter a sentence begins with."""
    seen = unescape(page).lower()
    return [it for it in english() if it.lower() in seen]


def files() -> Iterator[tuple[str, bytes, str]]:
    """Name, content, and some Polish of what is wrong."""
    yield "ż.csv", b"\n\n", "pierwszy wiersz jest pusty"
    yield "ż.csv", b"email;email\n", "kolumny 1, 2 mają tę samą nazwę"
    yield "ż.csv", b"anna@leads.example\n", "brakuje nagłówka"
    yield "ż.csv", b"sep=#\nemail#name\n", "sep=#: kolumny muszą być rozdzielone"
    yield "ż.csv", b"email,name;x,y;z\n", "przecinki i średniki"
    yield "ż.csv", b'email,"na"me\n', "po zamknięciu cudzysłowu otwartego w komórce 2"
    yield "ż.csv", b'email,"na\nme"x\n', "jest zamknięty w wierszu 2"
    yield "ż.csv", b'email,"name\n', "cudzysłów otwarty w komórce 2 nie jest zamknięty"
    yield "ż.csv", b"email,name,unsubscribe_url\na@b.example,x,y\n", "zmień nazwę kolumny unsubscribe_url"
    yield "ż.csv", b"email\r\n\xff\xfe\xfd\n", "wiersz 2: nie jest tekstem UTF-8"
    yield "ż.csv", "email,n\na@x.pl,x\n".encode("utf-32-le"), "jest tekstem UTF-32 bez BOM"
    yield "ż.csv", codecs.BOM_UTF8 + "email,name\na@x.pl,ż\n".encode("cp1250"), "nie jest tekstem w kodowaniu UTF-8"
    yield "ż.csv", b"email" + b",x" * 300 + b"\n", "kolumn jest 301"
    yield "ż.xls", b"\xd0\xcf\x11\xe0 ole", "sprzed 2007"
    yield "ż.xlsx", b"PK\x03\x04 broken", "plik jest uszkodzony"
    yield "ż.xlsx", workbook({"Ż": []}), "plik jest pusty"
    yield "ż.xlsx", workbook({"Ż": [["email"]], "Ź": [["email"]]}), "ma kilka arkuszy"
    yield "ż.csv", b'email,name\na@x.pl,"b\nc@x.pl,d\n', "nie jest zamknięty"
    yield "ż.csv", b'email,name\na@x.pl,b "c\n', "ma w środku cudzysłów"
    yield "ż.csv", b"email,name\nnobody,x\na@x.pl\na@x.pl,x,y\n", "1 komórka zamiast 2"
    yield "ż.csv", "email,name\na@x.pl,MichaĹ‚ Ĺ»Ăłłć\n".encode(), "zanim odczytano tekst w złym kodowaniu"


class TestAFileThatIsWrong:
    @pytest.fixture
    def row(self, db: None) -> Campaign:
        return campaigns.get(make.a_campaign([make.a_mailbox()], leads=0, active=False))

    def test_is_told_of_in_polish(self, owner: Owner, row: Campaign) -> None:
        where = f"/campaigns/{row.id}/leads?lang=pl"
        assert len(english()) > 50
        for name, content, polish_part in files():
            owner.may(where, {"file": (content, name)}, step="upload")

            page = owner.sees(where)
            assert polish_part in page
            assert english_in(page) == []

    def test_has_its_bad_rows_with_polish_reasons(self, owner: Owner, row: Campaign) -> None:
        where = f"/campaigns/{row.id}/leads?lang=pl"
        owner.may(where, {"file": (b"email,name\nnobody,x\na@x.pl\n", "ż.csv")}, step="upload")

        bad = owner.browser.get(f"/campaigns/{row.id}/leads/errors.csv?lang=pl").text

        assert "powód pominięcia" in bad
        assert "wiersz 3: 1 komórka zamiast 2" in bad
        assert english_in(bad) == []

    def test_is_told_of_a_sheet_and_an_encoding_that_there_are_not(self, owner: Owner, row: Campaign) -> None:
        where = f"/campaigns/{row.id}/leads?lang=pl"
        for content, field, polish_part in (
            (workbook({"Ż": [["email"]]}), "sheet", "nie ma arkusza"),
            (b"email,name\na@x.pl,x\n", "encoding", "Nie ma kodowania tekstu"),
        ):
            owner.may(where, {"file": (content, "ż.csv")}, step="upload")
            owner.may(where, step="reading", **{field: "źź"})

            page = owner.sees(where)
            assert polish_part in page
            assert english_in(page) == []

    def test_of_suppressions_too(self, owner: Owner) -> None:
        for content, polish_part in (
            (b"\n", "nie ma w nim adresu"),
            (b"a@x.pl,b,c\n", "nazywa się address"),
            ("ż@x.pl".encode("utf-16"), "jest tekstem UTF-16"),
            (b'address\n"a@x.pl\n', "cudzysłów otwarty w komórce 1"),
        ):
            page = text(owner.sends("/suppressions/import?lang=pl", {"file": (content, "ż.csv")}).text)

            assert polish_part in page
            assert english_in(page) == []
